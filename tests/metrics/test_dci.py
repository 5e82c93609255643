"""DCI: known answers, the literal formulas, both back-ends."""

import importlib

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from tests.metrics import cases
from tests.reference import metrics as reference

from disentone.metrics import dci, draw_rows
from disentone.metrics.dci import boosted, is_far_below


@pytest.mark.parametrize("backend", ["gradient_boosting", "lightgbm"])
def test_one_code_per_factor_scores_near_one(backend: str) -> None:
    scores = dci(*cases.identity(), backend=backend)
    assert min(scores[f"dci_{part}"] for part in ("disentanglement", "completeness", "informativeness")) > 0.95


def test_noise_predicts_at_chance() -> None:
    accuracy = dci(*cases.noise(), backend="lightgbm")["dci_informativeness_per_factor"]
    assert accuracy == pytest.approx([1 / size for size in cases.SIZES], abs=0.07)


def test_two_codes_of_one_factor_cost_completeness_only() -> None:
    z, v = cases.identity()
    z[:, 3] = z[:, 0]
    z[::2, 0], z[1::2, 3] = 0, 0  # each knows the factor on half of the rows
    scores = dci(z, v, backend="lightgbm")
    assert scores["dci_completeness_per_factor"][0] < 0.8
    assert scores["dci_completeness_per_factor"][1:].min() > 0.95
    assert scores["dci_disentanglement"] > 0.9


def test_scores_are_the_literal_formulas_of_the_importance() -> None:
    scores = dci(*cases.entangled(), backend="lightgbm")
    disentanglement, completeness = reference.dci(scores["dci_importance"])
    assert scores["dci_disentanglement"] == pytest.approx(disentanglement, abs=1e-9)
    assert scores["dci_completeness"] == pytest.approx(completeness, abs=1e-9)
    assert scores["dci_informativeness"] == pytest.approx(scores["dci_informativeness_per_factor"].mean())


def test_dlib_is_scikit_learns_estimator_as_it_comes() -> None:
    z, v = cases.entangled(rows=300)
    scores = dci(z, v, preset="dlib", seed=3)
    train, test = draw_rows(len(z), 10_000, 5_000, seed=3)
    model = GradientBoostingClassifier(random_state=3).fit(z[train], v[train, 1])
    assert scores["dci_importance"][:, 1] == pytest.approx(model.feature_importances_)
    assert scores["dci_informativeness_per_factor"][1] == np.mean(model.predict(z[test]) == v[test, 1])


def test_backends_agree_on_what_matters() -> None:
    exact, fast = (dci(*cases.entangled(), backend=backend) for backend in ("gradient_boosting", "lightgbm"))
    for key in ("dci_disentanglement", "dci_completeness", "dci_informativeness"):
        assert exact[key] == pytest.approx(fast[key], abs=0.05)


KEYS = ("dci_disentanglement", "dci_completeness", "dci_informativeness")


def perfect(values: int, rows: int, factors: int, seed: int = 0) -> np.ndarray:
    """Factors that are their own codes."""
    return np.random.default_rng(seed).integers(0, values, (rows, factors))


def sizes(*chosen: tuple[int, int]) -> list:
    """All values and rows; those not chosen are slow."""
    table = [(values, rows) for values in (2, 3, 20, 60, 80, 150, 300) for rows in (24, 45, 300, 3_000, 15_000)]
    return [pytest.param(*size, marks=[] if size in chosen else pytest.mark.slow) for size in table]


@pytest.mark.parametrize(
    ("values", "rows"), sizes((2, 24), (2, 45), (3, 24), (3, 45), (20, 300), (60, 300), (60, 3_000), (300, 3_000))
)
def test_perfect_codes_are_perfect_or_the_rows_too_few(values: int, rows: int) -> None:
    v = perfect(values, rows, 2)
    scores = dci(v.astype(float), v, backend="lightgbm")
    found = [scores[key] for key in KEYS]
    assert np.isnan(found).all() == (rows * 2 // 3 < 7 * min(values, max(len(np.unique(v)), 1)))
    if np.isnan(found).any():
        assert (
            "fewer than 7 rows a value" in scores["settings"]["reason"]
            or "never fitted" in scores["settings"]["reason"]
        )
    else:
        assert min(found) >= 0.95


@pytest.mark.parametrize(
    ("values", "rows"),
    [(2, 45), (3, 300), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((20, 300), (60, 3_000)))],
)
def test_perfect_codes_score_as_scikit_learns_trees_say(values: int, rows: int) -> None:
    v = perfect(values, rows, 2)
    exact, fast = (dci(v.astype(float), v, backend=backend) for backend in ("gradient_boosting", "lightgbm"))
    assert [fast[key] for key in KEYS] == pytest.approx([exact[key] for key in KEYS], abs=0.05)


@pytest.mark.parametrize("backend", [pytest.param("gradient_boosting", marks=pytest.mark.slow), "lightgbm"])
@pytest.mark.parametrize(("values", "rows", "factors"), [(2, 45, 2), (3, 300, 3), (10, 600, 2)])
def test_copies_of_a_code_share_its_importance(values: int, rows: int, factors: int, backend: str) -> None:
    v = perfect(values, rows, factors)
    for columns in (np.concatenate([v, v], axis=1), np.repeat(v, 2, axis=1)):
        scores = dci(columns.astype(float), v, backend=backend)
        assert scores["dci_completeness"] == pytest.approx(1 - np.log(2) / np.log(2 * factors), abs=0.1)
        assert scores["dci_disentanglement"] > 0.95


def test_boosted_trees_far_below_one_plain_tree_are_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    z, v = cases.identity()

    def poor(z_train: np.ndarray, labels: np.ndarray, z_test: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        importance, predicted = boosted(z_train, labels, z_test, seed)
        return importance, predicted if labels.max() < 4 else np.zeros_like(predicted)

    monkeypatch.setattr(importlib.import_module("disentone.metrics.dci"), "boosted", poor)
    scores = dci(z, v, backend="lightgbm")
    assert np.isnan([scores[key] for key in KEYS]).all()
    assert np.isnan(scores["dci_completeness_per_factor"]).tolist() == [True, False, False]
    assert "factor 0 is predicted by boosted trees in 0." in scores["settings"]["reason"]


def test_far_below_is_no_matter_of_luck() -> None:
    right = np.arange(100) < 80
    assert is_far_below(right, np.arange(100) < 95)
    assert not is_far_below(right, np.arange(100) < 88)
    assert not is_far_below(right[::33], np.full(4, True))  # one row of four
    assert not is_far_below(np.arange(100) < 50, np.arange(100) >= 38)  # 62 right, but nearly all others


def test_dead_codes_have_no_importance() -> None:
    _, v = cases.entangled()
    scores = dci(np.zeros((len(v), 3)), v, backend="lightgbm")
    assert scores["dci_disentanglement"] == scores["dci_completeness"] == 0
    assert scores["dci_importance"].max() == 0
