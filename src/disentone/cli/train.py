"""disentone-train: one run, or with -m a sweep."""

import json
import logging
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import pytorch_lightning as pl
import torch
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import LambdaCallback

from disentone import checkpoints, config, errors, loggers
from disentone.cli import arguments, processes
from disentone.data import FactorData
from disentone.data.factor_data import check_divides
from disentone.files import remove_temporary, write_atomically
from disentone.objectives import Objective
from disentone.provenance import provenance
from disentone.report.results import SweepResults, finish_sweep, print_run
from disentone.system import System


class Run(NamedTuple):
    """The built parts of one run."""

    folder: Path
    config: dict[str, Any]
    system: System
    data: FactorData
    trainer: pl.Trainer
    facts: dict[str, Any]
    begun: float


def train(cfg: DictConfig) -> None:
    """Train and score what a config describes; everything it makes lies in ``cfg.run_dir``.

    A run folder that was begun is continued from its newest checkpoint, one that is finished is left alone. Where
    the trainer has several devices, each is a process of its own, and this one waits for them.

    Raises:
        ValueError: for a config that cannot be, or a folder that holds a run of another one.
        ChildProcessError: for a process that failed.

    """
    config.check(cfg)
    run_dir = Path(cfg.run_dir)
    if not processes.is_first():
        _in_this_process(cfg)
        return
    count = processes.to_start(config.plain(cfg, resolve=True)["trainer"])
    if "batch_size" in cfg.data:
        check_divides(cfg.data.batch_size, count)
    _check_whole_batches(cfg, count)
    try:
        # Released when the process ends, however it ends.
        with lock(run_dir):
            if count == 1 or _is_finished(cfg):
                _in_this_process(cfg)
                return
            _set_old_error_aside(run_dir)
            write_atomically(run_dir / "config.yaml", config.to_yaml(cfg))
        # The first of them takes the lock anew: it is held as long as that one lives.
        processes.run(count, run_dir)
    except Timeout as error:
        if processes.are_several():
            raise ValueError(_taken(cfg)) from error  # so that those beside this one end, too
        leave_to_other_process(cfg)


def _check_whole_batches(cfg: DictConfig, processes: int) -> None:
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


def lock(run_dir: Path) -> FileLock:
    """What keeps other processes from a run folder while it is trained."""
    return FileLock(run_dir / ".lock", timeout=0)


def leave_to_other_process(cfg: DictConfig) -> None:
    """Say why nothing is done."""
    print(_taken(cfg))


def _taken(cfg: DictConfig) -> str:
    return f"{cfg.run_dir} is being trained by another process, which it is left to"


def _is_finished(cfg: DictConfig) -> bool:
    return config.is_same_run(cfg, Path(cfg.run_dir)) and (Path(cfg.run_dir) / "scores.json").exists()


def _in_this_process(cfg: DictConfig) -> None:
    if (run := build(cfg)) is not None:
        with closing_loggers(run):
            fit(run)
            score(run)


def build(cfg: DictConfig, **trainer_settings: Any) -> Run | None:
    """The parts of a run, its config kept in its folder; None for a run that is finished.

    Args:
        cfg: the composed config.
        trainer_settings: instead of those of ``cfg.trainer``.

    """
    run_dir, first = Path(cfg.run_dir), processes.is_first()
    if _is_finished(cfg):
        if first:
            print(f"{run_dir} is finished; nothing to do")
        return None
    begun = time.monotonic()
    if first:
        _set_old_error_aside(run_dir)
    kept, resolved = config.to_yaml(cfg), config.plain(cfg, resolve=True)  # instantiate resolves cfg in place
    if devices := gpu_of_job(cfg.trainer.devices):
        cfg.trainer.devices = devices

    pl.seed_everything(cfg.seed, verbose=False)
    data = instantiate(cfg.data, _convert_="all")
    vae = instantiate(cfg.model, _convert_="all")(data.shape)
    system = System(vae, instantiate(cfg.objective), instantiate(cfg.optimizer), cfg.seed)
    system.check(data)
    system.configure_optimizers()  # a setting that the optimiser refuses should stop the run here
    callbacks = [instantiate(node, _convert_="all") for node in (*cfg.callbacks.values(), cfg.metrics)]
    if processes.are_several():
        # Before this process leaves the others, which then fail of its absence.
        callbacks.append(LambdaCallback(on_exception=lambda trainer, module, error: _keep_error(error, run_dir)))
    run_loggers = [instantiate(logger) for logger in cfg.logger.values() if first]
    parts = {"callbacks": callbacks, "logger": run_loggers, "plugins": [checkpoints.AtomicCheckpointIO()]}
    trainer = instantiate(cfg.trainer, _convert_="all")(**parts, **trainer_settings)
    if first:
        write_atomically(run_dir / "config.yaml", kept)
    return Run(run_dir, resolved, system, data, trainer, provenance(), begun)


