"""InfoMEC: information-theoretic modularity, compactness, explicitness (Hsu et al. 2023)."""

import math
import warnings

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from disentone.metrics.arrays import Sample, Scores, check_arrays, check_options, draw_labelled, reason, standardised
from disentone.metrics.information import entropy
from disentone.metrics.parallel import each
from disentone.metrics.score import Score

TRAIN, TEST = 10_000, 5_000
NEIGHBOURS = 10
RANGE = 1 / 20
ITERATIONS = 100


INFOMEC = (
    Score("info_m", "InfoMEC modularity"),
    Score("info_c", "InfoMEC compactness"),
    Score("info_e", "InfoMEC explicitness", low=None),
)


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
    robust = check_options(preset, seed)
    sample = draw_labelled(torch.as_tensor(v), TRAIN, TEST, seed)
    train, test = sample.train, sample.test if robust else sample.train[:0]
    active = _active(z[train])
    scaled = standardised(z, train)
    shares = _normalised_information(scaled[train][:, active], v[train], seed)
    explained = sample.averaged("info_e", _explained(scaled, v, sample, test if robust else train))
    reasons = list(sample.reasons.values())
    if v.shape[1] < 2:
        reasons.append("info_m needs two factors to tell apart")
    if active.sum() == 1:
        reasons.append("info_c needs two active codes to choose from")
    for k in sorted(set(np.flatnonzero(np.isnan(shares).any(axis=0)).tolist()) - set(sample.reasons)):
        reasons.append(f"info_m and info_c have no neighbours for factor {k}: all its values but one are seen once")
    lead = {"info_m": shares, "info_c": shares.T}
    settings = {"train": len(train), "test": len(test), "active_codes": int(active.sum()), **reason(reasons)}
    if sample.reasons or np.isnan(shares).any():
        return {**dict.fromkeys(lead, math.nan), **explained, "settings": settings}
    leads = {key: _mean_lead(part) if active.any() else 0.0 for key, part in lead.items()}
    return {**leads, **explained, "settings": settings}


def _active(codes: Float64[np.ndarray, "row code"]) -> Bool[np.ndarray, "code"]:
    extent = np.ptp(codes, axis=0)
    return extent > RANGE * extent.max()


def _normalised_information(
    codes: Float64[np.ndarray, "row code"], factors: Int64[np.ndarray, "row factor"], seed: int
) -> Float64[np.ndarray, "code factor"]:
    def column(factor: Int64[np.ndarray, "row"]) -> Float64[np.ndarray, "code"]:
        # A value seen once has no neighbours: information and entropy are those of the other rows.
        counts = np.bincount(factor)
        if (counts > 1).sum() < 2:
            return np.full(codes.shape[1], np.nan)
        shared = counts[factor] > 1
        information = mutual_info_classif(
            codes[shared], factor[shared], discrete_features=False, n_neighbors=NEIGHBOURS, random_state=seed
        )
        return information / float(entropy(torch.as_tensor(counts[counts > 1]).double()))

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
    sample: Sample,
    scored: Int64[np.ndarray, "scored"],
) -> Float64[np.ndarray, "factor"]:
    train = sample.train

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
        return sample.each_factor(factors.shape[1], share)
