"""widgets.playground, the kernel's side: the game, what it shows, how it plays beside other
cells."""

import asyncio
import base64
import io
import math
import re
import sys
import time
import tomllib
import types
from pathlib import Path

import nbformat
import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F
from nbclient import NotebookClient
from torch import nn

from ganbook import GAN, data, losses, networks, penalties, playground, plotting, widgets
from ganbook.device import DEVICE

ROOT = Path(__file__).parents[1]
small = {"width": 16, "depth": 1, "batch": 32}


def weights(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()]).cpu()


def tell(game, kind, points=None, **rest):
    """What the page would send."""
    buffers = [] if points is None else [memoryview(np.float32(points).tobytes())]
    game._obey({"kind": kind, **rest}, buffers)


def choose(game, name, value):
    tell(game, "set", name=name, value=value)


# ---- The game


@pytest.mark.parametrize(
    "settings", [{}, {"penalty": penalties.r1(0.1), "d_steps": 2, "lr": 1e-3, "d_lr": 3e-3}]
)
def test_it_plays_the_game_that_gan_plays(settings):
    game = widgets.playground(seed=3, steps=4, **small, **settings)
    turns = settings.pop("d_steps", 1)
    gan = GAN(
        *networks.mlp(latent=2, width=16, depth=1), average=0, seed=3, **{"lr": 2e-3, **settings}
    )
    batches, k = game._data["ring"].batches(32, seed=3), 0
    for _ in range(4):
        for _ in range(turns):
            real = batches[k].x
            gan.d_step(real)
            k += 1
        gan.g_step(real)
    assert game.gan.steps_done == 4
    for ours, theirs in (
        (game.gan.generator, gan.generator),
        (game.gan.discriminator, gan.discriminator),
    ):
        assert torch.equal(weights(ours), weights(theirs))


@pytest.mark.parametrize(("kind", "moves"), [("d_step", (False, True)), ("g_step", (True, False))])
def test_a_step_of_one_player_moves_that_player(kind, moves):
    game = widgets.playground(**small)
    players = (game.gan.generator, game.gan.discriminator)
    before = [weights(player) for player in players]
    tell(game, kind)
    assert (
        tuple(not torch.equal(a, weights(b)) for a, b in zip(before, players, strict=True)) == moves
    )
    assert (game.gan.steps_done, game._turns) == ((0, 1) if kind == "d_step" else (1, 0))


def test_reset_begins_the_same_game_again():
    game = widgets.playground(steps=3, **small)
    after_three = weights(game.gan.generator)
    tell(game, "reset")
    assert game.gan.steps_done == 0 and not torch.equal(weights(game.gan.generator), after_three)
    game.advance(3)
    assert torch.equal(weights(game.gan.generator), after_three)


def test_a_reset_keeps_what_was_chosen():
    game = widgets.playground(**small)
    choose(game, "penalty", "R1 (1)")
    choose(game, "lr", 1e-4)
    choose(game, "loss", "relativistic")
    tell(game, "reset")
    assert (
        game.gan.penalty == penalties.r1(1.0)
        and game.gan.lr == 1e-4
        and game.gan.loss is losses.relativistic
    )


def test_what_is_chosen_counts_from_the_next_turn_on():
    game = widgets.playground(steps=2, **small)
    for name, value in (
        ("loss", "minimax"),
        ("penalty", "R1 + R2 (0.1)"),
        ("lr", 0.01),
        ("d_lr", 0.03),
    ):
        choose(game, name, value)
    gan = game.gan
    assert gan.steps_done == 2 and gan.loss is losses.minimax and (gan.lr, gan.d_lr) == (0.01, 0.03)
    assert [term.measure for term in gan.penalty.terms] == [penalties._r1, penalties._r2]
    choose(game, "penalty", "none")
    choose(game, "batch", 64)
    choose(game, "data", "spiral")
    assert gan.penalty is None and game._batches[0].x.shape == (64, 2) and game.modes == 0
    game.advance(2)
    assert gan.steps_done == 4


def test_every_choice_of_every_menu_plays():
    game = widgets.playground(
        penalty=penalties.r1(1.0), loss=(losses.minimax.d, losses.minimax.g), **small
    )
    for name in ("data", "loss", "penalty", "d_lr", "lr", "d_steps", "batch"):
        for _, value in game.setup[name]:
            if value != playground.DRAWN:
                choose(game, name, value)
                tell(game, "reset")
                game.advance(1)
                assert game.error == "" and game.gan.steps_done == 1, (name, value)


