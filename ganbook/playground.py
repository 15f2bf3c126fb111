"""The playground: a game in the plane that trains in the kernel while the page draws it and its
knobs are turned."""

import asyncio
import base64
import contextlib
import contextvars
import copy
import inspect
import io
import math
import numbers
import sys
import time
import traceback
import weakref
from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ganbook import data as datasets
from ganbook import losses, metrics, networks, penalties
from ganbook.arguments import check_count
from ganbook.device import DEVICE
from ganbook.gan import GAN
from ganbook.plotting import CRITIC, CRITIC_LINE, FAKE, FAKE_LINE, OTHER, REAL, array

SAMPLES, ARROWS, CELLS, LINES = (
    256,
    64,
    48,
    17,
)  # points of a kind, arrows, cells along a side of D's surface, lattice
MEASURED = 512  # samples that modes are counted among
SLICE, PICTURE, MEASURE = (
    0.025,
    0.025,
    0.25,
)  # seconds: of training at a time, between pictures, between measurements
AHEAD = 8  # pictures sent but not yet drawn: where the page is slow, no queue of them piles up
SILENCE = 10.0  # seconds without a sign of the page until the game pauses
DRAWN = "drawn by you"

_in_cell = weakref.WeakValueDictionary()  # the playground that each cell of the notebook made last


def _toys():
    """The playground's own data, all of about the same extent."""

    def scaled(points, shift, scale):
        return datasets.Points(lambda rng, n: (points._draw(rng, n) + shift) * scale)

    return {
        "ring": datasets.ring(std=0.03),
        "grid": datasets.grid(spacing=0.45, std=0.025),
        "two moons": scaled(datasets.two_moons(), (-0.5, -0.25), 0.7),
        "spiral": datasets.spiral(),
    }


