"""The build: what a source becomes, what a bad one says, and what a run may leave behind."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

spec = importlib.util.spec_from_file_location(
    "course_build", Path(__file__).parents[1] / "sources" / "build.py"
)
build = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = build
spec.loader.exec_module(build)

SOURCE = '''\
---
kernelspec: {name: python3, display_name: Python 3, language: python}
---

# The game

You will halve and count.

```{code-cell}
:tags: [setup]

import sys, types
import ipywidgets as widgets
from IPython.display import Image, display

def say(number, holds):
    print(f"✔ Exercise {number} solved." if holds else f"○ Exercise {number} is open")

checks = types.SimpleNamespace(ch01=types.SimpleNamespace(
    half=lambda f: say("1.1", f(4) == 2), count=lambda answer: say("1.2", answer == 3)))
```

```python
# no heading
## Exercise 1.7: in a fence
```

## A picture

```{code-cell}
:alt: Nothing that an eye
:   could make out.

slider, screen = widgets.FloatSlider(), widgets.Output()
with screen:
    print("in the widget")
display(widgets.VBox([slider, screen]))
display(Image(b"not a real PNG", format="png"))

class WithStill(widgets.VBox):
    def _repr_mimebundle_(self, **kwargs):
        return super()._repr_mimebundle_(**kwargs) | {"image/png": "c3RpbGw="}

display(WithStill())
for k in range(3):
    print(k)
    sys.stdout.flush()
```

## Exercise 1.1: halve

Halve it.

```{code-cell}
def half(x):
    """Half of x."""
    if x > 0:
        ### BEGIN SOLUTION
        secret = x / 2
        return secret
        ### END SOLUTION
    ### BEGIN SOLUTION
    return -half(-x)
    ### END SOLUTION
```

```{code-cell}
:tags: [nbval-check-output]

checks.ch01.half(half)
```

+++ {"tags": ["solution"]}

### Discussion of the secret

The halves of both signs.

+++

## Exercise 1.2: count

```{code-cell}
answer = ...
### BEGIN SOLUTION
answer = 3
### END SOLUTION
```

```{code-cell}
:tags: [nbval-check-output]

checks.ch01.count(answer)
```

### A hint, deeper, so still the exercise

## What you learned

```{code-cell}
:tags: [nbval-check-output]

print(2 + 2)
```
'''


@pytest.fixture
def course(tmp_path):
    """Write sources into a course of their own: course("01_game", text) -> the course's folder."""

    def write(name, text=SOURCE):
        (tmp_path / "sources").mkdir(exist_ok=True)
        (tmp_path / "sources" / f"{name}.md").write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def made(course):
    return build.notebooks(course("01_game") / "sources" / "01_game.md")


def cells(text):
    return f"# Title\n\n{text}\n"


def code(text, options=""):
    return f"```{{code-cell}}\n{options}{text}\n```\n"


def exercise(text):
    return cells("## Exercise 1.1\n\n" + text)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


# What a source becomes


def test_a_chapter_has_dots_in_place_of_answers(made):
    shown = sources(made["chapters"])
    head, dots = 'def half(x):\n    """Half of x."""\n    if x > 0:\n', "...  # your code here"
    assert f"{head}        {dots}\n    {dots}" in shown
    assert "answer = ...  # your code here" in shown
    assert not [
        text
        for text in shown
        if "SOLUTION" in text or "secret" in text or "signs" in text or "= 3\n" in text
    ]


def test_solutions_are_a_title_the_setup_and_the_exercises(made):
    first_lines = [text.splitlines()[0] for text in sources(made["solutions"])]
    assert first_lines == [
        "# Solutions: The game",
        "import sys, types",
        "## Exercise 1.1: halve",
        "def half(x):",
        "checks.ch01.half(half)",
        "### Discussion of the secret",
        "## Exercise 1.2: count",
        "answer = ...",
        "checks.ch01.count(answer)",
        "### A hint, deeper, so still the exercise",
        "[The chapter](../chapters/01_game.ipynb)",
    ]
    assert "(../chapters/01_game.ipynb)" in made["solutions"].cells[0].source
    assert "secret = x / 2" in made["solutions"].cells[3].source


def test_a_heading_in_a_fence_is_no_heading_and_every_heading_begins_a_cell(made):
    assert "```python\n# no heading\n## Exercise 1.7: in a fence\n```" in sources(made["chapters"])
    headings = [
        "# The game",
        "## A picture",
        "## Exercise 1.1: halve",
        "## Exercise 1.2: count",
        "### A hint, deeper",
    ]
    shown = [text for text in sources(made["chapters"]) if text.startswith("#")]
    assert [
        text.startswith(heading) for text, heading in zip(shown[:-1], headings, strict=True)
    ] == [True] * 5


