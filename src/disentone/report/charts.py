"""Tables to charts that carry their own data: plotly figures with the numbers beside them as a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from disentone.metrics.score import Score
from disentone.metrics.table import SCORES, described
from disentone.plots import COLOURS
from disentone.report.statistics import pareto_front, rank_agreement, summary

SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
GREY = "#8a8a8a"
POINTS = 1_500
WIDE_FROM = 8
AXIS = "strength"


class Chart(NamedTuple):
    """A figure and its numbers."""

    title: str
    figure: go.Figure
    table: pd.DataFrame
    note: str = ""
    wide: bool = False


def metric(runs: pd.DataFrame, score: Score) -> Chart:
    """A score against strength, or by label where other things vary: runs, medians, intervals, chance, untrained."""
    key, figure, lines = score.key, _empty(score.label), []
    x = axis(runs)
    for number, (setting, part) in enumerate(runs.groupby("setting", sort=False) if x == AXIS else [("", runs)]):
        colour, name = COLOURS[number % len(COLOURS)], ", ".join(filter(None, (str(setting), "median")))
        marker = {"color": colour, "symbol": SYMBOLS[number % len(SYMBOLS)], "opacity": 0.55, "size": 7}
        figure.add_scatter(
            x=part[x],
            y=part[key],
            mode="markers",
            marker=marker,
            text=part["run"],
            name=f"{name}, runs",
            showlegend=False,
        )
        medians = [(value, summary(group[key].to_numpy())) for value, group in part.groupby(x, sort=x == AXIS)]
        figure.add_scatter(
            x=[value for value, _ in medians],
            y=[found.median for _, found in medians],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [found.high - found.median for _, found in medians],
                "arrayminus": [found.median - found.low for _, found in medians],
                "thickness": 1.2,
            },
            mode="lines+markers" if x == AXIS else "markers",
            marker={**marker, "opacity": 1, "size": 9},
            line={"color": colour},
            name=name,
        )
        lines += [{"setting": setting, x: value, **found._asdict()} for value, found in medians]
    for beside, dash in (("chance", "dot"), ("untrained", "dash")):
        if f"{beside}/{key}" in runs:
            level = runs.groupby(x, sort=x == AXIS)[f"{beside}/{key}"].median()
            figure.add_scatter(
                x=level.index,
                y=level,
                mode="lines",
                line={"color": GREY, "dash": dash},
                name=beside,
                hoverinfo="y+name",
            )
            lines += [{"setting": beside, x: value, "median": median} for value, median in level.items()]
    _set_axis(figure, runs, x)
    counts = [line["runs"] for line in lines if "runs" in line]
    note = "bars: range of the runs (fewer than 6)"
    if counts and min(counts) >= 6:
        note = "bars: 95 % interval of the median"
    elif counts and max(counts) == 1:
        note = "one run a point"
    table = pd.DataFrame(lines).drop(columns="is_interval", errors="ignore").dropna(axis=1, how="all")
    return Chart(score.title, figure, table, "; ".join(filter(None, [score.note, note])))


def by_part(runs: pd.DataFrame, score: Score, parts: Sequence[str]) -> Chart:
    """Medians of one score for each factor."""
    key, figure, lines = score.key, _empty(score.label), []
    x = axis(runs)
    for number, part in enumerate(parts):
        for setting, group in runs.groupby("setting", sort=False) if x == AXIS else [("", runs)]:
            found = [
                (value, summary(rows[f"{key}/{part}"].to_numpy())) for value, rows in group.groupby(x, sort=x == AXIS)
            ]
            figure.add_scatter(
                x=[value for value, _ in found],
                y=[entry.median for _, entry in found],
                mode="lines+markers" if x == AXIS else "markers",
                marker={"color": COLOURS[number % len(COLOURS)], "symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8},
                name=f"{part} {setting}".strip(),
            )
            lines += [{"part": part, "setting": setting, x: v, **entry._asdict()} for v, entry in found]
    _set_axis(figure, runs, x)
    table = pd.DataFrame(lines).drop(columns="is_interval", errors="ignore")
    return Chart(f"{score.title} by factor", figure, table, "medians over runs")


def curves(runs: pd.DataFrame, key: str) -> Chart:
    """A term over steps, a line for every run, coloured by setting.

    Args:
        runs: one row per logged value, with the columns run, label (of the setting), step and value.
        key: what the values are.

    """
    title = described(key).title
    figure = _empty(title)
    for number, (label, group) in enumerate(runs.groupby("label", sort=False)):
        for seed, (_, run) in enumerate(group.groupby("run", sort=False)):
            figure.add_scatter(
                x=run["step"],
                y=run["value"],
                mode="lines+markers",
                line={"color": COLOURS[number % len(COLOURS)], "width": 1.5},
                marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 5},
                name=str(label),
                legendgroup=str(label),
                showlegend=seed == 0,
            )
    figure.update_xaxes(title="step")
    table = runs.groupby(["label", "step"], sort=False)["value"].median().reset_index()
    return Chart(f"{title} over steps", figure, table, "a line is a run; table: medians over runs")


def trade_off(runs: pd.DataFrame, gain: Score) -> Chart:
    """Every run by what it costs in reconstruction and what it gains in disentanglement, and the Pareto front."""
    cost = SCORES["reconstruction"]
    part = runs[["run", "label", "seed", cost.key, gain.key]].dropna(subset=[cost.key, gain.key])
    front = pareto_front(part[cost.key].to_numpy(), part[gain.key].to_numpy())
    figure = _empty(gain.label)
    for number, (label, these) in enumerate(part.groupby("label", sort=False)):
        marker = {"color": COLOURS[number % len(COLOURS)], "symbol": SYMBOLS[number % len(SYMBOLS)], "size": 9}
        figure.add_scatter(
            x=these[cost.key], y=these[gain.key], mode="markers", marker=marker, text=these["run"], name=str(label)
        )
    best = part[front].sort_values(cost.key)
    figure.add_scatter(
        x=best[cost.key], y=best[gain.key], mode="lines", line={"color": GREY, "dash": "dot"}, name="Pareto front"
    )
    figure.update_xaxes(title=cost.label)
    table = part.assign(on_the_front=np.where(front, "yes", ""))
    return Chart(f"{cost.title} against {gain.title}", figure, table, "left and up is better")


def agreement(runs: pd.DataFrame, scores: Sequence[Score], name: str, note: str) -> Chart:
    """Spearman's correlation of every pair of scores."""
    matrix = rank_agreement(runs[[score.key for score in scores]])
    names = [score.title for score in scores]
    figure = _heat(matrix.to_numpy(), names, names, -1, 1, "RdBu")
    return Chart(name, figure, matrix.reset_index(names=""), note, wide=len(names) > WIDE_FROM)


