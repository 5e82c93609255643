"""What a class or function takes, and whether a config's value is that."""

import inspect
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

NUMBERS = {int: Integral, float: Real}


def accepted(target: Any) -> dict[str, Any]:
    """Keyword arguments of a class or function and their types; ``**settings`` stand for the base class's."""
    functions = (
        [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls)]
        if inspect.isclass(target)
        else [target]
    )
    arguments: dict[str, Any] = {}
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        hints = _type_hints(function)
        named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        arguments = {name: hints.get(name, Any) for name in named} | arguments
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    arguments.pop("self", None)
    return arguments


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config is what a type asks for.

    YAML's list serves for a tuple too, and a whole number for a float. ``true`` and ``false`` are no numbers. Every
    item of a list is looked at, where beartype takes one at random.
    """
    if len(choices := _choices(hint)) > 1:
        return any(fits(value, choice) for choice in choices)
    if inspect.isclass(hint) and hint in NUMBERS:
        return isinstance(value, NUMBERS[hint]) and not isinstance(value, bool)
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(value, Mapping) and _is_mapping(hint):
        return all(fits(key, parts[0]) and fits(item, parts[1]) for key, item in value.items())
    if isinstance(value, str) and inspect.isclass(kind):
        return False  # no list of its letters
    if isinstance(value, Sequence) and kind is tuple and ... not in parts:
        return len(value) == len(parts) and all(map(fits, value, parts))
    if isinstance(value, Sequence) and inspect.isclass(kind) and parts:
        return (kind is tuple or isinstance(value, kind)) and all(fits(item, parts[0]) for item in value)
    from beartype.door import is_bearable  # only now: it takes as long as all else that a command line needs

    return is_bearable(value, hint)


def misfit(value: Any, hint: Any, path: str) -> str:
    """What is wrong with a value, empty where nothing is: the innermost key, what it should be, what it is."""
    if fits(value, hint):
        return ""
    mappings = [choice for choice in _choices(hint) if _is_mapping(choice)]
    if isinstance(value, dict) and mappings and all(isinstance(key, str) for key in value):
        inner = typing.get_args(mappings[0])[1]
        return next(filter(None, (misfit(item, inner, f"{path}.{key}") for key, item in value.items())))
    return f"{path}: expected {_described(hint)}, got {value!r}"


def finite(value: Any) -> bool:
    """Whether every number in a value is finite."""
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _type_hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}  # written for a type checker alone


def _choices(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _is_mapping(hint: Any) -> bool:
    kind = typing.get_origin(hint)
    return inspect.isclass(kind) and issubclass(kind, Mapping)


def _described(hint: Any) -> str:
    if _is_mapping(hint):
        return "keys with values"
    return hint.__name__ if inspect.isclass(hint) else re.sub(r"\b(typing|collections\.abc)\.", "", str(hint))
