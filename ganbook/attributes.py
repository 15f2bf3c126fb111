"""What layers keep beside their weights: told, saved, and put back."""

import numpy as np
import torch
from torch import Tensor, nn

from ganbook.networks import uncompiled
from ganbook.networks.network import TORCHS_OWN, attributes, is_plain


def modules_of(game) -> dict[str, dict]:
    """The modules of players, averages and memory: {what: {name: modules}}."""
    memory = {name: (module,) for name, module in game.memory.items()}
    groups = {"players": game.players, "averages": game.averages, "memory": memory}
    return {
        what: {name: [uncompiled(module) for module in modules] for name, modules in group.items()}
        for what, group in groups.items()
    }


def places(game) -> dict[tuple, nn.Module]:
    """Every layer by its place: players, averages or memory; whose; which network; its path."""
    return {
        (what, name, number, path): layer
        for what, group in modules_of(game).items()
        for name, modules in group.items()
        for number, module in enumerate(modules)
        for path, layer in module.named_modules()
    }


def kept_beside(game) -> dict:
    """{place: (attributes, shapes of buffers)}: what each layer of a game keeps beside its weights.

    game: its players, averages and memory. A buffer that is None counts as an attribute.
    """
    layers = places(game).items()
    return {place: (_attributes(layer), _shapes(layer)) for place, layer in layers}


def _attributes(layer: nn.Module) -> dict:
    to_come = {name: None for name, buffer in layer._buffers.items() if buffer is None}
    return attributes(layer) | to_come


def _shapes(layer: nn.Module) -> dict:
    return {name: None if b is None else tuple(b.shape) for name, b in layer._buffers.items()}


def changed(game) -> dict:
    """{place: what has changed since the game was built}.

    That is a dictionary of plain attributes, and the names of those that are gone, of those whose
    values a file can't hold, and of buffers that are new or of another shape.
    """
    found = {}
    for place, layer in places(game).items():
        (built, shapes), now = game._built.get(place, ({}, {})), _attributes(layer)
        new = {n: v for n, v in now.items() if not (n in built and _same(built[n], v))}
        plain = {name: _to_file(value) for name, value in new.items() if is_plain(value)}
        others = [name for name in new if name not in plain]
        gone = [name for name in built if name not in now]
        moved = [name for name, s in _shapes(layer).items() if shapes.get(name, ...) != s]
        if plain or gone or others or moved:
            found[place] = plain, gone, others, moved
    return found


def restore(game, state: dict) -> None:
    """Put back the attributes that the file has; all others as they were when the game was built.

    Buffers that have come or changed their shape are put in place for `load_state_dict`. Attributes
    whose values a file can't hold are left as they are.
    """
    layers, saved = places(game), state["attributes"]
    for place in saved.keys() - layers.keys():
        raise ValueError(f"it has a layer at {place!r} that yours does not have")
    for place, layer in layers.items():
        what, player, number, path = place
        built, shapes = game._built.get(place, ({}, {}))
        plain, gone, others, moved = saved.get(place, ({}, (), (), ()))
        values = {name: v for name, v in built.items() if name not in gone}
        values |= {name: _settable(layer, name, _from_file(v)) for name, v in plain.items()}
        for name in attributes(layer).keys() - values.keys() - set(others):
            del vars(layer)[name]
        for name in values.keys() - set(others):
            if values[name] is None and (name in shapes or name in moved):
                layer._buffers[name] = None
                continue
            if name in layer._buffers:
                del layer._buffers[name]
            vars(layer)[name] = values[name]
        kept = _own_entries(state["modules"][what][player][number], path)
        late = set(layer._buffers.keys()) - layer._non_persistent_buffers_set - set(shapes)
        for name in late - kept.keys():
            del layer._buffers[name]
        for name in kept.keys() - layer._parameters.keys() - {"_extra_state"}:
            shape = tuple(kept[name].shape)
            if _shapes(layer).get(name) != shape and (name in moved or shapes.get(name) == shape):
                layer._buffers[name] = _settable(layer, name, kept[name])
                vars(layer).pop(name, None)


def _own_entries(state: dict, path: str) -> dict:
    """What a state_dict has of the layer at this path, and not of layers within it."""
    start = f"{path}." if path else ""
    entries = {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
    return {name: value for name, value in entries.items() if "." not in name}


def _settable(layer: nn.Module, name, value):
    own = TORCHS_OWN | layer._parameters.keys() | layer._modules.keys() | vars(nn.Module).keys()
    if not isinstance(name, str) or name in own or callable(getattr(type(layer), name, None)):
        raise ValueError(f"it has an attribute {name!r}, which can't be set")
    if not (is_plain(value) or isinstance(value, Tensor)):
        raise ValueError(f"its attribute {name!r} is a {type(value).__name__}")
    return value


def _to_file(value):
    """A plain value as a file can hold it: numbers of numpy are tensors there."""
    if isinstance(value, tuple):
        return type(value)(map(_to_file, value))
    return torch.from_numpy(np.array(value)) if isinstance(value, np.generic) else value


def _from_file(value):
    if isinstance(value, tuple):
        return type(value)(map(_from_file, value))
    return value.cpu().numpy()[()] if isinstance(value, Tensor) else value


def _same(a, b) -> bool:
    return a is b or (is_plain(a) and type(a) is type(b) and bool(a == b))
