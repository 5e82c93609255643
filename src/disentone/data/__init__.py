"""Lightning data modules: loaders carry positions, images are made where the batch is."""

from disentone.data.factor_data import FactorData
from disentone.data.held_out import Correlated, HeldOut, Region
from disentone.data.mnist import MNIST
from disentone.data.synthetic import Sounds, SyntheticData
from disentone.data.views import Views
from disentone.data.visibility import visibility

__all__ = ["MNIST", "Correlated", "FactorData", "HeldOut", "Region", "Sounds", "SyntheticData", "Views", "visibility"]
