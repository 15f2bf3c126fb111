"""ganbook.networks: shapes, weights that are drawn again, recipes that rebuild, and sizes that
can't be."""

import copy
import math

import pytest
import torch
from torch import nn

from ganbook import GAN, data, losses, networks, penalties
from ganbook.device import DEVICE

MAKERS = {
    "points": (networks.mlp, {"width": 8, "depth": 2}),
    "points-copies": (networks.mlp, {"width": 8, "depth": 2, "fourier": 1.0, "copies": 3}),
    "mlp-images": (networks.mlp, {"shape": (3, 6, 5), "width": 8, "depth": 1}),
    "dcgan": (networks.dcgan, {"size": 16, "width": 4, "latent": 8}),
    "dcgan-spectral": (
        networks.dcgan,
        {"size": 16, "width": 4, "latent": 8, "spectral": True, "dropout": 0.3},
    ),
    "dcgan-mapping": (networks.dcgan, {"size": 16, "width": 4, "latent": 8, "mapping": 2}),
    "resnet": (networks.resnet, {"size": 16, "width": 4, "latent": 8}),
    "resnet-spectral": (
        networks.resnet,
        {"size": 16, "width": 4, "latent": 8, "spectral": True, "blocks": 2},
    ),
}
every_pair = pytest.mark.parametrize(("make", "settings"), MAKERS.values(), ids=MAKERS.keys())


def weights(network):
    return [weight.detach().clone() for weight in network.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# ---- What goes in and comes out


@pytest.mark.parametrize("make", [networks.dcgan, networks.resnet])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [10, 16, 28, 32, 64])
def test_images_are_drawn_of_the_size_asked_for_and_each_is_judged_by_one_logit(
    size, channels, make
):
    generator, discriminator = make(size=size, channels=channels, latent=5, width=4)
    images = generator(20 * torch.randn(3, 5, device=DEVICE))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


@pytest.mark.parametrize("shape", [(2,), (1,), (1, 28, 28), (3, 7, 5)])
def test_mlp_draws_samples_of_any_shape(shape):
    generator, discriminator = networks.mlp(shape=shape, latent=3, width=8)
    samples = generator(1000 * torch.randn(4, 3, device=DEVICE))
    assert samples.shape == (4, *shape)
    assert discriminator(samples).shape == (4,)
    assert (samples.abs().max() <= 1) == (len(shape) == 3)  # tanh for images, no bounds for points


def test_mlp_has_the_hidden_layers_that_were_asked_for():
    for network in networks.mlp(width=8, depth=4):
        shapes = [tuple(layer.weight.shape) for layer in network if isinstance(layer, nn.Linear)]
        assert len(shapes) == 5
        assert shapes[1:4] == [(8, 8)] * 3


def test_the_discriminator_judges_each_image_alone():
    _, discriminator = networks.dcgan(size=16, width=4)
    images = torch.rand(6, 1, 16, 16, device=DEVICE) * 2 - 1
    alone = torch.cat([discriminator(image[None]) for image in images])
    torch.testing.assert_close(discriminator(images), alone, rtol=1e-4, atol=1e-6)


def test_normalisation_and_activation_can_be_switched():
    def kinds(network):
        return {type(layer) for layer in network.modules()}

    plain, _ = networks.dcgan(size=16, width=4)
    assert {nn.BatchNorm2d, nn.ReLU} <= kinds(plain)
    bare, _ = networks.dcgan(size=16, width=4, norm=False)
    assert nn.BatchNorm2d not in kinds(bare)
    assert all(
        layer.bias is not None for layer in bare.modules() if isinstance(layer, nn.ConvTranspose2d)
    )
    generator, discriminator = networks.dcgan(size=16, width=4, activation="tanh")
    assert nn.ReLU not in kinds(generator) and nn.LeakyReLU not in kinds(discriminator)
    assert nn.Tanh in kinds(discriminator)
    generator, discriminator = networks.dcgan(size=16, width=4, norm=False, activation="none")
    z = torch.randn(2, 64, device=DEVICE)
    images = (
        discriminator(generator[:-1](z)),
        discriminator(generator[:-1](3 * z)),
        discriminator(generator[:-1](0 * z)),
    )
    # without any activation both networks are affine: so is all of it up to the tanh
    torch.testing.assert_close(
        images[1] - images[2], 3 * (images[0] - images[2]), rtol=1e-3, atol=1e-5
    )


