"""Offline unless a key is found, never a prompt."""

import os
from pathlib import Path

import pytest

from disentone import loggers


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "NETRC", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_without_credentials_the_run_is_offline(no_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "")
    monkeypatch.delenv("WANDB_MODE")
    logger = loggers.wandb(no_credentials / "my_sweep" / "objective.beta=4", project="p", tags=["t"])

    assert os.environ["WANDB_MODE"] == "offline"
    settings = logger._wandb_init
    assert (settings["group"], settings["name"]) == ("my_sweep", "objective.beta=4")
    assert (settings["job_type"], settings["tags"], settings["project"]) == ("train", ["t"], "p")


def test_a_mode_that_the_user_chose_is_kept(no_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setenv("WANDB_MODE", "disabled")
    loggers.wandb(no_credentials, project="p")
    assert os.environ["WANDB_MODE"] == "disabled"


def test_keys_are_found_where_wandb_finds_them(no_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not loggers.has_key()
    (no_credentials / ".netrc").write_text("machine elsewhere.org login user password secret\n")
    assert not loggers.has_key()
    (no_credentials / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert loggers.has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.my.lab")
    assert not loggers.has_key()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert loggers.has_key()


def test_a_broken_netrc_is_no_key(no_credentials: Path) -> None:
    (no_credentials / ".netrc").write_text("machine\n")
    assert not loggers.has_key()
