"""What all checks promise: right answers pass, wrong ones are named, an open stub stays open.

Each chapter's answers, and what is peculiar to its exercises, are in test_chNN.py.
"""

import os

import pytest
import test_ch01
import test_ch02
import test_ch03
import test_ch04
import test_ch05
import test_ch06
import test_ch07
import test_ch08
import test_ch09
import test_ch10
import test_ch11
import test_ch12
import test_ch13
import test_ch14
import torch

from ganbook import checks
from ganbook.checks import Mistake

CHAPTERS = (
    test_ch01,
    test_ch02,
    test_ch03,
    test_ch04,
    test_ch05,
    test_ch06,
    test_ch07,
    test_ch08,
    test_ch09,
    test_ch10,
    test_ch11,
    test_ch12,
    test_ch13,
    test_ch14,
)
RIGHT = [(check, answer) for chapter in CHAPTERS for check, answer in chapter.RIGHT]
WRONG = [wrong for chapter in CHAPTERS for wrong in chapter.WRONG]
STUBS = {
    check: (lambda *inputs: ...) if callable(answer) else ... for check, answer in RIGHT
} | test_ch02.OPEN
every_exercise = pytest.mark.parametrize(
    ("check", "stub"), STUBS.items(), ids=[check.exercise for check in STUBS]
)
# Many checks draw their inputs, and no draw may be a lucky one. Who changes a check tries more:
# `DRAWS=11 python -m pytest tests/checks/test_checks.py`
SEEDS = [checks.SEED, *range(int(os.environ.get("DRAWS", "3")) - 1)]


@pytest.fixture
def every_warning():
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("every_warning")
@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_right_answers_pass_for_every_draw(check, answer, capsys, monkeypatch):
    for seed in SEEDS:
        monkeypatch.setattr(checks, "SEED", seed)
        check(answer)
    assert capsys.readouterr().out == f"✔ Exercise {check.exercise} solved.\n" * len(SEEDS)


@pytest.mark.parametrize(("check", "answer", "names"), WRONG)
def test_wrong_answers_are_named_for_every_draw(check, answer, names, monkeypatch):
    for seed in SEEDS:
        monkeypatch.setattr(checks, "SEED", seed)
        with pytest.raises(Mistake, match=names):
            check(answer)


def test_each_exercise_has_three_wrong_answers_or_more():
    for check in STUBS:
        assert sum(wrong[0] is check for wrong in WRONG) >= 3, check.exercise


@every_exercise
def test_an_open_stub_is_open_and_not_wrong(check, stub, capsys):
    check(stub)
    assert capsys.readouterr().out.startswith(f"○ Exercise {check.exercise} is open")


@every_exercise
def test_an_open_exercise_gets_no_points_from_nbgrader(check, stub, monkeypatch, capsys):
    check(...)
    assert capsys.readouterr().out.startswith(f"○ Exercise {check.exercise} is open")
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(Mistake, match=f"{check.exercise} is open"):
        check(...)
