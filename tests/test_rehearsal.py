"""The tests of test_cuda.py, on a pretended GPU: those that take seconds."""

import os
import subprocess
import sys
from pathlib import Path

LONG = "resumes or agrees or goes_to or precisions or playground or whole"


def test_what_only_a_gpu_runs_is_rehearsed():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        f"not ({LONG})",
    ]
    done = subprocess.run(
        [*command, "tests/test_cuda.py"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"GANBOOK_CUDA_REHEARSAL": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:] + done.stderr


def pretended(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parent,
        env=os.environ | {"MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )


def test_a_chapter_is_rehearsed():
    done = pretended("pretended_gpu.py", "00")
    assert done.returncode == 0 and "mixes devices" not in done.stdout, done.stdout + done.stderr


def test_a_cell_that_mixes_devices_is_found():
    cells = [
        "import torch; x = torch.ones(2, device='cuda')",
        "x + torch.ones(2)",
        "x + x",
        "x.numpy()",
    ]
    code = f"import pretended_gpu as p; p.start(); print(*p.errors({cells}, 1))"
    done = pretended("-c", code)
    assert done.stdout == "2 4\n", done.stdout + done.stderr
