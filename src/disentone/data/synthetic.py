"""A synthetic data set is a function: positions travel, sound and image are made on the batch's device."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset

from disentone.data.batches import Carried
from disentone.data.cache import ImageCache, image_bytes
from disentone.data.factor_data import SPLITS, FactorData, Split, check_batch_size
from disentone.data.held_out import HeldOut
from disentone.data.views import Views
from disentone.factors import FactorSpace
from disentone.frontends import Frontend
from disentone.frontends.frontend import Spectrogram
from disentone.hashing import Permutation
from disentone.precision import check_device, full_float32
from disentone.shapes import Audio, Batch, Image, Part, Positions, Rows
from disentone.synths import Synth

# Rows that training is drawn from where a part of the space is held out: they are listed.
MOST_LISTED = 20_000_000
LISTED_AT_ONCE = 100_000
# Rows of validation and of test, which are all seen each time.
MOST_MEASURED = 50_000
# Of a batch's sounds alone; rendering and network take several times as much.
MOST_BYTES = 2**34


class Sounds(NamedTuple):
    """Which sounds: factor positions, and the keys of their nuisances (row numbers unless these are renewed)."""

    positions: Positions
    keys: Rows
    part: Part | None = None
    """The part of the batch that one of several processes has; None for all of it."""
    partners: "Sounds | None" = None
    """The sound beside each of them that the data's views relate to it."""


