"""The run folder: its states, its lock, and what it refuses."""

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import filelock._unix
import pytest
from filelock import FileLock

from conftest import TOY
from disentone.run import folder as folders
from disentone.run.folder import FORMAT, RefusedError, RunFolder, State
from disentone.run.train import train

RECORD = json.dumps({"format": FORMAT})
BEGUN = {"format": FORMAT, "config": {}, "sessions": [{}]}
STATES = [
    ({}, State.NEW),
    ({".hydra/config.yaml": "a: 1"}, State.NEW),
    ({"error.txt": "it was refused"}, State.FAILED),
    ({"begun.json": json.dumps(BEGUN), "config.yaml": "a: 1"}, State.BEGUN),
    ({"begun.json": json.dumps(BEGUN), "config.yaml": "a: 1", "scores.json": '{"mig": 1}'}, State.BEGUN),
    ({"begun.json": json.dumps(BEGUN), "error.txt": "diverged"}, State.FAILED),
    (
        {"begun.json": json.dumps(BEGUN), "run.json": RECORD, "scores.json": '{"mig": 1}'},
        State.FINISHED,
    ),
    ({"begun.json": json.dumps(BEGUN), "run.json": RECORD, "scores.json": "{}"}, State.BEGUN),
    ({"begun.json": json.dumps(BEGUN), "run.json": RECORD, "scores.json": "{"}, State.BEGUN),
    ({"begun.json": json.dumps(BEGUN), "run.json": '{"format": 2, "sec'}, State.BEGUN),
    ({"begun.json": json.dumps(BEGUN), "run.json": ""}, State.BEGUN),
    ({"config.yaml": "a: 1", "scores.json": '{"mig": 1}'}, State.OTHER_FORMAT),
    ({"config.yaml": "a: 1", "run.json": '{"seconds": 3}'}, State.OTHER_FORMAT),
    ({"begun.json": json.dumps({**BEGUN, "format": FORMAT + 1})}, State.OTHER_FORMAT),
]


@pytest.mark.parametrize(("files", "state"), STATES, ids=[f"{' '.join(files)}-{state}" for files, state in STATES])
def test_the_files_say_the_state(files: dict[str, str], state: State, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert RunFolder(tmp_path).state is state


def test_a_folder_of_an_older_format_is_refused_with_one_line(compose_config, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("a: 1")
    (tmp_path / "run" / "scores.json").write_text("{}")
    with pytest.raises(RefusedError, match="written by another version of disentone"):
        train(compose_config(["experiment=quickstart", *TOY, "logger=csv"]))
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock") == [
        "config.yaml",
        "scores.json",
    ]


def hold(path: Path, held: "multiprocessing.synchronize.Event", end: "multiprocessing.synchronize.Event") -> None:
    with RunFolder(path).locked():
        held.set()
        end.wait(60)


def test_a_held_folder_names_its_holder_and_is_free_when_that_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, held, end))
    process.start()
    assert held.wait(60)
    said = rf"is being trained by process {process.pid} on \S+ since 20"
    with pytest.raises(RefusedError, match=said), RunFolder(tmp_path).locked():
        pass
    process.kill()
    process.join()
    with RunFolder(tmp_path).locked():
        pass
    assert not (tmp_path / "owner.json").exists()


@pytest.mark.parametrize(
    ("silent_for", "free"), [(0.0, False), (folders.GONE / 2, False), (folders.GONE + 5, True)], ids=str
)
def test_without_file_locks_a_holder_on_another_machine_counts_as_gone_when_it_is_silent(
    silent_for: float, free: bool, tmp_path: Path, monkeypatch
) -> None:
    def missing(_: int) -> bool:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(filelock._unix, "lock_fd_nonblocking", missing)
    # As a process of a machine that died left it.
    other = FileLock(tmp_path / ".lock", timeout=0)
    with pytest.warns(UserWarning, match="flock"):
        other.acquire()
    record = (tmp_path / ".lock").read_text().splitlines()
    (tmp_path / ".lock").write_text("\n".join(["4194000", "another-machine", *record[2:]]) + "\n")
    (tmp_path / "owner.json").write_text(json.dumps({"host": "another-machine", "process": 4194000, "job": "77"}))
    then = time.time() - silent_for
    os.utime(tmp_path / "owner.json", (then, then))
    os.utime(tmp_path / ".lock", (then, then))
    taking = RunFolder(tmp_path)
    if free:
        with pytest.warns(UserWarning, match="flock"), taking.locked():
            assert json.loads((tmp_path / "owner.json").read_text())["process"] == os.getpid()
    else:
        with (
            pytest.warns(UserWarning, match="flock"),
            pytest.raises(RefusedError, match="process 4194000 on another-machine in job 77"),
            taking.locked(),
        ):
            pass


REFUSALS: list[tuple[str, Callable[[RunFolder], None], bool]] = [
    (
        "a folder of another run",
        lambda folder: (folder.begun.write_text("{}"), folder.config.write_text("a: 1")),
        False,
    ),
    ("an empty folder", lambda folder: None, True),
    ("a folder with an earlier error", lambda folder: folder.error.write_text("old"), True),
    ("our own folder", lambda folder: (folder.config.write_text("a: 1"), setattr(folder, "ours", True)), True),
]


@pytest.mark.parametrize(("_", "prepare", "kept"), REFUSALS, ids=[name for name, *_ in REFUSALS])
def test_an_error_is_kept_where_the_run_belongs(_, prepare, kept: bool, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    prepare(folder)
    folder.keep_error(ValueError("too large"), "too\nlarge")
    assert (folder.error.exists() and folder.error.read_text().splitlines()[-1] == "too large") is kept


def test_a_refused_run_leaves_no_error_in_the_other_runs_folder(finished_run: Path, compose_config, tmp_path) -> None:
    cfg = compose_config(["experiment=quickstart", *TOY, "logger=csv", "seed=3"], finished_run)
    with pytest.raises(RefusedError, match=r"holds a run of another config \(.*data.seed was 0, is 3"):
        train(cfg)
    assert not (finished_run / "error.txt").exists()


def test_every_session_is_recorded_with_its_code(compose_config, tmp_path: Path, monkeypatch, capsys) -> None:
    overrides = ["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=[mig]"]
    train(compose_config(overrides))
    (tmp_path / "run" / "run.json").unlink()
    monkeypatch.setattr(
        "disentone.provenance._git", lambda _: {"git_commit": "f00d", "git_dirty": True, "git_changes": "abc"}
    )
    train(compose_config(overrides))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert len(record["sessions"]) == 2
    assert record["git_commit"] == "f00d"
    assert "was begun by other code" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: .*run\.json"):
        folders.write_atomically(tmp_path / "run.json", "{}")
    assert not list(tmp_path.iterdir())
