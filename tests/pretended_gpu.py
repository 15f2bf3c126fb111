"""A GPU that is only pretended: its tensors stay on the CPU, and are refused where CUDA would.

`start()` makes torch say that there is one CUDA device. What is put on it is computed by the CPU
and remembered as the GPU's: an operation that mixes the two raises RuntimeError, `.numpy()`
TypeError, random numbers come from a generator of its own, and each wait for the device is counted.
So what a program does with devices can be tried where there is no GPU; speed, kernels and rounding
can't, nor can other threads and pickled tensors. GANBOOK_CUDA_REHEARSAL=1 starts it for all tests.

As a program, `python pretended_gpu.py`, it lists the waits in a training step of each kind of game;
`python pretended_gpu.py 03` runs the cells of a chapter, and names those that mix the two devices.
"""

import collections
import contextlib
import json
import os
import sys
import traceback
import types
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ROOT = Path(__file__).parents[1]
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten
ANY_DEVICES = {"copy_", "set_"}  # one may copy from one device to the other
NO_SCALARS = {"cat", "stack"}  # take no number on the CPU beside tensors on the GPU
WAITS = {
    "_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "masked_select", "bincount",
    "equal", "is_nonzero",
}  # fmt: skip
_on_gpu = {}  # storage's address: weak reference, which keeps the address from being used again
_calls = [""]  # of the program to torch, the innermost last: what they say of the device
_generators = {}  # as far as they are the GPU's: id: generator
_real_generator = torch.Generator
_gpu_state = _real_generator().manual_seed(0)
waits = collections.Counter()
"""How often the program waited for the device, by (operation, the line of the program)."""
PROGRAM = ("ganbook", "games.py", "test_", "ipykernel_")


def on_gpu(tensor) -> bool:
    return tensor.untyped_storage()._cdata in _on_gpu


def _tag(tensor: Tensor, gpu: bool = True) -> Tensor:
    storage = tensor.untyped_storage()
    if not gpu:
        _on_gpu.pop(storage._cdata, None)
    elif storage._cdata not in _on_gpu:
        _on_gpu[storage._cdata] = StorageWeakRef(storage)
        if len(_on_gpu) % 20_000 == 0:
            for address in [a for a, ref in _on_gpu.items() if ref.expired()]:
                del _on_gpu[address]
    return tensor


def _wants_gpu(device) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _wait(what: str) -> None:
    own = [f for f in traceback.extract_stack() if any(part in f.filename for part in PROGRAM)]
    place = f"{own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno}" if own else "elsewhere"
    waits[what, place] += 1


def _refuse(what: str):
    raise RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and"
        f" cpu! (pretended, in {what})"
    )


