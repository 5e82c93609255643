"""What every model promises: images to codes, codes to images, and a likelihood between them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import nn

from disentone.models.likelihoods import Bernoulli, Likelihood
from disentone.shapes import Codes, Image, Posterior


class Model(nn.Module, ABC):
    """An encoder, a decoder and a likelihood.

    Args:
        shape: of one image, its channel first.
        latents: how many numbers a code has.
        encoder: called with (shape, outputs), answers a module from image to features.
        outputs: how many features the encoder is to have.
        decoder: called with (latents, shape), answers a module from codes to the likelihood's output.
        likelihood: p(x|z) given that output.

    Raises:
        ValueError: for fewer than one latent or more than 4096, or a likelihood that the images cannot have.

    """

    def __init__(
        self,
        shape: Sequence[int],
        latents: int,
        encoder: Callable[[Sequence[int], int], nn.Module],
        outputs: int,
        decoder: Callable[[int, Sequence[int]], nn.Module],
        likelihood: Likelihood,
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

    @abstractmethod
    def encode(self, image: Image) -> Posterior:
        """The posterior of each image; its mean is the code that metrics score."""

    @property
    def left_out(self) -> tuple[int, ...]:
        """The latents that the method found superfluous: their codes are constant by decision, not by failure."""
        return ()

    def decode(self, codes: Codes) -> Image:
        """The expected image of each code."""
        return self.likelihood.mean(self.decoder(codes))

    def forward(self, image: Image) -> Image:
        """The reconstruction of each image from its posterior mean."""
        return self.decode(self.encode(image).mean)
