"""Training never hears the held-out part, and the run reports both sides of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from conftest import TOY
from disentone.callbacks import held_out as callback
from disentone.config import check
from disentone.data import Correlated, DataModule, HeldOut, Region
from disentone.data import split as splits
from disentone.frontends import CQT
from disentone.run.train import train
from disentone.sources import Tones
from disentone.synths import Additive

FACTORS = {
    "f0": {"start": 100, "stop": 1000, "step": 50},
    "decay": {"start": 0, "stop": 10, "step": 1},
    "presence": {"labels": ["all", "odd"]},
}


HUGE = {
    "f0": {"start": 100, "stop": 1000, "count": 317},
    "decay": {"start": 0, "stop": 10, "count": 317},
    "slope": {"start": -0.9, "stop": -0.1, "count": 317},
    "inharmonicity": {"start": 0, "stop": 1, "count": 317},
}


def make_data(held_out: HeldOut | None, **settings: object) -> DataModule:
    synth = Additive(factors=FACTORS, duration=0.1)
    return DataModule(Tones(synth, CQT(hop=1024)), mode="on_the_fly", held_out=held_out, batch_size=8, **settings)


def values(data: DataModule, split: str) -> torch.Tensor:
    return data.space.values(data.space.grid(data.rows(split)))


def test_a_region_is_where_all_conditions_meet() -> None:
    data = make_data(Region(above={"f0": 500}, below={"decay": 5}, equal={"presence": "odd"}))
    everything = make_data(None)
    for split in ("train", "validation"):
        expected = [
            row
            for row, (f0, decay, presence) in zip(
                everything.rows(split).tolist(), values(everything, split).tolist(), strict=True
            )
            if not (f0 > 500 and decay < 5 and presence == 1)
        ]
        assert data.rows(split).tolist() == expected
        assert len(expected) < everything.sizes[split]
    assert data.rows("test").tolist() == everything.rows("test").tolist()


def test_batches_hold_kept_rows_only() -> None:
    data = make_data(Region(above={"f0": 500}))
    loader = data.train_dataloader()
    stream = iter(loader)
    rows = torch.cat([next(stream).rows for _ in range(len(loader))])
    assert data.space.values(data.positions(rows))[:, 0].max() == 500
    assert sorted(rows.tolist()) == sorted(data.rows("train").tolist())


def test_correlated_factors_go_together_in_training_only() -> None:
    data = make_data(Correlated("f0", "decay", sigma=0.2))
    correlation = {split: torch.corrcoef(values(data, split)[:, :2].T)[0, 1].item() for split in ("train", "test")}
    assert correlation["train"] > 0.7
    assert abs(correlation["test"]) < 0.3
    weak = make_data(Correlated("f0", "decay", sigma=0.7))
    assert torch.corrcoef(values(weak, "train")[:, :2].T)[0, 1].item() < correlation["train"]


@pytest.mark.parametrize("held_out", [Region(above={"f0": 800, "decay": 8}), Correlated("f0", "decay")])
def test_of_ten_billion_rows_a_sample_is_listed(held_out: HeldOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "MOST_LISTED", 2_500)
    monkeypatch.setattr(splits, "LISTED_AT_ONCE", 1_000)
    monkeypatch.setattr(splits, "MOST_MEASURED", 500)
    monkeypatch.setattr(callback, "MOST_SEARCHED", 5_000)
    synth = Additive(factors=HUGE, duration=0.1)
    settings = {"mode": "on_the_fly", "batch_size": 8}
    whole, data = (DataModule(Tones(synth, CQT(hop=1024)), held_out=held, **settings) for held in (None, held_out))
    assert len(data.space) == 317**4 > 10**10
    for split, listed in (("train", 2_500), ("validation", 500)):
        rows = whole.rows(split, listed)
        assert data.rows(split).tolist() == rows[held_out.kept(data.space, rows, 0)].tolist()
    inside, outside = callback.HeldOutScores(rows=10**6)._parts(data).values()
    assert 0 < len(inside) < 5_000
    assert held_out.contains(data.space, data.positions(inside)).all()
    assert set(outside.tolist()) <= set(data.rows("test").tolist())


@pytest.mark.slow
@pytest.mark.parametrize("choice", [[], ["data/held_out=region"], ["data/held_out=correlated"]])
def test_a_run_on_ten_billion_rows_takes_less_than_two_gigabytes(choice: list[str], tmp_path: Path) -> None:
    """The peak is that of all processes that this one waited for, in KiB."""
    factors = f"{{{', '.join(f'{name}: {{{_words(factor)}}}' for name, factor in HUGE.items())}}}"
    limits = ["trainer.limit_val_batches=20", "trainer.limit_test_batches=20", "hydra.run.dir=run", "logger=csv"]
    overrides = ["experiment=quickstart", *TOY, "data.max_rows=null", "~synth.factors", f"+synth.factors={factors}"]
    command = [sys.executable, "-m", "disentone.cli.train", *overrides, *limits, *choice]
    result = subprocess.run([sys.executable, "-c", PEAK, *command], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run" / "scores.json").exists()
    assert int(result.stdout.split()[-1]) < 2 * 2**20


PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def _words(factor: dict[str, float]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in factor.items())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Region(), "a held-out region needs at least one condition"),
        (
            lambda: make_data(Region(above={"pitch": 3})),
            "data.held_out.above.pitch: no factor is called pitch; there are f0, decay, presence",
        ),
        (lambda: make_data(Region(equal={"f9": 1})), "data.held_out.equal.f9: no factor is called f9"),
        (
            lambda: make_data(Region(equal={"presence": "even"})),
            "equal.presence: the factor has no value even; it has all, odd",
        ),
        (lambda: make_data(Region(equal={"decay": 2.5})), "equal.decay: the factor has no value 2.5; it has 0, 1, 2"),
        (
            lambda: make_data(Region(above={"f0": 800}, below={"f0": 300})),
            "below.f0=300 holds nothing out together with its other conditions: the values of f0 go from 100 to 1000",
        ),
        (lambda: make_data(Region(above={"f0": 1e9})), "above.f0=1e.09 holds nothing out: .* f0 go from 100 to 1000"),
        (lambda: make_data(Region(below={"decay": 0})), "below.decay=0 holds nothing out: .* decay go from 0 to 10"),
        (lambda: make_data(Region(above={"f0": 0})), "data.held_out leaves no train rows; make it smaller"),
        (lambda: make_data(Region(above={"f0": 800}), continuous=True), "it cannot go with data.continuous"),
        (lambda: Correlated("f0", "f0"), "a correlation needs two factors, got f0 twice"),
        (lambda: Correlated("f0", "decay", sigma=0), "sigma must be above 0, got 0"),
    ],
)
def test_impossible_parts_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("choice", ["region", "correlated"])
def test_a_run_reports_inside_and_outside(choice: str, compose_config, tmp_path: Path) -> None:
    train(
        compose_config(["experiment=quickstart", *TOY, f"data/held_out={choice}", "logger=csv", "data.max_rows=2000"])
    )
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    for part in ("inside", "outside"):
        assert scores[f"{part}/rows"] > 10
        for term in ("reconstruction_of_mean", "kl", "mig", "sap/slope"):
            assert isinstance(scores[f"{part}/{term}"], float)


def test_null_takes_the_conditions_of_the_config_out(compose_config) -> None:
    words = ["data/held_out=region", "data.held_out.above=null", "+data.held_out.below.f0=300"]
    cfg = compose_config(words)
    check(cfg)
    region = instantiate(cfg.data.held_out, _convert_="all")
    assert (region.above, region.below) == ({}, {"f0": 300})