def heat_map(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str) -> Chart:
    """Codes by factors."""
    table = pd.DataFrame(values, index=list(rows), columns=list(columns)).reset_index(names="")
    return Chart(title, _heat(values, rows, columns, 0, None, "Viridis"), table)


def bars(values: Sequence[float], names: Sequence[str], title: str, unit: str) -> Chart:
    """One bar a name."""
    figure = _empty(unit)
    figure.add_bar(x=list(names), y=list(values), marker={"color": COLOURS[0]}, showlegend=False)
    return Chart(title, figure, pd.DataFrame({"": names, unit: values}))


def scatter(codes: np.ndarray, factor: np.ndarray, names: tuple[str, str], title: str) -> Chart:
    """Rows in the plane of two latents, coloured by a factor's position, where that is known."""
    codes, factor = codes[np.isfinite(factor)], factor[np.isfinite(factor)]
    chosen = np.random.default_rng(0).permutation(len(codes))[:POINTS]
    points, colours = codes[chosen], factor[chosen]
    figure = _empty(names[1])
    marker = {"color": colours, "colorscale": "Viridis", "size": 4, "showscale": True, "colorbar": {"thickness": 8}}
    figure.add_scatter(
        x=points[:, 0].round(3), y=points[:, 1].round(3), mode="markers", marker=marker, showlegend=False
    )
    figure.update_xaxes(title=names[0])
    # Of so many points a table helps nobody: where the factor's values lie on average does.
    means = pd.DataFrame({"position": factor, names[0]: codes[:, 0], names[1]: codes[:, 1]})
    return Chart(title, figure, means.groupby("position", as_index=False).mean(), "table: means by position")


def data(chart: Chart) -> dict[str, Any]:
    """What the page hands to plotly."""
    return chart.figure.to_plotly_json()


def _empty(vertical: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        margin={"l": 52, "r": 12, "t": 12, "b": 44},
        height=300,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": -0.28, "font": {"size": 10}},
        font={"size": 12},
    )
    figure.update_yaxes(title=vertical, gridcolor="rgba(138,138,138,.3)", zeroline=False)
    figure.update_xaxes(gridcolor="rgba(138,138,138,.3)", zeroline=False)
    return figure


def _heat(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], low: float, high: float | None, scale: str
) -> go.Figure:
    figure = _empty("")
    text = [["" if np.isnan(value) else f"{value:.2f}" for value in row] for row in values]
    few = values.size <= 120
    figure.add_heatmap(
        z=[[None if np.isnan(value) else round(float(value), 4) for value in row] for row in values],
        x=list(columns), y=list(rows), zmin=low, zmax=high, colorscale=scale, text=text if few else None,
        texttemplate="%{text}" if few else None, colorbar={"thickness": 8},
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(automargin=True)
    figure.update_layout(height=max(260, 90 + 24 * len(rows)))
    return figure


def axis(runs: pd.DataFrame) -> str:
    """The column that charts are drawn against: strength, if all runs have the same one and it varies, or label."""
    if runs[AXIS].isna().any() or runs["strength_name"].nunique() > 1:
        return "label"
    return AXIS if runs[AXIS].nunique() > 1 or runs["setting"].nunique() == 1 else "label"


def axis_title(runs: pd.DataFrame) -> str:
    """What the charts' axis is called."""
    return str(runs["strength_name"].iloc[0]) if axis(runs) == AXIS else "setting"


def _set_axis(figure: go.Figure, runs: pd.DataFrame, x: str) -> None:
    if x != AXIS:
        figure.update_xaxes(type="category", automargin=True)
        return
    strengths = sorted(runs[AXIS].unique())
    if strengths[0] > 0:
        figure.update_xaxes(type="log")
    figure.update_xaxes(title=axis_title(runs), tickvals=strengths, ticktext=[f"{value:g}" for value in strengths])


def scores(runs: pd.DataFrame, own: Mapping[str, Score]) -> Iterator[Score]:
    """The scores of a table, those that configs added described by their ``own``; no parts, chance, bookkeeping."""
    left_out = ("run", "setting", "label", "strength", "seed", "step", "rows", "final_strength", "loss")
    # What an objective makes of its strength, such as its share of the image's size, only says the strength again.
    repeated = tuple(f"_{name}" for name in runs["strength_name"].unique() if name)
    for key in runs.columns:
        if "/" in key or key in left_out or key.endswith(repeated) or not pd.api.types.is_numeric_dtype(runs[key]):
            continue
        yield described(key, own)
