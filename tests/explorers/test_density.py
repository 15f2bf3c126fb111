"""The densities of chapter 1: their divergence, and the picture that follows its sliders."""

import base64
import io

import numpy as np
import PIL.Image
import pytest
import scipy.stats

from ganbook.explorers import density

x = density.DensityPicture.x


@pytest.mark.parametrize("shape", ["Gaussians", "boxes"])
def test_densities_have_a_mass_of_one_their_mean_and_their_width(shape):
    values = np.exp(density.log_density(x, 0.7, 0.8, shape)) * 0.01
    assert values.sum() == pytest.approx(1)
    assert (x * values).sum() == pytest.approx(0.7)
    spread = 0.8 if shape == "Gaussians" else 0.8 / 3**0.5
    assert ((x - 0.7) ** 2 * values).sum() ** 0.5 == pytest.approx(spread, rel=1e-3)


def test_the_divergence_is_0_for_equals_and_log_2_for_strangers():
    p, near, far = (density.log_density(x, mean, 0.5, "boxes") for mean in (0.0, 0.5, 3.0))
    assert density.jensen_shannon(p, p) == pytest.approx(0, abs=1e-12)
    assert density.jensen_shannon(p, far) == pytest.approx(np.log(2))
    assert density.jensen_shannon(p, near) == pytest.approx(np.log(2) / 2)  # half lies apart
    both = density.jensen_shannon(p, np.stack([near, far]))
    assert both == pytest.approx([np.log(2) / 2, np.log(2)])


def test_the_picture_tells_the_divergence_and_the_value_of_the_game():
    picture = density.DensityPicture()
    picture(q_mean=0.0, q_width=1.0)
    assert picture.numbers.get_text() == "JSD = 0.000\nV(D*, G) = -1.386"
    picture(p_mean=-3.0, q_mean=3.0, p_width=0.5, q_width=0.5, shape="boxes")
    assert picture.numbers.get_text() == "JSD = 0.693\nV(D*, G) = 0.000"
    best = picture.best.get_ydata()
    assert np.nanmin(best) == 0 and np.nanmax(best) == 1 and np.isnan(best).any()


@pytest.mark.parametrize("width", [0.5, 2.0])
def test_the_curve_is_the_divergence_at_every_mean_of_q_and_the_dot_lies_on_it(width):
    """Two boxes of one width share 1 - d / 2w of their mass, and the rest is worth log 2."""
    picture = density.DensityPicture()
    picture(p_mean=-1.0, p_width=width, q_mean=-0.5, q_width=width, shape="boxes")
    apart = np.abs(np.array([*picture.shifts, -0.5]) + 1).clip(max=2 * width) / (2 * width)
    means, curve = picture.curve.get_data()
    dot = picture.here.get_data()
    assert np.allclose([*means], np.arange(-40, 41) * 0.15) and dot[0] == [-0.5]
    assert np.allclose([*curve, *dot[1]], apart * np.log(2), atol=0.01)


def test_the_densities_and_the_best_discriminator_are_drawn_as_they_are():
    picture = density.DensityPicture()
    picture(p_mean=-1.0, p_width=0.8, q_mean=2.0, q_width=0.5)
    p, q = scipy.stats.norm(-1, 0.8).pdf(x), scipy.stats.norm(2, 0.5).pdf(x)
    for line, area, name, values in zip(
        picture.lines, picture.areas, picture.names, (p, q), strict=True
    ):
        assert np.allclose(line.get_data(), [x, values])
        assert np.allclose(area.get_xy()[: len(x)].T, [x, values])
        assert name.get_position() == pytest.approx((x[values.argmax()], values.max()), abs=0.04)
    assert [name.get_ha() for name in picture.names] == ["right", "left"]  # away from the other
    there = p + q > 1e-100  # farther out nothing is left of them
    assert np.allclose(picture.best.get_ydata()[there], (p / (p + q))[there])
    picture(p_mean=2.0, q_mean=-1.0)
    assert [name.get_ha() for name in picture.names] == ["left", "right"]


def test_the_parts_that_move_are_redrawn_as_matplotlib_draws_the_whole():
    picture = density.DensityPicture()
    picture(q_mean=3.0)
    found = PIL.Image.open(io.BytesIO(picture(p_mean=-2.0, q_mean=1.0, shape="boxes")))
    for artist in picture.moving:
        artist.set_animated(False)
    picture.canvas.draw()
    expected = np.asarray(picture.canvas.buffer_rgba())[..., :3].astype(int)
    assert (np.abs(np.asarray(found) - expected).max(-1) > 40).sum() < 50


def test_the_line_says_what_the_picture_shows():
    boxes = {"p_width": 0.5, "q_width": 0.5, "shape": "boxes"}
    say = density.DensityPicture().say
    assert say(p_mean=-3.0, q_mean=3.0, **boxes) == (
        "q stands 6.0 from p: a divergence of 0.693 nats, of 0.693 at most, and a value of the game"
        " of 0.000."
    )
    assert "q stands 0.5 from p: a divergence of 0.347 nats" in say(p_mean=1, q_mean=0.5, **boxes)


def test_the_explorer_redraws_for_each_control_and_leaves_a_still():
    explorer = density.explorer()
    pictures = [explorer.image.value]
    for name, control in explorer.controls.items():
        control.value = "boxes" if name == "shape" else control.value + 0.5
        pictures.append(explorer.image.value)
    assert len(set(pictures)) == len(pictures) == 6
    still = base64.b64decode(explorer._repr_mimebundle_()["image/png"])
    still, picture = (
        np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB")) for png in (still, pictures[-1])
    )
    assert still.shape[1] <= 760 and len(still) > len(picture) + 20  # the controls, above
    assert np.array_equal(still[-len(picture) :, : picture.shape[1]], picture)


def test_without_arguments_the_picture_is_the_one_that_the_explorer_begins_with():
    explorer = density.explorer()
    assert density.DensityPicture()() == explorer.image.value
    assert density.DensityPicture().say() == explorer.line.value
