"""What every objective promises, and the divergence that they share."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from disentone.models import VAE
from disentone.shapes import Batch, Codes, Posterior

Terms = dict[str, Float[Tensor, "*latent"]]


class Objective(ABC):
    """Training losses as named terms, in nats per example (summed over pixels and latents, mean over the batch).

    Terms are scalars, or vectors over the latents; the gradient flows from ``loss``. ``elbo`` is there too: the best
    checkpoint is kept by it. Names are those of the log.
    """

    @abstractmethod
    def __call__(self, vae: VAE, batch: Batch, step: int) -> Terms:
        """The terms of one batch at one optimiser step."""


def kl_per_latent(posterior: Posterior) -> Codes:
    """KL(q(z_j|x) || N(0, 1)) of every example and latent: (mu^2 + sigma^2 - log sigma^2 - 1) / 2."""
    return 0.5 * (posterior.mean.square() + posterior.logvar.exp() - posterior.logvar - 1)
