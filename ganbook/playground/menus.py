"""The menus of the playground: data, losses and penalties, the reader's own among them."""

import copy
import inspect
import sys

import numpy as np
import torch

from ganbook import data as datasets
from ganbook import losses, penalties
from ganbook.arguments import check_choice, check_number
from ganbook.plotting import array

DRAWN = "drawn by you"
YOURS = "yours"


class GivenPoints(datasets.Points):
    """A data set that draws from given points, with noise.

    points: (N, 2). blur: the standard deviation of the noise.
    """

    def __init__(self, points, blur: float = 0.02):
        points = np.asarray(points, np.float32)
        super().__init__(
            lambda rng, n: (
                points[rng.integers(len(points), size=n)] + blur * rng.standard_normal((n, 2))
            )
        )


def point_sets() -> dict:
    """The playground's own data sets by name, all of about the same size in the plane."""
    moons = datasets.two_moons()
    middle = (-0.5, -0.25)
    return {
        "ring": datasets.ring(std=0.03),
        "grid": datasets.grid(spacing=0.45, std=0.025),
        "two moons": datasets.Points(lambda rng, n: (moons._draw(rng, n) + middle) * 0.7),
        "spiral": datasets.spiral(),
    }


def data_menu(given) -> tuple[dict, str]:
    """Data sets by name, with None under DRAWN, and the name of the one that was given.

    given: as `playground` takes data. Raises ValueError or TypeError for what can't be data.
    """
    menu = {**point_sets(), DRAWN: None}
    if isinstance(given, str):
        name = given.replace("_", " ")
        check_choice("data", name, menu)
        return menu, name
    if hasattr(given, "batches"):
        return {YOURS: given, **menu}, YOURS
    try:
        points = array(given).astype(np.float32)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.shape[1:] != (2,) or not len(points) or not np.isfinite(points).all():
        raise TypeError(
            f"data={given!r:.60}: give a name, points (N, 2), or a data set with .batches(size)"
        )
    return {YOURS: GivenPoints(points, blur=0.0), **menu}, YOURS


def loss_menu(given) -> tuple[dict, str]:
    """Losses by name, and the name of the one that was given.

    given: as `playground` takes a loss. Raises TypeError for what can't be a loss.
    """
    menu = {
        name.replace("_", " ").replace("nonsat", "non-sat"): value
        for name, value in vars(losses).items()
        if isinstance(value, losses.Loss)
    }
    for name, value in menu.items():
        if given is value:
            return menu, name
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given)):
        given = losses.Loss(*given)
    if isinstance(given, losses.Loss):
        return {YOURS: given, **menu}, YOURS
    raise TypeError(
        f"loss={given!r}: give losses.nonsaturating, say, or a pair of your functions, (d_loss,"
        f" g_loss)"
    )


def penalty_menu(given) -> tuple[dict, str]:
    """Penalties by name, and the name of the one that was given.

    given: as `playground` takes a penalty. Raises TypeError for what can't be a penalty.
    """
    menu = {
        "none": None,
        "R1 (0.1)": penalties.r1(0.1),
        "R1 (1)": penalties.r1(1.0),
        "R1 + R2 (0.1)": penalties.total(penalties.r1(0.1), penalties.r2(0.1)),
    }
    if given is None:
        return menu, "none"
    return {YOURS: penalties.as_penalty(given), **menu}, YOURS


def numbers_menu(values, given) -> list:
    """The numbers to choose from, with the given one among them: [[label, number], ...]."""
    return [[f"{value:g}", value] for value in sorted({*values, given})]


def checked_rate(name: str, value) -> float:
    """A learning rate as a float. Raises ValueError for a function, because a menu changes it."""
    if callable(value):
        raise ValueError(f"{name}={value!r}: give a number, because the menu changes it")
    check_number(name, value)
    return float(value)


def copied_networks(pair) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Copies of two networks. Raises TypeError for anything else."""
    two = isinstance(pair, (tuple, list)) and len(pair) == 2
    if not (two and all(isinstance(network, torch.nn.Module) for network in pair)):
        raise TypeError(f"pair={pair!r:.60}: give two networks, (generator, discriminator)")
    return copy.deepcopy(tuple(pair))


def as_defined_now(function):
    """The function that the notebook now has under the same name, if there is one.

    The reader may have corrected it and run its cell again.
    """
    if not inspect.isfunction(function) or function.__qualname__ != function.__name__:
        return function
    now = vars(sys.modules.get(function.__module__, object)).get(function.__name__)
    return now if inspect.isfunction(now) else function
