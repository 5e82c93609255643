"""What the decoder does along each latent, read off the nearest known image: purity, monotonicity, range."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, check_seed, undefined
from disentone.metrics.score import Score

ANCHORS, STEPS = 32, 11
LOW, HIGH = 0.05, 0.95
# Of a factor's range: a latent that covers less of every factor moves nothing that one could judge. A single jump of
# the nearest image would otherwise make it perfectly pure.
LEAST_RANGE = 0.05
BATCH = 512
TRAVERSAL = (
    Score("traversal_purity", "traversal purity", needs_grid=True, short="purity"),
    Score("traversal_monotonicity", "traversal monotonicity", needs_grid=True, short="monotonicity"),
    Score("traversal_range", "traversal range", needs_grid=True, short="range"),
)
KEYS = tuple(score.key for score in TRAVERSAL)


def traversal(
    decode: Callable[[Tensor], Tensor],
    codes: ArrayLike | Tensor,
    images: Tensor | Iterable[Tensor],
    factors: ArrayLike | Tensor,
    seed: int = 0,
    values: Float[Tensor, "latent step"] | None = None,
) -> Scores:
    """Whether walking along one latent changes one factor only (purity), steadily (monotonicity), all of it (range).

    From 32 anchor rows each latent walks over its 5-95 % range in 11 steps, or over given values, the others fixed.
    Each decoded image takes the factors of the evaluation row whose image is nearest (L2). Purity: the largest
    factor's share of all movement, each factor's in units of its range; monotonicity: mean absolute Spearman
    correlation of that factor with the step (0 where it stands still); range: the share of its values' range covered,
    mean over anchors. All in [0, 1]. A latent that covers less than 0.05 of every factor's range moves nothing and
    has no purity; the means are over the others, 0 if there are none.

    Args:
        decode: codes [batch latent] to images [batch ...], on the codes' device and in their precision.
        codes: [row latent] of the evaluation rows.
        images: of the same rows, [row ...]; or batches of them in order, which need not be held all at once.
        factors: [row factor] positions.
        seed: of the anchors.
        values: [latent step] that each latent is moved to, in order; by default evenly over its range.

    Returns:
        ``traversal_purity``, ``traversal_monotonicity``, ``traversal_range``, each also ``_per_latent``;
        ``traversal_movement`` [latent factor]; ``settings``. All nan if the decoder answers what is not finite.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`, and for images that are not finite, of
            another number of rows, or of another size than the decoder's; for values of another number of latents.

    """
    z, v = check_arrays(codes, factors)
    check_seed(seed)
    kind = codes.dtype if isinstance(codes, Tensor) and codes.is_floating_point() else torch.float32
    if values is None:
        values = torch.stack([over_range(column, STEPS) for column in z.T])
    if len(values) != z.shape[1]:
        raise ValueError(f"values must have a line for each of the {z.shape[1]} latents, got {len(values)}")
    walks, walked = _walks(z, values.to(z), seed)
    decoded = torch.cat([decode(part.to(kind)).flatten(1).float() for part in torch.split(walks.flatten(0, 2), BATCH)])
    if not torch.isfinite(decoded).all():
        return undefined(KEYS, "the decoder answers images that are not finite")
    batches = torch.split(images, BATCH) if isinstance(images, Tensor) else images
    nearest = nearest_rows(decoded, batches, len(z)).to(v.device)
    positions = (v[nearest].double() / v.amax(dim=0)).view(*walks.shape[:3], v.shape[1])
    scores = {key: torch.full((z.shape[1],), float("nan"), dtype=torch.float64) for key in KEYS}
    movement = torch.zeros(z.shape[1], v.shape[1], dtype=torch.float64)
    moves = [False] * z.shape[1]
    for latent, path in zip(walked, positions, strict=True):
        movement[latent] = path.diff(dim=1).abs().sum(dim=(0, 1)).cpu()
        covered = (path.amax(dim=1) - path.amin(dim=1)).mean(dim=0)
        moves[latent] = bool(covered.max() >= LEAST_RANGE)
        if moves[latent]:
            for key, score in zip(KEYS, _describe(path, movement[latent]), strict=True):
                scores[key][latent] = score
    still = [latent for latent in range(z.shape[1]) if not moves[latent]]
    return {
        **{key: float(score.nanmean()) if len(still) < z.shape[1] else 0.0 for key, score in scores.items()},
        **{f"{key}_per_latent": score.numpy() for key, score in scores.items()},
        "traversal_movement": movement.numpy(),
        "settings": {"anchors": walks.shape[1], "steps": values.shape[1], "rows": len(z)}
        | ({"reason": f"latents {', '.join(map(str, still))} move nothing"} if still else {}),
    }


def nearest_rows(decoded: Float[Tensor, "image pixel"], batches: Iterable[Tensor], rows: int) -> Int64[Tensor, "image"]:
    """For each decoded image the number of the row whose image is nearest (L2); the first of equals.

    Raises:
        ValueError: if the batches do not add up to ``rows``, or their images are not finite or of another size.

    """
    best = torch.full((len(decoded),), torch.inf, device=decoded.device)
    nearest, seen = torch.zeros(len(decoded), dtype=torch.int64, device=decoded.device), 0
    for batch in batches:
        known = batch.flatten(1).to(decoded)
        if known.shape[1] != decoded.shape[1]:
            raise ValueError(
                f"the decoder answers {decoded.shape[1]} pixels an image; the images have {known.shape[1]}"
            )
        if not torch.isfinite(known).all():
            raise ValueError("images must be finite; some pixels are not")
        # Squared distance less the decoded image's own norm, which is the same for all rows.
        distance, index = torch.addmm((known**2).sum(dim=1), decoded, known.T, alpha=-2).min(dim=1)
        nearer = distance < best
        best, nearest = torch.where(nearer, distance, best), torch.where(nearer, index + seen, nearest)
        seen += len(known)
    if seen != rows:
        raise ValueError(f"{rows} codes and {seen} images; row i of both must be the same sound")
    return nearest


def over_range(values: Float[Tensor, "row"], steps: int) -> Float[Tensor, "step"]:
    """Even steps over the range of values, 5 % cut from both ends."""
    low, high = torch.quantile(values, torch.tensor([LOW, HIGH], dtype=values.dtype, device=values.device))
    return low + (high - low) * torch.linspace(0, 1, steps, dtype=values.dtype, device=values.device)


def _walks(
    codes: Float64[Tensor, "row latent"], values: Float64[Tensor, "latent step"], seed: int
) -> tuple[Float64[Tensor, "walk anchor step latent"], list[int]]:
    """Codes along every latent that has a range to walk, and which latents these are."""
    anchors = np.random.default_rng(seed).permutation(len(codes))[:ANCHORS]
    walked = (values.amax(dim=1) > values.amin(dim=1)).nonzero()[:, 0].tolist()
    walks = codes[anchors].repeat(len(walked), values.shape[1], 1, 1).transpose(1, 2).clone()
    for walk, latent in zip(walks, walked, strict=True):
        walk[..., latent] = values[latent]
    return walks, walked


def _describe(
    path: Float64[Tensor, "anchor step factor"], movement: Float64[Tensor, "factor"]
) -> tuple[float, float, float]:
    """Purity, monotonicity and range of one latent, whose walks moved its factors by ``movement``."""
    main = int(movement.argmax())
    factor = path[..., main].cpu().numpy()
    moving = factor[np.ptp(factor, axis=1) > 0]
    steps = np.arange(factor.shape[1])
    monotone = [abs(np.corrcoef(rankdata(walk), steps)[0, 1]) for walk in moving]
    return (
        float(movement[main] / movement.sum()),
        float(np.sum(monotone)) / len(factor),
        float(np.ptp(factor, axis=1).mean()),
    )
