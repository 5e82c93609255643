"""One call on arrays: flat keys, chance, settings, errors."""

import numpy as np
import pytest
from tests.metrics import cases

from disentone.metrics import evaluate, mig


def test_keys_are_flat_and_carry_factor_names() -> None:
    z, v = cases.entangled()
    result = evaluate(z, v, factor_names=["f0", "slope", "decay"], dci_backend="lightgbm")
    assert {"mig", "mig/f0", "sap/slope", "dci_completeness/decay", "dci_disentanglement", "mi_matrix"} <= set(result)
    assert result["mig"] == mig(z, v)["mig"]
    assert result["mi_matrix"].shape == result["dci_importance"].shape == (5, 3)
    assert result["settings"]["preset"] == "dlib"
    assert result["settings"]["dci_backend"] == "lightgbm"


def test_chance_stands_beside_every_score_and_lies_below_a_good_one() -> None:
    result = evaluate(*cases.identity(), metrics=["mig", "sap"], chance=True)
    for key in ("mig", "mig/0", "sap"):
        assert result[f"chance/{key}"] < 0.1
        assert result[key] > result[f"chance/{key}"]


def test_the_same_seed_gives_the_same_scores() -> None:
    first, second = (evaluate(*cases.entangled(), seed=5, dci_backend="lightgbm") for _ in range(2))
    assert {k: v for k, v in first.items() if isinstance(v, float)} == {
        k: v for k, v in second.items() if isinstance(v, float)
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["migg"]}, "no metric is called migg; there are mig, dci, sap"),
        ({"preset": "dlibb"}, "preset must be dlib or robust, got dlibb"),
        ({"dci_backend": "xgb"}, "dci_backend must be gradient_boosting or lightgbm, got xgb"),
        ({"metrics": ["mig"], "factor_names": ["a"]}, "1 factor names for 3 factors"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(*cases.entangled(), **options)


def test_arrays_are_left_as_they_were() -> None:
    z, v = cases.entangled()
    before = z.copy(), v.copy()
    evaluate(z, v, metrics=["mig", "sap"], chance=True)
    assert np.array_equal(z, before[0])
    assert np.array_equal(v, before[1])
