"""Latents to the likelihood's parameters: the body of p(x|z)."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from disentone.models.encoders import KERNEL, STRIDE, reduced_size
from disentone.shapes import Image


class ConvDecoder(nn.Sequential):
    """The mirror of :class:`~disentone.models.encoders.ConvEncoder`: padded size, cropped at the end.

    Args:
        latents: how many.
        shape: of one image, (channel, bin, frame).
        channels: of each transposed convolution, as the encoder's, which they mirror.
        hidden: units of the layer after the latents.

    Raises:
        ValueError: for an image that is not two-dimensional.

    """

    def __init__(
        self,
        latents: int,
        shape: Sequence[int],
        channels: Sequence[int] = (32, 32, 64, 64),
        hidden: int = 256,
    ) -> None:
        size = reduced_size(shape, channels, hidden)
        widths = (*reversed(channels), shape[0])
        layers: list[nn.Module] = [nn.Linear(latents, hidden), nn.ReLU()]
        layers += [
            nn.Linear(hidden, widths[0] * size[0] * size[1]),
            nn.ReLU(),
            nn.Unflatten(1, (widths[0], *size)),
        ]
        for inputs, width in pairwise(widths):
            layers += [nn.ConvTranspose2d(inputs, width, KERNEL, STRIDE, padding=1), nn.ReLU()]
        super().__init__(*layers[:-1], Crop(shape[1], shape[2]))


class Crop(nn.Module):
    """The first bins and frames."""

    def __init__(self, bins: int, frames: int) -> None:
        super().__init__()
        self.bins, self.frames = bins, frames

    def forward(self, image: Float[Tensor, "batch channel bin frame"]) -> Image:
        """The cropped image."""
        return image[:, :, : self.bins, : self.frames]
