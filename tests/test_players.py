"""ganbook.players: whose weights are whose, pairs that don't fit, settings that make no sense."""

import copy
import functools
import math
import pickle
import re
import threading
import warnings

import games
import pytest
import torch
from games import assert_same_weights, differ, play, points_game, weights
from torch import nn

from ganbook import GAN, data, device, losses, networks, penalties, players
from ganbook.game import Game, Turn
from ganbook.losses import Loss

pytestmark = pytest.mark.usefixtures("deterministic")


def latents(n):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(1))


# ---- Weights that are moved, copied, replaced


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_the_average_of_a_copied_game_follows_the_copy(copied, moons):
    straight, gan = points_game(average=0.5), points_game(average=0.5)
    play(straight, moons, 30), play(gan, moons, 5)
    again = copied(gan)
    play(again, moons, 30)
    assert_same_weights(straight, again)
    before = gan.decode(latents(8))
    assert not torch.equal(before, again.decode(latents(8)))
    play(gan, moons, 30)
    assert_same_weights(straight, gan)


def test_networks_given_or_moved_in_double_precision_play_in_single(moons):
    pair = networks.mlp(latent=4, width=8, depth=1)
    gan = GAN(*(network.double() for network in pair), average=0.5)
    play(gan, moons, 3)
    gan.generator.double(), gan.discriminator.double()
    play(gan, moons, 30)
    assert {value.dtype for value in weights(gan).values()} == {torch.float32}
    gan.generator.double(), gan.discriminator.double()
    gan.d_step(moons[0].x), gan.g_step(moons[0].x)
    assert {value.dtype for value in weights(gan).values()} == {torch.float32}
    for average, live in zip(gan.averaged.parameters(), gan.generator.parameters(), strict=True):
        assert (average - live).abs().max() < 0.05


def test_weights_whose_data_is_replaced_are_averaged(moons):
    gan = points_game(average=0.5)
    play(gan, moons, 3)
    for weight in gan.generator.parameters():
        weight.data = torch.full_like(weight, 2.0)
    play(gan, moons, 30)
    for average, live in zip(gan.averaged.parameters(), gan.generator.parameters(), strict=True):
        assert (average - live).abs().max() < 0.2


def grown(network):
    network.append(nn.Linear(2, 2))


def replaced(network):
    network[0].weight = nn.Parameter(network[0].weight.detach().clone())


def unfrozen(network):
    network[0].weight.requires_grad_(True)


@pytest.mark.parametrize("change", [grown, replaced, unfrozen])
def test_a_weight_that_the_game_does_not_know_is_named(change, moons):
    generator, discriminator = networks.mlp(latent=4, width=8, depth=1)
    generator[0].weight.requires_grad_(change is not unfrozen)
    gan = GAN(generator, discriminator)
    play(gan, moons, 2)
    change(generator)
    for play_on in (
        lambda: play(gan, moons, 4),
        lambda: gan.d_step(moons[0].x),
        lambda: gan.g_step(moons[0].x),
    ):
        with pytest.raises(
            ValueError, match=r"the weight \d.weight of the generator was added, re"
        ):
            play_on()
    assert gan.steps_done == 2


# ---- Who learns what


def test_a_layer_that_two_players_share_is_named():
    generator, discriminator = networks.mlp(shape=(4,), latent=4, width=4, depth=1)
    discriminator[1] = generator[0]
    with pytest.raises(ValueError, match="generator and the discriminator share the weight 0.weig"):
        GAN(generator, discriminator)


def test_a_frozen_layer_may_serve_two_players():
    backbone = nn.Linear(2, 2).requires_grad_(False)
    one, other = nn.Sequential(backbone, nn.Linear(2, 1)), nn.Sequential(backbone, nn.Linear(2, 1))
    Game({"a": one, "b": other}, [Turn("a", lambda batch: {"t": one(batch.x)})])


