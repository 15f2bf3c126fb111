"""The running average of a network's weights."""

import copy

import torch
from torch import Tensor, nn

from ganbook.device import tensors
from ganbook.networks.network import attributes, is_plain, uncompiled


class Average:
    """A copy of a network whose weights are running averages of the network's.

    live: the network. Weights whose `data` is replaced later are still followed.
    The weights that learn are averaged, and the running statistics of batch norms and instance
    norms. `synced` copies frozen weights, the other buffers, and what layers keep as attributes:
    tensors, and numbers, strings and tuples of these. So a growing network is at the same stage.
    Other attributes stay as they were when the game was built. torch's spectral norms divide by an
    estimate for the live weights, so the norms of averaged weights may lie above 1. Raises
    TypeError for a network that can't be copied. Yazici et al. 2019 (arXiv:1806.04498). Chapter 4.
    """

    def __init__(self, live: nn.Module):
        live = uncompiled(live)
        try:
            self.network = copy.deepcopy(live).eval().requires_grad_(False)
        except Exception as error:
            raise TypeError(
                f"a {type(live).__name__} can't be copied for an average"
                f"{_with_graph(live) or f': {error}'}, or switch averaging off (GAN: average=0;"
                " Game: average=None)"
            ) from error
        self._layers = list(zip(self.network.modules(), live.modules(), strict=True))
        # Dictionaries and names, because the tensors in them may be replaced.
        self._averaged, seen = [], {id(None)}
        for own, layer in self._layers:
            norm = isinstance(layer, nn.modules.batchnorm._NormBase)
            for values, lives in _dictionaries(own, layer):
                for name, value in lives.items():
                    if id(value) in seen:  # layers may share a weight
                        continue
                    if value.requires_grad or (norm and name in ("running_mean", "running_var")):
                        seen.add(id(value))
                        self._averaged.append((values, lives, name))

    def check(self) -> None:
        """Raise ValueError if layers or averaged weights of the network were added or removed."""
        live = self._layers[0][1]
        same = list(live.modules()) == [layer for _, layer in self._layers]
        if not (same and all(name in lives for _, lives, name in self._averaged)):
            raise ValueError(
                f"layers or weights of the {type(live).__name__} were added, removed or replaced"
                " after its average was made, and the average can't follow: build the network with"
                " all its layers, or switch averaging off (GAN: average=0; Game: average=None)"
            )

    @torch.no_grad()
    def update(self, kept: float) -> None:
        """Update the average: `kept` times itself plus `1 - kept` times the network.

        kept: the share of the average that is kept, from 0 to 1.
        """
        averages = [values[name] for values, _, name in self._averaged]
        lives = [values[name] for _, values, name in self._averaged]
        if averages:
            torch._foreach_lerp_(averages, lives, 1 - kept)

    @torch.inference_mode(False)
    @torch.no_grad()
    def synced(self) -> nn.Module:
        """The averaged network; what is not averaged in it is copied from the live network.

        Raises ValueError as `check` does.
        """
        self.check()
        averaged, copies = {id(values[name]) for values, _, name in self._averaged}, {}
        for own, layer in self._layers:
            for values, lives in _dictionaries(own, layer):
                for name in values.keys() - lives.keys():
                    del values[name]
                for name, value in lives.items():
                    if id(values.get(name)) not in averaged:
                        # Layers may share it.
                        values[name] = copies.setdefault(id(value), _copied(value))
            own._non_persistent_buffers_set |= layer._non_persistent_buffers_set
            there, now = attributes(own), attributes(layer)
            for name in there.keys() - now.keys():
                del vars(own)[name]
            for name, value in now.items():
                if is_plain(value) or (isinstance(value, Tensor) and value.grad_fn is None):
                    vars(own)[name] = _copied(value)
        return self.network


def _dictionaries(own: nn.Module, layer: nn.Module) -> tuple:
    return (own._parameters, layer._parameters), (own._buffers, layer._buffers)


def _copied(value):
    """A plain value, or a copy of a tensor: an expanded one can't be written in place."""
    if isinstance(value, nn.Parameter):
        return nn.Parameter(value.detach().clone(), requires_grad=False)
    return value.detach().clone() if isinstance(value, Tensor) else value


def _with_graph(network: nn.Module) -> str:
    """A message about the first attribute that still carries a graph, or ""."""
    for path, layer in network.named_modules():
        for name, value in {**layer._buffers, **vars(layer)}.items():
            if any(tensor.grad_fn is not None for tensor in tensors(value)):
                return (
                    f": its attribute {'.'.join(filter(None, (path, name)))} still carries"
                    f" gradients: store {name}.detach() or None there. If one of torch's older"
                    " hooks put it there, use torch.nn.utils.parametrizations; after pruning, call"
                    " torch.nn.utils.prune.remove"
                )
    return ""
