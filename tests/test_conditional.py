"""Labels: networks that take them, games that pass them on, data that lack or repeat them."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganbook import GAN, data, losses, networks, penalties
from ganbook.device import DEVICE

CONDITIONS = [(d, g) for d in networks.D_CONDITIONS for g in ("concatenation", "embedding", "norm")]
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


def logits_of(discriminator, x, labels):
    verdict = discriminator(x, labels)
    return verdict[0] if isinstance(verdict, tuple) else verdict


# ---- Networks


@both
def test_conditional_networks_take_labels_and_answer_to_them(condition, g_condition):
    torch.manual_seed(0)
    generator, discriminator = small(condition, g_condition)
    if g_condition == "norm":  # it begins the same for every label
        for layer in generator:
            if isinstance(layer, networks.ConditionalBatchNorm2d):
                nn.init.normal_(layer.shift)
    z, labels = torch.randn(6, 8, device=DEVICE), torch.arange(6, device=DEVICE) % 5
    images = generator(z, labels)
    assert images.shape == (6, 1, 16, 16)
    assert not torch.allclose(images, generator(z, (labels + 1) % 5))
    verdict = logits_of(discriminator, images, labels)
    assert verdict.shape == (6,)
    changed = not torch.allclose(verdict, logits_of(discriminator, images, (labels + 1) % 5))
    assert changed == (condition != "auxiliary")  # which judges without being told
    if condition == "auxiliary":
        assert discriminator(images)[1].shape == (6, 5)


@pytest.mark.parametrize("condition", networks.D_CONDITIONS)
def test_points_may_be_conditional_too(condition):
    generator, discriminator = networks.mlp(
        latent=3, width=8, classes=4, condition=condition, fourier=1.0
    )
    labels = torch.arange(6, device=DEVICE) % 4
    points = generator(torch.randn(6, 3, device=DEVICE), labels)
    assert points.shape == (6, 2) and logits_of(discriminator, points, labels).shape == (6,)


def test_one_hot_before_a_dense_layer_is_a_bias_for_each_label():
    """What Mirza and Osindero's concatenation does to a first layer."""
    layer = nn.Linear(3 + 4, 5)
    z, labels = torch.randn(10, 3), torch.randint(4, (10,))
    by_hand = z @ layer.weight[:, :3].T + layer.bias + layer.weight[:, 3:].T[labels]
    assert torch.allclose(layer(networks.OneHot(4)(z, labels)), by_hand, atol=1e-6)


def test_one_hot_planes_are_one_where_the_label_is():
    found = networks.OneHot(3)(torch.zeros(2, 1, 4, 5), torch.tensor([2, 0]))
    assert found.shape == (2, 4, 4, 5)
    assert (
        found[:, :, 1, 1].tolist() == [[0, 0, 0, 1], [0, 1, 0, 0]]
        and (found == found[:, :, :1, :1]).all()
    )


def test_projection_is_psi_and_an_inner_product():
    layer, h, labels = networks.Projection(6, 4), torch.randn(7, 6), torch.randint(4, (7,))
    expected = [
        h[i] @ layer.psi.weight[0] + layer.psi.bias[0] + h[i] @ layer.weight[labels[i]]
        for i in range(7)
    ]
    assert torch.allclose(layer(h, labels), torch.stack(expected), atol=1e-6)


def test_conditional_batch_norm_is_batch_norm_with_scales_and_shifts_of_the_label():
    layer = networks.ConditionalBatchNorm2d(3, 4)
    plain, x, labels = nn.BatchNorm2d(3), torch.randn(8, 3, 5, 5), torch.arange(8) % 4
    assert torch.allclose(layer(x, labels), plain(x), atol=1e-6)
    nn.init.normal_(layer.scale), nn.init.normal_(layer.shift)
    expected = (
        plain(x) * layer.scale[labels][:, :, None, None] + layer.shift[labels][:, :, None, None]
    )
    assert torch.allclose(layer(x, labels), expected, atol=1e-5)


