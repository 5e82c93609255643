"""A run killed at any moment and resumed ends as one that was never killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from conftest import TOY
from disentone.run.folder import RunFolder, State

# Three epochs of ten batches, checkpoints and validations out of step with one another and with the epochs.
RUN = [
    "experiment=quickstart",
    *TOY,
    "trainer.max_steps=-1",
    "trainer.max_epochs=3",
    "trainer.val_check_interval=4",
    "callbacks.last.every_n_train_steps=3",
    "objective/schedule=warmup",
    "objective.schedule.steps=20",
    "metrics.metrics=[mig]",
]


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(folder)}
    env["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "disentone.cli.train", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 30
    return checkpoint["state_dict"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], float]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    begun = time.monotonic()
    assert start(folder, *RUN, "hydra.run.dir=run", "logger=csv").wait() == 0
    return weights(folder / "run"), time.monotonic() - begun


def kill_and_resume(folder: Path, after_start: float, logger: str) -> None:
    """Start, wait for the run folder, kill after so many seconds more, and resume to the end."""
    process = start(folder, *RUN, "hydra.run.dir=run", f"logger={logger}")
    deadline = time.monotonic() + 120
    while not (folder / "run" / "begun.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(after_start)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if not (folder / "run" / "run.json").exists():
        assert start(folder, "resume=run").wait() == 0


def check(folder: Path, expected: dict[str, torch.Tensor]) -> None:
    resumed = weights(folder / "run")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())
    assert RunFolder(folder / "run").state is State.FINISHED
    assert not list((folder / "run").rglob("*.partial"))


def test_a_killed_run_resumes_to_the_last_bit_as_the_same_wandb_run(uninterrupted, tmp_path: Path) -> None:
    expected, _ = uninterrupted
    kill_and_resume(tmp_path, after_start=2.0, logger="wandb")
    check(tmp_path, expected)
    runs = {path.name.rsplit("-", 1)[-1] for path in (tmp_path / "run" / "wandb").glob("offline-run-*")}
    assert len(runs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(10))
def test_ten_random_moments(moment: int, uninterrupted, tmp_path: Path) -> None:
    expected, seconds = uninterrupted
    after_start = random.Random(moment).uniform(0, max(1.0, seconds - 6))
    kill_and_resume(tmp_path, after_start, logger="csv")
    check(tmp_path, expected)
