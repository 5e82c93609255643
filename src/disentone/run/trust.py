"""What the config of a run folder may ask for, since the folder may be somebody else's.

Whatever a ``_target_`` names is imported and called. A folder therefore names classes of a few packages only, each
where the class that its place needs stands, and is read before anything is imported: ``docs/trust.md``.
"""

import inspect
import os
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_object
from omegaconf import OmegaConf
from pytorch_lightning.loggers import Logger

from disentone import checkpoints
from disentone.config import RUN_DIR, config_dir, flat, plain, targets
from disentone.data import DataModule
from disentone.frontends import Frontend
from disentone.models import Model
from disentone.objectives import Objective
from disentone.run.folder import LAST, RunFolder
from disentone.run.stored import VARIABLES, first_line, name_of, resolved, strings, written
from disentone.signatures import accepted
from disentone.sources import Source
from disentone.synths import Synth

# Where a class may be defined. Lightning's other loggers send what they log to a server that their options name.
PACKAGES = (
    "disentone",
    "torch.optim",
    "torch.nn",
    "pytorch_lightning.trainer",
    "pytorch_lightning.callbacks",
    "pytorch_lightning.strategies",
    "pytorch_lightning.profilers",
    "pytorch_lightning.loggers.csv_logs",
    "pytorch_lightning.loggers.tensorboard",
)
# Where a class may be named: Lightning names its classes in the package above, too.
NAMED_IN = (*PACKAGES, "pytorch_lightning")
FUNCTIONS = ("disentone.loggers.wandb",)
# The class that a place needs. Below these, the argument's type says it.
PLACES: Mapping[str, type] = {
    "synth": Synth,
    "frontend": Frontend,
    "source": Source,
    "data": DataModule,
    "model": Model,
    "objective": Objective,
    "optimizer": torch.optim.Optimizer,
    "metrics": pl.Callback,
    "callbacks": pl.Callback,
    "logger": Logger,
    "trainer": pl.Trainer,
}

Classes = tuple[type, ...]


def check(config: Mapping[str, Any], trust: Sequence[str] = (), nodes: Sequence[str] | None = None) -> None:
    """Check what a config's nodes would import and call; only modules of admitted packages are imported for it.

    A ``_target_`` is admitted if it names a class in a module of an admitted package, or a listed function; the class
    is defined in such a package, and is a subclass of what its place needs. A place is a top-level node or an argument
    whose type names a class; there are none in ``_args_``.

    Args:
        config: as :func:`read` answers it.
        trust: further packages that the user admits.
        nodes: the top-level nodes that will be built; all by default.

    Raises:
        ValueError: for a target that is not admitted, naming the node, the target and the remedy.

    """
    if isinstance(trust, str):
        raise ValueError(f"trust: expected a list of packages, got {trust!r}; write [{trust!r}]")
    if "_target_" in config:
        raise ValueError(f"_target_: the whole of a config builds nothing, got {config['_target_']!r}")
    for name in config if nodes is None else nodes:
        _check(config.get(name), name, (PLACES[name],) if name in PLACES else (), trust)


def check_training(folder: Path, trust: Sequence[str] = (), run_dir: Path | None = None) -> None:
    """Check a run folder that is to be trained on: what it would import and call, and where it would write.

    It may write into the run's own folder, into one that is its class's default, that an environment variable of ours
    names, or that the user trusts. Its settings of Hydra are those that every run folder has, since Hydra builds and
    calls what they name; no link in it leads elsewhere, and no checkpoint names a file elsewhere, since Lightning
    deletes the files of earlier checkpoints.

    Args:
        folder: of the run.
        trust: packages and folders that the user admits.
        run_dir: where the run will be trained, if not in the same folder.

    Raises:
        ValueError: for what is not admitted, with the remedy.

    """
    stored = written(folder)
    ours = dict(flat(plain(OmegaConf.load(config_dir() / "train.yaml"))["hydra"]))
    for key, value in flat(stored.get("hydra", {})):
        if key not in ours or ours[key] != value:
            raise ValueError(f"{name_of(folder)}: hydra.{key} is not this project's; remove the section hydra")
    if "defaults" in stored or re.search(r"^\s*#.*@package", RunFolder(folder).config.read_text(), re.M):
        raise ValueError(f"{name_of(folder)} adds other files by a list of defaults or a package; remove these lines")
    if stored.get("run_dir") != RUN_DIR:
        raise ValueError(f"{name_of(folder)}: expected run_dir: {RUN_DIR}, got {stored.get('run_dir')}")
    config = resolved(stored, folder, run_dir or folder)
    check(config, trust)
    _check_folders(config, folder, run_dir or folder, trust)
    _check_links(run_dir or folder, trust)
    for name in (LAST, checkpoints.PREVIOUS):
        _check_checkpoint(RunFolder(folder).checkpoints / name)


# Targets.


def _check(value: Any, path: str, needed: Classes, trust: Sequence[str]) -> None:
    """Check every node in a value where objects of the needed classes are to stand."""
    if isinstance(value, Mapping) and "_target_" in value:
        arguments = accepted(_admitted(value["_target_"], path, needed, trust))
        for key, inner in value.items():
            _check(inner, f"{path}.{key}", _classes(arguments.get(str(key))), trust)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _check(inner, f"{path}.{key}", needed, trust)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check(inner, f"{path}.{number}", needed, trust)


