"""Do a generator, a discriminator, a loss and the data make sense together?"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganbook import losses
from ganbook.arguments import warn
from ganbook.device import DEVICE
from ganbook.networks import Network, evaluating
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
    far = _far(discriminator, fake, labels)
    bounded = far is not None and far.abs().max() < 1e3
    free = not (bounded or penalty or _has_bounded_weights(discriminator))
    if loss == losses.wasserstein and free:
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
    if loss in LOGITS and (
        type(_last(discriminator)) in (nn.Sigmoid, nn.Softmax) or _are_probabilities(far)
    ):
        warn(
            "the discriminator's outputs lie in [0, 1], as after a sigmoid or softmax, but this"
            " loss takes logits, which may be any number: leave that last layer out"
        )


LOGITS = (losses.minimax, losses.nonsaturating, losses.relativistic, losses.hinge)
"""The losses for which logits in [0, 1] are a mistake."""


class Reach(NamedTuple):
    """The range of a generator's values.

    low, high: its ends, infinite where they are not known.
    sure: whether they follow from the last layer; else they were observed, and may change in
        training.
    """

    low: float
    high: float
    sure: bool = True


def reach(generator: nn.Module, latent: int, labels: Tensor | None) -> Reach:
    """A generator's range: (-1, 1) if it ends in tanh, (0, 1) for a sigmoid, else infinite.

    labels: two or more, or None. Known from its last layer, or from its outputs at huge latents.
    """
    last = type(_last(generator))
    if last in (nn.Tanh, nn.Sigmoid):
        return Reach(-1.0 if last is nn.Tanh else 0.0, 1.0)
    count = 2 * getattr(generator, "copies", 1) if labels is None else len(labels)
    far = _far(generator, torch.zeros(count, latent, dtype=torch.float32, device=DEVICE), labels)
    ends = () if far is None else (far.min().item(), far.max().item())
    seen = ends if ends in ((-1.0, 1.0), (0.0, 1.0)) else (-math.inf, math.inf)
    return Reach(*seen, sure=False)


def check_range(samples: Tensor, low: float, high: float, sure: bool) -> None:
    """Check that a generator can reach the data, if they are images: of 64 numbers or more.

    samples: of the data. low, high, sure: what `reach` gives for the generator.
    Raises ValueError for data more than 0.5 beyond what its last layer can reach. Warns of data
    slightly beyond, as added noise produces, and of data in [0, 1] where it ends in tanh.
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
        warn(f"{told}, so it can't draw all of them")
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

    Weight norm does not.
    """
    return any(
        isinstance(layer, SpectralNorm)
        or hasattr(layer, "weight_u")  # torch's older spectral norm
        or (
            isinstance(layer, nn.utils.parametrize.ParametrizationList)
            and not isinstance(layer[0], nn.utils.parametrizations._WeightNorm)
        )
        for layer in network.modules()
    )


_KEEPS_VALUES = (nn.Flatten, nn.Unflatten, nn.Identity)


def _last(network: nn.Module) -> nn.Module:
    """The last layer that changes values, if the network is only layers in sequence.

    Else the network itself: its `forward` or a hook may do more than the layers.
    """
    layers = [network]
    while layers and not layers[-1]._forward_hooks:
        last = layers[-1]
        if type(last).__call__ is not nn.Module.__call__:
            return network
        forward = getattr(last.forward, "__func__", None)
        if forward not in (nn.Sequential.forward, Network.forward):
            return last
        layers = [layer for layer in last if type(layer) not in _KEEPS_VALUES]
    return network


def _are_probabilities(far: Tensor | None) -> bool:
    """Whether outputs for huge inputs stay in [0, 1], and touch 0 or 1."""
    if far is None:
        return False
    low, high = far.min(), far.max()
    return bool(low < high and ((low == 0 and high <= 1) or (low >= 0 and high == 1)))
