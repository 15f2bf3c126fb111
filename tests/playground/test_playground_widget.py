"""The playground's widget: messages of the page, and playing beside other cells."""

import asyncio
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from comm import DummyComm

from ganbook import GAN, data, losses, networks, plotting
from ganbook.playground import menus, playground, widget
from ganbook.playground.layers import layers

ROOT = Path(__file__).parents[2]
small = {"width": 16, "depth": 1, "batch": 32}
LIMIT = 180  # seconds until a test stops waiting


def tell(game, kind, points=None, **rest):
    """What the page would send."""
    buffers = [] if points is None else [memoryview(np.float32(points).tobytes())]
    game._handle_message({"kind": kind, **rest}, buffers)


def test_what_a_playground_is_without_arguments():
    game = playground()
    assert game.settings["data"] == "ring" and game.gan.steps_done == 0
    assert game.gan.lr == {"generator": 2e-3, "discriminator": 2e-3}
    assert {"setup", "_esm", "_css"} <= set(game.traits(sync=True))
    expected = GAN(*networks.mlp(latent=2, width=64, depth=3), seed=0)
    for own, other in zip(
        game.gan.generator.parameters(), expected.generator.parameters(), strict=True
    ):
        assert torch.equal(own, other)


@pytest.mark.parametrize("name", ["ring", "grid", "two moons", "spiral"])
def test_the_playgrounds_own_data_lie_in_the_middle(name):
    points = menus.point_sets()[name].sample(4000, seed=0)
    assert points.mean(0).abs().max() < 0.2 and 0.8 < points.abs().max() < 1.8


# ---- Messages of the page


def test_drawn_points_become_the_data():
    game = playground(**small)
    board = game.board
    tell(game, "set", name="data", value=menus.DRAWN)
    assert board.batches is None and layers(game.board)["real"].size == 0
    for kind in ("play", "d_step", "g_step"):
        tell(game, kind)
    assert not game.playing and game.error == "" and board.turns == game.gan.steps_done == 0
    tell(game, "draw", [[0.5, 0.5]] * 10, anew=False)
    tell(game, "draw", [[-0.5, 0.0]] * 30, anew=False)
    batch = plotting.array(board.batches[0].x)
    right = np.linalg.norm(batch - [0.5, 0.5], axis=1) < 0.1
    left = np.linalg.norm(batch - [-0.5, 0.0], axis=1) < 0.1
    assert (right ^ left).all() and 0.5 < left.mean() < 0.95
    game.advance(2)
    tell(game, "draw", [], anew=True)
    assert board.batches is None


def test_each_button_and_menu_reaches_the_game():
    game = playground(**small)
    done = lambda: (game.gan.steps_done, game.board.turns)  # noqa: E731
    tell(game, "d_step")
    assert done() == (0, 1)
    tell(game, "g_step")
    assert done() == (1, 1)
    tell(game, "set", name="loss", value="minimax")
    assert game.settings["loss"] == "minimax" and game.gan.loss is losses.minimax
    tell(game, "set", name="colour", value="red")
    assert "name='colour': it must be one of 'data', 'loss'" in game.error
    tell(game, "reset")
    assert done() == (0, 0) and game.error == ""


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
    """Run `scenario(game)`, a coroutine, in an event loop. Fails if it leaves a task behind."""

    async def run():
        game = playground(**{**small, **settings})
        await scenario(game)
        game.close()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})  # no task is left

    asyncio.run(run())


async def until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)


