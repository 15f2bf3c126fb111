"""ganbook.files: writing is all or nothing, and what is damaged is not read."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ganbook import downloads, files


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


@pytest.mark.parametrize(
    ("path", "wrong", "message"),
    [
        ("~nobody-of-this-name/x.pt", ValueError, "a user who does not exist; .* write ./~nobody"),
        ("x\0y", ValueError, r"'x\\x00y' has a null character in it"),
        (b"x.pt", TypeError, "the path b'x.pt' must be a string or a pathlib.Path"),
        (3, TypeError, "the path 3 must be a string"),
    ],
)
def test_what_is_no_path_is_one_sentence(path, wrong, message):
    for kind in ("file", "folder"):
        with pytest.raises(wrong, match=message):
            files.user_path(path, kind)
    assert files.user_path("./~nobody-of-this-name/x.pt") == Path("~nobody-of-this-name/x.pt")


def test_a_user_without_a_home_has_a_cache_of_his_own_among_the_temporary_files(
    tmp_path, monkeypatch
):
    def homeless(name):
        raise RuntimeError("Could not determine home directory.")

    folder = tmp_path / f"ganbook-cache-{os.getuid()}"
    monkeypatch.delenv("GANBOOK_CACHE", raising=False)
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    for cache in (homeless, lambda name: f"~/.cache/{name}"):  # as platformdirs 4 has it
        monkeypatch.setattr(files.pooch, "os_cache", cache)
        monkeypatch.setattr(files.os.path, "expanduser", lambda path: path)
        assert files.cache_folder() == folder and folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)  # whoever may write there
    with pytest.raises(files.DataError, match="is not yours: set GANBOOK_CACHE"):
        files.cache_folder()


def test_a_cache_in_the_home_of_nobody_names_the_variable(monkeypatch):
    monkeypatch.setenv("GANBOOK_CACHE", "~nobody-of-this-name/x")
    for use in (lambda: files.read_kept("a"), lambda: files.keep("a", b""), files.cache_folder):
        with pytest.raises(files.DataError, match="variable GANBOOK_CACHE is wrong: '~nobody"):
            use()
    with pytest.raises(files.DataError, match="variable GANBOOK_CACHE is wrong: '~nobody"):
        downloads.fetch("mnist/train-images-idx3-ubyte.gz")


def test_the_warning_of_the_cache_points_at_the_readers_line(cache):
    cache.write_text("a file where the folder should be")
    files._warn_of_cache.cache_clear()
    with pytest.warns(UserWarning, match=r"cache can't be written \([A-Z][a-z ]+\), so") as caught:
        files.keep("a", b"")
    assert [warning.filename for warning in caught] == [__file__]
    files._warn_of_cache.cache_clear()


def test_an_error_without_a_text_of_the_systems_is_told_in_its_own_words(monkeypatch):
    def full(path):
        raise OSError("no room left")

    monkeypatch.setattr(files, "atomic", full)
    files._warn_of_cache.cache_clear()
    with pytest.warns(UserWarning, match=r"can't be written \(no room left\), so"):
        files.keep("a", b"")
    files._warn_of_cache.cache_clear()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with (
            pytest.raises(OSError, match="what is at this path is not a regular"),
            files.atomic(path) as new,
        ):
            new.write_text("new")
    assert pipe.is_fifo() and len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_file_keeps_its_permissions(tmp_path, monkeypatch):
    file = tmp_path / "file"
    for mode in (0o600, 0o640, 0o666):
        file.write_text("old")
        file.chmod(mode)
        with files.atomic(file) as temporary:
            assert temporary.stat().st_mode & 0o777 == mode
            temporary.write_text("new")
        assert file.stat().st_mode & 0o777 == mode and file.read_text() == "new"
    file.chmod(0o400)
    if os.access(file, os.W_OK):  # root
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="read-only"), files.atomic(file) as temporary:
        temporary.write_text("newer")
    assert file.read_text() == "new" and list(tmp_path.iterdir()) == [file]


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path):
    file = tmp_path / ("n" * 255)
    with files.atomic(file) as temporary:
        temporary.write_text("new")
    assert file.read_text() == "new"


HOLD = """
import sys
import tempfile
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


def write_for_ever(path: Path, size: int, begun) -> None:
    with files.atomic(path) as temporary, temporary.open("wb") as file:
        file.write(bytes(size))
        file.flush()
        begun.send("writing")
        signal.pause()


@pytest.mark.skipif(files.fcntl is None, reason="Windows has no such signal, and no such locks")
def test_the_next_write_deletes_what_killed_ones_left(tmp_path):
    game = tmp_path / "game.pt"
    for orphan in (".ganbook-0123abcd", ".ganbook-0123abcd.pt", ".ganbook-0123abcd-other.pt"):
        (tmp_path / orphan).write_text("an orphan of another file")
    (tmp_path / ".ganbook-notes").write_text("the reader's own, too")
    (tmp_path / ".game.pt").write_text("the reader's own hidden file")
    fork = multiprocessing.get_context("fork")
    for size in range(8):
        started, begun = fork.Pipe(duplex=False)
        process = fork.Process(target=write_for_ever, args=(game, 1000 * size, begun), daemon=True)
        process.start()
        started.recv()
        assert len(list(tmp_path.iterdir())) == 3  # those of the earlier ones are gone
        process.kill()
        process.join()
    assert not game.exists()
    with files.atomic(game) as temporary:
        temporary.write_text("whole")
    assert {file.name for file in tmp_path.iterdir()} == {
        "game.pt",
        ".ganbook-notes",
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
            files._delete_orphans(tmp_path)
        flock(file, operation)

    monkeypatch.setattr(files.fcntl, "flock", late)
    with files.atomic(game) as temporary:
        assert temporary.exists() and not Path(deleted[0]).exists()


def test_a_disk_that_counts_no_links_is_no_endless_loop(tmp_path, monkeypatch):
    fstat, asked = os.fstat, []

    def uncounted(descriptor):
        asked.append(descriptor)
        assert len(asked) < 100, "it goes on for ever"
        return os.stat_result([*fstat(descriptor)[:3], 0, *fstat(descriptor)[4:]])

    monkeypatch.setattr(os, "fstat", uncounted)
    with files.atomic(tmp_path / "game.pt") as temporary:
        temporary.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == ["game.pt"]


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


def test_a_writer_that_looks_at_the_ending_sees_that_of_the_file(tmp_path):
    for name in ("picture.png", "table.npz", "plain", "a." + "x" * 200):
        with files.atomic(tmp_path / name) as temporary:
            assert temporary.suffix == (tmp_path / name).suffix[:20]
            temporary.write_text(name)
        assert (tmp_path / name).read_text() == name
