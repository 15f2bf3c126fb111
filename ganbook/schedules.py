"""Numbers that change while a game is played, to use in place of a fixed number."""

import math
from typing import NamedTuple


class falling(NamedTuple):
    """A number that falls along half a cosine as the share of steps done goes from 0 to 1.

    start, end: its values at share 0 and share 1.
    Examples: `lr=falling(2e-3, 1e-4)`, `penalties.r1(falling(3.0, 0.3))`. Any other function of the
    share of steps done can take its place. Loshchilov & Hutter 2017, eq. 5
    (arXiv:1608.03983). Chapter 4.
    """

    start: float
    end: float

    def __call__(self, share: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def value_at(number, share: float) -> float:
    """The value of a number or of a function of the share of steps done, as a Python float.

    number: the number, or the function. share: the share of steps done, from 0 to 1.
    """
    return float(number(share) if callable(number) else number)
