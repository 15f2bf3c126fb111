"""What a hand moves: pictures that are drawn again whenever a slider moves."""

import base64
import io

import ipywidgets
import numpy as np
import PIL.Image
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.special import expit, xlogy
from torch import nn

from ganbook.plotting import CRITIC, CRITIC_LINE, FAKE, FAKE_LINE, OTHER, REAL, REAL_LINE, tile


class MovingPicture(ipywidgets.VBox):
    """Controls, and under them a picture that is drawn again whenever one of them moves.

    draw: takes the value of every control by its name and returns the picture, a PNG as bytes.
    controls: widgets with a `value`. Where no kernel runs, in a notebook read on the web say, the
    picture as it was when the cell ran stays as a still.
    """

    def __init__(self, draw, **controls):
        self.draw, self.controls = draw, controls
        own_size = ipywidgets.Layout(
            align_self="flex-start", max_width="100%"
        )  # not stretched, so not blurred
        self.image = ipywidgets.Image(value=self._picture(), format="png", layout=own_size)
        rows = ipywidgets.Box(
            list(controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        super().__init__([rows, self.image])
        for control in controls.values():
            control.observe(self._redraw, names="value")

    def _picture(self) -> bytes:
        return self.draw(**{name: control.value for name, control in self.controls.items()})

    def _redraw(self, change) -> None:
        self.image.value = self._picture()

    def _repr_mimebundle_(self, **kwargs):
        # One output in two formats: a live page takes the widget, every other one the picture; none
        # shows both.
        still = base64.b64encode(self.image.value).decode("ascii")
        return {**super()._repr_mimebundle_(**kwargs), "image/png": still}


def slider(
    text: str, value: float, low: float, high: float, step: float = 0.1
) -> ipywidgets.FloatSlider:
    """A slider named `text` that reports while it moves; arrow keys move it by `step`."""
    return ipywidgets.FloatSlider(
        value, min=low, max=high, step=step, description=text, readout_format=".1f",
        style={"description_width": "6em"}, layout=ipywidgets.Layout(width="26em"),
    )  # fmt: skip


def density_explorer() -> MovingPicture:
    """Two densities that sliders move, with the best discriminator, its value and the
    Jensen-Shannon divergence.

    Arrow keys move a slider by 0.1. Chapter 1.
    """
    return MovingPicture(
        DensityPicture(),
        p_mean=slider("mean of p", 0.0, -4.0, 4.0),
        p_width=slider("width of p", 1.0, 0.5, 2.5),
        q_mean=slider("mean of q", 1.5, -4.0, 4.0),
        q_width=slider("width of q", 0.6, 0.5, 2.5),
        shape=ipywidgets.ToggleButtons(options=["Gaussians", "boxes"]),
    )


class DensityPicture:
    """A picture of two densities p and q on a line, of D* = p / (p + q), and of their divergence;
    called for a PNG.

    Means and widths are in units of x; a width is the standard deviation of a Gaussian and half the
    length of a box. What stands still is drawn once, so that a call is quick enough to follow a
    slider. Chapter 1.
    """

    x = (
        np.arange(-8, 8, 0.01) + 0.005
    )  # the middles of cells, so that the edge of a box falls between two of them
    shifts = np.linspace(-4, 4, 81)

    def __init__(self):
        self.figure = Figure(figsize=(7.4, 3.4), dpi=100, layout="none")
        self.canvas = FigureCanvasAgg(self.figure)
        above = self.figure.add_axes((0.075, 0.46, 0.46, 0.50))
        above.set(xlim=(-8, 8), ylim=(0, 1.15), xticks=[-8, -4, 0, 4, 8], xticklabels=[])
        above.set(yticks=[0, 0.5, 1], ylabel="density")
        below = self.figure.add_axes((0.075, 0.14, 0.46, 0.25))
        below.set(
            xlim=(-8, 8),
            ylim=(-0.08, 1.08),
            xticks=[-8, -4, 0, 4, 8],
            yticks=[0, 0.5, 1],
            xlabel="x",
        )
        below.set_ylabel("D*(x)", color=CRITIC)
        below.axhline(0.5, color=OTHER, linewidth=0.8)
        right = self.figure.add_axes((0.645, 0.14, 0.335, 0.71))
        right.set(
            xlim=(-4.2, 4.2),
            ylim=(0, 0.77),
            yticks=[0, 0.2, 0.4, 0.6],
            xlabel="mean of q",
            ylabel="JSD (nats)",
        )
        right.axhline(np.log(2), color=OTHER, linewidth=0.8)
        right.text(0, np.log(2) + 0.015, "log 2", color=OTHER, ha="center")
        self.figure.align_ylabels([above, below])

        self.areas = [above.fill([], [], color=color, alpha=0.12)[0] for color in (REAL, FAKE)]
        self.lines = [above.plot([], [], **style)[0] for style in (REAL_LINE, FAKE_LINE)]
        self.names = [
            above.text(0, 0, name, color=color)
            for name, color in ((" p, real ", REAL), (" q, fake ", FAKE))
        ]
        (self.best,) = below.plot([], [], **CRITIC_LINE)
        (self.curve,) = right.plot([], [], color="black", linewidth=1.5)
        (self.here,) = right.plot([], [], "o", color=FAKE, markersize=9)
        self.numbers = right.text(0, 1.04, "", transform=right.transAxes)
        self.moving = [
            *self.areas,
            *self.lines,
            *self.names,
            self.best,
            self.curve,
            self.here,
            self.numbers,
        ]
        for artist in self.moving:
            artist.set_animated(True)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(self.figure.bbox)

    def __call__(
        self, p_mean=0.0, p_width=1.0, q_mean=1.5, q_width=0.6, shape="Gaussians"
    ) -> bytes:
        p_log, q_log = (
            _log_density(self.x, p_mean, p_width, shape),
            _log_density(self.x, q_mean, q_width, shape),
        )
        divergence = _jsd(p_log, q_log)
        for k, (log, mean, left) in enumerate(
            ((p_log, p_mean, p_mean <= q_mean), (q_log, q_mean, q_mean < p_mean))
        ):
            density = np.exp(log)
            self.areas[k].set_xy(np.column_stack([self.x, density]))
            self.lines[k].set_data(self.x, density)
            self.names[k].set(position=(mean, density.max() + 0.03), ha="right" if left else "left")
        with np.errstate(invalid="ignore"):
            # Where neither box lies, D* is not a number, and its line has a gap.
            self.best.set_data(self.x, expit(p_log - q_log))
        self.curve.set_data(
            self.shifts, _jsd(p_log, _log_density(self.x, self.shifts[:, None], q_width, shape))
        )
        self.here.set_data([q_mean], [divergence])
        self.numbers.set_text(
            f"JSD = {divergence:.3f}\nV(D*, G) = {round(2 * divergence - np.log(4), 3) + 0:.3f}"
        )
        return self._png()

    def _png(self) -> bytes:
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.axes.draw_artist(artist)
        png = io.BytesIO()
        PIL.Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3]).save(
            png, format="png", compress_level=1
        )
        return png.getvalue()


