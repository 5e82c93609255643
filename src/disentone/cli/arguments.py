"""What the user's command line asks of Hydra."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

LONGEST_NAME = 150
# Overrides that name no sweep: beta and seed name its runs, the others do not change what is learned.
INCIDENTAL = (
    "experiment",
    "objective.beta",
    "seed",
    "hydra",
    "logger",
    "callbacks",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "data.cache",
    "data.compile",
    "data.folder",
)


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """Hydra's arguments for the user's: ``resume=`` becomes the run folder's config, runs are named by what varies."""
    if any(argument.startswith("resume=") for argument in arguments):
        return _resumed(arguments)
    first = next((i for i, argument in enumerate(arguments) if _is_override(argument)), len(arguments))
    # Beside the user's overrides: argparse takes them in one piece only.
    return [*arguments[:first], *_naming(arguments), *arguments[first:]]


def folder_name(override_dirname: str) -> str:
    """A run's folder in its sweep: what varies, without characters that folders cannot have, cut if too long."""
    name = re.sub(r"[^\w.,=+-]", "_", override_dirname) or "run"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _is_override(argument: str) -> bool:
    return "=" in argument and not argument.startswith("-")


def _naming(arguments: Sequence[str]) -> list[str]:
    """Overrides that name a run by what varies in its sweep, and the sweep by what is fixed."""
    try:
        overrides = OverridesParser.create().parse_overrides([a for a in arguments if _is_override(a)])
    except HydraException:
        return []  # Hydra will say what is wrong
    fixed = {o.key_or_group: o.value() for o in overrides if not o.is_sweep_override()}
    swept = {o.key_or_group for o in overrides} - fixed.keys()
    if "experiment" in swept and "sweep" not in fixed:
        raise ValueError("a sweep over experiments needs a name: add sweep=<name>")
    excluded = {"sweep", *fixed} - {"objective.beta", "seed"} | ({"experiment"} - swept)
    naming = [f"hydra.job.config.override_dirname.exclude_keys=[{','.join(repr(key) for key in sorted(excluded))}]"]
    settings = [f"{key}={value}" for key, value in sorted(fixed.items()) if not key.startswith(INCIDENTAL)]
    if settings and "sweep" not in fixed:
        naming.append(f"sweep='${{name}}_sweep,{folder_name(','.join(settings))}'")
    return naming


def _resumed(arguments: Sequence[str]) -> list[str]:
    resume = next(argument for argument in arguments if argument.startswith("resume="))
    folder = Path(resume.removeprefix("resume=")).absolute()
    if others := [argument for argument in arguments if argument != resume]:
        raise ValueError(
            f"{resume} continues a run as it was configured; it cannot be combined with {' '.join(others)}"
        )
    if not folder.is_dir():
        raise ValueError(f"{resume}: there is no such folder")
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"{resume} is no run folder: it has no config.yaml")
    if (folder / "scores.json").exists():
        raise ValueError(f"{resume} is finished: its scores are in scores.json")
    return of_run_folder(folder)


def of_run_folder(folder: Path) -> list[str]:
    """Hydra's arguments that continue a begun run folder as it was configured."""
    return ["--config-dir", str(folder), "--config-name", "config", f"hydra.run.dir='{folder}'"]
