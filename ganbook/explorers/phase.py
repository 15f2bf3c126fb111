"""Phase portraits of the Dirac-GAN that change with sliders. Chapter 3."""

import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.special import expit

from ganbook.arguments import check_choice
from ganbook.plotting import CRITIC, CRITIC_LINE, FAKE, OTHER
from ganbook.widgets import MovingPicture, frame, slider

LIMIT = 2.2  # of both axes
STEPS = 300
START = np.array([1.0, 1.0])


def velocity(z: np.ndarray, weight: float = 0.0) -> np.ndarray:
    """The velocity (theta', psi') of the Dirac-GAN: data at 0, the fake at theta, the logit psi x.

    z: (theta, psi), (..., 2). weight: of the R1 penalty.
    Returns (..., 2). Each player follows the negative gradient of its own cross-entropy loss, the
    saturating one. Mescheder et al. 2018, section 2 (arXiv:1801.04406). Chapter 3.
    """
    theta, psi = z[..., 0], z[..., 1]
    fooled = expit(psi * theta)
    return np.stack([psi * fooled, -theta * fooled - weight * psi], axis=-1)


def _simultaneous(v, z, h, before):
    return z + h * v(z)


def _alternating(v, z, h, before):
    z = z + h * v(z) * (0, 1)  # D first
    return z + h * v(z) * (1, 0)


def _extragradient(v, z, h, before):
    return z + h * v(z + h * v(z))


def _optimistic(v, z, h, before):
    return z + h * (2 * v(z) - v(before))


METHODS = {
    "simultaneous": _simultaneous,
    "alternating": _alternating,
    "extragradient": _extragradient,
    "optimistic": _optimistic,
}


def path(method: str, h: float, weight: float = 0.0, steps: int = STEPS) -> np.ndarray:
    """The points (at most steps + 1, 2) that a method visits, from (1, 1) on. Chapter 3.

    method: one of METHODS. h: the step size. weight: of the R1 penalty.
    steps: how many at most. The path ends sooner if a coordinate exceeds 100.
    Raises ValueError for any other method.
    """
    check_choice("method", method, METHODS)
    points = [START, START]
    for _ in range(steps):
        points.append(METHODS[method](lambda z: velocity(z, weight), points[-1], h, points[-2]))
        if np.abs(points[-1]).max() > 100:
            break
    return np.array(points[1:])


def growth(method: str, h: float, weight: float = 0.0) -> float:
    """The largest |eigenvalue| of one step at the equilibrium (0, 0). Chapter 3.

    method, h, weight: as for `path`.
    Above 1, paths leave the equilibrium; below 1, those that start near enough reach it. At 1 it
    decides nothing: alternating paths go round at first, and those with large steps, or from
    farther away, can leave.
    """
    kappa = 0.5  # the slope of the cross-entropy at a logit of 0
    J = np.array([[0, kappa], [-kappa, -weight]])
    one, zero = np.eye(2), np.zeros((2, 2))
    if method == "optimistic":  # a step of (z, before)
        matrix = np.block([[one + 2 * h * J, -h * J], [one, zero]])
    elif method == "alternating":
        matrix = (one + h * np.diag([1, 0]) @ J) @ (one + h * np.diag([0, 1]) @ J)
    else:
        matrix = one + h * J + (h**2 * J @ J if method == "extragradient" else 0)
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def explorer() -> MovingPicture:
    """The phase portrait of the Dirac-GAN, with controls for method, step size and R1 weight.

    By keyboard: Tab goes to the next control, arrow keys change it. Chapter 3.
    """
    style = {"description_width": "6em"}
    picture = PhasePicture()
    return MovingPicture(
        picture,
        picture.say,
        method=ipywidgets.Dropdown(options=list(METHODS), description="method", style=style),
        h=slider("step size", 0.3, 0.1, 6.0),
        weight=slider("R1 weight", 0.0, 0.0, 4.0),
    )


