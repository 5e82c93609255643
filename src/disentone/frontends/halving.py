"""Half the sample rate, for the low bins of a transform, whose filters hear nothing of the upper half."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import firwin
from torch import Tensor, nn
from torch.nn import functional as F

# Flat to a tenth of the sample rate, and below -120 dB from four tenths on, which would fold onto it.
REACH = 15
TAPS = firwin(2 * REACH + 1, 0.5, window=("kaiser", 13.0))
AT_ONCE = 16


class Halving(nn.Module):
    """Every second sample of a sound [batch time] after a half-band low-pass, differentiable.

    The first answered is the one where the filter first lies wholly within the sound: sample ``REACH``.
    """

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        # A row for each of 16 neighbours: twice as many products as they need, in a form that is ten times as fast.
        kernels = torch.zeros(AT_ONCE, 2 * (REACH + AT_ONCE))
        for place, row in enumerate(kernels):
            row[2 * place : 2 * place + len(TAPS)] = torch.tensor(TAPS)
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, audio: Float[Tensor, "batch time"]) -> Float[Tensor, "batch half"]:
        """As many times ``AT_ONCE`` samples as the sound suffices for."""
        return strided(audio, self.kernels, 2 * AT_ONCE).transpose(1, 2).flatten(1)


def strided(
    audio: Float[Tensor, "batch time"], kernels: Float[Tensor, "kernel tap"], hop: int
) -> Float[Tensor, "batch kernel frame"]:
    """The product of every kernel with the samples from every multiple of ``hop`` on, as far as they suffice."""
    if audio.requires_grad:
        # A matrix product, since the gradient of a strided convolution takes up to ten times as long on a CPU.
        return (audio.unfold(1, kernels.shape[1], hop) @ kernels.T).transpose(1, 2)
    # A convolution, since the product needs memory for every frame's samples.
    return F.conv1d(audio[:, None], kernels[:, None], stride=hop)


def response(count: int) -> Float[np.ndarray, "frequency"]:
    """What one halving does to sinusoids, at ``count`` equal steps of frequency from 0 to below the sample rate."""
    centred = np.zeros(count)
    centred[np.arange(-REACH, REACH + 1)] = TAPS
    return np.fft.fft(centred).real
