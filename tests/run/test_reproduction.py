"""A run trained anew: every number beside the first time's."""

import json
import shutil
from pathlib import Path

import pytest

from disentone.run import reproduction
from disentone.run.folder import RunFolder


@pytest.fixture
def pair(finished_run: Path, tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    """A finished run and its copy."""
    for name in ("a", "b"):
        shutil.copytree(finished_run, tmp_path / name)
    return RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")


def change(path: Path, *keys: str | int, value: object) -> None:
    content = json.loads(path.read_text())
    node = content
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_equal_runs_are_reproduced_to_the_last_bit(pair, capsys) -> None:
    assert reproduction.tell(*pair) == 0
    count = len(
        [value for value in json.loads(pair[0].scores.read_text()).values() if not isinstance(value, dict | list)]
    )
    assert f"all {count} numbers are equal to the last bit" in capsys.readouterr().out
    assert json.loads((pair[1].path / "reproduction.json").read_text())["equal"] == count


@pytest.mark.parametrize(
    ("packages", "mig", "status", "said"),
    [
        (None, 0.5 + 1e-12, 1, "so should every bit be: it is not reproduced"),
        ("9.9", 0.5 + 1e-12, 0, "within the tolerance of 0.05"),
        ("9.9", 0.56, 1, "the largest difference is 0.06, beyond the tolerance"),
        ("9.9", None, 1, "mig was 0.5, is undefined or missing"),
    ],
)
def test_a_difference_is_judged_by_what_else_differs(packages, mig, status, said: str, pair, capsys) -> None:
    change(pair[0].scores, "mig", value=0.5)
    change(pair[1].scores, "mig", value=mig)
    for folder in pair:
        change(folder.record, "sessions", 0, "hardware", "threads", value=1)
        change(folder.record, "sessions", 0, "hardware", "gpu", value=None)
    if packages:
        change(pair[1].record, "sessions", 0, "packages", "torch", value=packages)
    assert reproduction.tell(*pair) == status
    printed = capsys.readouterr().out
    assert said in printed
    assert ("packages.torch was " in printed) is bool(packages)
