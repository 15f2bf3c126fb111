"""Build the notebooks of the course from their sources, one way only.

sources/NN_name.md  ->  chapters/NN_name.ipynb    exercises open
                    ->  solutions/NN_name.ipynb   set-up and exercises alone, solved

    python sources/build.py             build and execute everything, on the CPU
    python sources/build.py 01 04       build and execute these
    python sources/build.py --prose 01  build where only prose has changed: execute nothing,
                                        keep the outputs
    python sources/build.py --check     execute nothing; fail where committed notebooks differ
                                        from their sources

In a source, a section headed `Exercise N.K` is an exercise. What stands between the lines
`### BEGIN SOLUTION` and `### END SOLUTION` is its answer, and becomes dots in the chapter.
A cell with the tag `solution` is in the solutions only; one with the tag `setup` is in both.
A cell that draws has an alternative text, `:alt:`, in the head of the cell, where "#" and ":" are
letters like any other. "chapter 03" in prose becomes a link, but not within formulas, links and
code; every notebook begins and ends with links to its neighbours. Between two dollars is a formula,
as in JupyterLab: write "\\$5" of money. A notebook stores hashes of the code that ran and of its
outputs, so that outputs of other code are seen.
"""

import argparse
import ast
import hashlib
import itertools
import json
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from jupytext.myst import MystMetadataParsingError, get_parser, myst_to_notebook
from markdown_it import MarkdownIt
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
CELL_SECONDS = 300
NOTEBOOK_SECONDS = 900
MAX_BYTES = 1_500_000
ENVIRONMENT = {
    "GANBOOK_DEVICE": "cpu",
    "TQDM_DISABLE": "1",  # a bar is for the one who waits; stored, it is noise
    # A backend set outside would swallow the figures.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
OPTIONS = {"alt", "jupyter", "tags"}
TAGS = {"nbval-check-output", "raises-exception", "setup", "solution"}
WIDGET = "application/vnd.jupyter.widget-view+json"

EXERCISE = re.compile(r"Exercise ((\d+)\.\d+)\b")
MARKER = re.compile(r"(\s*)### (BEGIN|END) SOLUTION\s*")
NEARLY_MARKER = re.compile(r"#\s*(BEGIN|END)[\s_-]*SOLUTION", re.IGNORECASE)
DOTS = re.compile(r"\s*(\w.* = )?\.\.\.")
CHECK = re.compile(r"\bchecks\.ch\d\d\.\w+\(")
OPTION = re.compile(r"\s*:(\w[\w-]*):(.*)")
# What comes first is left alone: code, formulas, links, comments, tags.
MENTION = re.compile(
    r"(?P<ticks>`+).*?(?<!`)(?P=ticks)(?!`)|\\\$|\$\$.*?\$\$|\$[^$\n]*\$|!?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?"
    r"|<!--.*?-->|</?\w[^>]*>"
    r"|(?P<mention>\b[Cc]hapters?\s+\d\d\b"
    r"(?:(?:,|,?\s+(?:and|or|to)|(?P<dash>[-–]))(?(dash)|\s+)\d\d\b)*)",
    re.DOTALL,
)
IMG = re.compile(r"""<img\b(?:"[^"]*"|'[^']*'|[^>])*+>""", re.IGNORECASE)
# Python ends a line there, Markdown does not, so that lines would be counted in two ways.
LINE_ENDS = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
ALT = re.compile(r"""(?<![\w-])alt\s*=\s*("\s*[^"\s]|'\s*[^'\s]|[^\s"'>])""", re.IGNORECASE)

# What JupyterLab writes into a notebook that it opens, so that it finds nothing to change. The
# version of a kernel is "3" where environment.py has made .venv.
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3",
    },
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py",
        "mimetype": "text/x-python", "name": "python", "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3", "version": "3",
    },
}  # fmt: skip


class BuildError(Exception):
    """What is wrong with a source or a run, and where."""


@dataclass
class Cell:
    """One cell of a source: `where` is its file and line, `exercise` the number of its exercise."""

    kind: str
    source: str
    metadata: dict
    where: str
    exercise: str | None

    def tagged(self, tag: str) -> bool:
        return tag in self.metadata.get("tags", [])


