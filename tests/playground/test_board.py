"""The board of the playground: the game, what can be chosen, and what is measured."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganbook import GAN, data, losses, networks, penalties
from ganbook.playground import menus, playground
from ganbook.playground.board import MEASURED, append_row
from ganbook.playground.layers import layers


def board(**settings):
    return playground(**{"width": 16, "depth": 1, "batch": 32, **settings}).board


def weights(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()]).cpu()


@pytest.mark.parametrize(
    "settings", [{}, {"penalty": penalties.r1(0.1), "d_steps": 2, "lr": 1e-3, "d_lr": 3e-3}]
)
def test_it_plays_the_game_that_gan_plays(settings):
    game = board(seed=3, steps=4, **settings)
    turns = settings.pop("d_steps", 1)
    gan = GAN(
        *networks.mlp(latent=2, width=16, depth=1), average=0, seed=3, **{"lr": 2e-3, **settings}
    )
    batches, k = menus.point_sets()["ring"].batches(32, seed=3), 0
    for _ in range(4):
        for _ in range(turns):
            real = batches[k].x
            gan.d_step(real)
            k += 1
        gan.g_step(real)
    assert game.gan.steps_done == 4
    assert torch.equal(weights(game.gan.generator), weights(gan.generator))
    assert torch.equal(weights(game.gan.discriminator), weights(gan.discriminator))


@pytest.mark.parametrize(("kind", "moves"), [("d_step", (False, True)), ("g_step", (True, False))])
def test_a_step_of_one_player_moves_that_player(kind, moves):
    game = board()
    players = (game.gan.generator, game.gan.discriminator)
    before = [weights(player) for player in players]
    getattr(game, kind)()
    assert (
        tuple(not torch.equal(a, weights(b)) for a, b in zip(before, players, strict=True)) == moves
    )
    assert (game.gan.steps_done, game.turns) == ((0, 1) if kind == "d_step" else (1, 0))


def test_a_board_begins_at_rest():
    game = playground(width=16, depth=1, batch=32)
    assert (game.playing, game.error, game.board.notice) == (False, "", "")
    assert (game.gan.steps_done, game.board.turns) == (0, 0)


def test_reset_begins_the_same_game_again():
    game = board(steps=3)
    after_three = weights(game.gan.generator)
    game.reset()
    assert game.gan.steps_done == 0 and not torch.equal(weights(game.gan.generator), after_three)
    game.advance(3)
    assert torch.equal(weights(game.gan.generator), after_three)


def test_a_reset_keeps_what_was_chosen():
    game = board()
    game.choose("penalty", "R1 (1)")
    game.choose("lr", 1e-4)
    game.choose("loss", "relativistic")
    game.reset()
    assert (
        game.gan.penalty == penalties.r1(1.0)
        and game.gan.lr["generator"] == 1e-4
        and game.gan.loss is losses.relativistic
    )


def test_what_is_chosen_counts_from_the_next_turn_on():
    game = board(steps=2)
    for name, value in (
        ("loss", "minimax"),
        ("penalty", "R1 + R2 (0.1)"),
        ("lr", 0.01),
        ("d_lr", 0.03),
    ):
        game.choose(name, value)
    gan = game.gan
    assert gan.steps_done == 2 and gan.loss is losses.minimax
    assert gan.lr == {"generator": 0.01, "discriminator": 0.03}
    assert [term.measure for term in gan.penalty.terms] == [penalties._r1, penalties._r2]
    game.choose("penalty", "none")
    game.choose("batch", 64)
    game.choose("data", "spiral")
    assert gan.penalty is None and game.batches[0].x.shape == (64, 2) and game.modes == 0
    game.advance(2)
    assert gan.steps_done == 4


def test_every_choice_of_every_menu_plays():
    game = board(penalty=penalties.r1(1.0), loss=(losses.minimax.d, losses.minimax.g))
    for name in ("data", "loss", "penalty", "d_lr", "lr", "d_steps", "batch"):
        for _, value in game.menus[name]:
            if value != menus.DRAWN:
                game.choose(name, value)
                game.reset()
                game.advance(1)
                assert game.error == "" and game.gan.steps_done == 1, (name, value)


def test_the_readers_own_comes_first_in_the_menus():
    own = losses.Loss(d=losses.minimax.d, g=losses.minimax.g)
    game = board(loss=own, penalty=penalties.r1(3.0), data=data.ring(5), lr=7e-4)
    assert [game.menus[name][0][0] for name in ("loss", "penalty", "data")] == ["yours"] * 3
    assert (
        ["0.0007", 7e-4] in game.menus["lr"]
        and game.gan.penalty == penalties.r1(3.0)
        and game.modes == 5
    )
    game = board(loss=losses.relativistic)
    assert game.settings["loss"] == "relativistic" and "yours" not in [
        name for name, _ in game.menus["loss"]
    ]


def test_a_pair_of_networks_of_ones_own():
    pair = networks.mlp(latent=5, width=8, depth=1)
    before = [weights(network) for network in pair]
    game = board(pair=pair, steps=2)
    assert game.gan.latent == 5 and not layers(game)["lattice"].size
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
    game = board(loss=noisy, steps=2)
    layers(game)
    game.measure()
    game.reset()
    game.d_step()
    assert torch.equal(torch.get_rng_state(), state)


# ---- What is measured


def test_curves_hold_losses_modes_and_distance_over_the_steps():
    game = board(steps=50)
    steps, d_loss, g_loss = np.array(game.loss_rows).T
    assert (
        list(steps) == list(range(1, 51))
        and np.isfinite(d_loss).all()
        and np.isfinite(g_loss).all()
    )
    steps, modes, distance = np.array(game.measured_rows).T
    assert (
        list(steps) == [0, 25, 50]
        and (distance > game.floor).all()
        and ((0 <= modes) & (modes <= 8)).all()
    )
    game.choose("data", "spiral")
    game.measure()
    assert math.isnan(game.measured_rows[-1][1]) and game.measured_rows[-1][2] > 0


def test_a_perfect_generator_has_all_modes_and_hardly_any_distance():
    ring = data.ring(std=0.03)
    perfect = nn.Linear(2, 2)
    nn.init.eye_(perfect.weight)
    nn.init.zeros_(perfect.bias)
    perfect.latent = 2
    game = board(pair=(perfect, networks.mlp()[1]), data=ring)
    game.latents = ring.sample(MEASURED, seed=9)
    game.measure()
    _, modes, distance = game.measured_rows[-1]
    assert modes == 8 and distance < 1.5 * game.floor


def test_rows_of_curves_stay_few_and_even():
    rows = []
    for step in range(1, 20_001):
        append_row(rows, (step, step % 7))
    steps = np.array(rows)[:, 0]
    assert len(rows) <= 600 and steps[0] == 1 and steps[-1] == 20_000
    assert np.diff(steps).max() <= 4 * 20_000 / 300
    append_row(rows, (20_000, 3))
    assert rows[-1] == (20_000, 3) and rows[-2][0] < 20_000


def test_data_fill_the_plane():
    far = data.Mixture([[100.0, 0.0], [104.0, 2.0]], 0.1)
    for chosen in ("ring", "grid", "two_moons", "spiral", far, torch.rand(50, 2)):
        game = board(data=chosen)
        (x, y, half), points = game.window, game.real
        away = np.abs(points - [x, y]).max(0)
        assert 0.7 * half < away.max() < half
