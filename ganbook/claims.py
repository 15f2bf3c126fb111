"""Sentences of the course that are executed."""

import sys

import numpy as np
import torch


class ClaimFailed(AssertionError):
    """A sentence of the course that did not hold when it was run."""


def claim(sentence: str, holds) -> None:
    """Print `sentence` if it holds, raise `ClaimFailed` if it does not.

    holds: a bool, an array or tensor of bools, or a list of these; all must be true.
    Anything else raises TypeError, so that a number can't pass for a truth. Chapter 0.
    """
    parts = [np.asarray(part) for part in each_of(holds)]
    if not parts or any(part.dtype != bool or part.size == 0 for part in parts):
        raise TypeError(
            f"claim({sentence!r}) needs True or False, such as `error < 1e-3`; got {holds!r}"
        )
    if not all(part.all() for part in parts):
        raise ClaimFailed(f"This does not hold here: {sentence}")
    print(marked("✔", "OK", sentence))


def each_of(holds) -> list:
    """What is in a list, in lists within it and so on; tensors on the CPU, wherever they were."""
    if isinstance(holds, (list, tuple)):
        return [part for each in holds for part in each_of(each)]
    return [holds.detach().cpu() if isinstance(holds, torch.Tensor) else holds]


def marked(mark: str, plain: str, text: str) -> str:
    """Put a mark before a text, or a plain word where the output can't show the mark.

    mark: such as "✔". plain: the word, in ASCII. text: what comes after it, with question
        marks for letters that the output can't show.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # Windows redirects in cp1252
    try:
        f"{mark} {text}".encode(encoding)
    except UnicodeEncodeError:
        return f"{plain} {text}".encode(encoding, "replace").decode(encoding)
    return f"{mark} {text}"
