"""A synthetic data set is a function: positions travel, sound and image are made on the batch's device."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from disentone.data.cache import ImageCache, image_bytes
from disentone.data.held_out import HeldOut
from disentone.factors import FactorSpace
from disentone.frontends import Frontend
from disentone.hashing import Permutation
from disentone.shapes import Audio, Batch, Image, Positions, Rows
from disentone.synths import Synth

Split = Literal["train", "validation", "test"]
BATCHES_AHEAD = 64
MOST_LISTED = 20_000_000
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Sounds(NamedTuple):
    """Which sounds: factor positions, and the keys of their nuisances (row numbers unless these are renewed)."""

    positions: Positions
    keys: Rows


class SyntheticData(pl.LightningDataModule):
    """Sounds of a synth, seen through a front-end, split into train, validation and test rows.

    Args:
        synth: values to audio.
        frontend: audio to image.
        batch_size: rows of a batch.
        mode: ``on_the_fly`` renders every batch on its device; ``cached`` renders the whole space once, as
            float16 on disk, for all runs with the same synth and front-end; ``auto`` is cached on a CPU where
            the limit admits it, and on the fly elsewhere.
        fractions: of the rows for train, validation and test.
        continuous: train on draws from the factors' ranges, new ones every epoch, instead of the grid's rows.
        renew_nuisances: give every row new nuisances (noise, phases, onset, level) every epoch.
        held_out: a part of the space that train and validation rows leave out; the test rows have it.
        max_rows: use only so many rows, a seeded sample; all by default.
        seed: of the split, the order and the continuous draws.
        cache_dir: where ``cached`` keeps its files, safe to delete.
        cache_limit_gb: what they may take together; the least recently used go first.
        num_workers: of the loaders; positions are cheap, so 0 is fastest.

    Raises:
        ValueError: for settings that leave a split without rows or contradict one another.

    """

    def __init__(
        self,
        synth: Synth,
        frontend: Frontend,
        batch_size: int = 64,
        mode: str = "auto",
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        continuous: bool = False,
        renew_nuisances: bool = False,
        held_out: HeldOut | None = None,
        max_rows: int | None = None,
        seed: int = 0,
        cache_dir: str | Path = "outputs/cache",
        cache_limit_gb: float = 10.0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if frontend.sample_rate != synth.sample_rate:
            raise ValueError(f"the synth runs at {synth.sample_rate} Hz, the front-end at {frontend.sample_rate} Hz")
        if mode not in ("auto", "on_the_fly", "cached"):
            raise ValueError(f"data.mode must be auto, on_the_fly or cached, got {mode}")
        self.synth, self.frontend, self.space = synth, frontend, synth.space
        self.batch_size, self.continuous, self.renew_nuisances = batch_size, continuous, renew_nuisances
        self.seed, self.num_workers = seed, num_workers
        self.shape = frontend.shape(synth.num_samples)
        self.num_rows = len(self.space) if max_rows is None else min(max_rows, len(self.space))
        self.sizes = _split_sizes(self.num_rows, fractions)
        self._starts = {split: sum(list(self.sizes.values())[:i]) for i, split in enumerate(SPLITS)}
        self._order = Permutation(len(self.space), seed)
        self.held_out = held_out
        self._kept = {} if held_out is None else self._leave_out(held_out)
        if not 1 <= batch_size <= self.sizes["train"]:
            raise ValueError(f"batch_size must lie in 1..{self.sizes['train']} (the training rows), got {batch_size}")
        self._cache_dir, self._cache_limit = Path(cache_dir), int(cache_limit_gb * 1e9)
        self._cache: ImageCache | None = None
        self.mode = self._checked_mode(mode)

    # What is in the data: rows, sounds, images.

    def rows(self, split: Split) -> Rows:
        """Row numbers of a split, in its seeded order."""
        return self._rows_at(split, torch.arange(self.sizes[split]))

    def evaluation_rows(self, limit: int) -> Rows:
        """Rows to score on: all in use if ``limit`` admits them, else a seeded sample over all splits; sorted."""
        if self.num_rows == len(self.space) and self.num_rows <= limit:
            return torch.arange(self.num_rows)
        sample = Permutation(self.num_rows, self.seed + 1)(torch.arange(min(limit, self.num_rows)))
        return self._order(sample).sort().values

    def sounds(self, rows: Rows) -> Sounds:
        """The sounds of rows of the grid."""
        return Sounds(self.space.grid(rows), rows)

    def audio(self, sounds: Sounds) -> Audio:
        """Sounds rendered on the device of their positions: float32 [batch time]."""
        return self.synth(self.space.values(sounds.positions), sounds.keys)

    def render(self, sounds: Sounds) -> Image:
        """Images rendered on the device of their positions: float32 [batch 1 ...], without gradient."""
        with torch.no_grad():
            return self.frontend.to(sounds.positions.device)(self.audio(sounds))

    def images(self, sounds: Sounds) -> Image:
        """Images of sounds, from the cache when there is one."""
        if self._cache is None:
            return self.render(sounds)
        return self._cache.read(sounds.keys.cpu()).to(sounds.keys.device, non_blocking=True)

    # What Lightning calls.

    def setup(self, stage: str | None = None) -> None:
        """Render the cache, or open it, if the mode asks for one."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if self.mode == "auto":
            self.mode = "cached" if device.type == "cpu" and self._cache_refusal() is None else "on_the_fly"
        if self.mode == "cached" and self._cache is None:
            self._cache = ImageCache(
                self._cache_dir,
                f"{self.synth!r} {self.frontend!r}",
                len(self.space),
                self.shape,
                lambda rows: self.render(self.sounds(rows.to(device))),
                self._cache_limit,
            )

    def train_dataloader(self) -> DataLoader[Sounds]:
        """Training rows in an order that is a function of seed and epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Sounds]:
        """Validation rows."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[Sounds]:
        """Test rows."""
        return self._loader("test")

    def on_after_batch_transfer(self, batch: Sounds, dataloader_idx: int) -> Batch:
        """Positions, already on the device, become images there."""
        return Batch(self.images(batch), batch.positions)

    def _rows_at(self, split: Split, indices: Int64[Tensor, "index"]) -> Rows:
        if split in self._kept:
            return self._kept[split][indices]
        return self._order(self._starts[split] + indices)

    def _leave_out(self, held_out: HeldOut) -> dict[Split, Rows]:
        """The rows that are left of train and validation, listed; their sizes shrink."""
        if self.continuous:
            raise ValueError("data.held_out leaves rows of the grid out; it cannot go with data.continuous")
        if self.num_rows > MOST_LISTED:
            raise ValueError(f"data.held_out lists the rows it leaves, at most {MOST_LISTED:,}; set data.max_rows")
        left: dict[Split, Rows] = {}
        for split in ("train", "validation"):
            rows = self._order(self._starts[split] + torch.arange(self.sizes[split]))
            left[split] = rows[held_out.kept(self.space, rows, self.seed)]
            if not len(left[split]):
                raise ValueError(f"data.held_out leaves no {split} rows; make it smaller")
            self.sizes[split] = len(left[split])
        return left

    def _batches_seen(self) -> int:
        return self.trainer.global_step * self.trainer.accumulate_grad_batches if self.trainer else 0

    def _loader(self, split: Split) -> DataLoader[Sounds]:
        seed = self.seed if split == "train" else None
        batches = Batches(partial(self._rows_at, split), self.sizes[split], self.batch_size, seed, self._batches_seen)
        # batch_size=None: the sampler yields whole batches of rows, the data set answers with one batch.
        training = split == "train"
        dataset = _Split(
            self.space, self.sizes[split], self.seed, training and self.continuous, training and self.renew_nuisances
        )
        return DataLoader(dataset, sampler=batches, batch_size=None, num_workers=self.num_workers)

    def _checked_mode(self, mode: str) -> str:
        if mode == "cached" and (refusal := self._cache_refusal()):
            raise ValueError(f"data.mode=cached is impossible: {refusal}; use data.mode=on_the_fly")
        return mode

    def _cache_refusal(self) -> str | None:
        size = image_bytes(len(self.space), self.shape)
        if self.continuous:
            return "continuous draws never repeat"
        if self.renew_nuisances and self.synth.is_random:
            return "renewed nuisances never repeat"
        if size > self._cache_limit:
            return f"the images take {size / 1e9:.1f} GB, data.cache_limit_gb is {self._cache_limit / 1e9:g}"
        return None


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


