"""A turn of a game, the step that it is part of, and what an objective may return."""

import numbers
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganbook.arguments import check_returned, name_and_line
from ganbook.device import DEVICE, tensors


class Turn(NamedTuple):
    """Whose turn it is, what that player minimises, and how often the turn comes in a step.

    player: the name of one of the game's players.
    objective: a function of the batch that returns {term: values}, each (N, ...), or the number 0
        in turns that leave the term out. The sum of the terms' means is minimised. It may return a
        pair: the terms, and {name: tensor} to show in the `Step`. The batch is on the device, its
        floats in single precision; do not change its values in place.
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


def asked(turn: Turn, batch, step: int) -> Returned:
    """Call a turn's objective, check what it returns, and take the mean of each term.

    turn: whose objective it is. batch: on the device. step: its number, for the message.
    Raises TypeError unless it returns {term: values}, or a pair of that and {name: tensor}, and
    ValueError if it changes the batch in place.
    """
    versions = [tensor._version for tensor in tensors(batch)]
    with Explained("in the objective of the", turn.player, step):
        returned = _checked(turn, turn.objective(batch))
    if versions != [tensor._version for tensor in tensors(batch)]:
        raise ValueError(_IN_PLACE.format(player=turn.player))
    return returned


def _checked(turn: Turn, found) -> Returned:
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
        if not values.numel():
            raise ValueError(
                f"the {player}'s {name} has no values (an empty batch or selection): return 0 in"
                " turns that leave this term out"
            )
        if values.is_complex():
            raise TypeError(
                f"the {player}'s {name} is complex, and only real values can be minimised: return"
                " its abs(), say, or its real part"
            )
        return (values if values.is_floating_point() else values.float()).mean()
    if not isinstance(values, numbers.Real):
        raise TypeError(
            f"the {player}'s {name} must be a tensor or a number, not {type(values).__name__}"
        )
    return torch.full((), float(values), device=DEVICE)


_COMPILED = (
    "the objective of the {player} goes backward through a compiled network twice, as a gradient"
    " penalty does, which torch can't: use that network without compiling it"
)
_IN_PLACE = (
    "the objective of the {player} changes the batch in place, for everyone after it: look for"
    " inplace=True in a first layer, and for functions that end with _"
)
_LEAF_IN_PLACE = (
    "the objective of the {player} changes the batch or a weight in place, in the middle of what is"
    " to be differentiated: look for inplace=True in a first layer, and for functions that end with"
    " _; change weights in Turn(..., after=...)"
)
_REENTRANT = (
    "the objective of the {player} calls a network with reentrant checkpointing, which can't learn"
    " in a game of several players: pass use_reentrant=False to torch.utils.checkpoint.checkpoint"
)
_ADVICE = {
    "donated buffers": _COMPILED,
    "aot_autograd does not currently support double backward": _COMPILED,
    "use_reentrant=True": _REENTRANT,
    "leaf Variable that requires grad": _LEAF_IN_PLACE,
    "more than 1 value per channel": "batch norm needs at least two samples for its statistics, and"
    " in the objective of the {player} it gets one: make the batches larger",
}
"""What torch says in some of its errors, and what a reader is told instead."""


class Explained:
    """A context that adds to an error where in a turn it happened, or replaces torch's with advice.

    where: the words before the player's name, such as "in the objective of the".
    player: whose turn it is. step: the number of the step.
    """

    def __init__(self, where: str, player: str, step: int):
        self.where, self.player, self.step = where, player, step

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if not isinstance(error, Exception):
            return
        note = f"This was {self.where} {self.player}, step {self.step}."
        for sign, advice in _ADVICE.items():
            if sign in str(error):
                kind = ValueError if isinstance(error, ValueError) else RuntimeError
                told = kind(advice.format(player=self.player))
                told.add_note(note)
                raise told from error
        error.add_note(note)


class Terms:
    """Checks terms when they first appear.

    Names must differ, because a `Step` shows them all. Each term must depend on its player's
    weights.
    """

    def __init__(self):
        self._owners: dict[str, Turn] = {}
        self._good: set[tuple] = set()
        self._learned: set[str] = set()
        self._parts: list[Callable] = []

    def check_names(self, turn: Turn, names: tuple[str, ...]) -> None:
        """Raise ValueError for names of a turn that a step could not show.

        turn: the turn. names: of its terms and of what it shows.
        """
        if (id(turn), names) in self._good:
            return
        for name in names:
            if hasattr(Step, name):
                raise ValueError(
                    f"the name {name!r} is taken by Step itself: rename that term or tensor"
                )
            if self._owners.setdefault(name, turn) is not turn:
                raise ValueError(
                    f"two turns use the name {name!r}: rename the term or tensor in one of them"
                )
        if len(set(names)) < len(names):
            raise ValueError(f"a name is used twice, as a term and as a tensor to show: {names}")
        self._good.add((id(turn), names))

    def check_learned(self, player: str, means: dict[str, Tensor], weights: list[Tensor]) -> None:
        """Raise ValueError for a term that depends on none of the player's weights, unless it is 0.

        player: the player's name. means: {term: mean}. weights: those that the player learns.
        Each term is checked until it has once been found to depend on them.
        """
        unknown = [name for name in means if name not in self._learned]
        if not unknown:
            return
        self._learned |= {name for name in unknown if _depends(player, means[name], weights)}
        if self._learned.isdisjoint(means):
            return  # the game itself says that nothing can be learned
        for name in unknown:
            if name not in self._learned and means[name].item():
                raise ValueError(_unlearned(name, player))

    def check_part(self, player: str, function, values: Tensor, weights: list[Tensor]) -> None:
        """Raise ValueError as `check_learned` does, for one of the functions of a penalty.

        player, weights: as in `check_learned`. function: the penalty's function. values: what it
            returned, (N,).
        """
        if any(function is known for known in self._parts):
            return
        if _depends(player, values, weights):
            self._parts.append(function)
        elif values.any():
            raise ValueError(_unlearned(f"penalty ({name_and_line(function)})", player))


def _unlearned(name: str, player: str) -> str:
    return (
        f"the {name} that the {player} minimises does not depend on its weights, so nothing is"
        " learned from it: look for detach, item, no_grad, frozen weights, or a"
        " torch.autograd.grad without create_graph=True. To show a tensor, return it beside the"
        " terms: {term: values}, {name: tensor}"
    )


def _depends(player: str, value: Tensor, weights: list[Tensor]) -> bool:
    """Whether the graph that backward would follow from a value leads to one of the weights.

    Nothing is computed: a compiled network can go backward only once. Raises RuntimeError for
    reentrant checkpointing, whose weights are not in the graph: they would learn nothing.
    """
    nodes, seen = [value.grad_fn], {None}
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        if node.name() == "CheckpointFunctionBackward":
            raise RuntimeError(_REENTRANT.format(player=player))
        seen.add(node)
        nodes += [following for following, _ in node.next_functions]
    wanted = set(map(id, weights))
    return any(id(getattr(node, "variable", None)) in wanted for node in seen)
