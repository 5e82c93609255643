"""Codes that are points: an encoder without a posterior, and a decoder that reads its codes out."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.models.latent import PointLatent
from disentone.models.likelihoods import Likelihood
from disentone.models.model import Model
from disentone.models.whitened_mlp import WhitenedMLP
from disentone.shapes import Image, PerExample


class PointAutoencoder(Model):
    """One code for each image, and beside it one number: how likely the image is as anybody's partner.

    A method may turn the codes' axes and keep only the first few latents; the others are constant 0 from then on. That
    needs an encoder whose last layer can be turned, a :class:`WhitenedMLP`.

    Args:
        shape: of one image, its channel first.
        latents: how many numbers a code has at most.
        encoder: called with (shape, latents + 1), answers the network from image to codes and the image's bias.
        decoder: called with (latents, shape), answers a module from codes to the likelihood's output.
        likelihood: p(x|z) given that output.
        channels_last: keep two-dimensional convolutions with the channel last in memory: the same network but for
            rounding, and a little faster on a CPU.

    Raises:
        ValueError: for fewer than one latent or more than 4096, or a likelihood that the images cannot have.

    """

    kind = PointLatent

    def __init__(
        self,
        shape: Sequence[int],
        latents: int,
        encoder: Callable[[Sequence[int], int], nn.Module],
        decoder: Callable[[int, Sequence[int]], nn.Module],
        likelihood: Likelihood,
        channels_last: bool = False,
    ) -> None:
        super().__init__(shape, latents, encoder, latents + 1, decoder, likelihood, channels_last)
        self.kept = latents

    @property
    def left_out(self) -> tuple[int, ...]:
        """The latents after the kept ones."""
        return tuple(range(self.kept, self.latents))

    def embed(self, image: Image) -> tuple[Float[Tensor, "batch kept"], PerExample]:
        """The kept codes of each image, and its bias."""
        features = self.encoder(image).float()
        return features[:, : self.kept], features[:, -1]

    def encode(self, image: Image) -> PointLatent:
        """The code of each image, all latents."""
        return PointLatent(self.encoder(image).float()[:, :-1])

    @torch.no_grad()
    def turn(self, axes: Float[Tensor, "new kept"], origin: Float[Tensor, "kept"]) -> None:
        """Make ``axes @ (codes - origin)`` the kept codes, by weights of the encoder's last layer.

        Args:
            axes: one row for each latent that is kept from now on.
            origin: the codes that become 0.

        """
        assert isinstance(self.encoder, WhitenedMLP)
        new, (outputs, kept) = len(axes), (self.latents + 1, self.kept)
        matrix = axes.new_zeros(outputs, outputs)
        matrix[:new, :kept] = axes
        matrix[-1, -1] = 1
        offset = axes.new_zeros(outputs)
        offset[:new] = -axes @ origin
        self.encoder.turn(matrix, offset)
        self.kept = new

    def get_extra_state(self) -> dict[str, int]:
        """What a checkpoint keeps beside the weights: how many latents are kept."""
        return {"kept": self.kept}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over how many latents a checkpoint keeps."""
        self.kept = int(state["kept"])
