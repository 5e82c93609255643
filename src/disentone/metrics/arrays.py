"""What every metric does with the arrays it is given: check them, relabel the factors, draw its rows."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from numpy.typing import ArrayLike
from torch import Tensor

from disentone.metrics.parallel import each

PRESETS = ("dlib", "robust")
ACTIVE = 0.05
"""A code is active whose standard deviation exceeds this share of the largest one's."""
LARGEST_CODE, SMALLEST_RANGE = 1e100, 1e-100
ROWS_PER_VALUE = 5
"""With fewer rows a value, on average, of a factor no estimator here finds codes that copy it."""
SEEDS = 2**32
"""What scikit-learn accepts: 0 to below this."""
Scores = dict[str, Any]
"""A metric's numbers: floats, vectors per factor under ``<name>_per_factor``, matrices [code factor], and
``settings``: the rows used (``train``, ``test``) and, under ``reason``, why a score is nan."""


def check_arrays(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor
) -> tuple[Float64[Tensor, "row code"], Int64[Tensor, "row factor"]]:
    """Codes as float64 and factors as labels 0..values-1, on the codes' device.

    Raises:
        ValueError: for arrays that are not [row code] and [row factor] of the same length, codes that are not
            finite, factors that are not whole numbers, or a factor of one value.

    """
    z, v = check_continuous(codes, factors)
    if fractional := fractional_factors(v):
        raise ValueError(f"factors must be whole numbers (positions of values); factor {fractional[0]} has fractions")
    return z, relabelled(v)


def relabelled(factors: Tensor) -> Int64[Tensor, "row factor"]:
    """Whole numbers as labels 0..values-1."""
    return torch.stack([torch.unique(column, return_inverse=True)[1] for column in factors.T], dim=1)


def check_continuous(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor
) -> tuple[Float64[Tensor, "row code"], Tensor]:
    """Codes as float64 and factors as they are, [row factor], for metrics that admit fractions.

    Raises:
        ValueError: see :func:`check_arrays`.

    """
    z, v = _paired(codes, factors)
    _check_values(v)
    return z, v


def where_known(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor | None
) -> tuple[Float64[Tensor, "row code"], Float64[Tensor, "known code"], Tensor]:
    """Codes of all rows, and codes and factors of the rows of which every factor is known, so that none is nan.

    Factors have no columns where there is no such row, or nothing is known of any.

    Raises:
        ValueError: see :func:`check_arrays`.

    """
    if factors is None:
        z = check_codes(codes)
        return z, z[:0], torch.empty(0, 0, dtype=torch.int64)
    z, v = _paired(codes, factors)
    known = ~v.isnan().any(dim=1)
    if not known.any():
        return z, z[:0], v[:0, :0]
    _check_values(v[known])
    return z, z[known], v[known]


def check_codes(codes: ArrayLike | Tensor) -> Float64[Tensor, "row code"]:
    """Codes as float64.

    Raises:
        ValueError: if they are no array [row code] of finite numbers, or so large or small that a variance
            overflows or vanishes.

    """
    z = _tensor("codes", codes).double()
    if not torch.isfinite(z).all():
        raise ValueError(f"codes must be finite; {int((~torch.isfinite(z)).sum())} entries are not")
    if z.abs().max() > LARGEST_CODE:
        raise ValueError(f"codes must lie within ±{LARGEST_CODE:g}, so that their variances are finite; rescale them")
    extent = z.amax(dim=0) - z.amin(dim=0)
    if (tiny := (extent > 0) & (extent < SMALLEST_RANGE)).any():
        first = int(tiny.nonzero()[0, 0])
        raise ValueError(
            f"code {first} has a range of {float(extent[first]):g}, so small that its variance is 0; rescale it"
        )
    return z


