"""Views: for every row a partner, an image that is related to its own in a known way; here, other rows of the grid."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from disentone import hashing
from disentone.data.held_out import HeldOut
from disentone.factors import FactorSpace
from disentone.shapes import Rows
from disentone.sources import Source

STEP, SQUARES, SHARED = map(hashing.stream, ("step of a partner", "squares of its law", "part that steps share"))
REDRAW, OTHER = map(hashing.stream, ("redrawn label", "other position"))
CHOICE, COUNT = map(hashing.stream, ("factors that differ", "how many factors differ"))
ATTEMPTS = 16


class Views(ABC):
    """What the partners of rows are: other rows (:class:`Partners`), or the rows' own images, transformed."""

    supervision: ClassVar[str]
    """What a method that learns from these pairs is told: the word that stands beside its scores."""

    @abstractmethod
    def check(self, source: Source) -> None:
        """Raise ValueError for a source whose images have no such partners."""


def grid_of(source: Source, what: str) -> FactorSpace:
    """The space whose rows are a source's. Raises ValueError where these are no grid, saying what would need one."""
    if source.space is None or not source.is_grid:
        name = type(source).__name__
        raise ValueError(f"{what} rows of a grid of factors, which those of {name} are not; take source=tones")
    return source.space


class Partners(Views):
    """A law of partner rows. Each is a function of (seed, row, draw number), so that a resumed run has the same."""

    def check(self, source: Source) -> None:
        """Raise ValueError unless the rows are a grid of factors that has such partners."""
        self.check_space(grid_of(source, "views relate"))

    def check_space(self, space: FactorSpace) -> None:
        """Raise ValueError for a space whose rows cannot be so related; by default those of every space can."""

    def partners(self, space: FactorSpace, rows: Rows, draws: Rows, seed: int, held_out: HeldOut | None = None) -> Rows:
        """The partner of each row. No row outside of a held-out part of the space has a partner inside.

        A partner inside the held-out part is drawn again; after 16 draws the row is its own partner.

        Args:
            space: of the rows.
            rows: [batch] row numbers on the CPU.
            draws: [batch] numbers that differ from one use of a row to the next.
            seed: of the draws.
            held_out: the part of the space that no partner lies in.

        Returns:
            row numbers [batch].

        """
        found = self.draw(space, rows, draws, seed, 0)
        if held_out is None:
            return found
        for attempt in range(1, ATTEMPTS + 1):
            inside = held_out.contains(space, space.grid(found))
            if not inside.any():
                return found
            again = rows if attempt == ATTEMPTS else self.draw(space, rows, draws, seed, attempt)
            found = torch.where(inside, again, found)
        return found

    @abstractmethod
    def draw(self, space: FactorSpace, rows: Rows, draws: Rows, seed: int, attempt: int) -> Rows:
        """One draw of a partner for each row; another ``attempt`` gives another one."""


