"""What a command's exit status says: 0 done, 1 refused or failed, 2 wrong usage."""

import sys
from pathlib import Path

import numpy as np
import pytest

from disentone.cli import dashboard, data, evaluate, report, train

COMMANDS = {"train": train, "data": data, "evaluate": evaluate, "report": report, "dashboard": dashboard}


def status(monkeypatch: pytest.MonkeyPatch, folder: Path, command: str, *arguments: str) -> int:
    """The exit status that a shell would see."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [f"disentone-{command}", *arguments])
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    try:
        COMMANDS[command].main()
    except SystemExit as end:
        # A message goes to standard error, with status 1.
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_is_not_there_is_wrong_usage(command: str, monkeypatch, tmp_path: Path) -> None:
    assert status(monkeypatch, tmp_path, command, "--nothing-of-the-kind") == 2


@pytest.mark.parametrize("command", ["data", "evaluate", "report", "dashboard"])
def test_what_is_missing_is_wrong_usage(command: str, monkeypatch, tmp_path: Path) -> None:
    assert status(monkeypatch, tmp_path, command) == 2


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("train", "seed=-1"),
        ("data", "describe,seed=-1"),
        ("evaluate", "nowhere.npz"),
        ("report", "nowhere"),
        ("dashboard", "somebody"),
    ],
)
def test_a_mistake_is_refused(command: str, argument: str, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert status(monkeypatch, tmp_path, command, *argument.split(",")) == 1


def test_what_is_done_is_0(monkeypatch, tmp_path: Path) -> None:
    rows = np.arange(200)
    np.savez(tmp_path / "a.npz", codes=rows[:, None] / 7.0, factors=(rows % 5)[:, None])
    assert status(monkeypatch, tmp_path, "evaluate", "a.npz", "--metrics", "mig") == 0
    assert status(monkeypatch, tmp_path, "data", "describe") == 0
