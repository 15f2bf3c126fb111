"""The tables that benchmarks wrote, and the test that says which differences in them count."""

import csv
import math

import numpy as np
from scipy.stats import permutation_test, rankdata


def table(path) -> list[dict]:
    """The rows of a CSV file, each a dict of strings by column."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def measured(rows: list[dict], column: str, **which) -> np.ndarray:
    """The numbers of a column, (n,), in the rows whose other columns are as asked.

    which: a value for each column that counts, a number or a string; the number 0.1 is also "0.10".
    Raises ValueError if no row is so, if the table has no such column or ends within a row, or
    where a value is not a finite number.
    """
    for name in (column, *which):
        if any(name not in row for row in rows):
            raise ValueError(f"the table has no column {name!r}: it has {', '.join(rows[0])}")
    if any(None in row.values() for row in rows):
        raise ValueError(
            "the table has a row with too few values: it was cut off, measure it again"
        )
    chosen = [row for row in rows if all(same(row[name], v) for name, v in which.items())]
    if not chosen:
        raise ValueError(f"no row of the table has {which}")
    for text in (row[column] for row in chosen):
        if not math.isfinite(number(text)):
            raise ValueError(f"{column!r} is {text!r} in a row with {which}, and no finite number")
    return np.array([number(row[column]) for row in chosen])


def number(text: str) -> float:
    """The number that a string of a table is, or nan."""
    try:
        return float(text)
    except ValueError:
        return np.nan


def same(text: str, value) -> bool:
    """Whether a string of a table is a value: a number, or anything as it is written."""
    return text == value if isinstance(value, str) else number(text) == value


def differ(sides: dict) -> set:
    """Of questions, those whose two sides differ, with a chance of 5 % for any false alarm.

    sides: for each question two samples of numbers, such as one number a seed under two methods.
    The test is the exact permutation test of the mean rank, two-sided (without ties that of Mann &
    Whitney 1947); over the questions Holm's correction (1979) is made. With six against six, p is
    2/924 at least: enough for 23 questions. Chapter 9. Raises ValueError for numbers that are not
    finite, fewer than two a side, or too many to try all ways to share them out.
    """
    for question, pair in sides.items():
        if not all(np.isfinite(side).all() and len(side) > 1 for side in pair):
            raise ValueError(f"{question!r} needs two samples, each of two finite numbers or more")
        if math.comb(len(pair[0]) + len(pair[1]), len(pair[0])) > 1_000_000:
            raise ValueError(f"{question!r} has too many numbers for the exact test: 11 a side do")
    p = {question: exact(*pair) for question, pair in sides.items()}
    ordered = sorted(p, key=p.get)
    corrected = np.maximum.accumulate([p[each] * (len(p) - k) for k, each in enumerate(ordered)])
    return {each for each, value in zip(ordered, corrected, strict=True) if value <= 0.05}


def exact(a, b) -> float:
    """The two-sided p-value of the exact permutation test of the mean rank."""
    ranks = rankdata(np.concatenate([a, b]))
    return permutation_test(
        (ranks[: len(a)], ranks[len(a) :]),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
