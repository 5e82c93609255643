"""What a trainer's settings may be, where Lightning says it late, in other words, or not at all."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Limit(NamedTuple):
    """What a setting may be, for the machine and for a person."""

    allows: Callable[[Any], Any]
    expected: str


def _from(lowest: float, expected: str) -> Limit:
    """A limit for numbers; spans of time are Lightning's to read."""
    return Limit(lambda value: not isinstance(value, int | float) or value >= lowest, expected)


# The part of the batches that a run uses: a share of them, or how many.
BATCHES = "a share of the batches above 0.0, or a number of them, 1 or more"
LIMITS: Mapping[str, Limit] = {
    "accelerator": Limit(lambda name: name in ("auto", "cpu", "gpu", "cuda", "mps"), "auto, cpu, gpu, cuda or mps"),
    "precision": Limit(
        lambda name: name not in ("16-true", "bf16-true", "64-true", "64", 64),
        "32-true, 16-mixed or bf16-mixed, since images are made in float32",
    ),
    "max_steps": _from(-1, "a number of steps, 0 or more, or -1 for no limit"),
    "max_epochs": _from(-1, "a number of epochs, 0 or more, or -1 for no limit"),
    "min_steps": _from(0, "a number of steps, 0 or more"),
    "min_epochs": _from(0, "a number of epochs, 0 or more"),
    "val_check_interval": Limit(lambda value: isinstance(value, str | dict) or value > 0, "a number above 0"),
    "check_val_every_n_epoch": _from(1, "a number of epochs, 1 or more, or null to count steps"),
    "limit_train_batches": Limit(lambda value: value > 0, f"{BATCHES}, since a run trains"),
    "limit_test_batches": Limit(lambda value: value > 0, f"{BATCHES}, since a run is scored"),
    "overfit_batches": Limit(
        lambda value: value == 0,
        "0, since the order of rows is not Lightning's; data.max_rows=<few> trains on a few rows over and over",
    ),
    "accumulate_grad_batches": _from(1, "a number of batches, 1 or more"),
    "gradient_clip_val": _from(0, "the largest norm or value, or 0 for no clipping"),
    "log_every_n_steps": _from(0, "a number of steps, 1 or more, or 0 for no log"),
    "num_sanity_val_steps": _from(-1, "a number of batches, 0 or more, or -1 for all"),
}


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Raise ValueError for a setting that Lightning would divide by, ignore, or fail of without naming it.

    Args:
        trainer: the resolved node, its types checked.

    """
    import torch  # only now: what a command line means is told without

    for key, limit in LIMITS.items():
        if trainer.get(key) is not None and not limit.allows(trainer[key]):
            raise ValueError(f"trainer.{key}: expected {limit.expected}, got {trainer[key]!r}")
    devices, accelerator = trainer.get("devices", "auto"), trainer.get("accelerator", "auto")
    is_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    expected, written = "auto, or a number of devices, 1 or more", r"auto|[1-9]\d*"
    if not is_cpu:
        expected += ", or -1 for every GPU, or a list of the GPUs' numbers"
        written += r"|-1|\[\d+(, \d+)*\]|\d+(, ?\d+)+"
    if not re.fullmatch(written, str(devices)):
        where = " (on a CPU)" if is_cpu else ""
        raise ValueError(f"trainer.devices: expected {expected}, got {devices!r}{where}")
