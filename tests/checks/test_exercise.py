"""The frame of ganbook.checks: what is solved, wrong or open, and what a notebook shows."""

import io
import os
import pathlib
import random
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from seeds import seed_all
from torch import nn

from ganbook import checks
from ganbook.checks import Mistake, exercise, require


@exercise("7.3")
def doubling(answer):
    """A check of a function."""
    for x in (1.0, -2.5):
        require(answer(x) == 2 * x, f"of {x} it makes {answer(x)}")


@exercise("7.4")
def the_number(answer):
    """A check of a value."""
    require(answer == 42, "it is not 42")


def test_a_right_answer_is_solved(capsys):
    doubling(lambda x: 2 * x)
    the_number(42)
    assert capsys.readouterr().out == "✔ Exercise 7.3 solved.\n✔ Exercise 7.4 solved.\n"


def test_a_wrong_answer_is_a_mistake_with_its_message(capsys):
    with pytest.raises(Mistake, match=r"^Exercise 7.3: of 1.0 it makes 3.0$"):
        doubling(lambda x: x + 2)
    with pytest.raises(Mistake, match=r"^Exercise 7.3: of -2.5 it makes 5.0$"):
        doubling(lambda x: 2 * abs(x))
    with pytest.raises(Mistake, match=r"^Exercise 7.4: it is not 42$"):
        the_number(41)
    assert capsys.readouterr().out == ""


def test_dots_and_nothing_are_open(capsys):
    def dots(x):
        return ...

    def nothing(x):
        x * 2

    for check, answer in [(doubling, a) for a in (..., None, dots, nothing)] + [
        (the_number, a) for a in (..., None)
    ]:
        check(answer)
        out = capsys.readouterr().out
        assert out.startswith(f"○ Exercise {check.exercise} is open") and "solved" not in out


def test_a_function_that_forgets_to_return_in_one_case_is_not_solved(capsys):
    def half_done(x):
        if x > 0:
            return 2 * x

    doubling(half_done)
    assert "solved" not in capsys.readouterr().out


def test_answers_that_are_empty_or_zero_are_answers(capsys):
    @exercise("7.5")
    def zero(answer):
        require(answer(1) == 0, "it is not 0")

    zero(lambda x: 0)
    with pytest.raises(Mistake):
        the_number(0)
    assert "solved" in capsys.readouterr().out


def test_an_error_in_the_learners_code_is_named(capsys):
    with pytest.raises(
        Mistake, match=r"^Exercise 7.3: your code raised ZeroDivisionError: float division"
    ) as caught:
        doubling(lambda x: x / 0.0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError), (
        "its own traceback can still be asked for"
    )

    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        doubling(interrupted)
    assert capsys.readouterr().out == ""


def test_a_network_or_a_class_can_be_an_answer(capsys):
    @exercise("7.6")
    def network(answer):
        require(answer(torch.zeros(2, 3)).shape == (2, 1), "the shape")

    network(nn.Linear(3, 1))
    with pytest.raises(Mistake, match="the shape"):
        network(nn.Linear(3, 2))
    with pytest.raises(Mistake, match="your code raised TypeError"):
        network(nn.Linear)
    assert capsys.readouterr().out == "✔ Exercise 7.6 solved.\n"


def drawn():
    return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002


def test_a_check_and_an_answer_draw_the_same_in_every_run_and_the_notebook_goes_on(capsys):
    seen = []

    @exercise("7.7")
    def drawing(answer):
        seen.append((drawn(), answer()))
        require(len(seen) < 3, "the third")

    seed_all(5)
    undisturbed = drawn(), drawn()
    seed_all(5)
    assert drawn() == undisturbed[0]
    drawing(drawn), drawing(drawn)
    with pytest.raises(Mistake):
        drawing(drawn)
    assert drawn() == undisturbed[1]
    assert seen[0] == seen[1] == seen[2] and seen[0][0] != seen[0][1]


def test_a_check_keeps_its_name_and_its_help():
    assert doubling.__name__ == "doubling" and doubling.__doc__ == "A check of a function."
    assert doubling.exercise == "7.3"


@pytest.mark.parametrize(
    "fails", [False, np.bool_(False), np.array([True, False]), torch.tensor([True, False])]
)
def test_require_wants_all_of_it(fails):
    require(True, "")
    require(torch.tensor([True, True]), "")
    with pytest.raises(Mistake, match="too small"):
        require(fails, "too small")


def test_checks_speak_ascii_where_the_output_does(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    doubling(lambda x: 2 * x)
    doubling(...)
    output.flush()
    solved, still_open = output.buffer.getvalue().decode("ascii").splitlines()
    assert solved == "OK Exercise 7.3 solved." and still_open.startswith("o Exercise 7.3 is open")
    assert Mistake("θ is wrong")._render_traceback_() == ["x ? is wrong"]


def test_a_notebook_shows_the_message_of_a_mistake_and_nothing_else(tmp_path):
    """In IPython's own shell, and beside it an error of another kind, which keeps its traceback."""
    code = """
        from IPython.core.interactiveshell import InteractiveShell
        from ganbook.checks import exercise, require

        @exercise("7.3")
        def check(answer):
            require(answer(1) == 2, "of 1 it makes 3")

        shell = InteractiveShell.instance(colors="nocolor", user_ns={"check": check})
        for cell in ("check(lambda x: 3)", "check(lambda x: x / 0)", "1 / 0"):
            print("CELL")
            shell.run_cell(cell)
    """
    package = str(pathlib.Path(checks.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": package, "IPYTHONDIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    wrong, broken, other = (part.strip() for part in done.stdout.split("CELL\n")[1:])
    assert wrong == "✘ Exercise 7.3: of 1 it makes 3"
    assert broken == "✘ Exercise 7.3: your code raised ZeroDivisionError: division by zero"
    assert "Traceback" in other and "1 / 0" in other