class Neighbours(Partners):
    """Partners whose factors all moved a little at once, made by the generator: it moves every factor by a random step.

    A step is a share of the factor's range, reflected at the ends of the range and rounded to a value of the grid.
    A factor with labels has no order to step along: it is redrawn, so seldom that this tells about as much as a step.

    Args:
        width: size of the steps as a share of the range; about the standard deviation.
        redraw: the probability that a labelled factor changes to another of its labels.

    Raises:
        ValueError: for a width that is not above 0, or a probability outside [0, 1].

    """

    supervision = "generator's neighbours"

    def __init__(self, width: float = 0.11, redraw: float = 0.05) -> None:
        if not 0 < width < float("inf"):
            raise ValueError(f"views.width is a share of a factor's range and must be above 0, got {width}")
        if not 0 <= redraw <= 1:
            raise ValueError(f"views.redraw is a probability and must lie in 0..1, got {redraw}")
        self.width, self.redraw = width, redraw

    def draw(self, space: FactorSpace, rows: Rows, draws: Rows, seed: int, attempt: int) -> Rows:
        """Every factor moved."""
        positions, sizes = space.grid(rows), torch.tensor(space.sizes)
        last = (sizes - 1).double()
        # One key a row, draw and attempt; one column a factor.
        keys = (rows[:, None], draws[:, None], attempt, torch.arange(len(sizes)))
        moved = self.moved(positions / last, self.steps(seed, keys)) * last
        moved = torch.where(moved < 0, -moved, moved)
        moved = torch.where(moved > last, 2 * last - moved, moved)
        stepped = moved.round().clamp(min=0).minimum(last).long()
        labelled = torch.tensor([factor.labels is not None for factor in space.factors])
        if labelled.any():
            stepped = torch.where(labelled, self._relabelled(positions, sizes, seed, keys), stepped)
        return space.rows(stepped)

    @abstractmethod
    def steps(self, seed: int, keys: "Keys") -> Float64[Tensor, "batch factor"]:
        """Random steps of about unit deviation, one for every combination of the keys."""

    def moved(
        self, places: Float64[Tensor, "batch factor"], steps: Float64[Tensor, "batch factor"]
    ) -> Float64[Tensor, "batch factor"]:
        """Where steps lead from places in a factor's range, both ends at 0 and 1."""
        return places + self.width * steps

    def _relabelled(
        self, positions: Int64[Tensor, "batch factor"], sizes: Int64[Tensor, "factor"], seed: int, keys: "Keys"
    ) -> Int64[Tensor, "batch factor"]:
        """Every factor with probability ``redraw`` at another position, all others equally likely."""
        is_redrawn = hashing.uniform(seed, *keys, REDRAW) < self.redraw
        return torch.where(is_redrawn, _others(positions, sizes, seed, keys), positions)


Keys = tuple[Int64[Tensor, "batch 1"], Int64[Tensor, "batch 1"], int, Int64[Tensor, "factor"]]


def _others(
    positions: Int64[Tensor, "batch factor"], sizes: Int64[Tensor, "factor"], seed: int, keys: Keys
) -> Int64[Tensor, "batch factor"]:
    """Of every factor another position, all others equally likely."""
    steps = 1 + (hashing.uniform(seed, *keys, OTHER) * (sizes - 1)).long()
    return (positions + steps) % sizes


class LaplaceNeighbours(Neighbours):
    """Steps with a double exponential law: mostly small, now and then a large one."""

    def steps(self, seed: int, keys: Keys) -> Float64[Tensor, "batch factor"]:
        """By the inverse distribution function, scale 0.72."""
        centred = hashing.uniform(seed, *keys, STEP) - 0.5
        return -0.72 * centred.sign() * torch.log1p(-2 * centred.abs())


class GaussianNeighbours(Neighbours):
    """Normal steps."""

    def steps(self, seed: int, keys: Keys) -> Float64[Tensor, "batch factor"]:
        """Standard normal."""
        return hashing.normal(seed, *keys, STEP)


class StudentNeighbours(Neighbours):
    """Steps with the heavy tails of Student's law with three degrees of freedom."""

    def steps(self, seed: int, keys: Keys) -> Float64[Tensor, "batch factor"]:
        """A normal over the root of a mean of three squared normals, times 0.7."""
        squares = torch.stack([hashing.normal(seed, *keys, SQUARES, k).square() for k in range(3)])
        return 0.7 * hashing.normal(seed, *keys, STEP) / squares.mean(dim=0).sqrt()


class UniformNeighbours(Neighbours):
    """Steps of every size up to the largest, all equally likely."""

    def steps(self, seed: int, keys: Keys) -> Float64[Tensor, "batch factor"]:
        """Uniform in -1.8 to 1.8."""
        return 1.8 * (2 * hashing.uniform(seed, *keys, STEP) - 1)


