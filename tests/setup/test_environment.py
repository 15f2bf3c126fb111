"""environment.py makes .venv, repairs it, explains: in copies with little to install."""

import contextlib
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from courses import PACKAGES, files_of, refused, set_up, write_project, write_wheel

pytest.importorskip("fcntl", reason="environment.py is not for Windows")
import environment  # noqa: E402
import environment_pip  # noqa: E402


def test_first_call_makes_a_venv_and_goes_on_with_one_that_was_cut_off(first):
    course, said = first
    assert said.startswith("Making .venv, with Python 3.") and "Installing" in said
    assert (course.with_name("saved") / ".venv/bin/other").exists()


def test_a_venv_that_does_not_start_is_named_and_left_alone(course, offline):
    """As after an upgrade that took its Python away."""
    (course / ".venv/bin").mkdir(parents=True)
    (course / ".venv/bin/python").symlink_to("/nowhere/python3")
    (course / ".venv/bin/other").touch()
    assert refused(course, offline) == (
        "ganbook: .venv can't be used: its Python does not start. Delete the folder .venv and run"
        " `make lab` again; this also deletes the packages that you installed there.\n"
    )
    assert (course / ".venv/bin/other").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_python_says_in_any_encoding_is_understood(ready, offline, encoding):
    """The course lies in a folder of letters that some encodings lack."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert set_up(ready, offline | plain | {"PYTHONIOENCODING": encoding}) == ""


def test_a_package_that_speaks_when_python_starts_is_no_harm(ready, offline):
    (site,) = ready.glob(".venv/lib/*/site-packages")
    (site / "speaks.pth").write_text("import sys; print('hello')\n")
    assert set_up(ready, offline) == ""


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_a_file_of_the_course_that_is_damaged_is_named(ready, offline, name):
    (ready / name).write_bytes(b"# \xff\n")
    said = refused(ready, offline)
    assert said.startswith(f"ganbook: could not read {name} (UnicodeDecodeError('utf-8'")
    assert said.endswith(f"restore it, for example with `git checkout {name}`.\n")


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "[tool]\n"])
def test_a_file_of_the_course_with_a_conflict_is_named(ready, offline, text):
    (ready / "pyproject.toml").write_text(text)
    assert refused(ready, offline).startswith("ganbook: could not read pyproject.toml (")


def test_second_call_asks_no_pip(ready, offline):
    (ready / ".venv/pip.log").unlink()
    assert set_up(ready, offline) == ""
    assert not (ready / ".venv/pip.log").exists()


def not_pips(record):
    """Make pip's record one of the wheel, as where pip was cut off before it wrote its own."""
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if "INSTALLER" not in line))


LOST = {
    "the folder": lambda site, name: shutil.rmtree(site / name),
    "its first file": lambda site, name: (site / name / "__init__.py").unlink(),
    "a module": lambda site, name: (site / f"{name}_module.py").unlink(),
    "a file deep inside": lambda site, name: (site / name / "deep/more.so").unlink(),
    "what a file holds": lambda site, name: (site / name / "code.py").write_text(""),
    "a file elsewhere": lambda site, name: (site / f"../../../share/{name}.json").unlink(),
    "pip's metadata": lambda site, name: (site / f"{name}-1.dist-info/METADATA").unlink(),
    "pip's record": lambda site, name: (site / f"{name}-1.dist-info/RECORD").unlink(),
    "pip's line in it": lambda site, name: not_pips(site / f"{name}-1.dist-info/RECORD"),
}


def test_what_was_deleted_from_the_venv_comes_back(ready, offline):
    """From each package something else is lost, and pip's note stays that it is installed."""
    (site,) = ready.glob(".venv/lib/*/site-packages")
    for name, lose in zip(PACKAGES, LOST.values(), strict=True):
        write_wheel(offline["PIP_FIND_LINKS"], name, files=files_of(name))
        lose(site, name)
    said = set_up(ready, offline)
    names = ", ".join(PACKAGES[:5])
    assert said == f"Files of {names}, ... in .venv are missing or changed; repairing.\n"
    for name in PACKAGES:
        for file, text in files_of(name).items():
            assert (site / file.replace(f"{name}-1.data/data", "../../..")).read_text() == text
        assert "/INSTALLER" in (site / f"{name}-1.dist-info/RECORD").read_text()
    assert set_up(ready, offline) == ""


