"""Weights & Biases, offline unless it can be online, and the media it shares with the run folder."""

import netrc
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

import pytorch_lightning as pl
import wandb as wb
from pytorch_lightning.loggers import WandbLogger

from disentone.files import write_atomically

DEFAULT_SERVER = "https://api.wandb.ai"


def wandb(run_dir: str | Path, project: str, tags: Sequence[str] = (), log_model: bool = False) -> WandbLogger:
    """A logger whose run is named after the run folder and grouped by the folder above (the sweep, the experiment).

    Without a key, and unless WANDB_MODE says otherwise, the run is kept in the run folder, from where
    ``wandb sync`` can send it later. Nothing ever asks for a key.

    Args:
        run_dir: the run folder.
        project: of Weights & Biases.
        tags: of the run.
        log_model: send checkpoints as artifacts too.

    """
    folder = Path(run_dir)
    if "WANDB_MODE" not in os.environ and not has_key():
        os.environ["WANDB_MODE"] = "offline"
    logger = WandbLogger(
        id=_run_id(folder / "wandb_id"),
        name=folder.name,
        group=folder.parent.name,
        project=project,
        tags=list(tags),
        job_type="train",
        save_dir=str(folder),
        log_model=log_model,
        settings=wb.Settings(silent=True, console="off", init_timeout=float(os.environ.get("WANDB_INIT_TIMEOUT", 30))),
    )
    # Lightning 2.6 always passes this argument, and wandb 0.31 warns of it.
    logger._wandb_init.pop("anonymous", None)
    return logger


def _run_id(path: Path) -> str:
    """The id that this run folder has at W&B: made once, so that a resumed run is the same run."""
    if not path.exists():
        write_atomically(path, secrets.token_hex(4))
    return path.read_text()


def has_key() -> bool:
    """Whether Weights & Biases would find credentials without asking: in the environment or in ``.netrc``."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", DEFAULT_SERVER)).hostname or ""
    for name in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        path = Path(name or "/nowhere").expanduser()
        if not path.is_file():
            continue
        try:
            if netrc.netrc(path).authenticators(host):
                return True
        except netrc.NetrcParseError:
            continue
    return False


def log_image(trainer: pl.Trainer, key: str, path: Path) -> None:
    """Show a picture of the run folder in every logger that shows pictures."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(key, [str(path)])


def finish() -> None:
    """Close the run of this job, so that the next job of a multirun gets its own."""
    if wb.run is not None:
        wb.finish()
