"""Tables of benchmarks, and which differences in them count."""

import itertools

import numpy as np
import pytest

from ganbook import evidence

TEXT = "way,weight,fid\na,0.10,3\na,0.3,4\nb,0.1,\n"


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "table.csv").write_text(TEXT)
    return evidence.table(tmp_path / "table.csv")


def test_a_column_of_the_rows_that_are_asked_for(rows):
    assert evidence.measured(rows, "fid", way="a").tolist() == [3, 4]
    assert evidence.measured(rows, "fid", way="a", weight=0.1).tolist() == [3]
    assert evidence.measured(rows, "weight").tolist() == [0.1, 0.3, 0.1]


def test_what_a_table_does_not_have_is_said(rows):
    with pytest.raises(ValueError, match="no column 'recall': it has way, weight, fid"):
        evidence.measured(rows, "recall")
    with pytest.raises(ValueError, match="no column 'seed'"):
        evidence.measured(rows, "fid", seed=0)
    with pytest.raises(ValueError, match="no row of the table has {'way': 'c'}"):
        evidence.measured(rows, "fid", way="c")
    with pytest.raises(ValueError, match="no row of the table has {'way': 1}"):
        evidence.measured(rows, "fid", way=1)
    with pytest.raises(ValueError, match="'fid' is '' in a row with {'way': 'b'}"):
        evidence.measured(rows, "fid", way="b")


@pytest.mark.parametrize("value", ["nan", "inf", "twelve"])
def test_what_is_no_finite_number_is_refused(value, tmp_path):
    (tmp_path / "table.csv").write_text(f"seed,fid\n0,3\n1,{value}\n")
    with pytest.raises(ValueError, match=f"'fid' is '{value}' in a row"):
        evidence.measured(evidence.table(tmp_path / "table.csv"), "fid")


def test_a_table_that_was_cut_off_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("seed,fid\n0,3\n1")
    with pytest.raises(ValueError, match="too few values"):
        evidence.measured(evidence.table(tmp_path / "table.csv"), "fid")


def by_counting(a, b) -> float:
    """The exact two-sided p-value: of all ways to share the numbers out, as far from even."""
    everything = np.concatenate([a, b])
    ranks = (everything[:, None] > everything).sum(1) + (everything[:, None] >= everything).sum(1)
    sums = np.array([sum(part) for part in itertools.combinations(ranks, len(a))])
    far = abs(sums - sums.mean())
    return (far >= abs(ranks[: len(a)].sum() - sums.mean()) - 1e-9).mean()


def by_holm(p: dict) -> set:
    """Holm's paper: from the smallest up, as long as each is at most 5 % over what is left."""
    found = set()
    for k, question in enumerate(sorted(p, key=p.get)):
        if p[question] > 0.05 / (len(p) - k):
            break
        found.add(question)
    return found


def test_the_questions_that_differ_are_those_of_the_definitions():
    draw = np.random.default_rng(0)
    seen = set()
    for _ in range(15):
        shifts = draw.choice([0.0, 1.0, 2.0, 4.0], size=4)
        sides = {k: (draw.normal(size=6), draw.normal(s, size=6)) for k, s in enumerate(shifts)}
        sides[4] = draw.integers(0, 4, size=6), draw.integers(2, 6, size=6)  # with ties
        expected = by_holm({k: by_counting(*pair) for k, pair in sides.items()})
        assert evidence.differ(sides) == expected
        seen.add(len(expected))
    assert len(seen) > 2  # the draws are not all alike


def test_six_against_six_are_enough_for_23_questions_and_not_for_24():
    apart = np.arange(6.0), np.arange(6.0) + 10
    assert len(evidence.differ(dict.fromkeys(range(23), apart))) == 23
    assert evidence.differ(dict.fromkeys(range(24), apart)) == set()


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (([1, 2, np.nan], [1, 2, 3]), "two finite numbers or more"),
        (([1], [2]), "two finite numbers or more"),
        ((np.arange(12.0), np.arange(12.0)), "too many numbers"),
    ],
)
def test_a_question_that_has_no_answer_is_refused(pair, said):
    with pytest.raises(ValueError, match=f"'FD' .*{said}"):
        evidence.differ({"FD": pair})
