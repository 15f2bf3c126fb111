"""The latent space of chapters 4 and 6, moved by sliders."""

import base64
import io

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from ganbook import GAN, networks, plotting
from ganbook.device import DEVICE
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
    assert explorer.line.value.startswith("12 samples of draw 1, label 1: z has 2.0 times its")


def test_the_samples_are_those_of_the_latents_that_the_line_tells():
    gan = GAN(*networks.dcgan(size=16, width=4, latent=8))
    explorer = latent.explorer(gan, count=4)
    assert explorer.line.value == (
        "4 samples of draw 0: z has 1.0 times its length, moved nowhere."
    )
    for name, value in {"length": 0.5, "sample": 7, "way_1": 2.0, "way_3": -1.5}.items():
        explorer.controls[name].value = value
    assert explorer.line.value == (
        "4 samples of draw 7: z has 0.5 times its length, moved +2.0 along direction 1 and -1.5"
        " along direction 3."
    )
    linear = next(layer for layer in gan.averaged.modules() if isinstance(layer, nn.Linear))
    values, ways = torch.linalg.eigh(linear.weight.detach().T @ linear.weight.detach())
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(7)).to(DEVICE)
    shown = np.asarray(PIL.Image.open(io.BytesIO(explorer.image.value)).convert("L")).astype(int)
    # Of each direction the sign is free.
    candidates = [
        plotting.tile(gan.decode(0.5 * (z + a * 2 * ways[:, -1] + b * 1.5 * ways[:, -3])), 6)
        for a in (-1, 1)
        for b in (-1, 1)
    ]
    assert any(
        np.abs(candidate.repeat(3, 0).repeat(3, 1).astype(int) - shown).max() <= 1
        for candidate in candidates
    )


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
