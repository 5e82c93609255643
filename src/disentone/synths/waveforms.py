"""Band-limited classic waveforms, after SynTone (Brima et al. 2024)."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from disentone.synths.synth import Partials, Synth, harmonic_numbers


class Waveforms(Synth):
    """Sine, triangle, square and saw by their Fourier series up to Nyquist, which never alias.

    Scaled so that the peak of the untruncated wave is the amplitude; truncated, a square overshoots it by up
    to 27 % (one partial: a sine of 4/pi). Parameters: ``waveform``, ``amplitude``, ``f0`` (Hz), and the
    ``decay`` (1/s) and ``snr_db`` that every synth has.

    Args:
        **settings: of every :class:`~disentone.synths.synth.Synth`.

    Raises:
        ValueError: for f0 at or above Nyquist or below 20 Hz, an amplitude below 1e-6 or of 1e6 and more, or one that
            gain hides.

    """

    defaults: ClassVar[Mapping[str, float]] = {
        "waveform": 0,
        "amplitude": 1.0,
        "f0": 440.0,
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"waveform": ("sine", "triangle", "square", "saw")}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.require("decay", 0, math.inf, " 1/s")
        self.require("amplitude", 1e-6, 1e6, "")
        self.require("f0", 20, self.nyquist, " Hz", "Nyquist, ")
        if self.gain == "peak" and "amplitude" in self.space.names:
            raise ValueError("gain peak scales every clip to 1, which hides the factor amplitude; use gain fixed")
        self.num_partials = math.ceil(self.nyquist / self.extreme("f0")[0])

    def partials(self, parameters: Mapping[str, Float64[Tensor, "batch"]]) -> Partials:
        """The Fourier series of each sound's waveform."""
        k = harmonic_numbers(self.num_partials, parameters["f0"]).double()
        odd = k % 2
        series = torch.stack(
            [
                (k == 1).double(),
                8 / math.pi**2 * odd * (-1) ** ((k - 1) / 2).floor() / k**2,
                4 / math.pi * odd / k,
                2 / math.pi * (-1) ** (k + 1) / k,
            ]
        )
        amplitudes = series[parameters["waveform"].long()] * parameters["amplitude"][:, None]
        frequencies = parameters["f0"][:, None] * k
        return Partials(frequencies, amplitudes, torch.zeros_like(frequencies))
