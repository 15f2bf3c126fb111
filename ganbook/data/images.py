"""Images on the device: sets made from arrays, long tails, stacks."""

import copy
import math
import numbers

import numpy as np
import torch

from ganbook.arguments import check_count, warn, whole_numbers
from ganbook.data.batches import Batch, Batches, seeded_rng, shape_and_type
from ganbook.data.points import Points
from ganbook.device import DEVICE

_MOST_CLASSES = 10**6


class Images:
    """A set of images on the device, with or without labels: the course's own, or yours.

    images: (N, C, H, W) with 1 to 4 channels, an array or tensor of bytes, 0 to 255, or of floats
        in [-1, 1]. It is copied.
    labels: N integers from 0, or None.
    classes: the names of the classes, or how many there are, at most a million; None means the
        largest label + 1.
    Afterwards `.labels` is int64 (N,) or None, and `.classes` a tuple of names. A large set
    of bytes stays bytes, a quarter of the memory, and is scaled batch by batch. Raises ValueError
    for other values, NaN among them, and warns of pixels that use little of their range; the last
    of four channels is transparency and does not count there. Chapter 4.
    """

    def __init__(self, images, labels=None, classes=None):
        self._pixels, self.labels, self.classes = _checked(images), None, ()
        if labels is None:
            return
        labels = whole_numbers(labels, len(self))
        low, high = int(labels.min()), int(labels.max())
        if low < 0:
            raise ValueError(f"labels must be 0 or more; these reach from {low} to {high}")
        if classes is None and high >= _MOST_CLASSES:
            raise ValueError(
                f"labels reach to {high}, which would be {high + 1} classes: number the classes"
                " from 0"
            )
        if classes is None or isinstance(classes, numbers.Number) or np.ndim(classes) == 0:
            count = high + 1 if classes is None else classes
            classes = range(check_count("classes", count, most=_MOST_CLASSES))
        if high >= len(classes):
            raise ValueError(
                f"labels must lie in 0..{len(classes) - 1}; these reach from {low} to {high}"
            )
        self.labels = labels.to(DEVICE)
        self.classes = tuple(str(name) for name in classes)

    @property
    def images(self) -> torch.Tensor:
        """All images, float32 (N, C, H, W) in [-1, 1].

        Don't write into it: for a large set of bytes it is a scaled copy, and changes are lost;
        otherwise it is the set's own memory, and changes alter the set.
        """
        return _scaled(self._pixels)

    def __len__(self) -> int:
        return len(self._pixels)

    def __repr__(self) -> str:
        return f"Images{tuple(self._pixels.shape)}, {len(self.classes)} classes"

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n different images, (n, C, H, W).

        n: how many, 1 to the number of images.
        seed: a whole number, 0 or more; None lets torch's global random numbers choose.
        Raises ValueError for any other n or seed.
        """
        rows = seeded_rng(seed).permutation(len(self))[: check_count("n", n, most=len(self))]
        return _scaled(self._pixels[torch.from_numpy(rows).to(DEVICE)])

    def batches(self, size: int, seed: int = 0, balanced: bool = False) -> Batches:
        """Return endless shuffled batches: every image comes once before any comes again.

        size: images in a batch, 1 to the number of images; no remainder is dropped.
        seed: a whole number, 0 or more; batch k depends on it and on k alone.
        balanced: whether each class comes equally often instead, so that images of rare classes
            come again sooner. A batch may then be larger than the set. Chapter 6.
        Raises ValueError for other sizes, and if balanced batches are asked of a set without
        labels.
        """
        return Batches(_Balanced(self) if balanced else self, size, seed)

    def _block_length(self, size: int) -> int:
        check_count("size", size, most=len(self))
        return len(self)

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        return torch.from_numpy(rng.permutation(length)).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        labels = None if self.labels is None else self.labels.index_select(0, rows)
        return Batch(_scaled(self._pixels.index_select(0, rows)), labels)


class _Balanced:
    """The images of a set, drawn so that each class comes equally often."""

    def __init__(self, images: Images):
        if images.labels is None:
            raise ValueError("balanced batches need labels; these images have none")
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
    """Return the first images of each class, each class rarer than the one before.

    images: a set with labels.
    factor: how many times as rare as class 0 the last class is, 1 or more.
    Counts fall geometrically from the size of the smallest class. Raises ValueError for images
    without labels, an empty class or a factor below 1. After Cui et al. 2019, section 5.1
    (arXiv:1901.05555). Chapter 6.
    """
    if images.labels is None:
        raise ValueError("long_tail needs images with labels; these have none")
    if not factor >= 1:
        raise ValueError(f"factor={factor}: it must be 1 or more")
    rows = [torch.nonzero(images.labels == c).flatten() for c in range(len(images.classes))]
    most, steps = min(map(len, rows)), max(1, len(rows) - 1)
    if not most:
        empty = images.classes[min(range(len(rows)), key=lambda c: len(rows[c]))]
        raise ValueError(f"a long tail needs images of every class; there are none of {empty!r}")
    counts = [max(1, round(most * factor ** (-c / steps))) for c in range(len(rows))]
    chosen = torch.cat([own[:n] for own, n in zip(rows, counts, strict=True)])
    tail = copy.copy(images)
    tail._pixels, tail.labels = images._pixels[chosen], images.labels[chosen]
    return tail


class Stacks(Points):
    """Images (N, 3, H, W) of three images each: red, green and blue, drawn afresh for every batch.

    images: a set of one channel with labels 0 to 9. The labels of the stacks are 0 to 999.
    Raises ValueError for any other set.
    """

    def __init__(self, images: Images):
        channels, classes = images._pixels.shape[1], len(images.classes)
        if channels != 1 or not 1 <= classes <= 10:
            raise ValueError(
                "stacks need images of one channel with labels 0 to 9; these have"
                f" {channels} channels and {classes} classes"
            )
        super().__init__(lambda rng, n: rng.integers(len(images), size=(n, 3)))
        self.source, self.classes = images, tuple(f"{c:03}" for c in range(1000))
        self._places = torch.tensor([100, 10, 1], device=DEVICE)  # here: making it waits for a GPU

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n images, (n, 3, H, W).

        n: how many, 1 or more.
        seed: a whole number, 0 or more; None lets torch's global random numbers choose.
        Raises ValueError for any other n or seed.
        """
        return self._take(super().sample(n, seed)).x

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        return torch.from_numpy(self._draw(rng, length)).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        digits = self.source._take(rows.flatten())
        images = digits.x.view(-1, 3, *digits.x.shape[2:])
        return Batch(images, (digits.labels.view(-1, 3) * self._places).sum(1))


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_SMALL = 2**24  # 64 MiB as floats: a set this small is scaled once, so its batches are faster


