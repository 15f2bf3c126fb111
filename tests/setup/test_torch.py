"""Which PyTorch is installed: without CUDA from PyTorch's own index, or pip's usual one.

The index is a local server. The usual one is a folder, and pip reaches nothing else.
"""

import functools
import http.server
import os
import socket
import subprocess
import sys
import threading

import pytest
from courses import refused, write_project, write_wheel

pytest.importorskip("fcntl", reason="environment.py is not for Windows")
import environment_pip  # noqa: E402


class Index:
    """A simple index (PEP 503), that remembers what it was asked for."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                outer.asked.append(self.path)

        handler = functools.partial(Handler, directory=folder)
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/cpu"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def offer(self, name, *versions, where="cpu", **options):
        page = self.folder / where / name
        page.mkdir(parents=True)
        files = [write_wheel(page, name, version=version, **options) for version in versions]
        links = [f'<a href="{file.replace("+", "%2B")}">{file}</a>' for file in files]
        (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


@pytest.fixture
def index(tmp_path):
    index = Index(tmp_path)
    yield index
    index.http.shutdown()
    index.http.server_close()


@pytest.fixture
def pip(offline, index, tmp_path):
    """An environment in which the usual index has PyTorch 1 (and `needed`, which it needs)."""
    usual = tmp_path / "usual"
    usual.mkdir()
    write_wheel(usual, "torch", requires=["needed"], files={"torch/__init__.py": "usual"})
    write_wheel(usual, "needed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    return offline | {
        "PIP_NO_INDEX": "0",
        "PIP_FIND_LINKS": str(usual),
        "PIP_RETRIES": "0",
        "HTTPS_PROXY": f"http://127.0.0.1:{closed}",
        "GANBOOK_TORCH_INDEX": index.url,
    }


@pytest.fixture
def course(ready):
    """Ready but for PyTorch."""
    write_project(ready, requires=["torch"], pins=["torch==1"])
    return ready


def install(course, env, driver=False) -> str:
    """What a set-up says, on a machine with or without a driver of NVIDIA's."""
    script = (
        f"import environment_pip; environment_pip.has_nvidia_driver = lambda: {driver};"
        " import environment; environment.main('lab')"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=course, env=env, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(course, name="torch") -> str:
    (about,) = course.glob(f".venv/lib/*/site-packages/{name}-*.dist-info")
    return about.name.removeprefix(f"{name}-").removesuffix(".dist-info")


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="CUDA comes unasked on Linux alone")


@on_linux
def test_without_a_driver_torch_and_nothing_else_comes_from_its_own_index(course, pip, index):
    """So it is mended, too. A password of the index is not shown."""

    def asked() -> set[str]:
        return {path.split("/")[2] for path in index.asked if path.startswith("/cpu/")}

    files = {"torch/__init__.py": "cpu"}
    index.offer("torch", "1+cpu", "2+cpu", requires=["needed"], files=files)
    index.offer("needed", "9")
    # Newer for pip, and from elsewhere.
    write_wheel(pip["PIP_FIND_LINKS"], "torch", version="1+elsewhere")
    index.offer("torch", "1+elsewhere", where="extra")
    pip |= {
        "PIP_EXTRA_INDEX_URL": index.url.replace("/cpu", "/extra"),
        "GANBOOK_TORCH_INDEX": index.url.replace("http://", "http://me:secret@"),
    }
    said = install(course, pip)
    assert "Installing PyTorch without CUDA from 127.0.0.1:" in said and "no NVIDIA driver" in said
    assert "secret" not in said
    assert installed(course) == "1+cpu" and installed(course, "needed") == "1"
    assert asked() == {"torch"}
    assert install(course, pip) == ""

    (init,) = course.glob(".venv/lib/*/site-packages/torch/__init__.py")
    init.unlink()
    assert install(course, pip) == "Files of torch in .venv are missing or changed; repairing.\n"
    assert installed(course) == "1+cpu" and init.read_text() == "cpu"
    assert install(course, pip) == ""


@on_linux
def test_the_usual_one_where_the_index_is_not_available(course, pip, tmp_path):
    """Here the address of a folder that is not there, which is named."""
    address = f"file://{tmp_path}/nothing"
    said = install(course, pip | {"GANBOOK_TORCH_INDEX": address})
    lacks = f"PyTorch 1 without CUDA is not available from {address}"
    assert f"{lacks}; installing the usual build, several GB.\n" in said
    assert installed(course) == "1" and "Traceback" not in said


def test_an_index_is_available_that_has_the_version(ready, pip, index, monkeypatch):
    monkeypatch.chdir(ready)
    monkeypatch.setattr(environment_pip, "TORCH_INDEX", index.url)
    pip |= {"PIP_FIND_LINKS": os.devnull}
    assert not environment_pip.index_has_torch("1", pip)
    index.offer("torch", "2+cpu", "1.1+cpu", "11+cpu", "0.1")
    assert not environment_pip.index_has_torch("1", pip)
    assert environment_pip.index_has_torch("1.1", pip)


