"""pip is there, and does what it is asked, whatever it and Python are told from outside."""

import contextlib
import shutil
import subprocess

import pytest
from courses import PACKAGES, refused, set_up, write_project, write_wheel

pytest.importorskip("fcntl", reason="environment.py is not for Windows")
import environment  # noqa: E402
import environment_pip  # noqa: E402


def test_a_broken_pip_comes_back_without_a_network_and_nothing_else_goes(ready, offline):
    (site,) = ready.glob(".venv/lib/*/site-packages")
    (ready / ".venv/mark").touch()
    (site / "pip/_internal/commands/install.py").unlink()  # so that it starts, and fails
    next(site.glob("pip-*.dist-info/RECORD")).unlink()
    said = set_up(ready, offline | {"PIP_FIND_LINKS": ""})
    assert said == "Files of pip in .venv are missing or changed; repairing.\n"
    pip = [ready / ".venv/bin/python", "-m", "pip", "--version"]
    subprocess.run(pip, env=offline, check=True, stdout=subprocess.DEVNULL)
    assert set_up(ready, offline) == "" and (ready / ".venv/mark").exists()


def test_where_pip_alone_is_gone_nothing_else_is_installed(ready, monkeypatch, capsys):
    calls = []
    monkeypatch.chdir(ready)
    monkeypatch.setattr(environment_pip, "ensure_pip", lambda broken: calls.append(broken))
    shutil.rmtree(next(ready.glob(".venv/lib/*/site-packages/pip-*.dist-info")))
    assert not environment.repair("lab", {"pip", *PACKAGES}, ready=True) and calls == [True]
    said = capsys.readouterr().out
    assert said == "Files of pip in .venv are missing or changed; repairing.\n"


def test_a_venv_without_pip_gets_one(ready, offline):
    """As `uv venv` makes it."""
    (site,) = ready.glob(".venv/lib/*/site-packages")
    for path in (*site.glob("pip*"), *ready.glob(".venv/.*-ready")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = set_up(ready, offline)
    assert "Making" not in said and "Installed" in said and set_up(ready, offline) == ""


def test_what_went_wrong_in_pip_is_the_end_of_its_traceback():
    said = "ERROR: Exception:\nTraceback (most recent call last):\n  x\nDeprecationWarning: old\n"
    assert environment_pip.complaint(said) == "DeprecationWarning: old"
    assert environment_pip.complaint(said + "ERROR: no such package") == "no such package"


def test_nothing_outside_keeps_a_package_out_of_the_venv(ready, offline, tmp_path):
    """Each of these variables alone would, and each setting of pip's file."""
    elsewhere, file = tmp_path / "elsewhere", tmp_path / "pip.conf"
    (elsewhere / "whole-1.dist-info").mkdir(parents=True)  # for pip it would be installed
    (elsewhere / "whole-1.dist-info/METADATA").write_text("Name: whole\nVersion: 1\n")
    file.write_text("[install]\ndry-run = true\nno-deps = true\n")
    outside = {"PIP_CONFIG_FILE": str(file), "PIP_PYTHON": str(elsewhere / "python")}
    outside |= dict.fromkeys(["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONPATH"], str(elsewhere))
    switches = "PIP_DRY_RUN PIP_USER PIP_NO_DEPS PIP_NO_DEPENDENCIES PIP_QUIET".split()
    switches += ["PYTHONSAFEPATH"]
    outside |= dict.fromkeys(switches, "1") | {"PYTHONWARNINGS": "error"}
    outside |= {"PIP_LOG": str(elsewhere / "log"), "PIP_VERBOSE": "3"}
    write_wheel(offline["PIP_FIND_LINKS"], "whole", files={"whole.py": ""}, requires=["deep"])
    write_wheel(offline["PIP_FIND_LINKS"], "deep")
    (site,) = ready.glob(".venv/lib/*/site-packages")
    write_project(ready, requires=["whole"])
    set_up(ready, offline | outside)
    assert (site / "whole.py").exists() and (site / "deep-1.dist-info").exists()
    log = (ready / ".venv/pip.log").read_text()
    assert "Installing collected packages" in log and "Found link" not in log
    assert not (elsewhere / "log").exists()
    assert set_up(ready, offline) == ""


def test_a_target_in_a_file_of_pip_is_reported(ready, offline, tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text(f"[install]\ntarget = {tmp_path / 'elsewhere'}\n")
    write_wheel(offline["PIP_FIND_LINKS"], "new_one")
    write_project(ready, requires=["new-one"])
    said = refused(ready, offline | {"PIP_CONFIG_FILE": str(file)})
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
