"""Convolutional networks for square images."""

import functools

from torch import nn

from ganbook.arguments import check_choice, check_count
from ganbook.networks.labels import (
    D_CONDITIONS,
    ConditionalBatchNorm2d,
    check_classes,
    head,
    label_layers,
)
from ganbook.networks.network import Network, drawn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}


@drawn
def dcgan_generator(
    size: int = 28,
    channels: int = 1,
    latent: int = 64,
    width: int = 32,
    norm: bool = True,
    activation: str = "relu",
    init_std: float | None = None,
    classes: int | None = None,
    g_condition: str = "concatenation",
) -> Network:
    """A convolutional generator: z (N, latent) to images (N, channels, size, size) in [-1, 1].

    size: the pixels along a side: 5, 6, 7 or 8, doubled once or more (10, 12, 14, 16, 20, ..., 28,
        32, 64).
    channels: of an image.
    latent: the size of z.
    width: the channels of the last map before the image; each earlier map has twice as many.
    norm: whether each map is batch normalised.
    activation: after each map, "relu", "tanh" or "none".
    init_std: the standard deviation that weights are drawn with; None for PyTorch's own.
    classes: the number of classes, or None. With it, the network is also called with labels (N,),
        which run from 0 to classes - 1.
    g_condition: how labels enter: "concatenation", one-hot beside z; "embedding", as a learned
        vector of z's size beside it; or "norm", by batch norm with scales for each label.

    A dense layer makes a map of at most 8 x 8 pixels, transposed convolutions double it, and tanh
    ends the network. Raises ValueError for arguments out of range. After Radford et al. 2016
    (arXiv:1511.06434). Chapters 4, 6, 9 and 10.
    """
    channels, width = check_count("channels", channels), check_count("width", width)
    latent, classes = check_count("latent", latent), check_classes(classes)
    small, doublings = halved(size)
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("g_condition", g_condition, ("concatenation", "embedding", "norm"))
    _check_init_std(init_std)
    norm_by_label = classes is not None and g_condition == "norm"
    if norm_by_label and not norm:
        raise ValueError('g_condition="norm" needs norm=True')

    def finished(features):
        if norm_by_label:
            return [ConditionalBatchNorm2d(features, classes), ACTIVATIONS[activation]()]
        return [*([nn.BatchNorm2d(features)] if norm else []), ACTIVATIONS[activation]()]

    widths = [width * 2**i for i in reversed(range(doublings))]
    layers, appended = label_layers(classes, g_condition, (latent,))
    layers += [
        nn.Linear(latent + appended, widths[0] * small * small, bias=not norm),
        nn.Unflatten(1, (widths[0], small, small)),
        *finished(widths[0]),
    ]
    for a, b in zip(widths, widths[1:], strict=False):
        layers += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=not norm), *finished(b)]
    layers += [nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh()]
    return Network(*layers, latent=latent, classes=classes, init_std=init_std)


@drawn
def dcgan_discriminator(
    size: int = 28,
    channels: int = 1,
    width: int = 32,
    activation: str = "relu",
    init_std: float | None = None,
    classes: int | None = None,
    condition: str = "projection",
) -> Network:
    """A convolutional discriminator: images (N, channels, size, size) to logits (N,).

    size: the pixels along a side: 5, 6, 7 or 8, doubled once or more (10, 12, 14, 16, 20, ..., 28,
        32, 64).
    channels: of an image.
    width: the first map has `width // 2` channels; each map after it has twice as many.
    activation: after each map: "relu" (here leaky), "tanh" or "none".
    init_std: the standard deviation that weights are drawn with; None for PyTorch's own.
    classes: the number of classes, or None. With it, the network is also called with labels (N,),
        which run from 0 to classes - 1.
    condition: how labels enter: "concatenation", as one-hot planes beside the image; "embedding",
        as one learned plane beside it; "projection", by a `Projection`; or "auxiliary", not
        at all: the network then gives class logits (N, classes) beside its logits.

    Strided convolutions without normalisation: batch norm would mix the samples, and a gradient
    penalty needs each on its own. Raises ValueError for arguments out of range. After Radford et
    al. 2016 (arXiv:1511.06434). Chapters 4, 6, 9 and 10.
    """
    channels, width = check_count("channels", channels), check_count("width", width)
    classes = check_classes(classes)
    small, doublings = halved(size)
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("condition", condition, D_CONDITIONS)
    _check_init_std(init_std)
    leaky = functools.partial(nn.LeakyReLU, 0.2)
    activated = leaky if activation == "relu" else ACTIVATIONS[activation]
    layers, appended = label_layers(classes, condition, (1, size, size))
    inputs = channels + appended
    for i in range(doublings):
        outputs = max(1, width // 2) * 2**i
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), activated()]
        inputs = outputs
    layers += [
        nn.Conv2d(inputs, 2 * inputs, 3, stride=2, padding=1),
        activated(),
        nn.Flatten(),
        *head(classes, condition, 2 * inputs * ((small + 1) // 2) ** 2),
    ]
    return Network(*layers, classes=classes, init_std=init_std)


@drawn
def dcgan(
    size: int = 28,
    channels: int = 1,
    latent: int = 64,
    width: int = 32,
    norm: bool = True,
    activation: str = "relu",
    init_std: float | None = None,
    classes: int | None = None,
    condition: str = "projection",
    g_condition: str = "concatenation",
) -> tuple[Network, Network]:
    """A convolutional generator and discriminator that play together.

    The arguments are those of `dcgan_generator` and of `dcgan_discriminator`; `latent`, `norm` and
    `g_condition` are the generator's alone, `condition` the discriminator's. Chapter 4 varies
    `norm`, `activation` and `init_std`. Raises ValueError for arguments out of range. After Radford
    et al. 2016 (arXiv:1511.06434). Chapters 4, 6, 9 and 10.
    """
    generator = dcgan_generator.__wrapped__(
        size, channels, latent, width, norm, activation, init_std, classes, g_condition
    )
    discriminator = dcgan_discriminator.__wrapped__(
        size, channels, width, activation, init_std, classes, condition
    )
    return generator, discriminator


def halved(size) -> tuple[int, int]:
    """The side of the smallest map, in pixels, and how many times it is doubled to reach the image.

    size: the pixels along an image's side.
    Raises ValueError for a size that is not 5, 6, 7 or 8, doubled once or more.
    """
    small, doublings = check_count("size", size), 0
    while small > 8 and small % 2 == 0:
        small, doublings = small // 2, doublings + 1
    if not 4 <= small <= 8 or doublings == 0:
        raise ValueError(
            f"size={size}: it must be 5, 6, 7 or 8 doubled once or more, such as 16, 28, 32 or 64"
        )
    return small, doublings


def _check_init_std(init_std) -> None:
    if init_std is not None and not init_std >= 0:
        raise ValueError(
            f"init_std={init_std!r}: give a standard deviation, 0 or more, or None for PyTorch's"
            f" own"
        )
