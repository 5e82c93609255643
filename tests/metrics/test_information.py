"""Estimators against closed forms, scikit-learn and the literal versions."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from tests.metrics.cases import entangled
from tests.reference import metrics as reference

from disentone.metrics.information import entropy, equal_width_bins, mutual_information, quantile_bins


def test_entropy_has_its_closed_form() -> None:
    assert entropy(torch.ones(4).double()).item() == pytest.approx(math.log(4))
    assert entropy(torch.tensor([8, 0]).double()).item() == 0
    miller = math.log(2) + 1 / (2 * 10)
    assert entropy(torch.tensor([5, 5, 0]).double(), correct=True).item() == pytest.approx(miller)


def test_the_matrix_is_scikit_learns_and_the_literal_one() -> None:
    z, v = entangled()
    information, entropies = mutual_information(torch.tensor(z), torch.tensor(v))
    assert information.shape == (z.shape[1], v.shape[1])
    for j, k in np.ndindex(*information.shape):
        binned = reference.equal_width(z[:, j])
        assert information[j, k].item() == pytest.approx(mutual_info_score(binned, v[:, k]), abs=1e-9)
        assert information[j, k].item() == pytest.approx(reference.mutual_information(binned, v[:, k]), abs=1e-9)
    assert entropies.tolist() == pytest.approx([reference.entropy(column) for column in v.T])


def test_equal_width_bins_are_numpys_on_edges_too() -> None:
    z = np.concatenate([np.linspace(-1, 3, 41), [0.1, 0.2, 0.3]])[:, None]
    assert np.array_equal(equal_width_bins(torch.tensor(z))[:, 0].numpy(), reference.equal_width(z[:, 0]) - 1)


def test_quantile_bins_are_equally_filled_and_merge_ties() -> None:
    z = torch.randn(2_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert quantile_bins(z, 20).unique(return_counts=True)[1].tolist() == [100] * 20
    ties = torch.tensor([[0.0]] * 90 + [[1.0]] * 10, dtype=torch.float64)
    assert len(quantile_bins(ties, 20).unique()) == 2


@pytest.mark.parametrize("rows", [21, 30, 60, 2_001])
def test_quantile_bins_of_the_other_sign_hold_the_same_rows(rows: int) -> None:
    z = torch.randint(rows // 2, (rows, 2), generator=torch.Generator().manual_seed(0)).double()
    bins, turned = quantile_bins(z, 20), quantile_bins(-z, 20)
    assert torch.equal(bins + turned, torch.full_like(bins, 40))


def test_robust_information_of_independent_variables_is_near_zero() -> None:
    rng = np.random.default_rng(0)
    z, v = torch.tensor(rng.normal(size=(3_000, 4))), torch.tensor(rng.integers(0, 10, (3_000, 2)))
    plug_in, corrected = (mutual_information(z, v, robust)[0].mean().item() for robust in (False, True))
    assert plug_in > 0.02
    assert corrected < 0.005


def test_a_constant_code_informs_about_nothing() -> None:
    _, v = entangled()
    for robust in (False, True):
        information, _ = mutual_information(torch.zeros(len(v), 2, dtype=torch.float64), torch.tensor(v), robust)
        assert information.abs().max() < 1e-12
