"""Checks of chapter 4, DCGAN."""

import copy
import math
import random

import torch
from torch import nn
from torch.nn.functional import conv_transpose2d

from ganbook import networks
from ganbook.checks import Mistake, exercise, require


@exercise("4.1")
def output_size(answer):
    """`answer(size, kernel, stride, padding)`: a transposed convolution's pixels along a side."""
    draw = random.Random(0)
    for _ in range(30):
        kernel = draw.randint(1, 7)
        size, stride, padding = (
            draw.randint(2, 12),
            draw.randint(1, 4),
            draw.randint(0, (kernel - 1) // 2),
        )
        case = f"size {size}, kernel {kernel}, stride {stride}, padding {padding}"
        got = answer(size, kernel, stride, padding)
        x, weight = torch.empty(1, 1, size, size), torch.empty(1, 1, kernel, kernel)
        right = conv_transpose2d(x, weight, stride=stride, padding=padding).shape[-1]
        if got == right:
            continue
        require(
            got != (size + 2 * padding - kernel) // stride + 1,
            "this is the size after an ordinary convolution, which shrinks"
            f" ({case}: torch gives {right})",
        )
        require(
            got != size * stride - 2 * padding + kernel,
            "n pixels have n - 1 gaps:"
            f" the last stamp starts at (size - 1) * stride ({case}: torch gives {right})",
        )
        require(
            got != (size - 1) * stride + kernel and got != (size - 1) * stride - padding + kernel,
            "padding cuts away `padding` pixels on each of the two sides"
            f" ({case}: torch gives {right})",
        )
        require(
            got != size * stride,
            f"true for kernel 4, stride 2, padding 1, but not always ({case}: torch gives {right})",
        )
        require(False, f"{case}: you say {got}, torch gives {right}")


@exercise("4.2")
def transposed(answer):
    """`answer(x, kernel, stride)`: the stamps of all pixels of x added up, no padding.

    x is (H, W), kernel (K, K).
    """
    random_state = torch.Generator().manual_seed(0)
    for height, width, size, stride in [(3, 3, 4, 2), (2, 5, 3, 2), (4, 2, 3, 1), (3, 4, 2, 3)]:
        x = torch.randn(height, width, generator=random_state)
        kernel = torch.randn(size, size, generator=random_state)
        before = x.clone()
        got = answer(x, kernel, stride)
        require(
            torch.equal(x, before), "your function changes its input x: write into a new tensor"
        )
        right = conv_transpose2d(x[None, None], kernel[None, None], stride=stride)[0, 0]
        case = f"x of {height}x{width}, kernel {size}x{size}, stride {stride}"
        require(isinstance(got, torch.Tensor), f"return a tensor; got {type(got).__name__}")
        require(
            got.shape == right.shape,
            f"{case}: the shape is {tuple(got.shape)}, it must be {tuple(right.shape)}",
        )
        if torch.allclose(got, right, atol=1e-5):
            continue
        flipped = conv_transpose2d(x[None, None], kernel.flip(0, 1)[None, None], stride=stride)[
            0, 0
        ]
        require(
            not torch.allclose(got, flipped, atol=1e-5), "your kernel is flipped: stamp it as it is"
        )
        turned = conv_transpose2d(x[None, None], kernel.T[None, None], stride=stride)[0, 0]
        require(
            not torch.allclose(got, turned, atol=1e-5), "rows and columns of the kernel are swapped"
        )
        overwritten = torch.zeros_like(right)
        for i in range(height):
            for j in range(width):
                overwritten[i * stride : i * stride + size, j * stride : j * stride + size] = (
                    x[i, j] * kernel
                )
        require(
            not torch.allclose(got, overwritten, atol=1e-5),
            "where two stamps overlap, the later one replaces the earlier one: add them up (+=)",
        )
        require(
            False,
            f"{case}: the numbers differ from torch's by up to {(got - right).abs().max():.2g}",
        )


@exercise("4.3")
def weight_scale(answer):
    """`answer()`: the standard deviation of weights that keep the mean square of the inputs."""
    value = float(answer())
    near = lambda wrong: abs(value - wrong) < 0.02 * wrong  # noqa: E731
    require(value > 0, f"a standard deviation is positive; got {value:.4g}")
    require(
        not near(1 / 256), "this is the variance of a weight: its standard deviation is the root"
    )
    require(
        not near(math.sqrt(1 / 1024)),
        "with stride 2 only a quarter of the 16 weights of a kernel reach one output pixel",
    )
    require(
        not near(math.sqrt(1 / 64)),
        "each input channel reaches an output pixel more than once:"
        " count the weights of the kernel that hit it",
    )
    require(
        not near(math.sqrt(2 / 256)),
        "the inputs have mean square 1 as they are: no factor 2 for the ReLU",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.ConvTranspose2d(64, 256, 4, stride=2, padding=1, bias=False)
        nn.init.normal_(layer.weight, std=value)
        with torch.no_grad():
            output = layer(torch.randn(64, 64, 7, 7))[:, :, 2:-2, 2:-2]
    size = output.square().mean().item()
    require(
        0.9 < size < 1.1,
        f"with {value:.4g}, inputs of mean square 1 come out with mean square {size:.3g}",
    )


@exercise("4.4")
def block(answer):
    """`answer(inputs, outputs)`: layers that double a map, normalise it and apply a ReLU.

    The map is (N, inputs, H, W).
    """
    layers = answer(6, 10)
    require(
        isinstance(layers, nn.Module),
        f"return a module, nn.Sequential(...); got {type(layers).__name__}",
    )
    x = torch.randn(16, 6, 7, 7, generator=torch.Generator().manual_seed(0))
    try:
        out = layers(x)
    except RuntimeError as error:
        raise Mistake(f"a map of 6 channels does not pass through the layers: {error}") from error
    require(out.shape[1] == 10, f"6 channels must become 10; they become {out.shape[1]}")
    require(
        out.shape[2:] != (13, 13),
        "7 pixels become 13, and 28 would never be reached:"
        " kernel 3 with stride 2 gives 2n - 1, and overlaps unevenly",
    )
    require(
        out.shape[2:] == (14, 14),
        f"7x7 must become 14x14; it becomes {out.shape[2]}x{out.shape[3]}",
    )
    norms = [layer for layer in layers.modules() if isinstance(layer, nn.BatchNorm2d)]
    require(
        len(norms) == 1,
        f"one nn.BatchNorm2d belongs between convolution and ReLU; there are {len(norms)}",
    )
    require(
        norms[0].eps < 1e-2,
        f"batch norm has eps={norms[0].eps}:"
        " the second argument of nn.BatchNorm2d is eps, not momentum."
        " It is added to every variance, so the output is no longer of unit variance",
    )
    require(
        norms[0].weight.mean() > 0.5,
        "the scales of batch norm start around 0:"
        " the layer begins by wiping out its input. They belong around 1",
    )
    convolution = next(layer for layer in layers.modules() if isinstance(layer, nn.ConvTranspose2d))
    for kernel, stride in zip(convolution.kernel_size, convolution.stride, strict=True):
        require(
            kernel % stride == 0,
            f"kernel {kernel} is not a multiple of stride {stride}: a checkerboard",
        )
    kinds = [type(layer) for layer in layers.modules()]
    require(nn.ReLU in kinds, "there is no ReLU")
    require(
        kinds.index(nn.BatchNorm2d) < kinds.index(nn.ReLU),
        "batch norm comes before the ReLU, not after it",
    )


@exercise("4.5")
def sample(answer):
    """`answer(generator, z)`: samples in evaluation mode, without a graph.

    The generator is left in the mode that it was in.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, _ = networks.dcgan()
        weight = next(generator.parameters())
        z = torch.randn(6, 64, device=weight.device)
        with torch.no_grad():
            for _ in range(3):
                generator(2 * torch.randn(32, 64, device=weight.device))
        for training in (True, False):
            generator.train(training)
            before = copy.deepcopy(generator.state_dict())
            images = answer(generator, z)
            require(
                isinstance(images, torch.Tensor) and images.shape == (6, 1, 28, 28),
                "return the images (N, 1, 28, 28)",
            )
            require(
                all(
                    torch.equal(before[name], value)
                    for name, value in generator.state_dict().items()
                ),
                "sampling changed the running statistics of batch norm:"
                " the generator was in training mode",
            )
            alone = answer(generator, z[:1])
            require(
                torch.allclose(images[:1], alone, atol=1e-4),
                "an image depends on what else is in the batch: the generator was in training mode",
            )
            require(
                not images.requires_grad,
                "the images drag a graph along: sample under torch.no_grad()",
            )
            require(
                generator.training == training,
                "the generator was training and is left in evaluation mode:"
                " training would go on without batch statistics"
                if training
                else "the generator was in evaluation mode and is left training",
            )


@exercise("4.6")
def walk(answer):
    """`answer(a, b, steps)`: points (steps, n) at equal angles on the arc from a (n,) to b (n,)."""
    random_state = torch.Generator().manual_seed(0)
    for n, steps in [(64, 9), (16, 5), (64, 2)]:
        a, b = torch.randn(2, n, generator=random_state)
        a, b = (v * math.sqrt(n) / v.norm() for v in (a, b))
        path = answer(a, b, steps)
        require(
            isinstance(path, torch.Tensor) and path.shape == (steps, n),
            f"return a tensor ({steps}, {n}); got"
            f" {tuple(path.shape) if isinstance(path, torch.Tensor) else path!r}",
        )
        require(torch.allclose(path[0], a, atol=1e-3), "the walk must start at a")
        require(
            torch.allclose(path[-1], b, atol=1e-3),
            "the walk must end at b, with b itself as the last of the steps",
        )
        straight = torch.lerp(a, b, torch.linspace(0, 1, steps)[:, None])
        require(
            steps == 2 or not torch.allclose(path, straight, atol=1e-3),
            "this is the straight line: in its middle z is too short for the generator to know",
        )
        lengths = path.norm(dim=1) / math.sqrt(n)
        require(
            (lengths - 1).abs() < 1e-3,
            f"all points should be as long as a and b; yours are {lengths.min():.3f} to"
            f" {lengths.max():.3f} times that",
        )
        cosines = torch.nn.functional.cosine_similarity(path[1:], path[:-1], dim=1).clamp(-1, 1)
        angles = torch.arccos(cosines)
        require(
            angles.max() - angles.min() < 0.02,
            "the points lie on the arc, but not at equal angles: divide the angle, not the chord",
        )
