"""What is wrong with a number, in one wording for the whole course."""

import math
import numbers


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
