"""What is broken in .venv is repaired, and nothing else in it is lost."""

import os
import shutil
import subprocess
import sys

import pytest
from courses import refused, set_up, write_project, write_wheel

pytest.importorskip("fcntl", reason="environment.py is not for Windows")


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
    write_project(ready, requires=["other"], pins=["other==1"])
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
        assert second.startswith("The repair of .venv failed, so the course starts as it is: pip ")
    assert (other / "other-1.dist-info/RECORD").exists()
    write_wheel(offline["PIP_FIND_LINKS"], "other", files={"other/code.py": "a = 1\n"})
    set_up(ready, offline)
    assert (other / "other/code.py").read_text() == "a = 1\n" and set_up(ready, offline) == ""


BROKEN = {
    "what it imports": lambda site: (site / "other/__init__.py").write_text("import nowhere_\n"),
    "its first file": lambda site: (site / "other/__init__.py").unlink(),
    "its folder": lambda site: shutil.rmtree(site / "other"),
    "the record": lambda site: (site / "other-1.dist-info/RECORD").unlink(),
    "pip's note": lambda site: shutil.rmtree(site / "other-1.dist-info"),
    "its folder and the record": lambda site: [
        shutil.rmtree(site / "other"),
        (site / "other-1.dist-info/RECORD").unlink(),
    ],
}


@pytest.mark.parametrize("what", BROKEN)
def test_without_a_network_a_course_that_can_not_be_imported_is_one_sentence(
    other, ready, offline, what
):
    """Python would import a folder without its first file."""
    for folder in ("other", "other-1.dist-info"):
        shutil.copytree(other / folder, ready / "saved" / folder)
    BROKEN[what](other)
    for _ in range(2):
        said = refused(ready, offline)
        assert said.startswith("ganbook: ") and said.count("\n") == 1
        if what != "pip's note":  # to be installed, not repaired
            assert "files of other in .venv are missing or changed: pip could not " in said
    shutil.copytree(ready / "saved", other, dirs_exist_ok=True)
    shutil.rmtree(ready / "saved")
    assert set_up(ready, offline) == ""


@pytest.mark.parametrize("left", ["nothing", "the wheel's own"])
def test_a_package_without_pips_record_is_mended(other, ready, offline, left):
    """A wheel's own record names no INSTALLER: pip was cut off before it wrote the record anew."""
    record = other / "other-1.dist-info/RECORD"
    lines = [line for line in record.read_text().splitlines() if "INSTALLER" not in line]
    record.write_text("\n".join(lines) + "\n") if left == "the wheel's own" else record.unlink()
    write_wheel(offline["PIP_FIND_LINKS"], "other", files={"other/new.py": ""})
    set_up(ready, offline)
    assert (other / "other/new.py").exists() and set_up(ready, offline) == ""


@pytest.mark.parametrize("what", ["its folder", "its folder and the record", "pip's note"])
def test_a_broken_package_comes_in_the_version_of_a_new_constraint(other, ready, offline, what):
    """The one that was installed is on no index any more."""
    BROKEN[what](other)
    write_wheel(offline["PIP_FIND_LINKS"], "other", files={"other/__init__.py": "2"}, version="2")
    write_project(ready, requires=["other"], pins=["other==2"])
    assert "Installed" in set_up(ready, offline)
    assert (other / "other/__init__.py").read_text() == "2"
    assert [about.name for about in other.glob("other-*")] == ["other-2.dist-info"]
    assert set_up(ready, offline) == ""


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("gone", ["RECORD", "direct_url.json", "."])
def test_the_package_of_the_course_comes_from_the_course(ready, offline, tmp_path, gone, changed):
    """It does so without an index, and where one has a foreign package of its name."""
    (site,) = ready.glob(".venv/lib/*/site-packages")
    (ready / ".venv/mark").touch()
    write_wheel(tmp_path, "stub", files={"foreign.py": ""}, version="1")
    lost = site / "stub-1.dist-info" / gone
    shutil.rmtree(lost) if gone == "." else lost.unlink()
    if changed:
        (ready / "constraints.txt").write_text("# changed")
    assert "Installed" in set_up(ready, offline | {"PIP_FIND_LINKS": str(tmp_path)})
    assert (site / "stub-1.dist-info/direct_url.json").exists()
    assert (ready / ".venv/mark").exists() and not (site / "foreign.py").exists()
    assert set_up(ready, offline) == ""


