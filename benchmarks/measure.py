"""What the benchmarks share: versions timed in turns, a table, and JSON that says when, where and with what.

Seconds are the processor's, of this process (``time.process_time``): whatever else a machine does lengthens them
little, and on one thread of a quiet one they are the clock's. Versions take turns, so that what it does change
meets all of them, and ratios are medians over the turns.
"""

import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

REPEATS, SHORTEST, PATIENCE = 5, 0.5, 20.0
RESULTS = Path(__file__).parent / "results"

Version = Callable[[], object]


def in_turns(
    versions: Mapping[str, Version], repeats: int = REPEATS, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Seconds of every version at every turn, after one call to warm up.

    What is quick is called often enough to last ``SHORTEST`` seconds; what has taken ``PATIENCE`` seconds in all is
    repeated no more, and the first call of what takes that long alone is the only one.
    """

    def seconds(version: Version, calls: int) -> float:
        begun = clock()
        for _ in range(calls):
            version()
        return (clock() - begun) / calls

    first = {name: seconds(version, 1) for name, version in versions.items()}
    calls = {name: max(1, math.ceil(SHORTEST / max(once, 1e-6))) for name, once in first.items()}
    spent = {name: [once] if once > PATIENCE else [] for name, once in first.items()}
    for _ in range(repeats):
        for name, version in versions.items():
            if sum(spent[name]) * calls[name] < PATIENCE:
                spent[name].append(seconds(version, calls[name]))
    return spent


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """How many times as long theirs takes, the median over the turns that both had."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=False))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for torch, BLAS and OpenMP alike."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    with threadpool_limits(count):
        yield
    torch.set_num_threads(before)


def report(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence[float | None]],
    *with_: ModuleType,
    with_gpu: bool = False,
) -> None:
    """Print a table, a line for every version, and write it to ``results/<name>.json`` with the versions used."""
    table = Table(title=title)
    for heading in ("", *columns):
        table.add_column(heading, justify="right" if heading else "left")
    for label, cells in rows.items():
        table.add_row(label, *map(_shown, cells))
    Console(width=120).print(table)
    facts = {
        "title": title,
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if with_gpu else _processor(),
        "versions": {
            "python": platform.python_version(),
            **{library.__name__: library.__version__ for library in (torch, np, *with_)},
        },
        "results": {label: dict(zip(columns, cells, strict=True)) for label, cells in rows.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")


def _shown(cell: float | None) -> str:
    if cell is None:
        return ""
    return f"{cell:.3g}" if abs(cell) < 999.5 else f"{cell:,.0f}"


def _processor() -> str:
    """The processor's name, where the system tells it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()
