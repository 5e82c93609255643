"""disentone report: the answer of a sweep, as one page and two tables."""

import argparse
import sys

from disentone import errors
from disentone.sweep import signals


def main() -> None:
    """Write report.html, results.csv and scores.csv into the folder."""
    parser = argparse.ArgumentParser(prog="disentone report", description=__doc__)
    parser.add_argument("folder", help="of a sweep or a run, for instance outputs/quickstart_sweep")
    arguments = parser.parse_args()
    # Only now: help should not have to wait for what draws the page.
    from disentone.report import report

    with signals.ending(lambda: "nothing is lost"), errors.readable(sys.argv[1:]):
        print(f"the report is {report(arguments.folder)}")


if __name__ == "__main__":
    main()
