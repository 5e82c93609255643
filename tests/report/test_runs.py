"""What makes runs one setting: their configs, never the names of their folders."""

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra.core.utils import JobReturn
from hydra.types import RunMode
from omegaconf import OmegaConf

from disentone.config import flat
from disentone.metrics import SCORES
from disentone.report import charts
from disentone.report import results as results_module
from disentone.report.answer import findings, headline
from disentone.report.results import SweepResults, finish_sweep
from disentone.report.runs import Run, read_run, read_runs
from disentone.report.tables import labelled, table
from disentone.run.folder import RunFolder


def make_run(root: Path, name: str, config: Mapping[str, Any], mig: float = 0.1, method: str = "beta-VAE") -> Run:
    scores = {
        "mig": mig, "mig/f0": mig, "chance/mig": 0.0, "chance/mig/f0": 0.0,
        "settings": {"factors": ["f0"], "method": method, "supervision": "none" if method == "beta-VAE" else "labels"},
    }  # fmt: skip
    return Run(root / name, config, {key: str(value) for key, value in flat(config)}, scores, {}, "")


def make_config(beta: float | None = 4, seed: int = 0, **model: Any) -> dict[str, Any]:
    strength = {} if beta is None else {"beta": beta}
    return {"name": "toy", "seed": seed, "strength": "objective.beta", "objective": strength, "model": model}


def label(runs: list[Run], root: Path) -> dict[str, tuple[str, str]]:
    results = labelled(table(runs, root), runs, root)
    return {run: (setting, name) for run, setting, name in results[["run", "setting", "label"]].to_numpy().tolist()}


def test_a_sweep_over_lists_is_no_sweep_over_seeds(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "model.encoder.channels=_4,8_", make_config(channels=[4, 8]), 0.1),
        make_run(tmp_path, "model.encoder.channels=_8,16_", make_config(channels=[8, 16]), 0.5),
    ]
    assert {setting for setting, _ in label(runs, tmp_path).values()} == {
        "model.encoder.channels=_4,8_",
        "model.encoder.channels=_8,16_",
    }
    results = labelled(table(runs, tmp_path), runs, tmp_path)
    found = findings(results, ["f0"])
    assert [len(finding.results) for finding in found] == [1, 1]
    sentence, _ = headline(found, SCORES["mig"])
    assert "MIG 0.50 of one run" in sentence


def test_cut_names_and_equal_names_do_not_merge_settings(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / place, "objective.beta=4,seed=0", make_config(latents=latents))
        for place, latents in (("a", 4), ("b", 10))
    ]
    found = label(runs, tmp_path)
    assert {setting for setting, _ in found.values()} == {"model.latents=4", "model.latents=10"}


def test_seeds_and_betas_share_a_setting_and_words_are_short(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, f"model={name},objective.beta={beta},seed={seed}", make_config(beta, seed, net=name))
        for name in ("mlp", "conv")
        for beta in (1, 4)
        for seed in (0, 1)
    ]  # fmt: skip
    found = label(runs, tmp_path)
    assert {setting for setting, _ in found.values()} == {"model=mlp", "model=conv"}
    assert {name for _, name in found.values()} == {
        f"beta-VAE, beta {beta}, model={net}" for net in ("mlp", "conv") for beta in (1, 4)
    }
    alone = label(runs[:4], tmp_path)
    assert {setting for setting, _ in alone.values()} == {""}
    assert {name for _, name in alone.values()} == {"beta-VAE, beta 1", "beta-VAE, beta 4"}


def test_methods_are_settings_and_what_they_bring_is_not_listed(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "objective.beta=1", make_config(1, latents=10)),
        make_run(tmp_path, "objective.beta=4", make_config(4, latents=10), 0.2),
        make_run(tmp_path, "method=other", make_config(None, latents=4, hidden=[256]), 0.9, method="other"),
    ]
    results = labelled(table(runs, tmp_path), runs, tmp_path)
    assert results["label"].tolist() == ["beta-VAE, beta 1", "beta-VAE, beta 4", "other"]
    assert not [name for name in results if name.startswith("model.")]
    sentence, best = headline(findings(results, ["f0"]), SCORES["mig"])
    assert best is not None
    assert best.label == "other"
    assert sentence == (
        "other (supervision: labels) finds f0; MIG 0.90 of one run, chance 0.00; "
        "beta-VAE (supervision: none) finds no factor by itself at any of its 2 settings, MIG 0.20 at most"
    )


def test_every_method_has_a_strength_of_its_own(tmp_path: Path) -> None:
    def config(strength: str | None, seed: int = 0, **objective: float) -> dict[str, Any]:
        return {"name": "toy", "seed": seed, "strength": strength, "objective": objective}

    runs = [
        *(make_run(tmp_path, f"b{beta}", config("objective.beta", beta=beta), beta / 100) for beta in (1, 16)),
        *(
            make_run(tmp_path, f"g{gamma}", config("objective.gamma", gamma=gamma), 0.3, "FactorVAE")
            for gamma in (5, 9)
        ),
        make_run(tmp_path, "none", config(None), 0.2, "other"),
    ]
    results = labelled(table(runs, tmp_path), runs, tmp_path)
    assert results[["label", "strength_name", "strength"]].fillna(0).to_numpy().tolist() == [
        ["FactorVAE, gamma 5", "gamma", 5],
        ["FactorVAE, gamma 9", "gamma", 9],
        ["beta-VAE, beta 1", "beta", 1],
        ["beta-VAE, beta 16", "beta", 16],
        ["other", "", 0],
    ]
    assert not [name for name in results if name.startswith("objective.")]
    assert charts.axis(results) == "label"
    alone = labelled(table(runs[2:4], tmp_path), runs, tmp_path)
    assert (charts.axis(alone), charts.axis_title(alone)) == ("strength", "gamma")
    assert charts.metric(alone, SCORES["mig"]).figure.layout.xaxis.title.text == "gamma"


