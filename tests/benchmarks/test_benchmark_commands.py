"""The commands of benchmarks/: those that are written down work, and `--again` means it."""

import csv
import re
import runpy
import shlex
import subprocess
import sys

import common
import pytest
from benchmark_tables import COLUMNS, SEVERAL_MACHINES, rows

from ganbook import GAN, metrics

ONE = {  # of each table, the quickest rows
    "baseline": ["--rung", "networks", "--seed", "0", "--seconds", "0.1"],
    "captions": ["--wrong", "0", "--seed", "1"],
    "conditional": ["--data", "all digits", "--only", "unconditional", "--seed", "1"],
    "dcgan": ["--what", "dcgan", "--seed", "1"],
    "dcgan_ablation": ["--only", "no activation", "--seed", "1"],
    "infogan": ["--only", "both, two codes", "--seed", "11"],
    "modes": ["--data", "ring", "--only", "plain"],
    "overfitting": ["--images", "50", "--only", "none", "--seed", "1"],
    "stacked": ["--only", "DCGAN", "--seed", "1"],
    "stacking": ["--data", "one digit", "--way", "growing", "--seed", "1", "--seconds", "0.5"],
    "style": ["--only", "DCGAN", "--seed", "1"],
    "superresolution": ["--data", "digits", "--charge", "each answer", "--weight", "0"]
    + ["--seed", "1"],
    "tournament": ["--data", "grid", "--loss", "hinge", "--regulariser", "none"],
    "translation": ["--task", "colour", "--only", "L1", "--seed", "11"],
}
ROOT = common.FOLDER.parent
DOCUMENTS = [ROOT / "README.md", *sorted(common.FOLDER.glob("*.md")), *common.FOLDER.glob("*.py")]
WRITTEN = {
    command
    for path in DOCUMENTS
    for command in re.findall(r"python benchmarks/\w+\.py[^`\n]*", path.read_text())
}

ANEW = {f"python benchmarks/{name}.py" for name in ("engine", "gpu", "speed")}  # measure each time


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script as a command does, in this process; returns what it prints."""

    def run(name, *options):
        path = common.FOLDER / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *options])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_the_commands_that_are_written_down_are_found():
    assert {shlex.split(command)[1] for command in WRITTEN} == {
        f"benchmarks/{name}.py" for name in COLUMNS
    }


@pytest.mark.parametrize("command", sorted(WRITTEN - ANEW))
def test_a_command_that_is_written_down_reads_the_committed_table(command, run, monkeypatch):
    _, path, *options = shlex.split(command)
    name = path.removeprefix("benchmarks/").removesuffix(".py")
    monkeypatch.setattr(common, "machine", lambda: rows(name)[0]["machine"])
    monkeypatch.setattr(GAN, "train", lambda *arguments: pytest.fail("it measures anew"))
    monkeypatch.setattr(common, "write_table", lambda path, rows: pytest.fail("it writes"))
    assert run(name, *options)


@pytest.mark.parametrize("name", ONE)
def test_a_table_is_gone_on_with_refused_elsewhere_and_measured_anew(
    name, run, tmp_path, monkeypatch
):
    path = tmp_path / f"{name}.csv"
    steps = [] if "--seconds" in ONE[name] else ["--steps", "8"]
    options = ["--out", str(tmp_path), *ONE[name], *steps]
    coverage = metrics.stacked_coverage  # quicker than of all samples
    monkeypatch.setattr(metrics, "stacked_coverage", lambda images: coverage(images[:500]))
    monkeypatch.setattr(metrics, "earth_mover", lambda a, b: 1.0)
    monkeypatch.setattr(common, "machine", lambda: "here")
    first, table = run(name, *options), path.read_text()
    assert table.splitlines()[0].split(",") == COLUMNS[name].split()
    assert run(name, *options) == first and path.read_text() == table

    monkeypatch.setattr(common, "machine", lambda: "there")
    if name in SEVERAL_MACHINES:
        assert run(name, *options) == first
    else:
        with pytest.raises(SystemExit, match="was measured with machine 'here'"):
            run(name, *options)
    assert path.read_text() == table
    run(name, *options, "--again")
    with path.open(newline="") as file:
        anew = list(csv.DictReader(file))
    assert {row["machine"] for row in anew} == {"there"}
    assert len(anew) == len(table.splitlines()) - 1

    if steps:
        with pytest.raises(SystemExit, match="was measured with steps '8', now it is '9'"):
            run(name, *options[:-1], "9")


def test_a_table_that_stopped_half_way_is_gone_on_with(tmp_path):
    path = tmp_path / "dcgan_ablation.csv"

    def run(*arguments):
        script = [sys.executable, str(common.FOLDER / "dcgan_ablation.py")]
        return subprocess.run(
            [*script, "--out", str(tmp_path), *arguments], capture_output=True, text=True
        )

    first = run("--only", "no activation", "--seed", "1", "--steps", "2")
    assert first.returncode == 0, first.stderr
    table = path.read_text()
    assert table.splitlines()[0].split(",") == COLUMNS["dcgan_ablation"].split()
    again = run("--only", "no activation", "--seed", "1", "--steps", "2")
    assert again.stdout == first.stdout and path.read_text() == table
    other = run("--only", "no activation", "--steps", "3")
    assert other.returncode == 1 and "was measured with steps '2'" in other.stderr
    assert path.read_text() == table
