"""Fully connected networks, for points and for small images."""

import functools
import math
from collections.abc import Sequence

from torch import nn

from ganbook.arguments import check_choice, check_count
from ganbook.networks.labels import D_CONDITIONS, check_classes, head, label_layers
from ganbook.networks.layers import FourierFeatures, JoinCopies, ParallelLinear, SplitCopies
from ganbook.networks.network import Network, drawn

ACTIVATIONS = {"leaky_relu": functools.partial(nn.LeakyReLU, 0.2), "relu": nn.ReLU}


@drawn
def mlp_generator(
    shape: Sequence[int] = (2,),
    latent: int = 16,
    width: int = 128,
    depth: int = 3,
    activation: str = "leaky_relu",
    copies: int = 1,
    classes: int | None = None,
    g_condition: str = "concatenation",
) -> Network:
    """A fully connected generator: z (N, latent) to samples (N, *shape).

    shape: of a sample: (D,) for unbounded points, or (C, H, W) for images in [-1, 1].
    latent: the size of z.
    width, depth: each of `depth` hidden layers has `width` units.
    activation: after each hidden layer, "leaky_relu" or "relu".
    copies: how many generators side by side, each with weights of its own. Row i of a batch
        belongs to generator i % copies, so that one game of 10 copies with batches of 2,560 is ten
        games with batches of 256, in much less than ten times the time.
    classes: the number of classes, or None; not with copies. With it, the network is also called
        with labels (N,), which run from 0 to classes - 1.
    g_condition: how labels enter: "concatenation", one-hot beside z, or "embedding", as a learned
        vector of z's size beside it.

    Raises ValueError for arguments out of range. Goodfellow et al. 2014 (arXiv:1406.2661).
    Chapters 2 to 9.
    """
    shape, latent = _check_shape(shape), check_count("latent", latent)
    width, depth = check_count("width", width), check_count("depth", depth)
    copies, classes = _check_copies(copies, classes)
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("g_condition", g_condition, ("concatenation", "embedding"))
    with_labels, appended = label_layers(classes, g_condition, (latent,))
    layers = [
        *with_labels,
        *_hidden(latent + appended, width, depth, copies, ACTIVATIONS[activation]),
        _dense(copies, width, math.prod(shape)),
    ]
    if copies > 1:
        layers = [SplitCopies(copies), *layers, JoinCopies()]
    if len(shape) == 3:
        layers += [nn.Unflatten(1, shape), nn.Tanh()]
    return Network(*layers, latent=latent, copies=copies, classes=classes)


@drawn
def mlp_discriminator(
    shape: Sequence[int] = (2,),
    width: int = 128,
    depth: int = 3,
    fourier: float | None = None,
    copies: int = 1,
    classes: int | None = None,
    condition: str = "projection",
) -> Network:
    """A fully connected discriminator with leaky ReLU: samples (N, *shape) to logits (N,).

    shape: of a sample: (D,) for points, (C, H, W) for images.
    width, depth: each of `depth` hidden layers has `width` units.
    fourier: the scale of `FourierFeatures` in front of the first layer, or None.
    copies: how many discriminators side by side. Row i of a batch belongs to discriminator
        i % copies.
    classes: the number of classes, or None; not with copies. With it, the network is also called
        with labels (N,), which run from 0 to classes - 1.
    condition: how labels enter, as in `dcgan_discriminator`; an embedding is `width` numbers long.

    Raises ValueError for arguments out of range. Goodfellow et al. 2014 (arXiv:1406.2661).
    Chapters 2 to 9.
    """
    shape = _check_shape(shape)
    width, depth = check_count("width", width), check_count("depth", depth)
    copies, classes = _check_copies(copies, classes)
    check_choice("condition", condition, D_CONDITIONS)
    if fourier is not None and not fourier > 0:
        raise ValueError(
            f"fourier={fourier!r}: give the scale of the frequencies, above 0, or None"
        )
    layers, inputs = [nn.Flatten()], math.prod(shape)
    if copies > 1:
        layers += [SplitCopies(copies)]
    if fourier is not None:
        layers += [FourierFeatures(inputs, width // 2, float(fourier), copies)]
        inputs += 2 * (width // 2)
    with_labels, appended = label_layers(classes, condition, (width,))
    layers += [
        *with_labels,
        *_hidden(inputs + appended, width, depth, copies, ACTIVATIONS["leaky_relu"]),
    ]
    if copies > 1:
        layers += [_dense(copies, width, 1), JoinCopies(), nn.Flatten(0)]
    else:
        layers += head(classes, condition, width)
    return Network(*layers, copies=copies, classes=classes)


@drawn
def mlp(
    shape: Sequence[int] = (2,),
    latent: int = 16,
    width: int = 128,
    depth: int = 3,
    activation: str = "leaky_relu",
    fourier: float | None = None,
    copies: int = 1,
    classes: int | None = None,
    condition: str = "projection",
    g_condition: str = "concatenation",
) -> tuple[Network, Network]:
    """A fully connected generator and discriminator that play together.

    The arguments are those of `mlp_generator` and of `mlp_discriminator`; `latent`, `activation`
    and `g_condition` are the generator's alone, `fourier` and `condition` the discriminator's.
    Raises ValueError for arguments out of range. Chapters 2 to 9.
    """
    generator = mlp_generator.__wrapped__(
        shape, latent, width, depth, activation, copies, classes, g_condition
    )
    discriminator = mlp_discriminator.__wrapped__(
        shape, width, depth, fourier, copies, classes, condition
    )
    return generator, discriminator


def _dense(copies, inputs, outputs):
    return nn.Linear(inputs, outputs) if copies == 1 else ParallelLinear(copies, inputs, outputs)


def _hidden(inputs, width, depth, copies, activation):
    layers = [_dense(copies, inputs, width), activation()]
    for _ in range(depth - 1):
        layers += [_dense(copies, width, width), activation()]
    return layers


def _check_shape(shape) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or len(shape) not in (1, 3):
        raise ValueError(f"shape={shape!r}: points are (D,), images are (C, H, W)")
    return tuple(check_count(f"shape[{i}]", size) for i, size in enumerate(shape))


def _check_copies(copies, classes) -> tuple[int, int | None]:
    copies, classes = check_count("copies", copies), check_classes(classes)
    if copies > 1 and classes is not None:
        raise ValueError("copies side by side have no labels: leave out `classes` or `copies`")
    return copies, classes
