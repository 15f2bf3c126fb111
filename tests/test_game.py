"""ganbook.game: seeds, averages, leaving and coming back, players of any kind."""

import copy
import io
import math
import signal
import sys

import games
import numpy as np
import pytest
import torch
from games import assert_same_weights, differ, images_game, play, play_up_to, points_game, weights
from torch import nn

from ganbook import GAN, losses, networks, penalties
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


def test_terms_are_zero_or_values_of_any_shape(moons):
    network = nn.Linear(2, 3)

    def objective(batch):
        y = network(batch.x)
        return {"values": y.square(), "number": 0, "mean": y.abs().mean()}, {"y": y}

    game = Game({"a": network}, [Turn("a", objective)], lr=0.0)
    (step,) = play(game, moons, 1)
    y = network(moons[0].x.to(DEVICE))
    torch.testing.assert_close(step.values, y.square().mean())
    assert step.number == 0 and step.y.shape == (16, 3) and not step.y.requires_grad
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
        (lambda n: Game({"a": n}, []), "a game needs players and a list of turns"),
        (lambda n: Game({}, [Turn("a", None)]), "a game needs players and a list of turns"),
        (lambda n: Game({"a": n}, [Turn("b", None)]), "a turn's player='b': it must be one of 'a'"),
        (lambda n: Game({"a": n}, [Turn("a", None, 0)]), "times=0: it must be a whole number"),
        (lambda n: Game({"a": n}, [Turn("a", None)], lr={"b": 1.0}), "one rate for each of a"),
        (
            lambda n: Game({"a": n}, [Turn("a", None)], lr={"a": -1.0}),
            "lr of the a must be a finite",
        ),
        (
            lambda n: Game({"a": n}, [Turn("a", None)], average={"b": 0.9}),
            "average='b': it must be one of 'a'",
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
    with pytest.raises(ValueError, match="nothing that the a minimises depends on its weights"):
        play(game, moons, 1)


def test_a_copy_of_a_game_whose_objectives_know_the_first_ones_networks_is_named(moons):
    game, batches = games.infogan()
    with pytest.raises(ValueError, match="minimises depends on its weights"):
        play(copy.deepcopy(game), batches, 1)


def test_a_copy_of_a_gan_plays_as_the_first_would(moons):
    gan = play_up_to(points_game(), moons, 6, 3)
    again = copy.deepcopy(gan)
    play(gan, moons, 6)
    play(again, moons, 6)
    assert_same_weights(gan, again)
    assert differ(points_game(), again)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": 0.9}, "average=0.9: give {player: decay}"),
        ({"memory": {"seen": torch.zeros(3)}}, "memory holds modules"),
    ],
)
def test_settings_of_another_kind_are_named(settings, message):
    with pytest.raises(TypeError, match=message):
        Game({"a": nn.Linear(2, 1)}, [Turn("a", None)], **settings)
    with pytest.raises(ValueError, match="give Adam's two decay rates"):
        Game({"a": nn.Linear(2, 1)}, [Turn("a", None)], betas=(0.5, 0.9, 0.9))


@pytest.mark.parametrize("given", [3.0, torch.zeros(3), {}, ({}, {})])
def test_an_objective_must_return_terms(given, moons):
    game = Game({"a": nn.Linear(2, 1)}, [Turn("a", lambda batch: given)])
    with pytest.raises(TypeError, match="the objective of the a must return"):
        play(game, moons, 1)


def test_an_objective_without_return_is_named_with_its_line(moons):
    network = nn.Linear(2, 1)

    def rate(batch):
        {"t": network(batch.x)}  # noqa: B018

    message = rf"of the a \(rate, line {rate.__code__.co_firstlineno}\) returned None: is `return`"
    with pytest.raises(TypeError, match=message):
        play(Game({"a": network}, [Turn("a", rate)]), moons, 1)


