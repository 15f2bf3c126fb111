"""ganbook.players: whose weights are whose, pairs that don't fit, looks that change nothing."""

import copy
import pickle
import threading
import warnings

import games
import pytest
import torch
from games import Labelled, assert_same_weights, differ, play, points_game, weights
from torch import nn

from ganbook import GAN, data, device, losses, networks, penalties
from ganbook.game import Game, Turn

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


def test_a_layer_that_comes_within_the_loop_is_named(moons):
    gan = GAN(*networks.mlp(latent=4, width=8, depth=1))
    with pytest.raises(ValueError, match="of the generator was added, replaced or unfrozen"):
        for step in gan.train(moons, 200, progress=False):
            if step.index == 5:
                grown(gan.generator)
    assert gan.steps_done == 50


def test_an_optimiser_of_two_groups_is_named(moons):
    gan = GAN(*networks.mlp(latent=4, width=8, depth=1))
    groups = [{"params": [weight]} for weight in gan.generator.parameters()]
    gan.optimizers["generator"] = torch.optim.SGD(groups, lr=0.1)
    with pytest.raises(ValueError, match="optimiser of the generator has 4 groups .* give it one"):
        play(gan, moons, 2)


def test_an_expanded_buffer_is_written_into_as_any_other(moons, tmp_path):
    def game():
        torch.manual_seed(0)
        generator, discriminator = networks.mlp(latent=4, width=8, depth=1)
        for network in (generator, discriminator):
            network.register_buffer("grid", torch.ones(1, 4).expand(3, 4))
        return GAN(generator, discriminator)

    gan, again = game(), game()
    play(gan, moons, 2)
    gan.save(tmp_path / "game.pt")
    again.resume(tmp_path / "game.pt")
    assert_same_weights(gan, again)


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
    told = "the objective of the discriminator changes the batch (or a weight )?in place"
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
        self.largest, self.calls, self.history = torch.zeros(()), 0, []
        self.scale = nn.Parameter(torch.zeros(size), requires_grad=False)

    def forward(self, x):
        self.mean.lerp_(x.detach().mean(0), 0.1)
        self.seen = self.seen + len(x)
        self.largest.clamp_(min=x.detach().abs().max())
        self.scale.lerp_(x.detach().std(0), 0.1)
        self.history.append(len(x))
        self.calls += 1
        return x - self.mean


def test_looking_at_networks_changes_nothing_that_they_keep(moons):
    generator = nn.Sequential(Normaliser(4), nn.Linear(4, 2))
    discriminator = nn.Sequential(Normaliser(2), nn.Linear(2, 1), nn.Flatten(0))
    GAN(generator, discriminator, latent=4, average=0.0)
    for network in (generator, discriminator):
        kept = network[0]
        assert not kept.mean.any() and not kept.largest and kept.seen == kept.calls == 0
        assert not kept.scale.any() and kept.history == []
        assert network.training and kept.training
    mean = discriminator[0].mean
    gan = GAN(generator, discriminator, latent=4, average=0.0)
    play(gan, moons, 3)
    assert discriminator[0].mean is mean and mean.any()
    assert discriminator[0].seen == 3 * (2 + 1) * 16 and mean.abs().max() < 10


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_traced_discriminator_plays(moons):
    discriminator = networks.mlp_discriminator(width=8, depth=1)
    discriminator.draw()
    discriminator = torch.jit.trace(discriminator, torch.zeros(4, 2), check_trace=False)
    generator = networks.mlp_generator(latent=4, width=8, depth=1)
    assert len(play(GAN(generator, discriminator), moons, 3)) == 3


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
