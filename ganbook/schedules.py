"""Numbers that change as a game goes on, given where a number would be given."""

import math
from typing import NamedTuple


class falling(NamedTuple):
    """A number that falls along half a cosine as the share of steps done goes from 0 to 1.

    start, end: its values there. `lr=falling(2e-3, 1e-4)`, `penalties.r1(falling(3.0, 0.3))`.
    Any function of the share of steps done does as well. Loshchilov & Hutter 2017, eq. 5
    (arXiv:1608.03983). Chapter 4.
    """

    start: float
    end: float

    def __call__(self, share: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def value_at(number, share: float) -> float:
    """The value at `share` of a number or of a function of the share of steps done.

    number: a number, or the function. share: from 0 to 1. Returns a float of Python's.
    """
    return float(number(share) if callable(number) else number)
