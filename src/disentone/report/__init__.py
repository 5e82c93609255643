"""Run folders to an answer."""

from disentone.report.page import report
from disentone.report.results import SweepResults, finish_sweep, print_answer, print_run

__all__ = ["SweepResults", "finish_sweep", "print_answer", "print_run", "report"]
