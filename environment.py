"""Make .venv or repair it, for the Makefile: `python environment.py lab`, or `test`.

`test` adds the developer's packages. .venv/.lab-ready and .venv/.test-ready say what was installed.
While something is being written, .venv/.unfinished is there: whoever finds it knows that an
installation was cut off, trusts nothing in .venv, and starts over.
"""

import contextlib
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
    CONSTRAINED,
    PYTHON,
    TORCH_INDEX,
    UNFINISHED,
    VENV,
    check_choice,
    complaint,
    ensure_pip,
    install_torch,
    installed,
    minutes,
    pip_install,
    run,
    stop,
    wants_another_torch,
)

OLDEST = (3, 11)
# Variables that make pip install elsewhere, install less, or stop at a warning. A 0 also overrides
# pip's configuration file.
LEFT_OUT = "PYTHONPATH PYTHONHOME PYTHONWARNINGS PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON".split()
SWITCHED_OFF = "PIP_DRY_RUN PIP_NO_DEPS PIP_NO_DEPENDENCIES PIP_USER".split()
FILES = ("pyproject.toml", "constraints.txt", "environment.py", "environment_pip.py")

# Files in site-packages: code, whose size tells whether it is whole, and what can be imported.
CODE = re.compile(r"(?!\.\.).*\.(py|so|dylib|so\..*)$")
MODULE = re.compile(r"(\w+)(/__init__)?\.py$")

# JupyterLab's news pop-up and its search for updates, switched off as defaults of this .venv. A
# reader's own settings are kept elsewhere, and still win.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}