# ---- Weights


def test_init_std_is_the_spread_of_every_weight_and_clears_the_biases():
    torch.manual_seed(0)
    for network in networks.dcgan(size=28, width=32, init_std=0.02):
        for layer in network.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                spread = layer.weight.std().item()
                assert spread == pytest.approx(
                    0.02, rel=0.3 if layer.weight.numel() < 1000 else 0.05
                )
                assert layer.bias is None or not layer.bias.any()


def test_without_init_std_activations_keep_their_size():
    assert all(
        layer.weight.std() > 0.02 for layer in networks.dcgan()[1] if isinstance(layer, nn.Conv2d)
    )


@every_pair
def test_drawing_again_gives_other_weights_and_the_same_seed_the_same(make, settings):
    for network in make(**settings):
        before = weights(network)
        torch.manual_seed(3)
        network.draw()
        first = weights(network)
        assert not same(before, first)
        torch.manual_seed(3)
        network.draw()
        assert same(first, weights(network))


def test_drawing_again_clears_what_batch_norm_has_seen():
    generator, _ = networks.dcgan(size=16, width=4)
    fresh = {name: value.clone() for name, value in generator.named_buffers()}
    generator(torch.randn(9, 64, device=DEVICE))
    assert any(not torch.equal(value, fresh[name]) for name, value in generator.named_buffers())
    generator.draw()
    assert all(torch.equal(value, fresh[name]) for name, value in generator.named_buffers())


@every_pair
def test_networks_are_fresh_until_something_changes_their_weights(make, settings):
    def optimise(network):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for weight in network.parameters():
            weight.grad = torch.ones_like(weight)
        optimizer.step()

    def first(network):
        return next(
            layer
            for layer in network.modules()
            if isinstance(layer, (nn.Linear, nn.Conv2d, networks.Linears))
        )

    changes = {
        "optimiser": optimise,
        "load_state_dict": lambda network: network.load_state_dict(
            make(**settings)[index].state_dict()
        ),
        "init": lambda network: nn.init.normal_(first(network).weight, std=0.02),
        "init of .data": lambda network: nn.init.normal_(first(network).weight.data, std=0.02),
        "other tensor": lambda network: setattr(
            first(network), "bias", nn.Parameter(first(network).bias + 1)
        ),
        "bias alone": lambda network: (
            first(network).bias.data.zero_() if first(network).bias is not None else 0
        ),
    }
    for index in (0, 1):
        for name, change in changes.items():
            network = make(**settings)[index]
            assert network.fresh
            network.to(DEVICE), network.train(), network.eval(), network.requires_grad_(False)
            assert network.fresh, "nothing has changed the weights"
            if name in ("other tensor", "bias alone") and first(network).bias is None:
                continue
            network.requires_grad_(True)
            change(network)
            assert not network.fresh, name


def test_looking_at_a_slice_of_the_layers_leaves_the_weights_alone():
    for network in networks.dcgan(size=16, width=4):
        before = weights(network)
        assert [type(layer) for layer in network[:2]] == [
            type(layer) for layer in list(network)[:2]
        ]
        assert same(before, weights(network)) and network.fresh


def test_a_copy_of_fresh_networks_is_fresh():
    pair = networks.mlp(width=4)
    assert all(network.fresh for network in copy.deepcopy(pair))


def test_a_game_keeps_weights_that_were_initialised_by_hand():
    generator, discriminator = networks.dcgan(size=16, width=4)
    for layer in generator.modules():  # as many a script writes it
        if isinstance(layer, nn.ConvTranspose2d):
            layer.weight.data.normal_(0.0, 0.02)
    before = weights(generator)
    GAN(generator, discriminator, seed=1)
    assert same(before, weights(generator))


# ---- Recipes


@every_pair
def test_a_recipe_rebuilds_the_pair(make, settings):
    pair = make(**settings)
    rebuilt = networks.rebuild(pair[0].recipe)
    for network, again in zip(pair, rebuilt, strict=True):
        assert str(network) == str(again)
        again.load_state_dict(network.state_dict())
        assert network.recipe == again.recipe and network.latent == again.latent
    z = torch.randn(3, pair[0].latent, device=DEVICE)
    torch.testing.assert_close(pair[0](z), rebuilt[0](z))


