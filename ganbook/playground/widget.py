"""The playground in a notebook: the widget, its messages, and the loop that plays the game."""

import asyncio
import base64
import contextvars
import math
import time
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from ganbook import GAN, losses
from ganbook.playground.board import LAYERS, Board, one_thread
from ganbook.playground.kernel import replace_in_cell, running_loop
from ganbook.playground.layers import CELLS, EMPTY, LINES, layers
from ganbook.playground.menus import DRAWN
from ganbook.playground.still import still
from ganbook.playground.stopping import listen, listen_no_more
from ganbook.plotting import CRITIC, FAKE, OTHER, REAL

SLICE = 0.025  # seconds of training at a time
BETWEEN_PICTURES = 0.025  # seconds
BETWEEN_MEASUREMENTS = 0.25  # seconds
AHEAD = 8  # at most so many pictures sent but not drawn, so that a slow page gets no long queue
SILENCE = 10.0  # seconds without a message from the page until the game pauses


def playground(
    loss=losses.nonsaturating,
    penalty=None,
    data="ring",
    *,
    lr: float = 2e-3,
    d_lr: float | None = None,
    d_steps: int = 1,
    batch: int = 128,
    width: int = 64,
    depth: int = 3,
    pair=None,
    seed: int = 0,
    steps: int = 0,
) -> "Playground":
    """A game in the plane that trains while you watch it and change its settings. Chapter 2.

    loss: a `losses.Loss`, or a pair of functions (d, g) of (real_logits, fake_logits), (N,) each,
        to (N,).
    penalty: one of `ganbook.penalties`, a function such as `GAN` takes, or None.
    data: "ring", "grid", "two moons", "spiral", points (N, 2), or a data set whose `.batches(size)`
        gives points (size, 2).
    lr: the learning rate of both players. d_lr: D's learning rate; None for lr.
    d_steps: D's turns for each of G's. batch: how many points each player sees in a turn.
    width, depth: of `networks.mlp(latent=2, width=width, depth=depth)`.
    pair: your own (generator, discriminator) instead. seed: determines all random numbers.
    steps: how many are done before it is shown.

    Keys, with the focus on it: R runs or pauses, D and G take one turn of that player, 0 resets,
    Escape gives the keys back to the notebook. Reset uses your functions as they are defined then.
    It trains between cells, in the thread that runs them, and waits while one runs; the notebook's
    stop button pauses it. Other playgrounds and games can run at the same time; results are the
    same as when each runs alone. Without a kernel a picture is shown. Raises ValueError or
    TypeError for what can't be played.
    """
    board = Board(loss, penalty, data, lr, d_lr, d_steps, batch, width, depth, pair, seed)
    return Playground(board, steps)