def test_two_turns_with_a_term_of_one_name_are_named(moons):
    a, b = nn.Linear(2, 1), nn.Linear(2, 1)
    turns = [Turn("a", lambda batch: {"t": a(batch.x)}), Turn("b", lambda batch: {"t": b(batch.x)})]
    with pytest.raises(ValueError, match="two turns use the name 't'"):
        play(Game({"a": a, "b": b}, turns), moons, 1)


# ---- What a step shows


def test_a_penalty_that_was_due_in_any_turn_of_a_step_is_shown(moons):
    for turns in (1, 2, 3):
        gan = points_game(d_steps=turns, penalty=penalties.r1(1.0, every=turns))
        assert all(hasattr(step, "penalty") for step in play(gan, moons, 4))


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (
            ({"t": "y"}, {"acc": 0.5}),
            TypeError,
            "acc, to show in the step, must be a tensor, not float",
        ),
        ({"t": None}, TypeError, "the a's t must be a tensor or a number, not NoneType"),
        ({"t": [1, 2]}, TypeError, "the a's t must be a tensor or a number, not list"),
        (({"t": "y"},), TypeError, "or a pair of it and {name: tensor}; it returned tuple"),
        (({"t": "y"}, {"t": "y"}), ValueError, "a name is used twice"),
        *[
            ({name: "y"}, ValueError, f"the name '{name}' is taken by Step")
            for name in ("index", "losses", "count")
        ],
    ],
)
def test_what_an_objective_returns_is_looked_at_before_anything_moves(found, error, message, moons):
    network = nn.Linear(2, 1)

    def filled(value, y):
        if isinstance(value, (tuple, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            parts = {name: filled(part, y) for name, part in items}
            return parts if isinstance(value, dict) else tuple(parts.values())
        return y if isinstance(value, str) else value

    game = Game({"a": network}, [Turn("a", lambda batch: filled(found, network(batch.x)))])
    before = weights(game)
    with pytest.raises(error, match=message):
        play(game, moons, 1)
    assert_same_weights(before, game)
    assert game.turns_done == {"a": 0} and game.batches_drawn == 0


@pytest.mark.parametrize("value", [-2.0, 3, torch.tensor([1, 2]), np.float32(0.5)])
def test_a_number_that_nothing_is_learned_from_is_no_term(value, moons):
    network = nn.Linear(2, 1)
    turn = Turn("a", lambda batch: {"y": network(batch.x), "size": value})
    with pytest.raises(ValueError, match="the size that the a minimises does not depend"):
        play(Game({"a": network}, [turn]), moons, 1)


def test_names_that_a_step_uses_are_no_terms(moons):
    network = nn.Linear(2, 1)
    turn = Turn("a", lambda batch: {"count": network(batch.x)})
    with pytest.raises(ValueError, match="the name 'count' is taken by Step itself"):
        play(Game({"a": network}, [turn]), moons, 1)


# ---- Rates


def test_the_share_of_steps_ends_at_one_whatever_is_played_by_hand(moons):
    gan = points_game(lr=lambda share: 1e-2 * (1 - share))
    play(gan, moons, 4)
    before = weights(gan)
    for _ in range(3):
        gan.d_step(moons[0].x), gan.g_step(moons[0].x)
    assert gan.share == 1
    after = weights(gan)
    assert all(torch.equal(before[n], after[n]) for n in before if not n.startswith("averaged"))


@pytest.mark.parametrize("value", [-1e-3, float("nan"), float("inf")])
def test_a_rate_out_of_range_in_the_middle_of_a_game_is_named(value, moons):
    gan = points_game(lr=lambda share: 1e-3 if share in (0.0, 1.0) else value)
    with pytest.raises(ValueError, match="lr of the discriminator must be a finite number"):
        play(gan, moons, 4)
    assert gan.steps_done == 1


# ---- Modes, gradients, averages


def test_a_game_plays_in_training_mode_and_with_gradients_whatever_is_around_it(pictures):
    straight, game = images_game(), images_game()
    play(straight, pictures, 3)
    with torch.no_grad():
        for _ in game.train(pictures, 3, progress=False):
            game.generator.eval(), game.discriminator.eval()
    assert_same_weights(straight, game)
    with torch.no_grad():
        straight.d_step(pictures[3].x), game.d_step(pictures[3].x)
    assert_same_weights(straight, game)


def test_an_average_counts_what_the_generator_counts_and_stays_in_evaluation_mode(pictures):
    gan = images_game()
    play(gan, pictures, 3)
    counts = [b for name, b in gan.averaged.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts and all(count == 6 for count in counts)
    assert not gan.averaged.training
    assert not any(weight.requires_grad for weight in gan.averaged.parameters())


def test_a_generator_that_grows_beside_its_weights_is_followed(moons):
    """A buffer that the notebook moves; weights that are put in place of others."""
    generator, discriminator = networks.mlp(latent=4, width=8, depth=1)
    generator.register_buffer("stage", torch.tensor(0))
    gan = GAN(generator, discriminator, average=0.5)
    for step in gan.train(moons, 30, progress=False):
        gan.generator.stage.fill_(step.index)
        if step.index == 3:
            for weight in gan.generator.parameters():
                weight.data = weight.data + 1.0
    assert gan.averaged.stage == 30
    for average, live in zip(gan.averaged.parameters(), gan.generator.parameters(), strict=True):
        assert (average - live).abs().max() < 0.2


def test_an_objective_that_comes_loose_in_a_later_turn_is_named(moons):
    network, turns = nn.Linear(2, 1), []

    def objective(batch):
        turns.append(1)
        y = network(batch.x)
        return {"t": y if len(turns) < 3 else y.detach()}

    with pytest.raises(ValueError, match="nothing that the a minimises depends on its weights"):
        play(Game({"a": network}, [Turn("a", objective)]), moons, 4)
    assert len(turns) == 3


def test_a_player_that_is_frozen_whole_is_named(moons):
    network = nn.Linear(2, 1)
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch.x)})])
    play(game, moons, 1)
    network.requires_grad_(False)
    with pytest.raises(ValueError, match="the a minimises depends on its weights: .*frozen"):
        play(game, moons, 2)
    with pytest.raises(ValueError, match="the a has no weights to learn"):
        Game({"a": network}, [Turn("a", None)])


