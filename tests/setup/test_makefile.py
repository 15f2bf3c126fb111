"""What the targets of the Makefile and .ci/run do."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from courses import CLEAN, ROOT, make, needs_make, script

pytest.importorskip("fcntl", reason="make and environment.py are not for Windows")
import environment  # noqa: E402


@needs_make
def test_bare_make_prints_the_targets(course):
    done = make(course, env=CLEAN)
    names = ("lab", "test", "gpu", "notebooks", "lint")
    assert done.returncode == 0 and all(f"make {name} " in done.stdout for name in names)
    assert not (course / ".venv").exists()


@needs_make
@pytest.mark.parametrize("named", [True, False])
def test_python_too_old(course, tmp_path, named):
    tools = tmp_path / "tools"
    tools.mkdir()
    pretend = "import sys; sys.version_info = (3, 10, 19); exec(sys.argv[2])"
    old = script(
        tools / "python3",
        '[ "$1" = --version ] && echo Python 3.10.19 && exit',
        f'exec "{sys.executable}" -c "{pretend}" "$@"',
    )
    for tool in ("sh", "make"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = make(course, "lab", env={"PATH": str(tools)} | ({"PYTHON": str(old)} if named else {}))
    assert done.returncode != 0 and not (course / ".venv").exists()
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    name = str(old) if named else "python3"
    assert (
        len(said) == 1
        and f"needs Python 3.11 or newer, and found {name} (Python 3.10.19); install one" in said[0]
    )


@needs_make
def test_no_python(course):
    done = make(course, "test", env=CLEAN | {"PYTHON": "python3.99"})
    assert done.returncode != 0 and "found none called python3.99; install one" in done.stderr


@needs_make
def test_a_python_in_a_folder_with_spaces(course, tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    python = script(folder / "python3", "exit 0")
    assert make(course, "lint", env=CLEAN | {"PYTHON": str(folder / "none")}).stderr.startswith(
        f"ganbook: the course needs Python 3.11 or newer, and found none called {folder}/none;"
    )
    done = make(course, "-n", "lint", env=CLEAN | {"PYTHON": str(python)})
    said = make(course, "lint", env=CLEAN | {"PYTHON": str(python)}).stderr
    assert done.returncode == 0 and "needs Python" not in said


@needs_make
def test_python_without_venv(course, tmp_path):
    without = (
        "import runpy, sys; sys.modules['ensurepip'] = None; del sys.argv[0];"
        " runpy.run_path('environment.py')"
    )
    main = without.replace("'environment.py'", "'environment.py', run_name='__main__'")
    python = script(
        tmp_path / "python",
        f'[ "$1" = environment.py ] || exec "{sys.executable}" "$@"',
        f'"{sys.executable}" -c "{main}" x "$@"',
    )
    done = make(course, "lab", env=CLEAN | {"PYTHON": str(python)})
    assert done.returncode != 0 and "can't make a virtual environment" in done.stderr
    assert "Traceback" not in done.stderr


def stamp_as_ready():
    for purpose in ("lab", "test"):
        environment.stamp(purpose).write_text(environment.fingerprint(tuple(sys.version_info[:3])))


@pytest.fixture
def stand_in(course, monkeypatch):
    site = course / ".venv/lib/python3/site-packages"
    for folder in (site, course / ".venv/bin"):
        folder.mkdir(parents=True)
    answer = json.dumps([*sys.version_info[:3], "lib/python3/site-packages"])
    script(
        course / ".venv/bin/python",
        f"[ \"$1\" = -I ] && echo '{answer}' && exit",
        'echo "TQDM_DISABLE=$TQDM_DISABLE $*"',
        'case "$*" in *"$BREAKS"*) exit 1;; esac',
    )
    monkeypatch.chdir(course)
    stamp_as_ready()
    return course


PARTS = ["ruff check", "ruff format --check", "pytest --nbval-lax"]


@needs_make
@pytest.mark.parametrize("breaks", [*PARTS, "nothing"])
def test_make_test_runs_everything_whatever_fails(stand_in, breaks):
    done = make(stand_in, "test", env=CLEAN | {"BREAKS": breaks})
    assert (done.returncode == 0) == (breaks == "nothing")
    ran = [part for part in PARTS if f"-m {part}" in done.stdout]
    assert ran == (
        [part for part in PARTS if part != "ruff format --check"]
        if breaks == "ruff check"
        else PARTS
    )
    assert (
        "TQDM_DISABLE=1 -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=1800"
        in done.stdout
    )
    assert "tests/test_browser.py chapters tests solutions" in done.stdout


@needs_make
@pytest.mark.parametrize(
    "user, system, screen, flags",
    [
        ("0", "Linux", {"DISPLAY": ":0"}, ["--allow-root", "--no-browser"]),
        ("1000", "Linux", {}, ["--no-browser"]),
        ("1000", "Linux", {"DISPLAY": ":0"}, []),
        ("1000", "Linux", {"WAYLAND_DISPLAY": "wayland-0"}, []),
        ("1000", "Linux", {"BROWSER": "firefox"}, []),
        ("501", "Darwin", {}, []),
    ],
)
def test_make_lab_opens_a_browser_only_where_there_is_a_screen(
    stand_in, tmp_path, user, system, screen, flags
):
    script(tmp_path / "id", f"echo {user}")
    script(tmp_path / "uname", f"echo {system}")
    env = {k: v for k, v in CLEAN.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
    done = make(
        stand_in, "lab", env=env | screen | {"PATH": f"{tmp_path}:{env['PATH']}", "BREAKS": "-"}
    )
    asked = done.stdout.split()
    assert [flag for flag in asked if flag in ("--allow-root", "--no-browser")] == flags
    assert "--ServerApp.ip=127.0.0.1" in asked and f"--ServerApp.root_dir={stand_in}" in done.stdout
    assert "--LabApp.default_url=/lab/tree/chapters/00_start_here.ipynb" in asked


@needs_make
def test_ci_installs_chromium_only_where_it_can(stand_in, tmp_path):
    ci = stand_in / ".ci/run"
    ci.parent.mkdir()
    shutil.copy(ROOT / ".ci/run", ci)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env"):
        (tools / tool).symlink_to(shutil.which(tool))
    for tool in ("apt-get", "make"):
        script(tools / tool, f'echo {tool} "$@" >> "{tmp_path}/log"')

    def log(user):
        script(tools / "id", f"echo {user}")
        (tmp_path / "log").write_text("")
        subprocess.run([ci], env={"PATH": str(tools)}, stdin=subprocess.DEVNULL, check=True)
        return (tmp_path / "log").read_text().splitlines()

    assert [line.split()[0] for line in log("0")] == ["apt-get", "apt-get", "make"]
    assert log("1000") == ["make test"]
    script(tools / "chromium")
    assert log("0") == ["make test"]


# --- JupyterLab itself


@needs_make
def test_make_lab_serves_on_loopback_with_a_token_and_touches_nothing_of_the_user(
    course, offline, tmp_path, monkeypatch
):
    # A .venv that is ready but for its settings; it borrows the packages of this process.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course / ".venv"], check=True)
    (site,) = (course / ".venv/lib").glob("*/site-packages")
    (site / "borrowed.pth").write_text(
        str(Path(importlib.util.find_spec("jupyterlab").origin).parents[1])
    )
    shutil.copytree(Path(sys.prefix, "share/jupyter"), course / ".venv/share/jupyter")
    shutil.rmtree(course / ".venv/share/jupyter/lab/settings", ignore_errors=True)
    monkeypatch.chdir(course)
    stamp_as_ready()
    (course / "chapters").mkdir()
    (course / "chapters/00_start_here.ipynb").write_text(
        '{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}'
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    home = tmp_path / "home"
    home.mkdir()
    env = {
        k: v
        for k, v in offline.items()
        if k not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "PYTHONPATH")
    }
    env |= {"HOME": str(home), "JUPYTER_PORT": str(port)}
    if sys.platform != "linux":
        env["BROWSER"] = "true"

    said = tmp_path / "said"
    with open(said, "w") as file:
        lab = subprocess.Popen(
            ["make", "lab"],
            cwd=course,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        address = (
            rf"http://127\.0\.0\.1:{port}/lab/tree/chapters/00_start_here\.ipynb\?token=(\w{{32,}})"
        )
        for _ in range(3000):
            if (found := re.search(address, said.read_text())) or lab.poll() is not None:
                break
            time.sleep(0.1)
        assert found and "Making .venv" not in said.read_text(), said.read_text()
        for _ in range(3000):  # the address is printed a moment before the server listens
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(("127.0.0.1", port)),
            ):
                break
            time.sleep(0.1)

        def get(path, token="", **options):
            headers = {"Authorization": f"token {token}"}
            url = f"http://127.0.0.1:{port}{path}"
            return urllib.request.urlopen(urllib.request.Request(url, headers=headers, **options))

        with pytest.raises(urllib.error.HTTPError, match="403"):
            get("/api/status")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get("/api/status", "0" * 48)
        assert get("/api/status", found[1]).status == 200
        assert b"00_start_here.ipynb" in get("/api/contents/chapters", found[1]).read()
        setting = json.load(
            get("/lab/api/settings/@jupyterlab/apputils-extension:notification", found[1])
        )
        defaults = {
            name: entry.get("default") for name, entry in setting["schema"]["properties"].items()
        }
        assert defaults["fetchNews"] == "false" and defaults["checkForUpdates"] is False
        get(
            "/lab/api/workspaces/w",
            found[1],
            method="PUT",
            data=b'{"data": {}, "metadata": {"id": "w"}}',
        )
        other = socket.socket(socket.AF_INET)
        other.bind(
            ("127.0.0.2" if sys.platform == "linux" else "", port)
        )  # refused if the server had every address
        other.close()
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(300)
    left = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    assert not [
        path
        for path in left
        if re.search("kernels|user-settings|workspaces|jupyter_.*config", path)
    ], left
