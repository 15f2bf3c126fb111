"""The faults of chapter 5: each does what it says, and the explorer follows its slider."""

import base64
import io
import re

import numpy as np
import PIL.Image
import pytest
import torch

from ganbook import data, metrics, plotting
from ganbook.explorers import faults


@pytest.fixture(scope="module")
def digits():
    return data.digits().batches(5000)[0]


@pytest.fixture(scope="module")
def picture():
    return faults.FaultPicture(size=300)


def test_a_blur_spreads_a_point_and_keeps_its_light():
    image = torch.full((1, 1, 28, 28), -1.0)
    image[0, 0, 14, 14] = 1
    found = faults.blurred(image, 1.5)
    assert (found + 1).sum().item() == pytest.approx(2, rel=1e-3)
    assert (found[0, 0, 14, 14] + 1).item() == pytest.approx(2 / (2 * np.pi * 1.5**2), rel=0.05)
    torch.testing.assert_close(found, found.mT)  # the same in both directions
    rows = (found[0, 0] + 1).sum(1) / 2
    assert (rows * (torch.arange(28) - 14) ** 2).sum().item() == pytest.approx(1.5**2, rel=0.05)


def test_a_blur_leaves_an_even_grey_and_without_width_everything(digits):
    grey = torch.full((2, 1, 28, 28), 0.3)
    torch.testing.assert_close(faults.blurred(grey, 2.0), grey)
    assert faults.blurred(digits.x[:3], 0.0) is not None
    assert torch.equal(faults.blurred(digits.x[:3], 0.0), digits.x[:3])


def test_noise_has_its_size_and_its_seed():
    grey = torch.zeros(50, 1, 28, 28)
    found = faults.noisy(grey, 0.2)
    assert found.std().item() == pytest.approx(0.2, rel=0.02) and found.abs().max() <= 1
    assert torch.equal(found, faults.noisy(grey, 0.2)) and not torch.equal(
        found, faults.noisy(grey, 0.2, seed=1)
    )
    assert torch.equal(faults.noisy(grey, 0.0), grey)


def test_missing_classes_are_missing_and_the_set_is_full(digits):
    images = digits.x[:100] * 0 + digits.labels[:100].view(-1, 1, 1, 1)  # each image is its label
    found = faults.missing(images, digits.labels[:100], (7, 8), 60)
    assert (
        len(found) == 60
        and not torch.isin(found, torch.tensor([7.0, 8.0], device=found.device)).any()
    )
    with pytest.raises(ValueError, match="images are left without the classes"):
        faults.missing(images, digits.labels[:100], range(9), 60)
    assert torch.equal(faults.missing(images, digits.labels[:100], (), 60), images[:60])


def test_one_image_is_repeated_and_originals_are_copied(digits):
    images, originals = digits.x[:10], digits.x[10:20]
    found = faults.repeated(images, 0.4)
    assert (found[:4] == images[0]).all() and torch.equal(found[4:], images[4:])
    found = faults.copied(images, originals, 0.3)
    assert torch.equal(found[:3], originals[:3]) and torch.equal(found[3:], images[3:])
    assert torch.equal(faults.repeated(images, 0.0), images) and torch.equal(
        faults.copied(images, originals, 1), originals
    )
    with pytest.raises(
        ValueError, match="10 images are to be copies, but there are only 4 originals"
    ):
        faults.copied(images, originals[:4], 1.0)


def test_every_fault_of_the_explorer_grows_from_the_same_faultless_set(picture):
    values = {fault: picture.measured(fault, 0.0)[1] for fault in faults.FAULTS}
    assert all(value == picture.honest for value in values.values())
    worse = {fault: picture.measured(fault, 1.0)[1] for fault in faults.FAULTS}
    for fault in faults.FAULTS[:4]:
        assert worse[fault].fid > 2 * picture.honest.fid, fault
    assert worse["copies of training digits"].fid < 0.1 * picture.honest.fid
    assert worse["copies of training digits"].copies > 0.95


