"""Rows to codes, the one encode that serves every metric and picture, and walks along the latents."""

from typing import NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from disentone.data import FactorData
from disentone.models import VAE
from disentone.objectives import kl_per_latent
from disentone.shapes import Posterior, Rows
from disentone.system import System

BATCH = 512
ROWS_TO_RANK = 256


class Walk(NamedTuple):
    """What is decoded while one latent at a time moves and the others stay."""

    latents: Int64[Tensor, "walked"]
    """Their numbers, the most used first."""
    kl: Float[Tensor, "walked"]
    """Nats that each carries, mean over the data."""
    values: Float[Tensor, "step"]
    images: Float[Tensor, "walked step channel *size"]


@torch.no_grad()
def encode(vae: VAE, data: FactorData, rows: Rows, device: torch.device) -> Posterior:
    """Posteriors of rows, encoded in large batches on ``device``, answered on the CPU."""
    means, logvars = [], []
    for part in torch.split(rows, BATCH):
        posterior = vae.encode(data.images(part.to(device)))
        means.append(posterior.mean.float().cpu())
        logvars.append(posterior.logvar.float().cpu())
    return Posterior(torch.cat(means), torch.cat(logvars))


@torch.no_grad()
def walk_latents(vae: VAE, data: FactorData, device: torch.device, steps: int, latents: int) -> Walk:
    """From the first validation row, each of the most used latents in turn walked from -2 to 2; on the CPU."""
    posterior = encode(vae, data, data.rows("validation")[:ROWS_TO_RANK], device)
    kl = kl_per_latent(posterior).mean(dim=0)
    chosen = kl.argsort(descending=True)[:latents]
    values = torch.linspace(-2, 2, steps).round(decimals=2) + 0.0
    codes = posterior.mean[0].repeat(len(chosen), steps, 1)
    for row, latent in enumerate(chosen.tolist()):
        codes[row, :, latent] = values
    images = vae.decode(codes.flatten(0, 1).to(device)).float().cpu()
    return Walk(chosen, kl[chosen], values, images.view(len(chosen), steps, *vae.shape))


def model_and_data(trainer: pl.Trainer) -> tuple[VAE, FactorData]:
    """What a callback encodes: the network and the data module that a trainer is running."""
    system: System = trainer.lightning_module  # type: ignore[assignment]
    return system.vae, trainer.datamodule  # type: ignore[attr-defined]
