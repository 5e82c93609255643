"""Separated attribute predictability (Kumar et al. 2018)."""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, draw_labelled, is_robust, standardised
from disentone.metrics.parallel import each

TRAIN, TEST = 10_000, 5_000


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
    robust = is_robust(preset)
    train, test = draw_labelled(v, TRAIN, TEST, seed)
    z_array, v_array = z.cpu().numpy(), v.cpu().numpy()
    if robust:
        z_array = standardised(z_array, train)

    def accuracy(pair: tuple[int, ...]) -> float:
        code, factor = z_array[:, pair[0], None], v_array[:, pair[1]]
        model = LinearSVC(C=0.01, class_weight="balanced", random_state=seed).fit(code[train], factor[train])
        return float(np.mean(model.predict(code[test]) == factor[test]))

    shape = (z_array.shape[1], v_array.shape[1])
    with warnings.catch_warnings():
        # The definition names this estimator with its default iterations, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        accuracies = np.array(each(accuracy, np.ndindex(*shape))).reshape(shape)
    ranked = np.sort(accuracies, axis=0)[::-1]
    gap = ranked[0] - ranked[1] if len(ranked) > 1 else ranked[0]
    return {"sap": float(gap.mean()), "sap_per_factor": gap, "settings": {"train": len(train), "test": len(test)}}
