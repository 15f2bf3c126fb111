"""What environment.py asks of pip: PyTorch in the build that fits the machine, then the rest.

What pip says goes to .venv/pip.log; a terminal shows one line that moves, and the time.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

VENV = Path(".venv")
PYTHON = VENV / "bin/python"
PIP = [PYTHON, "-P", "-m", "pip"]  # -P: no file of the reader's in this folder is imported
LOG = VENV / "pip.log"
CONSTRAINED = ["--constraint", "constraints.txt"]

# PyTorch's own index of builds without CUDA, or a mirror of it.
USUAL_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH_INDEX = os.environ.get("GANBOOK_TORCH_INDEX", "").strip() or USUAL_TORCH_INDEX
TORCH_CHOICE = os.environ.get("GANBOOK_TORCH", "").strip().lower()

NO_NETWORK = re.compile(
    "connection (error|broken|aborted|reset|refused)|ConnectionError|timed out|IncompleteRead|ssl"
    " certificate",
    re.I,
)
CLEAR = "\r\x1b[K"  # a terminal's line
STEP = re.compile(
    r"^ *(?:(?:Collecting|Processing) (?P<package>\S+)"
    r"|Downloading (?P<url>\S+\.whl) \((?P<size>[\d.]+) MB\)"
    r"|Installing collected packages: (?P<all>.+))"
)


def site() -> Path:
    return next(VENV.glob("lib/python*/site-packages"), VENV)


def packages() -> dict[str, Path]:
    """The folders in which pip describes the packages of .venv, by the name of the package."""
    return {plain(about.stem.rpartition("-")[0]): about for about in site().glob("*.dist-info")}


def plain(name: str) -> str:
    """A package's name in the one spelling of PEP 503: scikit-learn for scikit_learn."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- PyTorch


def install_torch(purpose: str) -> None:
    """Install PyTorch without CUDA where nothing would use CUDA.

    On Linux pip's usual PyTorch brings gigabytes of CUDA. Without an NVIDIA driver, PyTorch comes
    from TORCH_INDEX, if that answers within seconds and has the version of constraints.txt. It
    comes from there alone, and alone: what it needs is fetched later, from the usual index.

    Where pip has been told of another index than PyPI, or of none, that choice stands, and
    TORCH_INDEX is not asked. GANBOOK_TORCH=cpu uses it anyway, on any system;
    GANBOOK_TORCH=cuda takes the usual build, and replaces one for the CPU with it.
    """
    pin = re.search(r"^torch==(\S+)$", Path("constraints.txt").read_text("utf-8"), re.M)
    if pin and wants_another_torch():
        # pip fetches first, so that nothing is lost without a network.
        install(purpose, "--force-reinstall", "--no-deps", f"torch=={pin[1]}")
        if wants_another_torch():
            stop(
                f"your package index has PyTorch {pin[1]} for the CPU only: unset GANBOOK_TORCH, or"
                " set pip to an index that has the build with CUDA."
            )
    if not pin or torch_version().split("+")[0] == pin[1] or not wants_cpu_build():
        return
    # Whatever else pip is configured to look through. An empty value would not override a file.
    nowhere_else = {"PIP_FIND_LINKS": os.devnull, "PIP_EXTRA_INDEX_URL": f"file://{os.devnull}"}
    if not index_has_torch(pin[1], nowhere_else):
        lacks = f"PyTorch {pin[1]} without CUDA is not available from {torch_host()}"
        print(f"{lacks}; installing the usual build, several GB.", flush=True)
        return
    why = "as asked" if TORCH_CHOICE else "no NVIDIA driver found (GANBOOK_TORCH=cuda overrides)"
    print(f"Installing PyTorch without CUDA from {torch_host()}: {why}.", flush=True)
    torch = [*CONSTRAINED, "--no-deps", "--index-url", TORCH_INDEX, f"torch=={pin[1]}"]
    install(purpose, *torch, settings=nowhere_else)


def check_choice() -> None:
    if TORCH_CHOICE not in ("", "cpu", "cuda"):
        stop(f"GANBOOK_TORCH is {TORCH_CHOICE!r}; set it to cpu or cuda, or leave it unset.")
    try:
        parts = urlsplit(TORCH_INDEX)
        usable = (parts.scheme in ("http", "https") and parts.hostname) or (
            parts.scheme == "file" and parts.path.startswith("/")
        )
    except ValueError:
        usable = False
    if not usable:
        stop(
            f"GANBOOK_TORCH_INDEX is {TORCH_INDEX!r}; set it to the address of a package"
            f" index, such as {USUAL_TORCH_INDEX}, or leave it unset."
        )


def torch_host() -> str:
    """The host of TORCH_INDEX, without a password, or the whole of an address of a folder."""
    return urlsplit(TORCH_INDEX).netloc.rpartition("@")[2] or TORCH_INDEX


def torch_version() -> str:
    """2.13.0+cpu for example, "" where there is none."""
    return next((about.name[6:-10] for about in site().glob("torch-*.dist-info")), "")


def wants_another_torch() -> bool:
    return TORCH_CHOICE == "cuda" and torch_version().endswith("+cpu")


def wants_cpu_build() -> bool:
    if TORCH_CHOICE:
        return TORCH_CHOICE == "cpu"
    return sys.platform == "linux" and not has_nvidia_driver() and not pip_has_its_own_index()


def has_nvidia_driver() -> bool:
    return bool(
        shutil.which("nvidia-smi")
        or os.path.exists("/proc/driver/nvidia/version")
        or os.path.exists("/dev/nvidiactl")
        or list(Path("/usr/lib/wsl/lib").glob("libcuda.so*"))
    )


