"""What the model makes of sounds, to be heard: reconstructions beside their originals, and every latent's traversal."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from disentone import image_plots, plots
from disentone.codes import model_and_data, walk_latents
from disentone.data import DataModule
from disentone.files import write_atomically
from disentone.frontends import Frontend
from disentone.loggers import log_audio
from disentone.models import Model
from disentone.run.folder import RunFolder

PAUSE = 0.1


class Listening(pl.Callback):
    """At the test of a model of sounds, WAV files and their pictures in ``sounds/``, listed in ``sounds.json``.

    A reconstruction stands beside the original and beside the original's own image turned back into sound, so that
    one hears what the model lost and what the front-end did. A traversal plays one latent's values in order.

    Args:
        run_dir: the run folder.
        count: how many reconstructions.
        steps: how many sounds along each latent.
        latents: the most latents to play, the most used first.

    Raises:
        ValueError: for a number below 1.

    """

    def __init__(self, run_dir: str | Path, count: int = 4, steps: int = 7, latents: int = 10) -> None:
        if min(count, steps, latents) < 1:
            raise ValueError(f"callbacks.listening needs 1 or more of each, got {count}, {steps} and {latents}")
        files = RunFolder(run_dir)
        self.folder, self.listing = files.sounds, files.sounds_list
        self.count, self.steps, self.latents = count, steps, latents

    @torch.no_grad()
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Invert, write and log."""
        vae, data = model_and_data(trainer)
        if data.source.num_samples is None or not trainer.is_global_zero:
            return
        device = trainer.strategy.root_device
        self.folder.mkdir(exist_ok=True)
        entries = [*self._reconstructions(vae, data, device), *self._traversals(vae, data, device)]
        write_atomically(self.listing, json.dumps(entries, indent=2))
        for entry in entries:
            paths = [self.folder / name for name in entry["audio"].values()]
            captions = [f"{entry['title']}, {label}" for label in entry["audio"]]
            log_audio(trainer, f"sounds/{Path(entry['picture']).stem}", paths, captions)

    def _reconstructions(self, vae: Model, data: DataModule, device: torch.device) -> list[dict[str, Any]]:
        rows = data.rows("validation", self.count).to(device)
        images, frontend = data.images(rows), data.frontend
        assert frontend is not None
        decoded = vae(images).float()
        versions = {
            "original": data.audio(rows),
            "original through the front-end": frontend.invert(images, data.source.num_samples),
            "reconstruction": frontend.invert(decoded, data.source.num_samples),
        }
        entries = []
        for k, title in enumerate(data.titles(rows)):
            figure = image_plots.reconstructions(images[k : k + 1].cpu(), decoded[k : k + 1].cpu(), [title], frontend)
            audio = {label: version[k] for label, version in versions.items()}
            title = f"reconstruction of {title.replace(chr(10), ', ')}"
            entries.append(self._entry(f"reconstruction_{k}", title, figure, audio, frontend))
        return entries

    def _traversals(self, vae: Model, data: DataModule, device: torch.device) -> list[dict[str, Any]]:
        walk = walk_latents(vae, data, device, self.steps, self.latents)
        frontend = data.frontend
        assert frontend is not None
        audio = frontend.invert(walk.images.flatten(0, 1).to(device), data.source.num_samples)
        audio = audio.view(*walk.images.shape[:2], -1)
        silence = audio.new_zeros(self.steps, round(PAUSE * frontend.sample_rate))
        entries = []
        for number, latent in enumerate(walk.latents.tolist()):
            strip, steps, values = walk.images[number], audio[number], walk.values[number].tolist()
            title = f"z{latent} from {values[0]:+.1f} to {values[-1]:+.1f}"
            if walk.nats is not None:
                title += f", KL {walk.nats[number]:.2f} nats"
            figure = image_plots.traversals(strip[None], [values], [f"z{latent}"], frontend)
            played = {"traversal": torch.cat([steps, silence], dim=1).flatten()}
            entries.append(self._entry(f"traversal_z{latent}", title, figure, played, frontend))
        return entries

    def _entry(
        self, name: str, title: str, figure: Any, audio: Mapping[str, Float[Tensor, "time"]], frontend: Frontend
    ) -> dict[str, Any]:
        """Write one picture and its sounds; answers their line of sounds.json.

        A sound above full scale would be clipped by the file; it is made softer, and ``softened_db`` says by how much.
        """
        plots.save(figure, self.folder / f"{name}.png")
        files = {label: f"{name}_{label.replace(' ', '_')}.wav" for label in audio}
        softened = {}
        for label, file in files.items():
            samples = audio[label].cpu().numpy()
            if (peak := float(np.abs(samples).max(initial=0.0))) > 1:
                samples, softened[label] = samples / peak, round(20 * math.log10(peak), 2)
            soundfile.write(self.folder / file, samples, frontend.sample_rate, "PCM_16")
        entry = {"title": title, "picture": f"{name}.png", "audio": files}
        return {**entry, "softened_db": softened} if softened else entry
