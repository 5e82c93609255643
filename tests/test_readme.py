"""Every command of the README, run at toy size; every example as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TOY, TOY_CONTRASTIVE, toy
from disentone.run.train import train

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


# Scores and W&B are tested elsewhere.
CHEAP = "metrics.metrics=[mig]"
COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "make test"])
def test_every_command_runs(command: str, tmp_path: Path) -> None:
    (tmp_path / "my_conf" / "synth").mkdir(parents=True)
    (tmp_path / "my_conf" / "synth" / "bells.yaml").write_text(blocks("yaml")[0])
    for name in ("Makefile", ".venv", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    words = shlex.split(command)
    csv = [] if "logger=" in command else ["logger=csv"]
    if words[0] == "make":
        given = [part for word in words if word.startswith("ARGS=") for part in word.removeprefix("ARGS=").split()]
        small = TOY_CONTRASTIVE if "method=contrastive" in given else toy(given or ["experiment=quickstart"])
        small = [CHEAP if word.startswith("metrics.metrics") else word for word in small]
        points = [] if given else ["objective.beta=1,16"]  # of the four that `make sweep` has
        arguments = " ".join([*given, *small, *points, *csv])
        words = [word for word in words if not word.startswith("ARGS=")] + [f"ARGS={arguments}"]
        # The environment that runs the tests is set up already, whichever file is newer.
        words += ["-o", ".venv/ready"]
    else:
        words += [*(TOY_CONTRASTIVE if "method=contrastive" in words else TOY), CHEAP, *csv]
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    result = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert list((tmp_path / "outputs").rglob("scores.json"))


def test_make_test_is_a_target() -> None:
    assert "make test" in COMMANDS
    plan = subprocess.run(
        ["make", "-n", "-o", ".venv/ready", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "-m pytest" in plan.stdout
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_scoring_example_runs() -> None:
    (example,) = (block for block in blocks("python") if "evaluate" in block)
    result = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) > 0.8


def test_the_loading_example_runs(compose_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = (block for block in blocks("python") if "load" in block)
    (folder,) = re.findall(r"load\(\"(.*)\"\)", example)
    (tmp_path / folder).mkdir(parents=True)
    train(compose_config(["experiment=quickstart", *TOY, "logger=csv", CHEAP], tmp_path / folder))
    monkeypatch.chdir(tmp_path)
    exec(example)


def test_pictures_and_files_that_it_names_exist() -> None:
    for path in re.findall(r"\]\((docs/[^)]+)\)", README):
        assert (ROOT / path).stat().st_size > 5_000
    for path in re.findall(r"`(conf/[\w./]+|src/[\w./]+)`", README):
        assert (ROOT / path).exists(), path


def test_it_fits_two_screens() -> None:
    assert len(README.splitlines()) <= 130
