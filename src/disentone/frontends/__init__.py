"""Audio to image, on one scale: 0 is the floor in dB, 1 is full scale."""

from disentone.frontends.cqt import CQT
from disentone.frontends.frontend import Frontend

__all__ = ["CQT", "Frontend"]