def fit(run: Run) -> None:
    """Train from the newest checkpoint, or from the beginning."""
    for logger in run.trainer.loggers:
        told = {"method": run.system.objective.title, "supervision": run.data.supervision}
        logger.log_hyperparams({**run.config, **told, "provenance": run.facts})
    checkpoint = checkpoints.newest(run.folder / "checkpoints")
    run.trainer.fit(run.system, run.data, ckpt_path=checkpoint, weights_only=True)


def score(run: Run) -> None:
    """Test the trained run, and write what says that it is finished.

    Raises:
        ValueError: if nothing was scored.

    """
    run.trainer.save_checkpoint(run.folder / "checkpoints" / checkpoints.LAST)
    run.trainer.test(run.system, run.data, verbose=False)
    if not processes.is_first():
        return
    if not (run.folder / "scores.json").exists():
        raise ValueError("the run was not scored; trainer.limit_test_batches must leave something to test")
    remove_temporary(run.folder)
    seconds = time.monotonic() - run.begun
    write_atomically(run.folder / "run.json", json.dumps({**run.facts, "seconds": seconds}, indent=2))


@contextmanager
def closing_loggers(run: Run) -> Iterator[None]:
    """End a run's loggers, as failed where it raised."""
    try:
        yield
    except BaseException:
        loggers.finish(run.trainer.loggers, failed=True)
        raise
    loggers.finish(run.trainer.loggers, failed=False)


def gpu_of_job(devices: Any) -> list[int] | None:
    """The GPU of a job that runs beside others on one machine: each has its own, as far as there are enough."""
    if not HydraConfig.initialized() or devices != 1 or torch.cuda.device_count() < 2:
        return None
    launcher = str(HydraConfig.get().launcher.get("_target_", ""))
    return [HydraConfig.get().job.num % torch.cuda.device_count()] if "joblib" in launcher.lower() else None


def _set_old_error_aside(run_dir: Path) -> None:
    """What an earlier attempt failed of stays readable, and no longer says that this one failed."""
    old = run_dir / "error.txt"
    if old.exists():
        old.rename(run_dir / f"error_{len(list(run_dir.glob('error_*.txt'))) + 1}.txt")


def _keep_error(error: BaseException, run_dir: Path) -> None:
    path = run_dir / "error.txt"
    # Of several processes the first that fails says why; the others fail because it is gone.
    if path.exists() and (processes.are_several() or isinstance(error, ChildProcessError)):
        return
    # Its last line is what the sweep's summary says of the run.
    reason = " ".join(errors.message(error).split())
    write_atomically(path, f"{''.join(traceback.format_exception(error))}\n{reason}\n")


OmegaConf.register_new_resolver("folder_name", arguments.folder_name, replace=True)


@hydra.main(config_path=str(config.config_dir()), config_name="train", version_base="1.3")
def run(cfg: DictConfig) -> None:
    """One job of Hydra's."""
    with reported(cfg):
        train(cfg)
    # A sweep ends with one table of all its runs, and of several processes the one that started them says it.
    if HydraConfig.get().mode == RunMode.RUN and not processes.are_several():
        print_run(Path(cfg.run_dir))


@contextmanager
def reported(cfg: DictConfig) -> Iterator[None]:
    """A job without Lightning's chatter; a failed one says why in its own folder, too."""
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # Positions are a few bytes a row; a worker process would only add its own cost.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # The loader does resume, by the number of the step.
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
    # Lightning 2.6 with torch 2.11.
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")
    try:
        yield
    except Exception as error:
        _keep_error(error, Path(cfg.run_dir))
        raise


def main() -> None:
    """A run or a sweep; a sweep ends with its table, also when some of its runs failed."""
    with errors.readable(sys.argv[1:]):
        sys.argv[1:] = arguments.for_hydra(sys.argv[1:])
        try:
            run()
        finally:
            if SweepResults.folder is not None:
                finish_sweep(SweepResults.folder)


if __name__ == "__main__":
    # Under its importable name, by which launchers hand the job to other processes.
    from disentone.cli import train as importable

    importable.main()
