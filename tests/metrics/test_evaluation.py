"""One call on arrays: flat keys, chance, settings, errors."""

import math

import numpy as np
import pytest
import torch
from tests.metrics import cases

from disentone.metrics import METRICS, evaluate, mig
from disentone.metrics.evaluation import chosen_metrics


def test_keys_are_flat_and_carry_factor_names() -> None:
    z, v = cases.entangled()
    result = evaluate(z, v, "fast", factor_names=["f0", "slope", "decay"], dci_backend="lightgbm")
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
    first, second = (evaluate(*cases.entangled(), "fast", seed=5, dci_backend="lightgbm") for _ in range(2))
    assert {k: v for k, v in first.items() if isinstance(v, float)} == {
        k: v for k, v in second.items() if isinstance(v, float)
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["migg"]}, "no metric is called migg; there are mig, .*dci_es, and the sets all and fast"),
        ({"preset": "dlibb"}, "preset must be dlib or robust, got dlibb"),
        ({"dci_backend": "xgb"}, "dci_backend must be gradient_boosting or lightgbm, got xgb"),
        ({"metrics": ["mig"], "factor_names": ["a"]}, "1 factor names for 3 factors"),
        ({"metrics": ["mig"], "factor_names": ["a", "b", "a"]}, "each needs one of its own"),
        ({"metrics": ["mig"], "factor_names": "abc"}, "factor_names must be a list of names, got 'abc'"),
        ({"metrics": ["mig"], "seed": -1}, "seed must be a whole number from 0 to 4294967295, got -1"),
        ({"metrics": ["mig"], "seed": 2**40}, "seed must be a whole number"),
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


ZERO_WITHOUT_CODES = (
    *("mig", "mig_sup", "dcimig", "dci_disentanglement", "dci_completeness", "sap", "modularity", "factor_vae_score"),
    *("irs", "info_m", "info_c", "med", "gaussian_tc", "wasserstein", "wasserstein_normalised", "mutual_information"),
)
KEYS = (
    *ZERO_WITHOUT_CODES,
    *("jemmig", "dci_informativeness", "explicitness", "beta_vae_score", "info_e", "dci_es", "dci_es_size"),
)


def test_all_is_every_metric_with_its_chance() -> None:
    z, v = cases.entangled(rows=120)
    result = evaluate(z[:, :3], v[:, 1:], chance=True)
    for key in KEYS:
        assert isinstance(result[key], float), key
        # What knows no factors has no chance.
        assert (f"chance/{key}" in result) == (key not in METRICS["unsupervised"].keys), key
    assert result["settings"]["rows_used"]["dci"] == {"train": 80, "test": 40, "backend": "gradient_boosting"}
    assert result["settings"]["rows_used"]["mig"] == {"train": 120, "test": 0}
    assert result["settings"]["reasons"] == {}


def test_a_metric_that_fails_is_nan_with_its_reason_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("the matrix\n is singular")

    monkeypatch.setitem(METRICS, "sap", METRICS["sap"]._replace(score=fail))
    result = evaluate(*cases.entangled(rows=200), ["sap", "mig"], chance=True)
    assert math.isnan(result["sap"])
    assert math.isnan(result["chance/sap"])
    assert result["settings"]["reasons"] == {"sap": "sap failed: the matrix is singular"}
    assert result["mig"] > 0


@pytest.mark.parametrize("scale", [1e90, 1e-90])
def test_no_metric_fails_at_the_ends_of_the_range_of_codes(scale: float) -> None:
    z, v = cases.entangled(rows=200)
    names = [name for name in METRICS if name != "dci_es"]
    assert evaluate(z * scale, v, names, "robust")["settings"]["reasons"] == {}


def test_sets_and_names_choose_what_is_computed() -> None:
    assert set(chosen_metrics("all", "lightgbm")) - set(chosen_metrics("fast", "lightgbm")) == {"dci_es"}
    assert set(chosen_metrics("all", "lightgbm")) - set(chosen_metrics("fast", "gradient_boosting")) == {
        "dci",
        "dci_es",
    }
    assert chosen_metrics(["dci_completeness", "dci", "info_e"], "lightgbm") == ["dci", "infomec"]
    assert chosen_metrics("sap", "lightgbm") == ["sap"]


