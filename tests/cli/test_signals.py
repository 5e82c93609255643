"""Ctrl-C and SIGTERM: an end within seconds, its own exit status, one line, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.cli.test_train import COMMAND

from conftest import TOY
from disentone.sweep import signals

LONG = ["experiment=quickstart", *TOY, "trainer.max_steps=100000", "trainer.val_check_interval=50000", "logger=csv"]
RUN = [*LONG, "hydra.run.dir=run"]
SWEEP = ["-m", *LONG, "objective.beta=1,2", "sweep=toy"]
JOBLIB = [*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
VECTORISED = [*SWEEP, "hydra/launcher=vectorised", "trainer.log_every_n_steps=1"]
RENDERING = [*(word for word in RUN if not word.startswith(("data.m", "synth.dur"))), "data.mode=cached"]
TWO = [*RUN, "trainer.devices=2", "data.batch_size=16"]
CASES = [
    pytest.param(RUN, signal.SIGTERM, "disentone train resume={folder}/run goes on", id="run-SIGTERM"),
    pytest.param(RUN, signal.SIGINT, "disentone train resume={folder}/run", id="run-SIGINT", marks=pytest.mark.slow),
    pytest.param(SWEEP, signal.SIGTERM, "the same command goes on", id="sweep-SIGTERM", marks=pytest.mark.slow),
    pytest.param(SWEEP, signal.SIGINT, "the same command goes on", id="sweep-SIGINT", marks=pytest.mark.slow),
    pytest.param(JOBLIB, signal.SIGTERM, "the same command goes on", id="joblib-SIGTERM", marks=pytest.mark.slow),
    pytest.param(JOBLIB, signal.SIGINT, "the same command goes on", id="joblib-SIGINT", marks=pytest.mark.slow),
    pytest.param(VECTORISED, signal.SIGTERM, "the same command goes on", id="vectorised", marks=pytest.mark.slow),
    pytest.param(RENDERING, signal.SIGTERM, "disentone train resume=", id="rendering", marks=pytest.mark.slow),
    pytest.param(TWO, signal.SIGTERM, "disentone train resume=", id="two-SIGTERM", marks=pytest.mark.slow),
    pytest.param(TWO, signal.SIGINT, "disentone train resume=", id="two-SIGINT", marks=pytest.mark.slow),
]
LATEST = 5.0


def begun(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    """The command, as soon as it trains."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")} | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=env, text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    sign = "*.tmp" if "data.mode=cached" in arguments else "metrics.csv"
    while not list(folder.rglob(sign)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


@pytest.mark.parametrize(("arguments", "number", "said"), CASES)
def test_a_signal_ends_the_command_with_one_line(arguments, number: signal.Signals, said: str, tmp_path: Path) -> None:
    process = begun(tmp_path, arguments)
    started = psutil.Process(process.pid).children(recursive=True)
    sent = time.monotonic()
    # As a terminal does: Ctrl-C reaches all processes of the command.
    (os.killpg if number is signal.SIGINT else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=60)
    took = time.monotonic() - sent
    assert process.returncode == 128 + number
    lines = [line for line in errors.splitlines() if line.strip()]
    assert len(lines) == 1, errors
    assert lines[0].startswith(f"disentone: ended by {number.name}; ")
    assert said.format(folder=tmp_path) in lines[0].replace(" run keeps", f" {tmp_path}/run keeps").replace(
        "resume=run", f"resume={tmp_path}/run"
    )
    _, alive = psutil.wait_procs(started, timeout=LATEST)
    assert not alive
    assert took < 2 * LATEST  # twice, since the tests share the processors


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [JOBLIB, TWO], ids=["joblib", "two"])
def test_no_worker_survives_a_killed_parent(arguments: list[str], tmp_path: Path) -> None:
    process = begun(tmp_path, arguments)
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.kill()
    _, alive = psutil.wait_procs(started, timeout=LATEST)
    assert not alive


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_hangs_is_left_after_some_seconds(number: signal.Signals) -> None:
    program = (
        "import signal, time\n"
        "from disentone.sweep import signals\n"
        "signals.LATEST = 0.5\n"
        "with signals.ending(lambda: 'nothing is lost'):\n"
        "    try:\n"
        f"        signal.raise_signal({int(number)})\n"
        "    except KeyboardInterrupt:\n"
        "        time.sleep(60)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert result.returncode == 128 + number
    assert result.stderr.strip() == f"disentone: ended by {number.name}; nothing is lost"


def test_without_a_signal_nothing_changes() -> None:
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with pytest.raises(ValueError, match="ours"), signals.ending(lambda: ""):
        raise ValueError("ours")
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before
