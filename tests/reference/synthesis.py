"""Sounds straight from the formulas of additive synthesis: float64, one partial after the other, nothing clever.

The oracle of the synths' tests. It shares no line with them.
"""

import math

import numpy as np


def law(name: str, slope: float, k: int, count: int) -> float:
    """Amplitude of partial k out of ``count``."""
    if name == "exponential":
        return 10.0 ** (slope * (k - 1))
    if name == "power":
        return float(k) ** slope
    if name == "linear":
        return max(0.0, 1 + slope * (k - 1))
    assert name == "linear_per_k"
    return max(0.0, 1 + slope * (k - 1) / count)


def present(presence: str, k: int) -> bool:
    """Whether partial k belongs to the sound: all; the odd ones; the even ones and the first."""
    return {"all": True, "odd": k % 2 == 1, "even": k % 2 == 0 or k == 1}[presence]


def partials(
    f0: float,
    slope: float = -0.3,
    inharmonicity: float = 0.0,
    presence: str = "all",
    *,
    count: int = 10,
    amplitude_law: str = "exponential",
    normalise_fundamental: bool = True,
    sample_rate: int = 16_000,
) -> list[tuple[float, float]]:
    """Frequency in Hz and amplitude of every partial that sounds, after the gain of 1 / sum of amplitudes."""
    spectrum = []
    for k in range(1, count + 1):
        if present(presence, k):
            frequency = k * f0 * math.sqrt(1 + inharmonicity * k**2)
            if normalise_fundamental:
                frequency /= math.sqrt(1 + inharmonicity)
            spectrum.append((frequency, law(amplitude_law, slope, k, count)))
    total = sum(amplitude for _, amplitude in spectrum)
    return [(frequency, amplitude / total) for frequency, amplitude in spectrum if frequency < sample_rate / 2]


def tone(
    f0: float,
    slope: float = -0.3,
    inharmonicity: float = 0.0,
    decay: float = 0.0,
    presence: str = "all",
    *,
    onset: float = 0.0,
    num_samples: int = 16_000,
    sample_rate: int = 16_000,
    **spectrum: object,
) -> np.ndarray:
    """One additive tone, float64; silent before the onset."""
    time = np.arange(num_samples) / sample_rate - onset
    clip = np.zeros(num_samples)
    for frequency, amplitude in partials(
        f0,
        slope,
        inharmonicity,
        presence,
        sample_rate=sample_rate,
        **spectrum,  # type: ignore[arg-type]
    ):
        clip += amplitude * np.sin(2 * np.pi * frequency * time)
    return np.where(time >= 0, clip * np.exp(-decay * np.maximum(time, 0)), 0.0)


def series(waveform: str, k: int) -> float:
    """Fourier coefficient (of the sine) of partial k, for a wave whose peak is 1."""
    if waveform == "sine":
        return 1.0 if k == 1 else 0.0
    if waveform == "triangle":
        return 0.0 if k % 2 == 0 else 8 / math.pi**2 * (-1) ** ((k - 1) // 2) / k**2
    if waveform == "square":
        return 0.0 if k % 2 == 0 else 4 / math.pi / k
    assert waveform == "saw"
    return 2 / math.pi * (-1) ** (k + 1) / k


def wave(
    waveform: str, amplitude: float, f0: float, *, num_samples: int = 16_000, sample_rate: int = 16_000
) -> np.ndarray:
    """One band-limited classic waveform, float64."""
    time = np.arange(num_samples) / sample_rate
    clip = np.zeros(num_samples)
    k = 1
    while k * f0 < sample_rate / 2:
        clip += amplitude * series(waveform, k) * np.sin(2 * np.pi * k * f0 * time)
        k += 1
    return clip
