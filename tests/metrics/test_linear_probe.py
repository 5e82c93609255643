"""The linear probe against scikit-learn by hand, and codes whose accuracy is known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from disentone.metrics import draw_rows, linear_probe


@pytest.fixture
def factors() -> np.ndarray:
    return np.random.default_rng(0).integers(0, [5, 3], (3000, 2))


def test_it_is_the_test_accuracy_of_logistic_regression(factors: np.ndarray) -> None:
    codes = factors @ [[3.0, 1.0, 0.0], [0.0, 5.0, 1.0]] + np.random.default_rng(1).normal(size=(3000, 3))
    train, test = draw_rows(3000, 10_000, 5_000, seed=4)
    scaled = StandardScaler().fit(codes[train]).transform(codes)
    expected = [
        LogisticRegression().fit(scaled[train], factor[train]).score(scaled[test], factor[test]) for factor in factors.T
    ]
    found = linear_probe(codes, factors, seed=4)
    np.testing.assert_allclose(found["linear_probe_per_factor"], expected, atol=1e-3)
    assert found["linear_probe"] == pytest.approx(np.mean(expected), abs=1e-3)


def test_copies_are_read_and_noise_is_chance(factors: np.ndarray) -> None:
    assert linear_probe(factors.astype(float), factors)["linear_probe"] > 0.99
    noise = np.random.default_rng(2).normal(size=(3000, 4))
    assert linear_probe(noise, factors)["linear_probe"] == pytest.approx((1 / 5 + 1 / 3) / 2, abs=0.04)
