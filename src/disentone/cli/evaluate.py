"""disentone evaluate: scores of a run folder's checkpoint, or of anybody's codes in an .npz file."""

import argparse
import inspect
import json
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_class
from numpy.lib.npyio import NpzFile
from rich.console import Console
from rich.table import Table

from disentone.config import check_node, make_working_folder_importable
from disentone.files import write_atomically
from disentone.metrics.arrays import PRESETS, check_seed
from disentone.metrics.dci import BACKENDS
from disentone.metrics.evaluation import SETS, chosen_metrics, evaluate, for_json, matrices_for_json, numbers
from disentone.metrics.table import METRICS
from disentone.metrics.traversal import traversal
from disentone.run.folder import RunFolder
from disentone.sweep import signals

BACKEND = "lightgbm"
"""What conf/metrics/dlib.yaml gives training, too."""
ROWS = 50_000
LINE = 110


def main(arguments: Sequence[str] | None = None) -> None:
    """Score, print, write. What cannot be scored is one line on standard error and exit status 1, a wrong option 2."""
    command = parser()
    options = command.parse_args(arguments)
    make_working_folder_importable()
    try:
        chosen_metrics(wanted(options), options.dci_backend)
        check_seed(options.seed)
    except ValueError as error:
        command.error(str(error))
    with signals.ending(lambda: "nothing is lost"):
        _evaluate(options)


