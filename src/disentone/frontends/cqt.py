"""The constant-Q transform: one bin per semitone, so that a change of pitch is a translation."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from nnAudio.utils import create_cqt_kernels
from torch import Tensor, nn
from torch.nn import functional as F

from disentone.frontends.frontend import Spectrogram, check_floor, check_positive
from disentone.precision import full_float32
from disentone.shapes import Audio

# Half the bandwidth of a Hann-windowed filter of quality Q, in units of its centre frequency over Q.
HALF_BANDWIDTH = 0.75


class CQT(Spectrogram):
    """Constant-Q magnitude on a dB scale, by nnAudio's kernels (Brown 1991; Cheuk et al. 2020).

    0 dB (image 1) is a sinusoid of amplitude 1 at a bin's centre; ``floor_db`` is image 0. Frames are centred
    on multiples of ``hop``, the clip continued with silence: ``1 + time // hop`` of them.

    nnAudio pads every kernel to the longest one's length. Here each octave's kernels are cut to their own
    support, which computes the same numbers several times faster.

    Args:
        sample_rate: in Hz.
        fmin: centre of the lowest bin in Hz.
        bins: how many.
        bins_per_octave: how many to the octave.
        hop: samples from frame to frame.
        floor_db: what counts as silence.

    Raises:
        ValueError: where a bin's filter reaches Nyquist, or a setting is not positive.

    """

    gamma = 0.0

    def __init__(
        self,
        sample_rate: int = 16_000,
        fmin: float = 65.406,
        bins: int = 80,
        bins_per_octave: int = 12,
        hop: int = 256,
        floor_db: float = -80.0,
    ) -> None:
        super().__init__()
        check_positive(sample_rate=sample_rate, fmin=fmin, bins=bins, bins_per_octave=bins_per_octave, hop=hop)
        check_floor(floor_db)
        self.sample_rate, self.fmin, self.bins = sample_rate, fmin, bins
        self.bins_per_octave, self.hop, self.floor_db = bins_per_octave, hop, floor_db
        _check_range(sample_rate, fmin, bins, bins_per_octave, self.gamma)
        kernels = _nnaudio_kernels(sample_rate, fmin, bins, bins_per_octave, self.gamma)
        self.width = kernels.shape[-1]
        self.octaves = nn.ModuleList(
            _Octave(kernels[:, low : low + bins_per_octave]) for low in range(0, bins, bins_per_octave)
        )

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        names = ("sample_rate", "fmin", "bins", "bins_per_octave", "hop", "floor_db")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def power(self, audio: Audio) -> Float[Tensor, "batch bin frame"]:
        """Power of each bin and frame; 1 is 0 dB."""
        return self.transform(audio).square().sum(dim=1)

    def transform(self, audio: Audio) -> Float[Tensor, "batch 2 bin frame"]:
        """The complex transform itself: real and imaginary part; magnitude 1 is 0 dB."""
        frames = 1 + audio.shape[1] // self.hop
        padded = F.pad(audio, (self.width // 2, self.width // 2))
        with full_float32():
            return torch.cat([octave(padded, self.hop, frames) for octave in self.octaves], dim=2)

    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """Centre of every bin in Hz."""
        return self.fmin * 2.0 ** (np.arange(self.bins) / self.bins_per_octave)


class VQT(CQT):
    """The variable-Q transform (Schoerkhuber et al. 2014): as :class:`CQT`, its low bins wider and so quicker.

    A bin at f has the bandwidth of the constant-Q one at f + gamma / (2^(1 / bins_per_octave) - 1).

    Args:
        gamma: Hz added to every bandwidth; 0 is the CQT, 13.2 at 12 bins per octave follows the ear's (ERB).
        **settings: of :class:`CQT`.

    Raises:
        ValueError: as of :class:`CQT`; for a negative gamma.

    """

    def __init__(self, gamma: float = 13.2, **settings: Any) -> None:
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be 0 Hz or more, got {gamma}")
        self.gamma = gamma
        super().__init__(**settings)

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        return f"{super().extra_repr()}, gamma={self.gamma}"


class _Octave(nn.Module):
    """Kernels of neighbouring bins, cut to the taps where any of them is not zero."""

    kernels: Tensor

    def __init__(self, kernels: Float[Tensor, "2 bin tap"]) -> None:
        super().__init__()
        taps = kernels.abs().amax(dim=(0, 1)).nonzero()[:, 0]
        self.start, stop = int(taps[0]), int(taps[-1]) + 1
        # Not persistent: a checkpoint holds what was learned.
        self.register_buffer("kernels", kernels[:, :, self.start : stop].flatten(0, 1)[:, None], persistent=False)

    def forward(self, padded: Float[Tensor, "batch time"], hop: int, frames: int) -> Float[Tensor, "batch 2 bin frame"]:
        taps = self.kernels.shape[-1]
        part = padded[:, self.start : self.start + (frames - 1) * hop + taps]
        if part.requires_grad:
            # A matrix product, since the gradient of a strided convolution takes up to ten times as long on a CPU.
            both = (part.unfold(1, taps, hop) @ self.kernels[:, 0].T).transpose(1, 2)
        else:
            # A convolution, since the product needs memory for every frame's samples.
            both = F.conv1d(part[:, None], self.kernels, stride=hop)
        return both.reshape(len(both), 2, -1, frames)


def _nnaudio_kernels(
    sample_rate: int, fmin: float, bins: int, bins_per_octave: int, gamma: float
) -> Float[Tensor, "2 bin tap"]:
    """Real and imaginary kernels with nnAudio's ``wrap`` scale, which reads a unit sinusoid as 1."""
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    kernels = create_cqt_kernels(quality, sample_rate, fmin, bins, bins_per_octave, gamma=gamma)[0]
    return 2 * torch.stack([torch.tensor(kernels.real), -torch.tensor(kernels.imag)])


def _check_range(sample_rate: int, fmin: float, bins: int, bins_per_octave: int, gamma: float) -> None:
    nyquist = sample_rate / 2
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    # Half the bandwidth is a share of the frequency, and what gamma adds.
    share, constant = HALF_BANDWIDTH / quality, HALF_BANDWIDTH * gamma
    top = fmin * 2 ** ((bins - 1) / bins_per_octave) * (1 + share) + constant
    if top >= nyquist:
        ratio = (nyquist - constant) / (1 + share) / fmin
        most = max(0, math.ceil(bins_per_octave * math.log2(ratio))) if ratio > 0 else 0
        raise ValueError(
            f"{bins} bins from {fmin:g} Hz reach {top / 1000:.1f} kHz, above Nyquist ({nyquist / 1000:g} kHz); "
            f"use {f'at most {most} bins' if most else 'a lower fmin'}"
        )