class CorrelatedNeighbours(Neighbours):
    """Normal steps that go together: what one factor does tells something about the others.

    Args:
        correlation: between the steps of every two factors.
        width: size of the steps as a share of the range; about the standard deviation.
        redraw: the probability that a labelled factor changes to another of its labels.

    Raises:
        ValueError: for a correlation outside [0, 1).

    """

    def __init__(self, correlation: float = 0.5, width: float = 0.11, redraw: float = 0.05) -> None:
        super().__init__(width, redraw)
        if not 0 <= correlation < 1:
            raise ValueError(f"views.correlation must lie in 0..1, 1 excluded, got {correlation}")
        self.correlation = correlation

    def steps(self, seed: int, keys: Keys) -> Float64[Tensor, "batch factor"]:
        """A normal of its own for each factor, and one that all factors share."""
        own = hashing.normal(seed, *keys, STEP)
        shared = hashing.normal(seed, *keys[:3], SHARED)
        return (1 - self.correlation) ** 0.5 * own + self.correlation**0.5 * shared


class WarpedNeighbours(Neighbours):
    """Normal steps in other units than the grid's: along the square root of the place, at half the width."""

    def steps(self, seed: int, keys: Keys) -> Float64[Tensor, "batch factor"]:
        """Standard normal."""
        return hashing.normal(seed, *keys, STEP)

    def moved(
        self, places: Float64[Tensor, "batch factor"], steps: Float64[Tensor, "batch factor"]
    ) -> Float64[Tensor, "batch factor"]:
        """The step is taken on the root and squared back, within the range."""
        return (places.clamp(min=1e-3).sqrt() + self.width / 2 * steps).clamp(0, 1).square()


class Sharing(Partners):
    """Partners that differ in some factors and share all others; which ones is drawn anew for every pair.

    A factor that differs takes any other of its values. After Locatello et al. 2020, "Weakly-supervised disentanglement
    without compromises".

    Args:
        k: how many factors differ; None draws the number for each pair, from 1 to all but one.

    Raises:
        ValueError: for less than 1; when it is checked, for a space with no factor left to share.

    """

    supervision = "pairs"

    def __init__(self, k: int | None = 1) -> None:
        if k is not None and k < 1:
            raise ValueError(f"views.k must be at least 1, got {k}")
        self.k = k

    def check_space(self, space: FactorSpace) -> None:
        """Raise ValueError unless a factor is left to share."""
        least, count = self.k or 1, len(space.factors)
        if least >= count:
            raise ValueError(
                f"views.k={least} leaves no factor that partners share, since there are {count} "
                f"({', '.join(space.names)}); expected a smaller k, or more factors"
            )

    def draw(self, space: FactorSpace, rows: Rows, draws: Rows, seed: int, attempt: int) -> Rows:
        """Some factors at other positions."""
        positions, sizes = space.grid(rows), torch.tensor(space.sizes)
        keys = (rows[:, None], draws[:, None], attempt, torch.arange(len(sizes)))
        place = hashing.uniform(seed, *keys, CHOICE).argsort(dim=1).argsort(dim=1)
        drawn = 1 + (hashing.uniform(seed, *keys[:3], COUNT) * (len(sizes) - 1)).long()
        differs = place < (drawn if self.k is None else self.k)
        return space.rows(torch.where(differs, _others(positions, sizes, seed, keys), positions))


class Unrelated(Partners):
    """A negative control: the partner is any row, so that a pair tells nothing."""

    supervision = "none"

    def draw(self, space: FactorSpace, rows: Rows, draws: Rows, seed: int, attempt: int) -> Rows:
        """All rows of the grid equally likely."""
        return (hashing.uniform(seed, rows, draws, attempt, STEP) * len(space)).long()


class Itself(Partners):
    """A negative control: the partner of a row is the row itself, so that only images are told apart."""

    supervision = "none"

    def draw(self, space: FactorSpace, rows: Rows, draws: Rows, seed: int, attempt: int) -> Rows:
        """The rows."""
        return rows
