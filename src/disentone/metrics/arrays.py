"""What every metric does with the arrays it is given: check them, relabel the factors, draw its rows."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike
from torch import Tensor

Preset = Literal["dlib", "robust"]
Scores = dict[str, float | np.ndarray]
"""A metric's numbers: floats, vectors per factor under ``<name>_per_factor``, matrices [code factor]."""


def check_arrays(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor
) -> tuple[Float64[Tensor, "row code"], Int64[Tensor, "row factor"]]:
    """Codes as float64 and factors as labels 0..values-1, on the codes' device.

    Raises:
        ValueError: for arrays that are not [row code] and [row factor] of the same length, codes that are not
            finite, factors that are not whole numbers, or a factor of one value.

    """
    z, v = _tensor("codes", codes), _tensor("factors", factors)
    if len(z) != len(v):
        raise ValueError(f"codes have {len(z)} rows and factors {len(v)}; row i of both must be the same sound")
    if not torch.isfinite(z.double()).all():
        raise ValueError(f"codes must be finite; {int((~torch.isfinite(z.double())).sum())} entries are not")
    if v.is_floating_point() and not (v == v.round()).all():
        raise ValueError("factors must be whole numbers (the positions of each factor's value)")
    labels = torch.stack([column.unique(return_inverse=True)[1] for column in v.T], dim=1)
    for k, count in enumerate(labels.amax(dim=0).tolist()):
        if count == 0:
            raise ValueError(f"factor {k} has one value in these rows; leave it out, it cannot be found")
    return z.double(), labels.to(z.device)


def draw_rows(
    rows: int, train: int, test: int, seed: int
) -> tuple[Int64[np.ndarray, "train"], Int64[np.ndarray, "test"]]:
    """Seeded row numbers for fitting and testing, without replacement and without overlap.

    With fewer rows than both together, all are taken and split in the same proportion.

    Raises:
        ValueError: for less than one row to fit on, or to test on if one asks for test rows.

    """
    if rows < train + test:
        train = rows * train // (train + test)
        test = rows - train if test else 0
    if train < 2:
        raise ValueError(f"{rows} rows are too few; a metric needs at least 2 to fit on")
    order = np.random.default_rng(seed).permutation(rows)
    return order[:train], order[train : train + test]


def _tensor(name: str, array: ArrayLike | Tensor) -> Tensor:
    tensor = array.detach() if isinstance(array, Tensor) else torch.as_tensor(np.asarray(array))
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(f"{name} must be an array [row, column] with at least one of each, got {list(tensor.shape)}")
    return tensor
