"""Weights & Biases, offline unless it can be online, and the media it shares with the run folder."""

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import wandb as wb
from pytorch_lightning.loggers import Logger, WandbLogger
from wandb.errors import AuthenticationError
from wandb.sdk.lib.wbauth import read_netrc_auth

from disentone.files import write_atomically
from disentone.run.folder import RunFolder

SECONDS_TO_ANSWER = 5


def wandb(run_dir: str | Path, project: str, tags: Sequence[str] = (), log_model: bool = False) -> WandbLogger:
    """A logger whose run is named after the run folder and grouped by the folder above (the sweep, the experiment).

    Without a key, or without a server that answers, the run is kept in the run folder, from where ``wandb sync``
    can send it later. WANDB_MODE decides otherwise. Nothing ever asks for a key.

    Args:
        run_dir: the run folder.
        project: of Weights & Biases.
        tags: of the run.
        log_model: send checkpoints as artifacts too.

    Raises:
        ValueError: if WANDB_MODE asks for online and there is no key.

    """
    folder = RunFolder(run_dir)
    choose_mode()
    logger = WandbLogger(
        id=_run_id(folder.wandb_id),
        name=folder.path.name,
        group=folder.path.parent.name,
        project=project,
        tags=list(tags),
        job_type="train",
        save_dir=str(folder.path),
        log_model=log_model,
        settings=_quiet(),
    )
    # Lightning 2.6 always passes this argument, and wandb 0.31 warns of it.
    logger._wandb_init.pop("anonymous", None)
    return logger


def _run_id(path: Path) -> str:
    """The id that this run folder has at W&B: made once, so that a resumed run is the same run."""
    if not path.exists():
        write_atomically(path, secrets.token_hex(4))
    return path.read_text()


def choose_mode() -> None:
    """Offline without credentials or, unless online was asked for, without a server that knows them.

    Decided once, for all runs of this process and those that it starts.

    Raises:
        ValueError: if WANDB_MODE asks for online and there is no key.

    """
    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "dryrun", "disabled"):
        return
    if not has_key():
        if mode:
            raise ValueError(f"WANDB_MODE={mode} needs a key; `wandb login` stores one, WANDB_MODE=offline needs none")
        os.environ["WANDB_MODE"] = "offline"
    elif mode is None and (reason := _no_answer(_settings().base_url)):
        print(f"Weights & Biases: {reason}; runs are kept in their folders, `wandb sync` sends them later")
        os.environ["WANDB_MODE"] = "offline"


def has_key() -> bool:
    """Whether Weights & Biases would find credentials without asking: in environment, netrc or its settings."""
    settings = _settings()
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or settings.api_key:
        return True
    try:
        return read_netrc_auth(host=settings.base_url) is not None
    except (AuthenticationError, UnicodeDecodeError):
        return False


def _settings() -> wb.Settings:
    """What wandb itself would take from its files and the environment."""
    settings = wb.Settings()
    settings.update_from_system_settings()
    settings.update_from_env_vars(dict(os.environ))
    return settings


@cache
def _no_answer(url: str) -> str:
    """Why the server does not take the credentials, asked by W&B's own client; empty where it does."""
    try:
        wb.Api(timeout=SECONDS_TO_ANSWER)
    except Exception as error:  # of many kinds: no such host, silence, a refusal, the page of a hotel
        return f"{url} cannot be used ({' '.join(str(error).split())[:200]})"
    return ""


def log_image(trainer: pl.Trainer, key: str, path: Path) -> None:
    """Show a picture of the run folder in every logger that shows pictures."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(key, [str(path)])


def log_audio(trainer: pl.Trainer, key: str, paths: Sequence[Path], captions: Sequence[str]) -> None:
    """Let sounds of the run folder be heard in every logger that plays them."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_audio(key, [str(path) for path in paths], caption=list(captions))


def log_animation(trainer: pl.Trainer, key: str, path: Path) -> None:
    """Show a GIF of the run folder in every logger that shows moving pictures."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_video(key, [str(path)], format=["gif"])


def log_found(trainer: pl.Trainer, found: Mapping[str, float]) -> None:
    """Log numbers that process 0 found, in every process, since a checkpoint may be chosen by them in each."""
    # Not synchronised, being the same everywhere; Lightning would warn of sync_dist=False.
    trainer.lightning_module.log_dict(trainer.strategy.broadcast(found), sync_dist=True, rank_zero_only=True)


def log_table(trainer: pl.Trainer, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table in every logger that shows tables."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_table(key, columns=list(columns), data=[list(row) for row in rows])


def log_beside(
    folder: Path, project: str, job_type: str, name: str, content: Mapping[str, Any], files: Sequence[Path]
) -> None:
    """A run of its own in the group of a sweep: an evaluation's numbers, or the sweep's answer.

    Args:
        folder: where the run is kept, and its id, so that the same one is continued the next time.
        project: of Weights & Biases.
        job_type: ``evaluate`` or ``report``.
        name: of the run; the group is the sweep folder's name.
        content: numbers, tables and pictures to log.
        files: kept as one artifact.

    """
    try:
        _log_beside(folder, project, job_type, name, content, files)
    except (wb.Error, ValueError, OSError) as error:
        print(f"the {job_type} run was not sent to Weights & Biases: {' '.join(str(error).split())}")


def _log_beside(
    folder: Path, project: str, job_type: str, name: str, content: Mapping[str, Any], files: Sequence[Path]
) -> None:
    choose_mode()
    # Said, since wandb reads the environment once a process.
    mode: Any = os.environ.get("WANDB_MODE")
    place = folder.resolve()
    group = place.name if job_type == "report" else place.parent.name
    run = wb.init(
        id=_run_id(folder / f"wandb_id_{job_type}"), name=name, group=group, project=project, job_type=job_type,
        dir=str(folder), resume="allow", mode=mode, settings=_quiet(),
    )  # fmt: skip
    with run:
        run.log(dict(content))
        if files:
            artifact = wb.Artifact(f"{job_type}-{re.sub(r'[^-_.a-zA-Z0-9]', '_', group)[:100]}", job_type)
            for path in files:
                artifact.add_file(str(path))
            run.log_artifact(artifact)


def _quiet() -> wb.Settings:
    # Each of our runs is its own, also where several are open in one process.
    timeout = float(os.environ.get("WANDB_INIT_TIMEOUT", 30))
    return wb.Settings(silent=True, console="off", init_timeout=timeout, reinit="create_new")


def finish(run_loggers: Sequence[Logger], failed: bool) -> None:
    """Close the W&B run of each logger that has one."""
    for logger in run_loggers:
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish(exit_code=int(failed))
