"""The commands of benchmarks/: those that are written down work, and `--again` means it."""

import re
import runpy
import shlex
import subprocess
import sys

import common
import pytest
import torch
from benchmark_tables import COLUMNS, SEVERAL_MACHINES, rows

from ganbook import GAN, data, metrics

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


@pytest.fixture
def quick(monkeypatch):
    """Few digits and samples; and in place of slow measures, numbers of the same form."""

    def features(images):
        return torch.nn.functional.interpolate(images.cpu(), 8).flatten(1)

    def few(split="all"):
        found = digits(split)
        return data.Images(found.images[:300], found.labels[:300]) if split == "train" else found

    def samples(gan, n, **options):
        return torch.cat([sample(gan, 200, **options)] * (n // 200))

    digits, sample = data.digits, GAN.sample
    monkeypatch.setattr(data, "digits", few)
    monkeypatch.setattr(GAN, "sample", samples)
    monkeypatch.setattr(metrics, "digit_features", features)
    monkeypatch.setattr(metrics, "digit_logits", lambda images, *_: features(images)[:, :10])
    monkeypatch.setattr(metrics, "precision_recall", lambda a, b: (0.5, 0.5))
    monkeypatch.setattr(metrics, "earth_mover", lambda a, b: 1.0)
    monkeypatch.setattr(common, "real_features", lambda: features(digits().images))


@pytest.mark.parametrize("name", ONE)
@pytest.mark.usefixtures("quick")
def test_a_table_is_gone_on_with_and_refused_elsewhere(name, run, tmp_path, monkeypatch):
    path = tmp_path / f"{name}.csv"
    steps = [] if "--seconds" in ONE[name] else ["--steps", "8"]
    options = ["--out", str(tmp_path), *ONE[name], *steps]
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
    monkeypatch.setattr(common, "machine", lambda: "here")
    if steps:
        with pytest.raises(SystemExit, match="was measured with steps '8', now it is '9'"):
            run(name, *options[:-1], "9")
    assert path.read_text() == table


def test_a_table_is_measured_anew(run, tmp_path, monkeypatch):
    options, lengths = ["--out", str(tmp_path), *ONE["modes"], "--steps", "2"], set()
    for machine, again in (("here", []), ("there", ["--again"])):
        monkeypatch.setattr(common, "machine", lambda machine=machine: machine)
        run("modes", *options, *again)
        table = common.read_table(tmp_path / "modes.csv")
        assert {row["machine"] for row in table} == {machine}
        lengths.add(len(table))
    assert lengths == {10}


def test_a_command_goes_on_in_a_process_of_its_own(run, tmp_path):
    options = ["--out", str(tmp_path), *ONE["modes"], "--steps", "2"]
    first, table = run("modes", *options), (tmp_path / "modes.csv").read_text()
    command = [sys.executable, str(common.FOLDER / "modes.py"), *options]
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first and (tmp_path / "modes.csv").read_text() == table
