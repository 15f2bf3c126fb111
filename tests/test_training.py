"""ganbook.training: the game against the same loop written out, its seeds, its checkpoints, and
what stops it."""

import contextlib
import copy
import errno
import functools
import io
import itertools
import math
import os
import pathlib
import pickle
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganbook import GAN, data, losses, networks, penalties, training
from ganbook.device import DEVICE
from ganbook.losses import Loss
from ganbook.schedules import falling

on_the_cpu = pytest.mark.skipif(
    DEVICE.type != "cpu", reason="on a GPU losses are read every 64 turns, not at once"
)


@pytest.fixture(autouse=True)
def deterministic(monkeypatch):
    """On a GPU, cuDNN may choose kernels whose sums depend on the order in which threads finish."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


@pytest.fixture(scope="module")
def moons():
    return data.two_moons().batches(16, seed=3)


@pytest.fixture(scope="module")
def pictures():
    return data.Images(
        torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ).batches(6)


def points_game(**settings):
    return GAN(*networks.mlp(latent=4, width=8, depth=1), **settings)


def images_game(**settings):
    return GAN(*networks.dcgan(size=16, latent=4, width=2), **settings)


def play(gan, batches, steps):
    return list(gan.train(batches, steps, progress=False))


def play_up_to(gan, batches, steps, stop):
    """Leave a loop that was to take `steps` after `stop` of them, as a reader's `break` does."""
    for step in gan.train(batches, steps, progress=False):
        if step.index == stop:
            break
    return gan


def weights(gan) -> dict[str, torch.Tensor]:
    players = {
        "generator": gan.generator,
        "discriminator": gan.discriminator,
        "averaged": gan.averaged,
    }
    return {
        f"{player}.{name}": value.detach().clone()
        for player, network in players.items()
        for name, value in network.state_dict().items()
    }


def assert_same_weights(a, b):
    a, b = (x if isinstance(x, dict) else weights(x) for x in (a, b))
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different, f"these differ: {different}"


def differ(a, b):
    return any(
        not torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True)
    )


# ---- The loop, written out


