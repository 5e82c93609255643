"""disentone-train: one run, or with -m a sweep."""

import json
import logging
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import LambdaCallback

from disentone import checkpoints, config, errors, loggers
from disentone.cli import arguments, processes
from disentone.data.factor_data import check_divides
from disentone.files import remove_temporary, write_atomically
from disentone.provenance import provenance
from disentone.report.results import SweepResults, finish_sweep
from disentone.system import System


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
        _train(cfg, run_dir)
        return
    count = processes.to_start(config.plain(cfg, resolve=True)["trainer"])
    if "batch_size" in cfg.data:
        check_divides(cfg.data.batch_size, count)
    try:
        # Released when the process ends, however it ends.
        with FileLock(run_dir / ".lock", timeout=0):
            if count == 1 or _is_finished(cfg, run_dir):
                _train(cfg, run_dir)
                return
            _set_old_error_aside(run_dir)
            write_atomically(run_dir / "config.yaml", config.to_yaml(cfg))
        # The first of them takes the lock anew: it is held as long as that one lives.
        processes.run(count, run_dir)
    except Timeout as error:
        taken = f"{run_dir} is being trained by another process, which it is left to"
        if processes.are_several():
            raise ValueError(taken) from error  # so that those beside this one end, too
        print(taken)


def _is_finished(cfg: DictConfig, run_dir: Path) -> bool:
    return config.is_same_run(cfg, run_dir) and (run_dir / "scores.json").exists()


def _train(cfg: DictConfig, run_dir: Path) -> None:
    first = processes.is_first()
    if _is_finished(cfg, run_dir):
        if first:
            print(f"{run_dir} is finished; nothing to do")
        return
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
    system.configure_optimizers()  # a setting that the optimiser refuses should stop the run here
    callbacks = [instantiate(node, _convert_="all") for node in (*cfg.callbacks.values(), cfg.metrics)]
    if processes.are_several():
        # Before this process leaves the others, which then fail of its absence.
        callbacks.append(LambdaCallback(on_exception=lambda trainer, module, error: _keep_error(error, run_dir)))
    run_loggers = [instantiate(logger) for logger in cfg.logger.values() if first]
    io = checkpoints.AtomicCheckpointIO()
    trainer = instantiate(cfg.trainer, _convert_="all")(callbacks=callbacks, logger=run_loggers, plugins=[io])
    checkpoint = checkpoints.newest(run_dir / "checkpoints")

    if first:
        write_atomically(run_dir / "config.yaml", kept)
    facts = provenance()
    finished = False
    try:
        for logger in run_loggers:
            logger.log_hyperparams({**resolved, "provenance": facts})
        trainer.fit(system, data, ckpt_path=checkpoint, weights_only=True)
        trainer.save_checkpoint(run_dir / "checkpoints" / checkpoints.LAST)
        trainer.test(system, data, verbose=False)
        finished = True
    finally:
        loggers.finish(failed=not finished)
    if not first:
        return
    if not (run_dir / "scores.json").exists():
        raise ValueError("the run was not scored; trainer.limit_test_batches must leave something to test")
    remove_temporary(run_dir)
    write_atomically(run_dir / "run.json", json.dumps({**facts, "seconds": time.monotonic() - begun}, indent=2))


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
    """One job of Hydra's: a failed one says why in its own folder, too."""
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
        train(cfg)
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
