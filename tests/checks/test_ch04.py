"""Checks of chapter 4: right answers pass, and each wrong answer is named for what it is."""

import copy
import math
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn.functional import conv_transpose2d

from ganbook import networks
from ganbook.checks import Mistake, ch04


def stamp(x, kernel, stride, put=lambda old, new: old + new, flip=False, turn=False, extra=0):
    kernel = kernel.flip(0, 1) if flip else kernel.T if turn else kernel
    (height, width), size = x.shape, len(kernel)
    canvas = torch.zeros((height - 1) * stride + size + extra, (width - 1) * stride + size + extra)
    for i in range(height):
        for j in range(width):
            window = (slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            canvas[window] = put(canvas[window], x[i, j] * kernel)
    return canvas


def spoil(x, kernel, stride):
    right = stamp(x, kernel, stride)
    x.zero_()
    return right


def layers(
    inputs, outputs, *, kernel=4, padding=1, extra=0, eps=1e-5, scale=1.0, order="norm relu"
):
    norm = nn.BatchNorm2d(outputs, eps)
    nn.init.constant_(norm.weight, scale)
    parts = {"norm": norm, "relu": nn.ReLU()}
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding, extra),
        *[parts[name] for name in order.split()],
    )


def draw(generator, z, *, evaluate=True, graph=False, restore=True, always=None):
    was = generator.training
    if evaluate:
        generator.eval()
    with torch.set_grad_enabled(graph):
        images = generator(z)
    if restore:
        generator.train(was if always is None else always)
    return images


def slerp(a, b, steps, *, end=True, chord=False, straight=False):
    t = torch.linspace(0, 1, steps)[:, None] if end else torch.arange(steps)[:, None] / steps
    angle = torch.arccos(a @ b / (a.norm() * b.norm()))
    if straight or chord:
        path = torch.lerp(a, b, t)
        return path if straight else path / path.norm(dim=1, keepdim=True) * a.norm()
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def weighted(a, b, steps):
    """Keeps the length where a and b are at right angles, and only there."""
    t = torch.linspace(0, 1, steps)[:, None]
    return (1 - t).sqrt() * a + t.sqrt() * b


def the_long_way(a, b, steps):
    side = b - (a @ b) / (a @ a) * a
    side = side / side.norm() * a.norm()
    angle = torch.arccos(a @ b / (a.norm() * b.norm())) - 2 * math.pi
    t = torch.linspace(0, 1, steps)[:, None]
    return torch.cos(t * angle) * a + torch.sin(t * angle) * side


def as_if_at_right_angles(a, b, steps):
    t = torch.linspace(0, 1, steps)[:, None] * math.pi / 2
    return torch.cos(t) * a + torch.sin(t) * b


