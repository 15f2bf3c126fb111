"""Two densities on a line, the best discriminator between them, and their divergence. Chapter 1."""

import io

import ipywidgets
import numpy as np
import PIL.Image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.special import expit, xlogy

from ganbook.plotting import CRITIC, CRITIC_LINE, FAKE, FAKE_LINE, OTHER, REAL, REAL_LINE
from ganbook.widgets import MovingPicture, slider

LOG_2 = np.log(2)
TICKS = [-8, -4, 0, 4, 8]


def explorer() -> MovingPicture:
    """Sliders for two densities, shown with D*, its value and the Jensen-Shannon divergence.

    Arrow keys move a slider by 0.1. Chapter 1.
    """
    picture = DensityPicture()
    style = {"description_width": "6em"}
    return MovingPicture(
        picture,
        picture.say,
        p_mean=slider("mean of p", 0.0, -4.0, 4.0),
        p_width=slider("width of p", 1.0, 0.5, 2.5),
        q_mean=slider("mean of q", 1.5, -6.0, 6.0),
        q_width=slider("width of q", 0.6, 0.5, 2.5),
        shape=ipywidgets.ToggleButtons(
            options=["Gaussians", "boxes"], description="shape", style=style
        ),
    )


class DensityPicture:
    """A picture of densities p and q on a line, of D* = p / (p + q), and of their divergence.

    Called with these arguments, it returns a PNG as bytes:
    p_mean, q_mean: means, in units of x.
    p_width, q_width: the standard deviation of a Gaussian, half the length of a box, in units of x.
    shape: "Gaussians" or "boxes".

    The parts that don't change are drawn once, so that a call keeps up with a slider. Chapter 1.
    """

    # The midpoints of cells, so that the edge of a box falls between two of them.
    x = np.arange(-10, 10, 0.01) + 0.005
    shifts = np.linspace(-6, 6, 81)  # far enough for the curve to flatten under log 2

    def __init__(self):
        self.figure = Figure(figsize=(7.4, 3.4), dpi=100, layout="none")
        self.canvas = FigureCanvasAgg(self.figure)
        above = self._density_axes()
        below = self._critic_axes()
        right = self._divergence_axes()
        self.figure.align_ylabels([above, below])

        self.areas = [above.fill([], [], color=color, alpha=0.12)[0] for color in (REAL, FAKE)]
        self.lines = [above.plot([], [], **style)[0] for style in (REAL_LINE, FAKE_LINE)]
        self.names = [
            above.text(0, 0, " p, real ", color=REAL),
            above.text(0, 0, " q, fake ", color=FAKE),
        ]
        (self.best,) = below.plot([], [], **CRITIC_LINE)
        (self.curve,) = right.plot([], [], color="black", linewidth=1.5)
        (self.here,) = right.plot([], [], "o", color=FAKE, markersize=9)
        self.numbers = right.text(0, 1.04, "", transform=right.transAxes)
        single = [self.best, self.curve, self.here, self.numbers]
        self.moving = [*self.areas, *self.lines, *self.names, *single]
        for artist in self.moving:
            artist.set_animated(True)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(self.figure.bbox)

    def _density_axes(self):
        axes = self.figure.add_axes((0.09, 0.46, 0.455, 0.50))
        axes.set(xlim=(-10, 10), xticks=TICKS, xticklabels=[])
        axes.set(ylim=(0, 1.15), yticks=[0, 0.5, 1], ylabel="density")
        return axes

    def _critic_axes(self):
        axes = self.figure.add_axes((0.09, 0.14, 0.455, 0.25))
        axes.set(xlim=(-10, 10), xticks=TICKS, xlabel="x")
        axes.set(ylim=(-0.08, 1.08), yticks=[0, 0.5, 1])
        axes.set_ylabel("D*(x)", color=CRITIC)
        axes.axhline(0.5, color=OTHER, linewidth=0.8)
        return axes

    def _divergence_axes(self):
        axes = self.figure.add_axes((0.645, 0.14, 0.335, 0.71))
        axes.set(xlim=(-6.3, 6.3), xlabel="mean of q")
        axes.set(ylim=(0, 0.77), yticks=[0, 0.2, 0.4, 0.6], ylabel="JSD (nats)")
        axes.axhline(LOG_2, color=OTHER, linewidth=0.8)
        axes.text(0, LOG_2 + 0.015, "log 2", color=OTHER, ha="center")
        return axes

    def __call__(
        self, p_mean=0.0, p_width=1.0, q_mean=1.5, q_width=0.6, shape="Gaussians"
    ) -> bytes:
        p_log = log_density(self.x, p_mean, p_width, shape)
        q_log = log_density(self.x, q_mean, q_width, shape)
        self._show_density(0, p_log, p_mean, left=p_mean <= q_mean)
        self._show_density(1, q_log, q_mean, left=q_mean < p_mean)
        with np.errstate(invalid="ignore"):
            # Outside both boxes D* is undefined, and its line has a gap.
            self.best.set_data(self.x, expit(p_log - q_log))

        shifted = log_density(self.x, self.shifts[:, None], q_width, shape)
        divergence, value = _divergence_and_value(p_log, q_log)
        self.curve.set_data(self.shifts, jensen_shannon(p_log, shifted))
        self.here.set_data([q_mean], [divergence])
        self.numbers.set_text(f"JSD = {divergence:.3f}\nV(D*, G) = {value:.3f}")
        return self._png()

    def say(self, p_mean=0.0, p_width=1.0, q_mean=1.5, q_width=0.6, shape="Gaussians") -> str:
        """What the picture shows, in a line. Takes what a call takes."""
        logs = [
            log_density(self.x, mean, width, shape)
            for mean, width in ((p_mean, p_width), (q_mean, q_width))
        ]
        divergence, value = _divergence_and_value(*logs)
        return (
            f"q stands {abs(q_mean - p_mean):.1f} from p: a divergence of {divergence:.3f} nats, of"
            f" {LOG_2:.3f} at most, and a value of the game of {value:.3f}."
        )

    def _show_density(self, k, log, mean, left):
        density = np.exp(log)
        self.areas[k].set_xy(np.column_stack([self.x, density]))
        self.lines[k].set_data(self.x, density)
        self.names[k].set(position=(mean, density.max() + 0.03), ha="right" if left else "left")

    def _png(self) -> bytes:
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.axes.draw_artist(artist)
        pixels = np.asarray(self.canvas.buffer_rgba())[..., :3]
        png = io.BytesIO()
        PIL.Image.fromarray(pixels).save(png, format="png", compress_level=1)
        return png.getvalue()


def log_density(x, mean, width, shape):
    """Log density of a Gaussian or a box, in nats.

    x, mean, width: in units of x; arrays that broadcast. shape: "Gaussians" or "boxes".
    """
    away = (x - mean) / width
    if shape == "Gaussians":
        return -(away**2) / 2 - np.log(width * np.sqrt(2 * np.pi))
    return np.where(np.abs(away) < 1, -np.log(2 * width), -np.inf)


def _divergence_and_value(p_log, q_log) -> tuple[float, float]:
    divergence = jensen_shannon(p_log, q_log)
    return divergence, round(2 * divergence - np.log(4), 3) + 0  # + 0 turns -0.0 into 0.0


def jensen_shannon(p_log, q_log):
    """Jensen-Shannon divergence (...), in nats, of log densities (..., cells) on equal cells.

    Each density is first scaled to a mass of 1, so that the divergence never exceeds log 2.
    """
    p, q = np.exp(p_log), np.exp(q_log)
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    m = (p + q) / 2
    return (xlogy(p, p) + xlogy(q, q)).sum(-1) / 2 - xlogy(m, m).sum(-1)
