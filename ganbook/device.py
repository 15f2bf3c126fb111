"""The device and the precision to compute with, chosen once from the hardware, at import."""

import contextlib
import itertools
import os
import weakref

import torch
from torch import Tensor, nn


def _pick() -> torch.device:
    wanted = os.environ.get("GANBOOK_DEVICE", "").strip().lower()
    if wanted:
        return _named(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _named(wanted: str) -> torch.device:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *["mps"] * torch.backends.mps.is_available(), *["cuda"] * (gpus > 0)]
    there += [f"cuda:{gpu}" for gpu in range(gpus)]
    if wanted not in there:
        raise ValueError(
            f"GANBOOK_DEVICE is {wanted!r}, which PyTorch does not find on this machine: set it to"
            f" {' or '.join(there)}, or leave it unset"
        )
    return torch.device(wanted)


# torch's names for the processor instructions that multiply bfloat16 faster than float32.
_CPU_FLAGS = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")


def _multiplies_bf16(device: torch.device) -> bool:
    wanted = os.environ.get("GANBOOK_PRECISION", "").strip().lower()
    if wanted not in ("", "float32", "bfloat16"):
        raise ValueError(f"GANBOOK_PRECISION={wanted!r}: it must be float32 or bfloat16, or unset")
    if wanted:
        return wanted == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and any(getattr(torch.cpu, f, bool)() for f in _CPU_FLAGS)


DEVICE = _pick()
"""The device of all data and games: CUDA, else Apple's Metal, else the CPU.

The environment variable GANBOOK_DEVICE overrides it."""

if DEVICE.type == "cuda" and DEVICE.index is not None:
    torch.cuda.set_device(DEVICE)  # torch then saves its random state, and "cuda" means it

BF16 = _multiplies_bf16(DEVICE)
"""Whether networks with convolutions run in bfloat16.

They do where the hardware multiplies it natively: on GPUs since Ampere, and on CPUs with AMX or
AVX512_BF16. The environment variable GANBOOK_PRECISION, float32 or bfloat16, overrides it."""


_CONVOLUTIONAL = weakref.WeakKeyDictionary()
"""{network: whether it has convolutions}, kept because looking takes as long as a small layer."""


def autocast(network: nn.Module):
    """A context in which a network with convolutions computes in bfloat16, if `BF16` is true.

    network: the one to call in this context. Dense networks stay in float32: bfloat16 does not
        speed them up, and its two to three digits are too few for points in the plane. The
        network's layers are inspected once, when it is placed or first used here.
    """
    if not BF16:
        return contextlib.nullcontext()
    if network not in _CONVOLUTIONAL:
        _look(network)
    if not _CONVOLUTIONAL[network]:
        return contextlib.nullcontext()
    return torch.autocast(DEVICE.type, dtype=torch.bfloat16)


def _look(network: nn.Module) -> None:
    kinds = (isinstance(layer, nn.modules.conv._ConvNd) for layer in network.modules())
    _CONVOLUTIONAL[network] = any(kinds)


def placed(network: nn.Module, name: str) -> nn.Module:
    """Move a network to the device, in single precision, convolutions in their fastest layout.

    name: of the player whose network it is, for the message.
    Raises ValueError for weights that can't be trained here.
    """
    held = [*network.parameters(), *network.buffers()]
    if any(map(nn.parameter.is_lazy, held)):
        raise ValueError(
            f"a network of the {name} has lazy layers, whose shapes are not known yet: call it with"
            " one batch first"
        )
    if torch.is_inference_mode_enabled() or any(tensor.is_inference() for tensor in held):
        raise ValueError(
            f"a network of the {name} can't learn within torch.inference_mode(), nor if it was"
            " built there: build and train it outside"
        )
    if any(weight.is_complex() for weight in network.parameters()):
        raise ValueError(
            f"a network of the {name} has complex weights, which can't be trained here: keep the"
            " real and the imaginary part as two weights, and join them with torch.complex"
        )
    _look(network)
    network._apply(_placed_tensor)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.to(memory_format=torch.channels_last)
    return network


def _placed_tensor(tensor: Tensor) -> Tensor:
    tensor = tensor.to(DEVICE, torch.float32 if tensor.is_floating_point() else None)
    # An expanded tensor shares its numbers, so nothing can be written into it.
    return tensor.contiguous() if 0 in tensor.stride() else tensor


def is_placed(network: nn.Module) -> bool:
    """Whether weights and buffers are on the device, floating-point ones in single precision."""
    return all(
        value.device.type == DEVICE.type
        and (value.dtype == torch.float32 or not value.is_floating_point())
        for value in itertools.chain(network.parameters(), network.buffers())
    )


def on_device(batch):
    """Move the tensors of a batch to the device, floating-point ones in single precision.

    batch: a tensor, or a tuple, list or dictionary of batches; anything else comes back unchanged.
    The tensors returned are detached. They share memory with those given where nothing changes.
    """
    if isinstance(batch, Tensor):
        return batch.detach().to(DEVICE, torch.float32 if batch.is_floating_point() else None)
    if isinstance(batch, dict):
        return {name: on_device(part) for name, part in batch.items()}
    if isinstance(batch, (tuple, list)):
        parts = [on_device(part) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


def tensors(batch) -> list[Tensor]:
    """The tensors of a batch, as `on_device` finds them."""
    if isinstance(batch, Tensor):
        return [batch]
    parts = batch.values() if isinstance(batch, dict) else batch
    if not isinstance(batch, (tuple, list, dict)):
        return []
    return [tensor for part in parts for tensor in tensors(part)]


def budget(*, cpu, cuda):
    """Return `cuda` on a CUDA GPU and `cpu` elsewhere, so that a GPU gets more work to do."""
    return cuda if DEVICE.type == "cuda" else cpu


def describe() -> str:
    """One line on this machine: its device, threads or memory, and precision. Chapter 0."""
    precision = "bfloat16 and float32" if BF16 else "float32"
    if DEVICE.type == "cuda":
        properties = torch.cuda.get_device_properties(DEVICE)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, {precision}"
    if DEVICE.type == "mps":
        return f"Apple GPU (Metal), {precision}"
    return f"CPU, {torch.get_num_threads()} threads, {precision}"
