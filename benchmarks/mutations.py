"""The small mistakes that can be made in a Python file, for mutants.py.

Text, type hints, error messages and what only draws are left alone.
"""

import ast
import copy
import re
from typing import NamedTuple

SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
RENAMED = {
    "mean": "sum", "sum": "mean", "min": "max", "max": "min", "any": "all", "all": "any",
    "argmin": "argmax", "argmax": "argmin", "no_grad": "enable_grad", "train": "eval",
    "eval": "train", "zeros": "ones", "ones": "zeros", "zeros_": "ones_", "ones_": "zeros_",
}  # fmt: skip
# The order of these arguments does not matter, or everybody would see at once that it is wrong.
UNORDERED = ("isinstance", "getattr", "hasattr", "min", "max")
# What only draws: calls of these names with their arguments, these functions, these keywords.
# Few tests could say that a colour or a font size is wrong. `strict` is a guard of our own.
DRAWING = set(
    "Figure Layout Dropdown Button HTML Box HBox VBox add_axes add_subplot annotate axhline axis"
    " axvline contour contourf cycler figure fill_between hist imshow legend minorticks_off plot"
    " quiver scatter set set_aspect set_facecolor set_major_locator set_title set_visible set_xlim"
    " set_xticks set_ylim set_yscale set_yticks subplots text tick_params".split()
)
DRAWERS = re.compile(r"use_style|_draw_|_set_plane|_add_measure|__repr__|extra_repr|label_line")
KEYWORDS = ("style", "layout", "figsize", "dpi", "color", "fontsize", "pad", "strict")


class Mutant(NamedTuple):
    """One mistake, number `number` of all that a file offers: `before` becomes `after`.

    seen: the lines (first, last) of which a test must run one to notice it.
    """

    file: str
    number: int
    line: int
    kind: str
    before: str
    after: str
    seen: tuple[int, int]


def mutants_of(file: str, source: str) -> list[Mutant]:
    """All mistakes that a file offers, in the order of its lines."""
    mutants = [mutant for mutant, _, _ in _walk(file, ast.parse(source))]
    return [mutant for mutant in mutants if mutant.before != mutant.after]


def mutated(source: str, number: int) -> str:
    """The source of a file with one of its mistakes in it; the comments are lost."""
    tree = ast.parse(source)
    _, put, new = _walk("", tree)[number]
    put(new)
    return ast.unparse(tree)


def _walk(file: str, tree: ast.Module) -> list[tuple]:
    """(mutant, put, new) for each mistake: `put(new)` makes it in the tree."""
    found, everywhere = [], (1, 10**9)

    def visit(node, parent=None, put=None, argument=None, seen=everywhere, default=False):
        if _is_left_out(node):
            return
        if isinstance(node, ast.FunctionDef):
            names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
            argument, seen = next(iter(names), None), (node.body[0].lineno, node.end_lineno)
        elif isinstance(node, ast.ClassDef):
            argument, seen = None, everywhere
        elif isinstance(node, ast.stmt) and seen != everywhere:
            seen = (node.lineno, node.end_lineno)
        whole = parent if isinstance(parent, (ast.expr, ast.arguments, ast.keyword)) else node
        for kind, new in changes(node, argument):
            before = _line(whole)
            put(new)
            after = _line(new if whole is node else whole)
            put(node)
            line, kind = getattr(node, "lineno", seen[0]), "default" if default else kind
            found.append((Mutant(file, len(found), line, kind, before, after, seen), put, new))
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns") or getattr(node, "arg", "") in ("dim", "axis"):
                continue
            for k, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    visit(child, node, _setter(node, name, k), argument, seen, "default" in name)

    visit(tree)
    return found


def _setter(node, name: str, k: int):
    value = getattr(node, name)
    if isinstance(value, list):
        return lambda new: value.__setitem__(k, new)
    return lambda new: setattr(node, name, new)


def _line(node) -> str:
    return " ".join(ast.unparse(node).split())[:200]


def changes(node, argument: str | None):
    """(kind, changed node) for each mistake in one node; `argument`: the function's first."""

    def changed(**fields):
        new = copy.copy(node)
        new.__dict__.update(fields)
        return new

    match node:
        case ast.BinOp(op=op) if type(op) in SWAPPED and not _is_joined(node):
            yield "arithmetic", changed(op=SWAPPED[type(op)]())
        case ast.AugAssign(op=op) if type(op) in SWAPPED and not isinstance(node.value, ast.List):
            yield "arithmetic", changed(op=SWAPPED[type(op)]())
        case ast.Compare(ops=[op, *others], comparators=[right, *_]):
            new = SWAPPED[type(op)]()
            if isinstance(getattr(right, "value", None), float):  # few are at the limit itself
                new = ast.Gt() if isinstance(op, (ast.Lt, ast.LtE)) else ast.Lt()
            yield "comparison", changed(ops=[new, *others])
        case ast.BoolOp(op=op):
            yield "and/or", changed(op=SWAPPED[type(op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield "not", node.operand
        case ast.UnaryOp(op=ast.USub()):
            yield "sign", node.operand
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield "condition", changed(test=ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool()):
            yield "True/False", changed(value=not node.value)
        case ast.Constant(value=int() | float()):
            yield "number", changed(value=node.value + 1)
        case ast.Return(value=ast.expr()) if argument:
            yield "return", changed(value=ast.Name(argument))
        case ast.Expr(value=ast.Call()) if "super()" not in ast.unparse(node):
            yield "call removed", ast.Pass()
        case ast.keyword(arg="dim" | "axis"):
            yield "dim", changed(value=ast.Constant(int(ast.unparse(node.value) == "0")))
        case ast.Call(func=func, args=args):
            name = _name(func)
            if name in RENAMED and not (name in ("train", "eval") and args):
                other = copy.copy(func)
                setattr(other, "attr" if isinstance(func, ast.Attribute) else "id", RENAMED[name])
                yield "renamed", changed(func=other)
            if name == "detach":
                yield "detach", func.value
            starred = any(isinstance(each, ast.Starred) for each in args[:2])
            if len(args) > 1 and not starred and name not in UNORDERED:
                yield "arguments swapped", changed(args=[args[1], args[0], *args[2:]])


def _is_left_out(node) -> bool:
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.FunctionDef(name=name):
            return bool(DRAWERS.match(name))
        case ast.Call(func=func) | ast.Expr(value=ast.Call(func=func)):
            return _name(func) in DRAWING
        case ast.keyword(arg=name):
            return name in KEYWORDS
    return False


def _is_joined(node: ast.BinOp) -> bool:
    """Whether an operand is text or a list, which can be joined and nothing else."""
    return any(
        isinstance(each, (ast.JoinedStr, ast.List)) or isinstance(getattr(each, "value", 0), str)
        for each in (node.left, node.right)
    )


def _name(func) -> str:
    return getattr(func, "attr", getattr(func, "id", ""))
