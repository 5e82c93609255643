"""(vae, batch, step) to named terms in nats per example; one of them is ``loss``."""

from disentone.objectives.ada_gvae import AdaGVAE
from disentone.objectives.beta_vae import BetaVAE
from disentone.objectives.contrastive import Contrastive
from disentone.objectives.factor_vae import FactorVAE
from disentone.objectives.fsq import FSQ
from disentone.objectives.objective import Evidence, Objective, Terms, evidence
from disentone.objectives.schedules import Constant, Cyclic, Schedule, Warmup
from disentone.objectives.supervised import Supervised

__all__ = [
    "FSQ",
    "AdaGVAE",
    "BetaVAE",
    "Constant",
    "Contrastive",
    "Cyclic",
    "Evidence",
    "FactorVAE",
    "Objective",
    "Schedule",
    "Supervised",
    "Terms",
    "Warmup",
    "evidence",
]
