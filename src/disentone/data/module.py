"""The data module of every source: loaders carry row numbers, images are made or looked up where the batch is."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader

from disentone.data.batches import AsTheyCome, Batches, Carried, batches_done, check_batch_size, check_divides
from disentone.data.cache import ImageCache, image_bytes
from disentone.data.held_out import HeldOut
from disentone.data.split import Without, split_of
from disentone.data.views import Views
from disentone.factors import FactorSpace
from disentone.frontends import Frontend
from disentone.precision import check_device, full_float32
from disentone.shapes import Audio, Batch, Image, Part, Positions, Rows
from disentone.sources import Rendered, Source, Split

# Of a batch's sounds alone; rendering and network take several times as much.
MOST_BYTES = 2**34


class Asked(NamedTuple):
    """Which images: those of rows, or what a synthesiser renders at positions."""

    keys: Rows
    """Row numbers, unless nuisances are renewed or draws lie between the rows."""
    positions: Positions | None = None
    """Where to render; None where the images of rows are looked up."""


class AskedBatch(NamedTuple):
    """The images of a batch, and of the partners that the data's views relate to them."""

    anchors: Asked
    partners: Asked | None = None
    part: Part | None = None


class DataModule(pl.LightningDataModule):
    """Images of a source, split into train, validation and test rows.

    Args:
        source: of the images, and of what is known of them.
        batch_size: rows of a batch, whichever number of processes share it.
        mode: ``on_the_fly`` makes every batch on its device; ``cached`` makes the images of all rows once, as
            float16 on disk, for all runs with the same synth and front-end; ``auto`` is cached on a CPU where
            the limit admits it and ``compile`` is not asked for, and on the fly elsewhere.
        fractions: of the rows for train, validation and test; null takes the split that the source comes with, as
            digits do, or 0.8, 0.1, 0.1. Validation and test have 50,000 rows each at most, the rest is trained on.
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
        num_workers: of the loaders; row numbers are cheap, so 0 is fastest.
        compile: render the loaders' batches by ``torch.compile``, positions to image one graph of few kernels: for
            a GPU, where a hundred small ones may take longer to launch than to run. The first batch then takes long.

    Raises:
        ValueError: for settings that leave a split without rows, contradict one another, ask of the source what it
            cannot, or need more than 16 GiB for the sounds of a batch.

    """

    def __init__(
        self,
        source: Source,
        batch_size: int = 64,
        mode: str = "auto",
        fractions: Sequence[float] | None = None,
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
        super().__init__()
        if mode not in ("auto", "on_the_fly", "cached"):
            raise ValueError(f"data.mode must be auto, on_the_fly or cached, got {mode}")
        if not cache_limit_gb >= 0:
            raise ValueError(f"data.cache_limit_gb must be 0 or more (.inf for no limit), got {cache_limit_gb}")
        self.source, self.batch_size, self.seed, self.num_workers = source, batch_size, seed, num_workers
        self.continuous, self.renew_nuisances, self.compile = continuous, renew_nuisances, compile
        self.held_out, self.views = held_out, views
        self._check_source()
        splits = split_of(source, fractions, max_rows, seed)
        self.splits = splits if held_out is None else Without(splits, self.space_of_grid, held_out, seed)
        check_batch_size(batch_size, self.sizes["train"])
        _check_audio_size(batch_size, source.num_samples or 0)
        self._cache_dir, self._cache_limit = Path(cache_dir), cache_limit_gb * 1e9
        self._cache: ImageCache | None = None
        if mode == "cached" and (refusal := self._cache_refusal()):
            raise ValueError(f"data.mode=cached is impossible: {refusal}; use data.mode=on_the_fly")
        self.mode = mode
        self._at: Callable[[Positions, Rows], Image] | None = None
        if isinstance(source, Rendered):
            self._at = source.at
        if compile and isinstance(source, Rendered):
            torch.compiler.reset()  # graphs of an earlier run in this process count against torch's limit of them
            # A pass's smaller last batch gets a graph of its own.
            self._at = torch.compile(source.at, fullgraph=True, dynamic=False)

    # What is in the data: rows, images, sounds, and what is known of them.

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image."""
        return self.source.shape

    @property
    def space(self) -> FactorSpace | None:
        """What is known of the factors; None where nothing is."""
        return self.source.space

    @property
    def space_of_grid(self) -> FactorSpace:
        """The space whose rows are those of the data.

        Raises:
            ValueError: where the rows are no grid of factors.

        """
        if self.source.space is None or not self.source.is_grid:
            raise ValueError(f"the rows of {type(self.source).__name__} are no grid of factors; take source=tones")
        return self.source.space

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the factors that are known, none perhaps."""
        return () if self.space is None else self.space.names

    @property
    def frontend(self) -> Frontend | None:
        """What made the images from audio, and knows their axes; None for pictures."""
        return self.source.frontend

    @property
    def sizes(self) -> dict[Split, int]:
        """How many rows each split has."""
        return self.splits.sizes

    @property
    def num_rows(self) -> int:
        """How many rows are in use."""
        return self.splits.num_rows

    @property
    def supervision(self) -> str:
        """What a method is told beside the images: ``none``, or how the pairs came about that it learns from."""
        return "none" if self.views is None else self.views.supervision

    def rows(self, split: Split, count: int | None = None) -> Rows:
        """Row numbers of a split in its seeded order: the first ``count`` at most, which alone are listed, or all."""
        size = self.sizes[split] if count is None else min(count, self.sizes[split])
        return self.rows_at(split, torch.arange(size))

    def rows_at(self, split: Split, indices: Int64[Tensor, "index"]) -> Rows:
        """Row numbers at places of a split, in its seeded order."""
        return self.splits.rows_at(split, indices)

    def evaluation_rows(self, limit: int) -> Rows:
        """Rows to score on: all in use if ``limit`` admits them, else a seeded sample over all splits; sorted."""
        return self.splits.sample(limit)

    def partners(self, rows: Rows, draws: Rows) -> Rows:
        """The partner of each row, on the CPU.

        Args:
            rows: [batch] row numbers.
            draws: [batch] numbers that differ from one use of a row to the next.

        Returns:
            row numbers [batch], of whichever split; none in the held-out part but of rows that lie there themselves.

        """
        assert self.views is not None, "data without views has no partners"
        return self.views.partners(self.space_of_grid, rows, draws, self.seed, self.held_out)

    def positions(self, rows: Rows) -> Positions:
        """Positions of rows, [batch factor]; nan where one is unknown."""
        return self.source.positions(rows)

    def titles(self, rows: Rows) -> list[str]:
        """What is known of each row as a person reads it, or its number."""
        if self.space is None:
            return [f"row {row}" for row in rows.tolist()]
        return [self.space.describe(positions) for positions in self.positions(rows).tolist()]

    def images(self, rows: Rows) -> Image:
        """Images of rows, from the cache when there is one; on the rows' device."""
        return self._made(rows) if self._cache is None else self._looked_up(rows)

    def audio(self, rows: Rows) -> Audio:
        """Sounds of rows, float32 [batch time], on the rows' device. Raises ValueError where there are none."""
        return self.source.audio(rows)

    # What Lightning calls.

    def setup(self, stage: str | None = None) -> None:
        """Take the source to the device; fill the cache, or open it, if the mode asks for one."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        check_device(device)
        self.source.to(device)
        if self.mode == "auto":
            self.mode = "cached" if device.type == "cpu" and self._cache_refusal() is None else "on_the_fly"
        if self.mode == "cached" and self._cache is None:
            self._cache = ImageCache(
                self._cache_dir,
                str(self.source.key),
                len(self.source),
                self.shape,
                lambda rows: self._made(rows.to(device)),
                self._cache_limit,
            )

    def train_dataloader(self) -> DataLoader[Carried]:
        """Training rows in an order that is a function of seed and epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Carried]:
        """Validation rows."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[Carried]:
        """Test rows."""
        return self._loader("test")

    def on_before_batch_transfer(self, batch: Carried, dataloader_idx: int) -> AskedBatch | Batch:
        """Partners are drawn, and images that are on disk looked up, while the row numbers are still on the CPU."""
        asked = self._asked(batch)
        return asked if self._cache is None else self._batch(asked)

    def on_after_batch_transfer(self, batch: AskedBatch | Batch, dataloader_idx: int) -> Batch:
        """Rows and positions, already on the device, become images there."""
        return batch if isinstance(batch, Batch) else self._batch(batch)

    def _loader(self, split: Split) -> DataLoader[Carried]:
        process, processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        check_divides(self.batch_size, processes)
        batches = Batches(
            split,
            partial(self.rows_at, split),
            self.sizes[split],
            self.batch_size,
            self.seed if split == "train" else None,
            lambda: batches_done(self.trainer) if self.trainer else 0,
            process,
            processes,
        )
        # batch_size=None: the sampler yields whole batches, of which the data set changes nothing.
        return DataLoader(AsTheyCome(), sampler=batches, batch_size=None, num_workers=self.num_workers)

    # From row numbers to a batch.

    def _asked(self, batch: Carried) -> AskedBatch:
        """Which images a batch shows."""
        training = batch.split == "train"
        if training and self.continuous:
            space = self.space_of_grid
            # Beyond the grid's own keys, so that no draw has the noise of a held-out row.
            drawn = Asked(batch.draws + len(space), space.continuous(batch.draws, self.seed))
            return AskedBatch(drawn, part=batch.part)
        renewed = training and self.renew_nuisances
        shift = batch.draws // self.sizes["train"] * len(self.source) if renewed else torch.zeros_like(batch.draws)
        partners = None if self.views is None else self._of_rows(self.partners(batch.rows, batch.draws), shift)
        return AskedBatch(self._of_rows(batch.rows, shift), partners, batch.part)

    def _of_rows(self, rows: Rows, shift: Rows) -> Asked:
        is_rendered = isinstance(self.source, Rendered)
        return Asked(rows + shift, self.source.positions(rows) if is_rendered else None)

    def _batch(self, asked: AskedBatch) -> Batch:
        """The batch; images of partners are made in one go with the others."""
        anchors, partners = asked.anchors, asked.partners
        labels = anchors.positions
        if labels is None and self.space is not None:
            labels = self.positions(anchors.keys)
        if partners is None:
            return Batch(self._image(anchors), anchors.keys, labels=labels, part=asked.part)
        positions = None
        if anchors.positions is not None and partners.positions is not None:
            positions = torch.cat([anchors.positions, partners.positions])
        image, partner = self._image(Asked(torch.cat([anchors.keys, partners.keys]), positions)).chunk(2)
        return Batch(image, anchors.keys, partner=partner, labels=labels, part=asked.part)

    def _image(self, asked: Asked) -> Image:
        if self._cache is not None:
            return self._looked_up(asked.keys)
        if asked.positions is None or self._at is None:
            return self._made(asked.keys)
        self.source.to(asked.keys.device)
        with torch.no_grad(), full_float32():
            return self._at(asked.positions, asked.keys)

    def _made(self, rows: Rows) -> Image:
        with torch.no_grad():
            return self.source.images(rows)

    def _looked_up(self, rows: Rows) -> Image:
        assert self._cache is not None
        return self._cache.read(rows.cpu()).to(rows.device, non_blocking=True)

    # What cannot be.

    def _check_source(self) -> None:
        """Raise ValueError for settings that ask of the source what it cannot."""
        name, between = type(self.source).__name__, isinstance(self.source, Rendered)
        for key, asked in (
            ("continuous", self.continuous),
            ("renew_nuisances", self.renew_nuisances),
            ("compile", self.compile),
        ):
            if asked and not between:
                raise ValueError(f"data.{key} needs a source that renders, such as source=tones; {name} does not")
        if self.renew_nuisances and isinstance(self.source, Rendered) and not self.source.is_random:
            raise ValueError(
                "data.renew_nuisances renews what no factor tells of, and this synth has nothing of that kind; give it "
                "noise, random_phase, onset or level_db, or leave data.renew_nuisances out"
            )
        if self.views is not None:
            if self.continuous:
                raise ValueError("views relate rows of the grid to one another; they cannot go with data.continuous")
            self._check_grid("views relate")
        if self.held_out is not None:
            if self.continuous:
                raise ValueError("data.held_out leaves rows of the grid out; it cannot go with data.continuous")
            self._check_grid("data.held_out leaves out")

    def _check_grid(self, what: str) -> None:
        if not self.source.is_grid:
            name = type(self.source).__name__
            raise ValueError(f"{what} rows of a grid of factors, which those of {name} are not; take source=tones")

    def _cache_refusal(self) -> str | None:
        size = image_bytes(len(self.source), self.shape)
        if self.source.key is None:
            return "the images of this source lie in memory already"
        if self.continuous:
            return "continuous draws never repeat"
        if self.compile:
            return "data.compile is of batches that are rendered, not read"
        if self.renew_nuisances:
            return "renewed nuisances never repeat"
        if size > self._cache_limit:
            return f"the images take {size / 1e9:.1f} GB, data.cache_limit_gb is {self._cache_limit / 1e9:g}"
        return None


def _check_audio_size(batch_size: int, num_samples: int) -> None:
    if (size := 4 * batch_size * num_samples) > MOST_BYTES:
        raise ValueError(
            f"a batch of {batch_size} sounds of {num_samples:,} samples takes {size / 2**30:,.0f} GiB, at most "
            f"{MOST_BYTES / 2**30:.0f} are possible; use a smaller synth.duration, synth.sample_rate or data.batch_size"
        )
