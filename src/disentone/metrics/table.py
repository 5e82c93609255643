"""Every score, described once: whatever shows, sorts or explains scores reads it here."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from disentone.metrics.arrays import Scores
from disentone.metrics.dci import DCI, dci
from disentone.metrics.dci_es import DCI_ES, dci_es
from disentone.metrics.infomec import INFOMEC, infomec
from disentone.metrics.interventional import (
    BETA_VAE_SCORE,
    FACTOR_VAE_SCORE,
    IRS,
    beta_vae_score,
    factor_vae_score,
    irs,
)
from disentone.metrics.linear_probe import LINEAR_PROBE, linear_probe
from disentone.metrics.mcc import MCC, mcc
from disentone.metrics.med import MED, med
from disentone.metrics.mig import DCIMIG, JEMMIG, MIG, MIG_SUP, dcimig, jemmig, mig, mig_sup
from disentone.metrics.modularity import EXPLICITNESS, MODULARITY, explicitness, modularity
from disentone.metrics.sap import SAP, sap
from disentone.metrics.score import Score
from disentone.metrics.traversal import TRAVERSAL
from disentone.metrics.udr import UDR
from disentone.metrics.unsupervised import UNSUPERVISED, unsupervised


class Metric(NamedTuple):
    """A function of codes and factors, its scores, and what it asks of the factors."""

    score: Callable[..., Scores]
    scores: tuple[Score, ...]
    continuous: bool = False
    """Whether factors may have fractions."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its scores."""
        return tuple(score.key for score in self.scores)

    @property
    def supervised(self) -> bool:
        """Whether it looks at the factors at all."""
        return any(score.needs_labels for score in self.scores)

    @property
    def slow(self) -> bool:
        """Whether it takes minutes."""
        return any(score.slow for score in self.scores)


METRICS: Mapping[str, Metric] = {
    "mig": Metric(mig, MIG),
    "mig_sup": Metric(mig_sup, MIG_SUP),
    "dcimig": Metric(dcimig, DCIMIG),
    "jemmig": Metric(jemmig, JEMMIG),
    "dci": Metric(dci, DCI),
    "sap": Metric(sap, SAP),
    "mcc": Metric(mcc, MCC, continuous=True),
    "modularity": Metric(modularity, MODULARITY),
    "linear_probe": Metric(linear_probe, LINEAR_PROBE),
    "explicitness": Metric(explicitness, EXPLICITNESS),
    "beta_vae_score": Metric(beta_vae_score, BETA_VAE_SCORE),
    "factor_vae_score": Metric(factor_vae_score, FACTOR_VAE_SCORE),
    "irs": Metric(irs, IRS, continuous=True),
    "infomec": Metric(infomec, INFOMEC),
    "med": Metric(med, MED),
    "unsupervised": Metric(unsupervised, UNSUPERVISED, continuous=True),
    "dci_es": Metric(dci_es, DCI_ES),
}
"""In the order in which scores are shown."""
MODELS = (
    *TRAVERSAL,
    Score("active_units", "active units", high=None, higher_is_better=None, needs_labels=False, main=True),
    Score("unexplained_variance", "unexplained variance", high=None, higher_is_better=False, needs_labels=False),
)
"""Scores of a whole model, see :class:`disentone.callbacks.Scores`."""
_term = partial(Score, high=None, unit="nats", needs_labels=False)
TERMS = (
    _term("elbo", "ELBO", low=None, headline=True),
    _term("reconstruction", "reconstruction", low=None, higher_is_better=False, unit="nats, -log p(x|z)", main=True),
    _term("kl", "KL", higher_is_better=None, main=True, headline=True),
    _term("info_nce", "InfoNCE", higher_is_better=False, headline=True),
    _term("fit", "fit", low=None, main=True),
)
"""Terms of objectives that are shown beside scores; they are logged as ``<stage>/<key>``."""
MATRICES: Mapping[str, str] = {
    "mi_matrix": "mutual information (nats)",
    "dci_importance": "importance for prediction",
}
"""Keys of matrices [code factor] and what stands in them."""
SCORES: Mapping[str, Score] = {
    score.key: score
    for score in (*(score for metric in METRICS.values() for score in metric.scores), *MODELS, *UDR, *TERMS)
}
MAIN = tuple(score for score in SCORES.values() if score.main)
HEADLINES = tuple(score for metric in METRICS.values() for score in metric.scores if score.headline)
"""Scores of codes, the first of which ranks settings."""


def described(key: str, own: Mapping[str, Score] | None = None) -> Score:
    """The description of a score, ours or one's ``own``; of one that nobody described its key in words."""
    words = " ".join(re.split("[_/]", key))
    return (
        SCORES.get(key)
        or (own or {}).get(key)
        or Score(key, words, low=None, high=None, higher_is_better=None, needs_labels=False)
    )
