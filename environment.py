"""Make .venv or mend it, for the Makefile: `python environment.py lab`, or `test`.

`test` adds the developer's packages. .venv/.lab-ready and .venv/.test-ready say what was installed.
While something is being written, .venv/.unfinished is there: whoever finds it knows that an
installation was cut off, trusts nothing in .venv, and starts over.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin/python"
UNFINISHED = VENV / ".unfinished"
LOG = VENV / "pip.log"
OLDEST = (3, 11)

# JupyterLab's news pop-up and its search for updates, switched off as defaults of this .venv. A
# reader's own settings are kept elsewhere, and still win.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}

NO_NETWORK = re.compile(
    "connection (error|broken|aborted|reset|refused)|ConnectionError|timed out|IncompleteRead|ssl"
    " certificate",
    re.I,
)


def main(purpose: str) -> None:
    os.chdir(Path(__file__).resolve().parent)
    lock = wait_for_others()  # noqa: F841
    version = version_in_venv()
    if why := reason_to_start_over(version):
        make_venv(why)
        version = version_in_venv()
    elif is_ready(purpose, version):
        settle()
        return
    print(
        f"Installing what `make {purpose}` needs into .venv: a few minutes the first time.",
        flush=True,
    )
    project = tomllib.loads(Path("pyproject.toml").read_text())
    # What builds the package comes first and stays, so that a change of pyproject.toml alone needs
    # no network.
    if builders := project["build-system"]["requires"]:
        pip_install(purpose, "--quiet", *builders)
    pip_install(
        purpose, "--no-build-isolation", "--editable", ".[dev]" if purpose == "test" else "."
    )
    settle()
    for done in {"lab", purpose}:
        stamp(done).write_text(fingerprint(version))
    UNFINISHED.unlink(missing_ok=True)


def settle() -> None:
    """Write JupyterLab's settings into .venv, and what lies under lab/ as it shall lie there.

    A layout is written once: from then on it is the reader's.
    """
    settings = VENV / "share/jupyter/lab/settings/overrides.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(OVERRIDES))
    for path in filter(Path.is_file, Path("lab").rglob("*")):
        target = VENV / path.relative_to("lab")
        if target.suffix != ".jupyterlab-workspace" or not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def wait_for_others():
    """Lock the repository for as long as this process or a child of it lives.

    The lock goes with the open file.
    """
    lock = open("pyproject.toml", "rb")
    os.set_inheritable(lock.fileno(), True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Waiting for another installation into .venv to end.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        pass  # a file system without locks
    return lock


def version_in_venv() -> tuple[int, ...] | None:
    """(3, 12, 1) of a .venv that runs and has pip, else None."""
    script = (
        "import sys, importlib.util as u;"
        " print(*sys.version_info[:3]) if u.find_spec('pip') else sys.exit(1)"
    )
    try:
        answer = subprocess.run([PYTHON, "-c", script], capture_output=True, text=True)
    except OSError:
        return None
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else None


def reason_to_start_over(version) -> str | None:
    if not VENV.exists():
        return "Making .venv"
    if UNFINISHED.exists():
        return "An earlier installation was cut off; making .venv anew"
    if not version:
        return "The Python in .venv does not start or has no pip; making .venv anew"
    if version < OLDEST or (os.environ.get("PYTHON") and version[:2] != sys.version_info[:2]):
        return f".venv has Python {version[0]}.{version[1]}; making it anew"
    return None


def make_venv(why: str) -> None:
    if not importlib.util.find_spec("ensurepip"):
        stop(
            f"{sys.executable} can't make a virtual environment; on Debian, `apt install"
            f" python3-venv` mends it."
        )
    print(f"{why}, with Python {sys.version_info[0]}.{sys.version_info[1]}.", flush=True)
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != UNFINISHED:
            entry.unlink()
    made = run([sys.executable, "-m", "venv", VENV], stdout=subprocess.PIPE)
    if made.returncode:
        stop(f"{sys.executable} could not make .venv: {complaint(made.stdout + made.stderr)}")


def pip_install(purpose: str, *arguments: str) -> None:
    LOG.unlink(missing_ok=True)
    UNFINISHED.touch()
    options = [
        "--no-input",
        "--disable-pip-version-check",
        "--log",
        LOG,
        "--constraint",
        "constraints.txt",
    ]
    try:
        pip = run([PYTHON, "-m", "pip", "install", *options, *arguments])
    finally:
        log = LOG.read_text(errors="replace") if LOG.exists() else ""
        if "Installing collected packages" not in log:
            UNFINISHED.unlink()  # pip wrote nothing: what was in .venv before is whole
    if pip.returncode == 0:
        return
    if NO_NETWORK.search(log):
        stop(
            "pip can't reach its package index;"
            f" run `make {purpose}` again with a network (details: {LOG})."
        )
    stop(
        f"pip could not install what `make {purpose}` needs:"
        f" {complaint(pip.stderr)} (details: {LOG})"
    )


def run(command: list, stdout=None) -> subprocess.CompletedProcess:
    # The child inherits the lock: were this process killed, the next one would still wait for the
    # child.
    options = {
        "stdin": subprocess.DEVNULL,
        "stdout": stdout,
        "stderr": subprocess.PIPE,
        "close_fds": False,
    }
    return subprocess.run(command, text=True, errors="replace", **options)


def complaint(text: str) -> str:
    """The line that says what went wrong: the first of pip's errors, else what was said last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it gave no reason"]
    return next(
        (line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")), lines[-1]
    )


def stamp(purpose: str) -> Path:
    return VENV / f".{purpose}-ready"


def fingerprint(version) -> str:
    """What decides the contents of .venv, and where it lies.

    An editable package is found by its path.
    """
    files = b"".join(
        Path(name).read_bytes() for name in ("pyproject.toml", "constraints.txt", "environment.py")
    )
    return hashlib.sha256(files + f"{version} {Path.cwd()}".encode()).hexdigest()


def is_ready(purpose: str, version) -> bool:
    return stamp(purpose).exists() and stamp(purpose).read_text() == fingerprint(version)


def stop(message: str):
    sys.exit(f"ganbook: {message}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("interrupted; the next call mends what is half done.")
    except OSError as error:
        stop(f"could not write .venv: {error}")
