"""Contrastive learning on pairs: which image of the batch is this one's partner?"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.nn import functional as F

from disentone.data import DataModule
from disentone.models import Model, PointAutoencoder, PointLatent, WhitenedMLP
from disentone.objectives.objective import Objective, Terms
from disentone.precision import full_float32
from disentone.shapes import Batch, Image, Rows

# What the metrics' weights start from, before softplus.
RADIAL, ADDITIVE = (-2.0, -1.0, -1.0), (-2.0, 0.5, -2.0, -4.0)
ENCODED = 2048
Kept = Float[Tensor, "batch kept"]
Similarity = Float[Tensor, "batch partner"]
Basis = Float64[np.ndarray, "new old"]


class Contrastive(Objective):
    """InfoNCE on pairs whose factors all moved a little, in three stages; the axes come from PCA and ICA between them.

    1. The similarity of two codes is a learned function of their distance alone, so that any rotation is as good.
       Then PCA tells how many components the loss needs (each of the others saves less than ``threshold`` times the
       largest saving), and FastICA turns these to axes that are independent over the training rows.
    2. The similarity is a learned sum over the axes of functions of each difference. FastICA again, and every code is
       brought to mean 0 and deviation 1.
    3. The encoder rests. The decoder is trained to read the codes out, by the likelihood.

    The partner is among the candidates (without it InfoNCE is biased for batches of finite size), both directions
    count, and each image has a learned bias. After Zimmermann et al. 2021, "Contrastive learning inverts the data
    generating process"; pairs made by moving a synthesiser's parameters: Cherep & Singh 2025, "Contrastive learning
    from synthetic audio doppelgaengers". The learned metrics, the choice of components and the refinement are ours.

    Args:
        refine_at: the step before which the axes are found for the first time.
        read_out_at: the step before which they are found for good.
        steps: how many steps the whole training has.
        threshold: the share of the largest saving that a component must save in order to be kept.
        pairs: how many pairs of training rows and new partners the savings are measured on, at most.
        rows: how many training rows PCA and ICA see, at most.

    Raises:
        ValueError: unless 0 < refine_at < read_out_at < steps, 0 < threshold < 1, and pairs and rows are 2 or more.

    """

    title = "contrastive"
    kind = PointLatent
    learns_from_pairs = True
    usual_views = "laplace"
    couples_rows = True

    def __init__(
        self,
        refine_at: int,
        read_out_at: int,
        steps: int,
        threshold: float = 0.18,
        pairs: int = 8_192,
        rows: int = 50_000,
    ) -> None:
        super().__init__()
        if not 0 < refine_at < read_out_at < steps:
            raise ValueError(
                "a contrastive run has three stages of at least 1 step each: expected 0 < objective.refine_at < "
                f"objective.read_out_at < trainer.max_steps, got {refine_at}, {read_out_at} and {steps}"
            )
        if not 0 < threshold < 1:
            raise ValueError(f"objective.threshold is a share and must lie between 0 and 1, got {threshold}")
        if min(pairs, rows) < 2:
            raise ValueError(f"objective.pairs and objective.rows must be at least 2, got {pairs} and {rows}")
        self.milestones, self.steps = (refine_at, read_out_at), steps
        self.threshold, self.pairs, self.rows = threshold, pairs, rows
        self.radial_weights = nn.Parameter(torch.tensor(RADIAL))
        self.additive_weights = nn.Parameter(torch.tensor(ADDITIVE))
        self.stage = 0
        """How many milestones were reached. A checkpoint that was written just before one counts as not there yet."""

    def get_extra_state(self) -> dict[str, int]:
        """What a checkpoint keeps beside the weights: the stage."""
        return {"stage": self.stage}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint's stage."""
        self.stage = int(state["stage"])

    def check(self, model: Model) -> None:
        """Raise ValueError for a model whose codes are not points, or whose axes cannot be turned."""
        super().check(model)
        if not (isinstance(model, PointAutoencoder) and isinstance(model.encoder, WhitenedMLP)):
            raise ValueError(
                f"the contrastive objective turns the axes of a PointAutoencoder whose encoder is a WhitenedMLP, got "
                f"{type(model).__name__} with {type(model.encoder).__name__}; take model=whitened_mlp, or "
                "method=contrastive, which sets all that belongs together"
            )

    def parameter_groups(self, model: Model) -> Iterable[Mapping[str, Any]]:
        """The network, and the weights of the metrics at five times its learning rate."""
        return [
            {"params": list(model.parameters()), "lr_scale": 1.0},
            {"params": [self.radial_weights, self.additive_weights], "lr_scale": 5.0},
        ]

    def rate(self, step: int) -> float:
        """A half cosine from 1 to 0 over each stage; the second stage at half the rate."""
        bounds = (0, *self.milestones, self.steps)
        stage = sum(step >= milestone for milestone in self.milestones)
        done = min(1.0, (step - bounds[stage]) / (bounds[stage + 1] - bounds[stage]))
        return (0.5 if stage == 1 else 1.0) * 0.5 * (1 + math.cos(math.pi * done))

    def forward(self, model: PointAutoencoder, batch: Batch, step: int) -> Terms:
        """Terms: loss, fit, kept_latents; in the first two stages info_nce, then reconstruction.

        ``info_nce`` is in nats for each image, ``reconstruction`` is -log p(x|z) of the read-out, and ``fit`` its
        opposite: nan before there is a read-out, so that any later checkpoint is better than one of that time.
        """
        terms: Terms = {"kept_latents": torch.tensor(float(model.kept))}
        if self.stage < 2:
            assert batch.partner is not None
            codes, bias = model.embed(torch.cat([batch.image, batch.partner]))
            own, partner = bias.chunk(2)
            # Also where the network runs in less: the distance of neighbours is a small difference of large terms.
            with full_float32():
                terms["loss"] = info_nce(self.similarity(*codes.chunk(2)) + own[:, None] + partner[None, :])
            return {**terms, "info_nce": terms["loss"].detach(), "fit": torch.tensor(math.nan)}
        # Without gradient to the encoder: reading out must not change what was found.
        with torch.no_grad():
            codes = model.encode(batch.image).codes
        reconstruction = model.likelihood.nll(model.decoder(codes), batch.image).mean()
        return {
            **terms,
            "loss": reconstruction,
            "reconstruction": reconstruction.detach(),
            "fit": -reconstruction.detach(),
        }

    def similarity(self, codes: Kept, partners: Kept) -> Similarity:
        """Minus the learned distance of every code from every partner's."""
        if self.stage == 0:
            return radial(codes, partners, F.softplus(self.radial_weights))
        return additive(codes, partners, F.softplus(self.additive_weights))

    @torch.no_grad()
    def reach(self, step: int, model: PointAutoencoder, data: DataModule, device: torch.device) -> None:
        """Find the axes of the training rows' codes, and make them the latents.

        Raises:
            ValueError: for codes that are not finite.

        """
        codes, _ = _embedded(model, data.images, device, data.rows("train", self.rows))
        if not codes.isfinite().all():
            raise ValueError(
                f"the codes are not finite at step {step}, so the training diverged; a smaller optimizer.lr may help"
            )
        mean = codes.mean(dim=0)
        centred = (codes - mean).cpu().numpy()
        if self.stage == 0:
            basis = self._components(model, data, centred, device)
            axes = independent_axes(centred @ basis.T) @ basis
        else:
            axes = independent_axes(centred)
            axes /= np.maximum((centred @ axes.T).std(axis=0), 1e-12)[:, None]
        model.turn(torch.from_numpy(axes).to(device), mean)
        self.stage += 1

    def _components(
        self, model: PointAutoencoder, data: DataModule, centred: Float64[np.ndarray, "row old"], device: torch.device
    ) -> Basis:
        """The principal components of the codes that the loss on new pairs cannot do without, one a row."""
        _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(centred.T)))
        basis = vectors[:, ::-1].T.copy()
        rows = data.rows("train", self.pairs)
        codes, bias = _embedded(model, data.images, device, rows)
        # Numbers that no batch has: these partners were never trained on.
        partners, partner_bias = _embedded(model, data.partners, device, rows, -1 - torch.arange(len(rows)))
        turned = torch.from_numpy(basis.T).to(device)
        parts = [torch.split(part, data.batch_size) for part in (codes @ turned, partners @ turned, bias, partner_bias)]
        losses = [float(np.mean([math.log(len(batch)) for batch in parts[0]]))]
        for count in range(1, len(basis) + 1):
            found = [
                info_nce(self.similarity(a[:, :count].float(), b[:, :count].float()) + c[:, None] + d[None, :])
                for a, b, c, d in zip(*parts, strict=True)
            ]
            losses.append(float(torch.stack(found).mean()))
        savings = -np.diff(losses)
        needed = np.flatnonzero(savings > self.threshold * savings.max())
        return basis[: needed[-1] + 1 if len(needed) else 1]


