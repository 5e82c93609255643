"""The parameter space of a family of sounds: what may vary, in which units, over which values.

A row of the space is one sound. It has *positions* (one integer per factor; fractions for continuous draws)
and *values* (in the factors' units). The space is the Cartesian product of its factors in the order written,
the last factor fastest, and is never listed in memory.
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from disentone import hashing
from disentone.shapes import Positions, Rows, Values
from disentone.signatures import fits

# Of one factor: a grid is kept in memory, and written out in the name of the cache.
MOST_VALUES = 2_000_000
CONTINUOUS = hashing.stream("continuous positions")
# Of a space: its rows are numbered by 64-bit integers.
MOST_ROWS = 2**62

NUMBER = (float, "a finite number")
# What a config may say of a factor.
KEYS: Mapping[str, tuple[Any, str]] = {
    "unit": (str | float, "a name"),
    "start": NUMBER,
    "stop": NUMBER,
    "step": NUMBER,
    "count": (int, "a whole number"),
    "spacing": (str, "lin or log"),
    "values": (Sequence[float] | np.ndarray, "a list of numbers"),
    "labels": (Sequence[str], "a list of names"),
}


@dataclass(frozen=True)
class Factor:
    """One thing that varies between sounds.

    Give one of: ``start, stop, step`` (both ends included), ``start, stop, count`` (with ``spacing`` lin or
    log), ``values`` (any list of numbers), ``labels`` (names; the value is then the name's number).

    Args:
        name: the synth's parameter.
        unit: of the values, for axes and tables.
        start: first value.
        stop: last value.
        step: from one value to the next; its sign leads from start to stop.
        count: how many values.
        spacing: equal differences (``lin``) or equal ratios (``log``).
        values: an explicit list.
        labels: names of a categorical factor's values.

    Raises:
        ValueError: if the values are not one well-formed list of 2 to 2,000,000 different, finite numbers.

    """

    name: str
    unit: str = ""
    start: float | None = None
    stop: float | None = None
    step: float | None = None
    count: int | None = None
    spacing: str = "lin"
    values: Sequence[float] | None = None
    labels: Sequence[str] | None = None

    def __post_init__(self) -> None:
        grid = self.grid
        if len(grid) < 2:
            raise ValueError(
                f"factor {self.name}: {len(grid)} value(s), expected at least 2; "
                "give a constant to the synth's `fixed` instead"
            )
        shown = reprlib.repr(grid.tolist())
        if not np.isfinite(grid).all():
            raise ValueError(f"factor {self.name}: every value must be a finite number, got {shown}")
        if len(np.unique(grid)) != len(grid):
            raise ValueError(f"factor {self.name}: values repeat: {shown}")

    def __len__(self) -> int:
        return len(self.grid)

    @property
    def is_range(self) -> bool:
        """Whether values between the grid's are meaningful: a range, not a list or names."""
        return self.labels is None and self.values is None

    def describe(self, position: int) -> str:
        """One value as a person reads it: ``440 Hz``, ``odd``."""
        if self.labels is not None:
            return self.labels[position]
        return f"{self.grid[position]:.4g} {self.unit}".strip()

    @cached_property
    def grid(self) -> Float64[np.ndarray, " value"]:
        """All values in order, float64."""
        given = {
            key for key in ("start", "stop", "step", "count", "values", "labels") if getattr(self, key) is not None
        }
        if self.spacing not in ("lin", "log"):
            raise ValueError(f"factor {self.name}: spacing must be lin or log, got {self.spacing}")
        if self.spacing == "log" and "count" not in given:
            raise ValueError(f"factor {self.name}: spacing log goes with start, stop and count")
        for key in sorted(given & {"start", "stop", "step"}):
            if not math.isfinite(getattr(self, key)):
                raise ValueError(f"factor {self.name}: {key} must be a finite number, got {getattr(self, key)}")
        if given == {"labels"}:
            if len(set(self.labels or ())) != len(self.labels or ()):
                raise ValueError(f"factor {self.name}: labels repeat: {', '.join(self.labels or ())}")
            return np.arange(len(self.labels or ()), dtype=np.float64)
        if given == {"values"}:
            self._check_size(len(self.values or ()))
            return np.array(self.values, dtype=np.float64)
        if given == {"start", "stop", "step"}:
            return self._stepped(float(self.start or 0), float(self.stop or 0), float(self.step or 0))
        if given == {"start", "stop", "count"}:
            return self._counted(float(self.start or 0), float(self.stop or 0), self.count or 0)
        raise ValueError(
            f"factor {self.name}: expected start, stop and step; or start, stop and count; or values; or labels; "
            f"got {', '.join(sorted(given)) or 'nothing'}"
        )

    def _check_size(self, count: float) -> None:
        if count > MOST_VALUES:
            told = f"{count:,.0f}" if count < 1e15 else f"{count:g}"
            raise ValueError(
                f"factor {self.name}: {told} values, expected at most {MOST_VALUES:,}; take fewer, and let "
                "data.continuous=true draw between them"
            )

    def _stepped(self, start: float, stop: float, step: float) -> Float64[np.ndarray, " value"]:
        if step == 0:
            raise ValueError(f"factor {self.name}: step must be a number other than 0")
        steps = (stop - start) / step
        if steps < 0:
            raise ValueError(
                f"factor {self.name}: a step of {step:g} leads away from stop {stop:g}; start is {start:g}"
            )
        self._check_size(steps + 1)
        if abs(steps - round(steps)) > 1e-6:
            reached = start + math.floor(steps) * step
            raise ValueError(
                f"factor {self.name}: no step of {step:g} from {start:g} hits stop {stop:g}; "
                f"the nearest below is {reached:g}, the next {reached + step:g}"
            )
        return np.round(start + np.arange(round(steps) + 1) * step, 9)

    def _counted(self, start: float, stop: float, count: int) -> Float64[np.ndarray, " value"]:
        if count < 2:
            raise ValueError(f"factor {self.name}: count must be at least 2, got {count}")
        self._check_size(count)
        if self.spacing == "lin":
            return np.round(np.linspace(start, stop, count), 9)
        if start <= 0 or stop <= 0:
            raise ValueError(
                f"factor {self.name}: spacing log needs start and stop above 0, got {start:g} and {stop:g}"
            )
        return np.round(np.geomspace(start, stop, count), 9)


class FactorSpace:
    """The Cartesian product of factors: every sound of a family.

    Args:
        factors: name to description (the arguments of :class:`Factor`), in the order of the product.

    Raises:
        ValueError: without factors, if a factor's description is wrong, or for more rows than can be numbered.

    """

    def __init__(self, factors: Mapping[str, Mapping[str, object]]) -> None:
        if not factors:
            raise ValueError("a factor space needs at least one factor")
        self.factors = tuple(_factor(name, description) for name, description in factors.items())
        self.names = tuple(factor.name for factor in self.factors)
        self.sizes = tuple(len(factor) for factor in self.factors)
        if math.prod(self.sizes) > MOST_ROWS:
            raise ValueError(
                f"the factors have {' x '.join(map(str, self.sizes))} rows, more than the 2^62 that can be numbered; "
                "take fewer values, and let data.continuous=true draw between them"
            )
        self._made: dict[torch.device, _Tables] = {}

    def __len__(self) -> int:
        return math.prod(self.sizes)

    def __repr__(self) -> str:
        return f"FactorSpace({', '.join(f'{f.name}={f.grid.tolist()} {f.unit} {f.labels}' for f in self.factors)})"

    def index(self, name: str) -> int:
        """The column of a factor. Raises ValueError for a name that the space does not have."""
        if name not in self.names:
            raise ValueError(f"no factor is called {name}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def grid(self, rows: Rows) -> Positions:
        """Positions of rows of the product, [batch factor] integers."""
        positions = []
        for size in reversed(self.sizes):
            positions.append(rows % size)
            rows = torch.div(rows, size, rounding_mode="floor")
        return torch.stack(positions[::-1], dim=1)

    def rows(self, positions: Int64[Tensor, "batch factor"]) -> Rows:
        """Row numbers of positions: the inverse of :meth:`grid`."""
        row = torch.zeros_like(positions[:, 0])
        for column, size in enumerate(self.sizes):
            row = row * size + positions[:, column]
        return row

    def describe(self, positions: Sequence[float]) -> str:
        """One row as a person reads it, a line a factor; nan is an unknown position."""
        pairs = zip(self.factors, positions, strict=True)
        told = {
            factor.name: "unknown" if math.isnan(position) else factor.describe(int(position))
            for factor, position in pairs
        }
        return "\n".join(f"{name} {text}" for name, text in told.items())

    def values(self, positions: Positions) -> Values:
        """Values in the factors' units, float64 [batch factor], of integer or fractional positions."""
        device, positions = positions.device, positions.double()
        grids, starts, last, is_log = self._tables(device)
        below = positions.floor().clamp(min=0).minimum(last)
        index = (below + starts).long()
        lower, upper, fraction = grids[index], grids[index + 1], positions - below
        between = lower + (upper - lower) * fraction
        if any(factor.spacing == "log" for factor in self.factors):
            between = torch.where(is_log, lower * (upper / lower) ** fraction, between)
        # On the grid the stated value, to the last bit.
        return torch.where(fraction == 0, lower, torch.where(fraction == 1, upper, between))

    def _tables(self, device: torch.device) -> "_Tables":
        """Made once for each device: an upload in every batch would make the host wait for it."""
        if device not in self._made:
            sizes = torch.tensor(self.sizes, dtype=torch.float64)
            grids = torch.from_numpy(np.concatenate([factor.grid for factor in self.factors]))
            is_log = torch.tensor([factor.spacing == "log" for factor in self.factors])
            tables = (grids, sizes.cumsum(0) - sizes, sizes - 2, is_log)
            self._made[device] = _Tables(*(table.to(device) for table in tables))
        return self._made[device]

    def sample(self, count: int, generator: torch.Generator) -> Positions:
        """Positions of ``count`` independent uniform rows."""
        columns = [torch.randint(size, (count,), generator=generator) for size in self.sizes]
        return torch.stack(columns, dim=1)

    def continuous(self, keys: Rows, seed: int) -> Positions:
        """Fractional positions drawn uniformly over each range (whole ones for lists and names), one row a key."""
        columns = []
        for i, factor in enumerate(self.factors):
            draw = hashing.uniform(seed, keys, CONTINUOUS, i)
            columns.append(draw * (len(factor) - 1) if factor.is_range else (draw * len(factor)).floor())
        return torch.stack(columns, dim=1)

    def fix(self, positions: Positions, name: str, position: int) -> Positions:
        """The same rows with one factor held at one position."""
        column, fixed = self.index(name), positions.clone()
        if not 0 <= position < self.sizes[column]:
            raise ValueError(f"factor {name} has positions 0..{self.sizes[column] - 1}, got {position}")
        fixed[:, column] = position
        return fixed

    def traverse(self, position: Int64[Tensor, "factor"], name: str) -> Positions:
        """One row with one factor walked through all its values."""
        column = self.index(name)
        walk = position.repeat(self.sizes[column], 1)
        walk[:, column] = torch.arange(self.sizes[column])
        return walk


class _Tables(NamedTuple):
    """The grids of all factors one after the other, so that all values of a batch are looked up at once."""

    grids: Float64[Tensor, "value"]
    starts: Float64[Tensor, "factor"]
    last: Float64[Tensor, "factor"]
    """The last position with another one above it."""
    is_log: Bool[Tensor, "factor"]


def _factor(name: str, description: Mapping[str, object]) -> Factor:
    """A factor as a config describes it, where numbers may be texts, and lists numbers."""
    for key, value in description.items():
        if key not in KEYS:
            raise ValueError(f"factor {name}: unknown key {key}; known are {', '.join(KEYS)}")
        hint, expected = KEYS[key]
        if value is not None and not fits(value, hint):
            raise ValueError(f"factor {name}: {key} must be {expected}, got {reprlib.repr(value)}")
    return Factor(name, **description)  # type: ignore[arg-type]
