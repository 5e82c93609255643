"""Tensors of the pipe that are the same for every batch."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def constant(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of hashable arguments, a device among them, called once for each: an upload per batch would wait."""

    @torch.compiler.assume_constant_result
    @lru_cache(maxsize=1024)
    def made(*arguments: Any) -> Tensor:
        # A tensor made in inference mode would be refused outside of it.
        with torch.inference_mode(False):
            return make(*arguments)

    return made
