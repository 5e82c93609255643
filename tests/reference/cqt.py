"""The image by nnAudio's own transform, which defines ours: every bin over the whole length of the longest."""

import torch
from nnAudio.features.cqt import CQT1992v2, CQT2010v2


def nnaudio_image(transform: CQT1992v2 | CQT2010v2, audio: torch.Tensor, floor_db: float = -80.0) -> torch.Tensor:
    """Images [batch 1 bin frame] of clips, from a transform that answers magnitudes."""
    magnitude = transform(audio, normalization_type="wrap")
    decibel = 20 * torch.log10(magnitude.clamp(min=1e-12))
    return ((decibel - floor_db) / -floor_db).clamp(0, 1)[:, None]