def test_the_readers_own_comes_first_in_the_menus():
    own = losses.Loss(d=losses.minimax.d, g=losses.minimax.g)
    game = widgets.playground(
        loss=own, penalty=penalties.r1(3.0), data=data.ring(5), lr=7e-4, **small
    )
    assert [game.setup[name][0][0] for name in ("loss", "penalty", "data")] == ["yours"] * 3
    assert (
        ["0.0007", 7e-4] in game.setup["lr"]
        and game.gan.penalty == penalties.r1(3.0)
        and game.modes == 5
    )
    game = widgets.playground(loss=losses.relativistic, **small)
    assert game.settings["loss"] == "relativistic" and "yours" not in [
        name for name, _ in game.setup["loss"]
    ]


def test_a_pair_of_networks_of_ones_own():
    pair = networks.mlp(latent=5, width=8, depth=1)
    before = [weights(network) for network in pair]
    game = widgets.playground(pair=pair, steps=2)
    assert game.gan.latent == 5 and not game._layers()["lattice"].size
    assert all(torch.equal(a, weights(b)) for a, b in zip(before, pair, strict=True)), (
        "a copy plays"
    )


def test_random_numbers_of_the_reader_go_on_as_if_nothing_were_played():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    noisy = losses.Loss(
        lambda r, f: F.softplus(f - r) * torch.rand(()),
        lambda r, f: F.softplus(r - f) * torch.rand(()),
    )
    game = widgets.playground(loss=noisy, steps=2, **small)
    game._layers()
    game._measure()
    tell(game, "reset")
    tell(game, "d_step")
    assert torch.equal(torch.get_rng_state(), state)


def test_looking_changes_nothing():
    first, second = (widgets.playground(pair=dropout_pair(), batch=32) for _ in range(2))
    for _ in range(3):
        first.advance()
        second.advance()
        first._layers()
        first.still()
    assert torch.equal(weights(first.gan.generator), weights(second.gan.generator))
    assert first.gan.discriminator.training


def dropout_pair():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    generator.latent = 2
    return generator, nn.Sequential(
        nn.Linear(2, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0)
    )


# ---- Mistakes of the reader's


@pytest.fixture
def notebook(monkeypatch):
    """A module in which functions are defined again and again, as in a notebook."""
    module = types.ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", module)
    module.F = F
    return module


def run(module, source):
    exec(source, vars(module))


def test_an_exception_in_the_readers_loss_stops_it_with_a_message_and_mending_is_enough(notebook):
    run(notebook, "def d_loss(real, fake):\n    return F.softplus(-real) + F.softplus(fake)")
    run(notebook, "def g_loss(real, fake):\n    return missing * fake")
    game = widgets.playground(loss=(notebook.d_loss, notebook.g_loss), **small)
    game.playing = True
    game._step()
    assert not game.playing and game.gan.steps_done == 0
    assert game.error.startswith("NameError: name 'missing' is not defined\nin g_loss, line 2")
    run(notebook, "def g_loss(real, fake):\n    return F.softplus(-fake)")
    tell(game, "reset")
    assert game.error == ""
    game.advance(2)
    assert game.gan.steps_done == 2


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            (lambda r, f: F.softplus(f).mean(), losses.minimax.g),
            r"loss.d must give one value a sample, shape \(32,\)",
        ),
        ((losses.minimax.d, lambda r, f: f * math.nan), "the generator has the loss nan"),
        ((losses.minimax.d, lambda f: f), "takes 1 positional argument but 2 were given"),
        ((lambda r, f: None, losses.minimax.g), "NoneType"),
    ],
)
def test_a_wrong_loss_is_explained(loss, message):
    game = widgets.playground(loss=loss, **small)
    game._step()
    assert re.search(message, game.error), game.error
    game.still()
    with pytest.raises(RuntimeError, match=message):
        widgets.playground(loss=loss, steps=1, **small)


def test_a_wrong_penalty_is_explained():
    game = widgets.playground(penalty=lambda *args: torch.zeros(()), **small)
    game._step()
    assert "the penalty must give one value a sample" in game.error
    choose(game, "penalty", "none")
    tell(game, "reset")
    game._step()
    assert game.error == "" and game.gan.steps_done == 1


