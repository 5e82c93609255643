"""Lightning data modules: loaders carry positions, images are made where the batch is."""

from disentone.data.held_out import Correlated, HeldOut, Region
from disentone.data.synthetic import Sounds, SyntheticData

__all__ = ["Correlated", "HeldOut", "Region", "Sounds", "SyntheticData"]
