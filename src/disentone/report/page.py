"""A sweep's answer as one page that needs nothing but itself."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from PIL import Image
from plotly.offline import get_plotlyjs

from disentone.config import defaults, flat
from disentone.files import write_atomically
from disentone.metrics.udr import udr
from disentone.report import charts
from disentone.report.answer import Finding, best_of_methods, findings, headline, headline_score, listed
from disentone.report.charts import Chart
from disentone.report.runs import Run, labelled, logged, long_table, read_runs, table

MAIN = ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "sap", "reconstruction", "kl")
SEEDS_OF_UDR = 10
MOST_RUNS_LISTED = 50
MOST_CURVES = 60
HARDWARE = ("gpu", "processor", "cores", "system")


class Picked(NamedTuple):
    """One run to look at closely."""

    why: str
    run: Run
    charts: Sequence[Chart]
    walks: pd.DataFrame
    pictures: Sequence[tuple[str, str]]
    sounds: Sequence[Mapping[str, Any]]


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
        write_atomically(root / "results.csv", results.to_csv(index=False))
        write_atomically(root / "scores.csv", long_table(finished, root).to_csv(index=False))
        content |= _answer(labelled(results, finished, root), finished, root)
    helpers = {"payload": _payload, "table": _html_table, "identifier": _identifier()}
    html = page.render(**content, **helpers, plotly=Markup(get_plotlyjs()) if finished else "")
    path = root / "report.html"
    write_atomically(path, html)
    return path


def _answer(results: pd.DataFrame, runs: Sequence[Run], root: Path) -> dict[str, Any]:
    """Everything on the page that takes a finished run."""
    factors = list(dict.fromkeys(name for run in runs for name in run.factors))
    found, gain = findings(results, factors), headline_score(results)
    sentence, best = headline(found, gain)
    keys = list(charts.main_keys(results))
    parts = {
        key: [factor for factor in factors if f"{key}/{factor}" in results]
        for key in ("mig", "dci_completeness", "dci_informativeness", "sap", "explicitness", "linear_probe")
    }
    udrs = _udr(results, root)
    sections = [
        (
            "Scores by beta" if charts.axis(results) == "beta" else "Scores by setting",
            [charts.metric(results, key) for key in MAIN if key in results],
        ),
        ("Training", _curves(results, root)),
        ("By factor", [charts.by_part(results, key, names) for key, names in parts.items() if len(names) > 1]),
    ]
    if gain and "reconstruction" in results:
        sections.append(("What it costs", [charts.trade_off(results, gain)]))
    if len(udrs):
        sections.append(("Choosing by the agreement of seeds", _selection(udrs, results, gain)))
    scored = [key for key in keys if results[key].nunique() > 1]
    if len(results) > 2 and len(scored) > 1:
        note = "Spearman's correlation over runs: do the scores rank the models alike?"
        sections.append(("Do the scores agree?", [charts.agreement(results[scored], "rank agreement", note)]))
    return {
        "headline": sentence,
        "answer": _matrix(found, factors, gain),
        "factors": factors,
        "gain": charts.title(gain) if gain else "",
        "is_mig": gain == "mig",
        "told_of_neighbours": any(run.supervision == "generator's neighbours" for run in runs),
        "facts": _facts(runs, results),
        "differences": _differences(runs),
        "sections": [(title, drawn) for title, drawn in sections if drawn],
        "more": [charts.metric(results, key) for key in keys if key not in MAIN],
        "picked": _picked(found, best, runs, root, gain) if gain and best else [],
        "runs": results[[name for name in ("run", "method", "supervision", "beta", "seed", *MAIN) if name in results]],
        "most": MOST_RUNS_LISTED,
    }


def _matrix(found: Sequence[Finding], factors: Sequence[str], gain: str | None) -> list[dict[str, Any]]:
    """Setting by factor: what was found, and by how much."""
    return [
        {
            "label": finding.label,
            "supervision": finding.supervision,
            "notes": _notes(finding),
            "score": _number(finding, gain) if gain else "",
            "cells": [(finding.verdicts.get(factor, ""), _number(finding, f"{gain}/{factor}")) for factor in factors],
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
    note = "In nats: a VAE's ELBO, a read-out's log-likelihood. Compare within one method only. Each line is a run."
    return [charts.curves(found, "validation/fit")._replace(note=note)] if len(found) else []


def _warnings(runs: Sequence[Run]) -> list[str]:
    """What a reader must know before comparing these runs."""
    found = []
    for what, values in (
        ("experiments", [str(run.config.get("name", "unnamed")) for run in runs]),
        ("families of sounds", [json.dumps(run.config.get("synth"), default=str) for run in runs]),
        ("metric presets", [_preset(run) for run in runs]),
        ("states of the code", [f"{run.facts.get('git_commit')} {run.facts.get('git_changes')}" for run in runs]),
    ):
        different = sorted(set(values))
        if len(different) > 1:
            names = f" ({listed(different)})" if what in ("experiments", "metric presets") else ""
            found.append(f"These runs are of {len(different)} different {what}{names}. Compare with care.")
    return found


def _preset(run: Run) -> str:
    return str(run.about.get("preset"))


def _facts(runs: Sequence[Run], results: pd.DataFrame) -> list[tuple[str, str]]:
    """What was run, with what, on what, for how long."""
    first, seeds = runs[0].facts, results["seed"].nunique()
    hardware = first.get("hardware", {})
    seconds = [float(run.facts["seconds"]) for run in runs if "seconds" in run.facts]
    lines = {
        "runs": f"{len(runs)} finished, {seeds} seed{'s' if seeds > 1 else ''}",
        "beta": ", ".join(f"{beta:g}" for beta in sorted(results["beta"].dropna().unique())),
        "experiment": listed(sorted({str(run.config.get("name")) for run in runs})),
        "steps": ", ".join(sorted({f"{run.numbers['step']:g}" for run in runs if "step" in run.numbers})),
        "metrics": ", ".join(sorted({_preset(run) for run in runs})),
        "supervision": "; ".join(sorted({f"{run.method}: {run.supervision}" for run in runs})),
        "time": f"{np.median(seconds):.0f} s a run (median), {sum(seconds) / 60:.1f} min together" if seconds else "",
        "hardware": ", ".join(str(hardware[key]) for key in HARDWARE if hardware.get(key)),
        "threads": str(hardware.get("threads", "")),
        "commit": f"{first.get('git_commit')}{' with changes' if first.get('git_dirty') else ''}",
        "versions": ", ".join(f"{name} {version}" for name, version in first.get("packages", {}).items()),
    }
    return [(name, value) for name, value in lines.items() if value]


def _differences(runs: Sequence[Run]) -> pd.DataFrame:
    """What these runs set otherwise than the defaults, one line a setting, all values that it had."""
    usual = {key: str(value) for key, value in flat(defaults())}
    settings = [run.settings for run in runs]
    names = dict.fromkeys(name for found in settings for name in found)
    values = {name: list(dict.fromkeys(found.get(name, "") for found in settings)) for name in names}
    lines = [
        {"setting": name, "here": ", ".join(found), "default": usual.get(name, "")}
        for name, found in values.items()
        if found != [usual.get(name, "")]
    ]
    return pd.DataFrame(lines, columns=["setting", "here", "default"])


def _picked(found: Sequence[Finding], best: Finding, runs: Sequence[Run], root: Path, gain: str) -> list[Picked]:
    """The median run of the best setting and of each other method's best, or of a sole method's extreme betas."""
    groups = {"the best setting's median run": best}
    for other in best_of_methods(found, gain)[1:]:
        groups[f"the median run of {other.method}'s best setting"] = other
    setting = best.results["setting"].iloc[0]
    alike = [finding for finding in found if finding.results["setting"].iloc[0] == setting]
    if len(groups) == 1 and len(alike) > 1:
        ordered = sorted(alike, key=lambda finding: float(finding.results["beta"].iloc[0]))
        groups |= {"the smallest beta's median run": ordered[0], "the largest beta's median run": ordered[-1]}
    by_name = {str(run.folder.relative_to(root)): run for run in runs}
    chosen: dict[str, str] = {}
    for why, finding in groups.items():
        ranked = finding.results.sort_values(gain, na_position="first")
        name = str(ranked["run"].iloc[len(ranked) // 2])
        chosen[name] = f"{chosen[name]}, {why}" if name in chosen else why
    return [_look_at(why, by_name[name]) for name, why in chosen.items()]


def _look_at(why: str, run: Run) -> Picked:
    """What one run's folder has to show and to play."""
    found: list[Chart] = []
    names = _latents(run)
    for key, title in (("mi_matrix", "mutual information (nats)"), ("dci_importance", "importance for prediction")):
        if key in run.scores:
            found.append(charts.heat_map(np.array(run.scores[key], dtype=np.float64), names, run.factors, title))
    kl = [run.numbers.get(f"kl_per_latent/{j}", np.nan) for j in range(len(names))]
    if np.isfinite(kl).any():
        found.append(charts.bars(kl, names, "what each latent carries", "KL (nats)"))
    found += _scatters(run, kl)
    judged = [key for key in ("purity", "monotonicity", "range") if f"traversal_{key}" in run.numbers]
    walks = pd.DataFrame(
        [
            {"latent": name, **{key: run.numbers.get(f"traversal_{key}/{j}") for key in judged}}
            for j, name in enumerate(names)
            if judged
        ]
    )
    sounds = _sounds(run.folder / "sounds")
    # What is there to be heard has its picture beside it.
    kinds = (*(() if sounds else ("reconstructions", "traversals")), "samples", "latent_map")
    return Picked(why, run, found, walks, _pictures(run.folder / "figures", kinds), sounds)