def play_by_hand(generator, discriminator, batches, steps, seed, relativistic_with_r1):
    """Returns the averaged generator and the discriminator's losses. R1 has the weight 0.5 and
    every fourth turn."""
    torch.manual_seed(seed)
    generator.draw(), discriminator.draw()
    averaged = copy.deepcopy(generator)
    adam = functools.partial(
        torch.optim.Adam, lr=2e-3, betas=(0.0, 0.99), fused=DEVICE.type in ("cpu", "cuda")
    )
    g_adam, d_adam = adam(generator.parameters()), adam(discriminator.parameters())
    d_losses = []
    for k in range(steps):
        real = batches[k].x
        with_penalty = relativistic_with_r1 and k % 4 == 0

        z = torch.randn(len(real), generator.latent, device=DEVICE)
        fake = generator(z).detach()
        real.requires_grad_(with_penalty)
        real_logits, fake_logits = discriminator(real), discriminator(fake)
        if relativistic_with_r1:
            loss = F.softplus(fake_logits - real_logits).mean()
        else:
            loss = (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()
        d_losses.append(loss.detach())
        if with_penalty:
            (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            loss = loss + (4 * 0.5 / 2 * slope.flatten(1).square().sum(1)).mean()
        d_adam.zero_grad()
        loss.backward()
        d_adam.step()

        real = real.detach()
        z = torch.randn(len(real), generator.latent, device=DEVICE)
        fake_logits = discriminator(generator(z))
        if relativistic_with_r1:
            loss = F.softplus(discriminator(real).detach() - fake_logits).mean()
        else:
            loss = F.softplus(-fake_logits).mean()
        g_adam.zero_grad()
        loss.backward()
        g_adam.step()

        stays = min(0.995, (k + 1) / (k + 10))
        with torch.no_grad():
            for average, live in zip(
                averaged.state_dict().values(), generator.state_dict().values(), strict=True
            ):
                if average.is_floating_point():
                    average.copy_(stays * average + (1 - stays) * live)
    return averaged, d_losses


@pytest.mark.parametrize(
    "relativistic_with_r1", [False, True], ids=["nonsaturating", "relativistic-r1"]
)
@pytest.mark.parametrize("kind", ["points", "images"])
def test_the_game_is_the_loop_written_out(kind, relativistic_with_r1, moons, monkeypatch):
    monkeypatch.setattr(training, "autocast", contextlib.nullcontext)
    if kind == "points":
        make, batches = functools.partial(networks.mlp, latent=4, width=16, depth=2), moons
    else:
        make = functools.partial(networks.dcgan, size=28, latent=4, width=4)
        batches = data.Images(
            torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1
        ).batches(8)
    settings = {}
    if relativistic_with_r1:
        settings = {"loss": losses.relativistic, "penalty": penalties.r1(0.5, every=4)}
    gan = GAN(*make(), lr=2e-3, seed=5, **settings)
    steps = play(gan, batches, 10)

    generator, discriminator = make()
    averaged, d_losses = play_by_hand(
        generator, discriminator, batches, 10, 5, relativistic_with_r1
    )
    by_hand = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    by_hand |= {
        f"discriminator.{name}": value for name, value in discriminator.state_dict().items()
    }
    assert_same_weights(
        {name: value for name, value in weights(gan).items() if name in by_hand}, by_hand
    )
    assert all(torch.equal(step.d_loss, loss) for step, loss in zip(steps, d_losses, strict=True))
    # the game's average is taken by another of torch's functions, which rounds otherwise
    for name, value in gan.averaged.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, averaged.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_a_step_says_what_was_done(moons):
    gan = points_game()
    step = play(gan, moons, 3)[-1]
    assert step.index == gan.steps_done == 3
    assert step.real_logits.shape == step.fake_logits.shape == (16,)
    assert not any(tensor.requires_grad for tensor in step[1:])
    expected = losses.nonsaturating.d(step.real_logits, step.fake_logits).mean()
    torch.testing.assert_close(step.d_loss, expected)
    floats = step.floats()
    assert floats.keys() == {"d_loss", "g_loss", "real_logit", "fake_logit"}
    assert all(type(value) is float for value in floats.values())
    assert floats["d_loss"] == pytest.approx(step.d_loss.item())
    assert floats["fake_logit"] == pytest.approx(step.fake_logits.mean().item())


def test_a_loss_says_whether_its_generator_looks_at_real_logits(moons):
    seen = []

    def g(real, fake):
        seen.append(real)
        return losses.nonsaturating.g(real, fake)

    alone, paired = (
        points_game(loss=Loss(losses.nonsaturating.d, g, paired)) for paired in (False, True)
    )
    play(alone, moons, 2)
    assert seen == [None, None]
    play(paired, moons, 2)
    assert seen[2].shape == (16,) and not seen[2].requires_grad
    assert_same_weights(alone, paired)


def test_turns_taken_by_hand_are_those_of_the_loop(moons):
    looped, by_hand = (
        points_game(d_steps=2, penalty=penalties.r1(every=3)),
        points_game(penalty=penalties.r1(every=3)),
    )
    play(looped, moons, 4)
    for k in range(4):
        by_hand.d_step(moons[2 * k].x)
        by_hand.d_step(moons[2 * k + 1].x)
        by_hand.g_step(moons[2 * k + 1].x)
    assert_same_weights(looped, by_hand)
    assert by_hand.steps_done == 4


def test_a_step_of_one_player_leaves_the_other_alone(moons):
    gan = images_game()
    real = torch.rand(4, 1, 16, 16, device=DEVICE)
    before = weights(gan)
    gan.d_step(real)
    changed = {name for name, value in weights(gan).items() if not torch.equal(value, before[name])}
    learned = {name for name, _ in gan.generator.named_parameters()}
    assert not {
        name
        for name in changed
        if name.removeprefix("generator.") in learned and name.startswith("generator")
    }
    assert any(name.startswith("discriminator.") for name in changed)
    before = weights(gan)
    gan.g_step(real)
    changed = {name for name, value in weights(gan).items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("discriminator.") for name in changed)
    assert any(name.startswith("averaged.") for name in changed)


def test_the_game_learns_a_distribution():
    ring = data.ring(modes=4, std=0.05)
    gan = GAN(*networks.mlp(latent=4, width=32, depth=2), lr=2e-3, penalty=penalties.r1(0.1))
    untrained = gan.sample(1000, seed=0)
    play(gan, ring.batches(64), 500)
    samples = gan.sample(1000, seed=0)
    nearest = torch.cdist(samples, ring.centers).argmin(1).bincount(minlength=4)
    assert untrained.norm(dim=1).mean() < 0.5  # it draws near 0
    assert samples.norm(dim=1).mean().item() == pytest.approx(1.0, abs=0.2)
    assert nearest.min() > 100, "each of the four modes is drawn"


# ---- Seeds


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


# ---- Samples


def test_samples_come_from_an_average_that_follows_the_generator(moons):
    gan = points_game(average=0.6, lr=1e-2)
    expected = {name: value.clone() for name, value in gan.generator.state_dict().items()}
    for step in gan.train(moons, 20, progress=False):
        stays = min(0.6, step.index / (step.index + 9))
        for name, value in gan.generator.state_dict().items():
            expected[name] = stays * expected[name] + (1 - stays) * value
    for name, value in gan.averaged.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
    assert differ_by_more_than(gan.averaged, gan.generator, 1e-3)
    z = torch.randn(5, 4, device=DEVICE)
    torch.testing.assert_close(gan.decode(z), gan.averaged(z).float(), rtol=1e-2, atol=1e-2)


def differ_by_more_than(a, b, distance):
    return (
        max((x - y).abs().max() for x, y in zip(a.parameters(), b.parameters(), strict=True))
        > distance
    )


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


def test_without_an_average_the_generator_itself_samples(moons):
    gan = points_game(average=0.0)
    play(gan, moons, 3)
    assert gan.averaged is gan.generator
    z = torch.randn(5, 4, device=DEVICE)
    assert torch.equal(gan.decode(z), GAN.decode(gan, z))
    torch.testing.assert_close(gan.decode(z), gan.generator(z).float(), rtol=1e-2, atol=1e-2)
    assert gan.generator.training


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_sample_does_not_depend_on_its_batch_mates_and_training_goes_on(average, pictures):
    gan = images_game(average=average)
    play(gan, pictures, 5)
    before = weights(gan)
    z = torch.randn(7, 4, device=DEVICE)
    together = gan.decode(z)
    torch.testing.assert_close(
        gan.decode(torch.cat([z[:1], 100 * z[1:]]))[:1], together[:1], rtol=1e-2, atol=1e-2
    )
    torch.testing.assert_close(gan.decode(z, batch=2), together, rtol=1e-2, atol=1e-2)
    assert (
        together.dtype == torch.float32
        and together.shape == (7, 1, 16, 16)
        and not together.requires_grad
    )
    assert gan.generator.training and gan.discriminator.training
    assert_same_weights(before, gan)


def test_a_seed_repeats_samples_and_none_draws_new_ones(moons):
    gan = points_game()
    assert torch.equal(gan.sample(6, seed=1), gan.sample(6, seed=1))
    assert not torch.equal(gan.sample(6, seed=1), gan.sample(6, seed=2))
    assert not torch.equal(gan.sample(6), gan.sample(6))
    assert gan.sample(1001).shape == (1001, 2)


@pytest.mark.parametrize("n", [0, -1, 2.5, None])
def test_a_number_of_samples_must_be_one(n):
    with pytest.raises(ValueError, match=r"n=.*whole number, 1 or more"):
        points_game().sample(n)


@pytest.mark.parametrize("z", [torch.zeros(5), torch.zeros(5, 3), torch.zeros(1, 5, 4)])
def test_latents_of_another_shape_are_refused(z):
    with pytest.raises(ValueError, match=r"z must have the shape \(N, 4\)"):
        points_game().decode(z)


# ---- Rates, turns, leaving and coming back


def rates(gan):
    return [optimizer.param_groups[0]["lr"] for optimizer in (gan._g_optimizer, gan._d_optimizer)]


def test_learning_rates_fall_with_the_share_of_steps_done(moons):
    g_rate, d_rate = falling(1e-2, 1e-3), falling(4e-3, 0.0)
    gan = points_game(lr=g_rate, d_lr=d_rate)
    for step in gan.train(moons, 8, progress=False):
        assert rates(gan) == pytest.approx(
            [g_rate((step.index - 1) / 8), d_rate((step.index - 1) / 8)]
        )


def test_a_penaltys_weight_falls_with_the_share_of_steps_done(moons):
    shares = []
    gan = points_game(
        penalty=penalties.r1(lambda share: shares.append(share) or 1.0, every=2), d_steps=2
    )
    shares.clear()  # a weight is tried at both ends when it is given
    play(gan, moons, 4)
    assert shares == [0.0, 0.25, 0.5, 0.75]


def test_one_rate_serves_both_players_unless_the_discriminator_has_its_own(moons):
    assert rates(points_game(lr=0.01)) == [0.01, 0.01]
    assert rates(points_game(lr=0.01, d_lr=0.02)) == [0.01, 0.02]
    gan = points_game(lr=lambda share: 0.01 * (share < 0.5))
    seen = [weights(gan) for _ in gan.train(moons, 6, progress=False)]
    players = [{n: v for n, v in w.items() if not n.startswith("averaged")} for w in seen]
    assert_same_weights(players[2], players[5])
    with pytest.raises(AssertionError):
        assert_same_weights(players[1], players[2])


def test_a_rate_of_zero_holds_a_player_still(moons):
    gan = points_game(d_lr=0.0)
    before = weights(gan)
    play(gan, moons, 3)
    after = weights(gan)
    assert all(
        torch.equal(before[name], after[name])
        for name in before
        if name.startswith("discriminator")
    )
    assert any(
        not torch.equal(before[name], after[name])
        for name in before
        if name.startswith("generator")
    )


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


def test_the_discriminator_takes_its_turns_each_with_a_batch_of_its_own(moons):
    asked = []

    class Noted:
        def __getitem__(self, k):
            asked.append(k)
            return moons[k]

    gan = points_game(d_steps=3)
    batches = Noted()
    training = gan.train(batches, 4, progress=False)
    asked.clear()  # train looks at the first batch before it begins
    list(training)
    assert asked == list(range(12))


GAMES = {
    "points": (
        points_game,
        {"lr": falling(1e-2, 1e-4), "penalty": penalties.r1(falling(3.0, 0.3), every=4)},
    ),
    "images": (
        images_game,
        {"loss": losses.relativistic, "penalty": penalties.r2(0.5), "betas": (0.5, 0.9)},
    ),
    "three turns": (
        points_game,
        {
            "d_steps": 3,
            "d_lr": falling(3e-3, 1e-3),
            "penalty": penalties.total(
                penalties.r1(0.1, every=4), penalties.r2(falling(0.2, 0.1), every=3)
            ),
        },
    ),
    "no average": (images_game, {"average": 0.0}),
}
every_game = pytest.mark.parametrize("name", GAMES)


def new_game(name, **more):
    make, settings = GAMES[name]
    return make(seed=2, **settings, **more)


@pytest.fixture
def batches(request, moons, pictures):
    name = request.getfixturevalue("name")
    return pictures if GAMES[name][0] is images_game else moons


@every_game
def test_leaving_the_loop_and_coming_back_changes_nothing(name, batches):
    straight, broken = new_game(name), new_game(name)
    play(straight, batches, 7)
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


# ---- Checkpoints


@every_game
def test_a_game_that_was_saved_and_loaded_goes_on_bit_for_bit(name, batches, tmp_path):
    straight = new_game(name)
    seen = play(straight, batches, 9)[4:]
    saved = play_up_to(new_game(name), batches, 9, 4)
    first, position = saved.sample(3), saved.steps_done
    saved.save(tmp_path / "game.pt")

    torch.manual_seed(123)
    loaded = GAN.load(tmp_path / "game.pt")
    assert loaded.steps_done == position == 4
    assert_same_weights(saved, loaded)
    assert not torch.equal(loaded.sample(3), first), "the samples drawn before are not drawn again"
    again = play(loaded, batches, 9)
    assert_same_weights(straight, loaded)
    for a, b in zip(seen, again, strict=True):
        assert a.index == b.index
        assert all(torch.equal(x, y) for x, y in zip(a[1:], b[1:], strict=True))
    assert torch.equal(loaded.sample(5, seed=7), straight.sample(5, seed=7))


def test_a_loaded_game_has_the_settings_of_the_saved_one(tmp_path):
    gan = new_game("three turns")
    gan.save(tmp_path / "game.pt")
    loaded = GAN.load(tmp_path / "game.pt")
    for setting in (
        "loss",
        "penalty",
        "lr",
        "d_lr",
        "betas",
        "d_steps",
        "average",
        "latent",
        "seed",
    ):
        assert getattr(loaded, setting) == getattr(gan, setting), setting


def own_networks():
    generator = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
    discriminator = nn.Sequential(
        nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1), nn.Flatten(0)
    )
    return generator, discriminator


def test_turns_by_hand_go_on_with_the_plan_of_the_saved_game(moons, tmp_path):
    gan = points_game(lr=falling(1e-2, 0.0))
    play_up_to(gan, moons, 8, 4).save(tmp_path / "game.pt")
    loaded = GAN.load(tmp_path / "game.pt")
    loaded.d_step(moons[4].x), loaded.g_step(moons[4].x)
    assert rates(loaded) == pytest.approx([5e-3, 5e-3])


def test_networks_of_ones_own_with_dropout_go_on_bit_for_bit(moons, tmp_path):
    torch.manual_seed(0)
    ours = own_networks()
    straight, saved = (GAN(*copy.deepcopy(ours), latent=3, seed=1) for _ in range(2))
    play(straight, moons, 8)
    play_up_to(saved, moons, 8, 3).save(tmp_path / "game.pt")
    with pytest.raises(
        ValueError,
        match=r"networks put together by you: GAN.load\(path, generator, discriminator\)",
    ):
        GAN.load(tmp_path / "game.pt")
    loaded = GAN.load(tmp_path / "game.pt", *own_networks())
    play(loaded, moons, 8)
    assert_same_weights(straight, loaded)


def test_a_new_process_goes_on_bit_for_bit(moons, tmp_path):
    straight = new_game("points")
    play(straight, moons, 6)
    play_up_to(new_game("points"), moons, 6, 3).save(tmp_path / "game.pt")
    code = f"""
        import torch
        from ganbook import GAN, data
        torch.set_num_threads({torch.get_num_threads()})
        gan = GAN.load("game.pt")
        for _ in gan.train(data.two_moons().batches(16, seed=3), 6, progress=False):
            pass
        torch.save([gan.generator.state_dict(), gan.sample(4, seed=0)], "after.pt")
    """
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(training.__file__).parents[1])}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, env=environment, check=True
    )
    after, samples = torch.load(tmp_path / "after.pt", weights_only=True)
    assert all(
        torch.equal(value, after[name]) for name, value in straight.generator.state_dict().items()
    )
    assert torch.equal(samples, straight.sample(4, seed=0))


