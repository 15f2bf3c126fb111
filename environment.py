"""Make .venv or mend it, for the Makefile: `python environment.py lab`, or `test`.

`test` adds the developer's packages. .venv/.lab-ready and .venv/.test-ready say what was installed.
While something is being written, .venv/.unfinished is there: whoever finds it knows that an
installation was cut off, trusts nothing in .venv, and starts over.
"""

import csv
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

# Where PYTHONSAFEPATH is set, Python does not look beside this file.
sys.path.insert(0, str(Path(__file__).resolve().parent))
from environment_pip import (  # noqa: E402
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
    stop,
    wants_another_torch,
)

OLDEST = (3, 11)
# What would make pip install elsewhere, or less than it is asked for. A 0 holds against a file of
# pip's too.
LEFT_OUT = "PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_NO_DEPENDENCIES"
SWITCHED_OFF = {"PIP_DRY_RUN": "0", "PIP_NO_DEPS": "0", "PIP_USER": "0"}
FILES = ("pyproject.toml", "constraints.txt", "environment.py", "environment_pip.py")

# JupyterLab's news pop-up and its search for updates, switched off as defaults of this .venv. A
# reader's own settings are kept elsewhere, and still win.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}


def main(purpose: str) -> None:
    os.chdir(Path(__file__).resolve().parent)
    for name in LEFT_OUT.split():
        os.environ.pop(name, None)
    os.environ.update(SWITCHED_OFF)
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
    elif "pip" in no_longer_whole("lab"):
        make_venv("Nothing can mend pip itself; making .venv anew")
        version = version_in_venv()
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
        check_installed(builders)
    install_torch(purpose)
    pip_install(
        purpose, "--no-build-isolation", "--editable", ".[dev]" if purpose == "test" else "."
    )
    about = project["project"]
    extra = about["optional-dependencies"]["dev"] if purpose == "test" else []
    check_installed([about["name"], *about["dependencies"], *extra])
    settle()
    # A package that is not whole even now shares files with another: it would never be.
    whole = [name for name, about in packages().items() if is_whole(about)]
    for done in {"lab", purpose}:
        stamp(done).write_text("\n".join([fingerprint(version), *whole]))
    UNFINISHED.unlink(missing_ok=True)
    count = len(installed() - before)
    print(f"Installed {count} package{'s' * (count != 1)} in {minutes(began)} minutes.", flush=True)


def settle() -> None:
    """Write JupyterLab's settings into .venv, and copy the files under lab/ to the same places.

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
    """Whether this was installed, and each package of it is still whole."""
    if not stamp(purpose).exists():
        return False
    if stamp(purpose).read_text().split("\n")[0] != fingerprint(version):
        return False
    if broken := no_longer_whole(purpose):
        names = ", ".join(broken[:5]) + ", ..." * (len(broken) > 5)
        print(f".venv lacks files of {names}; mending it.")
    return not broken and not wants_another_torch()


def stamp(purpose: str) -> Path:
    return VENV / f".{purpose}-ready"


def fingerprint(version) -> str:
    """What decides the contents of .venv, and where it lies.

    An editable package is found by its path.
    """
    files = b"".join(Path(name).read_bytes() for name in FILES)
    return hashlib.sha256(files + f"{version} {Path.cwd()}".encode()).hexdigest()


def packages() -> dict[str, Path]:
    """The folders in which pip describes the packages of .venv, by the name of the package."""
    return {plain(about.stem.rpartition("-")[0]): about for about in installed()}


def plain(name: str) -> str:
    """A package's name in the one spelling of PEP 503: scikit-learn for scikit_learn."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_whole(about: Path) -> bool:
    """Whether each file that pip noted for a package is there, in the size that pip noted.

    Compiled files come and go. Nothing but that note is read: 0.3 s for the 35,000 of the course.
    """
    try:
        with open(about / "RECORD", newline="", errors="replace") as record:
            for file, _, size in csv.reader(record):
                if file.endswith(".pyc"):
                    continue
                found = os.stat(f"{about.parent}/{file}").st_size
                if size and int(size) != found:
                    return False
    except (OSError, ValueError, csv.Error):
        return False
    return True


def no_longer_whole(purpose: str) -> list[str]:
    """The packages that were whole when they were installed for a purpose, and are not now."""
    there = packages()
    names = stamp(purpose).read_text().splitlines()[1:] if stamp(purpose).exists() else []
    return sorted(name for name in names if name not in there or not is_whole(there[name]))


def forget_the_broken() -> None:
    """Delete pip's record of a package that lacks files.

    Otherwise pip would consider it installed.
    """
    there = packages()
    for name in {*no_longer_whole("lab"), *no_longer_whole("test")} & set(there):
        shutil.rmtree(there[name])


def check_installed(requirements: list[str]) -> None:
    """Stop where pip ended well, but a package that was asked for is not in .venv."""
    names = {plain(re.match(r"[\w.-]+", asked)[0]) for asked in requirements if ";" not in asked}
    if missing := sorted(names - set(packages())):
        stop(
            f"pip reported success, but .venv lacks {', '.join(missing)}; look for a setting that"
            f" sends packages elsewhere, such as target or prefix: `{PYTHON} -m pip config list`."
        )


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("interrupted; the next call mends what is half done.")
    except OSError as error:
        stop(f"could not write .venv: {error}")
