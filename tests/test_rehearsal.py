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
        env=os.environ | {"GANBOOK_CUDA_REHEARSAL": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:] + done.stderr
