"""Checks of chapter 4, DCGAN."""

import itertools
import math
import random

import torch
from torch import nn
from torch.nn.functional import conv_transpose2d

from ganbook.checks import (
    Mistake,
    exercise,
    guarded,
    near,
    number,
    on_copies,
    recognise,
    require,
    same,
    tensor,
)
from ganbook.device import DEVICE


@exercise("4.1")
def output_size(answer):
    """Asks torch. A mistake is named if it explains every case."""
    cases = [(7, 4, 2, 1)]
    while len(cases) < 40:
        case = random.randint(2, 12), random.randint(1, 7), random.randint(1, 4)
        padding = random.randint(0, case[1] - 1)
        if (case[0] - 1) * case[2] + case[1] - 2 * padding >= 1:
            cases.append((*case, padding))
    found = [number(answer(*case)) for case in cases]
    right = [_painted(*case) for case in cases]
    for wrong, message in (
        (
            lambda n, k, s, p: (n + 2 * p - k) // s + 1,
            "this is the size after an ordinary convolution, which shrinks",
        ),
        (
            lambda n, k, s, p: (n + 2 * p - k) / s + 1,
            "this is the size after an ordinary convolution, which shrinks",
        ),
        (
            lambda n, k, s, p: n * s - 2 * p + k,
            "n pixels have n - 1 gaps: the last stamp starts at (size - 1) * stride",
        ),
        (lambda n, k, s, p: (n - 1) * s + k, "padding cuts pixels away, and here it has no effect"),
        (
            lambda n, k, s, p: (n - 1) * s + k - p,
            "padding cuts away `padding` pixels on each of the two sides",
        ),
        (
            lambda n, k, s, p: (n - 1) * s + k + 2 * p,
            "padding cuts pixels away here. It adds none: that is an ordinary convolution's",
        ),
        (
            lambda n, k, s, p: (n - 1) * s + k - 2 * p - 1,
            "one pixel short: a stamp that starts at pixel 0 ends before pixel `kernel`",
        ),
        (
            lambda n, k, s, p: (n - 1) * s + k - 2 * p + 1,
            "one pixel too many: the pixels are counted from 0",
        ),
        (
            lambda n, k, s, p: (n - 1) * s - 2 * p,
            "the last stamp is `kernel` wide: that is missing",
        ),
        (
            lambda n, k, s, p: (n - 1) * s + 1 - 2 * p,
            "the last stamp is `kernel` wide, not one pixel",
        ),
        (
            lambda n, k, s, p: (n - 1) * k + s - 2 * p,
            "the stamps are `stride` apart and `kernel` wide: the two have changed places",
        ),
        (lambda n, k, s, p: n * s, "true for kernel 4, stride 2, padding 1, but not always"),
        (lambda n, k, s, p: 2 * n, "true for kernel 4, stride 2, padding 1, but not always"),
        (lambda n, k, s, p: 14, "this is the size for one case. Write it for all, in letters"),
    ):
        if all(value == wrong(*case) for value, case in zip(found, cases, strict=True)):
            i = next(i for i in range(len(cases)) if found[i] != right[i])
            require(False, f"{message} ({_case(cases[i])}: torch gives {right[i]})")
    for value, truth, case in zip(found, right, cases, strict=True):
        require(value == truth, f"{_case(case)}: you say {value:g}, torch gives {truth}")


def _painted(size, kernel, stride, padding):
    x, weight = torch.empty(1, 1, size, size), torch.empty(1, 1, kernel, kernel)
    return conv_transpose2d(x, weight, stride=stride, padding=padding).shape[-1]


def _case(case):
    return "size {}, kernel {}, stride {}, padding {}".format(*case)


