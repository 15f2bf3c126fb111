"""Networks of layers in sequence, their initial weights, and samples drawn from a generator."""

import contextlib
import copy
import functools
import zlib

import numpy as np
import torch
from torch import nn

from ganbook.arguments import check_count
from ganbook.device import DEVICE, autocast


class Network(nn.Sequential):
    """Layers in sequence, whose initial weights can be drawn again.

    layers: the modules, in the order in which they are called. A layer whose attribute
        `takes_labels` is true is called with the labels (N,) as well.
    latent: the size of a generator's z; None for a discriminator.
    copies: how many networks these layers are, side by side (`SplitCopies`).
    classes: the number of classes; labels run from 0 to classes - 1. None for a network that takes
        no labels.
    init_std: the standard deviation that weights are drawn with; None for PyTorch's own.

    A network is `fresh` from `draw()` until something changes its weights: an optimiser,
    `load_state_dict`, or your own initialisation. A game draws the weights of fresh networks again,
    from its seed.
    """

    def __init__(
        self,
        *layers: nn.Module,
        latent: int | None = None,
        copies: int = 1,
        classes: int | None = None,
        init_std: float | None = None,
    ):
        super().__init__(*layers)
        self.latent = latent
        self.copies = copies
        self.classes = classes
        self.init_std = None if init_std is None else float(init_std)
        # Not drawn here: `network[:3]` makes a Network of layers that are already trained.
        self._drawn = None

    def forward(self, x, labels=None):
        for layer in self:
            x = layer(x, labels) if getattr(layer, "takes_labels", False) else layer(x)
        return x

    @torch.no_grad()
    def draw(self) -> None:
        """Draw all weights anew from torch's global random generator.

        With init_std=None they have PyTorch's own scale, which shrinks as a layer's inputs grow in
        number. A number draws the weights of dense layers and convolutions from N(0, init_std^2),
        with biases of 0, as Radford et al. 2016 do with 0.02
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
        """Whether the weights are still those of the last `draw()`."""
        return self._drawn == self._fingerprint()

    def with_layers(self, *layers: nn.Module) -> "Network":
        """A network of other layers, with this one's latent size, copies, classes and init_std.

        layers: its modules. Their weights are not drawn. If they are the weights of this network,
            in the same order, the new network is fresh if this one is.
        """
        network = Network(
            *layers,
            latent=self.latent,
            copies=self.copies,
            classes=self.classes,
            init_std=self.init_std,
        )
        network._drawn = self._drawn
        return network.train(self.training)

    def _fingerprint(self) -> list[int]:
        """For each weight a checksum, the same on every device and in any memory layout.

        torch's own counter of changes misses `weight.data.normal_()`, which many scripts use.
        """
        # Other buffers change as a network is used; Fourier features' are drawn, like weights.
        drawn = [b for name, b in self.named_buffers() if name.endswith("frequencies")]
        values = (
            value.detach().float().cpu().contiguous() for value in (*self.parameters(), *drawn)
        )
        return [zlib.crc32(value.numpy().tobytes()) for value in values]


def drawn(make):
    """Decorate a function that builds networks: they are moved to the device and drawn.

    make: a function that returns a `Network` or a tuple of them. After all are built, each in turn
        is moved and drawn. `__wrapped__` of the decorated function is `make`, which draws nothing.
    """

    @functools.wraps(make)
    def made(*args, **kwargs):
        networks = make(*args, **kwargs)
        for network in (networks,) if isinstance(networks, Network) else networks:
            network.to(DEVICE, memory_format=torch.channels_last).draw()
        return networks

    return made


@torch.no_grad()
def generate(generator: nn.Module, z: torch.Tensor, labels=None, batch: int = 500) -> torch.Tensor:
    """Samples (N, ...) of a generator in evaluation mode, as float32 on the device.

    generator: maps latents (N, latent) to samples (N, ...). Afterwards its layers are back in the
        modes they had.
    z: latents (N, latent), on any device.
    labels: whole numbers (N,), on any device, for a generator that takes labels; else None.
    batch: how many samples are drawn at a time. It is rounded down to a multiple of the
        generator's `copies`, and is at least `copies`.

    No gradients are kept, and the generator computes in this machine's precision
    (`device.autocast`). Raises ValueError for labels of another shape.
    """
    if labels is not None and labels.shape != z.shape[:1]:
        raise ValueError(f"give a label for each of {len(z)} latents; got {tuple(labels.shape)}")
    copies = getattr(generator, "copies", 1)
    # Each part must begin with the first copy, as the whole batch does.
    batch = max(1, int(batch) // copies) * copies
    parts = z.to(DEVICE).clone().split(batch)  # a first layer may write into its input
    calls = [(part,) for part in parts]
    if labels is not None:
        calls = list(zip(parts, labels.to(DEVICE).split(batch), strict=True))
    with evaluating(generator), autocast(generator):
        return torch.cat([generator(*inputs).float() for inputs in calls])


def uncompiled(network: nn.Module) -> nn.Module:
    """The network itself, where `torch.compile` has put another module around it."""
    return getattr(network, "_orig_mod", network)


TORCHS_OWN = frozenset(vars(nn.Module()))
"""The attributes that torch keeps in every module, `training` among them."""


def is_plain(value) -> bool:
    """Whether a value is a number (Python's or numpy's), a string, None, or a tuple of these."""
    if type(value) in (tuple, torch.Size):
        return all(map(is_plain, value))
    return value is None or isinstance(value, np.generic) or type(value) in (bool, int, float, str)


def attributes(module: nn.Module) -> dict:
    """{name: value} of what a module keeps besides weights, buffers and layers.

    module: its own attributes alone, not those of its layers.
    """
    return {name: value for name, value in vars(module).items() if name not in TORCHS_OWN}


@contextlib.contextmanager
def evaluating(*networks: nn.Module):
    """A context with the networks in evaluation mode; afterwards each layer gets its mode back."""
    modes = [(layer, layer.training) for network in networks for layer in network.modules()]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


def lookalike(network: nn.Module) -> nn.Module:
    """A copy of a network to try things on, or the network itself where it can't be copied.

    A layer may count its inputs or keep their mean: trying must not change that.
    """
    try:
        return copy.deepcopy(uncompiled(network))
    except Exception:
        return network


def arc(a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
    """Spherical interpolation: latents (steps, n) at equal angles on the arc from `a` to `b`.

    a, b: latents (n,), the first and the last.
    steps: how many latents, both ends included.

    A straight line would pass through latents shorter than those the generator was trained on.
    Lengths change evenly from that of a to that of b. Where the two lie on one line, or one is 0,
    there is no arc, and the line is returned. Raises ValueError for steps below 1. Shoemake 1985;
    White 2016 (arXiv:1609.04468). Chapter 4.
    """
    steps = check_count("steps", steps)
    lengths = torch.stack([a.norm(), b.norm()])
    t = torch.linspace(0, 1, steps, dtype=a.dtype, device=a.device)[:, None]
    angle = torch.arccos((a @ b / lengths.prod()).clamp(-1, 1))
    if not angle.sin().abs() >= 1e-6:  # NaN, for a latent of length 0, is not
        return torch.lerp(a, b, t)
    path = torch.sin((1 - t) * angle) * a / lengths[0] + torch.sin(t * angle) * b / lengths[1]
    return path / angle.sin() * torch.lerp(lengths[0], lengths[1], t)
