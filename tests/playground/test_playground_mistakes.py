"""Mistakes of the reader's in the playground: each is explained, and mending it is enough."""

import math
import re
import sys
import types

import pytest
import torch
import torch.nn.functional as F

from ganbook import data, losses, networks, penalties
from ganbook.playground import playground
from ganbook.playground.still import still


def board(**settings):
    return playground(**{"width": 16, "depth": 1, "batch": 32, **settings}).board


@pytest.fixture
def notebook(monkeypatch):
    """A module in which functions are defined again and again, as in a notebook."""
    module = types.ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", module)
    module.F = F
    return module


def run(module, source):
    exec(source, vars(module))


def test_an_exception_in_the_readers_loss_stops_it_with_a_message_and_mending_is_enough(notebook):
    run(notebook, "def d_loss(real, fake):\n    return F.softplus(-real) + F.softplus(fake)")
    run(notebook, "def g_loss(real, fake):\n    return missing * fake")
    game = board(loss=(notebook.d_loss, notebook.g_loss))
    game.playing = True
    game.step()
    assert not game.playing and game.gan.steps_done == 0
    assert game.error.startswith("NameError: name 'missing' is not defined\nin g_loss, line 2")
    run(notebook, "def g_loss(real, fake):\n    return F.softplus(-fake)")
    game.reset()
    assert game.error == ""
    game.advance(2)
    assert game.gan.steps_done == 2


def interrupted(real, fake):
    raise KeyboardInterrupt


def test_an_interrupt_stops_all_steps():
    game = board(loss=(losses.minimax.d, interrupted))
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        game.advance(100)
    assert (game.gan.steps_done, game.turns) == (0, 1)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            (lambda r, f: F.softplus(f).mean(), losses.minimax.g),
            r"loss.d must give one value per sample, shape \(32,\)",
        ),
        ((losses.minimax.d, lambda r, f: f * math.nan), "the generator's g_loss is nan"),
        ((losses.minimax.d, lambda f: f), "takes 1 positional argument but 2 were given"),
        ((lambda r, f: None, losses.minimax.g), "NoneType"),
    ],
)
def test_a_wrong_loss_is_explained(loss, message):
    game = board(loss=loss)
    game.step()
    assert re.search(message, game.error), game.error
    still(game)
    with pytest.raises(RuntimeError, match=message):
        board(loss=loss, steps=1)


def test_a_wrong_penalty_is_explained():
    game = board(penalty=lambda *args: torch.zeros(()))
    game.step()
    assert "the penalty must give one value per sample" in game.error
    game.choose("penalty", "none")
    game.reset()
    game.step()
    assert game.error == "" and game.gan.steps_done == 1


def test_a_game_that_has_diverged_can_still_be_shown():
    game = board()
    with torch.no_grad():
        for weight in game.gan.generator.parameters():
            weight.fill_(math.nan)
    game.measure()
    still(game)
    game.step()
    assert "d_loss is nan" in game.error


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"loss": "hinge"},
            TypeError,
            "loss='hinge': give losses.nonsaturating, say, or a pair of your functions",
        ),
        ({"loss": (losses.minimax.d,)}, TypeError, "a pair of your functions"),
        (
            {"penalty": penalties.r1},
            TypeError,
            r"penalty=penalties.r1: call it, with its weight, as in penalties.r1\(1.0\)",
        ),
        ({"penalty": 1.0}, TypeError, r"penalty=1.0: give penalties.r1\(1.0\), say"),
        (
            {"data": "circle"},
            ValueError,
            "data='circle': it must be one of 'ring', 'grid', 'two moons', 'spiral', 'drawn by",
        ),
        ({"data": torch.zeros(5, 3)}, TypeError, r"points \(N, 2\)"),
        ({"data": [[math.nan, 0.0]]}, TypeError, r"points \(N, 2\)"),
        ({"data": 3}, TypeError, "data=3: give a name"),
        (
            {"data": data.mixture_1d([0.0], 1.0)},
            ValueError,
            r"points in the plane, x of \(N, 2\); it gave \(512, 1\)",
        ),
        ({"lr": "fast"}, ValueError, "lr must be a finite number, 0 or more; got 'fast'"),
        ({"d_lr": -1.0}, ValueError, "d_lr must be a finite number, 0 or more; got -1.0"),
        (
            {"lr": lambda share: 0.1},
            ValueError,
            "lr=.*: give a number, because the menu changes it",
        ),
        ({"d_steps": 0}, ValueError, "d_steps=0: it must be a whole number, 1 or more"),
        ({"batch": 2.5}, ValueError, "batch=2.5: it must be a whole number"),
        ({"steps": -1}, ValueError, "steps=-1: it must be a whole number, 0 or more"),
        ({"width": 0}, ValueError, "width"),
        (
            {"pair": networks.mlp()[0]},
            TypeError,
            r"give two networks, \(generator, discriminator\)",
        ),
        (
            {"pair": networks.mlp((3,))},
            ValueError,
            r"points in the plane; the generator's are \(3,\)",
        ),
    ],
)
def test_what_can_not_be_played_is_said_at_once(settings, error, message):
    with pytest.raises(error, match=message):
        playground(**settings)
