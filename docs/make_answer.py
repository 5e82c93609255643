"""Draws docs/images/answer.png, README's first picture, from the runs of `make sweep`: `make answer`."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure, SubFigure
from PIL import Image

import disentone
from disentone import plots
from disentone.codes import encode
from disentone.image_plots import draw_strips
from disentone.metrics import SCORES
from disentone.metrics.traversal import HIGH, LOW
from disentone.report.answer import Finding, findings, headline
from disentone.report.runs import read_runs
from disentone.report.tables import labelled, table

ROOT = Path(__file__).parents[1]
SWEEP = ROOT / "outputs" / "quickstart_sweep"
COLOURS = {"found": "#9fd8c3", "entangled": "#f6dca6", "missing": "#ececec"}
STEPS = 7


def matrix(figure: SubFigure, found: list[Finding], factors: list[str]) -> None:
    """Setting by factor: the verdict, its colour and the MIG."""
    axes = figure.subplots()
    for row, finding in enumerate(found):
        for column, factor in enumerate(factors):
            verdict = finding.verdicts[factor]
            axes.barh(row, 1, 0.96, left=column, color=COLOURS[verdict], edgecolor="white", linewidth=2)
            text = f"{verdict}\nMIG {finding.score(f'mig/{factor}').median:.2f}"
            weight = "bold" if verdict == "found" else "normal"
            axes.text(column + 0.5, row, text, ha="center", va="center", fontsize=8.5, fontweight=weight)
    axes.set_yticks(
        range(len(found)), [f"{finding.label}\nsupervision: {finding.supervision}" for finding in found], fontsize=8.5
    )
    axes.set_xticks(np.arange(len(factors)) + 0.5, factors, fontsize=9.5)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set(xlim=(0, len(factors)), ylim=(len(found) - 0.5, -0.5))
    axes.spines[:].set_visible(False)


def strips(figure: SubFigure, best: Finding) -> None:
    """For every factor found, its latent walked from where the factor is least to where it is most."""
    ranked = best.results.sort_values("mig")
    folder = SWEEP / str(ranked["run"].iloc[len(ranked) // 2])
    scores = json.loads((folder / "scores.json").read_text())
    run = disentone.load(folder)
    rows = run.data.rows("validation")
    codes = encode(run.model, run.data, rows, torch.device("cpu")).codes
    low, high = torch.quantile(codes, torch.tensor([LOW, HIGH]), dim=0)
    information, names = np.array(scores["mi_matrix"]), scores["settings"]["factors"]
    walks, images, labels = [], [], []
    for factor in best.found:
        latent = int(information[:, names.index(factor)].argmax())
        positions = run.data.positions(rows)[:, names.index(factor)].double()
        rises = np.corrcoef(codes[:, latent].double(), positions)[0, 1] > 0
        ends = (low[latent], high[latent]) if rises else (high[latent], low[latent])
        values = ends[0] + (ends[1] - ends[0]) * torch.linspace(0, 1, STEPS)
        walked = codes[0].repeat(STEPS, 1)
        walked[:, latent] = values
        walks.append(values.tolist())
        images.append(run.model.decode(walked).detach())
        labels.append(f"{factor}: z{latent}")
    draw_strips(figure, torch.stack(images), walks, labels, run.data.frontend)


def main() -> None:
    """Read the sweep, draw, write."""
    runs = [run for run in read_runs(SWEEP) if not run.problem]
    results = labelled(table(runs, SWEEP), runs, SWEEP)
    factors = runs[0].factors
    found = findings(results, factors)
    _, best = headline(found, SCORES["mig"])
    if best is None or not best.found:
        sys.exit(f"no run below {SWEEP} found a factor, so that there is no strip to draw; `make sweep` makes the runs")
    figure = Figure(figsize=(11, 2.2 + 0.55 * len(found) + 1.15 * len(best.found)), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[0.9 + 0.55 * len(found), 0.9 + 1.15 * len(best.found)])
    seeds = results["seed"].nunique()
    commit = str(runs[0].facts.get("git_commit"))[:7]
    date = time.strftime("%Y-%m-%d", time.strptime(str(runs[0].facts["started"])[:10], "%Y-%m-%d"))
    upper.suptitle(
        "Which factors of 20,691 tones did each method find?  "
        f"(make sweep, {'one seed' if seeds == 1 else f'{seeds} seeds'}, {date}, commit {commit})",
        fontsize=10,
    )
    matrix(upper, found, factors)
    lower.suptitle(f"{best.label}: each found factor's latent, walked over its range; the others rest", fontsize=10)
    strips(lower, best)
    path = plots.save(figure, ROOT / "docs" / "images" / "answer.png")
    Image.open(path).convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main()
