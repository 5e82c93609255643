"""A Weights & Biases workspace that shows a project's sweeps: built from the names under which runs log."""

from collections.abc import Sequence

from wandb_workspaces import workspaces as ws
from wandb_workspaces.reports.v2 import interface as wr

from disentone.config import defaults
from disentone.metrics.score import Score
from disentone.metrics.table import HEADLINES, MAIN, MATRICES, TERMS, described

LOSSES = (*(f"validation/{term.key}" for term in TERMS if term.main), "train/loss")
SHOWN = tuple(score for score in MAIN if score not in TERMS)
PICTURES = ("reconstructions", "traversals")
SOUNDS = ("sounds/reconstruction_0", *(f"sounds/traversal_z{latent}" for latent in range(10)))


def workspace(
    entity: str, project: str, name: str = "disentone", strength: str | None = None, scores: Sequence[str] = ()
) -> ws.Workspace:
    """The dashboard: curves, scores against strength, what models make and sound like, the sweep's answer.

    Runs are grouped by strength, so that a line is the mean over seeds and its band their range.

    Args:
        entity: user or team that owns the project.
        project: as in ``logger.wandb.project``.
        name: of the workspace.
        strength: the option by which the runs are swept, that of ``conf/train.yaml`` by default.
        scores: keys of scores that configs added, beside the table's.

    """
    strength = strength or str(defaults()["strength"])
    word = strength.rpartition(".")[2]
    pictures: list[wr.PanelTypes] = [wr.MediaBrowser(media_keys=[key]) for key in PICTURES]
    sounds = wr.MediaBrowser(media_keys=list(SOUNDS), num_columns=3)
    matrices = wr.MediaBrowser(media_keys=list(MATRICES))
    answer = wr.MediaBrowser(media_keys=["scores_against_strength"])
    shown = (*SHOWN, *map(described, scores))
    curves = [_curve(score.key, score.label) for score in shown]
    panels: list[wr.PanelTypes] = [*curves, *(_against(strength, score) for score in shown)]
    trade_off = wr.ScatterPlot(
        title=f"reconstruction against {HEADLINES[0].title}",
        x=wr.SummaryMetric("validation/reconstruction"),
        y=wr.SummaryMetric(HEADLINES[0].key),
        z=wr.Config(strength),
    )
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            _section(f"Scores and {word}", [*panels, trade_off]),
            _section("Training", [_curve(key, key) for key in LOSSES]),
            _section("What the models make", pictures),
            _section("What the latents sound like", [sounds]),
            _section("Which latent holds which factor", [matrices, _table("scores_by_factor")]),
            _section("The sweep's answer", [answer, _table("results")]),
            _section("What differs between runs", [wr.RunComparer(diff_only="split")]),
        ],
        runset_settings=ws.RunsetSettings(
            groupby=[ws.Config(strength)],
            pinned_columns=[f"config:{strength}.value", *(f"summary:{score.key}" for score in HEADLINES[:2])],
        ),
    )


def _section(name: str, panels: Sequence[wr.PanelTypes]) -> ws.Section:
    return ws.Section(name=name, panels=list(panels), is_open=True)


def _curve(key: str, title: str) -> wr.LinePlot:
    return wr.LinePlot(
        title=title, x="trainer/global_step", y=[key], groupby_aggfunc="mean", groupby_rangefunc="minmax"
    )


def _against(strength: str, score: Score) -> wr.ScatterPlot:
    title = f"{score.title} against {strength.rpartition('.')[2]}"
    return wr.ScatterPlot(title=title, x=wr.Config(strength), y=wr.SummaryMetric(score.key), log_x=True)


def _table(key: str) -> wr.WeavePanelSummaryTable:
    return wr.WeavePanelSummaryTable(table_name=key)
