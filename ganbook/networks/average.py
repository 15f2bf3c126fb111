"""The running average of a network's weights."""

import copy

import torch
from torch import nn


class Average:
    """A copy of a network whose weights and buffers are running averages of the network's.

    live: the network. Weights whose `data` is replaced later are still followed; layers added
        later are not.
    Floating-point weights and buffers are averaged, others are copied.
    Yazici et al. 2019 (arXiv:1806.04498). Chapter 4.
    """

    def __init__(self, live: nn.Module):
        self.network = copy.deepcopy(live).eval().requires_grad_(False)
        self._floats, self._others = [], []
        for pair in zip(_places(self.network), _places(live), strict=True):
            kind = self._floats if _tensor(pair[0]).is_floating_point() else self._others
            kind.append(pair)

    @torch.no_grad()
    def update(self, kept: float) -> None:
        """Update the average: `kept` times itself plus `1 - kept` times the network.

        kept: the share of the average that is kept, from 0 to 1.
        """
        averages = [where[name] for (where, name), _ in self._floats]
        lives = [where[name] for _, (where, name) in self._floats]
        torch._foreach_lerp_(averages, lives, 1 - kept)
        for average, live in self._others:
            _tensor(average).copy_(_tensor(live))


def _places(network: nn.Module) -> list[tuple[dict, str]]:
    """Where a network keeps its weights and buffers, (dictionary, name); shared ones come once."""
    places = {}
    for layer in network.modules():
        for where in (layer._parameters, layer._buffers):
            for name, value in where.items():
                if value is not None:
                    places.setdefault(id(value), (where, name))
    return list(places.values())


def _tensor(place: tuple[dict, str]) -> torch.Tensor:
    where, name = place
    return where[name]
