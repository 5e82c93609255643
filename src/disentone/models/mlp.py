"""Dense networks for images of any shape; with one hidden layer of 400 units the seed project's for MNIST."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn


class MLPEncoder(nn.Sequential):
    """All pixels into dense layers with ReLU between them.

    Args:
        shape: of one image, any number of axes.
        outputs: features per image.
        hidden: units of each hidden layer.

    Raises:
        ValueError: for a layer of no units.

    """

    def __init__(self, shape: Sequence[int], outputs: int, hidden: Sequence[int] = (400,)) -> None:
        super().__init__(nn.Flatten(), *_dense((math.prod(shape), *_checked(hidden), outputs)))


class MLPDecoder(nn.Sequential):
    """The mirror of :class:`MLPEncoder`.

    Args:
        latents: how many.
        shape: of one image.
        hidden: units of each hidden layer, listed from the image inwards as an encoder's are.

    Raises:
        ValueError: for a layer of no units.

    """

    def __init__(self, latents: int, shape: Sequence[int], hidden: Sequence[int] = (400,)) -> None:
        widths = (latents, *reversed(_checked(hidden)), math.prod(shape))
        super().__init__(*_dense(widths), nn.Unflatten(1, tuple(shape)))


def _dense(widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]


def _checked(hidden: Sequence[int]) -> Sequence[int]:
    if not hidden or min(hidden) < 1:
        raise ValueError(f"hidden must name at least one layer of 1 or more units, got {list(hidden)}")
    return hidden
