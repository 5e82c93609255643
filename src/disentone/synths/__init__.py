"""Values to audio: every family of sounds is a set of partials with a common envelope."""

from disentone.synths.additive import Additive
from disentone.synths.synth import Partials, Synth, sum_partials
from disentone.synths.waveforms import Waveforms

__all__ = ["Additive", "Partials", "Synth", "Waveforms", "sum_partials"]