def test_a_package_of_the_readers_own_is_left_alone(other, ready, offline):
    """Half deleted, and on no index any more."""
    wheel = write_wheel(offline["PIP_FIND_LINKS"], "mine", files={"mine.py": "", "more.py": ""})
    pip = [ready / ".venv/bin/python", "-m", "pip", "install", "-q", "mine"]
    subprocess.run(pip, env=offline, check=True)
    os.unlink(f"{offline['PIP_FIND_LINKS']}/{wheel}")
    (ready / "constraints.txt").write_text("other==1\n# as changed by the course's authors")
    for lost in ("mine.py", "mine-1.dist-info/RECORD"):
        (other / lost).unlink()
        said = set_up(ready, offline)
        assert "mine" not in said and "repairing" not in said
        assert (other / "more.py").exists() and set_up(ready, offline) == ""


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
            f"ganbook: .venv is a link to {disk}, not a folder: delete it.\n"
        )
        return
    disk.mkdir()
    assert "Making" in set_up(course, offline) and set_up(course, offline) == ""
    assert venv.is_symlink() and (disk / "bin/python").exists()


@pytest.mark.parametrize("linked", [True, False])
def test_a_folder_of_the_readers_in_the_place_of_the_venv_is_refused(
    course, offline, tmp_path, linked
):
    folder = tmp_path / "mine" if linked else course / ".venv"
    (folder / "photos").mkdir(parents=True)
    (folder / "photos/a").touch(), (folder / "thesis.txt").touch()
    if linked:
        (course / ".venv").symlink_to(folder)
    said = refused(course, offline)
    assert said == (
        "ganbook: .venv holds files that do not belong to a virtual environment, such as photos:"
        " move them away, or delete it.\n"
    )
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert left == ["photos", "photos/a", "thesis.txt"]


def test_a_venv_of_windows_is_refused(course, offline):
    (course / ".venv/Scripts").mkdir(parents=True)
    (course / ".venv/pyvenv.cfg").write_text("home = C:\\Python312\n")
    assert refused(course, offline).startswith("ganbook: .venv was made on Windows: move it away")
    assert (course / ".venv/pyvenv.cfg").read_text() == "home = C:\\Python312\n"


def test_a_file_in_the_place_of_the_venv_is_named(course, offline):
    (course / ".venv").touch()
    assert refused(course, offline).startswith("ganbook: .venv is a file, not a folder: delete it")


def test_a_package_that_the_reader_renews_stays(ready, offline):
    """Files whose names change with a version are not missed."""
    for version in ("1", "2"):
        files = {"own/__init__.py": version, f"own.libs/{version}.so": "", f"_{version}.so": ""}
        write_wheel(offline["PIP_FIND_LINKS"], "own", files=files, version=version)
    write_project(ready, requires=["own"], pins=["own==1"])
    set_up(ready, offline)
    pip = [ready / ".venv/bin/python", "-m", "pip", "install", "-q", "own==2"]
    subprocess.run(pip, env=offline, check=True)
    assert set_up(ready, offline) == ""
    (init,) = ready.glob(".venv/lib/*/site-packages/own/__init__.py")
    assert init.read_text() == "2"
    init.unlink()
    assert "repairing." in set_up(ready, offline) and init.read_text() == "2"


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
    write_project(ready, requires=["one", "two"], pins=["one==1", "two==1"])
    set_up(ready, offline)
    assert set_up(ready, offline) == ""
