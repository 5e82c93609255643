"""Chance as an argument: what a step draws is a function of its keys, and of nothing that happened before."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from disentone import hashing

MANTISSA = 23
"""Random bits of a draw: with half a unit added, as many as a float32 below 1 can tell apart."""


class Draw(NamedTuple):
    """The random numbers of one batch.

    Every number depends on the run's seed, the step, the row, the number of the view, the stream's name
    and its column alone. So it is the same in whichever process, company or order a row is computed, after a resume,
    and for a run that is trained beside others. Numbers are float32 and made of integers, so that every device draws
    the same but for the rounding of its logarithm and cosine.
    """

    seed: int | Int64[Tensor, ""]
    step: int
    """The number of the optimiser step; negative outside of training."""
    rows: Int[Tensor, "batch"]
    """The numbers of the rows that are drawn for. Where rows have partners these are the anchors, not the partners."""
    view: int = 0
    """Which of the images of a row is drawn for."""

    def uniform(self, stream: str, width: int) -> Float[Tensor, "batch width"]:
        """Uniform draws in the open interval (0, 1).

        Args:
            stream: a word that no other use of chance in a step has.
            width: numbers for each row.

        """
        return _unit(self._bits(stream, width) >> (64 - MANTISSA))

    def normal(self, stream: str, width: int) -> Float[Tensor, "batch width"]:
        """Standard normal draws, by the Box-Muller transform; none is larger than 5.8."""
        bits = self._bits(stream, width)
        radius, angle = _unit(bits >> (64 - MANTISSA)), _unit(bits >> (64 - 2 * MANTISSA))
        return torch.sqrt(-2 * torch.log(radius)) * torch.cos(2 * math.pi * angle)

    def laplace(self, stream: str, width: int, largest: float = math.inf) -> Float[Tensor, "batch width"]:
        """Draws with a double exponential law of scale 1 within +-``largest``, by its inverse distribution function."""
        centred = self.uniform(stream, width) - 0.5
        return -centred.sign() * torch.log1p(2 * centred.abs() * math.expm1(-largest))

    def permutation(self, stream: str) -> Int64[Tensor, "batch"]:
        """An order of the batch's rows, all orders equally likely."""
        return self._bits(stream, 1)[:, 0].argsort()

    def of_view(self, number: int) -> "Draw":
        """The draws of another image of the same rows."""
        return self._replace(view=number)

    def _bits(self, stream: str, width: int) -> Int64[Tensor, "batch width"]:
        columns = torch.arange(width, device=self.rows.device)
        # Plain numbers first: they cost no tensor.
        return hashing.bits(self.seed, hashing.stream(stream), self.step, self.view, self.rows[:, None], columns)


def _unit(bits: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The lowest 23 bits as numbers in (0, 1)."""
    return ((bits & ((1 << MANTISSA) - 1)).float() + 0.5) * 2.0**-MANTISSA
