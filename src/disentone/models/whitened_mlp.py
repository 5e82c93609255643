"""Principal components of the images, brought to more equal size, into a small dense network."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from torch import Tensor, nn

from disentone.shapes import Image

MOST_PIXELS = 2_000


class WhitenedMLP(nn.Module):
    """A fixed linear map of the images, then dense layers with GELU between them.

    The fixed map is taken from training images once (:meth:`whiten`) and kept in checkpoints: their principal
    components, each divided by the fourth root of its share of the largest variance, so that weak directions are
    raised and none is made equal; then everything scaled to standard deviation 1.

    Args:
        shape: of one image, any number of axes.
        outputs: features per image.
        components: the most principal components that the dense layers see.
        hidden: units of each hidden layer.
        images: how many training images the components are taken from, at most.

    Raises:
        ValueError: for fewer than one component, image or unit.

    """

    matrix: Float[Tensor, "pixel component"]
    offset: Float[Tensor, "component"]
    """The components of the mean image."""

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        components: int = 192,
        hidden: Sequence[int] = (256, 256),
        images: int = 6_000,
    ) -> None:
        super().__init__()
        if min(components, images, *hidden) < 1:
            raise ValueError(
                f"components, images and hidden must be at least 1 each, got {components}, {images} and {list(hidden)}"
            )
        pixels = math.prod(shape)
        inputs = min(components, pixels)
        self.images = images
        self.register_buffer("matrix", torch.zeros(pixels, inputs))
        self.register_buffer("offset", torch.zeros(inputs))
        layers: list[nn.Module] = []
        for width, units in pairwise((inputs, *hidden)):
            layers += [nn.Linear(width, units), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(hidden[-1] if hidden else inputs, outputs)

    def forward(self, image: Image) -> Float[Tensor, "batch feature"]:
        """Features of each image."""
        return self.last(self.layers(image.flatten(1) @ self.matrix - self.offset))

    @torch.no_grad()
    def whiten(self, images: Image) -> None:
        """Take mean and principal components from training images.

        Directions in which these images do not vary stay 0, and so do components beyond the number of images.

        Raises:
            ValueError: for fewer than two images.

        """
        flat = images.flatten(1).double().cpu()
        if len(flat) < 2:
            raise ValueError(f"principal components need at least 2 training images, got {len(flat)}")
        count = min(self.matrix.shape[1], len(flat) - 1)
        # Of large images all components would take minutes; the random search for the first ones is seeded.
        solver = "covariance_eigh" if flat.shape[1] <= MOST_PIXELS else "randomized"
        found = PCA(count, svd_solver=solver, random_state=0).fit(flat.numpy())
        share = torch.from_numpy(found.explained_variance_ / max(found.explained_variance_[0], 1e-300))
        # Less than a float32 image can tell is no direction.
        scale = torch.where(share > 1e-12, share.clamp(min=1e-12) ** -0.25, 0.0)
        matrix = torch.from_numpy(found.components_.T) * scale
        matrix /= ((flat - flat.mean(dim=0)) @ matrix).std().clamp(min=1e-12)
        self.matrix.zero_()
        self.matrix[:, :count] = matrix.to(self.matrix)
        self.offset.zero_()
        self.offset[:count] = (flat.mean(dim=0) @ matrix).to(self.offset)

    @torch.no_grad()
    def turn(self, matrix: Float[Tensor, "feature feature"], offset: Float[Tensor, "feature"]) -> None:
        """Make ``matrix @ features + offset`` the features, by the weights of the last layer."""
        matrix, offset = matrix.double().to(self.last.weight.device), offset.double().to(self.last.weight.device)
        weight, bias = self.last.weight.double(), self.last.bias.double()
        self.last.weight.copy_(matrix @ weight)
        self.last.bias.copy_(matrix @ bias + offset)
