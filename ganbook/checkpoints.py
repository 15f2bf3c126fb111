"""Saving a game to a file, which is written whole or not at all, and resuming it."""

import copy
import io
import itertools
import re
import zipfile

import torch
from torch import Tensor, nn

from ganbook.built import (
    built,
    check_built,
    kind,
    modules_of,
    saved_buffers,
    saved_kinds,
    warn_of_changes,
)
from ganbook.device import DEVICE
from ganbook.files import atomic, user_path
from ganbook.networks import uncompiled

FORMAT = "ganbook game 2"


def check_memory(name: str, module: nn.Module) -> None:
    """Raise ValueError for a memory from which a checkpoint would keep nothing.

    name: of the memory. module: the memory.
    """
    if not saved_kinds(module):
        raise ValueError(
            f"the memory {name!r} has nothing that can be saved: keep tensors as buffers, with"
            " register_buffer, and not in lists or with persistent=False"
        )


def save(game, path) -> None:
    """Write the whole state of a `Game` to `path`.

    game: its state is what `state_dict` gives for its players, averages and memory, its optimisers,
        its random state, and its counts of steps, turns and batches.
    path: the file to write; `~` is the home folder.
    Warns of changes since the game was built that a newly built game would lack.
    Raises OSError if the file can't be written or is a folder, FloatingPointError if a weight that
    learns, a moment or a batch norm's statistic is not finite, TypeError if `path` is not a path,
    and ValueError if the path is empty or a state_dict holds something that could not be read
    back. An old file at `path` is then left as it was.
    """
    path = user_path(path)
    for player in game.players:
        if _is_not_finite(game, player):
            raise FloatingPointError(
                f"the weights, moments or batch norms of the {player} hold NaN or infinity, so the"
                " game was not saved: go back to an earlier checkpoint"
            )
    buffer, before, now = io.BytesIO(), game._built, built(game)
    content = {
        "format": FORMAT,
        "layers": before.layers,
        "kept": before.kept,
        "kept now": now.kept,
        "state": _state(game),
    }
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
    warn_of_changes(before, now)


def resume(game, path) -> None:
    """Restore the state saved at `path`. No code in the file is executed.

    game: a `Game` built as the saved one was. What its layers print when it is built must be the
        same.
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
        file_format = content["format"]
    except Exception as error:
        text = "is not a checkpoint of a game, or it is cut off or damaged"
        raise ValueError(f"{path} {text}") from error
    if file_format != FORMAT:
        raise ValueError(
            f"{path} has the format {file_format!r}, which this version of ganbook can't read: use"
            " the version that wrote it"
        )
    before, state = copy.deepcopy(_state(game)), content.get("state")
    for part, value in before.items():
        if not (isinstance(state, dict) and type(state.get(part)) is type(value)):
            text = f"is incomplete: the part {part!r} is missing or of another kind"
            raise ValueError(f"{path} {text}")
    try:
        _restore(game, state)
        check_built(game._built, content)
    except BaseException as error:
        _restore(game, before)
        if not isinstance(error, Exception):  # an interrupt
            raise
        reason = " ".join(f"{error}".split()[:40])
        raise ValueError(f"{path} does not fit this game: {reason}") from error


def _is_not_finite(game, player: str) -> bool:
    """Whether weights that learn, their averages or moments, or statistics are not finite.

    Anything else that a network keeps may hold infinity, as attention masks do.
    """
    networks, averages = map(uncompiled, game.players[player]), game.averages.get(player, ())
    values = [v for kept in game.optimizers[player].state.values() for v in kept.values()]
    for network, own in itertools.zip_longest(networks, averages, fillvalue=nn.Identity()):
        values += [weight for weight in network.parameters() if weight.requires_grad]
        pairs = zip(network.parameters(), own.parameters(), strict=False)
        values += [average for weight, average in pairs if weight.requires_grad]
        norms = [*network.modules(), *own.modules()]
        norms = [layer for layer in norms if isinstance(layer, nn.modules.batchnorm._NormBase)]
        values += [value for layer in norms for value in layer.buffers()]
    return not all(torch.isfinite(v).all() for v in values if isinstance(v, Tensor))


def _state(game) -> dict:
    return {
        "modules": {
            what: {name: [m.state_dict() for m in modules] for name, modules in group.items()}
            for what, group in modules_of(game).items()
        },
        "optimizers": {name: each.state_dict() for name, each in game.optimizers.items()},
        "random": game.randomness.state,
        "sampling": game.sampling.get_state(),
        "turns_done": dict(game.turns_done),
        "counts": (game.steps_done, game.batches_drawn, game.steps_planned),
    }


def _restore(game, state: dict) -> None:
    for what, group in modules_of(game).items():
        if group.keys() != state["modules"][what].keys():
            there = ", ".join(state["modules"][what]) or "none"
            raise ValueError(f"its {what} are {there}; yours are {', '.join(group) or 'none'}")
        for name, modules in group.items():
            states = state["modules"][what][name]
            if len(states) != len(modules):
                raise ValueError(f"its {name} has {len(states)} networks, yours has {len(modules)}")
    for what, group in modules_of(game).items():
        for name, modules in group.items():
            for module, saved in zip(modules, state["modules"][what][name], strict=True):
                _take_buffers(module, saved)
                try:
                    module.load_state_dict(saved)
                except RuntimeError as error:
                    raise ValueError(f"{name}: {error}") from error
    for name, optimizer in game.optimizers.items():
        settings = [
            {k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups
        ]
        optimizer.load_state_dict(state["optimizers"][name])
        for group, own in zip(optimizer.param_groups, settings, strict=True):
            group.update(own)  # settings come from this game, not from the file
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


def _take_buffers(module: nn.Module, saved: dict) -> None:
    """Make buffers ready for `load_state_dict`: a pool may be filled later, and grow."""
    for name, layer, own_name in saved_buffers(module):
        own, found = layer._buffers[own_name], saved.get(name)
        if kind(own) != kind(found) and (found is None or isinstance(found, Tensor)):
            layer._buffers[own_name] = found
