"""Errors as a person reads them: one message with the remedy, and no stack trace unless asked for."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from disentone.wording import file_of, reworded

FULL = "HYDRA_FULL_ERROR"
OF_THE_USER = (ValueError, OSError, HydraException, OmegaConfBaseException, YAMLError)
# Of libraries that take seconds to import: who has not imported them has none of their errors.
LIGHTNING = ("lightning_fabric.utilities.exceptions", "MisconfigurationException")
WANDB = ("wandb.errors", "Error")

_hides_traces = False


@contextmanager
def readable(arguments: Sequence[str]) -> Iterator[None]:
    """Turn a user's mistake into a message on standard error and exit status 1; let faults of ours through."""
    global _hides_traces
    if os.environ.get(FULL) == "1":
        yield
        return
    _hides_traces = True
    os.environ[FULL] = "1"  # Hydra then raises what it would have printed with its own trace
    try:
        with _without_overrides_of_failed_jobs():
            yield
    except RecursionError as error:
        if not (file := file_of(error)):
            raise
        sys.exit(f"disentone: {file}: its defaults list leads back to it; take out the entry that does")
    except Exception as error:
        if not (isinstance(error, OF_THE_USER) or _is_of(error, LIGHTNING) or _is_of(error, WANDB)):
            raise
        sys.exit(f"disentone: {message(error, arguments)}")
    finally:
        _hides_traces = False
        del os.environ[FULL]


def environment() -> dict[str, str]:
    """The environment as the user gave it, for a process of the same command."""
    return {key: value for key, value in os.environ.items() if key != FULL or not _hides_traces}


@contextmanager
def _without_overrides_of_failed_jobs() -> Iterator[None]:
    """Hydra writes a failed job's overrides, some of which nobody typed, to standard error before the job's error."""

    def value(job: JobReturn) -> Any:
        if job.status is JobStatus.FAILED:
            raise job._return_value
        return job._return_value

    hydras = vars(JobReturn)["return_value"]
    setattr(JobReturn, "return_value", property(value, hydras.fset))  # noqa: B010
    try:
        yield
    finally:
        setattr(JobReturn, "return_value", hydras)  # noqa: B010


def message(error: BaseException, arguments: Sequence[str] = ()) -> str:
    """What was expected, what came, what to do, in one line.

    Args:
        error: a user's mistake.
        arguments: the command line that it comes of.

    """
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return f"{reworded(error.__cause__)}{_full_key(error)}"
    if _is_of(error, WANDB):
        return f"Weights & Biases: {error}; WANDB_MODE=offline keeps the run in its folder for `wandb sync` later"
    if _is_of(error, LIGHTNING):
        remedy = "; trainer.accelerator=auto with trainer.devices=1 runs anywhere" if "backend" in str(error) else ""
        return f"trainer: {reworded(error)}{remedy}"
    return reworded(error, arguments)


def _is_of(error: BaseException, kind: tuple[str, str]) -> bool:
    module = sys.modules.get(kind[0])
    return module is not None and isinstance(error, getattr(module, kind[1]))


def _full_key(error: InstantiationException) -> str:
    found = re.search(r"full_key: (\S+)", str(error))
    return f" ({found[1]})" if found else ""
