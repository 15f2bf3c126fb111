"""A course without .venv, and one that is ready."""

import os
import shutil
import stat

import pytest
from courses import PACKAGES, copied, files_of, set_up, without_network, write_project, write_wheel


@pytest.fixture
def offline(tmp_path):
    """An environment in which pip has the wheels in one folder, none yet, and no network."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    return without_network(wheels)


@pytest.fixture
def course(tmp_path):
    """A copy with no .venv, in a folder with a space in its name."""
    return copied(tmp_path / "the course")


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """A course whose `python -m venv` was killed, made ready by the next call, and what that said.

    Beside it lies a copy, from which `ready` restores it: pip would take seconds.
    """
    folder, wheels = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("wheels")
    course = copied(folder / "kürs 日本")
    write_project(course, PACKAGES, pins=[f"{name}==1" for name in PACKAGES])
    for name in PACKAGES:
        write_wheel(wheels, name, files=files_of(name))
    (course / ".venv/bin").mkdir(parents=True)
    (course / ".venv/bin/other").touch()
    (course / ".venv/pyvenv.cfg").touch()
    said = set_up(course, without_network(wheels))
    shutil.copytree(course, course.with_name("saved"), symlinks=True)
    return course, said


@pytest.fixture
def ready(first):
    """A course that is ready for `make lab`; of its packages there are no wheels any more."""
    restore(first[0], first[0].with_name("saved"))
    return first[0]


def restore(folder, saved):
    """Make a folder what the saved one is, by what differs: few of its 1,600 files."""
    now, then = contents(folder), contents(saved)
    differ = [path for path in now.keys() | then.keys() if now.get(path) != then.get(path)]
    for path in sorted(now.keys() & differ, reverse=True):  # a folder after what is in it
        (os.rmdir if now[path] == "folder" else os.unlink)(folder / path)
    for path in sorted(then.keys() & differ):
        if then[path] == "folder":
            os.mkdir(folder / path)
        else:
            shutil.copy2(saved / path, folder / path, follow_symlinks=False)


def contents(folder):
    """What is in a folder, by its path there, with what changes when a file or link is written."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in folders + files:
            about = os.lstat(path := os.path.join(top, name))
            written = about.st_mode, about.st_size, about.st_mtime_ns
            inside = path.removeprefix(f"{folder}/")
            found[inside] = "folder" if stat.S_ISDIR(about.st_mode) else written
    return found
