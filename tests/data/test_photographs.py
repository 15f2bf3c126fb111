"""data.photographs: patches of the pictures in scikit-image's wheel, and what is wrong is said."""

import numpy as np
import pytest
import skimage.data
import torch

from ganbook import data
from ganbook.data import sets

COLOUR, GREY = list(sets._IN_COLOUR), list(sets._GREY)


@pytest.fixture
def picture(monkeypatch):
    """One photograph, 8 x 16, each of whose pixels has a value of its own: 16 y + x."""
    pixels = np.arange(128, dtype=np.uint8).reshape(8, 16)
    monkeypatch.setattr(skimage.data, "brick", lambda: pixels)
    monkeypatch.setattr(skimage.data, "coffee", lambda: np.stack([pixels, pixels, pixels], 2))
    sets._photograph.cache_clear()
    yield pixels
    sets._photograph.cache_clear()


def corners(images):
    """(y, x) of the first pixel of each patch of the small photograph."""
    values = ((images.images[:, 0, 0, 0] + 1) * 127.5).round().long().tolist()
    return [divmod(value, 16) for value in values]


@pytest.mark.parametrize("name", COLOUR + GREY)
def test_every_photograph_is_installed(name):
    found = data.photographs(64, name)
    assert found.images.shape[1:] == ((3 if name in COLOUR else 1), 64, 64)
    assert found.images.std() > 0.1 and found.classes == (name,)
    assert len(found) >= 72


def test_patches_are_half_a_patch_apart_and_row_by_row(picture):
    found = data.photographs(4, "brick")
    assert corners(found) == [(y, x) for y in (0, 2, 4) for x in range(0, 13, 2)]
    for image, (y, x) in zip(found.images, corners(found), strict=True):
        expected = torch.from_numpy(picture[y : y + 4, x : x + 4] / 127.5 - 1)
        assert torch.allclose(image[0].cpu().double(), expected, atol=1e-6)


def test_no_pixel_is_in_both_parts(picture):
    train, test = (data.photographs(4, "brick", split) for split in ("train", "test"))
    assert {x for _, x in corners(train)} == {0, 2, 4, 6, 8}
    assert {x for _, x in corners(test)} == {12}
    assert not set(train.images.flatten().tolist()) & set(test.images.flatten().tolist())


def test_labels_name_the_photographs_and_grey_ones_get_equal_channels(picture):
    found = data.photographs(4, ["coffee", "brick"])
    assert found.classes == ("coffee", "brick") and found.images.shape == (42, 3, 4, 4)
    assert found.labels.tolist() == [0] * 21 + [1] * 21
    assert torch.equal(found.images[:21], found.images[21:])


def test_by_default_all_that_are_in_colour():
    found = data.photographs()
    assert found.classes == tuple(COLOUR) and found.images.shape[1:] == (3, 32, 32)
    apart = (found.images[:, 0] - found.images[:, 1]).abs().mean()
    assert apart > 0.05


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 3}, "size=3: it must be a whole number, 4 or more"),
        ({"size": 301}, "size=301: it must be at most 300"),
        ({"size": 200, "split": "test", "names": "cat"}, r"split='test' of 'cat' is 300 x 113"),
        ({"names": "dog"}, "names='dog': it must be one of 'astronaut', 'cat'"),
        ({"names": []}, "give each photograph once, and one at least"),
        ({"names": ["cat", "cat"]}, "give each photograph once"),
        ({"split": "val"}, "split='val': it must be one of 'train', 'test', 'all'"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.photographs(**arguments)


def test_a_missing_photograph_is_named(monkeypatch):
    def missing():
        raise FileNotFoundError("no such file: rocket.jpg")

    monkeypatch.setattr(skimage.data, "rocket", missing)
    sets._photograph.cache_clear()
    with pytest.raises(data.DataError, match="'rocket' can't be read: no such file.*scikit-image"):
        data.photographs(32, "rocket")
