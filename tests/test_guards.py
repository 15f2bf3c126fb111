"""ganbook.guards: interrupts wait for the end of a step; losses that are not finite stop a game."""

import contextlib
import functools
import itertools
import math
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import types

import pytest
import torch
from games import assert_same_weights, play, points_game, weights

from ganbook import data, game, guards, losses, penalties
from ganbook import gan as gan_module
from ganbook.device import DEVICE
from ganbook.losses import Loss

pytestmark = pytest.mark.usefixtures("deterministic")
on_the_cpu = pytest.mark.skipif(DEVICE.type != "cpu", reason="on a GPU losses are read later")


def interrupting(function, at):
    """`function`, with a Ctrl-C in the middle of its `at`-th call."""
    calls = itertools.count(1)

    @functools.wraps(function)
    def call(*args, **kwargs):
        if next(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return function(*args, **kwargs)

    return call


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("where", ["loss.d", "loss.g", "penalty", "generator", "batches"])
def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end(where, moons, monkeypatch):
    settings = {"d_steps": 2, "penalty": penalties.r1(0.5), "seed": 3}
    straight = points_game(**settings)
    play(straight, moons, 6)

    gan, batches = points_game(**settings), moons
    if where == "loss.d":
        gan.loss = Loss(interrupting(gan.loss.d, at=5), gan.loss.g)
    elif where == "loss.g":
        gan.loss = Loss(gan.loss.d, interrupting(gan.loss.g, at=3))
    elif where == "penalty":
        gan.penalty = penalties.Penalty(
            (gan.penalty.terms[0]._replace(measure=interrupting(penalties._r1, at=5)),)
        )
    elif where == "generator":
        monkeypatch.setattr(gan.generator, "forward", interrupting(gan.generator.forward, at=8))
    else:
        batches = types.SimpleNamespace(get=interrupting(moons.__getitem__, at=6))
        batches = type("Batches", (), {"__getitem__": lambda self, k, get=batches.get: get(k)})()

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        play(gan, batches, 6)
    assert gan.steps_done == 3
    assert signal.getsignal(signal.SIGINT) is handler
    play(gan, moons, 6)
    assert_same_weights(straight, gan)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_between_two_steps(moons):
    straight, gan = points_game(), points_game()
    play(straight, moons, 4)
    with pytest.raises(KeyboardInterrupt):
        for step in gan.train(moons, 4, progress=False):
            if step.index == 2:
                signal.raise_signal(signal.SIGINT)
    play(gan, moons, 4)
    assert_same_weights(straight, gan)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_at_any_line_of_the_loop(moons):
    straight = points_game(penalty=penalties.r1(every=2))
    play(straight, moons, 3)
    files = {game.__file__, guards.__file__, gan_module.__file__, contextlib.__file__}

    def play_with_ctrl_c_at(line):
        gan, lines = points_game(penalty=penalties.r1(every=2)), itertools.count()

        def trace(frame, event, _):
            if frame.f_code.co_filename not in files:
                return None
            if event == "line" and next(lines) == line:
                signal.raise_signal(signal.SIGINT)
            return trace

        before = sys.gettrace()
        try:
            sys.settrace(trace)
            play(gan, moons, 3)
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(before)
        return gan, interrupted, next(lines)

    _, interrupted, count = play_with_ctrl_c_at(None)
    assert not interrupted and count > 300
    for line in range(0, count - 1, max(1, count // 90)):
        gan, interrupted, _ = play_with_ctrl_c_at(line)
        assert interrupted, f"the interrupt at line {line} of {count} was lost"
        if gan.steps_done < 3:
            play(gan, moons, 3)
        assert_same_weights(straight, gan)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_that_is_ignored_stays_ignored(moons):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gan = points_game()
    gan.loss = Loss(interrupting(gan.loss.d, at=2), gan.loss.g)
    play(gan, moons, 3)
    assert gan.steps_done == 3
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_a_game_in_a_thread_is_the_same_game(moons):
    straight, threaded = points_game(), points_game()
    play(straight, moons, 4)
    errors = []

    def run():
        try:
            play(threaded, data.two_moons().batches(16, seed=3), 4)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not errors
    assert_same_weights(straight, threaded)


def steepness(critic, real, fake, real_logits, fake_logits):
    return penalties.squared_gradient_norm(fake_logits, fake)


def at_turn(turn, function, value):
    """`function`, whose `turn`-th value is replaced."""
    turns = itertools.count(1)
    return lambda *args: function(*args) * (value if next(turns) == turn else 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    "term", ["discriminator's d_loss", "generator's g_loss", "discriminator's penalty"]
)
def test_a_loss_that_is_not_finite_names_step_player_and_term(term, value, moons):
    d, g, _ = losses.nonsaturating
    settings = {
        "discriminator's d_loss": {"loss": Loss(at_turn(3, d, value), g)},
        "generator's g_loss": {"loss": Loss(d, at_turn(3, g, value))},
        "discriminator's penalty": {"penalty": at_turn(3, steepness, value)},
    }[term]
    with pytest.raises(FloatingPointError, match=rf"step 3: the {term} is (nan|inf)"):
        play(points_game(**settings), moons, 5)


@on_the_cpu
def test_a_loss_that_is_not_finite_is_not_learned_from(moons):
    d, g, _ = losses.nonsaturating
    gan = points_game(loss=Loss(at_turn(3, d, math.nan), g))
    seen = []
    with pytest.raises(FloatingPointError):
        for _ in gan.train(moons, 5, progress=False):
            seen.append(weights(gan))
    assert len(seen) == gan.steps_done == 2
    assert_same_weights(seen[-1], gan)
    assert play(gan, moons, 4)[-1].index == 4  # the spoilt turn is over: the game can go on


def test_a_game_that_diverges_by_itself_is_stopped(moons):
    gan = points_game(loss=losses.minimax, lr=1e30)
    with pytest.raises(
        FloatingPointError, match=r"step \d+: the \w+'s \w+ is .*Try a lower learning rate"
    ):
        play(gan, moons, 400)


class Spoilt:
    """Batches of which one holds a NaN."""

    def __init__(self, batches, at):
        self.batches, self.at = batches, at

    def __getitem__(self, k):
        batch = self.batches[k]
        if k == self.at:
            batch.x[3, 0] = math.nan
        return batch


def test_nan_in_the_data(moons):
    with pytest.raises(ValueError, match="the data holds NaN or infinity"):
        points_game().train(Spoilt(moons, at=0), 5)
    with pytest.raises(
        FloatingPointError, match="step 3: the discriminator's d_loss is nan"
    ) as caught:
        play(points_game(), Spoilt(moons, at=2), 5)
    if DEVICE.type == "cpu":
        assert "The batch of data holds NaN or infinity: leave those samples out" in str(
            caught.value
        )


# ---- Interrupts of other kinds, turns within turns


@pytest.mark.usefixtures("ctrl_c")
def test_an_error_in_a_step_wins_over_an_interrupt_in_it(moons):
    def broken(real, fake):
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        play(points_game(loss=Loss(broken, losses.nonsaturating.g)), moons, 2)


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_interrupt_stops_a_step_that_never_ends(moons):
    def endless(real, fake):
        for _ in range(1000):
            signal.raise_signal(signal.SIGINT)
        raise AssertionError("it went on")

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        play(points_game(loss=Loss(endless, losses.nonsaturating.g)), moons, 2)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_in_a_turn_by_hand_waits_for_its_end(moons):
    gan, straight = points_game(), points_game()
    gan.loss = Loss(interrupting(gan.loss.d, at=1), gan.loss.g)
    with pytest.raises(KeyboardInterrupt):
        gan.d_step(moons[0].x)
    straight.d_step(moons[0].x)
    assert_same_weights(straight, gan)
    assert gan.turns_done["discriminator"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells of a signal otherwise")
def test_where_an_interrupt_ends_the_program_it_still_does(tmp_path):
    code = """
        import signal
        import games
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        game, batches = games.by_points()
        d, g, paired = game.loss
        game.loss = game.loss._replace(d=lambda *l: signal.raise_signal(signal.SIGINT) or d(*l))
        games.play(game, batches, 5)
        print("it went on")
    """
    tests = pathlib.Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent)])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGINT and done.stdout == "", done.stderr


@pytest.mark.usefixtures("ctrl_c")
def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch):
    """`signal` knows such a handler as None, and can't put it back."""
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    with guards.WholeStep():
        installed = signal.signal(signal.SIGINT, signal.default_int_handler)
    assert installed is signal.default_int_handler


