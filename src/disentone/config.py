"""Where the configs are, whether one means what it says, and what a run folder keeps of it."""

import difflib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from disentone.limits import check_trainer
from disentone.signatures import accepted, finite, fits, misfit

RUN_DIR = "${hydra:runtime.output_dir}"
SPECIAL = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}
# What may differ between two runs that are the same: where they lie, what is shown and how, where they are computed.
INCIDENTAL = (
    "run_dir",
    "hydra",
    "logger",
    "callbacks.checkpoint.",
    "callbacks.compiled.",
    "callbacks.last.",
    "callbacks.latent_map.",
    "callbacks.listening.",
    "callbacks.progress.",
    "callbacks.reconstructions.",
    "callbacks.samples.",
    "callbacks.traversals.",
    "strength",
    "sweep",
    "data.cache",
    "data.compile",
    "data.num_workers",
    "data.source.download",
    "source.download",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.max_time",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.use_distributed_sampler",
)
# 1.0 is all of the batches here, 1 a single one.
SHARES_OR_COUNTS = ("trainer.limit_", "trainer.val_check_interval")
TOP = {"name": str, "seed": int, "strength": str | None, "sweep": str, "run_dir": str}
NODES = {"synth", "frontend", "source", "data", "model", "objective", "metrics", "optimizer", "trainer"}
MAPPINGS = {"callbacks", "logger"}
OPTIONAL = {"synth", "frontend", "strength"}
SEEDS = 2**32
MOST_LISTED = 40
REPEATED = ("${seed}", "${synth}", "${frontend}", "${source}", "${views}")


def share(part: float, number: int) -> int:
    """A part of a number of steps, at least one step; what is no number of steps stays what it is."""
    return number if number < 1 else max(1, int(part * number + 1e-6))


OmegaConf.register_new_resolver("share", share, replace=True)
OmegaConf.register_new_resolver("half", partial(share, 0.5), replace=True)
OmegaConf.register_new_resolver("quarter", partial(share, 0.25), replace=True)


