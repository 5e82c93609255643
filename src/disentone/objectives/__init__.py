"""(vae, batch, step) to named terms in nats per example; one of them is ``loss``."""

from disentone.objectives.beta_vae import BetaVAE
from disentone.objectives.contrastive import Contrastive
from disentone.objectives.objective import Evidence, Objective, Terms, evidence
from disentone.objectives.schedules import Constant, Cyclic, Schedule, Warmup

__all__ = [
    "BetaVAE",
    "Constant",
    "Contrastive",
    "Cyclic",
    "Evidence",
    "Objective",
    "Schedule",
    "Terms",
    "Warmup",
    "evidence",
]
