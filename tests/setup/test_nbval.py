"""Notebooks as tests: what conftest.py at the root adds to nbval."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]

# The first kernels are to have a port that is not free.
TAKEN = """
import socket
from jupyter_client.manager import KernelManager

taken, start, left = socket.create_server(("127.0.0.1", 0)), KernelManager.start_kernel, [TIMES]

def start_kernel(manager, **kwargs):
    left[0] -= 1
    if left[0] < 0:
        return start(manager, **kwargs)
    manager.cache_ports, manager.shell_port = False, taken.getsockname()[1]
    return start(manager, **kwargs)

KernelManager.start_kernel = start_kernel
"""


@pytest.fixture
def nbval(tmp_path):
    shutil.copy(ROOT / "conftest.py", tmp_path)

    def run(limit: int, *more: str, **notebooks: list[str]) -> str:
        for name, cells in notebooks.items():
            cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
            notebook = nbformat.v4.new_notebook(cells=cells)
            nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        options = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={limit}", "-rs"]
        files = [f"{name}.ipynb" for name in notebooks]
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *more, *options, *files],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout

    return run


def counts(said: str) -> dict[str, int]:
    """`1 failed, 2 skipped` of pytest's last line."""
    last = said.splitlines()[-1]
    return {
        word: int(number)
        for number, word in re.findall(r"(\d+) (failed|passed|skipped|error)", last)
    }


def test_a_cell_over_its_time_limit_is_red_once(nbval):
    sleeps = "import time\ntime.sleep(3000)"
    catches = "import time\ntry:\n    time.sleep(3000)\nexcept KeyboardInterrupt:\n    pass"
    said = nbval(1, slow=[sleeps, "1 + 1", "undefined"], catches=[catches, "1 + 1", "undefined"])
    assert counts(said) == {"failed": 2, "skipped": 4}
    assert said.count("Cell 0: it took more than 1 seconds. The cells after it are not run.") == 2
    assert re.search(r"SKIPPED \[4\].*: not run: cell 0 took more than 1 seconds", said)


def test_a_dead_kernel_is_red_once_and_long_before_the_limit_and_other_failures_stop_nothing(nbval):
    """The test would be stopped long before the limit of two hours."""
    dies = ["1 + 1", "import os\nos._exit(1)", "1 + 1", "1 + 1"]
    said = nbval(7200, dies=dies, fails=["1 / 0", "1 + 1", "undefined"])
    assert counts(said) == {"passed": 2, "failed": 3, "skipped": 2}
    assert said.count("Cell 1: it killed its kernel. The cells after it are not run.") == 1
    assert "not run: cell 1 killed its kernel" in said


@pytest.mark.parametrize("times, end", [(1, {"passed": 1}), (2, {"error": 1})])
def test_a_kernel_whose_port_is_taken_is_started_again_once(nbval, tmp_path, times, end):
    (tmp_path / "taken.py").write_text(TAKEN.replace("TIMES", str(times)))
    assert counts(nbval(60, "-p", "taken", fine=["1 + 1"])) == end