def test_a_turn_within_a_turn_of_the_same_game_is_refused(moons):
    def inner(real, fake):
        return gan.d_step(moons[0].x)

    gan = points_game(loss=Loss(inner, losses.nonsaturating.g))
    state = torch.get_rng_state()
    with pytest.raises(
        RuntimeError, match="in the middle of a turn: don't call its train, turn, d_step"
    ):
        gan.d_step(moons[0].x)
    assert torch.equal(torch.get_rng_state(), state)


def test_on_a_gpu_losses_are_read_every_64_and_the_step_is_named(monkeypatch):
    monkeypatch.setattr(guards, "_ON_CPU", False)
    finite, good, bad = guards.FiniteLosses(), torch.tensor(1.0), torch.tensor(math.nan)
    for step in range(1, 32):
        finite.check(step, "a", {"x": good, "y": bad if step == 7 else good}, ())
    with pytest.raises(FloatingPointError, match="step 7: the a's y is nan. Try a lower"):
        finite.check(32, "a", {"x": good, "y": good}, ())
    finite.check(33, "a", {"x": bad}, ())
    with pytest.raises(FloatingPointError, match="step 33: the a's x is nan"):
        finite.read()


def test_losses_not_read_before_resuming_stop_no_healthy_game(moons, tmp_path):
    """On a GPU a game may go back to its file before it has seen what went wrong."""
    gan = points_game()
    play(gan, moons, 3)
    gan.save(tmp_path / "game.pt")
    unread = (4, "generator", "g_loss", torch.tensor(math.nan))
    gan._finite._unread.append(unread)
    gan.resume(tmp_path / "game.pt")
    play(gan, moons, 5)
    gan._finite._unread.append(unread)
    with pytest.raises(FileNotFoundError):
        gan.resume(tmp_path / "another.pt")
    with pytest.raises(FloatingPointError, match="step 4: the generator's g_loss is nan"):
        gan.save(tmp_path / "game.pt")  # it is known still
