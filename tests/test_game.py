"""ganbook.game: seeds, averages, leaving and coming back, players of any kind."""

import copy
import io
import signal
import sys

import games
import numpy as np
import pytest
import torch
from games import assert_same_weights, differ, images_game, play, play_up_to, points_game, weights
from torch import nn

from ganbook import GAN, losses, networks
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.losses import Loss

pytestmark = pytest.mark.usefixtures("deterministic")


def test_the_same_seed_gives_the_same_game_whatever_the_notebook_does_between(moons):
    quiet, noisy = points_game(seed=4), None
    play(quiet, moons, 6)
    torch.manual_seed(99)
    torch.rand(7)
    noisy = points_game(seed=4)
    for step in noisy.train(moons, 6, progress=False):
        noisy.sample(step.index)
        noisy.sample(3, seed=step.index)
        torch.rand(step.index, device=DEVICE)
        noisy.decode(torch.randn(2, 4, device=DEVICE))
        moons[100 + step.index]
    assert_same_weights(quiet, noisy)


def test_another_seed_gives_another_game(moons):
    a, b = points_game(seed=0), points_game(seed=1)
    assert differ(a, b)
    shared = networks.mlp(latent=4, width=8, depth=1)
    for network in shared:
        network.load_state_dict(
            {name: value + 1e-3 for name, value in network.state_dict().items()}
        )  # fresh no more
    a, b = (GAN(*copy.deepcopy(shared), seed=seed) for seed in (0, 1))
    assert_same_weights(a, b)  # the seed leaves weights that were set alone ...
    play(a, moons, 2), play(b, moons, 2)
    assert differ(a, b)  # ... and decides the latents


def test_the_game_leaves_the_readers_random_numbers_alone(moons):
    state = torch.get_rng_state()
    gan = points_game()
    assert not torch.equal(torch.get_rng_state(), state), (
        "networks.mlp draws from the reader's generator"
    )
    state = torch.get_rng_state()
    play(gan, moons, 3)
    gan.sample(5)
    gan.d_step(moons[0].x)
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_come_from_an_average_that_follows_the_generator(moons):
    gan = points_game(average=0.6, lr=1e-2)
    expected = {name: value.clone() for name, value in gan.generator.state_dict().items()}
    for step in gan.train(moons, 20, progress=False):
        stays = min(0.6, step.index / (step.index + 9))
        for name, value in gan.generator.state_dict().items():
            expected[name] = stays * expected[name] + (1 - stays) * value
    for name, value in gan.averaged.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
    pairs = zip(gan.averaged.parameters(), gan.generator.parameters(), strict=True)
    assert max((a - b).abs().max() for a, b in pairs) > 1e-3
    z = torch.randn(5, 4, device=DEVICE)
    torch.testing.assert_close(gan.decode(z), gan.averaged(z).float(), rtol=1e-2, atol=1e-2)


def test_batch_norms_statistics_are_averaged_too(pictures):
    gan = images_game()
    play(gan, pictures, 10)
    pairs = [
        (average, live)
        for (name, average), live in zip(
            gan.averaged.named_buffers(), gan.generator.buffers(), strict=True
        )
        if "running" in name
    ]
    assert pairs
    for average, live in pairs:
        assert not torch.equal(average, live)
        torch.testing.assert_close(average, live, rtol=0.5, atol=0.5)


def test_a_rate_can_be_changed_between_steps(moons):
    gan = points_game(lr=0.01)
    play(gan, moons, 2)
    gan.lr = 0.0
    before = weights(gan)
    play(gan, moons, 4)
    after = weights(gan)
    assert all(
        torch.equal(before[name], after[name]) for name in before if not name.startswith("averaged")
    )


@pytest.mark.parametrize("kind", games.KINDS)
def test_leaving_the_loop_and_coming_back_changes_nothing(kind):
    straight, batches = games.KINDS[kind]()
    play(straight, batches, 7)
    broken, batches = games.KINDS[kind]()
    for stop in (1, 2, 5):
        play_up_to(broken, batches, 7, stop)
        assert broken.steps_done == stop
    play(broken, batches, 7)
    assert_same_weights(straight, broken)


def test_two_games_play_side_by_side_as_they_would_alone(moons):
    alone, a, b = points_game(seed=1), points_game(seed=1), points_game(seed=2)
    play(alone, moons, 5)
    for _ in zip(a.train(moons, 5, progress=False), b.train(moons, 5, progress=False), strict=True):
        pass
    assert_same_weights(alone, a)
    assert differ(a, b)


