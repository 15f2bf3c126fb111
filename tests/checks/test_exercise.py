"""The frame of ganbook.checks: what is solved, wrong or open, and what a notebook shows."""

import io
import itertools
import math
import os
import pathlib
import random
import subprocess
import sys
import textwrap
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from seeds import seed_all
from torch import nn

from ganbook import checks
from ganbook.checks import (
    Mistake,
    Open,
    count,
    exercise,
    guarded,
    near,
    number,
    parts,
    recognise,
    recognise_number,
    require,
    same,
    take,
    tensor,
)


@exercise("7.3")
def doubling(answer):
    """A check of a function."""
    for x in (1.0, -2.5):
        require(answer(x) == 2 * x, f"of {x} it makes {answer(x)}")


@exercise("7.4", value=True)
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
    "fails",
    [
        False,
        np.bool_(False),
        np.array([True, False]),
        torch.tensor([True, False]),
        [torch.tensor(True), torch.tensor([True, False])],
    ],
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


# ---- What stands where, and what it does


@pytest.mark.parametrize(
    ("answer", "it_is"),
    [(0.5, "a float"), (3, "an int"), ("half", "a str"), ((1, 2), "a tuple"), ([1], "a list")]
    + [({"a": 1}, "a dict"), (torch.ones(9, 9), "a Tensor"), (np.ones(3), "a ndarray")],
)
def test_a_function_is_asked_for_and_not_a_value(answer, it_is):
    with pytest.raises(Mistake, match=f"^Exercise 7.3: a function should stand here, not {it_is}"):
        doubling(answer)


@pytest.mark.parametrize("answer", [lambda: 42, len, int, nn.Linear(1, 1), drawn])
def test_a_value_is_asked_for_and_not_a_function(answer):
    with pytest.raises(Mistake, match=r"^Exercise 7.4: a value should stand here, not .*: call it"):
        the_number(answer)


def test_an_object_is_asked_for_and_not_its_class():
    class Doubling:
        def __call__(self, x):
            return 2 * x

    doubling(Doubling())
    with pytest.raises(Mistake, match="TypeError: .*Doubling is a class: hand over an object"):
        doubling(Doubling)


class FromNobody(BaseException):
    """Neither an Exception nor an interrupt."""


def deep(x):
    return deep(x + 1)


def unspeakable(x):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    raise Mute


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: sys.exit(), "your code raised SystemExit: don't call exit"),
        (deep, "your code raised RecursionError"),
        (unspeakable, "your code raised Mute"),
        (lambda x: torch.ones(2, 3) @ torch.ones(2, 3), "your code raised RuntimeError: mat1"),
        (lambda x: (_ for _ in ()).throw(FromNobody("x")), "your code raised FromNobody: x"),
        (lambda x: (1 / 0 for _ in "x"), "your code raised ZeroDivisionError"),
        (lambda x: {}[x * "a" * 1000], "your code raised TypeError"),
    ],
)
def test_whatever_the_code_raises_is_a_mistake(answer, said):
    with pytest.raises(Mistake, match=f"^Exercise 7.3: {said}"):
        doubling(answer)


def test_what_a_check_stumbles_over_is_a_mistake_too():
    @exercise("7.5")
    def careless(answer):
        require(answer(1.0).shape == (3,), "wrong")

    with pytest.raises(Mistake, match=r"^Exercise 7.5: what came back can't be judged \(Attribute"):
        careless(lambda x: 3)


def test_a_long_error_is_cut_off():
    def shouts(x):
        raise ValueError("a" * 10_000)

    with pytest.raises(Mistake) as caught:
        doubling(shouts)
    assert 400 < len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x + ...,
        lambda x: (x, ...),
        lambda x: {"a": [x, ...]},
        lambda x: torch.tensor(...),
        lambda x: torch.nn.functional.softplus(...),
        lambda x: np.exp(...),
        lambda x: float(...),
        lambda x: (...).mean(),
        lambda x: (... for _ in range(3)),
        lambda x: np.array([1, ...]),
        lambda x: torch.stack([torch.ones(1), ...]),
    ],
)
def test_dots_are_open_wherever_they_stand(body, capsys):
    doubling(body)
    assert capsys.readouterr().out.startswith("○ Exercise 7.3 is open")