def test_without_classes_networks_are_as_they_were():
    for make in (networks.mlp, networks.dcgan):
        generator, discriminator = make(width=4)
        assert generator.classes is None and discriminator.classes is None
        assert "OneHot" not in str(generator) and "Projection" not in str(discriminator)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: networks.dcgan(classes=1), "classes=1: give the number of labels, 2 or more"),
        (
            lambda: networks.dcgan(classes=10, condition="concat"),
            "condition='concat': there are 'concatenation', 'emb",
        ),
        (
            lambda: networks.dcgan(classes=10, g_condition="projection"),
            "g_condition='projection': there are",
        ),
        (lambda: networks.mlp(classes=10, g_condition="norm"), "g_condition='norm': there are"),
        (lambda: networks.dcgan(classes=10, g_condition="norm", norm=False), "needs norm=True"),
        (lambda: networks.mlp(classes=3, copies=2), "copies side by side have no labels"),
        (lambda: small()[0](torch.zeros(2, 8, device=DEVICE)), "this network is conditional"),
    ],
)
def test_networks_say_what_they_can_not_condition_on(call, message):
    with pytest.raises(ValueError, match=message):
        call()


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
            if weight.numel() == 1:  # D's last bias: a relativistic loss does not see it
                continue
            assert not torch.equal(old[name], weight), name
    assert gan.sample(7, seed=0).shape == (7, 1, 16, 16)


def by_hand(gan, x, labels):
    """A turn of each player, from the losses as the papers state them: the two objectives."""
    generator, discriminator = gan.generator, gan.discriminator
    torch.default_generator.set_state(gan._random_state)
    with torch.no_grad():
        fake = generator(torch.randn(len(x), gan.latent), labels)
    (real_logits, real_classes), (fake_logits, fake_classes) = (
        discriminator(x, labels),
        discriminator(fake, labels),
    )
    d = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    return d, gan.auxiliary * (
        F.cross_entropy(real_classes, labels) + F.cross_entropy(fake_classes, labels)
    )


def test_both_players_of_an_auxiliary_classifier_learn_its_cross_entropy():
    batch = pictures().batches(10)[0]
    gan = GAN(*small("auxiliary"), auxiliary=0.5, lr=0.0)
    d, classes = by_hand(gan, batch.x, batch.labels)
    (d + classes).backward()
    expected = [weight.grad.clone() for weight in gan.discriminator.parameters()]
    d_loss, _, _ = gan.d_step(batch.x, batch.labels)
    assert torch.allclose(d_loss, d)  # the classifier's part is not in what is reported
    for weight, gradient in zip(gan.discriminator.parameters(), expected, strict=True):
        assert torch.allclose(weight.grad, gradient, atol=1e-6)

    state = gan._random_state
    gan.g_step(batch.x, batch.labels)
    found = [weight.grad.clone() for weight in gan.generator.parameters()]
    torch.default_generator.set_state(state)
    logits, class_logits = gan.discriminator(
        gan.generator(torch.randn(10, gan.latent), batch.labels)
    )
    objective = F.softplus(-logits).mean() + 0.5 * F.cross_entropy(class_logits, batch.labels)
    gradients = torch.autograd.grad(objective, list(gan.generator.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, gradients, strict=True))


def test_class_weights_weigh_each_samples_loss():
    batch = pictures().batches(10)[0]
    weights = torch.tensor([1.0, 0.0, 3.0, 0.5, 2.0])
    gan, plain = (GAN(*small(), lr=0.0, class_weights=w) for w in (weights, None))
    d_loss, real, fake = gan.d_step(batch.x, batch.labels)
    expected = (weights[batch.labels] * (F.softplus(-real) + F.softplus(fake))).mean()
    assert torch.allclose(d_loss, expected) and not torch.allclose(
        d_loss, plain.d_step(batch.x, batch.labels)[0]
    )


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


