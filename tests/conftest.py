"""What all tests have: seeded random numbers; and many: small batches, a Ctrl-C that interrupts.

`pytest --shuffle 3` runs the files in another order, and the tests within each: all must pass.
"""

import functools
import itertools
import os
import random
import signal
import threading

import pytest
import torch
from seeds import seed_all

# Each test and each fixture starts from a seed, so that what it draws depends on no other test.


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call():
    seed_all(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup():
    seed_all(1)


def pytest_addoption(parser):
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in another order")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--shuffle") is None:
        return
    draw = random.Random(config.getoption("--shuffle"))
    files = [list(tests) for _, tests in itertools.groupby(items, lambda item: item.path)]
    draw.shuffle(files)
    for tests in files:
        draw.shuffle(tests)
    items[:] = itertools.chain(*files)


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
def on_sigint():
    """Sets what an interrupt does; afterwards it does what it did before."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread alone")
    before = signal.getsignal(signal.SIGINT)
    yield functools.partial(signal.signal, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def ctrl_c(on_sigint):
    """Ctrl-C raises KeyboardInterrupt, also where pytest itself was started to ignore it."""
    on_sigint(signal.default_int_handler)
