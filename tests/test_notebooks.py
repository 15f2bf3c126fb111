"""What every committed notebook promises: from its source, run, without answers or noise."""

import base64
import functools
import importlib
import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import nbformat
import PIL.Image
import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("course_build", ROOT / "sources" / "build.py")
build = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = build
spec.loader.exec_module(build)
SOURCES = sorted(ROOT.glob("sources/[0-9][0-9]_*.md"))
CHAPTERS = sorted(ROOT.glob("chapters/[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted(ROOT.glob("solutions/[0-9][0-9]_*.ipynb"))
EXERCISE = re.compile(r"^(#+) Exercise (\d+\.\d+)\b")
CALL = re.compile(r"\bchecks\.(ch\d\d)\.(\w+)\(")
BLOCK = re.compile(
    r"^ *### BEGIN SOLUTION *\n(.*?)\n *### END SOLUTION *$", re.MULTILINE | re.DOTALL
)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
MACHINE = re.compile(r"(?<![\w./~-])(/(tmp|root|home|work|Users|opt|var|mnt|private)/|[A-Z]:\\)")

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
each_notebook = pytest.mark.parametrize(
    "path", CHAPTERS + SOLUTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)


@functools.cache
def cells(path):
    return nbformat.read(path, 4).cells


def code(path):
    return [cell for cell in cells(path) if cell.cell_type == "code"]


def exercises(path):
    """{number: its cells}: from a heading `Exercise N.K` to the next heading that is not deeper."""
    found, number, depth = {}, None, 0
    for cell in cells(path):
        heading = re.match("(#+) ", cell.source) if cell.cell_type == "markdown" else None
        if heading and len(heading[1]) <= depth:
            number, depth = None, 0
        started = EXERCISE.match(cell.source) if heading else None
        if started:
            number, depth = started[2], len(started[1])
            assert number not in found, f"Exercise {number} is there twice"
        if number:
            found.setdefault(number, []).append(cell)
    return found


def printed(cell_list):
    outputs = (output for cell in cell_list if cell.cell_type == "code" for output in cell.outputs)
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.parametrize("page", ["README.md", "chapters/00_start_here.ipynb"])
def test_the_maps_of_the_course_link_every_chapter_that_is_there_and_no_other(page):
    path = ROOT / page
    text = (
        path.read_text() if path.suffix == ".md" else "\n".join(cell.source for cell in cells(path))
    )
    there = {path.name for path in CHAPTERS}
    linked = set(re.findall(r"\((?:chapters/)?(\d\d_\w+\.ipynb)\)", text))
    assert linked | ({path.name} & there) == there
    assert len(re.findall(r"\| \*?to come\*? \|", text)) == 20 - len(there)


@each_chapter
def test_a_chapter_says_the_time_that_readme_says(path):
    text = " ".join("\n".join(cell.source for cell in cells(path)).split())
    (time,) = re.findall(r"runs in about (.+?) on two CPU cores", text)
    short = {"a minute": "1 min", "two minutes": "2 min"}.get(time, time.replace("seconds", "s"))
    row = next(line for line in (ROOT / "README.md").read_text().splitlines() if path.name in line)
    assert row.endswith(f"| {short} |")


@each_notebook
def test_a_notebook_is_written_as_jupyterlab_writes_it(path):
    """So that opening and saving one is no change to git."""
    written = path.read_text(encoding="utf-8")
    assert nbformat.writes(nbformat.reads(written, 4)) + "\n" == written
    assert set(json.loads(written)["metadata"]) == {"kernelspec", "language_info", "ran", "title"}


def test_notebooks_are_what_their_sources_make(capsys):
    assert build.main(["--check"]) == 0, capsys.readouterr().err


@each_notebook
def test_every_cell_has_run_in_order(path):
    assert [cell.execution_count for cell in code(path)] == list(range(1, len(code(path)) + 1))


def outputs_are_of_another_run(notebook):
    """What is wrong with a notebook as it was stored, or None: outputs of other code, or edited."""
    stored = notebook.metadata.get("ran", {})
    for what, value in build.ran(notebook).items():
        if stored.get(what) != value:
            return f"its {what} changed after it was built: python sources/build.py NN"
    return None


def bad_pictures(notebook):
    """What is wrong with the pictures of a notebook and their alternative texts, a line each."""
    wrong, texts = [], []
    for i, cell in enumerate(notebook.cells, 1):
        alt, pictures = cell.metadata.get("alt"), 0
        texts += [alt] if alt else []
        for output in cell.get("outputs", []):
            for kind, data in output.get("data", {}).items():
                if kind.startswith("image/"):
                    pictures += 1
                    if not alt or output.metadata.get(kind, {}).get("alt") != alt:
                        wrong.append(f"cell {i}: a picture without the cell's alternative text")
                    if not is_picture(kind, data):
                        wrong.append(f"cell {i}: {kind} that is no picture")
        if alt and not pictures:
            wrong.append(f"cell {i}: an alternative text and no picture")
    wrong += [f"one text for two cells: {text}" for text in texts if texts.count(text) > 1]
    return wrong


def is_picture(kind, data):
    if kind == "image/svg+xml":
        return "<svg" in data
    try:
        with PIL.Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            picture.load()
            return picture.get_format_mimetype() == kind and min(picture.size) > 1
    except (OSError, ValueError, SyntaxError):
        return False


def claims_without_a_tick(notebook):
    """The checked cells of a notebook with fewer ticks than claims, and lines with another mark."""
    wrong = []
    for cell in notebook.cells:
        lines = printed([cell]).splitlines()
        marks = [line for line in lines if re.match(r"\s*[✗✘✕✖×❌☒](?! Exercise)", line)]
        kept = [line for line in lines if re.match(r"✔ |This does not hold here: ", line)]
        if "nbval-check-output" in cell.metadata.get("tags", []) and "claim(" in cell.source:
            # what else a cell prints, it prints itself
            other = len(kept) < len(lines) and "print(" not in cell.source
            if other or len(kept) < cell.source.count("claim("):
                marks = lines
        wrong += marks
    return wrong


@each_notebook
def test_outputs_are_those_of_the_code_as_it_ran(path):
    assert outputs_are_of_another_run(nbformat.read(path, 4)) is None


@each_notebook
def test_every_picture_can_be_seen_and_is_described(path):
    assert bad_pictures(nbformat.read(path, 4)) == []


@each_notebook
def test_claims_hold_in_the_stored_outputs(path):
    assert claims_without_a_tick(nbformat.read(path, 4)) == []


def with_pictures(notebook):
    return [
        (cell, output)
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]


def spoil_no_pictures(notebook):
    for cell, output in with_pictures(notebook):
        cell.outputs.remove(output)


def spoil_broken_pictures(notebook):
    for _, output in with_pictures(notebook):
        output.data["image/png"] = "AAAA"


def spoil_cut_pictures(notebook):
    for _, output in with_pictures(notebook):
        output.data["image/png"] = output.data["image/png"][:200]


def spoil_undescribed_svg(notebook):
    for _, output in with_pictures(notebook):
        output.data["image/svg+xml"] = "<svg/>"
        del output.data["image/png"]


def spoil_one_text(notebook):
    for cell, output in with_pictures(notebook):
        cell.metadata["alt"] = "A picture that shows some things here."
        output.metadata["image/png"]["alt"] = cell.metadata["alt"]


def spoil_ticks(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = output.text.replace("✔", "✗")


def spoil_ticks_plainly(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = output.text.replace("✔ ", "")


def spoil_turn(notebook):
    pictures = [output for _, output in with_pictures(notebook)]
    shown = [output.data for output in pictures]
    for output, data in zip(pictures, shown[1:] + shown[:1], strict=True):
        output.data = data


def spoil_code(notebook):
    next(cell for cell in notebook.cells if cell.cell_type == "code").source += "  # changed"


@pytest.mark.parametrize(
    "spoil, finds",
    [
        (spoil_no_pictures, bad_pictures),
        (spoil_broken_pictures, bad_pictures),
        (spoil_cut_pictures, bad_pictures),
        (spoil_undescribed_svg, bad_pictures),
        (spoil_one_text, bad_pictures),
        (spoil_ticks, claims_without_a_tick),
        (spoil_ticks_plainly, claims_without_a_tick),
        (spoil_turn, outputs_are_of_another_run),
        (spoil_code, outputs_are_of_another_run),
    ],
)
def test_a_broken_notebook_is_seen(spoil, finds):
    notebook = nbformat.read(CHAPTERS[3], 4)
    notebook.metadata["ran"] = build.ran(notebook)
    assert not finds(notebook)
    spoil(notebook)
    assert finds(notebook)


@each_notebook
def test_outputs_are_stills_without_errors_or_noise(path):
    for output in (output for cell in code(path) for output in cell.outputs):
        assert output.output_type != "error", output.get("evalue")
        assert output.get("name") != "stderr", output.text
        formats = set(output.get("data", {}))
        assert "application/vnd.jupyter.widget-view+json" not in formats, (
            "a stored widget shows an error"
        )
        text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        assert not ADDRESS.search(text), f"an address, other in every run: {text}"
        assert "\r" not in text and "it/s" not in text, f"a progress bar: {text}"


@each_notebook
def test_checked_cells_print_and_do_nothing_else(path):
    """nbval passes a checked cell in silence if it has no count or no stored output."""
    for cell in code(path):
        assert "NBVAL" not in cell.source, "checked by its tag, nbval-check-output"
        if "nbval-check-output" in cell.metadata.get("tags", []):
            assert cell.execution_count and cell.outputs, cell.source
            for output in cell.outputs:
                formats = set(output.get("data", {}))
                assert output.get("name") == "stdout" or formats == {"text/plain"}, (
                    f"{cell.source}\n{formats}"
                )


@each_notebook
def test_code_cells_are_short(path):
    for cell in code(path):
        lines = cell.source.splitlines()
        assert len(lines) <= 20, f"over 20 lines:\n{cell.source}"
        long = [line for line in lines if len(line) > 100]
        assert not long, f"over 100 characters: {long}"


@each_notebook
def test_nothing_names_the_machine_it_was_built_on(path):
    for cell in cells(path):
        text = cell.source + json.dumps(
            [_without_pictures(output) for output in cell.get("outputs", [])]
        )
        assert not MACHINE.search(text), MACHINE.search(text)[0]


def _without_pictures(output):
    return {k: v for k, v in output.get("data", output).items() if not k.startswith("image/")}


@each_notebook
def test_links_and_pictures_are_there(path):
    for cell in cells(path):
        if cell.cell_type == "markdown":
            for link in re.findall(
                r"\]\(([^)\s]+)\)|\bsrc=\"([^\"]+)\"", re.sub(r"`[^`]*`", "", cell.source)
            ):
                target = "".join(link).partition("#")[0]
                if target and not re.match(r"https?:|attachment:|mailto:", target):
                    assert (path.parent / target).exists(), f"{target} is not there"


def anchors(path):
    """What JupyterLab calls the headings of a notebook in an address."""
    headings = re.findall(
        r"^#+ (.+)$", "\n".join(c.source for c in cells(path) if c.cell_type == "markdown"), re.M
    )
    return {heading.replace(" ", "-") for heading in headings}


@each_notebook
def test_anchors_are_there(path):
    for cell in cells(path):
        if cell.cell_type == "markdown":
            for target, anchor in re.findall(r"\]\(([\w./]*)#([^)\s]+)\)", cell.source):
                assert anchor in anchors(path.parent / target if target else path), anchor


@each_notebook
def test_a_notebook_links_to_its_neighbours_and_its_partner(path):
    here, solved = CHAPTERS.index(ROOT / "chapters" / path.name), path.parent.name == "solutions"
    expected = {chapter.name for k, chapter in enumerate(CHAPTERS) if abs(k - here) == 1}
    expected |= {path.name} if solved else {f"../solutions/{path.name}"}
    for cell in (cells(path)[0], cells(path)[-1]):
        links = re.findall(r"\]\(([^)]+)\)", cell.source)
        there = {link.removeprefix("../chapters/") if solved else link for link in links}
        assert expected <= there, expected - there
        for link in links:
            assert (path.parent / link).exists() or link.startswith("http"), link


@each_notebook
def test_every_chapter_that_a_notebook_names_is_linked(path):
    there = {chapter.name[:2]: chapter.name for chapter in CHAPTERS}
    if path.parent.name == "chapters":
        del there[path.name[:2]]
    for cell in cells(path):
        if cell.cell_type != "markdown":
            continue
        text = re.sub(r"```.*?```|`[^`]*`|^#.*?$", "", cell.source, flags=re.DOTALL | re.M)
        for number in re.findall(r"[Cc]hapter\s+(\d\d)\b", text):
            if number in there:
                assert re.search(rf"[Cc]hapter\s+{number}\]\([./\w]*{there[number]}\)", text), text


@each_notebook
def test_every_picture_has_an_alternative_text(path):
    for cell in cells(path):
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = cell.metadata.get("alt", "")
                assert len(alt.split()) > 6 and alt.endswith("."), f"{alt}\n{cell.source}"
                assert output.metadata["image/png"]["alt"] == alt
        for alt in re.findall(r"!\[([^\]]*)\]", cell.source) if "outputs" not in cell else []:
            assert len(alt.split()) > 3, cell.source


@each_notebook
def test_size(path):
    assert path.stat().st_size <= 1_500_000


@each_chapter
def test_a_chapter_holds_no_answer(path):
    source = (ROOT / "sources" / f"{path.stem}.md").read_text(encoding="utf-8")
    assert not [cell for cell in cells(path) if "solution" in cell.metadata.get("tags", [])]
    assert "SOLUTION" not in "".join(cell.source for cell in cells(path))
    shown = "\n".join(cell.source for section in exercises(path).values() for cell in section)
    answers = [answer for answer in BLOCK.findall(source) if answer.strip()]
    assert len(answers) == source.count("### BEGIN SOLUTION")
    assert not [answer for answer in answers if answer.strip() in shown]
    solutions = ROOT / "solutions" / path.name
    for cell in cells(solutions) if solutions.exists() else []:
        if "solution" in cell.metadata.get("tags", []):
            assert cell.source not in shown


@each_chapter
def test_a_chapter_leaves_its_exercises_open(path):
    for number, section in exercises(path).items():
        assert f"○ Exercise {number} is open" in printed(section), f"Exercise {number}"
        assert "✔ Exercise" not in printed(section), f"Exercise {number} is solved in the chapter"
        assert "..." in "".join(cell.source for cell in section if cell.cell_type == "code")


@each_chapter
def test_exercises_are_in_both_notebooks(path):
    solutions = ROOT / "solutions" / path.name
    assert list(exercises(path)) == (list(exercises(solutions)) if solutions.exists() else [])
    assert [f"{int(path.name[:2])}.{k}" for k in range(1, len(exercises(path)) + 1)] == list(
        exercises(path)
    )


@each_solution
def test_solutions_solve_every_exercise_by_its_own_check(path):
    room = f"ch{path.name[:2]}"
    module, called = importlib.import_module(f"ganbook.checks.{room}"), set()
    for number, section in exercises(path).items():
        calls = CALL.findall("\n".join(cell.source for cell in section if cell.cell_type == "code"))
        assert calls, f"Exercise {number} calls no check of checks.{room}"
        assert [(where, getattr(module, name).exercise) for where, name in calls] == [
            (room, number)
        ] * len(calls)
        assert printed(section).count(f"✔ Exercise {number} solved.") == len(calls), (
            f"Exercise {number}"
        )
        assert "is open" not in printed(section), f"Exercise {number}"
        called |= {name for _, name in calls}
    assert called == {name for name, value in vars(module).items() if hasattr(value, "exercise")}, (
        "checks without use"
    )