def _latents(run: Run) -> list[str]:
    """Names of a run's latents; those that the method left out are no failure and say so."""
    count = int(run.about.get("codes") or 0)
    return [f"z{j} (left out)" if j in run.left_out else f"z{j}" for j in range(count)]


def _pictures(folder: Path, kinds: Sequence[str]) -> list[tuple[str, str]]:
    """The last picture of each kind, with its name; those that cannot be read are left out."""
    found = []
    for name in kinds:
        path = max(folder.glob(f"{name}_[0-9]*.png"), default=None)
        with suppress(OSError):
            found += [(name.replace("_", " "), _picture(path))] if path else []
    return found


def _scatters(run: Run, kl: Sequence[float]) -> list[Chart]:
    try:
        with np.load(run.folder / "codes.npz", allow_pickle=False) as arrays:
            codes, factors = arrays["codes"], arrays["factors"]
            names = [str(name) for name in arrays["factor_names"]]
    except Exception:  # missing or damaged: the page goes without
        return []
    if codes.ndim != 2 or codes.shape[1] < 2 or len(kl) != codes.shape[1]:
        return []
    # The two most used ones; points have no KL, and the kept ones come first.
    first, second = sorted(np.argsort(-np.asarray(kl), kind="stable")[:2].tolist())
    return [
        charts.scatter(codes[:, [first, second]], factors[:, k], (f"z{first}", f"z{second}"), f"codes by {name}")
        for k, name in enumerate(names)
    ]


