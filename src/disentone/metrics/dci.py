"""Disentanglement, completeness, informativeness (Eastwood & Williams 2018)."""

import numpy as np
from jaxtyping import Float64, Int64
from lightgbm import LGBMClassifier
from numpy.typing import ArrayLike
from sklearn.ensemble import GradientBoostingClassifier
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, draw_labelled, is_robust
from disentone.metrics.parallel import each

BACKENDS = ("gradient_boosting", "lightgbm")
TRAIN, TEST = 10_000, 5_000
EPSILON = 1e-11


def dci(
    codes: ArrayLike | Tensor,
    factors: ArrayLike | Tensor,
    preset: str = "dlib",
    seed: int = 0,
    backend: str | None = None,
) -> Scores:
    """How few factors each code serves (D), how few codes each factor needs (C), how well they predict it (I).

    From the importance of each code in boosted trees that predict each factor. D weighs codes by their share of
    all importance, C factors by theirs; I is the mean test accuracy. All in [0, 1].

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: which back-end, unless it is named.
        seed: of rows and trees.
        backend: ``gradient_boosting`` (``dlib``) is scikit-learn's GradientBoostingClassifier as it comes
            (minutes); ``lightgbm`` (``robust``) histogram trees of the same number and depth, importance by gain
            (seconds).

    Returns:
        ``dci_disentanglement``, ``dci_completeness``, ``dci_informativeness``, the latter two also
        ``_per_factor``; ``dci_importance`` [code factor], each column with sum 1; ``settings``. D of a single
        factor and C of a single code are nan: there is nothing to choose from.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`, and for an unknown back-end.

    """
    z, v = check_arrays(codes, factors)
    used = backend_of(preset, backend)
    train, test = draw_labelled(v, TRAIN, TEST, seed)
    z_array, v_array = z.cpu().numpy(), v.cpu().numpy()
    importance, accuracy = _boost(z_array[train], v_array[train], z_array[test], v_array[test], seed, used)
    disentanglement, _ = concentration(importance)
    completeness, per_factor = concentration(importance.T)
    reasons = [
        reason
        for missing, reason in (
            (importance.shape[1] < 2, "dci_disentanglement needs two factors to tell apart"),
            (importance.shape[0] < 2, "dci_completeness needs two codes to choose from"),
        )
        if missing
    ]
    return {
        "dci_disentanglement": disentanglement,
        "dci_completeness": completeness,
        "dci_informativeness": float(accuracy.mean()),
        "dci_completeness_per_factor": per_factor,
        "dci_informativeness_per_factor": accuracy,
        "dci_importance": importance,
        "settings": {"train": len(train), "test": len(test), "backend": used}
        | ({"reason": "; ".join(reasons)} if reasons else {}),
    }


def backend_of(preset: str, backend: str | None) -> str:
    """The named back-end, or the preset's. Raises ValueError for an unknown one."""
    used = backend or ("lightgbm" if is_robust(preset) else "gradient_boosting")
    if used not in BACKENDS:
        raise ValueError(f"dci_backend must be {' or '.join(BACKENDS)}, got {used}")
    return used


def concentration(importance: Float64[np.ndarray, "row column"]) -> tuple[float, Float64[np.ndarray, "row"]]:
    """How far each row's importance lies in one column: 1 - entropy to the base of their number.

    Answers the mean weighted by the rows' shares of all importance, and every row's own; 0 for rows without any
    importance, nan for a single column.
    """
    columns = importance.shape[1]
    if columns < 2:
        return float("nan"), np.full(len(importance), np.nan)
    share = (importance + EPSILON) / (importance + EPSILON).sum(axis=1, keepdims=True)
    scores = 1 + (share * np.log(share)).sum(axis=1) / np.log(columns)
    scores = np.where(importance.sum(axis=1) > 0, scores, 0.0)
    return float(scores @ _shares(importance.sum(axis=1))), scores


def _boost(
    z_train: Float64[np.ndarray, "train code"],
    v_train: Int64[np.ndarray, "train factor"],
    z_test: Float64[np.ndarray, "test code"],
    v_test: Int64[np.ndarray, "test factor"],
    seed: int,
    backend: str,
) -> tuple[Float64[np.ndarray, "code factor"], Float64[np.ndarray, "factor"]]:
    def fit(k: int) -> tuple[np.ndarray, float]:
        model = _classifier(backend, seed).fit(z_train, v_train[:, k])
        importance = _shares(np.abs(model.feature_importances_.astype(np.float64)))
        return importance, float(np.mean(model.predict(z_test) == v_test[:, k]))

    importances, accuracies = zip(*each(fit, range(v_train.shape[1])), strict=True)
    return np.stack(importances, axis=1), np.array(accuracies)


def _classifier(backend: str, seed: int) -> GradientBoostingClassifier | LGBMClassifier:
    if backend == "gradient_boosting":
        return GradientBoostingClassifier(random_state=seed)
    return LGBMClassifier(
        n_estimators=100,
        max_depth=3,
        num_leaves=8,
        importance_type="gain",
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


def _shares(weights: Float64[np.ndarray, "entry"]) -> Float64[np.ndarray, "entry"]:
    total = weights.sum()
    return weights / total if total > 0 else np.zeros_like(weights)