def test_fractional_factors_are_scored_where_that_means_something() -> None:
    z, v = cases.identity()
    continuous = v + np.random.default_rng(0).uniform(-0.4, 0.4, v.shape)
    result = evaluate(z, continuous, ["mig", "dci", "irs", "mutual_information"], chance=True)
    assert math.isnan(result["mig"])
    assert math.isnan(result["chance/dci_completeness"])
    assert result["settings"]["reasons"]["mig"] == "mig needs whole numbers; factor 0 has fractions: bin it first"
    assert result["irs"] > 0.8 > 0.2 > result["chance/irs"]
    assert result["mutual_information"] == evaluate(z, v, ["unsupervised"])["mutual_information"]


def test_a_lone_factor_or_code_has_no_rival_and_the_settings_say_so() -> None:
    z, v = cases.identity()
    result = evaluate(z, v[:, :1], "fast", "robust")
    for key in ("dci_disentanglement", "modularity", "beta_vae_score", "factor_vae_score", "info_m", "med"):
        assert math.isnan(result[key]), key
        assert any("two factors" in reason for reason in result["settings"]["reasons"].values())
    assert result["mig"] > 0.9
    lone = evaluate(z[:, :1], v, "fast", "robust")
    assert math.isnan(lone["dci_completeness"])
    assert math.isnan(lone["info_c"])
    assert lone["mig/0"] > 0.9


@pytest.mark.parametrize("preset", ["dlib", "robust"])
def test_dead_codes_are_no_error(preset: str) -> None:
    _, v = cases.entangled()
    result = evaluate(np.full((len(v), 4), 0.1), v, "fast", preset, dci_backend="lightgbm")
    assert {key: result[key] for key in ZERO_WITHOUT_CODES} == pytest.approx(dict.fromkeys(ZERO_WITHOUT_CODES, 0.0))
    assert result["explicitness"] == pytest.approx(0.5 if preset == "dlib" else 0)
    assert result["info_e"] == pytest.approx(0, abs=1e-6)
    assert result["beta_vae_score"] == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize("preset", ["dlib", "robust"])
def test_one_dead_code_more_changes_no_score_of_active_codes(preset: str) -> None:
    z, v = cases.entangled()
    names = ["mig", "jemmig", "dcimig", "factor_vae_score", "irs", "info_m", "info_c", "unsupervised"]
    names += ["mig_sup", "modularity"] if preset == "robust" else []
    without, beside = (
        evaluate(codes, v, names, preset) for codes in (z, np.concatenate([z, np.full((len(z), 1), 3.3)], axis=1))
    )
    for key, value in without.items():
        if isinstance(value, float):
            assert beside[key] == pytest.approx(value, abs=1e-9), key


@pytest.mark.parametrize("preset", ["dlib", "robust"])
def test_types_of_arrays_do_not_matter(preset: str) -> None:
    z, v = cases.entangled(rows=300)
    z = z.astype(np.float32)
    names = [name for name in METRICS if name not in ("dci", "dci_es", "sap")]
    expected = evaluate(z, v, names, preset)
    kinds = [
        (z.astype(np.float64), v.astype(np.int8)),
        (torch.tensor(z), torch.tensor(v, dtype=torch.float32)),
        (z.tolist(), (v * 1000 - 7).tolist()),
        (np.asfortranarray(z[::-1])[::-1], v.astype(np.uint64)),
    ]
    for codes, factors in kinds:
        result = evaluate(codes, factors, names, preset)
        for key, value in expected.items():
            if isinstance(value, float):
                assert result[key] == pytest.approx(value, abs=1e-9), key


@pytest.mark.gpu
def test_cpu_and_gpu_agree_on_all_metrics() -> None:
    z, v = (torch.as_tensor(array) for array in cases.entangled())
    here, there = (evaluate(*pair, "fast", dci_backend="lightgbm") for pair in ((z, v), (z.cuda(), v.cuda())))
    for key, value in here.items():
        if isinstance(value, float):
            assert there[key] == pytest.approx(value, abs=1e-6), key