class Block(nn.Module):
    """Its layers are noted in another order than that in which they are called, and no nn.ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm = nn.BatchNorm2d(outputs)
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)

    def forward(self, x):
        return nn.functional.relu(self.norm(self.convolution(x)))


def conv_relu(a, b):
    return nn.ConvTranspose2d(a, b, 4, 2, 1), nn.ReLU()


def conv3(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())


def normed(a, b, norm):
    return nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), norm, nn.ReLU())


def ending(a, b, end):
    return nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), end)


def as_in_dcgan(a, b):
    found = layers(a, b)
    nn.init.normal_(found[0].weight, std=0.02)
    nn.init.normal_(found[1].weight, 1, 0.02)
    return found


def with_the_mode_of_the_top_alone(generator, z):
    was, images = generator.training, draw(generator, z, restore=False)
    generator.training = was
    return images


def with_frozen_weights(generator, z):
    return draw(generator.requires_grad_(False), z)


def with_gradients_off(generator, z):
    torch.set_grad_enabled(False)
    was, images = generator.training, generator.eval()(z)
    generator.train(was)
    return images


def with_another_momentum(generator, z):
    for layer in generator.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = 0.0
    return draw(generator, z)


def in_float64(generator, z):
    return draw(generator.double(), z.double())


def without_the_lengths(a, b, steps):
    t, angle = torch.linspace(0, 1, steps)[:, None], torch.arccos(a @ b)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def walk_that_scales_a(a, b, steps):
    path = slerp(a, b, steps)
    a /= a.norm()
    return path


def with_a_backward(generator, z):
    images = draw(generator, z, graph=True)
    images.sum().backward()
    return images.detach()


RIGHT = [
    (
        ch04.output_size,
        lambda size, kernel, stride, padding: (size - 1) * stride + kernel - 2 * padding,
    ),
    (
        ch04.output_size,
        lambda *case: torch.tensor(sum((case[0] * case[2], *case[1:2], -case[2])) - 2 * case[3]),
    ),
    (ch04.transposed, stamp),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s).double().numpy()),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s).tolist()),
    (
        ch04.transposed,
        lambda x, k, s: conv_transpose2d(x[None, None], k[None, None], stride=s)[0, 0],
    ),
    (ch04.weight_scale, lambda: 1 / 16),
    (ch04.weight_scale, lambda: Fraction(1, 16)),
    (ch04.weight_scale, lambda: (1 / 16,)),
    (ch04.weight_scale, lambda: torch.tensor(1 / 16, requires_grad=True)),
    (ch04.block, layers),
    (ch04.block, Block),
    (ch04.block, lambda a, b: nn.Sequential(nn.Upsample(scale_factor=2), conv3(a, b))),
    (ch04.block, lambda a, b: normed(a, b, nn.BatchNorm2d(b, affine=False))),
    (ch04.block, lambda a, b: normed(a, b, nn.BatchNorm2d(b, track_running_stats=False))),
    (ch04.block, as_in_dcgan),
    (ch04.sample, draw),
    (ch04.sample, lambda g, z: draw(g, z).cpu().numpy()),
    (ch04.sample, lambda g, z: copy.deepcopy(g).eval()(z).detach()),
    (ch04.walk, lambda a, b, n: slerp(a, b, n).double().numpy()),
    (ch04.walk, lambda a, b, n: (point for point in slerp(a, b, n))),
    (ch04.walk, slerp),
    (ch04.walk, networks.arc),
]

WRONG = [
    (ch04.output_size, lambda n, k, s, p: (n + 2 * p - k) // s + 1, "ordinary convolution"),
    (ch04.output_size, lambda n, k, s, p: n * s + k - 2 * p, "n - 1 gaps"),
    (ch04.output_size, lambda n, k, s, p: (n - 1) * s + k - p, "each of the two sides"),
    (ch04.output_size, lambda n, k, s, p: (n - 1) * s + k, "padding cuts .* no effect"),
    (ch04.output_size, lambda n, k, s, p: n * s, "not always"),
    (ch04.output_size, lambda n, k, s, p: n + 1, "torch gives"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, put=lambda old, new: new), "add them up"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, flip=True), "flipped"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, turn=True), "swapped"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, extra=1), "the shape should be"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, 1), "beyond its own pixel. The shape is"),
    (ch04.transposed, spoil, "changes its input"),
    (ch04.transposed, lambda x, k, s: 2 * stamp(x, k, s), "differ from torch"),
    (ch04.weight_scale, lambda: 1 / 256, "variance"),
    (ch04.weight_scale, lambda: 1 / 32, "quarter of the 16"),
    (ch04.weight_scale, lambda: 1 / 8, "more than once"),
    (ch04.weight_scale, lambda: math.sqrt(2) / 16, "factor 2"),
    (ch04.weight_scale, lambda: -1 / 16, "positive"),
    (ch04.weight_scale, lambda: 0.02, "scale of the paper"),
    (ch04.weight_scale, lambda: 0.06, "mean square 0.922"),
    (ch04.block, lambda a, b: layers(a, b, kernel=3), "2n - 1"),
    (ch04.block, lambda a, b: layers(a, b, eps=0.8), "eps, not momentum"),
    (ch04.block, lambda a, b: layers(a, b).eval(), "come in evaluation mode"),
    (ch04.block, lambda a, b: layers(a, b, scale=0.0), "belong around 1"),
    (ch04.block, lambda a, b: layers(a, b, scale=0.1), "start around 0"),
    (ch04.block, lambda a, b: layers(a, b, order="relu norm"), "before the ReLU"),
    (ch04.block, lambda a, b: layers(a, b, order="norm"), "no ReLU"),
    (ch04.block, lambda a, b: layers(a, b, order="relu"), "one nn.BatchNorm2d"),
    (ch04.block, lambda a, b: layers(a, b, order="relu norm relu"), "a ReLU before batch norm too"),
    (ch04.block, lambda a, b: layers(a, b, eps=0.1), "eps, not momentum"),
    (ch04.block, lambda a, b: nn.Sequential(nn.BatchNorm2d(a), *conv_relu(a, b)), "stands before"),
    (ch04.block, lambda a, b: ending(a, b, nn.GELU()), "no ReLU"),
    (ch04.block, lambda a, b: ending(a, b, nn.LeakyReLU(0.2)), "no ReLU"),
    (ch04.block, lambda a, b: ending(a, b, nn.ReLU6()), "large values are cut off"),
    (ch04.block, lambda a, b: normed(a, b, nn.InstanceNorm2d(b)), "normalised by itself"),
    (ch04.block, lambda a, b: normed(a, b, nn.GroupNorm(1, b)), "normalised by itself"),
    (ch04.block, lambda a, b: layers(6, 10), "a map of 3 channels does not pass"),
    (ch04.block, lambda a, b: nn.Sequential(nn.Upsample(14), conv3(a, b)), "must become 8x12"),
    (ch04.block, lambda a, b: Block, "the layers should give a tensor|raised TypeError"),
    (ch04.block, lambda a, b: layers(b, a), "does not pass"),
    (ch04.block, lambda a, b: layers(a, a), "channels must become 10"),
    (ch04.block, lambda a, b: list(layers(a, b)), "return a module, .* got list"),
    (ch04.block, lambda a, b: layers(a, b, kernel=5), "it becomes 15x15"),
    (ch04.block, lambda a, b: layers(a, b, kernel=(4, 5)), "it becomes 14x15"),
    (
        ch04.block,
        lambda a, b: layers(a, b, kernel=(3, 4), extra=(1, 0)),
        "4 to 2: a checkerboard",
    ),
    (
        ch04.block,
        lambda a, b: layers(a, b, kernel=(4, 3), extra=(0, 1)),
        "4 to 2: a checkerboard",
    ),
    (ch04.sample, lambda g, z: draw(g, z, evaluate=False), "running statistics"),
    (ch04.sample, lambda g, z: draw(g, z, graph=True), "no_grad"),
    (ch04.sample, lambda g, z: draw(g, z, restore=False), "left in evaluation mode"),
    (ch04.sample, lambda g, z: draw(g, z, always=True), "left training"),
    (ch04.sample, lambda g, z: draw(g, z)[:, 0], "the images: the shape"),
    (ch04.sample, lambda g, z: draw(g, z)[:1], "the images: the shape"),
    (ch04.sample, lambda g, z: 0 * draw(g, z), "not the images that the generator gives"),
    (ch04.sample, lambda g, z: draw(g, torch.randn_like(z)), "not the images"),
    (ch04.sample, with_the_mode_of_the_top_alone, "the layers in it have not"),
    (ch04.sample, with_frozen_weights, "left frozen"),
    (ch04.sample, with_gradients_off, "left switched off"),
    (ch04.sample, with_another_momentum, "a setting of a layer"),
    (ch04.sample, in_float64, "changed the weights"),
    (ch04.sample, with_a_backward, "changed the gradients"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n, straight=True), "straight line"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n, chord=True), "divide the angle"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n, end=False), "end at b"),
    (ch04.walk, lambda a, b, n: slerp(b, a, n), "start at a"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n)[1:], "the shape should be"),
    (ch04.walk, the_long_way, "long way round"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n) / a.norm(), "have length 1"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n, chord=True) / a.norm() * len(a) ** 0.5, "angle"),
    (ch04.walk, as_if_at_right_angles, "as long as a and b|end at b"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n).T, "the shape should be"),
    (ch04.walk, weighted, "as long as a and b"),
    (ch04.walk, without_the_lengths, "divided by both lengths"),
    (ch04.walk, walk_that_scales_a, "changes what it is given"),
]


def test_the_published_block_of_the_exercise_is_wrong_in_three_ways():
    def published(inputs, outputs):
        return nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(outputs, 0.8),
        )

    def first_mended(inputs, outputs):
        return nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(outputs, 0.8)
        )

    def second_mended(inputs, outputs):
        return nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs, 0.8), nn.ReLU()
        )

    for answer, names in (
        (published, "2n - 1"),
        (first_mended, "before the ReLU"),
        (second_mended, "eps"),
    ):
        with pytest.raises(Mistake, match=names):
            ch04.block(answer)


def test_sampling_in_training_mode_is_caught_where_nothing_is_tracked():
    def answer(generator, z):
        kept = {name: value.clone() for name, value in generator.state_dict().items()}
        was = generator.training
        generator.train()
        with torch.no_grad():
            images = generator(z)
        generator.load_state_dict(kept)
        generator.train(was)
        return images

    with pytest.raises(Mistake, match="what else is in the batch"):
        ch04.sample(answer)
