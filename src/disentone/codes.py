"""Rows to codes: the one encode that serves every metric and picture."""

import pytorch_lightning as pl
import torch

from disentone.data import SyntheticData
from disentone.models import VAE
from disentone.shapes import Posterior, Rows
from disentone.system import System

BATCH = 512


@torch.no_grad()
def encode(vae: VAE, data: SyntheticData, rows: Rows, device: torch.device) -> Posterior:
    """Posteriors of rows, encoded in large batches on ``device``, answered on the CPU."""
    means, logvars = [], []
    for part in torch.split(rows, BATCH):
        posterior = vae.encode(data.images(data.sounds(part.to(device))))
        means.append(posterior.mean.float().cpu())
        logvars.append(posterior.logvar.float().cpu())
    return Posterior(torch.cat(means), torch.cat(logvars))


def model_and_data(trainer: pl.Trainer) -> tuple[VAE, SyntheticData]:
    """What a callback encodes: the network and the data module that a trainer is running."""
    system: System = trainer.lightning_module  # type: ignore[assignment]
    return system.vae, trainer.datamodule  # type: ignore[attr-defined]
