"""widgets.film: a slider and a play button over recorded frames, and the sheet that stays without a
kernel. And what the explorers say in words."""

import base64
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import pytest
import torch

from ganbook import GAN, explorers, networks, plotting, widgets


def picture(shade, size=(40, 60)):
    return np.full((*size, 3), shade, np.uint8)


def pixels(png):
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB"))


def still(film):
    return base64.b64decode(film._repr_mimebundle_()["image/png"])


def test_the_slider_shows_the_frame_it_stands_on():
    film = widgets.film(
        [picture(shade) for shade in (0, 50, 200)], labels=["start", "middle", "end"]
    )
    assert film.slider.label == "start" and (pixels(film.image.value) == 0).all()
    film.slider.index = 2
    assert film.slider.label == "end" and (pixels(film.image.value) == 200).all()
    film.slider.index = 1
    assert film.slider.label == "middle" and (pixels(film.image.value) == 50).all()


def test_the_play_button_covers_the_slider():
    film = widgets.film([picture(shade) for shade in range(7)], interval=80)
    assert (film.play.min, film.play.max, film.play.interval) == (0, 6, 80)
    assert [label for label, _ in film.slider.options] == list("0123456")


def test_labels_may_repeat_and_be_numbers():
    film = widgets.film([picture(shade) for shade in (0, 50, 200)], labels=[5, 5, 6])
    film.slider.index = 1
    assert (pixels(film.image.value) == 50).all()


def test_frames_are_figures_images_arrays_tensors_or_pngs():
    array = picture(90)
    figure, axes = plt.subplots(figsize=(0.6, 0.4), dpi=100)
    axes.remove()
    figure.set_facecolor((90 / 255,) * 3)
    png = widgets.frame(array)
    given = [
        array,
        PIL.Image.fromarray(array),
        torch.from_numpy(array),
        png,
        bytearray(png),
        figure,
        array[..., 0],
    ]
    for frame in given:
        np.testing.assert_array_equal(pixels(widgets.frame(frame)), array)
    plt.close(figure)
    tiled = plotting.tile(torch.zeros(4, 1, 28, 28))
    assert pixels(widgets.film([tiled]).image.value).shape == (*tiled.shape, 3)


def test_a_figure_is_recorded_as_it_looks_now():
    figure = plt.figure(figsize=(0.6, 0.4), dpi=100)
    frames = []
    for shade in (0.0, 0.2, 1.0):
        figure.set_facecolor((shade,) * 3)
        frames.append(widgets.frame(figure))
    plt.close(figure)
    film = widgets.film(iter(frames))
    assert [pixels(frame)[0, 0, 0] for frame in film.frames] == [0, 51, 255]
    with pytest.raises(
        ValueError, match=r"several times.*frames.append\(widgets.frame\(figure\)\)"
    ):
        widgets.film([figure, figure])


@pytest.mark.parametrize(
    ("count", "cells"), [(1, (1, 1)), (2, (1, 2)), (5, (2, 3)), (6, (2, 3)), (100, (2, 3))]
)
def test_the_sheet_shows_six_frames_from_the_first_to_the_last(count, cells):
    shades = np.linspace(10, 200, count).round().astype(int)
    sheet = pixels(still(widgets.film([picture(shade) for shade in shades])))
    height, width = (size // n for size, n in zip(sheet.shape, cells, strict=False))
    middles = [
        sheet[height * r + int(0.6 * height), width * c + width // 2, 0]
        for r in range(cells[0])
        for c in range(cells[1])
    ]
    expected = shades[np.unique(np.linspace(0, count - 1, min(6, count)).round().astype(int))]
    np.testing.assert_allclose(middles[: len(expected)], expected, atol=2)
    assert all(middle == 255 for middle in middles[len(expected) :])


def test_the_label_is_on_the_sheet():
    with_label, without = (
        pixels(still(widgets.film([picture(90)], labels=[label]))) for label in ("step 900", "")
    )
    assert (with_label < 60).sum() > (without < 60).sum()


def test_the_output_stays_small_even_for_noise():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (400, 400, 3), dtype=np.uint8) for _ in range(3)]
    film = widgets.film(noise)
    bundle = film._repr_mimebundle_()
    assert (
        len(bundle["image/png"]) < 200_000 and "application/vnd.jupyter.widget-view+json" in bundle
    )
    assert pixels(still(film)).shape[1] >= 150, "small, but not gone"
    assert sum(len(str(value)) for value in bundle.values()) < 200_000


@pytest.mark.parametrize(
    ("frames", "settings", "error", "message"),
    [
        ([], {}, ValueError, "there are none"),
        ([picture(1)], {"labels": ["a", "b"]}, ValueError, "1 frames and 2 labels"),
        (
            [picture(1)],
            {"interval": 0},
            ValueError,
            "interval=0: it must be a whole number, 1 or more",
        ),
        ([picture(1) / 255], {}, ValueError, r"of uint8; got \(40, 60, 3\) of float64"),
        (
            [np.zeros((2, 1, 28, 28), np.uint8)],
            {},
            ValueError,
            r"got \(2, 1, 28, 28\).*plotting.tile makes one",
        ),
        ([np.zeros((28, 28, 1), np.uint8)], {}, ValueError, r"got \(28, 28, 1\)"),
        ([b"GIF89a.."], {}, ValueError, "no PNG: they begin with b'GIF89a..'"),
        (["frame.png"], {}, TypeError, "or an array; got str"),
    ],
)
def test_a_film_says_what_it_can_not_show(frames, settings, error, message):
    with pytest.raises(error, match=message):
        widgets.film(frames, **settings)


# What is not seen is told


PLACES = ([[0, 0], [4, 0]], [2, 1], [[0, 3], [4, 3]], [1, 2])
EXPLORERS = {
    "density": (explorers.density.explorer, "divergence of 0.317 nats"),
    "phase": (
        explorers.phase.explorer,
        "near (0, 0) it goes out: the largest |λ| of a step is 1.01",
    ),
    "transport": (lambda: explorers.transport.explorer(*PLACES), "moved: 0 of 3; cost: 0.00"),
    "faults": (explorers.faults.explorer, "a blur of 0.6 pixels"),
    "latent": (
        lambda: explorers.latent.explorer(GAN(*networks.dcgan(width=4))),
        "12 samples of draw 0: z has 1.0 times its length",
    ),
}


def test_every_explorer_of_the_package_is_looked_at():
    there = {path.stem for path in Path(explorers.__file__).parent.glob("*.py")} - {"__init__"}
    assert there - {"eye"} == set(EXPLORERS)  # "eye" has a page of its own, and its own tests


@pytest.mark.parametrize("make, begins", EXPLORERS.values(), ids=EXPLORERS)
def test_an_explorer_names_its_controls_and_says_in_a_line_what_it_shows(make, begins):
    explorer = make()
    said = explorer.line.value
    assert begins.lower() in said.lower()
    for control in explorer.controls.values():
        assert control.description.strip(), control
        if hasattr(control, "options"):
            control.index += 1
        else:
            control.value += control.step or 1
        assert explorer.line.value != said, f"{control.description} changes nothing in {said}"
        said = explorer.line.value
        assert "\n" not in said and len(said) < 220 and said.endswith("."), said


def test_a_film_names_its_slider_and_says_its_frame():
    film = widgets.film([picture(shade) for shade in (0, 50)], labels=["start", "end"])
    assert film.slider.description == "frame" and film.slider.label == "start"
