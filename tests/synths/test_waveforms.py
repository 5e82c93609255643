from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import signal
from tests.reference import synthesis

from disentone.synths import Waveforms

PRESET = Path(__file__).parents[2] / "conf" / "synth" / "syntone.yaml"
NAMES = ("sine", "triangle", "square", "saw")


def waves(f0: float, amplitude: float = 1.0, **settings: object) -> np.ndarray:
    """One second of each of the four."""
    synth = Waveforms(factors={"waveform": {"labels": NAMES}}, fixed={"f0": f0, "amplitude": amplitude}, **settings)
    rows = torch.arange(4)
    return synth(synth.space.values(rows[:, None]), rows).double().numpy()


def test_a_wave_equals_the_float64_fourier_series():
    synth = instantiate(OmegaConf.load(PRESET))
    positions = synth.space.sample(64, torch.Generator().manual_seed(0))
    values = synth.space.values(positions)
    for (waveform, amplitude, f0), audio in zip(values.tolist(), synth(values, positions[:, 0]), strict=True):
        expected = synthesis.wave(NAMES[int(waveform)], amplitude, f0)
        # The bar is -90 dB of full scale; plain float32 phases reach -60 dB.
        assert 20 * np.log10(np.abs(audio.double().numpy() - expected).max()) < -110


def test_the_fourier_coefficients_are_those_of_the_ideal_waves():
    # 500 Hz: whole periods in a second, so the transform reads every coefficient exactly. 16 * 500 is Nyquist.
    k = np.arange(1, 16)
    odd = k % 2
    expected = {
        "sine": k == 1,
        "triangle": 8 / np.pi**2 * odd * np.array([1, 0, -1, 0] * 4)[:15] / k**2,
        "square": 4 / np.pi * odd / k,
        "saw": 2 / np.pi * np.array([1, -1] * 8)[:15] / k,
    }
    for name, audio in zip(NAMES, waves(500, 0.7), strict=True):
        spectrum = np.fft.rfft(audio) * 2 / 16_000
        assert -spectrum.imag[500:8000:500] == pytest.approx(0.7 * expected[name], abs=1e-6)
        spectrum.imag[500:8000:500] = 0
        assert np.abs(spectrum).max() < 1e-6, "no cosines, nothing between the harmonics, nothing at Nyquist"


def test_far_from_their_jumps_truncated_waves_are_the_ideal_ones():
    # 399 partials of 20 Hz. A jump rings like 1 / (partials * distance): 2 % of full scale at a twentieth period.
    phase = 20 * np.arange(16_000) / 16_000
    sine, triangle, square, saw = waves(20, 0.8)
    assert sine == pytest.approx(0.8 * np.sin(2 * np.pi * phase), abs=1e-6)
    assert triangle == pytest.approx(0.8 * signal.sawtooth(2 * np.pi * phase + np.pi / 2, 0.5), abs=0.8 * 1.1e-3)
    far = np.abs((phase % 0.5) - 0.25) < 0.2
    assert square[far] == pytest.approx(0.8 * signal.square(2 * np.pi * phase)[far], abs=0.02)
    far = np.abs((phase + 0.5) % 1 - 0.5) < 0.45
    assert saw[far] == pytest.approx(0.8 * signal.sawtooth(2 * np.pi * phase + np.pi)[far], abs=0.02)
    assert saw[far].max() == pytest.approx(0.8 * 0.9, abs=0.02)


@pytest.mark.parametrize("f0", [440, 999, 2600])
def test_nothing_lies_between_the_harmonics_where_aliases_would(f0):
    for name, audio in zip(NAMES, waves(f0), strict=True):
        spectrum = 2 * np.abs(np.fft.rfft(audio)) / 16_000
        spectrum[f0::f0] = 0
        assert spectrum.max() < 1e-6, name


def test_a_square_above_a_third_of_nyquist_is_a_sine_of_four_over_pi():
    sine, _, square, _ = waves(2668)
    assert square == pytest.approx(4 / np.pi * sine, abs=1e-6)


def test_the_amplitude_scales_the_wave():
    assert waves(700, 0.3) == pytest.approx(0.3 * waves(700, 1.0), abs=1e-6)


def test_decay_and_noise_belong_to_waveforms_too():
    factors = {"decay": {"values": [0, 4]}}
    clean = Waveforms(factors=factors, fixed={"waveform": "saw", "f0": 440})
    noisy = Waveforms(factors=factors, fixed={"waveform": "saw", "f0": 440, "snr_db": 20})
    rows = torch.arange(2)
    values = clean.space.values(rows[:, None])
    plain, rough = clean(values, rows).double().numpy(), noisy(values, rows).double().numpy()
    envelope = np.exp(-4 * np.arange(16_000) / 16_000)
    assert plain[1] == pytest.approx(plain[0] * envelope, abs=1e-6)
    ratio = 10 * np.log10((plain**2).mean(axis=1) / ((rough - plain) ** 2).mean(axis=1))
    assert ratio == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize(
    ("factors", "fixed", "message"),
    [
        (
            {"f0": {"start": 440, "stop": 8000, "count": 3}},
            {},
            "f0 reaches 8000 Hz; it must stay below Nyquist, 8000 Hz",
        ),
        ({"f0": {"values": [10, 440]}}, {}, "f0 goes down to 10 Hz; the lowest with a sound is 20 Hz"),
        ({"amplitude": {"values": [0, 1]}}, {}, "amplitude goes down to 0; the lowest with a sound is 1e-06"),
        ({"f0": {"values": [220, 440]}}, {"decay": -1}, "decay goes down to -1 1/s; the lowest with a sound is 0 1/s"),
    ],
)
def test_an_impossible_wave_says_what_is_wrong(factors, fixed, message):
    with pytest.raises(ValueError) as error:
        Waveforms(factors=factors, fixed=fixed)
    assert str(error.value) == message
