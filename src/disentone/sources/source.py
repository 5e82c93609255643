"""What every source of images promises; what is seen is apart from what is known of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch

from disentone.factors import FactorSpace
from disentone.frontends import Frontend
from disentone.shapes import Audio, Image, Positions, Rows, Values

Split = Literal["train", "validation", "test"]


class Source(ABC):
    """Images [batch channel ...] in [0, 1], each with a number, its row.

    A source of one's own sets ``shape`` and has ``__len__`` and ``images``; all else has an answer already. One with
    factors sets ``space``, and either ``is_grid`` or has ``positions``.
    """

    shape: tuple[int, ...]
    """Of an image."""
    space: FactorSpace | None = None
    """Names, units and values of the factors; None where nothing is known of any."""
    is_grid: bool = False
    """Whether the rows are those of the space, in its order: what views and held-out parts relate to one another."""
    key: str | None = None
    """Names everything that the images depend on, for the cache; None where there is nothing to be gained by one."""
    frontend: Frontend | None = None
    """What made the images from audio, and knows their axes; None for pictures."""
    num_samples: int | None = None
    """Of each row's sound; None where there is none to be heard."""

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def images(self, rows: Rows) -> Image:
        """Images of rows, on the rows' device."""

    def audio(self, rows: Rows) -> Audio:
        """Sounds of rows, float32 [batch time], on the rows' device. Raises ValueError where there are none."""
        raise ValueError(f"{type(self).__name__} has images without sounds; nothing of it can be heard")

    def positions(self, rows: Rows) -> Positions:
        """The place of each row along each factor, [row factor], in the order of ``space``; nan where it is unknown.

        Raises:
            ValueError: where nothing is known of any factor.

        """
        if self.space is None or not self.is_grid:
            raise ValueError(f"{type(self).__name__} does not say where its rows lie along factors")
        return self.space.grid(rows)

    def values(self, rows: Rows) -> Values:
        """The values of each row in the factors' units, float64 [row factor]; nan where one is unknown."""
        positions = self.positions(rows).double()
        assert self.space is not None
        known = positions.isfinite()
        return torch.where(known, self.space.values(positions.nan_to_num()), torch.nan)

    def groups(self, rows: Rows) -> Rows | None:
        """The group of each row (an instrument, a session), which lies in one split as a whole; None for no groups."""
        return None

    def split(self, seed: int) -> Mapping[Split, Rows] | None:
        """The split that the images are published with, its rows shuffled by a seed; None where there is none."""
        return None

    def to(self, device: torch.device) -> None:  # noqa: B027 (most sources have nothing to take along)
        """Take what images are made from to a device; called before they are asked for there."""


class Rendered(Source):
    """A synthesiser: every row of its space is made when it is asked for, and so is any place between the rows."""

    space: FactorSpace
    is_grid = True
    is_random: bool = False
    """Whether there is something in its images that no factor tells of, so that other keys give other images."""

    @abstractmethod
    def at(self, positions: Positions, keys: Rows) -> Image:
        """Images at whole or fractional positions, on their device, where :meth:`to` has been before; pure.

        Args:
            positions: [batch factor].
            keys: [batch], which pick what no factor tells of; those of a row are its number.

        """

    def __len__(self) -> int:
        return len(self.space)

    def images(self, rows: Rows) -> Image:
        """Images of rows, on the rows' device, without gradient."""
        self.to(rows.device)
        with torch.no_grad():
            return self.at(self.space.grid(rows), rows)