def _log_density(x, mean, width, shape):
    away = (x - mean) / width
    if shape == "Gaussians":
        return -(away**2) / 2 - np.log(width * np.sqrt(2 * np.pi))
    return np.where(np.abs(away) < 1, -np.log(2 * width), -np.inf)


def _jsd(p_log, q_log):
    """Jensen-Shannon divergence (...) of log densities (..., cells), in nats; of masses, so never
    over log 2."""
    p, q = np.exp(p_log), np.exp(q_log)
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    m = (p + q) / 2
    return (xlogy(p, p) + xlogy(q, q)).sum(-1) / 2 - xlogy(m, m).sum(-1)


def latent_explorer(gan, count: int = 12, directions: int = 3) -> MovingPicture:
    """`count` samples of a game of images, all moved the same way in the latent space by sliders.

    The directions are those that the generator's first dense layer stretches most, the closed-form
    factorisation of Shen & Zhou 2021 (arXiv:2007.06600). "length" scales z; "draw" takes other
    samples; a conditional game has a label to choose besides. Raises ValueError where the generator
    has no dense layer on z. Chapters 4 and 6.
    """
    dense = next(
        (
            m
            for m in gan.averaged.modules()
            if isinstance(m, nn.Linear) and m.in_features >= gan.latent
        ),
        None,
    )
    if dense is None:
        raise ValueError("latent_explorer needs a generator whose first layer is an nn.Linear on z")
    _, _, ways = torch.linalg.svd(dense.weight[:, : gan.latent].float(), full_matrices=False)

    def draw(length, sample, label=None, **moves):
        z = torch.randn(count, gan.latent, generator=torch.Generator().manual_seed(sample)).to(
            ways.device
        )
        for way, move in zip(ways, moves.values(), strict=False):
            z = z + move * way
        picture = PIL.Image.fromarray(tile(gan.decode(z * length, label), columns=6))
        return frame(
            picture.resize((3 * picture.width, 3 * picture.height), PIL.Image.Resampling.NEAREST)
        )

    sliders = {
        f"way_{k + 1}": slider(f"direction {k + 1}", 0.0, -6.0, 6.0, 0.5) for k in range(directions)
    }
    number = ipywidgets.IntSlider(
        0, min=0, max=99, description="draw", style={"description_width": "6em"}
    )
    if gan.classes is not None:
        choose = ipywidgets.IntSlider(
            0, min=0, max=gan.classes - 1, description="label", style=number.style
        )
        sliders = {"label": choose, **sliders}
    return MovingPicture(
        draw, length=slider("length of z", 1.0, 0.0, 2.0), sample=number, **sliders
    )