def test_a_section_ends_at_a_heading_of_its_level_or_above(course):
    text = cells(
        "### Exercise 1.1\n\n"
        + code("a = 1")
        + "\n#### Deeper\n\n"
        + code("b = 2")
        + "\n## Above\n\n"
        + code("c = 3")
    )
    solved = sources(build.notebooks(course("01_x", text) / "sources" / "01_x.md")["solutions"])
    assert "a = 1" in solved and "b = 2" in solved and "c = 3" not in solved


def test_a_chapter_without_exercises_has_no_solutions(course):
    text = cells("Prose.\n\n" + code("a = 1", ":tags: [setup]\n\n"))
    made = build.notebooks(course("01_x", text) / "sources" / "01_x.md")
    assert made["solutions"] is None and len(made["chapters"].cells) == 2


def test_what_is_made_is_a_valid_notebook_with_little_metadata(made):
    for notebook in made.values():
        nbformat.validate(notebook)
        assert set(notebook.metadata) == {"title", "kernelspec", "language_info"}  # and no "ran"
        assert notebook.metadata.language_info.version == "3"
        assert "tags" not in notebook.cells[0].metadata
    built = build.fnv(made["chapters"].cells[1].source)
    assert made["chapters"].cells[1].metadata == {"tags": ["setup"], "built": built}


def test_code_carries_its_hash_but_not_where_the_reader_writes(made):
    assert build.fnv("") == "811c9dc5" and build.fnv("foobar") == "bf9cf968"  # of FNV's own tests
    for notebook in made.values():
        for cell in notebook.cells:
            expected = cell.cell_type == "code" and "# your code here" not in cell.source
            assert ("built" in cell.metadata) == expected, cell.source
            assert cell.metadata.get("built") in (None, build.fnv(cell.source))


def test_an_edit_changes_one_id_and_twins_have_two(course, made):
    text = SOURCE.replace("print(2 + 2)", "print(2 + 3)")
    edited = build.notebooks(course("01_game", text) / "sources" / "01_game.md")
    before, after = ([cell.id for cell in made["chapters"].cells] for made in (made, edited))
    changed = [a != b for a, b in zip(before, after, strict=True)]
    assert changed == [False] * (len(before) - 2) + [True, False]
    twins = build.notebooks(course("01_game", cells(code("1 + 1") * 3)) / "sources" / "01_game.md")[
        "chapters"
    ]
    assert len({cell.id for cell in twins.cells}) == 4
    nbformat.validate(twins)


def test_nbgrader_metadata(made):
    marks = [cell.metadata.get("nbgrader") for cell in made["solutions"].cells]
    base = {"schema_version": 3, "task": False}
    answer = {**base, "solution": True, "grade": False, "locked": False}
    check = {
        **base,
        "solution": False,
        "grade": True,
        "locked": True,
        "points": 1,
        "cell_type": "code",
    }
    assert marks == [
        None,
        None,
        None,
        {**answer, "grade_id": "exercise-1-1-answer-1", "cell_type": "code"},
        {**check, "grade_id": "exercise-1-1-check-1"},
        # nbgrader wants an answer in Markdown to be graded by hand
        {
            **answer,
            "grade_id": "exercise-1-1-answer-2",
            "cell_type": "markdown",
            "grade": True,
            "points": 0,
        },
        None,
        {**answer, "grade_id": "exercise-1-2-answer-1", "cell_type": "code"},
        {**check, "grade_id": "exercise-1-2-check-1"},
        None,
        None,
    ]
    assert not [cell for cell in made["chapters"].cells if "nbgrader" in cell.metadata]


# Links

LINKED = """# 2. Second

As chapter 01 said. Chapters 01, 03 and 04 to 09, chapter
03's, [chapter 01](x.md), `chapter 01`, $chapter 01$, chapter 02, chapters 5 and 6.

```python
chapter 01
```

<details><summary>chapter 01</summary>

chapter 03

</details>

## Exercise 2.1: as in chapter 01

See chapter 01 and chapter 02.
"""


@pytest.fixture
def three(course):
    course("01_first", "# 1. First\n\nChapter 03 says why.\n")
    course("03_third", "# 3. Third\n\nIt is the last.\n")
    root = course("02_second", LINKED)
    return {
        name: build.notebooks(root / "sources" / f"{name}.md")
        for name in ("01_first", "02_second", "03_third")
    }


def test_every_notebook_begins_and_ends_with_the_links_to_its_neighbours(three):
    ways = {
        ("01_first", "chapters"): "[2. Second →](02_second.ipynb)",
        ("02_second", "chapters"): "[← 1. First](01_first.ipynb)"
        " · [Solutions](../solutions/02_second.ipynb) · [3. Third →](03_third.ipynb)",
        ("02_second", "solutions"): "[← 1. First](../chapters/01_first.ipynb)"
        " · [The chapter](../chapters/02_second.ipynb)"
        " · [3. Third →](../chapters/03_third.ipynb)",
        ("03_third", "chapters"): "[← 2. Second](02_second.ipynb)",
    }
    for (name, folder), way in ways.items():
        shown = sources(three[name][folder])
        assert shown[0].splitlines()[2] == way and shown[-1] == way


