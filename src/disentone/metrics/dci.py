"""Disentanglement, completeness, informativeness (Eastwood & Williams 2018)."""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from lightgbm import Dataset, train
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from disentone.metrics import arrays
from disentone.metrics.arrays import (
    Sample,
    Scores,
    check_arrays,
    check_options,
    draw_labelled,
    reason,
    standardised,
)
from disentone.metrics.score import Score

BACKENDS = ("gradient_boosting", "lightgbm")
TRAIN, TEST = 10_000, 5_000
EPSILON = 1e-11
# Of the lightgbm back-end: ensembles, their rounds, and trees a factor, at most; the learning rate, by which scores of
# entangled codes come nearest to scikit-learn's; with fewer rows a value perfect codes have D and C below .9.
ORDERS, ROUNDS, TREES, STEP = 4, 32, 3_200, 0.2
ROWS_PER_VALUE = 7
FAR = 0.1


DCI = (
    Score("dci_disentanglement", "DCI disentanglement", main=True, headline=True, short="DCI D"),
    Score("dci_completeness", "DCI completeness", main=True, short="DCI C"),
    Score("dci_informativeness", "DCI informativeness", main=True, reads_out=True, short="DCI I"),
)


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
            (minutes); ``lightgbm`` (``robust``) boosts the same loss by LightGBM's histogram trees of the same
            depth, on standardised codes, importance by gain (seconds), see :func:`boosted`.

    Returns:
        ``dci_disentanglement``, ``dci_completeness``, ``dci_informativeness``, the latter two also
        ``_per_factor``; ``dci_importance`` [code factor], each column with sum 1; ``settings``. D of a single
        factor and C of a single code are nan: there is nothing to choose from. A factor that
        :func:`~disentone.metrics.arrays.draw_labelled` gives a reason for, or that one plain decision tree predicts far
        better than LightGBM's do, has no score.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`, and for an unknown back-end.

    """
    z, v = check_arrays(codes, factors)
    robust = check_options(preset, seed)
    used = backend_of(preset, backend)
    sample = draw_labelled(v, TRAIN, TEST, seed, ROWS_PER_VALUE if used == "lightgbm" else arrays.ROWS_PER_VALUE)
    z_array, v_array = z.cpu().numpy(), v.cpu().numpy()
    if robust or used == "lightgbm":
        z_array = standardised(z_array, sample.train)
    importance, accuracy, sample = _fitted(z_array, v_array, sample, seed, used)
    disentanglement, _ = concentration(importance)
    completeness, per_factor = concentration(importance.T)
    reasons = list(sample.reasons.values())
    if importance.shape[1] < 2:
        reasons.append("dci_disentanglement needs two factors to tell apart")
    if importance.shape[0] < 2:
        reasons.append("dci_completeness needs two codes to choose from")
    return {
        "dci_disentanglement": disentanglement,
        "dci_completeness": completeness,
        "dci_informativeness": float(accuracy.mean()),
        "dci_completeness_per_factor": per_factor,
        "dci_informativeness_per_factor": accuracy,
        "dci_importance": importance,
        "settings": {**sample.settings, "backend": used, **reason(reasons)},
    }


def backend_of(preset: str, backend: str | None) -> str:
    """The named back-end, or the preset's. Raises ValueError for an unknown one."""
    used = backend or ("lightgbm" if check_options(preset, 0) else "gradient_boosting")
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
    # A row without importance has score 0; an unknown one stays nan.
    scores = np.where(importance.sum(axis=1) == 0, 0.0, scores)
    return float(scores @ _shares(importance.sum(axis=1))), scores


def _fitted(
    codes: Float64[np.ndarray, "row code"],
    factors: Int64[np.ndarray, "row factor"],
    sample: Sample,
    seed: int,
    backend: str,
) -> tuple[Float64[np.ndarray, "code factor"], Float64[np.ndarray, "factor"], Sample]:
    """Importance and test accuracy of each factor's trees, nan where the sample, as it then is, has a reason."""
    predict = boosted if backend == "lightgbm" else _gradient_boosting
    reasons = dict(sample.reasons)
    importance = np.full((codes.shape[1], factors.shape[1]), np.nan)
    z_train, z_test = codes[sample.train], codes[sample.test]

    def fit(k: int) -> float:
        known, asked = factors[sample.train, k], factors[sample.test, k]
        weights, found = predict(z_train, known, z_test, seed)
        right = found == asked
        if backend == "lightgbm":
            plain = DecisionTreeClassifier(random_state=seed).fit(z_train, known).predict(z_test) == asked
            if is_far_below(right, plain):
                reasons[k] = (
                    f"factor {k} is predicted by boosted trees in {right.mean():.2f} of the test rows and by one plain "
                    f"tree in {plain.mean():.2f}, so that their importance says little; bin it, or give more rows"
                )
                return np.nan
        importance[:, k] = weights
        return float(right.mean())

    accuracy = sample.each_factor(factors.shape[1], fit)
    return importance, accuracy, sample._replace(reasons=dict(sorted(reasons.items())))


