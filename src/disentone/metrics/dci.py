"""Disentanglement, completeness, informativeness (Eastwood & Williams 2018)."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int64
from lightgbm import LGBMClassifier
from numpy.typing import ArrayLike
from sklearn.ensemble import GradientBoostingClassifier
from torch import Tensor

from disentone.metrics.arrays import Preset, Scores, check_arrays, draw_rows

Backend = Literal["gradient_boosting", "lightgbm"]
BACKENDS: dict[str, Backend] = {"dlib": "gradient_boosting", "robust": "lightgbm"}
TRAIN, TEST = 10_000, 5_000
EPSILON = 1e-11


def dci(
    codes: ArrayLike | Tensor,
    factors: ArrayLike | Tensor,
    preset: Preset = "dlib",
    seed: int = 0,
    backend: Backend | None = None,
) -> Scores:
    """How few factors each code serves (D), how few codes each factor needs (C), how well they predict it (I).

    From the importance of each code in boosted trees that predict each factor. D weighs codes by their share of
    all importance, C factors by theirs; I is the mean test accuracy. All in [0, 1].

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: which back-end, unless it is named.
        seed: of rows and trees.
        backend: ``gradient_boosting`` is scikit-learn's GradientBoostingClassifier as it comes (minutes);
            ``lightgbm`` histogram trees of the same number and depth, importance by gain (seconds).

    Returns:
        ``dci_disentanglement``, ``dci_completeness``, ``dci_informativeness``, the latter two also
        ``_per_factor``; ``dci_importance`` [code factor], each column with sum 1.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    train, test = draw_rows(len(z), TRAIN, TEST, seed)
    z_array, v_array = z.cpu().numpy(), v.cpu().numpy()
    importance, accuracy = _boost(
        z_array[train], v_array[train], z_array[test], v_array[test], seed, backend or BACKENDS[preset]
    )
    completeness = 1 - _normalised_entropy(importance.T)
    disentanglement = 1 - _normalised_entropy(importance)
    return {
        "dci_disentanglement": float(disentanglement @ _shares(importance.sum(axis=1))),
        "dci_completeness": float(completeness @ _shares(importance.sum(axis=0))),
        "dci_informativeness": float(accuracy.mean()),
        "dci_completeness_per_factor": completeness,
        "dci_informativeness_per_factor": accuracy,
        "dci_importance": importance,
    }


def _boost(
    z_train: Float64[np.ndarray, "train code"],
    v_train: Int64[np.ndarray, "train factor"],
    z_test: Float64[np.ndarray, "test code"],
    v_test: Int64[np.ndarray, "test factor"],
    seed: int,
    backend: Backend,
) -> tuple[Float64[np.ndarray, "code factor"], Float64[np.ndarray, "factor"]]:
    importances, accuracies = [], []
    for k in range(v_train.shape[1]):
        model = _classifier(backend, seed).fit(z_train, v_train[:, k])
        importances.append(_shares(np.abs(model.feature_importances_.astype(np.float64))))
        accuracies.append(np.mean(model.predict(z_test) == v_test[:, k]))
    return np.stack(importances, axis=1), np.array(accuracies)


def _classifier(backend: Backend, seed: int) -> GradientBoostingClassifier | LGBMClassifier:
    if backend == "gradient_boosting":
        return GradientBoostingClassifier(random_state=seed)
    return LGBMClassifier(
        n_estimators=100,
        max_depth=3,
        num_leaves=8,
        importance_type="gain",
        random_state=seed,
        n_jobs=torch.get_num_threads(),
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


def _normalised_entropy(importance: Float64[np.ndarray, "row column"]) -> Float64[np.ndarray, "row"]:
    """Entropy of each row's shares to the base of their number; 1 for a row without any importance."""
    columns = importance.shape[1]
    share = (importance + EPSILON) / (importance + EPSILON).sum(axis=1, keepdims=True)
    return -(share * np.log(share)).sum(axis=1) / np.log(columns) if columns > 1 else np.zeros(len(importance))


def _shares(weights: Float64[np.ndarray, "entry"]) -> Float64[np.ndarray, "entry"]:
    total = weights.sum()
    return weights / total if total > 0 else np.zeros_like(weights)
