"""Saving a game to a file, which is written whole or not at all, and resuming it."""

import copy
import io
import re
import zipfile

import torch
from torch import Tensor

from ganbook.device import DEVICE
from ganbook.files import atomic, user_path
from ganbook.networks import uncompiled

FORMAT = "ganbook game 2"


def save(game, path) -> None:
    """Write the whole state of a `Game` to `path`.

    game: its state is the weights and buffers of its players, averages and memory, its optimisers,
        its random state, and its counts of steps, turns and batches.
    path: the file to write; `~` is the home folder.
    Raises OSError if the file can't be written or is a folder, FloatingPointError if a weight is
    not finite, TypeError for what is no path, and ValueError if the path is empty or a memory holds
    something that could not be read again. An old file at `path` is then left as it was.
    """
    path = user_path(path)
    for player in game.players:
        if not all(torch.isfinite(value).all() for value in _floats(game, player)):
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
        raise ValueError(
            "the game holds more than tensors and plain values, so it was not saved:"
            f" {str(error).splitlines()[0]}"
        ) from error
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(buffer.getbuffer())
    except OSError as error:
        message = f"the game could not be saved ({error.strerror}); no file was changed"
        raise OSError(error.errno, message, str(path)) from error


def resume(game, path) -> None:
    """Restore the state saved at `path`. No code in the file is executed.

    game: a `Game` built as the saved one was.
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
    if form != FORMAT:
        raise ValueError(
            f"{path} is of the format {form!r}; this version reads {FORMAT!r}: use the version of"
            " ganbook that wrote it"
        )
    before = copy.deepcopy(_state(game))
    for part, value in before.items():
        state = content.get("state")
        if not (isinstance(state, dict) and type(state.get(part)) is type(value)):
            raise ValueError(f"{path} is incomplete: its {part} is missing or of another kind")
    try:
        _restore(game, state)
        if content.get("layers") != _layers(game):
            raise ValueError("the weights have the same shapes, but layers or turns differ")
    except BaseException as error:
        _restore(game, before)
        if not isinstance(error, Exception):  # an interrupt
            raise
        reason = " ".join(f"{error}".split()[:40])
        raise ValueError(f"{path} belongs to other networks: {reason}") from error


def _floats(game, player: str) -> list[Tensor]:
    """What a player's networks, their averages and its optimiser hold."""
    networks = (*game.players[player], *game.averages.get(player, ()))
    values = [value for network in networks for value in network.state_dict().values()]
    values += [v for kept in game.optimizers[player].state.values() for v in kept.values()]
    return [value for value in values if isinstance(value, Tensor) and value.is_floating_point()]


def _state(game) -> dict:
    return {
        "modules": {
            what: {name: [m.state_dict() for m in modules] for name, modules in group.items()}
            for what, group in _modules(game).items()
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
            for module, saved in zip(modules, states, strict=True):
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