def is_far_below(right: Bool[np.ndarray, "test"], plain: Bool[np.ndarray, "test"]) -> bool:
    """Whether trees that were right in these rows miss by over .1, and not by luck, what one plain tree reaches."""
    lead, differ = int(plain.sum()) - int(right.sum()), int((plain != right).sum())
    # Were both equally good, the lead would have a variance of the number of rows in which they differ.
    return bool(lead > FAR * len(right) and lead >= 2 * np.sqrt(differ))


def _gradient_boosting(
    z_train: Float64[np.ndarray, "train code"],
    labels: Int64[np.ndarray, "train"],
    z_test: Float64[np.ndarray, "test code"],
    seed: int,
) -> tuple[Float64[np.ndarray, "code"], Int64[np.ndarray, "test"]]:
    model = GradientBoostingClassifier(random_state=seed).fit(z_train, labels)
    return _shares(np.abs(model.feature_importances_.astype(np.float64))), model.predict(z_test)


def boosted(
    z_train: Float64[np.ndarray, "train code"],
    labels: Int64[np.ndarray, "train"],
    z_test: Float64[np.ndarray, "test code"],
    seed: int,
) -> tuple[Float64[np.ndarray, "code"], Int64[np.ndarray, "test"]]:
    """Importance of each code for labels, as shares, and the labels predicted for test rows.

    Trees of depth 3 on the gradient of the multinomial log loss. LightGBM would weight rows by the loss' second
    derivative, which vanishes where a class is rare or already known, so that steps and gains explode; here it has
    for all rows and rounds the mean that it begins with. Of equal codes LightGBM always splits on the first: the
    ensembles of four orders of the codes, in pairs of one and its reverse, are added up. A leaf may hold a
    single row, there are bins enough for every value, and the more values a factor has, the fewer the rounds, since
    one takes a tree a value and its steps are as much larger.

    Args:
        z_train: [train code] to fit on.
        labels: [train] of these rows.
        z_test: [test code] to predict.
        seed: of the orders.

    """
    values, label = np.unique(labels, return_inverse=True)
    truth = np.eye(len(values))[label]
    prior = np.log(truth.mean(axis=0))
    curvature = np.full(truth.shape, (len(values) - 1) / len(values) ** 2)

    def log_loss(margins: np.ndarray, _: Dataset) -> tuple[np.ndarray, np.ndarray]:
        return softmax(margins.reshape(truth.shape) + prior, axis=1) - truth, curvature

    settings = {
        "num_class": len(values),
        "learning_rate": STEP,
        "max_depth": 3,
        "num_leaves": 8,
        "min_data_in_leaf": 1,
        "min_sum_hessian_in_leaf": 0,
        "min_data_in_bin": 1,
        "max_bin": max(255, 4 * len(values)),
        "feature_pre_filter": False,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    rounds = int(np.clip(TREES // (ORDERS * len(values)), 2, ROUNDS))
    importance, margins = np.zeros(z_train.shape[1]), np.tile(prior, (len(z_test), 1))
    # LightGBM knows no data without a code that varies.
    for order in _orders(np.flatnonzero(np.ptp(z_train, axis=0)), seed):
        rows = Dataset(np.ascontiguousarray(z_train[:, order]), label, params=settings)
        model = train({**settings, "objective": log_loss}, rows, rounds)
        importance[order] += _shares(model.feature_importance("gain"))
        margins += np.asarray(model.predict(z_test[:, order], raw_score=True))
    return _shares(importance), values[margins.argmax(axis=1)]


def _orders(codes: Int64[np.ndarray, "code"], seed: int) -> list[Int64[np.ndarray, "code"]]:
    if not len(codes):
        return []
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(codes) for _ in range(ORDERS // 2)]
    return [*drawn, *(order[::-1] for order in drawn)]


def _shares(weights: Float64[np.ndarray, "entry"]) -> Float64[np.ndarray, "entry"]:
    total = weights.sum()
    return weights / total if total > 0 else 0 * weights
