"""The runs of a sweep as one table: on screen, as results.csv, as a figure."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import yaml
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from disentone import plots
from disentone.files import write_atomically

FIRST = [
    "beta",
    "seed",
    "reconstruction",
    "kl",
    "active_units",
    "mig",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "sap",
]
SHOWN = {
    "beta": "{:g}",
    "seed": "{:d}",
    "reconstruction": "{:.1f}",
    "kl": "{:.2f}",
    "active_units": "{:.0f}",
    "mig": "{:.3f}",
    "dci_disentanglement": "{:.3f}",
    "dci_completeness": "{:.3f}",
    "dci_informativeness": "{:.3f}",
    "sap": "{:.3f}",
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
    """One row per finished run below a folder: its settings, its scores, its place, ordered by beta and seed."""
    rows = []
    for path in sorted(folder.rglob("scores.json")):
        config = yaml.safe_load((path.parent / "config.yaml").read_text())
        scores = json.loads(path.read_text())
        numbers = {key: value for key, value in scores.items() if isinstance(value, int | float)}
        beta = config["objective"]["beta"]
        rows.append({**numbers, "beta": beta, "seed": config["seed"], "run": str(path.parent.relative_to(folder))})
    if not rows:
        return pd.DataFrame(columns=[*FIRST, "run"])
    table = pd.DataFrame(rows)
    columns = [name for name in FIRST if name in table]
    table = table[[*columns, *(name for name in table if name not in columns)]]
    return table.sort_values(["beta", "seed", "run"], ignore_index=True)


def write(folder: Path) -> pd.DataFrame:
    """Write results.csv into a sweep folder; answers its table."""
    results = collect(folder)
    if len(results):
        write_atomically(folder / "results.csv", results.to_csv(index=False))
    return results


def finish_sweep(folder: Path) -> None:
    """Table on screen, results.csv, and the figure of scores against beta."""
    results = write(folder)
    if not len(results):
        return
    chance = results.filter(regex="^chance/").rename(columns=lambda name: name.removeprefix("chance/"))
    plots.save(plots.scores_against_beta(results, chance), folder / "scores_against_beta.png")
    print_table(results, f"{folder}: {len(results)} finished runs, nats per example")


def print_table(results: pd.DataFrame, title: str) -> None:
    """The main columns, one line a run."""
    shown = [name for name in SHOWN if name in results]
    table = Table(title=title)
    for name in shown:
        table.add_column(HEADINGS.get(name, name.replace("_", " ")), justify="right")
    for _, row in results.iterrows():
        table.add_row(*(SHOWN[name].format(int(row[name]) if name == "seed" else row[name]) for name in shown))
    # A log file has no width; the table should still be whole there.
    Console(width=None if Console().is_terminal else 120).print(table)
