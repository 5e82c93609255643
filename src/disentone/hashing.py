"""Randomness that depends on what is drawn and never on when, where or in which company.

Every draw is a pure function of integer keys (seed, row, partial or sample number), so a sound is the same
whatever the batch, its order, the worker, the rank or the device. The mixer is the finaliser of SplitMix64
(Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), in wrapping int64 arithmetic,
which CPU and GPU compute alike.
"""

import hashlib
import math
from functools import cache
from typing import Any, TypeVar

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

GOLDEN = -0x61C8864680B583EB  # 2^64 / golden ratio, odd, as a signed integer
MIX_1 = -0x40A7B892E31B1A47
MIX_2 = -0x6B2FB644ECCEEE15

Words = TypeVar("Words", int, Tensor)


def _shift_right(x: Words, bits: int) -> Words:
    """Logical shift: torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _wrapped(x: Words) -> Words:
    """Arithmetic modulo 2^64 on signed integers: a tensor's own, to which Python's are brought down."""
    return (x + 2**63) % 2**64 - 2**63 if isinstance(x, int) else x


def _mix(x: Words) -> Words:
    x = _wrapped((x ^ _shift_right(x, 30)) * MIX_1)
    x = _wrapped((x ^ _shift_right(x, 27)) * MIX_2)
    return x ^ _shift_right(x, 31)


@cache
def stream(name: str) -> int:
    """A key that no other use of chance has, made of its name: the same seed and numbers may then serve both."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little", signed=True)


def bits(seed: int | Int64[Tensor, ""], *keys: Int64[Tensor, "*#shape"] | int) -> Int64[Tensor, "*shape"]:
    """Sixty-four mixed bits for every combination of seed and keys, which broadcast against one another.

    Of the keys at least one is a tensor; a plain number is mixed without a tensor as long as there is none.
    """
    first: Any = seed
    state: Any = _mix(_wrapped((first + 1) * GOLDEN))
    for key in keys:
        state = _mix(_wrapped((state ^ key) * GOLDEN + GOLDEN))
    assert isinstance(state, Tensor), "of the keys at least one must be a tensor"
    return state


def uniform(seed: int, *keys: Int64[Tensor, "*#shape"] | int) -> Float64[Tensor, "*shape"]:
    """Uniform draws in the open interval (0, 1), one for every combination of the keys."""
    return (_shift_right(bits(seed, *keys), 12).double() + 0.5) * 2.0**-52


def normal(seed: int, *keys: Int64[Tensor, "*#shape"] | int) -> Float64[Tensor, "*shape"]:
    """Standard normal draws, one for every combination of the keys, by the Box-Muller transform."""
    mixed = bits(seed, *keys)
    radius = (_shift_right(mixed, 32).double() + 0.5) * 2.0**-32
    angle = (mixed & 0xFFFFFFFF).double() * 2.0**-32
    return torch.sqrt(-2 * torch.log(radius)) * torch.cos(2 * math.pi * angle)


class Permutation:
    """A seeded shuffle of 0..length-1 that is never listed: any part of it costs only that part.

    A four-round Feistel network on the smallest even number of bits that holds ``length``, walked until it
    lands inside (Black & Rogaway 2002, "Ciphers with arbitrary finite domains").

    Args:
        length: how many integers are shuffled.
        seed: of the shuffle.
        name: of what is shuffled, a stream of its own.
        number: which of the shuffles of this name.

    """

    def __init__(self, length: int, seed: int, name: str, number: int = 0) -> None:
        self.length, self.seed, self.keys = length, seed, (stream(name), number)
        self.half_bits = max(1, -(-(length - 1).bit_length() // 2))

    def __call__(self, index: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
        """Where each index goes. Raises ValueError for an index outside 0..length-1."""
        if index.numel() and not (0 <= int(index.min()) and int(index.max()) < self.length):
            raise ValueError(f"expected indices in 0..{self.length - 1}, got {int(index.min())}..{int(index.max())}")
        result = self._feistel(index)
        while (outside := result >= self.length).any():
            result[outside] = self._feistel(result[outside])
        return result

    def _feistel(self, index: Tensor) -> Tensor:
        mask = (1 << self.half_bits) - 1
        left, right = index >> self.half_bits, index & mask
        for step in range(4):
            left, right = right, left ^ (bits(self.seed, *self.keys, step, right) & mask)
        return (left << self.half_bits) | right