def pip_has_its_own_index() -> bool:
    said = run([*PIP, "config", "list"], stdout=subprocess.PIPE).stdout
    own = r"\.(index-url='(?!https://pypi\.org/)|no-index='(?!0|no|off|false))"
    return bool(re.search(own, said, re.I))


def index_has_torch(version: str, settings: dict[str, str]) -> bool:
    """Whether the index answers within seconds, with this version for this Python and system."""
    ask = ["index", "versions", "torch", "--index-url", TORCH_INDEX]
    quick = ["--timeout", "5", "--retries", "0", "--disable-pip-version-check"]
    command = [*PIP, *ask, *quick]
    try:
        answer = run(command, stdout=subprocess.PIPE, env=os.environ | settings, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    return bool(re.search(rf"[ (]{re.escape(version)}(\+\w+)?[,)\s]", answer.stdout))


# --- pip


def ensure_pip(broken: bool = False) -> None:
    """Reinstall pip from Python's own copy if it is broken or does not start."""
    if not broken and run([PYTHON, "-P", "-c", "import pip._internal.cli.main"]).returncode == 0:
        return
    # Aside, because pip would count as installed.
    for left in site().glob("pip-*.dist-info.old"):  # by a killed call
        shutil.rmtree(left)
    aside = {about: about.rename(f"{about}.old") for about in site().glob("pip-*.dist-info")}
    done = run([PYTHON, "-P", "-m", "ensurepip"], stdout=subprocess.PIPE)
    for about, moved in aside.items():
        if done.returncode and not about.exists():
            moved.rename(about)
        else:
            shutil.rmtree(moved)
    if done.returncode:
        stop(f"pip in .venv is broken, and ensurepip can't repair it: {complaint(done.stderr)}")


def install(purpose: str, *arguments: str, settings: dict[str, str] | None = None) -> None:
    # Python compiles what is imported; pip would compile every file, used or not.
    options = ["--no-input", "--disable-pip-version-check", "--no-compile", "--progress-bar=off"]
    command = [*PIP, "install", *options, *arguments]
    environment = os.environ | (settings or {})
    code, said = run_and_show(command, environment)
    reason = complaint(said if code > 0 else "")  # below 0 it was killed
    if code > 0 and not NO_NETWORK.search(said):
        # Once more, for the details: pip's full log has a line for each file on the index, and
        # takes ten seconds to write.
        code, said = run_and_show([*command, "--log", LOG], environment)
    if code == 0:
        return
    if settings:
        purpose += "`, or `GANBOOK_TORCH=cuda make " + purpose
    if NO_NETWORK.search(said):
        stop(
            f"pip can't reach {torch_host() if settings else 'one of its package indexes'};"
            f" run `make {purpose}` again with an internet connection (details: {LOG})."
        )
    stop(f"pip could not install what `make {purpose}` needs: {reason} (details: {LOG})")


def run_and_show(command: list, environment: dict[str, str]) -> tuple[int, str]:
    """The exit status of pip and all it said; until it ends, that is followed on a terminal."""
    LOG.write_text("")
    with (
        LOG.open("ab") as said,
        LOG.open(errors="replace") as log,
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            close_fds=False,
        ) as pip,
    ):
        try:
            follow(pip, log) if sys.stdout.isatty() else pip.wait()
        except BaseException:
            pip.kill()
            raise
        finally:
            print(CLEAR if sys.stdout.isatty() else "", end="", flush=True)
    return pip.returncode, LOG.read_text(errors="replace")


def follow(pip: subprocess.Popen, log) -> None:
    began, before = time.monotonic(), set(packages().values())
    fetched, doing, download, total, rest = 0, "", None, 0, ""
    while pip.poll() is None:
        *lines, rest = (rest + log.read()).split("\n")
        for step in filter(None, map(STEP.match, lines)):
            if step["package"]:
                fetched, download = fetched + 1, None
                doing = re.split(r"-\d|[<>=!~;\[]", Path(step["package"]).name)[0]
            elif step["url"]:
                download = unquote(step["url"].split("/")[-1]), step["size"]
            else:
                total = step["all"].count(",") + 1
        if total:
            done = min(len(set(packages().values()) - before), total)
            bar = "#" * (30 * done // total)
            said = f"installing [{bar:<30}] package {max(done, 1)} of {total}"
        elif download:
            name = download[0].split("-")[0]
            said = f"fetching package {fetched}: {name}, {megabytes(*download)}"
        else:
            said = f"fetching package {fetched}: {doing}" if fetched else "starting pip"
        line = f"{minutes(began)}  {said}"[: shutil.get_terminal_size().columns - 1]
        print(CLEAR + line, end="", flush=True)
        time.sleep(0.2)


def megabytes(file: str, size: str) -> str:
    """How much of a file is there: pip shows its own bar on a terminal only."""
    parts = Path(tempfile.gettempdir()).glob(f"pip-unpack-*/{file}")
    there = 0
    with contextlib.suppress(OSError):  # pip has moved it since
        there = max((part.stat().st_size for part in parts), default=0)
    return f"{there / 1e6:.1f} of {size} MB"


def minutes(began: float) -> str:
    seconds = int(time.monotonic() - began)
    return f"{seconds // 60}:{seconds % 60:02}"


def run(command: list, **options) -> subprocess.CompletedProcess:
    # The child inherits the lock: were this process killed, the next one would still wait for the
    # child.
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "close_fds": False} | options
    return subprocess.run(command, text=True, errors="replace", **options)


def complaint(text: str) -> str:
    """The line that says what went wrong: the first of pip's errors, else what was said last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it gave no reason"]
    return next((line[7:] for line in lines if re.match("ERROR: (?!Exception:)", line)), lines[-1])


def stop(message: str):
    sys.exit(f"ganbook: {message}")