@pytest.mark.parametrize("value", [(1, ...), [..., ...], {"a": 1, "b": ...}, {"b": None}, {..., 1}])
def test_dots_are_open_within_a_value(value, capsys):
    the_number(value)
    out = capsys.readouterr().out
    named = " of b" if isinstance(value, dict) and "b" in value else ""
    assert out.startswith(f"○ Exercise 7.4 is open: replace the dots{named}")


def test_settings_are_what_they_were_and_the_check_goes_on():
    def careless(x):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.autograd.set_detect_anomaly(True)
        torch.set_default_device("meta")
        np.seterr(all="raise")
        return 2 * x

    seen = []

    @exercise("7.6")
    def settings(answer):
        answer(1.0)
        seen.append((torch.is_grad_enabled(), torch.ones(1).dtype, torch.ones(1).device.type))
        answer(1.0)

    before = np.geterr()
    with pytest.raises(Mistake, match="gradients are left switched off"):
        settings(careless)
    # a cell before has left it so: checks have torch's usual settings
    with torch.no_grad():
        with pytest.raises(Mistake, match="gradients are left switched off"):
            settings(careless)
        assert not torch.is_grad_enabled()
    assert seen == 2 * [(True, torch.float32, "cpu")]
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
    assert torch.ones(1).device.type == "cpu" and np.geterr() == before
    assert not torch.is_anomaly_enabled()


def test_a_generator_without_end_is_a_mistake_and_one_with_an_end_a_list(capsys):
    @exercise("7.7")
    def three(answer):
        require(answer() == [0, 1, 2], "not 0, 1, 2")

    @exercise("7.8", value=True)
    def pair(answer):
        require(answer[1] == [0, 1], "not 0, 1")

    three(lambda: (i for i in range(3)))
    three(lambda: map(int, "012"))
    pair((5, iter([0, 1])))
    with pytest.raises(Mistake, match="more than 10,000 values, perhaps without end"):
        three(itertools.count)
    with pytest.raises(Mistake, match="more than 10,000 values"):
        pair((1, itertools.repeat(3)))
    with pytest.raises(Mistake, match="`async`"):
        three(asynchronous)
    assert "Exercise 7.8 solved" in capsys.readouterr().out


async def asynchronous():
    return [0, 1, 2]


def test_an_answer_may_expect_either_precision(capsys):
    @exercise("7.9")
    def product(answer):
        leaf = torch.ones(2, 2).requires_grad_()
        found = answer(leaf)
        require(found.double() == 2, "not 2")
        found.sum().backward()
        require(leaf.grad == 2, "the gradient")

    product(lambda x: x @ torch.ones(2, 2))
    product(lambda x: x @ torch.ones(2, 2, dtype=torch.float64))
    assert capsys.readouterr().out.count("solved") == 2
    with pytest.raises(Mistake, match="your code raised RuntimeError: .*float != int"):
        product(lambda x: x @ torch.ones(2, 2, dtype=torch.int32))


def test_a_part_that_is_no_function_is_named_by_its_name():
    with pytest.raises(Mistake, match="g_loss: a function should stand here, not a float"):
        guarded(0.5, "g_loss")
    with pytest.raises(Open):
        guarded(...)


# ---- What comes back


