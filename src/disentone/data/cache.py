"""Rendered images on disk, shared by the runs of a sweep: float16, sealed by a digest, bounded, safe to delete."""

import hashlib
import io
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import torch
from filelock import FileLock, Timeout
from numpy.lib.format import write_array_header_1_0
from rich.progress import track

from disentone.shapes import Image, Rows

CHUNK = 256
TOLERANCE = 1e-3
DIGEST_BYTES = 32
READ_AT_ONCE = 2**20


def image_bytes(rows: int, shape: Sequence[int]) -> int:
    """What the cache of so many images takes."""
    return rows * math.prod(shape) * 2


class ImageCache:
    """Images of every row of a space, rendered once and kept under a key made from what rendered them.

    A file is an ``.npy`` array of float16 whose last bytes are a digest (BLAKE2b) of all others. It is checked on
    opening; a file that is not whole, or whose images the code would not make any more (16 of them are made again), is
    rendered anew. Rows are read one by one instead of mapped into memory, where a file that is cut short while in use
    would kill the process.

    Writing is atomic: a killed process leaves at most a temporary file, which the next one removes.

    Args:
        folder: where the files lie.
        description: text that names everything the images depend on.
        rows: how many.
        shape: of one image.
        render: rows to images in [0, 1].
        limit_bytes: what all files of the folder may take; the least recently used others are deleted.

    Raises:
        ValueError: for a folder that cannot be written to, or that the images do not fit in.

    """

    def __init__(
        self,
        folder: Path,
        description: str,
        rows: int,
        shape: Sequence[int],
        render: Callable[[Rows], Image],
        limit_bytes: float,
    ) -> None:
        self.path = folder / f"{hashlib.sha256(description.encode()).hexdigest()[:24]}.npy"
        self.rows, self.shape, self._render = rows, tuple(shape), render
        self._header, self._row_bytes = _header(rows, math.prod(shape)), image_bytes(1, shape)
        _check_writable(folder)
        # One process renders while those beside it wait for its file.
        with FileLock(self.path.with_suffix(".lock")):
            # Kept open: whoever deletes the file takes it from the folder, not from us.
            self._file = self._opened() or self._written()
            with suppress(FileNotFoundError):
                os.utime(self.path)
        _forget_killed(folder)
        _forget_oldest(folder, keep=self.path, limit_bytes=limit_bytes)

    def read(self, rows: Rows) -> Image:
        """Images of rows as float32, on the CPU. Raises ValueError if the file was cut short since it was opened."""
        return self._read(self._file, rows)

    def _read(self, file: BinaryIO, rows: Rows) -> Image:
        start, size = len(self._header), self._row_bytes
        content = bytearray().join(os.pread(file.fileno(), size, start + size * row) for row in rows.tolist())
        if len(content) != size * len(rows):
            raise ValueError(f"{self.path} was cut short while it was in use; start again, and it is rendered anew")
        return torch.frombuffer(content, dtype=torch.float16).float().view(-1, *self.shape)

    def _opened(self) -> BinaryIO | None:
        """The file, if there is one that can be believed; says why if it cannot."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return None
        if not self._is_whole(file):
            reason = "does not end in the digest of its images: it was damaged, or written by an earlier version"
        elif not self._is_current(file):
            reason = "holds other images than the code makes now"
        else:
            return file
        file.close()
        print(f"{self.path} {reason}; it is rendered anew")
        return None

    def _is_whole(self, file: BinaryIO) -> bool:
        left = len(self._header) + self.rows * self._row_bytes
        if os.fstat(file.fileno()).st_size != left + DIGEST_BYTES or file.read(len(self._header)) != self._header:
            return False
        file.seek(0)
        digest = _new_digest()
        while part := file.read(min(READ_AT_ONCE, left)):
            digest.update(part)
            left -= len(part)
        return file.read() == digest.digest()

    def _is_current(self, file: BinaryIO) -> bool:
        probe = torch.linspace(0, self.rows - 1, min(16, self.rows)).long()
        return bool((self._read(file, probe) - self._render(probe).cpu()).abs().max() <= TOLERANCE)

    def _written(self) -> BinaryIO:
        temporary = self.path.with_suffix(".tmp")
        try:
            file = temporary.open("w+b")
            self._write(file)
            os.replace(temporary, self.path)
        except OSError as error:
            raise ValueError(
                f"{self.path} cannot be written ({error.strerror}); its images take "
                f"{self.rows * self._row_bytes / 1e9:.2g} GB. Name a folder with so much space by data.cache_dir=..., "
                "or take data.mode=on_the_fly"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        return file

    def _write(self, file: BinaryIO) -> None:
        digest = _new_digest()
        # Plain writes, where a full disk is an error; in a memory map it would kill the process.
        for part in chain([self._header], self._rendered()):
            file.write(part)
            digest.update(part)
        file.write(digest.digest())
        file.flush()

    def _rendered(self) -> Iterator[bytes]:
        for start in track(range(0, self.rows, CHUNK), description=f"rendering {self.rows:,} sounds"):
            rows = torch.arange(start, min(start + CHUNK, self.rows))
            yield self._render(rows).flatten(1).cpu().numpy().astype("<f2").tobytes()


def _header(rows: int, numbers: int) -> bytes:
    header = io.BytesIO()
    write_array_header_1_0(header, {"descr": "<f2", "fortran_order": False, "shape": (rows, numbers)})
    return header.getvalue()


def _new_digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=DIGEST_BYTES)


def _check_writable(folder: Path) -> None:
    """Raise ValueError for a folder that takes no files: a lock there would be waited for for ever."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"data.cache_dir={folder} takes no files ({error.strerror}); name another folder, or take "
            "data.mode=on_the_fly"
        ) from error


def _forget_killed(folder: Path) -> None:
    """Remove temporary files whose writers are gone: a living one holds the lock."""
    for temporary in folder.glob("*.tmp"):
        with suppress(Timeout, OSError), FileLock(temporary.with_suffix(".lock"), timeout=0):
            temporary.unlink()


def _forget_oldest(folder: Path, keep: Path, limit_bytes: float) -> None:
    files = []
    for path in folder.glob("*.npy"):
        # Another process may delete it meanwhile.
        with suppress(FileNotFoundError):
            files.append((path != keep, -path.stat().st_mtime, path.stat().st_size, path))
    total = 0
    for is_other, _, size, path in sorted(files):
        total += size
        if total > limit_bytes and is_other:
            path.unlink(missing_ok=True)
