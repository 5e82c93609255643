"""A run from Python: the same folder as the command's, and the trained network as the answer."""

import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import open_dict

from disentone import config
from disentone.loading import Run, load
from disentone.run.folder import RunFolder
from disentone.run.train import reported
from disentone.run.train import train as train_config


def train(
    overrides: Sequence[str] = (), run_folder: str | Path | None = None, config_dir: str | Path | None = None
) -> Run:
    """Train, score and load one run, as ``disentone train`` would with the same overrides.

    A run folder that was begun is continued, one that is finished is only loaded. Code that the overrides or the
    configs name is imported and run.

    Args:
        overrides: for instance ``["experiment=quickstart", "model.latents=8"]``.
        run_folder: where everything lies; ``outputs/<name>/<time>`` by default.
        config_dir: a folder of your own configs.

    Returns:
        the model in evaluation mode, the data module and the resolved config, see :func:`disentone.load`.

    Raises:
        ValueError: for overrides that describe no run, with what was expected; for a folder of another run.

    """
    if isinstance(overrides, str):
        raise ValueError(f"overrides: expected a list of overrides, got {overrides!r}; write [{overrides!r}]")
    cfg = config.composed(overrides, Path(config_dir) if config_dir else None)
    place = run_folder or Path("outputs") / str(cfg.name) / time.strftime("%Y-%m-%d_%H-%M-%S")
    with open_dict(cfg):
        cfg.run_dir = str(place)
    folder = RunFolder(place)
    with reported(folder):
        train_config(cfg, folder)
    packages = [str(node["_target_"]).split(".")[0] for _, node in config.targets(config.plain(cfg), "")]
    return load(place, trust=sorted({package for package in packages if package != "disentone"}))
