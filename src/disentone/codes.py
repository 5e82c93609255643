"""Rows to codes, the one encode that serves every metric and picture, and walks along the latents."""

from typing import NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from disentone.data import DataModule
from disentone.models import Latent, Model
from disentone.shapes import Rows
from disentone.system import System

BATCH = 512
ROWS_TO_RANK = 256


class Walk(NamedTuple):
    """What is decoded while one latent at a time moves and the others stay."""

    latents: Int64[Tensor, "walked"]
    """Their numbers, the most used first."""
    nats: Float[Tensor, "walked"] | None
    """What each carries, mean over the data; None for a kind of latents that has no measure of it."""
    values: Float[Tensor, "walked step"]
    images: Float[Tensor, "walked step channel *size"]


@torch.no_grad()
def encode(vae: Model, data: DataModule, rows: Rows, device: torch.device) -> Latent:
    """What is known of rows in the latent space, encoded in large batches on ``device``, answered on the CPU.

    Raises:
        ValueError: for codes that are not finite, with what is to blame: the images or the network.

    """
    latent = vae.kind.joined([vae.encode(data.images(part.to(device))) for part in torch.split(rows, BATCH)])
    if not latent.codes.isfinite().all():
        raise ValueError(_blame(data, rows, device))
    return latent


def _blame(data: DataModule, rows: Rows, device: torch.device) -> str:
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


def use(latent: Latent) -> Float[Tensor, "latent"]:
    """How much each latent is used: the nats that it carries on average, or without such a measure its variance."""
    return latent.codes.var(dim=0, correction=0) if latent.nats is None else latent.nats.mean(dim=0)


@torch.no_grad()
def walk_latents(vae: Model, data: DataModule, device: torch.device, steps: int, latents: int) -> Walk:
    """From the first validation row, each of the most used latents in turn walked over its range; on the CPU.

    The range is that of the codes of validation rows, and the model says which values lie in it. Latents that the
    method left out are not walked.
    """
    latent = encode(vae, data, data.rows("validation", ROWS_TO_RANK), device)
    used = use(latent)
    order = used.argsort(descending=True)
    chosen = order[~torch.isin(order, torch.tensor(vae.left_out, dtype=torch.int64))][:latents]
    values = torch.stack([vae.walk(latent.codes, number, steps) for number in chosen.tolist()])
    codes = latent.codes[0].repeat(len(chosen), steps, 1)
    for row, number in enumerate(chosen.tolist()):
        codes[row, :, number] = values[row]
    images = vae.decode(codes.flatten(0, 1).to(device)).float().cpu()
    nats = None if latent.nats is None else used[chosen]
    return Walk(chosen, nats, values, images.view(len(chosen), steps, *vae.shape))


def model_and_data(trainer: pl.Trainer) -> tuple[Model, DataModule]:
    """What a callback encodes: the network and the data module that a trainer is running."""
    system: System = trainer.lightning_module  # type: ignore[assignment]
    return system.model, trainer.datamodule  # type: ignore[attr-defined]
