"""Adversarial losses: for each player a function of both players' logits, per sample."""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Loss(NamedTuple):
    """What each player minimises: `d(real_logits, fake_logits)` and `g(real_logits, fake_logits)`, (N,) each, to (N,).

    Logits are what the discriminator says before any sigmoid: above 0 for real. paired: whether `g` looks at the real
    logits; a game saves the work of computing them where it does not, and `g` gets None in their place.
    """

    d: Callable[[Tensor, Tensor], Tensor]
    g: Callable[[Tensor | None, Tensor], Tensor]
    paired: bool = True


def _d_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    # -log sigmoid(l) = softplus(-l) and -log(1 - sigmoid(l)) = softplus(l), without a logarithm of 0
    return F.softplus(-real) + F.softplus(fake)


def _g_minimax(real: Tensor, fake: Tensor) -> Tensor:
    return -F.softplus(fake)


def _g_nonsaturating(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-fake)


def _d_relativistic(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(fake - real)


def _g_relativistic(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(real - fake)


minimax = Loss(d=_d_cross_entropy, g=_g_minimax, paired=False)
"""The game as first stated: D maximises log D(x) + log(1 - D(G(z))), G minimises log(1 - D(G(z))).

Goodfellow et al. 2014, eq. 1 (arXiv:1406.2661). Chapters 1 and 2."""

nonsaturating = Loss(d=_d_cross_entropy, g=_g_nonsaturating, paired=False)
"""The same discriminator; G maximises log D(G(z)), whose gradient does not vanish while D wins.

Goodfellow et al. 2014, section 3 (arXiv:1406.2661). Chapter 2."""

relativistic = Loss(d=_d_relativistic, g=_g_relativistic)
"""Each player wants its own side of a pair, one real and one fake, judged the more real: softplus of the difference.

Relativistic pairing, Jolicoeur-Martineau 2018 (arXiv:1807.00734); with R1 and R2 in R3GAN, Huang et al. 2025, eq. 2
(arXiv:2501.05441). Chapters 4 and 9."""
