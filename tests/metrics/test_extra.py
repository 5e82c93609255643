"""A metric from a folder outside of the repository: by config alone it is scored, kept and seen wherever scores are."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from tests.metrics import cases

from conftest import TOY
from disentone import config
from disentone.metrics import ExtraMetric, Score, evaluate
from disentone.report import print_run, report
from disentone.report.runs import read_run
from disentone.run.stored import read
from disentone.run.train import train
from disentone.run.trust import check

MODULE = '''
"""Somebody's own metric."""

import torch

from disentone.metrics import ExtraMetric, Score


class Spread(ExtraMetric):
    """How far codes reach, in parts a factor."""

    scores = (Score("spread", "spread of codes", high=None, unit="deviations", short="spread"),)

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

    def __call__(self, codes, factors, preset, seed):
        parts = torch.stack([codes[column == column[0]].std() for column in factors.T]) ** self.power
        return {"spread": parts.mean(), "spread_per_factor": parts, "settings": {"train": len(codes)}}
'''
CHOSEN = ("+metrics.extra.spread._target_=my_metrics.Spread", "metrics.validation_metrics=[mig,spread]")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_metrics.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_metrics", raising=False)


def test_a_metric_that_a_config_names_is_seen_everywhere(
    own: None, compose_config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, words = tmp_path / "run", [word for word in TOY if not word.startswith("metrics.validation_metrics")]
    train(compose_config(["experiment=quickstart", *words, *CHOSEN, "logger=csv", "metrics.metrics=[mig]"]))
    assert any("step 2 " in line and " spread " in line for line in capsys.readouterr().out.splitlines())
    scores = json.loads((run / "scores.json").read_text())
    for key in ("spread", "spread/f0", "chance/spread", "untrained/spread"):
        assert isinstance(scores[key], float), key
    assert scores["settings"]["rows_used"]["spread"] == {"train": 200, "test": 0}

    print_run(run)
    assert "  spread " in capsys.readouterr().out
    page = report(run).read_text()
    assert "<b>spread of codes</b>" in page
    assert "from 0, higher is better" in page
    assert "<b>spread of codes by factor</b>" in page
    assert pd.read_csv(run / "results.csv")["spread"].tolist() == pytest.approx([scores["spread"]])
    assert read_run(run).damage == ()


def test_a_run_folder_that_names_one_asks_for_trust(own: None, compose_config, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    cfg = compose_config(["experiment=quickstart", *CHOSEN])
    config.check(cfg)
    (tmp_path / "run" / "config.yaml").write_text(config.to_yaml(cfg))
    found = read(tmp_path / "run")
    with pytest.raises(ValueError, match=r"metrics.extra.spread._target_: my_metrics.Spread is of my_metrics"):
        check(found, nodes=["metrics"])
    check(found, ["my_metrics"], nodes=["metrics"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+metrics.extra.spread.powr=2"], "metrics.extra.spread.powr: my_metrics.Spread takes no powr; did you mean"),
        (["+metrics.extra.spread.power=high"], "metrics.extra.spread.power: expected float, got 'high'"),
    ],
)
def test_options_of_ones_own_metric_are_checked_before_training(
    own: None, overrides: list[str], message: str, compose_config
) -> None:
    with pytest.raises(ValueError, match=message):
        config.check(compose_config(["experiment=quickstart", *CHOSEN, *overrides]))


def test_an_experiment_file_can_name_one(own: None, compose_config) -> None:
    base = compose_config(["experiment=quickstart"])
    extra = {"metrics": {"extra": {"spread": {"_target_": "my_metrics.Spread", "power": 2}}}}
    merged = OmegaConf.merge(base, OmegaConf.create(extra))
    config.check(merged)


class Mine(ExtraMetric):
    """What it is told to answer."""

    scores = (Score("mine", "mine"),)

    def __init__(self, answer: Mapping[str, Any] | None = None) -> None:
        self.answer = answer or {"mine": 0.5}

    def __call__(self, codes: torch.Tensor, factors: torch.Tensor, preset: str, seed: int) -> Mapping[str, Any]:
        """The answer."""
        return self.answer


def with_scores(*scores: Score) -> ExtraMetric:
    return type("Other", (Mine,), {"scores": scores})()


def test_sets_and_names_choose_ones_own_too() -> None:
    z, v = cases.entangled(rows=200)
    extra = {"own": Mine()}
    assert evaluate(z, v, ["mine"], extra=extra)["mine"] == 0.5
    assert evaluate(z, v, ["own", "mig"], extra=extra)["settings"]["metrics"] == ["own", "mig"]
    assert "mine" not in evaluate(z, v, ["mig"], extra=extra)
    described = evaluate(z, v, ["mine"], extra=extra)["settings"]["extra"]
    assert [Score.read(json.loads(json.dumps(entry))) for entry in described] == [Mine.scores[0]]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"other": 1.0}, "own failed: expected mine, got other"),
        ({"settings": {}}, "own failed: expected mine, got nothing"),
        ({"mine": "high"}, "own failed: could not convert string to float: 'high'"),
        ({"mine": 1.0, "mine_per_factor": [1.0]}, "own failed: mine_per_factor: expected 3 numbers, one a factor"),
        ({"mine": math.nan, "settings": {"reason": "nothing to score"}}, "nothing to score"),
    ],
)
def test_what_it_did_not_promise_is_nan_with_the_reason(answer: dict[str, Any], reason: str) -> None:
    result = evaluate(*cases.entangled(rows=200), ["mine", "mig"], extra={"own": Mine(answer)})
    assert math.isnan(result["mine"])
    assert result["settings"]["reasons"]["own"].startswith(reason)
    assert result["mig"] > 0


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"mig": Mine()}, "metrics.extra.mig: mig is the name of something else; take another one"),
        ({"own": with_scores(Score("kl", "KL"))}, "metrics.extra.own: kl is the name of something else"),
        ({"own": with_scores(Score("seed", "seed"))}, "metrics.extra.own: seed is the name of something else"),
        ({"own": Mine(), "mine": Mine()}, "metrics.extra.mine: mine is the name of something else"),
        ({"own": with_scores(Score("a/b", "a"))}, "metrics.extra.own: expected a name of letters, digits and _, got"),
        ({"own": with_scores()}, r"metrics.extra.own: expected a tuple of Score under scores, got \(\)"),
    ],
)
def test_names_that_something_else_has_stop_the_run_before_it_trains(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(*cases.entangled(rows=200), ["mig"], extra=extra)
