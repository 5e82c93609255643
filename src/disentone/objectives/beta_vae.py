"""The beta-VAE (Higgins et al. 2017); at beta 1 the VAE."""

import math

import torch

from disentone.models import VAE
from disentone.objectives.objective import Objective, Terms, kl_per_latent
from disentone.objectives.schedules import Schedule
from disentone.shapes import Batch


class BetaVAE(Objective):
    """loss = reconstruction + beta * kl.

    Args:
        beta: weight of the KL.
        schedule: what share of beta applies at a step.

    Raises:
        ValueError: for a beta that is negative or not finite.

    """

    def __init__(self, beta: float, schedule: Schedule) -> None:
        if not 0 <= beta < math.inf:
            raise ValueError(f"objective.beta must be a number of 0 or more, got {beta}")
        self.beta, self.schedule = float(beta), schedule

    def __call__(self, vae: VAE, batch: Batch, step: int) -> Terms:
        """Terms: loss, reconstruction (-log p(x|z)), kl, kl_per_latent, elbo, beta, normalised_beta."""
        posterior = vae.encode(batch.image)
        output = vae.decoder(vae.sample(posterior, batch.share))
        reconstruction = vae.likelihood.nll(output, batch.image).mean()
        divergence = kl_per_latent(posterior).mean(dim=0)
        kl = divergence.sum()
        beta = self.beta * self.schedule(step)
        return {
            "loss": reconstruction + beta * kl,
            "reconstruction": reconstruction.detach(),
            "kl": kl.detach(),
            "kl_per_latent": divergence.detach(),
            "elbo": -(reconstruction + kl).detach(),
            "beta": torch.as_tensor(beta),
            # Beta per pixel and latent (Higgins et al. 2017, section 4.2), for comparison across image sizes.
            "normalised_beta": torch.as_tensor(beta * vae.latents / math.prod(vae.shape)),
        }
