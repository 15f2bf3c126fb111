"""What a game was when it was built: what a file must share with it, or leaves out."""

import re
import zlib
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganbook.arguments import warn
from ganbook.networks import uncompiled
from ganbook.networks.network import attributes, is_plain


class Built(NamedTuple):
    """What a game was when it was built.

    layers: its modules as text, and its turns. They must be equal in a file and here.
    kept: {(whose, name): (shape, type)} of what a checkpoint keeps of players and memory.
    left_out: {(whose, name): value} of what it leaves out: plain values that layers have as
        attributes, and for a tensor what tells whether it is still the same.
    """

    layers: dict
    kept: dict
    left_out: dict


def built(game) -> Built:
    """What a game is now. Called when it is built and saved."""
    kept, left_out, groups = {}, {}, modules_of(game)
    memory = {f"memory {name}": modules for name, modules in groups["memory"].items()}
    for whose, modules in (groups["players"] | memory).items():
        for number, module in enumerate(modules, 1):
            place = whose if len(modules) == 1 else f"{whose}, network {number}"
            kept |= {(place, name): found for name, found in saved_kinds(module).items()}
            for path, layer in module.named_modules():
                for name, value in attributes(layer).items():
                    if is_plain(value) or isinstance(value, Tensor):
                        left_out[place, f"{path}.{name}" if path else name] = _fingerprint(value)
    return Built(layers(game), kept, left_out)


def _fingerprint(value):
    """A plain value, or what tells whether a tensor holds what it held."""
    if not isinstance(value, Tensor):
        return value
    if value.grad_fn is not None or value.layout is not torch.strided or value.is_meta:
        return None
    content = value.detach().cpu().contiguous().flatten().view(torch.uint8)
    return *value.shape, zlib.crc32(content.numpy())


def layers(game) -> dict:
    """The modules as text, and the turns.

    Memory addresses are cut out of the text, because they differ between processes.
    """
    layers = {
        what: {
            name: [re.sub("0x[0-9a-fA-F]+", "0x", str(module)) for module in modules]
            for name, modules in group.items()
        }
        for what, group in modules_of(game).items()
    }
    return layers | {"turns": [[turn.player, turn.times] for turn in game.turns]}


def modules_of(game) -> dict[str, dict]:
    """The modules of players, averages and memory: {what: {name: modules}}."""
    memory = {name: (module,) for name, module in game.memory.items()}
    groups = {"players": game.players, "averages": game.averages, "memory": memory}
    return {
        what: {name: [uncompiled(module) for module in modules] for name, modules in group.items()}
        for what, group in groups.items()
    }


def saved_kinds(module: nn.Module) -> dict[str, tuple]:
    """{name: (shape, type)} of what `state_dict` gives, buffers that are still None included."""
    found = {name: kind(None) for name, *_ in saved_buffers(module)}
    return found | {name: kind(value) for name, value in module.state_dict().items()}


def kind(value) -> tuple:
    """The shape and type of a tensor, or the type of another value."""
    if isinstance(value, Tensor):
        return list(value.shape), str(value.dtype)
    return (type(value).__name__,)


def saved_buffers(module: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """(name, layer, name in the layer) of the buffers that are saved, even if they are None."""
    return [
        (f"{path}.{name}" if path else name, layer, name)
        for path, layer in module.named_modules()
        for name in set(layer._buffers.keys()) - layer._non_persistent_buffers_set
    ]


def check_built(here: Built, content: dict) -> None:
    """Raise ValueError for a file of a game that was built differently from the one here.

    A buffer may have been built with the shape that it has in the file now, as when a game is built
    anew around networks whose pool has grown.
    """
    theirs, ours = content.get("layers", {}), here.layers
    if theirs != ours:
        lines = zip(*(str(layers).split("\\n") for layers in (theirs, ours)), strict=False)
        other, own = next(pair for pair in lines if pair[0] != pair[1])
        if other.startswith(" "):
            raise ValueError(f"its layer {other.strip()} is {own.strip()} in this game")
        raise ValueError("the weights have the same shapes, but layers or turns differ")
    none = kind(None)
    then, saved = (content.get(part, here.kept) for part in ("kept", "kept now"))
    for place, name in sorted(here.kept.keys() | then.keys()):
        own, *others = (kept.get((place, name), none) for kept in (here.kept, then, saved))
        if own not in others:
            raise ValueError(f"{name} of the {place} was built with another shape or type")


def warn_of_changes(before: Built, now: Built) -> None:
    """Warn of what a game's file lacks, or holds beyond what a newly built game takes."""
    moved = sorted(before.kept.keys() ^ now.kept.keys())
    if moved:
        warn(
            f"since the game was built, {_told(moved)} has come or gone: before you resume this"
            " file, build the network so that it is as now"
        )
    changed = [
        key
        for key, value in now.left_out.items()
        for old in [before.left_out.get(key, value)]
        if not (old is value or old == value or type(value) is torch.Size)  # NaN; that of a batch
    ]
    if changed:
        warn(
            f"since the game was built, {_told(changed)} changed; the file, which holds weights and"
            " buffers, does not have it: keep it in a buffer, with register_buffer"
        )


def _told(keys: list[tuple[str, str]]) -> str:
    (place, name), *others = keys
    return f"{name} of the {place}" + (f" (and {len(others)} more)" if others else "")
