"""Numerical precision of sound and image, apart from the network's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def check_device(device: torch.device) -> None:
    """Raise ValueError for a device that cannot compute in float64, as sounds, draws and scores are."""
    if device.type == "mps":
        raise ValueError(
            "the GPU of this Mac (MPS) has no float64 numbers, which sounds, draws and scores are computed with; "
            "take trainer.accelerator=cpu"
        )


@contextmanager
def full_float32() -> Iterator[None]:
    """Products in true float32: no TF32 and no autocast, whatever the trainer's precision is."""
    if torch.compiler.is_compiling():
        # Settings of the process are no part of a graph: whoever compiles calls the graph under this.
        yield
        return
    matmul, convolution = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolution
