"""ganbook.networks.mlp: shapes, hidden layers, copies side by side, and what is refused."""

import pytest
import torch
from torch import nn

from ganbook import GAN, data, losses, networks, penalties
from ganbook.device import DEVICE


@pytest.mark.parametrize("shape", [(2,), (1,), (1, 28, 28), (3, 7, 5)])
def test_mlp_draws_samples_of_any_shape(shape):
    generator, discriminator = networks.mlp(shape=shape, latent=3, width=8)
    samples = generator(1000 * torch.randn(4, 3, device=DEVICE))
    assert samples.shape == (4, *shape)
    assert discriminator(samples).shape == (4,)
    assert (samples.abs().max() <= 1) == (len(shape) == 3)  # tanh for images, no bounds for points


def test_mlp_has_the_hidden_layers_that_were_asked_for():
    for network in networks.mlp(width=8, depth=4):
        shapes = [tuple(layer.weight.shape) for layer in network if isinstance(layer, nn.Linear)]
        assert len(shapes) == 5
        assert shapes[1:4] == [(8, 8)] * 3


@pytest.mark.parametrize(
    "settings",
    [{"latent": 0}, {"width": 0}, {"depth": 0}, {"shape": (0,)}, {"shape": (1, 28, 2.5)}],
)
def test_mlp_refuses_sizes_below_one_and_fractions(settings):
    with pytest.raises(ValueError, match="it must be a whole number, 1 or more"):
        networks.mlp(**settings)


@pytest.mark.parametrize("shape", [(28, 28), 28, ()])
def test_mlp_says_which_shapes_there_are(shape):
    with pytest.raises(ValueError, match="points are"):
        networks.mlp(shape=shape)


@pytest.mark.parametrize(
    "wrong", [{"copies": 0}, {"fourier": 0.0}, {"fourier": -1.0}, {"activation": "tanh"}]
)
def test_mlp_says_what_is_wrong_with_its_settings(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        networks.mlp(**wrong)


def one_copy(network, k):
    """A network on its own that has the weights of copy k."""
    layers = []
    for layer in network:
        if isinstance(layer, networks.ParallelLinear):
            alone = nn.Linear(*layer.weight.shape[1:])
            alone.load_state_dict({"weight": layer.weight[k].T, "bias": layer.bias[k, 0]})
            layers.append(alone)
        elif isinstance(layer, networks.FourierFeatures):
            count, scale = layer.frequencies.shape[-1], layer.scale
            alone = networks.FourierFeatures(layer.frequencies.shape[1], count, scale)
            alone.frequencies.copy_(layer.frequencies[k])
            layers.append(alone)
        elif not isinstance(layer, (networks.SplitCopies, networks.JoinCopies)):
            layers.append(layer)
    return nn.Sequential(*layers)


def test_copies_side_by_side_play_the_games_that_each_plays_alone():
    torch.manual_seed(0)  # Adam turns a gradient of next to nothing into a whole step
    ring, copies, size = data.ring(), 3, 8
    z = torch.randn(40, size, copies, 16, device=DEVICE)
    settings = {
        "penalty": penalties.r1(1.0),
        "loss": losses.relativistic,
        "average": 0.9,
        "lr": 3e-3,
    }

    def game(pair, z):
        gan, draws = GAN(*pair, latent=16, **settings), iter(z)
        gan._z = lambda n: next(draws).reshape(n, 16)
        return gan

    together = game(networks.mlp(width=8, depth=2, fourier=1.0, copies=copies), z)
    alone = [
        game([one_copy(n, k) for n in (together.generator, together.discriminator)], z[:, :, k])
        for k in range(3)
    ]
    for turn in range(20):
        real = ring.sample(size * copies, seed=turn)
        together.d_step(real), together.g_step(real)
        for k, gan in enumerate(alone):
            gan.d_step(real[k::copies]), gan.g_step(real[k::copies])
    test = torch.randn(5 * copies, 16, device=DEVICE)
    points = together.decode(
        test, batch=4
    )  # parts that are no multiple of the copies would mix them up
    for k, gan in enumerate(alone):
        assert torch.allclose(points[k::copies], gan.decode(test[k::copies]), atol=1e-4)
    assert not torch.allclose(points[::copies], alone[1].decode(test[::copies]), atol=1e-2)


def test_several_discriminators_for_each_generator_are_copies_too():
    gan = GAN(networks.mlp(width=8, copies=2)[0], networks.mlp(width=8, copies=6)[1])
    next(gan.train(data.ring().batches(12), 1, progress=False))
    with pytest.raises(ValueError, match="multiple of 6; it has 8 rows"):
        next(GAN(*networks.mlp(copies=6)).train(data.ring().batches(8), 1, progress=False))


def test_leaky_units_leak_a_fifth():
    """As the discriminator's docstring has it: of what is below 0 a fifth passes."""
    generator, discriminator = networks.mlp(width=4)
    for network in (generator, discriminator):
        leaky = [layer for layer in network if isinstance(layer, nn.LeakyReLU)]
        assert len(leaky) == 3
        for layer in leaky:
            assert layer(torch.tensor([-5.0, 5.0])).tolist() == [-1, 5]
