import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.signal import find_peaks
from scipy.signal.windows import blackmanharris
from tests.reference import synthesis

from disentone.synths import Additive

PRESETS = Path(__file__).parents[2] / "conf" / "synth"
LAWS = ("exponential", "power", "linear", "linear_per_k")
PRESENCES = ("all", "odd", "even")


@pytest.fixture(scope="module")
def tones() -> Additive:
    return instantiate(OmegaConf.load(PRESETS / "tones.yaml"))


@pytest.fixture(scope="module")
def sampled(tones) -> torch.Tensor:
    """Positions of 100 rows."""
    return tones.space.sample(100, torch.Generator().manual_seed(0))


def render(synth: Additive, positions: torch.Tensor) -> torch.Tensor:
    return synth(synth.space.values(positions), synth.space.rows(positions))


def spectral_peaks(audio: torch.Tensor, floor_db: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and amplitudes of one second's spectral peaks, down to a floor below the highest.

    The window's side lobes lie at -92 dB, four-fold zero padding and a parabola through the logarithm of three
    points leave less than 0.01 Hz and 0.01 dB to the grid.
    """
    window = blackmanharris(len(audio), sym=False)
    magnitude = 2 * np.abs(np.fft.rfft(audio.double().numpy() * window, 4 * len(audio))) / window.sum()
    decibel = 20 * np.log10(np.maximum(magnitude, 1e-12))
    peak, _ = find_peaks(decibel, height=decibel.max() + floor_db)
    left, centre, right = decibel[peak - 1], decibel[peak], decibel[peak + 1]
    offset = 0.5 * (left - right) / (left - 2 * centre + right)
    frequency = (peak + offset) * 16_000 / (4 * len(audio))
    return frequency, 10 ** ((centre - 0.25 * (left - right) * offset) / 20)


def harmonics(audio: torch.Tensor, f0: int) -> np.ndarray:
    """Amplitudes of the harmonics of whole-numbered f0 in one second at 16 kHz: exact, whole periods."""
    return 2 * np.abs(np.fft.rfft(audio.double().numpy()))[f0::f0] / 16_000


# Read back from the sound.


def test_the_lowest_spectral_peak_is_f0(tones, sampled):
    values = tones.space.values(sampled)
    for f0, audio in zip(values[:, 0], render(tones, sampled), strict=True):
        frequencies, _ = spectral_peaks(audio, floor_db=-20)
        assert frequencies[0] == pytest.approx(float(f0), rel=0.01)


def test_the_spectrum_has_the_partials_of_the_formula_and_no_others(tones, sampled):
    held = tones.space.fix(sampled[:50], "decay", 0)
    for (f0, slope, b, _), audio in zip(tones.space.values(held).tolist(), render(tones, held), strict=True):
        frequencies, amplitudes = spectral_peaks(audio, floor_db=-70)
        expected = synthesis.partials(f0, slope, b)
        expected = [(f, a) for f, a in expected if a / expected[0][1] > 10 ** (-70 / 20)]
        assert frequencies == pytest.approx([f for f, _ in expected], rel=1e-4)
        assert amplitudes == pytest.approx([a for _, a in expected], rel=0.01)


def test_the_decay_is_read_back_from_the_first_partial(tones, sampled):
    window = blackmanharris(8000, sym=False)
    for decay in range(11):
        held = tones.space.fix(sampled[decay * 5 : decay * 5 + 5], "decay", decay)
        audio = render(tones, held).double().numpy()
        for f0, clip in zip(tones.space.values(held)[:, 0].tolist(), audio, strict=True):
            # An exponential's halves, seen through the same window, differ by exp(-decay * half a second).
            carrier = window * np.exp(-2j * np.pi * f0 * np.arange(8000) / 16_000)
            halves = abs(clip[:8000] @ carrier), abs(clip[8000:] @ carrier)
            assert 2 * math.log(halves[0] / halves[1]) == pytest.approx(decay, abs=0.05)


def test_the_signal_to_noise_ratio_is_what_the_row_says():
    synth = instantiate(OmegaConf.load(PRESETS / "tones_noisy.yaml"))
    positions = synth.space.sample(20, torch.Generator().manual_seed(1))
    for snr in range(5):
        held = synth.space.fix(positions[snr * 4 : snr * 4 + 4], "snr_db", snr)
        for row, audio in zip(synth.space.values(held).tolist(), render(synth, held), strict=True):
            f0, slope, snr_db, presence, b = row
            clean = synthesis.tone(f0, slope, b, presence=PRESENCES[int(presence)])
            noise = audio.double().numpy() - clean
            measured = 10 * np.log10(np.mean(clean**2) / np.mean(noise**2))
            assert measured == pytest.approx(snr_db, abs=0.5)


def test_the_signal_to_noise_ratio_counts_the_whole_clip_envelope_gain_and_level():
    settings = {"factors": {"f0": {"values": [200, 300]}}, "level_db": 20.0, "gain": "peak"}
    decaying = {"decay": 10, "slope": -0.1}
    values, keys = torch.full((8, 1), 200.0, dtype=torch.float64), torch.arange(8)
    clean = Additive(**settings, fixed=decaying)(values, keys).double()
    noise = Additive(**settings, fixed={**decaying, "snr_db": 10})(values, keys).double() - clean
    measured = 10 * (clean.square().mean(dim=1) / noise.square().mean(dim=1)).log10()
    assert measured.numpy() == pytest.approx(10, abs=0.2)


# Against the reference.


@pytest.mark.parametrize("presence", PRESENCES)
@pytest.mark.parametrize("law", LAWS)
def test_every_law_and_presence_equals_the_float64_reference(law, presence):
    synth = Additive(
        factors={
            "f0": {"start": 60, "stop": 3000, "count": 50, "spacing": "log"},
            "slope": {"start": -0.1, "stop": -0.9, "step": -0.1},
            "inharmonicity": {"start": 0, "stop": 1, "step": 0.1},
            "decay": {"start": 0, "stop": 10, "step": 1},
        },
        fixed={"presence": presence},
        amplitude_law=law,
    )
    keys = torch.arange(16)
    values = synth.space.values(synth.space.continuous(keys, seed=0))
    for row, audio in zip(values.tolist(), synth(values, keys), strict=True):
        expected = synthesis.tone(*row, presence, amplitude_law=law)
        # The bar is -90 dB of full scale; plain float32 phases reach -60 dB, these stay 20 dB below the bar.
        assert 20 * np.log10(np.abs(audio.double().numpy() - expected).max()) < -110


def test_the_plain_law_lets_inharmonicity_raise_the_pitch():
    synth = Additive(factors={"inharmonicity": {"values": [0, 0.5, 1]}}, fixed={"f0": 400}, normalise_fundamental=False)
    for b, audio in zip((0, 0.5, 1), render(synth, torch.arange(3)[:, None]), strict=True):
        frequencies, _ = spectral_peaks(audio, floor_db=-20)
        assert frequencies[0] == pytest.approx(400 * math.sqrt(1 + b), rel=1e-5)
        expected = synthesis.tone(400, inharmonicity=b, normalise_fundamental=False)
        assert np.abs(audio.double().numpy() - expected).max() < 3e-6


def test_inharmonicity_leaves_the_pitch_alone_by_default():
    synth = Additive(factors={"inharmonicity": {"values": [0, 0.5, 1]}}, fixed={"f0": 400})
    for audio in render(synth, torch.arange(3)[:, None]):
        assert spectral_peaks(audio, floor_db=-20)[0][0] == pytest.approx(400, rel=1e-5)


@pytest.mark.parametrize("phase", [False, True])
def test_partials_at_and_above_nyquist_are_silent_and_still_count_in_the_gain(phase):
    # The eighth partial of 1 kHz lies at Nyquist; of 900 Hz the ninth, at 8.1 kHz, would fold back to 7.9 kHz.
    synth = Additive(factors={"f0": {"values": [900, 1000]}}, fixed={"slope": -0.1}, random_phase=phase)
    total = sum(10 ** (-0.1 * k) for k in range(10))
    for f0, heard, audio in zip((900, 1000), (8, 7), render(synth, torch.arange(2)[:, None]), strict=True):
        spectrum = 2 * np.abs(np.fft.rfft(audio.double().numpy())) / 16_000
        expected = np.zeros(8001)
        expected[f0 * np.arange(1, heard + 1)] = 10 ** (-0.1 * np.arange(heard)) / total
        assert np.abs(spectrum - expected).max() < 1e-6


def test_stiff_partials_that_leave_the_band_are_silent(tones):
    # f0 1 kHz, inharmonicity 1: partials at 1, 3.16 and 6.71 kHz, the fourth at 11.66 kHz.
    values = torch.tensor([[1000, -0.1, 1, 0]], dtype=torch.float64)
    frequencies, _ = spectral_peaks(tones(values, torch.zeros(1, dtype=torch.int64))[0], floor_db=-80)
    assert frequencies == pytest.approx([1000, 1000 * math.sqrt(10), 1000 * 3 * math.sqrt(5)], rel=1e-5)


# Amplitudes, in closed form.


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ("exponential", [1, 10**-0.2, 10**-0.4, 10**-0.6, 10**-0.8]),
        ("power", [1, 2**-0.2, 3**-0.2, 4**-0.2, 5**-0.2]),
        ("linear", [1, 0.8, 0.6, 0.4, 0.2]),
        ("linear_per_k", [1, 0.96, 0.92, 0.88, 0.84]),
    ],
)
def test_an_amplitude_law_is_its_formula(law, expected):
    synth = Additive(factors={"slope": {"values": [-0.2, -0.3]}}, fixed={"f0": 200}, partials=5, amplitude_law=law)
    measured = harmonics(render(synth, torch.zeros(1, 1, dtype=torch.int64))[0], 200)
    assert measured[:5] == pytest.approx(np.array(expected) / sum(expected), abs=1e-6)
    assert np.abs(measured[5:]).max() < 1e-6


def test_a_linear_law_ends_at_zero_and_never_turns_round():
    synth = Additive(factors={"slope": {"values": [-0.4, -0.9]}}, fixed={"f0": 200}, amplitude_law="linear")
    measured = harmonics(render(synth, torch.zeros(1, 1, dtype=torch.int64))[0], 200)
    assert measured[:3] == pytest.approx(np.array([1, 0.6, 0.2]) / 1.8, abs=1e-6)
    assert np.abs(measured[3:]).max() < 1e-6


@pytest.mark.parametrize(
    ("presence", "sounding"),
    [("all", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), ("odd", [1, 3, 5, 7, 9]), ("even", [1, 2, 4, 6, 8, 10])],
)
def test_presence_keeps_its_partials_and_shares_the_gain_among_them(presence, sounding):
    synth = Additive(factors={"slope": {"values": [-0.1, -0.2]}}, fixed={"f0": 200, "presence": presence})
    expected = np.zeros(10)
    for k in sounding:
        expected[k - 1] = 10 ** (-0.1 * (k - 1))
    measured = harmonics(render(synth, torch.zeros(1, 1, dtype=torch.int64))[0], 200)
    assert measured[:10] == pytest.approx(expected / expected.sum(), abs=1e-6)


def test_the_fixed_gain_keeps_every_clip_within_full_scale():
    synth = instantiate(OmegaConf.load(PRESETS / "tones.yaml"), random_phase=True)
    positions = synth.space.sample(200, torch.Generator().manual_seed(2))
    assert render(synth, positions).abs().max() <= 1 + 1e-6
    # And reaches it where all partials agree: cosines of one phase, at one instant.
    cosines = sum(a for _, a in synthesis.partials(100, -0.1))
    assert cosines == pytest.approx(1)


# Mistakes.

F0 = {"f0": {"values": [100, 200]}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"partials": 0}, "partials must be at least 1, got 0"),
        (
            {"amplitude_law": "cubic"},
            "amplitude_law must be exponential, power, linear or linear_per_k, got cubic",
        ),
        (
            {"factors": {"f0": {"start": 1000, "stop": 8000, "count": 2}}},
            "f0 reaches 8000 Hz; it must stay below Nyquist, 8000 Hz",
        ),
        (
            {"factors": {"decay": {"values": [0, 1]}}, "fixed": {"f0": 9000}},
            "f0 reaches 9000 Hz; it must stay below Nyquist, 8000 Hz",
        ),
        (
            {"factors": F0, "fixed": {"inharmonicity": 3}, "normalise_fundamental": False, "sample_rate": 400},
            "f0 reaches 200 Hz; it must stay below 100 Hz",
        ),
        ({"factors": {"f0": {"values": [0, 100]}}}, "f0 goes down to 0 Hz; the lowest with a sound is 0.001 Hz"),
        (
            {"factors": {"decay": {"start": -1, "stop": 1, "step": 1}}},
            "decay goes down to -1 1/s; the lowest with a sound is 0 1/s",
        ),
        ({"fixed": {"decay": -0.5}}, "decay goes down to -0.5 1/s; the lowest with a sound is 0 1/s"),
        (
            {"fixed": {"inharmonicity": -0.1}},
            "inharmonicity goes down to -0.1; the lowest with a sound is 0",
        ),
    ],
)
def test_an_impossible_tone_says_what_is_wrong(settings, message):
    with pytest.raises(ValueError) as error:
        Additive(**{"factors": F0, **settings})
    assert str(error.value) == message