def test_a_chapter_that_prose_names_becomes_a_link(three):
    first, third = "(01_first.ipynb)", "(03_third.ipynb)"
    opening, exercise = sources(three["02_second"]["chapters"])[:2]
    assert (
        "\n".join(opening.splitlines()[4:])
        == f"""\
As [chapter 01]{first} said. Chapters [01]{first}, [03]{third} and 04 to 09, [chapter
03]{third}'s, [chapter 01](x.md), `chapter 01`, $chapter 01$, chapter 02, chapters 5 and 6.

```python
chapter 01
```

<details><summary>chapter 01</summary>

[chapter 03]{third}

</details>"""
    )
    assert (
        exercise
        == f"""\
## Exercise 2.1: as in chapter 01

See [chapter 01]{first} and chapter 02."""
    )
    solved = sources(three["02_second"]["solutions"])[1]
    assert "See [chapter 01](../chapters/01_first.ipynb) and [chapter 02](../chap" in solved


NO_PROSE = """\
<details><summary>chapter 01</summary>
chapter 01
</details>

~~~
chapter 01
~~~

````
```
chapter 01
````

    chapter 01

Text.
    chapter 03, of the paragraph.

<!-- chapter 01

chapter 01 -->

A <b title="chapter 01">word</b>, <!-- chapter 01 --> ``a ` chapter 01``, [chapter 01][x].

chapter 01
==========

### chapter 01

- In chapter 03.
"""


def test_only_prose_gets_links(course):
    course("01_first", "# 1. First\n"), course("03_third", "# 3. Third\n")
    root = course("02_second", f"# 2. Second\n\n{NO_PROSE}")
    shown = "\n\n".join(sources(build.notebooks(root / "sources" / "02_second.md")["chapters"]))
    assert "(01_first.ipynb)" not in shown.partition("3. Third")[2].rpartition("[← 1.")[0]
    third = "[chapter 03](03_third.ipynb)"
    assert f"    {third}, of the paragraph." in shown and f"- In {third}." in shown


MENTIONS = {
    "Chapters 01-03 say": "Chapters [01](A)-[03](B) say",
    "chapters 01–03": "chapters [01](A)–[03](B)",
    "chapters 01 and 03": "chapters [01](A) and [03](B)",
    "chapters 01, 03, or 04": "chapters [01](A), [03](B), or 04",
    "chapters 01\nand 03": "chapters [01](A)\nand [03](B)",
    "chapters 01 to\n03": "chapters [01](A) to\n[03](B)",
    "chapters 03": "[chapters 03](B)",
    "chapter 01, 05 and no 03": "chapter [01](A), 05 and no 03",
    "chapter 01-2003": "[chapter 01](A)-2003",
    r"\$5 in chapter 01 and \$6": r"\$5 in [chapter 01](A) and \$6",
    "$5 in chapter 01 and $6": "$5 in chapter 01 and $6",  # JupyterLab sees a formula
}


@pytest.mark.parametrize("text, expected", MENTIONS.items())
def test_each_number_is_a_link_of_its_own(course, text, expected):
    course("01_first", "# 1. First\n"), course("03_third", "# 3. Third\n")
    root = course("02_second", f"# 2. Second\n\n{text}\n")
    opening = sources(build.notebooks(root / "sources" / "02_second.md")["chapters"])[0]
    expected = expected.replace("(A)", "(01_first.ipynb)").replace("(B)", "(03_third.ipynb)")
    assert opening.splitlines()[4:] == expected.splitlines()


def test_a_title_is_a_heading_and_no_comment(course):
    head = "---\n# a comment\nkernelspec: {name: python3}\n---\n\n"
    course("02_second", f"{head}```python\n# code\n```\n\n# 2. The *title*\n")
    root = course("01_first", "# 1. First\n")
    shown = sources(build.notebooks(root / "sources" / "01_first.md")["chapters"])
    assert shown[-1] == "[2. The *title* →](02_second.ipynb)"


# What a bad source says