def test_frozen_weights_stay_frozen(moons):
    generator, discriminator = networks.mlp(latent=4, width=8, depth=2)
    generator[0].requires_grad_(False), discriminator[1].requires_grad_(False)
    gan = GAN(generator, discriminator)
    before = weights(gan)
    play(gan, moons, 3)
    after = weights(gan)
    for name in ("generator.0.0.weight", "discriminator.0.1.weight"):
        assert torch.equal(before[name], after[name])
    assert not discriminator[1].weight.requires_grad
    discriminator[3].requires_grad_(False)  # and so does what is frozen in the middle of a game
    before = weights(gan)
    play(gan, moons, 6)
    assert torch.equal(before["discriminator.0.3.weight"], weights(gan)["discriminator.0.3.weight"])
    assert not discriminator[3].weight.requires_grad


@pytest.mark.parametrize("steps", [0, -3, 2.5, None])
def test_steps_must_be_a_number_of_steps(steps, moons):
    with pytest.raises(ValueError, match=r"steps=.*: it must be a whole number, 1 or more"):
        points_game().train(moons, steps)


def test_steps_that_are_done_already_are_not_done_again(moons):
    gan = points_game()
    play(gan, moons, 3)
    for steps in (3, 2):
        with pytest.raises(
            ValueError, match=r"done 3 steps already; .*\(steps=6\) or start a new game"
        ):
            gan.train(moons, steps)
    assert len(play(gan, moons, 6)) == 3