def read(path: Path) -> list[Cell]:
    """The cells of a source in order, a Markdown cell cut so that each section begins a cell."""
    text = _quoted(_text(path), path.name)
    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except (
        MystMetadataParsingError,
        yaml.YAMLError,
        nbformat.ValidationError,
        ValueError,
        TypeError,
    ) as error:
        raise BuildError(
            f"{path.name}:1: the lines between `---` at the top can't be read; they should say"
            " `kernelspec: {name: python3, display_name: Python 3, language: python}`."
        ) from error
    cells, seen, exercise, depth = [], set(), None, 0
    blank = [not line.strip() for line in text.splitlines()]
    for cell, line in zip(notebook.cells, notebook.metadata["source_map"], strict=True):
        first = line + (*blank[line:], False).index(False)
        for source, offset, level, heading in _cut(cell):
            where = f"{path.name}:{first + offset + 1}"
            if 0 < level <= depth:
                exercise, depth = None, 0
            found = EXERCISE.match(heading)
            if found:
                exercise, depth = found[1], level
                if exercise in seen:
                    raise BuildError(f"{where}: Exercise {exercise} appears twice.")
                if int(found[2]) != int(path.name[:2]):
                    raise BuildError(
                        f"{where}: Exercise {exercise} belongs to chapter {int(found[2]):02}:"
                        " renumber it."
                    )
                seen.add(exercise)
            cells.append(Cell(cell.cell_type, source, dict(cell.metadata), where, exercise))
            if cells[-1].tagged("solution") and (found or not exercise):
                raise BuildError(
                    f"{where}: a solution outside of an exercise."
                    " End the one above with a line `+++`?"
                )
    if not cells or not cells[0].source.startswith("# "):
        raise BuildError(
            f"{path.name}: the first cell must begin with the chapter's title, as `# Title`."
        )
    for cell in cells:
        _validate(cell)
    return cells


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BuildError(
            f"{path.name}:{line}: this is not UTF-8; save the file as UTF-8."
        ) from error
    if text.startswith("\ufeff"):
        raise BuildError(
            f"{path.name}: it begins with a byte-order mark; save the file as UTF-8 without one."
        )
    odd = LINE_ENDS.search(text)
    if odd:
        raise BuildError(
            f"{path.name}:{text[: odd.start()].count(chr(10)) + 1}: the character"
            f" U+{ord(odd[0]):04X} is there, which ends a line for some programs only; write a"
            " space, or begin a new line."
        )
    return text


def _quoted(text: str, name: str) -> str:
    """The source with every alternative text in quotes, so that YAML takes it letter by letter.

    Raises BuildError where the options of a cell can't be read, or one appears twice.
    """
    lines = text.split("\n")
    for token in get_parser().parse(text + "\n"):
        if token.type == "fence" and token.level == 0:
            if token.info.startswith(("{code-cell}", "{raw-cell}")):
                _quote(lines, token.map[0] + 1, name)
        elif token.type == "myst_block_break" and token.content:
            where = f"{name}:{token.map[0] + 1}"
            try:
                pairs = json.loads(token.content, object_pairs_hook=tuple)
            except ValueError:
                pairs = None
            if not isinstance(pairs, tuple):
                raise BuildError(
                    f"{where}: write the options of a cell of prose as"
                    ' `+++ {"tags": ["solution"]}`.'
                )
            _once([option for option, _ in pairs], where)
            _check_values(dict(pairs), where)
    return "\n".join(lines)


def _quote(lines: list[str], first: int, name: str) -> None:
    """Quote the alternative text among the options of a cell, which begin at lines[first]."""
    where = f"{name}:{first + 1}"
    if re.fullmatch(r"-{3,}\s*", "".join(lines[first : first + 1])):
        raise BuildError(f"{where}: write each option of a cell as `:name: value`.")
    head = itertools.takewhile(lambda line: line.lstrip().startswith(":"), lines[first:])
    end = first + len(list(head))
    begins = [i for i in range(first, end) if OPTION.match(lines[i])]
    _once([OPTION.match(lines[i])[1] for i in begins], where)
    for i, following in itertools.pairwise([*begins, end]):
        option, text = OPTION.match(lines[i]).groups()
        if option == "alt":
            rest = (line.lstrip().removeprefix(":") for line in lines[i + 1 : following])
            text = " ".join(" ".join([text, *rest]).split())
            quoted = f":alt: {json.dumps(text, ensure_ascii=False)}"
            lines[i:following] = [quoted, *":" * (following - i - 1)]
    try:
        options = yaml.safe_load("\n".join(line.lstrip()[1:] for line in lines[first:end])) or {}
    except yaml.YAMLError as error:
        raise BuildError(
            f"{where}: the options of this cell can't be read; write each on a line of its own,"
            " as `:tags: [setup]`."
        ) from error
    _check_values(options, where)


