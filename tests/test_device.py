"""ganbook.device: what the environment asks for, and which networks compute in bfloat16."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from ganbook import device, networks

HERE = (torch.cuda.is_available() and "cuda") or (torch.backends.mps.is_available() and "mps")


@pytest.mark.parametrize("name", ["cpu", "CPU", " cpu ", "", "  ", None])
def test_harmless_spellings_work(monkeypatch, name):
    monkeypatch.delenv("GANBOOK_DEVICE", raising=False)
    if name is not None:
        monkeypatch.setenv("GANBOOK_DEVICE", name)
    expected = "cpu" if (name or "").strip() else HERE or "cpu"
    assert device._pick() == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda", "cuda:77", "cuda:-1", "gpu", "nonsense", "cpu:9", "meta"])
def test_another_name_says_what_there_is(monkeypatch, name):
    if name == HERE:
        pytest.skip("this machine has CUDA")
    monkeypatch.setenv("GANBOOK_DEVICE", name)
    message = f"GANBOOK_DEVICE is {name!r}, .*: set it to cpu.*, or leave it unset$"
    with pytest.raises(ValueError, match=message):
        device._pick()


def test_cards_are_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "CUDA:1"):
        monkeypatch.setenv("GANBOOK_DEVICE", name)
        assert device._pick() == torch.device(name.lower())
    monkeypatch.setenv("GANBOOK_DEVICE", "cuda:2")
    with pytest.raises(ValueError, match="set it to cpu or cuda or cuda:0 or cuda:1, or leave"):
        device._pick()


@pytest.mark.parametrize(
    ("loaded", "given", "found"),
    [
        ("os", None, "20000"),
        ("os", "7", "7"),
        ("torch", None, "None"),  # too late, and other programs inherit it
    ],
)
def test_waiting_threads_spin_shortly_unless_somebody_has_said_how_long(loaded, given, found):
    """It is said before anything is imported: seen where the import ends for want of packages."""
    code = f"""
        import os, sys
        sys.modules.setdefault({loaded!r}, None)
        try:
            import ganbook
        except ImportError:
            print(os.environ.get("GOMP_SPINCOUNT"))
    """
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(device.__file__).parents[1])}
    environment.pop("GOMP_SPINCOUNT", None)
    environment |= {} if given is None else {"GOMP_SPINCOUNT": given}
    command = [sys.executable, "-S", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == found


@pytest.mark.parametrize("name", ["CPU", "gpu"])
def test_an_import_ends_in_one_sentence(name):
    environment = os.environ | {
        "GANBOOK_DEVICE": name,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-c", "from ganbook.device import DEVICE; print(DEVICE)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if name == "CPU":
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "cpu", "")
        return
    assert done.returncode != 0 and done.stdout == ""
    sentence = done.stderr.strip().splitlines()[-1]
    assert sentence.startswith("ValueError: GANBOOK_DEVICE is 'gpu', which PyTorch does not find")
    assert done.stderr.count("Traceback") == 1  # none on the way to it


@pytest.mark.parametrize("name", ["float32", " Bfloat16 ", "", None])
def test_the_precision_is_the_processors_unless_it_is_named(monkeypatch, name):
    monkeypatch.delenv("GANBOOK_PRECISION", raising=False)
    if name is not None:
        monkeypatch.setenv("GANBOOK_PRECISION", name)
    for flags in ((), ("_is_amx_tile_supported",), ("_is_avx512_bf16_supported",)):
        for flag in device._CPU_FLAGS:
            monkeypatch.setattr(torch.cpu, flag, lambda here=flag in flags: here, raising=False)
        expected = {"float32": False, "bfloat16": True}.get(
            (name or "").strip().lower(), bool(flags)
        )
        assert device._multiplies_bf16(torch.device("cpu")) == expected


def test_another_precision_is_refused(monkeypatch):
    monkeypatch.setenv("GANBOOK_PRECISION", "half")
    with pytest.raises(ValueError, match="GANBOOK_PRECISION='half': it must be float32 or"):
        device._multiplies_bf16(torch.device("cpu"))


@pytest.mark.parametrize("here", [False, True])
def test_networks_with_convolutions_compute_in_bfloat16_and_dense_ones_do_not(here, monkeypatch):
    monkeypatch.setattr(device, "BF16", here)
    for network, convolutions in (
        (networks.dcgan_generator(size=16, width=4, latent=4), True),
        (networks.spectral(networks.dcgan_discriminator(size=16, width=4)), True),
        (networks.mlp_generator(latent=4, width=8), False),
        (nn.Linear(4, 4), False),
    ):
        layer = next(m for m in network.modules() if isinstance(m, nn.Linear))
        x = torch.zeros(2, layer.in_features, device=device.DEVICE)
        with torch.no_grad(), device.autocast(network):
            half = layer(x).dtype == torch.bfloat16
        assert half == (here and convolutions)


# ---- Placing networks


def test_only_tensors_of_four_axes_change_their_layout():
    """Beside 2-D convolutions there may be buffers of five axes, and weights of 3-D ones."""
    network = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv3d(2, 2, 3)).double()
    network.register_buffer("volume", torch.zeros(1, 2, 3, 4, 5))
    network.register_buffer("waves", torch.tensor([1j]))
    placed = device.placed(network, "critic")
    assert placed is network
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[1].weight.is_contiguous() and network.volume.is_contiguous()
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert network.waves.item() == 1j, "complex buffers stay"


def built_in_inference_mode():
    with torch.inference_mode():
        return nn.Linear(2, 2)


def with_complex_weights():
    network = nn.Linear(2, 2)
    network.phases = nn.Parameter(torch.ones(2, dtype=torch.cfloat))
    return network


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LazyLinear(2), "the critic has lazy layers, .*: call it with one batch first"),
        (lambda: nn.LazyBatchNorm1d(affine=False), "the critic has lazy layers"),
        (with_complex_weights, "the critic has complex weights, .*join them with torch.complex"),
        (built_in_inference_mode, "the critic can't learn within torch.inference_mode"),
    ],
)
def test_networks_that_can_not_be_trained_are_named(make, message):
    network = make()
    with pytest.raises(ValueError, match=message):
        device.placed(network, "critic")
