"""Run folders to an answer."""

from disentone.report.page import report
from disentone.report.results import SweepResults, collect, print_table, write

__all__ = ["SweepResults", "collect", "print_table", "report", "write"]
