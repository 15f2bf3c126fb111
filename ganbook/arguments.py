"""What is wrong with an argument, in one wording for the whole course."""

import math
import numbers

import torch
from torch import Tensor

from ganbook.device import DEVICE


def check_count(name: str, value, least: int = 1, most: int | None = None) -> int:
    """A whole number as Python's own `int`.

    name: what the argument is called. value: what was given for it; numpy's whole numbers will do.
    least, most: the smallest and the largest that are allowed; most None: there is no largest.
    Raises ValueError for anything else.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: it must be a whole number, {least} or more")
    if most is not None and value > most:
        raise ValueError(f"{name}={value!r}: there are only {most}")
    return int(value)


def check_number(name: str, number) -> None:
    """Raise ValueError unless `number` is a finite number >= 0 or a function of the share of steps
    done.

    name: what the argument is called.
    """
    for share in (0.0, 1.0):
        value = number(share) if callable(number) else number
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite number, 0 or more; got {value!r}")


def check_choice(name: str, value, known) -> None:
    """Raise ValueError unless `value` is one of those that are known.

    name: what the argument is called. known: the values that are allowed.
    """
    if value not in known:
        raise ValueError(f"{name}={value!r}: there are {', '.join(map(repr, known))}")


def check_labels(labels, n: int, classes: int) -> Tensor:
    """Labels (N,) as whole numbers on the device.

    labels: a tensor, array or list. n: how many there must be. classes: they must be below it.
    Raises ValueError for another shape or type and, where a look costs nothing, on the CPU, for
    labels out of range.
    """
    labels = torch.as_tensor(labels).to(DEVICE)
    whole = not labels.is_floating_point() and labels.dtype != torch.bool
    if labels.shape != (n,) or not whole:
        found = f"{tuple(labels.shape)} of {labels.dtype}"
        raise ValueError(f"labels must be {n} whole numbers, one a sample; got {found}")
    if DEVICE.type == "cpu" and n and not 0 <= labels.min() <= labels.max() < classes:
        low, high = labels.min().item(), labels.max().item()
        raise ValueError(f"labels must lie in 0..{classes - 1}; these reach from {low} to {high}")
    return labels.long()


def check_samples(samples: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `samples` (N, *shape) are floating-point numbers of that shape.

    Raises TypeError unless they are a tensor.
    """
    if not isinstance(samples, Tensor):
        raise TypeError(f"samples must be a tensor, not {type(samples).__name__}")
    if not len(samples):
        raise ValueError("the batch is empty")
    if samples.shape[1:] != shape:
        found = tuple(samples.shape[1:])
        raise ValueError(f"the generator draws samples of shape {shape}; the batch holds {found}")
    if not samples.is_floating_point():
        raise ValueError(f"the data must be floating-point numbers; it is {samples.dtype}")


def check_range(samples: Tensor) -> None:
    """Raise ValueError for samples that are not finite, or images (N, C, H, W) beyond [-1, 1]."""
    if not torch.isfinite(samples).all():
        raise ValueError("the data holds NaN or infinity")
    reach = samples.abs().max().item()
    if samples.ndim == 4 and reach > 1.0001:  # as data.Images has it
        raise ValueError(
            f"images must lie in [-1, 1], as the generator's do; these reach {reach:.3g}"
        )


def check_per_sample(name: str, values, n: int) -> Tensor:
    """The values (N,) as they are. Raises ValueError unless there is one for each of n samples."""
    found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    if found != (n,):
        raise ValueError(
            f"{name} must give one value a sample, shape ({n},); it gave {found}."
            " Leave the mean to the game"
        )
    return values
