"""InfoMEC: information-theoretic modularity, compactness, explicitness (Hsu et al. 2023)."""

import warnings

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, draw_labelled, is_robust, standardised
from disentone.metrics.information import entropy
from disentone.metrics.parallel import each

TRAIN, TEST = 10_000, 5_000
NEIGHBOURS = 10
RANGE = 1 / 20
ITERATIONS = 100
KEYS = ("info_m", "info_c", "info_e")


def infomec(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """Does a code know one factor (M), is a factor in one code (C), can a linear read-out tell its value (E)?

    M and C: shares that the largest normalised mutual information (10 nearest neighbours) has of its row or
    column, mean, rescaled so that equal shares give 0; over active codes, whose range exceeds a twentieth of the
    largest. E: how much of the log loss of guessing an unpenalised, balanced multinomial logistic regression
    (100 iterations, standardised codes) removes, mean over factors. At most 1. ``dlib`` measures E on the rows it
    was fitted to, ``robust`` on held-out rows, where it can fall below 0.

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of the rows and of the neighbours' tie-breaking.

    Returns:
        ``info_m``, ``info_c``, ``info_e``, the last also ``_per_factor``; ``settings``. M of a single factor and C
        of a single active code are nan. With all codes dead all are 0.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = (array.cpu().numpy() for array in check_arrays(codes, factors))
    robust = is_robust(preset)
    train, test = draw_labelled(torch.as_tensor(v), TRAIN, TEST, seed)
    active = _active(z[train])
    shares = _normalised_information(z[train][:, active], v[train], seed)
    explained = _explained(standardised(z, train), v, train, test if robust else train)
    reasons = []
    if v.shape[1] < 2:
        reasons.append("info_m needs two factors to tell apart")
    if active.sum() == 1:
        reasons.append("info_c needs two active codes to choose from")
    return {
        "info_m": _mean_lead(shares) if active.any() else 0.0,
        "info_c": _mean_lead(shares.T) if active.any() else 0.0,
        "info_e": float(explained.mean()),
        "info_e_per_factor": explained,
        "settings": {"train": len(train), "test": len(test) if robust else 0, "active_codes": int(active.sum())}
        | ({"reason": "; ".join(reasons)} if reasons else {}),
    }


def _active(codes: Float64[np.ndarray, "row code"]) -> Bool[np.ndarray, "code"]:
    extent = np.ptp(codes, axis=0)
    return extent > RANGE * extent.max()


def _normalised_information(
    codes: Float64[np.ndarray, "row code"], factors: Int64[np.ndarray, "row factor"], seed: int
) -> Float64[np.ndarray, "code factor"]:
    def column(factor: Int64[np.ndarray, "row"]) -> Float64[np.ndarray, "code"]:
        information = mutual_info_classif(
            codes, factor, discrete_features=False, n_neighbors=NEIGHBOURS, random_state=seed
        )
        return information / float(entropy(torch.as_tensor(np.bincount(factor)).double()))

    if not codes.shape[1]:
        return np.zeros((0, factors.shape[1]))
    return np.stack(each(column, list(factors.T)), axis=1)


def _mean_lead(shares: Float64[np.ndarray, "row column"]) -> float:
    """Mean over rows of the largest entry's share of its row, rescaled to 0 for equal entries and 1 for one alone."""
    columns = shares.shape[1]
    if columns < 2:
        return float("nan")
    total = shares.sum(axis=1)
    # A row of zeros prefers no column.
    lead = np.where(total > 0, shares.max(axis=1) / np.where(total > 0, total, 1), 1 / columns)
    return float((lead.mean() - 1 / columns) / (1 - 1 / columns))


def _explained(
    codes: Float64[np.ndarray, "row code"],
    factors: Int64[np.ndarray, "row factor"],
    train: Int64[np.ndarray, "train"],
    scored: Int64[np.ndarray, "scored"],
) -> Float64[np.ndarray, "factor"]:
    def share(k: int) -> float:
        model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=ITERATIONS)
        model.fit(codes[train], factors[train, k])
        # A value that was not there to be fitted has no probability to score.
        rows = scored[np.isin(factors[scored, k], model.classes_)]
        chosen = np.searchsorted(model.classes_, factors[rows, k])
        probability = model.predict_proba(codes[rows])[np.arange(len(rows)), chosen]
        loss = -np.log(probability.clip(min=np.finfo(float).eps)).mean()
        # With balanced classes a model without codes gives every value the same probability.
        guessing = np.log(len(model.classes_))
        return float((guessing - loss) / guessing)

    with warnings.catch_warnings():
        # So many iterations belong to the definition.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.array(each(share, range(factors.shape[1])))
