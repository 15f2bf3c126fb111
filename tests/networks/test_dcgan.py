"""ganbook.networks.dcgan: sizes, what can be switched, and what is refused."""

import pytest
import torch
from torch import nn

from ganbook import networks
from ganbook.device import DEVICE


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [10, 16, 28, 32, 64])
def test_images_are_drawn_of_the_size_asked_for_and_each_is_judged_by_one_logit(size, channels):
    generator, discriminator = networks.dcgan(size=size, channels=channels, latent=5, width=4)
    images = generator(20 * torch.randn(3, 5, device=DEVICE))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


def test_the_discriminator_judges_each_image_alone():
    _, discriminator = networks.dcgan(size=16, width=4)
    images = torch.rand(6, 1, 16, 16, device=DEVICE) * 2 - 1
    alone = torch.cat([discriminator(image[None]) for image in images])
    torch.testing.assert_close(discriminator(images), alone, rtol=1e-4, atol=1e-6)


def test_normalisation_and_activation_can_be_switched():
    def kinds(network):
        return {type(layer) for layer in network.modules()}

    plain, _ = networks.dcgan(size=16, width=4)
    assert {nn.BatchNorm2d, nn.ReLU} <= kinds(plain)
    bare, _ = networks.dcgan(size=16, width=4, norm=False)
    assert nn.BatchNorm2d not in kinds(bare)
    assert all(
        layer.bias is not None for layer in bare.modules() if isinstance(layer, nn.ConvTranspose2d)
    )
    generator, discriminator = networks.dcgan(size=16, width=4, activation="tanh")
    assert nn.ReLU not in kinds(generator) and nn.LeakyReLU not in kinds(discriminator)
    assert nn.Tanh in kinds(discriminator)
    generator, discriminator = networks.dcgan(size=16, width=4, norm=False, activation="none")
    z = torch.randn(2, 64, device=DEVICE)
    images = (
        discriminator(generator[:-1](z)),
        discriminator(generator[:-1](3 * z)),
        discriminator(generator[:-1](0 * z)),
    )
    # without any activation both networks are affine: so is all of it up to the tanh
    torch.testing.assert_close(
        images[1] - images[2], 3 * (images[0] - images[2]), rtol=1e-3, atol=1e-5
    )


def test_init_std_is_the_spread_of_every_weight_and_clears_the_biases():
    torch.manual_seed(0)
    for network in networks.dcgan(size=28, width=32, init_std=0.02):
        for layer in network.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                spread = layer.weight.std().item()
                assert spread == pytest.approx(
                    0.02, rel=0.3 if layer.weight.numel() < 1000 else 0.05
                )
                assert layer.bias is None or not layer.bias.any()


def test_without_init_std_activations_keep_their_size():
    assert all(
        layer.weight.std() > 0.02 for layer in networks.dcgan()[1] if isinstance(layer, nn.Conv2d)
    )


def test_the_smallest_width_there_is_works():
    generator, discriminator = networks.dcgan(size=16, width=1, latent=1)
    assert discriminator(generator(torch.zeros(2, 1, device=DEVICE))).shape == (2,)


@pytest.mark.parametrize("size", [1, 4, 7, 8, 9, 18, 27, 30, 36, 100])
def test_a_size_that_cannot_be_halved_to_a_small_map_is_refused(size):
    with pytest.raises(
        ValueError, match=rf"size={size}: it must be 5, 6, 7 or 8 doubled once or more"
    ):
        networks.dcgan(size=size)


@pytest.mark.parametrize("name", ["size", "channels", "latent", "width"])
@pytest.mark.parametrize("value", [0, -3, 2.0, "8", None])
def test_dcgan_refuses_sizes_below_one_and_fractions(name, value):
    with pytest.raises(
        ValueError, match=rf"{name}={value!r}: it must be a whole number, 1 or more"
    ):
        networks.dcgan(**{name: value})


def test_an_unknown_activation_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match="activation='gelu': it must be one of 'relu', 'tanh', 'none'"
    ):
        networks.dcgan(activation="gelu")


@pytest.mark.parametrize("init_std", [-0.1, float("nan")])
def test_a_spread_below_zero_is_refused(init_std):
    with pytest.raises(ValueError, match="init_std=.*: give a standard deviation, 0 or more"):
        networks.dcgan(init_std=init_std)


def test_the_discriminators_leaky_units_leak_a_fifth():
    leaky = [n for n in networks.dcgan_discriminator(width=4) if isinstance(n, nn.LeakyReLU)]
    assert len(leaky) == 4
    for layer in leaky:
        assert layer(torch.tensor([-5.0, 5.0])).tolist() == [-1, 5]
