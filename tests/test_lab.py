"""lab/: what environment.py lays into .venv for JupyterLab, and what stays the reader's."""

import json
import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYOUT = Path("share/jupyter/lab/workspaces/default-37a8.jupyterlab-workspace")


@pytest.fixture
def settle(tmp_path, monkeypatch):
    """`settle()` in a course that has nothing but lab/: fills its .venv, and returns it."""
    shutil.copytree(ROOT / "lab", tmp_path / "lab")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    function = runpy.run_path(str(ROOT / "environment.py"))["settle"]
    return lambda: function() or tmp_path / ".venv"


def test_everything_under_lab_lies_in_the_venv(settle):
    venv = settle()
    for path in filter(Path.is_file, (ROOT / "lab").rglob("*")):
        assert (venv / path.relative_to(ROOT / "lab")).read_bytes() == path.read_bytes()
    assert json.loads((venv / "share/jupyter/lab/settings/overrides.json").read_text())


def test_a_layout_of_the_readers_stays_and_the_rest_follows_the_course(settle):
    venv = settle()
    kernel = venv / "etc/ipython/ipython_kernel_config.py"
    (venv / LAYOUT).write_text("mine"), kernel.write_text("old")
    settle()
    assert (venv / LAYOUT).read_text() == "mine"
    assert kernel.read_bytes() == (ROOT / "lab/etc/ipython/ipython_kernel_config.py").read_bytes()


def test_the_first_layout_has_the_table_of_contents_open():
    left = json.loads((ROOT / "lab" / LAYOUT).read_text())["data"]["layout-restorer:data"]["left"]
    assert left["current"] == "@jupyterlab/toc:plugin" and not left["collapsed"]


def test_a_kernel_of_the_venv_says_what_the_notebooks_of_the_course_say():
    from ipykernel.ipkernel import IPythonKernel

    said = dict(IPythonKernel.language_info)
    try:
        runpy.run_path(str(ROOT / "lab/etc/ipython/ipython_kernel_config.py"))
        said, before = dict(IPythonKernel.language_info), said
    finally:
        IPythonKernel.language_info.update(before)
    for path in [*ROOT.glob("chapters/[0-9]*.ipynb"), *ROOT.glob("solutions/[0-9]*.ipynb")]:
        assert json.loads(path.read_text("utf-8"))["metadata"]["language_info"] == said
