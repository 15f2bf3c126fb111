"""Faults of a set of digits, made on purpose, and eight numbers that may or may not see them.
Chapter 5."""

import functools
import math
from typing import NamedTuple

import ipywidgets
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganbook import data, metrics
from ganbook.device import DEVICE
from ganbook.plotting import FAKE, OTHER, REAL, tile
from ganbook.widgets import MovingPicture, frame, slider


def blurred(images: torch.Tensor, width: float) -> torch.Tensor:
    """Images (N, 1, H, W) under a Gaussian blur of standard deviation `width`, in pixels; 0 leaves
    them. Chapter 5."""
    if not width > 0:
        return images
    reach = math.ceil(3 * width)
    line = torch.exp(-(torch.arange(-reach, reach + 1, device=images.device) ** 2) / (2 * width**2))
    line = (line / line.sum()).view(1, 1, 1, -1)
    padded = F.pad(images, [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, line), line.mT)


def noisy(images: torch.Tensor, std: float, seed: int = 0) -> torch.Tensor:
    """Images (N, C, H, W) with noise N(0, std^2) on every pixel, cut off at -1 and 1. Chapter 5."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return (images + std * noise.to(images.device)).clamp(-1, 1)


def missing(images: torch.Tensor, labels: torch.Tensor, classes, n: int) -> torch.Tensor:
    """The first n images (n, C, H, W) whose label is not among `classes`. Raises ValueError for
    fewer. Chapter 5."""
    kept = ~torch.isin(
        labels, torch.as_tensor(list(classes), dtype=labels.dtype, device=labels.device)
    )
    if kept.sum() < n:
        raise ValueError(
            f"only {int(kept.sum())} images are left without the classes {list(classes)}, not {n}"
        )
    return images[kept][:n]


def repeated(images: torch.Tensor, share: float) -> torch.Tensor:
    """Images (N, C, H, W), the first of them in place of the first `share` (0 to 1) of all. Chapter
    5."""
    count = round(share * len(images))
    return torch.cat([images[:1].expand(count, *images.shape[1:]), images[count:]])


def copied(images: torch.Tensor, originals: torch.Tensor, share: float) -> torch.Tensor:
    """Images (N, C, H, W), the first `share` (0 to 1) of them replaced by as many of the
    `originals`. Chapter 5."""
    count = round(share * len(images))
    if count > len(originals):
        raise ValueError(
            f"{count} images are to be copies, but there are only {len(originals)} originals"
        )
    return torch.cat([originals[:count], images[count:]])


class Measures(NamedTuple):
    """What the metrics say of a set of digits. kid is of one block; copies: `nearer_to_training`,
    1/2 if honest."""

    fid: float
    kid: float
    inception: float
    precision: float
    recall: float
    density: float
    coverage: float
    copies: float


NAMES = ("FID", "KID", "IS", "precision", "recall", "density", "coverage", "copies")
"""What the eight are called in tables and figures."""


def measures(training, held_out, fake) -> Measures:
    """All eight for features of digits, each (., 64) as `metrics.digit_features` gives them.
    Chapter 5.

    training: of the digits that a generator learned from; the metrics hold the fakes against these.
    held_out: of as many others, for the test of copies.
    """
    fake = torch.as_tensor(fake)
    probabilities = metrics.digit_classifier().head(fake.to(DEVICE)).softmax(1)
    return Measures(
        metrics.fid(training, fake),
        metrics.kid(training, fake, blocks=1).value,
        metrics.inception_score(probabilities),
        *metrics.precision_recall(training, fake),
        *metrics.density_coverage(training, fake),
        nearer_to_training(training, held_out, fake),
    )


def nearer_to_training(training, held_out, fake) -> float:
    """The share of fakes whose nearest training sample is nearer than their nearest held-out one:
    1/2 if honest.

    All are features (N, F); training and held-out samples must be equally many, or the more
    numerous would be nearer for that reason: raises ValueError. A simple form of the test of Meehan
    et al. 2020 (arXiv:2004.05675). Chapter 5.
    """
    if len(training) != len(held_out):
        raise ValueError(
            f"compare with equally many: {len(training)} training and {len(held_out)} held-out"
            f" samples"
        )
    to_training, to_held_out = (metrics.nearest(fake, others)[0] for others in (training, held_out))
    return float((to_training < to_held_out).mean() + (to_training == to_held_out).mean() / 2)


FAULTS = ("blur", "noise", "classes missing", "one image repeated", "copies of training digits")
_GONE = 6  # classes at most, so that enough digits are left for a full set


class FaultPicture:
    """Digits with a fault of some strength (0 to 1), and the eight metrics beside their values
    without it; for a PNG.

    A set is of `size` digits, and so are the training and the held-out digits. Raises ValueError
    for an unknown fault. Chapter 5.
    """

    limits = (
        (0.3, 3e3),
        (-30, 3e4),
        (1, 10.5),
        (0, 1.05),
        (0, 1.05),
        (0, 2.1),
        (0, 1.05),
        (0, 1.05),
    )
    scales = ("log", "symlog", *["linear"] * 6)
    arrows = ("↓", "↓", "↑", "↑", "↑", "↑", "↑", "½")  # where better is

    def __init__(self, size: int = 800):
        images, labels = data.digits().batches(5000)[0]
        parts = images.split([size, size, len(images) - 2 * size])
        self.size, self.training, self.pool, self.labels = (
            size,
            parts[0],
            parts[2],
            labels[2 * size :],
        )
        self.features = [metrics.digit_features(part) for part in parts[:2]]
        self.measured = functools.lru_cache(200)(self._measure)
        self.honest = self.measured("blur", 0.0)[1]
        self.figure = Figure(figsize=(7.4, 3.5), dpi=100, layout="none")
        FigureCanvasAgg(self.figure)
        above = self.figure.add_axes((0.01, 0.67, 0.98, 0.25))
        above.axis("off")
        self.row = above.imshow(tile(self.pool[:36], 18), cmap="gray", vmin=0, vmax=255)
        self.title = self.figure.text(0.01, 0.945, "")
        self.figure.text(
            0.01, 0.015, "orange cross: now    blue line: without a fault", fontsize=9, color=OTHER
        )
        self.dots, self.numbers = [], []
        for k, (name, arrow) in enumerate(zip(NAMES, self.arrows, strict=True)):
            axes = self.figure.add_axes((0.02 + 0.123 * k, 0.225, 0.1, 0.335))
            axes.set_yscale(
                self.scales[k], **({"linthresh": 50} if self.scales[k] == "symlog" else {})
            )
            axes.set(xlim=(-1, 1), ylim=self.limits[k], xticks=[], yticks=[])
            axes.minorticks_off()
            axes.spines[:].set_visible(False)
            axes.set_facecolor("#f4f4f4")
            axes.set_title(f"{name} {arrow}", fontsize=9, pad=4)
            axes.axhline(self._inside(k, self.honest[k]), color=REAL)
            self.dots.append(axes.plot([0], [1], "X", color=FAKE, markersize=10, clip_on=False)[0])
            self.numbers.append(
                axes.text(0, -0.05, "", transform=axes.transAxes, ha="left", va="top", color=FAKE)
            )
            axes.text(
                0,
                -0.2,
                _short(self.honest[k]),
                transform=axes.transAxes,
                va="top",
                color=REAL,
                fontsize=9,
            )

    def _inside(self, k, value):
        low, high = self.limits[k]
        return min(max(value, low), high)

    def _measure(self, fault, strength):
        whole = self.pool[: self.size]
        if fault == "blur":
            images, text = blurred(whole, 2 * strength), f"a blur of {2 * strength:.1f} pixels"
        elif fault == "noise":
            images, text = (
                noisy(whole, strength),
                f"noise of {strength:.1f}, where black to white is 2",
            )
        elif fault == "classes missing":
            gone = range(10 - round(_GONE * strength), 10)
            images = missing(self.pool, self.labels, gone, self.size)
            text = f"without {', '.join(map(str, gone))}" if gone else "all classes are there"
        elif fault == "one image repeated":
            images, text = repeated(whole, strength), f"one image in {strength:.0%} of the places"
        elif fault == "copies of training digits":
            images, text = (
                copied(whole, self.training, strength),
                f"{strength:.0%} are copies of training digits",
            )
        else:
            raise ValueError(f"fault={fault!r}: there are {', '.join(FAULTS)}")
        # From all over the set, because some faults begin at its front.
        shown = images[:: max(1, len(images) // 36)][:36]
        return text, measures(*self.features, metrics.digit_features(images)), tile(shown, 18)

    def __call__(self, fault: str = "blur", strength: float = 0.0) -> bytes:
        text, found, row = self.measured(fault, round(strength, 3))
        self.title.set_text(f"36 of {self.size} digits: {text}")
        self.row.set_data(row)
        for k, value in enumerate(found):
            self.dots[k].set_data([0], [self._inside(k, value)])
            self.numbers[k].set_text(_short(value))
        return frame(self.figure)


def _short(value: float) -> str:
    if abs(value) >= 9.95 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 2.5 else f"{value:.1f}"


def explorer() -> MovingPicture:
    """Choose a fault, drag its strength, see which of eight numbers see it. By keyboard: Tab and
    arrows. Chapter 5."""
    return MovingPicture(
        FaultPicture(),
        fault=ipywidgets.Dropdown(
            options=FAULTS, description="fault", style={"description_width": "6em"}
        ),
        strength=slider("strength", 0.3, 0.0, 1.0),
    )
