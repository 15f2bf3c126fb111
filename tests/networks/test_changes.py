"""ganbook.networks.changes: spectral norm and dropout put into a network."""

import copy
import math

import pytest
import torch
from torch import nn

from ganbook import GAN, networks
from ganbook.device import DEVICE


def settled(discriminator, x, calls=300):
    with torch.no_grad():
        for _ in range(calls):
            discriminator(x)
    return [layer for layer in discriminator.modules() if isinstance(layer, networks.SpectralNorm)]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (networks.mlp_discriminator, (6, 2)),
        (networks.dcgan_discriminator, (6, 1, 28, 28)),
        (networks.resnet_discriminator, (6, 1, 28, 28)),
    ],
    ids=["mlp", "dcgan", "resnet"],
)
def test_spectral_norm_divides_each_weight_by_its_largest_singular_value(make, shape):
    torch.manual_seed(0)
    discriminator = networks.spectral(make(width=8))
    x = torch.rand(shape, device=DEVICE)
    layers = settled(discriminator, x)
    assert len(layers) == sum(
        isinstance(m, (nn.Linear, nn.Conv2d)) for m in discriminator.modules()
    )
    for layer in layers:
        inputs = layer.layer.weight.shape[1]
        dense = isinstance(layer.layer, nn.Linear)
        probe = torch.rand((2, inputs) if dense else (2, inputs, 6, 6), device=DEVICE)
        bare = copy.deepcopy(layer.layer)
        with torch.no_grad():
            bare.weight /= torch.linalg.matrix_norm(bare.weight.flatten(1), 2)
        torch.testing.assert_close(layer(probe), bare(probe), rtol=1e-3, atol=1e-5)


def test_each_copy_is_divided_by_its_own_singular_value_and_knows_its_slope():
    discriminator = networks.spectral(networks.mlp_discriminator(width=8, copies=3))
    for layer in settled(discriminator, torch.randn(6, 2, device=DEVICE)):
        norms = torch.linalg.matrix_norm(layer.layer.weight, 2)
        x = torch.randn(3, 4, layer.layer.weight.shape[1], device=DEVICE)
        flat = layer(x) - layer.layer.bias
        torch.testing.assert_close(
            flat, x @ (layer.layer.weight / norms[:, None, None]), rtol=1e-3, atol=1e-5
        )


def test_a_discriminator_with_spectral_norm_is_1_lipschitz():
    discriminator = networks.spectral(networks.mlp_discriminator(width=32))
    settled(discriminator, torch.randn(6, 2, device=DEVICE))
    x = (3 * torch.randn(500, 2, device=DEVICE)).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    assert slope.norm(dim=1).max() < 1 + 1e-3


def test_spectral_norm_settles_in_training_and_stands_still_in_evaluation():
    discriminator = networks.spectral(networks.mlp_discriminator(width=8))
    x = torch.randn(6, 2, device=DEVICE)
    discriminator.eval()
    first = discriminator(x)
    assert torch.equal(discriminator(x), first)
    discriminator.train()
    discriminator(x)
    discriminator.eval()
    assert not torch.equal(discriminator(x), first)


@pytest.mark.parametrize("make", [networks.mlp, networks.dcgan, networks.resnet])
def test_spectral_norm_refuses_labels(make):
    with pytest.raises(ValueError, match="networks without labels here; this one has classes=10"):
        networks.spectral(make(classes=10)[1])


def test_dropout_stands_behind_every_hidden_activation():
    discriminator = networks.dropout(networks.dcgan_discriminator(width=4), 0.4)
    kinds = [type(layer) for layer in discriminator]
    hidden = [i for i, kind in enumerate(kinds) if kind is nn.LeakyReLU]
    assert hidden and all(kinds[i + 1] is nn.Dropout for i in hidden)
    assert [layer.p for layer in discriminator if isinstance(layer, nn.Dropout)] == [0.4] * len(
        hidden
    )
    generator = networks.dropout(networks.dcgan_generator(width=4), 0.4)
    kinds = [type(layer) for layer in generator]
    assert kinds.count(nn.Dropout) == kinds.count(nn.ReLU) and kinds[-1] is nn.Tanh
    for wrong in (-0.1, 1.0, math.nan, "0.3"):
        with pytest.raises(ValueError, match="at least 0 and below 1"):
            networks.dropout(discriminator, wrong)


def test_no_dropout_adds_no_layer():
    discriminator = networks.dcgan_discriminator(width=4)
    assert str(networks.dropout(discriminator, 0.0)) == str(discriminator)


CHANGES = {"spectral": networks.spectral, "dropout": lambda network: networks.dropout(network, 0.3)}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


@each_change
def test_a_changed_network_is_of_the_same_weights_and_keeps_what_it_knows(change):
    network = networks.mlp_generator(latent=5, width=8, copies=3)
    network.init_std = 0.3
    changed = change(network)
    assert all(a is b for a, b in zip(network.parameters(), changed.parameters(), strict=True))
    for name in ("latent", "copies", "classes", "init_std"):
        assert getattr(changed, name) == getattr(network, name)
    assert isinstance(changed, networks.Network)


@each_change
def test_a_fresh_network_stays_fresh_and_a_trained_one_does_not_become_it(change):
    network = networks.resnet_discriminator(size=16, width=4)
    assert change(network).fresh
    network = networks.resnet_discriminator(size=16, width=4)
    nn.init.ones_(next(network.parameters()))
    assert not change(network).fresh


@each_change
def test_a_changed_network_is_in_the_mode_of_the_network(change):
    assert change(networks.mlp_discriminator()).training
    changed = change(networks.mlp_discriminator().eval())
    assert not any(layer.training for layer in changed.modules())


@each_change
def test_a_game_draws_changed_networks_from_its_seed(change):
    def played(seed):
        torch.manual_seed(seed)  # the reader's own, which must not matter
        generator, discriminator = networks.dcgan(size=16, width=4)
        return GAN(generator, change(discriminator), seed=1).discriminator.state_dict()

    for a, b in zip(played(5).values(), played(6).values(), strict=True):
        assert torch.equal(a, b)


def test_spectral_norm_wraps_the_layers_within_residual_blocks_too_and_each_once():
    network = networks.resnet_discriminator(size=16, width=4, blocks=2)
    wrapped = sum(isinstance(layer, (nn.Linear, nn.Conv2d)) for layer in network.modules())
    for _ in range(2):
        network = networks.spectral(network)
        norms = [layer for layer in network.modules() if isinstance(layer, networks.SpectralNorm)]
        assert len(norms) == wrapped


@each_change
def test_a_pair_is_no_network_to_change(change):
    with pytest.raises(TypeError, match="give one network, .* not a tuple"):
        change(networks.mlp())
