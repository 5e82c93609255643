"""Offline unless it can be online, never a prompt."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Answer(BaseHTTPRequestHandler):
    """What a server says to W&B's client: a status and a body."""

    status, body = 200, b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


VIEWER = (
    b'{"data": {"viewer": {"id": "a", "entity": "me", "username": "me", "name": "me", "email": "e", "admin": false, '
    b'"flags": "{}", "deletedAt": null, "teams": {"edges": []}, "apiKeys": null}}}'
)
SERVERS = [
    ("gone", None),
    ("silent", None),
    ("refuses", (401, b"")),
    ("portal", (200, b"<html>")),
    ("knows", (200, VIEWER)),
]


@contextmanager
def server(kind: str, answer: tuple[int, bytes] | None) -> Iterator[str]:
    if answer is None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            if kind == "gone":
                listening.close()
            yield address
        return
    handler = type("Handler", (Answer,), dict(zip(("status", "body"), answer, strict=True)))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


@pytest.mark.parametrize(("kind", "answer"), SERVERS, ids=[kind for kind, _ in SERVERS])
def test_a_server_that_does_not_know_the_key_is_decided_once(
    kind: str, answer, no_credentials: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    loggers._no_answer.cache_clear()
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with server(kind, answer) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        for name in ("one", "two"):
            loggers.wandb(no_credentials / name, project="p")
    assert os.environ.get("WANDB_MODE") == (None if kind == "knows" else "offline")
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith(f"Weights & Biases: {address} cannot be used")]) == (
        kind != "knows"
    )
    monkeypatch.setenv("WANDB_MODE", "online")
    loggers.wandb(no_credentials / "asked", project="p")
    assert os.environ["WANDB_MODE"] == "online"


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


def test_what_fails_beside_a_run_ends_it_as_failed_and_is_one_line(
    no_credentials: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (wandb.errors.CommError("the server is gone"), OSError(28, "No space left on device")):
        ended = []

        class Beside:
            def __enter__(self) -> "Beside":
                return self

            def __exit__(self, kind: type | None, *_: object, ended=ended) -> None:
                ended.append(kind)

            def log(self, content: object, error: Exception = error) -> None:
                raise error

        monkeypatch.setattr(loggers.wb, "init", lambda beside=Beside, **_: beside())
        loggers.log_beside(no_credentials, "p", "evaluate", "a name", {"mig": 0.1}, [])
        assert ended == [type(error)]
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "was not sent" in line]
        assert line.startswith("the evaluate run was not sent to Weights & Biases: ")


def test_a_proxy_is_asked_as_wandb_asks_it(no_credentials: Path) -> None:
    # In a process of its own: W&B's service keeps the environment that it was started in.
    program = "from disentone.loggers import os, wandb; wandb('run', project='p'); print(os.environ.get('WANDB_MODE'))"
    kept = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    with server("knows", (200, VIEWER)) as address:
        asked = {"WANDB_API_KEY": "a" * 40, "HTTP_PROXY": address, "WANDB_BASE_URL": "http://wandb.my.lab"}
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=no_credentials,
            env=kept | asked,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.stdout.strip() == "None", result.stdout + result.stderr