def test_a_recipe_holds_every_setting_the_defaults_too():
    name, settings = networks.dcgan(32, 3)[1].recipe
    assert name == "dcgan"
    assert settings == {
        "size": 32, "channels": 3, "latent": 64, "width": 32, "norm": True, "activation": "relu", "init_std": None,
        "classes": None, "condition": "projection", "g_condition": "concatenation",
            "spectral": False, "dropout": 0.0, "mapping": 0,
    }  # fmt: skip


# ---- Sizes that can't be


@pytest.mark.parametrize("size", [1, 4, 7, 8, 9, 18, 27, 30, 36, 100])
def test_a_size_that_cannot_be_halved_to_a_small_map_is_refused(size):
    with pytest.raises(
        ValueError, match=rf"size={size}: images are 4 to 8 pixels doubled once or more"
    ):
        networks.dcgan(size=size)


@pytest.mark.parametrize("name", ["size", "channels", "latent", "width"])
@pytest.mark.parametrize("value", [0, -3, 2.0, "8", None])
def test_dcgan_refuses_sizes_below_one_and_fractions(name, value):
    with pytest.raises(
        ValueError, match=rf"{name}={value!r}: it must be a whole number, 1 or more"
    ):
        networks.dcgan(**{name: value})


@pytest.mark.parametrize(
    "settings",
    [{"latent": 0}, {"width": 0}, {"depth": 0}, {"shape": (0,)}, {"shape": (1, 28, 2.5)}],
)
def test_mlp_refuses_sizes_below_one_and_fractions(settings):
    with pytest.raises(ValueError, match="it must be a whole number, 1 or more"):
        networks.mlp(**settings)


def test_an_unknown_activation_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="activation='gelu': there are 'relu', 'tanh' and 'none'"):
        networks.dcgan(activation="gelu")


def test_the_smallest_width_there_is_works():
    generator, discriminator = networks.dcgan(size=16, width=1, latent=1)
    assert discriminator(generator(torch.zeros(2, 1, device=DEVICE))).shape == (2,)


@pytest.mark.parametrize("shape", [(28, 28), 28, ()])
def test_mlp_says_which_shapes_there_are(shape):
    with pytest.raises(ValueError, match="points are"):
        networks.mlp(shape=shape)


# ---- Copies side by side


def one_copy(network, k):
    """A network on its own that has the weights of copy k."""
    layers = []
    for layer in network:
        if isinstance(layer, networks.Linears):
            alone = nn.Linear(*layer.weight.shape[1:])
            alone.load_state_dict({"weight": layer.weight[k].T, "bias": layer.bias[k, 0]})
            layers.append(alone)
        elif isinstance(layer, networks.FourierFeatures):
            count, scale = layer.frequencies.shape[-1], layer.scale
            alone = networks.FourierFeatures(layer.frequencies.shape[1], count, scale)
            alone.frequencies.copy_(layer.frequencies[k])
            layers.append(alone)
        elif not isinstance(layer, (networks.Dealt, networks.Gathered)):
            layers.append(layer)
    return nn.Sequential(*layers)


def test_copies_side_by_side_play_the_games_that_each_plays_alone():
    ring, copies, size = data.ring(), 3, 8
    z = torch.randn(40, size, copies, 16, device=DEVICE)
    settings = {
        "penalty": penalties.r1(1.0),
        "loss": losses.relativistic,
        "average": 0.9,
        "lr": 3e-3,
    }

    def game(pair, z):
        gan, draws = GAN(*pair, latent=16, **settings), iter(z)
        gan._z = lambda n: next(draws).reshape(n, 16)
        return gan

    together = game(networks.mlp(width=8, depth=2, fourier=1.0, copies=copies), z)
    alone = [
        game([one_copy(n, k) for n in (together.generator, together.discriminator)], z[:, :, k])
        for k in range(3)
    ]
    for turn in range(20):
        real = ring.sample(size * copies, seed=turn)
        together.d_step(real), together.g_step(real)
        for k, gan in enumerate(alone):
            gan.d_step(real[k::copies]), gan.g_step(real[k::copies])
    test = torch.randn(5 * copies, 16, device=DEVICE)
    points = together.decode(
        test, batch=4
    )  # parts that are no multiple of the copies would mix them up
    for k, gan in enumerate(alone):
        assert torch.allclose(points[k::copies], gan.decode(test[k::copies]), atol=1e-4)
    assert not torch.allclose(points[::copies], alone[1].decode(test[::copies]), atol=1e-2)


