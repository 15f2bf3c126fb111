"""Three lists of packages that agree: for pip, for conda, and the versions that CI has run."""

import importlib.metadata
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import ganbook

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def bounds(requirements) -> dict[str, str]:
    return {
        requirement.name: str(requirement.specifier)
        for requirement in map(Requirement, requirements)
    }


def conda_specs() -> list[str]:
    return [entry for entry in CONDA["dependencies"] if isinstance(entry, str)]


def conda_bounds() -> dict[str, str]:
    """The specs as `name >=1.2`, the one form that the file uses, under the names of pip."""
    found = {}
    for entry in conda_specs():
        parsed = re.fullmatch(r"([a-z0-9][a-z0-9._-]*)(?: (>=\d+(?:\.\d+)*))?", entry)
        assert parsed, f"environment.yml: {entry!r} is not of the form `name` or `name >=1.2`"
        found[CONDA_NAMES.get(parsed[1], parsed[1])] = parsed[2] or ""
    return found


def pins() -> dict[str, str]:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines), "constraints.txt pins a package twice"
    return {canonicalize_name(name): version for name, version in found.items()}


def test_conda_and_pip_ask_for_the_same_packages():
    expected = bounds(PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"])
    expected |= {"python": PROJECT["project"]["requires-python"], "pip": ""}
    assert conda_bounds() == expected
    assert len(conda_specs()) == len(conda_bounds()), "environment.yml names a package twice"


def test_conda_forge_alone_and_nothing_from_pip_but_the_package():
    assert CONDA["name"] == "ganbook" and CONDA["channels"] == ["conda-forge", "nodefaults"]
    (pip,) = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    assert pip == ["--no-binary=torch", "-e ."]


def test_every_requirement_has_a_pin_within_its_range():
    project = PROJECT["project"]
    asked = (
        project["dependencies"]
        + project["optional-dependencies"]["dev"]
        + PROJECT["build-system"]["requires"]
    )
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(pins()[requirement.name]), requirement
    assert pins()["torch"] == "2.13.0"


def test_readme_names_the_pinned_torch():
    assert re.findall(r"torch==(\S+)", (ROOT / "README.md").read_text()) == [pins()["torch"]]


def test_pins_serve_every_platform():
    assert not any("+" in version for version in pins().values()), (
        "a local build exists on one index only"
    )
    assert not any(name.startswith(("nvidia-", "cuda-", "triton")) for name in pins())


def test_pins_serve_the_oldest_python():
    oldest = re.search(r"[\d.]+", PROJECT["project"]["requires-python"])[0] + ".0"
    needs = {
        name: distribution.metadata["Requires-Python"]
        for distribution in importlib.metadata.distributions()
        if pins().get(name := canonicalize_name(distribution.name))
        == distribution.version.split("+")[0]
    }
    if len(needs) < 100:
        pytest.skip("this environment has other versions than constraints.txt, so it can't tell")
    assert [
        name for name, range in needs.items() if range and not SpecifierSet(range).contains(oldest)
    ] == []


def test_installed_are_the_pinned():
    if not Path(sys.prefix, ".test-ready").exists():
        pytest.skip("not in a .venv that `make test` has made")
    installed = {
        canonicalize_name(d.name): d.version.split("+")[0]
        for d in importlib.metadata.distributions()
    }
    assert {
        name: version for name, version in installed.items() if pins().get(name, version) != version
    } == {}
    if os.environ.get("CI"):
        free = {
            name
            for name in set(installed) - set(pins())
            if not name.startswith(("nvidia-", "cuda-", "triton"))
        }
        assert free == {"ganbook", "pip"}, "packages without a pin"


def test_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == ganbook.__version__
    assert citation["license"] == PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
