"""Run folders as they are: finished, failed, damaged or still at work."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from disentone.config import option
from disentone.metrics.extra import RESERVED
from disentone.metrics.score import Score
from disentone.report import contents
from disentone.run import reading
from disentone.run.folder import RunFolder, State


class Run(NamedTuple):
    """One run folder. What cannot be read is empty, and ``problem`` says why; a finished run has none."""

    folder: Path
    config: Mapping[str, Any]
    """With every interpolation resolved."""
    settings: Mapping[str, str]
    """What decides the numbers, flat: the config without folders, loggers and devices."""
    scores: Mapping[str, Any]
    facts: Mapping[str, Any]
    problem: str
    damage: tuple[str, ...] = ()
    """What is wrong with a run whose other numbers are used."""
    own: tuple[Score, ...] = ()
    """Scores that its config added, as it describes them."""
    repeats: bool = False
    """Whether the problem is no more than that another run is the same."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What was scored, and how: the settings that stand beside the scores."""
        settings = self.scores.get("settings")
        return settings if isinstance(settings, dict) else {}

    @property
    def method(self) -> str:
        """What the objective is called; the name of its class where the scores do not say."""
        objective = self.config.get("objective") or {}
        return str(self.about.get("method") or str(objective.get("_target_", "")).rpartition(".")[2])

    @property
    def supervision(self) -> str:
        """What the method was told beside the images."""
        return str(self.about.get("supervision", "not recorded"))

    @property
    def factors(self) -> list[str]:
        """Names of the factors that were scored."""
        names = self.about.get("factors")
        return [str(name) for name in names] if isinstance(names, list) else []

    @property
    def left_out(self) -> set[int]:
        """The latents that the method itself left out."""
        numbers = self.about.get("left_out")
        return {int(number) for number in numbers} if isinstance(numbers, list) else set()

    @property
    def strength(self) -> float | None:
        """The value of the option by which the method is swept, None for a method without."""
        value = option(self.config, self.config.get("strength") or "")
        return None if value is None else float(value)

    @property
    def strength_name(self) -> str:
        """What that option is called, without its node; empty for a method without."""
        return "" if self.strength is None else str(self.config["strength"]).rpartition(".")[2]

    @property
    def varied(self) -> set[str]:
        """Options whose values are points of one curve, or draws of one setting."""
        return {"seed", str(self.config.get("strength"))}

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
    """All run folders in a folder, itself one perhaps, by their names; one that repeats another has a problem."""
    first: dict[str, Path] = {}
    runs = []
    for run in map(read_run, sorted(_places(folder))):
        key = json.dumps(sorted(run.settings.items()))
        if not run.problem and first.setdefault(key, run.folder) != run.folder:
            run = run._replace(
                repeats=True, problem=f"repeats {first[key].relative_to(folder)}, with the same settings and seed"
            )
        runs.append(run)
    return runs


def read_run(folder: Path) -> Run:
    """One run folder, whatever is in it: what cannot be read concerns no other run."""
    try:
        run = _read(folder)
        # Whatever a config holds can be compared.
        json.dumps([dict(run.settings), run.method, run.supervision, run.strength, run.project])
        return run
    except Exception as error:
        return Run(folder, {}, {}, {}, {}, f"cannot be read: {type(error).__name__}: {str(error)[:200]}")


def _read(folder: Path) -> Run:
    files = RunFolder(folder)
    state = files.state
    if state is State.OTHER_FORMAT:
        return Run(folder, {}, {}, {}, {}, f"{state}; train it anew")
    try:
        config, found = contents.begun(folder, files.begun.name)
    except ValueError as error:
        known = {State.FAILED: _failed(files), State.NEW: "unfinished"}
        return Run(folder, {}, {}, {}, {}, known.get(state, str(error)))
    settings = {key: str(value) for key, value in found.items()}
    if state is not State.FINISHED and not files.record.exists():
        return Run(folder, config, settings, {}, {}, _unfinished(files, state))
    try:
        scores, wrong = contents.checked_scores(reading.mapping(folder, files.scores.name))
        facts, odd = contents.checked_facts(reading.mapping(folder, files.record.name))
    except ValueError as error:
        return Run(folder, config, settings, {}, {}, str(error))
    own, unreadable = _own(scores)
    damage = [f"{files.scores.name}: {text}" for text in (*wrong, *unreadable)]
    damage += [f"{files.record.name}: {text}" for text in odd]
    if not any(key != "settings" for key in scores):
        return Run(folder, config, settings, {}, facts, "; ".join([f"{files.scores.name} holds no score", *damage]))
    return Run(folder, config, settings, scores, facts, "", tuple(damage), own)


def _own(scores: Mapping[str, Any]) -> tuple[tuple[Score, ...], list[str]]:
    """The scores that a run's config added, and what is wrong with other descriptions."""
    entries = scores.get("settings", {}).get("extra") or []
    if not isinstance(entries, list):
        return (), [f"{str(entries)[:60]!r} are no descriptions of scores"]
    found, wrong = [], []
    for entry in entries:
        try:
            found.append(Score.read(entry)._replace(main=True, headline=True))
        except ValueError as error:
            wrong.append(str(error))
    return tuple(score for score in found if score.key not in RESERVED), wrong


def own_scores(runs: Sequence[Run]) -> dict[str, Score]:
    """The scores that the runs' configs added, by their keys."""
    found: dict[str, Score] = {}
    for score in (score for run in runs for score in run.own):
        found.setdefault(score.key, score)
    return found


def logged(folder: Path, key: str) -> pd.DataFrame:
    """A term as a run logged it: the columns step and value, over all its restarts; empty where it never did."""
    parts = []
    for path in RunFolder(folder).metrics:
        with suppress(ValueError):  # not logged yet, or cut off
            part = contents.table(folder, str(path.relative_to(folder)), ["step", key])
            parts.append(part[["step", key]].rename(columns={key: "value"}).dropna())
    if not parts:
        return pd.DataFrame(columns=["step", "value"])
    return pd.concat(parts).drop_duplicates("step", keep="last").sort_values("step")


def _places(folder: Path) -> Iterator[Path]:
    """Every run folder below; what lies in one, such as the files of Weights & Biases, is none."""
    for place, names, _ in os.walk(folder):
        if RunFolder(place).is_run:
            yield Path(place)
            names.clear()
        names[:] = [name for name in names if name != "wandb"]


def _unfinished(files: RunFolder, state: State) -> str:
    """Why a run has no scores, as far as its folder tells."""
    if state is State.FAILED:
        return _failed(files)
    return f"unfinished at step {step}" if (step := _last_step(files)) else "unfinished"


def _failed(files: RunFolder) -> str:
    try:
        lines = [line for line in reading.text(files.path, files.error.name).splitlines() if line.strip()]
    except ValueError as error:
        return f"failed: {error}"
    return f"failed: {lines[-1].strip()[:500] if lines else 'see error.txt'}"


def _last_step(files: RunFolder) -> int | None:
    steps = []
    for path in files.metrics:
        with suppress(ValueError):  # nothing was logged yet
            steps.append(int(contents.table(files.path, str(path.relative_to(files.path)), ["step"])["step"].max()))
    return max(steps, default=None)