class _Split(Dataset[Sounds]):
    """Batches of (row, draw number) to batches of sounds: all that a loader's worker needs."""

    def __init__(self, space: FactorSpace, length: int, seed: int, continuous: bool, renew_nuisances: bool) -> None:
        self.space, self.length, self.seed = space, length, seed
        self.continuous, self.renew_nuisances = continuous, renew_nuisances

    def __getitem__(self, batch: tuple[Int64[Tensor, "batch"], Int64[Tensor, "batch"]]) -> Sounds:
        rows, draws = batch
        if self.continuous:
            # Beyond the grid's own keys, so that no draw has the noise of a held-out row.
            return Sounds(self.space.continuous(draws, self.seed), draws + len(self.space))
        if self.renew_nuisances:
            rows_of_pass = draws // self.length * len(self.space)
            return Sounds(self.space.grid(rows), rows + rows_of_pass)
        return Sounds(self.space.grid(rows), rows)


def _split_sizes(rows: int, fractions: Sequence[float]) -> dict[Split, int]:
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"data.fractions must be three numbers above 0 with sum 1, got {list(fractions)}")
    validation, test = round(rows * fractions[1]), round(rows * fractions[2])
    sizes: dict[Split, int] = {"train": rows - validation - test, "validation": validation, "test": test}
    if min(sizes.values()) < 1:
        raise ValueError(f"{rows} rows leave a split empty: {sizes}; write more factor values, or raise data.max_rows")
    return sizes
