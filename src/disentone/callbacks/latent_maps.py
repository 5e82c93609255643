"""How the plane of two latents fills up while the model trains: a map at every validation, a GIF in the end."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from PIL import Image as Pillow

from disentone import image_plots, plots
from disentone.codes import encode, model_and_data, use
from disentone.image_plots import REACH
from disentone.loggers import log_animation, log_image
from disentone.models import GaussianLatent
from disentone.run.folder import RunFolder


class LatentMaps(pl.Callback):
    """Codes in the plane of the two most used latents, coloured by factor, at every validation.

    A model of two latents gets its manifold beside: the images decoded on a grid of the prior's quantiles (Kingma &
    Welling 2014, fig. 4), or without a prior, of the values that its walks have. The maps of
    all validations become ``figures/latent_map.gif``.

    Args:
        run_dir: the run folder; pictures go to ``figures/``.
        rows: the most points of a map.
        side: images along a side of the manifold.
        seconds: that each map is shown in the GIF.

    """

    def __init__(self, run_dir: str | Path, rows: int = 5_000, side: int = 20, seconds: float = 0.5) -> None:
        if min(rows, side) < 1 or not seconds > 0:
            raise ValueError(
                f"callbacks.latent_map needs rows, side and seconds above 0, got {rows}, {side}, {seconds}"
            )
        self.folder, self.rows, self.side, self.seconds = RunFolder(run_dir).figures, rows, side, seconds

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log, unless this step was drawn already."""
        path = self.folder / f"latent_map_{trainer.global_step:07d}.png"
        vae, data = model_and_data(trainer)
        if not trainer.is_global_zero or path.exists() or vae.latents < 2:
            return
        device = trainer.strategy.root_device
        rows = data.evaluation_rows(self.rows)
        latent = encode(vae, data, rows, device)
        first, second = use(latent).argsort(descending=True)[:2].sort().values.tolist()
        if isinstance(latent, GaussianLatent):
            quantiles = torch.special.ndtri((torch.arange(self.side) + 0.5) / self.side)
            values, reach = torch.stack([quantiles, quantiles]), REACH
        else:
            values = torch.stack([vae.walk(latent.codes, number, self.side) for number in (first, second)])
            reach = max(1.0, 1.1 * float(latent.codes.abs().max()))
        manifold = None
        if vae.latents == 2:
            upwards, across = torch.meshgrid(values[1], values[0], indexing="ij")
            manifold = vae.decode(torch.stack([across, upwards], dim=-1).flatten(0, 1).to(device)).float().cpu()
        figure = image_plots.latent_map(
            latent.codes[:, [first, second]],
            None if data.space is None else data.positions(rows),
            data.space,
            (f"z{first}", f"z{second}"),
            f"step {trainer.global_step}",
            manifold,
            values,
            data.frontend,
            reach,
        )
        log_image(trainer, "latent_map", plots.save(figure, path))

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the GIF out of the maps that are in the folder, those of a run before its resume too."""
        self.on_validation_end(trainer, pl_module)
        paths = sorted(self.folder.glob("latent_map_*.png"))
        if not trainer.is_global_zero or not paths:
            return
        # One palette, so that a digit keeps its colour.
        palette = Pillow.open(paths[-1]).convert("RGB").quantize()
        frames = [
            Pillow.open(path).convert("RGB").quantize(palette=palette, dither=Pillow.Dither.NONE) for path in paths
        ]
        milliseconds = [int(1000 * self.seconds)] * len(frames)
        milliseconds[-1] *= 4  # the end is what one looks at
        animation = self.folder / "latent_map.gif"
        frames[0].save(animation, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)
        log_animation(trainer, "latent_map_animation", animation)
