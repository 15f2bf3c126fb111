"""Each package is in .venv and whole, whatever pip and Python are told from outside."""

import shutil
import sys

import pytest
from courses import refused, set_up, write_project, write_wheel

pytest.importorskip("fcntl", reason="environment.py is not for Windows")


def test_a_broken_pip_is_made_anew(ready, offline):
    (site,) = ready.glob(".venv/lib/*/site-packages")
    (site / "pip/_internal/commands/install.py").unlink()
    assert "Nothing can mend pip itself" in set_up(ready, offline)
    assert set_up(ready, offline) == ""


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
    """The switches are overruled; a target is said."""
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
