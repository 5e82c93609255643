"""All metrics and their chance on codes with known answers: python -m benchmarks.known_cases [all]."""

import sys

from rich.console import Console
from rich.table import Table
from tests.metrics.cases import CASES

from disentone.metrics import METRICS, evaluate


def main() -> None:
    metrics = sys.argv[1] if len(sys.argv) > 1 else "fast"
    for preset in ("dlib", "robust"):
        table = Table(title=f"{preset}, score (chance); DCI by lightgbm")
        table.add_column("")
        columns = []
        for name, case in CASES.items():
            columns.append(evaluate(*case(), metrics=metrics, preset=preset, chance=True, dci_backend="lightgbm"))
            table.add_column(name, justify="right")
        for key in (key for metric in METRICS.values() for key in metric.keys if key in columns[0]):
            table.add_row(key, *(f"{scores[key]:.2f} ({scores[f'chance/{key}']:.2f})" for scores in columns))
        Console(width=150).print(table)


if __name__ == "__main__":
    main()
