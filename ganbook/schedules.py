"""Numbers that change as a game goes on: given where a number would be given, a learning rate or a
penalty's weight."""

import math
from typing import NamedTuple


class falling(NamedTuple):
    """A number that goes from `start` to `end` along half a cosine, as the share of steps done goes
    from 0 to 1.

    `lr=falling(2e-3, 1e-4)`, `penalties.r1(falling(3.0, 0.3))`. Any function of the share of steps
    done does as well, but only this one is saved with a game. Loshchilov & Hutter 2017, eq. 5
    (arXiv:1608.03983). Chapter 4.
    """

    start: float
    end: float

    def __call__(self, share: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def value_at(number, share: float) -> float:
    """The value of a number, or of a function of the share of steps done, at `share`, as a float of
    Python's."""
    return float(number(share) if callable(number) else number)