@exercise("4.2")
def transposed(answer):
    """Asks torch, for images and strides of several kinds."""
    for height, width, size, stride in [
        (3, 3, 4, 2),
        (2, 5, 3, 2),
        (4, 2, 3, 1),
        (3, 4, 2, 3),
        (1, 3, 3, 2),
    ]:
        x, kernel = torch.randn(height, width), torch.randn(size, size)
        case = f"x of {height}x{width}, kernel {size}x{size}, stride {stride}"
        given = x.clone(), kernel.clone()
        found = answer(*given, stride)
        for name, was, now in zip(("x", "kernel"), (x, kernel), given, strict=True):
            require(
                torch.equal(was, now),
                f"your function changes its input {name}: write into a new tensor",
            )

        def paint(x, kernel, stride=stride):
            return conv_transpose2d(
                x[None, None].double(), kernel[None, None].double(), None, stride
            )[0, 0]

        right = paint(x, kernel)
        shape = tuple(getattr(found, "shape", ()))
        for wrong, message in (
            (right.T.shape, "height and width have changed places"),
            ((height * stride, width * stride), "the last stamp reaches beyond its own pixel"),
            (paint(x, kernel, 1).shape, "`stride` has no effect: the stamps are that far apart"),
            ((1, 1, *right.shape), "an image of two dimensions, (H, W), is asked for"),
            (tuple(n - 2 for n in right.shape), "without padding nothing is cut off"),
        ):
            require(
                shape != wrong or shape == right.shape,
                f"{case}: {message}. The shape is {shape}, it must be {tuple(right.shape)}",
            )
        found = tensor(found, tuple(right.shape), case)
        overwritten, largest = torch.zeros_like(right), torch.full_like(right, -math.inf)
        for i, j in itertools.product(range(height), range(width)):
            place = slice(i * stride, i * stride + size), slice(j * stride, j * stride + size)
            overwritten[place] = (x[i, j] * kernel).double()
            largest[place] = torch.maximum(largest[place], (x[i, j] * kernel).double())
        stamps = paint(torch.ones_like(x), torch.ones_like(kernel))
        recognise(
            found,
            (paint(x, kernel.flip(0, 1)), "your kernel is flipped: stamp it as it is"),
            (paint(x, kernel.flip(0)), "your kernel is flipped: stamp it as it is"),
            (paint(x, kernel.flip(1)), "your kernel is flipped: stamp it as it is"),
            (paint(x, kernel.T), "rows and columns of the kernel are swapped"),
            (
                overwritten,
                "where two stamps overlap, the later one replaces the earlier one:"
                " add them up (+=)",
            ),
            (
                largest.clamp(min=0),
                "where two stamps overlap, the larger one is left: add them up (+=)",
            ),
            (
                right / stamps.clamp(min=1),
                "where stamps overlap you take their mean: add them up, and leave it at that",
            ),
            (
                paint(torch.ones_like(x), kernel),
                "the pixels' own values have no effect: a stamp is x[i, j] * kernel",
            ),
            (
                paint(x, torch.ones_like(kernel)),
                "the kernel's values have no effect: a stamp is x[i, j] * kernel",
            ),
            (-right, "the sign is turned"),
            (0 * right, "nothing is stamped: all pixels are 0"),
            truth=right,
        )
        same(
            found,
            right,
            f"{case}: the numbers differ from torch's by up to {(found - right).abs().max():.2g}",
        )


@exercise("4.3")
def weight_scale(answer):
    """Counts the weights that reach an output pixel by stamping ones."""
    value = number(answer())
    require(value > 0, f"a standard deviation is positive; got {value:.4g}")
    ones = torch.ones(1, 64, 7, 7), torch.ones(64, 1, 4, 4)
    terms = conv_transpose2d(*ones, stride=2, padding=1)[0, 0, 7, 7].item()
    for wrong, message in (
        (1 / terms, "this is the variance of a weight: its standard deviation is the root"),
        (
            math.sqrt(1 / 1024),
            "with stride 2 only a quarter of the 16 weights of a kernel reach one output pixel",
        ),
        (
            math.sqrt(1 / 64),
            "each input channel reaches an output pixel more than once:"
            " count the weights of the kernel that hit it",
        ),
        (
            1 / 64,
            "an output is a sum over channels and over the weights of a kernel that hit it,"
            " and a standard deviation is a root",
        ),
        (1 / 2, "an output is a sum over 64 channels: they are missing"),
        (1 / 4, "an output is a sum over 64 channels: they are missing"),
        (
            math.sqrt(2 / terms),
            "the inputs have mean square 1 as they are: no factor 2 for the ReLU",
        ),
        (math.sqrt(terms), "turn it over: the more terms, the smaller the weights"),
        (terms, "this is how many terms a sum has. How large may each be?"),
        (1 / 1024, "this is a variance, and not all 16 weights reach the same output pixel"),
        (0.02, "this is the scale of the paper, for layers of other widths"),
    ):
        require(abs(value / wrong - 1) > 0.02, message)
    size = terms * value**2
    require(
        0.98 < size < 1.02,
        f"with {value:.4g}, inputs of mean square 1 come out with mean square {size:.3g}",
    )


