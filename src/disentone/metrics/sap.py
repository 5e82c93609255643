"""Separated attribute predictability (Kumar et al. 2018): does one code alone predict a factor?"""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import Tensor

from disentone.metrics.arrays import Preset, Scores, check_arrays, draw_rows

TRAIN, TEST = 10_000, 5_000


def sap(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: Preset = "dlib", seed: int = 0) -> Scores:
    """Mean over factors of the gap between the two best test accuracies that single codes reach.

    A linear support vector classifier (C 0.01, balanced classes) for every code and factor; ``dlib`` feeds it
    raw codes, so that their scale matters, ``robust`` standardised ones. In [0, 1].

    Returns:
        ``sap``, ``sap_per_factor`` [factor].

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = (array.cpu().numpy() for array in check_arrays(codes, factors))
    train, test = draw_rows(len(z), TRAIN, TEST, seed)
    if preset == "robust":
        spread = z[train].std(axis=0)
        z = (z - z[train].mean(axis=0)) / np.where(spread > 0, spread, 1)
    accuracy = np.zeros((z.shape[1], v.shape[1]))
    for j, k in np.ndindex(*accuracy.shape):
        model = LinearSVC(C=0.01, class_weight="balanced", random_state=seed)
        with warnings.catch_warnings():
            # The definition names this estimator with its default iterations, converged or not.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(z[train, j : j + 1], v[train, k])
        accuracy[j, k] = np.mean(model.predict(z[test, j : j + 1]) == v[test, k])
    ranked = np.sort(accuracy, axis=0)[::-1]
    gap = ranked[0] - ranked[1] if len(ranked) > 1 else ranked[0]
    return {"sap": float(gap.mean()), "sap_per_factor": gap}
