"""Strided convolutions along time, for raw audio."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from disentone.models.checks import check_waveform
from disentone.shapes import Image


class Conv1dEncoder(nn.Sequential):
    """Convolutions over [batch channel time] and one hidden layer, for waveforms of any length.

    The clip is continued with silence to a multiple of the product of the strides.

    Args:
        shape: of one waveform, (channel, time).
        outputs: features per waveform.
        channels: of each convolution.
        kernel: taps of each; a first layer as long as a pitch period is a filter bank.
        stride: samples from output to output, of each.
        hidden: units of the layer before the output.

    Raises:
        ValueError: for anything but a waveform, or a setting that is no network.

    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        channels: Sequence[int] = (64, 64),
        kernel: int = 64,
        stride: int = 16,
        hidden: int = 256,
    ) -> None:
        length = reduced_length(shape, channels, kernel, stride, hidden)
        layers: list[nn.Module] = [PadTime(length * stride ** len(channels))]
        for inputs, width in pairwise((shape[0], *channels)):
            layers += [nn.Conv1d(inputs, width, kernel, stride, padding=(kernel - stride) // 2), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(channels[-1] * length, hidden), nn.ReLU(), nn.Linear(hidden, outputs)]
        super().__init__(*layers)


class Conv1dDecoder(nn.Sequential):
    """The mirror of :class:`Conv1dEncoder`; its last layer adds learned wavelets, one set for each ``stride`` samples.

    Args:
        latents: how many.
        shape: of one waveform, (channel, time).
        channels: as the encoder's, which they mirror.
        kernel: taps of each transposed convolution.
        stride: of each.
        hidden: units of the layer after the latents.

    Raises:
        ValueError: for anything but a waveform, or a setting that is no network.

    """

    def __init__(
        self,
        latents: int,
        shape: Sequence[int],
        channels: Sequence[int] = (64, 64),
        kernel: int = 64,
        stride: int = 16,
        hidden: int = 256,
    ) -> None:
        length = reduced_length(shape, channels, kernel, stride, hidden)
        widths = (*reversed(channels), shape[0])
        layers: list[nn.Module] = [nn.Linear(latents, hidden), nn.ReLU()]
        layers += [nn.Linear(hidden, widths[0] * length), nn.ReLU(), nn.Unflatten(1, (widths[0], length))]
        for inputs, width in pairwise(widths):
            layers += [nn.ConvTranspose1d(inputs, width, kernel, stride, padding=(kernel - stride) // 2), nn.ReLU()]
        super().__init__(*layers[:-1], PadTime(shape[1]))


class PadTime(nn.Module):
    """Exactly so many samples: silence at the end is added or cut off."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, waveform: Float[Tensor, "batch channel samples"]) -> Image:
        """The longer or shorter waveform."""
        return F.pad(waveform, (0, self.length - waveform.shape[-1]))


def reduced_length(shape: Sequence[int], channels: Sequence[int], kernel: int, stride: int, hidden: int) -> int:
    """Samples that are left of a padded waveform after all layers.

    Raises:
        ValueError: for anything but a waveform, or a setting that is no network.

    """
    check_waveform("conv1d", shape)
    if not channels or min(*channels, hidden, stride) < 1:
        raise ValueError(
            f"channels, stride and hidden must be at least 1 each, got {list(channels)}, {stride} and {hidden}"
        )
    if kernel < stride or (kernel - stride) % 2:
        raise ValueError(f"kernel must be stride ({stride}) or more, by an even number of taps, got {kernel}")
    return -(-shape[1] // stride ** len(channels))
