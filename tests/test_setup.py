"""The set-up: three lists of packages that agree, and a Makefile that makes, mends, explains."""

import contextlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import ganbook

pytest.importorskip("fcntl", reason="make and environment.py are not for Windows")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}

spec = importlib.util.spec_from_file_location("environment", ROOT / "environment.py")
environment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(environment)


# --- Three lists of packages


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


# --- The Makefile, in copies of the course that have nothing to install

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")

CLEAN = {
    k: v
    for k, v in os.environ.items()
    if not k.startswith(("MAKE", "MFLAGS", "PIP_", "PYTHON", "JUPYTER", "CI"))
}


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """An environment in which pip has the wheels in one folder, and no network."""
    folder = tmp_path_factory.mktemp("offline")
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
    return CLEAN | pip | {"PYTHON": sys.executable, "HOME": str(folder)}


def write_wheel(folder, name, requires=(), files=None) -> str:
    """A package that says it is installed before its files are there.

    What a cut-off pip leaves of it looks whole.
    """
    import zipfile

    about = {
        "METADATA": "\n".join(
            [
                f"Metadata-Version: 2.1\nName: {name}\nVersion: 1",
                *map("Requires-Dist: {}".format, requires),
            ]
        ),
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content = {f"{name}-1.dist-info/{file}": text for file, text in about.items()} | (files or {})
    content[f"{name}-1.dist-info/RECORD"] = "".join(f"{file},,\n" for file in content)
    with zipfile.ZipFile(f"{folder}/{name}-1-py3-none-any.whl", "w") as archive:
        for file, text in content.items():
            archive.writestr(file, text)
    return f"{name}-1-py3-none-any.whl"


BACKEND = f"""
import tomllib

{inspect.getsource(write_wheel)}

def build_editable(folder, config_settings=None, metadata_directory=None):
    project = tomllib.load(open("pyproject.toml", "rb"))["project"]
    return write_wheel(folder, "stub", project["dependencies"])
"""


def write_project(course: Path, requires=(), builders=()) -> None:
    build = f"requires = {list(builders)}\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    project = (
        f"name = 'stub'\nversion = '1'\ndependencies = {list(requires)}\n"
        "optional-dependencies.dev = []\n"
    )
    (course / "pyproject.toml").write_text(f"[build-system]\n{build}[project]\n{project}")


def copied(course: Path) -> Path:
    course.mkdir()
    for name in ("Makefile", "environment.py"):
        shutil.copy(ROOT / name, course)
    (course / "backend.py").write_text(BACKEND)
    (course / "constraints.txt").write_text("")
    write_project(course)
    return course


@pytest.fixture
def course(tmp_path):
    """A copy with no .venv, in a folder with a space in its name."""
    return copied(tmp_path / "the course")


@pytest.fixture(scope="module")
def first(tmp_path_factory, offline):
    """A course in which a .venv that doesn't start was found, and what the first call said."""
    course = copied(tmp_path_factory.mktemp("first") / "the course")
    (course / ".venv/bin").mkdir(parents=True)
    (course / ".venv/bin/python").symlink_to("/nowhere/python3")
    (course / ".venv/bin/other").touch()
    return course, set_up(course, offline)


@pytest.fixture
def ready(first, offline):
    """The same course, ready for `make lab`."""
    write_project(first[0])
    (first[0] / "constraints.txt").write_text("")
    set_up(first[0], offline)
    return first[0]


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


def make(course, *arguments, env):
    return subprocess.run(["make", *arguments], cwd=course, env=env, text=True, capture_output=True)


@needs_make
def test_bare_make_prints_the_targets(course):
    done = make(course, env=CLEAN)
    assert done.returncode == 0 and all(
        f"make {name} " in done.stdout for name in ("lab", "test", "notebooks", "lint")
    )
    assert not (course / ".venv").exists()


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


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


def test_first_call_replaces_a_venv_that_does_not_start(first):
    """As after an upgrade that took its Python away, or a killed `python -m venv`."""
    course, said = first
    assert "does not start" in said and "Installing" in said
    assert not (course / ".venv/bin/other").exists() and not (course / ".venv/.unfinished").exists()


def test_second_call_is_quick(ready, offline):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert set_up(ready, offline) == ""
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def test_test_adds_to_lab(ready, offline):
    mark = ready / ".venv/mark"
    mark.touch()
    (ready / ".venv/.lab-ready").unlink()
    assert "Installing" in set_up(ready, offline, "test") and mark.exists()
    assert set_up(ready, offline, "test") == set_up(ready, offline, "lab") == ""


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_installs_again_into_the_same_venv(ready, offline, name):
    mark = ready / ".venv/mark"
    mark.touch()
    with open(ready / name, "a") as file:
        file.write("\n# changed\n")
    assert "Installing" in set_up(ready, offline) and mark.exists()
    assert set_up(ready, offline) == ""


