"""Partners: their laws, that they are the same whenever and wherever they are drawn, and where they may not lie."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import stats

from disentone.config import config_dir
from disentone.data import Correlated, DataModule, HeldOut, Region
from disentone.data.batches import Carried
from disentone.data.module import AskedBatch
from disentone.data.views import (
    CorrelatedNeighbours,
    GaussianNeighbours,
    Itself,
    LaplaceNeighbours,
    Neighbours,
    Sharing,
    StudentNeighbours,
    UniformNeighbours,
    Unrelated,
    Views,
    WarpedNeighbours,
)
from disentone.factors import FactorSpace
from disentone.frontends import CQT
from disentone.sources import Tones
from disentone.synths import Additive

LAWS = (LaplaceNeighbours, GaussianNeighbours, StudentNeighbours, UniformNeighbours, CorrelatedNeighbours)
SPACE = FactorSpace({"f0": {"start": 0, "stop": 2000, "step": 1}, "decay": {"start": 0, "stop": 2000, "step": 1}})
MIDDLE = int(SPACE.rows(torch.tensor([[1000, 1000]])))
COUNT = 20_000


def middle_steps(views: Neighbours) -> np.ndarray:
    """Steps from the middle of two long ranges, where none is reflected, as shares of the range."""
    rows = torch.full((COUNT,), MIDDLE)
    moved = SPACE.grid(views.partners(SPACE, rows, torch.arange(COUNT), seed=3)) - 1000
    return moved.numpy() / 2000


@pytest.mark.parametrize(
    ("views", "law"),
    [
        (LaplaceNeighbours(), stats.laplace(scale=0.72 * 0.11)),
        (GaussianNeighbours(), stats.norm(scale=0.11)),
        (StudentNeighbours(width=0.02), stats.t(df=3, scale=0.7 * 0.02)),
        (UniformNeighbours(), stats.uniform(-1.8 * 0.11, 3.6 * 0.11)),
        (CorrelatedNeighbours(), stats.norm(scale=0.11)),
    ],
)
def test_steps_follow_their_law(views: Neighbours, law: stats.rv_continuous) -> None:
    steps = middle_steps(views)
    for column in steps.T:
        assert stats.kstest(column, law.cdf).statistic < 0.015
    correlation = np.corrcoef(stats.rankdata(steps, axis=0).T)[0, 1]
    expected = 6 / np.pi * np.arcsin(0.25) if isinstance(views, CorrelatedNeighbours) else 0.0
    assert correlation == pytest.approx(expected, abs=0.02)


def test_warped_steps_are_normal_along_the_root() -> None:
    places = middle_steps(WarpedNeighbours()) + 0.5
    moved = np.sqrt(places) - np.sqrt(0.5)
    assert stats.kstest(moved[:, 0], stats.norm(scale=0.055).cdf).statistic < 0.015


@pytest.mark.parametrize(
    "views", [*(law() for law in (*LAWS, WarpedNeighbours)), Unrelated(), Itself(), Sharing(), Sharing(None)]
)
def test_partners_are_rows_and_do_not_depend_on_company(views: Views) -> None:
    space = FactorSpace(
        {"f0": {"start": 0, "stop": 4, "step": 1}, "decay": {"values": [1, 3, 9]}, "presence": {"labels": ["a", "b"]}}
    )
    rows, draws = torch.randint(len(space), (500,)), torch.randint(10**9, (500,))
    whole = views.partners(space, rows, draws, seed=0)
    assert 0 <= int(whole.min()) <= int(whole.max()) < len(space)
    shuffled = torch.randperm(500)
    parts = [views.partners(space, rows[part], draws[part], seed=0) for part in torch.split(shuffled, 7)]
    assert torch.equal(torch.cat(parts), whole[shuffled])
    if not isinstance(views, Itself):
        assert (views.partners(space, rows, draws + 1, seed=0) != whole).any()
        assert (views.partners(space, rows, draws, seed=1) != whole).any()


def test_labels_are_redrawn_seldom_and_to_any_other() -> None:
    space = FactorSpace({"f0": {"start": 0, "stop": 9, "step": 1}, "presence": {"labels": ["a", "b", "c"]}})
    rows = torch.full((COUNT,), 1)
    found = space.grid(GaussianNeighbours(redraw=0.3).partners(space, rows, torch.arange(COUNT), seed=0))[:, 1]
    share = torch.bincount(found, minlength=3) / COUNT
    assert share.tolist() == pytest.approx([0.15, 0.7, 0.15], abs=0.01)


def test_controls() -> None:
    rows = torch.arange(COUNT)
    assert torch.equal(Itself().partners(SPACE, rows, rows, seed=0), rows)
    found = Unrelated().partners(SPACE, rows, rows, seed=0).double() / len(SPACE)
    assert stats.kstest(found.numpy(), "uniform").statistic < 0.015


@pytest.mark.parametrize("k", [1, 2, None])
def test_partners_share_all_factors_but_k(k: int | None) -> None:
    factors = {name: {"start": 0, "stop": size - 1, "step": 1} for name, size in zip("abc", (5, 3, 4), strict=True)}
    space = FactorSpace(factors)
    row = int(space.rows(torch.tensor([[2, 1, 3]])))
    found = space.grid(Sharing(k).partners(space, torch.full((COUNT,), row), torch.arange(COUNT), seed=0))
    differs = found != torch.tensor([2, 1, 3])
    counts = torch.bincount(differs.sum(dim=1), minlength=4) / COUNT
    expected = [0, 0.5, 0.5, 0] if k is None else [float(n == k) for n in range(4)]
    assert counts.tolist() == pytest.approx(expected, abs=0.02)
    # Each factor is as likely to differ, and takes each of its other values as often.
    share = float(sum(n * count for n, count in enumerate(counts.tolist()))) / 3
    assert differs.float().mean(dim=0).tolist() == pytest.approx([share, share, share], abs=0.02)
    values = torch.bincount(found[differs[:, 0], 0], minlength=5) / differs[:, 0].sum()
    assert values.tolist() == pytest.approx([0.25, 0.25, 0, 0.25, 0.25], abs=0.02)


def test_a_space_with_no_factor_to_share_is_refused() -> None:
    for k in (2, 3):
        with pytest.raises(ValueError, match=rf"views.k={k} leaves no factor that partners share, since there are 2"):
            Sharing(k).check_space(SPACE)
    Sharing(1).check_space(SPACE)
    with pytest.raises(ValueError, match=r"views.k=1 leaves no factor .* there are 1 \(a\); expected"):
        Sharing(None).check_space(FactorSpace({"a": {"start": 0, "stop": 3, "step": 1}}))
    with pytest.raises(ValueError, match=r"views.k must be at least 1, got 0"):
        Sharing(0)


class All(HeldOut):
    def contains(self, space: FactorSpace, positions: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(positions), dtype=torch.bool)

    def kept(self, space: FactorSpace, rows: torch.Tensor, seed: int) -> torch.Tensor:
        return torch.ones(len(rows), dtype=torch.bool)


@pytest.mark.parametrize(
    "held_out", [Region(above={"f0": 800, "decay": 8}), Region(below={"f0": 600}), Correlated("f0", "decay", 0.2)]
)
@pytest.mark.parametrize("views", [*(law(width=0.5) for law in (*LAWS, WarpedNeighbours)), Sharing(1), Sharing(None)])
def test_no_partner_lies_in_the_held_out_part(views: Views, held_out: HeldOut, tones: FactorSpace) -> None:
    rows = torch.arange(len(tones))
    outside = rows[~held_out.contains(tones, tones.grid(rows))]
    anchors = outside[torch.randint(len(outside), (10_000,))]
    partners = views.partners(tones, anchors, torch.arange(10_000), 0, held_out)
    assert not held_out.contains(tones, tones.grid(partners)).any()
    free = views.partners(tones, anchors, torch.arange(10_000), 0)
    kept = ~held_out.contains(tones, tones.grid(free))
    assert 0.05 < kept.float().mean() < 1
    assert torch.equal(partners[kept], free[kept])


def test_where_every_draw_is_held_out_a_row_is_its_own_partner(tones: FactorSpace) -> None:
    rows = torch.arange(50)
    assert torch.equal(LaplaceNeighbours().partners(tones, rows, rows, 0, All()), rows)


@pytest.fixture(scope="module")
def tones() -> FactorSpace:
    synth: Additive = instantiate(OmegaConf.load(config_dir() / "synth" / "tones.yaml"))
    return synth.space


def make_data(mode: str, tmp_path, random_phase: bool = False, **settings: object) -> DataModule:
    factors = {"f0": {"start": 200, "stop": 900, "step": 100}, "decay": {"start": 0, "stop": 10, "step": 2}}
    synth = Additive(factors=factors, duration=0.25, random_phase=random_phase)
    source = Tones(synth, CQT(hop=1024))
    data = DataModule(source, batch_size=7, mode=mode, views=LaplaceNeighbours(), cache_dir=tmp_path, **settings)
    data.setup()
    return data


def asked(data: DataModule, carried: Carried) -> AskedBatch:
    """Which images a loader's batch becomes."""
    return data.on_before_batch_transfer(carried, 0)


