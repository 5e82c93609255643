"""The config of a run folder, perhaps somebody else's: read and resolved, and nothing imported or called for it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from disentone.config import plain
from disentone.run.folder import RunFolder

# Folders that the user's own environment names.
VARIABLES = ("DISENTONE_CACHE", "DISENTONE_MNIST")
# What may follow a ``${``: another value's name, or a resolver that computes a number or reads one of these variables.
INTERPOLATION = re.compile(rf"[\w.\[\]-]+}}|(share|half|quarter):|oc\.env:({'|'.join(VARIABLES)})[,}}]")


def read(folder: Path) -> dict[str, Any]:
    """The config of a run folder with every value in place, and nothing imported or called for it.

    Raises:
        ValueError: if the folder is no run's, its config cannot be read, or asks for a resolver that is not admitted.

    """
    return resolved(written(folder), folder, folder)


def name_of(folder: Path) -> str:
    """Where the config of a run folder lies, for messages."""
    return str(RunFolder(folder).config)


def written(folder: Path) -> dict[str, Any]:
    """The config of a run folder as it stands there. Raises ValueError if it cannot be read."""
    path = RunFolder(folder).config
    if not path.is_file():
        raise ValueError(f"{folder} is no run folder: it has no config.yaml")
    try:
        # A few lines of aliases can stand for more than any memory holds.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(path.read_text(), yaml.SafeLoader)):
            raise ValueError("it has YAML aliases, which no run writes")
        config = OmegaConf.load(path)
    except (ValueError, OSError, yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    if not isinstance(config, DictConfig):
        raise ValueError(f"{path} holds no config: expected names with values, got {type(config).__name__}")
    return plain(config)


def resolved(config: Mapping[str, Any], folder: Path, run_dir: Path) -> dict[str, Any]:
    """A config with every value in place, without Hydra's own section.

    Args:
        config: as :func:`written` answers it.
        folder: where it lies, for messages.
        run_dir: where the run will be trained.

    Raises:
        ValueError: if it cannot be resolved, or asks for a resolver that is not admitted.

    """
    config = {**config, "run_dir": str(run_dir)}
    config.pop("hydra", None)
    for key, text in strings(config):
        if any(not INTERPOLATION.match(rest) for rest in text.split("${")[1:]):
            raise ValueError(
                f"{name_of(folder)}: {key}: {text} calls a resolver that a run folder may not; write its value instead"
            )
    try:
        found = plain(OmegaConf.create(config), resolve=True)
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{name_of(folder)} cannot be resolved: {first_line(error)}") from error
    # What is built from it is resolved once more.
    if escaped := next(((key, text) for key, text in strings(found) if "${" in text), None):
        raise ValueError(f"{name_of(folder)}: {escaped[0]}: {escaped[1]} is no value; a run folder may not escape ${{")
    return found


def strings(config: Any) -> Iterator[tuple[str, str]]:
    """Every text of a config, names included, with its dotted name."""
    children: list[tuple[Any, Any]] = []
    if isinstance(config, Mapping):
        children = list(config.items())
    elif isinstance(config, list | tuple):
        children = list(enumerate(config))
    for name, child in children:
        if isinstance(name, str):
            yield f"the name {name}", name
        if isinstance(child, str | Path):
            yield str(name), str(child)
        for inner, text in strings(child):
            yield f"{name}.{inner}", text


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type."""
    return next(iter(str(error).splitlines()), type(error).__name__)
