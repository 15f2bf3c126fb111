"""ganbook.turns: whether a player learns from its terms, and what errors within a turn say."""

import pytest
import torch
from games import assert_same_weights, play, points_game, weights
from torch import nn
from torch.utils.checkpoint import checkpoint

from ganbook import GAN, networks, penalties
from ganbook.game import Game, Turn

pytestmark = pytest.mark.usefixtures("deterministic")


def game_of(objective, network=None, **turn):
    return Game({"a": network or nn.Linear(2, 1)}, [Turn("a", objective, **turn)])


# ---- Networks that go backward in their own way


def compiled(which, **settings):
    """A game of small networks, some of them compiled as far as no C compiler is needed."""
    torch._dynamo.reset()
    generator, discriminator = networks.mlp(latent=4, width=8, depth=1)
    if which == "D.compile()":
        discriminator.compile(backend="aot_eager")
    if "G" in which:
        generator = torch.compile(generator, backend="aot_eager")
    if which == "G and D":
        discriminator = torch.compile(discriminator, backend="aot_eager")
    return GAN(generator, discriminator, seed=3, **settings)


@pytest.mark.parametrize("which", ["G", "G and D", "D.compile()"])
def test_compiled_networks_train_as_the_networks_they_are(which, moons):
    """torch lets them go backward once in each step."""
    penalty = penalties.r1() if which == "G" else None
    gan, plain = compiled(which, penalty=penalty), points_game(seed=3, penalty=penalty)
    play(gan, moons, 3), play(plain, moons, 3)
    pairs = zip(weights(gan).values(), weights(plain).values(), strict=True)
    for value, expected in pairs:
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("penalty", [penalties.r1(), penalties.wgan_gp()], ids=["r1", "wgan_gp"])
@pytest.mark.parametrize("which", ["G and D", "D.compile()"])
def test_a_gradient_penalty_on_a_compiled_network_says_what_to_do(which, penalty, moons):
    with pytest.raises(
        RuntimeError, match="of the discriminator goes .* without compiling it"
    ) as e:
        play(compiled(which, penalty=penalty), moons, 1)
    assert e.value.__notes__[0].endswith("of the discriminator, step 1.")
    assert "backward" in str(e.value.__cause__)  # torch's own words are kept


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first, self.last, self.reentrant = nn.Linear(2, 8), nn.Linear(8, 1), reentrant

    def forward(self, x):
        return checkpoint(self.rest, self.first(x), use_reentrant=self.reentrant).flatten(0)

    def rest(self, features):
        return self.last(features.relu())


@pytest.mark.parametrize("penalty", [None, penalties.r1()])
def test_reentrant_checkpointing_says_what_to_do(penalty, moons):
    gan = GAN(networks.mlp_generator(), Checkpointed(True), penalty=penalty)
    before = weights(gan)
    message = "objective of the discriminator calls .* pass use_reentrant=False to"
    with pytest.raises(RuntimeError, match=message):
        play(gan, moons, 1)
    assert_same_weights(before, gan)
    play(GAN(networks.mlp_generator(), Checkpointed(False), penalty=penalty), moons, 2)


@pytest.mark.parametrize("last", [nn.Identity(), nn.Linear(1, 1)], ids=["whole", "in part"])
def test_weights_within_reentrant_checkpointing_do_not_silently_stay(last, moons):
    """They are not in the graph, so torch says nothing where backward is asked for weights."""
    network = nn.Sequential(nn.Linear(2, 1), last)

    def objective(batch):
        x = batch.x.clone().requires_grad_()
        return {"t": last(checkpoint(network[0], x, use_reentrant=True))}

    with pytest.raises(RuntimeError, match="of the a calls .* pass use_reentrant=False"):
        play(game_of(objective, network), moons, 1)


def test_backward_hooks_are_called_as_often_in_the_first_step_as_later(moons):
    gan, calls = points_game(penalty=penalties.r1()), []
    gan.discriminator[1].weight.register_hook(lambda slope: calls.append(gan.steps_done))
    gan.discriminator[1].register_full_backward_hook(lambda *_: calls.append(gan.steps_done))
    play(gan, moons, 3)
    assert calls.count(0) == calls.count(1) == calls.count(2) > 0


def test_a_term_whose_graph_is_deep_is_looked_at(moons):
    network = nn.Linear(2, 1)

    def deep(batch):
        y = network(batch.x)
        for _ in range(5000):
            y = y + 0.0
        return {"t": y}

    play(game_of(deep, network), moons, 1)


def test_a_weight_may_be_a_term_itself(moons):
    network = nn.Linear(2, 1)
    play(game_of(lambda batch: {"t": network.weight, "b": network.bias[0]}, network), moons, 1)


# ---- Values that are no terms


def test_a_term_without_values_is_named(moons):
    network = nn.Linear(2, 1)
    game = game_of(lambda batch: {"t": network(batch.x), "rare": network(batch.x[:0])}, network)
    with pytest.raises(ValueError, match=r"the a's rare has no values \(an empty batch or selec"):
        play(game, moons, 1)


def test_a_complex_term_is_named(moons):
    network = nn.Linear(2, 1)
    game = game_of(lambda batch: {"wave": torch.fft.fft(network(batch.x))}, network)
    with pytest.raises(TypeError, match="the a's wave is complex"):
        play(game, moons, 1)


# ---- Where an error was


def test_an_error_after_a_turn_says_whose_it_was_and_that_weights_have_moved(moons):
    network = nn.Linear(2, 1)

    def fail():
        raise ZeroDivisionError("of the reader's")

    game = game_of(lambda batch: {"t": network(batch.x)}, network, after=fail)
    before = weights(game)
    with pytest.raises(ZeroDivisionError, match="of the reader's") as caught:
        play(game, moons, 1)
    note = "This was after the weights had moved in a turn of the a, step 1."
    assert caught.value.__notes__ == [note]
    with pytest.raises(AssertionError):
        assert_same_weights(before, game)


def test_an_error_in_going_backward_says_whose_it_was(moons):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, slope):
            raise ZeroDivisionError("in the reader's backward")

    network = nn.Linear(2, 1)
    game = game_of(lambda batch: {"t": Broken.apply(network(batch.x))}, network)
    with pytest.raises(ZeroDivisionError) as caught:
        play(game, moons, 1)
    assert caught.value.__notes__ == ["This was in the gradients of the a, step 1."]


def test_a_weight_changed_within_an_objective_is_not_called_the_batch(moons):
    network = nn.Linear(2, 1)

    def clipped(batch):
        values = network(batch.x)
        network.weight.clamp_(-0.01, 0.01)
        return {"t": values}

    with pytest.raises(RuntimeError, match=r"batch or a weight in place, .* Turn\(\.\.\., after="):
        play(Game({"a": network}, [Turn("a", clipped)]), moons, 1)