BEGIN, END, TAG = "### BEGIN SOLUTION", "### END SOLUTION", '+++ {"tags": ["solution"]}'
BAD = {
    "begin without end": (exercise(code(f"{BEGIN}\na = 1")),
        r"01_x\.md:6: `### BEGIN SOLUTION` without its partner"),
    "end without begin": (exercise(code(f"a = 1\n{END}")),
        r"01_x\.md:6: `### END SOLUTION` without its partner"),
    "begin in begin": (exercise(code(f"{BEGIN}\n{BEGIN}\na = 1\n{END}")),
        r"`### BEGIN SOLUTION` without its partner"),
    "misspelt begin": (exercise(code(f"# begin solution\na = 1\n{END}")),
        r"01_x\.md:6: write `### BEGIN SOLUTION`"),
    "misspelt end": (exercise(code(f"{BEGIN}\na = 1\n### END_SOLUTION")),
        r"not `### END_SOLUTION`"),
    "words after": (exercise(code(f"{BEGIN} now\na = 1\n{END}")), r"not `### BEGIN SOLUTION now`"),
    "Markdown": (exercise(f"{BEGIN}\n\nIt is 3.\n\n{END}"),
        r"01_x\.md:5: solution markers are for code"),
    "outside": (cells(code(f"{BEGIN}\na = 1\n{END}")),
        r"01_x\.md:4: a solution outside of an exercise"),
    "outside, by tag": (cells(f'{TAG}\n\nIt is 3.'),
        r"01_x\.md:5: a solution outside of an exercise"),
    "running into an exercise": (exercise(f"{TAG}\n\nIt is 3.\n\n## Exercise 1.2\n\nTwo."),
        r"01_x\.md:9: .*\+\+\+"),
    "running into a section": (exercise(f"{TAG}\n\nIt is 3.\n\n## Next\n\nTwo."),
        r"01_x\.md:9: .*\+\+\+"),
    "tag and markers": (exercise(code(f"{BEGIN}\na = 1\n{END}", ":tags: [solution]\n\n")),
        r"left out of the chapter as a whole: delete the markers"),
    "answer and check": (exercise(code(f"{BEGIN}\na = 1\n{END}\nchecks.ch01.x(a)")),
        r"a cell of its own"),
    "no Python": (cells(code("a = = 1")), r"01_x\.md:4: this is not valid Python"),
    "no Python once stubbed": (
        exercise(code(f"{BEGIN}\nif a:\n    b = 1\n{END}\nelse:\n    c = 1")), r"valid Python"),
    "Python only once stubbed": (exercise(code(f"{BEGIN}\na = = 1\n{END}")),
        r"01_x\.md:6: this is not valid Python"),
    "a number twice": (exercise("One.\n\n## Exercise 1.1\n\nTwo."),
        r"01_x\.md:7: Exercise 1\.1 appears twice"),
    "another chapter's number": (cells("## Exercise 2.1\n\nOne."),
        r"Exercise 2\.1 belongs to chapter 02: renumber it"),
    "no title": ("Prose.\n\n" + code("a = 1"),
        r"01_x\.md: the first cell must begin with the chapter's title"),
    **{f"the line end {ord(end):04x}": (cells(f"Zero.\n\nOne{end}two."),
        rf"^01_x\.md:5: the character U\+{ord(end):04X} is there")
        for end in "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"},
    "a tag twice": (cells(code("a = 1", ":tags: [setup, setup]\n\n")),
        r"^01_x\.md:4: tags are a list of words, each once"),
    "two tags in one": (cells(code("a = 1", ':tags: ["setup,solution"]\n\n')),
        r"^01_x\.md:4: tags are a list"),
    "an empty tag": (cells(code("a = 1", ':tags: [""]\n\n')), r"^01_x\.md:4: tags are a list"),
    "a tag twice, of prose": (exercise('+++ {"tags": ["solution", "solution"]}\n\nIt is 3.'),
        r"^01_x\.md:5: tags are a list"),
    "empty": ("", r"must begin with the chapter's title"),
    "an unknown tag": (cells(code("a = 1", ":tags: [nbval-chek-output]\n\n")),
        r"01_x\.md:4: `nbval-chek-output` is neither an option nor a tag"),
    "an unknown option": (cells(code("a = 1", ":atl: A curve.\n\n")),
        r"01_x\.md:4: `atl` is neither an option"),
    "a byte-order mark": ("\ufeff" + cells("Prose."), r"01_x\.md: .* byte-order mark"),
    "bad options": (cells(code("a = 1", ":tags: [setup\n\n")),
        r"^01_x\.md:4: the options of this cell can't be read"),
    "an option that is none": (cells(code("a = 1", ":tags\n\n")),
        r"^01_x\.md:4: write each option"),
    "a tag alone": (cells(code("a = 1", ":tags: setup\n\n")), r"^01_x\.md:4: tags are a list"),
    "no tag": (cells(code("a = 1", ":tags:\n\n")), r"^01_x\.md:4: tags are a list"),
    "a number as tag": (cells(code("a = 1", ":tags: [1]\n\n")), r"^01_x\.md:4: tags are a list"),
    "nonsense to fold": (cells(code("a = 1", ":jupyter: nonsense\n\n")),
        r"^01_x\.md:4: write `:jupyter: "),
    "nonsense in folds": (cells(code("a = 1", ":jupyter: {source_hidden: 1}\n\n")),
        r"^01_x\.md:4: write `:jupyter: "),
    "options between dashes": (cells(code("a = 1", "---\ntags: [setup]\n---\n")),
        r"^01_x\.md:4: write each option"),
    "an unclosed cell": ("# Title\n\n```{code-cell}\n:tags: setup",
        r"^01_x\.md:4: tags are a list"),
    "an option twice": (cells(code("a = 1", ":alt: One.\n:alt: Two.\n\n")),
        r"^01_x\.md:4: `alt` appears twice: delete one"),
    "a tag alone, of prose": (exercise('+++ {"tags": "solution"}\n\nIt is 3.'),
        r"^01_x\.md:5: tags are a list"),
    "options of prose": (exercise("+++ {tags: 3}\n\nIt is 3."), r"^01_x\.md:5: write the options"),
    "options of prose, a list": (exercise("+++ [3]\n\nIt is 3."),
        r"^01_x\.md:5: write the options"),
    "an option of prose twice": (
        exercise('+++ {"tags": ["solution"], "tags": []}\n\nIt is 3.'), r"`tags` appears twice"),
    "bad lines at the top": ("---\nkernelspec: [\n---\n\n" + cells("Prose."),
        r"^01_x\.md:1: the lines between `---`"),
    "a list at the top": ("---\n- 3\n---\n\n" + cells("Prose."),
        r"^01_x\.md:1: the lines between `---`"),
    "an empty alternative text": (cells(code("a = 1", ":alt:\n\n")),
        r"^01_x\.md:4: this alternative text is empty"),
    "an alternative text of prose": (cells('+++ {"alt": "A curve."}\n\nIt is 3.'),
        r"^01_x\.md:5: `alt` is for a cell of code"),
    "a bare picture": (cells("See ![ ](x.png)."), r"^01_x\.md:1: `x.png` has no alternative text"),
    "a bare picture by name": (cells("See ![][x].\n\n[x]: y.png"), r"`y.png` has no alternative"),
    "a bare picture in HTML": (cells("<img src='x.png' data-alt='No.'>"),
        r"`<img src='x.png' data-alt='No.'>` has no alternative text"),
    "a bare picture with a > in HTML": (cells("<img title='p > q' src=x.png>"),
        r"`<img title='p > q' src=x.png>` has no alternative text"),
    "an empty one in HTML": (cells("Text, <IMG alt=' ' src=x.png>"), r"has no alternative text"),
}  # fmt: skip


