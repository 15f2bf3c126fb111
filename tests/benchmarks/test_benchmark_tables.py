"""Every table of benchmarks/ is whole, and reads and writes as it is."""

import common
import pytest
from benchmark_tables import COLUMNS, SEVERAL_MACHINES, rows


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_is_whole(name):
    table = rows(name)
    assert table and all(list(row) == COLUMNS[name].split() for row in table)
    assert len({row["machine"] for row in table}) == 1 or name in SEVERAL_MACHINES
    for row in table:
        for column, value in row.items():
            if column in ("seconds", "images_per_s", "fid") and value:
                assert float(value) > 0, row


@pytest.mark.parametrize("name", COLUMNS)
def test_a_committed_table_written_again_is_the_same_byte_for_byte(name, tmp_path):
    common.write_table(tmp_path / "again.csv", rows(name))
    committed = (common.FOLDER / f"{name}.csv").read_bytes()
    assert (tmp_path / "again.csv").read_bytes() == committed