class Playground(anywidget.AnyWidget):
    """What `playground` makes. `gan`: the game, a `GAN`, for other cells to look into; `error`:
    what stopped it."""

    _esm = Path(__file__).with_name("playground.js")
    _css = Path(__file__).with_name("playground.css")
    setup = traitlets.Dict().tag(sync=True)

    def __init__(
        self, loss, penalty, data, lr, d_lr, d_steps, batch, width, depth, pair, seed, steps
    ):
        self._losses, loss = _loss_menu(loss)
        self._penalties, penalty = _penalty_menu(penalty)
        self._data, data = _data_menu(data)
        d_lr = lr if d_lr is None else d_lr
        self.settings = {
            "data": data, "loss": loss, "penalty": penalty, "d_lr": _rate("d_lr", d_lr), "lr": _rate("lr", lr),
            "d_steps": check_count("d_steps", d_steps), "batch": check_count("batch", batch), "speed": 0,
            "layers": ["real", "fake", "surface", "arrows", "lattice"],
        }  # fmt: skip
        with torch.random.fork_rng(
            devices=[]
        ):  # the reader's random numbers go on as if nothing had been made
            self._pair = (
                networks.mlp(latent=2, width=width, depth=depth)
                if pair is None
                else _checked_pair(pair)
            )
        self._seed, self._drawn = seed, np.zeros((0, 2), np.float32)
        self.error, self.playing, self._views, self._task = "", False, set(), None
        self._sent = self._seen = 0
        self._take_data()
        self._begin()
        self._context, self._loop = contextvars.copy_context(), _running_loop()
        super().__init__(setup=self._menus())
        self.on_msg(self._receive)
        self.advance(check_count("steps", steps, least=0))
        _replace_in_cell(self)

    def __repr__(self):
        return f"Playground({self.settings['data']}, {self.settings['loss']}, step {self.gan.steps_done})"

    # ---- The game

    def reset(self) -> None:
        """Start the game anew from its seed. Functions of the reader's are taken as they are
        defined by now."""
        self.error = ""
        with self._stopping():
            own = self._losses.get("yours")
            if own is not None:
                self._losses["yours"] = own._replace(
                    d=_as_defined_now(own.d), g=_as_defined_now(own.g)
                )
            if "yours" in self._penalties:
                self._penalties["yours"] = _as_defined_now(self._penalties["yours"])
            self._begin()

    def _begin(self) -> None:
        self._turns, self._pace, self._d_loss = 0, None, math.nan
        self._loss_rows, self._measured_rows, self._fresh_losses, self._steps_seen = [], [], [], []
        generator, discriminator = copy.deepcopy(self._pair)
        self.gan = GAN(generator, discriminator, average=0, seed=self._seed)
        if self.gan.shape != (2,):
            raise ValueError(
                f"the playground draws points in the plane; the generator's are {self.gan.shape}"
            )
        self._apply()
        random = torch.Generator().manual_seed(self._seed)
        self._z = torch.randn(MEASURED, self.gan.latent, generator=random).to(DEVICE)
        self._measure()

    def advance(self, steps: int = 1) -> None:
        """Do so many steps at once, each `d_steps` turns of the discriminator and one of the
        generator."""
        with _one_thread():
            for _ in range(steps):
                self._step()
                if self.error:
                    raise RuntimeError(self.error)
                if self.gan.steps_done % 25 == 0:
                    self._measure()
                self._record_losses()

    def _step(self) -> None:
        for _ in range(self.settings["d_steps"]):
            self.d_step()
        if not self.error:
            self.g_step()

    def d_step(self) -> None:
        """One turn of the discriminator."""
        with self._stopping():
            self._real = self._batches[self._turns].x
            self._d_loss = self.gan.d_step(self._real)[0].item()
            self._turns += 1

    def g_step(self) -> None:
        """One turn of the generator, against the batch that the discriminator has last seen."""
        with self._stopping():
            real = self._batches[max(0, self._turns - 1)].x
            g_loss = self.gan.g_step(real).item()
            self._fresh_losses.append((self._d_loss, g_loss))

    @contextlib.contextmanager
    def _stopping(self):
        """An exception within, of the reader's loss say, pauses the game and becomes the message on
        the page."""
        try:
            yield
        except KeyboardInterrupt:
            self.playing = False
        except Exception as error:
            self.playing, self.error = False, _explained(error)

    def _apply(self) -> None:
        """Let the game follow the settings from its next turn on."""
        gan, chosen = self.gan, self.settings
        gan.loss, gan.lr, gan.d_lr = self._losses[chosen["loss"]], chosen["lr"], chosen["d_lr"]
        penalty = self._penalties[chosen["penalty"]]
        gan.penalty = None if penalty is None else penalties.total(penalty)

    def _take_data(self) -> None:
        chosen = self._data[self.settings["data"]]
        if chosen is None:
            self._batches, self._window = None, (0.0, 0.0, 1.25)
            self._shown, self._floor, self.modes = self._drawn[:0], math.nan, 0
            if not len(self._drawn):
                return
            chosen = _Drawn(self._drawn)
        self._batches = chosen.batches(self.settings["batch"], seed=self._seed)
        some = chosen.batches(2 * SAMPLES, seed=self._seed + 1)[0].x
        if some.shape != (2 * SAMPLES, 2) or not torch.isfinite(some).all():
            raise ValueError(
                f"data must give batches of points in the plane, x of (N, 2); it gave"
                f" {tuple(some.shape)}"
            )
        some = array(some)
        self._shown, self._floor = (
            some[:SAMPLES],
            metrics.earth_mover(some[:SAMPLES], some[SAMPLES:]),
        )
        self._centers, self._std = getattr(chosen, "centers", None), getattr(chosen, "std", None)
        self.modes = 0 if self._centers is None or self._std is None else len(self._centers)
        if self.settings["data"] != DRAWN:
            low, high = some.min(0), some.max(0)
            self._window = (
                *((low + high) / 2).tolist(),
                float((high - low).max()) / 2 * 1.25 or 1.0,
            )

    # ---- What is shown

    def _measure(self) -> None:
        if self._batches is None:
            return
        fake = self.gan.decode(self._z, batch=MEASURED)
        if not torch.isfinite(fake).all():
            return
        modes = metrics.coverage(fake, self._centers, self._std).modes if self.modes else math.nan
        distance = metrics.earth_mover(array(fake[:SAMPLES]), self._shown)
        _record(self._measured_rows, (self.gan.steps_done, modes, distance))

    def _record_losses(self) -> None:
        if self._fresh_losses:
            _record(self._loss_rows, (self.gan.steps_done, *np.mean(self._fresh_losses, axis=0)))
            self._fresh_losses = []

    @torch.no_grad()
    def _layers(self) -> dict[str, np.ndarray]:
        """What the plane shows, by layer; a layer that is switched off is empty. Nothing random of
        the game is touched.

        real, fake (N, 2); surface (CELLS, CELLS), logits, rows from the bottom up; arrows (ARROWS,
        2), minus the gradient of the generator's loss at the first of fake; lattice (LINES, LINES,
        2), the latent plane from -2 to 2.
        """
        on, gan, empty = self.settings["layers"], self.gan, np.zeros(0, np.float32)
        shown = {name: empty for name in ("real", "fake", "surface", "arrows", "lattice")}
        shown["real"] = self._shown
        z = self._z[:SAMPLES]
        if gan.latent == 2:
            line = torch.linspace(-2, 2, LINES, device=DEVICE)
            z = torch.cat([z, torch.cartesian_prod(line, line)])
        points = gan.decode(z, batch=len(z))
        fake = points[:SAMPLES]
        shown["fake"] = array(fake)
        if "lattice" in on and gan.latent == 2:
            shown["lattice"] = array(points[SAMPLES:])
        gan.discriminator.eval()
        try:
            if "surface" in on:
                shown["surface"] = array(gan.discriminator(self._cells()))
            if "arrows" in on and self._batches is not None and not self.error:
                shown["arrows"] = self._pull(fake[:ARROWS])
        finally:
            gan.discriminator.train()
        return shown

    def _cells(self) -> torch.Tensor:
        x, y, half = self._window
        line = (torch.arange(CELLS, device=DEVICE) + 0.5) * (2 * half / CELLS) - half
        rows, columns = torch.meshgrid(line + y, line + x, indexing="ij")
        return torch.stack([columns.flatten(), rows.flatten()], 1)

    def _pull(self, fake: torch.Tensor) -> np.ndarray:
        with self._stopping(), torch.enable_grad(), torch.random.fork_rng(devices=[]):
            fake = fake.clone().requires_grad_()
            real_logits = None
            if self.gan.loss.paired:
                rows = torch.arange(len(fake)) % len(self._shown)
                with torch.no_grad():
                    real_logits = self.gan.discriminator(
                        torch.as_tensor(self._shown[rows]).to(DEVICE)
                    )
            loss = self.gan.loss.g(real_logits, self.gan.discriminator(fake))
            return -array(torch.autograd.grad(loss.sum(), fake)[0])
        return np.zeros(0, np.float32)

    def _show(self) -> None:
        """Send the page a picture."""
        if self.comm is None:
            return
        self._record_losses()
        layers = self._layers()
        rows = [np.array(rows, np.float32) for rows in (self._loss_rows, self._measured_rows)]
        self._sent += 1
        state = {
            "kind": "picture", "number": self._sent, "playing": self.playing, "error": self.error,
            "turns": [self.gan.steps_done, self._turns], "pace": self._pace, "window": self._window,
            "modes": self.modes, "floor": None if math.isnan(self._floor) else self._floor,
            "latent": self.gan.latent, "waits": self._batches is None, "settings": self.settings,
        }  # fmt: skip
        buffers = [
            np.ascontiguousarray(values, np.float32).tobytes()
            for values in (*layers.values(), *rows)
        ]
        self.send(state, buffers)

    # ---- Playing, on the kernel's own event loop

    def play(self) -> None:
        """Train in small slices between the kernel's other business, until `pause`, an error, or
        the page is gone."""
        if self.playing or self._batches is None:
            return
        if self._loop is None:
            raise RuntimeError(
                "the playground plays in a notebook's kernel, and there is none here: use advance()"
            )
        self.playing, self.error = True, ""
        self._silent, self._seen, self._steps_seen = 0.0, self._sent, []
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._play())

    def pause(self) -> None:
        """Stop after the step that is being done."""
        self.playing = False

    def close(self) -> None:
        """Stop for good, and leave nothing running."""
        self.playing = False
        super().close()

    async def _play(self) -> None:
        shown = measured = allowed = time.perf_counter()
        while self.playing:
            now = start = time.perf_counter()
            speed = self.settings["speed"]  # steps a second, 0 for as many as there can be
            allowed = max(allowed, start - 0.1)
            with _one_thread():
                while self.playing and now - start < SLICE and (not speed or allowed <= now):
                    self._step()
                    allowed += 1 / speed if speed else 0
                    now = time.perf_counter()
                self._count_pace(now)
                if now - measured > MEASURE:
                    measured = now
                    self._measure()
                if now - shown > PICTURE and self._sent - self._seen < AHEAD:
                    shown = now
                    self._show()
            # A cell that runs for long is no silence of the page, whose messages waited like this
            # game.
            self._silent += min(time.perf_counter() - start, 2 * SLICE)
            if self._silent > SILENCE:
                self.pause()
            await asyncio.sleep(0.01 if speed else 0.001)  # here cells and messages have their turn
        self._pace = None
        self._show()

    def _count_pace(self, now: float) -> None:
        self._steps_seen = [seen for seen in self._steps_seen if seen[0] > now - 1] + [
            (now, self.gan.steps_done)
        ]
        since, steps = self._steps_seen[0]
        if now - since > 0.2:
            self._pace = (self.gan.steps_done - steps) / (now - since)

    def _receive(self, _, content, buffers) -> None:
        # JupyterLab lets a thread of its own deliver what widgets say. The game has one thread,
        # that of the cells.
        if self._loop is None:
            self._obey(content, buffers)
        else:
            self._loop.call_soon_threadsafe(self._obey, content, buffers, context=self._context)

    def _obey(self, content, buffers) -> None:
        kind = content.get("kind")
        if self.comm is None:
            return
        if kind == "seen":
            self._seen, self._silent = max(self._seen, min(content["number"], self._sent)), 0.0
            return
        if kind == "opened":
            self._views.add(content["view"])
        elif kind == "closed":
            self._views.discard(content["view"])
            self.playing = self.playing and bool(self._views)
            return
        with self._stopping():
            if kind == "play":
                self.play()
            elif kind == "pause":
                self.pause()
            elif kind in ("d_step", "g_step") and self._batches is not None:
                self.pause()
                self.error = ""
                getattr(self, kind)()
                self._measure()
            elif kind == "reset":
                self.reset()
            elif kind == "set":
                self._set(content["name"], content["value"])
            elif kind == "draw":
                points = (
                    np.frombuffer(bytes(buffers[0]), np.float32).reshape(-1, 2)
                    if buffers
                    else self._drawn[:0]
                )
                self._drawn = np.concatenate(
                    [self._drawn[:0] if content["anew"] else self._drawn, points]
                )[-20_000:]
                self._take_data()
        self._show()

    def _set(self, name: str, value) -> None:
        if name not in self.settings:
            raise ValueError(f"the playground has no setting {name!r}")
        self.settings = {**self.settings, name: value}
        if name in ("data", "batch"):
            self._take_data()
            if self._batches is None:
                self.pause()
        self._apply()

    def _menus(self) -> dict:
        def among(values, given):
            return [[f"{value:g}", value] for value in sorted({*values, given})]

        rates, chosen = (1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2), self.settings
        return {
            "data": [[name, name] for name in self._data],
            "loss": [[name, name] for name in self._losses],
            "penalty": [[name, name] for name in self._penalties],
            "d_lr": among(rates, chosen["d_lr"]),
            "lr": among(rates, chosen["lr"]),
            "d_steps": among((1, 2, 3, 5, 10), chosen["d_steps"]),
            "batch": among((16, 32, 64, 128, 256, 512), chosen["batch"]),
            "speed": [
                ["2 steps a second", 2],
                ["10 steps a second", 10],
                ["50 steps a second", 50],
                ["full", 0],
            ],
            "drawn": DRAWN,
            "colors": {"real": REAL, "fake": FAKE, "critic": CRITIC, "other": OTHER},
            "cells": CELLS,
            "lines": LINES,
            "ahead": AHEAD,
        }

    # ---- Where no kernel runs

    def _repr_mimebundle_(self, **kwargs):
        # One output in two formats: a live page takes the widget, every other one the picture; none
        # shows both.
        made = super()._repr_mimebundle_(**kwargs)
        bundle, *metadata = made if isinstance(made, tuple) else (made,)
        bundle = {**bundle, "image/png": base64.b64encode(self.still()).decode("ascii")}
        return (bundle, *metadata) if metadata else bundle

    def still(self) -> bytes:
        """The game as it stands, a PNG of 900 x 480 pixels: the plane with its layers, and the
        curves."""
        layers = self._layers()
        (x, y, half), styles = self._window, {"color": "#888888", "linewidth": 0.6}
        figure = Figure(figsize=(9, 4.8), dpi=100, layout="none")
        plane = figure.add_axes((0.01, 0.07, 0.5, 0.86))
        plane.set(
            xlim=(x - half, x + half),
            ylim=(y - half, y + half),
            xticks=[],
            yticks=[],
            aspect="equal",
        )
        if layers["surface"].size:
            logits = layers["surface"].reshape(CELLS, CELLS)
            low, high = _shade_range(logits)
            share = np.clip((logits - low) / (high - low), 0, 1)
            plane.imshow(
                np.dstack([np.full((*share.shape, 3), _rgb(CRITIC)), 0.04 + 0.5 * share]),
                extent=(x - half, x + half, y - half, y + half), origin="lower", interpolation="bilinear",
            )  # fmt: skip
            if logits.min() < 0 < logits.max():
                line = (np.arange(CELLS) + 0.5) * (2 * half / CELLS) - half
                plane.contour(
                    x + line, y + line, logits, [0], colors=CRITIC, linestyles=":", linewidths=2
                )
        if layers["lattice"].size:
            lattice = layers["lattice"].reshape(LINES, LINES, 2)
            for lines in (lattice, lattice.transpose(1, 0, 2)):
                for one in lines:
                    plane.plot(*one.T, **styles)
        plane.plot(*layers["real"].T, ".", color=REAL, markersize=4, alpha=0.7)
        plane.plot(*layers["fake"].T, "x", color=FAKE, markersize=4, alpha=0.8)
        if layers["arrows"].size:
            tails, pull = layers["fake"][:ARROWS], layers["arrows"]
            longest = max(np.quantile(np.linalg.norm(pull, axis=1), 0.9), 1e-12)
            ends = tails + 0.15 * half * pull / np.maximum(
                np.linalg.norm(pull, axis=1, keepdims=True), longest
            )
            plane.quiver(
                *tails.T,
                *(ends - tails).T,
                angles="xy",
                scale_units="xy",
                scale=1,
                width=0.003,
                color="#333",
            )
        plane.set_title(f"after {self.gan.steps_done:,} steps", loc="left", fontsize=11)
        key = f"dots: real    crosses: generated{_shades(layers['surface'])}"
        plane.text(x - half, y - 1.04 * half, key, va="top", fontsize=9, color=OTHER)
        self._draw_curves(figure)
        canvas, png = FigureCanvasAgg(figure), io.BytesIO()
        canvas.print_png(png)
        return png.getvalue()

    def _draw_curves(self, figure) -> None:
        losses_, measured = (
            np.array(self._loss_rows).reshape(-1, 3),
            np.array(self._measured_rows).reshape(-1, 3),
        )
        names = ["loss", *(["modes"] if self.modes else []), "distance"]
        height = 0.91 / len(names)
        for k, name in enumerate(names):
            axes = figure.add_axes((0.6, 0.985 - (k + 1) * height, 0.36, height - 0.13))
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=9)
            if name == "loss":
                axes.set_title("loss", loc="left", fontsize=10)
                if not len(losses_):
                    axes.set_yticks([])
                for column, style in ((1, CRITIC_LINE), (2, FAKE_LINE)):
                    axes.plot(losses_[:, 0], losses_[:, column], **style)
                    if len(losses_):
                        last = losses_[-1, [0, column]]
                        axes.annotate("DG"[column - 1], last, (4, 0), textcoords="offset points", va="center",
                                      color=style["color"], annotation_clip=False)  # fmt: skip
            elif name == "modes":
                axes.set_title(f"modes found, of {self.modes}", loc="left", fontsize=10)
                axes.plot(measured[:, 0], measured[:, 1], color=OTHER)
                axes.set(ylim=(0, self.modes * 1.08), yticks=[0, self.modes])
            else:
                axes.set_title("earth mover's distance to the data", loc="left", fontsize=10)
                axes.plot(measured[:, 0], measured[:, 2], color=OTHER)
                axes.axhline(self._floor, color=REAL, linewidth=1)
                axes.set_ylim(bottom=0)
            axes.set_xlim(0, max(1, self.gan.steps_done))
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        figure.text(0.96, 0.003, "steps", ha="right", fontsize=9)


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
) -> Playground:
    """A game in the plane to play with: what G makes, what D thinks, which way G is pulled, while
    it trains.

    loss: a `losses.Loss`, or a pair of functions (d, g) of (real_logits, fake_logits), (N,) each,
    to (N,). penalty: one of `ganbook.penalties`, a function such as `GAN` takes, or None. data:
    "ring", "grid", "two moons", "spiral", points (N, 2), or a data set whose `.batches(size)` gives
    points (size, 2). lr, d_lr: learning rates, of both and of D. d_steps: turns of D for each of G.
    pair: a (generator, discriminator) of your own, in place of `networks.mlp(latent=2, width=width,
    depth=depth)`. seed: decides all that is random. steps: done before it is shown.

    Keys, where it has the focus: R run or pause, D and G one step of that player, 0 reset. Reset
    takes your functions as they are defined by then. It trains between cells: while a cell runs, it
    waits. Where no kernel runs, a picture of the game as it stood stays. Raises ValueError or
    TypeError for what can't be played. Chapter 2.
    """
    return Playground(
        loss, penalty, data, lr, d_lr, d_steps, batch, width, depth, pair, seed, steps
    )


