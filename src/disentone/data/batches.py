"""Which rows make a batch: shuffled passes that a resumed run can enter anywhere."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Sampler

from disentone.hashing import Permutation

# Rows are shuffled for so many batches together, which takes little longer than for one.
BATCHES_AHEAD = 256


class Batches(Sampler[tuple[Tensor, Tensor]]):
    """Batches of (row, draw number) of one split; the last of each pass may be smaller.

    With a seed it is an endless stream of shuffled passes, of which batch number n is a function of (seed, n):
    a resumed run starts at the number it had reached. Draws are numbered on through the passes, so that a
    renewed draw has a number of its own.

    Args:
        rows: from indices of the split to row numbers.
        length: of the split.
        batch_size: rows of a batch.
        seed: of the order; None keeps the split's own, once.
        start: answers the number of the batch to begin with, when iteration begins.

    """

    def __init__(
        self,
        rows: Callable[[Tensor], Tensor],
        length: int,
        batch_size: int,
        seed: int | None = None,
        start: Callable[[], int] = lambda: 0,
    ) -> None:
        self.rows, self.length, self.batch_size, self.seed, self.start = rows, length, batch_size, seed, start

    def __len__(self) -> int:
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Int64[Tensor, "batch"], Int64[Tensor, "batch"]]]:
        if self.seed is None:
            yield from self._batches(lambda indices: indices, 0, 0)
            return
        epoch, done = divmod(self.start(), len(self))
        while True:
            yield from self._batches(Permutation(self.length, self.seed + (epoch + 1) * 2**32), epoch, done)
            epoch, done = epoch + 1, 0

    def _batches(
        self, order: Callable[[Tensor], Tensor], epoch: int, done: int
    ) -> Iterator[tuple[Int64[Tensor, "batch"], Int64[Tensor, "batch"]]]:
        chunk = self.batch_size * BATCHES_AHEAD
        for first in range(done * self.batch_size, self.length, chunk):
            indices = order(torch.arange(first, min(first + chunk, self.length)))
            rows, draws = self.rows(indices), indices + epoch * self.length
            yield from zip(torch.split(rows, self.batch_size), torch.split(draws, self.batch_size), strict=True)