@pytest.mark.parametrize("text, message", BAD.values(), ids=BAD)
def test_a_bad_source_is_one_clear_error(course, text, message):
    with pytest.raises(build.BuildError, match=message):
        build.notebooks(course("01_x", text) / "sources" / "01_x.md")


def test_every_error_in_a_source_is_one_sentence(course, capsys):
    for name, (text, _) in BAD.items():
        assert build.main(["--check"], course("01_x", text)) == 1
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 or "not valid Python" in said[0], name


@pytest.mark.parametrize(
    "text",
    [
        "Ten modes # of the ring",
        "Two things: a and b.",
        "'Quotes' and \"more\", a \\ and [a list, {of} &words *here | > % @ `x`",
        "- a dash: ? no # key",
        "D* at 1/2, \u03b8 and \U0001f600",
        "3",
    ],
)
def test_an_alternative_text_is_taken_letter_by_letter(course, text):
    first, _, rest = text.partition(" ")
    for written in (f":alt: {text}\n", f":tags: [setup]\n:alt: {first}\n:   {rest}\n"):
        root = course("01_x", cells(code("a = 1", written + "\n")))
        cell = build.notebooks(root / "sources" / "01_x.md")["chapters"].cells[1]
        assert cell.metadata["alt"] == text and cell.source == "a = 1"


def test_described_pictures_in_prose_are_fine(course):
    shown = "![A curve.](x.png) <img src=x.png alt='A curve.'> <!-- <img src=x.png> -->"
    shown += "\n\n`![](x.png)`\n\n```\n<img src=x.png>\n```\n\n<img\n src=x.png\n alt=Curves>"
    shown += '\n\n<img title="p > q" alt="Two curves." src=x.png>'
    build.notebooks(course("01_x", cells(shown)) / "sources" / "01_x.md")


def test_a_source_that_is_not_utf_8_is_one_sentence(course, capsys):
    root = course("01_x", cells("Prose."))
    (root / "sources" / "01_x.md").write_bytes("# Title\n\nThe café.\n".encode("latin-1"))
    assert build.main(["--check"], root) == 1
    assert capsys.readouterr().err == "01_x.md:3: this is not UTF-8; save the file as UTF-8.\n"


def test_a_source_with_the_line_ends_of_windows_is_the_same_source(course, made):
    root = course("01_game")
    (root / "sources" / "01_game.md").write_bytes(SOURCE.replace("\n", "\r\n").encode())
    assert build.notebooks(root / "sources" / "01_game.md") == made


def test_magics_are_valid(course):
    build.notebooks(
        course("01_x", cells(code("%timeit -n1 -r1 1 + 1\n!ls"))) / "sources" / "01_x.md"
    )


@pytest.mark.parametrize("arguments", [["07"], ["01", "07"], ["--check", "07"]])
def test_an_unknown_chapter_is_named(course, arguments, capsys):
    assert build.main(arguments, course("01_game")) == 1
    assert capsys.readouterr().err == "No source 07. There are: 01.\n"