def main(purpose: str) -> None:
    os.chdir(Path(__file__).resolve().parent)
    for name in LEFT_OUT:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(SWITCHED_OFF, "0"))
    lock = wait_for_others()  # noqa: F841
    check_choice()
    began = time.monotonic()
    version = version_in_venv()
    if why := reason_to_start_over(version):
        make_venv(why)
        version = version_in_venv()
    elif is_whole_or_repaired(purpose) and is_ready(purpose, version):
        with contextlib.suppress(OSError):  # a read-only disk
            settle()
        return
    print(
        f"Installing what `make {purpose}` needs into .venv: a few minutes the first time.",
        flush=True,
    )
    ensure_pip()
    before = installed()
    project = tomllib.loads(Path("pyproject.toml").read_text())
    # What builds the package comes first and stays, so that a change of pyproject.toml alone needs
    # no internet connection.
    if builders := project["build-system"]["requires"]:
        pip_install(purpose, *CONSTRAINED, *builders)
        check_installed(builders)
    install_torch(purpose)
    here = ".[dev]" if purpose == "test" else "."
    pip_install(purpose, *CONSTRAINED, "--no-build-isolation", "--editable", here)
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

    Only what differs is written. A layout is written once: from then on it is the reader's.
    """
    overrides = VENV / "share/jupyter/lab/settings/overrides.json"
    wanted = {overrides: json.dumps(OVERRIDES).encode()}
    for path in filter(Path.is_file, Path("lab").rglob("*")):
        wanted[VENV / path.relative_to("lab")] = path.read_bytes()
    for target, content in wanted.items():
        layout = target.suffix == ".jupyterlab-workspace"
        if not target.exists() or not (layout or target.read_bytes() == content):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


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
    """(3, 12, 1) of a .venv that runs, else None."""
    script = "import sys; print(*sys.version_info[:3])"
    try:
        answer = run([PYTHON, "-c", script], stdout=subprocess.PIPE)
    except OSError:
        return None
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else None


def reason_to_start_over(version) -> str | None:
    if not VENV.exists():
        return "Making .venv"
    if UNFINISHED.exists():
        return "An earlier installation was cut off; recreating .venv"
    if not version:
        return "The Python in .venv does not start; recreating .venv"
    if version < OLDEST or (os.environ.get("PYTHON") and version[:2] != sys.version_info[:2]):
        return f".venv has Python {version[0]}.{version[1]}; recreating it"
    return None


def make_venv(why: str) -> None:
    if os.path.lexists(VENV) and not VENV.is_dir():
        if not VENV.is_symlink():
            stop(".venv is a file, not a folder: delete it.")
        stop(f".venv is a link to {os.readlink(VENV)}, not to a folder: delete it or correct it.")
    if not importlib.util.find_spec("ensurepip"):
        stop(
            f"{sys.executable} can't make a virtual environment; on Debian, `apt install"
            f" python3-venv` fixes that."
        )
    print(f"{why}, with Python {sys.version_info[0]}.{sys.version_info[1]}.", flush=True)
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != UNFINISHED:
            entry.unlink()
    # venv refuses a link, which may lead to a larger disk.
    made = run([sys.executable, "-m", "venv", VENV.resolve()], stdout=subprocess.PIPE)
    if made.returncode:
        stop(f"{sys.executable} could not make .venv: {complaint(made.stdout + made.stderr)}")


def is_ready(purpose: str, version) -> bool:
    """Whether what this needs was installed, from the files as they are now."""
    done = stamp(purpose).read_text().split("\n")[0] if stamp(purpose).exists() else ""
    return done == fingerprint(version) and not wants_another_torch()


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


def noted(about: Path) -> list[list[str]]:
    """The files that pip noted for a package: path from site-packages, checksum, size."""
    try:
        with open(about / "RECORD", newline="", errors="replace") as lines:
            return list(csv.reader(lines))
    except (OSError, csv.Error):
        return []


def is_whole(about: Path) -> bool:
    """Whether each file that pip noted for a package is there, and code in the size that pip noted.

    Compiled files come and go; settings and certificates are the reader's to change.
    """
    try:
        for file, _, size in (files := noted(about)):
            found = file.endswith(".pyc") or os.stat(f"{about.parent}/{file}").st_size
            if size and CODE.match(file) and int(size) != found:
                return False
    except (OSError, ValueError):
        return False
    return bool(files)


def is_whole_or_repaired(purpose: str) -> bool:
    """Whether each package is as it was installed, or pip puts it back.

    Where pip can't, the course starts if the package can be imported. Packages that pip does not
    list, or did not get from an index, are left to the usual installation.
    """
    there = packages()
    names = stamp("lab").read_text().splitlines()[1:] if stamp("lab").exists() else []
    broken = sorted(name for name in names if name not in there or not is_whole(there[name]))
    if not broken:
        return True
    names = ", ".join(broken[:5]) + ", ..." * (len(broken) > 5)
    print(f"Files of {names} in .venv are missing or changed; repairing.", flush=True)
    known = [there[name] for name in broken if name in there and name != "pip"]
    known = [about for about in known if not (about / "direct_url.json").exists()]
    pins = [about.stem.replace("-", "==") for about in known]
    rest = len(broken) - len(pins) - ("pip" in broken)
    try:
        ensure_pip(broken="pip" in broken)
        if pins:
            index = ["--extra-index-url", TORCH_INDEX] if "+cpu" in "".join(pins) else []
            pip_install(purpose, "--ignore-installed", "--no-deps", *index, *pins)
        UNFINISHED.unlink(missing_ok=True)
    except (SystemExit, OSError) as error:
        why = str(error).removeprefix("ganbook: ")
        found = [MODULE.match(file) for about in known for file, *_ in noted(about)]
        imports = [PYTHON, "-c", "\n".join(f"import {module[1]}" for module in found if module)]
        if rest or UNFINISHED.exists() or run(imports, stdout=subprocess.PIPE).returncode:
            stop(f"files of {names} in .venv are missing or changed: {why}")
        print(f"The repair failed, so the course starts as it is: {why}", flush=True)
    return not rest


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
        stop("interrupted; run it again to finish.")
    except OSError as error:
        stop(f"could not write .venv: {error}")
