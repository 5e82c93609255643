"""MNIST's handwritten digits (LeCun et al. 1998), on which the pipe can be watched at work: one factor, the digit."""

import gzip
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torchvision
from filelock import FileLock
from jaxtyping import UInt8
from torch import Tensor

from disentone.factors import FactorSpace
from disentone.hashing import Permutation
from disentone.shapes import Image, Positions, Rows
from disentone.sources.source import Source, Split

UNSIGNED_BYTE = 8
SECONDS_TO_ANSWER = 30.0


class Digits(Source):
    """Digits as images [batch 1 28 28] in [0, 1], from IDX files or downloaded on first use.

    Args:
        folder: where the IDX files lie (plain or .gz, here or in ``MNIST/raw``), or are downloaded to.
        split: ``full`` trains on the training file less a twelfth, which validates, and tests on the test file;
            ``t10k`` needs the test file alone: nine tenths of it train, the last tenth validates and tests.
        download: files that are not there; else ``folder`` is only read.

    Raises:
        ValueError: for another split, or files that are not there and cannot be downloaded, or are damaged.

    """

    def __init__(self, folder: str | Path = "outputs/mnist", split: str = "full", download: bool = True) -> None:
        if split not in ("full", "t10k"):
            raise ValueError(f"source.split must be full or t10k, got {split}")
        names = ("t10k",) if split == "t10k" else ("train", "t10k")
        read = [_digits(Path(folder), name, download) for name in names]
        self._pixels = torch.cat([pixels for pixels, _ in read])
        self._digits = torch.cat([digits for _, digits in read]).long()
        self._trained_on = len(read[0][0])
        self.space = FactorSpace({"digit": {"labels": [str(digit) for digit in range(10)]}})
        self.shape = (1, *self._pixels.shape[1:])

    def __len__(self) -> int:
        return len(self._digits)

    def images(self, rows: Rows) -> Image:
        """The digits' pictures, on the rows' device."""
        return self._pixels[rows.to(self._pixels.device)][:, None].to(rows.device).float() / 255

    def positions(self, rows: Rows) -> Positions:
        """The digit of each row."""
        return self._digits.to(rows.device)[rows][:, None]

    def split(self, seed: int) -> dict[Split, Rows]:
        """The split between the files, and that of the first of them."""
        first, whole = self._trained_on, len(self)
        # Shuffled, since the test file's first half is easier than its second.
        order = Permutation(first, seed, "split")(torch.arange(first))
        if first == whole:
            last = order[-(whole // 10) :]
            return {"train": order[: -(whole // 10)], "validation": last, "test": last}
        return {
            "train": order[: -(first // 12)],
            "validation": order[-(first // 12) :],
            "test": torch.arange(first, whole),
        }

    def to(self, device: torch.device) -> None:
        """Take the digits there: all 70,000 are 55 MB."""
        self._pixels, self._digits = self._pixels.to(device), self._digits.to(device)


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The array of bytes in an IDX file, plain or gzipped.

    Raises:
        ValueError: for a file that is no IDX file of bytes, or holds less or more than it says.

    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}; download it anew") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise ValueError(f"{path} is no IDX file of bytes; MNIST's begin with 0 0 8, this with {list(content[:3])}")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{path} is damaged: it ends in its header; download it anew")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"{path} is damaged: its header announces {' x '.join(map(str, shape))} bytes, "
            f"{len(content) - start:,} follow; download it anew"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def _digits(folder: Path, name: str, download: bool) -> tuple[UInt8[Tensor, "row 28 28"], UInt8[Tensor, "row"]]:
    """Pictures and labels of one of MNIST's two pairs of files."""
    names = (f"{name}-images-idx3-ubyte", f"{name}-labels-idx1-ubyte")
    if not all(_find(folder, file) for file in names):
        if not download:
            raise ValueError(
                f"{folder.absolute()} lacks {' and '.join(names)}, and nothing is downloaded to where a run folder "
                "says; put them there, plain or .gz, or train experiment=mnist once, which downloads them"
            )
        _download(folder, names)
    images_path, labels_path = (_find(folder, file) or folder / file for file in names)
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(f"{images_path}: expected digits of 28 x 28 pixels, got an array {images.shape}")
    if labels.shape != images.shape[:1] or len(labels) < 20:
        raise ValueError(f"{labels_path}: expected {len(images)} labels 0..9 (20 or more), got an array {labels.shape}")
    if labels.max() > 9:
        raise ValueError(f"{labels_path}: expected labels 0..9, got {labels.max()}; other alphabets are not supported")
    return torch.from_numpy(images), torch.from_numpy(labels)


def _find(folder: Path, name: str) -> Path | None:
    # Some archives spell train-images.idx3-ubyte.
    spellings = (name, name.replace("-idx", ".idx"))
    files = [f"{spelling}{ending}" for spelling in spellings for ending in ("", ".gz")]
    places = (place / file for place in (folder, folder / "MNIST" / "raw") for file in files)
    return next((path for path in places if path.is_file()), None)


def _download(folder: Path, names: tuple[str, ...]) -> None:
    """Ask torchvision for the files, unless another process has just fetched them.

    Raises:
        ValueError: where they cannot be had, with what to do instead.

    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "download.lock"), _timeout(SECONDS_TO_ANSWER):
            if not all(_find(folder, name) for name in names):
                torchvision.datasets.MNIST(str(folder), download=True)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"{folder.absolute()} lacks {' and '.join(names)}, and they cannot be downloaded ({reason}). Put them "
            f"there, plain or .gz, or name their folder with source.folder=...; "
            f"where only the t10k files are at hand, source.split=t10k trains on these"
        ) from error


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
