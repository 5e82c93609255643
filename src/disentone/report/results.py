"""The runs of a sweep as one table: on screen, as results.csv, as a figure."""

import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
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
from disentone.config import INCIDENTAL, flat
from disentone.files import write_atomically

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

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
    """One row per finished run below a folder: what varies between the runs, their scores, their place.

    ``beta`` is the configured one; the share of it that a schedule had reached in the end is ``final_beta``.
    """
    rows, settings = [], []
    for path in sorted(folder.rglob("scores.json")):
        config = yaml.load((path.parent / "config.yaml").read_text(), Loader=Loader)
        scores = {key: value for key, value in json.loads(path.read_text()).items() if isinstance(value, int | float)}
        if "beta" in scores:
            scores["final_beta"] = scores.pop("beta")
        settings.append({key: str(value) for key, value in flat(config) if not key.startswith(INCIDENTAL)})
        rows.append({"beta": config["objective"].get("beta"), "seed": config["seed"], **scores})
        rows[-1]["run"] = str(path.parent.relative_to(folder))
    if not rows:
        return pd.DataFrame(columns=[*FIRST, "run"])
    varied = [key for key in varying(settings) if key not in ("objective.beta", "seed")]
    table = pd.DataFrame(
        [row | {key: values.get(key, "") for key in varied} for row, values in zip(rows, settings, strict=True)]
    )
    first = [*FIRST[:2], *varied, *(name for name in FIRST[2:] if name in table)]
    table = table[[*first, *(name for name in table if name not in first)]]
    return table.sort_values([*varied, "beta", "seed", "run"], ignore_index=True)


def varying(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The settings that are not the same in all runs, in alphabetical order."""
    names = sorted({name for values in settings for name in values})
    return [name for name in names if len({values.get(name) for values in settings}) > 1]


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
    if results["beta"].notna().all():
        plots.save(plots.scores_against_beta(results, groups(results)), folder / "scores_against_beta.png")
    print_table(results, f"{folder}: {len(results)} finished runs, nats per example")


def groups(results: pd.DataFrame) -> list[str]:
    """The columns of settings other than beta and seed that vary between the runs."""
    return list(takewhile(lambda name: name not in FIRST, results.columns[2:]))


def print_table(results: pd.DataFrame, title: str) -> None:
    """The main columns, one line a run."""
    shown = [*FIRST[:2], *groups(results), *(name for name in SHOWN if name in results)]
    table = Table(title=title)
    for name in shown:
        table.add_column(HEADINGS.get(name, name.replace("_", " ")), justify="right")
    for row in results[shown].to_dict("records"):
        table.add_row(*(SHOWN[name].format(value) if name in SHOWN else str(value) for name, value in row.items()))
    # A log file has no width; the table should still be whole there.
    Console(width=None if Console().is_terminal else 160).print(table)
