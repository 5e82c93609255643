"""What the user's command line asks of Hydra."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

LONGEST_NAME = 150


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """Hydra's arguments for the user's: ``resume=`` becomes the run folder's config, runs are named by what varies."""
    if any(argument.startswith("resume=") for argument in arguments):
        return _resumed(arguments)
    return [*arguments, *_named_by_what_varies(arguments)]


def folder_name(override_dirname: str) -> str:
    """A run's folder in its sweep: what varies, without characters that folders cannot have, cut if too long."""
    name = re.sub(r"[^\w.,=+-]", "_", override_dirname) or "run"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _named_by_what_varies(arguments: Sequence[str]) -> list[str]:
    """The override that keeps all that is fixed out of the folder names; beta and seed are always named."""
    pairs = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    try:
        overrides = OverridesParser.create().parse_overrides(pairs)
    except HydraException:
        return []  # Hydra will say what is wrong
    fixed = {o.key_or_group for o in overrides if not o.is_sweep_override()} - {"objective.beta", "seed"}
    keys = ",".join(f"'{key}'" for key in sorted({"experiment", "sweep", *fixed}))
    return [f"hydra.job.config.override_dirname.exclude_keys=[{keys}]"]


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
    return ["--config-dir", str(folder), "--config-name", "config", f"hydra.run.dir='{folder}'"]
