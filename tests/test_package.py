"""The built wheel in an empty environment: commands, configs inside, runs in any folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TOY

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_wheel_works_in_an_empty_environment(python: str, tmp_path: Path) -> None:
    interpreter = next((path for path in _interpreters(python) if path), None)
    if interpreter is None:
        pytest.skip(f"there is no Python {python} here")
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".venv", "outputs", ".git", "*_cache"))
    _run(source, UV, "build", "--wheel", "--out-dir", str(tmp_path / "dist"))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    _run(tmp_path, UV, "venv", "--python", interpreter, "empty")
    binaries = tmp_path / "empty" / "bin"
    locked = ["--requirement", str(ROOT / "requirements.lock"), "--require-hashes"]
    _run(tmp_path, UV, "pip", "install", "--python", binaries / "python", *locked)
    _run(tmp_path, UV, "pip", "install", "--python", binaries / "python", "--no-deps", wheel)

    work = tmp_path / "work"
    (work / "mine" / "synth").mkdir(parents=True)
    (work / "mine" / "synth" / "own.yaml").write_text("defaults: [tones]\npartials: 4\n")
    described = _run(work, binaries / "disentone", "data", "--config-dir", "mine", "describe", "synth=own")
    assert "20,691 sounds" in described
    _run(work, binaries / "disentone", "train", "--config-dir", "mine", "experiment=quickstart", "synth=own", *TOY)
    (scores,) = (work / "outputs" / "quickstart").glob("*/scores.json")
    assert "mig" in _run(work, binaries / "disentone", "evaluate", scores.parent, "--metrics", "mig,sap")
    code = f"import disentone; print(disentone.load({str(scores.parent)!r}).data.source.synth.num_partials)"
    assert _run(tmp_path, binaries / "python", "-c", code).strip() == "4"


def _interpreters(version: str) -> list[str | None]:
    pyenv = [str(path) for path in sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))]
    return [*pyenv, shutil.which(f"python{version}")]


def _run(folder: Path, *command: object) -> str:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | {"OMP_NUM_THREADS": "1"}
    words = [str(word) for word in command]
    result = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
