"""A run trained anew, score by score beside the first time."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from disentone.config import flat
from disentone.files import write_atomically
from disentone.provenance import code
from disentone.run.folder import RunFolder

TOLERANCE = 0.05
"""How far scores may differ where versions, machine or number of threads do: of the score, or of 1 where it is less."""
SHOWN = 10


class Reproduction(NamedTuple):
    """What came out of training a run a second time."""

    equal: int
    """How many numbers are equal to the last bit."""
    differing: dict[str, tuple[float | None, float | None]]
    """The others, as they were and as they are; None for one that is missing or undefined."""
    circumstances: dict[str, tuple[str, str]]
    """What else was different: versions, code, machine, threads."""
    exact: bool
    """Whether every bit must be equal: nothing else was different, and one thread of a CPU computed all."""

    @property
    def largest(self) -> float:
        """The largest difference, as a share of the score or of 1, infinite where one of the two is missing."""
        return max(map(_distance, self.differing.values()), default=0.0)

    @property
    def succeeded(self) -> bool:
        """Whether all is equal, or within the tolerance where equal bits cannot be expected."""
        return not self.differing if self.exact else self.largest <= TOLERANCE


def compare(original: RunFolder, again: RunFolder) -> Reproduction:
    """Every number of two finished runs."""
    before, now = (_numbers(folder) for folder in (original, again))
    equal = {key for key in before.keys() & now.keys() if before[key] == now[key]}
    differing = {key: (before.get(key), now.get(key)) for key in sorted((before.keys() | now.keys()) - equal)}
    old, new = (_circumstances(json.loads(folder.record.read_text())["sessions"]) for folder in (original, again))
    changed = {
        key: (old.get(key, ""), new.get(key, ""))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }
    exact = not changed and new.get("hardware.threads") == "1" and new.get("hardware.gpu") == "None"
    return Reproduction(len(equal), differing, changed, exact)


def tell(original: RunFolder, again: RunFolder) -> int:
    """Print and write down how a run and its second training compare; answers the command's exit status."""
    found = compare(original, again)
    write_atomically(
        again.path / "reproduction.json",
        json.dumps({"original": str(original.path), "tolerance": TOLERANCE, **found._asdict()}, indent=2),
    )
    print("\n".join(_lines(original, found)))
    return 0 if found.succeeded else 1


def _lines(original: RunFolder, found: Reproduction) -> Iterator[str]:
    for name, (before, now) in found.circumstances.items():
        yield f"  {name} was {before}, is {now}"
    if not found.differing:
        yield f"{original.path} is reproduced: all {found.equal} numbers are equal to the last bit"
        return
    yield f"{found.equal} numbers are equal to the last bit, {len(found.differing)} differ:"
    ranked = sorted(found.differing.items(), key=lambda item: -_distance(item[1]))
    for key, pair in ranked[:SHOWN]:
        yield f"  {key} was {_written(pair[0])}, is {_written(pair[1])}"
    if len(ranked) > SHOWN:
        yield f"  and {len(ranked) - SHOWN} more, see reproduction.json"
    if found.exact:
        yield "the code, the versions and the machine are the same, and so should every bit be: it is not reproduced"
        return
    verdict = "within" if found.succeeded else "beyond"
    yield (
        f"the largest difference is {found.largest:.2g}, {verdict} the tolerance of {TOLERANCE:g} "
        "(of the score, or of 1 where that is more)"
    )


def _distance(pair: tuple[float | None, float | None]) -> float:
    before, now = pair
    if before is None or now is None:
        return math.inf
    return abs(now - before) / max(abs(before), 1.0)


def _numbers(folder: RunFolder) -> dict[str, float | None]:
    scores = json.loads(folder.scores.read_text())
    return {key: value for key, value in scores.items() if value is None or isinstance(value, int | float)}


def _circumstances(sessions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What may move a number: code, versions, machine and threads; of several sessions all that there were."""
    found: dict[str, list[str]] = {}
    for session in sessions:
        known = {name: session.get(name) for name in ("python", "packages", "hardware")}
        for name, value in [("code", code(session)), *flat(known)]:
            found.setdefault(name, []).append(str(value))
    return {name: ", then ".join(dict.fromkeys(values)) for name, values in found.items()}


def _written(value: float | None) -> str:
    return "undefined or missing" if value is None else f"{value:.6g}"