class Playground(anywidget.AnyWidget):
    """What `playground` makes: a widget that shows a board and plays on it.

    board: the game. steps: how many are done before it is shown.
    """

    _esm = Path(__file__).with_name("playground.js")
    _css = Path(__file__).with_name("playground.css")
    setup = traitlets.Dict().tag(sync=True)  # what the page needs to know once

    def __init__(self, board: Board, steps: int = 0):
        self.board = board
        self._views, self._task, self._silence = set(), None, 0.0
        self._sent = self._drawn = 0  # pictures
        self._forget_pace()
        self._context, self._loop = contextvars.copy_context(), running_loop()
        colors = {"real": REAL, "fake": FAKE, "critic": CRITIC, "other": OTHER}
        sizes = {"cells": CELLS, "lines": LINES, "ahead": AHEAD}
        super().__init__(setup={**board.menus, **sizes, "drawn": DRAWN, "colors": colors})
        self.on_msg(self._receive)
        self.advance(steps)
        replace_in_cell(self)

    def __repr__(self):
        chosen = self.settings
        return f"Playground({chosen['data']}, {chosen['loss']}, step {self.gan.steps_done})"

    @property
    def gan(self) -> GAN:
        """The game, for other cells to look into."""
        return self.board.gan

    @property
    def settings(self) -> dict:
        """The chosen value of each setting, by name."""
        return self.board.settings

    @property
    def error(self) -> str:
        """What stopped the game, or ""."""
        return self.board.error

    @property
    def playing(self) -> bool:
        """Whether the game runs by itself."""
        return self.board.playing

    def advance(self, steps: int = 1) -> None:
        """Take some steps at once, each `d_steps` turns of D and one of G.

        Raises RuntimeError if an error stops them, ValueError unless steps is 0 or more.
        """
        self.board.advance(steps)

    def reset(self) -> None:
        """Restart the game from its seed, with your functions as they are defined now."""
        self.board.reset()
        self._forget_pace()

    def still(self) -> bytes:
        """A picture of the game now: a PNG of 900 x 480 pixels as bytes."""
        return still(self.board)

    def _repr_mimebundle_(self, **kwargs):
        # One output in two formats: a live page shows the widget, any other page the picture.
        made = super()._repr_mimebundle_(**kwargs)
        bundle, *metadata = made if isinstance(made, tuple) else (made,)
        bundle = {**bundle, "image/png": base64.b64encode(self.still()).decode("ascii")}
        return (bundle, *metadata) if metadata else bundle

    # ---- Playing, on the kernel's own event loop

    def play(self) -> None:
        """Train while the kernel is otherwise idle, until `pause`, an error, or a closed page.

        Raises RuntimeError outside a notebook's kernel.
        """
        if self.playing or self.board.batches is None:
            return
        if self._loop is None:
            raise RuntimeError(
                "the playground runs by itself only in a notebook's kernel: use advance() here"
            )
        self.board.playing, self.board.error, self.board.notice = True, "", ""
        self._silence, self._drawn, self._recent_steps = 0.0, self._sent, []
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._play())

    def pause(self, notice: str = "") -> None:
        """Stop after the current step.

        notice: why, for the page.
        """
        self.board.playing, self.board.notice = False, notice

    def close(self) -> None:
        """Stop for good, and leave nothing running."""
        self.pause()
        super().close()

    async def _play(self) -> None:
        board, shown, measured, allowed = self.board, *3 * [time.perf_counter()]
        while board.playing:
            listen(self)
            now = start = time.perf_counter()
            speed = board.settings["speed"]
            allowed = max(allowed, start - 0.1)
            with one_thread():
                while board.playing and now - start < SLICE and (not speed or allowed <= now):
                    board.step()
                    allowed += 1 / speed if speed else 0
                    now = time.perf_counter()
                self._update_pace(now)
                if now - measured > BETWEEN_MEASUREMENTS:
                    measured = now
                    with board.stopped_by_errors():
                        board.measure()
                if now - shown > BETWEEN_PICTURES and self._sent - self._drawn < AHEAD:
                    shown = now
                    self._show()
            # The page's messages wait during a slow step, so that its time is not counted.
            self._silence += min(time.perf_counter() - start, 2 * SLICE)
            if self._silence > SILENCE:
                self.pause("Paused, because no page shows it")
            await asyncio.sleep(0.01 if speed else 0.001)  # lets cells and messages run
        listen_no_more(self)
        self._pace = None
        self._show()

    def _forget_pace(self) -> None:
        self._pace, self._recent_steps = None, []  # steps a second; (time, steps done), ...

    def _update_pace(self, now: float) -> None:
        recent = [seen for seen in self._recent_steps if seen[0] > now - 1]
        self._recent_steps = [*recent, (now, self.gan.steps_done)]
        since, steps = self._recent_steps[0]
        if now - since > 0.2:
            self._pace = (self.gan.steps_done - steps) / (now - since)

    # ---- Messages to the page and from it

    def _show(self) -> None:
        """Send the page a picture."""
        if self.comm is None:
            return
        board = self.board
        board.record_losses()
        shown = dict.fromkeys(LAYERS, EMPTY)
        with board.stopped_by_errors():
            shown = layers(board)
        self._sent += 1
        message = {
            "kind": "picture",
            "number": self._sent,
            "playing": board.playing,
            "error": board.error,
            "notice": board.notice,
            "turns": [board.gan.steps_done, board.turns],
            "pace": self._pace,
            "window": board.window,
            "modes": board.modes,
            "floor": None if math.isnan(board.floor) else board.floor,
            "latent": board.gan.latent,
            "waits": board.batches is None,
            "settings": board.settings,
        }
        arrays = (*shown.values(), board.loss_rows, board.measured_rows)
        self.send(message, [np.array(values, np.float32).tobytes() for values in arrays])

    def _receive(self, _, content, buffers) -> None:
        # JupyterLab may deliver a widget's messages in another thread. The game runs only in the
        # thread of the cells.
        if self._loop is None:
            self._handle_message(content, buffers)
        else:
            self._loop.call_soon_threadsafe(
                self._handle_message, content, buffers, context=self._context
            )

    def _handle_message(self, content, buffers) -> None:
        kind = content.get("kind")
        if self.comm is None:
            return
        if kind == "seen":
            self._silence = 0.0
            self._drawn = max(self._drawn, min(content["number"], self._sent))
            return
        if kind == "closed":
            self._views.discard(content["view"])
            if not self._views:
                self.pause()
            return
        if kind == "opened":
            self._views.add(content["view"])
        else:
            with self.board.stopped_by_errors():
                self._do(kind, content, buffers)
        self._show()

    def _do(self, kind: str, content, buffers) -> None:
        """Do what the reader asked for on the page."""
        board = self.board
        if kind == "play":
            self.play()
        elif kind == "pause":
            self.pause()
        elif kind == "reset":
            self.reset()
        elif kind == "set":
            board.choose(content["name"], content["value"])
        elif kind == "draw":
            drawn = bytes(buffers[0]) if buffers else b""
            board.draw(np.frombuffer(drawn, np.float32).reshape(-1, 2), content["anew"])
        elif kind in ("d_step", "g_step") and board.batches is not None:
            self.pause()
            board.error = ""
            board.d_step() if kind == "d_step" else board.g_step()
            board.measure()
