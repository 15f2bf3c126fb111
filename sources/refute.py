"""Try to refute the chapters: run them with other seeds, and with mistakes planted in them.

    python sources/refute.py                every claim of every chapter, under five shifts of all
                                            seeds: benchmarks/claims.csv
    python sources/refute.py 01 04          the claims of these chapters
    python sources/refute.py --mutate       plant the mistakes of mistakes.txt one at a time, and
                                            see what is noticed: benchmarks/mistakes.csv
    python sources/refute.py --mutate 01    those of these chapters

A chapter runs as it is built, in a copy of the package, so that nothing here changes. What a table
has is not run again until the code of the chapter, or the mistake, has changed. Protocol:
benchmarks/README.md. What it is for: README.md in this folder.
"""

import argparse
import ast
import concurrent.futures
import contextlib
import hashlib
import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path

import build
import mistakes
import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from workplace import errors, run, workplace

ROOT = build.ROOT
SHIFTS = 5
LOCK = threading.Lock()


# ---- Claims, with other seeds


def number_claims(notebook: nbformat.NotebookNode) -> list[tuple[int, str]]:
    """(number of the code cell, sentence) of each claim of a notebook, in the order of its source.

    In the notebook each call gets its place in this list: `claim(` becomes `claim_7(`. What is
    within `try` is there to fail, and is left alone.
    """
    found = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        source = TransformerManager().transform_cell(cell.source)
        tree = ast.parse(source)
        tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
        meant = {id(call) for node in tries for part in node.body for call in ast.walk(part)}
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        calls = [c for c in calls if getattr(c.func, "id", "") == "claim" and id(c) not in meant]
        calls.sort(key=lambda node: (node.lineno, node.col_offset))
        lines = source.encode().split(b"\n")  # Python counts columns in bytes
        for k, node in reversed([*enumerate(calls, len(found))]):
            line, end = lines[node.func.lineno - 1], node.func.end_col_offset
            lines[node.func.lineno - 1] = line[:end] + f"_{k}".encode() + line[end:]
        cell.source = b"\n".join(lines).decode()
        found += [(number, _sentence(node.args[0])) for node in calls]
    return found