@pytest.mark.parametrize("way", ["closed", "silent"])
def test_an_index_is_not_available_that_cannot_be_reached(ready, pip, monkeypatch, way):
    """One that is silent is given up; here within a second, by the limit in which pip must end."""
    monkeypatch.chdir(ready)
    run = environment_pip.run

    def hasty(command, **options):
        assert options["timeout"]
        return run(command, **options | {"timeout": 1})

    if way == "silent":
        monkeypatch.setattr(environment_pip, "run", hasty)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        url = f"http://127.0.0.1:{server.getsockname()[1]}/cpu"
        monkeypatch.setattr(environment_pip, "TORCH_INDEX", url)
        if way == "closed":
            server.close()
        assert not environment_pip.index_has_torch("1", pip | {"PIP_FIND_LINKS": os.devnull})


def test_an_index_without_its_file_is_an_error_that_names_the_way_out(course, pip, index):
    index.offer("torch", "1+cpu")
    (wheel,) = (index.folder / "cpu/torch").glob("*.whl")
    wheel.unlink()
    said = refused(course, pip | {"GANBOOK_TORCH": "cpu"})
    assert said.startswith("ganbook: pip ") and said.count("\n") == 1
    assert "GANBOOK_TORCH=cuda make lab" in said


def test_cuda_that_is_asked_for_replaces_the_cpu_build(course, pip, index):
    wheel = write_wheel(course, "torch", version="1+cpu")
    command = [course / ".venv/bin/python", "-m", "pip", "install", "-q", "--no-deps", f"./{wheel}"]
    subprocess.run(command, cwd=course, env=pip, check=True)
    nowhere = {"GANBOOK_TORCH": "cuda", "PIP_FIND_LINKS": os.devnull, "PIP_NO_INDEX": "1"}
    said = refused(course, pip | nowhere | {"FORCE_COLOR": "1"})
    assert "pip could not install" in said and "\x1b" not in said
    assert installed(course) == "1+cpu", "what works stays until the other is there"
    install(course, pip | {"GANBOOK_TORCH": "cuda"})
    assert installed(course) == "1" and not index.asked
    assert install(course, pip) == install(course, pip | {"GANBOOK_TORCH": " CUDA "}) == ""


def test_an_invalid_choice(course, pip):
    said = refused(course, pip | {"GANBOOK_TORCH": "gpu"})
    assert said == "ganbook: GANBOOK_TORCH is 'gpu'; set it to cpu or cuda, or leave it unset.\n"


@pytest.mark.parametrize(
    "address", ["nonsense", "http:/one/slash", "https://", "ftp://a/b", "http://[", "file://"]
)
def test_an_index_that_is_no_address_is_refused(monkeypatch, address):
    monkeypatch.setattr(environment_pip, "TORCH_INDEX", address)
    with pytest.raises(SystemExit) as stopped:
        environment_pip.check_choice()
    said = str(stopped.value)
    assert said.startswith(f"ganbook: GANBOOK_TORCH_INDEX is {address!r}; set it to the address")
    assert "\n" not in said


# --- What decides


@pytest.fixture
def decide(ready, monkeypatch):
    monkeypatch.chdir(ready)
    monkeypatch.setattr(environment_pip, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(environment_pip, "TORCH_CHOICE", "")
    monkeypatch.setattr(sys, "platform", "linux")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return environment_pip.wants_cpu_build


def test_the_cpu_build_is_for_linux_without_a_driver(decide, monkeypatch):
    assert decide()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not decide()


@pytest.fixture
def no_pip(monkeypatch):
    for name in ("run", "run_and_show"):
        monkeypatch.setattr(environment_pip, name, lambda *_, **__: pytest.fail("pip was called"))


def test_with_a_driver_the_index_is_asked_where_it_is_chosen(decide, course, monkeypatch, no_pip):
    monkeypatch.setattr(environment_pip, "has_nvidia_driver", lambda: True)
    assert not decide()
    environment_pip.install_torch("lab")  # constraints.txt names a version
    monkeypatch.setattr(environment_pip, "TORCH_CHOICE", "cpu")
    assert decide()


def test_what_is_installed_is_not_fetched_again(decide, course, no_pip):
    (site,) = course.glob(".venv/lib/*/site-packages")
    (site / "torch-1+cpu.dist-info").mkdir()
    environment_pip.install_torch("lab")


USUAL = {
    "PIP_INDEX_URL": "https://pypi.org/simple",
    "PIP_NO_INDEX": "0",
    "PIP_EXTRA_INDEX_URL": "https://more.example/simple",
    "PIP_FIND_LINKS": "/wheels",
}


@pytest.mark.parametrize(
    "settings, own",
    [
        (USUAL, False),
        ({"PIP_INDEX_URL": "https://mirror.example/simple"}, True),
        ({"PIP_NO_INDEX": "1"}, True),
    ],
    ids=["pip's usual one", "another", "none"],
)
def test_an_index_that_pip_was_given_stands(decide, monkeypatch, settings, own):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert decide() == (not own)
    monkeypatch.setattr(environment_pip, "TORCH_CHOICE", "cpu")
    assert decide()


def test_an_index_in_a_file_of_pip_stands(decide, monkeypatch, tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text("[install]\nindex-url = https://mirror.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    assert not decide()


def test_a_driver_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os.path, "exists", lambda path: path in there)
    there = ()
    if not environment_pip.has_nvidia_driver():  # a machine with WSL's driver
        for sign in ("/proc/driver/nvidia/version", "/dev/nvidiactl"):
            there = (sign,)
            assert environment_pip.has_nvidia_driver()
        there = ()
        (tmp_path / "nvidia-smi").write_text("")
        (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.undo()
        monkeypatch.setenv("PATH", str(tmp_path))
        assert environment_pip.has_nvidia_driver()
