"""The beta-VAE (Higgins et al. 2017); at beta 1 the VAE."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from disentone.models import VAE, GaussianLatent, Model
from disentone.objectives.objective import Evidence, Objective, Terms, evidence
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
    kind = GaussianLatent
    beta: Float[Tensor, ""]

    def __init__(self, beta: float, schedule: Schedule) -> None:
        if not 0 <= beta < math.inf:
            raise ValueError(f"objective.beta must be a number of 0 or more, got {beta}")
        super().__init__()
        # A buffer, so that runs which differ in it can be trained as one.
        self.register_buffer("beta", torch.tensor(float(beta)), persistent=False)
        self.schedule = schedule

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        """Terms: loss, fit, reconstruction (-log p(x|z)), kl, kl_per_latent, elbo, beta, normalised_beta."""
        assert batch.draw is not None
        latent = vae.encode(batch.image)
        return self.weighed(evidence(vae, latent, latent.sample(batch.draw), batch.image), vae, step)

    def weighed(self, found: Evidence, vae: Model, step: int) -> Terms:
        """The terms of the evidence of a batch."""
        beta = self.beta * self.schedule(step)
        return {
            "loss": found.reconstruction + beta * found.kl,
            **found.terms,
            "beta": beta,
            # Beta per pixel and latent (Higgins et al. 2017, section 4.2), for comparison across image sizes.
            "normalised_beta": beta * vae.latents / math.prod(vae.shape),
        }