class SyntheticData(FactorData):
    """Sounds of a synth, seen through a front-end, split into train, validation and test rows.

    Args:
        synth: values to audio.
        frontend: audio to image.
        batch_size: rows of a batch, whichever number of processes share it.
        mode: ``on_the_fly`` renders every batch on its device; ``cached`` renders the whole space once, as
            float16 on disk, for all runs with the same synth and front-end; ``auto`` is cached on a CPU where
            the limit admits it and ``compile`` is not asked for, and on the fly elsewhere.
        fractions: of the rows for train, validation and test. Validation and test have 50,000 rows each at most, the
            rest is trained on.
        continuous: train on draws from the factors' ranges, new ones every epoch, instead of the grid's rows.
        renew_nuisances: give every row new nuisances (noise, phases, onset, level) every epoch.
        held_out: a part of the space that train and validation rows leave out; the test rows have it. Of more than
            20 million training rows a seeded sample of so many is used, less those that are left out.
        views: gives every row of a batch a partner, for methods that learn from pairs. A partner may be any row of the
            grid, of whichever split; no row outside of the held-out part has a partner inside.
        max_rows: use only so many rows, a seeded sample; all by default.
        seed: of the split, the order and the continuous draws.
        cache_dir: where ``cached`` keeps its files, safe to delete.
        cache_limit_gb: what they may take together; the least recently used go first.
        num_workers: of the loaders; positions are cheap, so 0 is fastest.
        compile: render the loaders' batches by ``torch.compile``, positions to image one graph of few kernels: for
            a GPU, where a hundred small ones may take longer to launch than to run. The first batch then takes long.

    Raises:
        ValueError: for settings that leave a split without rows, contradict one another or need more than 16 GiB for
            the sounds of a batch.

    """

    frontend: Frontend

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
        views: Views | None = None,
        max_rows: int | None = None,
        seed: int = 0,
        cache_dir: str | Path = "outputs/cache",
        cache_limit_gb: float = 10.0,
        num_workers: int = 0,
        compile: bool = False,
    ) -> None:
        super().__init__(batch_size, seed, num_workers)
        if frontend.sample_rate != synth.sample_rate:
            raise ValueError(f"the synth runs at {synth.sample_rate} Hz, the front-end at {frontend.sample_rate} Hz")
        if mode not in ("auto", "on_the_fly", "cached"):
            raise ValueError(f"data.mode must be auto, on_the_fly or cached, got {mode}")
        if renew_nuisances and not synth.is_random:
            raise ValueError(
                "data.renew_nuisances renews what no factor tells of, and this synth has nothing of that kind; give it "
                "noise, random_phase, onset or level_db, or leave data.renew_nuisances out"
            )
        if isinstance(frontend, Spectrogram) and frontend.hop > synth.num_samples:
            raise ValueError(
                f"frontend.hop is {frontend.hop:,} samples, and a sound has {synth.num_samples:,}, so that images "
                "would have one frame; take a smaller hop or a longer synth.duration"
            )
        self.synth, self.frontend, self.space = synth, frontend, synth.space
        self.continuous, self.renew_nuisances = continuous, renew_nuisances
        self.shape = frontend.shape(synth.num_samples)
        self.num_rows = len(self.space) if max_rows is None else min(max_rows, len(self.space))
        self.sizes = _split_sizes(self.num_rows, fractions)
        self._starts = {split: sum(list(self.sizes.values())[:i]) for i, split in enumerate(SPLITS)}
        self._order = Permutation(len(self.space), seed)
        self.held_out, self.views = held_out, views
        if views is not None and continuous:
            raise ValueError("views relate rows of the grid to one another; they cannot go with data.continuous")
        self._kept = {} if held_out is None else self._leave_out(held_out)
        check_batch_size(batch_size, self.sizes["train"])
        _check_audio_size(batch_size, synth.num_samples)
        if not cache_limit_gb >= 0:
            raise ValueError(f"data.cache_limit_gb must be 0 or more (.inf for no limit), got {cache_limit_gb}")
        self._cache_dir, self._cache_limit = Path(cache_dir), cache_limit_gb * 1e9
        self._compiles = compile
        self._cache: ImageCache | None = None
        self.mode = self._checked_mode(mode)
        self._image_of: Callable[[Positions, Rows], Image] = self._rendered
        if compile:
            torch.compiler.reset()  # graphs of an earlier run in this process count against torch's limit of them
            # A pass's smaller last batch gets a graph of its own.
            self._image_of = torch.compile(self._rendered, fullgraph=True, dynamic=False)

    # What is in the data: rows, sounds, images.

    def rows_at(self, split: Split, indices: Int64[Tensor, "index"]) -> Rows:
        """Row numbers at places of a split, in its seeded order."""
        if split in self._kept:
            return self._kept[split][indices]
        return self._order(self._starts[split] + indices)

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
        self.frontend.to(sounds.positions.device)
        with torch.no_grad():
            return self._rendered(sounds.positions, sounds.keys)

    def _rendered(self, positions: Positions, keys: Rows) -> Image:
        return self.frontend(self.synth(self.space.values(positions), keys))

    def positions(self, rows: Rows) -> Positions:
        """Positions of rows of the grid."""
        return self.space.grid(rows)

    def images(self, rows: Rows) -> Image:
        """Images of rows of the grid, from the cache when there is one; on the rows' device."""
        return self._images(self.sounds(rows))

    def _images(self, sounds: Sounds) -> Image:
        if self._cache is None:
            return self.render(sounds)
        return self._cache.read(sounds.keys.cpu()).to(sounds.keys.device, non_blocking=True)

    # What Lightning calls.

    def setup(self, stage: str | None = None) -> None:
        """Render the cache, or open it, if the mode asks for one."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        check_device(device)
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

    def dataset(self, split: Split) -> Dataset[Sounds]:
        """From (rows, draw numbers) to sounds: all that a loader's worker needs."""
        training = split == "train"
        return _Split(
            self.space,
            self.sizes[split],
            self.seed,
            training and self.continuous,
            training and self.renew_nuisances,
            self.views,
            self.held_out,
        )

    def on_before_batch_transfer(self, batch: Sounds, dataloader_idx: int) -> Sounds | Batch:
        """Images that are on disk are looked up while their keys are still on the CPU."""
        return batch if self._cache is None else _batch(batch, self._images)

    def on_after_batch_transfer(self, batch: Sounds | Batch, dataloader_idx: int) -> Batch:
        """Positions, already on the device, become images there."""
        if isinstance(batch, Batch):
            return batch
        return _batch(batch, self._loaded)

    def _loaded(self, sounds: Sounds) -> Image:
        """As ``images``, and compiled if that was asked for."""
        if self._cache is not None:
            return self._images(sounds)
        self.frontend.to(sounds.positions.device)
        with torch.no_grad(), full_float32():
            return self._image_of(sounds.positions, sounds.keys)

    def _leave_out(self, held_out: HeldOut) -> dict[Split, Rows]:
        """The rows that are left of train and validation, listed; their sizes shrink."""
        if self.continuous:
            raise ValueError("data.held_out leaves rows of the grid out; it cannot go with data.continuous")
        left: dict[Split, Rows] = {}
        for split in ("train", "validation"):
            size = min(self.sizes[split], MOST_LISTED)
            indices = (torch.arange(i, min(i + LISTED_AT_ONCE, size)) for i in range(0, size, LISTED_AT_ONCE))
            listed = (self._order(self._starts[split] + part) for part in indices)
            left[split] = torch.cat([rows[held_out.kept(self.space, rows, self.seed)] for rows in listed])
            if not len(left[split]):
                raise ValueError(f"data.held_out leaves no {split} rows; make it smaller")
            self.sizes[split] = len(left[split])
        return left

    def _checked_mode(self, mode: str) -> str:
        if mode == "cached" and (refusal := self._cache_refusal()):
            raise ValueError(f"data.mode=cached is impossible: {refusal}; use data.mode=on_the_fly")
        return mode

    def _cache_refusal(self) -> str | None:
        size = image_bytes(len(self.space), self.shape)
        if self.continuous:
            return "continuous draws never repeat"
        if self._compiles:
            return "data.compile is of batches that are rendered, not read"
        if self.renew_nuisances and self.synth.is_random:
            return "renewed nuisances never repeat"
        if size > self._cache_limit:
            return f"the images take {size / 1e9:.1f} GB, data.cache_limit_gb is {self._cache_limit / 1e9:g}"
        return None