def test_a_game_that_has_diverged_can_still_be_shown():
    game = widgets.playground(**small)
    with torch.no_grad():
        for weight in game.gan.generator.parameters():
            weight.fill_(math.nan)
    game._measure()
    game.still()
    game._step()
    assert "loss nan" in game.error


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"loss": "hinge"},
            TypeError,
            "loss='hinge': give losses.nonsaturating, say, or a pair of your functions",
        ),
        ({"loss": (losses.minimax.d,)}, TypeError, "a pair of your functions"),
        (
            {"penalty": penalties.r1},
            TypeError,
            r"penalty=penalties.r1: call it with its weight, as in r1\(1.0\)",
        ),
        ({"penalty": 1.0}, TypeError, r"penalty=1.0: give penalties.r1\(1.0\), say"),
        (
            {"data": "circle"},
            ValueError,
            "data='circle': there are 'ring', 'grid', 'two moons', 'spiral', and",
        ),
        ({"data": torch.zeros(5, 3)}, TypeError, r"points \(N, 2\)"),
        ({"data": [[math.nan, 0.0]]}, TypeError, r"points \(N, 2\)"),
        ({"data": 3}, TypeError, "data=3: give a name"),
        (
            {"data": data.mixture_1d([0.0], 1.0)},
            ValueError,
            r"points in the plane, x of \(N, 2\); it gave \(512, 1\)",
        ),
        ({"lr": "fast"}, ValueError, "lr='fast': give a number"),
        ({"d_lr": -1.0}, ValueError, "d_lr=-1.0: give a number"),
        ({"d_steps": 0}, ValueError, "d_steps=0: it must be a whole number, 1 or more"),
        ({"batch": 2.5}, ValueError, "batch=2.5: it must be a whole number"),
        ({"steps": -1}, ValueError, "steps=-1: it must be a whole number, 0 or more"),
        ({"width": 0}, ValueError, "width"),
        (
            {"pair": networks.mlp()[0]},
            TypeError,
            r"give two networks, \(generator, discriminator\)",
        ),
        (
            {"pair": networks.mlp((3,))},
            ValueError,
            r"points in the plane; the generator's are \(3,\)",
        ),
    ],
)
def test_what_can_not_be_played_is_said_at_once(settings, error, message):
    with pytest.raises(error, match=message):
        widgets.playground(**settings)


# ---- What is shown


def test_the_layers_are_what_they_say():
    game = widgets.playground(steps=3, **small)
    layers, (x, y, half), gan = game._layers(), game._window, game.gan
    assert layers["real"].shape == layers["fake"].shape == (playground.SAMPLES, 2)
    np.testing.assert_allclose(
        layers["fake"], plotting.array(gan.decode(game._z[: playground.SAMPLES])), atol=1e-5
    )
    cells, cell = playground.CELLS, 2 * half / playground.CELLS
    surface = layers["surface"].reshape(cells, cells)
    for row, column in ((0, 0), (0, cells - 1), (5, 30)):  # rows from the bottom up
        at = torch.tensor([[x - half + (column + 0.5) * cell, y - half + (row + 0.5) * cell]]).to(
            DEVICE
        )
        assert surface[row, column] == pytest.approx(gan.discriminator(at).item(), abs=1e-4)
    lattice = layers["lattice"].reshape(playground.LINES, playground.LINES, 2)
    for a, b, z in ((0, 0, (-2, -2)), (0, -1, (-2, 2)), (-1, 0, (2, -2))):
        expected = plotting.array(gan.decode(torch.tensor([z]).float()))[0]
        np.testing.assert_allclose(lattice[a, b], expected, atol=1e-4)


@pytest.mark.parametrize("loss", [losses.nonsaturating, losses.relativistic])
def test_arrows_point_where_the_generators_loss_falls(loss):
    game = widgets.playground(loss=loss, steps=20, **small)
    layers, judge = game._layers(), game.gan.discriminator
    fake = torch.tensor(layers["fake"][: playground.ARROWS], device=DEVICE)
    real = torch.tensor(layers["real"][: playground.ARROWS], device=DEVICE)
    arrows = torch.tensor(layers["arrows"], device=DEVICE)

    @torch.no_grad()
    def lost(points):
        return loss.g(judge(real), judge(points)).double()

    h = 1e-2
    for axis in (0, 1):
        step = torch.zeros(2, device=DEVICE)
        step[axis] = h
        slope = (lost(fake + step) - lost(fake - step)) / (2 * h)
        close = (slope + arrows[:, axis]).abs() < 2e-2 * arrows.norm(dim=1).max()
        assert close.float().mean() > 0.9  # a leaky ReLU has kinks


def test_a_layer_that_is_off_costs_nothing():
    game = widgets.playground(**small)
    choose(game, "layers", ["real", "fake"])
    layers = game._layers()
    assert (
        not any(layers[name].size for name in ("surface", "arrows", "lattice"))
        and layers["fake"].size
    )


