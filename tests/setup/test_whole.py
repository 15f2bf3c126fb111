"""Each package is in .venv and whole, whatever pip and Python are told from outside."""

import os
import shutil
import subprocess
import sys

import pytest
from courses import refused, set_up, write_project, write_wheel

pytest.importorskip("fcntl", reason="environment.py is not for Windows")
import environment_pip  # noqa: E402

LOST = {
    "a file": ["pip/_internal/commands/install.py"],
    "its main file": ["pip/_internal/cli/main.py"],
    "its record": ["pip-*.dist-info/RECORD"],
    "all": ["pip", "pip-*.dist-info"],
}


@pytest.mark.parametrize("what", LOST)
def test_a_broken_pip_comes_back_without_a_network_and_nothing_else_goes(ready, offline, what):
    (site,) = ready.glob(".venv/lib/*/site-packages")
    (ready / ".venv/mark").touch()
    for path in [path for pattern in LOST[what] for path in site.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = set_up(ready, offline | {"PIP_FIND_LINKS": ""})
    assert said == "Files of pip in .venv are missing or changed; repairing.\n"
    pip = [ready / ".venv/bin/python", "-m", "pip", "check"]
    subprocess.run(pip, env=offline, check=True, stdout=subprocess.DEVNULL)
    assert set_up(ready, offline) == "" and (ready / ".venv/mark").exists()


def test_a_venv_without_pip_gets_one(ready, offline):
    """As `uv venv` makes it."""
    (site,) = ready.glob(".venv/lib/*/site-packages")
    for path in (*site.glob("pip*"), *ready.glob(".venv/.*-ready")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = set_up(ready, offline)
    assert "Making" not in said and "Installed" in said and set_up(ready, offline) == ""


def edit(file) -> None:
    file.write_text(file.read_text() + "# mine\n")


@pytest.fixture
def other(ready, offline):
    """The site-packages of a course with a package that its folder of wheels has no longer."""
    files = {
        "other/__init__.py": "import math\n",
        "other/code.py": "a = 1\n",
        "other/cacert.pem": "a certificate\n",
        "other/otherrc": "settings\n",
        "other-1.data/data/share/kernels/kernel.json": "{}\n",
        "other-1.data/data/etc/other/settings.py": "c = 1\n",
    }
    (site,) = ready.glob(".venv/lib/*/site-packages")
    for folder in site.glob("other*"):
        shutil.rmtree(folder)
    wheel = write_wheel(offline["PIP_FIND_LINKS"], "other", files=files)
    write_project(ready, requires=["other"])
    set_up(ready, offline)
    os.unlink(f"{offline['PIP_FIND_LINKS']}/{wheel}")
    return site


def test_settings_and_certificates_are_the_readers(other, ready, offline):
    edit(other / "other/cacert.pem"), edit(other / "other/otherrc")
    edit(ready / ".venv/share/kernels/kernel.json"), edit(ready / ".venv/etc/other/settings.py")
    assert set_up(ready, offline) == ""


def test_without_a_network_a_changed_course_starts_and_says_so(other, ready, offline):
    edit(other / "other/code.py")
    (other / "other-1.dist-info/METADATA").unlink()
    for _ in range(2):
        said = set_up(ready, offline)
        first, second = said.splitlines()
        assert first == "Files of other in .venv are missing or changed; repairing."
        assert second.startswith("The repair failed, so the course starts as it is: pip ")
    assert (other / "other-1.dist-info/RECORD").exists()
    write_wheel(offline["PIP_FIND_LINKS"], "other", files={"other/code.py": "a = 1\n"})
    set_up(ready, offline)
    assert (other / "other/code.py").read_text() == "a = 1\n" and set_up(ready, offline) == ""


@pytest.mark.parametrize("what", ["a file", "the record"])
def test_without_a_network_a_course_that_can_not_be_imported_is_one_sentence(
    other, ready, offline, what
):
    init, about = other / "other/__init__.py", other / "other-1.dist-info"
    gone = init if what == "a file" else about
    gone.rename(ready / "gone")
    if what == "a file":
        init.write_text("import nothing_of_that_name\n")
    for _ in range(2):
        said = refused(ready, offline)
        assert said.startswith("ganbook: ") and said.count("\n") == 1
        if what == "a file":
            assert "files of other in .venv are missing or changed: pip could not install" in said
    os.replace(ready / "gone", gone) if what == "a file" else (ready / "gone").rename(gone)
    assert set_up(ready, offline) == ""


def test_a_package_without_pips_note_is_mended(other, ready, offline):
    (other / "other-1.dist-info/RECORD").unlink()
    write_wheel(offline["PIP_FIND_LINKS"], "other", files={"other/new.py": ""})
    set_up(ready, offline)
    assert (other / "other/new.py").exists() and set_up(ready, offline) == ""


READ_ONLY = """
import sys, environment
from pathlib import Path

def refused(path, *_, **__):
    raise OSError(30, "Read-only file system", str(path))

for name in ("write_bytes", "write_text", "touch", "unlink", "mkdir"):
    setattr(Path, name, refused)
environment.main("lab")
"""


@pytest.mark.parametrize("state", ["ready", "other settings", "a changed package"])
def test_a_course_on_a_read_only_disk_starts(other, ready, offline, state):
    settings = ready / ".venv/share/jupyter/lab/settings/overrides.json"
    if state == "other settings":
        settings.write_text("{}")
    elif state == "a changed package":
        edit(other / "other/code.py")
    before = settings.stat().st_mtime_ns
    command = [sys.executable, "-c", READ_ONLY]
    done = subprocess.run(command, cwd=ready, env=offline, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    if state == "a changed package":
        assert "the course starts as it is: [Errno 30] Read-only file system" in done.stdout
    else:
        assert done.stdout == ""
    if state == "ready":
        assert set_up(ready, offline) == "" and settings.stat().st_mtime_ns == before


@pytest.mark.parametrize("there", [True, False])
def test_a_venv_may_be_a_link_to_a_larger_disk(course, offline, tmp_path, there):
    disk, venv = tmp_path / "disk", course / ".venv"
    venv.symlink_to(disk)
    if not there:
        assert refused(course, offline) == (
            f"ganbook: .venv is a link to {disk}, not to a folder: delete it or correct it.\n"
        )
        return
    disk.mkdir()
    (disk / ".unfinished").touch()
    assert "cut off" in set_up(course, offline) and set_up(course, offline) == ""
    assert venv.is_symlink() and (disk / "bin/python").exists()


def test_a_file_in_the_place_of_the_venv_is_named(course, offline):
    (course / ".venv").touch()
    assert refused(course, offline).startswith("ganbook: .venv is a file, not a folder: delete it")


def test_warnings_that_are_errors_do_not_stop_pip(ready, offline):
    (ready / "constraints.txt").write_text("# changed")
    assert "Installed" in set_up(ready, offline | {"PYTHONWARNINGS": "error"})


def test_what_went_wrong_in_pip_is_the_end_of_its_traceback():
    said = "ERROR: Exception:\nTraceback (most recent call last):\n  x\nDeprecationWarning: old\n"
    assert environment_pip.complaint(said) == "DeprecationWarning: old"
    assert environment_pip.complaint(said + "ERROR: no such package") == "no such package"


def test_compiled_files_are_not_missed(ready, offline):
    (site,) = ready.glob(".venv/lib/*/site-packages")
    compiled = list(site.rglob("*.pyc"))
    for file in compiled:
        file.unlink()
    assert compiled and set_up(ready, offline) == ""


def test_two_packages_of_one_file_are_not_mended_for_ever(ready, offline):
    """One of them is never whole."""
    for name in ("one", "two"):
        files = {"shared/__init__.py": "1" * (name == "two")}
        write_wheel(offline["PIP_FIND_LINKS"], name, files=files)
    write_project(ready, requires=["one", "two"])
    set_up(ready, offline)
    assert set_up(ready, offline) == ""


ELSEWHERE = {
    "PIP_DRY_RUN": "1",
    "PIP_TARGET": "{elsewhere}",
    "PIP_PREFIX": "{elsewhere}",
    "PIP_ROOT": "{elsewhere}",
    "PIP_USER": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_DEPENDENCIES": "1",
    "PIP_PYTHON": sys.executable,
    "PYTHONPATH": "{elsewhere}",
    "PYTHONSAFEPATH": "1",
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_variable_keeps_a_package_out_of_the_venv(ready, offline, tmp_path, name):
    """A PYTHONPATH with a package in it, which pip would consider installed, among them."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "whole-1.dist-info").mkdir(parents=True)
    (elsewhere / "whole-1.dist-info/METADATA").write_text("Name: whole\nVersion: 1\n")
    write_wheel(offline["PIP_FIND_LINKS"], "whole", files={"whole.py": ""}, requires=["deep"])
    write_wheel(offline["PIP_FIND_LINKS"], "deep")
    (site,) = ready.glob(".venv/lib/*/site-packages")
    for about in [*site.glob("whole-*"), *site.glob("deep-*")]:
        shutil.rmtree(about)
    write_project(ready, requires=["whole"])
    set_up(ready, offline | {name: ELSEWHERE[name].format(elsewhere=elsewhere)})
    assert (site / "whole.py").exists() and (site / "deep-1.dist-info").exists()
    assert set_up(ready, offline) == ""


@pytest.mark.parametrize("setting", ["dry-run = true", "no-deps = true", "target = {elsewhere}"])
def test_a_file_of_pip_cannot_make_an_empty_venv_ready(ready, offline, tmp_path, setting):
    """Switches are overridden; a target is reported."""
    file = tmp_path / "pip.conf"
    file.write_text(f"[install]\n{setting.format(elsewhere=tmp_path / 'elsewhere')}\n")
    write_wheel(offline["PIP_FIND_LINKS"], "new_one")
    (site,) = ready.glob(".venv/lib/*/site-packages")
    for about in site.glob("new_one-*"):
        shutil.rmtree(about)
    write_project(ready, requires=["new-one"])
    env = offline | {"PIP_CONFIG_FILE": str(file)}
    if "target" not in setting:
        set_up(ready, env)
        assert (site / "new_one-1.dist-info").exists()
        return
    said = refused(ready, env)
    assert said.startswith("ganbook: pip reported success, but .venv lacks new-one;")
    assert "pip config list" in said and said.count("\n") == 1
