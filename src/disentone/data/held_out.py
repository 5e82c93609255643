"""Parts of the space that training never hears, to measure what a model makes of the unheard."""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from disentone import hashing
from disentone.factors import FactorSpace
from disentone.shapes import Positions, Rows

MEETS: Mapping[str, Callable[[Any, float], Any]] = {"above": operator.gt, "below": operator.lt, "equal": operator.eq}
KEEP = hashing.stream("rows kept by chance")


class HeldOut(ABC):
    """A part of a factor space that is left out of training and validation, wholly or by chance."""

    @abstractmethod
    def contains(self, space: FactorSpace, positions: Positions) -> Bool[Tensor, "batch"]:
        """Which rows lie inside the held-out part.

        Raises:
            ValueError: for a factor or value that the space does not have.

        """

    @abstractmethod
    def kept(self, space: FactorSpace, rows: Rows, seed: int) -> Bool[Tensor, "batch"]:
        """Which rows may be trained on."""


class Region(HeldOut):
    """All rows with every condition true: the corner of the space where they meet.

    Args:
        above: factors that lie above a value there, exclusive.
        below: factors that lie below a value there, exclusive.
        equal: factors that have a value, or for a categorical one a name, there.

    Raises:
        ValueError: without any condition; when it is used, for a factor or value that the space does not have, and for
            conditions that no value of a factor meets.

    """

    def __init__(
        self,
        above: Mapping[str, float] | None = None,
        below: Mapping[str, float] | None = None,
        equal: Mapping[str, float | str] | None = None,
    ) -> None:
        self.above, self.below, self.equal = dict(above or {}), dict(below or {}), dict(equal or {})
        if not (self.above or self.below or self.equal):
            raise ValueError("a held-out region needs at least one condition: above, below or equal")

    def contains(self, space: FactorSpace, positions: Positions) -> Bool[Tensor, "batch"]:
        """Rows that meet every condition."""
        self._check(space)
        values = space.values(positions)
        inside = torch.ones(len(values), dtype=torch.bool, device=values.device)
        for word, name, number in self._conditions(space):
            inside &= MEETS[word](values[:, space.index(name)], number)
        return inside

    def _conditions(self, space: FactorSpace) -> Iterator[tuple[str, str, float]]:
        """Every condition: its word, its factor, its number."""
        for word in MEETS:
            for name, value in getattr(self, word).items():
                if name not in space.names:
                    raise ValueError(
                        f"data.held_out.{word}.{name}: no factor is called {name}; there are {', '.join(space.names)}"
                    )
                yield word, name, _number(space, word, name, value)

    def _check(self, space: FactorSpace) -> None:
        """Raise ValueError for conditions that no value meets, alone or together with others of its factor."""
        met: dict[str, Bool[np.ndarray, " value"]] = {}
        for word, name, number in self._conditions(space):
            grid = space.factors[space.index(name)].grid
            alone = MEETS[word](grid, number)
            met[name] = met.get(name, alone) & alone
            if not met[name].any():
                also = " together with its other conditions" if alone.any() else ""
                raise ValueError(
                    f"data.held_out.{word}.{name}={number:g} holds nothing out{also}: the values of {name} go from "
                    f"{grid.min():g} to {grid.max():g}"
                )

    def kept(self, space: FactorSpace, rows: Rows, seed: int) -> Bool[Tensor, "batch"]:
        """All rows outside."""
        return ~self.contains(space, space.grid(rows))


class Correlated(HeldOut):
    """Two factors that go together in training (Traeuble et al. 2021, "On disentangled representations ...").

    A row is trained on with probability exp(-(a - b)^2 / (2 sigma^2)), a and b the factors' positions scaled to
    [0, 1]. Inside the held-out part are the rows further than two sigma from a = b.

    Args:
        first: a factor.
        second: another one.
        sigma: 0.2 is a strong correlation, 0.7 a weak one.

    Raises:
        ValueError: for one factor twice, or a sigma that is not above 0.

    """

    def __init__(self, first: str, second: str, sigma: float = 0.2) -> None:
        if first == second:
            raise ValueError(f"a correlation needs two factors, got {first} twice")
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be above 0, got {sigma}")
        self.first, self.second, self.sigma = first, second, sigma

    def contains(self, space: FactorSpace, positions: Positions) -> Bool[Tensor, "batch"]:
        """Rows further than two sigma from the diagonal."""
        return self._distance(space, positions).abs() > 2 * self.sigma

    def kept(self, space: FactorSpace, rows: Rows, seed: int) -> Bool[Tensor, "batch"]:
        """Rows drawn by their probability."""
        weight = torch.exp(-(self._distance(space, space.grid(rows)) ** 2) / (2 * self.sigma**2))
        return hashing.uniform(seed, rows, KEEP) < weight

    def _distance(self, space: FactorSpace, positions: Positions) -> Float64[Tensor, "batch"]:
        a, b = (
            positions[:, space.index(name)] / (space.sizes[space.index(name)] - 1) for name in (self.first, self.second)
        )
        return a.double() - b.double()


def _number(space: FactorSpace, word: str, name: str, value: float | str) -> float:
    factor = space.factors[space.index(name)]
    if word != "equal":
        return float(value)
    known = [f"{number:g}" for number in factor.grid] if factor.labels is None else factor.labels
    if value not in (factor.grid if factor.labels is None else factor.labels):
        raise ValueError(f"data.held_out.equal.{name}: the factor has no value {value}; it has {', '.join(known)}")
    return float(value) if factor.labels is None else float(list(factor.labels).index(str(value)))
