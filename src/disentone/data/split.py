"""Which rows train, validate and test: in a seeded order, and listed only where that cannot be helped."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from disentone.data.held_out import HeldOut
from disentone.factors import FactorSpace
from disentone.hashing import Permutation
from disentone.shapes import Rows
from disentone.sources import Source, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
FRACTIONS = (0.8, 0.1, 0.1)
# Rows that are listed at most, where a part of the space is held out or rows have groups.
MOST_LISTED = 20_000_000
LISTED_AT_ONCE = 100_000
# Rows of validation and of test, which are all seen each time.
MOST_MEASURED = 50_000

Indices = Int64[Tensor, "index"]


class Splits(ABC):
    """Rows of train, validation and test."""

    sizes: dict[Split, int]
    num_rows: int
    """How many rows are in use: those of all splits."""

    @abstractmethod
    def rows_at(self, split: Split, indices: Indices) -> Rows:
        """Row numbers at places of a split."""

    @abstractmethod
    def sample(self, limit: int) -> Rows:
        """All rows in use if ``limit`` admits them, else a seeded sample over all splits; sorted."""


class Shuffled(Splits):
    """All rows of a source in a seeded order, or the first of them, cut in three; nothing is listed.

    Args:
        count: rows of the source.
        num_rows: how many of them to use.
        fractions: of these for each split.
        seed: of the order.

    """

    def __init__(self, count: int, num_rows: int, fractions: Sequence[float], seed: int) -> None:
        self.count, self.num_rows, self.seed = count, num_rows, seed
        self.sizes = split_sizes(num_rows, fractions)
        self._starts = {split: sum(list(self.sizes.values())[:i]) for i, split in enumerate(SPLITS)}
        self._order = Permutation(count, seed, "split")

    def rows_at(self, split: Split, indices: Indices) -> Rows:
        """Row numbers at places of a split."""
        return self._order(self._starts[split] + indices)

    def sample(self, limit: int) -> Rows:
        """All rows in use if ``limit`` admits them, else a seeded sample over all splits; sorted."""
        if self.num_rows == self.count and self.num_rows <= limit:
            return torch.arange(self.num_rows)
        return self._order(_places(self.num_rows, limit, self.seed)).sort().values


class Listed(Splits):
    """Rows of each split as they are given.

    Args:
        rows: of each split; validation and test may share some.
        seed: of samples.

    """

    def __init__(self, rows: Mapping[Split, Rows], seed: int) -> None:
        self.rows, self.seed = dict(rows), seed
        self.sizes = _checked({split: len(self.rows[split]) for split in SPLITS})
        self._used = torch.cat([self.rows[split] for split in SPLITS]).unique()  # type: ignore[no-untyped-call]
        self.num_rows = len(self._used)

    def rows_at(self, split: Split, indices: Indices) -> Rows:
        """Row numbers at places of a split."""
        return self.rows[split][indices]

    def sample(self, limit: int) -> Rows:
        """All rows in use if ``limit`` admits them, else a seeded sample over all splits; sorted."""
        return self._used[_places(self.num_rows, limit, self.seed)].sort().values


class Without(Splits):
    """Splits of which train and validation leave a part of the space out; the rows that are left to them are listed.

    Of more than 20 million rows of a split a seeded sample of so many is used, less those that are left out.

    Raises:
        ValueError: where no rows are left.

    """

    def __init__(self, splits: Splits, space: FactorSpace, held_out: HeldOut, seed: int) -> None:
        self.splits, self.sizes, self.num_rows = splits, dict(splits.sizes), splits.num_rows
        self._kept: dict[Split, Rows] = {}
        for split in ("train", "validation"):
            size = min(self.sizes[split], MOST_LISTED)
            indices = (torch.arange(i, min(i + LISTED_AT_ONCE, size)) for i in range(0, size, LISTED_AT_ONCE))
            listed = (splits.rows_at(split, part) for part in indices)
            self._kept[split] = torch.cat([rows[held_out.kept(space, rows, seed)] for rows in listed])
            if not len(self._kept[split]):
                raise ValueError(f"data.held_out leaves no {split} rows; make it smaller")
            self.sizes[split] = len(self._kept[split])

    def rows_at(self, split: Split, indices: Indices) -> Rows:
        """Row numbers at places of a split."""
        return self._kept[split][indices] if split in self._kept else self.splits.rows_at(split, indices)

    def sample(self, limit: int) -> Rows:
        """All rows in use, those that are left out of training among them, or a seeded sample; sorted."""
        return self.splits.sample(limit)


def split_of(source: Source, fractions: Sequence[float] | None, max_rows: int | None, seed: int) -> Splits:
    """The splits of a source: its own, or by fractions of its groups or rows.

    Args:
        source: of the rows.
        fractions: for train, validation and test; None takes the source's own split or 0.8, 0.1, 0.1.
        max_rows: how many rows to use; all by default. Groups are used whole, so that it may be somewhat fewer.
        seed: of the order.

    Raises:
        ValueError: for what leaves a split empty, or groups of more rows than can be listed.

    """
    num_rows = len(source) if max_rows is None else min(max_rows, len(source))
    if fractions is None and (own := source.split(seed)) is not None:
        share = num_rows / len(source)
        return Listed({split: rows[: round(share * len(rows))] for split, rows in own.items()}, seed)
    if source.groups(torch.arange(1)) is None:
        return Shuffled(len(source), num_rows, fractions or FRACTIONS, seed)
    if len(source) > MOST_LISTED:
        raise ValueError(
            f"rows with groups are listed, at most {MOST_LISTED:,} of them; the source has {len(source):,}"
        )
    return Listed(_by_group(source, fractions or FRACTIONS, num_rows, seed), seed)


def _by_group(source: Source, fractions: Sequence[float], num_rows: int, seed: int) -> dict[Split, Rows]:
    """Whole groups, dealt to the splits by fractions of their number; the rows of each split shuffled."""
    groups = source.groups(torch.arange(len(source)))
    assert groups is not None
    names, group = groups.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    # The order of the groups, and where in it each row's group stands.
    place = Permutation(len(names), seed, "groups")(torch.arange(len(names))).argsort()[group]
    used = int((torch.bincount(place).cumsum(0) <= num_rows).sum())
    ends = torch.tensor(list(split_sizes(used, fractions, "groups").values())).cumsum(0)
    parts = (((place < end) & (place >= begin)).nonzero()[:, 0] for begin, end in pairwise([0, *ends.tolist()]))
    return {
        split: rows[Permutation(len(rows), seed, "within a split")(torch.arange(len(rows)))]
        for split, rows in zip(SPLITS, parts, strict=True)
    }


def _places(num_rows: int, limit: int, seed: int) -> Indices:
    return Permutation(num_rows, seed, "sample")(torch.arange(min(limit, num_rows)))


def split_sizes(rows: int, fractions: Sequence[Any], of: str = "rows") -> dict[Split, int]:
    """How many rows, or groups, each split has. Raises ValueError where one has none, or for other fractions."""
    are_numbers = len(fractions) == 3 and all(isinstance(part, int | float) for part in fractions)
    # So written, nan is refused too.
    if not (are_numbers and min(fractions) > 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise ValueError(f"data.fractions must be three numbers above 0 with sum 1, got {list(fractions)}")
    validation, test = (min(round(rows * fraction), MOST_MEASURED) for fraction in fractions[1:])
    return _checked({"train": rows - validation - test, "validation": validation, "test": test}, of)


def _checked(sizes: dict[Split, int], of: str = "rows") -> dict[Split, int]:
    if min(sizes.values()) < 1:
        raise ValueError(
            f"{sum(sizes.values())} {of} leave a split empty: {sizes}; write more factor values, or raise data.max_rows"
        )
    return sizes
