"""The running average of a network's weights."""

import copy

import torch
from torch import Tensor, nn

from ganbook.device import tensors
from ganbook.networks.network import TORCHS_OWN, is_plain, uncompiled


class Average:
    """A copy of a network whose weights are running averages of the network's.

    live: the network. Weights whose `data` is replaced later are still followed; layers added
        later are not.
    The running statistics of its batch norms are averaged as its weights are. Whole numbers among
    the weights, the other buffers, and the numbers, strings, tuples and tensors that its own layers
    keep as attributes are copied, so that a network which grows is at the same stage. Raises
    TypeError for a network that can't be copied.
    Yazici et al. 2019 (arXiv:1806.04498). Chapter 4.
    """

    def __init__(self, live: nn.Module):
        live = uncompiled(live)
        try:
            self.network = copy.deepcopy(live).eval().requires_grad_(False)
        except Exception as error:
            raise TypeError(
                f"a {type(live).__name__} can't be copied for an average"
                f"{_with_graph(live) or f': {error}'}. Or switch averaging off (GAN: average=0;"
                " Game: average=None)"
            ) from error
        # Dictionaries and names, because the tensors in them may be replaced.
        self._averaged, self._copied, self._attributes = [], [], []
        seen = set()
        for own, layer in zip(self.network.modules(), live.modules(), strict=True):
            for name, value in own._parameters.items():
                if value is not None and id(value) not in seen:  # layers may share a weight
                    seen.add(id(value))
                    places = self._averaged if value.is_floating_point() else self._copied
                    places.append((own._parameters, layer._parameters, name))
            statistics = isinstance(layer, nn.modules.batchnorm._NormBase)
            for name, value in own._buffers.items():
                averaged = statistics and value is not None and value.is_floating_point()
                places = self._averaged if averaged else self._copied
                places.append((own._buffers, layer._buffers, name))
            if not type(layer).__module__.startswith("torch."):
                self._attributes.append((own, layer))

    @torch.no_grad()
    def update(self, kept: float) -> None:
        """Update the average: `kept` times itself plus `1 - kept` times the network.

        kept: the share of the average that is kept, from 0 to 1.
        """
        averages = [values[name] for values, _, name in self._averaged]
        lives = [values[name] for _, values, name in self._averaged]
        if averages:
            torch._foreach_lerp_(averages, lives, 1 - kept)
        for values, lives, name in self._copied:
            own, live = values[name], lives[name]
            if own is None or live is None or own.shape != live.shape:
                values[name] = None if live is None else live.clone()
            else:
                own.copy_(live)
        for own, layer in self._attributes:
            for name, value in vars(layer).items():
                if name in TORCHS_OWN:
                    continue
                if isinstance(value, Tensor):
                    if value.grad_fn is None:
                        vars(own)[name] = value.clone()
                elif is_plain(value):
                    vars(own)[name] = value


def _with_graph(network: nn.Module) -> str:
    """Words on the first attribute that torch can't copy, as gradients flow through it, or ""."""
    for path, layer in network.named_modules():
        for name, value in {**layer._buffers, **vars(layer)}.items():
            if any(tensor.grad_fn is not None for tensor in tensors(value)):
                return (
                    f": its attribute {'.'.join(filter(None, (path, name)))} still carries"
                    f" gradients: store {name}.detach() or None there. If one of torch's older"
                    " hooks put it there, use torch.nn.utils.parametrizations"
                )
    return ""
