"""Sentences of the course that are executed."""

import numpy as np
import torch


class ClaimFailed(AssertionError):
    """A sentence of the course that did not hold when it was run."""


def claim(sentence: str, holds) -> None:
    """Print `sentence` if it holds, raise `ClaimFailed` if it does not.

    holds: a bool, or an array or tensor of bools of which all must be true. Anything else raises
    TypeError, so that a number can't pass for a truth. Chapter 0.
    """
    values = np.asarray(holds.detach().cpu() if isinstance(holds, torch.Tensor) else holds)
    if values.dtype != bool or values.size == 0:
        raise TypeError(
            f"claim({sentence!r}) needs True or False, such as `error < 1e-3`; got {holds!r}"
        )
    if not values.all():
        raise ClaimFailed(f"This does not hold here: {sentence}")
    print(f"✔ {sentence}")