def test_curves_hold_losses_modes_and_distance_over_the_steps():
    game = widgets.playground(steps=50, **small)
    steps, d_loss, g_loss = np.array(game._loss_rows).T
    assert (
        list(steps) == list(range(1, 51))
        and np.isfinite(d_loss).all()
        and np.isfinite(g_loss).all()
    )
    steps, modes, distance = np.array(game._measured_rows).T
    assert (
        list(steps) == [0, 25, 50]
        and (distance > game._floor).all()
        and ((0 <= modes) & (modes <= 8)).all()
    )
    choose(game, "data", "spiral")
    game._measure()
    assert math.isnan(game._measured_rows[-1][1]) and game._measured_rows[-1][2] > 0


def test_a_perfect_generator_has_all_modes_and_hardly_any_distance():
    ring = data.ring(std=0.03)
    perfect = nn.Linear(2, 2)
    nn.init.eye_(perfect.weight)
    nn.init.zeros_(perfect.bias)
    perfect.latent = 2
    game = widgets.playground(pair=(perfect, networks.mlp()[1]), data=ring)
    game._z = ring.sample(playground.MEASURED, seed=9)
    game._measure()
    _, modes, distance = game._measured_rows[-1]
    assert modes == 8 and distance < 1.5 * game._floor


def test_rows_of_curves_stay_few_and_even():
    rows = []
    for step in range(1, 20_001):
        playground._record(rows, (step, step % 7))
    steps = np.array(rows)[:, 0]
    assert len(rows) <= 600 and steps[0] == 1 and steps[-1] == 20_000
    assert np.diff(steps).max() <= 4 * 20_000 / 300
    playground._record(rows, (20_000, 3))
    assert rows[-1] == (20_000, 3) and rows[-2][0] < 20_000


def test_data_fill_the_plane():
    far = data.Mixture([[100.0, 0.0], [104.0, 2.0]], 0.1)
    for chosen in ("ring", "grid", "two_moons", "spiral", far, torch.rand(50, 2)):
        game = widgets.playground(data=chosen, **small)
        (x, y, half), points = game._window, game._shown
        away = np.abs(points - [x, y]).max(0)
        assert 0.7 * half < away.max() < half


def test_drawn_points_become_the_data():
    game = widgets.playground(**small)
    choose(game, "data", playground.DRAWN)
    assert game._batches is None and game._layers()["real"].size == 0
    for kind in ("play", "d_step", "g_step"):
        tell(game, kind)
    assert not game.playing and game.error == "" and game._turns == game.gan.steps_done == 0
    tell(game, "draw", [[0.5, 0.5]] * 10, anew=False)
    tell(game, "draw", [[-0.5, 0.0]] * 30, anew=False)
    batch = plotting.array(game._batches[0].x)
    right = np.linalg.norm(batch - [0.5, 0.5], axis=1) < 0.1
    left = np.linalg.norm(batch - [-0.5, 0.0], axis=1) < 0.1
    assert (right ^ left).all() and 0.5 < left.mean() < 0.95
    game.advance(2)
    tell(game, "draw", [], anew=True)
    assert game._batches is None


# ---- Playing, in an event loop as a kernel's


class Page:
    """Takes what a playground sends, and answers as a page does, unless it is asleep."""

    def __init__(self, game, answers=True):
        self.game, self.answers, self.pictures = game, answers, []
        game.send = self.take
        tell(game, "opened", view="a")

    def take(self, message, buffers):
        assert message["kind"] == "picture" and len(buffers) == 7
        self.pictures.append(message)
        if self.answers:
            tell(self.game, "seen", number=message["number"])


def playing(scenario, **settings):
    """Run `scenario(game)`, a coroutine function, in an event loop. Fails if it leaves a task
    behind."""

    async def run():
        game = widgets.playground(**{**small, **settings})
        await scenario(game)
        game.close()
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left"

    asyncio.run(run())


async def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)


def test_it_plays_beside_other_tasks_and_stops_at_pause():
    async def scenario(game):
        page = Page(game)
        tell(game, "play")
        turns = 0
        while game.gan.steps_done < 100:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 3 and len(page.pictures) > 2 and game.playing
        numbers = [picture["number"] for picture in page.pictures]
        assert numbers == sorted(set(numbers))
        tell(game, "pause")
        await until(game._task.done)
        steps = game.gan.steps_done
        await asyncio.sleep(0.1)
        assert game.gan.steps_done == steps and page.pictures[-1]["playing"] is False

    playing(scenario)


