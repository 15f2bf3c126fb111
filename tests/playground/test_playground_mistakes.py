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
        ((lambda r, f: None, losses.minimax.g), "None"),
    ],
)
def test_a_wrong_loss_is_explained(loss, message):
    game = board(loss=loss)
    game.step()
    assert re.search(message, game.error), game.error
    still(game)
    with pytest.raises(RuntimeError, match=message):
        board(loss=loss, steps=1)


FORGETFUL = "\n\ndef {name}(*given):\n    given[-1] * 0"


def test_a_loss_without_return_is_named_with_its_line(notebook):
    for name, loss in (
        ("d_loss", lambda own: (own, losses.minimax.g)),
        ("g_loss", lambda own: (losses.minimax.d, own)),
    ):
        run(notebook, FORGETFUL.format(name=name))
        game = board(loss=loss(vars(notebook)[name]))
        game.step()
        assert re.search("(returned|gave) None", game.error), game.error
        assert game.error.count(f"{name}, line 3") == game.error.count("line") == 1, game.error


def test_a_penalty_without_return_is_named_with_its_line_and_mending_it_is_enough(notebook):
    run(notebook, FORGETFUL.format(name="keep_small"))
    game = board(penalty=notebook.keep_small)
    game.step()
    assert re.search("penalty.*(returned|gave) None", game.error), game.error
    assert game.error.count("keep_small, line 3") == game.error.count("line") == 1, game.error
    run(notebook, "def keep_small(critic, real, fake, *logits):\n    return logits[0].square()")
    game.reset()
    game.advance(2)
    assert game.gan.steps_done == 2


@pytest.mark.parametrize("player", ["d", "g"])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return F.softplus(fake).mean()", "one value per sample"),
        ("return fake / 0", "_loss is"),
        ("return fake.detach()", "depends on its weights"),
        ("return fake + 'a'", "TypeError"),
    ],
)
def test_what_the_engine_refuses_is_shown_with_the_readers_line(notebook, source, message, player):
    run(notebook, f"\ndef own(real, fake):\n    {source}")
    theirs = losses.minimax
    game = board(loss=(notebook.own, theirs.g) if player == "d" else (theirs.d, notebook.own))
    game.step()
    assert message in game.error and re.search("in own, line [23]", game.error), game.error


def test_a_loss_of_the_course_is_not_blamed_on_a_line_of_the_course():
    game = board(loss=losses.minimax)
    with torch.no_grad():
        for weight in game.gan.generator.parameters():
            weight.fill_(math.nan)
    game.step()
    assert "is nan" in game.error and "line" not in game.error


def test_a_network_that_fails_in_a_picture_is_shown():
    class Fickle(torch.nn.Linear):
        broken = False

        def forward(self, x):
            if self.broken:
                raise ValueError("no more")
            return super().forward(x).flatten()

    game = playground(pair=(networks.mlp(latent=2)[0], Fickle(2, 1)))
    sent = []
    game.send = lambda message, buffers: sent.append((message, buffers))
    game.gan.discriminator.broken = True
    game._handle_message({"kind": "opened", "view": "a"}, [])
    message, buffers = sent[-1]
    assert message["error"].startswith("ValueError: no more\nin forward, line"), message["error"]
    assert len(buffers) == 7


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
            r"penalty=penalties.r1 is a function that makes a penalty: call it first, as in",
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


# ---- Choices that can not be


class Finicky:
    """Data that refuse batches of 64."""

    def batches(self, size, seed=0):
        if size == 64:
            raise ValueError("not 64")
        return data.ring().batches(size, seed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "red"),
        ("data", "circle"),
        ("loss", None),
        ("penalty", ["none"]),
        ("lr", -1.0),
        ("d_lr", math.nan),
        ("d_steps", 0),
        ("d_steps", -3),
        ("d_steps", 10**9),
        ("batch", 0),
        ("batch", "64"),
        ("batch", 64),
        ("speed", -2),
        ("layers", "real"),
        ("layers", ["real", "colour"]),
    ],
)
def test_a_choice_that_can_not_be_changes_nothing(name, value):
    game, same = (board(data=Finicky()) for _ in range(2))
    before = dict(game.settings)
    with pytest.raises(ValueError, match="not 64" if value == 64 else f"{name}=|name='colour'"):
        game.choose(name, value)
    assert game.settings == before and len(game.batches[0].x) == 32
    for played in (game, same):
        played.advance(3)
    pairs = zip(game.gan.generator.parameters(), same.gan.generator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_points_that_are_not_finite_are_not_drawn():
    game = playground(width=16, depth=1)
    game.board.choose("data", "drawn by you")
    for points in ([[0.5, 0.5]] * 3, [[math.nan, 0.0]]):
        sent = [torch.tensor(points).numpy().tobytes()]
        game._handle_message({"kind": "draw", "anew": False}, sent)
    assert "the points drawn hold NaN" in game.error
    assert game.board.drawn.tolist() == [[0.5, 0.5]] * 3 and game.board.batches is not None
