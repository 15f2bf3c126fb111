"""The layout of the package: who may import whom, and how long a file may be."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ganbook"
# From the ground up. A room imports from those before it and from its own files.
ROOMS = (
    "device", "arguments", "schedules", "files", "downloads", "plotting", "losses", "penalties",
    "data", "networks", "players", "sense", "metrics", "guards", "built", "checkpoints",
    "turns", "game", "gan", "widgets", "claims", "evidence", "explorers", "playground", "checks",
)  # fmt: skip
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms of the package that a file imports from, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ganbook":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ganbook."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {parts[1] for parts in names if parts[0] == "ganbook" and len(parts) > 1}
    return {"gan" if name == "GAN" else "claims" if name == "claim" else name for name in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_imports_from_a_later_one(path):
    if path == PACKAGE / "__init__.py":
        return
    own = ROOMS.index(room_of(path))
    later = [name for name in imported(path) if ROOMS.index(name) > own]
    assert not later, f"{path.name} imports {later}, which come after it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_longer_than_300_lines(path):
    if path.name == "metrics.py" or room_of(path) == "checks":
        return  # one subject each; a check needs a message for each mistake
    assert len(path.read_text().splitlines()) <= 300


def test_every_room_is_in_the_list():
    assert {room_of(path) for path in FILES} - {"__init__"} == set(ROOMS)
