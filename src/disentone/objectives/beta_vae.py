"""The beta-VAE (Higgins et al. 2017); at beta 1 the VAE."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from disentone.models import VAE, Model
from disentone.objectives.objective import Objective, Terms, kl_per_latent
from disentone.objectives.schedules import Schedule
from disentone.shapes import Batch


class BetaVAE(Objective):
    """loss = reconstruction + beta * kl; fit = elbo.

    Args:
        beta: weight of the KL.
        schedule: what share of beta applies at a step.

    Raises:
        ValueError: for a beta that is negative or not finite.

    """

    title = "beta-VAE"
    beta: Float[Tensor, ""]

    def __init__(self, beta: float, schedule: Schedule) -> None:
        if not 0 <= beta < math.inf:
            raise ValueError(f"objective.beta must be a number of 0 or more, got {beta}")
        super().__init__()
        # A buffer, so that runs which differ in it can be trained as one.
        self.register_buffer("beta", torch.tensor(float(beta)), persistent=False)
        self.schedule = schedule

    def check(self, model: Model) -> None:
        """Raise ValueError for a model without a posterior."""
        if not isinstance(model, VAE):
            raise ValueError(
                f"the beta-VAE's KL needs a posterior, and {type(model).__name__} has points for codes; "
                "take a model that is a VAE, for instance model=conv2d"
            )

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        """Terms: loss, fit, reconstruction (-log p(x|z)), kl, kl_per_latent, elbo, beta, normalised_beta."""
        assert batch.draw is not None
        posterior = vae.encode(batch.image)
        output = vae.decoder(vae.sample(posterior, batch.draw))
        reconstruction = vae.likelihood.nll(output, batch.image).mean()
        divergence = kl_per_latent(posterior).mean(dim=0)
        kl = divergence.sum()
        beta = self.beta * self.schedule(step)
        elbo = -(reconstruction + kl).detach()
        return {
            "loss": reconstruction + beta * kl,
            "fit": elbo,
            "reconstruction": reconstruction.detach(),
            "kl": kl.detach(),
            "kl_per_latent": divergence.detach(),
            "elbo": elbo,
            "beta": beta,
            # Beta per pixel and latent (Higgins et al. 2017, section 4.2), for comparison across image sizes.
            "normalised_beta": beta * vae.latents / math.prod(vae.shape),
        }