def test_what_a_schedule_made_of_a_strength_is_told_apart_from_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, "run", make_config(4))
    warmed = run._replace(scores={**run.scores, "beta": 2.0})
    assert table([warmed], tmp_path)[["strength", "final_strength"]].to_numpy().tolist() == [[4, 2]]


def test_runs_that_do_not_say_their_method_are_still_compared(tmp_path: Path) -> None:
    run = make_run(tmp_path, "run", make_config())
    old = run._replace(scores={"mig": 0.1, "settings": ["damaged"]})
    assert label([old], tmp_path) == {"run": ("", "beta 4")}
    assert old.supervision == "not recorded"
    objective = {"_target_": "disentone.objectives.BetaVAE", "beta": 4}
    named = old._replace(config={"strength": "objective.beta", "objective": objective})
    assert label([named], tmp_path) == {"run": ("", "BetaVAE, beta 4")}
    assert json.dumps(old.factors) == "[]"
    with pytest.raises(KeyError):
        labelled(table([run], tmp_path), [], tmp_path)


def test_without_mig_nothing_is_called_found(tmp_path: Path) -> None:
    run = make_run(tmp_path, "run", make_config())
    scores = {"dci_disentanglement": 0.9, "dci_informativeness/f0": 1.0, "settings": run.scores["settings"]}
    results = labelled(table([run._replace(scores=scores)], tmp_path), [run], tmp_path)
    sentence, _ = headline(findings(results, ["f0"]), SCORES["dci_disentanglement"])
    assert sentence == "beta-VAE, beta 4 (supervision: none) is first: DCI disentanglement 0.90 of one run"


def test_interpolated_strengths_and_what_repeats_another_entry(compose_config, tmp_path: Path) -> None:
    for name, words in (
        ("a", ["objective.beta=${model.latents}", "model.latents=7"]),
        ("b", ["objective.beta=7", "optimizer.lr=${objective.beta}"]),
    ):
        RunFolder(tmp_path / name).begin(compose_config(["seed=3", *words]), {})
    one, other = (read_run(tmp_path / name) for name in "ab")
    assert one.config["objective"]["beta"] == other.config["objective"]["beta"] == 7
    assert one.config["data"]["seed"] == 3
    assert "data.seed" not in one.settings
    assert other.config["optimizer"]["lr"] == 7
    assert other.settings["optimizer.lr"] == "7"
    assert (one.problem, other.problem) == ("unfinished", "unfinished")


def test_a_run_that_repeats_another_counts_once(finished_run: Path, tmp_path: Path) -> None:
    for name in ("objective.beta=4", "objective.beta=4_reproduced"):
        shutil.copytree(finished_run, tmp_path / name)
    first, second = read_runs(tmp_path)
    assert not first.problem
    assert second.problem == "repeats objective.beta=4, with the same settings and seed"
    assert len(table([first, second], tmp_path)) == 1


def test_the_table_of_a_sweep_is_written_at_most_once_a_minute(finished_run: Path, tmp_path: Path) -> None:
    job = OmegaConf.create({"hydra": {"mode": "MULTIRUN", "sweep": {"dir": str(tmp_path)}}})
    job.hydra.mode = RunMode.MULTIRUN
    for name, age, runs in (("a", 0, 1), ("b", 0, 1), ("c", 70, 3)):
        shutil.copytree(finished_run, tmp_path / name)
        content = json.loads((tmp_path / name / "begun.json").read_text())
        content["settings"]["objective.beta"] = name
        (tmp_path / name / "begun.json").write_text(json.dumps(content))
        if (tmp_path / "results.csv").exists():
            then = time.time() - age
            os.utime(tmp_path / "results.csv", (then, then))
        SweepResults().on_job_end(job, JobReturn())
        assert len(pd.read_csv(tmp_path / "results.csv")) == runs


def test_settings_that_are_numbers_are_sorted_by_their_size(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, f"run{latents}", make_config(latents=latents)) for latents in (10, 2, 100)]
    assert table(runs, tmp_path)["model.latents"].tolist() == ["2", "10", "100"]


def test_where_nothing_is_finished_the_folders_are_not_read_after_every_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = OmegaConf.create(
        {"hydra": {"mode": "MULTIRUN", "sweep": {"dir": str(tmp_path)}, "overrides": {"task": ["logger=csv"]}}}
    )
    job.hydra.mode = RunMode.MULTIRUN
    read = []
    monkeypatch.setattr(results_module, "read_runs", lambda folder: read.append(folder) or [])
    SweepResults().on_multirun_start(job)
    for _ in range(3):
        SweepResults().on_job_end(job, JobReturn())
    assert len(read) == 1


def test_an_answer_that_cannot_be_written_is_still_told(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    (tmp_path / ".results.csv.x.partial").write_text("of a killed command")

    def full(*_: Any) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results_module, "write_report", full)
    finish_sweep(tmp_path)
    told = capsys.readouterr().out
    assert "beta-VAE, beta 4 (supervision: none) finds" in " ".join(told.split())
    assert "the answer could not be written: [Errno 28] No space left on device" in told
    assert not list(tmp_path.glob(".*partial"))