def _admitted(target: Any, path: str, needed: Classes, trust: Sequence[str]) -> Any:
    """The class, or listed function, that a target names."""
    expected = " or ".join(f"{cls.__module__}.{cls.__qualname__}" for cls in needed)
    if not expected:
        raise ValueError(f"{path}: nothing can be built here, got _target_: {target}")
    if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
        raise ValueError(f"{path}._target_: expected the name of a {expected}, got {target!r}")
    module, _, name = target.rpartition(".")
    _check_package(module, NAMED_IN, target, path, trust)
    try:
        # Imported as a module, so that no step of the path can lead into another one.
        found = getattr(import_module(module), name)
        # Hydra goes step by step, and must arrive at the same.
        if get_object(target) is not found:
            raise ImportError("its name means two things")
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path}._target_: there is no {target} to import: {first_line(error)}") from error
    made = typing.get_type_hints(found).get("return") if target in FUNCTIONS else found
    if not inspect.isclass(made):
        raise ValueError(f"{path}._target_: expected a subclass of {expected}, got {target}, which is no class")
    if found is made:
        _check_package(made.__module__, PACKAGES, target, path, trust)
    if not issubclass(made, needed):
        raise ValueError(f"{path}._target_: expected a subclass of {expected}, got {target}")
    return found


def _check_package(module: str, admitted: Sequence[str], target: str, path: str, trust: Sequence[str]) -> None:
    if not any(f"{module}.".startswith(f"{package}.") for package in (*admitted, *trust)):
        package = module.split(".")[0] or target
        raise ValueError(
            f"{path}._target_: {target} is of {module or 'no package'}; a run folder may name classes of "
            f"{', '.join(PACKAGES)}. If you trust {package}, name it: trust=[{package}] beside resume=, "
            f"trust=[{package!r}] in disentone.load, --trust {package} for disentone evaluate"
        )


def _classes(hint: Any) -> Classes:
    """The classes whose objects an argument of this type may be, beside plain values."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is not None:
        # Of a function, what it answers.
        return tuple(cls for part in (inner[-1:] if origin is Callable else inner) for cls in _classes(part))
    return (hint,) if inspect.isclass(hint) and hint.__module__ not in ("builtins", "typing", "collections.abc") else ()


# Folders.


def _check_folders(config: Mapping[str, Any], folder: Path, run_dir: Path, trust: Sequence[str]) -> None:
    """Raise ValueError for a value that is a path to where the run may not write."""
    named = [Path(os.environ[name]).resolve() for name in VARIABLES if os.environ.get(name)]
    admitted = [run_dir.resolve(), *named, *_folders(trust)]
    paths = {f"{place}.{key}" for place, node in targets(config) for key in _paths(node)}
    for key, text in strings(config):
        leads = Path(text).is_absolute() or text.startswith("~") or ".." in Path(text).parts
        leads = leads or any(mark in text for mark in ("$", "://"))
        if (leads or key in paths) and not any(Path(text).resolve().is_relative_to(root) for root in admitted):
            raise ValueError(
                f"{name_of(folder)}: {key}: {text} leads out of the run folder, which a resumed run may not write "
                f"to. If you trust it, name it: trust=[{Path(text).absolute()}] beside resume="
            )


def _paths(node: Mapping[str, Any]) -> Iterator[str]:
    """The arguments of a node that are paths, and other ones than its class has by default."""
    target = get_object(node["_target_"])
    defaults = {name: parameter.default for name, parameter in inspect.signature(target).parameters.items()}
    for key, hint in accepted(target).items():
        if Path in _classes(hint) and isinstance(node.get(key), str | Path) and node[key] != defaults.get(key):
            yield key


def _folders(names: Sequence[str]) -> list[Path]:
    """Those of the names that are folders, not packages."""
    return [Path(name).expanduser().resolve() for name in names if os.sep in name]


def _check_links(folder: Path, trust: Sequence[str]) -> None:
    admitted = [folder.resolve(), *_folders(trust)]
    for path in folder.rglob("*"):
        # Weights & Biases itself links to its logs, and makes its links and folders anew.
        is_theirs = path.relative_to(folder).parts[0] == "wandb" and path.parent != folder
        if path.is_symlink() and not is_theirs and not any(path.resolve().is_relative_to(root) for root in admitted):
            raise ValueError(f"{path} is a link out of the run folder, which a resumed run may not write to; remove it")


def _check_checkpoint(path: Path) -> None:
    """Raise ValueError for a checkpoint that can be read, and names files that it may not."""
    try:
        states = checkpoints.read(path).get("callbacks")
    except ValueError:
        return  # The run goes back to the one before.
    for _, text in strings(states):
        # Anything else is deleted only where it lies among the run's own checkpoints.
        if ".." in Path(text).parts or "://" in text:
            raise ValueError(f"{path} names the file {text}, which is not in the run folder; it is not resumed from")
