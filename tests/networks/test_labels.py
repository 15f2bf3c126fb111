"""ganbook.networks.labels: the layers that take labels, and networks that are made of them."""

import pytest
import torch
from torch import nn

from ganbook import networks
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


def logits_of(discriminator, x, labels):
    verdict = discriminator(x, labels)
    return verdict[0] if isinstance(verdict, tuple) else verdict


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
        (lambda: networks.dcgan(classes=1), "classes=1: it must be a whole number, 2 or more"),
        (
            lambda: networks.dcgan(classes=10, condition="concat"),
            "condition='concat': it must be one of 'concatenation', 'emb",
        ),
        (
            lambda: networks.dcgan(classes=10, g_condition="projection"),
            "g_condition='projection': it must be one of",
        ),
        (
            lambda: networks.mlp(classes=10, g_condition="norm"),
            "g_condition='norm': it must be one of",
        ),
        (lambda: networks.dcgan(classes=10, g_condition="norm", norm=False), "needs norm=True"),
        (lambda: networks.mlp(classes=3, copies=2), "copies side by side have no labels"),
        (lambda: small()[0](torch.zeros(2, 8, device=DEVICE)), "this network is conditional"),
    ],
)
def test_networks_say_what_they_can_not_condition_on(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_projections_vectors_give_logits_of_the_size_of_a_features_whatever_their_number():
    """Of the scale n^-1/2 in n features, as a dense layer's: their product with h is of size 1."""
    torch.manual_seed(0)
    for features in (16, 1024):
        layer = networks.Projection(features, 200)
        assert layer.weight.std().item() == pytest.approx(features**-0.5, rel=0.05)
        products = torch.randn(200, features) @ layer.weight.detach().T
        assert products.std().item() == pytest.approx(1, rel=0.1)


def test_drawing_again_makes_conditional_batch_norm_plain_again():
    layer = networks.ConditionalBatchNorm2d(3, 4)
    nn.init.normal_(layer.scale), nn.init.normal_(layer.shift)
    networks.Network(layer).draw()
    assert (layer.scale == 1).all() and (layer.shift == 0).all()


@pytest.mark.parametrize("condition", networks.D_CONDITIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_residual_discriminators_take_labels_in_every_way(condition, channels):
    settings = {"size": 16, "width": 4, "channels": channels}
    discriminator = networks.resnet_discriminator(classes=5, condition=condition, **settings)
    torch.manual_seed(0)
    images, labels = torch.rand(5, channels, 16, 16, device=DEVICE), torch.arange(5, device=DEVICE)
    verdict = logits_of(discriminator, images, labels)
    other = logits_of(discriminator, images, (labels + 1) % 5)
    assert verdict.shape == (5,)
    assert torch.equal(verdict, other) == (condition == "auxiliary")
