"""What happens beside training: scores, pictures, progress. Each writes to the run folder and the loggers."""

from disentone.callbacks.compiled import CompiledNetwork
from disentone.callbacks.held_out import HeldOutScores
from disentone.callbacks.latent_maps import LatentMaps
from disentone.callbacks.listening import Listening
from disentone.callbacks.pictures import Reconstructions, Samples, Traversals
from disentone.callbacks.progress import Progress
from disentone.callbacks.scores import Scores

__all__ = [
    "CompiledNetwork",
    "HeldOutScores",
    "LatentMaps",
    "Listening",
    "Progress",
    "Reconstructions",
    "Samples",
    "Scores",
    "Traversals",
]
