"""What the model makes of its data, as pictures with axes in Hz, seconds and dB."""

from pathlib import Path

import pytorch_lightning as pl
import torch

from disentone import image_plots, plots
from disentone.codes import ROWS_TO_RANK, encode, model_and_data, walk_latents
from disentone.loggers import log_image
from disentone.models import GaussianLatent
from disentone.run.folder import RunFolder


class Reconstructions(pl.Callback):
    """Validation images above their reconstructions from their codes, at every validation.

    Args:
        run_dir: the run folder; pictures go to ``figures/``.
        count: how many images.

    """

    def __init__(self, run_dir: str | Path, count: int = 6) -> None:
        if count < 1:
            raise ValueError(f"callbacks.reconstructions.count must be at least 1, got {count}")
        self.folder, self.count = RunFolder(run_dir).figures, count

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log, unless this step was drawn already."""
        path = self.folder / f"reconstructions_{trainer.global_step:07d}.png"
        if not trainer.is_global_zero or path.exists():
            return
        vae, data = model_and_data(trainer)
        rows = data.rows("validation", self.count).to(trainer.strategy.root_device)
        images = data.images(rows)
        figure = image_plots.reconstructions(images.cpu(), vae(images).float().cpu(), data.titles(rows), data.frontend)
        log_image(trainer, "reconstructions", plots.save(figure, path))

    on_test_end = on_validation_end


class Traversals(pl.Callback):
    """One validation image, each latent in turn walked over the range of its codes, the most used latent first.

    Args:
        run_dir: the run folder; pictures go to ``figures/``.
        steps: how many images along each latent.
        latents: the most latents to show.

    """

    def __init__(self, run_dir: str | Path, steps: int = 7, latents: int = 10) -> None:
        if min(steps, latents) < 1:
            raise ValueError(f"callbacks.traversals needs at least 1 step and latent, got {steps} and {latents}")
        self.folder, self.steps, self.latents = RunFolder(run_dir).figures, steps, latents

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log, unless this step was drawn already."""
        path = self.folder / f"traversals_{trainer.global_step:07d}.png"
        if not trainer.is_global_zero or path.exists():
            return
        vae, data = model_and_data(trainer)
        walk = walk_latents(vae, data, trainer.strategy.root_device, self.steps, self.latents)
        labels = [f"z{latent}" for latent in walk.latents]
        if walk.nats is not None:
            labels = [f"{label}\nKL {nats:.2f}" for label, nats in zip(labels, walk.nats, strict=True)]
        figure = image_plots.traversals(walk.images, walk.values.tolist(), labels, data.frontend)
        log_image(trainer, "traversals", plots.save(figure, path))

    on_test_end = on_validation_end


class Samples(pl.Callback):
    """Decoded draws from the prior, the same draws at every validation.

    Where a model has no prior, each latent is drawn by itself from its codes of validation rows.

    Args:
        run_dir: the run folder; pictures go to ``figures/``.
        count: how many, a square number for a full square.
        seed: of the draws.

    """

    def __init__(self, run_dir: str | Path, count: int = 64, seed: int = 0) -> None:
        if count < 1:
            raise ValueError(f"callbacks.samples.count must be at least 1, got {count}")
        self.folder, self.count, self.seed = RunFolder(run_dir).figures, count, seed

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log, unless this step was drawn already."""
        path = self.folder / f"samples_{trainer.global_step:07d}.png"
        if not trainer.is_global_zero or path.exists():
            return
        vae, data = model_and_data(trainer)
        draws = torch.Generator().manual_seed(self.seed)
        if issubclass(vae.kind, GaussianLatent):
            codes, title = torch.randn(self.count, vae.latents, generator=draws), "decoded draws from the prior"
        else:
            known = encode(vae, data, data.rows("validation", ROWS_TO_RANK), trainer.strategy.root_device).codes
            rows = torch.randint(len(known), (self.count, vae.latents), generator=draws)
            codes, title = known.gather(0, rows), "decoded draws of each latent by itself"
        images = vae.decode(codes.to(trainer.strategy.root_device)).float().cpu()
        log_image(trainer, "samples", plots.save(image_plots.samples(images, title, data.frontend), path))

    on_test_end = on_validation_end
