"""Where the configs are, whether one means what it says, and what a run folder keeps of it."""

import difflib
import inspect
import re
import typing
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from beartype import BeartypeConf
from beartype.door import is_bearable
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

RUN_DIR = "${hydra:runtime.output_dir}"
SPECIAL = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}
# What may differ between two runs that are the same: where they lie, what is shown, where they are computed.
INCIDENTAL = (
    "run_dir",
    "hydra",
    "logger",
    "callbacks",
    "sweep",
    "data.cache",
    "data.compile",
    "data.folder",
    "data.num_workers",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.max_time",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.use_distributed_sampler",
)
TOP = {"name": str, "seed": int, "sweep": str, "run_dir": str}
NODES = {"synth", "frontend", "data", "model", "objective", "metrics", "optimizer", "trainer"}
MAPPINGS = {"callbacks", "logger"}
# An int is welcome where a float is asked for.
TOWER = BeartypeConf(is_pep484_tower=True)


def share(part: float, number: int) -> int:
    """A part of a number of steps, at least one step; what is no number of steps stays what it is."""
    return number if number < 1 else max(1, int(part * number + 1e-6))


OmegaConf.register_new_resolver("share", share, replace=True)
OmegaConf.register_new_resolver("half", partial(share, 0.5), replace=True)
OmegaConf.register_new_resolver("quarter", partial(share, 0.25), replace=True)


def config_dir() -> Path:
    """The folder of the configs: inside an installed package, or beside ``src`` in a checkout."""
    package = Path(__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def defaults() -> dict[str, Any]:
    """The config that no experiment and no override has changed."""
    hydra = GlobalHydra.instance().hydra  # of the caller, perhaps
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return resolved(compose("train"))
    finally:
        GlobalHydra.instance().hydra = hydra


def plain(config: Any, resolve: bool = False) -> dict[str, Any]:
    """A config as dictionaries, lists and values."""
    container = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested dictionaries with its dotted name."""
    if isinstance(node, dict) and node:
        for key, child in node.items():
            yield from flat(child, f"{path}.{key}".lstrip("."))
    else:
        yield path, node


# What a config says.


def check(config: DictConfig) -> None:
    """Compare every key and the type of its value with what the node's ``_target_`` takes.

    Raises:
        ValueError: for a key that nothing takes, with the nearest one that something does; for a value of the
            wrong type; for a node without a ``_target_``.

    """
    container = plain(config, resolve=True)
    for key, value in container.items():
        if key not in TOP.keys() | NODES | MAPPINGS:
            raise ValueError(f"{key}: there is no such key; {nearest(key, TOP.keys() | NODES | MAPPINGS)}")
        if key in TOP and not isinstance(value, TOP[key]):
            raise ValueError(f"{key}: expected {TOP[key].__name__}, got {value!r}")
    if not 0 <= container["seed"] < 2**32:
        raise ValueError(f"seed must lie in 0..{2**32 - 1}, got {container['seed']}")
    if container["trainer"].get("precision") in ("16-true", "bf16-true", "64-true", "64", 64):
        raise ValueError("trainer.precision must be 32-true, 16-mixed or bf16-mixed; images are made in float32")
    nodes = [(key, container[key]) for key in sorted(NODES & container.keys())]
    nodes += [(f"{key}.{name}", node) for key in sorted(MAPPINGS) for name, node in container.get(key, {}).items()]
    for path, node in nodes:
        check_node(path, node)


def check_node(path: str, node: Any) -> None:
    """Compare every key of a node, and of those in it, with what its ``_target_`` takes; imports the targets.

    Raises:
        ValueError: as :func:`check` does.

    """
    if not isinstance(node, dict) or "_target_" not in node:
        raise ValueError(f"{path}: expected a node with a _target_, got {node!r}")
    for inner_path, inner in targets(node, path):
        _check_arguments(inner_path, inner)


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


def nearest(name: str, names: Iterable[str]) -> str:
    """What to write instead: the nearest of the names, or all of them."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(names))}"


def _check_arguments(path: str, node: dict[str, Any]) -> None:
    try:
        arguments = accepted(get_object(node["_target_"]))
    except (ImportError, ValueError) as error:
        raise ValueError(f"{path}._target_: there is no {node['_target_']} to import") from error
    for key in node.keys() - SPECIAL:
        if key not in arguments:
            raise ValueError(f"{path}.{key}: {node['_target_']} takes no {key}; {nearest(key, arguments)}")
        value, hint = node[key], arguments[key]
        if not _holds_targets(value) and not is_bearable(value, hint, conf=TOWER):
            raise ValueError(f"{path}.{key}: expected {_describe(hint)}, got {value!r}")


def _type_hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}  # written for a type checker alone


def _describe(hint: Any) -> str:
    return hint.__name__ if inspect.isclass(hint) else re.sub(r"\b(typing|collections\.abc)\.", "", str(hint))


def _holds_targets(value: Any) -> bool:
    return any(True for _ in targets(value))


def targets(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node in nested dictionaries and lists that has a ``_target_``, with its dotted name."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from targets(child, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from targets(child, f"{path}.{number}")


# What a run folder says.


def to_yaml(config: DictConfig) -> str:
    """A config as its run folder keeps it: complete, so that it can be run again, and with no folder of its own."""
    hydra = plain(OmegaConf.load(config_dir() / "train.yaml"))["hydra"]
    kept = {**plain(config), "run_dir": RUN_DIR, "hydra": hydra}
    return OmegaConf.to_yaml(OmegaConf.create(kept))


def resolved(config: DictConfig) -> dict[str, Any]:
    """What a config says, every interpolation replaced by its value, with ``.`` for its run folder."""
    kept = {**plain(config), "run_dir": "."}
    kept.pop("hydra", None)
    return plain(OmegaConf.create(kept), resolve=True)


def settings(config: DictConfig) -> dict[str, Any]:
    """What decides the numbers of a run, flat, every interpolation replaced by its value.

    Folders, loggers and devices are left out, and so is what only repeats another entry, such as ``data.seed``.
    """
    repeated = [name for name, value in flat(plain(config)) if re.fullmatch(r"\$\{[\w.]+\}", str(value))]
    return {
        name: value
        for name, value in _deciding(resolved(config)).items()
        if not any(name == other or name.startswith(f"{other}.") for other in repeated)
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In which of the settings that decide the numbers two resolved configs differ, in words."""
    old, new = _deciding(before), _deciding(now)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [f"{name} was {old.get(name)}, is {new.get(name)}" for name in names]


def _deciding(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flat(config) if not name.startswith(INCIDENTAL)}
