"""Every metric on codes whose scores one knows beforehand, in both presets."""

from functools import cache

import pytest
from tests.metrics.cases import CASES

from disentone.metrics import METRICS, dci_es, evaluate


@cache
def scores(case: str, preset: str) -> dict:
    return evaluate(*CASES[case](), metrics="fast", preset=preset, chance=case == "noise", dci_backend="lightgbm")


# key, and its bounds on: identity, 45 degrees, full rotation, duplicated factor, missing factor, non-linear leak
ANSWERS = {
    "mig": [(0.97, 1), (0, 0.02), (0, 0.6), (0.6, 0.7), (0.63, 0.68), (0.75, 0.9)],
    "mig_sup": [(0.49, 1), (0, 0.02), (0, 0.5), (0.6, 1), (0.3, 0.7), (0.35, 0.9)],
    "dcimig": [(0.97, 1), (0, 0.02), (0, 0.5), (0.97, 1), (0.7, 0.78), (0.75, 0.9)],
    "jemmig": [(0.9, 1), (0.05, 0.2), (0.1, 0.6), (0.75, 0.9), (0.6, 0.75), (0.75, 0.93)],
    "dci_disentanglement": [(0.95, 1), (0, 0.05), (0, 0.6), (0.95, 1), (0.4, 0.8), (0.85, 1)],
    "dci_completeness": [(0.95, 1), (0, 0.05), (0, 0.7), (0.7, 0.9), (0.65, 0.9), (0.85, 1)],
    "dci_informativeness": [(0.98, 1), (0.9, 1), (0.95, 1), (0.98, 1), (0.7, 0.82), (0.98, 1)],
    "sap": [(0.5, 0.6), (0, 0.05), (0, 0.4), (0.4, 0.52), (0.25, 0.4), (0.4, 0.55)],
    "modularity": [(0.49, 1), (0, 0.1), (0, 0.9), (0.6, 1), (0.35, 0.85), (0.45, 1)],
    "explicitness": [(0.99, 1), (0.98, 1), (0.95, 1), (0.99, 1), (0.6, 0.88), (0.75, 0.96)],
    "beta_vae_score": [(0.99, 1), (0.45, 0.55), (0.5, 1), (0.99, 1), (0.95, 1), (0.97, 1)],
    "factor_vae_score": [(0.99, 1), (0.45, 0.55), (0.4, 0.8), (0.99, 1), (0.7, 0.9), (0.95, 1)],
    "irs": [(0.9, 1), (0.4, 0.6), (0.2, 0.7), (0.9, 1), (0.4, 0.75), (0.7, 0.9)],
    "info_m": [(0.97, 1), (0, 0.1), (0, 0.6), (0.97, 1), (0.6, 1), (0.7, 0.95)],
    "info_c": [(0.97, 1), (0, 0.1), (0, 0.6), (0.7, 0.85), (0.9, 1), (0.7, 0.95)],
    "info_e": [(0.97, 1), (0.97, 1), (0.97, 1), (0.97, 1), (0.6, 0.7), (0.6, 0.9)],
    "med": [(0.95, 1), (0, 0.02), (0, 0.5), (0.95, 1), (0.7, 0.9), (0.65, 0.9)],
    "mcc_pearson": [(0.99, 1), (0.69, 0.73), (0.6, 0.8), (0.99, 1), (0.65, 0.69), (0.8, 0.95)],
    "mcc_spearman": [(0.95, 1), (0.69, 0.73), (0.6, 0.8), (0.95, 1), (0.63, 0.69), (0.75, 0.95)],
    "gaussian_tc": [(0, 0.01), (0, 0.01), (0, 0.01), (3, 5), (0, 0.01), (0, 0.05)],
    "wasserstein": [(0, 0.01), (0, 0.01), (0, 0.01), (1, 1.3), (0, 0.01), (0, 0.05)],
    "wasserstein_normalised": [(0, 0.01), (0, 0.01), (0, 0.01), (0.25, 0.33), (0, 0.01), (0, 0.05)],
    "mutual_information": [(0, 0.01), (0.8, 1.2), (0.3, 1.5), (0.2, 0.35), (0, 0.05), (0.1, 0.4)],
}
ORDER = ("identity", "45 degrees", "full rotation", "duplicated factor", "missing factor", "non-linear leak")


@pytest.mark.parametrize("preset", ["dlib", "robust"])
@pytest.mark.parametrize("key", ANSWERS)
def test_known_answers(key: str, preset: str) -> None:
    found = {case: scores(case, preset)[key] for case in ORDER}
    for case, (low, high) in zip(ORDER, ANSWERS[key], strict=True):
        assert low - 1e-6 <= found[case] <= high + 1e-6, (case, found)


@pytest.mark.parametrize("preset", ["dlib", "robust"])
@pytest.mark.parametrize("key", [key for key in ANSWERS if key not in METRICS["unsupervised"].keys])
def test_noise_scores_its_chance(key: str, preset: str) -> None:
    tolerance = 0.15 if key.startswith("info_") else 0.05
    assert scores("noise", preset)[key] == pytest.approx(scores("noise", preset)[f"chance/{key}"], abs=tolerance)


@pytest.mark.parametrize("preset", ["dlib", "robust"])
def test_what_the_presets_promise(preset: str) -> None:
    whole, copied, lacking = (scores(case, preset) for case in ("identity", "duplicated factor", "missing factor"))
    assert copied["dci_completeness"] < whole["dci_completeness"] - 0.05
    assert copied["info_c"] < whole["info_c"] - 0.1
    assert copied["modularity"] > whole["modularity"] - 0.01
    for key in ("mig", "sap", "dcimig", "dci_completeness"):
        assert lacking[f"{key}/2"] < 0.45
        assert lacking[f"{key}/0"] == pytest.approx(whole[f"{key}/0"], abs=0.08), key
    assert scores("noise", "robust")["explicitness"] == pytest.approx(0, abs=0.05)
    assert scores("noise", "dlib")["explicitness"] == pytest.approx(0.5, abs=0.03)
    # Dead codes count in one preset only.
    assert whole["modularity"] == pytest.approx(0.5 if preset == "dlib" else 1, abs=0.01)


@pytest.mark.parametrize("preset", ["dlib", "robust"])
def test_dci_es_asks_more_capacity_of_entangled_codes(preset: str) -> None:
    easy, hard = (
        dci_es(*(array[::4] for array in CASES[name]()), preset=preset) for name in ("identity", "45 degrees")
    )
    assert easy["dci_es"] > 0.75
    assert easy["dci_es"] > hard["dci_es"] + 0.2
    assert easy["dci_es_size"] == 0.5
