"""Which rows make a batch, and which of them are this process's: shuffled passes that can be entered anywhere."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from disentone.hashing import Permutation
from disentone.shapes import Part, Rows
from disentone.sources import Split

# Rows are shuffled for so many batches together, which takes little longer than for one.
BATCHES_AHEAD = 256


class Carried(NamedTuple):
    """All that a loader carries: which rows of a split, and which use of each of them this is."""

    split: Split
    rows: Rows
    draws: Rows
    """A number for every use of a row in training, one pass after the other; the place in the split elsewhere."""
    part: Part | None = None
    """What of the batch one of several processes has; None for all of it."""


class AsTheyCome(Dataset[Carried]):
    """What the sampler yields: a loader's worker has nothing to do."""

    def __getitem__(self, batch: Carried) -> Carried:
        return batch


class Batches(Sampler[Carried]):
    """Batches of one split; the last of each pass may be smaller.

    With a seed it is an endless stream of shuffled passes, of which batch number n is a function of (seed, n):
    a resumed run starts at the number it had reached. Draws are numbered on through the passes, so that a
    renewed draw has a number of its own. Several processes share every batch, so that it is the same batch however
    many they are; each has consecutive rows of it.

    Args:
        split: which one.
        rows: from indices of the split to row numbers.
        length: of the split.
        batch_size: rows of a batch.
        seed: of the order; None keeps the split's own, once.
        start: answers the number of the batch to begin with, when iteration begins.
        process: which of the processes this is, from 0.
        processes: how many share each batch.

    """

    def __init__(
        self,
        split: Split,
        rows: Callable[[Tensor], Tensor],
        length: int,
        batch_size: int,
        seed: int | None = None,
        start: Callable[[], int] = lambda: 0,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.process, self.processes = process, processes
        self.split, self.rows, self.length = split, rows, length
        self.batch_size, self.seed, self.start = batch_size, seed, start

    def __len__(self) -> int:
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[Carried]:
        if self.seed is None:
            yield from self._batches(lambda indices: indices, 0, 0)
            return
        epoch, done = divmod(self.start(), len(self))
        while True:
            yield from self._batches(Permutation(self.length, self.seed, "order of a pass", epoch), epoch, done)
            epoch, done = epoch + 1, 0

    def _batches(self, order: Callable[[Tensor], Tensor], epoch: int, done: int) -> Iterator[Carried]:
        chunk = self.batch_size * BATCHES_AHEAD
        for first in range(done * self.batch_size, self.length, chunk):
            indices = order(torch.arange(first, min(first + chunk, self.length)))
            rows, draws = self.rows(indices), indices + epoch * self.length
            for batch in zip(torch.split(rows, self.batch_size), torch.split(draws, self.batch_size), strict=True):
                yield self._part(*batch)

    def _part(self, rows: Int64[Tensor, "whole"], draws: Int64[Tensor, "whole"]) -> Carried:
        if self.processes == 1:
            return Carried(self.split, rows, draws)
        first, end = (len(rows) * number // self.processes for number in (self.process, self.process + 1))
        mine = slice(first, max(end, first + 1))
        return Carried(self.split, rows[mine], draws[mine], Part(end - first, len(rows)))


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
