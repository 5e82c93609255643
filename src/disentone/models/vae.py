"""The variational autoencoder (Kingma & Welling 2014) around any encoder, decoder and likelihood."""

from collections.abc import Callable, Sequence

from torch import nn

from disentone.models.latent import GaussianLatent
from disentone.models.likelihoods import Likelihood
from disentone.models.model import Model
from disentone.shapes import Image


class VAE(Model):
    """q(z|x), a diagonal Gaussian, and p(x|z).

    Args:
        shape: of one image, its channel first.
        latents: how many dimensions z has.
        encoder: called with (shape, 2 * latents), answers a module from image to features.
        decoder: called with (latents, shape), answers a module from z to the likelihood's output.
        likelihood: p(x|z) given that output.
        channels_last: keep two-dimensional convolutions with the channel last in memory: the same network but for
            rounding, and a little faster on a CPU.

    Raises:
        ValueError: for fewer than one latent or more than 4096, or a likelihood that the images cannot have.

    """

    kind = GaussianLatent

    def __init__(
        self,
        shape: Sequence[int],
        latents: int,
        encoder: Callable[[Sequence[int], int], nn.Module],
        decoder: Callable[[int, Sequence[int]], nn.Module],
        likelihood: Likelihood,
        channels_last: bool = False,
    ) -> None:
        super().__init__(shape, latents, encoder, 2 * latents, decoder, likelihood, channels_last)

    def encode(self, image: Image) -> GaussianLatent:
        """The posterior of each image; its mean is the code that metrics score."""
        # In float32 also where the network runs in less: the KL is a small difference of large terms.
        mean, logvar = self.encoder(image).float().chunk(2, dim=1)
        return GaussianLatent(mean, logvar)
