"""Learning, without labels, what a sound is made of, and measuring how well."""

from importlib.metadata import version

__version__ = version("disentone")
