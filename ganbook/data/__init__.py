"""Data sets: 2-D toys and images, as tensors on the device, in endless batches.

Each set has `.batches(size, seed=0)` and `.sample(n)`. Points are float32 (N, D). Images are
float32 (N, C, H, W) in [-1, 1], the range of a generator that ends in tanh. Downloads stay in
`files.cache_folder()`. Data that can't be downloaded or read raises `DataError`, a wrong argument
`ValueError`.

`batches.py` has the batches, `points.py` the toys in the plane and on the line, `images.py` images,
`sets.py` the well-known sets, `folder.py` yours.
"""

from ganbook.data.batches import Batch, Batches
from ganbook.data.folder import folder
from ganbook.data.images import Images, Stacks, long_tail
from ganbook.data.points import Mixture, Points, grid, mixture_1d, ring, spiral, two_moons
from ganbook.data.sets import (
    cifar10,
    digits,
    fashion_mnist,
    load,
    mnist,
    photographs,
    stacked_digits,
)
from ganbook.files import DataError

__all__ = [
    "Batch",
    "Batches",
    "DataError",
    "Images",
    "Mixture",
    "Points",
    "Stacks",
    "cifar10",
    "digits",
    "fashion_mnist",
    "folder",
    "grid",
    "load",
    "long_tail",
    "mixture_1d",
    "mnist",
    "photographs",
    "ring",
    "spiral",
    "stacked_digits",
    "two_moons",
]