def test_numpys_numbers_are_saved_like_pythons(moons, tmp_path):
    """np.geomspace(...) gives float64s, which pass for floats and yet can't be read back as plain
    numbers."""
    number = np.float64(0.5)
    generator, discriminator = networks.dcgan(size=16, latent=4, width=2, init_std=np.float64(0.1))
    gan = GAN(
        generator,
        discriminator,
        lr=np.float64(1e-3),
        d_lr=falling(np.float64(1e-3), np.float64(1e-4)),
        betas=(number, np.float64(0.9)),
        average=number,
        penalty=penalties.r1(number),
    )
    play(gan, data.Images(torch.rand(8, 1, 16, 16) - 0.5).batches(4), 2)
    gan.save(tmp_path / "game.pt")
    assert_same_weights(gan, GAN.load(tmp_path / "game.pt"))

    def schedule(share):
        return np.cos(share) * 1e-3

    gan = points_game(lr=schedule)
    play(gan, moons, 2)
    gan.save(tmp_path / "game.pt")
    assert_same_weights(gan, GAN.load(tmp_path / "game.pt", lr=schedule))


def d_loss(real, fake):
    return losses.nonsaturating.d(real, fake)


def g_loss(real, fake):
    return losses.nonsaturating.g(real, fake)


def steepness(critic, real, fake, real_logits, fake_logits):
    return penalties.squared_gradient_norm(fake_logits, fake)


