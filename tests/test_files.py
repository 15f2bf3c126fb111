"""ganbook.files: writing is all or nothing, and what is damaged is not read."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

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


def write_for_ever(path: Path, size: int, begun) -> None:
    with files.atomic(path) as temporary, temporary.open("wb") as file:
        file.write(bytes(size))
        file.flush()
        begun.send("writing")
        signal.pause()


@pytest.mark.skipif(files.fcntl is None, reason="Windows has no such signal, and no such locks")
def test_the_next_write_deletes_what_killed_ones_left(tmp_path):
    game = tmp_path / "game.pt"
    (tmp_path / ".ganbook-0123abcd-other.pt").write_text("an orphan of another file")
    (tmp_path / ".game.pt").write_text("the reader's own hidden file")
    fork = multiprocessing.get_context("fork")
    for size in range(8):
        started, begun = fork.Pipe(duplex=False)
        process = fork.Process(target=write_for_ever, args=(game, 1000 * size, begun))
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
