"""ganbook.networks.resnet: sizes, and a game that is saved and goes on."""

import pytest
import torch

from ganbook import GAN, data, losses, networks, penalties
from ganbook.device import DEVICE


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [10, 16, 28, 32, 64])
def test_residual_images_are_of_the_size_asked_for_and_each_is_judged_by_one_logit(size, channels):
    generator, discriminator = networks.resnet(size=size, channels=channels, latent=5, width=4)
    images = generator(20 * torch.randn(3, 5, device=DEVICE))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


@pytest.mark.parametrize("settings", [{}, {"spectral": True}, {"classes": 4}])
def test_a_residual_game_is_played_saved_and_goes_on(settings, tmp_path):
    def pair(spectral=False, **settings):
        generator, discriminator = networks.resnet(size=16, width=4, latent=8, **settings)
        return generator, networks.spectral(discriminator) if spectral else discriminator

    def made():
        return GAN(
            *pair(**settings),
            loss=losses.relativistic,
            penalty=penalties.total(penalties.r1(0.1), penalties.r2(0.1)),
        )

    torch.manual_seed(0)
    images = data.Images(torch.rand(16, 1, 16, 16) * 2 - 1, torch.arange(16) % 4)
    gan, batches = made(), images.batches(8)
    for _ in gan.train(batches, 2, progress=False):
        pass
    gan.save(tmp_path / "game")
    again = made()
    again.resume(tmp_path / "game")
    for player in (gan, again):
        for _ in player.train(batches, 4, progress=False):
            pass
    assert torch.equal(gan.sample(5, seed=0), again.sample(5, seed=0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blocks": 0}, "blocks=0: it must be a whole number, 1 or more"),
        ({"latent": 1.5}, "latent=1.5: it must be a whole number, 1 or more"),
        ({"size": 100}, "size=100: it must be 5, 6, 7 or 8 doubled once or more"),
        (
            {"g_condition": "norm"},
            "g_condition='norm': it must be one of 'concatenation', 'embedding'",
        ),
    ],
)
def test_resnet_says_what_is_wrong_with_its_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        networks.resnet(**wrong)


def test_in_fresh_networks_every_block_is_its_shortcut_and_drawing_makes_it_so_again():
    for network in networks.resnet(size=16, width=4, blocks=2):
        blocks = [layer for layer in network if isinstance(layer, networks.ResidualBlock)]
        assert blocks and all(block.gain.item() == 0 for block in blocks)
        for block in blocks:
            torch.nn.init.ones_(block.gain)
        network.draw()
        assert all(block.gain.item() == 0 for block in blocks)