OWN = {
    "loss": Loss(d_loss, g_loss),
    "penalty": steepness,
    "lr": lambda share: 1e-3 * (1 - share),
    "d_lr": lambda share: 1e-3 * (1 - share),
}


@pytest.mark.parametrize("setting", OWN)
def test_ones_own_function_is_given_again_and_the_error_says_so(setting, moons, tmp_path):
    straight, gan = points_game(**{setting: OWN[setting]}), points_game(**{setting: OWN[setting]})
    play(straight, moons, 6)
    play_up_to(gan, moons, 6, 3).save(tmp_path / "game.pt")
    with pytest.raises(
        ValueError, match=rf"a {setting} of your own: GAN.load\(path, {setting}=...\)"
    ):
        GAN.load(tmp_path / "game.pt")
    loaded = GAN.load(tmp_path / "game.pt", **{setting: OWN[setting]})
    play(loaded, moons, 6)
    assert_same_weights(straight, loaded)


def test_a_penalty_whose_weight_is_a_function_of_ones_own_is_given_again(tmp_path):
    penalty = penalties.r1(lambda share: 1 - share)
    points_game(penalty=penalty).save(tmp_path / "game.pt")
    with pytest.raises(ValueError, match=r"a penalty of your own: GAN.load\(path, penalty=...\)"):
        GAN.load(tmp_path / "game.pt")
    assert GAN.load(tmp_path / "game.pt", penalty=penalty).penalty == penalty


def test_settings_can_be_changed_when_loading(moons, tmp_path):
    gan = points_game(lr=1e-2)
    play(gan, moons, 3)
    gan.save(tmp_path / "game.pt")
    loaded = GAN.load(tmp_path / "game.pt", lr=0.0)
    before = weights(loaded)
    play(loaded, moons, 5)
    after = weights(loaded)
    assert all(
        torch.equal(before[name], after[name]) for name in before if not name.startswith("averaged")
    )
    loaded = GAN.load(tmp_path / "game.pt", average=0.0)
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.generator.parameters(), gan.generator.parameters(), strict=True)
    )
    with pytest.raises(TypeError, match="averag"):
        GAN.load(tmp_path / "game.pt", averag=0.0)


def test_adams_betas_can_be_changed_when_loading(moons, tmp_path):
    gan = points_game(betas=(0.5, 0.9))
    play_up_to(gan, moons, 5, 3).save(tmp_path / "game.pt")
    same, other = GAN.load(tmp_path / "game.pt"), GAN.load(tmp_path / "game.pt", betas=(0.9, 0.9))
    for game in (gan, same, other):
        play(game, moons, 5)
    assert_same_weights(gan, same)
    assert differ(gan, other)


