"""The tests themselves: none reads a clock to pass or fail, none draws unseeded numbers."""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = sorted(HERE.rglob("*.py"))
CHECKS = sorted((HERE.parent / "ganbook" / "checks").glob("*.py"))
STOPWATCHES = {"time", "perf_counter", "process_time", "thread_time"}
STOPWATCHES |= {f"{name}_ns" for name in STOPWATCHES}


def faults(code: str) -> list[str]:
    """The expressions that time something, or make a random generator without a seed.

    `time.monotonic()` may be compared with a deadline, to stop waiting, but not subtracted.
    """
    tree, found = ast.parse(code), []
    seeded = {n.value for n in ast.walk(tree) if getattr(n, "attr", "") == "manual_seed"}
    for node in ast.walk(tree):
        name = getattr(getattr(node, "func", None), "attr", "")  # of a call
        module = ast.unparse(node.func.value) if name else ""
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found.append(node)  # or a clock could go by any name
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            found += [node] if "monotonic()" in ast.unparse(node) else []
        elif module == "time" and name in STOPWATCHES:
            found.append(node)
        elif name in ("default_rng", "RandomState", "Random") and not node.args + node.keywords:
            found.append(node)
        elif name == "Generator" and module == "torch" and node not in seeded:
            found.append(node)
        elif (module, name) in {("os", "urandom"), ("torch", "seed"), ("torch.random", "seed")}:
            found.append(node)
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in found]


@pytest.mark.parametrize("path", TESTS + CHECKS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_test_reads_no_clock_and_seeds_what_it_draws(path):
    assert not faults(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "code",
    [
        "start = time.perf_counter()",
        "assert time.process_time_ns() < 5",
        "assert time.monotonic() - start < 0.5",
        "from time import perf_counter",
        "x = np.random.default_rng().normal()",
        "x = torch.rand(3, generator=torch.Generator())",
        "draw = random.Random()",
        "torch.seed()",
    ],
)
def test_faults_are_found(code):
    assert len(faults(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "end = time.monotonic() + 300\nwhile time.monotonic() < end: time.sleep(0.1)",
        "draw = torch.Generator('cpu').manual_seed(3)",
        "x = np.random.default_rng(0).normal()",
        "steps.time(3), random.random()",
    ],
)
def test_waiting_and_seeded_draws_are_no_fault(code):
    assert not faults(code)