def _sounds(folder: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads((folder / "sounds.json").read_text())
        return [
            {
                "title": entry["title"],
                "width": "strips" if len(entry["audio"]) == 1 else "pairs",  # a traversal is long and low
                "picture": _picture(folder / entry["picture"]),
                "audio": {label: _mp3(folder / file) for label, file in entry["audio"].items()},
            }
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError, soundfile.SoundFileError):
        return []  # no sound, or not yet


def _udr(results: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Agreement between the seeds of each setting, from the codes that their folders hold."""
    rows = []
    for label, group in results.groupby("label", sort=False):
        codes, kls, grid = [], [], None
        for entry in group.to_dict("records")[:SEEDS_OF_UDR]:
            try:
                with np.load(root / entry["run"] / "codes.npz", allow_pickle=False) as arrays:
                    these, numbers = arrays["codes"], arrays["rows"]
            except Exception:  # missing or damaged: that seed is left out
                continue
            grid = numbers if grid is None else grid
            kl = np.array([entry.get(f"kl_per_latent/{j}", np.nan) for j in range(these.shape[1])])
            if np.isnan(kl).all():
                kl = these.var(axis=0)  # points have no KL; those that vary are informative
            if np.array_equal(numbers, grid) and np.isfinite(kl).all() and np.isfinite(these).all():
                codes.append(these)
                kls.append(kl)
        if len(codes) > 1:
            found = udr(codes, kls)
            scores = {key: found[key] for key in ("udr_spearman", "udr_lasso")}
            same = {key: group[key].iloc[0] for key in ("setting", "beta")}
            rows.append({"label": label, **same, "seeds": len(codes), **scores})
    return pd.DataFrame(rows)


def _selection(udrs: pd.DataFrame, results: pd.DataFrame, gain: str | None) -> list[Chart]:
    named = udrs.assign(run=udrs["label"])
    note = "how well the seeds of a setting agree"
    found = [charts.metric(named, key)._replace(note=note) for key in ("udr_spearman", "udr_lasso")]
    if len(udrs) > 2 and gain:
        keys = [key for key in MAIN if key in results]
        medians = results.groupby("label")[keys].median().reset_index()
        both = udrs.merge(medians, on="label").drop(columns=["label", "setting", "beta", "seeds"])
        note = "Spearman's correlation over settings: does agreement between seeds choose as the labels would?"
        found.append(charts.agreement(both, "UDR against the labelled scores", note))
    return found


def _picture(path: Path) -> str:
    """A PNG as WebP: every browser shows it, at a fraction of the size."""
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        picture.convert("RGB").save(buffer, "WEBP", quality=80)
    return _uri(buffer, "image/webp")


def _mp3(path: Path) -> str:
    """A WAV as MP3: every browser plays it, at a fifth of the size."""
    samples, rate = soundfile.read(path)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III")
    return _uri(buffer, "audio/mpeg")


def _uri(buffer: io.BytesIO, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


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
