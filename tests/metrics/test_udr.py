"""UDR: models that agree, that do not, that have nothing to say."""

import numpy as np
import pytest
import torch
from tests.metrics import cases
from tests.reference import metrics as reference

from disentone.metrics import udr
from disentone.metrics.udr import pair_agreement


def models(*turns: np.ndarray) -> list[np.ndarray]:
    z = cases.identity()[0][:, :3]
    return [z @ turn for turn in turns]


def test_the_same_codes_in_another_order_and_sign_agree() -> None:
    scores = udr(models(np.eye(3), -np.eye(3)[:, [2, 0, 1]], 5 * np.eye(3)), [np.ones(3)] * 3)
    assert scores["udr_spearman"] > 0.95
    assert scores["udr_lasso"] > 0.85
    assert scores["udr_lasso_per_model"].shape == (3,)


def test_a_rotated_model_agrees_less_with_the_others() -> None:
    scores = udr(models(np.eye(3), np.eye(3)[:, [1, 2, 0]], np.eye(3) - 2 / 3), [np.ones(3)] * 3)
    for kind in ("spearman", "lasso"):
        assert scores[f"udr_{kind}_per_model"][2] < scores[f"udr_{kind}_per_model"][:2].min() - 0.15


def test_codes_without_information_do_not_count() -> None:
    z = models(np.eye(3))[0]
    noisy = np.concatenate([z, np.random.default_rng(0).normal(size=(len(z), 5))], axis=1)
    kl = np.array([1.0] * 3 + [0.005] * 5)
    gated, open_ = (udr([noisy, z], [divergence, np.ones(3)])["udr_spearman"] for divergence in (kl, np.ones(8)))
    assert gated > 0.95
    assert open_ < 0.8
    assert udr([noisy, z], [0 * kl, np.ones(3)])["udr_lasso"] == 0


def test_a_pair_is_the_literal_version() -> None:
    z, _ = cases.entangled()
    other = cases.entangled(seed=1)[0][:, :4] + z[:, :4]
    scores = udr([z, other], [np.ones(5), np.ones(4)])
    expected = reference.udr_pair(z, other)
    assert scores["udr_spearman_pairs"][0, 1] == pytest.approx(expected[0], abs=1e-6)
    assert scores["udr_lasso_pairs"][0, 1] == pytest.approx(expected[1], abs=1e-4)
    assert np.isnan(scores["udr_lasso_pairs"][0, 0])


def test_agreement_has_its_closed_form() -> None:
    assert pair_agreement(np.eye(3)) == 1
    assert pair_agreement(np.full((2, 2), 0.5)) == pytest.approx(0.25)
    assert pair_agreement(np.zeros((2, 2))) == 0


def test_kl_may_be_per_row_and_tensors_are_welcome() -> None:
    z = torch.as_tensor(models(np.eye(3))[0], dtype=torch.float32)
    assert udr([z, z], [torch.ones(len(z), 3), torch.ones(3)])["udr_spearman"] > 0.95


@pytest.mark.parametrize(
    ("codes", "kls", "message"),
    [
        ([np.ones((4, 2))], [np.ones(2)], "two or more models, got 1 codes and 1 KLs"),
        ([np.ones((4, 2)), np.ones((5, 2))], [np.ones(2)] * 2, r"the same rows, got \[4, 5\]"),
        ([np.ones((4, 2))] * 2, [np.ones(3)] * 2, r"2 codes needs as many KLs, got \[3\]"),
        ([np.ones((4, 2))] * 2, [np.ones(2), np.array([1, np.nan])], r"KLs must be finite, got \[1.0, nan\]"),
        ([np.ones((4, 2))] * 2, [np.ones(2), np.array([1, -1])], "a KL cannot be negative, got -1"),
        ([np.full((4, 2), np.nan)] * 2, [np.ones(2)] * 2, "codes must be finite"),
    ],
)
def test_bad_input_is_refused(codes: list, kls: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        udr(codes, kls)
