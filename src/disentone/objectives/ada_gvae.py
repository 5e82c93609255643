"""The adaptive group VAE (Locatello et al. 2020): pairs that share some of their factors, it is not said which."""

import math

import torch
from jaxtyping import Bool
from torch import Tensor

from disentone.models import VAE, GaussianLatent
from disentone.objectives.beta_vae import BetaVAE
from disentone.objectives.objective import Terms, evidence
from disentone.shapes import Batch

Shared = Bool[Tensor, "batch latent"]


class AdaGVAE(BetaVAE):
    """The beta-VAE's loss of both images of a pair, their posteriors averaged where they seem to tell the same.

    After Locatello et al. 2020, "Weakly-supervised disentanglement without compromises". Which latents tell the same
    is estimated for each pair: those whose posteriors' divergence is nearer to the smallest than to the largest one.

    Args:
        beta: weight of the KL.
        schedule: what share of beta applies at a step.

    Raises:
        ValueError: for a beta that is negative or not finite.

    """

    title = "Ada-GVAE"
    learns_from_pairs = True
    usual_views = "sharing"

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        """Terms: those of the beta-VAE, of both images, and shared_latents, how many of a pair were averaged."""
        assert batch.draw is not None
        assert batch.partner is not None
        one, other = vae.encode(batch.image), vae.encode(batch.partner)
        shared = shared_latents(one, other)
        both = averaged(one, other, shared), averaged(other, one, shared)
        latent = GaussianLatent(torch.cat([part.mean for part in both]), torch.cat([part.logvar for part in both]))
        codes = torch.cat([part.sample(batch.draw.of_view(view)) for view, part in enumerate(both)])
        images = torch.cat([batch.image, batch.partner])
        terms = self.weighed(evidence(vae, latent, codes, images), vae, step)
        return {**terms, "shared_latents": shared.sum(dim=1).float().mean()}


def shared_latents(one: GaussianLatent, other: GaussianLatent) -> Shared:
    """Latents whose KL(q(z_j|x_1) || q(z_j|x_2)) is below the middle of the pair's smallest and largest."""
    ratio = (one.logvar - other.logvar).exp()
    distance = (one.mean - other.mean).square() / other.logvar.exp()
    divergence = 0.5 * (ratio + distance - 1 - (one.logvar - other.logvar))
    return divergence < (divergence.amin(dim=1, keepdim=True) + divergence.amax(dim=1, keepdim=True)) / 2


def averaged(one: GaussianLatent, other: GaussianLatent, shared: Shared) -> GaussianLatent:
    """The first of two posteriors, where latents are shared with the mean of both means and of both variances."""
    mean = (one.mean + other.mean) / 2
    logvar = torch.logaddexp(one.logvar, other.logvar) - math.log(2)
    return GaussianLatent(torch.where(shared, mean, one.mean), torch.where(shared, logvar, one.logvar))
