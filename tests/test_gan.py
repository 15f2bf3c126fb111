"""ganbook.gan: against the loop by hand and against `Game`; turns, samples, what doesn't fit."""

import copy
import functools
import math
import re

import games
import pytest
import torch
import torch.nn.functional as F
from games import (
    Function,
    assert_same_weights,
    images_game,
    own_networks,
    play,
    play_up_to,
    points_game,
    weights,
)
from torch import nn

from ganbook import GAN, data, device, losses, networks, penalties
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.losses import Loss
from ganbook.schedules import falling

pytestmark = pytest.mark.usefixtures("deterministic")


# ---- By hand, by `Game`, by `GAN`


def by_hand(make, batches, steps, seed, loss, r1):
    """The loop of chapter 2. r1: whether R1 of weight 0.5 is taken at every fourth turn."""
    torch.manual_seed(seed)
    generator, discriminator = make()
    torch.manual_seed(seed)
    generator.draw(), discriminator.draw()
    averaged = copy.deepcopy(generator)
    fused = {"lr": 2e-3, "betas": (0.0, 0.99), "fused": DEVICE.type in ("cpu", "cuda")}
    g_adam = torch.optim.Adam(generator.parameters(), **fused)
    d_adam = torch.optim.Adam(discriminator.parameters(), **fused)
    d_losses = []
    for k in range(steps):
        real = batches[k].x
        due = r1 and k % 4 == 0

        fake = generator(torch.randn(len(real), generator.latent, device=DEVICE)).detach()
        real.requires_grad_(due)
        real_logits, fake_logits = discriminator(real), discriminator(fake)
        if loss == "relativistic":
            d_loss = F.softplus(fake_logits - real_logits).mean()
        else:
            d_loss = (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()
        d_losses.append(d_loss.detach())
        if due:
            (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            d_loss = d_loss + (4 * 0.5 / 2 * slope.flatten(1).square().sum(1)).mean()
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()

        real = real.detach()
        fake = generator(torch.randn(len(real), generator.latent, device=DEVICE))
        fake_logits = discriminator(fake)
        if loss == "relativistic":
            g_loss = F.softplus(discriminator(real).detach() - fake_logits).mean()
        else:
            g_loss = F.softplus(-fake_logits).mean()
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()

        stays = min(0.995, (k + 1) / (k + 10))
        pairs = zip(averaged.state_dict().values(), generator.state_dict().values(), strict=True)
        with torch.no_grad():
            for average, live in pairs:
                if average.is_floating_point():
                    average.copy_(stays * average + (1 - stays) * live)
    return generator, discriminator, averaged, d_losses


def on_game(make, seed, loss, r1):
    """The same two objectives, written out on `Game`."""
    G, D = make()
    loss, penalty = getattr(losses, loss), penalties.r1(0.5, every=4)

    def judge(batch):
        x, turn = batch.x.requires_grad_(), game.turns_done["D"]
        fake = G(torch.randn(len(x), G.latent, device=DEVICE)).detach()
        real_logits, fake_logits = D(x), D(fake)
        terms = {"d_loss": loss.d(real_logits, fake_logits)}
        if r1 and penalty.due(turn):
            terms["penalty"] = penalty(D, x, fake, real_logits, fake_logits, step=turn)
        return terms

    def draw(batch):
        z = torch.randn(len(batch.x), G.latent, device=DEVICE)
        fake_logits = D(G(z))
        real_logits = D(batch.x).detach() if loss.paired else None
        return {"g_loss": loss.g(real_logits, fake_logits)}

    turns = [Turn("D", judge), Turn("G", draw)]
    game = Game({"G": G, "D": D}, turns, average={"G": 0.995}, lr=2e-3, seed=seed)
    return game


@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic"])
@pytest.mark.parametrize("r1", [False, True], ids=["plain", "r1"])
@pytest.mark.parametrize("kind", ["points", "images"])
def test_by_hand_by_game_and_by_gan_give_the_same_weights(kind, loss, r1, moons, monkeypatch):
    monkeypatch.setattr(device, "BF16", False)
    if kind == "points":
        make, batches = functools.partial(networks.mlp, latent=4, width=16, depth=2), moons
    else:
        make = functools.partial(networks.dcgan, size=28, latent=4, width=4)
        pixels = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1
        batches = data.Images(pixels).batches(8)
    settings = {"loss": getattr(losses, loss), "penalty": penalties.r1(0.5, 4) if r1 else None}
    gan, game = GAN(*make(), lr=2e-3, seed=5, **settings), on_game(make, 5, loss, r1)
    steps = play(gan, batches, 10)
    play(game, batches, 10)
    generator, discriminator, averaged, d_losses = by_hand(make, batches, 10, 5, loss, r1)
    for player, network in (("generator", generator), ("discriminator", discriminator)):
        for name, value in network.state_dict().items():
            assert torch.equal(getattr(gan, player).state_dict()[name], value), (player, name)
            assert torch.equal(game.players[player[0].upper()][0].state_dict()[name], value)
    assert all(torch.equal(step.d_loss, loss) for step, loss in zip(steps, d_losses, strict=True))
    # the game's average is taken by another of torch's functions, which rounds otherwise
    for name, value in gan.averaged.state_dict().items():
        assert torch.equal(game.averages["G"][0].state_dict()[name], value)
        if value.is_floating_point():
            torch.testing.assert_close(value, averaged.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_a_step_says_what_was_done(moons):
    gan = points_game()
    step = play(gan, moons, 3)[-1]
    assert step.index == gan.steps_done == 3
    assert step.real_logits.shape == step.fake_logits.shape == (16,)
    tensors = [*step.losses.values(), *step.seen.values()]
    assert not any(tensor.requires_grad for tensor in tensors)
    expected = losses.nonsaturating.d(step.real_logits, step.fake_logits).mean()
    torch.testing.assert_close(step.d_loss, expected)
    floats = step.floats()
    assert floats.keys() == {"d_loss", "g_loss", "real_logits", "fake_logits"}
    assert all(type(value) is float for value in floats.values())
    assert floats["d_loss"] == pytest.approx(step.d_loss.item())
    assert floats["fake_logits"] == pytest.approx(step.fake_logits.mean().item())


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


@pytest.mark.parametrize("penalty", [None, penalties.r1(1.0)])
def test_only_the_players_turn_keeps_the_graph_of_its_own_network(moons, penalty):
    """Anything more costs memory and time."""
    gan, seen = points_game(loss=losses.relativistic, penalty=penalty), []
    gan.generator.register_forward_hook(lambda net, z, fake: seen.append(("G", fake.requires_grad)))

    def judged(net, x, logits):
        seen.append(("D", logits.requires_grad))

    gan.discriminator.register_forward_hook(judged)
    gan.d_step(moons[0].x)
    assert seen[0] == ("G", False) and set(seen[1:]) == {("D", True)}
    seen.clear()
    gan.g_step(moons[0].x)
    assert seen == [("D", False), ("G", True), ("D", True)]


def test_a_step_of_one_player_leaves_the_other_alone(moons):
    gan = images_game()
    real = torch.rand(4, 1, 16, 16, device=DEVICE)
    before = weights(gan)
    gan.d_step(real)
    changed = {name for name, value in weights(gan).items() if not torch.equal(value, before[name])}
    learned = {f"0.{name}" for name, _ in gan.generator.named_parameters()}
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
    assert any(name.startswith("averaged ") for name in changed)


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


def differ_by_more_than(a, b, distance):
    return (
        max((x - y).abs().max() for x, y in zip(a.parameters(), b.parameters(), strict=True))
        > distance
    )


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


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True])
def test_a_seed_must_be_a_whole_number(seed):
    with pytest.raises(ValueError, match=f"seed={seed!r}: it must be a whole number, 0 or more"):
        GAN(*networks.mlp()).sample(3, seed=seed)


@pytest.mark.parametrize("n", [0, -1, 2.5, None])
def test_a_number_of_samples_must_be_one(n):
    with pytest.raises(ValueError, match=r"n=.*whole number, 1 or more"):
        points_game().sample(n)


@pytest.mark.parametrize("z", [torch.zeros(5), torch.zeros(5, 3), torch.zeros(1, 5, 4)])
def test_latents_of_another_shape_are_refused(z):
    with pytest.raises(ValueError, match=r"z must have the shape \(N, 4\)"):
        points_game().decode(z)


def rates(gan):
    return [
        optimizer.param_groups[0]["lr"]
        for optimizer in (gan.optimizers["generator"], gan.optimizers["discriminator"])
    ]


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
    assert rates(play_up_to(points_game(lr=0.01), moons, 2, 1)) == [0.01, 0.01]
    assert rates(play_up_to(points_game(lr=0.01, d_lr=0.02), moons, 2, 1)) == [0.01, 0.02]
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


def test_training_looks_first_at_the_batch_that_comes_next(moons):
    gan, asked = points_game(d_steps=2), []
    play(gan, moons, 3)

    class Noted:
        def __getitem__(self, k):
            asked.append(k)
            return moons[k]

    gan.train(Noted(), 5)
    assert asked == [6]


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
            "penalty": penalties.Penalty(
                (penalties.Term(lambda *args: spoil(penalties._r2(*args))),)
            )
        },
    }.items():
        with pytest.raises(
            ValueError,
            match=rf"{name} must give one value per sample, shape \(16,\); it gave {shape}",
        ):
            play(points_game(**settings), moons, 1)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("lr", -1e-3, "lr of the generator must be a finite number, 0 or more; got -0.001"),
        ("lr", math.nan, "lr of the generator must be a finite number"),
        ("lr", None, "lr of the generator must be a finite number"),
        ("lr", lambda share: -share, "lr of the generator must be a finite number"),
        ("d_lr", -1.0, "lr of the discriminator must be a finite number"),
        ("d_steps", 0, "d_steps=0: it must be a whole number, 1 or more"),
        ("d_steps", -1, "d_steps=-1"),
        ("d_steps", 1.5, "d_steps=1.5"),
        ("average", 1.0, "average=1.0: the share that is kept must be at least 0 and below 1"),
        ("average", -0.1, "average=-0.1"),
        ("average", math.nan, "average=nan"),
        ("betas", (0.0, 1.0), "beta"),
    ],
)
def test_settings_out_of_range_are_refused(setting, value, message):
    with pytest.raises(ValueError, match=message):
        points_game(**{setting: value})


