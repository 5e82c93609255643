"""What the user's command line asks of Hydra."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from disentone.config import INCIDENTAL, config_dir, plain
from disentone.run.folder import RunFolder, State

LONGEST_NAME = 150
# Options of Hydra's that are followed by their value.
WITH_VALUE = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p", "--cfg", "-c")
# Overrides that name no sweep: the seed names its runs, as strengths do, the others do not change what is learned.
UNNAMED = ("experiment", "seed", *INCIDENTAL)


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """Hydra's arguments for the user's.

    ``resume=`` and ``reproduce=`` become the run folder's config; the runs of a sweep are named by what varies.
    """
    for verb, translated in (("resume", _resumed), ("reproduce", _reproduced)):
        if any(argument.startswith(f"{verb}=") for argument in arguments):
            return translated(arguments)
    if not is_sweep(arguments):
        return list(arguments)
    overrides = _overrides(arguments)
    first = arguments.index(overrides[0]) if overrides else len(arguments)
    # Beside the user's overrides: argparse takes them in one piece only.
    return [*arguments[:first], *_naming(arguments), *arguments[first:]]


def is_sweep(arguments: Sequence[str]) -> bool:
    """Whether the user asks for several runs."""
    return bool({"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(arguments))


def reproduced(arguments: Sequence[str]) -> tuple[RunFolder, RunFolder] | None:
    """The run that is to be trained anew and the folder to do it in, if that is what the user asks for."""
    named = next((argument for argument in arguments if argument.startswith("reproduce=")), None)
    if named is None:
        return None
    folder = Path(named.removeprefix("reproduce=")).resolve()
    return RunFolder(folder), RunFolder(folder.with_name(f"{folder.name}_reproduced"))


def folder_name(override_dirname: str) -> str:
    """A run's folder in its sweep: what varies, without characters that folders cannot have, cut if too long."""
    name = re.sub(r"[^\w.,=+-]", "_", override_dirname) or "run"
    # A group's slash and a list's brackets are no loss; without other characters two names may be the same.
    lost = bool(re.search(r"[^\w.,=+/[\]-]", override_dirname))
    if len(name) <= LONGEST_NAME and not lost:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(override_dirname.encode()).hexdigest()[:8]}"


def _overrides(arguments: Sequence[str]) -> list[str]:
    """The arguments that are neither options of Hydra's nor the value of one."""
    before = ["", *arguments[:-1]]
    pairs = zip(before, arguments, strict=True)
    return [word for option, word in pairs if "=" in word and not word.startswith("-") and option not in WITH_VALUE]


def _naming(arguments: Sequence[str]) -> list[str]:
    """Overrides that name a run by what varies in its sweep, and the sweep by what is fixed."""
    try:
        overrides = OverridesParser.create().parse_overrides(_overrides(arguments))
    except HydraException:
        return []  # Hydra will say what is wrong
    fixed = {o.key_or_group: o.value() for o in overrides if not o.is_sweep_override()}
    swept = {o.key_or_group for o in overrides} - fixed.keys()
    if "experiment" in swept and "sweep" not in fixed:
        raise ValueError("a sweep over experiments needs a name: add sweep=<name>")
    strengths = _strengths()
    excluded = {"sweep", *fixed} - {*strengths, "seed"} | ({"experiment"} - swept)
    naming = [f"hydra.job.config.override_dirname.exclude_keys=[{','.join(repr(key) for key in sorted(excluded))}]"]
    unnamed = (*(f"{name}." for name in strengths), *UNNAMED)
    settings = [f"{key}={value}" for key, value in sorted(fixed.items()) if not f"{key}.".startswith(unnamed)]
    if settings and not {"sweep", "hydra.sweep.dir"} & fixed.keys():
        naming.append(f"hydra.sweep.dir='outputs/${{name}}_sweep,{folder_name(','.join(settings))}'")
    return naming


def _strengths() -> tuple[str, ...]:
    """The options by which stored methods are swept: they name a run wherever they are given."""
    files = [config_dir() / "train.yaml", *sorted((config_dir() / "method").glob("*.yaml"))]
    return tuple({name for path in files if (name := plain(OmegaConf.load(path)).get("strength"))})


def _resumed(arguments: Sequence[str]) -> list[str]:
    path, trust = _sole(arguments, "resume", "continues a run as it was configured")
    folder = RunFolder(path)
    if folder.state is State.FINISHED:
        raise ValueError(f"{folder.path} is finished: its scores are in {folder.scores.name}")
    _check(path, trust)
    return of_run_folder(path)


def _reproduced(arguments: Sequence[str]) -> list[str]:
    path, trust = _sole(arguments, "reproduce", "trains a run anew as it was configured")
    if RunFolder(path).state is not State.FINISHED:
        raise ValueError(f"{path} is not finished; there are no scores to compare with yet")
    found = reproduced(arguments)
    assert found is not None
    _check(path, trust, found[1].path)
    return of_run_folder(path, found[1].path)


def _check(folder: Path, trust: Sequence[str], run_dir: Path | None = None) -> None:
    """The folder may be somebody else's: what it asks for is looked at before anything is imported for it."""
    from disentone.run.trust import check_training

    check_training(folder, trust, run_dir)


def _sole(arguments: Sequence[str], verb: str, what: str) -> tuple[Path, list[str]]:
    """The run folder of an argument that only ``trust=`` may stand beside, and what the user trusts."""
    argument = next(argument for argument in arguments if argument.startswith(f"{verb}="))
    folder = RunFolder(Path(argument.removeprefix(f"{verb}=")).resolve())
    others = [other for other in arguments if other != argument]
    trusted = [other.removeprefix("trust=").strip("[]") for other in others if other.startswith("trust=")]
    if unknown := [other for other in others if not other.startswith("trust=")]:
        raise ValueError(f"{argument} {what}; it cannot be combined with {' '.join(unknown)}")
    if not folder.path.is_dir():
        raise ValueError(f"{argument}: there is no such folder")
    if not folder.config.is_file():
        raise ValueError(f"{argument} is no run folder: it has no {folder.config.name}")
    folder.check_format()
    return folder.path, [name.strip() for text in trusted for name in text.split(",") if name.strip()]


def of_run_folder(folder: Path, target: Path | None = None) -> list[str]:
    """Hydra's arguments that run the config of a run folder, in that folder or in another one."""
    place = QuotedString(str(target or folder), Quote.single).with_quotes()
    return ["--config-dir", str(folder), "--config-name", RunFolder(folder).config.stem, f"hydra.run.dir={place}"]
