"""The runs of a sweep as tables: a row for each run or score, and a name for each setting."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from disentone.metrics.table import MAIN
from disentone.report.runs import Run, own_scores

RESULTS = "results.csv"
# What names a run.
IDENTITY = ("method", "supervision", "strength_name", "strength", "seed")
# The columns that a reader looks for first.
FIRST = tuple(score.key for score in MAIN)


def varying(runs: Sequence[Mapping[str, str]]) -> list[str]:
    """The settings that are not the same in all runs, in alphabetical order."""
    names = sorted({name for values in runs for name in values})
    return [name for name in names if len({values.get(name) for values in runs}) > 1]


def table(runs: Sequence[Run], root: Path) -> pd.DataFrame:
    """One row per finished run: method, supervision, strength, seed, what else varies, its scores, its folder.

    ``strength`` is the configured value of the option called ``strength_name``, empty for a method without; what a
    schedule had made of it in the end is ``final_strength``, where the objective has a term of that name.
    """
    finished = [run for run in runs if not run.problem]
    varied = _varied(finished)
    rows = []
    for run in finished:
        scores = run.numbers
        if run.strength_name in scores:
            scores["final_strength"] = scores.pop(run.strength_name)
        rows.append({**_identity(run, varied), **scores, "run": str(run.folder.relative_to(root))})
    found = pd.DataFrame(rows, columns=None if rows else [*IDENTITY, *FIRST, "run"])
    first = [*IDENTITY, *varied, *(name for name in (*FIRST, *own_scores(finished)) if name in found)]
    found = found[[*first, *(name for name in found if name not in first)]]
    by = ["method", *varied, "strength", "seed", "run"]
    return found.sort_values(by, key=_ordered, ignore_index=True)


def _ordered(column: pd.Series) -> pd.Series:
    """A column as it is sorted: numbers by their size, though settings are text."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().all() else column


def labelled(results: pd.DataFrame, runs: Sequence[Run], root: Path) -> pd.DataFrame:
    """A table of runs with a name for the setting of each, two columns: ``setting`` and ``label``.

    A setting is what decides the numbers, strength and seed excepted, and is read from the configs alone: runs that
    differ in anything else are never taken for seeds of one setting. ``setting`` is empty where all runs share it, and
    ``label`` adds method and strength.

    Args:
        results: as :func:`table` made it.
        runs: those of the table, and perhaps others.
        root: the folder that the column ``run`` counts from.

    """
    by_place = {str(run.folder.relative_to(root)): run for run in runs}
    ordered = [by_place[place] for place in results["run"]]
    several = len({run.method for run in ordered}) > 1
    words = dict[str, str]()
    for method in dict.fromkeys(run.method for run in ordered):
        words |= _words([run for run in ordered if run.method == method])
    settings = [", ".join(filter(None, [run.method if several else "", words[_key(run)]])) for run in ordered]
    labels = [", ".join(filter(None, [run.method, _strength(run), words[_key(run)]])) or "the model" for run in ordered]
    return results.assign(setting=settings, label=labels)


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


def _strength(run: Run) -> str:
    return "" if run.strength is None else f"{run.strength_name} {run.strength:g}"


def _key(run: Run) -> str:
    """What two runs of one setting have in common."""
    return json.dumps([run.method, sorted(item for item in run.settings.items() if item[0] not in run.varied)])


def _words(runs: Sequence[Run]) -> dict[str, str]:
    """The name of every setting among the runs of one method, by its key; empty where there is one setting only.

    The names of the experiments, or the words of the folders' names, are taken where they tell the settings apart,
    since they are short; else the options in which the settings differ.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_key(run), []).append(run)
    if len(groups) == 1:
        return dict.fromkeys(groups, "")
    first = [group[0] for group in groups.values()]
    differing = _differing(first)
    for word in (lambda run: str(run.config.get("name", "")), _folder_words):
        names = {key: {word(run) for run in group} for key, group in groups.items()}
        if all(len(found) == 1 for found in names.values()) and len(set.union(*names.values())) == len(groups):
            return {key: found.pop() for key, found in names.items()}
    return {
        key: ", ".join(f"{name}={run.settings.get(name, '')}" for name in differing)
        for key, run in zip(groups, first, strict=True)
    }


def _folder_words(run: Run) -> str:
    """What a run folder's name says beside strength, seed and method; its whole name where that lists no options."""
    words = run.folder.name.split(",")
    if not all("=" in word for word in words):
        return run.folder.name
    return ", ".join(word for word in words if word.split("=")[0] not in run.varied | {"method"})


def _varied(runs: Sequence[Run]) -> list[str]:
    """The settings that vary between runs of one method; what a method itself brings is told by its name."""
    methods = dict.fromkeys(run.method for run in runs)
    names = (_differing([run for run in runs if run.method == method]) for method in methods)
    return list(dict.fromkeys(name for found in names for name in found))


def _differing(runs: Sequence[Run]) -> list[str]:
    """The settings that vary between runs, beside those that make no other setting."""
    left_out = set[str]().union(*(run.varied for run in runs))
    return [name for name in varying([run.settings for run in runs]) if name not in left_out]


def _identity(run: Run, varied: Sequence[str]) -> dict[str, Any]:
    known = (run.method, run.supervision, run.strength_name, run.strength, run.config.get("seed"))
    return {**dict(zip(IDENTITY, known, strict=True)), **{key: run.settings.get(key, "") for key in varied}}


def _lines(numbers: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for key, value in numbers.items():
        if not key.startswith(("chance/", "untrained/")):
            metric, _, part = key.partition("/")
            beside = {name: numbers.get(f"{name}/{key}", np.nan) for name in ("chance", "untrained")}
            yield {"metric": metric, "part": part, "value": value, **beside}
