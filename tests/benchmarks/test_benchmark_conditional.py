"""Conditional games: the table, and what each variant switches."""

import inspect
from pathlib import Path

import conditional
import pytest
import torch
import torch.nn.functional as F
from benchmark_tables import rows

from ganbook import GAN, data, guards, networks, penalties
from ganbook.device import DEVICE


def test_the_table_of_conditional_games_has_every_variant_over_its_seeds_and_steps():
    table = rows("conditional")
    found = [(row["data"], row["variant"], float(row["r1"]), int(row["seed"])) for row in table]
    assert found == conditional.KEYS
    assert {row["steps"] for row in table} == {str(conditional.STEPS)}


def test_conditional_games_switch_what_they_name():
    for where, variant, r1 in conditional.ROWS:
        gan, batches = conditional.game(where, variant, r1, 0)
        layers = str(gan.players)
        assert (gan.averages["generator"][0].classes is None) == (variant == "unconditional")
        assert ("ConditionalBatchNorm2d" in layers) == ("norm" in variant)
        assert ("Projection" in layers) == (where == "long tail" or "projection" in variant)
        assert ("TwoHeads" in layers) == (variant == "auxiliary")
        assert ("Embedding" in layers) == (variant == "embedding")
        counts = sum(torch.bincount(batches[k].labels, minlength=10) for k in range(100)).float()
        even = where == "all digits" or "balanced" in variant
        assert (counts.max() < 1.3 * counts.min()) == even, variant
        assert isinstance(gan, conditional.Weighted) == (variant == "weighted")
        if variant == "weighted":
            labels = data.long_tail(data.digits(), conditional.FACTOR).labels
            totals = torch.bincount(labels, weights=gan.weights[labels], minlength=10)
            assert torch.allclose(totals, totals.mean())
            assert gan.weights[labels].mean() == pytest.approx(1)


# ---- The objectives of an auxiliary classifier, and of weighted classes


def small(condition):
    return networks.dcgan(size=16, width=4, latent=8, classes=5, condition=condition)


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(10, 1, 16, 16, generator=draw, device="cpu") - 1
    return data.Batch(x.to(DEVICE), (torch.arange(10) % 5).to(DEVICE))


def test_both_players_of_an_auxiliary_classifier_learn_its_cross_entropy(batch):
    """From the losses as the papers state them: the gradients of a turn of each player."""
    x, y = batch
    game = conditional.auxiliary_game(*small("auxiliary"), penalties.r1(0.1, every=2), lr=0.0)
    G, D = (game.players[name][0] for name in ("generator", "discriminator"))

    def drawn(state):
        guards.set_random_state(state)
        return G(torch.randn(10, 8, device=DEVICE), y)

    fake = drawn(game.randomness.state).detach()
    (real_logits, real_classes), (fake_logits, fake_classes) = D(x), D(fake)
    d = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    classes = F.cross_entropy(real_classes, y) + F.cross_entropy(fake_classes, y)
    at_x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(D(at_x)[0].sum(), at_x, create_graph=True)
    r1 = 2 * 0.1 / 2 * slope.flatten(1).square().sum(1).mean()
    weights = list(D.parameters())
    expected = torch.autograd.grad(d + classes + r1, weights)
    game.turn("discriminator", batch)
    for weight, gradient in zip(weights, expected, strict=True):
        assert torch.allclose(weight.grad, gradient, atol=1e-6)

    logits, class_logits = D(drawn(game.randomness.state))
    objective = F.softplus(-logits).mean() + F.cross_entropy(class_logits, y)
    weights = list(G.parameters())
    expected = torch.autograd.grad(objective, weights)
    game.turn("generator", batch)
    for weight, gradient in zip(weights, expected, strict=True):
        assert torch.allclose(weight.grad, gradient, atol=1e-6)


def test_class_weights_weigh_each_samples_loss(batch):
    gan = conditional.Weighted(*small("projection"), lr=0.0)
    gan.weights = torch.tensor([1.0, 0.0, 3.0, 0.5, 2.0], device=DEVICE)
    terms, seen = gan.d_objective(batch)
    real, fake = seen["real_logits"], seen["fake_logits"]
    expected = gan.weights[batch.labels] * (F.softplus(-real) + F.softplus(fake))
    assert torch.allclose(terms["d_loss"], expected)
    with gan.randomness:
        weighed = gan.g_objective(batch)["g_loss"]
    plain = GAN(*small("projection"), lr=0.0)
    with plain.randomness:
        expected = gan.weights[batch.labels] * plain.g_objective(batch)["g_loss"]
    assert torch.allclose(weighed, expected) and (weighed == 0).any() and (weighed > 0).any()


def test_the_chapter_and_the_benchmark_weigh_alike():
    source = (Path(conditional.__file__).parents[1] / "sources/06_conditional_gans.md").read_text()
    of_the_chapter = source[source.index("class Weighted(GAN)") :].split("```")[0]
    assert inspect.getsource(conditional.Weighted).strip() == of_the_chapter.strip()