class Half:
    def __float__(self):
        return 0.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "value",
    [
        0.5, Fraction(1, 2), Decimal("0.5"), np.float32(0.5), np.float64(0.5), np.array(0.5),
        np.array([[0.5]]), np.array([Fraction(1, 2)]), torch.tensor(0.5), torch.tensor([0.5]),
        torch.tensor(0.5, requires_grad=True), nn.Parameter(torch.tensor([0.5])),
        torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(0.5, dtype=torch.float64),
        torch.tensor([[0.5]]).to_sparse(), (0.5,), [0.5], [torch.tensor(0.5)], Half(),
    ],
)  # fmt: skip
def test_number_takes_every_kind_of_number(value):
    assert number(value) == 0.5
    assert tensor(value, ()).item() == 0.5 and tensor(value, ()).dtype == torch.float64


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "what_it_is"),
    [
        (None, "NoneType"), (True, "bool"), (np.True_, "bool"), (torch.tensor(True), "bool"),
        ("0.5", "str"), (b"1", "bytes"), (1j, "complex"), (np.complex64(1), "complex"),
        (torch.tensor(1j), "complex"), ((0.5, 1.0), "tuple of 2"), ([], "list of 0"),
        ({0.5}, "set of 1"), ({"a": 0.5}, "dict of 1"), (torch.ones(2), r"Tensor of shape \(2,\)"),
        (torch.ones(0), "Tensor of shape"), (np.ones((3, 2)), r"ndarray of shape \(3, 2\)"),
        (np.array("a"), "ndarray"), (torch.ones(1, device="meta"), "Tensor"), (len, "builtin"),
        (float, "the class float"), (nn.Linear(2, 2), "Linear"), (object(), "object"),
        (torch.ones(3).to_sparse(), "Tensor"), (slice(3), "slice"), (iter("ab"), "iterator"),
    ],
)  # fmt: skip
def test_number_names_what_is_no_number(value, what_it_is):
    with pytest.raises(Mistake, match=f"^r: one number should come back, not .*{what_it_is}") as e:
        number(value, "r")
    assert len(str(e.value)) < 120


def test_number_names_what_is_not_finite():
    for value in (math.nan, math.inf, torch.tensor(math.nan), 10**400, np.array([-math.inf])):
        with pytest.raises(Mistake, match="the number is (nan|inf|-inf): a finite one"):
            number(value)
    assert number(-math.inf, infinite=True) == -math.inf and number(10**400, infinite=True) > 1e9
    with pytest.raises(Mistake, match="nan"):
        number(math.nan, infinite=True)
    with pytest.raises(Open):
        number([...])


def test_count_takes_whole_numbers_of_any_kind():
    for value in (4, 4.0, np.int64(4), np.float32(4), torch.tensor(4), torch.tensor([4.0])):
        assert count(value) == 4 and isinstance(count(value), int)
    for value, message in ((4.5, "n: a whole number .* not 4.5"), ("4", "str"), (True, "bool")):
        with pytest.raises(Mistake, match=message):
            count(value, "n")


ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


class Iterable:
    def __iter__(self):
        return iter(ROWS)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "value",
    [
        ROWS, tuple(map(tuple, ROWS)), np.array(ROWS), np.array(ROWS, dtype=np.float32),
        np.array(ROWS)[::-1][::-1], np.asfortranarray(np.array(ROWS)), np.array(ROWS, dtype=object),
        np.array(ROWS, dtype=np.uint16), torch.tensor(ROWS), torch.tensor(ROWS, requires_grad=True),
        torch.tensor(ROWS).double(), torch.tensor(ROWS).half(), torch.tensor(ROWS).long(),
        torch.tensor(ROWS).to_sparse(), [torch.tensor(row, requires_grad=True) for row in ROWS],
        [np.array(row) for row in ROWS], [[torch.tensor(x) for x in row] for row in ROWS],
        [[Fraction(x) for x in row] for row in ROWS], (row for row in ROWS), Iterable(),
        [range(1, 4), range(4, 7)], nn.Parameter(torch.tensor(ROWS)),
        {1: ROWS[0], 2: ROWS[1]}.values(),
    ],
)  # fmt: skip
def test_tensor_takes_everything_that_holds_numbers(value):
    found = tensor(value, (2, 3))
    assert found.dtype == torch.float64 and found.tolist() == ROWS and not found.requires_grad