def test_a_network_belongs_to_one_player():
    network = nn.Linear(2, 1)
    for players in ({"a": (network, network)}, {"a": network, "b": network}):
        with pytest.raises(ValueError, match="a network is given twice"):
            Game(players, [Turn("a", None)])


def test_rows_of_a_tensor_are_no_batches():
    network = nn.Linear(2, 1)
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch)})])
    with pytest.raises(TypeError, match="batches must support indexing"):
        game.train(torch.zeros(100, 2), 3)


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_batches_of_any_form_are_in_single_precision_and_the_readers_are_left_alone(kind):
    network, kept = nn.Linear(2, 1), torch.zeros(4, 2, dtype=torch.float64)
    batch = {"x": kept} if kind is dict else kind([kept])

    def objective(batch):
        x = batch["x"] if kind is dict else batch[0]
        assert x.dtype == torch.float32 and type(batch) is kind
        return {"t": network(x.requires_grad_())}

    play(Game({"a": network}, [("a", objective)]), [batch] * 3, 2)
    assert not kept.requires_grad


def test_another_seed_draws_other_samples_from_the_same_weights():
    networks_ = games.own_networks()
    a, b = (GAN(*copy.deepcopy(networks_), latent=3, seed=seed) for seed in (0, 1))
    assert_same_weights(a, b)
    assert not torch.equal(a.sample(3), b.sample(3))


def test_a_player_without_a_turn_can_take_none(moons):
    a, b = nn.Linear(2, 1), nn.Linear(2, 1)
    game = Game({"a": a, "b": b}, [Turn("a", lambda batch: {"t": a(batch.x)})])
    with pytest.raises(ValueError, match="player='b': it must be one of 'a'"):
        game.turn("b", moons[0])


