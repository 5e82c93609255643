"""What every model promises: images to codes, codes to images, and a likelihood between them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.metrics.traversal import over_range
from disentone.models.latent import Latent
from disentone.models.likelihoods import Bernoulli, Likelihood
from disentone.shapes import Codes, Image


class Model(nn.Module, ABC):
    """An encoder, a decoder and a likelihood.

    Args:
        shape: of one image, its channel first.
        latents: how many numbers a code has.
        encoder: called with (shape, outputs), answers a module from image to features.
        outputs: how many features the encoder is to have.
        decoder: called with (latents, shape), answers a module from codes to the likelihood's output.
        likelihood: p(x|z) given that output.
        channels_last: keep two-dimensional convolutions with the channel last in memory.

    Raises:
        ValueError: for fewer than one latent or more than 4096, or a likelihood that the images cannot have.

    """

    kind: ClassVar[type[Latent]]
    """What :meth:`encode` answers."""

    def __init__(
        self,
        shape: Sequence[int],
        latents: int,
        encoder: Callable[[Sequence[int], int], nn.Module],
        outputs: int,
        decoder: Callable[[int, Sequence[int]], nn.Module],
        likelihood: Likelihood,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= latents <= 4096:
            raise ValueError(f"model.latents must lie in 1..4096, got {latents}")
        if isinstance(likelihood, Bernoulli) and len(shape) == 2:
            raise ValueError("Bernoulli needs images in [0, 1], and waveforms reach -1; take model/likelihood=gaussian")
        self.shape, self.latents = tuple(shape), latents
        self.encoder = encoder(self.shape, outputs)
        self.decoder = decoder(latents, self.shape)
        self.likelihood = likelihood
        if channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @abstractmethod
    def encode(self, image: Image) -> Latent:
        """What is known of each image in the latent space; its codes are what metrics score."""

    @property
    def left_out(self) -> tuple[int, ...]:
        """The latents that the method found superfluous: their codes are constant by decision, not by failure."""
        return ()

    def walk(self, codes: Codes, latent: int, steps: int) -> Float[Tensor, "step"]:
        """The values that a latent is moved to, ascending: evenly over the 5-95 % range that it has among codes."""
        return over_range(codes[:, latent], steps)

    def decode(self, codes: Codes) -> Image:
        """The expected image of each code."""
        return self.likelihood.mean(self.decoder(codes))

    def forward(self, image: Image) -> Image:
        """The reconstruction of each image from its code."""
        return self.decode(self.encode(image).codes)
