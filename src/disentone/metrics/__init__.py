"""Codes and factors to scores: how well the latents stand for the factors, each as a pure function of arrays."""

from disentone.metrics.arrays import Scores, check_arrays, draw_rows
from disentone.metrics.dci import dci
from disentone.metrics.evaluation import METRICS, evaluate
from disentone.metrics.mig import mig
from disentone.metrics.sap import sap

__all__ = ["METRICS", "Scores", "check_arrays", "dci", "draw_rows", "evaluate", "mig", "sap"]
