"""A course without .venv, and one that is ready."""

import os
import sys

import pytest
from courses import CLEAN, copied, set_up, write_project


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """An environment in which pip has the wheels in one folder, and no network."""
    folder = tmp_path_factory.mktemp("offline")
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
    return CLEAN | pip | {"PYTHON": sys.executable, "HOME": str(folder)}


@pytest.fixture
def course(tmp_path):
    """A copy with no .venv, in a folder with a space in its name."""
    return copied(tmp_path / "the course")


@pytest.fixture(scope="module")
def first(tmp_path_factory, offline):
    """A course whose `python -m venv` was killed, and what the next call said."""
    course = copied(tmp_path_factory.mktemp("first") / "kürs 日本")
    (course / ".venv/bin").mkdir(parents=True)
    (course / ".venv/bin/other").touch()
    (course / ".venv/pyvenv.cfg").touch()
    return course, set_up(course, offline)


@pytest.fixture
def ready(first, offline):
    """The same course, ready for `make lab`."""
    write_project(first[0])
    set_up(first[0], offline)
    return first[0]
