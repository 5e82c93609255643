"""Where the configs are, and whether one means what it says."""

import difflib
import hashlib
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

LONGEST_NAME = 150

SPECIAL = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}


def config_dir() -> Path:
    """The folder of the configs: inside an installed package, or beside ``src`` in a checkout."""
    package = Path(__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def folder_name(override_dirname: str) -> str:
    """A run's folder in its sweep: what varies, without characters that folders cannot have, cut if too long."""
    name = re.sub(r"[^\w.,=+-]", "_", override_dirname) or "run"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def without_fixed_keys(arguments: Sequence[str]) -> list[str]:
    """The override that names the runs of a sweep by what varies: all other keys of the command line are left out.

    Beta and seed are always named.
    """
    pairs = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    try:
        overrides = OverridesParser.create().parse_overrides(pairs)
    except HydraException:
        return []  # Hydra will say what is wrong
    fixed = {o.key_or_group for o in overrides if not o.is_sweep_override()} - {"objective.beta", "seed"}
    keys = ",".join(f"'{key}'" for key in sorted({"experiment", "sweep", *fixed}))
    return [f"hydra.job.config.override_dirname.exclude_keys=[{keys}]"]


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
        parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
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