def _once(names: list[str], where: str) -> None:
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise BuildError(f"{where}: `{twice[0]}` appears twice: delete one.")


def _check_values(options, where: str) -> None:
    """Raise BuildError where the value of an option is of no use."""
    if not isinstance(options, dict):
        raise BuildError(f"{where}: write each option of a cell as `:name: value`.")
    tags, hidden = options.get("tags", []), options.get("jupyter", {})
    words = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    if not words or len(set(tags)) < len(tags) or any(not tag or "," in tag for tag in tags):
        raise BuildError(
            f"{where}: tags are a list of words, each once, as `:tags: [setup]`; got {tags!r}."
        )
    if not isinstance(hidden, dict) or not all(isinstance(v, bool) for v in hidden.values()):
        raise BuildError(
            f"{where}: write `:jupyter: {{source_hidden: true}}` to fold a cell; got {hidden!r}."
        )


def _cut(cell: nbformat.NotebookNode) -> list[tuple[str, int, int, str]]:
    """Cut a Markdown cell before its headings: (text, first line, level or 0, heading or "")."""
    if cell.cell_type != "markdown":
        return [(cell.source, 0, 0, "")]
    # The parser knows that a # in a code fence is no heading.
    tokens = MarkdownIt("commonmark").parse(cell.source)
    headings = {
        token.map[0]: (int(token.tag[1]), tokens[i + 1].content)
        for i, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.markup.startswith("#")
    }
    lines = cell.source.splitlines()
    cuts = sorted({0, *headings, len(lines)})
    return [
        ("\n".join(lines[a:b]).strip("\n"), a, *headings.get(a, (0, "")))
        for a, b in itertools.pairwise(cuts)
    ]


def _validate(cell: Cell) -> None:
    unknown = [*(set(cell.metadata) - OPTIONS), *(set(cell.metadata.get("tags", [])) - TAGS)]
    if unknown:
        raise BuildError(
            f"{cell.where}: `{unknown[0]}` is neither an option nor a tag of a cell; the options"
            f" are {', '.join(sorted(OPTIONS))}, the tags {', '.join(sorted(TAGS))}."
        )
    if cell.kind != "code" and "alt" in cell.metadata:
        raise BuildError(
            f"{cell.where}: `alt` is for a cell of code that draws; prose describes its picture"
            " itself, as `![Two curves that cross.](x.png)`."
        )
    if not cell.metadata.get("alt", "-"):
        raise BuildError(
            f"{cell.where}: this alternative text is empty; say what the picture shows, as"
            " `:alt: Two curves that cross.`"
        )
    bare = _undescribed(cell.source) if cell.kind == "markdown" else None
    if bare:
        raise BuildError(
            f"{cell.where}: `{bare}` has no alternative text; write"
            ' `![Two curves that cross.](x.png)`, or alt="Two curves that cross." in HTML.'
        )
    marked = any(NEARLY_MARKER.search(line) for line in cell.source.splitlines())
    if marked and cell.kind != "code":
        raise BuildError(
            f"{cell.where}: solution markers are for code;"
            " give a Markdown answer the tag `solution`."
        )
    if marked and not cell.exercise:
        raise BuildError(
            f"{cell.where}: a solution outside of an exercise, a section headed `Exercise N.K`."
        )
    if marked and cell.tagged("solution"):
        raise BuildError(
            f"{cell.where}: a cell with the tag `solution` is left out of the chapter as a whole:"
            " delete the markers in it."
        )
    if marked and CHECK.search(cell.source):
        raise BuildError(f"{cell.where}: the check belongs in a cell of its own, below the answer.")
    if cell.kind == "code":
        for source in (cell.source, stub(cell)):
            try:
                ast.parse(TransformerManager().transform_cell(source))
            except SyntaxError as error:
                raise BuildError(
                    f"{cell.where}: this is not valid Python ({error.msg}):\n{source}"
                ) from error


