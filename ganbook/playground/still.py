"""The picture of the playground that is shown without a kernel."""

import io
import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ganbook.playground.board import Board
from ganbook.playground.layers import ARROWS, CELLS, LINES, layers
from ganbook.plotting import CRITIC, CRITIC_LINE, FAKE, FAKE_LINE, OTHER, REAL


def still(board: Board) -> bytes:
    """A picture of the game now, the plane with its layers and the curves.

    Returns a PNG of 900 x 480 pixels as bytes.
    """
    figure = Figure(figsize=(9, 4.8), dpi=100, layout="none")
    _draw_plane(figure.add_axes((0.01, 0.07, 0.5, 0.86)), board)
    _draw_curves(figure, board)
    canvas, png = FigureCanvasAgg(figure), io.BytesIO()
    canvas.print_png(png)
    return png.getvalue()


def _draw_plane(axes, board: Board) -> None:
    shown = layers(board)
    x, y, half = board.window
    axes.set(xlim=(x - half, x + half), xticks=[])
    axes.set(ylim=(y - half, y + half), yticks=[], aspect="equal")
    if shown["surface"].size:
        _draw_surface(axes, shown["surface"].reshape(CELLS, CELLS), board.window)
    if shown["lattice"].size:
        lattice = shown["lattice"].reshape(LINES, LINES, 2)
        for line in (*lattice, *lattice.transpose(1, 0, 2)):
            axes.plot(*line.T, color="#888888", linewidth=0.6)
    axes.plot(*shown["real"].T, ".", color=REAL, markersize=4, alpha=0.7)
    axes.plot(*shown["fake"].T, "x", color=FAKE, markersize=4, alpha=0.8)
    if shown["arrows"].size:
        _draw_arrows(axes, shown["fake"][:ARROWS], shown["arrows"], half)
    axes.set_title(f"after {board.gan.steps_done:,} steps", loc="left", fontsize=11)
    key = f"dots: real    crosses: generated{_range_in_words(shown['surface'])}"
    axes.text(x - half, y - 1.04 * half, key, va="top", fontsize=9, color=OTHER)


def _draw_surface(axes, logits, window) -> None:
    x, y, half = window
    low, high = shade_range(logits)
    share = np.clip((logits - low) / (high - low), 0, 1)
    color = [int(CRITIC[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    axes.imshow(
        np.dstack([np.full((*share.shape, 3), color), 0.04 + 0.5 * share]),
        extent=(x - half, x + half, y - half, y + half),
        origin="lower",
        interpolation="bilinear",
    )
    if logits.min() < 0 < logits.max():
        line = (np.arange(CELLS) + 0.5) * (2 * half / CELLS) - half
        axes.contour(x + line, y + line, logits, [0], colors=CRITIC, linestyles=":", linewidths=2)


def _draw_arrows(axes, tails, pull, half) -> None:
    size = np.linalg.norm(pull, axis=1, keepdims=True)
    longest = max(np.quantile(size, 0.9), 1e-12)
    ends = tails + 0.15 * half * pull / np.maximum(size, longest)
    units = {"angles": "xy", "scale_units": "xy", "scale": 1}
    axes.quiver(*tails.T, *(ends - tails).T, width=0.003, color="#333", **units)


def _draw_curves(figure, board: Board) -> None:
    names = ["loss", *(["modes"] if board.modes else []), "distance"]
    height = 0.91 / len(names)
    for k, name in enumerate(names):
        axes = figure.add_axes((0.6, 0.985 - (k + 1) * height, 0.36, height - 0.13))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
        if name == "loss":
            _draw_losses(axes, np.array(board.loss_rows).reshape(-1, 3))
        else:
            _draw_measured(axes, name, np.array(board.measured_rows).reshape(-1, 3), board)
        axes.set_xlim(0, max(1, board.gan.steps_done))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    figure.text(0.96, 0.003, "steps", ha="right", fontsize=9)


def _draw_losses(axes, rows) -> None:
    axes.set_title("loss", loc="left", fontsize=10)
    if not len(rows):
        axes.set_yticks([])
    for column, name, style in ((1, "D", CRITIC_LINE), (2, "G", FAKE_LINE)):
        axes.plot(rows[:, 0], rows[:, column], **style)
        if len(rows):
            axes.annotate(
                name, rows[-1, [0, column]], (4, 0), textcoords="offset points", va="center",
                color=style["color"], annotation_clip=False,
            )  # fmt: skip


def _draw_measured(axes, name, rows, board: Board) -> None:
    if name == "modes":
        axes.set_title(f"modes found, of {board.modes}", loc="left", fontsize=10)
        axes.plot(rows[:, 0], rows[:, 1], color=OTHER)
        axes.set(ylim=(0, board.modes * 1.08), yticks=[0, board.modes])
        return
    axes.set_title("earth mover's distance to the data", loc="left", fontsize=10)
    axes.plot(rows[:, 0], rows[:, 2], color=OTHER)
    axes.axhline(board.floor, color=REAL, linewidth=1)
    axes.set_ylim(bottom=0)


def shade_range(logits) -> tuple[float, float]:
    """The range (low, high) of logits to shade: nearly all of them, but at most 8 wide, around 0.

    logits: of any shape. playground.js has the same rule.
    """
    low, high = np.quantile(logits, [0.02, 0.98])
    if high - low > 8:
        middle = min(high - 4, max(low + 4, 0))
        return middle - 4, middle + 4
    widen = max(0, 0.4 - (high - low)) / 2
    return low - widen, high + widen


def _range_in_words(logits) -> str:
    if not len(logits):
        return ""
    low, high = (1 / (1 + math.exp(-max(-30, min(30, logit)))) for logit in shade_range(logits))
    return f"    shaded: D(x) from {low:.2f} to {high:.2f}"
