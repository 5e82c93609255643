"""One run on two processes is the run on one: same rows, same noise, same numbers, one folder."""

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from tests.cli.test_train import run

from conftest import TOY
from disentone.config import config_dir
from disentone.run.train import train

SMALL = [text for text in TOY if not text.startswith(("callbacks.listening", "callbacks.traversals"))]
# 145 train rows, the last batch of the pass has one of them; 17 to validate, the last batch has one.
RUN = [
    "experiment=quickstart",
    *SMALL,
    "~callbacks.listening",
    "~callbacks.traversals",
    "data.max_rows=181",
    "data.fractions=[0.8011,0.0939,0.105]",
    "trainer.max_steps=12",
    "trainer.val_check_interval=6",
    "trainer.log_every_n_steps=1",
    "callbacks.last.every_n_train_steps=7",
    "metrics.metrics=[mig]",
]
TWO = ["trainer.devices=2", "+trainer.strategy=ddp"]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "run"
    folder.mkdir()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", [*RUN, "logger=csv", f"run_dir='{folder}'"])
    train(cfg)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Into the folder that is named after the time."""
    folder = tmp_path_factory.mktemp("two")
    result = run(folder, *RUN, *TWO)
    assert result.returncode == 0, result.stderr
    return folder, result


def run_folder(folder: Path) -> Path:
    (path,) = (folder / "outputs" / "quickstart").iterdir()
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 12
    return checkpoint["state_dict"]


def assert_same_weights(folder: Path, other: Path) -> None:
    expected = weights(other)
    for name, tensor in weights(folder).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6)


def logged(folder: Path) -> pd.DataFrame:
    (path,) = folder.glob("metrics/*/metrics.csv")
    return pd.read_csv(path)


def test_two_processes_learn_what_one_does(one: Path, two) -> None:
    assert_same_weights(run_folder(two[0]), one)


def test_two_processes_log_what_one_does_step_by_step(one: Path, two) -> None:
    pd.testing.assert_frame_equal(logged(run_folder(two[0])), logged(one), rtol=1e-4, atol=1e-5, check_like=True)


def test_two_processes_score_what_one_does(one: Path, two) -> None:
    expected, scores = (json.loads((folder / "scores.json").read_text()) for folder in (one, run_folder(two[0])))
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert scores[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_a_run_on_two_processes_is_one_folder_one_wandb_run_and_one_line(two) -> None:
    folder = run_folder(two[0])
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1
    assert len(list(folder.rglob("*.wandb"))) == 1
    assert len(list(folder.rglob("scores.json"))) == 1
    assert {path.name for path in (folder / ".hydra").iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert not list(folder.glob("*ddp*"))
    assert not (folder / "error.txt").exists()
    lines = two[1].stdout.splitlines()
    assert [line.split("  ")[1] for line in lines if "  step " in line] == ["step 6", "step 12"]
    # The command says how the run ended, and its processes do not.
    assert sum(line.startswith("the run is ") for line in lines) == 1
    assert not two[1].stderr


@pytest.mark.slow
def test_a_run_of_one_process_is_resumed_by_two(one: Path, tmp_path: Path) -> None:
    begun = tmp_path / "run"
    shutil.copytree(one, begun)
    for name in ("run.json", "checkpoints/best.ckpt"):
        (begun / name).unlink()
    shutil.move(begun / "checkpoints" / "previous.ckpt", begun / "checkpoints" / "last.ckpt")
    assert torch.load(begun / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 7
    result = run(tmp_path, *RUN, *TWO, "logger=csv", "hydra.run.dir=run")
    assert result.returncode == 0, result.stderr
    assert_same_weights(begun, one)


@pytest.mark.slow
def test_a_failing_process_ends_its_run_with_its_error_and_not_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import pytorch_lightning as pl\n"
        "class Broken(pl.Callback):\n"
        "    def __init__(self, process):\n"
        "        self.process = process\n"
        "    def on_train_batch_end(self, trainer, *_):\n"
        "        if trainer.global_rank == self.process:\n"
        "            raise ValueError(f'process {self.process} is broken')\n"
    )
    broken = ["+callbacks.broken._target_=broken.Broken", "+callbacks.broken.process=1,2"]
    arguments = ["-m", *RUN, *TWO, *broken, "objective.beta=4", "logger=csv", "sweep=toy", "trainer.max_steps=2"]
    result = run(tmp_path, *arguments, PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert "1 finished runs" in result.stdout
    assert "process 1 is broken" in result.stderr
    failed, finished = sorted(path for path in (tmp_path / "outputs" / "toy").iterdir() if path.is_dir())
    assert (failed / "error.txt").read_text().splitlines()[-1] == "process 1 is broken"
    assert not (failed / "scores.json").exists()
    assert (finished / "scores.json").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["trainer.devices=3"],
            "data.batch_size is shared by all processes, and 16 rows do not divide by 3; "
            "use 15 or 18, or another trainer.devices",
        ),
        (["trainer.devices=2", "+trainer.strategy=ddp_spawn"], "trainer.strategy=ddp_spawn cannot be run; ddp starts"),
        (["trainer.devices=2", "+trainer.num_nodes=2"], "trainer.num_nodes above 1 needs a launcher that starts"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_any_process_starts(overrides, message, compose_config) -> None:
    with pytest.raises(ValueError, match=message):
        train(compose_config([*RUN, "logger=csv", *overrides]))


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_learn_what_one_does(tmp_path: Path) -> None:
    settings = [text for text in RUN if not text.startswith("trainer.accelerator")]
    for name, devices in (("one", 1), ("two", 2)):
        words = ["trainer.accelerator=gpu", f"trainer.devices={devices}", "logger=csv", f"hydra.run.dir={name}"]
        result = run(tmp_path, *settings, *words)
        assert result.returncode == 0, result.stderr
    expected = weights(tmp_path / "one")
    for name, tensor in weights(tmp_path / "two").items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-2, atol=1e-4)
