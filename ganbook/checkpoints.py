"""Checkpoints: what a game remembers, in a file that appears whole or not at all."""

import copy
import io
import re
import zipfile
from pathlib import Path

import torch

from ganbook.device import DEVICE
from ganbook.files import atomic

FORMAT = "ganbook game 2"


def save(game, path) -> None:
    """Write all that a `Game` remembers to `path`.

    That is: weights and buffers of its players, averages and memory, its optimisers, its random
    numbers, and how many steps, turns and batches there were. Raises OSError where the file can't
    be written, FloatingPointError for weights that are not finite, and ValueError for a memory
    that could not be read again; the old file is untouched.
    """
    for player, networks in game.players.items():
        for network in networks:
            if not all(torch.isfinite(weight).all() for weight in network.parameters()):
                raise FloatingPointError(
                    f"the weights of the {player} hold NaN or infinity: the game is not saved"
                )
    buffer = io.BytesIO()
    content = {"format": FORMAT, "layers": _layers(game), "state": _state(game)}
    torch.save(content, buffer)
    buffer.seek(0)
    try:
        torch.load(buffer, weights_only=True)
    except Exception as error:
        raise ValueError(
            "the game holds more than tensors and plain values, and could not be read again:"
            f" {str(error).splitlines()[0]}"
        ) from error
    try:
        with atomic(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())
    except OSError as error:
        message = f"the game could not be saved ({error.strerror}); no file was changed"
        raise OSError(error.errno, message, str(path)) from error


def resume(game, path) -> None:
    """Set a `Game` to where the one saved at `path` was. Nothing in the file is executed.

    Raises FileNotFoundError for no file, and ValueError, the game untouched, for a file that is no
    checkpoint, is cut off, or belongs to other players.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as archive:  # torch reads a damaged one without a word
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        content = torch.load(path, map_location=DEVICE, weights_only=True)
        form = content["format"]
    except Exception as error:
        text = "is not a checkpoint of a game, or it is cut off or damaged"
        raise ValueError(f"{path} {text}") from error
    if form != FORMAT:
        raise ValueError(f"{path} is of the format {form!r}; this version reads {FORMAT!r}")
    before = copy.deepcopy(_state(game))
    try:
        _restore(game, content["state"])
        if content["layers"] != _layers(game):
            raise ValueError("the weights fit these, but other layers or turns lie between")
    except BaseException as error:
        _restore(game, before)
        if not isinstance(error, Exception):  # an interrupt
            raise
        reason = " ".join(f"{error}".split()[:40])
        raise ValueError(f"{path} belongs to other networks: {reason}") from error


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
            raise ValueError(f"its {what} are {there}, yours {', '.join(group) or 'none'}")
        for name, modules in group.items():
            states = state["modules"][what][name]
            if len(states) != len(modules):
                raise ValueError(f"{name} has {len(states)} networks there, here {len(modules)}")
            for module, saved in zip(modules, states, strict=True):
                module.load_state_dict(saved)
    for name, optimizer in game.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
        for group in optimizer.param_groups:
            group["betas"] = game.betas  # the settings are those of the cell
    if [s.shape for s in state["random"]] == [s.shape for s in game.randomness.state]:
        game.randomness.state = [s.cpu() for s in state["random"]]
        game.sampling.set_state(state["sampling"].cpu())
    # else it was played on another kind of device, which has random numbers of its own
    game.turns_done = dict(state["turns_done"])
    game.steps_done, game.batches_drawn, game.steps_planned = state["counts"]


def _modules(game) -> dict[str, dict]:
    memory = {name: (module,) for name, module in game.memory.items()}
    return {"players": game.players, "averages": game.averages, "memory": memory}


def _layers(game) -> dict:
    """What the modules look like, and the turns.

    A layer that shows its address in memory shows another one in each process.
    """
    layers = {
        what: {
            name: [re.sub("0x[0-9a-fA-F]+", "0x", str(module)) for module in modules]
            for name, modules in group.items()
        }
        for what, group in _modules(game).items()
    }
    return layers | {"turns": [[turn.player, turn.times] for turn in game.turns]}
