"""What is broken in .venv is repaired, and nothing else in it is lost."""

import shutil
import subprocess
import sys

import pytest
from courses import files_of, refused, set_up, write_project, write_wheel

pytest.importorskip("fcntl", reason="environment.py is not for Windows")
import environment  # noqa: E402
import environment_pip  # noqa: E402


def edit(file) -> None:
    file.write_text(file.read_text() + "# mine\n")


@pytest.fixture
def site(ready):
    (site,) = ready.glob(".venv/lib/*/site-packages")
    return site


def test_settings_and_certificates_are_the_readers(ready, site, offline):
    edit(site / "other/cacert.pem"), edit(site / "other/settingsrc")
    edit(ready / ".venv/share/other.json"), edit(ready / ".venv/etc/other.py")
    assert set_up(ready, offline) == ""


def test_without_a_network_a_changed_course_starts_and_says_so(ready, site, offline):
    edit(site / "other/code.py")
    (site / "other-1.dist-info/METADATA").unlink()
    first, second = set_up(ready, offline).splitlines()
    assert first == "Files of other in .venv are missing or changed; repairing."
    assert second.startswith("The repair of .venv failed, so the course starts as it is: pip ")
    assert (site / "other-1.dist-info/RECORD").exists()
    assert (site / "other/code.py").read_text() == "a = 1\n# mine\n"


BROKEN = {
    "what it imports": lambda site, name: (site / name / "__init__.py").write_text("import no_\n"),
    "its first file": lambda site, name: (site / name / "__init__.py").unlink(),
    "its folder": lambda site, name: shutil.rmtree(site / name),
    "the record": lambda site, name: (site / f"{name}-1.dist-info/RECORD").unlink(),
    "pip's note": lambda site, name: shutil.rmtree(site / f"{name}-1.dist-info"),
    "its folder and the record": lambda site, name: [
        shutil.rmtree(site / name),
        (site / f"{name}-1.dist-info/RECORD").unlink(),
    ],
}


@pytest.mark.parametrize("what", ["nothing", "a file that it does not import", *BROKEN])
def test_what_can_not_be_imported_is_not_usable(ready, site, monkeypatch, what):
    """Python would import a folder without its first file."""
    monkeypatch.chdir(ready)
    if what in BROKEN:
        BROKEN[what](site, "other")
    elif what != "nothing":
        (site / "other/code.py").write_text("import no_\n")
    about = next(site.glob("other-*"), environment.MISSING)
    assert environment.is_usable(about) == (what not in BROKEN)


def test_without_a_network_a_course_that_can_not_be_imported_is_one_sentence(ready, site, offline):
    BROKEN["its first file"](site, "other")
    said = refused(ready, offline)
    assert said.startswith("ganbook: files of other in .venv are missing or changed: pip could")
    assert said.count("\n") == 1
    (site / "other/__init__.py").write_text(files_of("other")["other/__init__.py"])
    assert set_up(ready, offline) == ""


