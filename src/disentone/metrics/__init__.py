"""Codes and factors to scores: how well the latents stand for the factors, each as a pure function of arrays."""

from disentone.metrics.arrays import Scores, check_arrays, draw_rows
from disentone.metrics.dci import dci
from disentone.metrics.dci_es import dci_es
from disentone.metrics.evaluation import evaluate
from disentone.metrics.extra import ExtraMetric
from disentone.metrics.infomec import infomec
from disentone.metrics.interventional import beta_vae_score, factor_vae_score, irs
from disentone.metrics.linear_probe import linear_probe
from disentone.metrics.mcc import mcc
from disentone.metrics.med import med
from disentone.metrics.mig import dcimig, jemmig, mig, mig_sup
from disentone.metrics.modularity import explicitness, modularity
from disentone.metrics.sap import sap
from disentone.metrics.score import Score
from disentone.metrics.table import METRICS, SCORES
from disentone.metrics.traversal import traversal
from disentone.metrics.udr import udr
from disentone.metrics.unsupervised import unsupervised

__all__ = [
    "METRICS",
    "SCORES",
    "ExtraMetric",
    "Score",
    "Scores",
    "beta_vae_score",
    "check_arrays",
    "dci",
    "dci_es",
    "dcimig",
    "draw_rows",
    "evaluate",
    "explicitness",
    "factor_vae_score",
    "infomec",
    "irs",
    "jemmig",
    "linear_probe",
    "mcc",
    "med",
    "mig",
    "mig_sup",
    "modularity",
    "sap",
    "traversal",
    "udr",
    "unsupervised",
]