def batches(data: DataModule, count: int) -> list:
    """The first training batches, images made."""
    loader = iter(data.train_dataloader())
    return [data.on_after_batch_transfer(data.on_before_batch_transfer(next(loader), 0), 0) for _ in range(count)]


def test_cached_and_rendered_partners_are_the_same_rows(tmp_path) -> None:
    cached, rendered = (batches(make_data(mode, tmp_path), 12) for mode in ("cached", "on_the_fly"))
    for one, other in zip(cached, rendered, strict=True):
        assert torch.equal(one.labels, other.labels)
        for name in ("image", "partner"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=1e-3, rtol=0)
    data = make_data("on_the_fly", tmp_path)
    carried = next(iter(data.train_dataloader().sampler))
    partners = data.partner_rows(carried.rows, carried.draws)
    assert torch.equal(partners, data.views.partners(data.space, carried.rows, carried.draws, data.seed))
    torch.testing.assert_close(rendered[0].partner, data.images(partners))
    assert torch.equal(data.partners(carried.rows, carried.draws), data.images(partners))


def test_partners_change_from_pass_to_pass_and_validation_keeps_its_own(tmp_path) -> None:
    data = make_data("on_the_fly", tmp_path)
    passes = batches(data, 12)
    first = {tuple(row.tolist()): image for row, image in zip(passes[0].labels, passes[0].partner, strict=True)}
    again = [
        torch.equal(image, first[tuple(row.tolist())])
        for batch in passes[6:]
        for row, image in zip(batch.labels, batch.partner, strict=True)
        if tuple(row.tolist()) in first
    ]
    assert 0 < len(again)
    assert not all(again)
    validations = [asked(data, next(iter(data.val_dataloader()))).partners.keys for _ in range(2)]
    assert torch.equal(*validations)


