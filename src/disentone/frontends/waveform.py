"""No transform at all: the samples, for networks that convolve along time."""

import numpy as np
from jaxtyping import Float

from disentone.frontends.frontend import Frontend
from disentone.shapes import Audio, Image


class Waveform(Frontend):
    """The clip itself as an image [batch 1 time], in [-1, 1]: linear amplitude, no dB.

    Args:
        sample_rate: in Hz.

    Raises:
        ValueError: for a sample rate that is not above 0.

    """

    floor_db = -float("inf")

    def __init__(self, sample_rate: int = 16_000) -> None:
        super().__init__()
        if sample_rate < 1:
            raise ValueError(f"sample_rate must be above 0, got {sample_rate}")
        self.sample_rate = sample_rate

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        return f"sample_rate={self.sample_rate}"

    def forward(self, audio: Audio) -> Image:
        """Each clip as an image of one axis."""
        return audio[:, None]

    def invert(self, image: Image, num_samples: int | None = None) -> Audio:
        """The samples again, cut off at full scale."""
        return image[:, 0, :num_samples].clamp(-1, 1)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """(1, samples)."""
        return (1, num_samples)

    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """None: an image has no bins."""
        return np.empty(0)

    def times(self, num_frames: int) -> Float[np.ndarray, "frame"]:
        """Every sample's time in seconds."""
        return np.arange(num_frames) / self.sample_rate
