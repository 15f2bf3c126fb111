"""A turn of a game, the step that it is part of, and what an objective may return."""

import numbers
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganbook.arguments import check_returned
from ganbook.device import DEVICE


class Turn(NamedTuple):
    """Whose turn it is, what that player minimises, and how often the turn comes in a step.

    player: the name of one of the game's players.
    objective: a function of the batch that returns {term: values}, each (N, ...), or 0 where a
        term is not due. The sum of the terms' means is minimised. It may return a pair: the terms,
        and {name: tensor} to show in the `Step`. The batch is on the device, its floats in single
        precision; do not change its values in place.
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
        shown = self.losses | self.seen
        means = torch.stack([value.float().mean().to(DEVICE) for value in shown.values()])
        return dict(zip(shown, means.tolist(), strict=True))


class Returned(NamedTuple):
    """What an objective returned, checked before any weight is changed.

    means: {term: mean}. seen: {name: tensor}, to show in the `Step`.
    """

    means: dict[str, Tensor]
    seen: dict[str, Tensor]


def checked(turn: Turn, found) -> Returned:
    """Check what an objective returned, and take the mean of each term.

    turn: whose objective it is, for the message.
    found: {term: values}, or a pair of it and {name: tensor}.
    Raises TypeError for anything else.
    """
    player = turn.player
    check_returned(f"the objective of the {player}", turn.objective, found)
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
    if not isinstance(values, numbers.Real):
        raise TypeError(
            f"the {player}'s {name} must be a tensor or a number, not {type(values).__name__}"
        )
    return torch.full((), float(values), device=DEVICE)


class Terms:
    """What is known of each turn's terms: their names differ, and the player can learn from each.

    Names must differ because a `Step` shows them all.
    """

    def __init__(self):
        self._owners: dict[str, Turn] = {}
        self._good, self._learned = set(), set()

    def check_names(self, turn: Turn, names: tuple[str, ...]) -> None:
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

    def check_learned(self, turn: Turn, found: Returned, weights: list[Tensor]) -> None:
        """Raise ValueError for a term that depends on none of the player's weights, unless it is 0.

        turn: the turn. found: what its objective returned. weights: those that the player learns.
        Each term is looked at until it has been found to depend on them once.
        """
        means = found.means
        unknown = [name for name in means if (id(turn), name) not in self._learned]
        if not unknown:
            return
        depends = {name: _depends(means[name], weights) for name in unknown}
        self._learned |= {(id(turn), name) for name in unknown if depends[name]}
        if not any((id(turn), name) in self._learned for name in means):
            return  # the game itself says that nothing can be learned
        for name in unknown:
            if not depends[name] and means[name].item():
                raise ValueError(
                    f"the {name} that the {turn.player} minimises does not depend on its weights,"
                    " so nothing is learned from it: look for detach, item, no_grad, or a"
                    " torch.autograd.grad without create_graph=True. To show a tensor, return it"
                    " beside the terms: {term: values}, {name: tensor}"
                )


def _depends(mean: Tensor, weights: list[Tensor]) -> bool:
    if not mean.requires_grad:
        return False
    slopes = torch.autograd.grad(mean, weights, retain_graph=True, allow_unused=True)
    return any(slope is not None for slope in slopes)