def test_a_conditional_game_comes_back_from_its_file(tmp_path):
    weights = [1.0, 2.0, 1.0, 1.0, 0.5]
    gan = GAN(*small("auxiliary", "norm"), auxiliary=0.3, class_weights=weights)
    batches = pictures().batches(10)
    for _ in gan.train(batches, 2, progress=False):
        pass
    gan.save(tmp_path / "game")
    again = GAN.load(tmp_path / "game")
    assert again.auxiliary == 0.3 and again.class_weights.tolist() == weights and again.classes == 5
    for player in (gan, again):
        for _ in player.train(batches, 4, progress=False):
            pass
    assert torch.equal(gan.sample(5, seed=0), again.sample(5, seed=0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: GAN(small()[0], networks.dcgan(size=16, width=4)[1]),
            "the same `classes`; the generator has 5, the",
        ),
        (
            lambda: GAN(*small()).train(data.Images(pictures().images).batches(10), 3),
            "it needs the labels",
        ),
        (
            lambda: GAN(*small(classes=4)).train(pictures().batches(10), 3),
            r"must lie in 0..3; these reach from . to 4",
        ),
        (lambda: GAN(*small()).d_step(pictures().images), "it needs the labels"),
        (
            lambda: GAN(*small()).d_step(pictures().images, torch.zeros(3, dtype=torch.int64)),
            "40 whole numbers",
        ),
        (lambda: GAN(*small()).sample(4, labels=[0.5] * 4), "4 whole numbers"),
        (lambda: GAN(*small(), class_weights=[1.0, 2.0]), "one number for each of 5 classes"),
        (lambda: GAN(*networks.dcgan(width=4)).sample(4, labels=3), "this game is not conditional"),
    ],
)
def test_a_game_says_what_is_wrong_with_its_labels(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- Data


def test_balanced_batches_have_equally_many_of_each_class():
    tail = data.long_tail(data.digits(), 50)
    batches = tail.batches(64, seed=3, balanced=True)
    counts = sum(torch.bincount(batches[k].labels, minlength=10) for k in range(200)).float()
    assert (counts / counts.mean() - 1).abs().max() < 0.02
    assert torch.equal(batches[57].x, tail.batches(64, seed=3, balanced=True)[57].x)
    plain = sum(
        torch.bincount(tail.batches(64, seed=3)[k].labels, minlength=10) for k in range(200)
    ).float()
    assert 40 < plain[0] / plain[9] < 60


def test_a_long_tail_falls_geometrically_by_its_factor():
    tail = data.long_tail(data.digits(), 50)
    counts = torch.bincount(tail.labels, minlength=10)
    assert counts[0] == 500 and counts[9] == 10
    assert (counts[1:] / counts[:-1] - 50 ** (-1 / 9)).abs().max() < 0.05
    assert torch.bincount(data.long_tail(data.digits(), 1).labels).tolist() == [500] * 10
    for bad in (data.Images(torch.zeros(3, 1, 4, 4)), 1), (data.digits(), 0.5):
        with pytest.raises(ValueError, match="labels and a factor of 1 or more"):
            data.long_tail(*bad)


def test_balanced_batches_need_labels():
    with pytest.raises(ValueError, match="need labels"):
        data.Images(torch.zeros(3, 1, 4, 4)).batches(2, balanced=True)


def test_stacked_digits_have_three_digits_and_their_number():
    stacks = data.stacked_digits()
    batch = stacks.batches(300, seed=1)[4]
    assert batch.x.shape == (300, 3, 28, 28) and batch.labels.shape == (300,)
    assert torch.equal(batch.x, data.stacked_digits().batches(300, seed=1)[4].x)
    digits = data.digits()
    for image, label in zip(batch.x[:5], batch.labels[:5], strict=True):
        parts = []
        for channel in image:
            (row,) = (digits.images[:, 0] == channel).flatten(1).all(1).nonzero().flatten()[:1]
            parts.append(str(digits.labels[row].item()))
        assert "".join(parts) == stacks.classes[label]
    labels = torch.cat([stacks.batches(1000, seed=0)[k].labels for k in range(20)])
    assert len(labels.unique()) == 1000
    assert stacks.sample(7, seed=0).shape == (7, 3, 28, 28)
    assert torch.equal(stacks.sample(7, seed=0), stacks.sample(7, seed=0))
