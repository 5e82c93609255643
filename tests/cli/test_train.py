"""The real command at toy size: runs, sweeps, what they leave behind."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.reference import metrics as reference

from conftest import TOY
from disentone.run.build import build
from disentone.run.folder import RunFolder, State
from disentone.run.train import train

COMMAND = [sys.executable, "-m", "disentone.cli.train"]


def run(
    folder: Path, *arguments: str, command: Sequence[str] = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command in a folder of its own, without any W&B credentials, and with nothing to type on."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    env |= {"HOME": str(folder), "OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("sweep")
    return folder, run(folder, "-m", "experiment=quickstart", "objective.beta=1,8", "seed=0,1", "sweep=toy", *TOY)


def runs_of(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "outputs" / "toy").rglob("scores.json"))


def test_a_sweep_ends_with_a_table_a_csv_and_a_figure(sweep) -> None:
    folder, result = sweep
    assert result.returncode == 0, result.stderr
    assert "4 finished runs" in result.stdout
    table = pd.read_csv(folder / "outputs" / "toy" / "results.csv")
    first = "method supervision strength_name strength seed mig dci_disentanglement dci_completeness"
    assert list(table.columns[:8]) == first.split()
    assert set(table["strength_name"]) == {"beta"}
    assert set(table["method"]) == {"beta-VAE"}
    assert set(table["supervision"]) == {"none"}
    assert table[["strength", "seed"]].to_numpy().tolist() == [[1, 0], [1, 1], [8, 0], [8, 1]]
    assert (folder / "outputs" / "toy" / "scores_against_strength.png").stat().st_size > 5_000


def test_the_command_is_kept_as_it_was_typed(sweep) -> None:
    folder, _ = sweep
    (record,) = folder.glob("outputs/toy/objective.beta=1,seed=0/run.json")
    words = ["-m", "experiment=quickstart", "objective.beta=1,8", "seed=0,1", "sweep=toy", *TOY]
    assert shlex.split(json.loads(record.read_text())["sessions"][0]["command"]) == ["disentone", "train", *words]


def test_every_run_has_its_own_folder_with_all_that_one_may_look_at(sweep) -> None:
    folder, _ = sweep
    assert len(runs_of(folder)) == 4
    for run_folder in runs_of(folder):
        for name in (
            "config.yaml",
            "codes.npz",
            "checkpoints/last.ckpt",
            "checkpoints/best.ckpt",
            "figures/mi_matrix.png",
            "figures/dci_importance.png",
            "figures/reconstructions_0000002.png",
            "figures/traversals_0000002.png",
            ".hydra/overrides.yaml",
        ):
            assert (run_folder / name).stat().st_size > 0, name
        assert len(list(run_folder.glob("metrics/*/metrics.csv"))) == 1


def test_folders_are_named_by_what_varies(sweep) -> None:
    names = [folder.name for folder in runs_of(sweep[0])]
    assert names == [f"objective.beta={beta},seed={seed}" for beta in (1, 8) for seed in (0, 1)]


def test_every_run_is_one_finished_offline_wandb_run(sweep) -> None:
    folder, result = sweep
    assert "wandb: (1)" not in result.stdout + result.stderr  # the prompt
    for run_folder in runs_of(folder):
        (offline,) = run_folder.glob("wandb/offline-run-*")
        assert list(offline.glob("run-*.wandb"))
        keys = {path.name.split("_")[0] for path in (offline / "files" / "media" / "images").glob("*.png")}
        assert {"reconstructions", "traversals", "mi", "dci"} <= keys


def test_the_logged_mig_is_the_literal_one_of_the_saved_codes(sweep) -> None:
    folder, _ = sweep
    for run_folder in runs_of(folder):
        scores = json.loads((run_folder / "scores.json").read_text())
        saved = np.load(run_folder / "codes.npz")
        assert scores["mig"] == pytest.approx(reference.mig(saved["codes"], saved["factors"]), abs=1e-6)
        logged = pd.concat(pd.read_csv(path) for path in run_folder.glob("metrics/*/metrics.csv"))
        assert logged["mig"].dropna().iloc[-1] == pytest.approx(scores["mig"], abs=1e-6)


def test_scores_carry_chance_factor_names_and_their_settings(sweep) -> None:
    scores = json.loads((runs_of(sweep[0])[0] / "scores.json").read_text())
    for key in ("mig/f0", "sap/decay", "dci_completeness/slope", "chance/mig", "chance/dci_disentanglement"):
        assert isinstance(scores[key], float)
    assert scores["settings"]["preset"] == "dlib"
    assert scores["settings"]["dci_backend"] == "lightgbm"
    assert np.array(scores["mi_matrix"]).shape == (10, 4)


def test_terms_are_logged_by_stage(sweep) -> None:
    (path,) = runs_of(sweep[0])[0].glob("metrics/*/metrics.csv")
    columns = set(pd.read_csv(path).columns)
    for stage in ("validation", "test"):
        for term in (
            "loss",
            "reconstruction",
            "kl",
            "elbo",
            "beta",
            "normalised_beta",
            "kl_per_latent/0",
            "likelihood_scale",
        ):
            assert f"{stage}/{term}" in columns
    assert "active_units" in columns


def test_the_same_sweep_again_trains_nothing_and_loses_nothing(sweep) -> None:
    folder, _ = sweep
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("last.ckpt")}
    result = run(folder, "-m", "experiment=quickstart", "objective.beta=1,8", "seed=0,1", "sweep=toy", *TOY)
    assert result.returncode == 0
    assert result.stdout.count("is finished; nothing to do") == 4
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("last.ckpt")} == before


def test_one_failing_run_does_not_stop_the_others_and_the_table_still_comes(tmp_path: Path) -> None:
    result = run(tmp_path, "-m", "experiment=quickstart", "objective.beta=-1,2", "sweep=toy", "logger=csv", *TOY)
    assert result.returncode != 0
    assert "objective.beta must be a number of 0 or more, got -1" in result.stdout + result.stderr
    assert "1 finished runs" in result.stdout
    assert pd.read_csv(tmp_path / "outputs" / "toy" / "results.csv")["strength"].tolist() == [2]


def test_a_run_folder_of_another_config_is_left_alone(compose_config, tmp_path: Path) -> None:
    train(compose_config(["experiment=quickstart", *TOY, "logger=csv"]))
    written = (tmp_path / "run" / "scores.json").read_bytes()
    with pytest.raises(
        ValueError, match=r"another config \(objective.beta was 4, is 2\); name this one with sweep=<name>"
    ):
        train(compose_config(["experiment=quickstart", *TOY, "logger=csv", "objective.beta=2"]))
    assert (tmp_path / "run" / "scores.json").read_bytes() == written


def test_the_same_command_gives_the_same_numbers(compose_config, tmp_path: Path) -> None:
    reports = []
    for name in ("one", "two"):
        cfg = compose_config(["experiment=quickstart", *TOY, "logger=csv"], tmp_path / name)
        train(cfg)
        report = json.loads((tmp_path / name / "scores.json").read_text())
        reports.append(report)
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("likelihood", "schedule"),
    [("gaussian", "cyclic"), ("learned_gaussian", "constant"), ("laplace", "warmup"), ("bernoulli", "constant")],
)
def test_likelihoods_and_schedules_combine(likelihood: str, schedule: str, compose_config, tmp_path: Path) -> None:
    choices = [f"model/likelihood={likelihood}", f"objective/schedule={schedule}", "synth=tones_noisy", "logger=csv"]
    train(compose_config([*choices, *TOY, "metrics.metrics=[mig]"]))
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["model"]["likelihood"]["_target_"].lower().endswith(likelihood.split("_")[-1])
    assert (tmp_path / "run" / "scores.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["experiment=quickstart", "--cfg", "job"],
        ["--config-dir", "mine", "experiment=quickstart", "--cfg", "job"],
        ["experiment=quickstart", "--cfg", "job", "--config-dir", "mine"],
    ],
)
def test_flags_stand_where_hydra_takes_them(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    result = run(tmp_path, *arguments)
    assert result.returncode == 0, result.stderr
    assert "_target_: disentone.models.VAE" in result.stdout


def test_what_else_varies_is_in_the_table_and_what_is_fixed_names_the_sweep(tmp_path: Path) -> None:
    toy = [*TOY, "logger=csv", "metrics.metrics=[mig]", "objective/schedule=warmup"]
    result = run(tmp_path, "-m", "experiment=quickstart", "objective.beta=4", "model.latents=2,3", *toy)
    assert result.returncode == 0, result.stderr
    (folder,) = (tmp_path / "outputs").iterdir()
    assert folder.name.startswith("quickstart_sweep,data.batch_size=16,")
    table = pd.read_csv(folder / "results.csv")
    assert table["model.latents"].tolist() == [2, 3]
    assert table["strength"].tolist() == [4, 4]
    assert table["final_strength"].tolist() == [4, 4]  # the warm-up is over by the end
    assert "model.latents" in result.stdout
    assert [path.name for path in sorted(folder.iterdir()) if path.is_dir()] == [
        f"model.latents={latents},objective.beta=4" for latents in (2, 3)
    ]


def test_a_sweep_over_experiments_needs_a_name(tmp_path: Path) -> None:
    result = run(tmp_path, "-m", "experiment=quickstart,syntone", "objective.beta=1")
    assert result.returncode == 1
    assert result.stderr.strip() == "disentone: a sweep over experiments needs a name: add sweep=<name>"


def test_an_objective_without_beta_needs_one_class_and_one_file(tmp_path: Path) -> None:
    (tmp_path / "mine" / "objective").mkdir(parents=True)
    (tmp_path / "mine" / "objective" / "ae.yaml").write_text("_target_: plain.AutoEncoder\n")
    (tmp_path / "plain.py").write_text(
        "from disentone.objectives import Objective\n"
        "class AutoEncoder(Objective):\n"
        "    def forward(self, vae, batch, step):\n"
        "        output = vae.decoder(vae.encode(batch.image).codes)\n"
        "        loss = vae.likelihood.nll(output, batch.image).mean()\n"
        "        return {'loss': loss, 'fit': -loss.detach()}\n"
    )
    arguments = ["-m", "--config-dir", "mine", "experiment=quickstart", "objective=ae", "seed=0,1", "sweep=ae", *TOY]
    arguments += ["logger=csv", "metrics.metrics=[mig]"]
    # The command itself, whose working folder Python does not look in.
    result = run(tmp_path, *arguments, command=[str(Path(sys.executable).with_name("disentone")), "train"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert pd.read_csv(tmp_path / "outputs" / "ae" / "results.csv")["seed"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("bf16-mixed", "gives wrong numbers on some processors; take 32-true, or a GPU"),
        ("bf16-true", r"trainer\.precision: expected 32-true, 16-mixed or bf16-mixed"),
    ],
)
def test_lower_precision_is_mixed_on_a_gpu_or_refused(precision: str, message: str, compose_config) -> None:
    with pytest.raises(ValueError, match=message):
        train(compose_config(["experiment=quickstart", *TOY, "logger=csv", f"trainer.precision={precision}"]))


ENDS = [
    (["+trainer.max_time=00:00:00:00"], r"stopped at \d of 4 steps because of trainer.max_time=00:00:00:00"),
    (["+trainer.fast_dev_run=true"], "stopped at 1 of 4 steps because of trainer.fast_dev_run=True"),
    (["+callbacks.stop={_target_: stopping.Stop}"], "stopped at 1 of 4 steps;"),
    (["trainer.max_steps=-1", "trainer.max_epochs=1"], None),
    (
        ["+callbacks.stop={_target_: stopping.Enough, monitor: validation/fit, stopping_threshold: -1e9, mode: max}"],
        None,
    ),
]


@pytest.mark.parametrize(("overrides", "message"), ENDS, ids=[overrides[-1] for overrides, _ in ENDS])
def test_finished_is_what_trained_as_long_as_its_config_asks(
    overrides: list[str], message: str | None, compose_config, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "stopping.py").write_text(
        "from pytorch_lightning.callbacks import Callback, EarlyStopping\n"
        "class Stop(Callback):\n"
        "    def on_train_batch_end(self, trainer, *_):\n"
        "        trainer.should_stop = True\n"
        "class Enough(EarlyStopping):\n"
        "    def __init__(self, monitor: str, stopping_threshold: float, mode: str) -> None:\n"
        "        super().__init__(monitor, stopping_threshold=stopping_threshold, mode=mode)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    base = ["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=[mig]", "trainer.max_steps=4"]
    cfg = compose_config([*base, *overrides])
    if message is None:
        train(cfg)
        assert RunFolder(tmp_path / "run").state is State.FINISHED
    else:
        with pytest.raises(ValueError, match=message):
            train(cfg)
        assert RunFolder(tmp_path / "run").state is State.BEGUN
        assert not (tmp_path / "run" / "scores.json").exists()


def test_a_run_that_time_stopped_goes_on_with_more_time(compose_config, tmp_path: Path) -> None:
    base = ["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=[mig]", "trainer.max_steps=4"]
    with pytest.raises(ValueError, match=r"because of trainer\.max_time"):
        train(compose_config([*base, "+trainer.max_time=00:00:00:00"]))
    train(compose_config([*base, "+trainer.max_time=01:00:00:00"]))
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["step"] == 4
    # The time is of one session: what earlier ones took is forgotten.
    checkpoint = {"callbacks": {"Timer": {"time_elapsed": {"train": 9.0}}, "Scores": {"untrained": {}}}}
    build(compose_config(base), RunFolder(tmp_path / "run")).system.on_load_checkpoint(checkpoint)
    assert checkpoint == {"callbacks": {"Scores": {"untrained": {}}}}


def test_an_early_stop_is_for_good_also_where_the_scores_were_lost(compose_config, tmp_path: Path) -> None:
    stop = "pytorch_lightning.callbacks.EarlyStopping"
    early = f"+callbacks.stop={{_target_: {stop}, monitor: validation/fit, stopping_threshold: -1e9, mode: max}}"
    base = ["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=[mig]", "trainer.max_steps=8", early]
    train(compose_config(base))
    before = (tmp_path / "run" / "scores.json").read_bytes()
    assert json.loads(before)["step"] == 2
    for name in ("run.json", "scores.json"):
        (tmp_path / "run" / name).unlink()
    train(compose_config(base))
    assert (tmp_path / "run" / "scores.json").read_bytes() == before


def test_a_checkpoint_of_another_run_is_passed_over(compose_config, tmp_path: Path, capsys) -> None:
    base = ["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=[mig]"]
    for seed in (0, 1):
        train(compose_config([*base, f"seed={seed}"], tmp_path / f"{seed}"))
    ours, theirs = (tmp_path / f"{seed}" / "checkpoints" / "last.ckpt" for seed in (0, 1))
    before = (tmp_path / "0" / "scores.json").read_bytes()
    shutil.copy(ours, ours.with_name("previous.ckpt"))
    shutil.copy(theirs, ours)
    (tmp_path / "0" / "run.json").unlink()
    train(compose_config([*base, "seed=0"], tmp_path / "0"))
    assert "last.ckpt is a checkpoint of another run; going back to previous.ckpt" in capsys.readouterr().out
    assert (tmp_path / "0" / "scores.json").read_bytes() == before


def test_an_older_checkpoint_of_slurms_requeue_is_not_what_is_scored(
    compose_config, tmp_path: Path, monkeypatch
) -> None:
    base = ["experiment=quickstart", *TOY, "logger=csv", "trainer.max_steps=4", "callbacks.last.every_n_train_steps=2"]
    train(compose_config(base))
    run_folder = tmp_path / "run"
    before = (run_folder / "scores.json").read_bytes()
    requeued = run_folder / "hpc_ckpt_1.ckpt"
    shutil.copy(run_folder / "checkpoints" / "previous.ckpt", requeued)
    os.utime(requeued, (0, 0))
    (run_folder / "run.json").unlink()
    for name, value in (("NTASKS", "1"), ("JOB_ID", "1"), ("PROCID", "0"), ("LOCALID", "0"), ("NODEID", "0")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_JOB_NAME", "x")
    train(compose_config(base))
    assert (run_folder / "scores.json").read_bytes() == before
    assert not requeued.exists()


def test_pictures_are_drawn_in_the_end_even_without_a_validation(compose_config, tmp_path: Path) -> None:
    train(compose_config(["experiment=quickstart", *TOY, "logger=csv", "trainer.val_check_interval=5"]))
    assert len(list((tmp_path / "run" / "figures").glob("*_0000002.png"))) == 2


def test_a_run_folders_config_repeats_the_run(tmp_path: Path) -> None:
    toy = [*TOY, "logger=csv", "metrics.metrics=[mig]"]
    assert run(tmp_path, "experiment=quickstart", *toy, "hydra.run.dir=first").returncode == 0
    again = run(tmp_path, "--config-dir", "first", "--config-name", "config")
    assert again.returncode == 0, again.stderr
    (second,) = (tmp_path / "outputs" / "quickstart").iterdir()
    assert (second / "scores.json").read_text() == (tmp_path / "first" / "scores.json").read_text()
    assert (second / "config.yaml").read_text() == (tmp_path / "first" / "config.yaml").read_text()
