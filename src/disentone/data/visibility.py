"""How much of the image each factor moves: what a front-end cannot see, no model can find."""

from collections.abc import Mapping

import torch
from jaxtyping import Float64
from torch import Tensor

from disentone.shapes import Image, Positions, Rows
from disentone.sources import Rendered

BATCH = 512
NEAR_INVISIBLE = 0.05
# Their images are all held at once.
MOST_ROWS = 100_000


def visibility(source: Rendered, rows: int = 1_000, seed: int = 0) -> dict[str, Mapping[str, float]]:
    """Mean squared distance of the images of sounds that differ in one factor, and its share of the image variance.

    Summed over pixels. The image variance is half the mean squared distance of two independent sounds, so that a
    factor which alone decided the image would reach a share of 2. Nuisances stay as they are for a row.

    Args:
        source: which renders the sounds.
        rows: sounds to change.
        seed: of sounds and changes.

    Returns:
        by factor: ``step`` (to the next value), ``random`` (the factor redrawn from all its values), and both as
        shares, ``step_share`` and ``random_share``; under ``""`` the ``variance``.

    Raises:
        ValueError: for fewer than two rows, or more than 100,000.

    """
    if not 2 <= rows <= MOST_ROWS:
        raise ValueError(f"rows must lie in 2..{MOST_ROWS} (a thousand is plenty), got {rows}")
    generator = torch.Generator().manual_seed(seed)
    positions = source.space.sample(rows, generator)
    keys = source.space.rows(positions)
    images = _images(source, positions, keys)
    variance = float(images.double().flatten(1).var(dim=0, correction=0).sum())
    table: dict[str, Mapping[str, float]] = {"": {"variance": variance}}
    for column, (name, size) in enumerate(zip(source.space.names, source.space.sizes, strict=True)):
        stepped, redrawn = positions.clone(), positions.clone()
        # Up, but down from the last value.
        stepped[:, column] += torch.where(positions[:, column] < size - 1, 1, -1)
        redrawn[:, column] = torch.randint(size, (rows,), generator=generator)
        step, random = (
            float(_distance(images, _images(source, changed, keys)).mean()) for changed in (stepped, redrawn)
        )
        shares = {"step_share": step / variance, "random_share": random / variance} if variance else {}
        table[name] = {"step": step, "random": random, **shares}
    return table


@torch.no_grad()
def _images(source: Rendered, positions: Positions, keys: Rows) -> Image:
    """Images rendered batch by batch."""
    source.to(positions.device)
    parts = zip(torch.split(positions, BATCH), torch.split(keys, BATCH), strict=True)
    return torch.cat([source.at(*part) for part in parts])


def _distance(one: Image, other: Image) -> Float64[Tensor, "batch"]:
    return (one - other).double().square().flatten(1).sum(dim=1)