class MeanOfAll(nn.Module):
    def forward(self, x):
        return x.mean()


def test_a_discriminator_must_give_one_logit_a_sample():
    for end, found, advice in (
        ([], "(2, 1)", "end it with nn.Flatten(0)"),
        ([nn.Flatten(0), nn.Unflatten(0, (-1, 1, 1))], "(2, 1, 1)", "end it with nn.Flatten(0)"),
        ([nn.Linear(1, 3), nn.Unflatten(1, (1, 3))], "(2, 1, 3)", "x.flatten(1).mean(1)"),
        ([MeanOfAll()], "()", "return a logit for each sample"),
        ([Function(lambda x: (x, x))], "a tuple", "return a logit for each sample"),
        ([Function(lambda x: None)], "None: is `return` missing?", "return a logit"),
    ):
        discriminator = nn.Sequential(nn.Linear(2, 1), *end)
        message = rf"one logit per sample, \(N,\); for N=2 it gave {re.escape(found)}.*"
        with pytest.raises(ValueError, match=message + re.escape(advice)):
            GAN(networks.mlp()[0], discriminator)


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


def test_a_data_loader_is_no_batches():
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.zeros(8, 2)), batch_size=4
    )
    with pytest.raises(TypeError, match=r"batches must support indexing.*batches\(64\)"):
        points_game().train(loader, 3)
    for wrong in (data.two_moons(), torch.zeros(8, 2), [torch.zeros(8, 2)]):
        with pytest.raises(TypeError, match=r"batches must support indexing.*batches\(64\)"):
            points_game().train(wrong, 3)


