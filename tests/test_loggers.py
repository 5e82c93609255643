"""Offline unless it can be online, never a prompt."""

import os
import socket
from pathlib import Path

import pytest
import wandb

from disentone import loggers


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [name for name in os.environ if name.startswith("WANDB")] + ["NETRC"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "to be undone after the test, whatever the code sets")
    monkeypatch.delenv("WANDB_MODE")
    return tmp_path


def test_without_credentials_the_run_is_offline(no_credentials: Path) -> None:
    logger = loggers.wandb(no_credentials / "my_sweep" / "objective.beta=4", project="p", tags=["t"])
    assert os.environ["WANDB_MODE"] == "offline"
    settings = logger._wandb_init
    assert (settings["group"], settings["name"]) == ("my_sweep", "objective.beta=4")
    assert (settings["job_type"], settings["tags"], settings["project"]) == ("train", ["t"], "p")


def test_online_without_a_key_is_refused_instead_of_asking(no_credentials: Path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(ValueError, match="WANDB_MODE=online needs a key"):
        loggers.wandb(no_credentials / "run", project="p")


def test_a_key_without_a_server_is_offline_unless_online_was_asked_for(no_credentials, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    loggers.wandb(no_credentials / "run", project="p")
    assert os.environ["WANDB_MODE"] == "offline"
    assert "cannot be reached" in capsys.readouterr().out
    monkeypatch.setenv("WANDB_MODE", "online")
    loggers.wandb(no_credentials / "run", project="p")
    assert os.environ["WANDB_MODE"] == "online"


def test_a_key_and_a_server_are_online(no_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        loggers.wandb(no_credentials / "run", project="p")
    assert "WANDB_MODE" not in os.environ


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_mode_that_the_user_chose_is_kept(mode: str, no_credentials: Path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    loggers.wandb(no_credentials / "run", project="p")
    assert os.environ["WANDB_MODE"] == mode


def test_keys_are_found_where_wandb_finds_them(no_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not loggers.has_key()
    key = "b" * 40
    netrc, host = no_credentials / ".netrc", wandb.Settings().base_url.removeprefix("https://")
    netrc.write_text(f"machine elsewhere.org login user password {key}\n")
    assert not loggers.has_key()
    netrc.write_text(f"machine {host} login user password {key}\n")
    assert loggers.has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.my.lab")
    assert not loggers.has_key()
    netrc.write_text(f"machine wandb.my.lab login user password {key}\n")
    assert loggers.has_key()
    netrc.unlink()
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert loggers.has_key()


@pytest.mark.parametrize("content", [b"machine\n", b"\xff\xfe", b"machine api.wandb.ai login user password short\n"])
def test_a_broken_netrc_is_no_key(content: bytes, no_credentials: Path) -> None:
    (no_credentials / ".netrc").write_bytes(content)
    assert not loggers.has_key()


def test_a_run_folder_keeps_its_id(no_credentials: Path) -> None:
    first, again, other = (loggers.wandb(no_credentials / name, project="p").version for name in ("a", "a", "b"))
    assert first == again != other