def test_two_sources_with_one_number_are_named(course, capsys):
    course("01_game")
    assert build.main([], course("01_match")) == 1
    assert "01_game.md, 01_match.md" in capsys.readouterr().err


# Building


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A course that was built once: {path in the course: text}."""
    root = tmp_path_factory.mktemp("course")
    (root / "sources").mkdir()
    (root / "sources" / "01_game.md").write_text(SOURCE, encoding="utf-8")
    assert build.main([], root) == 0
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in root.rglob("*.*")
    }


@pytest.fixture
def copy(built, tmp_path):
    """A fresh copy of the built course, to spoil."""
    for name, text in built.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_build_makes_both_notebooks_and_nothing_else(built):
    assert sorted(built) == [
        "chapters/01_game.ipynb",
        "solutions/01_game.ipynb",
        "sources/01_game.md",
    ]
    chapter, solutions = (
        nbformat.reads(built[f"{folder}/01_game.ipynb"], 4) for folder in ("chapters", "solutions")
    )
    assert [cell.execution_count for cell in chapter.cells if cell.cell_type == "code"] == list(
        range(1, 8)
    )
    assert "○ Exercise 1.1 is open" in built["chapters/01_game.ipynb"]
    assert "✔ Exercise 1.2 solved." in built["solutions/01_game.ipynb"]
    assert (
        set(chapter.metadata)
        == set(solutions.metadata)
        == {"title", "kernelspec", "language_info", "ran"}
    )
    assert chapter.metadata.ran == build.ran(chapter)
    assert chapter.metadata.language_info.name == "python"
    assert not [cell for cell in chapter.cells if "execution" in cell.metadata]


def test_stored_outputs_hold_stills_and_no_widgets(built):
    chapter = nbformat.reads(built["chapters/01_game.ipynb"], 4)
    picture = next(cell for cell in chapter.cells if "FloatSlider" in cell.source)
    assert [output.output_type for output in picture.outputs] == [
        "display_data",
        "display_data",
        "stream",
    ]
    assert (
        "image/png" in picture.outputs[0].data
        and picture.outputs[1].data["image/png"].strip() == "c3RpbGw="
    )
    assert picture.outputs[2].text == "0\n1\n2\n"
    assert "widget-view" not in built[
        "chapters/01_game.ipynb"
    ] and "in the widget" not in json.dumps(picture.outputs)


def test_every_stored_picture_has_the_alternative_text_of_its_cell(built):
    chapter = nbformat.reads(built["chapters/01_game.ipynb"], 4)
    picture = next(cell for cell in chapter.cells if "FloatSlider" in cell.source)
    text = "Nothing that an eye could make out."
    assert picture.metadata.alt == text and ":alt:" not in picture.source
    assert [output.metadata["image/png"].alt for output in picture.outputs[:2]] == [text] * 2


def test_a_picture_without_an_alternative_text_is_an_error(course, capsys):
    draw = "from IPython.display import Image\nImage(b'not a real PNG', format='png')"
    root = course("01_x", cells(code(draw)))
    assert build.main([], root) == 1
    said = capsys.readouterr().err
    assert said.startswith("chapters/01_x.ipynb: cell 2 draws a picture without")
    assert draw in said and not (root / "chapters" / "01_x.ipynb").exists()


def test_an_alternative_text_without_a_picture_is_an_error(course, capsys):
    root = course("01_x", cells(code("print(1)", ":alt: A curve.\n\n")))
    assert build.main([], root) == 1
    said = capsys.readouterr().err
    assert said.startswith("chapters/01_x.ipynb: cell 2 has an alternative text and draws no pict")
    assert not (root / "chapters" / "01_x.ipynb").exists()


def test_a_second_build_changes_nothing(built, copy):
    assert build.main(["01"], copy) == 0
    for name, text in built.items():
        assert (copy / name).read_text(encoding="utf-8") == text


def test_prose_alone_is_built_without_running_anything(built, copy, capsys, monkeypatch):
    monkeypatch.delattr(build, "execute")
    (copy / "sources" / "01_game.md").write_text(
        SOURCE.replace("You will", "You shall"), encoding="utf-8"
    )
    assert build.main(["--prose", "01"], copy) == 0 and build.main(["--check"], copy) == 0
    text = (copy / "chapters" / "01_game.ipynb").read_text(encoding="utf-8")
    assert text == built["chapters/01_game.ipynb"].replace("You will", "You shall").replace(
        *(nbformat.reads(found, 4).cells[0].id for found in (built["chapters/01_game.ipynb"], text))
    )
    capsys.readouterr()
    (copy / "sources" / "01_game.md").write_text(
        SOURCE.replace("return secret", "return 1 * secret"), encoding="utf-8"
    )
    assert build.main(["--prose"], copy) == 1
    assert capsys.readouterr().err.startswith("solutions/01_game.ipynb: code has changed")


def spoil_hash(notebook):
    del notebook.metadata["ran"]


def spoil_code(notebook):
    """As who edits source and notebook by hand, and leaves the outputs."""
    cell = next(cell for cell in notebook.cells if cell.source == "print(2 + 2)")
    cell.source = "print(2 + 3)"


def spoil_picture(notebook):
    cell = next(cell for cell in notebook.cells if "FloatSlider" in cell.source)
    one, other = cell.outputs[:2]
    one.data, other.data = other.data, one.data


@pytest.mark.parametrize("spoil", [spoil_hash, spoil_code, spoil_picture])
def test_prose_refuses_outputs_of_another_run(copy, capsys, spoil):
    path, source = copy / "chapters" / "01_game.ipynb", copy / "sources" / "01_game.md"
    assert build.main(["--prose"], copy) == 0
    notebook = nbformat.read(path, 4)
    spoil(notebook)
    nbformat.write(notebook, path)
    before = path.read_bytes()
    if spoil is spoil_code:
        source.write_text(SOURCE.replace("print(2 + 2)", "print(2 + 3)"), encoding="utf-8")
    capsys.readouterr()
    assert build.main(["--prose"], copy) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "its outputs are not those that its code made" in said[0]
    assert path.read_bytes() == before


def test_check_sees_outputs_of_other_code(copy, capsys):
    path = copy / "chapters" / "01_game.ipynb"
    text = SOURCE.replace("print(2 + 2)", "print(2 + 3)")
    (copy / "sources" / "01_game.md").write_text(text, encoding="utf-8")
    unrun = build.notebooks(copy / "sources" / "01_game.md")["chapters"]
    unrun.metadata["ran"] = nbformat.read(path, 4).metadata["ran"]
    nbformat.write(unrun, path)
    assert build.main(["--check"], copy) == 1
    said = capsys.readouterr().err
    assert said.startswith("chapters/01_game.ipynb has outputs that its code did not make")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": 3}', "\xff"])
def test_prose_over_a_damaged_notebook_is_one_sentence(copy, capsys, text):
    (copy / "chapters" / "01_game.ipynb").write_bytes(text.encode("latin-1"))
    assert build.main(["--prose"], copy) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("chapters/01_game.ipynb is damaged (")
    assert (copy / "chapters" / "01_game.ipynb").read_bytes() == text.encode("latin-1")


def edit_cell(path):
    notebook = nbformat.read(path, 4)
    notebook.cells[-1].source += "  # a note"
    nbformat.write(notebook, path)


def edit_metadata(path):
    notebook = nbformat.read(path, 4)
    notebook.metadata.language_info["version"] = "3.11.7"  # as JupyterLab would in another .venv
    nbformat.write(notebook, path)


def edit_cell_metadata(path):
    notebook = nbformat.read(path, 4)
    notebook.cells[1].metadata["collapsed"] = True
    nbformat.write(notebook, path)


def drop_cell(path):
    notebook = nbformat.read(path, 4)
    del notebook.cells[-1]
    nbformat.write(notebook, path)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (edit_cell, "differs from its source at cell"),
        (edit_cell_metadata, "differs from its source at cell 2"),
        (edit_metadata, "differs from its source in the notebook's metadata"),
        (drop_cell, "differs from its source at cell"),
        (Path.unlink, "is missing"),
        (lambda path: path.write_text("{"), "is not a notebook"),
        (lambda path: path.write_text("[]"), "is not a notebook"),
        (lambda path: path.write_text("{}"), "is not a notebook"),
    ],
)
@pytest.mark.parametrize("folder", ["chapters", "solutions"])
def test_check_sees_a_notebook_that_is_not_its_source(copy, capsys, folder, spoil, message):
    assert build.main(["--check"], copy) == 0
    spoil(copy / folder / "01_game.ipynb")
    assert build.main(["--check"], copy) == 1
    stale = capsys.readouterr().err.splitlines()
    assert len(stale) == 2 and stale[0].startswith(f"{folder}/01_game.ipynb {message}")


def test_check_sees_a_changed_source(copy, capsys):
    (copy / "sources" / "01_game.md").write_text(
        SOURCE.replace("return secret", "return 1 * secret"), encoding="utf-8"
    )
    assert build.main(["--check"], copy) == 1
    assert capsys.readouterr().err.startswith(
        "solutions/01_game.ipynb differs"
    )  # the chapter never showed it
    (copy / "sources" / "01_game.md").write_text(
        SOURCE.replace("You will", "You shall"), encoding="utf-8"
    )
    assert build.main(["--check"], copy) == 1
    assert capsys.readouterr().err.startswith(
        "chapters/01_game.ipynb differs from its source at cell 1\nEdit"
    )


def test_check_is_blind_to_outputs(copy):
    path = copy / "chapters" / "01_game.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[-1].outputs, notebook.cells[-1].execution_count = [], 99
    nbformat.write(notebook, path)
    assert build.main(["--check"], copy) == 0


def test_check_sees_notebooks_without_a_source_but_lets_a_reader_copy_one(copy, capsys):
    (copy / "chapters" / "01_game-Copy1.ipynb").write_text("{}")
    (copy / "chapters" / "mine.ipynb").write_text("{}")
    assert build.main(["--check"], copy) == 0
    (copy / "solutions" / "02_gone.ipynb").write_text("{}")
    assert build.main(["--check"], copy) == 1
    assert capsys.readouterr().err.startswith(
        "solutions/02_gone.ipynb has no source in sources/: remove it\n"
    )


def test_solutions_go_when_the_exercises_go(copy):
    (copy / "sources" / "01_game.md").write_text(cells("Prose."), encoding="utf-8")
    assert build.main(["--check"], copy) == 1
    assert build.main([], copy) == 0
    assert not (copy / "solutions" / "01_game.ipynb").exists()
    assert build.main(["--check"], copy) == 0


def fails(root, capsys, *parts):
    """Build, and assert that it fails and says `parts`.

    It leaves the notebook before it alone, and no litter.
    """
    target = root / "chapters" / "01_x.ipynb"
    target.parent.mkdir()
    target.write_text("before")
    assert build.main([], root) == 1
    said = capsys.readouterr().err
    assert not [part for part in parts if part not in said], said
    assert target.read_text() == "before"
    assert [path.name for path in target.parent.iterdir()] == ["01_x.ipynb"]


def test_a_failing_cell_is_named_with_the_end_of_its_traceback(course, capsys):
    text = cells(code("a = 1") + "\n" + code("def f():\n    raise ValueError('too round')\n\nf()"))
    said = ["chapters/01_x.ipynb: cell 3 failed:", "raise ValueError", "ValueError: too round"]
    fails(course("01_x", text), capsys, *said)


def test_an_error_is_not_stored_even_if_it_is_expected(course, capsys):
    fails(
        course("01_x", cells(code("1 / 0", ":tags: [raises-exception]\n\n"))),
        capsys,
        "cell 2",
        "ZeroDivisionError",
    )


def test_a_cell_has_a_time_limit(course, capsys, monkeypatch):
    monkeypatch.setattr(build, "CELL_SECONDS", 1)
    fails(
        course("01_x", cells(code("import time; time.sleep(60)"))),
        capsys,
        "cell 2 failed",
        "timed out",
        "1 seconds",
    )


def test_a_notebook_has_a_time_limit(course, capsys, monkeypatch):
    monkeypatch.setattr(build, "NOTEBOOK_SECONDS", 5)
    text = cells("\n".join(code(f"import time; time.sleep(2)  # {k}") for k in range(9)))
    fails(course("01_x", text), capsys, "failed", "timed out")


def test_a_dead_kernel_is_an_error(course, capsys):
    fails(
        course("01_x", cells(code("import os; os._exit(1)"))),
        capsys,
        "cell 2 failed",
        "Kernel died",
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to another process")
def test_ctrl_c_is_one_line_and_leaves_the_notebook_alone(course):
    root = course("01_x", cells(code("open('running', 'w').close(); import time; time.sleep(60)")))
    (root / "chapters").mkdir()
    (root / "chapters" / "01_x.ipynb").write_text("before")
    shutil.copy(build.__file__, root / "sources")
    run = subprocess.Popen(
        [sys.executable, root / "sources" / "build.py"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (root / "chapters" / "running").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 130 and "Traceback" not in said and "Stopped." in said
    assert (root / "chapters" / "01_x.ipynb").read_text() == "before"


def test_a_heavy_notebook_is_an_error(course, capsys, monkeypatch):
    monkeypatch.setattr(build, "MAX_BYTES", 20_000)
    fails(
        course("01_x", cells(code("print('x' * 20_000)"))),
        capsys,
        "chapters/01_x.ipynb",
        "more than 20,000",
    )


def test_a_notebook_that_cannot_be_written_is_an_error(course, capsys):
    root = course("01_x", cells("Prose."))
    (root / "chapters" / "01_x.ipynb").mkdir(parents=True)
    assert build.main([], root) == 1
    assert "01_x.ipynb" in capsys.readouterr().err
    assert [path.name for path in (root / "chapters").iterdir()] == ["01_x.ipynb"]


# Notebooks as tests: nbval does see a stored output that is not what the cell prints


def test_nbval_compares_checked_cells(built, tmp_path):
    text = built["chapters/01_game.ipynb"].replace('"4\\n"', '"5\\n"')
    assert text != built["chapters/01_game.ipynb"]
    (tmp_path / "game.ipynb").write_text(text, encoding="utf-8")
    nbval = [
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout=60",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    command = [sys.executable, "-m", "pytest", *nbval, "--rootdir", str(tmp_path), "game.ipynb"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1, run.stdout
    assert "1 failed, 6 passed" in run.stdout
