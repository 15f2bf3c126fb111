"""ganbook.sense: settings that make no sense together are told, and no others."""

import copy
import math
import re
import warnings

import games
import pytest
import torch
from games import Function, Labelled, play
from torch import nn

from ganbook import GAN, data, losses, networks, penalties, sense
from ganbook.losses import Loss

pytestmark = pytest.mark.usefixtures("deterministic")


SIGMOID = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid(), nn.Flatten(0))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.ReLU(), nn.Linear(2, 1)

    def forward(self, x):
        return self.last(self.first(x)).flatten(0)


class Careful(Discriminator):
    """It refuses the huge samples on which ganbook tries it, so nothing is known of its logits."""

    def forward(self, x):
        if x.abs().max() > 1000:
            raise ValueError("these are no samples of mine")
        return super().forward(x)


class SigmoidInForward(Discriminator):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


class SigmoidBehindTanh(nn.Module):
    """Its outputs, for any inputs, stay away from 0 and 1."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 8), nn.Linear(8, 1)

    def forward(self, x):
        return torch.sigmoid(self.last(self.first(x).tanh())).squeeze(1)


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


def layers(*inner):
    return nn.Sequential(nn.Linear(2, 8), *inner, nn.Linear(8, 1), nn.Flatten(0))


def with_a_bounded_bias():
    linear = nn.Linear(2, 1)
    nn.utils.parametrize.register_parametrization(linear, "bias", nn.Tanh())
    return nn.Sequential(linear, nn.Flatten(0))


def softmax_of_two_logits():
    second = Function(lambda shares: shares[:, 1])
    return nn.Sequential(nn.Linear(2, 2), nn.Softmax(1), second)


def softmax_then_identity():
    """Its outputs lie in [0, 1] and never touch 0."""
    return nn.Sequential(nn.Linear(2, 1), nn.Softmax(1), nn.Identity(), nn.Flatten(0))


def own_cross_entropy(real, fake):
    """On probabilities, as many scripts have it."""
    return -(real.clamp(min=1e-7).log() + (1 - fake).clamp(min=1e-7).log())


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
            (make, {"loss": loss}, f"ends in a {end}, but this loss takes logits")
            for make, end in (
                (probabilities, "sigmoid"),
                (SigmoidInForward, "sigmoid"),
                (SigmoidBehindTanh, "sigmoid"),
                (lambda: softmax_then_identity(), "softmax"),
                (lambda: softmax_of_two_logits(), "softmax"),
            )
            for loss in (losses.nonsaturating, losses.relativistic, losses.hinge)
        ],
        (
            lambda: Conditional(2, 1),
            {"loss": losses.minimax},
            "ends in a sigmoid, but this loss takes logits",
        ),
        *[
            (make, {"loss": losses.wasserstein}, "nothing bounds the slope")
            for make in (
                with_weight_norm,
                lambda: layers(nn.LayerNorm(8), nn.LeakyReLU()),
                lambda: layers(nn.Tanh()),
                lambda: with_a_bounded_bias(),
            )
        ],
        *[
            (norms, {"penalty": penalty}, "has batch norm, so each logit depends on the whole")
            for penalty in (penalties.r1(), penalties.wgan_gp(), lambda f, real, *_: f(real))
        ],
        *[
            (make, {"penalty": penalties.r1()}, "has batch norm, so each logit depends")
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


def orthogonal():
    linear = nn.utils.parametrizations.orthogonal(nn.Linear(2, 1))
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
        (orthogonal, {"loss": losses.wasserstein}),
        (ends_in_tanh, {"loss": losses.wasserstein}),
        (ends_in_tanh, {}),
        (Gated, {}),
        (norms, {}),
        (frozen_norms, {"penalty": penalties.r1()}),
        (norms, {"loss": losses.wasserstein, "penalty": penalties.clip(0.1)}),
        (probabilities, {"loss": losses.least_squares}),
        (probabilities, {"loss": Loss(own_cross_entropy, lambda real, fake: -fake.log())}),
        (Discriminator, {"loss": losses.hinge}),
        *[(Careful, {"loss": loss}) for loss in sense.LOGITS],
        (Careful, {"loss": losses.wasserstein, "penalty": penalties.clip(0.1)}),
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


class Called(nn.Sequential):
    """What is more than the layers stands in `__call__`."""

    def __call__(self, x):
        return 3 * super().__call__(x)


class Logits(nn.Sequential):
    def forward(self, x):
        return torch.logit(super().forward(x))


def hooked(*layers):
    layers = nn.Sequential(*layers)
    layers.register_forward_hook(lambda layer, inputs, output: 3 * output)
    return layers


@pytest.mark.parametrize("scaled", [Thrice, Called, hooked, lambda *n: nn.Sequential(Thrice(*n))])
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
        (nn.Tanh(), -1.53, 1.0),
        (nn.Sigmoid(), 0.0, 1.6),
        (nn.Sigmoid(), -1, 1),
        (Function(torch.tanh), 0.0, 255.0),
        (nn.Sequential(nn.LayerNorm(256), Function(torch.tanh)), 0.0, 255.0),
    ],
)
def test_images_that_the_generator_can_not_reach_are_refused(end, low, high):
    with pytest.raises(ValueError, match=r"must lie in \[(-1|0), 1\], as the generator's do"):
        play(images(end), batches(low, high), 2)


@pytest.mark.parametrize(
    ("end", "low", "high"),
    [
        (nn.Tanh(), -1.05, 1.0),  # noise on the images
        (nn.Tanh(), -1.002, 1.0),
        (nn.Tanh(), -1.0, 1.49),
        (nn.Sigmoid(), -0.49, 0.49),
        (Function(lambda x: 1.0 * torch.tanh(x)), -1.6, 1.0),
        (Function(lambda x: (torch.tanh(x) + 1) / 2), -1.0, 1.0),
    ],
)
def test_images_a_little_beyond_or_beyond_what_was_seen_are_warned_of(end, low, high):
    """A learned factor behind the tanh is 1 at first, and grows."""
    with pytest.warns(
        UserWarning, match=r"must lie in \[(-1|0), 1\].*, so the generator can't draw all"
    ):
        play(images(end), batches(low, high), 2)


@pytest.mark.parametrize(
    ("end", "low", "high"),
    [
        (nn.Tanh(), -1.0, 0.95),
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
