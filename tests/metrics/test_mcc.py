"""MCC against every matching tried one by one, and codes whose score is known."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from tests.metrics import cases

from disentone.metrics import evaluate, mcc


def literal(codes: np.ndarray, factors: np.ndarray, correlate) -> float:
    """The best mean over all ways of giving every factor a code of its own."""
    table = np.array([[abs(correlate(z, v).statistic) for v in factors.T] for z in codes.T])
    return max(
        np.mean([table[j, k] for k, j in enumerate(chosen)]) for chosen in permutations(range(len(table)), len(table.T))
    )


@pytest.mark.parametrize("preset", ["dlib", "robust"])
@pytest.mark.parametrize("make", [cases.entangled, cases.noise, cases.leaking])
def test_it_is_the_best_of_all_matchings(make, preset: str) -> None:
    codes, factors = make()
    codes = codes + 1e-9 * np.random.default_rng(0).normal(size=codes.shape)
    found = mcc(codes, factors, preset)
    assert found["mcc_pearson"] == pytest.approx(literal(codes, factors, pearsonr), abs=1e-9)
    assert found["mcc_spearman"] == pytest.approx(literal(codes, factors, spearmanr), abs=1e-9)


def test_known_answers() -> None:
    codes, factors = cases.identity()
    assert mcc(codes, factors)["mcc_pearson"] > 0.999
    bent = mcc(np.exp(3 * codes), factors)
    # Ranks do not bend; within a factor's equal values those of the codes' noise are any.
    assert bent["mcc_spearman"] == pytest.approx(mcc(codes, factors)["mcc_spearman"])
    assert bent["mcc_spearman"] > 0.95 > bent["mcc_pearson"]
    assert mcc(*cases.rotated())["mcc_spearman"] == pytest.approx(np.sqrt(0.5), abs=0.02)
    missing = mcc(codes[:, :2], factors)
    assert missing["mcc_pearson_per_factor"] == pytest.approx([1, 1, 0], abs=1e-3)
    assert missing["mcc_pearson"] == pytest.approx(2 / 3, abs=1e-3)
    dead = mcc(np.full((len(factors), 4), 0.1), factors)
    assert dead["mcc_pearson"] == dead["mcc_spearman"] == 0
    assert mcc(*cases.noise())["mcc_spearman"] < 0.05


def test_sign_scale_shift_and_order_change_nothing() -> None:
    codes, factors = cases.entangled()
    expected = mcc(codes, factors)
    order = np.random.default_rng(0).permutation(len(codes))
    changed = mcc((-1e-6 * codes[:, ::-1] + 5)[order], factors[order])
    for key in ("mcc_pearson", "mcc_spearman"):
        assert changed[key] == pytest.approx(expected[key], abs=1e-6)
        assert changed[f"{key}_per_factor"] == pytest.approx(expected[f"{key}_per_factor"], abs=1e-6)


def test_evaluate_names_its_parts_admits_fractions_and_gives_chance() -> None:
    codes, factors = cases.identity()
    scores = evaluate(codes, factors + 0.25, ["mcc"], factor_names=["a", "b", "c"], chance=True)
    assert scores["mcc_pearson/b"] > 0.99
    assert scores["chance/mcc_pearson"] < 0.05
