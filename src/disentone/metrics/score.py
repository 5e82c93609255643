"""What a score is called, where it lies and what it needs: said once, beside the function that computes it."""

import re
from typing import Any, NamedTuple, get_type_hints

from beartype import BeartypeConf
from beartype.door import is_bearable

LONGEST = 100


class Score(NamedTuple):
    """One number of a metric or one term of an objective, as everything that shows it describes it."""

    key: str
    """Its name in ``scores.json``, tables and logs."""
    title: str
    """Its name as a person writes it."""
    low: float | None = 0.0
    """The lowest value that it can have, None without a bound."""
    high: float | None = 1.0
    """The highest value that it can have, None without a bound."""
    higher_is_better: bool | None = True
    """None where neither is better."""
    unit: str = ""
    needs_labels: bool = True
    """Whether it compares codes with factors."""
    needs_grid: bool = False
    """Whether the factors must be positions on a grid, of which every row has its place."""
    slow: bool = False
    """Whether it takes minutes."""
    main: bool = False
    """Whether it is one of the scores that are read first: tables, figures and dashboards begin with these."""
    headline: bool = False
    """Whether a line on the screen has room for it. The first of these that runs have ranks their settings."""
    reads_out: bool = False
    """Whether its part for a factor tells how well all codes together predict that factor."""
    short: str = ""
    """A title for narrow columns."""

    @classmethod
    def read(cls, entry: Any) -> "Score":
        """A description that a run folder has in JSON, as ``_asdict`` writes it.

        Raises:
            ValueError: for anything else.

        """
        hints = get_type_hints(cls)
        # An int is welcome where a float is asked for.
        tower = BeartypeConf(is_pep484_tower=True)
        fits = isinstance(entry, dict) and entry.keys() == hints.keys()
        if not fits or not all(is_bearable(entry[name], hint, conf=tower) for name, hint in hints.items()):
            raise ValueError(f"{str(entry)[:LONGEST]!r} describes no score")
        if not re.fullmatch(r"[A-Za-z]\w*", entry["key"]) or max(len(str(value)) for value in entry.values()) > LONGEST:
            raise ValueError(f"{entry['key'][:LONGEST]!r} is no score, or too much is said of it")
        return cls(**entry)

    @property
    def heading(self) -> str:
        """The title that a narrow column has room for."""
        return self.short or self.title

    @property
    def label(self) -> str:
        """The title with the unit, for an axis."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def range(self) -> str:
        """Where it lies, in words; empty for a score that can have any value."""
        if self.low is None:
            return "" if self.high is None else f"at most {self.high:g}"
        return f"from {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"

    @property
    def note(self) -> str:
        """Where it lies and which end is the better one, in words."""
        better = {True: "higher is better", False: "lower is better", None: ""}[self.higher_is_better]
        return ", ".join(filter(None, [self.range, better]))
