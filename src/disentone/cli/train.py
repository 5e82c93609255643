"""disentone train: one run, or with -m a sweep."""

import os
import shlex
import sys
from pathlib import Path
from typing import ClassVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from disentone import config, errors
from disentone.provenance import COMMAND
from disentone.run.folder import LAST, RunFolder
from disentone.sweep import naming, signals

OmegaConf.register_new_resolver("folder_name", naming.folder_name, replace=True)


@hydra.main(config_path=str(config.config_dir()), config_name="train", version_base="1.3")
def run(cfg: DictConfig) -> None:
    """One job of Hydra's."""
    # Only now: help, configs and mistakes in the command line should not have to wait for torch.
    from disentone.report.results import print_run
    from disentone.run.train import reported, train
    from disentone.sweep import processes

    if parent := os.environ.get(signals.PARENT):
        signals.die_with(int(parent))
    elif "joblib" in str(HydraConfig.get().launcher.get("_target_", "")):
        signals.die_with(os.getppid())
    folder = RunFolder(str(cfg.run_dir))
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
        if (sweep := _sweep_folder()) is not None:
            return f"{sweep} keeps finished runs and last checkpoints; the same command goes on"
        if cls.folder is None or not cls.folder.config.exists():
            return "nothing was begun yet"
        kept = "its last checkpoint" if (cls.folder.checkpoints / LAST).exists() else "no checkpoint yet"
        return f"{cls.folder.path} keeps {kept}; disentone train resume={shlex.quote(str(cls.folder.path))} goes on"


def main() -> None:
    """A run or a sweep; a sweep ends with its table, also when some of its runs failed."""
    typed = sys.argv[1:]
    config.make_working_folder_importable()
    os.environ.setdefault(COMMAND, shlex.join(["disentone", "train", *typed]))
    with signals.ending(LastWords.say), errors.readable(typed):
        sys.argv[1:] = naming.for_hydra(typed)
        try:
            run()
        except Exception:
            _finish_sweep()
            raise
        _finish_sweep()
        if pair := naming.reproduced(typed):
            from disentone.run import reproduction

            sys.exit(reproduction.tell(*pair))


def _sweep_folder() -> Path | None:
    """The folder of the sweep that was begun, None where none was."""
    if "disentone.report.results" not in sys.modules:
        return None  # Hydra imports it as a sweep begins
    from disentone.report.results import SweepResults

    return SweepResults.folder


def _finish_sweep() -> None:
    if (folder := _sweep_folder()) is not None:
        from disentone.report.results import finish_sweep

        finish_sweep(folder)


if __name__ == "__main__":
    # Under its importable name, by which launchers hand the job to other processes.
    from disentone.cli import train as importable

    importable.main()