def _undescribed(source: str) -> str | None:
    """The first picture in Markdown or HTML without an alternative text, or None."""
    tokens = MarkdownIt("commonmark").parse(source)
    for token in itertools.chain(*([token, *(token.children or [])] for token in tokens)):
        if token.type == "image" and not token.content.strip():
            return token.attrs["src"]
        if token.type in ("html_block", "html_inline"):
            shown = re.sub(r"<!--.*?(-->|\Z)", "", token.content, flags=re.DOTALL)
            for tag in IMG.findall(shown):
                if not ALT.search(tag):
                    return tag
    return None


def stub(cell: Cell) -> str:
    """The cell with dots in place of every answer.

    If the line above an answer is `name = ...`, those are its dots.
    """
    shown, inside = [], False
    for line in cell.source.splitlines():
        marker = MARKER.fullmatch(line)
        if not marker and NEARLY_MARKER.search(line):
            raise BuildError(
                f"{cell.where}: write `### BEGIN SOLUTION` or `### END SOLUTION`,"
                f" not `{line.strip()}`."
            )
        if marker:
            if inside == (marker[2] == "BEGIN"):
                raise BuildError(f"{cell.where}: `{line.strip()}` without its partner.")
            inside = not inside
            if inside and shown and DOTS.fullmatch(shown[-1]):
                shown[-1] += "  # your code here"
            elif inside:
                shown.append(f"{marker[1]}...  # your code here")
        elif not inside:
            shown.append(line)
    if inside:
        raise BuildError(f"{cell.where}: `### BEGIN SOLUTION` without its partner.")
    return "\n".join(shown)


def notebooks(path: Path) -> dict[str, nbformat.NotebookNode | None]:
    """What a source becomes, not executed: {folder: notebook}.

    Without exercises there are no solutions: None.
    """
    cells = read(path)
    title, _, opening = cells[0].source.partition("\n")
    title = title.removeprefix("# ")
    chapter = [
        (cell.kind, stub(cell), cell.metadata | _built(cell, stub(cell)))
        for cell in cells
        if not cell.tagged("solution")
    ]
    solved = any(cell.exercise for cell in cells)
    way = _way(path, "chapters", solved)
    if way:
        head = f"# {title}\n\n{way}\n{opening}".rstrip("\n")
        chapter = [("markdown", head, cells[0].metadata), *chapter[1:], ("markdown", way, {})]
    chapter = _linked(chapter, path, "chapters")
    result = {"chapters": _notebook(chapter, title), "solutions": None}
    if solved:
        link = f"[{title}](../chapters/{path.stem}.ipynb)"
        way = _way(path, "solutions", solved)
        lead = (
            f"# Solutions: {title}\n\n{way}\n\nThe exercises of {link}, solved and explained."
            " Try each of them there first."
        )
        count = Counter()
        solved = [("markdown", lead, {})] + [
            (
                cell.kind,
                cell.source,
                cell.metadata | _nbgrader(cell, count) | _built(cell, cell.source),
            )
            for cell in cells
            if cell.exercise or cell.tagged("setup")
        ]
        solved = _linked([*solved, ("markdown", way, {})], path, "solutions")
        result["solutions"] = _notebook(solved, f"Solutions: {title}")
    return result


def _built(cell: Cell, shown: str) -> dict:
    """What the page compares: {"built": a hash of the code}, but none where the reader writes.

    lab/'s extension gives a live picture its alternative text while no hash differs.
    """
    return {"built": fnv(shown)} if cell.kind == "code" and shown == cell.source else {}


