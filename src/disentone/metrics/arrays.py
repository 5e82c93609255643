"""What every metric does with the arrays it is given: check them, relabel the factors, draw its rows."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from numpy.typing import ArrayLike
from torch import Tensor

PRESETS = ("dlib", "robust")
ACTIVE = 0.05
"""A code is active whose standard deviation exceeds this share of the largest one's."""
LARGEST_CODE = 1e100
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
    labels = torch.stack([torch.unique(column, return_inverse=True)[1] for column in v.T], dim=1)
    return z, labels


def check_continuous(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor
) -> tuple[Float64[Tensor, "row code"], Tensor]:
    """Codes as float64 and factors as they are, [row factor], for metrics that admit fractions.

    Raises:
        ValueError: see :func:`check_arrays`.

    """
    z, v = check_codes(codes), _tensor("factors", factors).to(_device(codes))
    if len(z) != len(v):
        raise ValueError(f"codes have {len(z)} rows and factors {len(v)}; row i of both must be the same sound")
    if v.is_floating_point() and not torch.isfinite(v).all():
        raise ValueError(f"factors must be finite; {int((~torch.isfinite(v)).sum())} entries are not")
    for k, column in enumerate(v.T):
        if (column == column[0]).all():
            raise ValueError(f"factor {k} has one value in these rows; leave it out, it cannot be found")
    return z, v


def check_codes(codes: ArrayLike | Tensor) -> Float64[Tensor, "row code"]:
    """Codes as float64.

    Raises:
        ValueError: if they are no array [row code] of finite numbers whose squares are finite too.

    """
    z = _tensor("codes", codes).double()
    if not torch.isfinite(z).all():
        raise ValueError(f"codes must be finite; {int((~torch.isfinite(z)).sum())} entries are not")
    if z.abs().max() > LARGEST_CODE:
        raise ValueError(f"codes must lie within ±{LARGEST_CODE:g}, so that their variances are finite; rescale them")
    return z


def fractional_factors(factors: Tensor) -> list[int]:
    """The columns that are not whole numbers."""
    if not factors.is_floating_point():
        return []
    return (factors != factors.round()).any(dim=0).nonzero()[:, 0].tolist()


def is_robust(preset: str) -> bool:
    """Whether the preset is ``robust`` rather than ``dlib``. Raises ValueError for any other."""
    if preset not in PRESETS:
        raise ValueError(f"preset must be {' or '.join(PRESETS)}, got {preset}")
    return preset == "robust"


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


def draw_labelled(
    factors: Int64[Tensor, "row factor"], train: int, test: int, seed: int
) -> tuple[Int64[np.ndarray, "train"], Int64[np.ndarray, "test"]]:
    """As :func:`draw_rows`, and every factor must vary in the rows to fit on.

    Raises:
        ValueError: for too few rows, or a factor so rare that the rows drawn hold one value of it.

    """
    drawn = draw_rows(len(factors), train, test, seed)
    fitted = factors[drawn[0]]
    for k in ((fitted == fitted[0]).all(dim=0)).nonzero()[:, 0].tolist():
        raise ValueError(f"factor {k} has one value in the {len(fitted)} rows drawn; give more rows that vary it")
    return drawn


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


def undefined(keys: Iterable[str], reason: str) -> Scores:
    """Scores that these arrays do not define: nan, and why."""
    return {**dict.fromkeys(keys, math.nan), "settings": {"reason": reason}}


def _tensor(name: str, array: ArrayLike | Tensor) -> Tensor:
    if isinstance(array, Tensor):
        tensor = array.detach()
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