def test_networks_of_one_player_may_share_layers(moons):
    trunk = nn.Linear(2, 4)
    one, other = nn.Sequential(trunk, nn.Linear(4, 1)), nn.Sequential(trunk, nn.Linear(4, 2))
    turn = Turn("both", lambda batch: {"t": one(batch.x).square(), "u": other(batch.x).square()})
    game = Game({"both": (one, other)}, [turn])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, *_, last = play(game, moons, 50)
    assert last.t + last.u < first.t + first.u


def test_a_network_that_learns_nothing_in_the_first_step_is_warned_of_once(moons):
    near, far = nn.Linear(2, 2), nn.Linear(2, 1)
    turn = Turn("both", lambda batch: {"t": far(near(batch.x).detach()).square()})
    with pytest.warns(UserWarning, match="network 1 of 2 of the both has learned nothing") as seen:
        play(Game({"both": (near, far)}, [turn]), moons, 3)
    assert len(seen) == 1 and seen[0].filename == games.__file__


def test_a_frozen_network_and_a_player_without_a_turn_are_not_warned_of(moons):
    frozen, learned = nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 1)
    turn = Turn("both", lambda batch: {"t": learned(frozen(batch.x)).square()})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        play(Game({"both": (frozen, learned), "idle": nn.Linear(1, 1)}, [turn]), moons, 3)


def without_create_graph(critic, real, fake, on_real, on_fake):
    (slope,) = torch.autograd.grad(on_real.sum(), real)
    return slope.square().sum(1)


def detached(critic, real, fake, on_real, on_fake):
    (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
    return slope.square().sum(1).detach()


def of_the_data_alone(critic, real, fake, on_real, on_fake):
    return real.square().sum(1)


def detached_slope_times_data(critic, real, fake, on_real, on_fake):
    (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
    return (slope.detach() * real).sum(1).square()


UNLEARNED = [without_create_graph, detached, of_the_data_alone, detached_slope_times_data]


@pytest.mark.parametrize("penalty", UNLEARNED)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside r1"])
def test_a_penalty_that_the_discriminator_can_not_learn_from_is_named(penalty, beside, moons):
    term = penalties.Term(penalty, 1.0, every=3)
    gan = points_game(penalty=penalties.total(penalties.r1(), term) if beside else term)
    before = weights(gan)
    name = rf"penalty \({penalty.__name__}, line {penalty.__code__.co_firstlineno}\) that the disc"
    with pytest.raises(ValueError, match=f"the {name}.*create_graph=True"):
        play(gan, moons, 9)
    assert_same_weights(before, gan)  # it is due at the first turn


def test_a_penalty_of_zero_or_that_looks_at_logits_alone_is_none_of_those(moons):
    straight, gan = (
        points_game(),
        points_game(penalty=lambda f, real, *_: real.new_zeros(len(real))),
    )
    play(straight, moons, 3), play(gan, moons, 3)
    assert_same_weights(straight, gan)
    play(points_game(penalty=lambda f, real, fake, on_real, on_fake: on_real.square()), moons, 3)


def test_a_term_that_nothing_is_learned_from_is_named(moons):
    network = nn.Linear(2, 1)
    turn = Turn("a", lambda batch: {"t": network(batch.x), "size": network(batch.x).detach().abs()})
    with pytest.raises(
        ValueError, match="the size that the a minimises does not depend on its wei"
    ):
        play(Game({"a": network}, [turn]), moons, 1)


# ---- Layers that write into their input


class Discriminator(nn.Module):
    def __init__(self, inplace):
        super().__init__()
        self.first, self.last = nn.ReLU(inplace), nn.Linear(2, 1)

    def forward(self, x):
        return self.last(self.first(x)).flatten(0)


@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic"])
@pytest.mark.parametrize("penalty", [None, penalties.r1(0.5), penalties.wgan_gp(1.0)])
def test_a_first_layer_in_place_changes_no_batch_and_no_result(loss, penalty, moons):
    def game(inplace):
        torch.manual_seed(0)
        generator = networks.mlp_generator(latent=4, width=8, depth=1)
        settings = {"loss": getattr(losses, loss), "penalty": penalty}
        return GAN(generator, Discriminator(inplace), seed=2, **settings)

    own = [data.Batch(batch.x.clone()) for batch in (moons[k] for k in range(5))]
    kept = [batch.x.clone() for batch in own]
    plain, inplace = game(False), game(True)
    play(plain, moons, 5), play(inplace, own, 5)
    assert_same_weights(plain, inplace)
    assert all(torch.equal(batch.x, before) for batch, before in zip(own, kept, strict=True))


@pytest.mark.parametrize("penalty", [None, penalties.r1(0.5), penalties.wgan_gp(1.0)])
def test_a_discriminator_that_writes_into_its_input_by_itself_is_named(penalty, moons):
    class Doubling(Discriminator):
        def forward(self, x):
            return super().forward(x.mul_(2))

    gan = GAN(networks.mlp_generator(latent=4), Doubling(False), penalty=penalty)
    told = "the objective of the discriminator changes the batch in place"
    with pytest.raises((ValueError, RuntimeError), match=told):
        gan.d_step(moons[0].x.clone())


def test_latents_given_to_a_generator_that_begins_in_place_stay_as_they_are():
    generator = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2))
    gan = GAN(generator, networks.mlp_discriminator(), latent=4)
    z = latents(5).to(device.DEVICE)
    kept = z.clone()
    gan.decode(z)
    assert torch.equal(z, kept)


