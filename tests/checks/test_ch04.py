"""Checks of chapter 4: right answers pass, and each wrong answer is named for what it is."""

import math

import pytest
import torch
from torch import nn

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


RIGHT = [
    (
        ch04.output_size,
        lambda size, kernel, stride, padding: (size - 1) * stride + kernel - 2 * padding,
    ),
    (ch04.transposed, stamp),
    (ch04.weight_scale, lambda: 1 / 16),
    (ch04.block, layers),
    (ch04.sample, draw),
    (ch04.walk, slerp),
    (ch04.walk, networks.arc),
]

WRONG = [
    (ch04.output_size, lambda n, k, s, p: (n + 2 * p - k) // s + 1, "ordinary convolution"),
    (ch04.output_size, lambda n, k, s, p: n * s + k - 2 * p, "n - 1 gaps"),
    (ch04.output_size, lambda n, k, s, p: (n - 1) * s + k - p, "each of the two sides"),
    (ch04.output_size, lambda n, k, s, p: (n - 1) * s + k, "each of the two sides"),
    (ch04.output_size, lambda n, k, s, p: n * s, "not always"),
    (ch04.output_size, lambda n, k, s, p: n + 1, "torch gives"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, put=lambda old, new: new), "add them up"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, flip=True), "flipped"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, turn=True), "swapped"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s, extra=1), "the shape is"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, 1), "the shape is"),
    (ch04.transposed, spoil, "changes its input"),
    (ch04.transposed, lambda x, k, s: 2 * stamp(x, k, s), "differ from torch"),
    (ch04.transposed, lambda x, k, s: stamp(x, k, s).numpy(), "return a tensor; got ndarray"),
    (ch04.weight_scale, lambda: 1 / 256, "variance"),
    (ch04.weight_scale, lambda: 1 / 32, "quarter of the 16"),
    (ch04.weight_scale, lambda: 1 / 8, "more than once"),
    (ch04.weight_scale, lambda: math.sqrt(2) / 16, "factor 2"),
    (ch04.weight_scale, lambda: -1 / 16, "positive"),
    (ch04.weight_scale, lambda: 0.02, "mean square 0.1"),
    (ch04.block, lambda a, b: layers(a, b, kernel=3), "2n - 1"),
    (ch04.block, lambda a, b: layers(a, b, eps=0.8), "eps, not momentum"),
    (ch04.block, lambda a, b: layers(a, b, scale=0.0), "around 0"),
    (ch04.block, lambda a, b: layers(a, b, order="relu norm"), "before the ReLU"),
    (ch04.block, lambda a, b: layers(a, b, order="norm"), "no ReLU"),
    (ch04.block, lambda a, b: layers(a, b, order="relu"), "one nn.BatchNorm2d"),
    (ch04.block, lambda a, b: layers(b, a), "does not pass"),
    (ch04.block, lambda a, b: layers(a, a), "channels must become 10"),
    (ch04.block, lambda a, b: list(layers(a, b)), "return a module, .* got list"),
    (ch04.block, lambda a, b: layers(a, b, kernel=5), "it becomes 15x15"),
    (ch04.block, lambda a, b: layers(a, b, kernel=(4, 5)), "it becomes 14x15"),
    (
        ch04.block,
        lambda a, b: layers(a, b, kernel=(3, 4), extra=(1, 0)),
        "kernel 3 .* a checkerboard",
    ),
    (
        ch04.block,
        lambda a, b: layers(a, b, kernel=(4, 3), extra=(0, 1)),
        "kernel 3 .* a checkerboard",
    ),
    (ch04.sample, lambda g, z: draw(g, z, evaluate=False), "running statistics"),
    (ch04.sample, lambda g, z: draw(g, z, graph=True), "no_grad"),
    (ch04.sample, lambda g, z: draw(g, z, restore=False), "left in evaluation mode"),
    (ch04.sample, lambda g, z: draw(g, z, always=True), "left training"),
    (ch04.sample, lambda g, z: draw(g, z).cpu().numpy(), "return the images"),
    (ch04.sample, lambda g, z: draw(g, z)[:, 0], "return the images"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n, straight=True), "straight line"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n, chord=True), "divide the angle"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n, end=False), "end at b"),
    (ch04.walk, lambda a, b, n: slerp(b, a, n), "start at a"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n)[1:], "return a tensor"),
    (ch04.walk, lambda a, b, n: slerp(a, b, n).numpy(), "return a tensor"),
    (ch04.walk, weighted, "as long as a and b"),
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
            nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(outputs)
        )

    for answer, names in (
        (published, "2n - 1"),
        (first_mended, "eps"),
        (second_mended, "before the ReLU"),
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
