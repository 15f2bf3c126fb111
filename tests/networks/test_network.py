"""ganbook.networks.network: weights that are drawn again, and samples in evaluation mode."""

import copy
import inspect

import numpy as np
import pytest
import torch
from torch import nn

from ganbook import GAN, networks
from ganbook.device import DEVICE, autocast


def changed(make, p=0.0, **settings):
    """A pair whose discriminator has spectral norm and dropout."""
    generator, discriminator = make(size=16, width=4, latent=8, **settings)
    return generator, networks.dropout(networks.spectral(discriminator), p)


MAKERS = {
    "points": (networks.mlp, {"width": 8, "depth": 2}),
    "points-copies": (networks.mlp, {"width": 8, "depth": 2, "fourier": 1.0, "copies": 3}),
    "mlp-images": (networks.mlp, {"shape": (3, 6, 5), "width": 8, "depth": 1}),
    "dcgan": (networks.dcgan, {"size": 16, "width": 4, "latent": 8}),
    "dcgan-spectral": (changed, {"make": networks.dcgan, "p": 0.3}),
    "resnet": (networks.resnet, {"size": 16, "width": 4, "latent": 8}),
    "resnet-spectral": (changed, {"make": networks.resnet, "blocks": 2}),
}

every_pair = pytest.mark.parametrize(("make", "settings"), MAKERS.values(), ids=MAKERS.keys())


def weights(network):
    return [weight.detach().clone() for weight in network.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@every_pair
def test_drawing_again_gives_other_weights_and_the_same_seed_the_same(make, settings):
    for network in make(**settings):
        before = weights(network)
        torch.manual_seed(3)
        network.draw()
        first = weights(network)
        assert not same(before, first)
        torch.manual_seed(3)
        network.draw()
        assert same(first, weights(network))


def test_drawing_again_clears_what_batch_norm_has_seen():
    generator, _ = networks.dcgan(size=16, width=4)
    fresh = {name: value.clone() for name, value in generator.named_buffers()}
    generator(torch.randn(9, 64, device=DEVICE))
    assert any(not torch.equal(value, fresh[name]) for name, value in generator.named_buffers())
    generator.draw()
    assert all(torch.equal(value, fresh[name]) for name, value in generator.named_buffers())


@every_pair
def test_networks_are_fresh_until_something_changes_their_weights(make, settings):
    def optimise(network):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for weight in network.parameters():
            weight.grad = torch.ones_like(weight)
        optimizer.step()

    def first(network):
        return next(
            layer
            for layer in network.modules()
            if isinstance(layer, (nn.Linear, nn.Conv2d, networks.ParallelLinear))
        )

    changes = {
        "optimiser": optimise,
        "load_state_dict": lambda network: network.load_state_dict(
            make(**settings)[index].state_dict()
        ),
        "init": lambda network: nn.init.normal_(first(network).weight, std=0.02),
        "init of .data": lambda network: nn.init.normal_(first(network).weight.data, std=0.02),
        "other tensor": lambda network: setattr(
            first(network), "bias", nn.Parameter(first(network).bias + 1)
        ),
        "bias alone": lambda network: (
            first(network).bias.data.zero_() if first(network).bias is not None else 0
        ),
    }
    for index in (0, 1):
        for name, change in changes.items():
            network = make(**settings)[index]
            assert network.fresh
            network.to(DEVICE), network.train(), network.eval(), network.requires_grad_(False)
            assert network.fresh, "nothing has changed the weights"
            if name in ("other tensor", "bias alone") and first(network).bias is None:
                continue
            network.requires_grad_(True)
            change(network)
            assert not network.fresh, name


def test_looking_at_a_slice_of_the_layers_leaves_the_weights_alone():
    for network in networks.dcgan(size=16, width=4):
        before = weights(network)
        assert [type(layer) for layer in network[:2]] == [
            type(layer) for layer in list(network)[:2]
        ]
        assert same(before, weights(network)) and network.fresh


def test_a_copy_of_fresh_networks_is_fresh():
    pair = networks.mlp(width=4)
    assert all(network.fresh for network in copy.deepcopy(pair))


def test_a_game_keeps_weights_that_were_initialised_by_hand():
    generator, discriminator = networks.dcgan(size=16, width=4)
    for layer in generator.modules():  # as many a script writes it
        if isinstance(layer, nn.ConvTranspose2d):
            layer.weight.data.normal_(0.0, 0.02)
    before = weights(generator)
    GAN(generator, discriminator, seed=1)
    assert same(before, weights(generator))


def test_the_names_of_pairs_are_functions_beside_the_files_of_the_same_name():
    import ganbook.networks.dcgan
    import ganbook.networks.mlp
    import ganbook.networks.resnet

    for name in ("mlp", "dcgan", "resnet"):
        assert getattr(ganbook.networks, name).__name__ == name
    assert ganbook.networks is networks


# ---- Pairs and the two players by themselves


PLAYERS = [
    (networks.mlp, networks.mlp_generator, networks.mlp_discriminator),
    (networks.dcgan, networks.dcgan_generator, networks.dcgan_discriminator),
    (networks.resnet, networks.resnet_generator, networks.resnet_discriminator),
]


@pytest.mark.parametrize(("pair", "generator", "discriminator"), PLAYERS)
def test_a_pair_is_the_two_players_built_both_and_then_drawn(pair, generator, discriminator):
    torch.manual_seed(3)
    made = pair(width=4)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    players = generator.__wrapped__(width=4), discriminator.__wrapped__(width=4)
    for network, expected in zip(made, players, strict=True):
        assert not expected.fresh
        expected.to(DEVICE, memory_format=torch.channels_last).draw()
        assert same(weights(network), weights(expected)) and str(network) == str(expected)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("pair", "generator", "discriminator"), PLAYERS)
