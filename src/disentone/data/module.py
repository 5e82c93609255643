"""The data module of every source: loaders carry row numbers, images are made or looked up where the batch is."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader

from disentone.data.batches import AsTheyCome, Batches, Carried, batches_done, check_batch_size, check_divides
from disentone.data.checks import check_audio_size, check_source
from disentone.data.held_out import HeldOut
from disentone.data.images import Asked, Images
from disentone.data.split import Without, split_of
from disentone.data.transforms import Transforms
from disentone.data.views import Partners, Views
from disentone.draws import Draw
from disentone.factors import FactorSpace
from disentone.frontends import Frontend
from disentone.precision import check_device
from disentone.shapes import Audio, Batch, Image, Part, Positions, Rows
from disentone.sources import Rendered, Source, Split


class AskedBatch(NamedTuple):
    """The images of a batch, and of the partners that the data's views relate to them."""

    anchors: Asked
    draws: Rows
    """Numbers that differ from one use of a row to the next."""
    partners: Asked | None = None
    """Partners that are other rows."""
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
        self.source, self.batch_size, self.seed, self.num_workers = source, batch_size, seed, num_workers
        self.continuous, self.renew_nuisances = continuous, renew_nuisances
        self.held_out, self.views = held_out, views
        check_source(source, views, held_out, continuous, renew_nuisances, compile)
        splits = split_of(source, fractions, max_rows, seed)
        self.splits = splits if held_out is None else Without(splits, self.space_of_grid, held_out, seed)
        check_batch_size(batch_size, self.sizes["train"])
        check_audio_size(batch_size, source.num_samples or 0)
        never_repeat = "continuous draws" if continuous else "renewed nuisances" if renew_nuisances else ""
        self._images = Images(source, mode, compile, never_repeat, cache_dir, cache_limit_gb)

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

    def partners(self, rows: Rows, draws: Rows) -> Image:
        """Images of the rows' partners, on the rows' device.

        No partner lies in the held-out part, but of rows that lie there themselves.

        Args:
            rows: [batch] row numbers.
            draws: [batch] numbers that differ from one use of a row to the next.

        """
        assert self.views is not None, "data without views has no partners"
        if isinstance(self.views, Partners):
            return self.images(self.partner_rows(rows.cpu(), draws.cpu()).to(rows.device))
        return self._transformed(self.images(rows), draws)

    def partner_rows(self, rows: Rows, draws: Rows) -> Rows:
        """Row numbers of the rows' partners, of whichever split, where partners are rows; on the CPU."""
        assert isinstance(self.views, Partners)
        return self.views.partners(self.space_of_grid, rows, draws, self.seed, self.held_out)

    def positions(self, rows: Rows) -> Positions:
        """Positions of rows, [batch factor]; nan where one is unknown."""
        return self.source.positions(rows)

    def titles(self, rows: Rows) -> list[str]:
        """What is known of each row as a person reads it, or its number."""
        if self.space is None:
            return [f"row {row}" for row in rows.tolist()]
        return [self.space.describe(positions) for positions in self.positions(rows).tolist()]

    @property
    def mode(self) -> str:
        """``on_the_fly`` or ``cached``; ``auto`` before the device is known."""
        return self._images.mode

    def images(self, rows: Rows) -> Image:
        """Images of rows, from the cache when there is one; on the rows' device."""
        return self._images.of_rows(rows)

    def audio(self, rows: Rows) -> Audio:
        """Sounds of rows, float32 [batch time], on the rows' device. Raises ValueError where there are none."""
        return self.source.audio(rows)

    # What Lightning calls.

    def setup(self, stage: str | None = None) -> None:
        """Take the source to the device; fill the cache, or open it, if the mode asks for one."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        check_device(device)
        self._images.setup(device)

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
        return self._batch(asked) if self.mode == "cached" else asked

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
            return AskedBatch(drawn, batch.draws, part=batch.part)
        renewed = training and self.renew_nuisances
        shift = batch.draws // self.sizes["train"] * len(self.source) if renewed else torch.zeros_like(batch.draws)
        partners = None
        if isinstance(self.views, Partners):
            partners = self._of_rows(self.partner_rows(batch.rows, batch.draws), shift)
        return AskedBatch(self._of_rows(batch.rows, shift), batch.draws, partners, batch.part)

    def _transformed(self, image: Image, draws: Rows) -> Image:
        assert isinstance(self.views, Transforms)
        return self.views.partners(image, Draw(self.seed, 0, draws), self.frontend)

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
            image = self._images.asked(anchors)
            partner = None if self.views is None else self._transformed(image, asked.draws)
            return Batch(image, anchors.keys, partner=partner, labels=labels, part=asked.part)
        positions = None
        if anchors.positions is not None and partners.positions is not None:
            positions = torch.cat([anchors.positions, partners.positions])
        both = Asked(torch.cat([anchors.keys, partners.keys]), positions)
        image, partner = self._images.asked(both).chunk(2)
        return Batch(image, anchors.keys, partner=partner, labels=labels, part=asked.part)