def fnv(text: str) -> str:
    """A hash in 8 hexadecimal digits that JavaScript makes in one line: FNV-1a, of UTF-8."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"


def _way(path: Path, folder: str, solved: bool) -> str:
    """The links from a notebook to the one before, to its partner, and to the next."""
    around = sorted(path.parent.glob("[0-9][0-9]_*.md"))
    here = around.index(path)
    before, after = around[max(here - 1, 0) : here], around[here + 1 : here + 2]
    to_chapter = "" if folder == "chapters" else "../chapters/"
    links = [f"[← {_title(one)}]({to_chapter}{one.stem}.ipynb)" for one in before]
    if folder == "solutions":
        links.append(f"[The chapter](../chapters/{path.stem}.ipynb)")
    elif solved:
        links.append(f"[Solutions](../solutions/{path.stem}.ipynb)")
    links += [f"[{_title(one)} →]({to_chapter}{one.stem}.ipynb)" for one in after]
    return " · ".join(links)


def _title(path: Path) -> str:
    tokens = get_parser().parse(_text(path))  # which knows a comment in code from a heading
    headings = (
        following.content
        for token, following in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.tag == "h1" and token.markup == "#"
    )
    return next(headings, path.stem)


def _linked(cells: list, path: Path, folder: str) -> list:
    """Cells (kind, source, metadata), every chapter that Markdown names made a link.

    `chapter 03` becomes one whole; of `chapters 01 to 03` each number does.
    """
    there = {one.name[:2]: f"{one.stem}.ipynb" for one in path.parent.glob("[0-9][0-9]_*.md")}
    if folder == "chapters":
        there.pop(path.name[:2])
    up = "" if folder == "chapters" else "../chapters/"

    def link(text, number):
        return f"[{text}]({up}{there[number]})" if number in there else text

    def with_links(found):
        mention = found["mention"]
        if not mention:
            return found[0]
        numbers = re.findall(r"\d\d", mention)
        if len(numbers) == 1:
            return link(mention, numbers[0])
        return re.sub(r"\d\d", lambda number: link(number[0], number[0]), mention)

    def linked(source):
        lines = source.split("\n")
        for first, end in reversed(_prose(source)):
            lines[first:end] = MENTION.sub(with_links, "\n".join(lines[first:end])).split("\n")
        return "\n".join(lines)

    return [
        (kind, linked(source) if kind == "markdown" else source, metadata)
        for kind, source, metadata in cells
    ]


def _prose(source: str) -> list[tuple[int, int]]:
    """The paragraphs of Markdown, as (first line, line after the last), without code and HTML."""
    tokens = MarkdownIt("commonmark").parse(source)
    return [tuple(token.map) for token in tokens if token.type == "paragraph_open"]


def _nbgrader(cell: Cell, count: Counter) -> dict:
    """nbgrader's metadata (schema 3).

    A check is graded, an answer is not, an answer in Markdown is graded by hand.
    """
    answer = cell.tagged("solution") or bool(MARKER.search(cell.source))
    check = cell.kind == "code" and not answer and bool(CHECK.search(cell.source))
    if not cell.exercise or not (answer or check):
        return {}
    name = f"exercise-{cell.exercise.replace('.', '-')}-{'answer' if answer else 'check'}"
    count[name] += 1
    meta = {
        "schema_version": 3,
        "grade_id": f"{name}-{count[name]}",
        "cell_type": cell.kind,
        "task": False,
    }
    meta |= {"solution": answer, "grade": check, "locked": check}
    if check or cell.kind == "markdown":
        meta |= {"grade": True, "points": int(check)}
    return {"nbgrader": meta}


def _notebook(cells: list[tuple[str, str, dict]], title: str) -> nbformat.NotebookNode:
    """A notebook of (kind, source, metadata).

    An id is a hash of the cell, so that an edit changes one id.
    """
    count, made = Counter(), []
    for kind, source, metadata in cells:
        digest = hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:8]
        count[digest] += 1
        name = digest if count[digest] == 1 else f"{digest}-{count[digest]}"
        made.append(getattr(nbformat.v4, f"new_{kind}_cell")(source, id=name, metadata=metadata))
    return nbformat.v4.new_notebook(cells=made, metadata={"title": title, **METADATA})


def execute(notebook: nbformat.NotebookNode, folder: Path, name: str) -> None:
    """Run a notebook in place, in `folder`.

    Raises BuildError that names the cell and ends with the traceback's end.
    """
    metadata = dict(notebook.metadata)
    end = time.monotonic() + NOTEBOOK_SECONDS
    running = {"cell_index": 0}
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout_func=lambda cell: max(1, min(CELL_SECONDS, int(end - time.monotonic()))),
        on_cell_start=running.update,
        record_timing=False,
        coalesce_streams=True,
        force_raise_errors=True,
        shutdown_kernel="immediate",
    )
    try:
        client.execute(env=os.environ | ENVIRONMENT)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        plain = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # without the colours of a terminal
        lines = plain.strip().splitlines()
        raise BuildError(
            "\n    ".join([f"{name}: cell {running['cell_index'] + 1} failed:", *lines[-20:]])
        ) from error
    except AssertionError as error:
        if client.km is None:  # Ctrl-C: nbclient ended the kernel, and trips over its absence
            raise KeyboardInterrupt from error
        raise
    # without the kernel's version and the widgets' state
    notebook.metadata = nbformat.from_dict(metadata)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _still(output)]
    notebook.metadata["ran"] = ran(notebook)


def ran(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Hashes of a notebook's code, and of its outputs with the code, alternative texts aside."""
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)  # as it will be read
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for output in itertools.chain(*(cell.outputs for cell in cells)):
        output.pop("metadata", None)

    def digest(what):
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

    return {
        "code": digest([cell.source for cell in cells]),
        "outputs": digest([[cell.source, cell.outputs] for cell in cells]),
    }


