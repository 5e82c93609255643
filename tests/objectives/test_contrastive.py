"""InfoNCE, its metrics and its axes: against literal versions, a known mixture, and where gradients go."""

import math

import numpy as np
import pytest
import torch
from tests.models.test_point import SHAPE, images, make_model
from tests.models.test_vae import make_vae

from disentone.data import DataModule
from disentone.data.views import GaussianNeighbours
from disentone.factors import FactorSpace
from disentone.objectives import BetaVAE, Constant, Contrastive
from disentone.objectives.contrastive import additive, independent_axes, info_nce, radial
from disentone.shapes import Batch
from disentone.sources import Source


def make_objective(**settings: object) -> Contrastive:
    return Contrastive(**{"refine_at": 10, "read_out_at": 20, "steps": 40, **settings})


def make_batch() -> Batch:
    both = images(20)
    return Batch(both[:10], torch.arange(10), partner=both[10:])


def test_info_nce_is_the_literal_one() -> None:
    similarity = torch.randn(6, 6, dtype=torch.float64)
    rows = [similarity[i, i] - torch.log(similarity[i].exp().sum()) for i in range(6)]
    columns = [similarity[i, i] - torch.log(similarity[:, i].exp().sum()) for i in range(6)]
    expected = -(sum(rows) / 6 + sum(columns) / 6) / 2
    assert info_nce(similarity).item() == pytest.approx(expected.item())
    assert info_nce(torch.zeros(6, 6)).item() == pytest.approx(math.log(6))
    assert info_nce(100 * torch.eye(6)).item() == pytest.approx(0, abs=1e-6)


