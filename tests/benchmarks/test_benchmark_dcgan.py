"""The course's DCGAN: its distances and seconds, what they are held against, the picture."""

import common
import dcgan
import pytest
import torch
from benchmark_tables import SEEDS, rows
from PIL import Image

from ganbook import data


@pytest.fixture(scope="module")
def second():
    """The second classifier, which learns here from a part of the digits, to the same end."""
    digits, caches = data.digits, (dcgan.second_classifier, dcgan.second_real)

    def few(split="all"):
        found = digits(split)
        return data.Images(found.images[:2000], found.labels[:2000]) if split == "train" else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "digits", few)
        for cache in caches:
            cache.cache_clear()
        yield dcgan.second_classifier()
    for cache in caches:
        cache.cache_clear()


def test_a_second_classifier_finds_dcgan_near_to_the_digits_and_reads_it_surely():
    table = rows("dcgan", what="dcgan")
    assert {row["seed"] for row in table} == set(SEEDS)
    last = [row for row in table if int(row["step"]) == dcgan.STEPS]
    gaussian, halves = (rows("dcgan", what=what) for what in ("pixel gaussian", "real halves"))
    assert len(last) == len(gaussian) == len(halves) == 3
    for name in ("fid", "second_fid"):
        lowest = min(float(row[name]) for row in gaussian)
        assert max(float(row[name]) for row in last) <= 0.04 * lowest
        assert max(float(row[name]) for row in halves) <= 0.04 * lowest
    unseen = float(halves[0]["second_sure"])
    assert min(float(row["second_sure"]) for row in last) >= 2 / 3 * unseen
    clouds = [100 * float(row["second_sure"]) for row in gaussian]
    text = (common.FOLDER.parent / "sources" / "04_dcgan.md").read_text(encoding="utf-8")
    assert f"it reads {min(clouds):.0f} to {max(clouds):.0f} % surely" in " ".join(text.split())


def test_the_picture_is_small_enough_for_the_readme():
    assert (common.FOLDER / "digits.png").stat().st_size < 200_000
    with Image.open(common.FOLDER / "digits.png") as picture:
        assert picture.size == (3 * (12 * 29 - 1), 3 * (6 * 29 - 1))


def test_a_picture_makes_the_folder_it_is_to_lie_in(tmp_path):
    path = tmp_path / "new" / "digits.png"
    dcgan.picture(torch.zeros(4, 1, 28, 28), 2, path, scale=3)
    with Image.open(path) as picture:
        assert picture.size == (3 * (2 * 29 - 1), 3 * (2 * 29 - 1))


def test_the_second_classifier_reads_digits_that_it_has_not_seen(second):
    unseen = data.digits("test")
    with torch.no_grad():
        read = second(unseen.images.cpu()).argmax(1)
    assert (read == unseen.labels.cpu()).double().mean() > 0.95


@pytest.mark.usefixtures("second")
def test_references_of_the_distance():
    halves, gaussian = dcgan.references(seed=0)
    assert halves["fid"] < 2 and 200 < gaussian["fid"] < 320
    assert halves["second_fid"] < 0.04 * gaussian["second_fid"]  # as in the table
    assert halves["second_sure"] > 0.9  # of digits that it has not learned from
