"""Which factors did which method find, with which supervision? In one sentence, and setting by setting."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentone.metrics.score import Score
from disentone.metrics.table import HEADLINES
from disentone.report.statistics import Summary, summary, verdicts


class Finding(NamedTuple):
    """What the runs of one setting found."""

    label: str
    method: str
    supervision: str
    results: pd.DataFrame
    """The setting's rows of the table of runs."""
    verdicts: dict[str, str]
    """``found``, ``entangled`` or ``missing`` for every factor."""

    def score(self, key: str) -> Summary:
        """Median and interval of a score over the setting's runs; nan for one that they do not have."""
        return summary(self.results[key].to_numpy() if key in self.results else [])

    @property
    def is_judged(self) -> bool:
        """Whether MIG was measured, by which a factor counts as found."""
        return any(f"mig/{factor}" in self.results for factor in self.verdicts)

    @property
    def found(self) -> list[str]:
        """The factors that were found."""
        return [factor for factor, verdict in self.verdicts.items() if verdict == "found"]


def findings(results: pd.DataFrame, factors: Sequence[str]) -> list[Finding]:
    """One finding for each setting and strength, in the order of the table."""
    found = []
    for label, part in results.groupby("label", sort=False):
        rows = part.select_dtypes("number").to_dict("records")
        judged = verdicts([{str(name): float(value) for name, value in row.items()} for row in rows], factors)
        first = part.iloc[0]
        found.append(Finding(str(label), first["method"], first["supervision"], part, judged))
    return found


def headline_scores(results: pd.DataFrame, own: Mapping[str, Score]) -> list[Score]:
    """The headlines' scores that any run has, and behind them those that configs added."""
    shown = (*HEADLINES, *own.values())
    return [score for score in shown if score.key in results and results[score.key].notna().any()]


def headline_score(results: pd.DataFrame, own: Mapping[str, Score]) -> Score | None:
    """The score that settings are ranked by: the first of the headlines' that compares with factors."""
    ranking = (score for score in headline_scores(results, own) if score.needs_labels and score.higher_is_better)
    return next(ranking, None)


def best_of_methods(found: Sequence[Finding], key: str) -> list[Finding]:
    """The setting of each method with the highest median of a score, the best method first."""

    def score(finding: Finding) -> float:
        return float(np.nan_to_num(finding.score(key).median, nan=-1.0))

    methods = dict.fromkeys(finding.method for finding in found)
    best = [max((finding for finding in found if finding.method == method), key=score) for method in methods]
    return sorted(best, key=score, reverse=True)


def headline(found: Sequence[Finding], score: Score | None) -> tuple[str, Finding | None]:
    """One sentence that the numbers support, and the best setting's finding, of which it mainly speaks.

    The best setting comes first, then what the best of every other method found. What was found is judged by MIG, and
    left out where that was not measured.
    """
    if score is None or not found:
        return "no run has a disentanglement score", None
    best, *others = best_of_methods(found, score.key)
    parts = [_of_best(best, score)]
    for other in others:
        settings = sum(finding.method == other.method for finding in found)
        parts.append(_of_other(other, score, settings))
    return "; ".join(parts), best


def _of_best(best: Finding, score: Score) -> str:
    number = best.score(score.key)
    spread = f" [{number.low:.2f}, {number.high:.2f}]" if number.runs > 1 else ""
    over = f"over {number.runs} seeds" if number.runs > 1 else "of one run"
    beside = f"chance/{score.key}"
    chance = f", chance {best.score(beside).median:.2f}" if beside in best.results else ""
    measured = f"{score.title} {number.median:.2f}{spread} {over}{chance}"
    if not best.is_judged:
        return f"{best.label}{_told(best)} is first: {measured}"
    parts = [f"{best.label}{_told(best)} finds {listed(best.found) if best.found else 'no factor by itself'}"]
    for kind, one, several in (
        ("entangled", "stays entangled", "stay entangled"),
        ("missing", "is missing", "are missing"),
    ):
        if names := [factor for factor, verdict in best.verdicts.items() if verdict == kind]:
            parts.append(f"{listed(names)} {one if len(names) == 1 else several}")
    return f"{'; '.join(parts)}; {measured}"


def _of_other(best: Finding, score: Score, settings: int) -> str:
    """What the best of another method's settings found."""
    number = best.score(score.key)
    measured = f"{score.title} {number.median:.2f}" if number.runs else f"{score.title} not measured"
    if not best.is_judged:
        return f"{best.label}{_told(best)}: {measured}"
    if best.found:
        return f"{best.label}{_told(best)} finds {listed(best.found)}, {measured}"
    if settings == 1:
        return f"{best.label}{_told(best)} finds no factor by itself, {measured}"
    return f"{best.method}{_told(best)} finds no factor by itself at any of its {settings} settings, {measured} at most"


def _told(finding: Finding) -> str:
    return f" (supervision: {finding.supervision})" if finding.supervision else ""


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
