"""The user's files, atomic writing, and what the course keeps in its cache.

Files that can't be read raise `DataError`; a wrong argument raises the built-in error for it.
"""

import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import pooch

from ganbook.arguments import warn

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class DataError(RuntimeError):
    """Data can't be obtained: no internet connection, a damaged file, an unwritable cache."""


def cache_folder() -> Path:
    """Return the folder in which data and small trained models are kept.

    The environment variable GANBOOK_CACHE names it; otherwise it is the user's cache folder or,
    for a user without a home folder, as in some containers, one among the temporary files. Raises
    DataError if the variable names the home folder of a user who does not exist, or if the folder
    among the temporary files is another user's.
    """
    named = os.environ.get("GANBOOK_CACHE")
    try:
        return user_path(named or pooch.os_cache("ganbook"), "folder")
    except (RuntimeError, ValueError) as error:
        if named:
            message = f"the environment variable GANBOOK_CACHE is wrong: {error}"
            raise DataError(message) from error
    folder = Path(tempfile.gettempdir()) / f"ganbook-cache-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)  # everybody may write beside it
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid != os.getuid()):
        raise DataError(f"{folder} is not yours: set GANBOOK_CACHE to a folder where you may write")
    return folder


def user_path(path, kind: str = "file") -> Path:
    """Return the file or folder that a user names, with `~` as the user's home folder.

    path: a string or path; what it names need not exist.
    kind: "file" or "folder".
    Raises TypeError if it is not a path, ValueError for an empty name, for one with a null in it,
    and for the home folder of a user who does not exist, and IsADirectoryError for a folder in
    place of a file.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"the path {path!r} must be a string or a pathlib.Path")
    text = os.fspath(path)
    if not text:
        raise ValueError(f"the path is empty: give the name of a {kind}")
    if "\0" in text:
        raise ValueError(f"the path {text!r} has a null character in it: leave it out")
    expanded = os.path.expanduser(text)
    found = Path(expanded)
    # A lone "~game.pt" is a file: editors give such names to their copies.
    if expanded.startswith("~") and (len(found.parts) > 1 or kind == "folder"):
        raise ValueError(
            f"{text!r} is in the home folder of a user who does not exist; for a folder of that"
            f" name, write ./{text}"
        )
    if kind == "file" and (found.is_dir() or text.endswith(("/", os.sep))):
        raise IsADirectoryError(f"{text!r} is a folder: give the name of a file in it")
    return found


@contextlib.contextmanager
def atomic(path: Path):
    """Write a file whole or not at all: `with atomic(path) as temporary:`, then write `temporary`.

    path: the file to be written; its folder is made if it is missing. A symbolic link stays, and
        the file that it points to is written.
    The temporary file lies beside `path`. It replaces `path` when the block ends, and is deleted
    when the block raises. So nobody reads half a file, and of two writers one wins. Temporary
    files that killed processes left behind are deleted by the next write into the folder. The new
    file keeps the permissions of the one that it replaces.
    Raises OSError if nothing can be written, or if what is there is read-only, a device or a pipe.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "what is at this path is not a regular file", str(path))
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file that is there is read-only", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_orphans(path.parent)
    temporary, lock = _locked_temporary(path)
    try:
        with contextlib.suppress(OSError):  # a new file, and disks without permissions
            shutil.copymode(path, temporary)
        yield temporary
        if fcntl is None:
            lock.close()  # Windows renames no open file
        os.replace(temporary, path)
    finally:
        lock.close()
        temporary.unlink(missing_ok=True)


# The writer of a temporary file holds a lock on it for as long as it lives, on this machine or
# another. A process number would not tell, because the system reuses it.


def _locked_temporary(path: Path):
    while True:
        temporary = path.with_name(f".ganbook-{os.urandom(4).hex()}{path.suffix[:20]}")
        lock = temporary.open("xb")
        with contextlib.suppress(AttributeError, OSError):  # Windows, and disks without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if temporary.exists():  # not taken for an orphan before it was locked
            return temporary, lock
        lock.close()


def _delete_orphans(folder: Path) -> None:
    orphan = re.compile(r"\.ganbook-[0-9a-f]{8}([-.].*)?")  # older versions added the file's name
    with contextlib.suppress(OSError):
        for file in [file for file in folder.iterdir() if orphan.fullmatch(file.name)]:
            # A lock, a disk without locks, another user's file, Windows: it stays.
            with contextlib.suppress(AttributeError, OSError), file.open("r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.unlink()


# ---- What the course has computed, in the cache


def read_kept(name: str) -> bytes | None:
    """Return what `keep` has written to the cache, or None if that is missing or damaged.

    name: of the file in the cache.
    """
    try:
        content = (cache_folder() / name).read_bytes()
    except OSError:
        return None
    content, digest = content[:-_DIGEST], content[-_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(name: str, content: bytes) -> None:
    """Write a file of the cache, with its checksum at the end, for `read_kept`.

    name: of the file in the cache. content: what it is to hold.
    If the cache can't be written, a warning says so, once.
    """
    try:
        with atomic(cache_folder() / name) as temporary:
            temporary.write_bytes(content + hashlib.sha256(content).digest())
    except OSError as error:
        _warn_of_cache(f"{cache_folder()}", error.strerror or f"{error}")


_DIGEST = hashlib.sha256().digest_size


@functools.cache  # once for each reason
def _warn_of_cache(folder: str, reason: str) -> None:
    warn(
        f"the cache folder {folder} can't be written ({reason}), so what is kept there is computed"
        " again in every notebook: set GANBOOK_CACHE to a folder where you may write"
    )
