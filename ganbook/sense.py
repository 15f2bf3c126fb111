"""Do a generator, a discriminator, a loss and the data make sense together?"""

import math
import re
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganbook import losses
from ganbook.arguments import warn
from ganbook.device import DEVICE
from ganbook.networks import evaluating
from ganbook.networks.layers import SpectralNorm
from ganbook.players import call


def _mixes_samples(network: nn.Module) -> bool:
    """Whether a batch norm takes its statistics from the batch when the network trains."""
    if not network.training:
        network.train()  # as a game does; else a layer may be frozen in evaluation mode
    return any(
        layer.training or layer.running_mean is None
        for layer in network.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    )


def warn_of_nonsense(discriminator, loss, penalty, fake: Tensor, labels: Tensor | None) -> None:
    """Warn of settings that raise no error but don't make sense together, where it can be detected.

    discriminator: it may be left in training mode. loss: a `losses.Loss`; one of your own is not
        checked. penalty: a `penalties.Penalty` or None. fake: samples (N, ...). labels: of the
        samples, or None.
    """
    end = _end(discriminator, fake, labels)
    bounded = end in ("Tanh", "Hardtanh", "Sigmoid", "Softmax", "Clamp")
    bounded = bounded or penalty or _has_bounded_weights(discriminator)
    if loss == losses.wasserstein and not bounded:
        warn(
            "nothing bounds the slope of this Wasserstein critic, so its loss can fall without"
            " bound: add penalty=penalties.wgan_gp(), or penalties.clip(0.01)"
        )
    if penalty is not None and penalty.terms and _mixes_samples(discriminator):
        warn(
            "the discriminator has batch norm, so each logit depends on the whole batch, and its"
            " gradient is not that of its own sample alone: leave batch norm out if the penalty is"
            " on gradients"
        )
    if loss in LOGITS and end in ("Sigmoid", "Softmax"):
        warn(
            f"the discriminator's outputs lie in [0, 1], as it ends in a {end.lower()}, but this"
            " loss takes logits, which may be any number: leave that last operation out"
        )


LOGITS = (losses.minimax, losses.nonsaturating, losses.relativistic, losses.hinge)
"""The losses for which logits in [0, 1] are a mistake."""


class Reach(NamedTuple):
    """The range of a generator's values.

    low, high: its ends, infinite where they are not known.
    sure: whether they follow from the last operation; else they were observed, and may change in
        training.
    """

    low: float
    high: float
    sure: bool = True


def reach(generator: nn.Module, latent: int, labels: Tensor | None) -> Reach:
    """A generator's range: (-1, 1) if it ends in tanh, (0, 1) for a sigmoid, else infinite.

    labels: two or more, or None.
    The range is known from its last operation, or from its outputs at huge latents.
    """
    count = 2 * getattr(generator, "copies", 1) if labels is None else len(labels)
    z = torch.randn(count, latent, dtype=torch.float32, device=DEVICE)
    end = _end(generator, z, labels)
    if end in ("Tanh", "Sigmoid"):
        return Reach(-1.0 if end == "Tanh" else 0.0, 1.0)
    far = _far(generator, z, labels)
    ends = () if far is None else (far.min().item(), far.max().item())
    seen = ends if ends in ((-1.0, 1.0), (0.0, 1.0)) else (-math.inf, math.inf)
    return Reach(*seen, sure=False)


def check_range(samples: Tensor, low: float, high: float, sure: bool) -> None:
    """Check that a generator can reach the data, if they are images: of 64 numbers or more.

    samples: of the data. low, high, sure: what `reach` gives for the generator.
    Raises ValueError for data more than 0.5 beyond what its last operation can reach. Warns of data
    less far beyond, as added noise produces, of data beyond a range that was observed, and of data
    in [0, 1] where it ends in tanh.
    """
    if samples[0].numel() < 64 or high > 1:
        return
    lowest, highest = (value.item() for value in samples.aminmax())
    beyond = max(low - lowest, highest - high)
    told = (
        f"images must lie in [{low:.0f}, {high:.0f}], as the generator's do; these reach from"
        f" {lowest:.3g} to {highest:.3g}"
    )
    if sure and beyond > 0.5:
        raise ValueError(told)
    if beyond > 1e-4:
        warn(f"{told}, so the generator can't draw all of them")
    elif lowest >= 0 > low:
        warn(
            f"all pixels of the first batch lie in [0, {highest:.3g}], half the range of this"
            " generator, which ends in tanh: scale the images with 2 * images - 1",
        )


@torch.no_grad()
def _far(network: nn.Module, like: Tensor, labels: Tensor | None) -> Tensor | None:
    """A network's outputs for huge random inputs, or None if it can't take them.

    like: inputs (N, ...) of the right shape. labels: (N,), or None.
    """
    far = 1e6 * torch.randn(8 * len(like), *like.shape[1:], dtype=like.dtype, device=like.device)
    labels = None if labels is None else labels.repeat(8)
    try:
        with evaluating(network):
            return call(network, far, labels).float()
    except Exception:
        return None


def _has_bounded_weights(network: nn.Module) -> bool:
    """Whether a layer has a spectral norm, or any parametrization that may bound its weight.

    Weight norm does not bound it.
    """
    return any(
        isinstance(layer, SpectralNorm)
        or hasattr(layer, "weight_u")  # torch's older spectral norm
        or (
            ".parametrizations.weight" in f".{path}"
            and isinstance(layer, nn.utils.parametrize.ParametrizationList)
            and not isinstance(layer[0], nn.utils.parametrizations._WeightNorm)
        )
        for path, layer in network.named_modules()
    )


_KEEP_VALUES = re.compile(
    "(Unsafe)?View|Reshape|ReshapeAlias|Alias|Squeeze|Unsqueeze|Permute|Transpose|T|Select|Slice"
    "|Expand|Clone|ToCopy|Mean"
)
"""Operations, by their names in torch's graph, after which numbers stay in their range."""


def _end(network: nn.Module, like: Tensor, labels: Tensor | None) -> str:
    """The last operation that moves a network's values, such as "Sigmoid", or "" if not known.

    like: inputs (N, ...). labels: (N,), or None. The operation is read from torch's graph, because
    it may be in a layer, in the network's own `forward` or in a hook.
    """
    try:
        with evaluating(network), torch.enable_grad():
            node = call(network, like.clone(), labels).grad_fn
    except Exception:
        return ""
    while node is not None:
        operation = re.sub(r"Backward\d*$", "", node.name())
        if not _KEEP_VALUES.fullmatch(operation):
            return operation
        node = node.next_functions[0][0]
    return ""
