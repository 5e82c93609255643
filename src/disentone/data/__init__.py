"""The data module: which rows of a source train, validate and test, and how they become batches."""

from disentone.data.held_out import Correlated, HeldOut, Region
from disentone.data.module import DataModule
from disentone.data.views import Views
from disentone.data.visibility import visibility

__all__ = ["Correlated", "DataModule", "HeldOut", "Region", "Views", "visibility"]
