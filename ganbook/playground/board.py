"""The game of the playground: its settings, data, turns and measurements."""

import contextlib
import copy
import math

import numpy as np
import torch

from ganbook import metrics, networks, penalties
from ganbook.arguments import check_choice, check_count
from ganbook.device import DEVICE
from ganbook.guards import kept_random_state
from ganbook.playground import menus
from ganbook.playground.stopping import StopButton, StoppableGAN, explain
from ganbook.plotting import array

SAMPLES = 256  # real points, and as many fakes
MEASURED = 512  # samples among which modes are counted
MEASURE_EVERY = 25  # steps
MOST_DRAWN = 20_000  # points
DRAWING = (0.0, 0.0, 1.25)  # the window while points are drawn
LAYERS = ("real", "fake", "surface", "arrows", "lattice")


class Board:
    """A game of points in the plane, whose settings can be changed between two turns.

    The arguments are those of `playground`. Raises ValueError or TypeError for what can't be
    played. The attributes:

    gan: the game, a `GAN`, with G's steps in `gan.steps_done`. turns: D's turns so far.
    settings: the chosen values, by name. playing: whether the game runs by itself.
    error: what stopped it, or "". notice: why it paused, or "".
    menus: what can be chosen, [[label, value], ...] for each setting that has a menu.
    batches: of the data; None while no points are drawn.
    real: the real points shown (N, 2). window: (x, y, half a side) of the plane shown.
    modes: how many the data have, 0 if none are known. floor: the earth mover's distance between
    two samples of the data. latents: (MEASURED, latent), of the fakes shown and measured.
    loss_rows: (step, D's loss, G's loss). measured_rows: (step, modes found, distance to the data).
    """

    def __init__(self, loss, penalty, data, lr, d_lr, d_steps, batch, width, depth, pair, seed):
        self._losses, loss = menus.loss_menu(loss)
        self._penalties, penalty = menus.penalty_menu(penalty)
        self._data, data = menus.data_menu(data)
        self.settings = {
            "data": data,
            "loss": loss,
            "penalty": penalty,
            "lr": menus.checked_rate("lr", lr),
            "d_lr": menus.checked_rate("d_lr", lr if d_lr is None else d_lr),
            "d_steps": check_count("d_steps", d_steps),
            "batch": check_count("batch", batch),
            "speed": 0,  # steps per second, 0 for as many as possible
            "layers": list(LAYERS),
        }
        # Making the networks leaves the reader's random numbers unchanged.
        with kept_random_state():
            if pair is None:
                self._networks = networks.mlp(latent=2, width=width, depth=depth)
            else:
                self._networks = menus.copied_networks(pair)
        self._seed, self.drawn = seed, np.zeros((0, 2), np.float32)
        self.error, self.notice, self.playing = "", "", False
        self.menus = self._make_menus()
        self._load_data(self.settings)
        self._start_game()

    # ---- Settings

    def _make_menus(self) -> dict:
        rates, chosen = (1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2), self.settings
        speeds = {"2 steps a second": 2, "10 steps a second": 10, "50 steps a second": 50}
        return {
            "data": [[name, name] for name in self._data],
            "loss": [[name, name] for name in self._losses],
            "penalty": [[name, name] for name in self._penalties],
            "d_lr": menus.numbers_menu(rates, chosen["d_lr"]),
            "lr": menus.numbers_menu(rates, chosen["lr"]),
            "d_steps": menus.numbers_menu((1, 2, 3, 5, 10), chosen["d_steps"]),
            "batch": menus.numbers_menu((16, 32, 64, 128, 256, 512), chosen["batch"]),
            "speed": [*map(list, speeds.items()), ["full", 0]],
        }

    def choose(self, name: str, value) -> None:
        """Change a setting from the next turn on.

        name: of the setting. value: one of its values in `menus`; for "layers", a list of layers.
        Raises ValueError for anything else, and what the reader's own data raise. Then nothing
        is changed.
        """
        check_choice("name", name, self.settings)
        if name == "layers":
            if not isinstance(value, list):
                raise ValueError(f"layers={value!r}: it must be a list of {', '.join(LAYERS)}")
            for layer in value:
                check_choice("layers", layer, LAYERS)
        else:
            check_choice(name, value, [choice for _, choice in self.menus[name]])
        settings = {**self.settings, name: value}
        if name in ("data", "batch"):
            self._load_data(settings)
        self.settings = settings
        self._apply_settings()

    def draw(self, points: np.ndarray, anew: bool) -> None:
        """Add points to those drawn, or replace them if `anew` is true.

        points: (N, 2). Raises ValueError unless they are finite.
        """
        if not np.isfinite(points).all():
            raise ValueError("the points drawn hold NaN or infinity")
        before = self.drawn[:0] if anew else self.drawn
        self.drawn = np.concatenate([before, points])[-MOST_DRAWN:]
        self._load_data(self.settings)

    def _apply_settings(self) -> None:
        gan, chosen = self.gan, self.settings
        gan.loss = self._losses[chosen["loss"]]
        gan.lr = {"generator": chosen["lr"], "discriminator": chosen["d_lr"]}
        penalty = self._penalties[chosen["penalty"]]
        gan.penalty = None if penalty is None else penalties.total(penalty)

    def _load_data(self, settings: dict) -> None:
        drawing = settings["data"] == menus.DRAWN
        if drawing and not len(self.drawn):
            self.batches, self.real, self.floor, self.modes = None, self.drawn, math.nan, 0
            self.window, self.playing = DRAWING, False
            return
        chosen = menus.GivenPoints(self.drawn) if drawing else self._data[settings["data"]]
        batches = chosen.batches(settings["batch"], seed=self._seed)
        some = chosen.batches(2 * SAMPLES, seed=self._seed + 1)[0].x
        if some.shape != (2 * SAMPLES, 2) or not torch.isfinite(some).all():
            raise ValueError(
                f"data must give batches of finite points in the plane, x of (N, 2); it gave"
                f" {tuple(some.shape)}"
            )
        some, self.batches = array(some), batches
        self.real = some[:SAMPLES]
        self.floor = metrics.earth_mover(self.real, some[SAMPLES:])
        self._centers, self._std = getattr(chosen, "centers", None), getattr(chosen, "std", None)
        self.modes = 0 if self._centers is None or self._std is None else len(self._centers)
        low, high = some.min(0), some.max(0)
        half = float((high - low).max()) / 2 * 1.25 or 1.0
        self.window = DRAWING if drawing else (*((low + high) / 2).tolist(), half)

    # ---- Turns

    def reset(self) -> None:
        """Restart the game from its seed, with the reader's functions as they are defined now."""
        self.error, self.notice = "", ""
        with self.stopped_by_errors():
            own = self._losses.get(menus.YOURS)
            if own is not None:
                d, g = menus.as_defined_now(own.d), menus.as_defined_now(own.g)
                self._losses[menus.YOURS] = own._replace(d=d, g=g)
            own = self._penalties.get(menus.YOURS)
            if own is not None:
                terms = [t._replace(measure=menus.as_defined_now(t.measure)) for t in own.terms]
                self._penalties[menus.YOURS] = own._replace(terms=tuple(terms))
            self._start_game()

    def _start_game(self) -> None:
        self.turns, self._d_loss, self._new_losses = 0, math.nan, []
        self.loss_rows, self.measured_rows = [], []
        generator, discriminator = copy.deepcopy(self._networks)
        self.gan = StoppableGAN(generator, discriminator, average=0, seed=self._seed)
        if self.gan.shape != (2,):
            raise ValueError(
                f"the playground draws points in the plane; the generator's are {self.gan.shape}"
            )
        self._apply_settings()
        random = torch.Generator().manual_seed(self._seed)
        self.latents = torch.randn(MEASURED, self.gan.latent, generator=random).to(DEVICE)
        self.measure()

    def advance(self, steps: int = 1) -> None:
        """Take some steps at once.

        steps: how many, 0 or more; each is `d_steps` turns of the discriminator and one of the
            generator.
        Raises RuntimeError if an error stops them, ValueError for any other number of steps.
        """
        steps, self.error = check_count("steps", steps, least=0), ""
        with one_thread():
            for _ in range(steps):
                self.step()
                if self.error:
                    raise RuntimeError(self.error)
                if self.gan.steps_done % MEASURE_EVERY == 0:
                    self.measure()
                self.record_losses()

    def step(self) -> None:
        """Take one step: the turns of the discriminator and the turn of the generator."""
        for _ in range(self.settings["d_steps"]):
            self.d_step()
            if self.error:
                return
        self.g_step()

    def d_step(self) -> None:
        """One turn of the discriminator."""
        with self.stopped_by_errors("discriminator"):
            loss = self.gan.d_step(self.batches[self.turns].x)
            self._d_loss = loss.item()
            self.turns += 1

    def g_step(self) -> None:
        """One turn of the generator, with the batch that the discriminator saw last."""
        with self.stopped_by_errors("generator"):
            loss = self.gan.g_step(self.batches[max(0, self.turns - 1)].x)
            self._new_losses.append((self._d_loss, loss.item()))

    @contextlib.contextmanager
    def stopped_by_errors(self, player: str = ""):
        """A context: an exception or an interrupt in it stops the game, and becomes `error`.

        player: whose turn is taken in it, or "".
        """
        try:
            with StopButton():
                yield
        except (Exception, KeyboardInterrupt) as error:
            suspects = self._suspects(player, str(error))
            self.playing, self.error = False, explain(error, suspects)

    def _suspects(self, player, message) -> list:
        """The functions that an error in a player's turn may be about."""
        if not player:
            return []
        if player == "generator":
            return [self.gan.loss.g]
        # Advice, such as to try a penalty, comes in a second sentence.
        if self.gan.penalty is not None and "penalty" in message.split(". ")[0]:
            return [term.measure for term in self.gan.penalty.terms]
        return [self.gan.loss.d]

    # ---- Measurements

    def measure(self) -> None:
        """Add a row of modes found and distance to the data, unless there is nothing to measure."""
        if self.batches is None:
            return
        fake = self.gan.decode(self.latents, batch=MEASURED)
        if not torch.isfinite(fake).all():
            return
        modes = metrics.coverage(fake, self._centers, self._std).modes if self.modes else math.nan
        distance = metrics.earth_mover(array(fake[:SAMPLES]), self.real)
        append_row(self.measured_rows, (self.gan.steps_done, modes, distance))

    def record_losses(self) -> None:
        """Add a row of the mean losses since the last row."""
        if self._new_losses:
            means = np.mean(self._new_losses, axis=0)
            append_row(self.loss_rows, (self.gan.steps_done, *means))
            self._new_losses = []


def append_row(rows: list, row: tuple, most: int = 300) -> None:
    """Append a row, and thin the rows out so that they stay few and about evenly spaced.

    rows: a list of (step, ...). row: (step, ...).
    most: about how many are kept; there are never more than twice as many.
    """
    if rows and (row[0] == rows[-1][0] or len(rows) > 1 and row[0] - rows[-2][0] < row[0] / most):
        rows[-1] = row
    else:
        rows.append(row)
    if len(rows) > 2 * most:
        del rows[1:-1:2]


@contextlib.contextmanager
def one_thread():
    """A context in which torch uses one thread.

    Batches of points are too small to share between cores, and another core draws the page.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
