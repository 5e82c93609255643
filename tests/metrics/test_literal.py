"""Each metric against its literal version on the same rows, and what may change without changing it."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.metrics import cases
from tests.reference import metrics as reference

from disentone.metrics import (
    beta_vae_score,
    dcimig,
    draw_rows,
    explicitness,
    factor_vae_score,
    infomec,
    irs,
    jemmig,
    med,
    mig,
    mig_sup,
    modularity,
    sap,
    unsupervised,
)

PLUG_IN = {"mig": mig, "mig_sup": mig_sup, "dcimig": dcimig, "jemmig": jemmig, "modularity": modularity, "med": med}
CODES = [cases.entangled(), cases.identity(), cases.leaking(), (cases.grid() @ np.eye(3, 5), cases.grid())]


@pytest.mark.parametrize("codes_and_factors", CODES, ids=["entangled", "identity", "leak", "on bin edges"])
@pytest.mark.parametrize("name", [*PLUG_IN, "irs"])
def test_dlib_is_the_literal_version(name: str, codes_and_factors: tuple[np.ndarray, np.ndarray]) -> None:
    metric = irs if name == "irs" else PLUG_IN[name]
    expected = getattr(reference, name)(*codes_and_factors)
    assert metric(*codes_and_factors)[name] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("codes_and_factors", CODES[:3], ids=["entangled", "identity", "leak"])
def test_the_unsupervised_ones_are_the_literal_versions(codes_and_factors: tuple[np.ndarray, np.ndarray]) -> None:
    scores = unsupervised(*codes_and_factors)
    found = [scores[key] for key in ("gaussian_tc", "wasserstein", "wasserstein_normalised", "mutual_information")]
    assert found == pytest.approx(reference.unsupervised(codes_and_factors[0]), abs=1e-6)


def test_estimators_are_scikit_learns() -> None:
    z, v = cases.entangled()
    train, test = draw_rows(len(z), 10_000, 5_000, seed=0)
    assert sap(z, v)["sap"] == pytest.approx(reference.sap(z, v, train, test), abs=1e-9)
    assert explicitness(z, v)["explicitness"] == pytest.approx(reference.explicitness(z, v, train, test), abs=1e-9)
    for preset, scored in (("dlib", train), ("robust", test)):
        scores = infomec(z, v, preset)
        expected = reference.infomec(z, v, train, scored)
        # The neighbours' tie-breaking noise differs; the regression of no codes converges to its closed form.
        assert [scores["info_m"], scores["info_c"]] == pytest.approx(expected[:2], abs=1e-4)
        assert scores["info_e"] == pytest.approx(expected[2], abs=1e-4)


@pytest.mark.parametrize("name", ["beta_vae_score", "factor_vae_score"])
def test_gathers_agree_with_loops_within_their_spread(name: str) -> None:
    z, v = cases.entangled()
    metric = {"beta_vae_score": beta_vae_score, "factor_vae_score": factor_vae_score}[name]
    scores = [metric(z, v, seed=seed)[name] for seed in range(3)]
    assert np.ptp(scores) < 0.03
    literal = getattr(reference, name)(z, v, train=1_000 if name == "factor_vae_score" else 400, test=400)
    assert np.mean(scores) == pytest.approx(literal, abs=0.07)


@pytest.mark.parametrize("preset", ["dlib", "robust"])
@pytest.mark.parametrize("name", PLUG_IN)
def test_order_scale_and_number_of_copies_do_not_matter(name: str, preset: str) -> None:
    z, v = cases.entangled()

    def score(codes: np.ndarray, factors: np.ndarray) -> float:
        return PLUG_IN[name](codes, factors, preset)[name]

    expected = score(z, v)
    assert score(z[:, [3, 1, 4, 0, 2]], v) == pytest.approx(expected, abs=1e-9)
    assert score(z, v[:, [2, 0, 1]]) == pytest.approx(expected, abs=1e-9)
    assert score(z * 8 - 4, v) == pytest.approx(expected, abs=1e-9)
    shuffled = np.random.default_rng(1).permutation(len(z))
    assert score(z[shuffled], v[shuffled]) == pytest.approx(expected, abs=1e-9)
    if (name, preset) != ("mig", "robust"):  # Miller's correction depends on the number of rows
        assert score(np.tile(z, (2, 1)), np.tile(v, (2, 1))) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "metric"), [("irs", irs), ("gaussian_tc", unsupervised), ("mutual_information", unsupervised)]
)
def test_they_do_not_depend_on_a_code_s_scale_unless_weighted_by_it(name: str, metric: Callable) -> None:
    z, v = cases.entangled()
    expected = metric(z, v)[name]
    assert metric(z * 8 - 4, v)[name] == pytest.approx(expected, abs=1e-9)
    assert metric(z[:, ::-1].copy(), v)[name] == pytest.approx(expected, abs=1e-9)
    assert metric(z[::-1].copy(), v[::-1].copy())[name] == pytest.approx(expected, abs=1e-9)
    if name != "irs":
        assert metric(z * [1, 2, 4, 8, 16] + 1, v)[name] == pytest.approx(expected, abs=1e-9)
