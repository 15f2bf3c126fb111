"""Readers of the formats of MNIST and CIFAR-10. What can't be read raises `DataError`."""

import gzip
import math
import pickle
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np

from ganbook.arguments import check_choice
from ganbook.files import DataError


def read_idx(path) -> np.ndarray:
    """Read an IDX file of bytes, the format of MNIST.

    path: the file, gzipped or not.
    Returns uint8, of the shape in the file's header. The format: two zeros, 8 for unsigned bytes,
    the number of axes, their lengths as big-endian 32-bit integers, the values. Raises DataError
    if the file is something else, or is shorter or longer than its header says.
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{path} is damaged or cut off: {error}") from error
    axes = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * axes
    if not 0 < axes <= 32 or len(content) < start:
        raise DataError(
            f"{path} is no IDX file of bytes: it begins with {content[:4].hex(' ') or 'nothing'}"
        )
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{path} is damaged or cut off: its header says {shape}, "
            f"but {len(content) - start} bytes follow"
        )
    return np.frombuffer(bytearray(content[start:]), np.uint8).reshape(shape)


def read_cifar10(path, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Read CIFAR-10's cifar-10-python.tar.gz: images (N, 3, 32, 32) uint8 and labels (N,).

    path: the archive; nothing is unpacked to the disk.
    split: "train" or "test".
    The pickles inside may hold arrays and plain values only. Raises DataError if one asks for
    anything else, or if the archive is damaged, incomplete or something else. Raises ValueError
    for any other split.
    """
    check_choice("split", split, ["train", "test"])
    train = [f"data_batch_{i}" for i in range(1, 6)]
    names = train if split == "train" else ["test_batch"]
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            # In the archive's own order: going back would decompress it all again.
            for member in archive:
                if Path(member.name).name in names:
                    batch = _ArrayUnpickler(archive.extractfile(member), encoding="bytes").load()
                    found[Path(member.name).name] = batch
        images = np.concatenate([found[name][b"data"] for name in names])
        labels = np.concatenate([found[name][b"labels"] for name in names])
    except KeyError as error:
        raise DataError(f"{path} is not the whole of CIFAR-10: it has no {error}") from error
    except Exception as error:  # a damaged gzip, tar, pickle and array each raise their own
        raise DataError(f"{path} can't be read as CIFAR-10: {error}") from error
    if images.shape != (len(labels), 3072) or images.dtype != np.uint8 or labels.dtype.kind != "i":
        raise DataError(
            f"{path} is not CIFAR-10: {images.dtype} images {images.shape}, {len(labels)} labels"
        )
    return images.reshape(-1, 3, 32, 32), labels


class _ArrayUnpickler(pickle.Unpickler):
    """Makes arrays and plain values only.

    CIFAR's pickles were written by Python 2 in protocol 2, and ask for these three names alone.
    """

    def find_class(self, module: str, name: str):
        allowed = {
            "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],
            "numpy.ndarray": np.ndarray,
            # They call dtype("u1", 0, 1); some versions of numpy warn that 0 and 1 are not bool.
            "numpy.dtype": lambda code, align, copy: np.dtype(code, copy=True),
        }
        if f"{module}.{name}" not in allowed:
            raise pickle.UnpicklingError(
                f"a pickle in it asks for {module}.{name}, which no array needs."
            )
        return allowed[f"{module}.{name}"]
