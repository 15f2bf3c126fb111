"""Functions that add layers to a network: spectral norm and dropout."""

import numbers

from torch import nn

from ganbook.networks.layers import ParallelLinear, ResidualBlock, SpectralNorm
from ganbook.networks.network import Network

_WEIGHTED = (nn.Linear, nn.Conv2d, ParallelLinear)
_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Identity)


def spectral(network: Network) -> Network:
    """The network with `SpectralNorm` around each dense layer and convolution.

    network: one without labels, usually a discriminator. Layers within its residual blocks are
        wrapped as well.

    The result has the layers of `network` itself, not copies, and its residual blocks are changed
    in place. So use the result instead of `network`. A fresh network stays fresh. Raises ValueError
    for a network with labels, TypeError if it is not a `Network`. Miyato et al. 2018
    (arXiv:1802.05957). Chapter 9.
    """
    _check_network(network)
    if network.classes is not None:
        raise ValueError(
            f"spectral norm is for networks without labels here; this one has"
            f" classes={network.classes}: build it without classes"
        )
    for block in (layer for layer in network if isinstance(layer, ResidualBlock)):
        block.branch = nn.Sequential(*map(_normed, block.branch))
        block.shortcut = _normed(block.shortcut)
    return network.with_layers(*map(_normed, network))


def dropout(network: Network, p: float) -> Network:
    """The network with `nn.Dropout(p)` after each hidden activation.

    network: usually a discriminator. A last activation, such as a generator's tanh, is not hidden.
        Residual blocks stay as they are.
    p: the share of the values set to 0 at random in training, at least 0 and below 1. With 0, no
        layer is added.

    The result has the layers of `network` itself, not copies: the two share their weights. A fresh
    network stays fresh. Raises ValueError for p out of range or a network without a hidden
    activation, TypeError if it is not a `Network`. Srivastava et al. 2014 (JMLR 15, section 4).
    Chapter 10.
    """
    _check_network(network)
    if not (isinstance(p, numbers.Real) and 0 <= p < 1):
        raise ValueError(f"p={p!r}: give the share that is set to 0, at least 0 and below 1")
    layers = []
    for place, layer in enumerate(network, 1):
        layers += [layer]
        if p and isinstance(layer, _ACTIVATIONS) and place < len(network):
            layers += [nn.Dropout(float(p))]
    if p and len(layers) == len(network):
        raise ValueError(
            "dropout follows an activation, and this network has none to follow: it needs a ReLU,"
            " leaky ReLU, tanh or identity among its layers, before the last"
        )
    return network.with_layers(*layers)


def _normed(layer: nn.Module) -> nn.Module:
    return SpectralNorm(layer) if isinstance(layer, _WEIGHTED) else layer


def _check_network(network) -> None:
    if not isinstance(network, Network):
        raise TypeError(
            f"give one network, such as networks.dcgan_discriminator(), not a"
            f" {type(network).__name__}"
        )
