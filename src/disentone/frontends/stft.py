"""The short-time Fourier transform, with linear or mel-spaced bins."""

import math

import numpy as np
import torch
import torchaudio
from jaxtyping import Float
from torch import Tensor

from disentone.frontends.frontend import Spectrogram, check_floor, check_positive
from disentone.precision import full_float32
from disentone.shapes import Audio


class STFT(Spectrogram):
    """Magnitude of a Hann-windowed Fourier transform on a dB scale: ``n_fft // 2 + 1`` bins from 0 Hz to Nyquist.

    0 dB (image 1) is a sinusoid of amplitude 1 at a bin's centre; a constant reads 6 dB more than its amplitude.

    Args:
        sample_rate: in Hz.
        n_fft: samples of the window and of the transform.
        hop: samples from frame to frame.
        floor_db: what counts as silence.

    Raises:
        ValueError: for a setting that is not positive, or a hop that skips samples.

    """

    window: Tensor

    def __init__(self, sample_rate: int = 16_000, n_fft: int = 1024, hop: int = 256, floor_db: float = -80.0) -> None:
        super().__init__()
        check_positive(sample_rate=sample_rate, n_fft=n_fft, hop=hop)
        check_floor(floor_db)
        if hop > n_fft:
            raise ValueError(f"hop must be at most n_fft ({n_fft}), or samples lie in no frame, got {hop}")
        self.sample_rate, self.n_fft, self.hop, self.floor_db = sample_rate, n_fft, hop, floor_db
        self.bins = n_fft // 2 + 1
        # Not persistent: a checkpoint holds what was learned.
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in ("sample_rate", "n_fft", "hop", "floor_db"))

    def power(self, audio: Audio) -> Float[Tensor, "batch bin frame"]:
        """Power of each bin and frame; 1 is 0 dB."""
        transform = torch.stft(
            audio.float(), self.n_fft, self.hop, window=self.window, pad_mode="constant", return_complex=True
        )
        return (transform.real.square() + transform.imag.square()) * (2 / self.window.sum()) ** 2

    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """Centre of every bin in Hz."""
        return np.linspace(0, self.sample_rate / 2, self.bins)


class Mel(STFT):
    """The power of :class:`STFT` under triangular filters, equally spaced in mel (Slaney's scale), on a dB scale.

    0 dB (image 1) is the power of a sinusoid of amplitude 1 that lies at a filter's centre, the filter wide against the
    window's main lobe (4 sample_rate / n_fft); in narrower filters it reads some dB less.

    Args:
        sample_rate: in Hz.
        n_fft: samples of the window and of the transform.
        bins: how many filters.
        fmin: where the lowest begins, in Hz.
        fmax: where the highest ends, in Hz; Nyquist by default.
        hop: samples from frame to frame.
        floor_db: what counts as silence.

    Raises:
        ValueError: as of :class:`STFT`; for a range that is none, or filters so narrow that they stay empty.

    """

    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16_000,
        n_fft: int = 1024,
        bins: int = 80,
        fmin: float = 50.0,
        fmax: float | None = None,
        hop: int = 256,
        floor_db: float = -80.0,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop, floor_db)
        check_positive(bins=bins)
        self.fmin, self.fmax = fmin, sample_rate / 2 if fmax is None else fmax
        if not 0 <= fmin < self.fmax <= sample_rate / 2:
            raise ValueError(f"fmin < fmax must lie in 0..{sample_rate / 2:g} Hz, got {fmin:g} and {self.fmax:g}")
        edges = self._edges(bins)
        spectrum = np.linspace(0, sample_rate / 2, self.bins)
        if empty := [k for k in range(bins) if not ((edges[k] < spectrum) & (spectrum < edges[k + 2])).any()]:
            raise ValueError(
                f"{len(empty)} of {bins} mel filters stay empty, the first at {edges[empty[0] + 1]:.0f} Hz: the "
                f"transform's bins lie {sample_rate / n_fft:.3g} Hz apart; use fewer bins or an n_fft above {n_fft}"
            )
        filters = torchaudio.functional.melscale_fbanks(
            self.bins, fmin, self.fmax, bins, sample_rate, norm=None, mel_scale="slaney"
        )
        self.bins = bins
        # A sinusoid's power is spread over the main lobe: in sum over bins so much larger than at its peak.
        spread = n_fft * self.window.square().sum() / self.window.sum() ** 2
        self.register_buffer("filters", filters.T / spread, persistent=False)

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        return f"{super().extra_repr()}, bins={self.bins}, fmin={self.fmin}, fmax={self.fmax}"

    def power(self, audio: Audio) -> Float[Tensor, "batch bin frame"]:
        """Power of each filter and frame; 1 is 0 dB."""
        with full_float32():
            return self.filters @ super().power(audio)

    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """Centre of every filter in Hz."""
        return self._edges(self.bins)[1:-1]

    def _edges(self, bins: int) -> Float[np.ndarray, "edge"]:
        """Lower end of the first filter, all centres, upper end of the last, in Hz."""
        low, high = _hertz_to_mel(np.array([self.fmin, self.fmax])).tolist()
        return _mel_to_hertz(np.linspace(low, high, bins + 2))


# Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz, logarithmic from there.
LINEAR, KNEE, STEP = 200 / 3, 1000.0, math.log(6.4) / 27


def _hertz_to_mel(hertz: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.where(hertz < KNEE, hertz / LINEAR, KNEE / LINEAR + np.log(np.maximum(hertz, KNEE) / KNEE) / STEP)


def _mel_to_hertz(mel: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.where(mel < KNEE / LINEAR, mel * LINEAR, KNEE * np.exp(STEP * (mel - KNEE / LINEAR)))