class _Split(Dataset[Sounds]):
    """Batches of (rows, draw numbers, part) to batches of sounds: all that a loader's worker needs."""

    def __init__(
        self,
        space: FactorSpace,
        length: int,
        seed: int,
        continuous: bool,
        renew_nuisances: bool,
        views: Views | None,
        held_out: HeldOut | None,
    ) -> None:
        self.space, self.length, self.seed = space, length, seed
        self.continuous, self.renew_nuisances = continuous, renew_nuisances
        self.views, self.held_out = views, held_out

    def __getitem__(self, batch: Carried) -> Sounds:
        rows, draws, part = batch
        if self.continuous:
            # Beyond the grid's own keys, so that no draw has the noise of a held-out row.
            return Sounds(self.space.continuous(draws, self.seed), draws + len(self.space), part)
        rows_of_pass = draws // self.length * len(self.space) if self.renew_nuisances else torch.zeros_like(draws)
        partners = None
        if self.views is not None:
            others = self.views.partners(self.space, rows, draws, self.seed, self.held_out)
            partners = Sounds(self.space.grid(others), others + rows_of_pass)
        return Sounds(self.space.grid(rows), rows + rows_of_pass, part, partners)


def _batch(sounds: Sounds, images: Callable[[Sounds], Image]) -> Batch:
    """Sounds as a batch; those of the partners become images in one go with the others."""
    if sounds.partners is None:
        return Batch(images(sounds), sounds.keys, labels=sounds.positions, part=sounds.part)
    positions = torch.cat([sounds.positions, sounds.partners.positions])
    image, partner = images(Sounds(positions, torch.cat([sounds.keys, sounds.partners.keys]))).chunk(2)
    return Batch(image, sounds.keys, partner=partner, labels=sounds.positions, part=sounds.part)


def _check_audio_size(batch_size: int, num_samples: int) -> None:
    if (size := 4 * batch_size * num_samples) > MOST_BYTES:
        raise ValueError(
            f"a batch of {batch_size} sounds of {num_samples:,} samples takes {size / 2**30:,.0f} GiB, at most "
            f"{MOST_BYTES / 2**30:.0f} are possible; use a smaller synth.duration, synth.sample_rate or data.batch_size"
        )


def _split_sizes(rows: int, fractions: Sequence[Any]) -> dict[Split, int]:
    are_numbers = len(fractions) == 3 and all(isinstance(part, int | float) for part in fractions)
    # So written, nan is refused too.
    if not (are_numbers and min(fractions) > 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise ValueError(f"data.fractions must be three numbers above 0 with sum 1, got {list(fractions)}")
    validation, test = (min(round(rows * fraction), MOST_MEASURED) for fraction in fractions[1:])
    sizes: dict[Split, int] = {"train": rows - validation - test, "validation": validation, "test": test}
    if min(sizes.values()) < 1:
        raise ValueError(f"{rows} rows leave a split empty: {sizes}; write more factor values, or raise data.max_rows")
    return sizes