class PhasePicture:
    """The path of a method in the plane of theta and psi, and its distance from the equilibrium.

    Called with `method`, `h` and `weight`, as `path` takes them, it returns a PNG as bytes.
    """

    def __init__(self):
        self.figure = Figure(figsize=(7.4, 3.5), dpi=100, layout="none")
        self.canvas = FigureCanvasAgg(self.figure)
        plane = self.figure.add_axes((0.075, 0.135, 0.40, 0.845))
        _set_plane(plane)
        plane.set(xlabel="θ, where the fake is", ylabel="ψ, the slope of D")
        distance = self.figure.add_axes((0.585, 0.135, 0.395, 0.73))
        distance.set(xlim=(0, STEPS), xlabel="step")
        distance.set(yscale="log", ylim=(1e-6, 1e2), ylabel="distance from (0, 0)")
        self.arrows = _draw_arrows(plane, 0.0)
        (self.trail,) = plane.plot([], [], ".-", color=FAKE, markersize=3, linewidth=0.8)
        plane.plot(*START, "o", color=FAKE, markersize=7)
        (self.curve,) = distance.plot([], [], color=FAKE, linewidth=1.8)
        self.text = distance.text(0, 1.05, "", transform=distance.transAxes)

    def __call__(self, method="simultaneous", h=0.3, weight=0.0) -> bytes:
        points = path(method, h, weight)
        distance = np.maximum(np.linalg.norm(points, axis=1), 1e-12)
        self.arrows.set_UVC(*_directions(velocity(_mesh(), weight)))
        self.trail.set_data(*points.T)
        self.curve.set_data(np.arange(len(points)), distance)
        size = growth(method, h, weight)
        self.text.set_text(f"largest |λ| of a step = {size:.4f}\nnear (0, 0): {_fate(size)}")
        return frame(self.figure)

    def say(self, method="simultaneous", h=0.3, weight=0.0) -> str:
        """What the picture shows, in a line. Takes what a call takes."""
        points = path(method, h, weight)
        size = growth(method, h, weight)
        return (
            f"Near (0, 0) {_fate(size)}: the largest |λ| of a step is {size:.4f}. After"
            f" {len(points) - 1} steps the distance is {np.linalg.norm(points[-1]):.2g}."
        )


def portraits(
    cases=(("simultaneous", 0.3, 0.0), ("alternating", 0.3, 0.0), ("simultaneous", 0.3, 0.3)),
) -> bytes:
    """A row of phase portraits, a PNG as bytes. Chapter 3.

    cases: (method, step size, weight of R1) for each, as `path` takes them.
    """
    figure = Figure(figsize=(2.55 * len(cases), 2.9), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    row = figure.subplots(1, len(cases), squeeze=False)[0]
    for axes, (method, h, weight) in zip(row, cases, strict=True):
        _set_plane(axes)
        _draw_arrows(axes, weight)
        points = path(method, h, weight, 100)
        axes.plot(*points.T, ".-", color=FAKE, markersize=3, linewidth=0.8)
        axes.plot(*START, "o", color=FAKE, markersize=7)
        axes.set(xlabel="θ", ylabel="ψ")
        axes.set_title(method if not weight else f"{method}, R1", fontsize=10.5)
    return frame(figure)


def _fate(size: float) -> str:
    if size < 1 - 1e-9:
        return "it goes in"
    return "it goes round, at first" if size < 1 + 1e-9 else "it goes out"


def _mesh() -> np.ndarray:
    line = np.linspace(-2, 2, 11)
    return np.stack(np.meshgrid(line, line), axis=-1)


def _directions(v) -> np.ndarray:
    """The directions of velocities (..., 2), as arrows of equal length (2, ...)."""
    return np.moveaxis(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12), -1, 0)


def _draw_arrows(axes, weight):
    mesh = _mesh()
    return axes.quiver(
        mesh[..., 0], mesh[..., 1], *_directions(velocity(mesh, weight)),
        color=OTHER, alpha=0.45, pivot="middle", scale=16, width=0.005,
    )  # fmt: skip


def _set_plane(axes) -> None:
    ticks = [-2, -1, 0, 1, 2]
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), xticks=ticks, yticks=ticks)
    axes.set_aspect("equal")
    axes.plot(0, 0, "+", color=CRITIC, markersize=12, markeredgewidth=CRITIC_LINE["linewidth"])
