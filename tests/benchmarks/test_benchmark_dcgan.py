"""The course's DCGAN: its distances and seconds, what they are held against, the picture."""

import common
import dcgan
import torch
from benchmark_tables import SEEDS, rows
from PIL import Image


def test_dcgan_reaches_a_twentieth_of_the_gaussian_within_a_minute():
    table = rows("dcgan", what="dcgan")
    assert {row["seed"] for row in table} == set(SEEDS)
    last = [row for row in table if row["step"] == max((row["step"] for row in table), key=int)]
    assert len(last) == 3
    gaussian = min(float(row["fid"]) for row in rows("dcgan", what="pixel gaussian"))
    assert max(float(row["seconds"]) for row in last) <= 60
    assert max(float(row["fid"]) for row in last) <= 0.05 * gaussian
    assert max(float(row["fid"]) for row in rows("dcgan", what="real halves")) < 0.01 * gaussian


def test_the_picture_is_small_enough_for_the_readme():
    assert (common.FOLDER / "digits.png").stat().st_size < 200_000
    with Image.open(common.FOLDER / "digits.png") as picture:
        assert picture.size == (3 * (12 * 29 - 1), 3 * (6 * 29 - 1))


def test_a_picture_makes_the_folder_it_is_to_lie_in(tmp_path):
    path = tmp_path / "new" / "digits.png"
    dcgan.picture(torch.zeros(4, 1, 28, 28), 2, path, scale=3)
    with Image.open(path) as picture:
        assert picture.size == (3 * (2 * 29 - 1), 3 * (2 * 29 - 1))


def test_references_of_the_distance():
    halves, gaussian = dcgan.references(seed=0)
    assert halves["fid"] < 2 and 200 < gaussian["fid"] < 320
    assert abs(dcgan.references(seed=1)[1]["fid"] - gaussian["fid"]) < 10
