"""The runs of a sweep as one table: on screen, as results.csv, as a figure."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import wandb
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from disentone import loggers, plots
from disentone.files import PARTIAL, write_atomically
from disentone.metrics.table import HEADLINES
from disentone.report.answer import findings, headline, headline_score, headline_scores
from disentone.report.page import write_report
from disentone.report.runs import Run, own_scores, read_run, read_runs
from disentone.report.tables import RESULTS, labelled, table

NARROW = 80
"""Columns of a screen."""
MOST_SCORES = 3
"""Of ours, that the table at a sweep's end has room for."""
FIGURE = "scores_against_strength.png"
BETWEEN_TABLES = 60.0
"""Seconds."""


class SweepResults(Callback):
    """Writes results.csv after a job of a multirun, in whichever process it ran, at most once a minute.

    The table and the figure come at the end, from the files alone (see :func:`finish_sweep`): Hydra does not
    tell a callback of the end of a multirun in which a job failed.
    """

    folder: ClassVar[Path | None] = None
    read: ClassVar[float] = 0.0
    """When this process last read all runs: as long as none is finished there is no file that says so."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Remember the sweep folder for the end, and whether its runs can be online."""
        SweepResults.folder, SweepResults.read = Path(config.hydra.sweep.dir), 0.0
        if "logger=csv" not in config.hydra.overrides.task:
            loggers.choose_mode()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Write the table of what is finished so far: all runs are read for it."""
        if config.hydra.mode.name != "MULTIRUN":
            return
        folder = Path(config.hydra.sweep.dir)
        try:
            is_recent = time.time() - (folder / RESULTS).stat().st_mtime < BETWEEN_TABLES
        except FileNotFoundError:
            is_recent = time.time() - SweepResults.read < BETWEEN_TABLES
        if not is_recent:
            SweepResults.read = time.time()
            with suppress(OSError):  # the end writes it again, and says what is wrong
                write(folder)


def write(folder: Path) -> pd.DataFrame:
    """Write results.csv into a sweep folder; answers its table."""
    results = table(read_runs(folder), folder)
    if len(results):
        write_atomically(folder / RESULTS, results.to_csv(index=False))
    return results


def finish_sweep(folder: Path) -> None:
    """Table on screen, results.csv, the figure of scores against strength, the report, and what went wrong."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)  # of a command that was killed
    runs = read_runs(folder)
    results = table(runs, folder)
    if len(results):
        results = labelled(results, [run for run in runs if not run.problem], folder)
        print_answer(results, runs)
    try:
        _write_answer(folder, runs, results)
    except OSError as error:
        print(f"the answer could not be written: {error}")
    repeating = [run for run in runs if run.repeats]
    for run in repeating:
        print(f"left out: {run.folder.relative_to(folder)} {run.problem}")
    if broken := [run for run in runs if run.problem and not run.repeats]:
        print(f"{len(broken)} of {len(runs)} runs are not finished:")
        for run in broken:
            print(f"  {run.folder.relative_to(folder)}: {run.problem}")
        print("the same command again skips what is finished, resumes what is not and retries what failed")


def _write_answer(folder: Path, runs: Sequence[Run], results: pd.DataFrame) -> None:
    """The tables and the page, and the figure."""
    if not runs:
        return
    page = write_report(folder, runs)
    if len(results):
        swept = results[results["strength"].notna()]
        if len(swept) and "kl" in swept:
            groups = [name for name in ("strength_name", "setting") if swept[name].nunique() > 1]
            plots.save(plots.scores_against_strength(swept, groups), folder / FIGURE)
        print(f"{len(results)} finished runs in {folder}; every score is in {RESULTS}")
    print(f"the report is {page}")
    _log(folder, runs, results, page)


def _log(folder: Path, runs: Sequence[Run], results: pd.DataFrame, page: Path) -> None:
    """The answer as a run of the sweep's group at W&B, where the runs themselves are there."""
    project = next((run.project for run in runs if run.project), None)
    if not project or not len(results):
        return
    content: dict[str, Any] = {"results": wandb.Table(dataframe=results)}
    figure = folder / FIGURE
    if figure.exists():
        content[figure.stem] = wandb.Image(str(figure))
    loggers.log_beside(folder, project, "report", f"{folder.name} report", content, [page, folder / RESULTS])


def print_answer(results: pd.DataFrame, runs: Sequence[Run]) -> None:
    """The headline, and below it a line for every setting: supervision, the factors found, the first scores."""
    factors = list(dict.fromkeys(name for run in runs for name in run.factors))
    found = findings(results, factors)
    own = own_scores(runs)
    sentence, _ = headline(found, headline_score(results, own))
    # A log file has no width; the table should be whole there, and fit a terminal of the usual one.
    console = Console(width=None if Console().is_terminal else NARROW)
    console.print(f"\n{sentence}\n", highlight=False, markup=False)
    screen = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("setting", "supervision", "factors found"):
        screen.add_column(name, overflow="fold")
    several = max(len(finding.results) for finding in found) > 1
    if several:
        screen.add_column("seeds", justify="right")
    ours = headline_scores(results, {})[:MOST_SCORES]
    shown = ours + [score for score in headline_scores(results, own) if score.key in own]
    for score in shown:
        screen.add_column(escape(score.heading), justify="right", no_wrap=True, min_width=5)
    for finding in found:
        medians = [finding.score(score.key) for score in shown]
        numbers = [f"{median.median:.3f}" if median.runs else "" for median in medians]
        names = f"{len(finding.found)} of {len(finding.verdicts)}" + (
            f": {', '.join(finding.found)}" if finding.found else ""
        )
        seeds = [str(len(finding.results))] if several else []
        screen.add_row(escape(finding.label), finding.supervision, escape(names), *seeds, *numbers)
    console.print(screen)


def print_run(folder: Path) -> None:
    """A finished run's scores beside chance and the untrained network, its folder, and how to get its page."""
    run = read_run(folder)
    if run.problem:
        return
    results = labelled(table([run], folder), [run], folder)
    own = own_scores([run])
    sentence, _ = headline(findings(results, run.factors), headline_score(results, own))
    console = Console(width=None if Console().is_terminal else NARROW)
    console.print(f"\n{sentence}", highlight=False, markup=False)
    for score in (*HEADLINES, *own.values()):
        if score.key in run.numbers:
            beside = [
                f"{level} {run.numbers[f'{level}/{score.key}']:.3f}"
                for level in ("chance", "untrained")
                if f"{level}/{score.key}" in run.numbers
            ]
            line = f"  {score.heading:<6} {run.numbers[score.key]:.3f}   {'   '.join(beside)}"
            console.print(line, highlight=False, markup=False)
    print(f"the run is {folder}")
    print(f"disentone report {folder} writes its page, with sounds and pictures")
