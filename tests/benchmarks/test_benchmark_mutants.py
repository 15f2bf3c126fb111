"""benchmarks/mutants.py: which mistakes it makes, which tests it runs, and what the table says."""

import ast
import functools

import common
import mutants
import pytest
from benchmark_tables import rows
from mutations import mutants_of, mutated

MISTAKES = [
    ("x + 1", "arithmetic: x - 1", "number: x + 2"),
    ("-x", "sign: x"),
    ("x <= n", "comparison: x < n"),
    ("x < 0.5", "comparison: x > 0.5", "number: x < 1.5"),
    ("x is not n", "comparison: x is n"),
    ("x and n", "and/or: x or n"),
    ("not x", "not: x"),
    ("a if x else n", "condition: a if not x else n"),
    ("True", "True/False: False"),
    ("x.detach()", "detach: x"),
    ("x.mean(dim=-1)", "renamed: x.sum(dim=-1)", "dim: x.mean(dim=0)"),
    ("f(x, n, a)", "arguments swapped: f(n, x, a)"),
    ("x.train()", "renamed: x.eval()"),
    ("lambda n=3: n", "default: n=4"),
]


@pytest.mark.parametrize(("code", "expected"), [(code, set(rest)) for code, *rest in MISTAKES])
def test_each_kind_of_mistake_is_made(code, expected):
    source = f"y = {code}\n"
    found = {f"{m.kind}: {m.after.removeprefix('y = ')}" for m in mutants_of("a.py", source)}
    assert found == expected


def test_statements_are_removed_and_turned():
    source = "def f(x, n):\n    check(x)\n    if n:\n        return g(x)\n"
    found = {m.kind: mutated(source, m.number) for m in mutants_of("a.py", source)}
    assert found.keys() == {"call removed", "condition", "return"}
    assert "pass" in found["call removed"] and "check" not in found["call removed"]
    assert "if not n:" in found["condition"]
    assert "return x" in found["return"] and "g(x)" not in found["return"]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring: 1 + 1."""\n__all__ = ["a", "b"]\n',
        "def f(x: Literal[1], *, y: int | None) -> Literal[2]:\n    pass\n",
        'raise ValueError(f"{x + 1}: it must be below {n - 1}")\n',
        "axes.plot(x, y, linewidth=2)\n",
        "y = show(x, color=3, style={1: 2})\n",
        "def _draw_curves(x):\n    x.curve(1)\n",
    ],
)
def test_text_hints_messages_and_drawing_are_left_alone(source):
    assert mutants_of("a.py", source) == []


def test_every_mistake_in_a_file_is_one_change_and_still_python():
    source = (common.FOLDER.parent / "ganbook/losses.py").read_text()
    found = mutants_of("ganbook/losses.py", source)
    texts = {mutated(source, mutant.number) for mutant in found}
    assert len(texts) == len(found) > 20 and ast.unparse(ast.parse(source)) not in texts
    for text in texts:
        ast.parse(text)


def test_the_choice_is_fixed_and_every_file_has_its_share(monkeypatch):
    monkeypatch.setattr(mutants, "mutants_of", functools.cache(mutants_of))
    package = common.FOLDER.parent / "ganbook"
    found = mutants.chosen(200, ["*"])
    assert len(found) == len(set(found)) == 200
    texts = {f"ganbook/{p.relative_to(package)}": p.read_text() for p in package.rglob("*.py")}
    assert {mutant.file for mutant in found} == {
        file for file, text in texts.items() if mutants.mutants_of(file, text)
    }
    some = mutants.chosen(9, ["ganbook/l*.py"])
    assert {m.file for m in some} == {"ganbook/losses.py"} and len(some) == 9
    assert some == mutants.chosen(9, ["ganbook/losses.py"])


def test_tests_of_the_same_name_come_first_then_those_that_run_the_line_by_their_time():
    mutant = mutants_of("ganbook/gan.py", "def f(x):\n    a = 1\n    return 3\n")[0]
    tests = {
        "tests/test_slow.py": {"lines": {"ganbook/gan.py": [2]}, "seconds": 9},
        "tests/test_quick.py": {"lines": {"ganbook/gan.py": [2, 3]}, "seconds": 1},
        "tests/test_other_line.py": {"lines": {"ganbook/gan.py": [3]}, "seconds": 1},
        "tests/test_other_file.py": {"lines": {"ganbook/game.py": [2]}, "seconds": 1},
        "tests/test_gan_labels.py": {"lines": {}, "seconds": 5},
        "tests/test_organ.py": {"lines": {}, "seconds": 1},
    }
    own, others = mutants.in_order(mutant, tests)
    assert own == ["tests/test_gan_labels.py"]
    assert others == ["tests/test_quick.py", "tests/test_slow.py"]


def test_mistakes_are_caught_where_a_test_looks_and_survive_elsewhere(tmp_path, monkeypatch):
    package, tests = tmp_path / "book/ganbook", tmp_path / "book/tests"
    package.mkdir(parents=True), tests.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sums.py").write_text(
        "def twice(x):\n    return x + x\n\n\ndef thrice(x):\n    return x * 3\n"
    )
    (tests / "test_all.py").write_text(
        "from ganbook import sums\n\n\n"
        "def test_twice():\n    assert sums.twice(2) == 4 and sums.thrice(2)\n\n\n"
        "def test_that_fails_anyway():\n    assert False\n"
    )
    monkeypatch.setattr(mutants, "ROOT", tmp_path / "book")
    monkeypatch.setattr(mutants.tempfile, "tempdir", str(tmp_path))
    table = [
        {key: str(value) for key, value in mutant._asdict().items()}
        for mutant in mutants.chosen(5, ["*"])
    ]
    mutants.try_all(table, 2, lambda: None)
    found = {row["after"]: row["caught_by"] for row in table}
    assert found == {
        "x - x": "tests/test_all.py::test_twice",
        "return x": found["return x"],  # of either function
        "x / 3": "survived",
        "x * 4": "survived",
    }
    source = (package / "sums.py").read_text()
    (package / "sums.py").write_text(source.replace("x * 3", "3 * x"))
    with pytest.raises(SystemExit, match="the package has changed .* give --again"):
        mutants.try_all(table, 1, lambda: None)


def test_95_of_100_mistakes_are_caught_and_equivalent_ones_say_why():
    table = rows("mutants")
    equivalent = [row for row in table if row["caught_by"].startswith("equivalent")]
    assert all(len(row["caught_by"]) > len("equivalent: because") for row in equivalent)
    survived = [row for row in table if row["caught_by"] == "survived"]
    assert all(row["caught_by"] for row in table)
    assert len(survived) <= 0.05 * (len(table) - len(equivalent))