def test_renewed_nuisances_renew_those_of_partners_too(tmp_path) -> None:
    data = make_data("on_the_fly", tmp_path, random_phase=True, renew_nuisances=True)
    loader = iter(data.train_dataloader())
    first, *_, last = (asked(data, next(loader)).partners for _ in range(12))
    assert (first.keys < len(data.space)).all()
    assert (last.keys >= len(data.space)).all()
    assert torch.equal(data.space.rows(last.positions), last.keys % len(data.space))


def mistakes() -> list[tuple[Callable[[], object], str]]:
    factors = {"f0": {"start": 200, "stop": 900, "step": 100}}
    synth = Additive(factors=factors, duration=0.25)
    return [
        (lambda: GaussianNeighbours(width=0), "views.width is a share of a factor's range and must be above 0, got 0"),
        (lambda: LaplaceNeighbours(redraw=1.5), r"views.redraw is a probability and must lie in 0..1, got 1.5"),
        (lambda: CorrelatedNeighbours(correlation=1), r"views.correlation must lie in 0..1, 1 excluded, got 1"),
        (
            lambda: DataModule(Tones(synth, CQT(hop=1024)), batch_size=2, continuous=True, views=Itself()),
            "cannot go with data.continuous",
        ),
    ]


@pytest.mark.parametrize("number", range(4))
def test_what_cannot_be_says_so(number: int) -> None:
    make, message = mistakes()[number]
    with pytest.raises(ValueError, match=message):
        make()


def test_every_config_is_a_law_that_names_its_supervision() -> None:
    found = {path.stem: instantiate(OmegaConf.load(path)) for path in (config_dir() / "views").glob("*.yaml")}
    assert {name for name, views in found.items() if views.supervision == "none"} == {"unrelated", "itself"}
    told = {views.supervision for views in found.values() if isinstance(views, Neighbours)}
    assert told == {"generator's neighbours"}