class _Drawn(datasets.Points):
    """Points given one by one, (N, 2), each blurred a little."""

    def __init__(self, points, blur: float = 0.02):
        points = np.asarray(points, np.float32)
        super().__init__(
            lambda rng, n: (
                points[rng.integers(len(points), size=n)] + blur * rng.standard_normal((n, 2))
            )
        )


def _loss_menu(given) -> tuple[dict, str]:
    menu = {
        _title(name): value
        for name, value in vars(losses).items()
        if isinstance(value, losses.Loss)
    }
    for name, value in menu.items():
        if given is value:
            return menu, name
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given)):
        given = losses.Loss(*given)
    if isinstance(given, losses.Loss):
        return {"yours": given, **menu}, "yours"
    raise TypeError(
        f"loss={given!r}: give losses.nonsaturating, say, or a pair of your functions, (d_loss,"
        f" g_loss)"
    )


def _title(name: str) -> str:
    return name.replace("_", " ").replace("nonsat", "non-sat")


def _penalty_menu(given) -> tuple[dict, str]:
    menu = {
        "none": None,
        "R1 (0.1)": penalties.r1(0.1),
        "R1 (1)": penalties.r1(1.0),
        "R1 + R2 (0.1)": penalties.total(penalties.r1(0.1), penalties.r2(0.1)),
    }
    if given is None:
        return menu, "none"
    return {"yours": penalties.as_penalty(given), **menu}, "yours"


