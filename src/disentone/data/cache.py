"""Rendered images on disk, shared by the runs of a sweep: float16, memory-mapped, bounded, safe to delete."""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.lib.format import write_array_header_1_0
from rich.progress import track

from disentone.shapes import Image, Rows

CHUNK = 256
TOLERANCE = 1e-3


def image_bytes(rows: int, shape: Sequence[int]) -> int:
    """What the cache of so many images takes."""
    return rows * math.prod(shape) * 2


class ImageCache:
    """Images of every row of a space, rendered once and kept under a key made from what rendered them.

    A file that no longer agrees with the code (it is probed on opening) is rendered anew. Writing is atomic:
    a killed process leaves at most a temporary file, which the next one removes.

    Args:
        folder: where the files lie.
        description: text that names everything the images depend on.
        rows: how many.
        shape: of one image.
        render: rows to images in [0, 1].
        limit_bytes: what all files of the folder may take; the least recently used others are deleted.

    """

    def __init__(
        self,
        folder: Path,
        description: str,
        rows: int,
        shape: Sequence[int],
        render: Callable[[Rows], Image],
        limit_bytes: int,
    ) -> None:
        self.path = folder / f"{hashlib.sha256(description.encode()).hexdigest()[:24]}.npy"
        self.rows, self.shape, self._render = rows, tuple(shape), render
        folder.mkdir(parents=True, exist_ok=True)
        # One process renders while those beside it wait for its file.
        with FileLock(self.path.with_suffix(".lock")):
            if not self._is_valid():
                self._write()
            os.utime(self.path)
        self._images = np.load(self.path, mmap_mode="r")
        _forget_oldest(folder, keep=self.path, limit_bytes=limit_bytes)

    def read(self, rows: Rows) -> Image:
        """Images of rows as float32, on the CPU."""
        return torch.from_numpy(self._images[rows.numpy()]).float().view(-1, *self.shape)

    def _is_valid(self) -> bool:
        if not self.path.exists():
            return False
        try:
            images = np.load(self.path, mmap_mode="r")
        except (ValueError, EOFError):
            return False
        if images.shape != (self.rows, math.prod(self.shape)):
            return False
        probe = torch.linspace(0, self.rows - 1, min(16, self.rows)).long()
        rendered = self._render(probe).flatten(1).cpu().numpy()
        return bool(np.abs(images[probe.numpy()] - rendered).max() <= TOLERANCE)

    def _write(self) -> None:
        temporary = self.path.with_suffix(".tmp")
        header = {"descr": "<f2", "fortran_order": False, "shape": (self.rows, math.prod(self.shape))}
        # Plain writes, where a full disk is an error; in a memory map it would kill the process.
        with temporary.open("wb") as file:
            write_array_header_1_0(file, header)
            for start in track(range(0, self.rows, CHUNK), description=f"rendering {self.rows:,} sounds"):
                rows = torch.arange(start, min(start + CHUNK, self.rows))
                file.write(self._render(rows).flatten(1).cpu().numpy().astype("<f2").tobytes())
        os.replace(temporary, self.path)


def _forget_oldest(folder: Path, keep: Path, limit_bytes: int) -> None:
    files = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime, reverse=True)
    files.sort(key=lambda path: path != keep)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > limit_bytes and path != keep:
            path.unlink(missing_ok=True)