def make_working_folder_importable() -> None:
    """Let configs name classes of the folder that a command runs in; what is installed comes first."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def config_dir() -> Path:
    """The folder of the configs: inside an installed package, or beside ``src`` in a checkout."""
    package = Path(__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def composed(overrides: Iterable[str] = (), own: Path | None = None) -> DictConfig:
    """The config that overrides describe, unchecked.

    Args:
        overrides: as of ``disentone train``.
        own: a folder of configs beside ours.

    """
    searched = [f"hydra.searchpath=[file://{own.absolute()}]"] if own else []
    hydra = GlobalHydra.instance().hydra  # of the caller, perhaps
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose("train", [*overrides, *searched])
    finally:
        GlobalHydra.instance().hydra = hydra


def defaults() -> dict[str, Any]:
    """The config that no experiment and no override has changed."""
    return resolved(composed())


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


def option(config: Any, name: str) -> Any:
    """The value of a dotted name; None where there is none."""
    for word in name.split("."):
        config = config.get(word) if isinstance(config, Mapping) else None
    return config


# What a config says.


def check(config: DictConfig) -> None:
    """Compare every key and the type of its value with what the node's ``_target_`` takes.

    Raises:
        ValueError: for a key that is missing, or that nothing takes, with the nearest one that something does; for a
            value of the wrong type, where ``true`` is no number; for a node without a ``_target_``; for a number that
            the trainer would not understand.

    """
    _check_keys(plain(config))
    container = plain(config, resolve=True)
    for key, hint in TOP.items():
        if problem := misfit(container.get(key), hint, key):
            raise ValueError(problem)
    _check_seed("seed", container["seed"])
    for path, node in _nodes(container):
        check_node(path, node)
    # After the option itself, whose message says more.
    check_strength(container)
    check_trainer(container["trainer"])


def check_strength(config: Mapping[str, Any]) -> None:
    """Raise ValueError for a strength that names something else than a number; a config may have no such option."""
    name = config.get("strength")
    value = option(config, name or "")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(f"strength: expected the name of an option that is a number, {name} is {value!r:.60}")


def check_node(path: str, node: Any) -> None:
    """Compare every key of a node, and of those in it, with what its ``_target_`` takes; imports the targets.

    Raises:
        ValueError: as :func:`check` does.

    """
    _check_is_node(path, node)
    for inner_path, inner in targets(node, path):
        _check_arguments(inner_path, inner)


def _check_keys(container: Mapping[str, Any]) -> None:
    """Raise ValueError for a key too many, one too few, or one that holds no node."""
    known = TOP.keys() | NODES | MAPPINGS
    for key in container:
        if key not in known:
            group = "; the file of a group begins with `# @package _global_` if it sets keys of other groups"
            is_group = (config_dir() / key).is_dir()
            raise ValueError(f"{key}: there is no such key; {nearest(key, known)}{group if is_group else ''}")
    for key in sorted(known - OPTIONAL):
        if key not in container:
            empty = f"; {key}={{}} has none" if key in MAPPINGS else ""
            raise ValueError(f"{key}: it is missing, and every run needs it{empty}")
    for key in sorted(MAPPINGS):
        if not isinstance(container[key], dict):
            raise ValueError(f"{key}: expected names, each with a node; {key}={{}} has none; got {container[key]!r}")
    for path, node in _nodes(container):
        _check_is_node(path, node)


def _nodes(container: Mapping[str, Any]) -> list[tuple[str, Any]]:
    nodes = [(key, container[key]) for key in sorted(NODES & container.keys())]
    return nodes + [(f"{key}.{name}", node) for key in sorted(MAPPINGS) for name, node in container[key].items()]


def _check_is_node(path: str, node: Any) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise ValueError(f"{path}: expected a node with a _target_, got {node!r}")


def _check_seed(path: str, seed: int) -> None:
    if not 0 <= seed < SEEDS:
        raise ValueError(f"{path} must lie in 0..{SEEDS - 1}, got {seed}")


def nearest(name: str, names: Iterable[str]) -> str:
    """What to write instead: the nearest of the names, or all of them; of many, the first parts alone."""
    known = sorted(names)
    if near := difflib.get_close_matches(name, known, n=1):
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(known if len(known) <= MOST_LISTED else dict.fromkeys(map(_first, known)))}"


def _first(name: str) -> str:
    return name.partition(".")[0]


def _check_arguments(path: str, node: dict[str, Any]) -> None:
    target = node["_target_"]
    try:
        from hydra.utils import get_object  # only now: help does not need it

        arguments = accepted(get_object(target))
    except (ImportError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}._target_: there is no {target} to import") from error
    for key in sorted(node.keys() - SPECIAL):
        if key not in arguments:
            raise ValueError(f"{path}.{key}: {target} takes no {key}; {nearest(key, arguments)}")
        value = node[key]
        if _holds_targets(value):
            continue
        if problem := misfit(value, arguments[key], f"{path}.{key}"):
            raise ValueError(problem)
        if key == "seed" and fits(value, int):
            _check_seed(f"{path}.{key}", value)
        # Our own classes say themselves what they take.
        if not target.startswith("disentone.") and not finite(value):
            raise ValueError(f"{path}.{key}: expected finite numbers, got {value!r}")


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


def settings(config: DictConfig) -> dict[str, str]:
    """What decides the numbers of a run, flat, every interpolation replaced by its value, each in one spelling.

    4, 4.0 and 4e0 are ``4``. Folders, loggers, devices and what is only shown are left out, and so is what repeats the
    seed or a whole node, such as ``data.seed`` and ``data.source``.
    """
    repeated = [name for name, value in flat(plain(config)) if value in REPEATED]
    return {
        name: value
        for name, value in deciding(resolved(config)).items()
        if not any(name == other or name.startswith(f"{other}.") for other in repeated)
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In which of the settings that decide the numbers two resolved configs differ, in words."""
    old, new = deciding(before), deciding(now)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [f"{name} was {old.get(name)}, is {new.get(name)}" for name in names]


def deciding(config: Mapping[str, Any]) -> dict[str, str]:
    """What decides the numbers of a resolved config, flat, each value in one spelling."""
    kept = {name: value for name, value in flat(config) if not name.startswith(INCIDENTAL)}
    return {name: _spelt(value, name.startswith(SHARES_OR_COUNTS)) for name, value in kept.items()}


def _spelt(value: Any, is_share_or_count: bool) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_spelt(item, is_share_or_count) for item in value)}]"
    is_whole = isinstance(value, float) and value.is_integer() and not is_share_or_count
    return str(int(value) if is_whole else value)
