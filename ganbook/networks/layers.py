"""The course's own layers: copies, Fourier features, spectral norm, residual blocks."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call


class ParallelLinear(nn.Module):
    """`copies` dense layers side by side, each with weights of its own.

    copies: how many layers.
    inputs, outputs: the units of each.

    Maps (copies, n, inputs) to (copies, n, outputs).
    """

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


class SplitCopies(nn.Module):
    """Splits a batch (N, D) among `copies` networks, to (copies, n, D).

    copies: how many networks. Row i of the batch goes to network i % copies.

    Raises ValueError for a batch that is not a multiple of `copies`.
    """

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


class JoinCopies(nn.Module):
    """Joins what `SplitCopies` split: (copies, n, D) to (N, D), in the order of the batch."""

    def forward(self, x):
        return x.transpose(0, 1).flatten(0, 1)


class FourierFeatures(nn.Module):
    """Appends to points the sines and cosines of `count` random waves.

    inputs: the dimension of the points.
    count: the number of waves.
    scale: the standard deviation of their frequencies, in cycles per unit. The larger it is, the
        finer the details that the next layer can see.
    copies: the number of networks side by side, each with waves of its own.

    Maps (..., inputs) to (..., inputs + 2 count). The frequencies are drawn from N(0, scale^2) and
    are not trained. Tancik et al. 2020, section 5 (arXiv:2006.10739). Chapter 3.
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
    """A layer whose weight is divided by its largest singular value.

    layer: a dense layer, a convolution or a `ParallelLinear`. A convolution's kernel is taken as a
        matrix (outputs, inputs x height x width). Each copy is divided by its own value.

    Each call estimates the singular value by one step of power iteration, starting where the last
    call in training mode ended, so the estimate lags a little behind. The norm of a convolution can
    exceed that of its matrix by a factor of up to sqrt(height x width) of the kernel. Miyato et al.
    2018, algorithm 1 (arXiv:1802.05957). Chapter 9.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer
        self.register_buffer("u", torch.empty_like(self._matrices(layer.weight)[:, :, 0]))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.u)

    def _matrices(self, weight):
        return weight if isinstance(self.layer, ParallelLinear) else weight.flatten(1)[None]

    def forward(self, x):
        weight = self.layer.weight
        matrices = self._matrices(weight)
        with torch.no_grad():
            v = F.normalize(torch.einsum("ci,cij->cj", self.u, matrices), dim=1)
            u = F.normalize(torch.einsum("cij,cj->ci", matrices, v), dim=1)
            if self.training:
                self.u.copy_(u)
        # u and v are constants here and the weight is not, so the gradient includes how the norm
        # changes with the weight.
        norm = torch.einsum("ci,cij,cj->c", u, matrices, v)
        norm = norm.clamp_min(torch.finfo(norm.dtype).tiny)  # all zeros stay zeros, not NaN
        weight = weight / norm.view(-1, *[1] * (weight.ndim - 1))
        return functional_call(self.layer, {"weight": weight}, (x,))


class ResidualBlock(nn.Module):
    """A shortcut plus `gain` times two convolutions: (N, inputs, H, W) to (N, outputs, H, W).

    inputs, outputs: the channels. The shortcut is the identity if they are equal, else a
        convolution with a kernel of one pixel.

    The gain is learned and begins at 0. So at first every block is its shortcut, and gradients do
    not vanish with depth. Nothing needs to be normalised. He et al. 2016
    (arXiv:1512.03385); the gain, Bachlechner et al. 2020, eq. 1 (arXiv:2003.04887). Chapter 9.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        first = nn.Conv2d(inputs, outputs, 3, padding=1)
        second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.branch = nn.Sequential(nn.LeakyReLU(0.2), first, nn.LeakyReLU(0.2), second)
        self.gain = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.gain)

    def forward(self, x):
        return self.shortcut(x) + self.gain * self.branch(x)
