"""Saving a game to a file, which is written whole or not at all, and resuming it."""

import copy
import io
import re
import zipfile

import numpy as np
import torch
from torch import Tensor, nn

from ganbook.device import DEVICE
from ganbook.files import atomic, user_path
from ganbook.networks import uncompiled
from ganbook.networks.network import TORCHS_OWN, is_plain, plain_attributes

FORMAT = "ganbook game 3"
WITHOUT_ATTRIBUTES = "ganbook game 2"  # the format before, which is read too


def check_memory(name: str, module: nn.Module) -> None:
    """Raise ValueError for a memory of which a checkpoint would keep nothing.

    name: of the memory. module: the memory.
    """
    layers = module.modules()
    buffers = (set(m._buffers.keys()) - m._non_persistent_buffers_set for m in layers)
    if not module.state_dict() and not any(buffers):
        raise ValueError(
            f"the memory {name!r} has nothing that can be saved: keep tensors as buffers, with"
            " register_buffer, and not in lists or with persistent=False"
        )


def save(game, path) -> None:
    """Write the whole state of a `Game` to `path`.

    game: its state is the weights and buffers of its players, averages and memory, what has changed
        of their `attributes`, its optimisers, its random state, and its counts of steps, turns and
        batches.
    path: the file to write; `~` is the home folder.
    Raises OSError if the file can't be written or is a folder, FloatingPointError if a weight is
    not finite or a buffer is NaN, TypeError if `path` is not a path, and ValueError if the path is
    empty or a memory holds something that could not be read again. An old file at `path` is then
    left as it was.
    """
    path = user_path(path)
    for player in game.players:
        if _is_not_finite(game, player):
            raise FloatingPointError(
                f"the weights, buffers or moments of the {player} hold NaN or infinity, so the game"
                " was not saved: go back to an earlier checkpoint"
            )
    buffer = io.BytesIO()
    content = {"format": FORMAT, "layers": _layers(game), "state": _state(game)}
    torch.save(content, buffer)
    buffer.seek(0)
    try:
        torch.load(buffer, map_location="cpu", weights_only=True)
    except Exception as error:
        found = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        raise ValueError(
            "the game was not saved: a module's state has values that are neither tensors nor plain"
            f" numbers and strings{f', such as a {found[1]}' if found else ''}. Keep them as"
            " buffers, or leave them out of get_extra_state"
        ) from error
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(buffer.getbuffer())
    except OSError as error:
        message = f"the game could not be saved ({error.strerror}); no file was changed"
        raise OSError(error.errno, message, str(path)) from error


def resume(game, path) -> None:
    """Restore the state saved at `path`. No code in the file is executed.

    game: a `Game` built as the saved one was. This game's own settings are kept, such as the p of
        its dropout, unless training had changed them when the file was written.
    path: the file.
    Raises FileNotFoundError if there is no file. Raises ValueError if it is not a checkpoint, is
    truncated, or belongs to other players; the game is then left as it was.
    """
    path = user_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not notice a damaged one
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        content = torch.load(path, map_location=DEVICE, weights_only=True)
        form = content["format"]
    except Exception as error:
        text = "is not a checkpoint of a game, or it is cut off or damaged"
        raise ValueError(f"{path} {text}") from error
    if form not in (FORMAT, WITHOUT_ATTRIBUTES):
        raise ValueError(
            f"{path} has the format {form!r}, which this version of ganbook can't read: use the"
            " version that wrote it"
        )
    if not any(game.turns_done.values()):
        game._built = attributes(game)  # what you set before the first turn is not training's
    before = copy.deepcopy(_state(game))
    state = content.get("state")
    if form == WITHOUT_ATTRIBUTES and isinstance(state, dict):
        state["attributes"] = {}
    for part, value in before.items():
        if not (isinstance(state, dict) and type(state.get(part)) is type(value)):
            text = f"is incomplete: the part {part!r} is missing or of another kind"
            raise ValueError(f"{path} {text}")
    try:
        _restore(game, state)
        if content.get("layers") != _layers(game):
            raise ValueError("the weights have the same shapes, but layers or turns differ")
    except BaseException as error:
        _restore(game, before)
        if not isinstance(error, Exception):  # an interrupt
            raise
        reason = " ".join(f"{error}".split()[:40])
        raise ValueError(f"{path} does not fit this game: {reason}") from error


def attributes(game) -> dict:
    """What a game keeps beside its weights: {(group, player, number, layer, name): value}.

    game: of its players, averages and memory, the plain attributes of all layers; and the shapes of
        their buffers, None for a buffer that is still to come.
    """
    found = {}
    for place, layer in _places(game).items():
        for name, value in plain_attributes(layer).items():
            found[*place, name] = _to_file(value)
        for name, buffer in layer._buffers.items():
            if name not in layer._non_persistent_buffers_set:
                found[*place, name] = _shape(buffer)
    return found


def _is_not_finite(game, player: str) -> bool:
    """Whether a NaN is in a player's networks, averages or moments, or infinity in a weight.

    A buffer may hold infinity, as the masks of attention do.
    """
    networks = (*game.players[player], *game.averages.get(player, ()))
    weights = [weight for network in networks for weight in network.parameters()]
    weights += [v for kept in game.optimizers[player].state.values() for v in kept.values()]
    held = [value for network in networks for value in network.state_dict().values()]
    weights, held = ([v for v in vs if isinstance(v, Tensor)] for vs in (weights, held))
    finite = all(torch.isfinite(value).all() for value in weights)
    return not finite or any(torch.isnan(value).any() for value in held)


