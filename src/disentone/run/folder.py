"""The run folder: what its files are called, how far the run is, and who may write to it."""

import json
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from disentone import config as configs
from disentone.files import remove_temporary, write_atomically
from disentone.provenance import code
from disentone.run import reading

FORMAT = 2
"""Of run folders; one of another format is refused, since its files mean something else."""
LAST = "last.ckpt"
"""The newest checkpoint, of which a run is resumed and in the end scored."""
HEARTBEAT = 30.0
"""Seconds between two signs of life of whoever holds a run folder."""
GONE = 10 * HEARTBEAT
"""Seconds without a sign of life after which a holder on another machine counts as gone."""


class State(StrEnum):
    """How far the run of a folder is."""

    NEW = "new"
    BEGUN = "begun"
    FINISHED = "finished"
    FAILED = "failed"
    OTHER_FORMAT = "of another version of disentone"


class RefusedError(ValueError):
    """The folder is not this run's to write to, so that not even the error may be kept there."""


class RunFolder:
    """The one place that spells the names of a run's files, and changes the state of the run.

    Args:
        path: of the folder, which need not exist yet.

    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.begun = self.path / "begun.json"
        self.scores = self.path / "scores.json"
        self.codes = self.path / "codes.npz"
        self.record = self.path / "run.json"
        self.error = self.path / "error.txt"
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"
        self.sounds = self.path / "sounds"
        self.sounds_list = self.sounds / "sounds.json"
        self.wandb_id = self.path / "wandb_id"
        self.ours = False
        """Whether the run in the folder is this process's, so that its errors belong there."""
        self._kept: BaseException | None = None
        self._owner = self.path / "owner.json"
        self._lock = FileLock(self.path / ".lock", timeout=0)

    @property
    def metrics(self) -> list[Path]:
        """The files of logged terms, one for each session that trained the run, the first one first."""
        found = self.path.glob("metrics/version_*/metrics.csv")
        numbered = {path: path.parent.name.removeprefix("version_") for path in found}
        kept = [path for path, number in numbered.items() if number.isascii() and number.isdigit()]
        return sorted(kept, key=lambda path: int(numbered[path]))

    def owns(self, path: Path) -> bool:
        """Whether a file is one that a training of this folder writes."""
        files = (self.config, self.begun, self.scores, self.codes, self.record, self.error, self.wandb_id, self._owner)
        return self.is_run and path.resolve() in [file.resolve() for file in files]

    @property
    def is_run(self) -> bool:
        """Whether there is a run in the folder, of whatever state."""
        marks = (self.path / ".hydra", self.begun, self.record)
        return any(path.exists() for path in marks) or (self.config.exists() and self.scores.exists())

    @property
    def state(self) -> State:
        """How far the run is, as its files say."""
        if (record := _mapping(self.record)) is not None:
            if record.get("format") != FORMAT:
                return State.OTHER_FORMAT
            # Scores that were lost are made again; the checkpoint is there.
            return State.FINISHED if _mapping(self.scores) else State.BEGUN
        if (begun := _mapping(self.begun)) is not None:
            if begun.get("format") != FORMAT:
                return State.OTHER_FORMAT
            return State.FAILED if self.error.exists() else State.BEGUN
        if self.config.exists() or self.scores.exists():
            return State.OTHER_FORMAT
        return State.FAILED if self.error.exists() else State.NEW

    def check_format(self) -> None:
        """Raise RefusedError for a folder that this version does not read."""
        if self.begun.exists() and _mapping(self.begun) is None:
            raise RefusedError(f"{self.begun} is damaged, so that nobody knows which run this is; use another folder")
        if self.state is State.OTHER_FORMAT:
            raise RefusedError(
                f"{self.path} was written by another version of disentone (this one writes run folders of format "
                f"{FORMAT}); train the run anew in another folder"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from the folder; released when the process ends, however it ends.

        Raises:
            RefusedError: if another process holds the folder, naming it.

        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            if not self._is_abandoned():
                raise RefusedError(self._taken()) from None
            self._lock_path.unlink(missing_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise RefusedError(self._taken()) from None
        ended = threading.Event()
        try:
            write_atomically(self._owner, json.dumps(_holder()))
            threading.Thread(target=self._show_life, args=(ended,), daemon=True).start()
            yield
        finally:
            ended.set()
            self._owner.unlink(missing_ok=True)
            self._lock.release()

    def claim(self, config: DictConfig) -> State:
        """Make sure that the folder holds the run of a config, or none; answers how far that is.

        Raises:
            RefusedError: for a folder of another format, or one that holds a run of another config.

        """
        self.check_format()
        state = self.state
        if (begun := _mapping(self.begun)) is not None:
            differing = configs.differences(begun["config"], configs.resolved(config))
            if differing:
                raise RefusedError(
                    f"{self.path} holds a run of another config ({', '.join(differing[:3])}); name this one with "
                    "sweep=<name>"
                )
        self.ours = True
        return state

    def begin(self, config: DictConfig, facts: dict[str, Any]) -> None:
        """Write the config and who trains it with what; an earlier error stays readable beside.

        ``config.yaml`` can be run again; ``begun.json`` holds what it says, every interpolation resolved, and which
        of it decides the numbers.

        Args:
            config: the complete config.
            facts: of this session, which join those of earlier ones.

        """
        self._set_error_aside()
        content = {
            "format": FORMAT,
            "config": configs.resolved(config),
            "settings": configs.settings(config),
            "sessions": [*self._sessions, facts],
        }
        # In this order: a config alone is what earlier versions left.
        write_atomically(self.begun, json.dumps(content, indent=2))
        write_atomically(self.config, configs.to_yaml(config))

    def finish(self, seconds: float) -> None:
        """Say that the run is finished: the last file that is written.

        Args:
            seconds: that this session took.

        """
        sessions = self._sessions
        record = {"format": FORMAT, **sessions[-1], "seconds": seconds, "sessions": sessions}
        remove_temporary(self.path)
        write_atomically(self.record, json.dumps(record, indent=2))

    @property
    def code(self) -> list[str]:
        """The code of every session that trained the run, in words, the first session first."""
        return [code(session) for session in self._sessions]

    @property
    def _sessions(self) -> list[dict[str, Any]]:
        return list((_mapping(self.begun) or {}).get("sessions", []))

    def _set_error_aside(self) -> None:
        """What an earlier attempt failed of stays readable, and no longer says that this one failed."""
        if self.error.exists():
            self.error.rename(self.path / f"error_{len(list(self.path.glob('error_*.txt'))) + 1}.txt")

    def keep_error(self, error: BaseException, reason: str) -> None:
        """Write what a run failed of, unless the folder is not the failed run's own.

        Args:
            error: with its traceback.
            reason: one line, which a sweep's summary says of the run.

        """
        foreign = isinstance(error, RefusedError) or (self.config.exists() and not self.ours)
        if foreign or error is self._kept:
            return
        self._kept = error
        self._set_error_aside()
        write_atomically(self.error, f"{''.join(traceback.format_exception(error))}\n{' '.join(reason.split())}\n")

    @property
    def _lock_path(self) -> Path:
        return Path(self._lock.lock_file)

    def _show_life(self, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT):
            try:
                os.utime(self._owner)
            except OSError:
                return  # the folder was moved or removed

    def _is_abandoned(self) -> bool:
        """Whether a lock is there and nobody behind it: what a machine without file locks leaves when it dies."""
        try:
            seen = self._owner.stat().st_mtime
        except OSError:
            seen = self._lock_path.stat().st_mtime if self._lock_path.exists() else time.time()
        # Where the file system has locks, one of a dead process is released by itself, and this one is held.
        return self._lock_path.stat().st_size > 0 and time.time() - seen > GONE

    def _taken(self) -> str:
        holder = _mapping(self._owner) or {}
        names = {"process": "process", "host": "on", "job": "in job", "since": "since"}
        known = " ".join(f"{word} {holder[key]}" for key, word in names.items() if holder.get(key))
        return (
            f"{self.path} is being trained by {known or 'another process'}; when that has ended, the same command "
            "goes on with what is left"
        )


def _holder() -> dict[str, Any]:
    """Who this process is, for others to read."""
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID"),
        "since": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _mapping(path: Path) -> dict[str, Any] | None:
    """The mapping in a file of ours; None where there is none, or a damaged one."""
    try:
        return reading.mapping(path.parent, path.name)
    except ValueError:
        return None