def test_a_package_that_pip_does_not_list_is_installed(ready, site, offline):
    """As after `pip uninstall`."""
    for path in [*site.glob("other*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_wheel(offline["PIP_FIND_LINKS"], "other", files=files_of("other"))
    said = set_up(ready, offline)
    assert said.startswith("Files of other in .venv are missing or changed; repairing.\n")
    assert "Installed 1 package in" in said and (site / "other/deep/more.so").exists()
    assert set_up(ready, offline) == ""


def test_broken_packages_come_in_the_version_of_a_new_constraint(ready, site, offline):
    """Those that were installed are on no index any more."""
    ways = {"p1": "its folder", "p2": "its folder and the record", "p3": "pip's note"}
    for name, what in ways.items():
        BROKEN[what](site, name)
        files = {f"{name}/__init__.py": "2"}
        write_wheel(offline["PIP_FIND_LINKS"], name, files=files, version="2")
    write_project(ready, requires=ways, pins=[f"{name}==2" for name in ways])
    assert "Installed" in set_up(ready, offline)
    for name in ways:
        assert (site / name / "__init__.py").read_text() == "2"
        assert [about.name for about in site.glob(f"{name}-*")] == [f"{name}-2.dist-info"]
    assert set_up(ready, offline) == ""


@pytest.mark.parametrize("gone, changed", [("RECORD", False), ("direct_url.json", True)])
def test_the_package_of_the_course_comes_from_the_course(
    ready, site, offline, tmp_path, gone, changed
):
    """It does so without an index, and where one has a foreign package of its name."""
    (ready / ".venv/mark").touch()
    write_wheel(tmp_path, "stub", files={"foreign.py": ""}, version="1")
    (site / "stub-1.dist-info" / gone).unlink()
    if changed:
        with open(ready / "constraints.txt", "a") as file:
            file.write("\n# changed")
    assert "Installed" in set_up(ready, offline | {"PIP_FIND_LINKS": str(tmp_path)})
    assert (site / "stub-1.dist-info/direct_url.json").exists()
    assert (ready / ".venv/mark").exists() and not (site / "foreign.py").exists()
    assert set_up(ready, offline) == ""


def test_a_package_of_the_readers_own_is_left_alone(ready, site, offline):
    """Half deleted, on no index any more, and not among the course's since that was changed.

    The course has two packages of one file now; the one that is never whole is not mended for ever.
    """
    for name in ("one", "two"):
        files = {"shared/__init__.py": "1" * (name == "two")}
        write_wheel(offline["PIP_FIND_LINKS"], name, files=files)
    write_project(ready, requires=["one", "two"], pins=["one==1", "two==1"])
    for lost in ("p1_module.py", "p1-1.dist-info/RECORD"):
        (site / lost).unlink()
        said = set_up(ready, offline)
        assert "p1" not in said and "repairing" not in said
        assert (site / "p1/code.py").exists() and set_up(ready, offline) == ""


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
def test_a_course_on_a_read_only_disk_starts(ready, site, offline, state):
    settings = ready / ".venv/share/jupyter/lab/settings/overrides.json"
    if state == "other settings":
        settings.write_text("{}")
    elif state == "a changed package":
        edit(site / "other/code.py")
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


def test_a_venv_may_be_a_link_to_a_larger_disk(course, tmp_path, monkeypatch):
    """It is made there; pip, which takes seconds, is left out."""
    disk, venv = tmp_path / "disk", course / ".venv"
    venv.symlink_to(disk)
    monkeypatch.chdir(course)
    with pytest.raises(SystemExit, match=f"^ganbook: .venv is a link to {disk}, not a folder: del"):
        environment.make_venv()
    disk.mkdir()

    def run(command, **options):
        return environment_pip.run([*command, "--without-pip"], **options)

    monkeypatch.setattr(environment, "run", run)
    environment.make_venv()
    assert venv.is_symlink() and (disk / "bin/python").exists()


def test_a_course_whose_venv_is_a_link_is_ready(ready, offline, tmp_path):
    (ready / ".venv").rename(tmp_path / "disk")
    (ready / ".venv").symlink_to(tmp_path / "disk")
    assert set_up(ready, offline) == ""


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


def test_a_package_that_the_reader_renews_stays(ready, site, offline):
    """Files whose names change with a version are not missed."""
    write_wheel(offline["PIP_FIND_LINKS"], "other", files=files_of("other", "2"), version="2")
    pip = [ready / ".venv/bin/python", "-m", "pip", "install", "-q", "other==2"]
    subprocess.run(pip, env=offline, check=True)
    assert set_up(ready, offline) == "" and not (site / "other.libs/1.so").exists()
    (site / "other.libs/2.so").unlink()
    assert "repairing." in set_up(ready, offline) and (site / "other.libs/2.so").exists()


def test_compiled_files_are_not_missed(ready, site, offline):
    compiled = list(site.rglob("*.pyc"))
    for file in compiled:
        file.unlink()
    assert compiled and set_up(ready, offline) == ""