def transport(heaps, earth, holes, room, plan=None) -> MovingPicture:
    """Move earth by hand: a field for each entry of a transport plan, its cost, what is left, and
    the least cost.

    heaps (M, 2) and holes (K, 2): places. earth (M,) and room (K,): whole numbers of shovelfuls, as
    many of one as of the other. plan (M, K): what to begin with, nothing if None. Heaps are
    lettered, holes numbered; fields are reached by Tab, arrow keys change them. Raises ValueError
    where the arguments don't fit. Chapter 7.
    """
    picture = TransportPicture(heaps, earth, holes, room)
    plan = np.zeros(picture.distance.shape, dtype=int) if plan is None else np.asarray(plan)
    if plan.shape != picture.distance.shape:
        raise ValueError(
            f"the plan must have the shape {picture.distance.shape}; it has {plan.shape}"
        )
    fields = {
        f"{chr(65 + i)}{j + 1}": ipywidgets.BoundedIntText(
            int(amount), min=0, max=int(picture.earth.sum()), description=f"{chr(65 + i)} to {j + 1}",
            style={"description_width": "4em"}, layout=ipywidgets.Layout(width="9em"),
        )
        for (i, j), amount in np.ndenumerate(plan)
    }  # fmt: skip
    moving = MovingPicture(picture, **fields)
    moving.children[0].layout = ipywidgets.Layout(
        display="grid", grid_template_columns=f"repeat({plan.shape[1]}, 10em)"
    )
    return moving


