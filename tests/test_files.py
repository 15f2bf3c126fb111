"""ganbook.files: writing is all or nothing, and readers name what is damaged."""

import gzip
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest

from ganbook import files


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of its own for each test, beside that of the user and those of the other tests."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANBOOK_CACHE", str(folder))
    return folder


def test_a_write_that_fails_leaves_nothing(cache):
    (cache / "kept").mkdir(parents=True)
    with pytest.raises(RuntimeError), files.atomic(cache / "file") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [file.name for file in cache.iterdir()] == ["kept"]
    with files.atomic(cache / "file") as temporary:
        temporary.write_text("whole")
        assert not (cache / "file").exists()
    assert (cache / "file").read_text() == "whole" and len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("name", ["~/runs/game.pt", "~"])
def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    if name == "~":
        with pytest.raises(IsADirectoryError, match="'~' is a folder: give the name of a file"):
            files.user_path(name)
    else:
        assert files.user_path(name) == files.user_path(Path(name)) == tmp_path / name[2:]


@pytest.mark.parametrize("name", [".", "..", "folder", "folder/", "missing/", Path(".")])
def test_a_folder_is_no_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder: give the name of a file in it"):
        files.user_path(name)


def test_a_path_has_a_name():
    with pytest.raises(ValueError, match="the path is empty: give the name of a file"):
        files.user_path("")
    assert files.user_path("game.pt") == Path("game.pt")
    assert files.user_path("~game.pt") == Path("~game.pt")  # nobody's home


HOLD = """
import sys
from ganbook import files
with files.atomic(files.Path(sys.argv[1])) as temporary:
    with temporary.open("wb") as file:
        file.write(b"half" * 1000)
        file.flush()
        print("writing", flush=True)
        sys.stdin.readline()
"""


def holder(path) -> subprocess.Popen:
    """Another Python that is in the middle of writing `path`; a line on its stdin ends it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.skipif(files.fcntl is None, reason="Windows has no such signal, and no such locks")
def test_the_next_write_deletes_what_killed_ones_left(tmp_path):
    game = tmp_path / "game.pt"
    (tmp_path / ".ganbook-0123abcd-other.pt").write_text("an orphan of another file")
    (tmp_path / ".game.pt").write_text("the reader's own hidden file")
    for process in [holder(game) for _ in range(4)]:
        process.kill()
        process.communicate()
    assert len(list(tmp_path.iterdir())) == 6 and not game.exists()
    with files.atomic(game) as temporary:
        temporary.write_text("whole")
    assert {file.name for file in tmp_path.iterdir()} == {
        "game.pt",
        ".ganbook-0123abcd-other.pt",
        ".game.pt",
    }


@pytest.mark.skipif(files.fcntl is None, reason="Windows has no such locks")
def test_of_two_writers_neither_deletes_the_others_file(tmp_path):
    game = tmp_path / "game.pt"
    other = holder(game)
    with files.atomic(game) as temporary:
        temporary.write_text("first")
        with files.atomic(game) as second:  # a thread of this process, say
            second.write_text("second")
        assert game.read_text() == "second"
    assert game.read_text() == "first"
    other.communicate("\n")
    assert other.returncode == 0 and game.read_bytes() == b"half" * 1000
    assert list(tmp_path.iterdir()) == [game]


@pytest.mark.skipif(files.fcntl is None, reason="Windows has no such locks")
def test_a_file_taken_for_an_orphan_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    game, flock, deleted = tmp_path / "game.pt", files.fcntl.flock, []

    def late(file, operation):
        if not operation & files.fcntl.LOCK_NB and not deleted:
            deleted.append(file.name)
            files._delete_orphans(game)
        flock(file, operation)

    monkeypatch.setattr(files.fcntl, "flock", late)
    with files.atomic(game) as temporary:
        assert temporary.exists() and not Path(deleted[0]).exists()


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_its_file_is_written(tmp_path, exists):
    real, link = tmp_path / "disk" / "game.pt", tmp_path / "game.pt"
    real.parent.mkdir()
    if exists:
        real.write_text("old")
    link.symlink_to("disk/game.pt")
    with files.atomic(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and real.read_text() == "new" and not real.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2 and list(real.parent.iterdir()) == [real]


def test_a_read_only_folder_is_an_oserror_and_changes_nothing(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "game.pt").write_text("old")
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(OSError), files.atomic(folder / "game.pt") as temporary:
            temporary.write_text("new")
    finally:
        folder.chmod(0o700)
    assert [file.read_text() for file in folder.iterdir()] == ["old"]


def idx(array: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()


cube = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzip"])
def test_idx_files_are_read(tmp_path, pack):
    file = tmp_path / "file"
    file.write_bytes(pack(idx(cube)))
    assert np.array_equal(files.read_idx(file), cube) and files.read_idx(file).dtype == np.uint8
    file.write_bytes(pack(idx(cube[0, 0])))
    assert np.array_equal(files.read_idx(file), cube[0, 0])


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
    with pytest.raises(files.DataError, match=f"some-idx .*{message}"):
        files.read_idx(file)


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
        train, test = files.read_cifar10(file), files.read_cifar10(file, "test")
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
    with pytest.raises(files.DataError, match=f"cifar.tar.gz .*{message}"):
        files.read_cifar10(file)


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
        files.DataError, match=r"asks for (os\.mkdir|numpy\.os\.mkdir), which no array needs"
    ):
        files.read_cifar10(file)
    assert not made.exists()
    if way != "a name beside numpy's":
        pickle.loads(evil)
        assert made.exists()  # so this pickle does harm where it is trusted