def info_nce(similarity: Similarity) -> Float[Tensor, ""]:
    """How hard partners are to tell, in nats: the mean over both directions; log(batch) where they cannot be told."""
    own = torch.arange(len(similarity), device=similarity.device)
    return (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2


def radial(codes: Kept, partners: Kept, weights: Float[Tensor, "3"]) -> Similarity:
    """Minus a function of the distance alone: w0 u + 2 w1 sqrt(u + .05) + 2 w2 log(1 + 4 u), u the squared distance."""
    squares = codes.square().sum(dim=1)[:, None] + partners.square().sum(dim=1)[None, :] - 2 * codes @ partners.T
    u = squares.clamp(min=0)
    return -(weights[0] * u + 2 * weights[1] * (u + 0.05).sqrt() + 2 * weights[2] * torch.log1p(4 * u))


def additive(codes: Kept, partners: Kept, weights: Float[Tensor, "4"]) -> Similarity:
    """Minus a sum over latents: w0 sqrt(t^2 + .001) + w1 t^2 + w2 log(1 + 4 t^2) + w3 t^4, t the difference."""
    u = (codes[:, None] - partners[None, :]).square()
    # Summed before they are weighed: a quarter of the numbers.
    parts = [part.sum(dim=2) for part in ((u + 0.001).sqrt(), u, torch.log1p(4 * u), u.square())]
    return -(weights[0] * parts[0] + weights[1] * parts[1] + weights[2] * parts[2] + weights[3] * parts[3])


def independent_axes(codes: Float64[np.ndarray, "row old"]) -> Basis:
    """The axes along which centred codes are independent of one another, rows of unit length, by FastICA.

    Codes that ICA has nothing to say of (a single one, or constant ones) keep their axes.
    """
    count = codes.shape[1]
    if count == 1 or np.linalg.matrix_rank(codes) < count:
        return np.eye(count)
    with warnings.catch_warnings():
        # The limit of iterations is high; what is reached there still is a basis.
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica = FastICA(whiten="unit-variance", fun="cube", random_state=0, max_iter=1000, tol=1e-6)
        axes = ica.fit(codes).components_
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def _embedded(
    model: PointAutoencoder, images: Callable[..., Image], device: torch.device, *numbers: Rows
) -> tuple[Float64[Tensor, "row kept"], Float64[Tensor, "row"]]:
    """Kept codes and biases of images, in double precision, since PCA and ICA are small differences."""
    parts = zip(*(torch.split(rows, ENCODED) for rows in numbers), strict=True)
    found = [model.embed(images(*(rows.to(device) for rows in part))) for part in parts]
    codes, bias = (torch.cat(part).double() for part in zip(*found, strict=True))
    return codes, bias
