"""The picture of the playground where no kernel runs."""

import base64
import io
import math

import numpy as np
import PIL.Image
import pytest
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from ganbook import plotting
from ganbook.playground import playground, still
from ganbook.playground.layers import ARROWS, CELLS, LINES, layers


def test_a_still_comes_with_the_widget():
    game = playground(steps=5, width=16, depth=1, batch=32)
    bundle, _ = game._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json", "image/png"}
    assert "step 5" in bundle["text/plain"] and "0x" not in bundle["text/plain"], (
        "the same at every build"
    )
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.size == (900, 480)
    colors = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert {
        tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in (plotting.REAL, plotting.FAKE)
    } <= colors
    assert len(bundle["image/png"]) < 300_000


@pytest.mark.parametrize(
    ("logits", "low", "high"),
    [
        (np.linspace(-2, 2, 101), -1.92, 1.92),  # nearly all
        (np.zeros(9), -0.2, 0.2),  # never narrower than this
        (np.linspace(-20, 10, 101), -4, 4),  # at most 8 wide, around 0
        (np.linspace(10, 60, 101), 11, 19),
        (np.linspace(-60, -10, 101), -19, -11),
    ],
)
def test_the_range_that_is_shaded(logits, low, high):
    assert still.shade_range(logits) == pytest.approx((low, high))
    shown = [1 / (1 + math.exp(-value)) for value in (low, high)]
    words = "    shaded: D(x) from {:.2f} to {:.2f}".format(*shown)
    assert still._range_in_words(logits) == words


def test_the_range_in_words_of_no_logits_and_of_huge_ones():
    assert still._range_in_words(np.zeros(0)) == ""
    assert still._range_in_words(np.full(4, 1e4)).endswith("from 1.00 to 1.00")
    assert still._range_in_words(np.full(4, -1e4)).endswith("from 0.00 to 0.00")


@pytest.fixture
def figures(monkeypatch):
    """The figures that stills are drawn on, as they are drawn."""
    seen = []

    class Seen(Figure):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            seen.append(self)

    monkeypatch.setattr("ganbook.playground.still.Figure", Seen)
    return seen


def test_the_plane_shows_the_layers(figures):
    game = playground(steps=40, width=16, depth=1, batch=32)
    shown, (x, y, half) = layers(game.board), game.board.window
    game.still()
    plane = figures[0].axes[0]
    assert plane.get_xlim() == (x - half, x + half) and plane.get_ylim() == (y - half, y + half)
    assert plane.get_title(loc="left") == "after 40 steps"
    lines = [np.transpose(line.get_data()) for line in plane.lines]
    lattice = shown["lattice"].reshape(LINES, LINES, 2)
    drawn = [*lattice, *lattice.transpose(1, 0, 2), shown["real"], shown["fake"]]
    assert all(map(np.array_equal, lines, drawn)) and len(lines) == len(drawn)
    (shade,) = plane.images
    surface = shown["surface"]
    low, high = np.quantile(surface, [0.02, 0.98])
    assert 0.4 < high - low < 8  # nothing is widened or cut off
    share = np.clip((surface - low) / (high - low), 0, 1).reshape(CELLS, CELLS)
    assert np.allclose(shade.get_array()[..., 3], 0.04 + 0.5 * share)
    assert shade.origin == "lower" and shade.get_extent() == [
        x - half,
        x + half,
        y - half,
        y + half,
    ]
    low, high = (1 / (1 + np.exp(-end)) for end in (low, high))
    (key,) = plane.texts
    assert key.get_text() == (
        f"dots: real    crosses: generated    shaded: D(x) from {low:.2f} to {high:.2f}"
    )
    arrows = next(each for each in plane.collections if isinstance(each, Quiver))
    found, pull = np.stack([arrows.U, arrows.V], 1), shown["arrows"]
    size = np.linalg.norm(pull, axis=1, keepdims=True)
    assert np.array_equal(arrows.XY, shown["fake"][:ARROWS])
    assert np.allclose(found, 0.15 * half * pull / size.clip(np.quantile(size, 0.9)), atol=1e-5)


def test_the_curves_are_those_of_the_board(figures):
    game = playground(steps=10, width=16, depth=1, batch=32)
    game.board.measure()
    game.advance(5)
    game.board.measure()
    game.still()
    _, loss, modes, distance = figures[0].axes
    rows, measured = np.array(game.board.loss_rows), np.array(game.board.measured_rows)
    assert len(rows) == 15 and len(measured) >= 2
    for axes, ends in (
        (loss, [rows[:, [0, 1]], rows[:, [0, 2]]]),
        (modes, [measured[:, [0, 1]]]),
        (distance, [measured[:, [0, 2]], [[0, game.board.floor], [1, game.board.floor]]]),
    ):
        lines = [np.transpose(line.get_data()) for line in axes.lines]
        assert all(map(np.array_equal, lines, ends)) and len(lines) == len(ends)
        assert axes.get_xlim() == (0, 15)
    assert [axes.get_title(loc="left") for axes in (loss, modes, distance)] == [
        "loss", "modes found, of 8", "earth mover's distance to the data"
    ]  # fmt: skip
    assert [text.get_text() for text in loss.texts] == ["D", "G"]
