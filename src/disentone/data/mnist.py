"""MNIST's handwritten digits (LeCun et al. 1998), on which the pipe can be watched at work: one factor, the digit."""

import gzip
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from filelock import FileLock
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from disentone.data.batches import Carried
from disentone.data.factor_data import FactorData, Split, check_batch_size
from disentone.factors import FactorSpace
from disentone.hashing import Permutation
from disentone.precision import check_device
from disentone.shapes import Batch, Image, Part, Positions, Rows

UNSIGNED_BYTE = 8
SECONDS_TO_ANSWER = 30.0


class Digits(NamedTuple):
    """Which digits, and the part of the batch that they are."""

    rows: Rows
    part: Part | None


class MNIST(FactorData):
    """Digits as images [batch 1 28 28] in [0, 1], from IDX files or downloaded on first use.

    Args:
        folder: where the IDX files lie (plain or .gz, here or in ``MNIST/raw``), or are downloaded to.
        split: ``full`` trains on the training file less a twelfth, which validates, and tests on the test file;
            ``t10k`` needs the test file alone: nine tenths of it train, the last tenth validates and tests.
        batch_size: rows of a batch, whichever number of processes share it.
        seed: of split and order.
        num_workers: of the loaders; digits are in memory, so 0 is fastest.
        download: files that are not there; else ``folder`` is only read.

    Raises:
        ValueError: for another split, or files that are not there and cannot be downloaded, or are damaged.

    """

    def __init__(
        self,
        folder: str | Path = "outputs/mnist",
        split: str = "full",
        batch_size: int = 100,
        seed: int = 0,
        num_workers: int = 0,
        download: bool = True,
    ) -> None:
        super().__init__(batch_size, seed, num_workers)
        if split not in ("full", "t10k"):
            raise ValueError(f"data.split must be full or t10k, got {split}")
        names = ("t10k",) if split == "t10k" else ("train", "t10k")
        files = [_digits(Path(folder), name, download) for name in names]
        self._pixels = torch.cat([pixels for pixels, _ in files])
        self._digits = torch.cat([digits for _, digits in files]).long()
        self.space = FactorSpace({"digit": {"labels": [str(digit) for digit in range(10)]}})
        self.num_rows = len(self._digits)
        self.shape = (1, *self._pixels.shape[1:])
        first, last = len(files[0][0]), len(files[-1][0])
        # Shuffled, since the test file's first half is easier than its second.
        order = Permutation(first, seed)(torch.arange(first))
        if split == "t10k":
            self._rows: dict[Split, Rows] = {"train": order[: -(last // 10)], "test": order[-(last // 10) :]}
            self._rows["validation"] = self._rows["test"]
        else:
            self._rows = {"train": order[: -(first // 12)], "validation": order[-(first // 12) :]}
            self._rows["test"] = first + torch.arange(last)
        self.sizes = {split: len(rows) for split, rows in self._rows.items()}
        check_batch_size(batch_size, self.sizes["train"])

    def rows_at(self, split: Split, indices: Int64[Tensor, "index"]) -> Rows:
        """Row numbers at places of a split, in its seeded order."""
        return self._rows[split][indices]

    def evaluation_rows(self, limit: int) -> Rows:
        """All rows if ``limit`` admits them, else a seeded sample; sorted."""
        return Permutation(self.num_rows, self.seed + 1)(torch.arange(min(limit, self.num_rows))).sort().values

    def positions(self, rows: Rows) -> Positions:
        """The digit of each row."""
        return self._digits.to(rows.device)[rows][:, None]

    def images(self, rows: Rows) -> Image:
        """The digits' pictures, on the rows' device."""
        return self._pixels[rows.to(self._pixels.device)][:, None].to(rows.device).float() / 255

    def dataset(self, split: Split) -> Dataset[Digits]:
        """Row numbers and the part of the batch that they are, as they come."""
        return _Rows()

    def setup(self, stage: str | None = None) -> None:
        """Take the digits to the device once: all 70,000 are 55 MB."""
        if self.trainer:
            device = self.trainer.strategy.root_device
            check_device(device)
            self._pixels, self._digits = self._pixels.to(device), self._digits.to(device)

    def on_after_batch_transfer(self, batch: Digits, dataloader_idx: int) -> Batch:
        """Row numbers become images and digits on the device."""
        return Batch(self.images(batch.rows), batch.rows, labels=self.positions(batch.rows), part=batch.part)


class _Rows(Dataset[Digits]):
    def __getitem__(self, batch: Carried) -> Digits:
        rows, _, part = batch
        return Digits(rows, part)


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
            f"there, plain or .gz, or name their folder with data.folder=...; "
            f"where only the t10k files are at hand, data.split=t10k trains on these"
        ) from error


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