def _state(game) -> dict:
    return {
        "modules": {
            what: {name: [m.state_dict() for m in modules] for name, modules in group.items()}
            for what, group in _modules(game).items()
        },
        "attributes": {
            place: value
            for place, value in attributes(game).items()
            if not (place in game._built and _same(game._built[place], value))
        },
        "optimizers": {name: each.state_dict() for name, each in game.optimizers.items()},
        "random": game.randomness.state,
        "sampling": game.sampling.get_state(),
        "turns_done": dict(game.turns_done),
        "counts": (game.steps_done, game.batches_drawn, game.steps_planned),
    }


def _restore(game, state: dict) -> None:
    for what, group in _modules(game).items():
        if group.keys() != state["modules"][what].keys():
            there = ", ".join(state["modules"][what]) or "none"
            raise ValueError(f"its {what} are {there}; yours are {', '.join(group) or 'none'}")
        for name, modules in group.items():
            states = state["modules"][what][name]
            if len(states) != len(modules):
                raise ValueError(f"its {name} has {len(states)} networks, yours has {len(modules)}")
    _restore_attributes(game, state)
    for what, group in _modules(game).items():
        for name, modules in group.items():
            for module, saved in zip(modules, state["modules"][what][name], strict=True):
                module.load_state_dict(saved)
    for name, optimizer in game.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
        for group in optimizer.param_groups:
            group["betas"] = game.betas  # settings come from this game, not from the file
        for weight, kept in optimizer.state.items():
            if any(
                isinstance(v, Tensor) and v.ndim and v.shape != weight.shape for v in kept.values()
            ):
                raise ValueError(f"the optimiser of the {name} belongs to weights of other shapes")
    if not all(s.dtype == torch.uint8 for s in (*state["random"], state["sampling"])):
        raise ValueError("its random states are invalid")
    if [s.shape for s in state["random"]] == [s.shape for s in game.randomness.state]:
        game.randomness.state = [s.cpu() for s in state["random"]]
        game.sampling.set_state(state["sampling"].cpu())
    # Otherwise it was saved on another kind of device, which has other generators.
    turns_done, (steps, batches, planned) = state["turns_done"], state["counts"]
    counts = [*turns_done.values(), steps, batches, 0 if planned is None else planned]
    if turns_done.keys() != game.players.keys() or not all(
        type(n) is int and n >= 0 for n in counts
    ):
        raise ValueError("its counts of turns and steps are not those of such a game")
    game.turns_done = dict(turns_done)
    game.steps_done, game.batches_drawn, game.steps_planned = steps, batches, planned


def _restore_attributes(game, state: dict) -> None:
    """Put back the attributes that the file has; all others as they were when the game was built.

    Buffers that have come, gone or changed their shape are put in place for `load_state_dict`.
    """
    layers, saved = _places(game), state["attributes"]
    wanted = game._built | saved
    for key in attributes(game) | saved:
        if not (isinstance(key, tuple) and len(key) == 5):
            raise ValueError("its list of attributes is damaged")
        what, player, number, path, name = key
        if key[:-1] not in layers:
            raise ValueError(f"its {player} has a layer {path!r} that your {player} does not have")
        layer = layers[key[:-1]]
        if name in (*TORCHS_OWN, *layer._parameters.keys()) or callable(getattr(layer, name, None)):
            raise ValueError(f"it has an attribute {name!r}, which can't be set")
        kept = state["modules"][what][player][number].get(f"{path}.{name}" if path else name)
        if name in layer._buffers or kept is not None:
            if key not in wanted:
                del layer._buffers[name]
            elif wanted[key] == _shape(kept) != _shape(dict(layer._buffers.items()).get(name)):
                layer._buffers[name] = kept
        elif key not in wanted:
            del vars(layer)[name]
        else:
            value = _from_file(wanted[key])
            if not is_plain(value):
                raise ValueError(f"its attribute {name!r} is a {type(value).__name__}")
            vars(layer)[name] = value


def _places(game) -> dict[tuple, nn.Module]:
    """Every layer by its place: players, averages or memory; whose; which network; its path."""
    return {
        (what, name, number, path): layer
        for what, group in _modules(game).items()
        for name, modules in group.items()
        for number, module in enumerate(modules)
        for path, layer in module.named_modules()
    }


def _shape(buffer: Tensor | None) -> tuple[int, ...] | None:
    return None if buffer is None else tuple(buffer.shape)


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
    return type(a) is type(b) and bool(a == b)


def _modules(game) -> dict[str, dict]:
    memory = {name: (module,) for name, module in game.memory.items()}
    groups = {"players": game.players, "averages": game.averages, "memory": memory}
    return {
        what: {name: [uncompiled(module) for module in modules] for name, modules in group.items()}
        for what, group in groups.items()
    }


def _layers(game) -> dict:
    """The modules in text, and the turns: what must be equal in the file and here.

    Memory addresses are cut out of the text, because they differ between processes.
    """
    layers = {
        what: {
            name: [re.sub("0x[0-9a-fA-F]+", "0x", str(module)) for module in modules]
            for name, modules in group.items()
        }
        for what, group in _modules(game).items()
    }
    return layers | {"turns": [[turn.player, turn.times] for turn in game.turns]}