def test_an_objective_that_writes_into_the_batch_is_named(moons):
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 1))
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch.x)})])
    before = weights(game)
    with pytest.raises(
        ValueError, match="the objective of the a changes the batch in place.*inplac"
    ):
        play(game, moons, 1)
    assert_same_weights(before, game)


# ---- What trains and makes no sense

SIGMOID = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid(), nn.Flatten(0))


class SigmoidInForward(Discriminator):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


class Gated(nn.Module):
    """A sigmoid that is registered last, and is not the end."""

    def __init__(self):
        super().__init__()
        self.layer, self.last, self.gate = nn.Linear(2, 8), nn.Linear(8, 1), nn.Sigmoid()

    def forward(self, x):
        return self.last(self.gate(self.layer(x)) * self.layer(x)).flatten(0)


class Conditional(nn.Linear):
    classes = 3

    def forward(self, x, labels):
        assert len(labels) == len(x)
        return torch.sigmoid(super().forward(x).flatten(0) + labels)


def with_weight_norm():
    linear = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    return nn.Sequential(linear, nn.Flatten(0))


def old_spectral_norm():
    return nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 1)), nn.Flatten(0))


def ends_in_tanh():
    return nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Flatten(0))


def norms():
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1), nn.Flatten(0))


def probabilities():
    return copy.deepcopy(SIGMOID)


def own_cross_entropy(real, fake):
    """On probabilities, as many scripts have it."""
    return -(real.clamp(min=1e-7).log() + (1 - fake).clamp(min=1e-7).log())


class Labelled(nn.Module):
    """A generator that takes labels, and does not look at them."""

    classes, latent = 3, 2

    def __init__(self, generator):
        super().__init__()
        self.generator, self.latent = generator, generator.latent

    def forward(self, z, labels):
        return self.generator(z)


def warned(discriminator, **settings) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        generator = networks.mlp_generator()
        if getattr(discriminator, "classes", None):
            generator = Labelled(generator)
        GAN(generator, discriminator, **settings)
    assert all(warning.filename == __file__ for warning in seen), "the reader's own line is named"
    return [str(warning.message) for warning in seen]


@pytest.mark.parametrize(
    ("discriminator", "settings", "message"),
    [
        *[
            (make, {"loss": loss}, "ends in a sigmoid or softmax, but this loss takes logits")
            for make in (probabilities, lambda: SigmoidInForward(False))
            for loss in (losses.nonsaturating, losses.relativistic, losses.hinge)
        ],
        (
            lambda: Conditional(2, 1),
            {"loss": losses.minimax},
            "ends in a sigmoid or softmax, but this loss takes logits",
        ),
        (with_weight_norm, {"loss": losses.wasserstein}, "nothing bounds the slope"),
        *[
            (norms, {"penalty": penalty}, "has batch norm, which mixes the samples of a batch")
            for penalty in (penalties.r1(), penalties.wgan_gp(), lambda f, real, *_: f(real))
        ],
        *[
            (make, {"penalty": penalties.r1()}, "has batch norm, which mixes the samples")
            for make in (lambda: norms().eval(), lambda: norms_of_each_batch())
        ],
        (
            networks.mlp_discriminator,
            {"loss": losses.wasserstein},
            "nothing bounds the slope of this Wasserstein critic.*wgan_gp()",
        ),
    ],
)
def test_settings_that_make_no_sense_together_are_warned_of_once(discriminator, settings, message):
    (found,) = warned(discriminator(), **settings)
    assert re.search(message, found)


