"""disentone-train: one run, or with -m a sweep."""

import logging
import sys
import warnings
from pathlib import Path

import hydra
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from disentone import config, loggers
from disentone.callbacks.scores import write_atomically
from disentone.report.results import SweepResults, finish_sweep
from disentone.system import System


def train(cfg: DictConfig) -> None:
    """Train and score what a config describes; everything it makes lies in ``cfg.run_dir``."""
    config.check(cfg)
    resolved = OmegaConf.to_container(cfg, resolve=True)
    run_dir = Path(cfg.run_dir)
    last = run_dir / "checkpoints" / "last.ckpt"
    if is_finished(run_dir, resolved):
        print(f"{run_dir} is finished; nothing to do")
        return

    pl.seed_everything(cfg.seed, verbose=False)
    data = instantiate(cfg.data)
    vae = instantiate(cfg.model)(data.shape)
    system = System(vae, instantiate(cfg.objective), instantiate(cfg.optimizer))
    callbacks = [instantiate(callback) for callback in cfg.callbacks.values()] + [instantiate(cfg.metrics)]
    run_loggers = [instantiate(logger) for logger in cfg.logger.values()]
    trainer = instantiate(cfg.trainer)(callbacks=callbacks, logger=run_loggers)

    write_atomically(run_dir / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    for logger in run_loggers:
        logger.log_hyperparams(resolved)
    try:
        trainer.fit(system, data, ckpt_path=last if last.exists() else None)
        if trainer.interrupted:
            raise KeyboardInterrupt
        trainer.save_checkpoint(last)
        trainer.test(system, data, verbose=False)
    finally:
        loggers.finish()


def is_finished(run_dir: Path, resolved: object) -> bool:
    """Whether this very run was done before.

    Raises:
        ValueError: if the folder holds a run of another config.

    """
    written = run_dir / "config.yaml"
    if not written.exists():
        return False
    before = OmegaConf.to_container(OmegaConf.load(written))
    if before != resolved:
        raise ValueError(f"{run_dir} holds a run of another config; give this sweep its own name with sweep=<name>")
    return (run_dir / "scores.json").exists()


OmegaConf.register_new_resolver("folder_name", config.folder_name, replace=True)


@hydra.main(config_path=str(config.config_dir()), config_name="train", version_base="1.3")
def run(cfg: DictConfig) -> None:
    """Hydra's entry point."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Positions are a few bytes a row; a worker process would only add its own cost.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # Lightning 2.6 with torch 2.11.
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")
    train(cfg)


def main() -> None:
    """A run or a sweep; a sweep ends with its table, also when some of its runs failed."""
    sys.argv += config.without_fixed_keys(sys.argv[1:])
    try:
        run()
    finally:
        if SweepResults.folder is not None:
            finish_sweep(SweepResults.folder)


if __name__ == "__main__":
    main()