def _evaluate(options: argparse.Namespace) -> None:
    try:
        source = Path(options.source)
        out = Path(options.out) if options.out else default_out(source, options.preset)
        if out.is_dir():
            raise ValueError(f"--out {out} is a folder; name a file in it")
        if out.resolve() == source.resolve() or RunFolder(out.parent).owns(out):
            raise ValueError(f"--out {out} is a file that would be lost; name another one")
        scores = score_run(source, options) if source.is_dir() else score_file(source, options)
        write_atomically(out, json.dumps(report(scores), indent=2))
        if source.is_dir():
            log(source, scores, out)
    except (ValueError, OSError) as error:
        print(f"disentone evaluate: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    print_scores(scores, title(source, scores["settings"]))
    print(f"written to {out}")


def parser() -> argparse.ArgumentParser:
    """The command's options; its help ends with a line on each metric."""
    described = {**{name: metric.score for name, metric in METRICS.items()}, "traversal": traversal}
    lines = [f"  {name:<18}{first_line(function)}" for name, function in described.items()]
    command = argparse.ArgumentParser(
        "disentone evaluate",
        description="Scores how well codes stand for factors, and writes them next to their source.",
        epilog="\n".join(["metrics (traversal: run folders only):", *lines, "", "docs/metrics.md says more of each."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("source", help="a run folder, or an .npz with codes [row code], factors [row factor]")
    command.add_argument("--preset", choices=PRESETS, default="dlib", help="2019 study's definitions, or mended ones")
    command.add_argument(
        "--metrics", default="fast", help=f"{', '.join(SETS)}, or names with commas (default: fast, all but minutes)"
    )
    command.add_argument("--seed", type=int, default=0, help="of rows and estimators")
    command.add_argument(
        "--chance", action=argparse.BooleanOptionalAction, default=True, help="score permuted factors beside"
    )
    command.add_argument(
        "--dci-backend", choices=BACKENDS, default=BACKEND, help=f"of DCI (default: {BACKEND}, as in training)"
    )
    command.add_argument(
        "--out",
        help="file to write (default: scores_<preset>.json in a run folder, <name>_scores_<preset>.json by a file)",
    )
    command.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="import classes of this package, too, if the run folder names them; may be given more than once",
    )
    return command


def first_line(function: Any) -> str:
    """What a function is for, from its docstring."""
    return (inspect.getdoc(function) or "").splitlines()[0].rstrip(".")


def score_file(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Scores of the arrays in an .npz.

    Raises:
        ValueError: for a file that is none, lacks an array, or holds one that cannot be read.

    """
    if not path.exists():
        raise ValueError(f"{path} does not exist; give a run folder or an .npz file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .npz file; numpy.savez(path, codes=..., factors=...) writes one")
    with np.load(path, allow_pickle=False) as arrays:
        if missing := {"codes", "factors"} - set(arrays.files):
            found = ", ".join(arrays.files) or "nothing"
            raise ValueError(f"{path} has no array {' and no array '.join(sorted(missing))}; it has {found}")
        names = read(path, arrays, "factor_names").tolist() if "factor_names" in arrays.files else None
        return score(read(path, arrays, "codes"), read(path, arrays, "factors"), names, options)


def read(path: Path, arrays: NpzFile, name: str) -> np.ndarray:
    """An array of an .npz.

    Raises:
        ValueError: if it holds objects, or less than it declares, or its bytes are damaged.

    """
    try:
        return arrays[name]
    except (ValueError, MemoryError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: array {name} cannot be read; numpy.savez writes it anew from numbers: {error}"
        ) from error


def score_run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Scores of a run folder's checkpoint on the whole grid (a sample of 50,000 rows of larger ones).

    Raises:
        ValueError: if the folder is no run's.

    """
    # These take seconds to import, which arrays should not have to wait for.
    from disentone import load
    from disentone.callbacks.scores import walk
    from disentone.codes import encode

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = load(folder, device=device, trust=options.trust)
    told = supervision(folder, run, options.trust)
    rows = run.data.evaluation_rows(ROWS)
    codes = encode(run.model, run.data, rows, device).codes
    factors = None if run.data.space is None else run.data.positions(rows)
    scores = score(codes, factors, run.data.factor_names, options)
    walked: dict[str, Any] = {}
    # Data without a grid of factors have no traversal scores.
    if run.data.source.is_grid and run.config.get("metrics", {}).get("traversal", True):
        walked = walk(run.model, run.data, codes, rows, device, options.seed)
    settings = {**scores["settings"], "traversal": walked.get("settings"), "supervision": told}
    return {**scores, **numbers(walked), "settings": settings}


def supervision(folder: Path, run: Any, trust: Sequence[str]) -> str:
    """What a run's method was told: as the run says itself, or before it does, as its objective's class and its data.

    Raises:
        ValueError: for a class that is not trusted, of a run that says nothing yet.

    """
    from disentone.report.runs import read_run
    from disentone.run import trust as trusted

    if said := read_run(folder).about.get("supervision"):
        return str(said)
    trusted.check(run.config, trust, ["objective"])
    check_node("objective", run.config.get("objective"))
    objective: Any = get_class(run.config["objective"]["_target_"])
    return str(objective.supervision(run.data))


def log(folder: Path, scores: Mapping[str, Any], out: Path) -> None:
    """The scores as a run of their own beside the training's, if that is at Weights & Biases."""
    from disentone import loggers
    from disentone.report.runs import read_run

    if project := read_run(folder).project:
        preset = scores["settings"]["preset"]
        loggers.log_beside(folder, project, "evaluate", f"{folder.resolve().name} {preset}", numbers(scores), [out])


def score(
    codes: np.ndarray | torch.Tensor,
    factors: np.ndarray | torch.Tensor | None,
    names: Sequence[str] | None,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """The metrics that the options ask for."""
    return evaluate(
        codes,
        factors,
        metrics=wanted(options),
        preset=options.preset,
        seed=options.seed,
        factor_names=names,
        chance=options.chance,
        dci_backend=options.dci_backend,
    )


def wanted(options: argparse.Namespace) -> str | list[str]:
    """A set's name, or names."""
    return options.metrics if options.metrics in SETS else [name.strip() for name in options.metrics.split(",")]


def default_out(source: Path, preset: str) -> Path:
    """Next to the source and named after it: what a training, a run folder or another file has is left alone."""
    if source.is_dir():
        return source / f"scores_{preset}.json"
    return source.with_name(f"{source.stem}_scores_{preset}.json")


def report(scores: Mapping[str, Any]) -> dict[str, Any]:
    """What the file holds: numbers, matrices as lists, settings."""
    return {**for_json(numbers(scores)), **matrices_for_json(scores), "settings": scores["settings"]}


def title(source: Path, settings: Mapping[str, Any]) -> str:
    """What was scored, and how."""
    words = [str(source), f"preset {settings['preset']}"]
    if "dci" in settings["metrics"]:
        words.append(f"DCI by {settings['dci_backend']}")
    if told := settings.get("supervision"):
        words.append(f"supervision: {told}")
    return ", ".join(words)


def print_scores(scores: Mapping[str, Any], title: str) -> None:
    """One line a score: over all factors, by factor, and chance."""
    settings = scores["settings"]
    whole = [key for key, value in scores.items() if isinstance(value, float) and "/" not in key]
    table = Table()
    table.add_column("")
    for heading in ("score", "chance", *settings["factors"]):
        table.add_column(heading, justify="right")
    for key in whole:
        cells = [key, f"chance/{key}", *(f"{key}/{factor}" for factor in settings["factors"])]
        table.add_row(key, *(f"{scores[cell]:.3f}" if cell in scores else "" for cell in cells))
    print(title)
    # A log file has no width; the table should still be whole there.
    Console(width=None if Console().is_terminal else LINE).print(table)
    reasons, left_out = settings["reasons"], [name for name in METRICS if name not in settings["metrics"]]
    for name in settings["metrics"]:
        if name in reasons:
            print(f"nan: {reasons[name]}")
    if left_out:
        why = f" ({reasons[left_out[0]]})" if left_out[0] in reasons else ""
        print(f"left out: {', '.join(left_out)}{why}")


if __name__ == "__main__":
    main()