def frozen_norms():
    layers = norms()
    layers[1].eval()
    return layers


def norms_of_each_batch():
    """Without running statistics it takes those of the batch in evaluation mode too."""
    layers = norms()
    layers[1] = nn.BatchNorm1d(8, track_running_stats=False).eval()
    return layers


def with_torchs_spectral_norm():
    linear = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 1))
    return nn.Sequential(linear, nn.Flatten(0))


@pytest.mark.parametrize(
    ("discriminator", "settings"),
    [
        (networks.mlp_discriminator, {}),
        (networks.mlp_discriminator, {"loss": losses.wasserstein, "penalty": penalties.clip(0.1)}),
        (networks.mlp_discriminator, {"loss": losses.wasserstein, "penalty": penalties.wgan_gp()}),
        (lambda: networks.spectral(networks.mlp_discriminator()), {"loss": losses.wasserstein}),
        (with_torchs_spectral_norm, {"loss": losses.wasserstein}),
        (old_spectral_norm, {"loss": losses.wasserstein}),
        (ends_in_tanh, {"loss": losses.wasserstein}),
        (ends_in_tanh, {}),
        (Gated, {}),
        (norms, {}),
        (frozen_norms, {"penalty": penalties.r1()}),
        (norms, {"loss": losses.wasserstein, "penalty": penalties.clip(0.1)}),
        (probabilities, {"loss": losses.least_squares}),
        (probabilities, {"loss": Loss(own_cross_entropy, lambda real, fake: -fake.log())}),
        (lambda: Discriminator(False), {"loss": losses.hinge}),
    ],
)
def test_settings_that_make_sense_are_not_warned_of(discriminator, settings):
    assert warned(discriminator(), **settings) == []


