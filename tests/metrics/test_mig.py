"""The mutual information gap: known answers, the literal version, invariances."""

import numpy as np
import pytest
import torch
from tests.metrics import cases
from tests.reference import metrics as reference

from disentone.metrics import mig

PRESETS = ("dlib", "robust")


@pytest.mark.parametrize("preset", PRESETS)
def test_one_code_per_factor_scores_near_one(preset: str) -> None:
    assert mig(*cases.identity(), preset=preset)["mig"] > 0.98


@pytest.mark.parametrize("preset", PRESETS)
def test_45_degrees_and_noise_score_near_zero(preset: str) -> None:
    assert mig(*cases.rotated(), preset=preset)["mig"] < 0.1
    assert mig(*cases.noise(), preset=preset)["mig"] < 0.02


@pytest.mark.parametrize("preset", PRESETS)
def test_a_missing_factor_harms_its_own_entry_only(preset: str) -> None:
    per_factor = mig(*cases.missing(), preset=preset)["mig_per_factor"]
    assert per_factor[2] < 0.02
    assert per_factor[:2].min() > 0.98


def test_dlib_is_the_literal_version() -> None:
    z, v = cases.entangled()
    assert mig(z, v)["mig"] == pytest.approx(reference.mig(z, v), abs=1e-9)


def test_the_score_is_the_mean_of_its_parts() -> None:
    scores = mig(*cases.entangled())
    assert scores["mig"] == pytest.approx(scores["mig_per_factor"].mean())
    assert scores["mi_matrix"].shape == (5, 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_permuting_and_scaling_codes_and_doubling_rows_change_nothing(preset: str) -> None:
    z, v = cases.entangled()
    score = mig(z, v, preset=preset)["mig"]
    assert mig(z[:, [3, 1, 4, 0, 2]], v, preset=preset)["mig"] == pytest.approx(score)
    assert mig(z * 8 - 4, v, preset=preset)["mig"] == pytest.approx(score)
    assert mig(z[::-1].copy(), v[::-1].copy(), preset=preset)["mig"] == pytest.approx(score)
    if preset == "dlib":
        assert mig(np.tile(z, (2, 1)), np.tile(v, (2, 1)))["mig"] == pytest.approx(score)


def test_dead_codes_score_zero() -> None:
    _, v = cases.entangled()
    assert mig(np.zeros((len(v), 3)), v)["mig"] == 0


def test_one_code_has_no_rival() -> None:
    z, v = cases.identity()
    assert mig(z[:, :1], v)["mig_per_factor"][0] > 0.98


def test_only_ten_thousand_rows_are_used() -> None:
    rng = np.random.default_rng(0)
    z, v = rng.normal(size=(10_500, 2)), rng.integers(0, 3, (10_500, 1))
    assert mig(z, v, seed=0)["mig"] != mig(z, v, seed=1)["mig"]
    assert mig(z[:10_000], v[:10_000], seed=0)["mig"] == pytest.approx(mig(z[:10_000], v[:10_000], seed=1)["mig"])


@pytest.mark.gpu
def test_cpu_and_gpu_agree() -> None:
    z, v = (torch.as_tensor(array) for array in cases.entangled())
    for preset in PRESETS:
        assert mig(z.cuda(), v.cuda(), preset=preset)["mig"] == pytest.approx(mig(z, v, preset=preset)["mig"], abs=1e-9)
