"""A sweep trained as one leaves what its runs would have left one after the other."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.cli.test_sweep import killed_in
from tests.cli.test_train import run
from tests.wandb_records import history_keys, records

from conftest import TOY
from disentone import load
from disentone.run.train import train

SETTINGS = [*TOY, "metrics.metrics=[mig]", "trainer.log_every_n_steps=1"]
# A beta that is refused, and one whose loss is infinite.
POINTS = ["objective.beta=-1,2,1e300", "seed=0,1"]
SWEEP = ["-m", "experiment=quickstart", "sweep=toy", *SETTINGS, *POINTS, "hydra/launcher=vectorised"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("vectorised")
    return folder / "outputs" / "toy", run(folder, *SWEEP)


def test_it_ends_as_a_sweep_with_its_lost_runs_named(sweep) -> None:
    toy, result = sweep
    assert result.returncode == 1, result.stdout + result.stderr
    assert pd.read_csv(toy / "results.csv")[["strength", "seed"]].to_numpy().tolist() == [[2, 0], [2, 1]]
    assert "<title>toy, disentone</title>" in (toy / "report.html").read_text()
    assert "4 of 6 runs are not finished:" in result.stdout
    assert "objective.beta=-1,seed=1: failed: objective.beta must be a number of 0 or more" in result.stdout
    assert (
        "objective.beta=1e+300,seed=0: failed: codes are not finite though the images are: training diverged"
        in result.stdout
    )


def test_a_member_is_a_single_run(sweep, compose_config, tmp_path: Path) -> None:
    member = sweep[0] / "objective.beta=2,seed=1"
    alone = tmp_path / "alone"
    train(compose_config(["experiment=quickstart", *SETTINGS, "objective.beta=2", "seed=1", "logger=csv"], alone))
    scores, expected = (json.loads((folder / "scores.json").read_text()) for folder in (member, alone))
    assert scores.keys() == expected.keys()
    assert scores["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert scores["settings"] == expected["settings"]
    ours, theirs = (np.load(folder / "codes.npz") for folder in (member, alone))
    np.testing.assert_allclose(ours["codes"], theirs["codes"], atol=1e-5)
    assert np.array_equal(ours["rows"], theirs["rows"])
    files = [
        {str(path.relative_to(folder)) for path in folder.rglob("*") if "wandb" not in str(path.relative_to(folder))}
        for folder in (member, alone)
    ]
    assert files[0] - files[1] <= {
        ".hydra",
        ".hydra/config.yaml",
        ".hydra/hydra.yaml",
        ".hydra/overrides.yaml",
        "train.log",
    }
    assert files[1] <= files[0]
    assert load(member).config["objective"]["beta"] == 2


def test_every_member_is_one_finished_wandb_run(sweep) -> None:
    ids = set()
    for member in sweep[0].glob("objective.beta=2,*"):
        (offline,) = member.glob("wandb/offline-run-*")
        found = records(offline)
        about = next(record.run for record in found if record.HasField("run"))
        assert about.display_name == member.name
        ids.add(about.run_id)
        assert {"train/loss", "validation/elbo", "reconstructions", "test/elbo", "mi_matrix"} <= history_keys(found)
        assert [record.exit.exit_code for record in found if record.HasField("exit")] == [0]
    assert len(ids) == 2


def test_again_it_skips_resumes_and_retries(sweep) -> None:
    toy, _ = sweep
    before = (toy / "results.csv").read_text()
    (toy / "objective.beta=2,seed=1" / "run.json").unlink()
    result = run(toy.parents[1], *SWEEP, "logger=csv")
    assert result.stdout.count("is finished; nothing to do") == 1
    assert (toy / "results.csv").read_text() == before
    assert len(list(toy.glob("objective.beta=-1,seed=0/error*.txt"))) == 2
    assert len(list(toy.glob("objective.beta=1e*,seed=0/error*.txt"))) == 2


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_ends_as_one_run_after_the_other(tmp_path: Path) -> None:
    arguments = ["-m", "experiment=quickstart", "sweep=toy", *SETTINGS, "objective.beta=1,2", "seed=0,1", "logger=csv"]
    arguments += ["callbacks.last.every_n_train_steps=1", "trainer.max_steps=6"]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "whole", *arguments).returncode == 0
    arguments.append("hydra/launcher=vectorised")
    killed_in(tmp_path / "killed", arguments, "objective.beta=2,seed=0")
    toy = tmp_path / "killed" / "outputs" / "toy"
    assert not list(toy.glob("*/scores.json"))
    again = run(tmp_path / "killed", *arguments)
    assert again.returncode == 0, again.stdout + again.stderr
    tables = [pd.read_csv(folder / "results.csv") for folder in (toy, tmp_path / "whole" / "outputs" / "toy")]
    assert tables[0]["run"].tolist() == tables[1]["run"].tolist()
    assert tables[0]["loss"].tolist() == pytest.approx(tables[1]["loss"].tolist(), rel=1e-5)
