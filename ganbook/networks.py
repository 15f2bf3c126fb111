"""Generators and discriminators: each function returns a pair that plays together."""

import functools
import inspect
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from ganbook.device import DEVICE


class Network(nn.Sequential):
    """Layers in a row that know how they were made: a game can draw their weights again, and a
    checkpoint rebuild them.

    `recipe` is what made the pair, (name, settings); `latent` the size of z; `classes` the number
    of labels, or None. Weights are "fresh" from `draw()` until something has changed them: an
    optimiser, `load_state_dict`, or a reader's own initialisation. A layer with `takes_labels` is
    called with the labels (N,) as well.
    """

    classes: int | None = None

    def __init__(self, *layers: nn.Module, init_std: float | None = None):
        super().__init__(*layers)
        self.init_std = init_std
        self._drawn = (
            None  # not drawn here: `network[:3]` makes a Network of layers that are trained already
        )

    def forward(self, x, labels=None):
        for layer in self:
            x = layer(x, labels) if getattr(layer, "takes_labels", False) else layer(x)
        return x

    @torch.no_grad()
    def draw(self) -> None:
        """Draw all weights anew from torch's global random generator.

        init_std None leaves PyTorch's own scale, which keeps activations of one size through the
        layers; a number draws every weight from N(0, init_std), as Radford et al. 2016 do with 0.02
        (arXiv:1511.06434, section 4).
        """
        for layer in self.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
            if self.init_std is not None and isinstance(
                layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
            ):
                nn.init.normal_(layer.weight, std=self.init_std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self._drawn = self._fingerprint()

    @property
    def fresh(self) -> bool:
        return self._drawn == self._fingerprint()

    def _fingerprint(self) -> list[int]:
        """For each weight the sum of its bit patterns, the same on every device and in every memory
        layout.

        torch's own counter of changes misses `weight.data.normal_()`, as many a script initialises.
        """
        return [
            weight.detach().float().cpu().view(torch.int32).sum().item()
            for weight in self.parameters()
        ]


class Linears(nn.Module):
    """`copies` dense layers side by side, each with weights of its own: (copies, n, inputs) to
    (copies, n, outputs)."""

    def __init__(self, copies: int, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(copies, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(copies, 1, outputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.weight.shape[1] ** -0.5  # as nn.Linear has it
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        return torch.baddbmm(self.bias, x, self.weight)

    def extra_repr(self) -> str:
        return "copies={}, inputs={}, outputs={}".format(*self.weight.shape)


class Dealt(nn.Module):
    """Deals a batch (N, D) out to `copies` networks, as cards are dealt: row i to i % copies. To
    (copies, n, D)."""

    def __init__(self, copies: int):
        super().__init__()
        self.copies = copies

    def forward(self, x):
        if len(x) % self.copies:
            raise ValueError(
                f"a batch for {self.copies} copies must be a multiple of {self.copies}; it has"
                f" {len(x)} rows"
            )
        return x.view(-1, self.copies, x.shape[1]).transpose(0, 1)

    def extra_repr(self) -> str:
        return str(self.copies)


class Gathered(nn.Module):
    """Takes in again what `Dealt` dealt out: (copies, n, D) to (N, D), in the order of the
    batch."""

    def forward(self, x):
        return x.transpose(0, 1).flatten(0, 1)


class FourierFeatures(nn.Module):
    """Points (..., inputs) to themselves and the sines and cosines of `count` random waves: (...,
    inputs + 2 count).

    The waves' frequencies, in cycles a unit, are drawn from N(0, scale^2) and stay as they are:
    `scale` says how fine a detail the next layer can see at once. Tancik et al. 2020, section 5
    (arXiv:2006.10739). Chapter 3.
    """

    def __init__(self, inputs: int, count: int, scale: float, copies: int = 1):
        super().__init__()
        self.scale = scale
        shape = (inputs, count) if copies == 1 else (copies, inputs, count)
        self.register_buffer("frequencies", torch.empty(shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.frequencies, std=self.scale)

    def forward(self, x):
        angles = 2 * math.pi * x @ self.frequencies
        return torch.cat([x, angles.sin(), angles.cos()], dim=-1)

    def extra_repr(self) -> str:
        return f"count={self.frequencies.shape[-1]}, scale={self.scale}"


class SpectralNorm(nn.Module):
    """A layer whose weight is divided by its largest singular value, kernels of convolutions taken
    as matrices.

    The singular value is estimated by one step of power iteration a call, from where the last call
    in training mode left off, so it lags a little behind. With weights (copies, inputs, outputs)
    each copy is divided by its own. A convolution's own norm may be larger than its matrix' by up
    to the root of the kernel's height times width. Miyato et al. 2018, algorithm 1
    (arXiv:1802.05957). Chapter 9.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer
        self.register_buffer("u", torch.empty_like(self._matrices(layer.weight)[:, :, 0]))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.u)

    def _matrices(self, weight):
        return weight if isinstance(self.layer, Linears) else weight.flatten(1)[None]

    def forward(self, x):
        weight = self.layer.weight
        matrices = self._matrices(weight)
        with torch.no_grad():
            v = F.normalize(torch.einsum("ci,cij->cj", self.u, matrices), dim=1)
            u = F.normalize(torch.einsum("cij,cj->ci", matrices, v), dim=1)
            if self.training:
                self.u.copy_(u)
        # u and v count as fixed, the weight does not: so the gradient knows that the norm changes
        # with the weight.
        norm = torch.einsum("ci,cij,cj->c", u, matrices, v)
        weight = weight / norm.view(-1, *[1] * (weight.ndim - 1))
        return functional_call(self.layer, {"weight": weight}, (x,))


class Block(nn.Module):
    """A residual block: maps (N, inputs, H, W) to (N, outputs, H, W), a shortcut plus `gain` times
    two convolutions.

    The gain is learned and begins at 0, so that at first every block is its shortcut and the
    network has no depth to lose gradients in; nothing needs to be normalised. He et al. 2016
    (arXiv:1512.03385), the gain Bachlechner et al. 2020, eq. 1 (arXiv:2003.04887). Chapter 9.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        first, second = (
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.branch = nn.Sequential(nn.LeakyReLU(0.2), first, nn.LeakyReLU(0.2), second)
        self.gain = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.gain)

    def forward(self, x):
        return self.shortcut(x) + self.gain * self.branch(x)


class OneHot(nn.Module):
    """Appends the labels (N,) to x: to vectors (N, n) as one-hot vectors (N, n + classes), to maps
    as planes of 0 or 1.

    Mirza & Osindero 2014, section 3.2 (arXiv:1411.1784). Chapter 6.
    """

    takes_labels = True

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, x, labels):
        one_hot = F.one_hot(_given(labels), self.classes).to(x.dtype)
        return torch.cat(
            [x, one_hot.view(*one_hot.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], 1
        )

    def extra_repr(self) -> str:
        return str(self.classes)


class Embedding(nn.Module):
    """Appends what it has learned for each label to x: to vectors `shape` = (n,) numbers, to maps
    (1, H, W) a plane.

    Begins as N(0, 1). Chapter 6.
    """

    takes_labels = True

    def __init__(self, classes: int, shape: tuple[int, ...]):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, *shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)

    def forward(self, x, labels):
        learned = F.embedding(_given(labels), self.weight.flatten(1)).view(
            -1, *self.weight.shape[1:]
        )
        return torch.cat([x, learned.to(x.dtype)], 1)

    def extra_repr(self) -> str:
        return f"classes={len(self.weight)}, shape={tuple(self.weight.shape[1:])}"


class Projection(nn.Module):
    """Logits (N,) of features h (N, n) and labels y (N,): a dense layer's psi(h), plus the inner
    product of h and v_y.

    Miyato & Koyama 2018, eq. 3 (arXiv:1802.05637). Chapter 6.
    """

    takes_labels = True

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.psi = nn.Linear(features, 1)
        self.weight = nn.Parameter(torch.empty(classes, features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5)

    def forward(self, h, labels):
        return self.psi(h).squeeze(1) + (F.embedding(_given(labels), self.weight) * h).sum(1)

    def extra_repr(self) -> str:
        return f"classes={len(self.weight)}"


class TwoHeads(nn.Module):
    """Features (N, n) to logits (N,), real or fake, and class logits (N, classes): an auxiliary
    classifier.

    Odena et al. 2017, section 4 (arXiv:1610.09585). Chapter 6.
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.source, self.label = nn.Linear(features, 1), nn.Linear(features, classes)

    def forward(self, h):
        return self.source(h).squeeze(1), self.label(h)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm of maps (N, C, H, W) whose scales and shifts are learned for each label.

    Dumoulin et al. 2017, eq. 5 (arXiv:1610.07629), in GANs Miyato & Koyama 2018. Chapter 6.
    """

    takes_labels = True

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.scale, self.shift = (nn.Parameter(torch.empty(classes, features)) for _ in range(2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.scale), nn.init.zeros_(self.shift)

    def forward(self, x, labels):
        scale, shift = (
            F.embedding(_given(labels), w)[:, :, None, None] for w in (self.scale, self.shift)
        )
        return self.norm(x) * scale + shift

    def extra_repr(self) -> str:
        return f"classes={len(self.scale)}"


def _given(labels):
    if labels is None:
        raise ValueError(
            "this network is conditional: call it with the labels (N,) too, network(x, labels)"
        )
    return labels


D_CONDITIONS = ("concatenation", "embedding", "projection", "auxiliary")


def _entrance(classes, condition, shape):
    """The layers through which labels enter a network at its beginning, and by how much they widen
    what goes in."""
    if classes is None or condition not in ("concatenation", "embedding"):
        return [], 0
    if condition == "concatenation":
        return [OneHot(classes)], classes
    return [Embedding(classes, shape)], shape[0]


def _verdict(classes, condition, features):
    """The last layers of a discriminator."""
    if classes is not None and condition == "projection":
        return [Projection(features, classes)]
    if classes is not None and condition == "auxiliary":
        return [TwoHeads(features, classes)]
    return [nn.Linear(features, 1), nn.Flatten(0)]


def _check_classes(classes, condition, g_condition, g_conditions) -> None:
    if classes is not None and (not isinstance(classes, int) or classes < 2):
        raise ValueError(
            f"classes={classes!r}: give the number of labels, 2 or more, or None for no labels"
        )
    for name, value, known in (
        ("condition", condition, D_CONDITIONS),
        ("g_condition", g_condition, g_conditions),
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r}: there are {', '.join(map(repr, known))}")


def _pair(make):
    """Let `make` return networks that know their recipe and latent size, laid out for the
    device."""
    signature = inspect.signature(make)

    @functools.wraps(make)
    def made(*args, **kwargs):
        settings = signature.bind(*args, **kwargs)
        settings.apply_defaults()
        # A checkpoint, which is read without executing anything, can't hold numpy's numbers.
        arguments = {
            n: value.item() if hasattr(value, "item") else value
            for n, value in settings.arguments.items()
        }
        networks = make(**arguments)
        for network in networks:
            network.recipe = (make.__name__, arguments)
            network.latent, network.copies = arguments["latent"], arguments.get("copies", 1)
            network.classes = arguments["classes"]
            network.to(DEVICE, memory_format=torch.channels_last).draw()
        return networks

    return made


@_pair
def mlp(
    shape: tuple[int, ...] = (2,),
    latent: int = 16,
    width: int = 128,
    depth: int = 3,
    activation: str = "leaky_relu",
    fourier: float | None = None,
    copies: int = 1,
    classes: int | None = None,
    condition: str = "projection",
    g_condition: str = "concatenation",
    spectral: bool = False,
) -> tuple[Network, Network]:
    """Fully connected networks for samples of any `shape`: points (2,) or images (C, H, W).

    Generator: z (N, latent) to samples (N, *shape), in [-1, 1] by tanh for images, unbounded for
    points. Discriminator: samples to logits (N,). Each has `depth` hidden layers of `width` units
    with leaky ReLU, or with activation "relu" the generator has plain ReLU. fourier: the scale of
    `FourierFeatures` in front of the discriminator. copies: so many pairs side by side, each with
    weights of its own. Row i of a batch belongs to pair i % copies, so that one game of 10 copies
    with batches of 2,560 is ten games with batches of 256, in much less than ten times the time.
    classes, condition, g_condition: as in `dcgan`, not with copies, and g_condition not "norm".
    spectral: as in `dcgan`. Raises ValueError for sizes below 1. Goodfellow et al. 2014
    (arXiv:1406.2661). Chapters 2 to 9.
    """
    if not isinstance(shape, (tuple, list)) or len(shape) not in (1, 3):
        raise ValueError(f"shape={shape!r}: points are (D,), images are (C, H, W)")
    sizes = {f"shape[{i}]": size for i, size in enumerate(shape)}
    _check_sizes(latent=latent, width=width, depth=depth, copies=copies, **sizes)
    activations = {"leaky_relu": functools.partial(nn.LeakyReLU, 0.2), "relu": nn.ReLU}
    if activation not in activations:
        raise ValueError(
            f"activation={activation!r}: there are {' and '.join(map(repr, activations))}"
        )
    if fourier is not None and not fourier > 0:
        raise ValueError(
            f"fourier={fourier!r}: give the scale of the frequencies, above 0, or None"
        )
    _check_classes(classes, condition, g_condition, ("concatenation", "embedding"))
    if classes is not None and copies > 1:
        raise ValueError("copies side by side have no labels: leave out `classes` or `copies`")
    count = math.prod(shape)
    linear = nn.Linear if copies == 1 else functools.partial(Linears, copies)
    dealt, gathered = ([], []) if copies == 1 else ([Dealt(copies)], [Gathered()])

    def hidden(inputs, activation):
        sizes = [inputs] + [width] * depth
        pairs = zip(sizes, sizes[1:], strict=False)
        return [layer for a, b in pairs for layer in (linear(a, b), activations[activation]())]

    ends = [nn.Unflatten(1, shape), nn.Tanh()] if len(shape) == 3 else []
    entrance, wider = _entrance(classes, g_condition, (latent,))
    generator = [
        *dealt,
        *entrance,
        *hidden(latent + wider, activation),
        linear(width, count),
        *gathered,
        *ends,
    ]
    features, inputs = [], count
    if fourier is not None:
        features, inputs = (
            [FourierFeatures(count, width // 2, fourier, copies)],
            count + 2 * (width // 2),
        )
    entrance, wider = _entrance(classes, condition, (width,))
    verdict = (
        _verdict(classes, condition, width)
        if copies == 1
        else [linear(width, 1), *gathered, nn.Flatten(0)]
    )
    judge = [*entrance, *hidden(inputs + wider, "leaky_relu"), *verdict]
    discriminator = [nn.Flatten(), *dealt, *features, *judge]
    return Network(*generator), Network(*_normed(discriminator, spectral, classes))


@_pair
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
    spectral: bool = False,
    dropout: float = 0.0,
    mapping: int = 0,
) -> tuple[Network, Network]:
    """Convolutional networks for square images (N, channels, size, size) in [-1, 1].

    Generator: z (N, latent), a dense layer to a small map of at most 8x8 pixels, then transposed
    convolutions that double it, batch norm (`norm`) and ReLU between, tanh at the end; the last map
    before the image has `width` channels. Discriminator: strided convolutions with leaky ReLU from
    `width // 2` channels on, to logits (N,), with no normalisation, which would mix the samples
    that a gradient penalty takes one by one. `norm`, `activation` ("relu", "tanh" or "none") and
    `init_std` are there to be switched: chapter 4 does.

    classes: the number of labels; both networks are then called with labels (N,) of 0 to classes -
    1 as well. condition says how they enter the discriminator: "concatenation", one-hot planes
    beside the image; "embedding", one learned plane; "projection"; "auxiliary", not at all, but the
    discriminator gives class logits (N, classes) beside its logits. g_condition says how they enter
    the generator: one-hot beside z, a learned vector as long as z beside it ("embedding"), or by
    batch norm with scales of their own, "norm".

    spectral: every layer of the discriminator has `SpectralNorm`; not with classes. dropout: the
    share of what each hidden layer of the discriminator says that is set to 0 at random in
    training. mapping: so many dense layers of 4 * latent units stand between z and the generator's
    first map, so that it can bend one Gaussian into several clusters before it draws (Karras et al.
    2019, section 2, arXiv:1812.04948). Raises ValueError for a size that can't be halved to between
    4 and 8. After Radford et al. 2016 (arXiv:1511.06434). Chapters 4, 6, 9 and 10.
    """
    _check_sizes(size=size, channels=channels, latent=latent, width=width)
    _check_classes(classes, condition, g_condition, ("concatenation", "embedding", "norm"))
    if classes is not None and g_condition == "norm" and not norm:
        raise ValueError('g_condition="norm" needs norm=True')
    if init_std is not None and not init_std >= 0:
        raise ValueError(
            f"init_std={init_std!r}: give a standard deviation, 0 or more, or None for PyTorch's"
            f" own"
        )
    if activation not in ("relu", "tanh", "none"):
        raise ValueError(f"activation={activation!r}: there are 'relu', 'tanh' and 'none'")
    if not isinstance(mapping, int) or mapping < 0:
        raise ValueError(f"mapping={mapping!r}: it must be a whole number of layers, 0 or more")
    if not 0 <= dropout < 1:
        raise ValueError(
            f"dropout={dropout!r}: give the share that is set to 0, at least 0 and below 1"
        )
    small, doublings = _halved(size)
    g_activation = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}[activation]
    d_activation = functools.partial(nn.LeakyReLU, 0.2) if activation == "relu" else g_activation
    dropped = [nn.Dropout(dropout)] if dropout else []

    def finished(features):
        if classes is not None and g_condition == "norm":
            return [ConditionalBatchNorm2d(features, classes), g_activation()]
        return [*([nn.BatchNorm2d(features)] if norm else []), g_activation()]

    widths = [width * 2**i for i in reversed(range(doublings))]
    generator, wider = _entrance(classes, g_condition, (latent,))
    inputs = latent + wider
    for _ in range(mapping):
        generator += [
            nn.Linear(inputs, 4 * latent),
            *([nn.BatchNorm1d(4 * latent)] if norm else []),
            g_activation(),
        ]
        inputs = 4 * latent
    generator += [nn.Linear(inputs, widths[0] * small * small, bias=not norm)]
    generator += [nn.Unflatten(1, (widths[0], small, small)), *finished(widths[0])]
    for a, b in zip(widths, widths[1:], strict=False):
        generator += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=not norm), *finished(b)]
    generator += [nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh()]

    discriminator, wider = _entrance(classes, condition, (1, size, size))
    inputs = channels + wider
    for i in range(doublings):
        outputs = max(1, width // 2) * 2**i
        discriminator += [
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1),
            d_activation(),
            *dropped,
        ]
        inputs = outputs
    discriminator += [
        nn.Conv2d(inputs, 2 * inputs, 3, stride=2, padding=1),
        d_activation(),
        *dropped,
    ]
    discriminator += [
        nn.Flatten(),
        *_verdict(classes, condition, 2 * inputs * ((small + 1) // 2) ** 2),
    ]
    discriminator = _normed(discriminator, spectral, classes)
    return Network(*generator, init_std=init_std), Network(*discriminator, init_std=init_std)


@_pair
def resnet(
    size: int = 28,
    channels: int = 1,
    latent: int = 64,
    width: int = 32,
    blocks: int = 1,
    classes: int | None = None,
    condition: str = "projection",
    g_condition: str = "concatenation",
    spectral: bool = False,
) -> tuple[Network, Network]:
    """Residual networks for square images (N, channels, size, size) in [-1, 1], with no
    normalisation anywhere.

    Generator: z (N, latent), a dense layer to a small map of at most 8x8 pixels, then `blocks`
    residual blocks before each doubling of the pixels, of `width` channels before the last, twice
    as many before the one before, and so on; a convolution and tanh at the end. Discriminator: the
    mirror image, to logits (N,). classes, condition, g_condition, spectral: as in `dcgan`, but
    g_condition not "norm". Raises ValueError for a size that can't be halved to between 4 and 8.
    After Huang et al. 2025, section 4 (R3GAN, arXiv:2501.05441). Chapter 9.
    """
    _check_sizes(size=size, channels=channels, latent=latent, width=width, blocks=blocks)
    _check_classes(classes, condition, g_condition, ("concatenation", "embedding"))
    small, doublings = _halved(size)
    widths = [width * 2**i for i in reversed(range(doublings))]
    entrance, wider = _entrance(classes, g_condition, (latent,))
    generator = [*entrance, nn.Linear(latent + wider, widths[0] * small * small)]
    generator += [nn.Unflatten(1, (widths[0], small, small))]
    for before, own in zip([widths[0], *widths], widths, strict=False):
        generator += [
            Block(before, own),
            *(Block(own, own) for _ in range(blocks - 1)),
            nn.Upsample(scale_factor=2),
        ]
    generator += [nn.LeakyReLU(0.2), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]

    discriminator, wider = _entrance(classes, condition, (1, size, size))
    discriminator += [nn.Conv2d(channels + wider, width, 4, stride=2, padding=1)]
    for i, own in enumerate(reversed(widths)):
        pool = [nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)]
        after = own if i + 1 == doublings else 2 * own
        discriminator += [*(Block(own, own) for _ in range(blocks - 1)), Block(own, after), *pool]
    rest = small // 2 + small % 2
    discriminator += [
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        *_verdict(classes, condition, widths[0] * rest * rest),
    ]
    return Network(*generator), Network(*_normed(discriminator, spectral, classes))


def _halved(size: int) -> tuple[int, int]:
    """How small a map is that a network begins with, and how often it is doubled."""
    small, doublings = size, 0
    while small > 8 and small % 2 == 0:
        small, doublings = small // 2, doublings + 1
    if not 4 <= small <= 8 or doublings == 0:
        raise ValueError(
            f"size={size}: images are 4 to 8 pixels doubled once or more, such as 28, 32 or 64"
            f" pixels"
        )
    return small, doublings


def _normed(layers, spectral, classes):
    """The layers, with `spectral` each that has a weight in a `SpectralNorm`, those within a
    residual block too."""
    if not spectral:
        return layers
    if classes is not None:
        raise ValueError(
            "spectral=True is for games without labels here: leave out `classes` or `spectral`"
        )
    for block in (layer for layer in layers if isinstance(layer, Block)):
        block.branch = nn.Sequential(*_normed(block.branch, True, None))
        block.shortcut = _normed([block.shortcut], True, None)[0]
    return [
        SpectralNorm(x) if isinstance(x, (nn.Linear, nn.Conv2d, Linears)) else x for x in layers
    ]


def arc(a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
    """Latents (steps, n) on the arc from `a` to `b`, both (n,), at equal angles: spherical
    interpolation.

    A straight line would pass through latents shorter than the generator knows. Lengths go evenly
    from a's to b's. Shoemake 1985; White 2016 (arXiv:1609.04468). Chapter 4.
    """
    _check_sizes(steps=steps)
    lengths = torch.stack([a.norm(), b.norm()])
    angle = torch.arccos((a @ b / lengths.prod()).clamp(-1, 1))
    t = torch.linspace(0, 1, steps, device=a.device)[:, None]
    if angle.sin().abs() < 1e-6:  # on one line: there is no arc to follow
        return torch.lerp(a, b, t)
    path = torch.sin((1 - t) * angle) * a / lengths[0] + torch.sin(t * angle) * b / lengths[1]
    return path / angle.sin() * torch.lerp(lengths[0], lengths[1], t)


def rebuild(recipe) -> tuple[Network, Network]:
    """The pair that a recipe, (name, settings), describes, with weights of its own."""
    name, settings = recipe
    return {"mlp": mlp, "dcgan": dcgan, "resnet": resnet}[name](**settings)


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}: it must be a whole number, 1 or more")


@torch.no_grad()
def generate(generator, z, labels=None, batch=500):
    copies = getattr(generator, "copies", 1)
    batch = max(1, batch // copies) * copies  # a part begins with the first copy, as the whole does
    training = generator.training
    generator.eval()
    try:
        from ganbook.device import autocast

        with autocast():
            parts = z.to(DEVICE).split(batch)
            asked = [None] * len(parts) if labels is None else labels.split(batch)
            drawn = [
                (generator(part) if y is None else generator(part, y)).float()
                for part, y in zip(parts, asked, strict=True)
            ]
            return torch.cat(drawn)
    finally:
        generator.train(training)
