"""Sweeps in several processes, killed ones, failed ones, and what each leaves behind."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from hydra.errors import MissingConfigException
from tests.cli.test_train import COMMAND, run
from tests.wandb_records import history_keys, records

from conftest import TOY
from disentone.cli.evaluate import main as evaluate
from disentone.errors import message
from disentone.run.folder import RefusedError
from disentone.run.train import train

SWEEP = ["-m", "experiment=quickstart", "sweep=toy", *TOY, "metrics.metrics=[mig]"]


def results(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "outputs" / "toy" / "results.csv")


@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
    ],
)
def test_runs_at_once_are_finished_as_one_sweep(launcher: list[str], tmp_path: Path) -> None:
    finished = run(tmp_path, *SWEEP, "objective.beta=1,-1,2", *launcher)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert results(tmp_path)["strength"].tolist() == [1, 2]
    toy = tmp_path / "outputs" / "toy"
    assert "<title>toy, disentone</title>" in (toy / "report.html").read_text()
    assert "1 of 3 runs are not finished:" in finished.stdout
    assert "objective.beta=-1: failed: " in finished.stdout
    groups = {
        json.loads((path / "run.json").read_text())["hardware"]["threads"] for path in toy.glob("objective.beta=[12]")
    }
    assert groups == {1}
    assert len(list(toy.glob("objective.beta=*/wandb/offline-run-*/*.wandb"))) == 2


def killed_in(folder: Path, arguments: list[str], place: str) -> None:
    """Start a sweep and kill it, hard, as soon as a run has a checkpoint."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")} | {"OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen([*COMMAND, *arguments], cwd=folder, env=env, stdout=log, stderr=log)
        marker = folder / "outputs" / "toy" / place / "checkpoints" / "last.ckpt"
        deadline = time.monotonic() + 240
        while not marker.exists():
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("points", "killed"),
    [
        (["objective.beta=1,2"], "objective.beta=2"),
        pytest.param(["objective.beta=1,2,4", "seed=0,1"], "objective.beta=2,seed=0", marks=pytest.mark.slow),
    ],
)
def test_a_killed_sweep_goes_on_and_ends_as_an_uninterrupted_one(
    points: list[str], killed: str, tmp_path: Path
) -> None:
    arguments = [*SWEEP, *points, "logger=csv", "callbacks.last.every_n_train_steps=1", "trainer.max_steps=4"]
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    assert run(tmp_path / "whole", *arguments).returncode == 0
    killed_in(tmp_path / "killed", arguments, killed)
    toy = tmp_path / "killed" / "outputs" / "toy"
    before = {path.parent: path.stat().st_mtime_ns for path in toy.glob("*/run.json")}
    assert len(before) == (1 if len(points) == 1 else 2)
    checkpoints = {folder: (folder / "checkpoints" / "last.ckpt").stat().st_mtime_ns for folder in before}
    again = run(tmp_path / "killed", *arguments)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("is finished; nothing to do") == len(before)
    assert {folder: (folder / "checkpoints" / "last.ckpt").stat().st_mtime_ns for folder in before} == checkpoints
    whole = (tmp_path / "whole" / "outputs" / "toy" / "results.csv").read_text()
    assert (toy / "results.csv").read_text() == whole


def test_what_failed_is_retried_and_its_old_error_kept(compose_config, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "error.txt").write_text("OSError: no space left\n")
    (tmp_path / "run" / "error_1.txt").write_text("older\n")
    train(compose_config(["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=[mig]"]))
    assert (tmp_path / "run" / "scores.json").exists()
    assert not (tmp_path / "run" / "error.txt").exists()
    assert (tmp_path / "run" / "error_2.txt").read_text() == "OSError: no space left\n"


def test_a_run_that_another_process_trains_is_left_to_it(compose_config, tmp_path: Path) -> None:
    cfg = compose_config(["experiment=quickstart", *TOY, "logger=csv"])
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(RefusedError, match="is being trained by another process"):
        train(cfg)
    assert not (tmp_path / "run" / "config.yaml").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_launcher_that_is_not_installed_names_what_to_install() -> None:
    missing = MissingConfigException("Could not find 'hydra/launcher/joblib'\n\nAvailable options ...")
    assert message(missing) == "hydra/launcher=joblib needs the launchers: pip install 'disentone[launchers]'"


def test_the_sweeps_answer_is_a_run_of_its_group_at_wandb(tmp_path: Path, monkeypatch) -> None:
    for _ in range(2):
        assert run(tmp_path, *SWEEP, "objective.beta=1").returncode == 0
    toy = tmp_path / "outputs" / "toy"
    (train_run,) = toy.glob("objective.beta=1/wandb/offline-run-*")
    monkeypatch.setenv("WANDB_MODE", "offline")
    evaluate([str(toy / "objective.beta=1"), "--metrics", "mig", "--preset", "robust"])
    (evaluated,) = set(toy.glob("objective.beta=1/wandb/offline-run-*")) - {train_run}
    answers = sorted(toy.glob("wandb/offline-run-*"))
    assert len({path.name.rsplit("-", 1)[1] for path in answers}) == 1  # one id, so one run there
    held = {"train": records(train_run), "report": records(answers[-1]), "evaluate": records(evaluated)}
    for kind, found in held.items():
        about = next(record.run for record in found if record.HasField("run"))
        assert (about.run_group, about.job_type) == ("toy", kind)
    about = next(record.run for record in held["train"] if record.HasField("run"))
    assert (list(about.tags), about.display_name, about.project) == (["quickstart"], "objective.beta=1", "disentone")
    config = {
        (item.key or item.nested_key[0]).split("/")[0]
        for record in held["train"]
        for item in (*record.run.config.update, *record.config.update)
    }
    assert {"objective", "synth", "provenance"} <= config
    metrics = [record.metric for record in held["train"] if record.HasField("metric")]
    assert any(metric.glob_name == "*" and metric.step_metric == "trainer/global_step" for metric in metrics)
    logged = history_keys(held["train"])
    pictures = {"mi_matrix", "reconstructions", "traversals"}
    assert pictures | {"scores_by_factor", "sounds/reconstruction_0", "validation/elbo"} <= logged
    assert any(key.startswith("sounds/traversal_z") for key in logged)
    assert {"mig", "chance/mig", "traversal_purity"} <= history_keys(held["evaluate"])
    assert {"results", "scores_against_strength"} <= history_keys(held["report"])
    assert any("report-toy" in str(record) for record in held["report"])
