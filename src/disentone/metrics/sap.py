"""Separated attribute predictability (Kumar et al. 2018)."""

import warnings

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, check_options, draw_labelled, standardised, undefined
from disentone.metrics.score import Score

TRAIN, TEST = 10_000, 5_000
FARTHEST = 1_000
"""Of raw codes whose means lie as many deviations from 0 the classifier sees the mean only."""


SAP = (Score("sap", "SAP", main=True),)


def sap(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """How much better the best code alone predicts a factor than the second best: a gap of test accuracies.

    Mean over factors. A linear support vector classifier (C 0.01, balanced classes) for every code and factor;
    ``dlib`` feeds it raw codes, so that their scale matters, ``robust`` standardised ones. In [0, 1]; a line
    cannot cut a code into many values, so that one code per factor stays far below 1.

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of rows and classifiers.

    Returns:
        ``sap``, ``sap_per_factor`` [factor], ``settings``.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    robust = check_options(preset, seed)
    sample = draw_labelled(v, TRAIN, TEST, seed)
    train, test = sample.train, sample.test
    z_array, v_array = z.cpu().numpy(), v.cpu().numpy()
    if robust:
        z_array = standardised(z_array, train)
    elif _all_far(z_array[train]):
        far = (
            f"sap needs codes nearer to 0: every one's mean is over {FARTHEST} times its deviation; subtract the means"
        )
        return undefined(["sap"], far)

    def lead(k: int) -> float:
        accuracies = sorted(accuracy(code, v_array[:, k]) for code in z_array.T)
        return accuracies[-1] - accuracies[-2] if len(accuracies) > 1 else accuracies[0]

    def accuracy(code: Float64[np.ndarray, "row"], factor: Int64[np.ndarray, "row"]) -> float:
        model = LinearSVC(C=0.01, class_weight="balanced", random_state=seed).fit(code[train, None], factor[train])
        return float(np.mean(model.predict(code[test, None]) == factor[test]))

    with warnings.catch_warnings():
        # The definition names this estimator with its default iterations, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return sample.averaged("sap", sample.each_factor(v.shape[1], lead))


def _all_far(codes: Float64[np.ndarray, "row code"]) -> bool:
    """Whether every code that varies lies too far from 0 for a classifier of raw codes."""
    varying = codes[:, np.ptp(codes, axis=0) > 0]
    return varying.size > 0 and bool((np.abs(varying.mean(axis=0)) > FARTHEST * varying.std(axis=0)).all())
