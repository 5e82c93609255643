"""Visibility against the definition, and the factor that nothing can see."""

import itertools

import pytest
import torch

from disentone.data import visibility
from disentone.frontends import CQT
from disentone.sources import Tones
from disentone.synths import Additive

FACTORS = {
    "f0": {"unit": "Hz", "start": 200, "stop": 400, "step": 100},
    "slope": {"start": -0.1, "stop": -0.9, "step": -0.4},
    "decay": {"unit": "1/s", "start": 0, "stop": 10, "step": 5},
}


def make(law: str = "exponential") -> Tones:
    return Tones(Additive(factors=FACTORS, duration=0.25, amplitude_law=law), CQT(hop=1024))


def test_it_tends_to_the_mean_over_all_pairs() -> None:
    source = make()
    images = source.images(torch.arange(27)).double().view(3, 3, 3, -1)
    found = visibility(source, rows=4_000)
    # Over all ordered pairs, a value and itself included, the mean squared distance is twice the variance.
    expected = 2 * images.var(dim=0, correction=0).sum(dim=-1).mean()
    assert found["f0"]["random"] == pytest.approx(float(expected), rel=0.05)
    one_step = [(images[:, :, a] - images[:, :, b]).square().sum(dim=-1).mean() for a, b in ((0, 1), (1, 2), (2, 1))]
    assert found["decay"]["step"] == pytest.approx(float(sum(one_step) / 3), rel=0.05)
    variance = float(images.flatten(0, 2).var(dim=0, correction=0).sum())
    assert found[""]["variance"] == pytest.approx(variance, rel=0.05)
    assert found["f0"]["random_share"] == pytest.approx(found["f0"]["random"] / found[""]["variance"])


def test_the_seed_projects_amplitude_law_hides_the_slope() -> None:
    shares = {law: visibility(make(law), rows=300)["slope"]["random_share"] for law in ("linear_per_k", "exponential")}
    assert shares["linear_per_k"] < 0.03
    assert shares["exponential"] > 0.2


def test_the_same_seed_gives_the_same_table() -> None:
    one, two = (visibility(make(), rows=50, seed=seed) for seed in (3, 3))
    assert one == two
    assert any(a != b for a, b in itertools.pairwise([one["f0"], visibility(make(), rows=50, seed=4)["f0"]]))


@pytest.mark.parametrize("rows", [1, 10_000_000])
def test_too_few_or_too_many_rows_are_an_error(rows: int) -> None:
    with pytest.raises(ValueError, match=rf"rows must lie in 2\.\.100000 \(a thousand is plenty\), got {rows}"):
        visibility(make(), rows=rows)