def test_tensor_gives_a_copy():
    for own in (torch.ones(3).double(), np.ones(3)):
        tensor(own, (3,)).zero_()
        assert own.sum() == 3
    with torch.inference_mode():
        ours = torch.ones(3).double()
    tensor(ours, (3,)).requires_grad_()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "not NoneType"), ("ab", "not str"), ({1.0, 2.0}, "not set of 2"),
        ({"a": 1}, "not dict"), ([[1, 2], [3]], "rows have different lengths"),
        (["1", "2"], "not list of 2"), ([1.0, None], "not list of 2"),
        (np.array(["a", "b"]), "not ndarray"), ([1j, 2], "not list"),
        (torch.ones(2, dtype=torch.complex64), "complex64 .*numbers are complex"),
        (np.ones(2) * 1j, "complex"), (np.ones((2, 1)), r"it is \(2, 1\)"),
        (torch.ones(9999), r"the shape should be \(2,\); it is \(9999,\)"),
        (0.5, r"it is \(\)"), (itertools.count(), r"it is \(10001,\)"),
        (torch.ones(2, device="meta"), "not Tensor of shape"),
        (nn.Linear(2, 2), "not Linear"), (len, "not builtin"),
        (object, "not the class object"), ([torch.ones(1), torch.ones(2)], "different lengths"),
    ],
)  # fmt: skip
def test_tensor_names_what_is_none(value, message):
    with pytest.raises(Mistake, match=f"^p: .*{message}") as caught:
        tensor(value, (2,), "p")
    assert len(str(caught.value)) < 160
    with pytest.raises(Open):
        tensor([1.0, [...]][1], (1,))


def test_parts_takes_what_has_so_many():
    for value in ((1, 2), [1, 2], torch.tensor([1, 2]), np.array([1, 2]), iter((1, 2))):
        assert [int(part) for part in parts(value, 2)] == [1, 2]
    for value in (None, 3, "ab", {1, 2}, {1: 2, 3: 4}, (1,), (1, 2, 3), torch.tensor(1.0)) + (
        torch.ones(3), itertools.count(), np.array(1), range, object(),
    ):  # fmt: skip
        with pytest.raises(Mistake, match="^two things, please; "):
            parts(value, 2, "two things, please.")


def test_take_has_an_end():
    assert take(itertools.count(), 3) == [0, 1, 2] and take([1], 3) == [1]
    with pytest.raises(Mistake, match="your code raised ZeroDivisionError"):
        take((1 / x for x in (1, 0)), 3)


def test_a_right_answer_in_float32_is_right():
    truth = torch.rand(1000, dtype=torch.float64).log()
    same(truth.float().double(), truth, "wrong")
    same(tensor((truth.float() * 3) / 3, (1000,)), truth, "wrong")
    with pytest.raises(Mistake, match="^wrong$"):
        same(truth + 1e-3, truth, "wrong")


def test_what_is_not_finite_is_named():
    for bad, said in ((torch.tensor(math.nan), "nan"), (torch.tensor([1.0, math.inf]), "1 of 2")):
        with pytest.raises(Mistake, match=rf"^the result is not finite \(.*{said}.*\): wrong$"):
            same(bad.double(), torch.ones(bad.shape), "wrong")
    assert not near(math.nan, math.nan) and near(math.inf, math.inf)
    assert near([1.0, 1.0], 1.0) and not near(torch.ones(3), torch.ones(2))


def test_a_right_answer_is_never_recognised_as_a_mistake():
    value = torch.ones(3).double()
    recognise(value, (value, "the same by chance"), truth=value)
    recognise_number(1.0, (1.0, "the same by chance"), truth=1.0)
    recognise(torch.ones(2), (torch.ones(3), "another shape"))
    recognise_number(1.0, (math.inf, "infinite"), (math.nan, "none"))
    recognise(torch.ones(2), (torch.tensor([math.inf, math.nan]), "infinite"))
    with pytest.raises(Mistake, match="found"):
        recognise(value + 3e-5, (value, "found"), truth=2 * value)
    for found, names in ((1.00001, "near"), (3.0, "far")):
        with pytest.raises(Mistake, match=names):
            recognise_number(found, (1.0, "near"), (3.0, "far"), truth=2.0)
