"""What every front-end promises: one image per clip, and what its axes mean."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.shapes import Audio, Image


class Frontend(nn.Module, ABC):
    """Audio [batch time] to an image [batch 1 ...] in [0, 1], differentiable, with no normalisation per clip."""

    sample_rate: int
    floor_db: float

    @abstractmethod
    def forward(self, audio: Audio) -> Image:
        """The image of each clip."""

    @abstractmethod
    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one clip's image, its single channel included."""

    @abstractmethod
    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """Centre of every bin in Hz."""

    @abstractmethod
    def times(self, num_frames: int) -> Float[np.ndarray, "frame"]:
        """Centre of every frame in seconds."""


def decibel_image(power: Float[Tensor, "*shape"], floor_db: float) -> Float[Tensor, "*shape"]:
    """Power (1 is 0 dB) on a linear dB scale from ``floor_db`` (0) to 0 dB (1).

    The floor is applied to the power, which keeps the gradient finite on silence.
    """
    decibel = 10 * torch.log10(power.clamp(min=10 ** (floor_db / 10)))
    return (1 - decibel / floor_db).clamp(0, 1)


def check_floor(floor_db: float) -> None:
    """Raise ValueError unless the floor lies below 0 dB."""
    if not -300 < floor_db < 0:
        raise ValueError(f"floor_db must lie below 0 dB (and above -300), got {floor_db}")
