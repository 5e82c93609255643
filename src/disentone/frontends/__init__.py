"""Audio to image and back, on one scale: 0 is the floor in dB, 1 is full scale."""

from disentone.frontends.cqt import CQT, VQT
from disentone.frontends.frontend import Frontend, Spectrogram
from disentone.frontends.stft import STFT, Mel
from disentone.frontends.waveform import Waveform

__all__ = ["CQT", "STFT", "VQT", "Frontend", "Mel", "Spectrogram", "Waveform"]