def test_several_discriminators_for_each_generator_are_copies_too():
    gan = GAN(networks.mlp(width=8, copies=2)[0], networks.mlp(width=8, copies=6)[1])
    next(gan.train(data.ring().batches(12), 1, progress=False))
    with pytest.raises(ValueError, match="multiple of 6; it has 8 rows"):
        next(GAN(*networks.mlp(copies=6)).train(data.ring().batches(8), 1, progress=False))


def test_each_copy_draws_weights_of_its_own_of_the_scale_of_a_dense_layer():
    layer, alone = networks.Linears(4, 30, 50), nn.Linear(30, 50)
    assert len({w.sum().item() for w in layer.weight}) == 4
    assert layer.weight.std().item() == pytest.approx(alone.weight.std().item(), rel=0.1)
    assert layer.bias.std().item() == pytest.approx(alone.bias.std().item(), rel=0.4)


def test_fourier_features_are_waves_of_the_drawn_frequencies():
    features = networks.FourierFeatures(2, 500, 3.0)
    assert features.frequencies.std().item() == pytest.approx(3.0, rel=0.1)
    x, step = torch.tensor([[0.3, -0.2]]), torch.tensor([[0.01, 0.0]])
    value, after = features(x), features(x + step)
    assert value.shape == (1, 1002) and torch.equal(value[:, :2], x)
    sines, cosines = value[:, 2:502], value[:, 502:]
    turned = 2 * torch.pi * 0.01 * features.frequencies[0]
    assert torch.allclose(after[:, 2:502], sines * turned.cos() + cosines * turned.sin(), atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"copies": 0}, {"fourier": 0.0}, {"fourier": -1.0}, {"activation": "tanh"}]
)
def test_mlp_says_what_is_wrong_with_its_settings(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        networks.mlp(**wrong)


# ---- Spectral norm, residual blocks, dropout


def settled(discriminator, x, calls=300):
    with torch.no_grad():
        for _ in range(calls):
            discriminator(x)
    return [layer for layer in discriminator.modules() if isinstance(layer, networks.SpectralNorm)]


@pytest.mark.parametrize(
    ("make", "shape"),
    [(networks.mlp, (6, 2)), (networks.dcgan, (6, 1, 28, 28)), (networks.resnet, (6, 1, 28, 28))],
    ids=["mlp", "dcgan", "resnet"],
)
def test_spectral_norm_divides_each_weight_by_its_largest_singular_value(make, shape):
    _, discriminator = make(width=8, spectral=True)
    x = torch.rand(shape, device=DEVICE)
    layers = settled(discriminator, x)
    assert len(layers) == sum(
        isinstance(m, (nn.Linear, nn.Conv2d)) for m in discriminator.modules()
    )
    for layer in layers:
        inputs = layer.layer.weight.shape[1]
        dense = isinstance(layer.layer, nn.Linear)
        probe = torch.rand((2, inputs) if dense else (2, inputs, 6, 6), device=DEVICE)
        bare = copy.deepcopy(layer.layer)
        with torch.no_grad():
            bare.weight /= torch.linalg.matrix_norm(bare.weight.flatten(1), 2)
        torch.testing.assert_close(layer(probe), bare(probe), rtol=1e-3, atol=1e-5)


def test_spectral_norm_has_the_gradient_of_torchs_own():
    torch.manual_seed(0)
    plain = nn.Linear(5, 4).to(DEVICE)
    ours, theirs = (
        networks.SpectralNorm(copy.deepcopy(plain)),
        torch.nn.utils.parametrizations.spectral_norm(plain),
    )
    x = torch.randn(3, 5, device=DEVICE)
    with torch.no_grad():
        for _ in range(300):
            ours(x), theirs(x)
    for layer in (ours, theirs):
        layer(x).square().sum().backward()
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.layer.weight.grad, theirs.parametrizations.weight.original.grad)


