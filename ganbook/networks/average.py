"""The running average of a network's weights."""

import copy

import torch
from torch import nn

from ganbook.networks.network import uncompiled


class Average:
    """A copy of a network whose weights are running averages of the network's.

    live: the network. Weights whose `data` is replaced later are still followed; layers added
        later are not.
    The running statistics of its batch norms are averaged as its weights are. Its other buffers,
    and the numbers and texts that its own layers keep as attributes, are copied, so that a network
    which grows is at the same stage. Raises TypeError for a network that can't be copied.
    Yazici et al. 2019 (arXiv:1806.04498). Chapter 4.
    """

    def __init__(self, live: nn.Module):
        live = uncompiled(live)
        try:
            self.network = copy.deepcopy(live).eval().requires_grad_(False)
        except Exception as error:
            raise TypeError(
                f"a {type(live).__name__} can't be copied for an average ({error}): use"
                " torch.nn.utils.parametrizations in place of older hooks, or no average"
            ) from error
        # Dictionaries and names, because the tensors in them may be replaced.
        self._averaged, self._copied, self._attributes = [], [], []
        seen = set()
        for own, layer in zip(self.network.modules(), live.modules(), strict=True):
            for name, value in own._parameters.items():
                if value is not None and id(value) not in seen:  # layers may share a weight
                    seen.add(id(value))
                    self._averaged.append((own._parameters, layer._parameters, name))
            statistics = isinstance(layer, nn.modules.batchnorm._NormBase)
            for name, value in own._buffers.items():
                averaged = statistics and value is not None and value.is_floating_point()
                places = self._averaged if averaged else self._copied
                places.append((own._buffers, layer._buffers, name))
            if not type(layer).__module__.startswith("torch."):
                self._attributes.append((own.__dict__, layer.__dict__))

    @torch.no_grad()
    def update(self, kept: float) -> None:
        """Update the average: `kept` times itself plus `1 - kept` times the network.

        kept: the share of the average that is kept, from 0 to 1.
        """
        averages = [values[name] for values, _, name in self._averaged]
        lives = [values[name] for _, values, name in self._averaged]
        torch._foreach_lerp_(averages, lives, 1 - kept)
        for values, lives, name in self._copied:
            own, live = values[name], lives[name]
            if own is None or live is None or own.shape != live.shape:
                values[name] = None if live is None else live.clone()
            else:
                own.copy_(live)
        for values, lives in self._attributes:
            for name, value in lives.items():
                if type(value) in (bool, int, float, str) and name != "training":
                    values[name] = value
