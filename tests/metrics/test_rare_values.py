"""Values seen once or never: the same rule, and the right reason, in every metric that takes values as classes."""

import math

import numpy as np
import pytest
from tests.metrics import cases

from disentone.metrics import METRICS, evaluate

CLASSES = [name for name, metric in METRICS.items() if not metric.continuous]
SPLIT = ("dci", "sap", "explicitness", "linear_probe", "infomec", "dci_es")
NEVER = "the 100 test rows hold only values of factor 1 that were never fitted"


@pytest.mark.parametrize("preset", ["dlib", "robust"])
@pytest.mark.parametrize("name", CLASSES)
def test_values_all_seen_once_are_no_number(name: str, preset: str) -> None:
    rng = np.random.default_rng(0)
    v = np.stack([rng.integers(0, 3, 300), rng.permutation(300)], axis=1)
    result = evaluate(v + 0.01 * rng.normal(size=v.shape), v, [name], preset, dci_backend="lightgbm")
    keys = set(METRICS[name].keys) - {"dci_es_size"}
    assert all(math.isnan(result[key]) for key in keys)
    expected = NEVER if name in SPLIT else "factor 1 has 300 values in 300 rows, fewer than 5 rows a value"
    assert expected in result["settings"]["reasons"][name]
    for key in keys:
        # A factor of three values beside it keeps its score.
        assert math.isfinite(result.get(f"{key}/0", 0.0))


def test_explicitness_says_so_where_test_rows_hold_one_value() -> None:
    v = np.stack([np.arange(24) % 2, np.zeros(24, dtype=int)], axis=1)
    v[np.random.default_rng(0).permutation(24)[:3], 1] = 1
    reason = evaluate(v * 1.0, v, ["explicitness"])["settings"]["reasons"]["explicitness"]
    assert reason == "the 8 test rows hold one value of factor 1; give more rows that vary it"


@pytest.mark.parametrize("preset", ["dlib", "robust"])
def test_infomec_keeps_its_measure_beside_values_seen_once(preset: str) -> None:
    z, v = cases.identity()
    once = v.copy()
    once[np.random.default_rng(0).permutation(len(v))[:200], 0] += 100 + np.arange(200)
    result = evaluate(np.concatenate([once[:, :1] / 100, z[:, 1:3]], axis=1), once, ["infomec"], preset)
    assert result["info_m"] > 0.97
    assert result["info_c"] > 0.97


def test_infomec_has_no_neighbours_where_only_one_value_is_repeated() -> None:
    v = np.stack([np.arange(40) % 2, np.maximum(np.arange(40) - 38, 0)], axis=1)
    result = evaluate(v * 1.0, v, ["infomec"], seed=3)
    assert math.isnan(result["info_m"])
    assert "info_c have no neighbours for factor 1" in result["settings"]["reasons"]["infomec"]