@pytest.mark.parametrize("kind", games.KINDS)
def test_no_kind_of_game_of_the_course_is_warned_of(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        game, batches = games.KINDS[kind]()
        play(game, batches, 2)


def test_discriminators_of_the_course_do_not_look_like_probabilities():
    """With any weights that they may be drawn with; also where every weight is 0."""
    shapes = {
        networks.mlp_discriminator: (2,),
        functools.partial(networks.dcgan_discriminator, size=16): (1, 16, 16),
        functools.partial(networks.resnet_discriminator, size=16): (1, 16, 16),
    }
    for make, shape in shapes.items():
        for seed in range(10):
            torch.manual_seed(seed)
            discriminator, fake = make(), torch.zeros(2, *shape, device=device.DEVICE)
            for scale in (1.0, 1e-3, 0.0):
                with torch.no_grad():
                    for weight in discriminator.parameters():
                        weight *= scale
                far = players._far(discriminator, fake, None)
                assert not players._are_probabilities(far), (make, seed, scale)


class Function(nn.Module):
    """A layer of any function, whose name no `isinstance` knows."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def images(end, shape=(1, 16, 16)):
    """A game of images whose generator ends in `end`."""
    size = math.prod(shape)
    generator = nn.Sequential(nn.Linear(4, size), end, nn.Unflatten(1, shape))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(size, 1), nn.Flatten(0))
    return GAN(generator, discriminator, latent=4)


def batches(low, high, shape=(1, 16, 16)):
    drawn = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0))
    return [data.Batch(low + (high - low) * drawn)] * 3


@pytest.mark.parametrize("shape", [(1, 16, 16), (16, 16), (256,)])
def test_images_in_half_the_range_of_a_tanh_are_warned_of_once(shape):
    with pytest.warns(UserWarning, match=r"lie in \[0, 0.95\], half the range of this") as seen:
        play(images(nn.Tanh(), shape), batches(0.0, 0.95, shape), 2)
    assert len(seen) == 1 and seen[0].filename == games.__file__


def test_pixels_that_begin_at_exactly_0_are_in_half_the_range_too():
    """As MNIST's in [0, 1] are, where the background is 0."""
    dark = batches(0.0, 1.0)
    for batch in dark:
        batch.x[:, :, :4] = 0.0
    with pytest.warns(UserWarning, match=r"pixels of the first batch lie in \[0, 1\]"):
        play(images(nn.Tanh()), dark, 1)


class Thrice(nn.Sequential):
    """Layers in sequence that are not all."""

    def forward(self, x):
        return 3 * super().forward(x)


class Logits(nn.Sequential):
    def forward(self, x):
        return torch.logit(super().forward(x))


def hooked(*layers):
    layers = nn.Sequential(*layers)
    layers.register_forward_hook(lambda layer, inputs, output: 3 * output)
    return layers


@pytest.mark.parametrize("scaled", [Thrice, hooked, lambda *n: nn.Sequential(Thrice(*n))])
def test_a_last_layer_is_not_the_end_where_a_forward_or_a_hook_does_more(scaled):
    generator = scaled(nn.Linear(4, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0))
    play(GAN(generator, discriminator, latent=4), batches(-3.0, 3.0), 2)


def test_a_discriminator_that_turns_probabilities_into_logits_is_not_warned_of():
    layers = nn.Linear(2, 1), nn.Sigmoid(), nn.Flatten(0)
    assert warned(Logits(*layers)) == []
    assert len(warned(nn.Sequential(*layers))) == 1


@pytest.mark.parametrize(
    ("end", "low", "high"),
    [
        (nn.Tanh(), 0.0, 255.0),
        (nn.Tanh(), -1.6, 1.0),
        (nn.Sigmoid(), 0.0, 1.6),
        (nn.Sigmoid(), -1, 1),
        (Function(torch.tanh), -1.6, 1.0),
        (Function(torch.sigmoid), -1.0, 1.0),
    ],
)
def test_images_that_the_generator_can_not_reach_are_refused(end, low, high):
    with pytest.raises(ValueError, match=r"must lie in \[(-1|0), 1\], as the generator's do"):
        play(images(end), batches(low, high), 2)


@pytest.mark.parametrize(
    ("end", "low", "high"),
    [
        (nn.Tanh(), -1.0, 0.95),
        (nn.Tanh(), -1.2, 1.2),  # noise on the samples
        (nn.Sigmoid(), 0.0, 1.0),
        (nn.Identity(), -2.0, 3.0),
        (nn.Identity(), 0.0, 1.0),
        (nn.Softplus(), 0.0, 3.0),
        (nn.Sequential(nn.Tanh(), nn.Linear(256, 256)), -3.0, 3.0),
    ],
)
def test_images_that_the_generator_can_reach_are_healthy(end, low, high):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        play(images(end), batches(low, high), 2)


def test_a_label_that_the_discriminator_does_not_know_is_named():
    class Judge(nn.Module):
        classes = 4

        def __init__(self):
            super().__init__()
            self.table, self.layer = nn.Embedding(2, 2), nn.Linear(2, 1)

        def forward(self, x, labels):
            return self.layer(x + self.table(labels)).flatten(0)

    generator = Labelled(networks.mlp_generator())
    generator.classes = 4
    with pytest.raises(ValueError, match="the discriminator can't take .* index out of range"):
        GAN(generator, Judge())


def test_a_layer_that_can_not_compute_in_bfloat16_is_told_how(monkeypatch):
    class Judge(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 1, 16)

        def forward(self, x):
            out = torch.zeros(len(x), device=x.device)
            out[torch.arange(len(x))] = self.convolution(x).flatten()
            return out

    monkeypatch.setattr(device, "BF16", True)
    generator = networks.dcgan_generator(size=16, width=4)
    with pytest.raises(ValueError, match="in bfloat16 here; set GANBOOK_PRECISION=float32"):
        GAN(generator, Judge())
    monkeypatch.setattr(device, "BF16", False)
    GAN(generator, Judge())


class Normaliser(nn.Module):
    """Counts what it is given and keeps its mean, in evaluation mode too."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("seen", torch.tensor(0))
        self.largest, self.calls = torch.zeros(()), 0

    def forward(self, x):
        self.mean.lerp_(x.detach().mean(0), 0.1)
        self.seen = self.seen + len(x)
        self.largest.clamp_(min=x.detach().abs().max())
        self.calls += 1
        return x - self.mean


def test_looking_at_networks_changes_nothing_that_they_keep(moons):
    generator = nn.Sequential(Normaliser(4), nn.Linear(4, 2))
    discriminator = nn.Sequential(Normaliser(2), nn.Linear(2, 1), nn.Flatten(0))
    GAN(generator, discriminator, latent=4, average=0.0)
    for network in (generator, discriminator):
        kept = network[0]
        assert not kept.mean.any() and not kept.largest and kept.seen == kept.calls == 0
        assert network.training and kept.training
    mean = discriminator[0].mean
    gan = GAN(generator, discriminator, latent=4, average=0.0)
    play(gan, moons, 3)
    assert discriminator[0].mean is mean and mean.any()
    assert discriminator[0].seen == 3 * (2 + 1) * 16 and mean.abs().max() < 10


# ---- What is no network, and generators that give something else


def test_a_class_in_place_of_a_network_is_named():
    generator, discriminator = networks.mlp()
    for pair in ((generator, Discriminator), (Discriminator, discriminator)):
        with pytest.raises(TypeError, match=r"not the class Discriminator: call it, Discriminator"):
            GAN(*pair)
    with pytest.raises(TypeError, match="the discriminator must be a network.*, not function"):
        GAN(generator, lambda x: x)
    for given in (3.0, (nn.Linear(2, 1), 3.0)):
        with pytest.raises(TypeError, match="the a must be a network, an nn.Module, not float"):
            Game({"a": given}, [Turn("a", None)])


class Pair(nn.Linear):
    def forward(self, z):
        return super().forward(z), z


class Nothing(nn.Linear):
    def forward(self, z):
        super().forward(z)


@pytest.mark.parametrize(
    ("kind", "found"), [(Pair, "a tuple"), (Nothing, "None: is `return` missing")]
)
def test_a_generator_must_give_one_tensor(kind, found):
    with pytest.raises(ValueError, match=f"must return one tensor, .* it returned {found}"):
        GAN(kind(4, 2), networks.mlp_discriminator(), latent=4)


# ---- Threads


def test_samples_drawn_in_another_thread_change_no_training(pictures):
    """Without an average they come from the generator that is trained."""
    alone, beside = (games.images_game(average=0) for _ in range(2))
    play(alone, pictures, 30)
    done = threading.Event()

    def draw():
        while not done.is_set():
            beside.sample(2, seed=0)

    thread = threading.Thread(target=draw)
    thread.start()
    play(beside, pictures, 30)
    done.set()
    thread.join(600)
    assert_same_weights(alone, beside)


def test_games_in_several_threads_play_as_they_would_alone(moons):
    def make(seed):
        return GAN(*networks.mlp(latent=4, width=8, depth=1), seed=seed, penalty=penalties.r1())

    alone, side_by_side = ([make(seed) for seed in range(4)] for _ in range(2))
    for gan in alone:
        play(gan, moons, 60)
    threads = [threading.Thread(target=play, args=(gan, moons, 60)) for gan in side_by_side]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    for one, other in zip(alone, side_by_side, strict=True):
        assert_same_weights(one, other)
    assert differ(*alone[:2])


def test_a_dense_discriminator_takes_the_samples_of_convolutions_in_bfloat16(monkeypatch):
    monkeypatch.setattr(device, "BF16", True)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 1), nn.Flatten(0))
    gan = GAN(networks.dcgan(width=4)[0], dense)
    assert gan.sample(2).dtype == torch.float32
