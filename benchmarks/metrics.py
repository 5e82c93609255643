"""Time of each metric beside its literal version: python -m benchmarks.metrics [--exact].

10,000 codes of 10 dimensions against 4 factors of 19, 9, 11 and 11 values, on one thread, medians of interleaved
repeats; then whole sets by one call on two. ``--exact`` adds what takes minutes: DCI with scikit-learn's trees and
DCI-ES, once each.
"""

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import numpy as np
import sklearn
import torch
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from tests.reference import metrics as literal
from threadpoolctl import threadpool_limits

from disentone.metrics import METRICS, check_arrays, draw_rows, evaluate
from disentone.metrics.information import mutual_information
from disentone.metrics.parallel import small_work

SIZES = (19, 9, 11, 11)
ROWS, CODES = 10_000, 10
REPEATS, PATIENCE = 5, 30.0
FOLDER = Path(__file__).parent / "results"


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Codes that mix the factors and add noise: what a trained model looks like."""
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, size, ROWS) for size in SIZES], axis=1)
    mixed = (factors / factors.std(axis=0)) @ rng.normal(size=(len(SIZES), CODES))
    return mixed * rng.uniform(0.2, 1, CODES) + 0.5 * rng.normal(size=(ROWS, CODES)), factors


def pairs(z: np.ndarray, v: np.ndarray) -> dict[str, tuple[Callable[[], object], Callable[[], object] | None]]:
    """Ours and the literal version of each metric, where there is one on codes and factors."""
    train, test = draw_rows(ROWS, 10_000, 5_000, seed=0)
    literals = {
        **{name: getattr(literal, name) for name in ("mig", "mig_sup", "dcimig", "jemmig", "modularity", "med", "irs")},
        **{name: getattr(literal, name) for name in ("beta_vae_score", "factor_vae_score")},
        "unsupervised": lambda z, v: literal.unsupervised(z),
        "sap": lambda z, v: literal.sap(z, v, train, test),
        "explicitness": lambda z, v: literal.explicitness(z, v, train, test),
        "infomec": lambda z, v: literal.infomec(z, v, train, train),
    }
    checked = check_arrays(z, v)
    found: dict[str, tuple[Callable[[], object], Callable[[], object] | None]] = {
        "MI matrix": (lambda: mutual_information(*checked), lambda: literal.information_matrix(z, v)),
        "MI matrix, robust": (lambda: mutual_information(*checked, robust=True), None),
        "dci, lightgbm": (lambda: METRICS["dci"].score(z, v, backend="lightgbm"), None),
    }
    for name, metric in METRICS.items():
        if name not in ("dci", "dci_es"):
            theirs = literals[name]
            found[name] = (lambda score=metric.score: score(z, v), lambda version=theirs: version(z, v))
    return found


def medians(ours: Callable[[], object], theirs: Callable[[], object] | None) -> tuple[float, float | None]:
    """Median seconds of both in turns; a version that takes long is repeated less often."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for function, times in zip((ours, theirs), spent, strict=True):
            if function is not None and sum(times) < PATIENCE:
                begun = time.perf_counter()
                function()
                times.append(time.perf_counter() - begun)
    return statistics.median(spent[0]), statistics.median(spent[1]) if spent[1] else None


def seconds(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exact", action="store_true", help="the two that take minutes, too")
    exact = parser.parse_args().exact
    # The literal versions use scikit-learn's iterations, converged or not, as the definitions do.
    warnings.simplefilter("ignore", ConvergenceWarning)
    z, v = arrays()
    results: dict[str, dict[str, float | None]] = {}
    torch.set_num_threads(1)
    # Both sides on one thread, scikit-learn's own included.
    with threadpool_limits(1):
        for name, (ours, theirs) in pairs(z, v).items():
            mine, other = medians(ours, theirs)
            results[name] = {"seconds": mine, "literal": other, "ratio": other / mine if other else None}
            print(f"{name} {mine:.3f}", flush=True)
    torch.set_num_threads(2)
    for name, preset in (("all but exact DCI and DCI-ES, dlib", "dlib"), ("fast set with its DCI, robust", "robust")):
        times = [seconds(lambda preset=preset: evaluate(z, v, "fast", preset)) for _ in range(3)]
        results[f"{name}, 2 threads"] = {"seconds": statistics.median(times), "literal": None, "ratio": None}
    if exact:
        for name in ("dci", "dci_es"):
            with small_work():
                took = seconds(lambda name=name: METRICS[name].score(z, v))
            results[f"{name}, exact, 2 threads"] = {"seconds": took, "literal": None, "ratio": None}
    report(results)


def report(results: dict[str, dict[str, float | None]]) -> None:
    table = Table(title=f"{ROWS} x {CODES} codes, {len(SIZES)} factors")
    for heading in ("", "seconds", "literal", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in results.items():
        cells = (row["seconds"], row["literal"], row["ratio"])
        table.add_row(name, *("" if cell is None else f"{cell:.3g}" for cell in cells))
    Console(width=90).print(table)
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": platform.processor() or platform.machine(),
        "versions": {
            "python": platform.python_version(),
            **{library.__name__: library.__version__ for library in (torch, np, sklearn, lightgbm)},
        },
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "metrics.json").write_text(json.dumps({**facts, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
