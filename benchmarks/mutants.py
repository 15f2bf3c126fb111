"""Would the tests notice? Small mistakes put into the package one at a time, and who catches each.

    python benchmarks/mutants.py

Writes mutants.csv, a row for each mistake: the test that caught it, or "survived". Where a survivor
changes nothing that anybody could see, a hand has written "equivalent: " and why. Protocol:
README.md in this folder.
"""

import argparse
import ast
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from mutations import Mutant, mutants_of, mutated

ROOT = Path(__file__).parents[1]
# These start browsers, installations and notebooks, or hold the benchmarks.
LEFT_OUT = re.compile(
    r"test_(browser|playground_browser|build|notebooks)\.py|tests/(benchmarks|setup)/"
)


def chosen(count: int, patterns: list[str]) -> list[Mutant]:
    """`count` mistakes over the files, in proportion to their statements, at least one each.

    Within a file the kinds take turns, so that the many numbers do not crowd out the rest.
    """
    offers, lines = {}, {}
    for path in sorted((ROOT / "ganbook").rglob("*.py")):
        file, source = str(path.relative_to(ROOT)), path.read_text()
        if any(fnmatch.fnmatch(file, pattern) for pattern in patterns):
            offers[file] = mutants_of(file, source)
            lines[file] = sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(source)))
    files = [file for file in offers if offers[file]]
    ideal = {file: count * lines[file] / sum(lines[f] for f in files) for file in files}
    shares = {file: max(1, int(ideal[file])) for file in files}
    for file in sorted(files, key=lambda file: shares[file] - ideal[file]):
        shares[file] += sum(shares.values()) < count
    return [mutant for file in files for mutant in _drawn(offers[file], shares[file])]


def _drawn(mutants: list[Mutant], count: int) -> list[Mutant]:
    rng, drawn = random.Random(0), []
    mutants = rng.sample(mutants, len(mutants))
    while mutants and len(drawn) < count:
        kinds = sorted({mutant.kind for mutant in mutants})
        for kind in rng.sample(kinds, len(kinds)):
            drawn.append(next(mutant for mutant in mutants if mutant.kind == kind))
            mutants.remove(drawn[-1])
    return sorted(drawn[:count], key=lambda mutant: mutant.number)


# ---- The tests that may notice


def trace(test: str, out: str) -> None:
    """Run one file of tests, and write which lines of the package it ran, its failures, seconds."""
    import pytest

    ran, failed, package = {}, [], f"{os.getcwd()}/"

    def on_line(frame, event, _):
        ran.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return on_line

    def on_call(frame, event, _):
        if frame.f_code.co_filename.startswith(f"{package}ganbook/"):
            return on_line(frame, event, _)

    class Failures:
        def pytest_runtest_logreport(self, report):
            failed.extend([report.nodeid] if report.failed else [])

    threading.settrace(on_call)
    sys.settrace(on_call)
    start = time.perf_counter()
    pytest.main(["-q", "--tb=no", "-p", "no:cacheprovider", test], plugins=[Failures()])
    sys.settrace(None)
    lines = {name.removeprefix(package): sorted(ran[name]) for name in ran}
    found = {"lines": lines, "failed": failed, "seconds": time.perf_counter() - start}
    Path(out).write_text(json.dumps(found))


