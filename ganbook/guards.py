"""Guards for a step: against interrupts, foreign random numbers, and losses that are not finite."""

import contextlib
import math
import signal
import threading

import torch
from torch import Tensor

from ganbook.device import DEVICE, tensors

_ON_CPU = DEVICE.type == "cpu"

ONE_AT_A_TIME = threading.RLock()
"""Held by the thread in which a game takes its step, or draws samples."""


class WholeStep:
    """Delay an interrupt (Ctrl-C, the notebook's stop button) until the step is done.

    A second interrupt is not delayed, so that a step that never ends can be stopped.
    """

    def __enter__(self):
        self.caught, self.previous = [], None
        main = threading.get_ident() == threading.main_thread().ident
        if main and signal.getsignal(signal.SIGINT) is not None:  # a handler in C can't be put back
            self.previous = signal.signal(signal.SIGINT, self._catch)

    def _catch(self, *signal_and_frame):
        self.caught.append(signal_and_frame)
        if len(self.caught) > 1:
            self._let_through()

    def __exit__(self, error, *_):
        if self.previous is None:
            return
        signal.signal(signal.SIGINT, self.previous)
        if error is None and self.caught:
            self._let_through()

    def _let_through(self):
        if callable(self.previous):
            self.previous(*self.caught[0])
        elif self.previous == signal.SIG_DFL:
            signal.signal(signal.SIGINT, self.previous)
            signal.raise_signal(signal.SIGINT)


class Randomness:
    """A game's own random numbers: within `with randomness:` torch's global generators give them.

    seed: determines them all. Latents, dropout and a reader's loss draw from them. Nothing outside
    the block changes them. `state` is what a checkpoint keeps: a tensor for the CPU's generator,
    and one for the device's. torch's generators belong to the process, so games in several threads
    wait here for each other.
    """

    def __init__(self, seed: int):
        kinds = dict.fromkeys(("cpu", DEVICE.type))
        self.state = [torch.Generator(kind).manual_seed(seed).get_state() for kind in kinds]
        self._outside = None

    def __enter__(self):
        ONE_AT_A_TIME.acquire()
        if self._outside is not None:
            ONE_AT_A_TIME.release()
            raise RuntimeError(
                "this game is in the middle of a turn: don't call its train, turn, d_step or g_step"
                " from an objective, a loss or `after`"
            )
        self._outside = get_random_state()
        set_random_state(self.state)

    def __exit__(self, *_):
        self.state = get_random_state()
        set_random_state(self._outside)
        self._outside = None
        ONE_AT_A_TIME.release()


def get_random_state() -> list[Tensor]:
    """The states of torch's global generators: the CPU's, and the device's if it is not the CPU."""
    states = [torch.default_generator.get_state()]
    return states if _ON_CPU else [*states, getattr(torch, DEVICE.type).get_rng_state()]


def set_random_state(state: list[Tensor]) -> None:
    """Set torch's global generators to a state from `get_random_state`."""
    torch.default_generator.set_state(state[0])
    if not _ON_CPU:
        getattr(torch, DEVICE.type).set_rng_state(state[1])


@contextlib.contextmanager
def kept_random_state():
    """A context after which torch's global generators are as they were, the device's too."""
    state = get_random_state()
    try:
        yield
    finally:
        set_random_state(state)


class FiniteLosses:
    """Stops a game at a loss that is not finite.

    On the CPU each loss is read at once. On a GPU, where reading waits for the device, they are
    read 64 at a time.
    """

    def __init__(self):
        self._unread: list[tuple[int, str, str, Tensor]] = []

    def check(self, step: int, player: str, means: dict[str, Tensor], batch) -> None:
        """Note the means of a player's terms, and read them if it is time.

        step: the number of the step. player: whose terms they are. means: {term: mean}.
        batch: what the terms were computed on, which may be the cause.
        Raises FloatingPointError naming step, player and term.
        """
        if _ON_CPU and all(math.isfinite(mean.item()) for mean in means.values()):
            return
        self._unread += [(step, player, term, mean.detach()) for term, mean in means.items()]
        if _ON_CPU or len(self._unread) >= 64:
            self.read(batch)

    def read(self, batch=()) -> None:
        """Read the losses noted so far. Raises FloatingPointError if one is not finite."""
        unread, self._unread = self._unread, []
        if not unread:
            return
        # All together, because each reading waits for the device.
        values = torch.stack([mean.to(DEVICE) for *_, mean in unread]).tolist()
        for (step, player, term, _), value in zip(unread, values, strict=True):
            if not math.isfinite(value):
                advice = "Try a lower learning rate or a penalty"
                if _ON_CPU and not all(torch.isfinite(x).all() for x in tensors(batch)):
                    advice = "The batch of data holds NaN or infinity: leave those samples out"
                raise FloatingPointError(f"step {step}: the {player}'s {term} is {value}. {advice}")
