"""A run on several devices of this machine: one process for each, started and watched.

Lightning would start them by the user's own command, of which a multirun or a folder named after the time cannot be
made twice. Here each is the run folder's config, as a resumed run is.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from lightning_fabric.utilities.rank_zero import rank_zero_only

from disentone import errors
from disentone.sweep import naming, signals

SECONDS_TO_END = 3.0


def is_first() -> bool:
    """Whether this process is number 0 of its run: the one that writes, logs and prints."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


def are_several() -> bool:
    """Whether this is one of several processes of its run, whoever started them."""
    # WORLD_SIZE would say so, too, until Lightning removes it.
    return "LOCAL_RANK" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1


def to_start(trainer: Mapping[str, Any]) -> int:
    """How many processes a trainer's config needs that nobody has started: 1 where this one is enough.

    Args:
        trainer: the resolved node.

    Raises:
        ValueError: for several machines that nothing has started processes on, or a way to start them that we have not.

    """
    if trainer.get("devices") == 1 and trainer.get("num_nodes", 1) == 1:
        return 1
    strategy = instantiate(trainer, _convert_="all")(logger=False, enable_checkpointing=False).strategy
    environment = getattr(strategy, "cluster_environment", None)
    if environment is None or environment.creates_processes_externally:
        return 1
    if trainer.get("num_nodes", 1) > 1:
        raise ValueError(
            "trainer.num_nodes above 1 needs a launcher that starts a process for each device: docs/scaling.md"
        )
    if any(word in str(trainer.get("strategy")) for word in ("spawn", "fork", "notebook")):
        raise ValueError(f"trainer.strategy={trainer['strategy']} cannot be run; ddp starts a process for each device")
    return int(strategy.num_processes)


def run(count: int, run_dir: Path) -> None:
    """Start the processes of a begun run folder and wait for them; where one fails, the others end too.

    Raises:
        ChildProcessError: naming the process that failed first.

    """
    environment = errors.environment() | {
        signals.PARENT: str(os.getpid()),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(find_free_network_port()),
        "WORLD_SIZE": str(count),
    }
    # This process has written Hydra's own files; the log file is the first one's.
    options = [*naming.of_run_folder(run_dir.absolute()), "hydra.output_subdir=null"]
    command = [sys.executable, "-m", "disentone.cli.train", *options]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(count):
            quiet = ["hydra/job_logging=disabled"] if number else []
            started.append(subprocess.Popen([*command, *quiet], env=environment | {"LOCAL_RANK": str(number)}))
        _wait(started)
    finally:
        _end(started)


def _wait(started: Sequence[subprocess.Popen[bytes]]) -> None:
    while any(process.poll() is None for process in started):
        time.sleep(0.1)
        for number, process in enumerate(started):
            # The others would wait for it, on a GPU for as long as half an hour.
            if process.poll():
                raise ChildProcessError(
                    f"process {number} of {len(started)} ended with status {process.returncode}; what it said is above"
                )


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    # The first process closes its loggers; the others have nothing to close, and would only say that it is gone.
    for number, process in enumerate(started):
        if process.poll() is None:
            process.send_signal(signals.BY_PARENT if number == 0 else signal.SIGKILL)
    for process in started:
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