class _Operations(TorchDispatchMode):
    """Sees every operation, those of backward included."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        inputs = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        gpu = self._device(name, args, inputs)
        if kwargs.get("device") is not None:
            # torch's own code asks for the device of a tensor at hand, which it takes for the CPU.
            at_hand = _calls[-1] == "on the GPU"
            target = _wants_gpu(kwargs["device"]) or at_hand
            kwargs["device"] = CPU
            if name == "_to_copy" and target != gpu:
                _wait("copy")
            gpu = target
        if name == "copy_" and on_gpu(args[0]) != on_gpu(args[1]):
            _wait("copy")
        masked = name in ("index", "index_put", "index_put_") and any(
            x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1]
        )
        if gpu and (name in WAITS or masked):
            _wait("index by a mask" if masked else name)
        generator = kwargs.get("generator")
        if generator is not None and _calls[-1] != f"draws, gpu={gpu}":
            raise RuntimeError(f"Expected a '{'cuda' if gpu else 'cpu'}' device type for generator")
        if gpu and generator is None and torch.Tag.nondeterministic_seeded in func.tags:
            result = _drawn(func, args, kwargs)
        else:
            result = func(*args, **kwargs)
        known = {x.untyped_storage()._cdata for x in inputs}
        for x in tree_flatten(result)[0]:
            if isinstance(x, Tensor) and x.untyped_storage()._cdata not in known:
                _tag(x, gpu)
        return result

    def _device(self, name, args, inputs) -> bool:
        """Whether the result is on the GPU. Raises RuntimeError for a mixture."""
        places = [on_gpu(x) for x in inputs]
        if not any(places):
            return False
        if name in ANY_DEVICES or all(places):
            return places[0]
        if name in ("index", "index_put", "index_put_"):
            # Indices may lie on the CPU, and so may one number that is put.
            rest = [x for x in (args[0], *args[2:3]) if isinstance(x, Tensor)]
            if not all(on_gpu(x) or (k and not x.ndim) for k, x in enumerate(rest)):
                _refuse(name)
            return True
        lone = [x for x, gpu in zip(inputs, places, strict=True) if not gpu]
        changed = name.endswith("_") and isinstance(args[0], Tensor) and not places[0]
        if name in NO_SCALARS or changed or any(x.ndim for x in lone):
            _refuse(name)
        return True


def _drawn(func, args, kwargs):
    """What an operation draws from the GPU's generator, not from the CPU's."""
    before = torch.default_generator.get_state()
    torch.default_generator.set_state(_gpu_state.get_state())
    try:
        return func(*args, **kwargs)
    finally:
        _gpu_state.set_state(torch.default_generator.get_state())
        torch.default_generator.set_state(before)


class _Attributes(TorchFunctionMode):
    """Sees what the program asks of a tensor, and what it moves."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if name == "__get__" and first is not None:
            owner = func.__self__
            if owner is Tensor.device:
                return GPU if on_gpu(first) else CPU
            if owner is Tensor.is_cuda:
                return on_gpu(first)
            if owner is Tensor.is_cpu:
                return not on_gpu(first)
        if name in ("numpy", "__array__") and on_gpu(first):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
        if name == "tolist" and on_gpu(first):
            _wait("tolist")
        if name in ("cpu", "cuda") and func in (Tensor.cpu, Tensor.cuda):
            return _moved(first, name == "cuda")
        if func is Tensor.to:
            return _to(first, args[1:], kwargs)
        if func in (torch.tensor, torch.as_tensor):
            device = kwargs.pop("device", None)
            made = func(*args, **kwargs)
            if device is not None:
                made = _moved(made, _wants_gpu(device))
            return _tag(made) if device is None and first is not None and on_gpu(first) else made
        here = any(on_gpu(x) for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor))
        _calls.append("given" if kwargs.get("device") else "on the GPU" if here else "")
        if kwargs.get("generator") is not None:
            _calls[-1] = f"draws, gpu={id(kwargs['generator']) in _generators}"
        before = collections.Counter(waits)
        silent = name == "one_hot" and len(args) + len(kwargs) > 1  # CUDA's does not look at labels
        try:
            result = func(*args, **kwargs)
        finally:
            _calls.pop()
        if silent:
            waits.subtract({k: n - before[k] for k, n in waits.items()})
        if name == "__deepcopy__" and first is not None and on_gpu(first):
            _tag(result)
        return result


def _moved(tensor: Tensor, gpu: bool) -> Tensor:
    """The tensor itself where it is there already, else a copy on the other device."""
    if on_gpu(tensor) == gpu:
        return tensor
    return torch.ops.aten._to_copy(tensor, device=GPU if gpu else CPU)


def _to(tensor: Tensor, args, kwargs) -> Tensor:
    if args and isinstance(args[0], Tensor) or "other" in kwargs:
        other = args[0] if args else kwargs["other"]
        return tensor.to(other.dtype) if on_gpu(other) == on_gpu(tensor) else _moved(
            tensor.to(other.dtype), on_gpu(other)
        )  # fmt: skip
    copy = kwargs.pop("copy", False)
    device, dtype, non_blocking, layout = torch._C._nn._parse_to(*args, **kwargs)
    own = {} if layout is None else {"memory_format": layout}
    moved = tensor if device is None else _moved(tensor, _wants_gpu(device))
    return moved.to(dtype or tensor.dtype, non_blocking, copy and moved is tensor, **own)


