"""Rows to codes: the one encode that serves every metric and picture."""

import torch

from disentone.data import SyntheticData
from disentone.models import VAE
from disentone.shapes import Posterior, Rows

BATCH = 512


@torch.no_grad()
def encode(vae: VAE, data: SyntheticData, rows: Rows, device: torch.device) -> Posterior:
    """Posteriors of rows, encoded in large batches on ``device``, answered on the CPU."""
    means, logvars = [], []
    for part in rows.split(BATCH):
        posterior = vae.encode(data.images(data.sounds(part.to(device))))
        means.append(posterior.mean.float().cpu())
        logvars.append(posterior.logvar.float().cpu())
    return Posterior(torch.cat(means), torch.cat(logvars))
