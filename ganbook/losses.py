"""Adversarial losses: for each player a function of D's logits on real and fake samples."""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Loss(NamedTuple):
    """What each player minimises: two functions of (real_logits, fake_logits), (N,) each, to (N,).

    Logits are the discriminator's outputs before any sigmoid: above 0 means real.
    d: the discriminator's.
    g: the generator's.
    paired: whether `g` needs the real logits. If not, a game does not compute them for the
        generator's turn, and `g` gets None in their place.
    """

    d: Callable[[Tensor, Tensor], Tensor]
    g: Callable[[Tensor | None, Tensor], Tensor]
    paired: bool = True


def _d_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    # -log sigmoid(l) = softplus(-l) and -log(1 - sigmoid(l)) = softplus(l), with no logarithm of 0
    return F.softplus(-real) + F.softplus(fake)


def _g_minimax(real: Tensor, fake: Tensor) -> Tensor:
    return -F.softplus(fake)


def _g_nonsaturating(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-fake)


def _d_relativistic(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(fake - real)


def _g_relativistic(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(real - fake)


def _d_hinge(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real) + F.relu(1 + fake)


def _d_least_squares(real: Tensor, fake: Tensor) -> Tensor:
    return ((real - 1).square() + fake.square()) / 2


def _g_least_squares(real: Tensor, fake: Tensor) -> Tensor:
    return (fake - 1).square() / 2


def _d_difference(real: Tensor, fake: Tensor) -> Tensor:
    return fake - real


def _g_height(real: Tensor, fake: Tensor) -> Tensor:
    return -fake


minimax = Loss(d=_d_cross_entropy, g=_g_minimax, paired=False)
"""The game as first stated: D maximises log D(x) + log(1 - D(G(z))), G minimises log(1 - D(G(z))).

Goodfellow et al. 2014, eq. 1 (arXiv:1406.2661). Chapters 1 and 2."""

nonsaturating = Loss(d=_d_cross_entropy, g=_g_nonsaturating, paired=False)
"""The same discriminator; G maximises log D(G(z)): while D wins, its gradient keeps its weight.

Goodfellow et al. 2014, section 3 (arXiv:1406.2661). Chapter 2."""

relativistic = Loss(d=_d_relativistic, g=_g_relativistic)
"""D wants a real sample judged more real than a fake one, G the reverse: softplus of a difference.

Relativistic pairing, Jolicoeur-Martineau 2018 (arXiv:1807.00734); with R1 and R2 in the code of
R3GAN, Huang et al. 2025 (arXiv:2501.05441), whose eq. 2 has G minimise minus D's loss instead.
Chapters 4 and 9."""

hinge = Loss(d=_d_hinge, g=_g_height, paired=False)
"""D learns only from real logits below 1 and fake ones above -1; G makes fakes' logits high.

Lim & Ye 2017 (arXiv:1705.02894); Miyato et al. 2018, eq. 16 and 17 (arXiv:1802.05957).
Chapter 9."""

least_squares = Loss(d=_d_least_squares, g=_g_least_squares, paired=False)
"""D regresses real samples to 1 and fake ones to 0; G wants its fakes at 1. Halved, as published.

Mao et al. 2017, eq. 2 with a = 0 and b = c = 1 (arXiv:1611.04076). Chapter 9."""

wasserstein = Loss(d=_d_difference, g=_g_height, paired=False)
"""The critic maximises its mean on real minus that on fake: W1, for the best 1-Lipschitz critic.

Nothing here makes it 1-Lipschitz: add `penalties.clip(0.01)` or `penalties.wgan_gp()`. Arjovsky et
al. 2017, eq. 2 and 3 (arXiv:1701.07875). Chapters 7 and 8."""
