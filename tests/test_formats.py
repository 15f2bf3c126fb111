"""ganbook.data.formats: readers name what is damaged, and trust no pickle."""

import gzip
import io
import pickle
import struct
import tarfile
import warnings

import numpy as np
import pytest

from ganbook.data import DataError, formats


def idx(array: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()


cube = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzip"])
def test_idx_files_are_read(tmp_path, pack):
    file = tmp_path / "file"
    file.write_bytes(pack(idx(cube)))
    assert np.array_equal(formats.read_idx(file), cube) and formats.read_idx(file).dtype == np.uint8
    file.write_bytes(pack(idx(cube[0, 0])))
    assert np.array_equal(formats.read_idx(file), cube[0, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx(cube))[:-12], "damaged or cut off"),
        (gzip.compress(idx(cube))[:-6] + b"\0" * 6, "damaged or cut off"),
        (idx(cube)[:-1], r"its header says \(2, 3, 4\), but 23 bytes"),
        (idx(cube) + b"\0", "but 25 bytes"),
        (gzip.compress(idx(cube)[:-1]), "but 23 bytes"),
        (idx(cube)[:9], "no IDX file"),
        (idx(cube, code=13), "no IDX file of bytes: it begins with 00 00 0d 03"),
        (b"<html>404</html>", "no IDX file"),
        (b"\0\0\x08\0", "no IDX file"),
        (b"\0\0\x08", "no IDX file"),
        (b"", "begins with nothing"),
    ],
    ids=range(11),  # gzip stamps the time into what it writes, and ids must not change with it
)
def test_bad_idx_files_are_named(tmp_path, content, message):
    file = tmp_path / "some-idx"
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"some-idx .*{message}"):
        formats.read_idx(file)


def pickled_by_python_2(batch: dict) -> bytes:
    """Pickle a dict of bytes, lists and byte arrays in the opcodes of protocol 2, as CIFAR's."""

    def text(value: bytes) -> bytes:
        return (
            b"U" + bytes([len(value)]) + value
            if len(value) < 256
            else b"T" + struct.pack("<i", len(value)) + value
        )

    def write(value) -> bytes:
        if isinstance(value, bytes):
            return text(value)
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        if isinstance(value, list):
            return b"](" + b"".join(map(write, value)) + b"e"
        if isinstance(value, dict):
            return b"}(" + b"".join(write(key) + write(item) for key, item in value.items()) + b"u"
        empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
        kind = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R"
        kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        shape = b"(" + b"".join(map(write, value.shape)) + b"t"
        return empty + b"(K\x01" + shape + kind + b"\x89" + text(value.tobytes()) + b"tb"

    return b"\x80\x02" + write(batch) + b"."


def cifar(per_batch=2, **replaced) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A tiny archive in CIFAR-10's format, with its pixels and labels, the test batch last.

    per_batch: images in each of the six batches; the pixels are (6 * per_batch, 3, 32, 32).
    replaced: the content of a batch instead, or None to leave it out.
    """
    rng = np.random.default_rng(0)
    pixels, labels = (
        rng.integers(0, 256, (6 * per_batch, 3072), np.uint8),
        rng.integers(0, 10, 6 * per_batch),
    )
    contents = {
        "batches.meta": pickled_by_python_2({b"label_names": [b"airplane"]}),
        "readme.html": b"<html>",
    }
    for i in (3, 5, 0, 1, 4, 2):  # out of order, as in the original
        rows = slice(i * per_batch, (i + 1) * per_batch)
        batch = {
            b"batch_label": b"a batch",
            b"labels": labels[rows].tolist(),
            b"data": pixels[rows],
        }
        contents["test_batch" if i == 5 else f"data_batch_{i + 1}"] = pickled_by_python_2(batch)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in (contents | replaced).items():
            if content is not None:
                info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue(), pixels.reshape(-1, 3, 32, 32), labels


def test_cifar_archives_are_read(tmp_path):
    content, pixels, labels = cifar()
    file = tmp_path / "cifar.tar.gz"
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # some versions of numpy warn of Python 2's pickles
        train, test = formats.read_cifar10(file), formats.read_cifar10(file, "test")
    assert np.array_equal(train[0], pixels[:10]) and np.array_equal(train[1], labels[:10])
    assert np.array_equal(test[0], pixels[10:]) and np.array_equal(test[1], labels[10:])
    assert [item.name for item in tmp_path.iterdir()] == ["cifar.tar.gz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (cifar(data_batch_3=None)[0], "not the whole of CIFAR-10: it has no 'data_batch_3'"),
        (cifar(data_batch_3=pickled_by_python_2({b"data": cube}))[0], "."),
        (cifar(data_batch_3=pickled_by_python_2({b"labels": [1], b"data": cube[0]}))[0], "."),
        (
            cifar(
                data_batch_3=pickled_by_python_2(
                    {b"labels": [1], b"data": np.zeros((2, 3072), "u1")}
                )
            )[0],
            "9 labels",
        ),
        (cifar(data_batch_3=b"rubbish")[0], "can't be read as CIFAR-10"),
        (cifar(data_batch_3=b"")[0], "can't be read as CIFAR-10"),
        (cifar()[0][:-2000], "can't be read as CIFAR-10"),
        (b"<html>404</html>", "can't be read as CIFAR-10"),
        (b"", "can't be read as CIFAR-10"),
    ],
)
def test_bad_cifar_archives_are_named(tmp_path, content, message):
    file = tmp_path / "cifar.tar.gz"
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"cifar.tar.gz .*{message}"):
        formats.read_cifar10(file)


def test_labels_of_cifar_are_integers(tmp_path):
    batch = {b"labels": [b"cat", b"dog"], b"data": np.zeros((2, 3072), np.uint8)}
    file = tmp_path / "cifar.tar.gz"
    file.write_bytes(cifar(test_batch=pickled_by_python_2(batch))[0])
    with pytest.raises(DataError, match=r"is not CIFAR-10: uint8 images \(2, 3072\), 2 labels"):
        formats.read_cifar10(file, "test")


@pytest.mark.parametrize("way", ["a call", "a call in a list", "a name beside numpy's"])
def test_a_pickle_that_would_do_something_does_nothing(tmp_path, way):
    made = tmp_path / "made"
    call = b"cos\nmkdir\nU" + bytes([len(str(made))]) + str(made).encode() + b"\x85R"
    evil = {
        "a call": b"\x80\x02" + call + b".",
        "a call in a list": b"\x80\x02}(U\x06labels](" + call + b"eu.",
        "a name beside numpy's": b"\x80\x02cnumpy\nos.mkdir\nU" + call.split(b"\nU")[1] + b".",
    }[way]
    file = tmp_path / "cifar.tar.gz"
    file.write_bytes(cifar(data_batch_1=evil)[0])
    with pytest.raises(
        DataError, match=r"asks for (os\.mkdir|numpy\.os\.mkdir), which no array needs"
    ):
        formats.read_cifar10(file)
    assert not made.exists()
    if way != "a name beside numpy's":
        pickle.loads(evil)
        assert made.exists()  # so this pickle does harm where it is trusted