def _scaled(pixels: torch.Tensor) -> torch.Tensor:
    if pixels.dtype == torch.uint8:
        return pixels.to(torch.float32).div_(127.5).sub_(1)
    return pixels


def _checked(images) -> torch.Tensor:
    """The pixels on the device, float32 or bytes, in memory of their own."""
    given = isinstance(images, torch.Tensor)
    try:
        # A copy, because torch warns about read-only arrays.
        images = images if given else torch.from_numpy(np.array(images))
    except (TypeError, ValueError) as error:
        raise ValueError(f"images must be one array of numbers: {error}") from error
    if images.layout != torch.strided:
        raise ValueError("images must be dense, not sparse: pass images.to_dense()")
    if images.ndim != 4 or not images.numel() or images.shape[1] > 4:
        last = images.ndim == 4 and images.shape[3] <= 4
        hint = "; the channels come last here: permute the axes to (0, 3, 1, 2)" if last else ""
        raise ValueError(
            f"images must be (N, C, H, W) with 1 to 4 channels; got {shape_and_type(images)}{hint}"
        )
    bytes_given = images.dtype == torch.uint8
    if not (bytes_given or images.dtype in _FLOATS):
        raise ValueError(
            f"images must be bytes (0 to 255) or floats in [-1, 1]; got {shape_and_type(images)}"
        )
    low, high = _range(images)
    if bytes_given:
        low, high = _range(_colors(images))
        if low < high <= 16:
            _warn_of_range(
                low, high, "black is 0 and white is 255", f"multiply them by {255 // high}"
            )
        images = images.to(DEVICE, copy=given)
        return images if images.numel() > _SMALL else _scaled(images)
    if math.isnan(low):
        raise ValueError("the pixels hold NaN: find the images that have them and leave them out")
    if low < -1.0001 or high > 1.0001:
        raise ValueError(f"pixels must lie in [-1, 1]; these reach from {low:.4g} to {high:.4g}")
    low, high = _range(_colors(images))
    if 0 <= low < high and high > 0.99:
        raise ValueError(
            "all pixels lie in [0, 1], which is half the range of a tanh: pass 2 * images - 1"
        )
    if low < high and (low >= 0 or max(-low, high) <= 0.5):
        _warn_of_range(
            low, high, "black is -1 and white is 1", "scale them (from [0, 1]: 2 * images - 1)"
        )
    return images.detach().to(DEVICE, torch.float32, copy=given)


def _range(images: torch.Tensor) -> tuple:
    low, high = images.aminmax()
    return low.item(), high.item()


def _colors(images: torch.Tensor) -> torch.Tensor:
    """The channels without transparency, which says nothing of the range of the colours."""
    return images[:, :3] if images.shape[1] == 4 else images


def _warn_of_range(low: float, high: float, rule: str, advice: str) -> None:
    warn(
        f"the pixels reach only from {low:.3g} to {high:.3g}, but {rule}: {advice}, unless they"
        " are meant to have so little contrast"
    )
