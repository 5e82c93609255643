"""What rendering costs on a GPU: python -m benchmarks.gpu [--batch 64] [--seconds 2].

Seconds of sound that a second renders, from positions to image, and the share of an on-the-fly training step that this
takes; op by op and compiled, float32 and bf16 network, of the presets at full size (80 x 63 images). Each figure is
the median of interleaved repeats, timed by events on the GPU.
"""

import argparse
import contextlib
import statistics
import sys
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from benchmarks.cases import config
from benchmarks.measure import report
from hydra.utils import instantiate
from omegaconf import DictConfig

from disentone.data import DataModule
from disentone.data.images import Asked
from disentone.data.module import AskedBatch
from disentone.draws import Draw
from disentone.shapes import Batch

PRESETS = ("tones", "tones_noisy", "syntone")
WARM_UP, REPEATS = 10, 7
DEVICE = torch.device("cuda")


def composed(preset: str, batch: int, compiled: bool) -> DictConfig:
    settings = [f"synth={preset}", f"data.batch_size={batch}", f"data.compile={str(compiled).lower()}"]
    return config(*settings, "data.mode=on_the_fly")


def milliseconds(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Median time of one call of each, in turns, as many calls a turn as take so long."""
    counts = {}
    for name, call in calls.items():
        for _ in range(WARM_UP):
            call()
        counts[name] = max(1, round(seconds * 1000 / REPEATS / elapsed(call, 10)))
    turns = [{name: elapsed(call, counts[name]) for name, call in calls.items()} for _ in range(REPEATS)]
    return {name: statistics.median(turn[name] for turn in turns) for name in calls}


def elapsed(call: Callable[[], object], count: int) -> float:
    """Milliseconds of a call, launches included, since the host is waited for, too."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    for _ in range(count):
        call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / count


def measure(preset: str, batch: int, seconds: float) -> dict[str, dict[str, float]]:
    datas = {
        compiled: instantiate(composed(preset, batch, compiled).data, _convert_="all") for compiled in (False, True)
    }
    plain: DataModule = datas[False]
    rows = plain.rows("train")[:batch].to(DEVICE)
    asked = AskedBatch(Asked(rows, plain.positions(rows)), rows)
    cfg = composed(preset, batch, False)
    pl.seed_everything(0, verbose=False)
    vae = instantiate(cfg.model, _convert_="all")(plain.shape).to(DEVICE)
    objective, optimizer = instantiate(cfg.objective), instantiate(cfg.optimizer)(vae.parameters())

    def step(image_of: Callable[[], Batch], precision: str) -> None:
        made = image_of()._replace(draw=Draw(0, 0, rows))
        bf16 = torch.autocast("cuda", torch.bfloat16) if precision == "bf16-mixed" else contextlib.nullcontext()
        with bf16:
            loss = objective(vae, made, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    ready = plain.on_after_batch_transfer(asked, 0)
    found = {}
    for compiled, data in datas.items():
        made = lambda data=data: data.on_after_batch_transfer(asked, 0)  # noqa: E731
        for precision in ("32-true", "bf16-mixed"):
            calls = {
                "render": made,
                "step": lambda made=made, precision=precision: step(made, precision),
                "step of a ready image": lambda precision=precision: step(lambda: ready, precision),
            }
            times = milliseconds(calls, seconds)
            duration = plain.source.num_samples / plain.frontend.sample_rate
            found[f"{preset}, {'compiled' if compiled else 'op by op'}, {precision}"] = {
                **{f"{name} (ms)": took for name, took in times.items()},
                "times real time": batch * duration / times["render"] * 1000,
                "data share of a step": 1 - times["step of a ready image"] / times["step"],
                "steps per second": 1000 / times["step"],
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64, help="rows of a batch")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each figure is measured")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu measures a CUDA device, and there is none; nothing was measured")
    results: dict[str, dict[str, float]] = {}
    for preset in PRESETS:
        results |= measure(preset, arguments.batch, arguments.seconds)
    columns = list(next(iter(results.values())))
    rows = {name: list(row.values()) for name, row in results.items()}
    report("gpu", f"On the fly on a GPU, batches of {arguments.batch}", columns, rows, pl, with_gpu=True)


if __name__ == "__main__":
    main()