def _sentence(node: ast.expr) -> str:
    """What a claim says, with {...} for what is computed."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(p.value) if isinstance(p, ast.Constant) else "{...}" for p in parts)


def claim_rows(path: Path) -> list[dict]:
    """A row of claims.csv for each claim of a chapter, before any run."""
    notebook = build.notebooks(path)["chapters"]
    code = build.ran(notebook)["code"]
    return [
        {"chapter": path.name[:2], "place": str(place), "cell": str(cell), "claim": claim,
         "held": "0", "of": "0", "fell": "", "code": code}
        for place, (cell, claim) in enumerate(number_claims(notebook), 1)
    ]  # fmt: skip


def held_under(shift: int, path: Path, root: Path) -> list[bool]:
    """For each claim of a chapter, whether it was reached and held with all seeds shifted."""
    notebook = build.notebooks(path)["chapters"]
    count = len(number_claims(notebook))
    with workplace(root) as folder:
        record = folder / "record"
        record.touch()
        first = (ROOT / "sources" / "shifted_seeds.py").read_text()
        first += f"start({shift * 1_000_003}, {count}, {str(record)!r}, globals())"
        try:
            for number, cell in run(notebook, folder, "chapters", first, 1 + (shift % 2 == 0)):
                for error in errors(cell):
                    said = f"{error.ename}: {error.evalue[:300]}"
                    print(f"{path.name[:2]} shift {shift}, cell {number}: {said}", flush=True)
        except (CellTimeoutError, DeadKernelError) as error:
            print(f"{path.name[:2]} shift {shift} stopped: {error}", flush=True)
        seen = {tuple(map(int, line.split())) for line in record.read_text().splitlines()}
    return [(k, 1) in seen and (k, 0) not in seen for k in range(count)]


def refute(rows: list[dict], path: Path, root: Path, write) -> None:
    """Fill in the rows of a chapter, a shift after the other, and call `write` after each."""
    for shift in range(int(rows[0]["of"]) + 1, SHIFTS + 1):
        held = held_under(shift, path, root)
        with LOCK:
            for row, holds in zip(rows, held, strict=True):
                row["of"], row["held"] = str(shift), str(int(row["held"]) + holds)
                row["fell"] = row["fell"] if holds else f"{row['fell']} {shift}".strip()
            write()
        print(f"{path.name[:2]} shift {shift}: {sum(held)} of {len(held)} claims held", flush=True)


def report_claims(rows: list[dict]) -> None:
    for row in rows:
        if row["fell"]:
            print("{chapter}, cell {cell}, held {held} of {of}: {claim}".format(**row))
    always = sum(not row["fell"] for row in rows)
    print(f"{always} of {len(rows)} claims held under every shift")


# ---- Mistakes that somebody should notice


def mistake_rows(path: Path) -> list[dict]:
    """A row of mistakes.csv for each mistake of a chapter, before any run.

    The first is no mistake, and nothing may notice it.
    """
    own = [one for one in planned(path.parent) if one.chapter == path.name[:2]]
    own = [mistakes.Mistake(path.name[:2], "none", "", "", ""), *own] if own else []
    code = [build.ran(notebook)["code"] for notebook in build.notebooks(path).values() if notebook]
    return [
        {"chapter": one.chapter, "mistake": one.name, "file": one.file, "kind": "",
         "notebook": "", "cell": "", "caught_by": "",
         "code": hashlib.sha256(json.dumps([code, one]).encode()).hexdigest()[:16]}
        for one in own
    ]  # fmt: skip


def planned(sources: Path) -> list[mistakes.Mistake]:
    return mistakes.read(sources / "mistakes.txt")


def noticed(cell: nbformat.NotebookNode, stored: nbformat.NotebookNode) -> tuple[str, str] | None:
    """(kind, what) of the first sign that something is wrong; `stored` is the cell as committed."""
    for error in errors(cell):
        kind = {"ClaimFailed": "claim", "Mistake": "check"}.get(error.ename, "error")
        said = error.evalue.removeprefix("This does not hold here: ").strip()
        return kind, said if kind != "error" else f"{error.ename}: {said}"[:200]
    if "nbval-check-output" in cell.metadata.get("tags", []):
        now, then = ([line for out in one.outputs for line in out.get("text", "").splitlines()
                      if out.get("name") == "stdout"] for one in (cell, stored))  # fmt: skip
        if now != then:
            return "output", next((line for line in now if line not in then), "a line is missing")


def first_notice(name: str, path: Path, root: Path) -> dict[str, str]:
    """Run a chapter with a mistake in it, then its solutions, until something notices it."""
    with workplace(root) as folder:
        for one in planned(path.parent):
            if (one.chapter, one.name) == (path.name[:2], name):
                mistakes.plant(one, folder / (one.file or f"sources/{path.name}"))
        for where, right in filter(lambda item: item[1], build.notebooks(path).items()):
            committed = root / where / f"{path.stem}.ipynb"
            if build.difference(right, committed):  # its outputs are what is compared
                raise build.BuildError(f"{where}/{committed.name} is old: build it first")
            stored = nbformat.read(committed, as_version=4).cells
            stored = [cell for cell in stored if cell.cell_type == "code"]
            wrong = build.notebooks(folder / "sources" / path.name)[where]
            place = {"notebook": where}
            try:
                with contextlib.closing(run(wrong, folder, where)) as cells:
                    for number, cell in cells:
                        place["cell"] = str(number)
                        kind, what = noticed(cell, stored[number - 1]) or ("", "")
                        if kind:
                            return {"kind": kind, **place, "caught_by": " ".join(what.split())}
            except (CellTimeoutError, DeadKernelError) as error:  # which tells the learner nothing
                return {"kind": "no end", **place, "caught_by": type(error).__name__}
    return {"kind": "nothing"}


def mutate(row: dict, path: Path, root: Path, write) -> None:
    """Fill in the row of one mistake."""
    found = first_notice(row["mistake"], path, root)
    with LOCK:
        row.update(found)
        write()
    print("{chapter} {mistake}: {kind} {caught_by}".format(**row), flush=True)


def report_mistakes(rows: list[dict]) -> None:
    missed = [row for row in rows if row["kind"] in ("nothing", "no end")]
    for row in rows:
        if (row["mistake"] == "none") != (row in missed):
            print("{chapter} {mistake}: {kind} {caught_by}".format(**row))
    lost, count = (
        Counter(row["chapter"] for row in some if row["mistake"] != "none")
        for some in (missed, rows)
    )
    lost["all"], count["all"] = lost.total(), count.total()
    for name, n in count.items():
        print(f"{name}: {n - lost[name]} of {n} mistakes noticed, {1 - lost[name] / max(n, 1):.1%}")


# ---- The tables


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chapters", nargs="*", metavar="NN", help="as 01 04; all if none is given")
    parser.add_argument("--mutate", action="store_true", help="plant mistakes in them")
    parser.add_argument("--again", action="store_true", help="run what the table has anew")
    parser.add_argument("--jobs", type=int, default=1, help="how many run side by side")
    parser.add_argument("--out", type=Path, default=root / "benchmarks", help="folder of the table")
    options = parser.parse_args(arguments)
    os.environ["GANBOOK_DEVICE"] = build.ENVIRONMENT["GANBOOK_DEVICE"]
    sys.path.append(str(ROOT / "benchmarks"))
    import common

    table = options.out / ("mistakes.csv" if options.mutate else "claims.csv")
    paths = {path.name[:2]: path for path in sorted(root.glob("sources/[0-9][0-9]_*.md"))}
    chosen = sorted(options.chapters or paths)
    if not set(chosen) <= set(paths):
        parser.error(f"the chapters are {', '.join(paths)}")
    rows_of, report = (
        (mistake_rows, report_mistakes) if options.mutate else (claim_rows, report_claims)
    )
    old = [row for row in common.read_table(table) if row["chapter"] in paths]
    others = [row for row in old if row["chapter"] not in chosen]
    known = {} if options.again else {(row["code"], row.get("place")): row for row in old}
    try:
        rows = [row for chapter in chosen for row in rows_of(paths[chapter])]
        rows = [known.get((row["code"], row.get("place")), row) for row in rows]

        def write():
            common.write_table(table, sorted(others + rows, key=lambda row: row["chapter"]))

        if options.mutate:
            tasks = [(mutate, row, row["chapter"]) for row in rows if not row["kind"]]
        else:
            todo = {row["chapter"]: [] for row in rows if int(row["of"]) < SHIFTS}
            tasks = [(refute, [r for r in rows if r["chapter"] == at], at) for at in todo]
        if tasks:
            machines = {row["machine"] for row in others + rows if "machine" in row}
            common.refuse(table, "machine", machines, common.machine())
            common.real_features()  # so that each copy of the cache has the classifier
        pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
        try:
            jobs = [pool.submit(work, what, paths[at], root, write) for work, what, at in tasks]
            for job in jobs:
                job.result()
        finally:
            pool.shutdown(cancel_futures=True)
    except (build.BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    report(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
