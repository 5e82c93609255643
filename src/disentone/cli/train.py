"""disentone-train: one run, or with -m a sweep."""

import logging
import os
import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, NamedTuple

import hydra
import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import LambdaCallback

from disentone import checkpoints, config, errors, loggers
from disentone.cli import arguments, processes, signals
from disentone.data import FactorData
from disentone.data.factor_data import check_divides
from disentone.objectives import Objective
from disentone.provenance import COMMAND, code, provenance
from disentone.report.results import SweepResults, finish_sweep, print_run
from disentone.run import reproduction
from disentone.run.folder import RunFolder, State
from disentone.system import System

ENDS_EARLY = ("max_time", "fast_dev_run", "limit_train_batches", "overfit_batches")
"""Options of the trainer that can end a training before its last step."""
USUAL = ("None", "False", "1.0", "0.0")
"""Values with which they do not."""


class Run(NamedTuple):
    """The built parts of one run."""

    folder: RunFolder
    config: dict[str, Any]
    system: System
    data: FactorData
    trainer: pl.Trainer
    facts: dict[str, Any]
    begun: float


def train(cfg: DictConfig, folder: RunFolder | None = None) -> None:
    """Train and score what a config describes; everything it makes lies in ``cfg.run_dir``.

    A run folder that was begun is continued from its newest checkpoint, one that is finished is left alone. Where
    the trainer has several devices, each is a process of its own, and this one waits for them.

    Args:
        cfg: the composed config.
        folder: of the run, ``cfg.run_dir`` by default.

    Raises:
        ValueError: for a config that cannot be, or a folder that is not this run's to write to.
        ChildProcessError: for a process that failed.

    """
    folder = folder or RunFolder(cfg.run_dir)
    config.check(cfg)
    if not processes.is_first():
        folder.ours = True
        _in_this_process(cfg, folder)
        return
    count = processes.to_start(config.plain(cfg, resolve=True)["trainer"])
    if "batch_size" in cfg.data:
        check_divides(cfg.data.batch_size, count)
    _check_whole_batches(cfg, count)
    with folder.locked():
        if folder.claim(cfg) is State.FINISHED:
            print(f"{folder.path} is finished; nothing to do")
            return
        if count == 1:
            _in_this_process(cfg, folder)
            return
        folder.begin(cfg, provenance())
    # The first of them takes the lock anew: it is held as long as that one lives.
    processes.run(count, folder.path)


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


def _in_this_process(cfg: DictConfig, folder: RunFolder) -> None:
    run = build(cfg, folder)
    with closing_loggers(run):
        fit(run)
        score(run)
    finish(run)


def build(cfg: DictConfig, folder: RunFolder, **trainer_settings: Any) -> Run:
    """The parts of a run that is begun, its config kept in its folder.

    Args:
        cfg: the composed config.
        folder: of the run, held by this process or, of several, by the first one.
        trainer_settings: instead of those of ``cfg.trainer``.

    """
    first, begun = processes.is_first(), time.monotonic()
    given = cfg.copy()  # instantiate resolves cfg in place
    if cfg.trainer.accelerator == "auto" and torch.backends.mps.is_available():
        cfg.trainer.accelerator = "cpu"  # a Mac's GPU has no float64, which sounds are made in
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
        callbacks.append(LambdaCallback(on_exception=lambda trainer, module, error: _keep_error(error, folder)))
    run_loggers = [instantiate(logger) for logger in cfg.logger.values() if first]
    parts = {"callbacks": callbacks, "logger": run_loggers, "plugins": [checkpoints.AtomicCheckpointIO()]}
    trainer = instantiate(cfg.trainer, _convert_="all")(**parts, **trainer_settings)
    if trainer.precision != "32-true" and trainer.strategy.root_device.type == "cpu":
        # Found with torch 2.11 on a processor with AMX: convolutions of few channels read memory that nobody wrote.
        raise ValueError(
            f"trainer.precision={trainer.precision} gives wrong numbers on some processors; take 32-true, or a GPU"
        )
    facts = provenance()
    if first and signals.PARENT not in os.environ:  # a parent has begun the folder already
        folder.begin(given, facts)
    if first and (others := [name for name in dict.fromkeys(folder.code) if name != code(facts)]):
        print(
            f"{folder.path} was begun by other code ({', '.join(others)}; this is {code(facts)}); run.json keeps both"
        )
    return Run(folder, config.resolved(given), system, data, trainer, facts, begun)


def fit(run: Run) -> None:
    """Train from the newest checkpoint, or from the beginning."""
    for logger in run.trainer.loggers:
        told = {"method": run.system.objective.title, "supervision": run.data.supervision}
        logger.log_hyperparams({**run.config, **told, "provenance": run.facts})
    checkpoint = checkpoints.newest(run.folder.path)
    run.trainer.fit(run.system, run.data, ckpt_path=checkpoint, weights_only=True)


