"""ganbook.downloads: downloads that survive bad luck, from a server on this machine."""

import errno
import gzip
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import requests
import torch
import urllib3
from local_server import Server
from test_formats import cifar, idx

import ganbook
from ganbook import data, downloads


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of its own for each test, beside that of the user and those of the other tests."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANBOOK_CACHE", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch):
    """A server that is the only mirror of mnist/file, 600,000 bytes of noise."""
    server = Server()
    server.content = np.random.default_rng(0).bytes(600_000)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "_MIRRORS", {"mnist": [server.url]})
    monkeypatch.setattr(
        downloads, "_SHA256", {"mnist/file": hashlib.sha256(server.content).hexdigest()}
    )
    yield server
    server.close()


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock"}


def test_a_download_is_kept(server, cache, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, **arguments):
            self.arguments, self.done = arguments, 0
            bars.append(self)

        def update(self, n):
            self.done += n

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert (
        bars[0].done == bars[0].arguments["total"] == 600_000 and bars[0].arguments["initial"] == 0
    )
    assert downloads.fetch("mnist/file") == cache / "mnist" / "file"
    assert len(server.ranges) == 1 and names(cache) == {"file"}


def test_mnist_comes_whole_through_the_network(server, monkeypatch):
    rng = np.random.default_rng(0)
    pixels, labels = (
        rng.integers(0, 256, (6, 28, 28), np.uint8),
        np.array([3, 1, 4, 1, 5, 9], np.uint8),
    )
    served = {}
    for folder, part, rows in itertools.product(
        ["mnist", "fashion_mnist"], ["train", "t10k"], [slice(6)]
    ):
        shown = {"mnist": pixels, "fashion_mnist": 255 - pixels}[folder][
            rows if part == "train" else slice(2)
        ]
        served[f"/{folder}/{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(shown))
        served[f"/{folder}/{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels[: len(shown)]))
    server.content = served
    monkeypatch.setattr(
        downloads,
        "_MIRRORS",
        {name: [f"{server.url}{name}/"] for name in ("mnist", "fashion_mnist")},
    )
    monkeypatch.setattr(
        downloads, "_SHA256", {k[1:]: hashlib.sha256(v).hexdigest() for k, v in served.items()}
    )
    train, test = data.mnist(), data.mnist("test")
    assert torch.allclose(
        train.images.cpu()[:, 0], torch.tensor(pixels / 127.5 - 1).float(), atol=1e-6
    )
    assert train.labels.tolist() == labels.tolist() and len(train.classes) == 10 and len(test) == 2
    assert torch.allclose(data.fashion_mnist().images, -train.images, atol=1e-6)
    assert data.load("fashion_mnist", "test").labels.tolist() == [3, 1]
    assert data.fashion_mnist().classes[0] == "T-shirt"


def test_cifar_comes_whole_through_the_network(server, monkeypatch):
    server.content, pixels, labels = cifar()
    monkeypatch.setattr(downloads, "_MIRRORS", {"cifar10": [server.url]})
    digest = hashlib.sha256(server.content).hexdigest()
    monkeypatch.setattr(downloads, "_SHA256", {"cifar10/cifar-10-python.tar.gz": digest})
    train = data.cifar10()
    assert train.images.shape == (10, 3, 32, 32) and train.labels.tolist() == labels[:10].tolist()
    assert torch.allclose(
        train.images.cpu(), torch.tensor(pixels[:10] / 127.5 - 1).float(), atol=1e-6
    )
    assert len(data.cifar10("test")) == 2 and len(train.classes) == 10 and len(server.ranges) == 1


def test_real_checksums_and_mirrors_are_whole():
    assert {name.split("/")[0] for name in downloads._SHA256} == set(downloads._MIRRORS)
    for digest in downloads._SHA256.values():
        assert len(bytes.fromhex(digest)) == 32
    assert len(set(downloads._SHA256.values())) == 9
    for mirror in itertools.chain.from_iterable(downloads._MIRRORS.values()):
        assert mirror.startswith("http") and mirror.endswith("/")


@pytest.mark.parametrize("careful", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server, cache, monkeypatch, careful):
    if not careful:  # older versions of urllib3 don't count the bytes
        request = urllib3.connection.HTTPConnection.request
        careless = {"enforce_content_length": False}
        replacement = lambda *args, **options: request(*args, **options | careless)  # noqa: E731
        monkeypatch.setattr(urllib3.connection.HTTPConnection, "request", replacement)
    server.way = "hang up"
    with pytest.raises(data.DataError, match="closed the connection.*resumes where it stopped"):
        downloads.fetch("mnist/file")
    assert names(cache) == {"file.part"}
    have = (cache / "mnist" / "file.part").stat().st_size
    assert 0 < have <= 300_000
    server.way = "well"
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == [None, f"bytes={have}-"] and names(cache) == {"file"}


def test_another_mirror_goes_on_with_what_is_there(server, cache, monkeypatch):
    other = Server()
    other.content, other.way = server.content, "hang up"
    monkeypatch.setitem(downloads._MIRRORS, "mnist", [other.url, server.url])
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges[0].startswith("bytes=") and server.ranges[0] != "bytes=0-"
    other.close()


def test_a_beginning_that_is_the_whole_file_is_asked_of_nobody(server, cache):
    """As when the process was killed between the last byte and the file's name."""
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").write_bytes(server.content)
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == [] and names(cache) == {"file"}


def test_a_variable_that_names_no_certificates_is_not_blamed_on_the_cache(server, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/company.pem")
    monkeypatch.setitem(downloads._MIRRORS, "mnist", ["https://127.0.0.1:1/"])
    with pytest.raises(data.DataError, match=r"can't be asked \(.*/nowhere/company.pem\)"):
        downloads.fetch("mnist/file")


def test_a_certificate_that_nobody_trusts_is_named(server, monkeypatch):
    def get(*_, **settings):
        raise requests.exceptions.SSLError("certificate verify failed")

    monkeypatch.setattr(requests, "get", get)
    with pytest.raises(data.DataError, match="has a certificate that is not trusted"):
        downloads.fetch("mnist/file")


def test_a_server_without_ranges_begins_again(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").write_bytes(server.content[:1000])
    server.way = "no ranges"
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == ["bytes=1000-"]


def test_a_beginning_longer_than_the_file_is_given_up(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").write_bytes(bytes(700_000))
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == ["bytes=700000-", None]


def test_a_beginning_of_another_file_is_given_up(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").write_bytes(b"<html>Please log in</html>")
    with pytest.raises(data.DataError, match="wrong checksum"):
        downloads.fetch("mnist/file")
    assert names(cache) == set()
    assert downloads.fetch("mnist/file").read_bytes() == server.content


@pytest.mark.parametrize("way", ["well", "no length"])
def test_a_wrong_file_is_thrown_away(server, cache, way):
    server.content, server.way = server.content[:-1], way
    with pytest.raises(data.DataError, match="127.0.0.1.* wrong checksum, which was thrown away"):
        downloads.fetch("mnist/file")
    assert names(cache) == set()


def test_a_missing_file_is_looked_for_elsewhere(server, cache, monkeypatch):
    other = Server()
    other.way = "404"
    monkeypatch.setitem(downloads._MIRRORS, "mnist", [other.url, server.url])
    assert downloads.fetch("mnist/file").read_bytes() == server.content and len(other.ranges) == 1
    server.way = "404"
    (cache / "mnist" / "file").unlink()
    with pytest.raises(data.DataError, match=r"answered 404; 127.0.0.1:\d+ answered 404"):
        downloads.fetch("mnist/file")
    assert names(cache) == set()
    other.close()


def test_without_a_network_one_sentence_names_the_digits(server, cache):
    server.close()
    with pytest.raises(
        data.DataError,
        match=r"^mnist/file could not be downloaded: .* did not answer\. .*digits\(\)",
    ):
        downloads.fetch("mnist/file")
    assert names(cache) == set()


@pytest.mark.parametrize("url", ["ftp://a/b", "http://[", f"http://{'a' * 70}.org/", "http://.a/"])
def test_a_redirect_to_an_address_that_can_not_be_asked_is_named(server, cache, monkeypatch, url):
    get = requests.get
    monkeypatch.setattr(requests, "get", lambda _, **settings: get(url, **settings))
    with pytest.raises(data.DataError, match=r":\d+ can't be asked \("):
        downloads.fetch("mnist/file")
    assert names(cache) == set()


@pytest.mark.parametrize(
    ("way", "why"),
    [("in circles", "redirects without end"), ("not gzip", "sent something that can't be decoded")],
)
def test_a_server_that_makes_no_sense_is_named(server, cache, way, why):
    server.way = way
    with pytest.raises(data.DataError, match=rf"127.0.0.1:\d+ {why}\."):
        downloads.fetch("mnist/file")


def test_a_server_that_falls_silent_has_answered(server, cache, monkeypatch):
    def silent(*_):
        yield server.content[:1000]
        raise requests.ConnectionError("Read timed out.")

    monkeypatch.setattr(requests.Response, "iter_content", silent)
    with pytest.raises(data.DataError, match="stopped before the end"):
        downloads.fetch("mnist/file")
    assert (cache / "mnist" / "file.part").read_bytes() == server.content[:1000]


def test_a_length_that_is_no_number_is_left_aside(server):
    server.way = "odd length"
    assert downloads.fetch("mnist/file").read_bytes() == server.content


def test_a_damaged_file_in_the_cache_is_replaced(server, cache):
    path = downloads.fetch("mnist/file")
    path.write_bytes(server.content[:-1] + b"x")
    assert downloads.fetch("mnist/file").read_bytes() == server.content and len(server.ranges) == 2


def test_no_flipped_bit_of_a_download_gets_through(server, cache):
    path = downloads.fetch("mnist/file")
    places = np.linspace(0, len(server.content) - 1, 48).astype(int).tolist()
    for count, place in enumerate(places, start=1):
        flipped = bytearray(server.content)
        flipped[place] ^= 1 << count % 8
        path.write_bytes(flipped)
        assert downloads.fetch("mnist/file").read_bytes() == server.content, place
        assert len(server.ranges) == 1 + count, place


def test_no_flipped_bit_of_an_interrupted_download_gets_through(server, cache):
    part = cache / "mnist" / "file.part"
    part.parent.mkdir(parents=True)
    for place in np.linspace(0, 299_999, 40).astype(int).tolist():
        flipped = bytearray(server.content[:300_000])
        flipped[place] ^= 1
        part.write_bytes(flipped)
        with pytest.raises(data.DataError, match="wrong checksum, which was thrown away"):
            downloads.fetch("mnist/file")
        assert names(cache) == set(), place


def test_a_full_cache_is_only_read(server, cache, monkeypatch):
    downloads.fetch("mnist/file")
    server.close()
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("something was to be written"))
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert not list((cache / "mnist").glob("*.part"))


@pytest.mark.parametrize("inside", [False, True])
def test_a_cache_that_cannot_be_written(server, cache, inside):
    file = cache / "mnist" if inside else cache
    file.parent.mkdir(exist_ok=True)
    file.write_text("a file where the folder should be")
    with pytest.raises(data.DataError, match="can't be read or written: .* set GANBOOK_CACHE"):
        downloads.fetch("mnist/file")
    assert file.read_text().startswith("a file") and not server.ranges


def test_a_cache_that_may_not_be_entered(server, cache, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(data.DataError, match="can't be read or written: Permission denied"):
        downloads.fetch("mnist/file")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").symlink_to("/dev/full")
    with pytest.raises(data.DataError, match="No space left on device. Make room"):
        downloads.fetch("mnist/file")
    assert not (cache / "mnist" / "file").exists()


@pytest.mark.parametrize("number", ["ENOLCK", "EOPNOTSUPP"])
def test_a_disk_without_locks_keeps_downloads_too(server, cache, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def none(*_):
        raise OSError(getattr(errno, number), "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    other = cache / "mnist" / "file.part"  # of a kernel that is downloading it too
    other.parent.mkdir(parents=True)
    other.write_bytes(b"half")
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert other.read_bytes() == b"half" and names(cache) == {"file", "file.part"}
    (cache / "mnist" / "file").unlink()
    server.way = "hang up"
    with pytest.raises(data.DataError, match="closed the connection"):
        downloads.fetch("mnist/file")
    assert names(cache) == {"file.part"}


def kernel(server: Server) -> subprocess.Popen:
    """Another Python, which downloads mnist/file from the server and prints its checksum."""
    program = f"""
        import hashlib, sys, types
        # Without PyTorch, whose import takes seconds.
        sys.modules["ganbook"] = types.ModuleType("ganbook")
        sys.modules["ganbook"].__path__ = {ganbook.__path__!r}
        sys.modules["ganbook.arguments"] = types.SimpleNamespace(warn=print)
        from ganbook import downloads
        downloads._MIRRORS, downloads._SHA256 = {downloads._MIRRORS!r}, {downloads._SHA256!r}
        print(hashlib.sha256(downloads.fetch("mnist/file").read_bytes()).hexdigest())
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, kernel):
    while not condition():
        assert kernel.poll() is None, "the kernel ended before it came to that"
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_a_killed_download_goes_on_where_it_stopped(server, cache):
    server.way = "stop"
    part = cache / "mnist" / "file.part"
    other = kernel(server)
    wait_for(lambda: part.exists() and part.stat().st_size > 100_000, other)
    other.kill()
    other.communicate()
    have = part.stat().st_size
    assert "file" not in names(cache)
    server.way = "well"
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == [None, f"bytes={have}-"]


def test_two_kernels_download_once_and_the_second_says_that_it_waits(server, cache, monkeypatch):
    said = []

    def hear(text):
        said.append(text)
        server.go_on.set()

    monkeypatch.setattr(downloads, "print", hear, raising=False)
    server.way = "stop"
    other = kernel(server)
    wait_for(lambda: server.ranges, other)
    assert downloads.fetch("mnist/file").read_bytes() == server.content
    assert said == ["Another kernel is downloading mnist/file: waiting for it."]
    assert other.communicate(timeout=300)[0].strip() == downloads._SHA256["mnist/file"]
    assert len(server.ranges) == 1 and names(cache) == {"file"}
