"""Intervals, fronts and verdicts against simulation, brute force and cases whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from disentone.report.statistics import pareto_front, rank_agreement, summary, verdicts


@pytest.mark.parametrize(
    ("runs", "places"), [(6, (0, 5)), (8, (0, 7)), (9, (1, 7)), (12, (2, 9)), (20, (5, 14)), (50, (17, 32))]
)
def test_the_interval_lies_between_the_tabled_order_statistics(runs: int, places: tuple[int, int]) -> None:
    values = np.random.default_rng(0).permutation(runs).astype(float)
    found = summary(values)
    assert found.is_interval
    assert (found.low, found.high) == places
    assert found.median == np.median(values)


@pytest.mark.parametrize("runs", [6, 9, 25])
def test_the_interval_covers_the_median_as_often_as_it_says(runs: int) -> None:
    draws = np.random.default_rng(1).exponential(size=(4_000, runs))
    found = [summary(sample) for sample in draws]
    assert np.mean([entry.low <= np.log(2) <= entry.high for entry in found]) > 0.945


def test_fewer_than_six_runs_have_a_range_and_say_so() -> None:
    assert summary([3.0, 1.0, np.nan, 2.0]) == (2.0, 1.0, 3.0, 3, False)
    nothing = summary([np.nan])
    assert nothing.runs == 0
    assert np.isnan(nothing.median)


def test_the_pareto_front_is_what_nothing_beats() -> None:
    draws = np.random.default_rng(2)
    cost, gain = draws.integers(0, 9, 40).astype(float), draws.integers(0, 9, 40).astype(float)
    cost[3] = np.nan
    front = pareto_front(cost, gain)
    for i in range(40):
        beaten = any(
            cost[j] <= cost[i] and gain[j] >= gain[i] and (cost[j], gain[j]) != (cost[i], gain[i]) for j in range(40)
        )
        assert front[i] == (np.isfinite(cost[i]) and not beaten)


def test_rank_agreement_is_spearmans_over_rows_that_have_both() -> None:
    draws = np.random.default_rng(3)
    table = pd.DataFrame({"a": draws.random(30), "b": draws.random(30), "same": 1.0})
    table.loc[4, "a"] = np.nan
    found = rank_agreement(table)
    kept = table.dropna()
    assert found.loc["a", "b"] == pytest.approx(spearmanr(kept["a"], kept["b"]).statistic)
    assert found.loc["b", "a"] == found.loc["a", "b"]
    assert np.isnan(found.loc["a", "same"])


def test_verdicts() -> None:
    runs = [
        {
            "mig/f0": 0.5 + step, "chance/mig/f0": 0.0,
            "mig/slope": 0.02, "dci_informativeness/slope": 0.8, "chance/dci_informativeness/slope": 0.2,
            "mig/decay": 0.01, "dci_informativeness/decay": 0.3, "chance/dci_informativeness/decay": 0.2,
            "mig/snr": 0.01, "explicitness/snr": 0.9, "chance/explicitness/snr": 0.5,
        }
        for step in (0.0, 0.1, -0.9)
    ]  # fmt: skip
    expected = {"f0": "found", "slope": "entangled", "decay": "missing", "snr": "entangled"}
    assert verdicts(runs, [*expected, "unknown"]) == expected
