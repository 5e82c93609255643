"""SAP: known answers and scikit-learn's estimator."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC
from tests.metrics import cases

from disentone.metrics import draw_rows, sap


def test_one_code_per_binary_factor_scores_its_lead_over_chance() -> None:
    rng = np.random.default_rng(0)
    v = rng.integers(0, 2, (2_000, 2))
    z = v + 0.05 * rng.normal(size=v.shape)
    assert sap(z, v)["sap"] == pytest.approx(0.5, abs=0.05)


def test_noise_and_duplicates_score_near_zero() -> None:
    assert sap(*cases.noise())["sap"] < 0.05
    assert sap(*cases.duplicated())["sap_per_factor"][0] < 0.02


def test_it_is_scikit_learns_estimator_on_one_code() -> None:
    z, v = cases.entangled()
    train, test = draw_rows(len(z), 10_000, 5_000, seed=2)
    accuracies = []
    for j in range(z.shape[1]):
        model = LinearSVC(C=0.01, class_weight="balanced", random_state=2).fit(z[train, j : j + 1], v[train, 0])
        accuracies.append(np.mean(model.predict(z[test, j : j + 1]) == v[test, 0]))
    first, second = sorted(accuracies, reverse=True)[:2]
    assert sap(z, v, seed=2)["sap_per_factor"][0] == pytest.approx(first - second)


def test_robust_does_not_depend_on_scale() -> None:
    z, v = cases.entangled()
    assert sap(z * 0.01, v, preset="robust")["sap"] == pytest.approx(sap(z, v, preset="robust")["sap"], abs=0.02)


def test_dead_codes_are_no_error() -> None:
    _, v = cases.entangled()
    assert sap(np.zeros((len(v), 3)), v)["sap"] == 0