def score(run: Run) -> None:
    """Test the trained run.

    Raises:
        ValueError: if the run did not train to its end, or nothing was scored.

    """
    last = run.folder.checkpoints / checkpoints.LAST
    run.trainer.save_checkpoint(last)
    checkpoints.forget_requeued(run.folder.path)
    if missing := _missing_steps(run):
        raise ValueError(missing)
    # By its file: without one Lightning looks for an older one under SLURM.
    run.trainer.test(run.system, run.data, ckpt_path=last, weights_only=True, verbose=False)
    if processes.is_first() and not run.folder.scores.exists():
        raise ValueError("the run was not scored; trainer.limit_test_batches must leave something to test")


def _missing_steps(run: Run) -> str:
    """Why a run has not trained as long as its config asks, empty where it has."""
    asked, trainer = run.config["trainer"], run.trainer
    steps, epochs = asked.get("max_steps", -1), asked.get("max_epochs") or -1
    if 0 <= steps <= trainer.global_step or 0 < epochs <= trainer.current_epoch:
        return ""
    if any(callback.stopping_reason_message for callback in trainer.early_stopping_callbacks):
        return ""
    reasons = [f"trainer.{name}={asked[name]}" for name in ENDS_EARLY if str(asked.get(name)) not in USUAL]
    done, whole = (
        (trainer.global_step, f"{steps:,} steps") if steps >= 0 else (trainer.current_epoch, f"{epochs} epochs")
    )
    cause = f" because of {' and '.join(reasons)}" if reasons else ""
    return f"training stopped at {done:,} of {whole}{cause}; it is kept, not scored, and the same command goes on"


def finish(run: Run) -> None:
    """Say that the run is finished, after all else that it leaves."""
    if processes.is_first():
        run.folder.finish(time.monotonic() - run.begun)


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


def _keep_error(error: BaseException, folder: RunFolder) -> None:
    # Of several processes the first that fails says why; the others fail because it is gone.
    if folder.error.exists() and (processes.are_several() or isinstance(error, ChildProcessError)):
        return
    folder.keep_error(error, errors.message(error))


OmegaConf.register_new_resolver("folder_name", arguments.folder_name, replace=True)


@hydra.main(config_path=str(config.config_dir()), config_name="train", version_base="1.3")
def run(cfg: DictConfig) -> None:
    """One job of Hydra's."""
    if parent := os.environ.get(signals.PARENT):
        signals.die_with(int(parent))
    elif "joblib" in str(HydraConfig.get().launcher.get("_target_", "")):
        signals.die_with(os.getppid())
    folder = RunFolder(cfg.run_dir)
    sweeps = HydraConfig.get().mode == RunMode.MULTIRUN
    if not sweeps:
        LastWords.folder = folder
    with reported(folder):
        train(cfg, folder)
    # A sweep ends with one table of all its runs, and of several processes the one that started them says it.
    if not sweeps and not processes.are_several():
        print_run(folder.path)


class LastWords:
    """What a command that is ended by a signal says: what is kept, and how to go on."""

    folder: ClassVar[RunFolder | None] = None

    @classmethod
    def say(cls) -> str:
        """The end of a sentence."""
        if SweepResults.folder is not None:
            return f"{SweepResults.folder} keeps finished runs and last checkpoints; the same command goes on"
        if cls.folder is None or not cls.folder.config.exists():
            return "nothing was begun yet"
        kept = "its last checkpoint" if (cls.folder.checkpoints / checkpoints.LAST).exists() else "no checkpoint yet"
        return f"{cls.folder.path} keeps {kept}; disentone-train resume={shlex.quote(str(cls.folder.path))} goes on"


@contextmanager
def reported(folder: RunFolder) -> Iterator[None]:
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
        with suppress(OSError):  # the disk may be what is full; the error itself is said in any case
            _keep_error(error, folder)
        raise


def main() -> None:
    """A run or a sweep; a sweep ends with its table, also when some of its runs failed."""
    typed = sys.argv[1:]
    os.environ.setdefault(COMMAND, shlex.join(["disentone-train", *typed]))
    with signals.ending(LastWords.say), errors.readable(typed):
        sys.argv[1:] = arguments.for_hydra(typed)
        try:
            run()
        except Exception:
            _finish_sweep()
            raise
        _finish_sweep()
        if pair := arguments.reproduced(typed):
            sys.exit(reproduction.tell(*pair))


def _finish_sweep() -> None:
    if SweepResults.folder is not None:
        finish_sweep(SweepResults.folder)


if __name__ == "__main__":
    # Under its importable name, by which launchers hand the job to other processes.
    from disentone.cli import train as importable

    importable.main()
