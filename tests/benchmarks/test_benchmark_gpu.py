"""The table of the GPU, and what README says of it."""

import re

import common
import dcgan
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


def test_readme_gives_the_images_a_second_of_the_tables():
    readme = (common.FOLDER.parent / "README.md").read_text()
    said = re.search(
        r"plays ([\d,]+) images a second in bfloat16 and ([\d,]+) in float32.*?"
        r"without bfloat16 it plays (\d+) to (\d+)",
        readme,
        re.DOTALL,
    ).groups()
    of = {row["precision"]: row for row in rows("gpu", game="digits")}
    found = [round(float(of[p]["samples_per_second"]), -2) for p in ("bfloat16", "float32")]
    last = rows("dcgan", what="dcgan", step=str(dcgan.STEPS))
    assert all("bfloat16" not in row["machine"] for row in last)
    cpu = [float(row["images_per_s"]) for row in last]
    found += [round(min(cpu), -1), round(max(cpu), -1)]
    assert [int(value.replace(",", "")) for value in said] == found