def _still(output: nbformat.NotebookNode) -> bool:
    """Take the widget out of an output, and say whether something worth storing is left.

    Stored, a widget has no kernel behind it, and JupyterLab shows an error in its place. What may
    be left is the picture that some widgets bring along.
    """
    data = output.get("data", {})
    return data.pop(WIDGET, None) is None or set(data) != {"text/plain"}


def keep_outputs(notebook: nbformat.NotebookNode, path: Path, name: str) -> None:
    """Take the outputs from the committed notebook.

    Raises BuildError where its code is not this notebook's code, where its outputs are not those of
    the run that its hashes tell of, or where it is damaged.
    """
    made = [cell for cell in notebook.cells if cell.cell_type == "code"]
    try:
        committed = nbformat.read(path, as_version=4)
        nbformat.validate(committed)
    except FileNotFoundError:
        committed = nbformat.v4.new_notebook()
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        raise BuildError(
            f"{name} is damaged ({type(error).__name__}), so that no outputs can be kept:"
            " build it without --prose"
        ) from error
    there = [cell for cell in committed.cells if cell.cell_type == "code"]
    if [cell.source for cell in made] != [cell.source for cell in there]:
        raise BuildError(
            f"{name}: code has changed, so it must be executed: build it without --prose"
        )
    if committed.metadata.get("ran") != ran(committed):
        raise BuildError(
            f"{name}: its outputs are not those that its code made when it was built, so it must be"
            " executed: build it without --prose"
        )
    notebook.metadata["ran"] = committed.metadata["ran"]
    for cell, before in zip(made, there, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count


def describe(notebook: nbformat.NotebookNode, name: str) -> None:
    """Give every stored picture the alternative text of its cell.

    Raises BuildError where a picture has none, or a text no picture.
    """
    for i, cell in enumerate(notebook.cells, 1):
        pictures = [output for output in cell.get("outputs", []) if _formats(output)]
        alt = cell.metadata.get("alt")
        if pictures and not (isinstance(alt, str) and alt.strip()):
            raise BuildError(
                f"{name}: cell {i} draws a picture without an alternative text: say in the head of"
                f" the cell, as `:alt: Two curves that cross.`, what it shows:\n{cell.source}"
            )
        if alt and not pictures:
            raise BuildError(
                f"{name}: cell {i} has an alternative text and draws no picture: leave `:alt:` out,"
                f" or draw:\n{cell.source}"
            )
        for output in pictures:
            for kind in _formats(output):
                output.metadata[kind] = {**output.metadata.get(kind, {}), "alt": alt}


def _formats(output: nbformat.NotebookNode) -> list[str]:
    return [kind for kind in output.get("data", {}) if kind.startswith("image/")]


def difference(built: nbformat.NotebookNode, path: Path) -> str | None:
    """What keeps the committed notebook from being the built one, its outputs aside, or None."""
    try:
        committed = _skeleton(path.read_text(encoding="utf-8"))
        hashes = committed["metadata"].pop("ran", {})
        code = ran(built)["code"]
        built = _skeleton(nbformat.writes(built))
    except FileNotFoundError:
        return "is missing"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"is not a notebook ({type(error).__name__}: {error})"
    for i, (a, b) in enumerate(
        itertools.zip_longest(committed.pop("cells"), built.pop("cells")), 1
    ):
        if a != b:
            return f"differs from its source at cell {i}"
    if committed != built:
        return "differs from its source in the notebook's metadata"
    if hashes.get("code") != code:
        return "has outputs that its code did not make: build it again"
    return None


def _skeleton(text: str) -> dict:
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)
    return notebook


