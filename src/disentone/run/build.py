"""From a config to the parts of a run: data, model, objective, system, callbacks, loggers, trainer."""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig

from disentone import checkpoints, config
from disentone.data import DataModule
from disentone.objectives import Objective
from disentone.provenance import provenance
from disentone.run.folder import RunFolder
from disentone.sweep import processes
from disentone.system import System


class Run(NamedTuple):
    """The built parts of one run."""

    folder: RunFolder
    config: dict[str, Any]
    system: System
    data: DataModule
    trainer: pl.Trainer
    facts: dict[str, Any]
    begun: float
    identity: str
    """What only checkpoints of this run have: a digest of its settings."""


def build(cfg: DictConfig, folder: RunFolder, callbacks: Sequence[pl.Callback] = (), **trainer_settings: Any) -> Run:
    """The parts of a run; nothing is written yet.

    Args:
        cfg: the composed config.
        folder: of the run.
        callbacks: beside those of the config.
        trainer_settings: instead of those of ``cfg.trainer``.

    """
    first, begun = processes.is_first(), time.monotonic()
    resolved = config.resolved(cfg)
    identity = hashlib.sha256(json.dumps(config.settings(cfg), sort_keys=True).encode()).hexdigest()[:16]
    cfg = cfg.copy()  # instantiate resolves it in place
    if cfg.trainer.accelerator == "auto" and torch.backends.mps.is_available():
        cfg.trainer.accelerator = "cpu"  # a Mac's GPU has no float64, which sounds are made in
    if devices := gpu_of_job(cfg.trainer.devices):
        cfg.trainer.devices = devices

    pl.seed_everything(cfg.seed, verbose=False)
    data = instantiate(cfg.data, _convert_="all")
    model = instantiate(cfg.model, _convert_="all")(data.shape)
    objective = instantiate(cfg.objective, _convert_="all")
    objective.build(model.latents, data.sizes["train"])
    system = System(model, objective, instantiate(cfg.optimizer, _convert_="all"), cfg.seed)
    system.check(data)
    try:
        system.configure_optimizers()
    except ValueError as error:
        raise ValueError(f"optimizer: {error}") from error
    parts = {
        "callbacks": [
            *(instantiate(node, _convert_="all") for node in (*cfg.callbacks.values(), cfg.metrics)),
            *callbacks,
        ],
        "logger": [instantiate(node, _convert_="all") for node in cfg.logger.values() if first],
        "plugins": [checkpoints.AtomicCheckpointIO(identity)],
    }
    trainer = instantiate(cfg.trainer, _convert_="all")(**parts, **trainer_settings)
    _check_precision(trainer)
    return Run(folder, resolved, system, data, trainer, provenance(), begun, identity)


def _check_precision(trainer: pl.Trainer) -> None:
    if trainer.precision != "32-true" and trainer.strategy.root_device.type == "cpu":
        # Found with torch 2.11 on a processor with AMX: convolutions of few channels read memory that nobody wrote.
        raise ValueError(
            f"trainer.precision={trainer.precision} gives wrong numbers on some processors; take 32-true, or a GPU"
        )


def check_whole_batches(cfg: DictConfig, processes: int) -> None:
    """Raise ValueError for an objective that compares the rows of a batch, where no step sees a batch whole."""
    objective: type[Objective] = get_class(cfg.objective._target_)
    if not objective.couples_rows:
        return
    accumulated = config.plain(cfg, resolve=True)["trainer"].get("accumulate_grad_batches", 1)
    for name, count in (("devices", processes), ("accumulate_grad_batches", accumulated)):
        if count != 1:
            raise ValueError(
                f"the {objective.title} objective compares the rows of a batch with one another, so that a batch in "
                f"parts has another loss; expected trainer.{name}=1, got {count}"
            )


def gpu_of_job(devices: Any) -> list[int] | None:
    """The GPU of a job that runs beside others on one machine: each has its own, as far as there are enough."""
    if not HydraConfig.initialized() or devices != 1 or torch.cuda.device_count() < 2:
        return None
    launcher = str(HydraConfig.get().launcher.get("_target_", ""))
    return [HydraConfig.get().job.num % torch.cuda.device_count()] if "joblib" in launcher.lower() else None