def _paired(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor) -> tuple[Tensor, Tensor]:
    """Codes and factors with as many rows."""
    z, v = check_codes(codes), _tensor("factors", factors).to(_device(codes))
    if z.shape[1] == v.shape[1] > max(len(z), len(v)):
        raise ValueError(
            f"codes {list(z.shape)} and factors {list(v.shape)} have fewer rows than columns; they look transposed: "
            "a row is a sound"
        )
    if len(z) != len(v):
        raise ValueError(f"codes have {len(z)} rows and factors {len(v)}; row i of both must be the same sound")
    return z, v


def _check_values(factors: Tensor) -> None:
    """Raise ValueError for factors that are not finite, or have one value."""
    if factors.is_floating_point() and not torch.isfinite(factors).all():
        raise ValueError(f"factors must be finite; {int((~torch.isfinite(factors)).sum())} entries are not")
    for k, column in enumerate(factors.T):
        if (column == column[0]).all():
            raise ValueError(f"factor {k} has one value in these rows; leave it out, it cannot be found")


def fractional_factors(factors: Tensor) -> list[int]:
    """The columns that are not whole numbers."""
    if not factors.is_floating_point():
        return []
    return (factors != factors.round()).any(dim=0).nonzero()[:, 0].tolist()


def check_options(preset: str, seed: int) -> bool:
    """Whether the preset is ``robust`` rather than ``dlib``.

    Raises:
        ValueError: for any other preset, and for a seed that is no whole number from 0 to below 2**32.

    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be {' or '.join(PRESETS)}, got {preset}")
    check_seed(seed)
    return preset == "robust"


def check_seed(seed: object) -> None:
    """Raise ValueError for a seed that is no whole number from 0 to below 2**32."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < SEEDS:
        raise ValueError(f"seed must be a whole number from 0 to {SEEDS - 1}, got {seed!r}")


def draw_rows(
    rows: int, train: int, test: int, seed: int
) -> tuple[Int64[np.ndarray, "train"], Int64[np.ndarray, "test"]]:
    """Seeded row numbers for fitting and testing, without replacement and without overlap.

    With fewer rows than both together, all are taken and split in the same proportion.

    Raises:
        ValueError: for less than two rows to fit on, or none to test on if one asks for test rows.

    """
    if rows < train + test:
        train = rows * train // (train + test)
        test = rows - train if test else 0
    if train < 2:
        raise ValueError(f"{rows} rows are too few; a metric needs at least 2 to fit on")
    order = np.random.default_rng(seed).permutation(rows)
    return order[:train], order[train : train + test]


class Sample(NamedTuple):
    """Rows to fit and to test on, and what they cannot answer."""

    train: Int64[np.ndarray, "train"]
    test: Int64[np.ndarray, "test"]
    reasons: Mapping[int, str]
    """Factors that these rows say too little of, and why."""

    @property
    def settings(self) -> dict[str, Any]:
        """How many rows were used, and the reasons of nans."""
        return {"train": len(self.train), "test": len(self.test), **reason(self.reasons.values())}

    def each_factor(self, factors: int, score: Callable[[int], float]) -> Float64[np.ndarray, "factor"]:
        """The score of every factor, nan where there is a reason."""
        known = [k for k in range(factors) if k not in self.reasons]
        parts = np.full(factors, np.nan)
        parts[known] = each(score, known)
        return parts

    def averaged(self, name: str, parts: Float64[np.ndarray, "factor"]) -> Scores:
        """Parts of the factors and their mean, nan where there is a reason."""
        parts = parts.copy()
        parts[list(self.reasons)] = np.nan
        return {name: float(parts.mean()), f"{name}_per_factor": parts, "settings": self.settings}


def draw_labelled(
    factors: Int64[Tensor, "row factor"], train: int, test: int, seed: int, rows_per_value: int = ROWS_PER_VALUE
) -> Sample:
    """As :func:`draw_rows`, with the factors of which these rows say too little.

    The same rule for every metric that takes a factor's values as classes: rare values are kept, and a value that
    was never fitted counts as one that was not predicted; but a factor that holds one value in the rows to fit
    on, of which the test rows hold only values never fitted, or that has fewer than ``rows_per_value`` rows a value
    on average, has no score.

    Raises:
        ValueError: for too few rows.

    """
    drawn = draw_rows(len(factors), train, test, seed)
    fitted, tested = (factors[rows] for rows in drawn)
    unknown = {
        k: f"the {len(tested)} test rows hold only values of factor {k} that were never fitted; give more rows"
        for k in range(factors.shape[1])
        if len(tested) and not torch.isin(tested[:, k], fitted[:, k]).any()
    }
    return Sample(*drawn, {**unscored(fitted, rows_per_value), **unknown})


