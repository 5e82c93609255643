"""Rows to codes, the one encode that serves every metric and picture, and walks along the latents."""

from typing import NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from disentone.data import FactorData
from disentone.metrics.traversal import HIGH, LOW
from disentone.models import Model
from disentone.objectives import kl_per_latent
from disentone.shapes import Posterior, Rows
from disentone.system import System

BATCH = 512
ROWS_TO_RANK = 256


class Walk(NamedTuple):
    """What is decoded while one latent at a time moves and the others stay."""

    latents: Int64[Tensor, "walked"]
    """Their numbers, the most used first."""
    kl: Float[Tensor, "walked"] | None
    """Nats that each carries, mean over the data; None where codes are points."""
    values: Float[Tensor, "walked step"]
    images: Float[Tensor, "walked step channel *size"]


@torch.no_grad()
def encode(vae: Model, data: FactorData, rows: Rows, device: torch.device) -> Posterior:
    """Posteriors of rows, encoded in large batches on ``device``, answered on the CPU.

    Raises:
        ValueError: for codes that are not finite, with what is to blame: the images or the network.

    """
    parts = [vae.encode(data.images(part.to(device))) for part in torch.split(rows, BATCH)]
    means = torch.cat([part.mean.float().cpu() for part in parts])
    if not means.isfinite().all():
        raise ValueError(_blame(data, rows, device))
    logvars = [part.logvar.float().cpu() for part in parts if part.logvar is not None]
    return Posterior(means, torch.cat(logvars) if logvars else None)


def _blame(data: FactorData, rows: Rows, device: torch.device) -> str:
    """Why codes are not finite."""
    if all(data.images(part.to(device)).isfinite().all() for part in torch.split(rows, BATCH)):
        return (
            "codes are not finite though the images are: training diverged; a smaller optimizer.lr, a weaker "
            "objective or trainer.gradient_clip_val=1 may prevent it"
        )
    return (
        "images are not finite: synth and front-end make such ones of these settings, or the file of cached images was "
        "overwritten while it was in use; then start again, and it is rendered anew"
    )


def use(posterior: Posterior) -> Float[Tensor, "latent"]:
    """How much each latent is used: its mean KL in nats, or where codes are points their variance."""
    if posterior.logvar is None:
        return posterior.mean.var(dim=0, correction=0)
    return kl_per_latent(posterior).mean(dim=0)


@torch.no_grad()
def walk_latents(vae: Model, data: FactorData, device: torch.device, steps: int, latents: int) -> Walk:
    """From the first validation row, each of the most used latents in turn walked over its range; on the CPU.

    The range is that of the codes of validation rows, 5 % cut from both ends. Latents that the method left out are
    not walked.
    """
    posterior = encode(vae, data, data.rows("validation", ROWS_TO_RANK), device)
    used = use(posterior)
    order = used.argsort(descending=True)
    chosen = order[~torch.isin(order, torch.tensor(vae.left_out, dtype=torch.int64))][:latents]
    low, high = torch.quantile(posterior.mean[:, chosen], torch.tensor([LOW, HIGH]), dim=0)
    values = low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, steps)
    codes = posterior.mean[0].repeat(len(chosen), steps, 1)
    for row, latent in enumerate(chosen.tolist()):
        codes[row, :, latent] = values[row]
    images = vae.decode(codes.flatten(0, 1).to(device)).float().cpu()
    kl = None if posterior.logvar is None else used[chosen]
    return Walk(chosen, kl, values, images.view(len(chosen), steps, *vae.shape))


def model_and_data(trainer: pl.Trainer) -> tuple[Model, FactorData]:
    """What a callback encodes: the network and the data module that a trainer is running."""
    system: System = trainer.lightning_module  # type: ignore[assignment]
    return system.model, trainer.datamodule  # type: ignore[attr-defined]
