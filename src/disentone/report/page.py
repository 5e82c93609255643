"""A sweep's answer as one page that needs nothing but itself."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from disentone.config import deciding, defaults
from disentone.files import write_atomically
from disentone.metrics.score import Score
from disentone.metrics.table import MAIN
from disentone.metrics.udr import UDR, udr
from disentone.provenance import code
from disentone.report import charts, contents
from disentone.report.answer import Finding, findings, headline, headline_score, listed
from disentone.report.charts import Chart
from disentone.report.looks import picked
from disentone.report.runs import Run, logged, own_scores, read_runs
from disentone.report.tables import IDENTITY, RESULTS, labelled, long_table, table
from disentone.run.folder import RunFolder

SEEDS_OF_UDR = 10
MOST_RUNS_LISTED = 50
MOST_CURVES = 60
HARDWARE = ("gpu", "processor", "cores", "system")


def report(folder: str | Path) -> Path:
    """Write report.html, results.csv and scores.csv into a sweep folder; answers the page's path.

    Runs that failed, are damaged or still at work are listed, and left out of the numbers.

    Raises:
        ValueError: for a folder that holds no run at all.

    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"{root}: there is no such folder; give the folder of a sweep or of a run")
    runs = read_runs(root)
    if not runs:
        raise ValueError(f"{root} holds no runs; give the folder of a sweep, for instance outputs/quickstart_sweep")
    return write_report(root, runs)