def test_each_copy_is_divided_by_its_own_singular_value_and_knows_its_slope():
    _, discriminator = networks.mlp(width=8, copies=3, spectral=True)
    for layer in settled(discriminator, torch.randn(6, 2, device=DEVICE)):
        norms = torch.linalg.matrix_norm(layer.layer.weight, 2)
        x = torch.randn(3, 4, layer.layer.weight.shape[1], device=DEVICE)
        flat = layer(x) - layer.layer.bias
        torch.testing.assert_close(
            flat, x @ (layer.layer.weight / norms[:, None, None]), rtol=1e-3, atol=1e-5
        )


def test_a_discriminator_with_spectral_norm_is_1_lipschitz():
    _, discriminator = networks.mlp(width=32, spectral=True)
    settled(discriminator, torch.randn(6, 2, device=DEVICE))
    x = (3 * torch.randn(500, 2, device=DEVICE)).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    assert slope.norm(dim=1).max() < 1 + 1e-3


def test_spectral_norm_settles_in_training_and_stands_still_in_evaluation():
    _, discriminator = networks.mlp(width=8, spectral=True)
    x = torch.randn(6, 2, device=DEVICE)
    discriminator.eval()
    first = discriminator(x)
    assert torch.equal(discriminator(x), first)
    discriminator.train()
    discriminator(x)
    discriminator.eval()
    assert not torch.equal(discriminator(x), first)


@pytest.mark.parametrize("make", [networks.mlp, networks.dcgan, networks.resnet])
def test_spectral_norm_refuses_labels(make):
    with pytest.raises(ValueError, match="games without labels"):
        make(classes=10, spectral=True)


@pytest.mark.parametrize("settings", [{}, {"spectral": True}, {"classes": 4}])
def test_a_residual_game_is_played_saved_and_goes_on(settings, tmp_path):
    def made():
        pair = networks.resnet(size=16, width=4, latent=8, **settings)
        return GAN(
            *pair,
            loss=losses.relativistic,
            penalty=penalties.total(penalties.r1(0.1), penalties.r2(0.1)),
        )

    torch.manual_seed(0)
    images = data.Images(torch.rand(16, 1, 16, 16) * 2 - 1, torch.arange(16) % 4)
    gan, batches = made(), images.batches(8)
    for _ in gan.train(batches, 2, progress=False):
        pass
    gan.save(tmp_path / "game")
    again = GAN.load(tmp_path / "game")
    for player in (gan, again):
        for _ in player.train(batches, 4, progress=False):
            pass
    assert torch.equal(gan.sample(5, seed=0), again.sample(5, seed=0))


def test_a_fresh_residual_block_is_its_shortcut_and_learns_to_be_more():
    block = networks.Block(3, 3).to(DEVICE)
    x = torch.randn(2, 3, 5, 5, device=DEVICE)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.gain.grad != 0


def test_dropout_stands_behind_every_hidden_layer_of_the_discriminator_alone():
    generator, discriminator = networks.dcgan(width=4, dropout=0.4)
    hidden = sum(isinstance(layer, nn.LeakyReLU) for layer in discriminator)
    assert [layer.p for layer in discriminator if isinstance(layer, nn.Dropout)] == [0.4] * hidden
    assert not any(isinstance(layer, nn.Dropout) for layer in generator)
    for wrong in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="at least 0 and below 1"):
            networks.dcgan(dropout=wrong)


def test_a_mapping_network_stands_between_z_and_the_first_map():
    plain, mapped = (networks.dcgan(width=4, latent=6, mapping=count)[0] for count in (0, 3))
    dense = [layer for layer in mapped if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in dense[:3]] == [(24, 6), (24, 24), (24, 24)]
    assert dense[3].weight.shape == (8 * 49, 24) and len(dense) == 4
    assert [str(layer) for layer in mapped[10:]] == [str(layer) for layer in plain[1:]]
    bare = networks.dcgan(width=4, latent=6, mapping=1, norm=False)[0]
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in bare)
    for wrong in (-1, 1.5, "2"):
        with pytest.raises(ValueError, match="whole number of layers"):
            networks.dcgan(mapping=wrong)
