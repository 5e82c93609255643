"""Runs trained as one beside the same runs one after the other: python -m benchmarks.vectorised.

Training steps alone (no validation), interleaved repeats, medians of wall and processor time, the latter for machines
that others use too; whole sweeps by the command, with all that a run leaves behind; peak memory by the number of
members. On a GPU the member counts go up to 30.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from benchmarks.cases import config
from benchmarks.measure import report
from hydra.utils import instantiate
from tests.conftest import TOY

from disentone.data import DataModule
from disentone.sweep import stacked
from disentone.sweep.stacked import Member
from disentone.system import System

CACHE = Path(tempfile.gettempdir()) / "disentone_benchmark_cache"
SIZES = {"toy": (*TOY, "data.mode=on_the_fly"), "quickstart": (f"data.cache_dir={CACHE}",)}
STEPS = {"toy": 100, "quickstart": 60}
BETAS, SEEDS = (1.0, 4.0, 16.0), (0, 1)
REPEATS = 3
Spent = tuple[float, float]


def parts(size: str, beta: float, seed: int) -> tuple[System, DataModule]:
    """A run's network, objective and data, as the command builds them."""
    cfg = config("experiment=quickstart", *SIZES[size], f"objective.beta={beta}", f"seed={seed}")
    pl.seed_everything(seed, verbose=False)
    data = instantiate(cfg.data, _convert_="all")
    vae = instantiate(cfg.model, _convert_="all")(data.shape)
    objective = instantiate(cfg.objective, _convert_="all")
    objective.build(vae.latents, data.sizes["train"])
    return System(vae, objective, instantiate(cfg.optimizer), seed), data


def make_trainer(steps: int, **settings: object) -> pl.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "limit_val_batches": 0}
    return pl.Trainer(devices=1, max_steps=steps, enable_model_summary=False, **{**quiet, **settings})


def seconds(function: Callable[[], object]) -> Spent:
    begun = time.perf_counter(), sum(os.times()[:4])
    function()
    return time.perf_counter() - begun[0], sum(os.times()[:4]) - begun[1]


def one_after_the_other(size: str, steps: int, points: Sequence[tuple[float, int]]) -> Spent:
    """Of training alone."""
    spent = []
    for beta, seed in points:
        system, data = parts(size, beta, seed)
        make_trainer(0).fit(system, data)
        spent.append(seconds(partial(make_trainer(steps).fit, system, data)))
    return sum(wall for wall, _ in spent), sum(processor for _, processor in spent)


def together(size: str, steps: int, points: Sequence[tuple[float, int]]) -> Spent:
    """Of training alone."""
    members = []
    for beta, seed in points:
        system, data = parts(size, beta, seed)
        trainer = make_trainer(0)
        trainer.fit(system, data)
        members.append(Member(system, data, trainer, str(seed)))
    spent = seconds(partial(stacked.fit, members, make_trainer(steps)))
    assert not any(member.error for member in members)
    return spent


def whole_sweep(launcher: str) -> Spent:
    """Of the command, six toy runs with their scores, pictures and sounds."""
    command = [sys.executable, "-m", "disentone.cli.train", "-m", "experiment=quickstart", *TOY, "logger=csv"]
    command += ["trainer.max_steps=100", "trainer.val_check_interval=50", "objective.beta=1,4,16", "seed=0,1"]
    with tempfile.TemporaryDirectory() as folder:
        command.append(f"hydra/launcher={launcher}")
        return seconds(partial(subprocess.run, command, cwd=folder, check=True, capture_output=True))


def peak_memory(count: int) -> float:
    """MB that a process takes that trains so many quickstart runs as one."""
    command = [sys.executable, "-m", "benchmarks.vectorised", "--members", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def medians(functions: dict[str, Callable[[], Spent]], repeats: int) -> dict[str, float]:
    """Median of each, taken in turns."""
    spent: dict[str, list[Spent]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            spent[name].append(function())
            print(f"{name}: wall {spent[name][-1][0]:.1f} s, processor {spent[name][-1][1]:.1f} s", flush=True)
    return {
        f"{name}, {clock} s": round(statistics.median(times[place] for times in each), 2)
        for name, each in spent.items()
        for place, clock in enumerate(("wall", "processor"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, help="train so many quickstart runs as one and print the peak MB")
    if members := parser.parse_args().members:
        together("quickstart", 5, [(1.0, seed) for seed in range(members)])
        print(_peak())
        return
    counts = (6, 30) if torch.cuda.is_available() else (6,)
    results: dict[str, dict[str, float]] = {}
    for size in SIZES:
        one_after_the_other(size, 2, [(1.0, seed) for seed in SEEDS])  # renders what is cached
        for count in counts:
            points = [(beta, seed) for beta in BETAS for seed in range(count // len(BETAS))]
            versions: dict[str, Callable[[], Spent]] = {
                "one after the other": partial(one_after_the_other, size, STEPS[size], points),
                "at once": partial(together, size, STEPS[size], points),
            }
            results[f"{size}, {count} runs, {STEPS[size]} steps"] = medians(versions, REPEATS)
    sweeps = {
        "one after the other": partial(whole_sweep, "basic"),
        "vectorised": partial(whole_sweep, "vectorised"),
    }
    results["toy sweep of 6 runs by the command, 100 steps"] = medians(sweeps, 2)
    results["peak memory, quickstart, MB"] = {f"{count} members": peak_memory(count) for count in (1, 8, 16)}
    rows = {f"{name}: {how}": [figure] for name, row in results.items() for how, figure in row.items()}
    gpu = torch.cuda.is_available()
    report("vectorised", "Runs trained as one and one after the other, one thread", ["figure"], rows, pl, with_gpu=gpu)


def _peak() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    # Of this process alone (Linux); what getrusage answers was the parent's, where that was larger.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


if __name__ == "__main__":
    main()