def test_players_from_two_recipes_are_not_rebuilt_from_one(tmp_path):
    """Both discriminators have weights of the same shapes: loading the wrong one would go
    unnoticed."""
    generator, _ = networks.dcgan(size=16, latent=4, width=2)
    _, discriminator = networks.dcgan(size=16, latent=4, width=2, activation="tanh")
    gan = GAN(generator, discriminator)
    gan.save(tmp_path / "game.pt")
    with pytest.raises(ValueError, match=r"GAN.load\(path, generator, discriminator\)"):
        GAN.load(tmp_path / "game.pt")
    assert_same_weights(gan, GAN.load(tmp_path / "game.pt", generator, discriminator))


def test_a_game_from_another_kind_of_device_loads_with_random_numbers_of_its_own(moons, tmp_path):
    gan = points_game()
    play(gan, moons, 3)
    gan.save(tmp_path / "game.pt")
    content = torch.load(tmp_path / "game.pt", weights_only=True)
    size = 16 if DEVICE.type == "cpu" else 5056  # a state of CUDA's generator, and of the CPU's
    content["state"]["random"] = content["state"]["sampling"] = torch.zeros(size, dtype=torch.uint8)
    torch.save(content, tmp_path / "game.pt")
    loaded = GAN.load(tmp_path / "game.pt")
    assert_same_weights(gan, loaded)
    play(loaded, moons, 5)
    assert loaded.steps_done == 5


# ---- Files that can't be written or read


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(moons, tmp_path, monkeypatch):
    gan = points_game()
    gan.save(tmp_path / "game.pt")
    old = (tmp_path / "game.pt").read_bytes()
    play(gan, moons, 2)

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_space)
        with pytest.raises(
            OSError, match="the game could not be saved.*No space left.*no file was changed"
        ):
            gan.save(tmp_path / "game.pt")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gan.save(tmp_path / "game.pt")
    assert (tmp_path / "game.pt").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["game.pt"]
    assert GAN.load(tmp_path / "game.pt").steps_done == 0
    gan.save(tmp_path / "game.pt")
    assert GAN.load(tmp_path / "game.pt").steps_done == 2
    assert [path.name for path in tmp_path.iterdir()] == ["game.pt"]


def test_a_disk_that_is_full_in_the_middle_of_the_file(tmp_path):
    """A limit on the size of files fails as a full disk does, after some bytes."""
    resource = pytest.importorskip("resource")
    gan = points_game()
    gan.save(tmp_path / "game.pt")
    old = (tmp_path / "game.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    caught = None
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) // 2, limits[1]))
    try:
        gan.save(tmp_path / "game.pt")
    except OSError as error:
        caught = error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught is not None and "could not be saved (File too large); no file was changed" in str(
        caught
    )
    assert (tmp_path / "game.pt").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["game.pt"]


def test_a_process_that_is_killed_while_it_saves_leaves_the_old_file(tmp_path):
    code = """
        import os, signal
        from ganbook import GAN, networks
        gan = GAN(*networks.mlp(latent=4, width=8, depth=1))
        gan.save("game.pt")
        gan.steps_done = 77
        os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
        gan.save("game.pt")
    """
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("Windows has no SIGKILL")
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(training.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, env=environment
    )
    assert done.returncode == -signal.SIGKILL
    assert GAN.load(tmp_path / "game.pt").steps_done == 0


def test_a_place_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="the game could not be saved"):
        points_game().save(tmp_path / "file" / "game.pt")
    with pytest.raises(OSError, match="the game could not be saved"):
        points_game().save(tmp_path)
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(PermissionError, match="the game could not be saved.*Permission denied"):
        points_game().save(tmp_path / "game.pt")


def test_a_checkpoint_is_no_more_private_than_any_file(tmp_path):
    points_game().save(tmp_path / "game.pt")
    (tmp_path / "other").write_text("")
    assert stat.S_IMODE((tmp_path / "game.pt").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other").stat().st_mode
    )


def test_a_path_may_be_text(tmp_path):
    points_game().save(str(tmp_path / "game.pt"))
    assert GAN.load(str(tmp_path / "game.pt")).steps_done == 0


def test_a_missing_checkpoint_is_named(tmp_path):
    for path in (tmp_path / "game.pt", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"there is no checkpoint at {path}"):
            GAN.load(path)


@pytest.mark.filterwarnings(
    "ignore:Using a non-tuple sequence"
)  # torch's, when a tensor is asked for its format
def test_a_file_that_is_cut_off_or_something_else(tmp_path):
    points_game().save(tmp_path / "game.pt")
    whole, path = (tmp_path / "game.pt").read_bytes(), tmp_path / "bad.pt"
    contents = {
        f"cut at {share}": whole[: int(share * len(whole))] for share in (0, 0.01, 0.5, 0.9, 0.999)
    }
    contents |= {"text": b"hello", "zip without a game": b"PK\x05\x06" + bytes(18)}
    for things in ([1, 2], None, {"a": 1}, {"format": [1]}, torch.zeros(3)):
        buffer = io.BytesIO()
        torch.save(things, buffer)
        contents[str(things)] = buffer.getvalue()
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match="bad.pt is not a checkpoint of a game, or it is cut off|of the format"
        ):
            GAN.load(path)


def test_a_checkpoint_of_another_version_is_named(tmp_path):
    torch.save({"format": "ganbook game 0"}, tmp_path / "old.pt")
    with pytest.raises(
        ValueError, match="old.pt is of the format 'ganbook game 0'; this version reads"
    ):
        GAN.load(tmp_path / "old.pt")


def test_a_checkpoint_for_other_networks(tmp_path):
    points_game().save(tmp_path / "game.pt")
    for pair in (
        networks.mlp(latent=4, width=9, depth=1),
        networks.mlp(latent=4, width=8, depth=2),
        networks.mlp(shape=(3,), latent=4, width=8, depth=1),
    ):
        with pytest.raises(
            ValueError, match=r"game.pt belongs to other networks: .*(size mismatch|Missing key)"
        ):
            GAN.load(tmp_path / "game.pt", *pair)
    with pytest.raises(ValueError, match="give both networks, or none"):
        GAN.load(tmp_path / "game.pt", networks.mlp()[0])


