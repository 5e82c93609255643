"""What every data set of ours promises: images by row number, and the factors they were made from."""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from disentone.data.batches import Batches
from disentone.data.held_out import HeldOut
from disentone.data.views import Views
from disentone.factors import FactorSpace
from disentone.frontends import Frontend
from disentone.shapes import Image, Positions, Rows

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class FactorData(pl.LightningDataModule, ABC):
    """Images [batch channel ...] in numbered rows, each with its position of every factor.

    Loaders carry row numbers or less; images are made, or looked up, on the batch's device.

    Args:
        batch_size: rows of a batch, whichever number of processes share it.
        seed: of split and order.
        num_workers: of the loaders.

    """

    space: FactorSpace
    shape: tuple[int, ...]
    sizes: dict[Split, int]
    num_rows: int
    frontend: Frontend | None = None
    """What made the images from audio, and knows their axes; None for pictures."""
    held_out: HeldOut | None = None
    """The part of the space that training leaves out."""
    views: Views | None = None
    """The law of the partners that a batch shows beside its images; None where there are none."""

    def __init__(self, batch_size: int, seed: int, num_workers: int) -> None:
        super().__init__()
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers

    @abstractmethod
    def rows_at(self, split: Split, indices: Int64[Tensor, "index"]) -> Rows:
        """Row numbers at places of a split, in its seeded order."""

    @abstractmethod
    def evaluation_rows(self, limit: int) -> Rows:
        """Rows to score on: all in use if ``limit`` admits them, else a seeded sample over all splits; sorted."""

    @abstractmethod
    def positions(self, rows: Rows) -> Positions:
        """Positions of rows, [batch factor] integers."""

    @abstractmethod
    def images(self, rows: Rows) -> Image:
        """Images of rows, on the rows' device."""

    @abstractmethod
    def dataset(self, split: Split) -> Dataset[Any]:
        """From a batch's (rows, draw numbers, part) to what a loader carries; indexed by :class:`Batches`."""

    @property
    def supervision(self) -> str:
        """What a method is told beside the images: ``none``, or how the pairs came about that it learns from."""
        return "none" if self.views is None else self.views.supervision

    def rows(self, split: Split, count: int | None = None) -> Rows:
        """Row numbers of a split in its seeded order: the first ``count`` at most, which alone are listed, or all."""
        size = self.sizes[split] if count is None else min(count, self.sizes[split])
        return self.rows_at(split, torch.arange(size))

    def train_dataloader(self) -> DataLoader[Any]:
        """Training rows in an order that is a function of seed and epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation rows."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """Test rows."""
        return self._loader("test")

    def _batches_seen(self) -> int:
        return batches_done(self.trainer) if self.trainer else 0

    def _loader(self, split: Split) -> DataLoader[Any]:
        seed = self.seed if split == "train" else None
        process, processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        check_divides(self.batch_size, processes)
        batches = Batches(
            partial(self.rows_at, split),
            self.sizes[split],
            self.batch_size,
            seed,
            self._batches_seen,
            process,
            processes,
        )
        # batch_size=None: the sampler yields whole batches of rows, the data set answers with one batch.
        return DataLoader(self.dataset(split), sampler=batches, batch_size=None, num_workers=self.num_workers)


def batches_done(trainer: pl.Trainer) -> int:
    """Training batches that lie behind a trainer, over all passes: its steps, or more where several make one step."""
    return trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]


def check_divides(batch_size: int, processes: int) -> None:
    """Raise ValueError unless every process gets as many rows of a batch."""
    if batch_size % processes:
        below = batch_size // processes * processes
        fitting = f"{below} or {below + processes}" if below else f"{processes}"
        raise ValueError(
            f"data.batch_size is shared by all processes, and {batch_size} rows do not divide by {processes}; "
            f"use {fitting}, or another trainer.devices"
        )


def check_batch_size(batch_size: int, rows: int) -> None:
    """Raise ValueError unless a batch can be filled from the training rows."""
    if isinstance(batch_size, bool) or not 1 <= batch_size <= rows:
        raise ValueError(f"batch_size must lie in 1..{rows} (the training rows), got {batch_size}")
