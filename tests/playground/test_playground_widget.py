"""The playground's widget: messages of the page, and playing beside other cells."""

import asyncio
import time
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from ganbook import losses, plotting
from ganbook.playground import menus, playground, widget
from ganbook.playground.layers import layers

ROOT = Path(__file__).parents[2]
small = {"width": 16, "depth": 1, "batch": 32}


def tell(game, kind, points=None, **rest):
    """What the page would send."""
    buffers = [] if points is None else [memoryview(np.float32(points).tobytes())]
    game._handle_message({"kind": kind, **rest}, buffers)


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
    monkeypatch.setattr(widget, "SILENCE", 0.8)

    async def scenario(game):
        page = Page(game, answers=False)
        tell(game, "play")
        await until(lambda: not game.playing)
        await until(game._task.done)
        assert (
            len(page.pictures) <= widget.AHEAD + 3
        )  # one for "opened", one for "play", one at the end

    playing(scenario)


def test_a_long_cell_is_not_taken_for_silence(monkeypatch):
    monkeypatch.setattr(widget, "SILENCE", 0.8)

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


def test_speed_is_a_number_of_steps_a_second():
    async def scenario(game):
        Page(game)
        tell(game, "set", name="speed", value=10)
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
    playground(steps=1, **small)
    assert torch.get_num_threads() == before


def test_without_a_kernel_it_says_what_can_be_done():
    game = playground(**small)
    with pytest.raises(RuntimeError, match=r"use advance\(\)"):
        game.play()


def test_a_notebook_that_is_executed_goes_on_at_once_and_trains_nothing():
    cells = [
        "import asyncio, time\nfrom ganbook.playground import playground\nplayground()\nbefore ="
        " len(asyncio.all_tasks())",
        "start = time.perf_counter()\np = playground()\ndisplay(p)",
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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["ganbook.playground"]
    folder = ROOT / "ganbook/playground"
    packaged = {path.name for pattern in patterns for path in folder.glob(pattern)}
    assert {"playground.js", "playground.css"} <= packaged