def _data_menu(given) -> tuple[dict, str]:
    menu = {**_toys(), DRAWN: None}
    if isinstance(given, str):
        name = given.replace("_", " ")
        if name not in menu:
            raise ValueError(
                f"data={given!r}: there are {', '.join(map(repr, _toys()))}, and data sets of your"
                f" own"
            )
        return menu, name
    if not hasattr(given, "batches"):
        try:
            points = array(given).astype(np.float32)
        except (TypeError, ValueError):
            points = np.zeros(0)
        if (
            points.ndim != 2
            or points.shape[1] != 2
            or not len(points)
            or not np.isfinite(points).all()
        ):
            raise TypeError(
                f"data={given!r:.60}: give a name, points (N, 2), or a data set with .batches(size)"
            )
        given = _Drawn(points, blur=0.0)
    return {"yours": given, **menu}, "yours"


def _checked_pair(pair):
    if not (
        isinstance(pair, (tuple, list))
        and len(pair) == 2
        and all(isinstance(n, torch.nn.Module) for n in pair)
    ):
        raise TypeError(f"pair={pair!r:.60}: give two networks, (generator, discriminator)")
    return copy.deepcopy(tuple(pair))


def _rate(name: str, value) -> float:
    if not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
        raise ValueError(f"{name}={value!r}: give a number, 0 or more")
    return float(value)


