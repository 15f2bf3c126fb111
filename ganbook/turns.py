"""A turn of a game, the step that it is part of, and what an objective may return."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Turn(NamedTuple):
    """Whose turn it is, what that player minimises, and how often the turn comes in a step.

    player: the name of one of the game's players.
    objective: a function of the batch that returns {term: values}, each (N, ...) or a number. The
        sum of the terms' means is minimised. It may return a pair: the terms, and {name: tensor}
        to show in the `Step`. The batch is on the device, its floats in single precision; do not
        change its values in place.
    times: how often the turn is taken in each step.
    after: a function without arguments, called after each of these turns with gradients off, for
        example to clip weights.
    """

    player: str
    objective: Callable[[object], dict]
    times: int = 1
    after: Callable[[], None] | None = None


class Step(NamedTuple):
    """The losses of one step of a game, and what else its objectives showed.

    index: how many steps are done, this one included.
    losses: {term: mean}, from the last turn of the step that had the term.
    seen: {name: tensor}, the other tensors of the objectives, likewise.
    `step.d_loss` is `step.losses["d_loss"]`, and `step.real_logits` is `step.seen["real_logits"]`.
    All are detached and on the device; reading a number waits for the device.
    """

    index: int
    losses: dict[str, Tensor]
    seen: dict[str, Tensor]

    def __getattr__(self, name: str) -> Tensor:
        for values in (self.losses, self.seen):
            if name in values:
                return values[name]
        there = ", ".join(["index", *self.losses, *self.seen])
        raise AttributeError(f"this step has no {name!r}; it has {there}")

    def floats(self) -> dict[str, float]:
        """The losses, and the means of `seen`, as Python numbers. Waits for the device."""
        means = {name: value.float().mean() for name, value in (self.losses | self.seen).items()}
        return dict(zip(means, torch.stack(list(means.values())).tolist(), strict=True))


class Returned(NamedTuple):
    """What an objective returned, checked before any weight is changed.

    means: {term: mean}. seen: {name: tensor}, to show in the `Step`.
    """

    means: dict[str, Tensor]
    seen: dict[str, Tensor]


def checked(player: str, found) -> Returned:
    """Check what an objective returned, and take the mean of each term.

    player: whose objective it is, for the message.
    found: {term: values}, or a pair of it and {name: tensor}.
    Raises TypeError for anything else.
    """
    terms, seen = found if isinstance(found, tuple) and len(found) == 2 else (found, {})
    if not (isinstance(terms, dict) and terms and isinstance(seen, dict)):
        raise TypeError(
            f"the objective of the {player} must return {{term: values}}, or a pair of it and"
            f" {{name: tensor}}; it returned {type(found).__name__}"
        )
    for name, value in seen.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name}, to show in the step, must be a tensor, not {type(value).__name__}"
            )
    return Returned({name: _mean(player, name, values) for name, values in terms.items()}, seen)


def _mean(player: str, name: str, values) -> Tensor:
    if isinstance(values, Tensor):
        return (values if values.is_floating_point() else values.float()).mean()
    try:
        return torch.tensor(float(values))
    except TypeError as error:
        raise TypeError(
            f"the {player}'s {name} must be a tensor or a number, not {type(values).__name__}"
        ) from error


class Names:
    """The names that each turn uses, which must differ, because a `Step` shows them all."""

    def __init__(self):
        self._owners: dict[str, Turn] = {}
        self._good = set()

    def check(self, turn: Turn, names: tuple[str, ...]) -> None:
        """Raise ValueError for names of a turn that a step could not show.

        turn: the turn. names: of its terms and of what it shows.
        """
        if (id(turn), names) in self._good:
            return
        for name in names:
            if hasattr(Step, name):
                raise ValueError(f"a term can't be called {name!r}: a step uses that name itself")
            if self._owners.setdefault(name, turn) is not turn:
                raise ValueError(f"two turns have a term {name!r}: give it another name in one")
        if len(set(names)) < len(names):
            raise ValueError(f"a name is used twice, as a term and as a tensor to show: {names}")
        self._good.add((id(turn), names))