def test_the_defaults_of_a_game_of_other_players(moons):
    network = nn.Linear(2, 1)
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch.x)})])
    before = [weight.detach().clone() for weight in network.parameters()]
    play(game, moons, 1)
    for weight, old in zip(network.parameters(), before, strict=True):
        moved = (weight - old).abs()  # Adam's first step has the length of its rate
        torch.testing.assert_close(moved, torch.full_like(moved, 1e-3), rtol=1e-3, atol=0)
    assert game.betas == (0.0, 0.99) and game.turns[0].times == 1 and game.turns[0].after is None
    assert game.averages == {} and game.memory == {}
    assert torch.equal(
        game.sampling.get_state(), torch.Generator(DEVICE).manual_seed(0).get_state()
    )


@pytest.mark.parametrize("on_cpu", [True, False])
def test_a_turn_by_hand_with_a_loss_that_is_not_finite_is_named(moons, monkeypatch, on_cpu):
    monkeypatch.setattr("ganbook.guards._ON_CPU", on_cpu)  # a GPU's are read later, or at the end
    monkeypatch.setattr("ganbook.guards.get_random_state", lambda: [torch.get_rng_state()])
    monkeypatch.setattr("ganbook.guards.set_random_state", lambda state: None)
    network = nn.Linear(2, 1)
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch.x) / 0})])
    with pytest.raises(FloatingPointError, match="step 1: the a's t is"):
        game.turn("a", moons[0])
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch.x) * math.nan})])
    with pytest.raises(FloatingPointError, match="the a's t is nan"):
        play(game, moons, 3)


def test_a_loop_that_is_not_begun_plans_nothing(moons):
    gan = points_game()
    gan.train(moons, 100)
    assert gan.steps_planned is None and gan.share == 0


def test_an_error_in_an_objective_says_whose_it_was(moons):
    network = nn.Linear(3, 1)  # for points of two numbers
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch.x)})])
    with pytest.raises(RuntimeError) as caught:
        play(game, moons, 1)
    assert caught.value.__notes__ == ["This was in the objective of the a, step 1."]


def test_a_memory_that_keeps_its_images_in_a_list_is_refused():
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.images = []

    with pytest.raises(ValueError, match="the memory 'pool' has nothing that can be saved: keep"):
        Game({"a": nn.Linear(2, 1)}, [Turn("a", None)], memory={"pool": Pool()})
    short = nn.Module()
    short.register_buffer("images", torch.zeros(3), persistent=False)
    with pytest.raises(ValueError, match="nothing that can be saved: .* or with persistent=False"):
        Game({"a": nn.Linear(2, 1)}, [Turn("a", None)], memory={"pool": nn.Sequential(short)})
    empty = nn.Module()
    empty.register_buffer("images", None)  # filled later
    Game({"a": nn.Linear(2, 1)}, [Turn("a", None)], memory={"pool": empty})


def test_networks_that_can_not_be_trained_are_named_by_their_player(moons):
    with pytest.raises(ValueError, match="the critics has lazy layers"):
        Game({"critics": (nn.Linear(2, 1), nn.LazyLinear(1))}, [Turn("critics", None)])
    gan = points_game()
    with torch.inference_mode(), pytest.raises(ValueError, match="the generator can't learn"):
        gan.train(moons, 2)
    play(gan, moons, 2)


def test_players_are_a_dictionary():
    with pytest.raises(TypeError, match="players and memory must be dictionaries"):
        Game([nn.Linear(2, 1)], [Turn("a", None)])


def test_a_layer_replaced_between_two_trainings_is_named_before_work_is_lost(moons):
    """A layer without weights, too: its game could not be saved afterwards."""
    gan = points_game()
    play(gan, moons, 1)
    gan.generator[1] = nn.Identity()
    with pytest.raises(ValueError, match="were added, removed or replaced after its average"):
        gan.train(moons, 5)
    assert gan.steps_done == 1
