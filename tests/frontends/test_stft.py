"""STFT and mel against librosa, and what they read of a sinusoid of amplitude 1."""

import librosa
import numpy as np
import pytest
import torch

from disentone.frontends import STFT, Mel
from disentone.frontends.frontend import decibel_image

RATE = 16_000


def sine(hertz: float, seconds: float = 0.5) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(int(seconds * RATE)) / RATE)[None]


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(2, 5_000, generator=torch.Generator().manual_seed(0)) * 0.1


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (512, 200), (256, 256)])
def test_the_stft_is_librosas(noise: torch.Tensor, n_fft: int, hop: int) -> None:
    frontend = STFT(n_fft=n_fft, hop=hop)
    window = np.hanning(n_fft + 1)[:-1]
    theirs = np.abs(librosa.stft(noise.numpy(), n_fft=n_fft, hop_length=hop, window="hann", pad_mode="constant"))
    np.testing.assert_allclose(frontend.power(noise).sqrt(), theirs * 2 / window.sum(), atol=1e-6)
    assert frontend.shape(5_000) == tuple(frontend(noise).shape[1:])
    np.testing.assert_allclose(frontend.frequencies(), librosa.fft_frequencies(sr=RATE, n_fft=n_fft))
    times = librosa.frames_to_time(np.arange(4), sr=RATE, hop_length=hop)
    np.testing.assert_allclose(frontend.times(4), times)


@pytest.mark.parametrize(("bins", "fmin", "fmax"), [(80, 50.0, None), (40, 0.0, 7000.0)])
def test_mel_is_librosas(noise: torch.Tensor, bins: int, fmin: float, fmax: float | None) -> None:
    frontend = Mel(bins=bins, fmin=fmin, fmax=fmax)
    theirs = librosa.feature.melspectrogram(
        y=noise.numpy(), sr=RATE, n_fft=1024, hop_length=256, n_mels=bins, fmin=fmin, fmax=fmax, norm=None,
        pad_mode="constant",
    )  # fmt: skip
    window = np.hanning(1025)[:-1]
    scale = (2 / window.sum()) ** 2 / (1024 * (window**2).sum() / window.sum() ** 2)
    np.testing.assert_allclose(frontend.power(noise), theirs * scale, rtol=2e-3, atol=1e-9)
    edges = librosa.mel_frequencies(bins + 2, fmin=fmin, fmax=fmax or RATE / 2)
    np.testing.assert_allclose(frontend.frequencies(), edges[1:-1], rtol=1e-6)


def test_a_sinusoid_of_amplitude_1_reads_0_decibels_at_its_bin() -> None:
    frontend = STFT()
    image = frontend(sine(1000.0))[0, 0]  # 64 bins of 15.625 Hz
    middle = image[:, image.shape[1] // 2]
    assert middle.argmax() == 64
    assert middle[64] == pytest.approx(1, abs=1e-4)


def test_a_sinusoid_at_a_wide_mel_filter_reads_0_decibels() -> None:
    frontend = Mel()
    for k in (40, 60, 75):
        power = frontend.power(sine(float(frontend.frequencies()[k])))[0]
        level = 10 * torch.log10(power[k, power.shape[1] // 2])
        assert -1.5 < float(level) < 0.1


@pytest.mark.parametrize("make", [STFT, Mel])
def test_silence_is_0_and_its_gradient_finite(make) -> None:
    audio = torch.zeros(1, 3_000, requires_grad=True)
    image = make()(audio)
    assert image.abs().max() == 0
    image.sum().backward()
    assert torch.isfinite(audio.grad).all()


@pytest.mark.parametrize("samples", [1, 100, 1_023, 1_024])
def test_clips_shorter_than_the_window_have_their_frames(samples: int) -> None:
    for frontend in (STFT(hop=333), Mel(hop=333)):
        assert frontend(torch.zeros(3, samples)).shape == (3, *frontend.shape(samples))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: STFT(hop=2048), r"hop must be at most n_fft \(1024\), or samples lie in no frame, got 2048"),
        (lambda: STFT(n_fft=0), "n_fft must be above 0, got 0"),
        (lambda: STFT(floor_db=10), "floor_db must lie below 0 dB"),
        (
            lambda: Mel(bins=500),
            r"of 500 mel filters stay empty, the first at \d+ Hz.*use fewer bins or an n_fft above 1024",
        ),
        (lambda: Mel(fmin=9000), r"fmin < fmax must lie in 0\.\.8000 Hz, got 9000 and 8000"),
        (lambda: Mel(fmax=9000), r"fmin < fmax must lie in 0\.\.8000 Hz, got 50 and 9000"),
        (lambda: Mel(bins=0), "bins must be above 0, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_two_settings_never_share_a_cache() -> None:
    described = [repr(f) for f in (STFT(), STFT(hop=128), Mel(), Mel(bins=40), Mel(fmin=20), Mel(fmax=4000))]
    assert len(set(described)) == len(described)


def test_a_floor_of_minus_80_decibels_is_image_0() -> None:
    power = torch.tensor([1e-9, 1e-8, 1e-4, 1.0, 4.0])
    assert decibel_image(power, -80.0).tolist() == pytest.approx([0, 0, 0.5, 1, 1])