def _record(rows: list, row: tuple, most: int = 300) -> None:
    """Append `row`, (step, ...), so that there are never many more than `most` rows, about evenly
    over the steps."""
    if rows and (row[0] == rows[-1][0] or len(rows) > 1 and row[0] - rows[-2][0] < row[0] / most):
        rows[-1] = row
    else:
        rows.append(row)
    if len(rows) > 2 * most:
        del rows[1:-1:2]


def _explained(error: Exception) -> str:
    """What went wrong, and the reader's own line, if it was there."""
    text = f"{type(error).__name__}: {error}"
    package = str(Path(__file__).parent)
    own = [
        frame for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(package) and "site-packages" not in frame.filename
    ]  # fmt: skip
    return f"{text}\nin {own[-1].name}, line {own[-1].lineno}: {own[-1].line}" if own else text


def _as_defined_now(function):
    """The function that the notebook now has under the name of this one: the reader has mended it
    and run its cell."""
    if not inspect.isfunction(function) or function.__qualname__ != function.__name__:
        return function
    now = vars(sys.modules.get(function.__module__, object)).get(function.__name__)
    return now if inspect.isfunction(now) else function


@contextlib.contextmanager
def _one_thread():
    """Batches of points are too small to be shared between cores, and the other core draws the
    page."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _running_loop():
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _replace_in_cell(playground: Playground) -> None:
    """Close the playground that the same cell made when it ran before."""
    kernel = getattr(playground.comm, "kernel", None)
    cell = kernel.get_parent().get("metadata", {}).get("cellId") if kernel is not None else None
    if cell is not None:
        before = _in_cell.pop(cell, None)
        if before is not None:
            before.close()
        _in_cell[cell] = playground


def _shade_range(logits) -> tuple[float, float]:
    """From which logit to which D's surface is shaded: nearly all that there are, but 8 at most,
    around 0."""
    low, high = np.quantile(logits, [0.02, 0.98])
    if high - low > 8:
        middle = min(high - 4, max(low + 4, 0))
        return middle - 4, middle + 4
    widen = max(0, 0.4 - (high - low)) / 2
    return low - widen, high + widen


def _shades(logits) -> str:
    if not len(logits):
        return ""
    low, high = (1 / (1 + math.exp(-max(-30, min(30, logit)))) for logit in _shade_range(logits))
    return f"    shaded: D(x) from {low:.2f} to {high:.2f}"


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