def test_a_page_that_does_not_answer_gets_a_few_pictures_only_and_then_it_stops(monkeypatch):
    monkeypatch.setattr(playground, "SILENCE", 0.8)

    async def scenario(game):
        page = Page(game, answers=False)
        tell(game, "play")
        await until(lambda: not game.playing)
        await until(game._task.done)
        assert (
            len(page.pictures) <= playground.AHEAD + 3
        )  # one for "opened", one for "play", one at the end

    playing(scenario)


def test_a_long_cell_is_not_taken_for_silence(monkeypatch):
    monkeypatch.setattr(playground, "SILENCE", 0.8)

    async def scenario(game):
        Page(game)
        tell(game, "play")
        await until(lambda: game.gan.steps_done > 5)
        time.sleep(1.5)  # as a cell does
        steps = game.gan.steps_done
        await until(lambda: game.gan.steps_done > steps + 5)
        assert game.playing

    playing(scenario)


def test_it_stops_when_its_last_view_is_closed():
    async def scenario(game):
        Page(game)
        tell(game, "opened", view="b")
        tell(game, "play")
        tell(game, "closed", view="a")
        await until(lambda: game.gan.steps_done > 5)
        assert game.playing
        tell(game, "closed", view="b")
        await until(game._task.done)
        assert not game.playing

    playing(scenario)


def test_play_twice_is_one_task():
    async def scenario(game):
        Page(game)
        for kind in ("play", "play", "pause", "play"):
            tell(game, kind)
        await until(lambda: game.gan.steps_done > 5)
        assert len(asyncio.all_tasks()) == 2 and game.playing

    playing(scenario)


def test_an_error_stops_the_task_and_is_sent():
    async def scenario(game):
        page = Page(game)
        tell(game, "play")
        await until(game._task.done)
        assert "enough" in page.pictures[-1]["error"] and not page.pictures[-1]["playing"]
        assert game.gan.steps_done == 0

    def enough(real, fake):
        raise ValueError("enough")

    playing(scenario, loss=(losses.minimax.d, enough))


def test_speed_is_a_number_of_steps_a_second():
    async def scenario(game):
        Page(game)
        choose(game, "speed", 10)
        tell(game, "play")
        await asyncio.sleep(1.5)
        assert 8 <= game.gan.steps_done <= 17

    playing(scenario)


def test_messages_of_another_thread_wait_for_the_cells_thread():
    async def scenario(game):
        page = Page(game)
        seen = len(page.pictures)
        await asyncio.to_thread(game._receive, None, {"kind": "g_step"}, [])
        await until(lambda: game.gan.steps_done == 1)
        assert len(page.pictures) == seen + 1

    playing(scenario)


def test_the_threads_of_torch_are_given_back():
    before = torch.get_num_threads()

    async def scenario(game):
        Page(game)
        tell(game, "play")
        await until(lambda: game.gan.steps_done > 5)
        assert torch.get_num_threads() == before

    playing(scenario)
    widgets.playground(steps=1, **small)
    assert torch.get_num_threads() == before


def test_without_a_kernel_it_says_what_can_be_done():
    game = widgets.playground(**small)
    with pytest.raises(RuntimeError, match=r"use advance\(\)"):
        game.play()


# ---- Where no kernel runs


def test_a_still_comes_with_the_widget():
    game = widgets.playground(steps=5, **small)
    bundle, _ = game._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json", "image/png"}
    assert "step 5" in bundle["text/plain"] and "0x" not in bundle["text/plain"], (
        "the same at every build"
    )
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.size == (900, 480)
    colors = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert {
        tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in (plotting.REAL, plotting.FAKE)
    } <= colors
    assert len(bundle["image/png"]) < 300_000


def test_a_notebook_that_is_executed_goes_on_at_once_and_trains_nothing():
    cells = [
        "import asyncio, time\nfrom ganbook import widgets\nwidgets.playground()\nbefore ="
        " len(asyncio.all_tasks())",
        "start = time.perf_counter()\np = widgets.playground()\ndisplay(p)",
        "print(time.perf_counter() - start)",
        "await asyncio.sleep(0.5)\nprint(p.playing, p.gan.steps_done, len(asyncio.all_tasks()) -"
        " before)",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        book, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    assert "image/png" in book.cells[1].outputs[0].data
    assert float(book.cells[2].outputs[0].text) < 2
    assert book.cells[3].outputs[0].text.split()[:2] == ["False", "0"]
    assert (
        int(book.cells[3].outputs[0].text.split()[2]) <= 1
    )  # a cell that awaits may itself be a task


def test_the_pages_files_are_packaged():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]["ganbook"]
    packaged = {path.name for pattern in patterns for path in (ROOT / "ganbook").glob(pattern)}
    assert {"playground.js", "playground.css"} <= packaged
