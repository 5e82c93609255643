"""The spatial broadcast decoder (Watters et al. 2019)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.models.checks import check_spectrogram
from disentone.shapes import Codes


class BroadcastDecoder(nn.Sequential):
    """The latents at every bin and frame, beside the place itself, through convolutions of stride 1.

    What is decoded at a place is then a function of the latents and of where the place is, so that a translation,
    as which a change of pitch appears along the bins of a constant-Q transform, is an easy thing to learn.

    Args:
        latents: how many.
        shape: of one image, (channel, bin, frame).
        channels: of each convolution but the last, which has the image's.
        kernel: bins and frames of each convolution, odd.

    Raises:
        ValueError: for an image that is not two-dimensional, an even kernel, or layers of no width.

    """

    def __init__(
        self, latents: int, shape: Sequence[int], channels: Sequence[int] = (64, 64, 64), kernel: int = 3
    ) -> None:
        check_spectrogram("broadcast", shape)
        if not channels or min(channels) < 1:
            raise ValueError(f"channels must name at least one layer of 1 or more, got {list(channels)}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        layers: list[nn.Module] = [Broadcast(shape[1], shape[2])]
        for inputs, width in pairwise((latents + 2, *channels)):
            layers += [nn.Conv2d(inputs, width, kernel, padding=kernel // 2), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(channels[-1], shape[0], kernel, padding=kernel // 2))


class Broadcast(nn.Module):
    """Latents tiled over an image, and two channels of coordinates from -1 to 1 along bins and frames."""

    coordinates: Tensor

    def __init__(self, bins: int, frames: int) -> None:
        super().__init__()
        axes = (torch.linspace(-1, 1, bins), torch.linspace(-1, 1, frames))
        self.register_buffer("coordinates", torch.stack(torch.meshgrid(*axes, indexing="ij")), persistent=False)

    def forward(self, codes: Codes) -> Float[Tensor, "batch channel bin frame"]:
        """[batch latent+2 bin frame]."""
        tiled = codes[:, :, None, None].expand(-1, -1, *self.coordinates.shape[1:])
        return torch.cat([tiled, self.coordinates.expand(len(codes), -1, -1, -1)], dim=1)
