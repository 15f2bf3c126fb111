"""The table of the GPU."""

import gpu
from benchmark_tables import rows


def test_the_table_has_every_case_on_one_gpu():
    table = rows("gpu")
    precisions = [("bfloat16" if bf16 else "float32") for _, bf16 in gpu.CASES]
    assert [row["game"] for row in table] == [name for name, _ in gpu.CASES]
    assert [row["precision"] for row in table] == precisions
    for row in table:
        assert float(row["low"]) <= float(row["time_ratio"]) <= float(row["high"])
        assert "NVIDIA" in row["machine"]
