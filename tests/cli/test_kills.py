"""Twenty-four SIGKILLs, at the moments where files change hands: the same command again leaves everything whole."""

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from tests.cli.test_train import COMMAND

from conftest import TOY
from disentone.run.folder import RunFolder, State

# In every process of the command, before anything else is imported: the next moment of the plan kills it.
KILLER = """
import json, os, signal
plan, done = os.environ.get("KILLS"), os.environ.get("KILLS_DONE")
if plan:
    def reached(moment):
        with open(done, "a+") as file:
            file.seek(0)
            number = len(file.read())
            if number < len(moments) and moments[number] == moment:
                file.write("x")
                file.flush()
                os.fsync(file.fileno())
                os.kill(os.getpid(), signal.SIGKILL)
    moments, replace = json.loads(plan), os.replace
    def replaced(source, target, **options):
        name = os.path.basename(os.fspath(target))
        name = "cache" if name.endswith(".npy") else name
        reached("before " + name)
        replace(source, target, **options)
        reached("after " + name)
    os.replace = replaced
    import numpy, soundfile
    savez, write = numpy.savez_compressed, soundfile.write
    def saved(*arguments, **arrays):
        reached("before codes")
        savez(*arguments, **arrays)
        reached("after codes")
    def written(file, *arguments, **options):
        reached("before " + os.path.basename(os.fspath(file))) if isinstance(file, (str, os.PathLike)) else None
        write(file, *arguments, **options)
    numpy.savez_compressed, soundfile.write = saved, written
"""
# In the order in which a run of the sweep comes to them; most are of the second run, beside a finished one.
MOMENTS = [
    "after wandb_id",
    "before begun.json",
    "before config.yaml",
    "before cache",
    "before last.ckpt",
    "before previous.ckpt",
    "after codes",
    "after scores.json",
    "before traversal_z0_traversal.wav",
    "before run.json",
    "before results.csv",
    "before report.html",
]
SWEEP = ["-m", "experiment=quickstart", "sweep=toy", *TOY, "metrics.metrics=[mig]", "objective.beta=1,2"]
SWEEP += ["data.mode=cached", "callbacks.last.every_n_train_steps=1", "trainer.max_steps=4", "data.cache_dir=cache"]
SWEEP += ["model.latents=1"]


def run(folder: Path, arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    env |= {"HOME": str(folder), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def changes(folder: Path) -> dict[str, int]:
    """When each finished run of a sweep was trained and finished."""
    return {
        str(path): path.stat().st_mtime_ns
        for run_folder in folder.glob("outputs/toy/objective*")
        if RunFolder(run_folder).state is State.FINISHED
        for path in (run_folder / "run.json", run_folder / "checkpoints" / "last.ckpt", run_folder / "scores.json")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    result = run(folder, SWEEP)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]], ids=["one", "joblib"])
def test_after_twelve_kills_everything_is_whole(launcher: list[str], whole: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    killing = {"PYTHONPATH": str(tmp_path), "KILLS": json.dumps(MOMENTS), "KILLS_DONE": str(tmp_path / "done")}
    finished: dict[str, int] = {}
    for _ in range(len(MOMENTS) + 2):
        result = run(tmp_path, [*SWEEP, *launcher], **killing)
        now = changes(tmp_path)
        assert {path: now[path] for path in finished} == finished
        finished = now
        if result.returncode == 0:
            break
    assert (tmp_path / "done").read_text() == "x" * len(MOMENTS), result.stderr
    assert result.returncode == 0, result.stderr

    toy = tmp_path / "outputs" / "toy"
    left = [path for mark in ("*.tmp", "*.partial") for path in tmp_path.rglob(mark) if "wandb" not in path.parts]
    assert not left
    tables = [pd.read_csv(folder / "outputs" / "toy" / "results.csv") for folder in (whole, tmp_path)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert (toy / "report.html").exists()
    for name in ("objective.beta=1", "objective.beta=2"):
        folder, expected = RunFolder(toy / name), RunFolder(whole / "outputs" / "toy" / name)
        assert folder.state is State.FINISHED
        assert json.loads(folder.scores.read_text()) == json.loads(expected.scores.read_text())
        for entry in json.loads(folder.sounds_list.read_text()):
            assert all((folder.sounds / file).stat().st_size > 44 for file in entry["audio"].values())
        assert {path.name for path in folder.sounds.iterdir()} == {path.name for path in expected.sounds.iterdir()}
        assert len({path.name.rsplit("-", 1)[1] for path in folder.path.glob("wandb/offline-run-*")}) == 1