def test_a_checkpoint_for_networks_that_differ_in_layers_without_weights(tmp_path):
    generator, discriminator = networks.mlp(latent=4, width=8, depth=1)
    generator[1] = nn.Tanh()  # the recipe says leaky ReLU
    GAN(generator, discriminator).save(tmp_path / "game.pt")
    with pytest.raises(
        ValueError, match="belongs to other networks: the weights fit these, but other layers lie"
    ):
        GAN.load(tmp_path / "game.pt")
    GAN.load(tmp_path / "game.pt", generator, discriminator)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False], ids=["torch", "pickle"])
def test_nothing_in_a_checkpoint_is_executed(zipped, tmp_path):
    bad = {"format": training.FORMAT, "players": Malicious(tmp_path / "executed")}
    if zipped:
        torch.save(bad, tmp_path / "bad.pt")
    else:
        (tmp_path / "bad.pt").write_bytes(pickle.dumps(bad))
    with pytest.raises(ValueError, match="is not a checkpoint of a game"):
        GAN.load(tmp_path / "bad.pt")
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Malicious(tmp_path / "executed")))
    assert (tmp_path / "executed").exists(), "the trap works where it is let"


# ---- Interrupts and threads


def interrupting(function, at):
    """`function`, with a Ctrl-C in the middle of its `at`-th call."""
    calls = itertools.count(1)

    @functools.wraps(function)
    def call(*args, **kwargs):
        if next(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return function(*args, **kwargs)

    return call


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, also where pytest itself was started to ignore it, in the
    background say."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread alone")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
    files = {training.__file__, contextlib.__file__}

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


# ---- Losses that are not what they must be


def at_turn(turn, function, value):
    """`function`, whose `turn`-th value is spoilt."""
    turns = itertools.count(1)
    return lambda *args: function(*args) * (value if next(turns) == turn else 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("player", ["discriminator", "generator", "discriminator's penalty"])
def test_a_loss_that_is_not_finite_names_the_step_and_the_player(player, value, moons):
    d, g, _ = losses.nonsaturating
    settings = {
        "discriminator": {"loss": Loss(at_turn(3, d, value), g)},
        "generator": {"loss": Loss(d, at_turn(3, g, value))},
        "discriminator's penalty": {"penalty": at_turn(3, steepness, value)},
    }[player]
    with pytest.raises(FloatingPointError, match=rf"step 3: the {player} has the loss (nan|inf)"):
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
        FloatingPointError, match=r"step \d+: the \w+ has the loss .*Try a lower learning rate"
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
        FloatingPointError, match="step 3: the discriminator has the loss nan"
    ) as caught:
        play(points_game(), Spoilt(moons, at=2), 5)
    if DEVICE.type == "cpu":
        assert "the batch of data holds NaN or infinity" in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "shape"),
    [(torch.mean, r"\(\)"), (lambda x: x[:, None], r"\(16, 1\)"), (lambda x: x[:3], r"\(3,\)")],
)
def test_a_loss_must_give_one_value_a_sample(spoil, shape, moons):
    d, g, _ = losses.nonsaturating
    for name, settings in {
        "loss.d": {"loss": Loss(lambda *logits: spoil(d(*logits)), g)},
        "loss.g": {"loss": Loss(d, lambda *logits: spoil(g(*logits)))},
        "the penalty": {
            "penalty": penalties.Penalty((penalties.Term(lambda *args: spoil(steepness(*args))),))
        },
    }.items():
        with pytest.raises(
            ValueError,
            match=rf"{name} must give one value a sample, shape \(16,\); it gave {shape}",
        ):
            play(points_game(**settings), moons, 1)


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


def test_frozen_weights_stay_frozen(moons):
    generator, discriminator = networks.mlp(latent=4, width=8, depth=2)
    generator[0].requires_grad_(False), discriminator[1].requires_grad_(False)
    gan = GAN(generator, discriminator)
    before = weights(gan)
    play(gan, moons, 3)
    after = weights(gan)
    for name in ("generator.0.weight", "discriminator.1.weight"):
        assert torch.equal(before[name], after[name])
    assert not discriminator[1].weight.requires_grad
    discriminator[3].requires_grad_(False)  # and so does what is frozen in the middle of a game
    before = weights(gan)
    play(gan, moons, 6)
    assert torch.equal(before["discriminator.3.weight"], weights(gan)["discriminator.3.weight"])
    assert not discriminator[3].weight.requires_grad


# ---- Players and data that don't fit


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("lr", -1e-3, "lr must be a finite number, 0 or more; got -0.001"),
        ("lr", math.nan, "lr must be a finite number"),
        ("lr", None, "lr must be a finite number"),
        ("lr", lambda share: -share, "lr must be a finite number"),
        ("d_lr", -1.0, "d_lr must be a finite number"),
        ("d_steps", 0, "d_steps=0: it must be a whole number, 1 or more"),
        ("d_steps", -1, "d_steps=-1"),
        ("d_steps", 1.5, "d_steps=1.5"),
        ("average", 1.0, "average=1.0: the share that stays must be at least 0 and below 1"),
        ("average", -0.1, "average=-0.1"),
        ("average", math.nan, "average=nan"),
        ("betas", (0.0, 1.0), "beta"),
    ],
)
def test_settings_out_of_range_are_refused(setting, value, message):
    with pytest.raises(ValueError, match=message):
        points_game(**{setting: value})


def test_a_discriminator_must_give_one_logit_a_sample():
    for end in (
        [],
        [nn.Flatten(0), nn.Unflatten(0, (-1, 1, 1))],
        [nn.Flatten(0), nn.Threshold(0, 0), MeanOfAll()],
    ):
        discriminator = nn.Sequential(nn.Linear(2, 1), *end)
        with pytest.raises(
            ValueError, match=r"one logit a sample, \(N,\); for N=2 it gave .*nn.Flatten\(0\)"
        ):
            GAN(networks.mlp()[0], discriminator)