@exercise("4.4")
def block(answer):
    """Judges what comes out of the layers, however they are made, never what they are made of.

    Where batch norm stands between convolution and ReLU, layers(x) - layers(-x) is what the ReLU
    was given, and multiplying x by 10 changes nothing.
    """
    layers = _layers(answer(6, 10))
    x = 3 * torch.randn(64, 6, 7, 7)
    out = _map(layers, x, 10)
    require(
        out.shape[2:] != (13, 13),
        "7 pixels become 13, and 28 would never be reached:"
        " kernel 3 with stride 2 gives 2n - 1, and overlaps unevenly",
    )
    require(
        out.shape[2:] == (14, 14),
        f"7x7 must become 14x14; it becomes {out.shape[2]}x{out.shape[3]}",
    )
    require(torch.isfinite(out), "what comes out is not finite")
    require(
        (out != 0).any(),
        "all that comes out is 0. Do the scales of batch norm start at 0?"
        " The layer begins by wiping out its input. They belong around 1",
    )
    lowest = out.amin((0, 2, 3), keepdim=True)
    at_lowest = (out <= lowest + 1e-4 * out.std()).double().mean((0, 2, 3)).min().item()
    require(
        (lowest >= 0).all() or at_lowest < 0.1,
        "batch norm comes before the ReLU, not after it: values below 0 come out",
    )
    require(
        (lowest >= 0).all() and at_lowest > 0.1,
        "there is no ReLU at the end: half of the values should be cut off at 0",
    )
    one_larger = x.clone()
    one_larger[:, 0] *= 10
    require(
        not torch.allclose(_map(layers, one_larger, 10), out, atol=1e-2),
        "batch norm stands before the convolution: it belongs between convolution and ReLU",
    )
    mirrored = _map(layers, -x, 10)
    neither = ((out == 0) & (mirrored == 0)).double().mean().item()
    require(neither < 0.1, "there is a ReLU before batch norm too. It belongs after it alone")
    before = out - mirrored  # what the ReLU was given
    larger = _map(layers, 10 * x, 10) - _map(layers, -10 * x, 10)
    spread, grown = before.std((0, 2, 3)), larger.std((0, 2, 3))
    ratio = (grown / spread.clamp(min=1e-12)).median().item()
    require(
        ratio < 5,
        "nothing is normalised: one nn.BatchNorm2d belongs between convolution and ReLU",
    )
    require(
        ratio < 1.03,
        "the output is not of unit variance: what is eps of your batch norm?"
        " The second argument of nn.BatchNorm2d is eps, not momentum, and it is added to every"
        " variance",
    )
    others = torch.cat([x[:1], 5 * x[1:]])
    require(
        not torch.allclose(_map(layers, others, 10)[0], out[0], atol=1e-2),
        "each image is normalised by itself: batch norm takes its statistics over the batch",
    )
    require(
        spread.mean() > 0.5,
        "the scales of batch norm start around 0:"
        " the layer begins by wiping out its input. They belong around 1",
    )
    require(
        0.7 < spread.mean() < 1.4,
        f"what the ReLU gets should have standard deviation 1; it has {spread.mean():.2g}",
    )
    one_bright = torch.cat([100 * x[:1], x[1:]])
    require(
        _map(layers, one_bright, 10).max() > 8 * spread.mean(),
        "large values are cut off too: a ReLU cuts off those below 0 alone",
    )
    hits = _hits(layers, x)
    require(
        max(hits) < 2 * min(hits),
        "some output pixels are reached by more stamps than their neighbours,"
        f" {max(hits)} to {min(hits)}: a checkerboard."
        " The kernel should be a multiple of the stride",
    )
    found = _map(_layers(answer(3, 5)), torch.randn(2, 3, 4, 6), 5)
    require(
        found.shape[2:] == (8, 12),
        f"a map of 4x6 must become 8x12; it becomes {found.shape[2]}x{found.shape[3]}",
    )


