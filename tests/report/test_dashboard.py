"""The workspace against W&B's own types, and its names against what runs log."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from disentone.cli import dashboard as cli
from disentone.metrics.table import MATRICES
from disentone.report.dashboard import LOSSES, PICTURES, SHOWN, workspace


@pytest.mark.parametrize(
    ("chosen", "strength", "first"),
    [(None, "objective.beta", "Scores and beta"), ("objective.gamma", "objective.gamma", "Scores and gamma")],
)
def test_wandbs_own_package_takes_the_workspace(chosen: str | None, strength: str, first: str) -> None:
    view = workspace("team", "tones", "mine", chosen, ["spread"])._to_model()
    spec = json.loads(view.spec.model_dump_json(by_alias=True))
    sections = spec["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections][:2] == [first, "Training"]
    assert all(section["panels"] for section in sections)
    assert (view.entity, view.project, view.display_name) == ("team", "tones", "mine")
    text = json.dumps(sections)
    scores = [score.key for score in SHOWN]
    for key in (*LOSSES, *scores, *MATRICES, *PICTURES, "spread", "sounds/traversal_z0", "results", "scores_by_factor"):
        assert f'"{key}"' in text, key
    assert f"config:{strength}.value" in json.dumps(spec)


def test_every_curve_is_one_that_runs_log(finished_run: Path) -> None:
    logged = set(pd.read_csv(next(finished_run.glob("metrics/*/metrics.csv"))).columns)
    # Two steps at toy size log no training loss, which tests/cli/test_train.py sees.
    assert {*LOSSES, *(score.key for score in SHOWN)} - logged <= {"train/loss"}
    written = {path.stem.split("_0")[0] for path in (finished_run / "figures").glob("*.png")}
    assert {*MATRICES, *PICTURES} <= written


def test_without_a_key_the_command_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["disentone dashboard", "team"])
    with pytest.raises(SystemExit, match="needs a key; `wandb login` stores one"):
        cli.main()