class TransportPicture:
    """Heaps, holes and the ways between them for the entries of a plan, by rows; called for a PNG.
    Chapter 7."""

    def __init__(self, heaps, earth, holes, room):
        self.heaps, self.holes = (np.asarray(places, dtype=float) for places in (heaps, holes))
        self.earth, self.room = np.asarray(earth), np.asarray(room)
        for places, amounts in ((self.heaps, self.earth), (self.holes, self.room)):
            if places.ndim != 2 or places.shape[1:] != (2,) or amounts.shape != places.shape[:1]:
                raise ValueError(
                    f"places are (N, 2), amounts (N,); got {places.shape} and {amounts.shape}"
                )
        if self.earth.sum() != self.room.sum() or min(self.earth.min(), self.room.min()) < 0:
            raise ValueError(
                f"as much room as earth, please; got {self.room.sum()} and {self.earth.sum()}"
            )
        # Loaded here, because it takes a quarter of a second that few chapters need to spend.
        from scipy.optimize import linprog

        self.distance = np.linalg.norm(self.heaps[:, None] - self.holes, axis=2)
        m, k = self.distance.shape
        sums = np.r_[np.kron(np.eye(m), np.ones(k)), np.kron(np.ones(m), np.eye(k))]
        self.least = linprog(
            self.distance.ravel(), A_eq=sums, b_eq=np.r_[self.earth, self.room]
        ).fun

    def __call__(self, **amounts) -> bytes:
        plan = np.array(list(amounts.values())).reshape(self.distance.shape)
        figure = Figure(figsize=(7.4, 2.9), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes, beside = figure.subplots(1, 2, width_ratios=(2, 1))
        for (i, j), amount in np.ndenumerate(plan):
            if amount:
                start, end = self.heaps[i], self.holes[j]
                axes.plot(
                    *np.stack([start, end]).T, color=OTHER, linewidth=1.6 * amount, alpha=0.35
                )
                axes.annotate(f"{amount}", (start + end) / 2, ha="center", va="center", fontsize=11)
        left, free = self.earth - plan.sum(1), self.room - plan.sum(0)
        for places, marker, color, names, rest in (
            (self.heaps, "s", FAKE, [chr(65 + i) for i in range(len(left))], left),
            (self.holes, "o", REAL, [str(j + 1) for j in range(len(free))], free),
        ):
            for place, name, amount in zip(places, names, rest, strict=True):
                fill = color if amount > 0 else "white"
                axes.plot(
                    *place,
                    marker,
                    color=color,
                    markerfacecolor=fill,
                    markersize=21,
                    markeredgewidth=1.8,
                )
                axes.annotate(
                    name,
                    place,
                    color="white" if amount > 0 else color,
                    ha="center",
                    va="center",
                    weight="bold",
                )
        axes.set(xlabel="metres", ylabel="metres", aspect="equal")
        axes.margins(0.14)
        beside.axis("off")
        beside.text(0, 0.95, "\n".join(self._report(plan, left, free)), va="top", linespacing=1.6)
        return frame(figure)

    def _report(self, plan, left, free) -> list[str]:
        moved, cost = plan.sum(), (plan * self.distance).sum()
        lines = [f"moved: {moved} of {self.earth.sum()}", f"cost: {cost:.2f}"]
        for k, amount in enumerate(left):
            if amount:
                lines.append(
                    f"heap {chr(65 + k)} {'still has' if amount > 0 else 'is short of'}"
                    f" {abs(amount)}"
                )
        for k, amount in enumerate(free):
            if amount:
                lines.append(
                    f"hole {k + 1} {'lacks' if amount > 0 else 'overflows by'} {abs(amount)}"
                )
        if not (left.any() or free.any()):
            away = cost / self.least - 1
            lines += ["all moved, all full", f"the least possible: {self.least:.2f}"]
            lines.append("and you have it" if away < 1e-9 else f"yours is {away:.0%} above it")
        return lines


def frame(picture) -> bytes:
    """A picture as a PNG, a frame of a `film`. A matplotlib figure is drawn as it looks now, so
    record it at once.

    picture: a matplotlib Figure, a PIL image, the bytes of a PNG, or an array or tensor of bytes
    (uint8), (H, W) or (H, W, 3), as `plotting.tile` makes it. Raises TypeError for anything else,
    ValueError for other shapes.
    """
    if isinstance(picture, (bytes, bytearray, memoryview)):
        if bytes(picture[:8]) != b"\x89PNG\r\n\x1a\n":
            raise ValueError(f"these bytes are no PNG: they begin with {bytes(picture[:8])!r}")
        return bytes(picture)
    png = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(png, format="png")
        return png.getvalue()
    if isinstance(picture, (np.ndarray, torch.Tensor)):
        pixels = picture.cpu().numpy() if isinstance(picture, torch.Tensor) else picture
        if (
            pixels.dtype != np.uint8
            or pixels.ndim not in (2, 3)
            or pixels.shape[2:] not in ((), (3,))
        ):
            raise ValueError(
                f"a frame is (H, W) or (H, W, 3) of uint8; got {tuple(pixels.shape)} of"
                f" {pixels.dtype}."
                " plotting.tile makes one of images (N, C, H, W)"
            )
        picture = PIL.Image.fromarray(pixels)
    if not isinstance(picture, PIL.Image.Image):
        raise TypeError(
            f"a frame is a Figure, a PIL image, PNG bytes or an array; got {type(picture).__name__}"
        )
    picture.save(png, format="png")
    return png.getvalue()


def film(frames, labels=None, interval: int = 150) -> "Film":
    """A play button and a slider over what was recorded during a training.

    frames: pictures in order, each as `frame` takes it. labels: a word for each, "step 100" say;
    their numbers if None. interval: milliseconds from one frame to the next. By keyboard, Space
    plays and pauses where the button has the focus, arrow keys move the slider. Where no kernel
    runs, a sheet of six frames stays. Raises ValueError for no frames, labels of another number, or
    one figure given twice. Chapters 2 and 3.
    """
    frames = list(frames)
    figures = [id(picture) for picture in frames if isinstance(picture, Figure)]
    if len(set(figures)) < len(figures):
        raise ValueError(
            "one figure is there several times, and every time it looks as it does now:"
            " record it as it changes, frames.append(widgets.frame(figure))"
        )
    labels = (
        [str(k) for k in range(len(frames))] if labels is None else [str(label) for label in labels]
    )
    if not frames:
        raise ValueError("a film needs a frame: there are none")
    if len(labels) != len(frames):
        raise ValueError(
            f"a film needs a label for each frame; there are {len(frames)} frames and"
            f" {len(labels)} labels"
        )
    if not interval > 0:
        raise ValueError(
            f"interval={interval!r}: give the milliseconds from one frame to the next, above 0"
        )
    return Film([frame(picture) for picture in frames], labels, int(interval))


class Film(ipywidgets.VBox):
    """What `film` makes. The page is sent one frame at a time, when it is looked at."""

    def __init__(self, frames: list[bytes], labels: list[str], interval: int):
        self.frames, self.labels = frames, labels
        self.play = ipywidgets.Play(max=len(frames) - 1, interval=interval, show_repeat=True)
        self.slider = ipywidgets.SelectionSlider(
            options=[(label, k) for k, label in enumerate(labels)],
            description="frame", style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="28em", max_width="100%", margin="2px 2px 2px 12px"),
        )  # fmt: skip
        own_size = ipywidgets.Layout(align_self="flex-start", max_width="100%")
        self.image = ipywidgets.Image(value=frames[0], format="png", layout=own_size)
        rows = ipywidgets.Box(
            [self.play, self.slider], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        super().__init__([rows, self.image])
        ipywidgets.jslink(
            (self.play, "value"), (self.slider, "index")
        )  # in the page, so that no step is lost
        self.slider.observe(self._turn, names="index")

    def _turn(self, change) -> None:
        self.image.value = self.frames[change["new"]]

    def _repr_mimebundle_(self, **kwargs):
        still = base64.b64encode(_contact_sheet(self.frames, self.labels)).decode("ascii")
        return {**super()._repr_mimebundle_(**kwargs), "image/png": still}


def _contact_sheet(frames: list[bytes], labels: list[str], most: int = 140_000) -> bytes:
    """Six of the frames, evenly from the first to the last, with their labels: a PNG of at most
    `most` bytes."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(6, len(frames))).round().astype(int))
    pictures = [PIL.Image.open(io.BytesIO(frames[k])).convert("RGB") for k in chosen]
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    tall = max(picture.height / picture.width for picture in pictures)
    for dpi in (
        100,
        80,
        64,
        50,
        40,
        30,
        20,
        10,
    ):  # until it is small enough: of noise, PNG makes megabytes
        figure = Figure(
            figsize=(2.5 * columns, (2.4 * tall + 0.3) * rows), dpi=dpi, layout="constrained"
        )
        for axes, picture, k in zip(
            figure.subplots(rows, columns, squeeze=False).flat, pictures, chosen, strict=False
        ):
            axes.imshow(picture, interpolation="antialiased")
            axes.set_title(labels[k], fontsize=10)
        for axes in figure.axes:
            axes.axis("off")
        canvas, png = FigureCanvasAgg(figure), io.BytesIO()
        canvas.draw()
        sheet = PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        sheet = sheet.quantize(
            256, PIL.Image.Quantize.MAXCOVERAGE
        )  # rare colours count: the others turn blue to teal
        sheet.save(png, format="png", optimize=True)
        if png.tell() <= most:
            break
    return png.getvalue()
