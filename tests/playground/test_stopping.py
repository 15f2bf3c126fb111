"""The stop button of the notebook: it pauses the playground, and ends a loss that never returns."""

import asyncio
import multiprocessing
import signal
import sys
import threading
import time

import pytest
import torch

from ganbook import losses
from ganbook.playground import playground, stopping
from ganbook.playground.layers import layers
from ganbook.playground.stopping import StopButton

small = {"width": 16, "depth": 1, "batch": 32}
LIMIT = 180  # seconds until a test stops waiting


def press():
    signal.raise_signal(signal.SIGINT)


def forever():
    """What never ends by itself; it ends in minutes where the button does not work."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        pass
    raise AssertionError("the stop button did not end it")


@pytest.fixture
def between_cells(on_sigint):
    """Interrupts are ignored, as a kernel has it between cells."""
    on_sigint(signal.SIG_IGN)


# ---- The button


def test_a_press_waits_for_the_end_of_the_block(ctrl_c):
    done = []
    with pytest.raises(KeyboardInterrupt), StopButton():
        press()
        done.append("to the end")
    assert done == ["to the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_press_does_not_wait(ctrl_c):
    with pytest.raises(KeyboardInterrupt), StopButton():
        press()
        press()
        raise AssertionError("the second press waited")


@pytest.mark.parametrize("windows", [False, True])
def test_a_block_that_never_ends_is_ended_by_one_press(ctrl_c, monkeypatch, windows):
    monkeypatch.setattr(stopping, "PATIENCE", 0.1)
    if windows:  # where a thread can't be sent a signal
        monkeypatch.delattr(signal, "pthread_kill", raising=False)
    with pytest.raises(KeyboardInterrupt), StopButton():
        press()
        forever()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to a thread")
def test_a_block_that_sleeps_is_ended_by_one_press(ctrl_c, monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.1)
    deadline = time.monotonic() + LIMIT
    with pytest.raises(KeyboardInterrupt), StopButton():
        press()
        time.sleep(LIMIT)
    assert time.monotonic() < deadline, "it slept to the end"


def test_a_press_in_a_block_that_ends_is_one_interrupt_and_no_second_one_later(
    on_sigint, monkeypatch
):
    """A second one would stop the next cell, seconds later."""
    monkeypatch.setattr(stopping, "PATIENCE", 0.2)
    heard = []
    on_sigint(lambda *_: heard.append("an interrupt"))
    with StopButton():
        press()
        timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    for timer in timers:
        timer.join(LIMIT)
    assert len(timers) == 1 and heard == ["an interrupt"]
    assert timers[0].daemon, "else a kernel that is shut down would wait for it"


def press_where_that_ends_the_program():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with StopButton():
        press()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells of a signal otherwise")
def test_where_an_interrupt_ends_the_program_it_still_does():
    fork = multiprocessing.get_context("fork")  # no second import of torch
    process = fork.Process(target=press_where_that_ends_the_program)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGINT


def test_a_press_between_cells_is_ignored_where_nothing_plays(between_cells):
    with StopButton():
        press()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


# ---- A game that plays


async def until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)


def weights(game):
    return torch.cat([w.detach().flatten() for w in game.gan.generator.parameters()])


def test_the_stop_button_pauses_every_playground_and_loses_no_turn(between_cells):
    async def scenario():
        games = [playground(seed=seed, **small) for seed in (0, 1)]
        sent = []
        games[0].send = lambda message, buffers: sent.append(message)
        for _ in range(3):
            for game in games:
                game.play()
            for game in games:
                more = game.gan.steps_done + 3
                await until(lambda game=game, more=more: game.gan.steps_done > more)
            press()
            await until(lambda: all(game._task.done() for game in games))
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "as the kernel had it"
            assert not any(game.playing or game.error for game in games)
            assert sent[-1]["notice"] == stopping.PRESSED and not sent[-1]["playing"]
        return games

    for seed, game in enumerate(asyncio.run(scenario())):
        alone = playground(seed=seed, **small, steps=game.gan.steps_done)
        assert game.board.turns == alone.board.turns
        assert torch.equal(weights(game), weights(alone))


def test_a_press_in_the_middle_of_a_step_waits_for_its_end(between_cells):
    turns = []

    def d_loss(real, fake):
        turns.append("D")
        if len(turns) == 2:
            press()
        return losses.minimax.d(real, fake)

    async def scenario():
        game = playground(loss=(d_loss, losses.minimax.g), d_steps=4, **small)
        game.play()
        await until(lambda: game._task.done())
        assert game.error == "" and game.board.notice == stopping.PRESSED
        assert (game.board.turns, game.gan.steps_done) == (4, 1)

    asyncio.run(scenario())


def endless(real, fake):
    press()
    forever()


@pytest.mark.parametrize(
    ("settings", "turns"),
    [
        ({"loss": (endless, losses.minimax.g)}, (0, 0)),
        ({"loss": (losses.minimax.d, endless)}, (1, 0)),
        ({"penalty": lambda critic, real, fake, *logits: endless(real, fake)}, (0, 0)),
    ],
)
def test_an_endless_loss_or_penalty_is_ended(between_cells, monkeypatch, settings, turns):
    monkeypatch.setattr(stopping, "PATIENCE", 0.1)

    async def scenario():
        game = playground(**settings, **small)
        random = torch.get_rng_state()
        game.play()
        await until(lambda: game._task.done())
        assert "KeyboardInterrupt: stopped by the notebook's stop button\nin forever" in game.error
        assert (game.board.turns, game.gan.steps_done) == turns and not game.playing
        assert torch.equal(torch.get_rng_state(), random)
        game.board.choose("penalty", "none")
        game.board.choose("loss", "minimax")
        game.advance(2)

    asyncio.run(scenario())


def test_an_endless_loss_is_ended_where_only_its_arrows_are_drawn(between_cells, monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.1)
    board = playground(loss=(losses.minimax.d, lambda real, fake: -fake), **small).board
    board.gan.loss = losses.Loss(losses.minimax.d, endless)
    layers(board)
    assert "KeyboardInterrupt" in board.error and board.gan.discriminator.training
