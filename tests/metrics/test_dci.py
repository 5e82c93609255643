"""DCI: known answers, the literal formulas, both back-ends."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from tests.metrics import cases
from tests.reference import metrics as reference

from disentone.metrics import dci, draw_rows


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
        assert exact[key] == pytest.approx(fast[key], abs=0.12)


def test_dead_codes_have_no_importance() -> None:
    _, v = cases.entangled()
    scores = dci(np.zeros((len(v), 3)), v, backend="lightgbm")
    assert scores["dci_disentanglement"] == scores["dci_completeness"] == 0
    assert scores["dci_importance"].max() == 0
