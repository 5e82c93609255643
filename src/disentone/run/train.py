"""A run from its config to the last file of its folder: trained, scored, finished."""

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.callbacks import LambdaCallback

from disentone import checkpoints, config, errors, loggers
from disentone.data.batches import check_divides
from disentone.provenance import code, provenance
from disentone.run.build import Run, build, check_whole_batches
from disentone.run.folder import LAST, RunFolder, State
from disentone.sweep import processes, signals

ENDS_EARLY = ("max_time", "fast_dev_run", "limit_train_batches", "overfit_batches")
"""Options of the trainer that can end a training before its last step."""
USUAL = ("None", "False", "1.0", "0.0")
"""Values with which they do not."""


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
    check_whole_batches(cfg, count)
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


def _in_this_process(cfg: DictConfig, folder: RunFolder) -> None:
    run = begin(cfg, folder)
    with closing_loggers(run):
        fit(run)
        score(run)
    finish(run)


def begin(cfg: DictConfig, folder: RunFolder, **trainer_settings: Any) -> Run:
    """Build a run and write down in its folder what is trained, by which code.

    Args:
        cfg: the composed config.
        folder: of the run, held by this process or, of several, by the first one.
        trainer_settings: instead of those of ``cfg.trainer``.

    """
    # Of several processes, the one that fails says why before it leaves the others, which then fail of its absence.
    keeping = LambdaCallback(on_exception=lambda trainer, module, error: _keep_error(error, folder))
    run = build(cfg, folder, [keeping] if processes.are_several() else [], **trainer_settings)
    if not processes.is_first():
        return run
    if signals.PARENT not in os.environ:  # a parent has begun the folder already
        folder.begin(cfg, run.facts)
    if others := [name for name in dict.fromkeys(folder.code) if name != code(run.facts)]:
        now = code(run.facts)
        print(f"{folder.path} was begun by other code ({', '.join(others)}; this is {now}); run.json keeps both")
    return run


def fit(run: Run) -> None:
    """Train from the newest checkpoint, or from the beginning."""
    for logger in run.trainer.loggers:
        told = {"method": run.system.objective.title, "supervision": run.system.supervision(run.data)}
        logger.log_hyperparams({**run.config, **told, "provenance": run.facts})
    checkpoint = checkpoints.newest(run.folder.path, run.identity)
    run.trainer.fit(run.system, run.data, ckpt_path=checkpoint, weights_only=True)


def score(run: Run) -> None:
    """Test the trained run.

    Raises:
        ValueError: if the run did not train to its end, or nothing was scored.

    """
    last = run.folder.checkpoints / LAST
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


def _keep_error(error: BaseException, folder: RunFolder) -> None:
    # Of several processes the first that fails says why; the others fail because it is gone.
    if folder.error.exists() and (processes.are_several() or isinstance(error, ChildProcessError)):
        return
    folder.keep_error(error, errors.message(error))
