"""Points in the plane and on the line: toys with known statistics and, often, a known density."""

import math
import numbers

import numpy as np
import torch

from ganbook.arguments import check_count
from ganbook.data.batches import Batch, Batches, seeded_rng, shape_and_type
from ganbook.device import DEVICE


class Points:
    """A distribution that is sampled afresh for every batch.

    draw: a function of a numpy generator and n that returns n points, (n, D).
    Drawing raises ValueError if it returns another shape.
    """

    def __init__(self, draw):
        self._draw = draw

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n points, (n, D) float32.

        n: how many, 1 or more.
        seed: a whole number, 0 or more; None lets torch's global random numbers choose.
        Raises ValueError for any other n or seed.
        """
        return self._draw_block(seeded_rng(seed), check_count("n", n))

    def batches(self, size: int, seed: int = 0) -> Batches:
        """Return endless batches of fresh points.

        size: points in a batch, 1 or more.
        seed: a whole number, 0 or more; batch k depends on it and on k alone.
        Raises ValueError for any other size or seed.
        """
        return Batches(self, size, seed)

    def _block_length(self, size: int) -> int:
        # Many batches at a time, because a numpy generator costs more than a batch of points.
        return size * max(1, 2**14 // size)

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        points = np.array(self._draw(rng, length), np.float32)
        if points.ndim != 2 or len(points) != length:
            raise ValueError(
                f"points are drawn as (n, D), here ({length}, D); draw gave {points.shape}"
            )
        return torch.from_numpy(points).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        return Batch(rows.clone())  # so that a change in place does not change the block


class Mixture(Points):
    """A mixture of K Gaussians, with its exact density.

    centers: the means, (K, D).
    std: the standard deviations, one number or K.
    weights: one for each Gaussian, (K,), which need not sum to 1; None means equal weights.
    Afterwards `.centers` is float32 (K, D), and `.std` the number, or float32 (K,).
    Raises ValueError if the arguments don't fit. Chapters 1 to 3.
    """

    def __init__(self, centers, std, weights=None):
        super().__init__(self._draw_modes)
        # float64 and on the CPU (Apple's GPUs have no float64), so that densities at float64 points
        # are exact.
        self._centers = np.array(centers, dtype=float)
        finite = np.isfinite(self._centers).all()
        if self._centers.ndim != 2 or not self._centers.size or not finite:
            raise ValueError(
                f"centers must be numbers (K, D), one row for each mode; got {centers}"
            )
        modes = len(self._centers)
        self._std = _one_a_mode("standard deviations", std, modes)
        self._weights = _one_a_mode("weights", 1.0 if weights is None else weights, modes)
        self._weights = self._weights / self._weights.sum()
        self.centers = torch.tensor(self._centers, dtype=torch.float32, device=DEVICE)
        self.std = std
        if not isinstance(std, numbers.Real):
            self.std = torch.tensor(std, dtype=torch.float32, device=DEVICE)

    def _draw_modes(self, rng: np.random.Generator, n: int) -> np.ndarray:
        mode = rng.choice(len(self._centers), n, p=self._weights)
        noise = rng.standard_normal((n, self._centers.shape[1]))
        return self._centers[mode] + self._std[mode, None] * noise

    def log_density(self, x: torch.Tensor) -> torch.Tensor:
        """Return log p(x), (N,), in nats and in the precision of x.

        x: points (N, D), or (N,) on the line; whole numbers count as float32.
        Raises ValueError for any other shape.
        """
        dimensions = self._centers.shape[1]
        x = x if x.is_floating_point() else x.float()
        points = x[:, None] if x.ndim == dimensions == 1 else x
        if points.ndim != 2 or points.shape[1] != dimensions:
            raise ValueError(f"points must be (N, {dimensions}); got {shape_and_type(x)}")
        centers, std, weights = (
            torch.tensor(a).to(x) for a in (self._centers, self._std, self._weights)
        )
        squares = (points[:, None] - centers).square().sum(2) / std.square()
        peaks = weights.log() - dimensions * (std * math.sqrt(2 * math.pi)).log()
        return torch.logsumexp(peaks - squares / 2, 1)

    def density(self, x: torch.Tensor) -> torch.Tensor:
        """Return p(x), (N,), in the precision of x.

        x: points (N, D), or (N,) on the line.
        Raises ValueError for any other shape.
        """
        return self.log_density(x).exp()


def _one_a_mode(what: str, given, modes: int) -> np.ndarray:
    values = np.array(given, dtype=float)
    if values.shape not in ((), (modes,)) or not ((values > 0) & (values < math.inf)).all():
        raise ValueError(
            f"the {what} must be above 0: one number, or {modes}, one per mode; got {given}"
        )
    return np.broadcast_to(values, (modes,))


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Return Gaussians spaced evenly on a circle around 0.

    modes: how many.
    radius: the circle's.
    std: the standard deviation of each.
    Raises ValueError if modes is below 1 or std not above 0. The defaults are those of table 1
    of Lin et al. 2018 (PacGAN, arXiv:1712.04086). Chapter 3.
    """
    angle = 2 * np.pi * np.arange(check_count("modes", modes)) / modes
    return Mixture(radius * np.stack([np.cos(angle), np.sin(angle)], 1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Return side x side Gaussians on a square grid around 0.

    side: how many in a row.
    spacing: the distance from one to the next.
    std: the standard deviation of each.
    Raises ValueError if side is below 1 or std not above 0. The defaults are the 25 Gaussians at
    {-4, -2, 0, 2, 4}^2 of Lin et al. 2018 (PacGAN, arXiv:1712.04086). Chapter 3.
    """
    line = spacing * (np.arange(check_count("side", side)) - (side - 1) / 2)
    return Mixture([(x, y) for x in line for y in line], std)


def mixture_1d(means, stds, weights=None) -> Mixture:
    """Return Gaussians on the line; samples are (n, 1).

    means: K numbers.
    stds: the standard deviations, K numbers or one.
    weights: K numbers, which need not sum to 1; None means equal weights.
    Raises ValueError if means, stds and weights differ in length, or a std or weight is not
    above 0. Chapter 1.
    """
    return Mixture(np.reshape(np.array(means, dtype=float), (-1, 1)), stds, weights)


def two_moons(noise: float = 0.05) -> Points:
    """Return points on two interlocking half circles of radius 1, with Gaussian noise.

    noise: the standard deviation of the noise, 0 or more.
    Raises ValueError for any other value. Chapter 2.
    """

    def curve(rng, n):
        angle, upper = rng.uniform(0, np.pi, n), rng.random(n) < 0.5
        x, y = np.cos(angle), np.sin(angle)
        return np.stack([np.where(upper, x, 1 - x), np.where(upper, y, 0.5 - y)], 1)

    return _blurred(curve, noise)


def spiral(turns: float = 2.0, noise: float = 0.02) -> Points:
    """Return points on a spiral arm from 0 out to radius 1, with Gaussian noise.

    turns: how many times the arm goes round, above 0.
    noise: the standard deviation of the noise, 0 or more.
    Raises ValueError for other values. Chapter 2.
    """
    if not 0 < turns < math.inf:
        raise ValueError(f"a spiral needs more than 0 turns; got {turns}")

    def curve(rng, n):
        # The arm's length grows nearly with the radius squared, so these lie nearly evenly.
        radius = np.sqrt(rng.random(n))
        angle = 2 * np.pi * turns * radius
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)

    return _blurred(curve, noise)


def _blurred(curve, noise: float) -> Points:
    if not 0 <= noise < math.inf:
        raise ValueError(f"the noise is a standard deviation, 0 or above; got {noise}")
    return Points(lambda rng, n: curve(rng, n) + noise * rng.standard_normal((n, 2)))
