"""(vae, batch, step) to named terms in nats per example; one of them is ``loss``."""

from disentone.objectives.beta_vae import BetaVAE
from disentone.objectives.contrastive import Contrastive
from disentone.objectives.objective import Objective, Terms, kl_per_latent
from disentone.objectives.schedules import Constant, Cyclic, Schedule, Warmup

__all__ = ["BetaVAE", "Constant", "Contrastive", "Cyclic", "Objective", "Schedule", "Terms", "Warmup", "kl_per_latent"]
