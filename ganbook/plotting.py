"""Figures of the course: one style, one colour for each player, live views of a training run."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display

REAL, FAKE, CRITIC, OTHER = "#0072b2", "#d55e00", "#009e73", "#555555"
"""Real is blue, fake is orange, the critic is green.

Real has full lines and dots, fake has dashed lines and crosses, the critic has dotted lines."""

REAL_LINE = {"color": REAL, "linestyle": "-"}
FAKE_LINE = {"color": FAKE, "linestyle": "--"}
CRITIC_LINE = {"color": CRITIC, "linestyle": ":", "linewidth": 2.5}


def use_style() -> None:
    """Set matplotlib to the course's style: 100 dpi, readable sizes, no needless frames."""
    plt.rcParams.update(
        {
            "figure.figsize": (7, 3.2),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 10.5,
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(
                color=[REAL, FAKE, CRITIC, "#cc79a7", "#e69f00", "#56b4e9", OTHER]
            ),
            "lines.linewidth": 2,
            "legend.frameon": False,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
        }
    )


def array(values) -> np.ndarray:
    """A tensor (on any device, in any precision), array or list as a numpy array."""
    if isinstance(values, torch.Tensor):
        return values.detach().float().cpu().numpy()
    return np.asarray(values)


def tile(images, columns: int = 10) -> np.ndarray:
    """Arrange images in a grid: one picture of uint8, (height, width) or (height, width, 3).

    images: (N, C, H, W) in [-1, 1], with 1, 3 or 4 channels. The fourth is opacity;
        such images are laid on grey.
    columns: how many images in a row.
    The last row is padded with white. A gap of one pixel separates the images. Raises ValueError
    for any other shape, no images, no columns, or values over 100.
    """
    pixels = array(images)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3, 4):
        raise ValueError(f"images must have the shape (N, 1, 3 or 4, H, W); got {pixels.shape}")
    if not len(pixels) or columns < 1:
        raise ValueError(
            f"a grid needs at least one image and one column; got {len(pixels)} and {columns}"
        )
    if pixels.max() > 100:  # values a little over 1, as in noisy images, are clipped
        raise ValueError(
            f"images must lie in [-1, 1]; these reach {pixels.max():.3g}: data.Images scales bytes"
        )
    if pixels.shape[1] == 4:
        opaque = np.clip((pixels[:, 3:] + 1) / 2, 0, 1)
        pixels = np.clip(pixels[:, :3], -1, 1) * opaque  # mid-grey is 0
    pixels = np.clip((pixels.transpose(0, 2, 3, 1) + 1) * 127.5, 0, 255).round().astype(np.uint8)
    count, height, width, channels = pixels.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = np.full((rows, height + 1, columns, width + 1, channels), 255, np.uint8)
    for index in range(count):
        canvas[index // columns, :height, index % columns, :width] = pixels[index]
    canvas = canvas.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]
    return canvas[..., 0] if channels == 1 else canvas


def show_images(images, columns: int = 10, title: str = "", ax=None):
    """Draw images (N, C, H, W) in [-1, 1] as a grid, and return its Axes.

    images, columns: as `tile` takes them.
    title: above the grid, on the left.
    ax: the Axes to draw in; None makes a new figure.
    """
    picture = tile(images, columns)
    if ax is None:
        width = min(7.0, 0.62 * min(columns, len(images)) + 0.4)
        _, ax = plt.subplots(
            figsize=(width, width * picture.shape[0] / picture.shape[1] + (0.3 if title else 0))
        )
    ax.imshow(picture, vmin=0, vmax=255)
    ax.set_title(title, loc="left")
    ax.axis("off")
    return ax


def show_points(real=None, fake=None, ax=None, limit: float | None = None):
    """Draw real points as dots and fake points as crosses, and return the Axes.

    real, fake: points (N, 2), or None.
    ax: the Axes to draw in; None makes a new figure.
    limit: both axes go from -limit to limit; None fits them to the points.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(4, 4))
    for points, marker, color in ((real, ".", REAL), (fake, "x", FAKE)):
        if points is not None:
            points = array(points)
            ax.scatter(
                points[:, 0],
                points[:, 1],
                s=14,
                marker=marker,
                color=color,
                alpha=0.6,
                linewidths=1,
            )
    ax.set_aspect("equal")
    if limit is not None:
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit))
    return ax


def label_line(line, text: str, at: float = 1.0, offset=(4, 0)) -> None:
    """Write a label beside a line, in its colour, in place of a legend.

    line: a matplotlib line. text: the label.
    at: where along it, from 0 for the first point to 1 for the last.
    offset: of the label from that point, (right, up), in typographic points.
    """
    x, y = line.get_data()
    index = round(at * (len(x) - 1))
    line.axes.annotate(
        text,
        (x[index], y[index]),
        xytext=offset,
        textcoords="offset points",
        color=line.get_color(),
        va="center",
    )


class View:
    """A picture in a cell, redrawn while a game trains.

    real: points (N, 2) to draw fake points over, or None.
    columns: of a grid of images.
    Example: `view = View(real)`, then `view.show(samples, title="step 100")` as often as you like.
    The last picture stays in the saved notebook.
    """

    def __init__(self, real=None, columns: int = 12):
        self.real, self.columns, self.figure, self._handle = real, columns, None, None

    def show(self, samples, title: str = "") -> None:
        """Draw samples in place of those shown before.

        samples: images (N, C, H, W) in [-1, 1] or points (N, 2). title: above them.
        """
        if self.figure is None:
            shape = tile(samples, self.columns).shape if samples.ndim == 4 else (1, 1)
            width = 6.5 if samples.ndim == 4 else 4
            self.figure = plt.figure(figsize=(width, width * shape[0] / shape[1] + 0.3))
            plt.close(self.figure)
        self.figure.clear()
        axes = self.figure.add_subplot()
        if samples.ndim == 4:
            show_images(samples, self.columns, title, axes)
        else:
            show_points(self.real, samples, axes).set_title(title, loc="left")
        if self._handle is None:
            self._handle = display(self.figure, display_id=True)
        else:
            self._handle.update(self.figure)