def test_the_metrics_are_their_formulas() -> None:
    a, b = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    weights = torch.rand(4, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            t, w = (a[i] - b[j]).numpy(), weights.numpy()
            u = float((t**2).sum())
            expected = w[0] * u + 2 * w[1] * math.sqrt(u + 0.05) + 2 * w[2] * math.log(1 + 4 * u)
            assert -radial(a, b, weights[:3])[i, j].item() == pytest.approx(expected)
            parts = w[0] * np.sqrt(t**2 + 0.001) + w[1] * t**2 + w[2] * np.log(1 + 4 * t**2) + w[3] * t**4
            assert -additive(a, b, weights)[i, j].item() == pytest.approx(parts.sum().item())
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    torch.testing.assert_close(radial(a @ turn, b @ turn, weights[:3]), radial(a, b, weights[:3]))
    assert not torch.allclose(additive(a @ turn, b @ turn, weights), additive(a, b, weights))


def test_independent_axes_undo_a_mixture() -> None:
    draws = np.random.default_rng(0)
    sources = draws.uniform(-1, 1, (5_000, 3))
    mixed = sources @ draws.normal(size=(3, 3))
    mixed -= mixed.mean(axis=0)
    axes = independent_axes(mixed)
    assert np.linalg.norm(axes, axis=1) == pytest.approx([1, 1, 1])
    correlation = np.abs(np.corrcoef((mixed @ axes.T).T, sources.T)[:3, 3:])
    assert sorted(correlation.argmax(axis=1)) == [0, 1, 2]
    assert correlation.max(axis=1) == pytest.approx([1, 1, 1], abs=0.01)


@pytest.mark.parametrize("codes", [np.ones((9, 1)), np.zeros((9, 3)), np.outer(np.arange(9.0), [1, 2])])
def test_what_has_no_independent_axes_keeps_its_own(codes: np.ndarray) -> None:
    assert np.array_equal(independent_axes(codes), np.eye(codes.shape[1]))


@pytest.mark.parametrize(("stage", "trained"), [(0, "radial"), (1, "additive"), (2, "decoder")])
def test_each_stage_trains_its_own_weights(stage: int, trained: str) -> None:
    model, objective = make_model(), make_objective()
    model.encoder.whiten(images())
    objective.stage = stage
    terms = objective(model, make_batch(), step=0)
    terms["loss"].backward()
    moved = {
        "radial": objective.radial_weights.grad is not None,
        "additive": objective.additive_weights.grad is not None,
        "decoder": all(weight.grad is not None for weight in model.decoder.parameters()),
    }
    assert moved == {name: name == trained for name in moved}
    encoder = [weight.grad is not None for weight in model.encoder.parameters()]
    assert all(encoder) if stage < 2 else not any(encoder)


def test_terms_of_each_stage() -> None:
    model, objective = make_model(), make_objective()
    model.encoder.whiten(images())
    batch = make_batch()
    terms = objective(model, batch, 0)
    assert terms.keys() == {"loss", "info_nce", "fit", "kept_latents"}
    assert torch.isnan(terms["fit"])
    codes, bias = model.embed(batch.image)
    partners, partner_bias = model.embed(batch.partner)
    similarity = radial(codes, partners, torch.nn.functional.softplus(objective.radial_weights))
    expected = info_nce(similarity + bias[:, None] + partner_bias[None])
    assert terms["info_nce"].item() == pytest.approx(expected.item())
    objective.stage = 2
    nll = model.likelihood.nll(model.decoder(model.encode(batch.image).codes), batch.image).mean().item()
    found = {name: term.item() for name, term in objective(model, batch, 0).items()}
    assert found == pytest.approx({"loss": nll, "reconstruction": nll, "fit": -nll, "kept_latents": 5})


def test_the_rate_is_a_half_cosine_over_each_stage() -> None:
    objective = make_objective()
    assert [objective.rate(step) for step in (0, 5, 10, 15, 20, 30)] == pytest.approx([1, 0.5, 0.5, 0.25, 1, 0.5])
    assert objective.rate(9) < 0.03
    assert objective.rate(40) == pytest.approx(0)
    assert BetaVAE(1.0, Constant()).rate(3) is None


class Mixed(Source):
    """Two factors that mix into images linearly."""

    shape, is_grid = SHAPE, True
    space = FactorSpace({"a": {"start": 0, "stop": 39, "step": 1}, "b": {"start": 0, "stop": 39, "step": 1}})
    mixture = torch.randn(2, math.prod(SHAPE), generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return len(self.space)

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        positions = self.space.grid(rows).float() / 39 - 0.5
        return (positions @ self.mixture).view(-1, *SHAPE)


def test_milestones_keep_the_needed_components_along_independent_axes() -> None:
    data = DataModule(Mixed(), views=GaussianNeighbours())
    model, objective = make_model(latents=4, components=2), make_objective()
    # A linear encoder, of which two of four outputs tell the factors, mixed, and two nothing.
    model.encoder.layers = torch.nn.Identity()
    model.encoder.last = torch.nn.Linear(2, 5)
    model.encoder.whiten(data.images(data.rows("train")))
    with torch.no_grad():
        model.encoder.last.weight.copy_(torch.tensor([[4.0, 2], [-2, 4], [0, 0], [0, 0], [0, 0]]))
        model.encoder.last.bias.zero_()
    objective.reach(10, model, data, torch.device("cpu"))
    assert objective.stage == 1
    # Both factors are needed to tell a neighbour from 63 other rows.
    assert model.kept == 2
    objective.reach(20, model, data, torch.device("cpu"))
    assert objective.stage == 2
    codes = model.encode(data.images(data.rows("train"))).codes.detach()
    assert codes.mean(dim=0).tolist() == pytest.approx([0] * 4, abs=1e-4)
    assert codes.std(dim=0).tolist() == pytest.approx([1, 1, 0, 0], abs=1e-3)
    found = np.abs(np.corrcoef(codes[:, :2].T, data.space.grid(data.rows("train")).T)[:2, 2:])
    assert sorted(found.max(axis=1)) == pytest.approx([1, 1], abs=0.01)
    assert sorted(found.min(axis=1)) == pytest.approx([0, 0], abs=0.05)


def test_a_checkpoint_holds_the_stage_and_the_metrics_weights() -> None:
    objective, other = make_objective(), make_objective()
    objective.stage = 1
    with torch.no_grad():
        objective.additive_weights += 1
    other.load_state_dict(objective.state_dict())
    assert other.stage == 1
    assert torch.equal(other.additive_weights, objective.additive_weights)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"refine_at": 0}, "three stages of at least 1 step each: .* got 0, 20 and 40"),
        ({"read_out_at": 10}, "got 10, 10 and 40"),
        ({"steps": 20}, r"objective.read_out_at < trainer.max_steps, got 10, 20 and 20"),
        ({"threshold": 1.0}, "objective.threshold is a share and must lie between 0 and 1, got 1.0"),
        ({"pairs": 1}, "must be at least 2, got 1 and 50000"),
    ],
)
def test_what_cannot_be_says_so(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_objective(**settings)


def test_models_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="the contrastive objective needs points for codes, and VAE has posteriors"):
        make_objective().check(make_vae((1, 8, 8)))
    with pytest.raises(
        ValueError,
        match="the beta-VAE objective needs posteriors, and PointAutoencoder has points for codes; take m",
    ):
        BetaVAE(1.0, Constant()).check(make_model())


def test_lower_precision_does_not_reach_the_distances() -> None:
    model, objective = make_model(), make_objective()
    model.encoder.whiten(images())
    with torch.no_grad():
        model.encoder.last.weight *= 30
    exact = objective(model, make_batch(), 0)["info_nce"].item()

    with torch.autocast("cpu", torch.bfloat16):
        features = model.encoder(torch.cat([make_batch().image, make_batch().partner])).float()
        found = objective(model, make_batch(), 0)["info_nce"].item()
    codes, bias = features[:, :-1].chunk(2), features[:, -1].chunk(2)
    expected = info_nce(objective.similarity(*codes) + bias[0][:, None] + bias[1][None, :]).item()
    assert found == pytest.approx(expected, abs=1e-4)
    assert found == pytest.approx(exact, rel=0.2)


def test_codes_that_diverged_are_an_error_of_the_user() -> None:
    data = DataModule(Mixed(), views=GaussianNeighbours())
    model, objective = make_model(latents=4, components=2), make_objective()
    with torch.no_grad():
        model.encoder.last.bias.fill_(math.nan)
    with pytest.raises(ValueError, match="the codes are not finite at step 10, so the training diverged"):
        objective.reach(10, model, data, torch.device("cpu"))
