"""Checks of arguments, with the same error messages throughout the course."""

import functools
import inspect
import math
import numbers
import os
import sys
import warnings

import torch
from torch import Tensor, nn

from ganbook.device import DEVICE


def check_count(name: str, value, least: int = 1, most: int | None = None) -> int:
    """Check that a value is a whole number in range, and return it as a Python `int`.

    name: the argument's name, for the message.
    value: what was given; numpy integers are accepted.
    least, most: the smallest and the largest value allowed; most=None sets no upper limit.
    Raises ValueError for anything else.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: it must be a whole number, {least} or more")
    if most is not None and value > most:
        raise ValueError(f"{name}={value!r}: it must be at most {most}")
    return int(value)


def check_number(name: str, number) -> None:
    """Raise ValueError unless `number` is finite and >= 0, or a function with such values.

    name: the argument's name, for the message.
    number: a number, or a function of the share of steps done, which is tried at 0 and at 1.
    """
    for share in (0.0, 1.0):
        value = number(share) if callable(number) else number
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and value >= 0):
            found = f"the function gives {value!r} at share {share:g}"
            found = found if callable(number) else f"got {value!r}"
            raise ValueError(f"{name} must be a finite number, 0 or more; {found}")


def check_choice(name: str, value, known) -> None:
    """Raise ValueError unless `value` is one of the known values.

    name: the argument's name, for the message.
    known: the values that are allowed.
    """
    if value not in known:
        raise ValueError(f"{name}={value!r}: it must be one of {', '.join(map(repr, known))}")


def check_labels(labels, n: int, classes: int) -> Tensor:
    """Check labels, and return them as int64 (n,) on the device.

    labels: a tensor, array or list of whole numbers (n,).
    n: how many there must be.
    classes: every label must be below this.
    Raises ValueError for any other shape or type, and for labels out of range. For labels on a GPU,
    this waits for it: out of range there, they would end the whole process.
    """
    labels = whole_numbers(labels, n)
    if n:
        low, high = torch.stack([labels.min(), labels.max()]).tolist()  # waits for a GPU once
        if low < 0 or high >= classes:
            raise ValueError(
                f"labels must lie in 0..{classes - 1}; these reach from {low} to {high}"
            )
    return labels.to(DEVICE)


def whole_numbers(labels, n: int) -> Tensor:
    """Labels as int64 (n,), on the device they are on.

    labels: a tensor, array or list of whole numbers (n,).
    Raises ValueError for any other shape or type.
    """
    wanted = f"labels must be {n} whole numbers, one per sample"
    try:
        labels = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:  # names, None, lists of several lengths
        raise ValueError(f"{wanted}: give each class a number, from 0") from error
    fractions = labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool
    if labels.shape != (n,) or fractions:
        raise ValueError(f"{wanted}; got {tuple(labels.shape)} of {labels.dtype}")
    return labels.long()


def check_samples(samples: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `samples` is a floating-point batch (N, *shape), N > 0.

    samples: the batch. shape: of one sample.
    Raises TypeError unless it is a tensor.
    """
    if not isinstance(samples, Tensor):
        raise TypeError(f"samples must be a tensor, not {type(samples).__name__}")
    if not len(samples):
        raise ValueError("the batch is empty: give at least one sample")
    if samples.shape[1:] != shape:
        found = tuple(samples.shape[1:])
        raise ValueError(f"the generator draws samples of shape {shape}; the batch holds {found}")
    if not samples.is_floating_point():
        raise ValueError(
            f"the data must be floating-point numbers; it is {samples.dtype}: call .float() and"
            " scale the data as the generator's samples are"
        )


def check_finite(samples: Tensor) -> None:
    """Raise ValueError for samples that are not finite."""
    if not torch.isfinite(samples).all():
        raise ValueError("the data holds NaN or infinity: leave those samples out")


def check_network(name: str, network) -> None:
    """Raise TypeError unless `network` is an `nn.Module`, and not the class of one.

    name: whose network it is, for the message.
    """
    if not isinstance(network, nn.Module):
        found, advice = type(network).__name__, ""
        if isinstance(network, type):
            found, advice = f"the class {network.__name__}", f": call it, {network.__name__}(...)"
        raise TypeError(f"the {name} must be a network, an nn.Module, not {found}{advice}")


def check_per_sample(name: str, function, values, n: int) -> Tensor:
    """Return `values` (n,) unchanged; raise ValueError unless there is one for each sample.

    name: what gave the values, such as "loss.d". function: the function itself.
    n: the number of samples.
    Raises TypeError for None.
    """
    check_returned(name, function, values)
    found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    if found != (n,):
        raise ValueError(
            f"{name} must give one value per sample, shape ({n},); it gave {found}:"
            " return the values without averaging them"
        )
    return values


def check_returned(name: str, function, value) -> None:
    """Raise TypeError if a function has returned None.

    name: what the function is for. function: the function. value: what it returned.
    """
    if value is None:
        raise TypeError(f"{name} ({name_and_line(function)}) returned None: is `return` missing?")


def name_and_line(function) -> str:
    """A function's name and the line that it begins on, through decorators and `partial`."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    return f"{name}, line {code.co_firstlineno}" if code else name


def warn(message: str) -> None:
    """Warn, and point at the reader's own line: the first caller that is not ours or PyTorch's."""
    ours = tuple(os.path.dirname(file) + os.sep for file in (__file__, torch.__file__))
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_code.co_filename.startswith(ours):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
