"""What there is to see: images by row number, and as much of their factors as is known."""

from disentone.sources.digits import Digits
from disentone.sources.source import Rendered, Source, Split
from disentone.sources.tones import Tones

__all__ = ["Digits", "Rendered", "Source", "Split", "Tones"]