def _layers(layers):
    require(
        not isinstance(layers, (list, tuple)),
        f"return a module, nn.Sequential(...); got {type(layers).__name__}",
    )
    if isinstance(layers, nn.Module):
        require(
            all(layer.training for layer in layers.modules()),
            "the layers come in evaluation mode, in which batch norm takes no statistics from"
            " the batch: leave out .eval()",
        )
        layers.train()
    return guarded(layers, "what you return")


def _map(layers, x, channels):
    try:
        out = layers(x.clone())
    except Mistake as mistake:
        raise Mistake(
            f"a map of {x.shape[1]} channels does not pass through the layers: {mistake}"
        ) from mistake.__cause__
    require(
        isinstance(out, torch.Tensor) and out.ndim == 4,
        "the layers should give a tensor (N, outputs, 2 H, 2 W)",
    )
    require(
        out.shape[1] == channels,
        f"{x.shape[1]} channels must become {channels}; they become {out.shape[1]}",
    )
    return out.detach().cpu()


def _hits(layers, x):
    """By how many input pixels each of four neighbouring output pixels is reached."""
    x = x.clone().requires_grad_()
    out = layers(1 * x)
    if not out.requires_grad:
        raise Mistake("no gradient comes through the layers: they could not be trained")
    hits = []
    for i, j in itertools.product((6, 7), repeat=2):
        reached = torch.zeros(7, 7)
        for image in range(4):
            (slope,) = torch.autograd.grad(out[image, :, i, j].sum(), x, retain_graph=True)
            reached = torch.maximum(reached, slope[image].abs().amax(0))
        hits.append(int((reached > 0.02 * reached.max()).sum()))
    return hits


