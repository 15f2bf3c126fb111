"""Make .venv or repair it, for the Makefile: `python environment.py lab`, or `test`.

`test` adds the developer's packages. .venv/.lab-ready and .venv/.test-ready say what was installed:
a hash of the inputs, then the packages to check. An installation that was cut off leaves no such
file, so the next call continues it. Nothing here deletes .venv: the reader may have packages there.
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
import environment_pip as pip  # noqa: E402
from environment_pip import PYTHON, VENV, packages, plain, run, stop  # noqa: E402

OLDEST = (3, 11)
# Variables that make pip install elsewhere, install less, or stop at a warning. A 0 also overrides
# pip's configuration file.
LEFT_OUT = "PYTHONPATH PYTHONHOME PYTHONWARNINGS PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON".split()
LEFT_OUT += ["FORCE_COLOR", "PIP_LOG"]  # what pip says is read
SWITCHED_OFF = "PIP_DRY_RUN PIP_NO_DEPS PIP_NO_DEPENDENCIES PIP_USER".split()
SWITCHED_OFF += ["PIP_QUIET", "PIP_VERBOSE"]
FILES = ("pyproject.toml", "constraints.txt", "environment.py", "environment_pip.py")

# Files in site-packages: code, whose size tells whether it is whole, and what can be imported.
CODE = re.compile(r"(?!\.\.).*\.(py|so|dylib|so\..*)$")
MODULE = re.compile(r"(\w+)(/__init__)?\.py$")
MISSING = Path("missing")  # in the place of the folder in which pip describes a package


def main(purpose: str) -> None:
    os.chdir(Path(__file__).resolve().parent)
    for name in LEFT_OUT:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(SWITCHED_OFF, "0"))
    sys.stdout.reconfigure(line_buffering=True)
    lock = wait_for_others()  # noqa: F841
    pip.check_choice()
    began = time.monotonic()
    try:
        project = tomllib.loads(read("pyproject.toml"))
        course = project["project"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        unreadable("pyproject.toml", error)
    if not os.path.lexists(PYTHON):
        make_venv()
    version, library = python_in_venv()
    if why := reason_not_to_use(version, library):
        stop(
            f".venv can't be used: {why}. Delete the folder .venv and run `make {purpose}` again;"
            " this also deletes the packages that you installed there."
        )
    ours = {plain(course["name"]), "pip", *pins()}
    if not repair(purpose, ours, is_ready(purpose, version)):
        with contextlib.suppress(OSError):  # a read-only disk
            settle()
        return
    print(f"Installing what `make {purpose}` needs into .venv: a few minutes the first time.")
    for name, about in packages().items():
        if name in ours and not noted(about):  # pip could not replace it
            shutil.rmtree(about)
    before = set(packages().values())
    # What builds the package comes first and stays, so that a change of pyproject.toml alone needs
    # no internet connection.
    if builders := project["build-system"]["requires"]:
        pip.install(purpose, *pip.CONSTRAINED, *builders)
        check_installed(builders)
    pip.install_torch(purpose)
    here = ".[dev]" if purpose == "test" else "."
    pip.install(purpose, *pip.CONSTRAINED, "--no-build-isolation", "--editable", here)
    extra = course["optional-dependencies"]["dev"] if purpose == "test" else []
    check_installed([course["name"], *course["dependencies"], *extra])
    settle()
    # A package that is not whole even now shares files with another: it would never be.
    whole = [name for name, about in packages().items() if name in ours and is_whole(about)]
    for done in {"lab", purpose}:
        stamp(done).write_text("\n".join([fingerprint(version), *whole]))
    count = len(set(packages().values()) - before)
    print(f"Installed {count} package{'s' * (count != 1)} in {pip.minutes(began)} minutes.")


def settle() -> None:
    """Copy JupyterLab's settings and extensions, the files under lab/, to the same places in .venv.

    Only what differs is written. A layout is written once: from then on it is the reader's.
    """
    for path in filter(Path.is_file, Path("lab").rglob("*")):
        target, content = VENV / path.relative_to("lab"), path.read_bytes()
        layout = target.suffix == ".jupyterlab-workspace"
        if not target.exists() or not (layout or target.read_bytes() == content):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def wait_for_others():
    """Lock .venv for as long as this process or a child of it lives.

    The lock goes with the open file, which is one that nobody replaces.
    """
    try:
        lock = open(".venv.lock", "a")
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another installation is using .venv; waiting for it to finish.")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        return None  # a read-only disk, or a file system without locks
    return lock


def read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        unreadable(name, error)


def unreadable(name: str, error: Exception):
    stop(f"could not read {name} ({error!r}): restore it, for example with `git checkout {name}`.")


# --- What is in .venv


def python_in_venv() -> tuple[tuple[int, ...], str]:
    """(3, 12, 1) and "python3.12", the folder of its packages under lib, or () and ""."""
    wanted = "[*sys.version_info[:3], os.path.relpath(sysconfig.get_path('purelib'), sys.prefix)]"
    script = f"import json, os, sys, sysconfig; print(json.dumps({wanted}))"
    with contextlib.suppress(OSError, ValueError, IndexError, TypeError):
        said = run([PYTHON, "-I", "-c", script], stdout=subprocess.PIPE).stdout
        *version, site = json.loads(said.splitlines()[-1])  # other packages may speak first
        return tuple(version), Path(site).parent.name
    return (), ""


def reason_not_to_use(version, library) -> str | None:
    if not version:
        return "its Python does not start"
    if version < OLDEST:
        return f"it has Python {version[0]}.{version[1]}, and the course needs 3.11 or newer"
    if os.environ.get("PYTHON") and version[:2] != sys.version_info[:2]:
        asked = f"PYTHON={os.environ['PYTHON']} is {sys.version_info[0]}.{sys.version_info[1]}"
        return f"it has Python {version[0]}.{version[1]}, and {asked}; or unset PYTHON to keep it"
    # conda's environments hold a link, python3.1, beside the folder.
    folders = [folder for folder in VENV.glob("lib/python*") if not folder.is_symlink()]
    if {folder.name for folder in folders} != {library}:
        return "its Python was upgraded after it was made"
    return None


def make_venv() -> None:
    """Make .venv where there is none, or where making it was cut off."""
    if os.path.lexists(VENV) and not VENV.is_dir():
        what = f"a link to {os.readlink(VENV)}" if VENV.is_symlink() else "a file"
        stop(f".venv is {what}, not a folder: delete it.")
    config = VENV / "pyvenv.cfg"
    entries = sorted(VENV.iterdir()) if VENV.exists() else []
    if entries and not config.exists():
        stop(
            ".venv holds files that do not belong to a virtual environment, such as"
            f" {entries[0].name}: move them away, or delete it."
        )
    if (VENV / "Scripts").exists():
        stop(".venv was made on Windows: move it away, or delete it.")
    if not importlib.util.find_spec("ensurepip"):
        stop(
            f"{sys.executable} can't make a virtual environment; on Debian, `apt install"
            f" python3-venv` fixes that."
        )
    print(f"Making .venv, with Python {sys.version_info[0]}.{sys.version_info[1]}.")
    VENV.mkdir(exist_ok=True)
    config.touch()  # first, so that what a cut-off call leaves is still known to be ours
    # venv refuses a link, which may lead to a larger disk.
    made = run([sys.executable, "-m", "venv", VENV.resolve()], stdout=subprocess.PIPE)
    if made.returncode:
        stop(f"{sys.executable} could not make .venv: {pip.complaint(made.stdout + made.stderr)}")


def is_ready(purpose: str, version) -> bool:
    """Whether what this needs was installed, from the files as they are now."""
    done = stamp(purpose).read_text(errors="replace") if stamp(purpose).is_file() else ""
    return done.startswith(fingerprint(version)) and not pip.wants_another_torch()


def stamp(purpose: str) -> Path:
    return VENV / f".{purpose}-ready"


def fingerprint(version) -> str:
    """What decides the contents of .venv, and where it lies.

    An editable package is found by its path.
    """
    files = b"".join(Path(name).read_bytes() for name in FILES)
    return hashlib.sha256(files + f"{version} ".encode() + os.fsencode(Path.cwd())).hexdigest()


def pins() -> dict[str, str]:
    """The version that constraints.txt names, by the name of the package."""
    lines = re.findall(r"^([\w.-]+)==([^\s;]+)", read("constraints.txt"), re.M)
    return {plain(name): version for name, version in lines}


def noted(about: Path) -> list[list[str]]:
    """The files that pip noted for a package: path from site-packages, checksum, size."""
    try:
        with open(about / "RECORD", newline="", errors="replace") as lines:
            return [line for line in csv.reader(lines) if len(line) == 3]
    except (OSError, csv.Error):
        return []


def is_whole(about: Path) -> bool:
    """Whether each file that pip noted for a package is there, and code in the size that pip noted.

    Compiled files come and go; settings and certificates are the reader's to change. Without
    INSTALLER among the files, the note is the wheel's own: pip was cut off.
    """
    try:
        for file, _, size in (files := noted(about)):
            found = file.endswith(".pyc") or os.stat(f"{about.parent}/{file}").st_size
            if size and CODE.match(file) and int(size) != found:
                return False
    except (OSError, ValueError):
        return False
    return any(file.endswith("/INSTALLER") for file, *_ in files)


def is_usable(about: Path) -> bool:
    """Whether a package with missing or changed files can still be imported."""
    files = [file for file, *_ in noted(about)]
    modules = {file: found[1] for file in files if (found := MODULE.match(file))}
    if not files or not all((about.parent / file).exists() for file in modules):
        return False
    imports = "\n".join(f"import {module}" for module in modules.values())
    return run([PYTHON, "-P", "-c", imports], stdout=subprocess.PIPE).returncode == 0


def repair(purpose: str, ours: set[str], ready: bool) -> bool:
    """Reinstall broken pinned packages and pip; return whether more must be installed.

    More are packages that pip does not list, or that constraints.txt wants in another version, and
    the course's own, which is on no index. Where all was ready and pip can't put a package back,
    the course starts if the broken ones can be imported.
    """
    there, pinned = packages(), pins()
    names = stamp(purpose).read_text().splitlines()[1:] if ready else ours & set(there)
    found = {name: there.get(name, MISSING) for name in sorted(names)}
    broken = {name: about for name, about in found.items() if not is_whole(about)}
    if ready and not broken:
        return False
    if broken:
        said = ", ".join([*broken][:5]) + ", ..." * (len(broken) > 5)
        print(f"Files of {said} in .venv are missing or changed; repairing.")
    pip_too = bool(broken.pop("pip", None))
    more = not ready or MISSING in broken.values() or not broken.keys() <= pinned.keys()
    versions = {name: about.stem.rpartition("-")[2] for name, about in broken.items()}
    if more:
        versions = {n: v for n, v in versions.items() if v.split("+")[0] == pinned.get(n)}
    asked = [f"{name}=={version}" for name, version in versions.items()]
    try:
        pip.ensure_pip(broken=pip_too)
        if asked:
            from_torch = "+cpu" in "".join(asked) and not pip.pip_has_its_own_index()
            index = ["--extra-index-url", pip.TORCH_INDEX] if from_torch else []
            pip.install(purpose, "--ignore-installed", "--no-deps", *index, *asked)
    except (SystemExit, OSError) as error:
        if not ready:
            raise
        why = str(error).removeprefix("ganbook: ")
        if not all(map(is_usable, broken.values())):
            stop(f"files of {said} in .venv are missing or changed: {why}")
        print(f"The repair of .venv failed, so the course starts as it is: {why}")
        return False
    return more


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
    except (OSError, ValueError) as error:
        stop(f"the set-up failed: {error}")
