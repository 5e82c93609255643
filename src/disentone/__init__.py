"""Learning what a sound is made of, and measuring how well."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from disentone.loading import Run, load
    from disentone.run.api import train

__all__ = ["Run", "__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("disentone")
    # Imported when asked for: scoring arrays should not have to wait for Lightning.
    if name in ("Run", "load"):
        from disentone import loading

        return getattr(loading, name)
    if name == "train":
        from disentone.run import api

        return api.train
    raise AttributeError(f"module disentone has no attribute {name}")
