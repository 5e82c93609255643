"""BetaVAE and FactorVAE scores and IRS: what is looked up, who may vote, when there is no score."""

import numpy as np
import torch
from tests.metrics import cases

from disentone.metrics import beta_vae_score, factor_vae_score, irs
from disentone.metrics.interventional import _pairs, _rows, _sharing


def test_what_is_looked_up_shares_the_fixed_factor_and_nothing_else() -> None:
    v = torch.as_tensor(cases.grid(repeats=2))
    generator = torch.Generator().manual_seed(0)
    fixed = torch.randint(3, (500,), generator=generator)
    one, other = _pairs(_sharing(v), fixed, generator)
    rows = _rows(_sharing(v), fixed, generator)
    assert (one != other).all()
    for k in range(3):
        drawn = fixed == k
        assert (v[one[drawn], k] == v[other[drawn], k]).all()
        assert (v[rows[drawn]][..., k] == v[rows[drawn][:, :1], k]).all()
        assert (v[one[drawn], (k + 1) % 3] != v[other[drawn], (k + 1) % 3]).float().mean() > 0.5
        values = v[one[drawn], k].bincount().double()
        assert values.min() > 0.6 * values.mean()


def test_rows_alone_with_their_value_are_passed_over() -> None:
    rng = np.random.default_rng(0)
    v = rng.integers(0, 3, (300, 2))
    v[:50, 0] = np.arange(100, 150)
    z = v % 100 + 0.01 * rng.normal(size=v.shape)
    assert factor_vae_score(z, v)["factor_vae_score"] > 0.99


def test_codes_of_next_to_no_spread_have_no_vote() -> None:
    z, v = cases.identity()
    flat = np.concatenate([z[:, :3], 1e-3 * np.random.default_rng(0).normal(size=(len(z), 1))], axis=1)
    for preset in ("dlib", "robust"):
        assert factor_vae_score(flat, v, preset)["factor_vae_score"] > 0.99
    assert factor_vae_score(z * 0.01, v)["factor_vae_score"] == 0
    assert factor_vae_score(z * 0.01, v, "robust")["factor_vae_score"] > 0.99


def test_small_groups_do_not_betray_their_factor() -> None:
    rng = np.random.default_rng(0)
    v = np.stack([rng.integers(0, 400, 2_000), rng.integers(0, 4, 2_000)], axis=1)
    assert abs(beta_vae_score(rng.normal(size=(2_000, 4)), v)["beta_vae_score"] - 0.5) < 0.05


def test_irs_cuts_factors_of_many_values_to_twenty_bins() -> None:
    rng = np.random.default_rng(0)
    continuous = rng.uniform(size=(3_000, 2))
    score = irs(continuous, continuous)["irs"]
    assert score > 0.9
    ranks = continuous.argsort(axis=0).argsort(axis=0)
    assert abs(irs(continuous, ranks)["irs"] - score) < 0.01
    assert irs(rng.normal(size=(3_000, 2)), continuous)["irs"] < 0.4
