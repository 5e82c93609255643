"""What happens beside training: scores, pictures, progress. Each writes to the run folder and the loggers."""

from disentone.callbacks.pictures import Reconstructions, Traversals
from disentone.callbacks.progress import Progress
from disentone.callbacks.scores import Scores

__all__ = ["Progress", "Reconstructions", "Scores", "Traversals"]
