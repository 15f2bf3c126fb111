"""The running average of a network's weights."""

import copy

import torch
from torch import nn

from ganbook.networks.network import uncompiled


class Average:
    """A copy of a network whose weights are running averages of the network's.

    live: the network. Weights whose `data` is replaced later are still followed; layers added
        later are not.
    The running statistics of its batch norms are averaged as its weights are. Its other buffers are
    copied, so that a network which keeps a stage or a mixing weight there is at the same one.
    Yazici et al. 2019 (arXiv:1806.04498). Chapter 4.
    """

    def __init__(self, live: nn.Module):
        live = uncompiled(live)
        self.network = copy.deepcopy(live).eval().requires_grad_(False)
        self._averaged, self._copied = [], []
        seen = set()
        for own, layer in zip(self.network.modules(), live.modules(), strict=True):
            statistics = isinstance(layer, nn.modules.batchnorm._NormBase)
            for kind in ("_parameters", "_buffers"):
                values, lives = getattr(own, kind), getattr(layer, kind)
                for name, value in values.items():
                    if value is None or id(value) in seen:
                        continue
                    seen.add(id(value))  # a weight that layers share comes once
                    averaged = value.is_floating_point() and (kind == "_parameters" or statistics)
                    places = self._averaged if averaged else self._copied
                    places.append((values, lives, name))

    @torch.no_grad()
    def update(self, kept: float) -> None:
        """Update the average: `kept` times itself plus `1 - kept` times the network.

        kept: the share of the average that is kept, from 0 to 1.
        """
        averages = [values[name] for values, _, name in self._averaged]
        lives = [values[name] for _, values, name in self._averaged]
        torch._foreach_lerp_(averages, lives, 1 - kept)
        for values, lives, name in self._copied:
            values[name].copy_(lives[name])
