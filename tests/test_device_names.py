"""GANBOOK_DEVICE: harmless spellings work, and others are one sentence."""

import os
import subprocess
import sys

import pytest
import torch

from ganbook import device

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
