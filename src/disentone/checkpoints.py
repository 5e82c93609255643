"""Checkpoints that survive: written whole or not at all, the one before kept, checked when read, no code run."""

import io
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from disentone.files import written_whole
from disentone.run.folder import LAST

PREVIOUS = "previous.ckpt"
OF_A_REQUEUE = "hpc_ckpt_*.ckpt"
"""What Lightning writes into the run folder when SLURM is about to end a job and to start it again."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames; of ``last.ckpt`` the one before stays as ``previous.ckpt``.

    Args:
        identity: of the run, kept in each of its checkpoints.

    """

    def __init__(self, identity: str = "") -> None:
        self.identity = identity

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint. At every moment the path holds a whole one, the old or the new."""
        target, buffer = Path(path), io.BytesIO()
        # Plain writes: of a full disk torch would say "unexpected pos".
        torch.save({**checkpoint, "run": self.identity}, buffer)
        with written_whole(target) as temporary:
            with temporary.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if target.name == LAST and target.exists():
                with written_whole(target.with_name(PREVIOUS)) as second:
                    _copy_name(target, second)

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a file. Lightning would remove folders as well, and a checkpoint from elsewhere may name one."""
        Path(path).unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        """Read a checkpoint's tensors and plain values; a pickle of anything else is refused."""
        return read(Path(path), map_location)


def read(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The contents of a checkpoint.

    Raises:
        ValueError: for a file that is damaged, or holds anything but tensors and plain values, or weights that are
            not finite.

    """
    try:
        # The file is a ZIP archive with a checksum of every part, which torch.load does not look at.
        with zipfile.ZipFile(path) as archive:
            if part := archive.testzip():
                raise ValueError(f"{path} is damaged: the checksum of {part} is another one")
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        weights = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
        named = weights if isinstance(weights, dict) else {}
        lost = next((name for name, value in named.items() if not _is_finite(value)), None)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain values; it is not loaded, since it could run code"
        ) from error
    except Exception as error:  # of many kinds: a damaged file may say anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(reason if reason.startswith(str(path)) else f"{path} is damaged: {reason}") from error
    if not isinstance(weights, dict):
        raise ValueError(f"{path} is no checkpoint of a training run")
    if lost is not None:
        raise ValueError(f"{path} is of no use: {lost} is not finite, the training had diverged")
    return dict(checkpoint)


def _is_finite(value: Any) -> bool:
    is_number = isinstance(value, torch.Tensor) and value.is_floating_point()
    return not is_number or bool(torch.isfinite(value).all())


def newest(folder: Path, identity: str = "") -> Path | None:
    """The newest checkpoint of a run folder that can be read, or None where none was written yet.

    Args:
        folder: of the run.
        identity: of the run; a checkpoint of another one is passed over.

    Raises:
        ValueError: if there are checkpoints and none can be read.

    """
    last = folder / "checkpoints" / LAST
    requeued = sorted(folder.glob(OF_A_REQUEUE), key=_written, reverse=True)
    before = _written(last) if last.exists() else 0.0
    candidates = [path for path in requeued if _written(path) > before]
    candidates += [path for path in (last, last.with_name(PREVIOUS)) if path.exists()]
    reasons = list[str]()
    for path in candidates:
        try:
            kept = read(path).get("run") or identity
            if identity and kept != identity:
                raise ValueError(f"{path} is a checkpoint of another run")
        except ValueError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            print(f"{reason}; going back to {path.name}")
        return path
    if reasons:
        raise ValueError("; ".join(reasons))
    return None


def forget_requeued(folder: Path) -> None:
    """Remove what a run that has trained to its end was once resumed from."""
    for path in folder.glob(OF_A_REQUEUE):
        path.unlink(missing_ok=True)


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _copy_name(path: Path, second: Path) -> None:
    """A second name for a file, so that there is no moment without one; a copy where there are no such names."""
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:
        shutil.copyfile(path, second)
