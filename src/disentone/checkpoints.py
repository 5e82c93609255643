"""Checkpoints that survive: written whole or not at all, the one before kept, no code run from a file."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

StrPath = str | os.PathLike[str]
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames; of ``last.ckpt`` the one before stays as ``previous.ckpt``."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint. At every moment the path holds a whole one, the old or the new."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".tmp")
        with temporary.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        if target.name == LAST and target.exists():
            # A second name for the old file, so that there is no moment without one.
            link = target.with_name(PREVIOUS + ".tmp")
            link.unlink(missing_ok=True)
            os.link(target, link)
            os.replace(link, target.with_name(PREVIOUS))
        os.replace(temporary, target)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        """Read a checkpoint's tensors and plain values; a pickle of anything else is refused."""
        return read(Path(path), map_location)


def read(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The contents of a checkpoint.

    Raises:
        ValueError: for a file that is damaged, or holds anything but tensors and plain values.

    """
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain values; it is not loaded, since it could run code"
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{path} is no checkpoint of a training run")
    return checkpoint


def newest(folder: Path) -> Path | None:
    """The newest checkpoint of a folder that can be read, or None where none was written yet.

    Raises:
        ValueError: if there are checkpoints and none can be read.

    """
    reasons = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            read(path)
        except ValueError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            print(f"{reason}; going back to {path.name}")
        return path
    if reasons:
        raise ValueError("; ".join(reasons))
    return None