def test_a_terminal_has_one_line_that_moves(ready, monkeypatch, capsys):
    """What pip says meanwhile is given here, so that no speed decides what is seen."""
    log = [
        "Collecting torch>=2",
        "  Downloading https://x/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (186.2 MB)",
        "Processing /wheels/numpy-2.4.6-cp311-cp311-linux_x86_64.whl (from ganbook)",
        "  Skipping link: torch-9-none.whl (99.1 MB)",
        "Installing collected packages: numpy, torch",
    ]
    lines = iter(log)

    class Pip:
        def poll(self):
            self.line = next(lines, None)
            return None if self.line else 0

        def read(self):
            return f"{self.line}\n"

    monkeypatch.chdir(ready)
    monkeypatch.setattr(environment_pip.time, "sleep", lambda seconds: None)
    pip = Pip()
    environment_pip.follow(pip, pip)
    said = capsys.readouterr().out
    assert re.sub(r"\d:\d\d  ", "", said).split(environment_pip.CLEAR)[1:] == [
        "fetching package 1: torch",
        "fetching package 1: torch, 0.0 of 186.2 MB",
        "fetching package 2: numpy",
        "fetching package 2: numpy",
        f"installing [{' ' * 30}] package 1 of 2",
    ]
    assert "\n" not in said


def test_a_terminal_is_noticed(ready, offline):
    """On a real one, of 60 columns."""
    (ready / ".venv/.lab-ready").write_bytes(b"\xff")  # says nothing, so all is asked again
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "environment.py", "lab"],
        cwd=ready,
        env=offline | {"COLUMNS": "60"},
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # at its end
        while some := os.read(ours, 4096):
            said += some
    os.close(ours)
    assert process.wait() == 0, process.stderr.read()
    moves = said.decode().split(environment_pip.CLEAR)
    assert "  starting pip" in moves[1] and max(map(len, moves[1:-1])) < 60
    assert moves[-1].startswith("Installed ") and said.count(b"\n") == 2


def test_lab_does_not_make_ready_for_test(ready, monkeypatch):
    monkeypatch.chdir(ready)
    version, _ = environment.python_in_venv()
    assert environment.is_ready("lab", version) and not environment.is_ready("test", version)


def test_a_change_installs_again_into_the_same_venv(ready, offline):
    """For `make test`, and so for `make lab`: in few lines, where there is no terminal."""
    mark = ready / ".venv/mark"
    mark.touch()
    (ready / "numbers.py").write_text("raise SystemExit('the reader has a file of this name')\n")
    write_project(ready, requires=["big"])
    write_wheel(offline["PIP_FIND_LINKS"], "big")
    said = set_up(ready, offline, "test").splitlines()
    assert said[0].startswith("Installing what `make test` needs into .venv")
    assert re.fullmatch(r"Installed 1 package in \d+:\d\d minutes\.", said[1]) and not said[2:]
    assert mark.exists() and set_up(ready, offline, "test") == set_up(ready, offline, "lab") == ""


def test_what_counts_as_a_change(course, monkeypatch, tmp_path):
    monkeypatch.chdir(course)
    seen = [environment.fingerprint((3, 12, 1)), environment.fingerprint((3, 12, 2))]
    for name in ("pyproject.toml", "constraints.txt", "environment.py", "environment_pip.py"):
        with open(name, "a") as file:
            file.write("# changed\n")
        seen.append(environment.fingerprint((3, 12, 1)))
    course.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    seen.append(environment.fingerprint((3, 12, 1)))
    assert len(set(seen)) == len(seen) and seen[-1] == environment.fingerprint((3, 12, 1))


def test_without_a_network_one_sentence_and_no_harm(ready, offline):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    network = {
        "PIP_NO_INDEX": "0",
        "PIP_INDEX_URL": f"http://127.0.0.1:{closed}/simple",
        "PIP_RETRIES": "0",
    }
    before = (ready / "pyproject.toml").read_text()
    write_project(ready, PACKAGES, builders=["nowhere"], pins=[f"{name}==1" for name in PACKAGES])
    assert refused(ready, offline | network) == (
        "ganbook: pip can't reach one of its package indexes; run `make lab` again with"
        " an internet connection (details: .venv/pip.log).\n"
    )
    # What was there is whole: with the file as it was, the course opens without a network.
    (ready / "pyproject.toml").write_text(before)
    assert set_up(ready, offline) == ""


