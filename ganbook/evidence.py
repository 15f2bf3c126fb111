"""The tables that benchmarks wrote, and the test that says which differences in them count."""

import csv

import numpy as np
from scipy.stats import permutation_test, rankdata


def table(path) -> list[dict]:
    """The rows of a CSV file, each a dict of strings by column."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def measured(rows: list[dict], column: str, **which) -> np.ndarray:
    """The numbers of a column, (n,), in the rows whose other columns are as asked.

    which: a value for each column that counts; numbers equal their strings, 0.1 also "0.10".
    Raises ValueError if no row is so, if the table has no such column, or where a number is blank.
    """
    for name in (column, *which):
        if any(name not in row for row in rows):
            raise ValueError(f"the table has no column {name!r}: it has {', '.join(rows[0])}")
    chosen = [row for row in rows if all(same(row[name], v) for name, v in which.items())]
    if not chosen:
        raise ValueError(f"no row of the table has {which}")
    blank = [row for row in chosen if not row[column]]
    if blank:
        raise ValueError(f"{column!r} is blank in {len(blank)} of {len(chosen)} rows with {which}")
    return np.array([float(row[column]) for row in chosen])


def same(text: str, value) -> bool:
    """Whether a string of a table is a value: a number, or anything as it is written."""
    if isinstance(value, str):
        return text == value
    try:
        return float(text) == value
    except ValueError:
        return False


def differ(sides: dict) -> set:
    """Of questions, those whose two sides differ, with a chance of 5 % for any false alarm.

    sides: for each question two samples of numbers, such as one number a seed under two methods.
    The test is the exact permutation test of the mean rank, two-sided (without ties that of Mann &
    Whitney 1947); over the questions Holm's correction (1979) is made. With six against six, p is
    2/924 at least: enough for 23 questions. Chapter 9.
    """
    p = {question: exact(*pair) for question, pair in sides.items()}
    ordered = sorted(p, key=p.get)
    corrected = np.maximum.accumulate([p[each] * (len(p) - k) for k, each in enumerate(ordered)])
    return {each for each, value in zip(ordered, corrected, strict=True) if value <= 0.05}


def exact(a, b) -> float:
    ranks = rankdata(np.concatenate([a, b]))
    return permutation_test(
        (ranks[: len(a)], ranks[len(a) :]),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
