"""A copy of the repository to run notebooks in, so that nothing here changes. For refute.py."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import build
import nbformat
from nbclient import NotebookClient

CELL_SECONDS = 3000  # several may run side by side


@contextlib.contextmanager
def workplace(root: Path):
    """A copy of what a notebook needs when it runs: package, tables, sources, and a cache."""
    from ganbook.files import cache_folder

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        parts = {part: root / part for part in ("ganbook", "benchmarks", "sources")}
        parts["cache"] = cache_folder()  # one for each, because a mistake may spoil it
        for part, origin in parts.items():
            if origin.exists():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(origin, folder / part, ignore=ignored)
        (folder / "chapters").mkdir()
        (folder / "solutions").mkdir()
        yield folder


def run(notebook: nbformat.NotebookNode, folder: Path, where: str, first="", threads: int = 1):
    """Execute the cells in order, go on after errors, and yield (number, cell) for those of code.

    folder: the workplace. where: the folder in it to run in. first: code that runs before.
    """
    there = f"import ganbook\nassert ganbook.__file__.startswith({str(folder)!r}), ganbook.__file__"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(f"{first}\n{there}\ndel ganbook"))
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder / where)}},
        timeout=CELL_SECONDS,
        allow_errors=True,
        coalesce_streams=True,
        shutdown_kernel="immediate",
    )
    ours = {
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "GANBOOK_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # side by side, threads that spin take each other's cores
    }
    number = 0
    with client.setup_kernel(env=os.environ | build.ENVIRONMENT | ours):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
            if index == 0 and errors(cell):
                raise build.BuildError(f"the hidden first cell failed: {errors(cell)[0].evalue}")
            if index > 0 and cell.cell_type == "code":
                number += 1
                yield number, cell


def errors(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The errors that the learner sees in a cell, unless it is there to show one."""
    meant = "raises-exception" in cell.metadata.get("tags", [])
    return [] if meant else [out for out in cell.outputs if out.output_type == "error"]
