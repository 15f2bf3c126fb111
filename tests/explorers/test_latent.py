"""The latent space of chapters 4 and 6, moved by sliders."""

import base64

import pytest
from torch import nn

from ganbook import GAN, networks
from ganbook.explorers import latent


def test_the_explorer_redraws_for_each_slider_and_leaves_a_still():
    gan = GAN(*networks.dcgan(width=4))
    explorer = latent.explorer(gan)
    pictures = [explorer.image.value]
    for control in explorer.controls.values():
        control.value += 1
        pictures.append(explorer.image.value)
    assert len(set(pictures)) == len(pictures) == 6
    assert base64.b64decode(explorer._repr_mimebundle_()["image/png"]).startswith(b"\x89PNG")


def test_the_explorer_of_a_conditional_game_has_a_class_to_choose():
    labels = {"classes": 5, "condition": "projection", "g_condition": "embedding"}
    explorer = latent.explorer(GAN(*networks.dcgan(size=16, width=4, latent=8, **labels)))
    pictures = [explorer.image.value]
    for control in explorer.controls.values():
        control.value += 1
        pictures.append(explorer.image.value)
    assert "label" in explorer.controls and len(set(pictures)) == len(pictures)


def test_the_explorer_says_what_it_needs():
    class Convolution(nn.Module):
        latent = 8

        def __init__(self):
            super().__init__()
            self.layer = nn.ConvTranspose2d(8, 1, 28)

        def forward(self, z):
            return self.layer(z[:, :, None, None])

    gan = GAN(Convolution(), networks.dcgan(width=4)[1])
    with pytest.raises(ValueError, match="first layer is an nn.Linear"):
        latent.explorer(gan)