class MeanOfAll(nn.Module):
    def forward(self, x):
        return x.mean()


def test_players_that_do_not_fit_each_other():
    with pytest.raises(
        ValueError, match=r"the discriminator can't take the generator's samples of shape \(3,\)"
    ):
        GAN(networks.mlp(shape=(3,))[0], networks.mlp(shape=(2,))[1])
    with pytest.raises(
        ValueError,
        match=r"the discriminator can't take the generator's samples of shape \(1, 16, 16\)",
    ):
        GAN(networks.dcgan(size=16)[0], networks.dcgan(size=16, channels=3)[1])


def test_the_size_of_z_must_be_known_and_right():
    generator, discriminator = own_networks()
    with pytest.raises(
        ValueError, match=r"no attribute `latent`: give the size of z, GAN\(..., latent=64\)"
    ):
        GAN(generator, discriminator)
    assert GAN(generator, discriminator, latent=3).sample(4).shape == (4, 2)
    with pytest.raises(ValueError, match="latent"):
        GAN(generator, discriminator, latent=5)


@pytest.mark.parametrize("steps", [0, -3, 2.5, None])
def test_steps_must_be_a_number_of_steps(steps, moons):
    with pytest.raises(ValueError, match=r"steps=.*: it must be a whole number, 1 or more"):
        points_game().train(moons, steps)


def test_steps_that_are_done_already_are_not_done_again(moons):
    gan = points_game()
    play(gan, moons, 3)
    for steps in (3, 2):
        with pytest.raises(
            ValueError, match=r"done 3 steps already; .*\(steps=6\) or start a new GAN"
        ):
            gan.train(moons, steps)
    assert len(play(gan, moons, 6)) == 3


def test_a_data_loader_is_no_batches():
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.zeros(8, 2)), batch_size=4
    )
    with pytest.raises(TypeError, match=r"batches must be indexed by the turn.*batches\(64\)"):
        points_game().train(loader, 3)
    for wrong in (data.two_moons(), torch.zeros(8, 2), [torch.zeros(8, 2)]):
        with pytest.raises(TypeError, match=r"batches must be indexed by the turn.*batches\(64\)"):
            points_game().train(wrong, 3)


def test_a_loss_and_a_penalty_must_be_such(moons):
    for loss in ("nonsaturating", losses.nonsaturating.d):
        with pytest.raises(TypeError, match=r"loss=.*: give losses.nonsaturating, say"):
            points_game(loss=loss)
    with pytest.raises(TypeError, match=r"penalty=1.0: give penalties.r1\(1.0\), say"):
        points_game(penalty=1.0)


def test_numpys_whole_numbers_are_whole_numbers(moons, tmp_path):
    gan = points_game(seed=np.int64(3), d_steps=np.int64(2), latent=np.int64(4))
    play(gan, moons, np.int64(2))
    gan.save(tmp_path / "game.pt")
    assert_same_weights(gan, GAN.load(tmp_path / "game.pt"))
    assert gan.sample(np.int64(3)).shape == (3, 2)


def batches_of(x):
    return type("Batches", (), {"__getitem__": lambda self, k: data.Batch(x.clone())})()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            torch.zeros(4, 1, 28, 28),
            r"draws samples of shape \(1, 16, 16\); the batch holds \(1, 28, 28\)",
        ),
        (
            torch.zeros(4, 3, 16, 16),
            r"draws samples of shape \(1, 16, 16\); the batch holds \(3, 16, 16\)",
        ),
        (torch.zeros(4, 2), r"the batch holds \(2,\)"),
        (torch.full((4, 1, 16, 16), 255.0), r"images must lie in \[-1, 1\], .*; these reach 255"),
        (torch.full((4, 1, 16, 16), -1.1), r"images must lie in \[-1, 1\], .*; these reach 1.1"),
        (
            torch.zeros(4, 1, 16, 16, dtype=torch.uint8),
            "must be floating-point numbers; it is torch.uint8",
        ),
        (torch.full((4, 1, 16, 16), math.inf), "the data holds NaN or infinity"),
        (torch.zeros(1, 1, 16, 16), "batch norm needs at least two samples .*; the batch has one"),
    ],
)
def test_batches_that_do_not_fit_are_refused_before_the_first_step(x, message):
    gan = images_game()
    before = weights(gan)
    with pytest.raises(ValueError, match=message):
        gan.train(batches_of(x), 3)
    assert_same_weights(before, gan)


def test_images_that_the_data_set_takes_the_game_takes(moons):
    """A thousandth of a grey level above 1 is what rounding leaves: both have the same
    tolerance."""
    images = data.Images(
        torch.full((8, 1, 16, 16), 1.00005) * torch.linspace(-1, 1, 8)[:, None, None, None]
    )
    play(images_game(), images.batches(4), 1)


def test_turns_by_hand_refuse_what_does_not_fit_too():
    gan = images_game()
    for turn in (gan.d_step, gan.g_step):
        with pytest.raises(ValueError, match=r"the batch holds \(3, 16, 16\)"):
            turn(torch.zeros(4, 3, 16, 16))
        with pytest.raises(ValueError, match="batch norm needs at least two samples"):
            turn(torch.zeros(1, 1, 16, 16))
    points_game().d_step(torch.zeros(1, 2))  # without batch norm, one is enough


def test_a_turn_leaves_the_batch_as_it_was(moons):
    gan, real = points_game(penalty=penalties.r1()), moons[0].x
    kept = real.clone()
    gan.d_step(real), gan.g_step(real)
    assert torch.equal(real, kept) and not real.requires_grad and real.grad is None


# ---- The bar


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


# ---- Precision


