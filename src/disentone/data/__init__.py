"""Lightning data modules: loaders carry positions, images are made where the batch is."""

from disentone.data.synthetic import Sounds, SyntheticData

__all__ = ["Sounds", "SyntheticData"]
