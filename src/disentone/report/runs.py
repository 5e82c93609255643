"""Run folders as they are: finished, failed, damaged or still at work."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from disentone.config import INCIDENTAL, flat

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The columns that a reader looks for first.
FIRST = (
    "reconstruction",
    "kl",
    "active_units",
    "mig",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "sap",
)


class Run(NamedTuple):
    """One run folder. What cannot be read is empty, and ``problem`` says why; a finished run has none."""

    folder: Path
    config: Mapping[str, Any]
    scores: Mapping[str, Any]
    facts: Mapping[str, Any]
    problem: str

    @property
    def settings(self) -> dict[str, str]:
        """What decides the numbers, flat: the config without folders, loggers and devices."""
        return {key: str(value) for key, value in flat(self.config) if not key.startswith(INCIDENTAL)}

    @property
    def beta(self) -> float | None:
        """The configured beta, None for an objective without."""
        beta = self.config.get("objective", {}).get("beta")
        return None if beta is None else float(beta)

    @property
    def project(self) -> str | None:
        """Of Weights & Biases, None for a run that is not there."""
        logger = self.config.get("logger") or {}
        return logger["wandb"].get("project") if isinstance(logger.get("wandb"), dict) else None

    @property
    def numbers(self) -> dict[str, float]:
        """Scores that are one number; what was undefined is nan."""
        kept = {key: np.nan if value is None else value for key, value in self.scores.items()}
        return {key: float(value) for key, value in kept.items() if isinstance(value, int | float)}


def read_runs(folder: Path) -> list[Run]:
    """All run folders in a folder, itself one perhaps, by their names."""
    places = {path.parent for name in (".hydra", "scores.json") for path in folder.rglob(name)}
    places |= {path.parent for path in folder.rglob("config.yaml") if path.parent.name != ".hydra"}
    return [read_run(place) for place in sorted(places)]


def read_run(folder: Path) -> Run:
    """One run folder, whatever is in it."""
    config, config_problem = _parsed(folder / "config.yaml", lambda text: yaml.load(text, Loader=Loader))
    scores, problem = _parsed(folder / "scores.json", json.loads)
    facts, _ = _parsed(folder / "run.json", json.loads)
    if not (folder / "scores.json").exists():
        problem = _unfinished(folder)
    elif config_problem and not problem:
        problem = config_problem
    if not isinstance(config.get("objective", {}), dict):
        config, problem = {}, problem or f"config.yaml is damaged: objective is {config['objective']!r}"
    return Run(folder, config, scores, facts, problem)


def logged(folder: Path, key: str) -> pd.DataFrame:
    """A term as a run logged it: the columns step and value, over all its restarts; empty where it never did."""
    parts = []
    for path in sorted(folder.glob("metrics/*/metrics.csv")):
        with suppress(ValueError, OSError):  # not logged yet, or cut off
            part = pd.read_csv(path, usecols=["step", key]).rename(columns={key: "value"})
            parts.append(part.dropna())
    if not parts:
        return pd.DataFrame(columns=["step", "value"])
    return pd.concat(parts).drop_duplicates("step", keep="last").sort_values("step")


def varying(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The settings that are not the same in all runs, in alphabetical order."""
    names = sorted({name for values in settings for name in values})
    return [name for name in names if len({values.get(name) for values in settings}) > 1]


def table(runs: Sequence[Run], root: Path) -> pd.DataFrame:
    """One row per finished run: beta, seed, what else varies, its scores, its folder.

    ``beta`` is the configured one; the share of it that a schedule had reached in the end is ``final_beta``.
    """
    finished = [run for run in runs if not run.problem]
    varied = _varied(finished)
    rows = []
    for run in finished:
        scores = run.numbers
        if "beta" in scores:
            scores["final_beta"] = scores.pop("beta")
        rows.append({**_identity(run, varied), **scores, "run": str(run.folder.relative_to(root))})
    found = pd.DataFrame(rows, columns=None if rows else ["beta", "seed", *FIRST, "run"])
    first = ["beta", "seed", *varied, *(name for name in FIRST if name in found)]
    found = found[[*first, *(name for name in found if name not in first)]]
    return found.sort_values([*varied, "beta", "seed", "run"], ignore_index=True)


def settings(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """What varies beside beta and seed, run by run: as the folders' names say it, or else which experiment.

    Args:
        names: of run folders, as the column ``run`` has them.
        runs: among them those.

    """
    by_place = {run.folder.name: run for run in runs}
    labels = []
    for name in (Path(name).name for name in names):
        words = name.split(",")
        if all("=" in word for word in words):
            labels.append(", ".join(word for word in words if not word.startswith(("objective.beta=", "seed="))))
        else:
            labels.append(str(by_place[name].config.get("name", "")) if name in by_place else "")
    return labels if len(set(labels)) > 1 else [""] * len(labels)


def long_table(runs: Sequence[Run], root: Path) -> pd.DataFrame:
    """One row per run, metric and part (a factor, a latent, or nothing), its chance and untrained value beside."""
    finished = [run for run in runs if not run.problem]
    varied = _varied(finished)
    return pd.DataFrame(
        [
            {"run": str(run.folder.relative_to(root)), **_identity(run, varied), **line}
            for run in finished
            for line in _lines(run.numbers)
        ]
    )


def _varied(runs: Sequence[Run]) -> list[str]:
    return [key for key in varying([run.settings for run in runs]) if key not in ("objective.beta", "seed")]


def _identity(run: Run, varied: Sequence[str]) -> dict[str, Any]:
    return {"beta": run.beta, "seed": run.config.get("seed"), **{key: run.settings.get(key, "") for key in varied}}


def _lines(numbers: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for key, value in numbers.items():
        if not key.startswith(("chance/", "untrained/")):
            metric, _, part = key.partition("/")
            beside = {name: numbers.get(f"{name}/{key}", np.nan) for name in ("chance", "untrained")}
            yield {"metric": metric, "part": part, "value": value, **beside}


def _parsed(path: Path, parse: Any) -> tuple[dict[str, Any], str]:
    """The mapping in a file, and what is wrong with it."""
    if not path.exists():
        return {}, f"{path.name} is missing"
    try:
        content = parse(path.read_text())
    except (ValueError, yaml.YAMLError, OSError) as error:
        return {}, f"{path.name} is damaged: {str(error).splitlines()[0]}"
    return (content, "") if isinstance(content, dict) else ({}, f"{path.name} is damaged: it holds no mapping")


def _unfinished(folder: Path) -> str:
    """Why a run has no scores, as far as its folder tells."""
    if (folder / "error.txt").exists():
        lines = [line for line in (folder / "error.txt").read_text().splitlines() if line.strip()]
        return f"failed: {lines[-1].strip() if lines else 'see error.txt'}"
    return f"unfinished at step {step}" if (step := _last_step(folder)) else "unfinished"


def _last_step(folder: Path) -> int | None:
    steps = []
    for path in folder.glob("metrics/*/metrics.csv"):
        try:
            steps.append(int(pd.read_csv(path, usecols=["step"])["step"].max()))
        except (ValueError, OSError):
            continue  # nothing was logged yet
    return max(steps, default=None)
