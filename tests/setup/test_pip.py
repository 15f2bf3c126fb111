"""pip is there, and does what it is asked, whatever it and Python are told from outside."""

import contextlib
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


def test_warnings_that_are_errors_do_not_stop_pip(ready, offline):
    (ready / "constraints.txt").write_text("# changed")
    assert "Installed" in set_up(ready, offline | {"PYTHONWARNINGS": "error"})


def test_what_went_wrong_in_pip_is_the_end_of_its_traceback():
    said = "ERROR: Exception:\nTraceback (most recent call last):\n  x\nDeprecationWarning: old\n"
    assert environment_pip.complaint(said) == "DeprecationWarning: old"
    assert environment_pip.complaint(said + "ERROR: no such package") == "no such package"


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


@pytest.mark.parametrize("fails", [True, False])
def test_what_pip_noted_goes_only_when_ensurepip_has_put_a_new_one_there(
    tmp_path, monkeypatch, fails
):
    def run(command, **options):
        assert not any(tmp_path.glob("pip-*.dist-info")), "pip would count as installed"
        return subprocess.CompletedProcess(command, int(fails), "", "no space left")

    for name in ("pip-1.dist-info", "pip-0.dist-info.old"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(environment_pip, "site", lambda: tmp_path)
    monkeypatch.setattr(environment_pip, "run", run)
    with pytest.raises(SystemExit, match="no space left") if fails else contextlib.nullcontext():
        environment_pip.ensure_pip(broken=True)
    left = [path.name for path in tmp_path.iterdir()]
    assert left == ["pip-1.dist-info"] * fails
