"""Views that need no factors: the image itself, moved as another note or another recording of it would be."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from disentone.data.views import Views
from disentone.draws import Draw
from disentone.frontends import CQT, Frontend
from disentone.shapes import Image
from disentone.sources import Source

LARGEST = 3.0
"""Of a move, in units of its scale."""
DECIBELS_OF_E = 20 / math.log(10)


class Transforms(Views):
    """Partners are the row's own image, moved in pitch, tilt, decay and level by random amounts.

    The moves are made on the image of a log-frequency front-end, whose values are decibels: pitch shifts it along the
    bins, between two bins by linear interpolation; the others add to it, where there is sound. Each amount has a double
    exponential law, cut off at three times its scale.

    Args:
        pitch: scale of the moves in semitones.
        tilt: in dB per octave, about the middle bin.
        decay: in 1/s: a partial's amplitude follows exp(-decay t).
        level: in dB.

    Raises:
        ValueError: for a scale that is negative or not finite, or if all of them are 0.

    """

    supervision = "transforms"

    def __init__(self, pitch: float = 4.0, tilt: float = 3.0, decay: float = 2.0, level: float = 3.0) -> None:
        self.scales = {"pitch": pitch, "tilt": tilt, "decay": decay, "level": level}
        for name, scale in self.scales.items():
            if not 0 <= scale < math.inf:
                raise ValueError(f"views.{name} is the scale of a move and must be 0 or more, got {scale}")
        if not any(self.scales.values()):
            raise ValueError("views.pitch, tilt, decay and level are all 0, so that an image is its own partner")

    def check(self, source: Source) -> None:
        """Raise ValueError for images whose bins are not equal steps of pitch."""
        if not isinstance(source.frontend, CQT):
            name = "pictures" if source.frontend is None else f"images of {type(source.frontend).__name__}"
            raise ValueError(
                f"views=transforms moves pitch by shifting bins of equal musical width, which {name} do not have; "
                "take frontend=cqt or frontend=vqt"
            )

    def partners(self, image: Image, draw: Draw, frontend: Frontend | None) -> Image:
        """The moved images.

        Args:
            image: [batch 1 bin frame] in [0, 1].
            draw: of the moves, a row for each image.
            frontend: that made the images.

        """
        assert isinstance(frontend, CQT)
        drawn = draw.laplace("transforms", len(self.scales), LARGEST).unbind(dim=1)
        # Number by number: a list would be uploaded in every batch.
        moves = [scale * move for scale, move in zip(self.scales.values(), drawn, strict=True)]
        return moved(image, torch.stack(moves, dim=1), frontend)


def moved(image: Image, moves: Float[Tensor, "batch 4"], frontend: CQT) -> Image:
    """Images after moves in pitch (semitones), tilt (dB per octave), decay (1/s) and level (dB)."""
    pitch, tilt, decay, level = moves.to(image.dtype)[:, :, None, None].unbind(dim=1)
    bins, frames = image.shape[2:]
    found = shifted(image[:, 0], pitch * frontend.bins_per_octave / 12)
    octaves = (torch.arange(bins, device=image.device) - (bins - 1) / 2)[:, None] / frontend.bins_per_octave
    seconds = torch.arange(frames, device=image.device) * (frontend.hop / frontend.sample_rate)
    decibels = tilt * octaves + level - DECIBELS_OF_E * decay * seconds
    # Silence stays silent.
    return torch.where(found > 0, (found - decibels / frontend.floor_db).clamp(0, 1), found)[:, None]


def shifted(
    image: Float[Tensor, "batch bin frame"], steps: Float[Tensor, "batch 1 1"]
) -> Float[Tensor, "batch bin frame"]:
    """Images shifted upwards along their bins by so many, whole or not; beyond the last bin there is silence."""
    bins = image.shape[1]
    padded = torch.nn.functional.pad(image, (0, 0, 1, 1))
    # In the padded image; what comes from farther outside comes from its silent edge.
    place = (torch.arange(bins, device=image.device)[:, None] + 1 - steps).clamp(0, bins + 1)
    low = place.floor()
    below, above = (padded.gather(1, part.long().expand_as(image)) for part in (low, (low + 1).clamp(max=bins + 1)))
    return torch.lerp(below, above, (place - low).expand_as(image))
