"""Faults made on purpose in a set of digits, and how eight measures react to them. Chapter 5."""

import functools
import math

import ipywidgets
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganbook import data, metrics
from ganbook.arguments import check_choice
from ganbook.plotting import FAKE, OTHER, REAL, tile
from ganbook.widgets import MovingPicture, frame, slider

FAULTS = ("blur", "noise", "classes missing", "one image repeated", "copies of training digits")
CLASSES_MISSING = 6  # at most, so that enough digits are left for a full set

AXES = (  # of each measure: the scale, the lowest and highest value, and which way is better
    ("log", 0.3, 3e3, "↓"),
    ("symlog", -30, 3e4, "↓"),
    ("linear", 1, 10.5, "↑"),
    ("linear", 0, 1.05, "↑"),
    ("linear", 0, 1.05, "↑"),
    ("linear", 0, 2.1, "↑"),
    ("linear", 0, 1.05, "↑"),
    ("linear", 0, 1.05, "½"),
)


def blurred(images: torch.Tensor, width: float) -> torch.Tensor:
    """Images (N, 1, H, W) with a Gaussian blur. Chapter 5.

    images: (N, 1, H, W).
    width: the standard deviation of the blur in pixels; 0 returns the images as they are.
    """
    if not width > 0:
        return images
    reach = math.ceil(3 * width)
    line = torch.exp(-(torch.arange(-reach, reach + 1, device=images.device) ** 2) / (2 * width**2))
    line = (line / line.sum()).view(1, 1, 1, -1)
    padded = F.pad(images, [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, line), line.mT)


def noisy(images: torch.Tensor, std: float, seed: int = 0) -> torch.Tensor:
    """Images (N, C, H, W) with noise N(0, std^2) on every pixel, clipped to [-1, 1]. Chapter 5.

    images: (N, C, H, W) in [-1, 1].
    std: the standard deviation of the noise, in the unit of the pixels: black to white is 2.
    seed: determines the noise.
    """
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return (images + std * noise.to(images.device)).clamp(-1, 1)


def missing(images: torch.Tensor, labels: torch.Tensor, classes, n: int) -> torch.Tensor:
    """The first n images (n, C, H, W) whose label is not among `classes`. Chapter 5.

    images: (N, C, H, W). labels: whole numbers (N,). classes: the labels to leave out.
    n: how many images to return.
    Raises ValueError if fewer than n images are left.
    """
    gone = torch.as_tensor(list(classes), dtype=labels.dtype, device=labels.device)
    kept = ~torch.isin(labels, gone)
    if kept.sum() < n:
        raise ValueError(
            f"only {int(kept.sum())} images are left without the classes {list(classes)}, not {n}"
        )
    return images[kept][:n]


def repeated(images: torch.Tensor, share: float) -> torch.Tensor:
    """Images (N, C, H, W), some of them replaced by the first. Chapter 5.

    images: (N, C, H, W). share: what part to replace, 0 to 1, from the first on.
    """
    count = round(share * len(images))
    return torch.cat([images[:1].expand(count, *images.shape[1:]), images[count:]])


def copied(images: torch.Tensor, originals: torch.Tensor, share: float) -> torch.Tensor:
    """Images (N, C, H, W), some of them replaced by originals. Chapter 5.

    images: (N, C, H, W). originals: (M, C, H, W).
    share: what part to replace, 0 to 1, from the first on.
    Raises ValueError if there are fewer originals than that.
    """
    count = round(share * len(images))
    if count > len(originals):
        raise ValueError(
            f"{count} images are to be copies, but there are only {len(originals)} originals"
        )
    return torch.cat([originals[:count], images[count:]])


def explorer() -> MovingPicture:
    """Choose a fault and its strength, and watch which of eight measures react. Chapter 5.

    By keyboard: Tab goes to the next control, arrow keys change it.
    """
    style = {"description_width": "6em"}
    picture = FaultPicture()
    return MovingPicture(
        picture,
        picture.say,
        fault=ipywidgets.Dropdown(options=FAULTS, description="fault", style=style),
        strength=slider("strength", 0.3, 0.0, 1.0),
    )


