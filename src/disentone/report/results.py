"""The runs of a sweep as one table: on screen, as results.csv, as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import wandb
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from disentone import loggers, plots
from disentone.files import write_atomically
from disentone.report.page import write_report
from disentone.report.runs import Run, read_runs, settings, table

SHOWN = {
    "beta": "{:g}",
    "seed": "{:g}",
    "reconstruction": "{:.1f}",
    "kl": "{:.2f}",
    "active_units": "{:.0f}",
    "mig": "{:.3f}",
    "dci_disentanglement": "{:.3f}",
    "dci_completeness": "{:.3f}",
    "dci_informativeness": "{:.3f}",
    "sap": "{:.3f}",
    "linear_probe": "{:.3f}",
}

HEADINGS = {
    "kl": "KL",
    "mig": "MIG",
    "dci_disentanglement": "DCI D",
    "dci_completeness": "DCI C",
    "dci_informativeness": "DCI I",
    "sap": "SAP",
}


class SweepResults(Callback):
    """Keeps results.csv up to date after every job of a multirun, in whichever process the job ran.

    The table and the figure come at the end, from the files alone (see :func:`finish_sweep`): Hydra does not
    tell a callback of the end of a multirun in which a job failed.
    """

    folder: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Remember the sweep folder for the end."""
        SweepResults.folder = Path(config.hydra.sweep.dir)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Write the table of what is finished so far."""
        if config.hydra.mode.name == "MULTIRUN":
            write(Path(config.hydra.sweep.dir))


def collect(folder: Path) -> pd.DataFrame:
    """One row per finished run below a folder, see :func:`disentone.report.runs.table`."""
    return table(read_runs(folder), folder)


def write(folder: Path) -> pd.DataFrame:
    """Write results.csv into a sweep folder; answers its table."""
    return _write(folder, read_runs(folder))


def _write(folder: Path, runs: Sequence[Run]) -> pd.DataFrame:
    results = table(runs, folder)
    if len(results):
        write_atomically(folder / "results.csv", results.to_csv(index=False))
    return results


def finish_sweep(folder: Path) -> None:
    """Table on screen, results.csv, the figure of scores against beta, the report, and what went wrong."""
    runs = read_runs(folder)
    results = _write(folder, runs)
    if len(results):
        results["setting"] = settings(results["run"].tolist(), runs)
        if results["beta"].notna().all() and "kl" in results:
            groups = ["setting"] if results["setting"].nunique() > 1 else []
            plots.save(plots.scores_against_beta(results, groups), folder / "scores_against_beta.png")
        print_table(results, f"{folder}: {len(results)} finished runs, nats per example")
    if runs:
        page = write_report(folder, runs)
        print(f"the report is {page}")
        _log(folder, runs, results, page)
    if broken := [run for run in runs if run.problem]:
        print(f"{len(broken)} of {len(runs)} runs are not finished:")
        for run in broken:
            print(f"  {run.folder.relative_to(folder)}: {run.problem}")
        print("the same command again skips what is finished, resumes what is not and retries what failed")


def _log(folder: Path, runs: Sequence[Run], results: pd.DataFrame, page: Path) -> None:
    """The answer as a run of the sweep's group at W&B, where the runs themselves are there."""
    project = next((run.project for run in runs if run.project), None)
    if not project or not len(results):
        return
    content: dict[str, Any] = {"results": wandb.Table(dataframe=results)}
    figure = folder / "scores_against_beta.png"
    if figure.exists():
        content["scores_against_beta"] = wandb.Image(str(figure))
    try:
        loggers.log_beside(folder, project, "report", f"{folder.name} report", content, [page, folder / "results.csv"])
    except (wandb.Error, ValueError, OSError) as error:
        print(f"the report was not sent to Weights & Biases: {error}")


def print_table(results: pd.DataFrame, title: str) -> None:
    """The main columns, one line a run."""
    names = ["setting", *SHOWN] if results["setting"].any() else [*SHOWN]
    shown = [name for name in names if name in results and results[name].notna().any()]
    screen = Table(title=title)
    for name in shown:
        screen.add_column(HEADINGS.get(name, name.replace("_", " ")), justify="right")
    for row in results[shown].to_dict("records"):
        screen.add_row(*(SHOWN[name].format(value) if name in SHOWN else str(value) for name, value in row.items()))
    # A log file has no width; the table should still be whole there.
    Console(width=None if Console().is_terminal else 160).print(screen)
