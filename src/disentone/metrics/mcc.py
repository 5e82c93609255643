"""The mean correlation coefficient of nonlinear ICA: how well codes and factors match, one to one."""

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from torch import Tensor

from disentone.metrics.arrays import Scores, check_continuous, check_options
from disentone.metrics.score import Score

MCC = (
    Score("mcc_pearson", "MCC (Pearson)"),
    Score("mcc_spearman", "MCC (Spearman)", headline=True, short="MCC"),
)


def mcc(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """Mean absolute correlation over the best one-to-one matching of codes and factors, by Pearson and by Spearman.

    In [0, 1], the same in both presets. Of Hyvarinen & Morioka 2016. It asks for one code for each factor and not
    that this code, or any other, be free of other factors. The order of a factor's values counts: of labels without
    an order it says little.

    Args:
        codes: [row code] floats.
        factors: [row factor] numbers; fractions are welcome.
        preset: ``dlib`` or ``robust``.
        seed: not used, since every row counts.

    Returns:
        ``mcc_pearson`` and ``mcc_spearman``, the same ``_per_factor`` (0 for a factor that is left without a code),
        ``settings``.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_continuous`.

    """
    z, v = (array.cpu().double().numpy() for array in check_continuous(codes, factors))
    check_options(preset, seed)
    scores: Scores = {"settings": {"train": len(z), "test": 0}}
    for name, (one, other) in {
        "mcc_pearson": (z, v),
        "mcc_spearman": (rankdata(z, axis=0), rankdata(v, axis=0)),
    }.items():
        correlation = np.abs(_correlation(one, other))
        parts = np.zeros(v.shape[1])
        found, matched = linear_sum_assignment(-correlation)
        parts[matched] = correlation[found, matched]
        scores |= {name: float(parts.mean()), f"{name}_per_factor": parts}
    return scores


def _correlation(
    codes: Float64[np.ndarray, "row code"], factors: Float64[np.ndarray, "row factor"]
) -> Float64[np.ndarray, "code factor"]:
    """Pearson's correlation of every code with every factor, 0 for a constant code."""
    one, other = (array - array.mean(axis=0) for array in (codes, factors))
    norms = np.outer(np.linalg.norm(one, axis=0), np.linalg.norm(other, axis=0))
    # What is left of a constant after its mean is rounding error.
    constant = np.ptp(codes, axis=0) == 0
    return np.where(constant[:, None], 0.0, one.T @ other / np.where(norms > 0, norms, 1.0))