def test_numpys_whole_numbers_are_whole_numbers(moons):
    gan = points_game(seed=np.int64(3), d_steps=np.int64(2), latent=np.int64(4))
    play(gan, moons, np.int64(2))
    assert gan.sample(np.int64(3)).shape == (3, 2)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_shows_where_someone_looks_and_can_be_switched_off(moons, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    for stream, progress, shown in (
        (Terminal(), True, True),
        (Terminal(), False, False),
        (io.StringIO(), True, False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        for _ in points_game().train(moons, 3, progress=progress):
            pass
        assert ("3/3" in stream.getvalue()) == shown
        assert shown or stream.getvalue() == ""


def test_the_bar_obeys_tqdms_own_switch(moons, monkeypatch):
    """The notebooks are run with it: a bar that is stored says nothing."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(sys, "stderr", Terminal())
    for _ in points_game().train(moons, 3):
        pass
    assert sys.stderr.getvalue() == ""


def test_an_error_in_ones_own_loss_leaves_everything_as_it_was(moons):
    def broken(real, fake):
        raise ZeroDivisionError("in the reader's loss")

    gan = points_game(loss=Loss(losses.nonsaturating.d, broken))
    before, state = weights(gan), torch.get_rng_state()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        play(gan, moons, 2)
    assert all(
        weight.requires_grad
        for weight in (*gan.generator.parameters(), *gan.discriminator.parameters())
    )
    assert gan.generator.training and gan.discriminator.training and torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert signal.getsignal(signal.SIGINT) is handler
    after = weights(gan)
    assert all(
        torch.equal(before[name], after[name])
        for name in before
        if not name.startswith("discriminator")
    )
    gan.loss = losses.nonsaturating
    play(gan, moons, 2)


# ---- Players of any kind


@pytest.mark.parametrize("kind", ["cyclegan", "infogan", "vae"])
def test_games_of_other_players_learn(kind):
    """Each in 100 steps: the cycle closes, the code is read, samples are rebuilt."""
    game, batches = games.KINDS[kind]()
    steps = play(game, batches, 100)
    term = {"cyclegan": "cycle", "infogan": "code", "vae": "reconstruction"}[kind]
    first, last = steps[0].losses[term], steps[-1].losses[term]
    assert last < first / 2
    if kind == "cyclegan":
        assert game.memory["pool_a"].count == 50


def test_each_player_is_moved_by_its_own_turn_alone(moons):
    """Gradients of one player's objective reach the other's weights and move none of them."""
    a, b = nn.Linear(2, 1), nn.Linear(1, 1)
    turns = [Turn("a", lambda batch: {"t": b(a(batch.x)).square()})]
    game = Game({"a": a, "b": b}, turns, lr=0.1)
    before = weights(game)
    play(game, moons, 3)
    after = weights(game)
    assert all(torch.equal(before[n], after[n]) for n in before if n.startswith("b"))
    assert all(weight.grad is None for weight in b.parameters())
    assert not torch.equal(before["a.0.weight"], after["a.0.weight"])


def test_the_first_turn_draws_and_the_others_see_what_was_drawn_last(moons):
    seen, network = [], nn.Linear(2, 1)

    class Numbered:
        def __getitem__(self, k):
            return torch.full((4, 2), float(k))

    def noting(name):
        def objective(batch):
            seen.append((name, int(batch[0, 0])))
            return {name: network(batch)}

        return objective

    turns = [Turn("a", noting("first"), times=2)]
    turns += [Turn("a", noting("then")), Turn("a", noting("last"))]
    game = Game({"a": network}, turns)
    play(game, Numbered(), 2)
    drawn = [[("first", k), ("first", k + 1), ("then", k + 1), ("last", k + 1)] for k in (0, 2)]
    assert seen == drawn[0] + drawn[1]
    assert game.batches_drawn == 4 and game.turns_done == {"a": 8}


def test_terms_are_numbers_or_values_of_any_shape(moons):
    network = nn.Linear(2, 3)

    def objective(batch):
        y = network(batch.x)
        return {"values": y.square(), "number": 2.0, "mean": y.abs().mean()}, {"y": y}

    game = Game({"a": network}, [Turn("a", objective)], lr=0.0)
    (step,) = play(game, moons, 1)
    y = network(moons[0].x.to(DEVICE))
    torch.testing.assert_close(step.values, y.square().mean())
    assert step.number == 2 and step.y.shape == (16, 3) and not step.y.requires_grad
    assert step.floats()["mean"] == pytest.approx(y.abs().mean().item())
    with pytest.raises(AttributeError, match="no 'd_loss'; it has index, values, number, mean, y"):
        step.d_loss  # noqa: B018


def test_what_comes_after_a_turn_comes_before_the_next(moons):
    network, seen = nn.Linear(2, 1), []

    def clamp():
        assert not torch.is_grad_enabled()
        network.weight.clamp_(-0.01, 0.01)

    def look(batch):
        seen.append(network.weight.abs().max().item())
        return {"look": network(batch.x)}

    turns = [Turn("a", lambda batch: {"t": network(batch.x)}, after=clamp), Turn("a", look)]
    play(Game({"a": network}, turns, lr=1.0), moons, 2)
    assert max(seen) <= 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: Game({"a": n}, []), "a game needs turns"),
        (lambda n: Game({"a": n}, [Turn("b", None)]), "a turn's player='b': there are 'a'"),
        (lambda n: Game({"a": n}, [Turn("a", None, 0)]), "times=0: it must be a whole number"),
        (lambda n: Game({"a": n}, [Turn("a", None)], lr={"b": 1.0}), "one rate for each of a"),
        (
            lambda n: Game({"a": n}, [Turn("a", None)], lr={"a": -1.0}),
            "lr of the a must be a finite",
        ),
        (
            lambda n: Game({"a": n}, [Turn("a", None)], average={"b": 0.9}),
            "average='b': there are 'a'",
        ),
        (lambda n: Game({"a": n}, [Turn("a", None)], average={"a": 1.0}), "average=1.0: the share"),
    ],
)
def test_settings_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(nn.Linear(2, 1))


@pytest.mark.parametrize("other", [False, True], ids=["detached", "another's weights"])
def test_an_objective_that_depends_on_no_weight_of_its_player_is_named(other, moons):
    """Else nothing would move, and nobody would say so."""
    a, b = nn.Linear(2, 2), nn.Linear(2, 1)
    turn = Turn("a", lambda batch: {"t": b(a(batch.x).detach()) if other else a(batch.x).detach()})
    game = Game({"a": a, "b": b}, [turn])
    with pytest.raises(ValueError, match="nothing that the a minimises depends on the weights of"):
        play(game, moons, 1)


def test_a_copy_of_a_game_whose_objectives_know_the_first_ones_networks_is_named(moons):
    game, batches = games.infogan()
    with pytest.raises(ValueError, match="depends on the weights of"):
        play(copy.deepcopy(game), batches, 1)


def test_a_copy_of_a_gan_plays_as_the_first_would(moons):
    gan = play_up_to(points_game(), moons, 6, 3)
    again = copy.deepcopy(gan)
    play(gan, moons, 6)
    play(again, moons, 6)
    assert_same_weights(gan, again)
    assert differ(points_game(), again)


@pytest.mark.parametrize("given", [None, torch.zeros(3), {}, ({}, {})])
def test_an_objective_must_return_terms(given, moons):
    game = Game({"a": nn.Linear(2, 1)}, [Turn("a", lambda batch: given)])
    with pytest.raises(TypeError, match="the objective of 'a' must return"):
        play(game, moons, 1)


def test_two_turns_with_a_term_of_one_name_are_named(moons):
    a, b = nn.Linear(2, 1), nn.Linear(2, 1)
    turns = [Turn("a", lambda batch: {"t": a(batch.x)}), Turn("b", lambda batch: {"t": b(batch.x)})]
    with pytest.raises(ValueError, match="two turns have a term 't'"):
        play(Game({"a": a, "b": b}, turns), moons, 1)
