"""What every front-end promises: one image per clip, what its axes mean, and a way back to sound."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.frontends.inversion import invert
from disentone.shapes import Audio, Image


class Frontend(nn.Module, ABC):
    """Audio [batch time] to an image [batch 1 ...], differentiable, with no normalisation per clip."""

    sample_rate: int
    floor_db: float

    @abstractmethod
    def forward(self, audio: Audio) -> Image:
        """The image of each clip."""

    @abstractmethod
    def invert(self, image: Image, num_samples: int | None = None) -> Audio:
        """Sound whose image is near each image; |x| <= 1, silence for silence, the same for the same image.

        Args:
            image: [batch 1 ...], as :meth:`forward` makes them or a decoder does.
            num_samples: of the sound; the shortest that has so many frames by default.

        """

    @abstractmethod
    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one clip's image, its single channel included."""

    @abstractmethod
    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """Centre of every bin in Hz, ascending."""

    @abstractmethod
    def times(self, num_frames: int) -> Float[np.ndarray, "frame"]:
        """Centre of every frame in seconds."""


class Spectrogram(Frontend):
    """Power by bin and frame on a dB scale: image 0 is ``floor_db``, image 1 is 0 dB, a sinusoid of amplitude 1.

    Frames are centred on multiples of ``hop``, the clip continued with silence: ``1 + time // hop`` of them.
    """

    bins: int
    hop: int

    @abstractmethod
    def power(self, audio: Audio) -> Float[Tensor, "batch bin frame"]:
        """Power of each bin and frame; 1 is 0 dB."""

    def forward(self, audio: Audio) -> Image:
        """Images [batch 1 bin frame] of clips, in [0, 1]."""
        return decibel_image(self.power(audio), self.floor_db)[:, None]

    def invert(self, image: Image, num_samples: int | None = None) -> Audio:
        """Sinusoids along the image's ridges, refined through the transform (see :func:`inversion.invert`)."""
        magnitude = linear_magnitude(image[:, 0].float(), self.floor_db)
        num_samples = num_samples or max(1, (image.shape[-1] - 1) * self.hop)
        frequencies = torch.as_tensor(self.frequencies(), device=image.device)
        return invert(magnitude, frequencies, self.power, self.hop, self.sample_rate, num_samples)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """(1, bins, frames)."""
        return (1, self.bins, 1 + num_samples // self.hop)

    def times(self, num_frames: int) -> Float[np.ndarray, "frame"]:
        """Centre of every frame in seconds."""
        return np.arange(num_frames) * (self.hop / self.sample_rate)


def decibel_image(power: Float[Tensor, "*shape"], floor_db: float) -> Float[Tensor, "*shape"]:
    """Power (1 is 0 dB) on a linear dB scale from ``floor_db`` (0) to 0 dB (1).

    The floor is applied to the power, which keeps the gradient finite on silence.
    """
    decibel = 10 * torch.log10(power.clamp(min=10 ** (floor_db / 10)))
    return (1 - decibel / floor_db).clamp(0, 1)


def linear_magnitude(image: Float[Tensor, "*shape"], floor_db: float) -> Float[Tensor, "*shape"]:
    """The square root of the power that an image in [0, 1] shows; 0 at the floor. Other values are cut off."""
    inside = image.clamp(0, 1)
    return torch.where(inside > 0, 10 ** ((1 - inside) * (floor_db / 20)), 0)


def check_positive(**settings: float) -> None:
    """Raise ValueError for a setting that is not above 0."""
    for name, value in settings.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be above 0, got {value}")


def check_floor(floor_db: float) -> None:
    """Raise ValueError unless the floor lies below 0 dB."""
    if not -300 < floor_db < 0:
        raise ValueError(f"floor_db must lie below 0 dB (and above -300), got {floor_db}")
