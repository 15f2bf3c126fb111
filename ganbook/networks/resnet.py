"""Residual networks for square images, with no normalisation anywhere."""

from torch import nn

from ganbook.arguments import check_choice, check_count
from ganbook.networks.dcgan import halved
from ganbook.networks.labels import D_CONDITIONS, check_classes, head, label_layers
from ganbook.networks.layers import ResidualBlock
from ganbook.networks.network import Network, drawn


@drawn
def resnet_generator(
    size: int = 28,
    channels: int = 1,
    latent: int = 64,
    width: int = 32,
    blocks: int = 1,
    classes: int | None = None,
    g_condition: str = "concatenation",
) -> Network:
    """A residual generator: z (N, latent) to images (N, channels, size, size) in [-1, 1].

    size: the pixels along a side: 5, 6, 7 or 8, doubled once or more (10, 12, 14, 16, 20, ..., 28,
        32, 64).
    channels: of an image.
    latent: the size of z.
    width: the channels before the last doubling; before each earlier one there are twice as many.
    blocks: how many residual blocks stand before each doubling.
    classes: the number of classes, or None. With it, the network is also called with labels (N,),
        which run from 0 to classes - 1.
    g_condition: how labels enter: "concatenation", one-hot beside z, or "embedding", as a learned
        vector of z's size beside it.

    A dense layer makes a map of at most 8 x 8 pixels. Residual blocks and doublings of the side
    follow, then a convolution and tanh. Raises ValueError for arguments out of range. After Huang
    et al. 2025, section 4 (R3GAN, arXiv:2501.05441). Chapter 9.
    """
    channels, width = check_count("channels", channels), check_count("width", width)
    latent, blocks = check_count("latent", latent), check_count("blocks", blocks)
    classes = check_classes(classes)
    small, doublings = halved(size)
    check_choice("g_condition", g_condition, ("concatenation", "embedding"))
    widths = [width * 2**i for i in reversed(range(doublings))]
    layers, appended = label_layers(classes, g_condition, (latent,))
    layers += [
        nn.Linear(latent + appended, widths[0] * small * small),
        nn.Unflatten(1, (widths[0], small, small)),
    ]
    for before, own in zip([widths[0], *widths], widths, strict=False):
        layers += [
            ResidualBlock(before, own),
            *(ResidualBlock(own, own) for _ in range(blocks - 1)),
            nn.Upsample(scale_factor=2),
        ]
    layers += [nn.LeakyReLU(0.2), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
    return Network(*layers, latent=latent, classes=classes)


@drawn
def resnet_discriminator(
    size: int = 28,
    channels: int = 1,
    width: int = 32,
    blocks: int = 1,
    classes: int | None = None,
    condition: str = "projection",
) -> Network:
    """A residual discriminator: images (N, channels, size, size) to logits (N,).

    size: the pixels along a side: 5, 6, 7 or 8, doubled once or more (10, 12, 14, 16, 20, ..., 28,
        32, 64).
    channels: of an image.
    width: the channels of the first map, whose side is half the image's. They are doubled before
        each pooling but the last.
    blocks: how many residual blocks stand before each pooling.
    classes: the number of classes, or None. With it, the network is also called with labels (N,),
        which run from 0 to classes - 1.
    condition: how labels enter, as in `dcgan_discriminator`.

    A strided convolution, then residual blocks and poolings: the mirror image of the generator.
    Raises ValueError for arguments out of range. After Huang et al. 2025, section 4 (R3GAN,
    arXiv:2501.05441). Chapter 9.
    """
    channels, width = check_count("channels", channels), check_count("width", width)
    blocks, classes = check_count("blocks", blocks), check_classes(classes)
    small, doublings = halved(size)
    check_choice("condition", condition, D_CONDITIONS)
    widths = [width * 2**i for i in range(doublings)]
    layers, appended = label_layers(classes, condition, (1, size, size))
    layers += [nn.Conv2d(channels + appended, width, 4, stride=2, padding=1)]
    for own, after in zip(widths, [*widths[1:], widths[-1]], strict=True):
        layers += [
            *(ResidualBlock(own, own) for _ in range(blocks - 1)),
            ResidualBlock(own, after),
            nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        ]
    rest = small // 2 + small % 2
    layers += [
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        *head(classes, condition, widths[-1] * rest * rest),
    ]
    return Network(*layers, classes=classes)


@drawn
def resnet(
    size: int = 28,
    channels: int = 1,
    latent: int = 64,
    width: int = 32,
    blocks: int = 1,
    classes: int | None = None,
    condition: str = "projection",
    g_condition: str = "concatenation",
) -> tuple[Network, Network]:
    """A residual generator and discriminator that play together.

    The arguments are those of `resnet_generator` and of `resnet_discriminator`; `latent` and
    `g_condition` are the generator's alone, `condition` the discriminator's. Raises ValueError for
    arguments out of range. After Huang et al. 2025, section 4 (R3GAN, arXiv:2501.05441). Chapter 9.
    """
    generator = resnet_generator.__wrapped__(
        size, channels, latent, width, blocks, classes, g_condition
    )
    discriminator = resnet_discriminator.__wrapped__(
        size, channels, width, blocks, classes, condition
    )
    return generator, discriminator
