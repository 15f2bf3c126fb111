"""Copies of the course that have little to install, from a folder of wheels made here."""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")

OURS = ("MAKE", "MFLAGS", "PIP_", "PYTHON", "JUPYTER", "CI", "GANBOOK_")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}

PACKAGES = ["other", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"]  # in the course that is ready


def without_network(wheels: Path) -> dict[str, str]:
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    return CLEAN | pip | {"PYTHON": sys.executable, "HOME": str(wheels)}


def files_of(name: str, version: str = "1") -> dict[str, str]:
    """The files in the wheel of one of PACKAGES."""
    return {
        f"{name}/__init__.py": "import math\n",
        f"{name}/code.py": "a = 1\n",
        f"{name}/deep/more.so": "",
        f"{name}/cacert.pem": "a certificate\n",
        f"{name}/settingsrc": "settings\n",
        f"{name}_module.py": "",
        f"{name}.libs/{version}.so": "",
        f"{name}-{version}.data/data/share/{name}.json": "{}\n",
        f"{name}-{version}.data/data/etc/{name}.py": "c = 1\n",
    }


def write_wheel(folder, name, requires=(), files=None, version="1") -> str:
    """A package that says it is installed before its files are there, as if pip was cut off."""
    import zipfile

    about = {
        "METADATA": "\n".join(
            [
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
                *map("Requires-Dist: {}".format, requires),
            ]
        ),
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content = {f"{name}-{version}.dist-info/{file}": text for file, text in about.items()} | (
        files or {}
    )
    content[f"{name}-{version}.dist-info/RECORD"] = "".join(
        f"{file},,{len(text)}\n" for file, text in content.items()
    )
    with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in content.items():
            archive.writestr(file, text)
    return f"{name}-{version}-py3-none-any.whl"


BACKEND = f"""
import tomllib

{inspect.getsource(write_wheel)}

def build_editable(folder, config_settings=None, metadata_directory=None):
    project = tomllib.load(open("pyproject.toml", "rb"))["project"]
    return write_wheel(folder, "stub", project["dependencies"])
"""


def write_project(course: Path, requires=(), builders=(), pins=()) -> None:
    """pyproject.toml and constraints.txt: only packages with a pin are repaired."""
    build = f"requires = {list(builders)}\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    project = (
        f"name = 'stub'\nversion = '1'\ndependencies = {list(requires)}\n"
        "optional-dependencies.dev = []\n"
    )
    (course / "pyproject.toml").write_text(f"[build-system]\n{build}[project]\n{project}")
    (course / "constraints.txt").write_text("\n".join(pins))


def copied(course: Path) -> Path:
    course.mkdir()
    for name in ("Makefile", "environment.py", "environment_pip.py"):
        shutil.copy(ROOT / name, course)
    shutil.copytree(ROOT / "lab", course / "lab")
    (course / "backend.py").write_text(BACKEND)
    write_project(course)
    return course


def set_up(course, env, purpose="lab") -> str:
    done = subprocess.run(
        [sys.executable, "environment.py", purpose],
        cwd=course,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def refused(course, env) -> str:
    """What a set-up that fails writes to stderr."""
    command = [sys.executable, "environment.py", "lab"]
    done = subprocess.run(command, cwd=course, env=env, text=True, capture_output=True)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    return done.stderr


def make(course, *arguments, env):
    return subprocess.run(["make", *arguments], cwd=course, env=env, text=True, capture_output=True)


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path