def check(sources: list[Path], root: Path) -> list[str]:
    """One line for each committed notebook that is not what its source makes, or has no source."""
    expected = {
        root / folder / f"{path.stem}.ipynb": notebook
        for path in sources
        for folder, notebook in notebooks(path).items()
        if notebook
    }
    stale = {path: difference(notebook, path) for path, notebook in expected.items()}
    for path in [
        *root.glob("chapters/[0-9][0-9]_*.ipynb"),
        *root.glob("solutions/[0-9][0-9]_*.ipynb"),
    ]:
        # JupyterLab's copies, -Copy1, are the reader's.
        if path not in expected and re.fullmatch(r"\w+", path.stem):
            stale[path] = "has no source in sources/: remove it"
    return [
        f"{path.relative_to(root).as_posix()} {why}" for path, why in sorted(stale.items()) if why
    ]


def build(path: Path, root: Path, prose: bool = False) -> None:
    """Build and execute both notebooks of a source.

    A notebook is replaced whole, after its run, or not at all.
    prose: execute nothing, keep the outputs. Raises BuildError where code has changed.
    """
    for folder, notebook in notebooks(path).items():
        target = root / folder / f"{path.stem}.ipynb"
        if notebook is None:
            target.unlink(missing_ok=True)
            continue
        name, start = f"{folder}/{target.name}", time.monotonic()
        target.parent.mkdir(exist_ok=True)
        keep_outputs(notebook, target, name) if prose else execute(notebook, target.parent, name)
        describe(notebook, name)
        text = nbformat.writes(notebook) + "\n"
        size = len(text.encode())
        if size > MAX_BYTES:
            raise BuildError(
                f"{name}: {size:,} bytes, more than {MAX_BYTES:,}:"
                " fewer or smaller pictures, please."
            )
        draft = target.with_suffix(".tmp")
        try:
            draft.write_text(text, encoding="utf-8", newline="\n")
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        print(f"{name}: {time.monotonic() - start:.0f} s, {size / 1000:.0f} kB", flush=True)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(
        description="Build the notebooks of the course from their sources."
    )
    parser.add_argument(
        "chapters",
        nargs="*",
        metavar="NN",
        help="chapters to build, as 01 04; all if none is given",
    )
    parser.add_argument(
        "--prose",
        action="store_true",
        help="execute nothing; keep outputs where no code has changed",
    )
    parser.add_argument(
        "--check", action="store_true", help="execute nothing; fail where any notebook differs"
    )
    options = parser.parse_args(arguments)
    sources = sorted((root / "sources").glob("[0-9][0-9]_*.md"))
    numbers = [path.name[:2] for path in sources]
    try:
        for number, count in Counter(numbers).items():
            if count > 1:
                same = ", ".join(path.name for path in sources if path.name[:2] == number)
                raise BuildError(f"Two sources have the number {number}: {same}: renumber one.")
        unknown = sorted(set(options.chapters) - set(numbers))
        if unknown:
            raise BuildError(
                f"No source {', '.join(unknown)}. There are: {', '.join(numbers) or 'none'}."
            )
        stale = check(sources, root) if options.check else []
        if stale:
            raise BuildError(
                "\n".join([*stale, "Edit the sources only, and build: python sources/build.py NN"])
            )
        for path in sources if not options.check else []:
            if path.name[:2] in (options.chapters or numbers):
                build(path, root, options.prose)
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The notebook that was running is as it was before.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