def test_a_loss_and_a_penalty_must_be_such(moons):
    for loss in ("nonsaturating", losses.nonsaturating.d):
        with pytest.raises(TypeError, match=r"loss=.*: give losses.nonsaturating, say"):
            points_game(loss=loss)
    with pytest.raises(TypeError, match=r"penalty=1.0: give penalties.r1\(1.0\), say"):
        points_game(penalty=1.0)


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
        (
            torch.full((4, 1, 16, 16), 255.0),
            r"images must lie in \[-1, 1\], .*; these reach from .* to 255",
        ),
        (
            torch.full((4, 1, 16, 16), -1.6),
            r"images must lie in \[-1, 1\], .*; these reach from .*1.6",
        ),
        (
            torch.zeros(4, 1, 16, 16, dtype=torch.uint8),
            "must be floating-point numbers; it is torch.uint8",
        ),
        (torch.full((4, 1, 16, 16), math.inf), "the data holds NaN or infinity"),
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
    points_game().d_step(torch.zeros(1, 2))


def dense_with_norm(norm):
    return nn.Sequential(nn.Linear(2, 8), norm, nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))


class FrozenNorm(nn.BatchNorm1d):
    def __init__(self, size):
        super().__init__(size)
        self.training = False

    def train(self, mode=True):
        return super().train(False)