def unscored(factors: Int64[Tensor, "row factor"], rows_per_value: int = ROWS_PER_VALUE) -> dict[int, str]:
    """Factors that have one value in these rows, or more values than they could tell apart, and why."""
    reasons, rows = {}, len(factors)
    for k, column in enumerate(factors.T):
        values = len(column.unique())
        if values == 1:
            reasons[k] = f"factor {k} has one value in the {rows} rows drawn; give more rows that vary it"
        elif rows < rows_per_value * values:
            reasons[k] = (
                f"factor {k} has {values} values in {rows} rows, fewer than {rows_per_value} rows a value; "
                "bin it, or give more rows"
            )
    return reasons


def reason(reasons: Iterable[str]) -> dict[str, str]:
    """Reasons of nans as an entry of the settings, where there are any."""
    text = "; ".join(dict.fromkeys(reasons))
    return {"reason": text} if text else {}


def active_codes(codes: Float64[Tensor, "row code"]) -> Bool[Tensor, "code"]:
    """Which codes vary: standard deviation above 5 % of the largest one's."""
    deviation = codes.std(dim=0, correction=0)
    # A constant code's deviation is rounding error, and so is the largest one when all are dead.
    return (deviation > ACTIVE * deviation.max()) & (codes.amax(dim=0) > codes.amin(dim=0))


def standardised(
    codes: Float64[np.ndarray, "row code"], fitted: Int64[np.ndarray, "train"]
) -> Float64[np.ndarray, "row code"]:
    """Codes with mean 0 and deviation 1 over the rows to fit on; constant codes become 0."""
    part = codes[fitted]
    deviation = np.where(part.max(axis=0) > part.min(axis=0), part.std(axis=0), np.inf)
    return (codes - part.mean(axis=0)) / deviation


def undefined(keys: Iterable[str], *reasons: str) -> Scores:
    """Scores that these arrays do not define: nan, and why."""
    return {**dict.fromkeys(keys, math.nan), "settings": reason(reasons)}


def _tensor(name: str, array: ArrayLike | Tensor) -> Tensor:
    if isinstance(array, Tensor):
        if array.layout is not torch.strided or array.is_quantized or array.device.type == "meta":
            kind = "meta" if array.device.type == "meta" else str(array.layout).removeprefix("torch.")
            raise ValueError(
                f"{name} must be a dense tensor of values, got a {kind} one; convert it, as .to_dense() does"
            )
        tensor = array.detach()
    elif np.ma.is_masked(array):
        raise ValueError(f"{name} have masked entries; leave their rows out, or fill them by .filled(value)")
    elif hasattr(array, "toarray"):
        raise ValueError(f"{name} must be a dense array, got {type(array).__name__}; convert it by .toarray()")
    else:
        values = np.asarray(array)
        if values.dtype.kind not in "biuf":
            raise ValueError(f"{name} must be numbers, got an array of {values.dtype}")
        # Into types, order and memory of our own: torch refuses some of what NumPy can hold or view.
        wide = np.float64 if values.dtype.kind == "f" else np.int64
        tensor = torch.from_numpy(values.astype(wide, order="C", copy=True))
    if tensor.is_complex():
        raise ValueError(f"{name} must be real numbers, got {tensor.dtype}")
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(f"{name} must be an array [row, column] with at least one of each, got {list(tensor.shape)}")
    return tensor


def _device(codes: ArrayLike | Tensor) -> torch.device:
    return codes.device if isinstance(codes, Tensor) else torch.device("cpu")
