"""A finished run, back in three lines of a notebook."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from disentone import checkpoints
from disentone.config import plain
from disentone.data import FactorData
from disentone.models import Model


class Run(NamedTuple):
    """What a run folder holds: the trained network, its data, and the config that made both."""

    model: Model
    data: FactorData
    config: dict[str, Any]


def load(run_folder: str | Path, checkpoint: str = checkpoints.LAST, device: str | torch.device = "cpu") -> Run:
    """The model, data module and config of a run folder; nothing else is needed.

    Args:
        run_folder: of a run, finished or not.
        checkpoint: ``last.ckpt``, which is scored, or ``best.ckpt`` by its fit to validation rows.
        device: of the model.

    Returns:
        the model in evaluation mode, the data module (of sounds: rendered on the fly), the resolved config.

    Raises:
        ValueError: if the folder is no run's, or the checkpoint is not there or cannot be read.

    """
    folder = Path(run_folder)
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"{folder} is no run folder: it has no config.yaml")
    kept = plain(OmegaConf.load(folder / "config.yaml")) | {"run_dir": str(folder)}
    kept.pop("hydra", None)
    config = OmegaConf.create(kept)
    path = folder / "checkpoints" / checkpoint
    if not path.is_file():
        raise ValueError(f"{folder} has no checkpoint {checkpoint}; there are {_names(path.parent)}")
    weights = checkpoints.read(path, device)["state_dict"]

    if "mode" in config.data:
        config.data.mode = "on_the_fly"  # a look at a few sounds should not render all
    data = instantiate(config.data, _convert_="all")
    data.setup()
    model = instantiate(config.model, _convert_="all")(data.shape).to(device).eval()
    model.load_state_dict({key.removeprefix("vae."): value for key, value in weights.items() if key.startswith("vae.")})
    return Run(model, data, plain(config, resolve=True))


def _names(folder: Path) -> str:
    return ", ".join(path.name for path in sorted(folder.glob("*.ckpt"))) or "none"