class _Painter(nn.Module):
    """A small generator with batch norm in two depths."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU())
        self.last = nn.Sequential(nn.Linear(32, 48), nn.BatchNorm1d(48))

    def forward(self, z):
        return self.last(self.first(z)).view(-1, 3, 4, 4).tanh()


@exercise("4.5")
def sample(answer):
    """Compares with the generator in evaluation mode, and all of its state with what it was."""
    generator = _Painter().to(DEVICE)
    for _ in range(3):
        generator(2 * torch.randn(32, 64, device=DEVICE)).square().mean().backward()
    for training, n in ((True, 6), (False, 6), (True, 1), (False, 3)):
        z = torch.randn(n, 64, device=DEVICE)
        with torch.no_grad():
            right = generator.eval()(z).double().cpu()
        generator.train(training)
        before = _state(generator)
        given = z.clone()
        images = answer(generator, given)
        after = _state(generator)
        for name, message in (
            ("parameters", "sampling changed the weights"),
            (
                "buffers",
                "sampling changed the running statistics of batch norm:"
                " the generator was in training mode",
            ),
            (
                "settings",
                "sampling changed a setting of a layer, batch norm's momentum for example:"
                " put it back",
            ),
            ("gradients", "sampling changed the gradients of the weights"),
            ("needs", "the weights are left frozen: requires_grad is not what it was"),
        ):
            require(
                all(_equal(x, y) for x, y in zip(before[name], after[name], strict=True)), message
            )
        found = tensor(images, tuple(right.shape), "the images")
        if not near(found, right, atol=1e-3):
            generator.train()
            with torch.no_grad():
                busy = n > 1 and near(found, generator(z).double().cpu(), atol=1e-3)
            require(
                not busy,
                "an image depends on what else is in the batch: the generator was in training mode",
            )
            require(False, "these are not the images that the generator gives in evaluation mode")
        require(
            not (isinstance(images, torch.Tensor) and images.requires_grad),
            "the images drag a graph along: sample under torch.no_grad()",
        )
        require(torch.equal(z, given), "your function changes z")
        require(
            not answer.leaves_gradients_off,
            "gradients are left switched off for all that comes after:"
            " use `with torch.no_grad():`, which switches them on again",
        )
        modes = after["modes"]
        require(
            modes[0] == training,
            "the generator was training and is left in evaluation mode:"
            " training would go on without batch statistics"
            if training
            else "the generator was in evaluation mode and is left training",
        )
        require(
            all(mode == training for mode in modes),
            "the generator has its mode back, but the layers in it have not:"
            " generator.train(mode) sets them all, generator.training = mode does not",
        )


def _state(generator):
    parameters = list(generator.parameters())
    return {
        "buffers": [value.clone() for value in generator.buffers()],
        "parameters": [value.detach().clone() for value in parameters],
        "gradients": [None if x.grad is None else x.grad.clone() for x in parameters],
        "needs": [x.requires_grad for x in parameters],
        "modes": [module.training for module in generator.modules()],
        "settings": [
            {k: v for k, v in vars(module).items() if k[0] != "_" and k != "training"}
            for module in generator.modules()
        ],
    }


def _equal(x, y):
    if isinstance(x, torch.Tensor) and y is not None:
        return x.dtype == y.dtype and torch.equal(x, y)
    return x is y or (isinstance(x, dict) and x == y)


@exercise("4.6")
def walk(answer):
    """Compares with the arc turned from a by equal parts of the angle."""
    for n, steps, length, cosine in [
        (64, 9, 8.0, 0.1),
        (16, 5, 4.0, -0.5),
        (64, 2, 8.0, 0.2),
        (3, 7, 2.5, 0.8),
    ]:
        a, side = torch.randn(2, n).double()
        a = a / a.norm()
        side = side - (side @ a) * a
        side = side / side.norm()
        angle = math.acos(cosine)

        def arc(angles, a=a, side=side, length=length):
            return length * (angles.cos()[:, None] * a + angles.sin()[:, None] * side)

        t = torch.linspace(0, 1, steps).double()
        right = arc(t * angle)
        a, b = right[0], right[-1]
        path = tensor(on_copies(answer, a.float(), b.float(), steps), (steps, n))
        require(
            torch.isfinite(path),
            "the points are not finite:"
            " is the cosine of your angle a @ b, divided by both lengths?",
        )
        straight = torch.lerp(a, b, t[:, None])
        if steps > 2:
            recognise(
                path,
                (
                    straight,
                    "this is the straight line:"
                    " in its middle z is too short for the generator to know",
                ),
                (
                    length * straight / straight.norm(dim=1, keepdim=True),
                    "the points lie on the arc, but not at equal angles:"
                    " divide the angle, not the chord",
                ),
                (
                    arc(t * (angle - 2 * math.pi)),
                    "this is the long way round the sphere: the angle between a and b is less"
                    " than half a turn",
                ),
                (right.flip(0), "the walk must start at a, and end at b"),
                (right / length, "these points have length 1. They should be as long as a and b"),
                (
                    right * math.sin(angle),
                    "the sine of the angle is missing below the line",
                ),
                truth=right,
            )
        slack = 2e-3 * length
        require(near(path[0], a, 0, slack), "the walk must start at a")
        require(
            near(path[-1], b, 0, slack),
            "the walk must end at b, with b itself as the last of the steps",
        )
        lengths = path.norm(dim=1) / length
        require(
            (lengths - 1).abs() < 2e-3,
            f"all points should be as long as a and b; yours are {lengths.min():.3f} to"
            f" {lengths.max():.3f} times that",
        )
        cosines = torch.nn.functional.cosine_similarity(path[1:], path[:-1], dim=1).clamp(-1, 1)
        angles = torch.arccos(cosines)
        require(
            angles.max() - angles.min() < 0.02,
            "the points lie on the arc, but not at equal angles: divide the angle, not the chord",
        )
        require(
            near(path, right, 0, slack),
            "the points are as long as a and b and equally far apart, but not on the arc between"
            " them",
        )