def test_batch_norm_of_one_number_is_named_where_torch_refuses_it():
    gan = GAN(networks.mlp_generator(), dense_with_norm(nn.BatchNorm1d(8)))
    for play_one in (
        lambda: play(gan, [data.Batch(torch.zeros(1, 2))], 1),
        lambda: gan.d_step(torch.zeros(1, 2)),
        lambda: gan.g_step(torch.zeros(1, 2)),
    ):
        with pytest.raises(ValueError, match="batch norm needs at least two samples.*make the bat"):
            play_one()


def test_batch_norm_takes_one_sample_that_has_many_numbers_or_where_it_is_frozen(pictures):
    """As pix2pix trains: torch has enough numbers in each channel of a map."""
    one = [data.Batch(pictures[k].x[:1]) for k in range(3)]
    play(images_game(), one, 2)
    frozen = dense_with_norm(nn.BatchNorm1d(8))
    frozen[1].eval()
    for discriminator in (frozen, dense_with_norm(FrozenNorm(8))):
        gan = GAN(networks.mlp_generator(), discriminator)
        play(gan, [data.Batch(torch.ones(1, 2))] * 3, 2)


@pytest.mark.parametrize("kind", ["by_points", "by_images", "gradient_penalty", "conditional"])
@pytest.mark.parametrize("when", ["before", "after"], ids=["set before", "set after building"])
def test_a_game_is_in_single_precision_whatever_torchs_default_is(kind, when):
    straight, batches = games.KINDS[kind]()
    play(straight, batches, 4)
    gan, batches = games.KINDS[kind]()
    torch.set_default_dtype(torch.float64)
    try:
        if when == "before":
            gan, batches = games.KINDS[kind]()
        step = play(gan, batches, 4)[-1]
        samples = gan.sample(3, seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
    tensors = [samples, *step.losses.values(), *weights(gan).values()]
    assert {t.dtype for t in tensors if t.is_floating_point()} == {torch.float32}
    if when == "after":
        assert_same_weights(straight, gan)
        assert torch.equal(samples, straight.sample(3, seed=0))


def test_a_turn_leaves_the_batch_as_it_was(moons):
    gan, real = points_game(penalty=penalties.r1()), moons[0].x
    kept = real.clone()
    gan.d_step(real), gan.g_step(real)
    assert torch.equal(real, kept) and not real.requires_grad and real.grad is None


def test_in_bfloat16_losses_penalties_and_samples_are_single_precision(pictures, monkeypatch):
    monkeypatch.setattr(device, "BF16", True)
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
    monkeypatch.setattr(device, "BF16", False)
    play(full, pictures, 3)
    for name, value in weights(full).items():
        torch.testing.assert_close(after[name], value, rtol=0.3, atol=0.02)


def test_a_penalty_that_was_not_called_is_named():
    with pytest.raises(TypeError, match="makes a penalty: call it first, as in penalties.r1"):
        GAN(*networks.mlp(), penalty=penalties.r1)


def test_a_clipped_critic_is_clipped_when_the_generator_meets_it():
    met = []

    def g(real, fake):
        met.append(max(weight.abs().max().item() for weight in gan.discriminator.parameters()))
        return -fake

    wasserstein = losses.Loss(d=losses.wasserstein.d, g=g, paired=False)
    gan = GAN(*networks.mlp(width=8), loss=wasserstein, penalty=penalties.clip(0.02), lr=0.1)
    for _ in gan.train(data.ring().batches(16), 4, progress=False):
        pass
    assert len(met) == 4 and max(met) <= 0.02 + 1e-7
    for bound in (0, -1.0, math.nan, math.inf, "0.01"):
        with pytest.raises(ValueError, match="give the size at which weights are clipped"):
            penalties.clip(bound)


# ---- Settings, modes, random numbers


def test_defaults_are_those_that_chapters_tell_of():
    gan = points_game()
    assert gan.lr == 1e-3 and gan.betas == (0.0, 0.99) and gan.average == {"generator": 0.995}
    assert gan.loss is losses.nonsaturating and gan.penalty is None
    assert [turn.times for turn in gan.turns] == [1, 1]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_layers_that_the_reader_has_set_to_evaluation_stay_so(average, pictures):
    generator, discriminator = networks.dcgan(size=16, latent=4, width=2)
    frozen = next(layer for layer in generator if isinstance(layer, nn.BatchNorm2d))
    frozen.eval()
    gan = GAN(generator, discriminator, average=average)
    assert not frozen.training and generator.training
    mean = frozen.running_mean.clone()
    for _ in gan.train(pictures, 3, progress=False):
        gan.sample(4)
    assert not frozen.training and generator.training
    assert torch.equal(frozen.running_mean, mean)


class Noisy(nn.Module):
    """A generator that draws in evaluation mode, too."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, z):
        return self.layer(z) + torch.randn(len(z), 2, device=z.device)


def test_looking_at_the_players_uses_up_none_of_the_games_random_numbers():
    gan = GAN(Noisy(), own_networks()[1], latent=3, seed=7)
    assert torch.equal(gan.randomness.state[0], torch.Generator().manual_seed(7).get_state())


def test_samples_are_drawn_so_many_at_once(moons):
    seen = []
    gan = points_game()
    gan.averaged.register_forward_pre_hook(lambda network, inputs: seen.append(len(inputs[0])))
    gan.sample(10, batch=4), gan.sample(501)
    assert seen == [4, 4, 2, 500, 1]


def test_latents_may_be_an_array_or_in_double_precision():
    gan = points_game()
    z = torch.randn(3, 4, dtype=torch.float64)
    assert torch.equal(gan.decode(z), gan.decode(z.numpy()))


def test_what_is_no_tensor_or_empty_is_named():
    with pytest.raises(TypeError, match="samples must be a tensor, not ndarray"):
        points_game().d_step(torch.zeros(4, 2).numpy())
    with pytest.raises(ValueError, match="the batch is empty"):
        points_game().d_step(torch.zeros(0, 2))


def test_a_loss_or_a_penalty_set_while_playing_is_looked_at_anew(moons):
    def of_the_data_alone(critic, real, *_):
        return real.square().sum(1)

    d, g, _ = losses.nonsaturating
    detached = Loss(lambda *logits: d(*logits).detach(), g)
    for change, message in (
        ({"loss": detached}, "the d_loss that the discriminator minimises does not depend on its"),
        ({"penalty": of_the_data_alone}, r"the penalty \(of_the_data_alone, line \d+\) that the d"),
    ):
        gan = points_game(penalty=penalties.r1())
        play(gan, moons, 2)
        for name, value in change.items():
            setattr(gan, name, value)
        with pytest.raises(ValueError, match=message):
            play(gan, moons, 4)
    for name in ("loss", "penalty"):
        with pytest.raises(TypeError, match=f"{name}='hinge': give "):
            setattr(points_game(), name, "hinge")


def test_a_penalty_may_be_changed_to_a_function_while_playing(moons):
    gan, same = points_game(), points_game(penalty=penalties.r2(1.0))
    gan.penalty = penalties._r2
    play(gan, moons, 3), play(same, moons, 3)
    assert_same_weights(gan, same)


def test_a_loss_or_a_penalty_that_gives_no_tensor_is_named(moons):
    d, g, _ = losses.nonsaturating
    with pytest.raises(
        ValueError, match=r"loss.d must give one value per sample, shape \(16,\); it"
    ):
        play(points_game(loss=Loss(lambda *_: 0.5, g)), moons, 1)
    with pytest.raises(ValueError, match="the penalty must give one value per sample"):
        play(points_game(penalty=lambda *_: 0.5), moons, 1)


def test_a_loss_or_a_penalty_without_return_is_named_with_its_line(moons):
    d, g, _ = losses.nonsaturating

    def mine(*_):
        pass

    line = rf"\(mine, line {mine.__code__.co_firstlineno}\) returned None: is `return` missing"
    for name, settings in (
        ("loss.d", {"loss": Loss(mine, g)}),
        ("loss.g", {"loss": Loss(d, mine)}),
        ("the penalty", {"penalty": mine}),
    ):
        with pytest.raises(TypeError, match=f"{name} {line}"):
            play(points_game(**settings), moons, 1)


def test_players_that_have_changed_places_are_asked_about():
    generator, discriminator = networks.mlp()
    with pytest.raises(ValueError, match="are the two players swapped"):
        GAN(discriminator, generator)
