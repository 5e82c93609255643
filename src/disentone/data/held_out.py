"""Parts of the space that training never hears, to measure what a model makes of the unheard."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from disentone import hashing
from disentone.factors import FactorSpace
from disentone.shapes import Positions, Rows

KEEP = 10  # the stream of the draws that thin the training rows


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
        ValueError: without any condition; when it is used, for a condition that no value of its factor meets.

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
        for name, word, limit, grid in self._limits(space):
            if not (grid > limit if word == "above" else grid < limit).any():
                raise ValueError(
                    f"data.held_out.{word}.{name}={limit:g} holds nothing out: the values of {name} go from "
                    f"{grid.min():g} to {grid.max():g}"
                )
        values = space.values(positions)
        inside = torch.ones(len(values), dtype=torch.bool, device=values.device)
        for name, limit in self.above.items():
            inside &= values[:, space.index(name)] > limit
        for name, limit in self.below.items():
            inside &= values[:, space.index(name)] < limit
        for name, value in self.equal.items():
            inside &= values[:, space.index(name)] == _number(space, name, value)
        return inside

    def _limits(self, space: FactorSpace) -> Iterator[tuple[str, str, float, Float64[np.ndarray, "value"]]]:
        for word, limits in (("above", self.above), ("below", self.below)):
            for name, limit in limits.items():
                yield name, word, limit, space.factors[space.index(name)].grid

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


def _number(space: FactorSpace, name: str, value: float | str) -> float:
    factor = space.factors[space.index(name)]
    if factor.labels is not None:
        if value not in factor.labels:
            raise ValueError(f"factor {name} has no value {value}; it has {', '.join(factor.labels)}")
        return float(list(factor.labels).index(str(value)))
    if value not in factor.grid:
        raise ValueError(f"factor {name} has no value {value}; it has {', '.join(f'{v:g}' for v in factor.grid)}")
    return float(value)
