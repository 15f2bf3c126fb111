"""The cost of the course's parts: the table, and that each part is measured."""

import pytest
import speed
from benchmark_tables import rows

AT_MOST = {
    "a batch of 64 digits": 4,
    "a batch of 256 points": 4,
    "digits from the cache": 0.1,
    "a step of dense layers": 0.5,  # as chapter 4 says
    "a step in bfloat16": 1.1,  # on the table's processor
    "the explorer of faults": 6,
    "fid": 1,
    "kid": 1,
    "precision_recall": 30,
    "density_coverage": 30,
}


def test_each_part_costs_what_it_may():
    table = rows("speed")
    assert [(row["part"], row["yardstick"]) for row in table] == list(speed.SPEEDS)
    for row in table:
        assert float(row["low"]) <= float(row["ratio"]) <= float(row["high"])
        assert float(row["ratio"]) <= AT_MOST[row["part"]], row


@pytest.mark.parametrize("names", [("fid", "all distances"), list(speed.SPEEDS)[1]], ids=str)
def test_a_part_is_measured_against_its_yardstick(names):
    found = speed.measure(*names, pairs=2)
    assert float(found["ratio"]) > 0 and found["pairs"] == 2