def write_report(root: Path, runs: Sequence[Run]) -> Path:
    """As :func:`report`, of runs of the folder that were read already: one or more."""
    finished = [run for run in runs if not run.problem]
    damage = [(str(run.folder.relative_to(root)), text) for run in finished for text in run.damage]
    page = Environment(
        loader=PackageLoader("disentone.report", "."),
        autoescape=select_autoescape(("j2", "html")),
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    content: dict[str, Any] = {"title": root.resolve().name, "finished": len(finished), "root": root.resolve()}
    content["broken"] = [(str(run.folder.relative_to(root)), run.problem) for run in runs if run.problem]
    content["warnings"] = _warnings(finished)
    if finished:
        results = table(finished, root)
        write_atomically(root / RESULTS, results.to_csv(index=False))
        write_atomically(root / "scores.csv", long_table(finished, root).to_csv(index=False))
        content |= _answer(labelled(results, finished, root), finished, root, damage)
    content["damage"] = damage
    helpers = {"payload": _payload, "table": _html_table, "identifier": _identifier()}
    html = page.render(**content, **helpers, plotly=Markup(get_plotlyjs()) if finished else "")
    path = root / "report.html"
    write_atomically(path, html)
    return path


def _answer(results: pd.DataFrame, runs: Sequence[Run], root: Path, damage: list[tuple[str, str]]) -> dict[str, Any]:
    """Everything on the page that takes a finished run; what is wrong with a run's files is added to ``damage``."""
    factors = list(dict.fromkeys(name for run in runs for name in run.factors))
    own = own_scores(runs)
    found, gain = findings(results, factors), headline_score(results, own)
    sentence, best = headline(found, gain)
    scores = list(charts.scores(results, own))
    parts = {score: [factor for factor in factors if f"{score.key}/{factor}" in results] for score in scores}
    udrs = _udr(results, root, damage)
    sections = [
        (
            f"Scores by {charts.axis_title(results)}",
            [charts.metric(results, score) for score in scores if score.main],
        ),
        ("Training", _curves(results, root)),
        ("By factor", [charts.by_part(results, score, names) for score, names in parts.items() if len(names) > 1]),
    ]
    if gain and "reconstruction" in results:
        sections.append(("What it costs", [charts.trade_off(results, gain)]))
    if len(udrs):
        sections.append(("Choosing by the agreement of seeds", _selection(udrs, results, gain)))
    varied = [score for score in scores if results[score.key].nunique() > 1]
    if len(results) > 2 and len(varied) > 1:
        note = "Spearman's correlation over runs: do the scores rank the models alike?"
        sections.append(("Do the scores agree?", [charts.agreement(results, varied, "rank agreement", note)]))
    listed_first = ("run", *IDENTITY, *(score.key for score in scores if score.main))
    return {
        "headline": sentence,
        "answer": _matrix(found, factors, gain),
        "factors": factors,
        "gain": gain.title if gain else "",
        "is_mig": gain is not None and gain.key == "mig",
        "told": {run.supervision for run in runs},
        "facts": _facts(runs, results),
        "differences": _differences(runs),
        "sections": [(title, drawn) for title, drawn in sections if drawn],
        "more": [charts.metric(results, score) for score in scores if not score.main],
        "picked": picked(found, best, runs, root, gain.key, damage) if gain and best else [],
        "runs": results[[name for name in listed_first if name in results]],
        "most": MOST_RUNS_LISTED,
    }


def _matrix(found: Sequence[Finding], factors: Sequence[str], gain: Score | None) -> list[dict[str, Any]]:
    """Setting by factor: what was found, and by how much."""
    return [
        {
            "label": finding.label,
            "supervision": finding.supervision,
            "notes": _notes(finding),
            "score": _number(finding, gain.key) if gain else "",
            "cells": [
                (finding.verdicts.get(factor, ""), _number(finding, f"{gain.key}/{factor}") if gain else "")
                for factor in factors
            ],
        }
        for finding in found
    ]


def _notes(finding: Finding) -> str:
    """How many runs a setting has, and how many latents its method kept where it chose among them."""
    notes = [f"{len(finding.results)} seeds"] if len(finding.results) > 1 else []
    kept = (
        sorted(set(finding.results["kept_latents"].dropna().astype(int))) if "kept_latents" in finding.results else []
    )
    return ", ".join(notes + ([f"{' or '.join(map(str, kept))} latents kept"] if kept else []))


def _number(finding: Finding, key: str) -> str:
    """A score of a setting: the median, and the range or interval where there are several runs."""
    score = finding.score(key)
    if not score.runs:
        return ""  # not measured
    return f"{score.median:.2f}" + (f" [{score.low:.2f}, {score.high:.2f}]" if score.runs > 1 else "")


def _curves(results: pd.DataFrame, root: Path) -> list[Chart]:
    """How well validation images fit over steps, for the first runs only: more would be a thicket."""
    parts = [
        logged(root / row["run"], "validation/fit").assign(run=row["run"], label=row["label"])
        for row in results.head(MOST_CURVES).to_dict("records")
    ]
    found = pd.concat(parts)
    note = "In nats: a VAE's ELBO, other log-likelihoods. Compare within one method only. Each line is a run."
    return [charts.curves(found, "validation/fit")._replace(note=note)] if len(found) else []


def _warnings(runs: Sequence[Run]) -> list[str]:
    """What a reader must know before comparing these runs."""
    found = []
    for what, values in (
        ("experiments", [str(run.config.get("name", "unnamed")) for run in runs]),
        ("families of sounds", [json.dumps(run.config.get("synth"), default=str) for run in runs]),
        ("metric presets", [_preset(run) for run in runs]),
        ("states of the code", [name for run in runs for name in _code(run)]),
    ):
        different = sorted(set(values))
        if len(different) > 1:
            names = f" ({listed(different)})" if what in ("experiments", "metric presets") else ""
            found.append(f"These runs are of {len(different)} different {what}{names}. Compare with care.")
    return found


def _code(run: Run) -> list[str]:
    """The code of every session that trained a run."""
    return [code(session) for session in run.facts.get("sessions") or [run.facts]]


def _preset(run: Run) -> str:
    return str(run.about.get("preset"))


def _facts(runs: Sequence[Run], results: pd.DataFrame) -> list[tuple[str, str]]:
    """What was run, with what, on what, for how long."""
    first, seeds = runs[0].facts, results["seed"].nunique()
    hardware = first.get("hardware", {})
    seconds = [float(run.facts["seconds"]) for run in runs if "seconds" in run.facts]
    lines = {
        "runs": f"{len(runs)} finished, {seeds} seed{'s' if seeds > 1 else ''}",
        **{
            str(name): ", ".join(f"{strength:g}" for strength in sorted(part["strength"].unique()))
            for name, part in results[results["strength"].notna()].groupby("strength_name")
        },
        "experiment": listed(sorted({str(run.config.get("name")) for run in runs})),
        "steps": ", ".join(sorted({f"{run.numbers['step']:g}" for run in runs if "step" in run.numbers})),
        "metrics": ", ".join(sorted({_preset(run) for run in runs})),
        "supervision": "; ".join(sorted({f"{run.method}: {run.supervision}" for run in runs})),
        "time": f"{np.median(seconds):.0f} s a run (median), {sum(seconds) / 60:.1f} min together" if seconds else "",
        "hardware": ", ".join(str(hardware[key]) for key in HARDWARE if hardware.get(key)),
        "threads": str(hardware.get("threads", "")),
        "code": "; ".join(dict.fromkeys(name for run in runs for name in _code(run))),
        "versions": ", ".join(f"{name} {version}" for name, version in first.get("packages", {}).items()),
    }
    return [(name, value) for name, value in lines.items() if value]


def _differences(runs: Sequence[Run]) -> pd.DataFrame:
    """What these runs set otherwise than the defaults, one line a setting, all values that it had."""
    usual = deciding(defaults())
    settings = [run.settings for run in runs]
    names = dict.fromkeys(name for found in settings for name in found)
    values = {name: list(dict.fromkeys(found.get(name, "") for found in settings)) for name in names}
    lines = [
        {"setting": name, "here": ", ".join(found), "default": usual.get(name, "")}
        for name, found in values.items()
        if found != [usual.get(name, "")]
    ]
    return pd.DataFrame(lines, columns=["setting", "here", "default"])


def _udr(results: pd.DataFrame, root: Path, damage: list[tuple[str, str]]) -> pd.DataFrame:
    """Agreement between the seeds of each setting, from the codes that their folders hold."""
    rows = []
    for label, group in results.groupby("label", sort=False):
        codes, kls, grid = [], [], None
        for entry in group.to_dict("records")[:SEEDS_OF_UDR]:
            files = RunFolder(root / entry["run"])
            try:
                these, _, numbers, _ = contents.codes(files.path, files.codes.name)
            except ValueError as error:  # that seed is left out
                damage.append((entry["run"], str(error)))
                continue
            grid = numbers if grid is None else grid
            kl = np.array([entry.get(f"kl_per_latent/{j}", np.nan) for j in range(these.shape[1])])
            if np.isnan(kl).all():
                kl = these.var(axis=0)  # of a kind of latents without KL; those that vary are informative
            if np.array_equal(numbers, grid) and np.isfinite(kl).all():
                codes.append(these)
                kls.append(kl)
        if len(codes) > 1:
            found = udr(codes, kls)
            scores = {score.key: found[score.key] for score in UDR}
            same = {key: group[key].iloc[0] for key in ("setting", "strength_name", "strength")}
            rows.append({"label": label, **same, "seeds": len(codes), **scores})
    return pd.DataFrame(rows)


def _selection(udrs: pd.DataFrame, results: pd.DataFrame, gain: Score | None) -> list[Chart]:
    named = udrs.assign(run=udrs["label"])
    note = "how well the seeds of a setting agree"
    found = [charts.metric(named, score)._replace(note=note) for score in UDR]
    if len(udrs) > 2 and gain:
        known = [score for score in MAIN if score.key in results]
        medians = results.groupby("label")[[score.key for score in known]].median().reset_index()
        both = udrs.merge(medians, on="label")
        note = "Spearman's correlation over settings: does agreement between seeds choose as the labels would?"
        found.append(charts.agreement(both, [*UDR, *known], "UDR against the labelled scores", note))
    return found


def _payload(chart: Chart) -> Markup:
    """A figure as JSON that cannot end its script element."""
    return Markup(chart.figure.to_json().replace("<", "\\u003c"))


def _html_table(frame: pd.DataFrame, most: int = 400) -> Markup:
    shown = frame.head(most)
    html = shown.to_html(index=False, border=0, na_rep="", float_format=lambda value: f"{value:.4g}")
    left = f"<p>and {len(frame) - most} more, see results.csv</p>" if len(frame) > most else ""
    return Markup(f'<div class="scroll">{html}</div>{left}')


def _identifier() -> Any:
    """Numbers for the elements of a page."""
    numbers = iter(range(10**9))
    return lambda: next(numbers)
