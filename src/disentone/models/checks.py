"""What networks ask of an image's shape."""

from collections.abc import Sequence


def check_spectrogram(network: str, shape: Sequence[int]) -> None:
    """Raise ValueError unless an image has bins and frames."""
    if len(shape) != 3:
        raise ValueError(
            f"{network} needs images of shape (channel, bin, frame), got {tuple(shape)}; waveforms go with model=conv1d"
        )


def check_waveform(network: str, shape: Sequence[int]) -> None:
    """Raise ValueError unless an image has time alone."""
    if len(shape) != 2:
        raise ValueError(
            f"{network} needs waveforms of shape (channel, time), got {tuple(shape)}; take frontend=waveform with it"
        )
