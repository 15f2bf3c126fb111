"""The definitions of a chapter, to hold a benchmark's copy of them against."""

import ast
import sys

import common

ROOT = common.FOLDER.parent
sys.path.insert(0, str(ROOT / "sources"))

import build  # noqa: E402


def definitions(stem: str) -> dict:
    """What the cells of a chapter import, and what they define as functions and classes.

    stem: its file in sources/, without the ending. A solution counts, not the stub in its place.
    """
    names: dict = {}
    made = build.notebooks(ROOT / "sources" / f"{stem}.md")
    for cell in [*made["solutions"].cells, *made["chapters"].cells]:
        nodes = ast.parse(cell.source).body if cell.cell_type == "code" else []
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(ast.unparse(node), names)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name not in names:
                exec(ast.unparse(node), names)
    return names