class FaultPicture:
    """Digits with a fault, and the eight measures beside their values without it. Chapter 5.

    size: how many digits are in each of three sets: the one with the fault, the training set
        and the held-out set.

    Called with `fault`, one of FAULTS, and its `strength`, 0 to 1, it returns a PNG as bytes.
    Raises ValueError for any other fault.
    """

    def __init__(self, size: int = 800):
        images, labels = data.digits().batches(5000)[0]
        self.size = size
        self.training, held_out, self.pool = images.split([size, size, len(images) - 2 * size])
        self.labels = labels[2 * size :]
        self.features = [metrics.digit_features(part) for part in (self.training, held_out)]
        self.measured = functools.lru_cache(200)(self._measure)
        self.honest = self.measured("blur", 0.0)[1]

        self.figure = Figure(figsize=(7.4, 3.5), dpi=100, layout="none")
        FigureCanvasAgg(self.figure)
        above = self.figure.add_axes((0.01, 0.67, 0.98, 0.25))
        above.axis("off")
        self.row = above.imshow(tile(self.pool[:36], 18), cmap="gray", vmin=0, vmax=255)
        self.title = self.figure.text(0.01, 0.945, "")
        key = "orange cross: now    blue line: without a fault"
        self.figure.text(0.01, 0.015, key, fontsize=9, color=OTHER)
        self.crosses, self.numbers = [], []
        for k in range(len(AXES)):
            self._add_measure(k)

    def _add_measure(self, k: int) -> None:
        scale, low, high, better = AXES[k]
        axes = self.figure.add_axes((0.02 + 0.123 * k, 0.225, 0.1, 0.335))
        axes.set_yscale(scale, **({"linthresh": 50} if scale == "symlog" else {}))
        axes.set(xlim=(-1, 1), ylim=(low, high), xticks=[], yticks=[])
        axes.minorticks_off()
        axes.spines[:].set_visible(False)
        axes.set_facecolor("#f4f4f4")
        axes.set_title(f"{metrics.MEASURE_NAMES[k]} {better}", fontsize=9, pad=4)
        axes.axhline(_inside(k, self.honest[k]), color=REAL)
        (cross,) = axes.plot([0], [1], "X", color=FAKE, markersize=10, clip_on=False)
        place = {"transform": axes.transAxes, "va": "top"}
        self.crosses.append(cross)
        self.numbers.append(axes.text(0, -0.05, "", ha="left", color=FAKE, **place))
        axes.text(0, -0.2, _short(self.honest[k]), color=REAL, fontsize=9, **place)

    def _measure(self, fault: str, strength: float):
        images, text = self._with_fault(fault, strength)
        measures = metrics.measures(*self.features, metrics.digit_features(images))
        # From the whole set, because some faults are at its beginning.
        shown = images[:: max(1, len(images) // 36)][:36]
        return text, measures, tile(shown, 18)

    def _with_fault(self, fault: str, strength: float) -> tuple[torch.Tensor, str]:
        check_choice("fault", fault, FAULTS)
        whole = self.pool[: self.size]
        if fault == "blur":
            return blurred(whole, 2 * strength), f"a blur of {2 * strength:.1f} pixels"
        if fault == "noise":
            return noisy(whole, strength), f"noise of {strength:.1f}, where black to white is 2"
        if fault == "one image repeated":
            return repeated(whole, strength), f"one image in {strength:.0%} of the places"
        if fault == "copies of training digits":
            text = f"{strength:.0%} are copies of training digits"
            return copied(whole, self.training, strength), text
        gone = range(10 - round(CLASSES_MISSING * strength), 10)
        text = f"without {', '.join(map(str, gone))}" if gone else "all classes are there"
        return missing(self.pool, self.labels, gone, self.size), text

    def __call__(self, fault: str = "blur", strength: float = 0.0) -> bytes:
        text, measures, row = self.measured(fault, round(strength, 3))
        self.title.set_text(f"36 of {self.size} digits: {text}")
        self.row.set_data(row)
        for k, value in enumerate(measures):
            self.crosses[k].set_data([0], [_inside(k, value)])
            self.numbers[k].set_text(_short(value))
        return frame(self.figure)

    def say(self, fault: str = "blur", strength: float = 0.0) -> str:
        """What the picture shows, in a line. Takes what a call takes."""
        text, measures, _ = self.measured(fault, round(strength, 3))
        values = [
            f"{name} {_short(value)} ({_short(honest)})"
            for name, value, honest in zip(
                metrics.MEASURE_NAMES, measures, self.honest, strict=True
            )
        ]
        return f"{text[0].upper()}{text[1:]}. In brackets without it: {', '.join(values)}."


def _inside(k: int, value: float) -> float:
    _, low, high, _ = AXES[k]
    return min(max(value, low), high)


def _short(value: float) -> str:
    if abs(value) >= 9.95 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 2.5 else f"{value:.1f}"
