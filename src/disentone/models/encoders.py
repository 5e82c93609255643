"""Image to features: the body of q(z|x)."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

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


class PadToMultiple(nn.Module):
    """Zeros after the last bin and frame, up to the next multiple."""

    def __init__(self, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple

    def forward(self, image: Image) -> Float[Tensor, "batch channel bin frame"]:
        """The padded image."""
        bins, frames = image.shape[2:]
        return F.pad(image, (0, -frames % self.multiple, 0, -bins % self.multiple))


def reduced_size(shape: Sequence[int], channels: Sequence[int], hidden: int) -> tuple[int, int]:
    """Bins and frames that are left of a padded image after one halving per layer.

    Raises:
        ValueError: for an image that is not two-dimensional, or layers of no width.

    """
    if not channels or min(*channels, hidden) < 1:
        raise ValueError(f"channels and hidden must be at least 1 each, got {list(channels)} and {hidden}")
    layers = len(channels)
    if len(shape) != 3:
        raise ValueError(f"conv2d needs images of shape (channel, bin, frame), got {tuple(shape)}")
    return -(-shape[1] // STRIDE**layers), -(-shape[2] // STRIDE**layers)