class Clock:
    """A clock that goes on by a hundredth of a second each time it is read."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 0.01
        return self.now


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
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left to play on"
        assert game.gan.steps_done == steps and page.pictures[-1]["playing"] is False

    playing(scenario)


def test_a_page_that_does_not_answer_gets_a_few_pictures_only_and_then_it_stops(monkeypatch):
    monkeypatch.setattr(widget, "time", Clock())

    async def scenario(game):
        page = Page(game, answers=False)
        tell(game, "play")
        await until(lambda: not game.playing)
        await until(game._task.done)
        # One for "opened", one for "play", one at the end.
        assert len(page.pictures) <= widget.AHEAD + 3
        assert page.pictures[-1]["notice"] == "Paused, because no page shows it"

    playing(scenario)


def test_a_long_cell_or_a_slow_step_is_not_taken_for_silence(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(widget, "time", clock)

    def slow(real, fake):
        clock.now += 2 * widget.SILENCE
        return losses.minimax.g(real, fake)

    async def scenario(game):
        Page(game)
        tell(game, "play")
        for _ in range(3):
            steps = game.gan.steps_done
            await until(lambda steps=steps: game.gan.steps_done > steps + 5 or not game.playing)
            assert game.playing
            clock.now += 100 * widget.SILENCE  # as while a cell runs

    playing(scenario, loss=(losses.minimax.d, slow))


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


def test_a_drawing_that_is_cleared_while_it_plays_pauses_it():
    async def scenario(game):
        Page(game)
        tell(game, "set", name="data", value=menus.DRAWN)
        tell(game, "draw", [[0.5, 0.5]] * 10, anew=False)
        tell(game, "play")
        await until(lambda: game.gan.steps_done > 5)
        tell(game, "draw", [], anew=True)
        await until(game._task.done)
        assert not game.playing and game.error == ""

    playing(scenario)


@pytest.mark.parametrize("speed", [2, 10])
def test_speed_is_a_number_of_steps_a_second(monkeypatch, speed):
    clock = Clock()
    monkeypatch.setattr(widget, "time", clock)
    monkeypatch.setattr(widget, "BETWEEN_PICTURES", 1.0)  # or most of the work would be pictures

    async def scenario(game):
        Page(game)
        tell(game, "set", name="speed", value=speed)
        tell(game, "play")
        await until(lambda: clock.now > 10)
        assert abs(game.gan.steps_done - speed * clock.now) <= 2
        measured = [row[0] for row in game.board.measured_rows]
        assert len(measured) <= 1 + clock.now / widget.BETWEEN_MEASUREMENTS
        assert len(measured) >= min(clock.now, game.gan.steps_done) / 2

    playing(scenario)


def test_a_cell_that_runs_again_closes_the_playground_that_it_made_before(monkeypatch):
    cells = iter(["a", "a", "b", None, None])
    kernel = SimpleNamespace(get_parent=lambda: {"metadata": {"cellId": next(cells)}})
    monkeypatch.setattr(DummyComm, "kernel", kernel, raising=False)
    games = [playground(**small) for _ in range(5)]
    assert [game.comm is not None for game in games] == [False, True, True, True, True]


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
    playground(steps=1, **small)
    assert torch.get_num_threads() == before


def test_without_a_kernel_it_says_what_can_be_done():
    game = playground(**small)
    with pytest.raises(RuntimeError, match=r"use advance\(\)"):
        game.play()


# ---- Beside others


def weights(gan):
    return torch.cat([w.detach().flatten() for w in gan.generator.parameters()]).cpu()


def test_playgrounds_and_a_cell_that_trains_give_side_by_side_what_each_gives_alone():
    noisy = losses.Loss(
        lambda real, fake: losses.minimax.d(real, fake) * torch.rand(()),
        lambda real, fake: losses.minimax.g(real, fake) * torch.rand(()),
    )

    def trained(steps):
        players = networks.mlp(latent=2, width=16, depth=1)
        gan = GAN(*players, loss=noisy, seed=5)
        return gan, gan.train(data.ring().batches(32, seed=5), steps=steps, progress=False)

    async def scenario():
        games = [playground(loss=noisy, seed=seed, **small) for seed in (0, 1)]
        for game in games:
            Page(game)
            tell(game, "play")
        gan, steps = trained(60)
        torch.manual_seed(7)
        seen = []
        for _ in steps:
            seen.append(games[0].gan.steps_done)
            await asyncio.sleep(0)
        assert len(set(seen)) > 3, "they took turns"
        drawn = torch.rand(3)
        for game in games:
            tell(game, "pause")
        await until(lambda: all(game._task.done() for game in games))
        return games, gan, drawn

    games, gan, drawn = asyncio.run(scenario())
    for seed, game in enumerate(games):
        alone = playground(loss=noisy, seed=seed, **small, steps=game.gan.steps_done)
        assert torch.equal(weights(game.gan), weights(alone.gan))
    alone, steps = trained(60)
    list(steps)
    assert torch.equal(weights(gan), weights(alone))
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3)), "the reader's own random numbers"


def test_the_pages_files_are_packaged():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["ganbook.playground"]
    folder = ROOT / "ganbook/playground"
    packaged = {path.name for pattern in patterns for path in folder.glob(pattern)}
    assert {"playground.js", "playground.css"} <= packaged
