"""A finished run, back in three lines of a notebook."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from disentone import checkpoints
from disentone.config import check_node
from disentone.data import DataModule
from disentone.errors import message
from disentone.models import Model
from disentone.provenance import code, provenance
from disentone.run import stored
from disentone.run import trust as trusted
from disentone.run.folder import LAST, RunFolder
from disentone.signatures import accepted

# A look at a run should neither render nor fetch all of its data, and a run folder names the place.
WITHOUT_WRITING = {"mode": "on_the_fly", "source": {"download": False}}
BUILT = ("data", "model")


class Run(NamedTuple):
    """What a run folder holds: the trained network, its data, and the config that made both."""

    model: Model
    data: DataModule
    config: dict[str, Any]


def load(
    run_folder: str | Path,
    checkpoint: str = LAST,
    device: str | torch.device = "cpu",
    trust: Sequence[str] = (),
) -> Run:
    """The model, data module and config of a run folder; nothing else is needed, built or written.

    Args:
        run_folder: of a run, finished or not.
        checkpoint: ``last.ckpt``, which is scored, or ``best.ckpt`` by its fit to validation rows.
        device: of the model.
        trust: packages, beside ours and those of torch and Lightning, whose classes the run folder may name. They are
            imported and run: name those that are yours or that you have read.

    Returns:
        the model in evaluation mode, the data module (of sounds: rendered on the fly), the resolved config.

    Raises:
        ValueError: if the folder is no run's, names what is not trusted, or its data or model cannot be built; if the
            checkpoint is not there, cannot be read or is another network's; if there is no such device.

    """
    folder = Path(run_folder)
    _check_device(device)
    config = stored.read(folder)
    RunFolder(folder).check_format()
    _warn_of_other_code(RunFolder(folder))
    trusted.check(config, trust, BUILT)
    for name in BUILT:
        check_node(name, config.get(name))
    path = RunFolder(folder).checkpoints / checkpoint
    if not path.is_file():
        raise ValueError(f"{folder} has no checkpoint {checkpoint}; there are {_names(path.parent)}")
    weights = _weights(path, device)

    _overwrite(config["data"], WITHOUT_WRITING)
    try:
        data = instantiate(config["data"], _convert_="all")
        data.setup()
        model = instantiate(config["model"], _convert_="all")(data.shape).to(device).eval()
    except (InstantiationException, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{folder}/config.yaml describes no run that can be built: {message(error)}") from error
    try:
        model.load_state_dict(weights)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        what = " ".join(str(error).split())[:300]
        raise ValueError(f"{path} is of another network than {folder}/config.yaml describes: {what}") from error
    return Run(model, data, config)


def _overwrite(node: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Settings that a node's class takes, and those of the nodes in it."""
    taken = accepted(get_class(node["_target_"]))
    for key, value in settings.items():
        if isinstance(value, Mapping) and key in node:
            _overwrite(node[key], value)
        elif key in taken:
            node[key] = value


def _warn_of_other_code(folder: RunFolder) -> None:
    """Say where the numbers may not be those of the run: its synth, for instance, may have changed since."""
    trained, now = folder.code, code(provenance())
    if trained and trained[-1] != now:
        warnings.warn(
            f"{folder.path} was trained by {trained[-1]}, and this is {now}: images and codes may be other ones",
            stacklevel=3,
        )


def _check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise ValueError(f"device: there is no {device!r} here; there are {', '.join(there)}") from error


def _weights(path: Path, device: str | torch.device) -> dict[str, Any]:
    state = checkpoints.read(path, device)["state_dict"]
    names = [name for name in state if str(name).startswith("model.")] if isinstance(state, dict) else []
    if not names:
        raise ValueError(f"{path} holds no weights of a model")
    return {name.removeprefix("model."): state[name] for name in names}


def _names(folder: Path) -> str:
    return ", ".join(path.name for path in sorted(folder.glob("*.ckpt"))) or "none"