def test_without_a_network_one_sentence_and_no_harm(ready, offline):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    network = {
        "PIP_NO_INDEX": "0",
        "PIP_INDEX_URL": f"http://127.0.0.1:{closed}/simple",
        "PIP_RETRIES": "0",
    }
    before = (ready / "pyproject.toml").read_text()
    for kind in ({"requires": ["nowhere"]}, {"builders": ["nowhere"]}):
        write_project(ready, **kind)
        done = subprocess.run(
            [sys.executable, "environment.py", "lab"],
            cwd=ready,
            env=offline | network,
            text=True,
            capture_output=True,
        )
        assert done.returncode != 0
        assert done.stderr.splitlines() == [
            "ganbook: pip can't reach its package index; run `make lab` again with a network"
            " (details: .venv/pip.log)."
        ]
    # What was there is whole: with the file as it was, the course opens without a network.
    (ready / "pyproject.toml").write_text(before)
    assert set_up(ready, offline) == ""


def test_what_pip_refuses_is_said_in_one_sentence(ready, offline):
    write_project(ready, requires=["nowhere>=7"])
    done = subprocess.run(
        [sys.executable, "environment.py", "lab"],
        cwd=ready,
        env=offline,
        text=True,
        capture_output=True,
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert re.fullmatch(
        r"ganbook: pip could not install .*nowhere>=7.*\(details: .venv/pip.log\)\n", done.stderr
    )


def test_a_killed_installation_mends_itself(ready, offline):
    pieces = 1500
    write_wheel(
        offline["PIP_FIND_LINKS"], "big", files={f"big/{i}.txt": str(i) for i in range(pieces)}
    )
    write_project(ready, requires=["big"])
    command = [sys.executable, "environment.py", "lab"]
    process = subprocess.Popen(
        command, cwd=ready, env=offline, stdout=subprocess.DEVNULL, start_new_session=True
    )

    def written():
        return sum(1 for _ in ready.glob(".venv/lib/*/site-packages/big/*.txt"))

    while written() < 20:
        assert process.poll() is None, "installed before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 20 <= written() < pieces and list(
        ready.glob(".venv/lib/*/site-packages/big-1.dist-info/METADATA")
    )

    assert "cut off" in set_up(ready, offline) and written() == pieces
    assert set_up(ready, offline) == ""


def test_a_call_waits_for_the_pip_of_a_killed_one(ready, offline):
    """Else it would empty .venv while that pip still writes there."""
    child = "import time; print(1, flush=True); time.sleep(1.5); open('.venv/mark', 'w').close()"
    parent = (
        "import environment as e, sys; lock = e.wait_for_others();"
        f" e.run([sys.executable, '-c', {child!r}])"
    )
    (ready / ".venv/mark").unlink(missing_ok=True)
    killed = subprocess.Popen(
        [sys.executable, "-c", parent], cwd=ready, env=offline, stdout=subprocess.PIPE
    )
    assert killed.stdout.readline() == b"1\n"
    killed.kill()
    assert (
        "Waiting for another installation" in set_up(ready, offline)
        and (ready / ".venv/mark").exists()
    )


@pytest.mark.parametrize(
    "version, chosen, why",
    [
        ((3, 10, 4), "", "Python 3.10;"),
        ((3, 99, 0), "python3", "Python 3.99;"),
        ((3, 99, 0), "", None),
    ],
)
def test_a_venv_of_another_python(tmp_path, monkeypatch, version, chosen, why):
    (tmp_path / ".venv").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON", chosen)
    said = environment.reason_to_start_over(version)
    assert why in said if why else said is None


# --- What the targets run, on a stand-in for .venv/bin/python that only says what it was asked


@pytest.fixture
def stand_in(course, monkeypatch):
    (course / ".venv/bin").mkdir(parents=True)
    script(
        course / ".venv/bin/python",
        f'[ "$1" = -c ] && exec "{sys.executable}" "$@"',
        'echo "TQDM_DISABLE=$TQDM_DISABLE $*"',
        'case "$*" in *"$BREAKS"*) exit 1;; esac',
    )
    monkeypatch.chdir(course)
    for purpose in ("lab", "test"):
        environment.stamp(purpose).write_text(environment.fingerprint(tuple(sys.version_info[:3])))
    return course


PARTS = ["ruff check", "ruff format --check", "pytest -n 2", "pytest --nbval-lax"]


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
        "TQDM_DISABLE=1 -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300"
        in done.stdout
    )
    assert "chapters solutions" in done.stdout


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
    course, offline, tmp_path
):
    # A .venv as README's plain commands make it, without what `make` adds; it borrows the packages
    # of this process.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course / ".venv"], check=True)
    (site,) = (course / ".venv/lib").glob("*/site-packages")
    (site / "borrowed.pth").write_text(
        str(Path(importlib.util.find_spec("jupyterlab").origin).parents[1])
    )
    shutil.copytree(Path(sys.prefix, "share/jupyter"), course / ".venv/share/jupyter")
    shutil.rmtree(course / ".venv/share/jupyter/lab/settings", ignore_errors=True)
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
        for _ in range(600):
            if (found := re.search(address, said.read_text())) or lab.poll() is not None:
                break
            time.sleep(0.1)
        assert found and "Making .venv" not in said.read_text(), said.read_text()
        for _ in range(100):  # the address is printed a moment before the server listens
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
        lab.wait(30)
    left = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    assert not [
        path
        for path in left
        if re.search("kernels|user-settings|workspaces|jupyter_.*config", path)
    ], left
