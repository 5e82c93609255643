"""Modularity and explicitness (Ridgeway & Mozer 2018)."""

import warnings

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from disentone.metrics.arrays import (
    Scores,
    active_codes,
    check_arrays,
    check_options,
    draw_labelled,
    standardised,
    undefined,
)
from disentone.metrics.information import ROWS, mutual_information
from disentone.metrics.score import Score

TRAIN, TEST = 10_000, 5_000


MODULARITY = (Score("modularity", "modularity"),)


def modularity(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """Whether each code knows one factor only: 1 less the squared information on all others, relative to the best.

    Mean over all codes (``dlib``; dead ones count as 0) or the active ones (``robust``); 20 equal-width bins. In
    [0, 1]. High for noise too, whose estimated information differs by chance: read it beside its chance level.

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of the 10,000 rows drawn.

    Returns:
        ``modularity``, ``settings``; nan for a single factor.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    robust = check_options(preset, seed)
    if v.shape[1] < 2:
        return undefined(["modularity"], "modularity needs two factors to tell apart")
    sample = draw_labelled(v, ROWS, 0, seed)
    if sample.reasons:
        return undefined(["modularity"], *sample.reasons.values())
    squared = mutual_information(z[sample.train], v[sample.train])[0] ** 2
    best = squared.amax(dim=1)
    others = squared.sum(dim=1) - best
    scores = torch.where(best > 0, 1 - others / (best * (v.shape[1] - 1)).clamp(min=1e-300), 0)
    if robust:
        scores = scores[active_codes(z)]
    return {"modularity": float(scores.mean()) if len(scores) else 0.0, "settings": sample.settings}


EXPLICITNESS = (Score("explicitness", "explicitness", reads_out=True),)


def explicitness(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """Whether a linear read-out finds each factor's values: one-against-rest ROC AUC, mean over values and factors.

    Multinomial logistic regression on standardised codes, scored on test rows. ``dlib``: in [0, 1], chance 0.5;
    ``robust``: rescaled to 2 AUC - 1, chance 0. A value that the test rows lack is left out of the mean.

    Args, raises: see :func:`modularity`. Returns ``explicitness``, ``explicitness_per_factor``, ``settings``.
    """
    z, v = check_arrays(codes, factors)
    robust = check_options(preset, seed)
    sample = draw_labelled(v, TRAIN, TEST, seed)
    train, test = sample.train, sample.test
    z_array, v_array = standardised(z.cpu().numpy(), train), v.cpu().numpy()
    if len(test):
        lone = ((v[test] == v[test[0]]).all(dim=0)).nonzero()[:, 0].tolist()
        one = {k: f"the {len(test)} test rows hold one value of factor {k}; give more rows that vary it" for k in lone}
        sample = sample._replace(reasons={**one, **sample.reasons})

    def area(k: int) -> float:
        model = LogisticRegression().fit(z_array[train], v_array[train, k])
        return _area(model.predict_proba(z_array[test]), v_array[test, k], model.classes_)

    with warnings.catch_warnings():
        # The definition names this estimator with its default iterations, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        areas = sample.each_factor(v.shape[1], area)
    return sample.averaged("explicitness", 2 * areas - 1 if robust else areas)


def _area(
    probability: Float64[np.ndarray, "test value"],
    factor: Int64[np.ndarray, "test"],
    values: Int64[np.ndarray, "value"],
) -> float:
    found = [j for j, value in enumerate(values) if (factor == value).any()]
    return float(np.mean([roc_auc_score(factor == values[j], probability[:, j]) for j in found]))
