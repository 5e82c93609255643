"""Time of each metric beside its literal version: python -m benchmarks.metrics [--exact].

10,000 codes of 10 dimensions against 4 factors of 19, 9, 11 and 11 values, on one thread; then whole sets by one
call. ``--exact`` adds what takes minutes: DCI with scikit-learn's trees and DCI-ES, once each.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median

import lightgbm
import numpy as np
import sklearn
from benchmarks.measure import in_turns, ratio, report, threads
from sklearn.exceptions import ConvergenceWarning
from tests.reference import metrics as literal

from disentone.metrics import METRICS, check_arrays, draw_rows, evaluate
from disentone.metrics.information import mutual_information
from disentone.metrics.parallel import small_work

SIZES = (19, 9, 11, 11)
ROWS, CODES = 10_000, 10


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
            theirs = literals.get(name)
            found[name] = (
                lambda score=metric.score: score(z, v),
                theirs and (lambda version=theirs: version(z, v)),
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exact", action="store_true", help="the two that take minutes, too")
    exact = parser.parse_args().exact
    # The literal versions use scikit-learn's iterations, converged or not, as the definitions do.
    warnings.simplefilter("ignore", ConvergenceWarning)
    z, v = arrays()
    rows: dict[str, list[float | None]] = {}
    with threads(1):
        for name, (ours, theirs) in pairs(z, v).items():
            seconds = in_turns({"ours": ours} if theirs is None else {"ours": ours, "literal": theirs})
            mine, other = seconds["ours"], seconds.get("literal")
            rows[name] = [median(mine), other and median(other), other and ratio(other, mine)]
            print(f"{name} {median(mine):.3f}", flush=True)
        sets = {
            "all but exact DCI and DCI-ES, dlib": lambda: evaluate(z, v, "fast", "dlib"),
            "fast set with its DCI, robust": lambda: evaluate(z, v, "fast", "robust"),
        }
        for name, seconds in in_turns(sets, repeats=3).items():
            rows[name] = [median(seconds), None, None]
    if exact:
        with small_work():
            for name in ("dci", "dci_es"):
                seconds = in_turns({name: lambda name=name: METRICS[name].score(z, v)}, 1, time.perf_counter)[name]
                rows[f"{name}, exact, all cores, by the clock"] = [median(seconds), None, None]
    title = f"{ROWS} x {CODES} codes, {len(SIZES)} factors; processor's seconds, one thread"
    report("metrics", title, ("seconds", "literal", "ratio"), rows, sklearn, lightgbm)


if __name__ == "__main__":
    main()
