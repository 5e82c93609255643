"""Where the configs are, and whether one means what it says."""

import difflib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

SPECIAL = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}


def config_dir() -> Path:
    """The folder of the configs: inside an installed package, or beside ``src`` in a checkout."""
    package = Path(__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def check(config: DictConfig) -> None:
    """Compare the keys of every node that names a ``_target_`` with what the target takes.

    Raises:
        ValueError: for a key that its target does not know, with the nearest one it does.

    """
    container = OmegaConf.to_container(config, resolve=True)
    for path, node in _targets(container, ""):
        accepted = accepted_keys(get_object(node["_target_"]))
        for key in node.keys() - SPECIAL:
            if key not in accepted:
                near = difflib.get_close_matches(key, accepted, n=1)
                remedy = f"did you mean {near[0]}?" if near else f"it takes {', '.join(sorted(accepted))}"
                raise ValueError(f"{path}.{key}: {node['_target_']} takes no {key}; {remedy}")


def accepted_keys(target: Any) -> set[str]:
    """Names of the keyword arguments of a class or function; ``**settings`` stand for the base class's."""
    if not inspect.isclass(target):
        return set(inspect.signature(target).parameters)
    accepted: set[str] = set()
    for cls in target.__mro__:
        if "__init__" not in vars(cls):
            continue
        parameters = inspect.signature(cls.__init__).parameters.values()
        accepted |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return accepted - {"self"}


def _targets(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from _targets(child, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from _targets(child, f"{path}.{number}")
