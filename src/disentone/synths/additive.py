"""Additive tones: a stiff string's partials under a spectral slope."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from disentone.synths.synth import Partials, Synth, harmonic_numbers


class Additive(Synth):
    """Tones of pitch, spectral slope, harmonic presence, inharmonicity, decay and noise.

    Partial k sounds at k f0 sqrt(1 + B k^2), with inharmonicity B, the stiff string of Fletcher & Rossing,
    divided by sqrt(1 + B) so that B leaves the pitch alone. Amplitudes follow the law, the fixed gain is one
    over their sum, and the envelope is exp(-decay t). Parameters: ``f0`` (Hz), ``slope`` (the law's),
    ``inharmonicity`` (B), ``decay`` (1/s), ``snr_db`` (clean clip's mean square over the noise's),
    ``presence`` (``all``; ``odd``; ``even``, which keeps the fundamental).

    Args:
        partials: how many, before those at or above Nyquist fall silent.
        amplitude_law: a_k is 10^(slope (k-1)) (``exponential``: decades per partial, linear in dB);
            k^slope (``power``); max(0, 1 + slope (k-1)) (``linear``) or, the seed project's own,
            max(0, 1 + slope (k-1)/K) (``linear_per_k``).
        normalise_fundamental: false for the plain law, where inharmonicity raises the pitch.
        **settings: of every :class:`~disentone.synths.synth.Synth`.

    Raises:
        ValueError: for a space with a silent row (f0 at or above Nyquist) or a setting out of range.

    """

    defaults: ClassVar[Mapping[str, float]] = {
        "f0": 220.0,
        "slope": -0.3,
        "inharmonicity": 0.0,
        "presence": 0,
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"presence": ("all", "odd", "even")}

    def __init__(
        self,
        *,
        partials: int = 10,
        amplitude_law: str = "exponential",
        normalise_fundamental: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if partials < 1:
            raise ValueError(f"partials must be at least 1, got {partials}")
        if amplitude_law not in ("exponential", "power", "linear", "linear_per_k"):
            raise ValueError(f"amplitude_law must be exponential, power, linear or linear_per_k, got {amplitude_law}")
        self.num_partials = partials
        self.amplitude_law = amplitude_law
        self.normalise_fundamental = normalise_fundamental
        self.require("decay", 0, math.inf, " 1/s")
        self.require("inharmonicity", 0, math.inf, "")
        stiffest = 1 if normalise_fundamental else math.sqrt(1 + self.extreme("inharmonicity")[1])
        self.require("f0", 1e-3, self.nyquist / stiffest, " Hz", "Nyquist, " if stiffest == 1 else "")
        steepest = self.extreme("slope")[1]
        k = torch.arange(1, partials + 1).double()
        if not self._amplitudes(torch.tensor([[steepest]], dtype=torch.float64), k).sum().isfinite():
            raise ValueError(
                f"slope reaches {steepest:g}; {partials} partials of the {amplitude_law} law grow beyond every number; "
                "a slope of 0 or less lets them fall"
            )

    def partials(self, parameters: Mapping[str, Float64[Tensor, "batch"]]) -> Partials:
        """Frequencies by the stiff string, amplitudes by the law over the partials that are present."""
        f0, slope, b = (parameters[name][:, None] for name in ("f0", "slope", "inharmonicity"))
        k = harmonic_numbers(self.num_partials, f0).double()
        frequencies = k * f0 * torch.sqrt(1 + b * k**2)
        if self.normalise_fundamental:
            frequencies = frequencies / torch.sqrt(1 + b)
        amplitudes = self._amplitudes(slope, k) * self._present(parameters["presence"][:, None], k)
        # Partials that Nyquist silences count too, so that a rising f0 does not raise the others.
        amplitudes = amplitudes / amplitudes.sum(dim=1, keepdim=True)
        return Partials(frequencies, amplitudes, torch.zeros_like(frequencies))

    def _amplitudes(
        self, slope: Float64[Tensor, "batch 1"], k: Float64[Tensor, "partial"]
    ) -> Float64[Tensor, "batch partial"]:
        match self.amplitude_law:
            case "exponential":
                return 10 ** (slope * (k - 1))
            case "power":
                return k**slope
            case "linear":
                return (1 + slope * (k - 1)).clamp(min=0)
            case _:  # linear_per_k
                return (1 + slope * (k - 1) / self.num_partials).clamp(min=0)

    @staticmethod
    def _present(presence: Float64[Tensor, "batch 1"], k: Float64[Tensor, "partial"]) -> Bool[Tensor, "batch partial"]:
        odd, even = k % 2 == 1, (k % 2 == 0) | (k == 1)
        return (presence == 0) | ((presence == 1) & odd) | ((presence == 2) & even)