class Workplace:
    """A copy of the repository, in which mistakes are made and tests run."""

    def __init__(self, folder: Path):
        self.folder, self.copy = folder, folder / "copy"
        ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.egg-info")
        shutil.copytree(ROOT, self.copy, ignore=ignored)
        found, _ = self.run(["-c", "import ganbook; print(ganbook.__file__)"], 300)
        if not found.startswith(str(folder)):
            raise SystemExit(f"the tests would take {found.strip()} in place of the copy")

    def run(self, command: list[str], limit: float) -> tuple[str, int | None]:
        """Python's output and exit code, which is None if it ran past the limit in seconds."""
        from ganbook import files

        for name in ("cache", "tmp"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "tmp").mkdir()
        # A copy for each, because a mistake may spoil it.
        shutil.copytree(files.cache_folder(), self.folder / "cache")
        settings = {
            "PYTHONPATH": self.copy,
            "PYTHONDONTWRITEBYTECODE": "1",  # two mistakes of one second and size would share it
            "GANBOOK_CACHE": self.folder / "cache",
            "TMPDIR": self.folder / "tmp",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # nbval's takes longer than most tests
            "OMP_NUM_THREADS": "1",
            "TQDM_DISABLE": "1",
        }
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=self.copy,
            env=os.environ | {name: str(value) for name, value in settings.items()},
            text=True,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.communicate(timeout=limit)[0], process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.communicate()[0], None

    def traced(self, test: str) -> dict:
        """What `trace` writes, kept until the package or the tests change."""
        paths = [*(ROOT / "ganbook").rglob("*.py"), *(ROOT / "tests").glob("[!t]*.py"), ROOT / test]
        content = b"".join(path.read_bytes() for path in sorted(paths))
        kept = Path(tempfile.gettempdir()) / "ganbook-mutants"
        kept /= f"{Path(test).stem}-{hashlib.sha256(content).hexdigest()[:16]}.json"
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            output, _ = self.run([__file__, "--trace", test, str(kept)], 3600)
            if not kept.exists():
                raise SystemExit(f"{test} did not end:\n{output}")
        return json.loads(kept.read_text())

    def caught_by(self, mutant: Mutant, tests: dict[str, dict]) -> str:
        """The first test that fails on the mistake, or "survived"."""
        path, source = self.copy / mutant.file, (ROOT / mutant.file).read_text()
        path.write_text(mutated(source, mutant.number))
        try:
            found = (self._failure(group, tests) for group in in_order(mutant, tests))
            return next(filter(None, found), "survived")
        finally:
            path.write_text(source)

    def _failure(self, group: list[str], tests: dict[str, dict]) -> str | None:
        if not group:
            return
        known = [f"--deselect={test}" for name in group for test in tests[name]["failed"]]
        limit = 300 + 10 * sum(tests[name]["seconds"] for name in group)
        options = ["-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
        output, code = self.run([*options, *known, *group], limit)
        if code in (0, 5):  # 5: a file without tests of its own, which holds answers for another
            return
        named = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
        return "no end" if code is None else named[1] if named else "no start"


def in_order(mutant: Mutant, tests: dict[str, dict]) -> tuple[list[str], list[str]]:
    """The tests named after the file; then the others that run the line, the quickest first."""
    first, last = mutant.seen
    name = re.compile(rf"/test_(playground_)?{Path(mutant.file).stem}(_\w+)?\.py$")
    own = [test for test in tests if name.search(test)]
    others = [
        test
        for test in sorted(tests.keys() - own, key=lambda test: tests[test]["seconds"])
        if any(first <= line <= last for line in tests[test]["lines"].get(mutant.file, ()))
    ]
    return own, others


# ---- The table


def try_all(todo: list[dict], jobs: int, write) -> None:
    """Fill in `caught_by` of each row, and call `write` after each."""
    known = {
        (mutant.file, str(mutant.number), mutant.before, mutant.after): mutant
        for file in {row["file"] for row in todo}
        for mutant in mutants_of(file, (ROOT / file).read_text())
    }
    keys = [(row["file"], row["number"], row["before"], row["after"]) for row in todo]
    if not set(keys) <= known.keys():
        raise SystemExit("the package has changed since the mistakes were chosen: give --again")
    with (
        tempfile.TemporaryDirectory() as folder,
        concurrent.futures.ThreadPoolExecutor(jobs) as pool,
    ):
        places = queue.SimpleQueue()
        for k in range(jobs):
            places.put(Workplace(Path(folder) / str(k)))

        def somewhere(work, *arguments):
            place = places.get()
            try:
                return work(place, *arguments)
            finally:
                places.put(place)

        paths = sorted((ROOT / "tests").rglob("test_*.py"))
        names = [str(path.relative_to(ROOT)) for path in paths if not LEFT_OUT.search(str(path))]
        traces = pool.map(lambda name: somewhere(Workplace.traced, name), names)
        tests = dict(zip(names, traces, strict=True))
        for test in sum((tests[name]["failed"] for name in names), []):
            print(f"left out, because it fails without a mistake: {test}", flush=True)
        waiting = {
            pool.submit(somewhere, Workplace.caught_by, known[key], tests): row
            for key, row in zip(keys, todo, strict=True)
        }
        for done in concurrent.futures.as_completed(waiting):
            row = waiting[done]
            row["caught_by"] = done.result()
            write()
            print(f"{row['file']}:{row['line']} {row['kind']}: {row['caught_by']}", flush=True)


def report(rows: list[dict]) -> None:
    for row in rows:
        if row["caught_by"] == "survived":
            print("{file}:{line} {kind}, survived: {before}  ->  {after}".format(**row))
    same = sum(row["caught_by"].startswith("equivalent") for row in rows)
    counted = len(rows) - same
    caught = counted - sum(row["caught_by"] == "survived" for row in rows)
    print(f"{len(rows)} mistakes, {same} of them equivalent; of the others {caught} were caught:")
    print(f"{caught} of {counted}, {caught / counted:.1%}")


def main() -> None:
    import common

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="how many mistakes (default: 200)")
    parser.add_argument("--files", nargs="+", default=["*"], help="patterns (default: all files)")
    parser.add_argument("--jobs", type=int, default=1, help="how many are tried side by side")
    parser.add_argument("--survivors", action="store_true", help="try anew those that survived")
    parser.add_argument("--again", action="store_true", help="choose and try anew")
    parser.add_argument("--out", type=Path, default=common.FOLDER, help="the folder to write to")
    options = parser.parse_args()
    path = options.out / "mutants.csv"
    rows = [] if options.again else common.read_table(path)
    for mutant in [] if rows else chosen(options.count, options.files):
        row = {key: str(value) for key, value in mutant._asdict().items() if key != "seen"}
        rows.append(row | {"caught_by": ""})
    for row in rows:
        if options.survivors and row["caught_by"] == "survived":
            row["caught_by"] = ""
    todo = [row for row in rows if not row["caught_by"]]
    if todo:
        machines = {row["machine"] for row in rows if "machine" in row}
        common.refuse(path, "machine", machines, common.machine())
        try_all(todo, options.jobs, lambda: common.write_table(path, rows))
    report(rows)


if __name__ == "__main__":
    trace(*sys.argv[2:]) if "--trace" in sys.argv else main()
