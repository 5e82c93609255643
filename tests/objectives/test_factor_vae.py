"""FactorVAE against its literal version; the critic and the network leave each other's gradients alone."""

import math

import numpy as np
import pytest
import torch
from tests.models.test_vae import make_vae
from torch.nn import functional as F

from disentone.draws import Draw
from disentone.objectives import FactorVAE
from disentone.objectives.factor_vae import permuted
from disentone.shapes import Batch

SHAPE = (1, 8, 8)


def make_objective(gamma: float = 10.0, latents: int = 3) -> FactorVAE:
    torch.manual_seed(0)
    objective = FactorVAE(gamma, hidden=[16, 16])
    objective.build(latents, 1_000)
    return objective


def make_batch(count: int = 8) -> Batch:
    rows = torch.arange(count)
    return Batch(torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0)), rows, Draw(0, 0, rows))


def logit(objective: FactorVAE, codes: np.ndarray) -> np.ndarray:
    """The critic in NumPy."""
    weights = [weight.detach().numpy() for weight in objective.critic.parameters()]
    for matrix, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        codes = codes @ matrix.T + bias
        codes = np.where(codes > 0, codes, 0.2 * codes)
    return codes @ weights[-2][0] + weights[-1][0]


@pytest.mark.parametrize("count", [1, 5, 8])
def test_the_terms_are_the_literal_ones(count: int) -> None:
    vae, objective, batch = make_vae(SHAPE), make_objective(), make_batch(count)
    terms = objective(vae, batch, 0)
    latent = vae.encode(batch.image)
    codes = latent.sample(batch.draw)
    joint, other = codes[: math.ceil(count / 2)], codes[count // 2 :]
    shuffled = permuted(other, Draw(0, 0, batch.rows[count // 2 :]))
    of_joint, of_independent = (
        1 / (1 + np.exp(-logit(objective, part.detach().numpy()))) for part in (joint, shuffled)
    )
    critic = -(np.log(of_joint).mean() + np.log(1 - of_independent).mean()) / 2
    correlation = logit(objective, codes.detach().numpy()).mean()
    reconstruction = vae.likelihood.nll(vae.decoder(codes), batch.image).mean().item()
    kl = latent.nats.sum(dim=1).mean().item()
    assert terms["critic"].item() == pytest.approx(critic, rel=1e-4)
    assert terms["total_correlation"].item() == pytest.approx(correlation, rel=1e-4)
    assert terms["loss"].item() == pytest.approx(reconstruction + kl + 10 * correlation + critic, rel=1e-5)
    assert terms["fit"].item() == pytest.approx(-reconstruction - kl, rel=1e-5)
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


def test_each_latent_is_permuted_by_itself() -> None:
    codes = torch.arange(40.0)[:, None] + torch.tensor([0.0, 100.0, 200.0])
    found = permuted(codes, Draw(0, 5, torch.arange(40)))
    assert torch.equal(found.sort(dim=0).values, codes)
    orders = {tuple((column - column.min()).tolist()) for column in found.T}
    assert len(orders) == 3
    assert not torch.equal(found, permuted(codes, Draw(0, 6, torch.arange(40))))


def test_the_critic_never_trains_the_network_and_what_it_says_never_the_critic() -> None:
    vae, objective, batch = make_vae(SHAPE), make_objective(), make_batch()
    codes = vae.encode(batch.image).sample(batch.draw)
    network, critic = list(vae.encoder.parameters()), list(objective.critic.parameters())
    correlation, loss = objective.density_ratio(codes).mean(), objective.critic_loss(codes.detach(), batch.draw)
    of_correlation = torch.autograd.grad(correlation, [*network, *critic], retain_graph=True, allow_unused=True)
    of_critic = torch.autograd.grad(loss, [*network, *critic], allow_unused=True)
    assert all(grad is not None and grad.abs().sum() > 0 for grad in of_correlation[: len(network)])
    assert all(grad is None for grad in of_correlation[len(network) :])
    assert all(grad is None for grad in of_critic[: len(network)])
    # The last bias moves both halves alike.
    assert all(grad is not None and grad.abs().sum() > 0 for grad in of_critic[len(network) :])


@pytest.mark.parametrize("gamma", [0.0, 50.0])
def test_in_the_one_loss_each_part_has_its_own_gradient(gamma: float) -> None:
    """The whole loss moves the critic as its own part does, and the network as if there were no critic's part."""
    vae, objective, batch = make_vae(SHAPE), make_objective(gamma), make_batch()
    objective(vae, batch, 0)["loss"].backward()
    latent = vae.encode(batch.image)
    codes = latent.sample(batch.draw)
    own = vae.likelihood.nll(vae.decoder(codes), batch.image).mean() + latent.nats.sum(dim=1).mean()
    own = own + gamma * objective.density_ratio(codes).mean()
    for weight, expected in zip(vae.parameters(), torch.autograd.grad(own, [*vae.parameters()]), strict=True):
        torch.testing.assert_close(weight.grad, expected)
    critic = list(objective.critic.parameters())
    alone = torch.autograd.grad(objective.critic_loss(codes.detach(), batch.draw), critic)
    for weight, expected in zip(critic, alone, strict=True):
        assert torch.equal(weight.grad, expected)


def test_the_critic_learns_the_total_correlation_of_gaussians() -> None:
    objective, draws = make_objective(latents=2), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(objective.critic.parameters(), lr=3e-3)
    for step in range(600):
        first, second = torch.randn(2, 512, generator=draws)
        codes = torch.stack([first, 0.9 * first + math.sqrt(1 - 0.81) * second], dim=1)
        loss = objective.critic_loss(codes, Draw(0, step, torch.arange(512)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert objective.density_ratio(codes).mean().item() == pytest.approx(-0.5 * math.log(1 - 0.81), abs=0.15)
    assert loss.item() < F.softplus(torch.zeros(())).item()


def test_one_optimiser_has_the_critic_at_its_own_rate() -> None:
    vae, objective = make_vae(SHAPE), make_objective()
    objective.critic_rate = 0.5
    groups = list(objective.parameter_groups(vae))
    assert [group["lr_scale"] for group in groups] == [1, 0.5]
    found = {weight for group in groups for weight in group["params"]}
    assert found == {*vae.parameters(), *objective.parameters()}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": -1.0}, "objective.gamma must be a number of 0 or more, got -1"),
        ({"gamma": 1.0, "hidden": []}, "objective.hidden must name at least one layer"),
        ({"gamma": 1.0, "critic_rate": 0.0}, "objective.critic_rate must be a number above 0, got 0"),
    ],
)
def test_what_cannot_be_says_so(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FactorVAE(**settings)
