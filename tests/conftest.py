"""What many tests need: small batches, kernels that repeat, a Ctrl-C that interrupts."""

import os
import signal
import threading

import pytest
import torch

if os.environ.get("GANBOOK_CUDA_REHEARSAL"):  # before anything asks for the device
    import pretended_gpu

    pretended_gpu.start()


@pytest.fixture(scope="session")
def moons():
    import games

    return games.moons()


@pytest.fixture(scope="session")
def pictures():
    import games

    return games.pictures()


@pytest.fixture
def deterministic(monkeypatch):
    """On a GPU, cuDNN may choose kernels whose sums depend on the order that threads finish in."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, also where pytest itself was started to ignore it."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread alone")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
