"""Checks of the exercises: `checks.ch01.some_exercise(answer)` says solved, open, or what is wrong.

A check tests properties that a right answer has, on inputs it draws itself, so it never needs to
contain the answer.
"""

import contextlib
import functools
import math
import os
import random

import numpy as np
import torch

from ganbook.claims import marked
from ganbook.guards import Randomness

SEED = 8128
"""Of all that a check draws, so that its verdict depends on the answer alone. Tests try others."""


class Mistake(AssertionError):
    """What is wrong with an answer. Jupyter shows its message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [marked("✘", "x", f"{self}")]


class _Open(Exception):
    """The answer is still the dots of the stub."""


def require(holds, message: str) -> None:
    """Raise `Mistake(message)` unless `holds`, a bool or an array or tensor of bools, is true."""
    if not np.asarray(holds.cpu() if isinstance(holds, torch.Tensor) else holds).all():
        raise Mistake(message)


def tensor(value, shape: tuple[int, ...]):
    """The answer as float64 of the expected shape, or a `Mistake` that names the shape."""
    try:
        value = torch.as_tensor(value).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError):
        require(False, f"a tensor of shape {shape} should come back, not {type(value).__name__}.")
    require(value.shape == shape, f"the shape should be {shape}; it is {tuple(value.shape)}.")
    return value


def number(value) -> float:
    """The answer as a finite float, or a `Mistake`."""
    try:
        value = float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        require(False, f"one number should come back, not {type(value).__name__}.")
    require(math.isfinite(value), f"the number is {value}: a finite one should come back.")
    return value


def same(found, truth, message: str) -> None:
    require(torch.allclose(found, torch.as_tensor(truth).double(), rtol=1e-5, atol=1e-6), message)


def recognise(found, *mistakes) -> None:
    """Raise the message of the first known mistake that gives exactly what was found."""
    for value, message in mistakes:
        require(
            not torch.allclose(found, torch.as_tensor(value).double(), rtol=1e-5, atol=1e-7),
            message,
        )


def recognise_number(found: float, *mistakes) -> None:
    """The same for one number."""
    for value, message in mistakes:
        require(abs(found - value) > 1e-4, message)


def exercise(number: str):
    """Make a check of exercise `number` ("1.2") out of a function that calls `require`.

    The check gets the learner's answer, a value or a function. Dots, None, or a function that
    returns either, print that the exercise is open. An exception inside the learner's function
    becomes a `Mistake` that names it.
    """

    def decorate(check):
        @functools.wraps(check)
        def run(answer):
            try:
                if answer is None or answer is ...:
                    raise _Open
                with _own_random_numbers():
                    check(_guarded(answer) if callable(answer) else answer)
            except _Open:
                is_open = (
                    f"Exercise {number} is open: replace the dots (and return a value),"
                    " then run this cell again."
                )
                # Where points are given, an open exercise gets none.
                if os.environ.get("NBGRADER_EXECUTION"):
                    raise Mistake(is_open) from None
                print(marked("○", "o", is_open))
            except Mistake as mistake:
                raise Mistake(f"Exercise {number}: {mistake}") from mistake.__cause__
            else:
                print(marked("✔", "OK", f"Exercise {number} solved."))

        run.exercise = number
        return run

    return decorate


@contextlib.contextmanager
def _own_random_numbers():
    """Global generators that start from SEED, for the check and for an answer that draws.

    They are put back afterwards: an exercise solved or not, the chapter draws the same numbers.
    """
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002
    try:
        with Randomness(SEED):
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def _guarded(answer):
    @functools.wraps(answer, updated=())
    def call(*args, **kwargs):
        try:
            result = answer(*args, **kwargs)
        except Exception as error:
            raise Mistake(f"your code raised {type(error).__name__}: {error}") from error
        if result is None or result is ...:
            raise _Open
        return result

    return call