def test_in_bfloat16_losses_penalties_and_samples_are_single_precision(pictures, monkeypatch):
    def autocast(enabled=True):
        return torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=enabled)

    monkeypatch.setattr(training, "autocast", autocast)
    seen = []

    def noted(name, function):
        def call(*args):
            result = function(*args)
            seen.extend(
                (name, tensor.dtype)
                for tensor in (*args, result)
                if isinstance(tensor, torch.Tensor)
            )
            return result

        return call

    d, g, _ = losses.relativistic
    term = penalties.Term(noted("penalty", penalties._r1), 1.0)
    gan = images_game(loss=Loss(noted("d", d), noted("g", g)), penalty=penalties.Penalty((term,)))
    inside = []
    for network in (gan.generator, gan.discriminator):
        layers = [layer for layer in network if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
        layers[0].register_forward_hook(lambda layer, inputs, output: inside.append(output.dtype))
    before = weights(gan)
    play(gan, pictures, 3)
    assert set(inside) == {torch.bfloat16}, "the networks compute in half the bits"
    assert set(seen) == {(name, torch.float32) for name in ("d", "g", "penalty")}
    assert gan.sample(4).dtype == torch.float32
    after = weights(gan)
    assert {value.dtype for value in after.values() if value.is_floating_point()} == {torch.float32}
    for player in ("generator", "discriminator", "averaged"):
        assert any(
            not torch.equal(before[name], after[name]) for name in before if name.startswith(player)
        )
    full = images_game(loss=losses.relativistic, penalty=penalties.r1(1.0))
    monkeypatch.setattr(training, "autocast", contextlib.nullcontext)
    play(full, pictures, 3)
    for name, value in weights(full).items():
        torch.testing.assert_close(after[name], value, rtol=0.3, atol=0.02)


def test_a_penalty_that_was_not_called_is_named():
    with pytest.raises(TypeError, match="call it with its weight"):
        GAN(*networks.mlp(), penalty=penalties.r1)


def test_a_clipped_critic_is_clipped_when_the_generator_meets_it(tmp_path):
    met = []

    def g(real, fake):
        met.append(max(weight.abs().max().item() for weight in gan.discriminator.parameters()))
        return -fake

    wasserstein = losses.Loss(d=losses.wasserstein.d, g=g, paired=False)
    gan = GAN(*networks.mlp(width=8), loss=wasserstein, clip=0.02, lr=0.1)
    for _ in gan.train(data.ring().batches(16), 4, progress=False):
        pass
    assert len(met) == 4 and max(met) <= 0.02 + 1e-7
    again = GAN(*networks.mlp(width=8), loss=losses.wasserstein, clip=0.02)
    again.save(tmp_path / "game")
    loaded = GAN.load(tmp_path / "game")
    assert loaded.clip == 0.02 and loaded.loss is losses.wasserstein
    for clip in (0, -1.0, math.nan, math.inf, "0.01"):
        with pytest.raises(ValueError, match="give the size at which the weights are cut off"):
            GAN(*networks.mlp(width=8), clip=clip)


def test_a_game_with_the_penalty_of_wgan_gp_comes_back_from_its_file(tmp_path):
    def made():
        penalty = penalties.wgan_gp(one_sided=True)
        return GAN(*networks.mlp(width=8), loss=losses.wasserstein, penalty=penalty, d_steps=2)

    gan, batches = made(), data.ring().batches(16)
    for _ in gan.train(batches, 2, progress=False):
        pass
    gan.save(tmp_path / "game")
    again = GAN.load(tmp_path / "game")
    for player in (gan, again):
        for _ in player.train(batches, 4, progress=False):
            pass
    assert torch.equal(gan.sample(5, seed=0), again.sample(5, seed=0))


class Watching(torch.nn.Linear):
    """A discriminator of points that keeps what it was shown."""

    def __init__(self):
        super().__init__(2, 1)
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach().mean().item())
        return super().forward(x).flatten()


def test_the_discriminator_sees_everything_through_the_augmentation():
    """Real and fake, in both turns; gradients flow to the generator, and what is sampled is not
    augmented."""
    met = []

    def augment(x):
        met.append(x.requires_grad)
        return x + 100

    generator, discriminator = networks.mlp(latent=3, width=8)[0], Watching()
    gan = GAN(generator, discriminator, loss=losses.relativistic, augment=augment)
    discriminator.seen.clear()
    gan.d_step(data.ring().sample(16, seed=0))
    assert met == [False, False] and min(discriminator.seen) > 50 and len(discriminator.seen) == 2
    gan.g_step(data.ring().sample(16, seed=0))
    assert (
        met[2:] == [False, True] and min(discriminator.seen) > 50 and len(discriminator.seen) == 4
    )
    assert all(weight.grad.abs().sum() > 0 for weight in generator.parameters())
    assert gan.sample(4, seed=0).abs().max() < 50


def test_a_penalty_is_taken_at_augmented_points():
    points = []

    def measure(critic, real, fake, real_logits, fake_logits):
        points.append(real.detach().mean().item())
        return penalties.squared_gradient_norm(real_logits, real)

    gan = GAN(*networks.mlp(width=8), penalty=measure, augment=lambda x: x + 100)
    gan.d_step(data.ring().sample(16, seed=0))
    assert points[0] > 50


def test_an_augmentation_of_ones_own_is_given_again_on_loading(tmp_path):
    def shifted(x):
        return x + 1

    gan = GAN(*networks.mlp(width=8), augment=shifted)
    gan.save(tmp_path / "game")
    with pytest.raises(ValueError, match="augment of your own"):
        GAN.load(tmp_path / "game")
    assert GAN.load(tmp_path / "game", augment=shifted).augment is shifted


def test_an_augmentation_that_is_none_or_changes_the_shape_is_named():
    with pytest.raises(TypeError, match="a function of samples"):
        GAN(*networks.mlp(width=8), augment=0.5)
    gan = GAN(*networks.mlp(width=8), augment=lambda x: x[:, :1])
    with pytest.raises(ValueError, match="must return the shape it is given"):
        gan.d_step(data.ring().sample(16, seed=0))
