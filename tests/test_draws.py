"""What a step draws: its law, and that nothing but its keys decides it."""

import pytest
import torch
from scipy import stats
from torch.func import vmap

from disentone.draws import Draw

ROWS = torch.arange(4_000)
LAWS = {"uniform": stats.uniform(), "normal": stats.norm(), "laplace": stats.laplace()}


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_their_law(name: str) -> None:
    drawn = getattr(Draw(3, 7, ROWS), name)("a stream", 5)
    assert drawn.shape == (4_000, 5)
    assert drawn.dtype == torch.float32
    assert stats.kstest(drawn.flatten().numpy(), LAWS[name].cdf).pvalue > 0.01
    correlation = torch.corrcoef(drawn.T).fill_diagonal_(0).abs().max()
    assert correlation < 0.06


def test_the_open_interval_is_never_left() -> None:
    drawn = Draw(0, 0, torch.arange(2_000_000)).uniform("a stream", 1)
    assert 0 < drawn.min() < 1e-5
    assert 1 - 1e-5 < drawn.max() < 1


@pytest.mark.parametrize("change", [{"seed": 1}, {"step": 1}, {"step": -1}, {"view": 1}, {"rows": ROWS + 4_000}])
def test_every_key_makes_other_draws(change: dict) -> None:
    draw = Draw(0, 0, ROWS)
    assert (
        not torch.isin(draw._replace(**change).normal("a stream", 1), draw.normal("a stream", 1)).float().mean() > 0.01
    )
    assert not torch.equal(draw.normal("a stream", 1), draw.normal("another stream", 1))


def test_neither_company_nor_order_nor_width_changes_a_draw() -> None:
    whole = Draw(5, 2, ROWS).normal("latents", 6)
    order = torch.randperm(len(ROWS))
    assert torch.equal(Draw(5, 2, ROWS[order]).normal("latents", 6), whole[order])
    assert torch.equal(Draw(5, 2, ROWS[10:20]).normal("latents", 4), whole[10:20, :4])


def test_stacked_runs_draw_what_each_draws_alone() -> None:
    seeds = torch.tensor([0, 3])
    stacked = vmap(lambda seed, rows: Draw(seed, 4, rows).normal("latents", 3))(seeds, ROWS.repeat(2, 1))
    for seed, drawn in zip(seeds.tolist(), stacked, strict=True):
        torch.testing.assert_close(drawn, Draw(seed, 4, ROWS).normal("latents", 3), rtol=0, atol=1e-6)


def test_an_order_has_every_row_once_and_all_orders_come_equally_often() -> None:
    order = Draw(0, 0, ROWS).permutation("critic")
    assert order.sort().values.tolist() == ROWS.tolist()
    orders = torch.stack([Draw(0, step, torch.arange(3)).permutation("critic") for step in range(1_200)])
    found, counts = orders.unique(dim=0, return_counts=True)
    assert len(found) == 6
    assert stats.chisquare(counts.numpy()).pvalue > 0.01