class _Generator(_real_generator):
    """`torch.Generator`, which knows whether it was asked for on the GPU."""

    def __new__(cls, device="cpu"):
        made = _real_generator()
        if _wants_gpu(device):
            _generators[id(made)] = made
        return made


class _Autocast(torch.autocast):
    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


def start() -> None:
    """Pretend from now on, in this thread."""
    torch.Generator, torch.autocast = _Generator, _Autocast
    real_load = torch.load
    properties = types.SimpleNamespace(total_memory=2**30, name="no GPU (pretended)")

    def load(file, map_location=None, **kwargs):
        loaded = real_load(file, map_location="cpu", **kwargs)
        gpu = map_location is not None and _wants_gpu(map_location)
        return tree_map(lambda x: _tag(x) if gpu and isinstance(x, Tensor) else x, loaded)

    torch.load = load
    for name, value in {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_sync_debug_mode": lambda mode: None,
        "synchronize": lambda device=None: None,
        "get_device_capability": lambda device=None: (8, 0),
        "get_device_properties": lambda device=None: properties,
        "get_device_name": lambda device=None: properties.name,
        "get_rng_state": lambda device="cuda": _gpu_state.get_state(),
        "set_rng_state": lambda state, device="cuda": _gpu_state.set_state(state),
        "manual_seed": _gpu_state.manual_seed,
        "manual_seed_all": _gpu_state.manual_seed,
    }.items():
        setattr(torch.cuda, name, value)
    _Attributes().__enter__()
    _Operations().__enter__()


def list_waits() -> None:
    import games

    for kind, make in games.KINDS.items():
        game, batches = make()
        training = game.train(batches, 100, progress=False)
        for _ in range(6):
            next(training)
        waits.clear()
        for _ in range(64):
            next(training)
        each = ", ".join(f"{what} {place} {n / 64:.2f}" for (what, place), n in waits.items())
        print(f"{kind}: {each or 'none'}", flush=True)


def errors(cells: list[str], most: int) -> dict[int, Exception]:
    """Run the cells of a chapter one after the other: {number of the cell from 1: its error}.

    most: steps of each training, at most. So claims may fail, and those that do are not counted.
    """
    import ganbook
    from ganbook.game import Game

    whole = Game.train

    def cut(game, batches, steps, progress=True):
        return whole(game, batches, min(steps, game.steps_done + most), False)

    def claim(*arguments):
        with contextlib.suppress(ganbook.claims.ClaimFailed):
            ganbook.claims.claim(*arguments)

    found, program = {}, types.ModuleType("__main__")
    program.display = lambda *shown, **kwargs: None
    with mock.patch.object(Game, "train", cut), mock.patch.object(ganbook, "claim", claim):
        for number, cell in enumerate(cells, 1):
            try:
                exec(compile(cell, f"cell {number}", "exec"), vars(program))
            except Exception as error:
                found[number] = error
    return found


def rehearse(number: str) -> int:
    """Run a chapter; the number of its cells that mix devices."""
    (path,) = (ROOT / "chapters").glob(f"{number}_*.ipynb")
    os.chdir(path.parent)
    sys.path.insert(0, str(ROOT))
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    found = errors(cells, most=21)
    mixed = {n: e for n, e in found.items() if "pretended" in str(e) or "cuda:0" in str(e)}
    for place, error in found.items():
        print(f"{'mixes devices' if place in mixed else 'stopped'}: cell {place}: {error}")
    return len(mixed)


def main() -> int:
    start()
    if sys.argv[1:]:
        return rehearse(sys.argv[1])
    list_waits()
    return 0


if __name__ == "__main__":
    sys.modules["pretended_gpu"] = sys.modules["__main__"]
    sys.exit(main())