def test_a_player_by_itself_is_that_of_a_pair(pair, generator, discriminator):
    players = generator(width=4), discriminator(width=4)
    for network, alone in zip(pair(width=4), players, strict=True):
        assert alone.fresh and next(alone.parameters()).device == next(network.parameters()).device
        for player in (network, alone):
            torch.manual_seed(5)
            player.draw()
        assert same(weights(network), weights(alone)) and str(network) == str(alone)


@pytest.mark.parametrize(("pair", "generator", "discriminator"), PLAYERS)
def test_a_pair_takes_the_arguments_of_its_players_with_their_defaults(
    pair, generator, discriminator
):
    players = {
        name: argument
        for make in (generator, discriminator)
        for name, argument in inspect.signature(make).parameters.items()
    }
    assert dict(inspect.signature(pair).parameters) == players


def test_networks_carry_what_a_game_needs_to_know():
    generator, discriminator = networks.mlp(latent=5, width=4, copies=3)
    assert (generator.latent, generator.copies, generator.classes) == (5, 3, None)
    assert (discriminator.latent, discriminator.copies, discriminator.classes) == (None, 3, None)
    for network in networks.dcgan(size=16, width=4, classes=7, init_std=0.1):
        assert (network.copies, network.classes, network.init_std) == (1, 7, 0.1)


def test_numpys_numbers_will_do():
    one, eight = np.int64(1), np.int32(8)
    generator, discriminator = networks.mlp(
        (eight,), latent=eight, width=eight, depth=one, fourier=np.float32(0.5), copies=np.int64(2)
    )
    for value in (generator.latent, generator.copies, discriminator.copies):
        assert type(value) is int
    assert discriminator(generator(torch.zeros(4, 8, device=DEVICE))).shape == (4,)
    for make in (networks.dcgan, networks.resnet):
        settings = {"init_std": np.float32(0.02)} if make is networks.dcgan else {"blocks": one}
        generator, discriminator = make(
            np.int64(16), one, eight, eight, classes=np.int64(3), **settings
        )
        assert type(generator.classes) is int
        labels = torch.zeros(2, dtype=torch.int64, device=DEVICE)
        images = generator(torch.zeros(2, 8, device=DEVICE), labels)
        assert discriminator(images, labels).shape == (2,)


# ---- Samples


def test_generate_draws_in_evaluation_mode_without_gradients_and_leaves_the_mode_as_it_was():
    generator = networks.dcgan_generator(size=16, width=4, latent=8)
    z = torch.randn(7, 8)
    for training in (True, False):
        generator.train(training)
        before = copy.deepcopy(generator.state_dict())
        images = networks.generate(generator, z, batch=3)
        assert generator.training == training and not images.requires_grad
        assert images.shape == (7, 1, 16, 16) and images.dtype == torch.float32
        for name, value in generator.state_dict().items():
            assert torch.equal(value, before[name]), name
    with torch.no_grad(), autocast(generator):
        expected = torch.cat([generator(part).float() for part in z.to(DEVICE).split(3)])
    assert torch.equal(images, expected)


def test_generate_takes_labels_in_the_parts_of_their_latents():
    generator = networks.dcgan_generator(size=16, width=4, latent=8, classes=5)
    z, labels = torch.randn(7, 8), torch.arange(7) % 5
    whole = networks.generate(generator, z, labels)
    assert torch.allclose(networks.generate(generator, z, labels, batch=3), whole, atol=1e-5)
    assert not torch.allclose(networks.generate(generator, z, (labels + 1) % 5), whole, atol=1e-3)


def test_generate_draws_parts_that_are_a_multiple_of_the_copies():
    generator = networks.mlp_generator(latent=2, width=8, copies=3)
    z = torch.randn(12, 2)
    whole = networks.generate(generator, z)
    for batch in (1, 4, 7):
        assert torch.allclose(networks.generate(generator, z, batch=batch), whole, atol=1e-5)


def test_generate_leaves_the_mode_as_it_was_after_an_error():
    generator = networks.mlp_generator(latent=2, width=8)
    with pytest.raises(RuntimeError):
        networks.generate(generator, torch.randn(4, 3))
    assert generator.training


def test_an_arc_goes_from_end_to_end_at_equal_angles():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    path = networks.arc(a, b, 4)
    angles = torch.atan2(path[:, 1], path[:, 0])
    assert torch.allclose(angles, torch.linspace(0, torch.pi / 2, 4), atol=1e-6)
    assert torch.allclose(path.norm(dim=1), torch.linspace(2, 4, 4))
    with pytest.raises(ValueError, match="steps=0: it must be a whole number, 1 or more"):
        networks.arc(a, b, 0)


def test_weights_in_another_order_are_fresh_no_more():
    generator, _ = networks.mlp(latent=4, width=8, depth=1)
    assert generator.fresh
    with torch.no_grad():
        generator[0].weight.copy_(generator[0].weight.flip(0))
    assert not generator.fresh


def test_where_there_is_no_arc_the_path_is_a_line():
    a = torch.tensor([3.0, 4.0], dtype=torch.float64)
    for b in (torch.zeros_like(a), 2 * a, -a):
        path = networks.arc(a, b, 3)
        assert path.dtype == torch.float64
        torch.testing.assert_close(path, torch.stack([a, (a + b) / 2, b]))


def test_samples_need_a_label_each():
    generator = networks.dcgan_generator(size=16, width=4, latent=8, classes=3)
    for labels in (torch.tensor([1]), torch.zeros(3, dtype=torch.long), torch.zeros(2, 1).long()):
        with pytest.raises(ValueError, match="give a label for each of 2 latents"):
            networks.generate(generator, torch.zeros(2, 8), labels)
