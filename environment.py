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
import time
import tomllib
from pathlib import Path

from environment_pip import (
    PYTHON,
    UNFINISHED,
    VENV,
    check_choice,
    complaint,
    install_torch,
    installed,
    minutes,
    pip_install,
    run,
    site,
    stop,
    wants_another_torch,
)

OLDEST = (3, 11)
FILES = ("pyproject.toml", "constraints.txt", "environment.py", "environment_pip.py")

# JupyterLab's news pop-up and its search for updates, switched off as defaults of this .venv. A
# reader's own settings are kept elsewhere, and still win.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}


def main(purpose: str) -> None:
    os.chdir(Path(__file__).resolve().parent)
    lock = wait_for_others()  # noqa: F841
    check_choice()
    began = time.monotonic()
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
    forget_the_broken()
    before = installed()
    project = tomllib.loads(Path("pyproject.toml").read_text())
    # What builds the package comes first and stays, so that a change of pyproject.toml alone needs
    # no network.
    if builders := project["build-system"]["requires"]:
        pip_install(purpose, *builders)
    install_torch(purpose)
    pip_install(
        purpose, "--no-build-isolation", "--editable", ".[dev]" if purpose == "test" else "."
    )
    settle()
    there = [file for files in modules().values() for file in files if (site() / file).exists()]
    for done in {"lab", purpose}:
        stamp(done).write_text("\n".join([fingerprint(version), *there]))
    UNFINISHED.unlink(missing_ok=True)
    count = len(installed() - before)
    print(f"Installed {count} package{'s' * (count != 1)} in {minutes(began)} minutes.", flush=True)


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


# --- What is in .venv


def version_in_venv() -> tuple[int, ...] | None:
    """(3, 12, 1) of a .venv that runs and has pip, else None."""
    script = (
        "import sys, importlib.util as u;"
        " print(*sys.version_info[:3]) if getattr(u.find_spec('pip'), 'origin', 0) else sys.exit(1)"
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


def is_ready(purpose: str, version) -> bool:
    """Whether this was installed, and each module of it is still there.

    Files are looked for, none is imported: 4 ms in place of 4 s.
    """
    if not stamp(purpose).exists():
        return False
    said, *files = stamp(purpose).read_text().splitlines()
    if said != fingerprint(version):
        return False
    gone = sorted({Path(file).parts[0] for file in files if not (site() / file).exists()})
    if gone:
        print(f".venv lacks {', '.join(gone[:5])}{', ...' * (len(gone) > 5)}; mending it.")
    return not gone and not wants_another_torch()


def stamp(purpose: str) -> Path:
    return VENV / f".{purpose}-ready"


def fingerprint(version) -> str:
    """What decides the contents of .venv, and where it lies.

    An editable package is found by its path.
    """
    files = b"".join(Path(name).read_bytes() for name in FILES)
    return hashlib.sha256(files + f"{version} {Path.cwd()}".encode()).hexdigest()


def modules() -> dict[Path, list[str]]:
    """The files that an import looks for first, by the folder in which pip describes a package."""
    top = re.compile(r"([^/,\"]+\.(?:py|pth)|(?!\.\.)[^/,\"]+/__init__\.py),")
    found = {}
    for about in installed():
        record = about / "RECORD"
        lines = record.read_text(errors="replace").splitlines() if record.exists() else []
        found[about] = [match[1] for match in map(top.match, lines) if match]
    return found


def forget_the_broken() -> None:
    """Take from pip what it says of a package whose modules are gone.

    Else it would find the package installed already.
    """
    for about, files in modules().items():
        if not all((site() / file).exists() for file in files):
            shutil.rmtree(about)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("interrupted; the next call mends what is half done.")
    except OSError as error:
        stop(f"could not write .venv: {error}")
