"""Sound from images: as near as promised, silent for silence, never beyond full scale, and always the same."""

import numpy as np
import pytest
import torch

from disentone.data import DataModule
from disentone.frontends import CQT, STFT, VQT, Frontend, Mel, Waveform
from disentone.frontends.frontend import decibel_image, linear_magnitude
from disentone.frontends.inversion import sinusoids
from disentone.sources import Tones
from disentone.synths import Additive

FACTORS = {
    "f0": {"unit": "Hz", "start": 100, "stop": 1000, "step": 50},
    "slope": {"start": -0.1, "stop": -0.9, "step": -0.1},
    "inharmonicity": {"start": 0, "stop": 1, "step": 0.1},
    "decay": {"unit": "1/s", "start": 0, "stop": 10, "step": 1},
}
# Median spectral convergence that each must reach.
FRONTENDS = {"cqt": (CQT(), 0.25), "vqt": (VQT(), 0.25), "stft": (STFT(), 0.15), "mel": (Mel(), 0.25)}


def lowest_peak(audio: np.ndarray, near: float) -> float:
    """Frequency of the largest spectral peak within half an octave of a frequency, by a long padded transform."""
    spectrum = np.abs(np.fft.rfft(audio[:8192] * np.hanning(8192), 1 << 17))
    frequencies = np.fft.rfftfreq(1 << 17, 1 / 16_000)
    band = (frequencies > 0.71 * near) & (frequencies < 1.41 * near)
    return float(frequencies[band][spectrum[band].argmax()])


@pytest.mark.parametrize("name", FRONTENDS)
def test_tones_come_back(name: str) -> None:
    frontend, bar = FRONTENDS[name]
    data = DataModule(Tones(Additive(factors=FACTORS), frontend), mode="on_the_fly")
    rows = torch.randperm(data.num_rows, generator=torch.Generator().manual_seed(0))[:12]
    audio = data.audio(rows)
    found = frontend.invert(frontend(audio), 16_000)
    assert found.shape == audio.shape
    assert found.abs().max() <= 1
    ours, theirs = frontend.power(found).sqrt(), frontend.power(audio).sqrt()
    convergence = (ours - theirs).flatten(1).norm(dim=1) / theirs.flatten(1).norm(dim=1)
    assert convergence.median() < bar
    pitches = data.space.values(data.positions(rows))[:, 0].tolist()
    cents = [abs(1200 * np.log2(lowest_peak(x.numpy(), f0) / f0)) for x, f0 in zip(found, pitches, strict=True)]
    assert np.median(cents) < 20


@pytest.mark.parametrize("frontend", [CQT(hop=1024), VQT(hop=1024), STFT(), Mel(), Waveform()])
def test_silence_stays_silent_beside_a_sound_and_nothing_is_drawn(frontend: Frontend) -> None:
    audio = torch.zeros(2, 4_000)
    audio[1] = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(4_000) / 16_000)
    images = frontend(audio)
    state = torch.get_rng_state()
    found = frontend.invert(images, 4_000)
    assert torch.equal(torch.get_rng_state(), state)
    assert found[0].abs().max() == 0
    assert found[1].abs().max() > 0.2
    assert torch.equal(frontend.invert(images, 4_000), found)
    with torch.inference_mode():
        assert torch.equal(frontend.invert(images.clone(), 4_000), found)


@pytest.mark.parametrize("frontend", [CQT(hop=1024), STFT(), Mel()])
def test_a_decoders_image_beyond_the_range_stays_below_full_scale(frontend: Frontend) -> None:
    image = 3 * torch.rand(2, *frontend.shape(4_000), generator=torch.Generator().manual_seed(0)) - 1
    found = frontend.invert(image, 4_000)
    assert torch.isfinite(found).all()
    assert 0.1 < found.abs().max() <= 1


def test_without_a_length_the_frames_decide() -> None:
    frontend = CQT(hop=1024)
    assert frontend.invert(torch.zeros(1, *frontend.shape(5_000))).shape == (1, 4_096)
    assert frontend(frontend.invert(torch.zeros(1, *frontend.shape(5_000)))).shape[1:] == frontend.shape(5_000)


def test_a_ridge_is_followed_at_its_level_and_frequency() -> None:
    frontend = CQT()
    audio = 0.25 * torch.sin(2 * torch.pi * 450 * torch.arange(16_000) / 16_000)[None]
    magnitude = frontend.power(audio).sqrt()
    found = sinusoids(magnitude, torch.as_tensor(frontend.frequencies()), 256, 16_000, 16_000)[0, 2_000:14_000]
    assert lowest_peak(found.numpy(), 450) == pytest.approx(450, rel=0.003)
    assert float(found.abs().max()) == pytest.approx(0.25, rel=0.1)


def test_the_magnitude_of_an_image_is_the_images() -> None:
    power = torch.tensor([[1e-9, 1e-6, 0.25, 1.0]])
    assert linear_magnitude(decibel_image(power, -80.0), -80.0)[0].tolist() == pytest.approx(
        [0, 1e-3, 0.5, 1], rel=1e-4
    )
