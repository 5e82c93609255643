"""What the model makes of sounds, as pictures with axes in Hz, seconds and dB."""

from pathlib import Path

import pytorch_lightning as pl
import torch

from disentone import plots
from disentone.codes import encode, model_and_data
from disentone.loggers import log_image
from disentone.objectives import kl_per_latent


class Reconstructions(pl.Callback):
    """Validation sounds above their reconstructions from the posterior mean, at every validation.

    Args:
        run_dir: the run folder; pictures go to ``figures/``.
        count: how many sounds.

    """

    def __init__(self, run_dir: str | Path, count: int = 6) -> None:
        if count < 1:
            raise ValueError(f"callbacks.reconstructions.count must be at least 1, got {count}")
        self.folder, self.count = Path(run_dir) / "figures", count

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log, unless this step was drawn already."""
        path = self.folder / f"reconstructions_{trainer.global_step:07d}.png"
        if not trainer.is_global_zero or path.exists():
            return
        vae, data = model_and_data(trainer)
        sounds = data.sounds(data.rows("validation")[: self.count].to(trainer.strategy.root_device))
        images = data.images(sounds)
        titles = [data.space.describe(positions) for positions in sounds.positions.tolist()]
        figure = plots.reconstructions(images.cpu(), vae(images).float().cpu(), titles, data.frontend)
        log_image(trainer, "reconstructions", plots.save(figure, path))

    on_test_end = on_validation_end


class Traversals(pl.Callback):
    """One validation sound, each latent in turn walked from -2 to 2, the most used latent first.

    Args:
        run_dir: the run folder; pictures go to ``figures/``.
        steps: how many images along each latent.
        latents: the most latents to show.

    """

    def __init__(self, run_dir: str | Path, steps: int = 7, latents: int = 10) -> None:
        if min(steps, latents) < 1:
            raise ValueError(f"callbacks.traversals needs at least 1 step and latent, got {steps} and {latents}")
        self.folder, self.steps, self.latents = Path(run_dir) / "figures", steps, latents

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log, unless this step was drawn already."""
        path = self.folder / f"traversals_{trainer.global_step:07d}.png"
        if not trainer.is_global_zero or path.exists():
            return
        (vae, data), device = model_and_data(trainer), trainer.strategy.root_device
        posterior = encode(vae, data, data.rows("validation")[:256], device)
        divergence = kl_per_latent(posterior).mean(dim=0)
        chosen = divergence.argsort(descending=True)[: self.latents]
        walk = torch.linspace(-2, 2, self.steps).round(decimals=2) + 0.0
        codes = posterior.mean[0].repeat(len(chosen), self.steps, 1)
        for row, latent in enumerate(chosen.tolist()):
            codes[row, :, latent] = walk
        images = vae.decode(codes.flatten(0, 1).to(device)).float().cpu().view(len(chosen), self.steps, *vae.shape)
        labels = [f"z{latent}\nKL {divergence[latent]:.2f}" for latent in chosen.tolist()]
        figure = plots.traversals(images, walk.tolist(), labels, data.frontend)
        log_image(trainer, "traversals", plots.save(figure, path))

    on_test_end = on_validation_end
