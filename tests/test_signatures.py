"""Types as configs meet them: strict about numbers, every item looked at, YAML's lists for tuples."""

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pytest
import pytorch_lightning as pl
from omegaconf import OmegaConf

from disentone.signatures import accepted, fits, misfit

FITTING = [
    (4, float),
    (np.float32(4), float),
    (np.int64(4), int),
    (None, int | None),
    (None, typing.get_type_hints(pl.Trainer.__init__)["max_epochs"]),
    (True, bool | int),
    ([1, 2.5], Sequence[float]),
    (OmegaConf.create([1, 2]), Sequence[int]),
    ([0.9, 1], tuple[float, float]),
    ([1, 2, 3], tuple[int, ...]),
    ({"f0": 3, "presence": "odd"}, Mapping[str, float | str]),
    ({}, Mapping[str, Mapping[str, object]] | None),
    ("warn", bool | Literal["warn"] | None),
    ("fast", str | Sequence[str]),
    ([[1, 2]], list[list[int]]),
    (len, Callable[[Any], int]),
    ("anything", Any),
]
OTHER = [
    (True, int),
    (False, float),
    (True, int | None),
    (2.0, int),
    ("2", float),
    ([4, True], Sequence[int]),
    ([*range(50), "a"], Sequence[float]),
    ("ab", Sequence[str]),
    ([0.9], tuple[float, float]),
    ([0.9, "a"], tuple[float, float]),
    ([1, "a"], tuple[int, ...]),
    ({"f0": True}, Mapping[str, float | str]),
    ({1: 2.0}, Mapping[str, float]),
    ([[1, "a"]], list[list[int]]),
    ("loud", bool | Literal["warn"] | None),
    (5, Sequence[int]),
    (None, float),
]


@pytest.mark.parametrize(("value", "hint"), FITTING)
def test_what_fits(value: Any, hint: Any) -> None:
    assert fits(value, hint)
    assert misfit(value, hint, "key") == ""


@pytest.mark.parametrize(("value", "hint"), OTHER)
def test_what_does_not_fit(value: Any, hint: Any) -> None:
    assert not fits(value, hint)
    assert misfit(value, hint, "key").startswith("key")


def test_the_innermost_key_is_named() -> None:
    hint = Mapping[str, Mapping[str, float]] | None
    assert misfit({"a": {"b": 1}, "c": {"d": "e"}}, hint, "key") == "key.c.d: expected float, got 'e'"
    assert misfit({"a": 5}, hint, "key") == "key.a: expected keys with values, got 5"


def test_settings_of_a_base_class_are_accepted() -> None:
    class Base:
        def __init__(self, rate: int) -> None: ...

    class Child(Base):
        def __init__(self, *, gain: str, **settings: Any) -> None: ...

    assert accepted(Child) == {"rate": int, "gain": str}
