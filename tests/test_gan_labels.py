"""ganbook.gan with labels: games that pass them on, and what they say where labels don't fit."""

import copy

import pytest
import torch
from torch import nn

from ganbook import GAN, data, explorers, losses, networks, penalties
from ganbook.device import DEVICE

TOLD = ("concatenation", "embedding", "projection")
CONDITIONS = [(d, g) for d in TOLD for g in ("concatenation", "embedding", "norm")]
both = pytest.mark.parametrize(("condition", "g_condition"), CONDITIONS)


def small(condition="projection", g_condition="concatenation", **settings):
    return networks.dcgan(
        **{
            "size": 16,
            "width": 4,
            "latent": 8,
            "classes": 5,
            "condition": condition,
            "g_condition": g_condition,
        }
        | settings
    )


def pictures(n=40, classes=5, size=16):
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % classes
    return data.Images(2 * torch.rand(n, 1, size, size, generator=draw) - 1, labels, classes)


# ---- The game


@both
def test_every_pair_plays_with_a_penalty_and_a_paired_loss(condition, g_condition):
    penalty = penalties.total(penalties.r1(0.1, every=2), penalties.r2(0.1, every=2))
    gan = GAN(*small(condition, g_condition), loss=losses.relativistic, penalty=penalty)
    before = copy.deepcopy([gan.generator.state_dict(), gan.discriminator.state_dict()])
    for step in gan.train(pictures().batches(10), 3, progress=False):
        assert step.real_logits.shape == (10,) and torch.isfinite(step.d_loss)
    for old, network in zip(before, (gan.generator, gan.discriminator), strict=True):
        for name, weight in network.named_parameters():
            if network is gan.discriminator and name.endswith("bias"):
                continue  # a paired loss sees none that moves reals and fakes alike
            assert not torch.equal(old[name], weight), name
    assert gan.sample(7, seed=0).shape == (7, 1, 16, 16)


def test_samples_are_of_the_labels_that_were_asked_for():
    gan = GAN(*small("projection", "norm"))
    for layer in gan.averaged:
        if isinstance(layer, networks.ConditionalBatchNorm2d):
            nn.init.normal_(layer.shift)
    z = torch.randn(7, 8, device=DEVICE)
    in_turn = gan.decode(z)
    assert torch.equal(in_turn, gan.decode(z, torch.arange(7) % 5))
    assert torch.allclose(in_turn, gan.decode(z, [0, 1, 2, 3, 4, 0, 1], batch=3), atol=1e-6)
    threes = gan.decode(z, 3)
    assert torch.allclose(threes[3], in_turn[3], atol=1e-6) and not torch.allclose(
        threes[0], in_turn[0]
    )
    assert torch.equal(gan.sample(7, 3, seed=1), gan.sample(7, labels=[3] * 7, seed=1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: GAN(small()[0], networks.dcgan(size=16, width=4)[1]),
            "the same `classes`; the generator has 5, the",
        ),
        (
            lambda: GAN(*small()).train(data.Images(pictures().images).batches(10), 3),
            "the batch has no labels: build the data",
        ),
        (
            lambda: GAN(*small(classes=4)).train(pictures().batches(10), 3),
            r"must lie in 0..3; these reach from . to 4",
        ),
        (
            lambda: GAN(*small()).d_step(pictures().images),
            "the batch has no labels: build the data",
        ),
        (
            lambda: GAN(*small()).d_step(pictures().images, torch.zeros(3, dtype=torch.int64)),
            "40 whole numbers",
        ),
        (lambda: GAN(*small()).sample(4, labels=[0.5] * 4), "4 whole numbers"),
        (lambda: GAN(*small("auxiliary")), "one logit per sample.*write objectives for"),
        (lambda: GAN(*networks.dcgan(width=4)).sample(4, labels=3), "this game is not conditional"),
    ],
)
def test_a_game_says_what_is_wrong_with_its_labels(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_explorer_of_a_conditional_game_has_a_class_to_choose():
    explorer = explorers.latent.explorer(GAN(*small("projection", "embedding")))
    pictures = [explorer.image.value]
    for control in explorer.controls.values():
        control.value += 1
        pictures.append(explorer.image.value)
    assert "label" in explorer.controls and len(set(pictures)) == len(pictures)


def test_networks_that_take_no_labels_are_given_none():
    """Data with labels, and networks of one's own."""
    G = nn.Sequential(nn.Linear(3, 256), nn.Unflatten(1, (1, 16, 16)), nn.Tanh())
    D = nn.Sequential(nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0))
    gan = GAN(G, D, latent=3, loss=losses.relativistic, penalty=penalties.r1(0.1))
    batch = pictures().batches(10)[0]
    gan.d_step(*batch), gan.g_step(*batch)
    assert len(list(gan.train(pictures().batches(10), 3, progress=False))) == 2