def test_the_picture_shows_the_set_that_it_measures(picture):
    picture("one image repeated", 0.5)
    assert picture.title.get_text() == "36 of 300 digits: one image in 50% of the places"
    row = picture.row.get_array()
    shown = faults.repeated(picture.pool[:300], 0.5)[::8][:36]
    assert np.array_equal(row, plotting.tile(shown, 18))
    picture("noise", 0.5)
    assert picture.title.get_text() == "36 of 300 digits: noise of 0.5, where black to white is 2"
    shown = faults.noisy(picture.pool[:300], 0.5)
    assert np.array_equal(picture.row.get_array(), plotting.tile(shown[::8][:36], 18))
    found = metrics.measures(*picture.features, metrics.digit_features(shown))
    crosses = [cross.get_ydata()[0] for cross in picture.crosses]
    assert crosses == pytest.approx(list(found), rel=1e-6)  # all within their axes
    numbers = [float(number.get_text().replace(",", "")) for number in picture.numbers]
    assert numbers == pytest.approx(list(found), rel=0.05, abs=0.006)


@pytest.mark.parametrize(
    ("fault", "strength", "text"),
    [
        ("blur", 0.6, "A blur of 1.2 pixels"),
        ("noise", 0.6, "Noise of 0.6, where black to white is 2"),
        ("classes missing", 0.5, "Without 7, 8, 9"),
        ("classes missing", 0.0, "All classes are there"),
        ("one image repeated", 0.6, "One image in 60% of the places"),
        ("copies of training digits", 0.6, "60% are copies of training digits"),
    ],
)
def test_the_line_says_the_fault_and_the_values_with_and_without_it(picture, fault, strength, text):
    line = picture.say(fault, strength)
    assert line.startswith(f"{text}. In brackets without it: FD ") and line.endswith(").")
    _, found, _ = picture.measured(fault, strength)
    told = re.findall(r"(FD|KD|IS|[a-z]+) (-?[0-9.,]+) \((-?[0-9.,]+)\)", line)
    assert tuple(name for name, *_ in told) == metrics.MEASURE_NAMES
    for (_, *values), *measured in zip(told, found, picture.honest, strict=True):
        values = [float(value.replace(",", "")) for value in values]
        assert values == pytest.approx(measured, rel=0.05, abs=0.006)


def test_values_are_short_and_crosses_stay_within_their_axes(picture, monkeypatch):
    values = metrics.Measures(54321.6, -40.04, 9.96, 0.0, 0.004, 2.4999, 1.0, 2.5)
    monkeypatch.setattr(picture, "measured", lambda *_: ("", values, picture.row.get_array()))
    picture()
    assert [number.get_text() for number in picture.numbers] == [
        "54,322", "-40", "10", "0", "0.00", "2.50", "1.00", "2.5"
    ]  # fmt: skip
    crosses = [cross.get_data() for cross in picture.crosses]
    ends = [3e3, -30, 9.96, 0, 0.004, 2.1, 1, 1.05]
    assert crosses == [([0], [end]) for end in ends]
    for cross, end in zip(picture.crosses, ends, strict=True):
        assert cross.axes.get_ylim()[0] <= end <= cross.axes.get_ylim()[1]


def test_an_unknown_fault_is_named(picture):
    with pytest.raises(ValueError, match="it must be one of 'blur', 'noise'"):
        picture("rain", 0.5)


def test_the_explorer_redraws_for_each_control_and_leaves_a_still():
    explorer = faults.explorer()
    pictures = [explorer.image.value]
    explorer.controls["strength"].value = 0.8
    pictures.append(explorer.image.value)
    explorer.controls["fault"].value = "one image repeated"
    pictures.append(explorer.image.value)
    assert len(set(pictures)) == 3
    still = base64.b64decode(explorer._repr_mimebundle_()["image/png"])
    still, picture = (
        np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB")) for png in (still, pictures[-1])
    )
    above = len(still) - len(picture)
    assert still.shape[1] <= 760 and np.array_equal(still[above:], picture)
    assert 20 < above < 60 and still[:above].min() < 100  # the two controls, as they stand


def test_noise_stays_between_black_and_white():
    images = torch.tensor([-1.0, 1.0]).repeat(28, 14).view(1, 1, 28, 28)
    found = faults.noisy(images, 0.5)
    assert found.min() == -1 and found.max() == 1
    assert (found == images).float().mean().item() == pytest.approx(0.5, abs=0.1)
