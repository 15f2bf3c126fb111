"""The layers of the playground's plane: each is what it says, and looking changes nothing."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from ganbook import losses, plotting
from ganbook.device import DEVICE
from ganbook.playground import playground
from ganbook.playground.board import SAMPLES
from ganbook.playground.layers import ARROWS, CELLS, LINES, layers
from ganbook.playground.still import still


def board(**settings):
    return playground(**{"width": 16, "depth": 1, "batch": 32, **settings}).board


def weights(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()]).cpu()


def test_looking_changes_nothing():
    first, second = (board(pair=dropout_pair()) for _ in range(2))
    for _ in range(3):
        first.advance()
        second.advance()
        layers(first)
        still(first)
    assert torch.equal(weights(first.gan.generator), weights(second.gan.generator))
    assert first.gan.discriminator.training


def dropout_pair():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    generator.latent = 2
    return generator, nn.Sequential(
        nn.Linear(2, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0)
    )


@pytest.mark.parametrize("make", ["dropout", "norm"])
def test_the_surface_and_the_arrows_are_those_of_d_in_evaluation_mode(make):
    generator, judge = dropout_pair()
    if make == "norm":
        judge[1] = nn.BatchNorm1d(8)
    game = board(pair=(generator, judge), steps=3)
    gan, (x, y, half) = game.gan, game.window
    shown, again = layers(game), layers(game)
    assert np.array_equal(shown["surface"], again["surface"])
    assert np.array_equal(shown["arrows"], again["arrows"])
    assert gan.discriminator.training
    line = (torch.arange(CELLS) + 0.5) * (2 * half / CELLS) - half
    middles = torch.stack([line.repeat(CELLS) + x, line.repeat_interleave(CELLS) + y], 1)
    calm = copy.deepcopy(gan.discriminator).eval()
    expected = plotting.array(calm(middles.to(DEVICE)))
    np.testing.assert_allclose(shown["surface"], expected, atol=1e-5)
    fake = torch.tensor(shown["fake"][:ARROWS], device=DEVICE, requires_grad=True)
    (slope,) = torch.autograd.grad(gan.loss.g(None, calm(fake)).sum(), fake)
    np.testing.assert_allclose(shown["arrows"], -plotting.array(slope), atol=1e-5)


def test_the_layers_are_what_they_say():
    game = board(steps=3)
    shown, (x, y, half), gan = layers(game), game.window, game.gan
    assert shown["real"].shape == shown["fake"].shape == (SAMPLES, 2)
    np.testing.assert_allclose(
        shown["fake"], plotting.array(gan.decode(game.latents[:SAMPLES])), atol=1e-5
    )
    cells, cell = CELLS, 2 * half / CELLS
    surface = shown["surface"].reshape(cells, cells)
    for row, column in ((0, 0), (0, cells - 1), (5, 30)):  # rows from the bottom up
        at = torch.tensor([[x - half + (column + 0.5) * cell, y - half + (row + 0.5) * cell]]).to(
            DEVICE
        )
        assert surface[row, column] == pytest.approx(gan.discriminator(at).item(), abs=1e-4)
    lattice = shown["lattice"].reshape(LINES, LINES, 2)
    for a, b, z in ((0, 0, (-2, -2)), (0, -1, (-2, 2)), (-1, 0, (2, -2))):
        expected = plotting.array(gan.decode(torch.tensor([z]).float()))[0]
        np.testing.assert_allclose(lattice[a, b], expected, atol=1e-4)


@pytest.mark.parametrize("loss", [losses.nonsaturating, losses.relativistic])
def test_arrows_point_where_the_generators_loss_falls(loss):
    game = board(loss=loss, steps=20)
    shown, judge = layers(game), game.gan.discriminator
    fake = torch.tensor(shown["fake"][:ARROWS], device=DEVICE)
    real = torch.tensor(shown["real"][:ARROWS], device=DEVICE)
    arrows = torch.tensor(shown["arrows"], device=DEVICE)

    @torch.no_grad()
    def lost(points):
        return loss.g(judge(real), judge(points)).double()

    h = 1e-2
    for axis in (0, 1):
        step = torch.zeros(2, device=DEVICE)
        step[axis] = h
        slope = (lost(fake + step) - lost(fake - step)) / (2 * h)
        close = (slope + arrows[:, axis]).abs() < 2e-2 * arrows.norm(dim=1).max()
        assert close.float().mean() > 0.9  # a leaky ReLU has kinks


def test_a_layer_that_is_off_costs_nothing():
    game = board()
    game.choose("layers", ["real", "fake"])
    shown = layers(game)
    assert (
        not any(shown[name].size for name in ("surface", "arrows", "lattice"))
        and shown["fake"].size
    )
