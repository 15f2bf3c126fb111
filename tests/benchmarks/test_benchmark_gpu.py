"""The table of the GPU, and what README says of it."""

import re

import common
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
        r"plays ([\d,]+) images a second in bfloat16 and ([\d,]+) in float32.*?it plays ([\d,]+)",
        readme,
        re.DOTALL,
    ).groups()
    of = {(row["game"], row["precision"]): row for row in rows("gpu")}
    found = [int(of["digits", p]["samples_per_second"]) for p in ("bfloat16", "float32")]
    (cpu,) = rows("engine", game="digits", what="gan.train")
    assert "bfloat16" in cpu["machine"]
    batch = int(of["digits", "float32"]["batch"])
    found.append(batch / (float(cpu["inline_wall_us"]) * float(cpu["wall_ratio"])) * 1e6)
    assert [int(value.replace(",", "")) for value in said] == [round(v, -2) for v in found]