def test_what_pip_died_of_is_said(ready, offline):
    """No line of the full log, which has the details."""
    write_project(ready, PACKAGES, builders=["nowhere"])
    broken = offline | {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://[bad"}
    assert refused(ready, broken).endswith(
        " needs: ValueError: Invalid IPv6 URL (details: .venv/pip.log)\n"
    )
    assert "Created temporary directory" in (ready / ".venv/pip.log").read_text()


def test_what_pip_refuses_is_said_in_one_sentence(ready, offline):
    write_project(ready, requires=["nowhere>=7"])
    assert re.fullmatch(
        r"ganbook: pip could not install .*nowhere>=7.*\(details: .venv/pip.log\)\n",
        refused(ready, offline),
    )


# In .venv, for every Python that starts there: it kills itself, and who started it, in the middle.
KILLER = """
import itertools, os, signal, sys
opened = itertools.count()

def watch(event, arguments):
    if event == "open" and "/site-packages/big/" in str(arguments[0]) and next(opened) == 20:
        os.killpg(0, signal.SIGKILL)

sys.addaudithook(watch)
"""


def test_what_was_killed_goes_on_and_nothing_else_is_lost(ready, offline):
    """In the middle of an installation, and then of a repair."""
    pieces = 100
    files = {f"big/{i}.txt": str(i) for i in range(pieces)} | {"big/__init__.py": ""}
    write_wheel(offline["PIP_FIND_LINKS"], "big", files=files)
    (site,) = ready.glob(".venv/lib/*/site-packages")
    kept = [ready / ".venv/mark", site / "other/code.py"]
    kept[0].touch()
    write_project(ready, ["other", "big"], pins=["big==1", "other==1"])
    (site / "killer.py").write_text(KILLER)

    def written():
        return sum(1 for _ in site.glob("big/*.txt"))

    for during in ("an installation", "a repair"):
        if during == "a repair":
            shutil.rmtree(site / "big")
        (site / "killer.pth").write_text("import killer")
        command = [sys.executable, "environment.py", "lab"]
        killed = subprocess.run(command, cwd=ready, env=offline, start_new_session=True)
        (site / "killer.pth").unlink()
        assert killed.returncode == -signal.SIGKILL, during
        assert 10 <= written() < pieces and (site / "big-1.dist-info/METADATA").exists(), during
        if during == "an installation":
            said = refused(ready, offline | {"PIP_FIND_LINKS": ""})
            assert said.startswith("ganbook: ") and said.count("\n") == 1
            assert all(path.exists() for path in kept) and written() >= 10
        said = set_up(ready, offline)
        assert said.startswith("Files of big in .venv are missing or changed; repairing.\n")
        assert ("Installed" in said) == (during == "an installation") and "creating" not in said
        assert written() == pieces and all(path.exists() for path in kept), during
        assert set_up(ready, offline) == ""


@pytest.mark.parametrize("way", ["beside", "instead"])
def test_a_venv_with_packages_of_another_python_is_named_and_left_alone(ready, offline, way):
    """As where the Python that .venv links to was upgraded from 3.11 to 3.12."""
    (library,) = ready.glob(".venv/lib/python*")
    other = library.with_name("python3.99")
    other.mkdir() if way == "beside" else library.rename(other)
    said = refused(ready, offline)
    assert "can't be used: its Python was upgraded after it was made. Delete the folder" in said
    other.rmdir() if way == "beside" else other.rename(library)
    assert set_up(ready, offline) == ""


def test_a_call_waits_for_the_pip_of_a_killed_one(ready, offline):
    """Else both would write to .venv."""
    child = (
        "import os, time; print(1, flush=True)\n"
        "while not os.path.exists('go'): time.sleep(0.1)\n"
        "open('.venv/mark', 'w').close()"
    )
    parent = (
        "import environment as e, sys; lock = e.wait_for_others();"
        f" e.run([sys.executable, '-c', {child!r}])"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", parent], cwd=ready, env=offline, stdout=subprocess.PIPE
    )
    assert killed.stdout.readline() == b"1\n"
    killed.kill()
    shutil.copy(ready / "pyproject.toml", ready / "new")
    os.replace(ready / "new", ready / "pyproject.toml")  # as `git pull` does
    command = [sys.executable, "environment.py", "lab"]
    second = subprocess.Popen(command, cwd=ready, env=offline, stdout=subprocess.PIPE)
    assert b"Another installation is using .venv; waiting" in second.stdout.readline()
    assert not (ready / ".venv/mark").exists() and second.poll() is None
    (ready / "go").touch()
    second.communicate()
    assert second.returncode == 0 and (ready / ".venv/mark").exists()


HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
ASKED = f"it has Python 3.99, and PYTHON=python3 is {HERE}; or unset PYTHON to keep it"


@pytest.mark.parametrize(
    "version, chosen, why",
    [
        ((3, 10, 4), "", "it has Python 3.10, and the course needs 3.11 or newer"),
        ((3, 99, 0), "python3", ASKED),
        ((3, 99, 0), "", None),
    ],
)
def test_a_venv_of_another_python(tmp_path, monkeypatch, version, chosen, why):
    library = tmp_path / ".venv/lib/python3.99t"
    library.mkdir(parents=True)
    (library.parent / "python3.9").symlink_to(library.name)  # as in conda's
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON", chosen)
    assert environment.reason_not_to_use(version, library.name) == why
