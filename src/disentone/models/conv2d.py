"""Strided convolutions for images of any size."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from disentone.models.checks import check_spectrogram
from disentone.shapes import Image

KERNEL, STRIDE = 4, 2


class ConvEncoder(nn.Sequential):
    """Strided convolutions and one hidden layer, for images [batch channel bin frame] of any size.

    The image is padded with silence to a multiple of the product of the strides.

    Args:
        shape: of one image, (channel, bin, frame).
        outputs: features per image.
        channels: of each convolution; each halves bins and frames.
        hidden: units of the layer before the output.

    Raises:
        ValueError: for an image that is not two-dimensional.

    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        channels: Sequence[int] = (32, 32, 64, 64),
        hidden: int = 256,
    ) -> None:
        size = reduced_size(shape, channels, hidden)
        layers: list[nn.Module] = [PadToMultiple(STRIDE ** len(channels))]
        for inputs, width in zip((shape[0], *channels), channels, strict=False):
            layers += [nn.Conv2d(inputs, width, KERNEL, STRIDE, padding=1), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(channels[-1] * size[0] * size[1], hidden), nn.ReLU()]
        super().__init__(*layers, nn.Linear(hidden, outputs))


class ConvDecoder(nn.Sequential):
    """The mirror of :class:`ConvEncoder`: padded size, cropped at the end.

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


class PadToMultiple(nn.Module):
    """Zeros after the last bin and frame, up to the next multiple."""

    def __init__(self, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple

    def forward(self, image: Image) -> Float[Tensor, "batch channel bin frame"]:
        """The padded image."""
        bins, frames = image.shape[2:]
        return F.pad(image, (0, -frames % self.multiple, 0, -bins % self.multiple))


class Crop(nn.Module):
    """The first bins and frames."""

    def __init__(self, bins: int, frames: int) -> None:
        super().__init__()
        self.bins, self.frames = bins, frames

    def forward(self, image: Float[Tensor, "batch channel bin frame"]) -> Image:
        """The cropped image."""
        return image[:, :, : self.bins, : self.frames]


def reduced_size(shape: Sequence[int], channels: Sequence[int], hidden: int) -> tuple[int, int]:
    """Bins and frames that are left of a padded image after one halving per layer.

    Raises:
        ValueError: for an image that is not two-dimensional, or layers of no width.

    """
    if not channels or min(*channels, hidden) < 1:
        raise ValueError(f"channels and hidden must be at least 1 each, got {list(channels)} and {hidden}")
    layers = len(channels)
    check_spectrogram("conv2d", shape)
    return -(-shape[1] // STRIDE**layers), -(-shape[2] // STRIDE**layers)
