"""Endless batches: batch k depends on the seed and k alone, so that a game can be resumed."""

import functools
import itertools
import operator
from typing import NamedTuple

import numpy as np
import torch

from ganbook.arguments import check_count


class Batch(NamedTuple):
    """One batch of data, for one turn of a game.

    x: images (size, C, H, W) or points (size, D), float32.
    labels: int64 (size,), or None.
    """

    x: torch.Tensor
    labels: torch.Tensor | None = None


class Batches:
    """Endless batches: `batches[k]` is a function of the seed and k alone.

    data: the images or points to draw from; their method `batches` makes this.
    size: rows in a batch.
    seed: a whole number, 0 or more.
    Iterating gives batches 0, 1, 2 and so on. A resumed game sees the data that it would have seen,
    on every device. Raises ValueError if size is below 1, or above the number of images.
    `batches[k]` raises IndexError if k is below 0.
    """

    # The data set cuts an endless stream of rows into blocks and draws block b from (seed, b). A
    # batch is the next `size` rows of the stream.

    def __init__(self, data, size: int, seed: int = 0):
        self.data, self.size = data, check_count("size", size)
        self.seed = seed = check_count("seed", seed, least=0)
        self._length = data._block_length(size)
        # Two blocks are kept, because a batch may begin in one and end in the next.
        self._block = functools.lru_cache(2)(
            lambda block: data._draw_block(seeded_rng(seed, block), self._length)
        )

    def __getitem__(self, k: int) -> Batch:
        k = operator.index(k)
        if k < 0:
            raise IndexError(f"batches are counted from 0 and have no end; there is no batch {k}")
        block, start = divmod(k * self.size, self._length)
        rows = self._block(block)[start : start + self.size]
        if len(rows) < self.size:
            rows = torch.cat([rows, self._block(block + 1)[: self.size - len(rows)]])
        return self.data._take(rows)

    def __iter__(self):
        return map(self.__getitem__, itertools.count())


def seeded_rng(seed: int | None, block: int = 0) -> np.random.Generator:
    """Return random numbers on the CPU, a function of (seed, block) alone.

    seed: a whole number, 0 or more; None takes one from torch's global random numbers.
    block: which block of a stream the numbers are for.
    Raises ValueError for any other seed.
    """
    seed = int(torch.randint(2**62, ())) if seed is None else check_count("seed", seed, least=0)
    return np.random.default_rng((seed, block))


def shape_and_type(tensor: torch.Tensor) -> str:
    """Return a tensor's shape and type in words, for messages: "shape (4, 3) of float32"."""
    return f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
