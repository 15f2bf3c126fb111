"""The densities of chapter 1: their divergence, and the picture that follows its sliders."""

import base64
import io

import numpy as np
import PIL.Image
import pytest

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


def test_the_explorer_redraws_for_each_control_and_leaves_a_still():
    explorer = density.explorer()
    pictures = [explorer.image.value]
    for name, control in explorer.controls.items():
        control.value = "boxes" if name == "shape" else control.value + 0.5
        pictures.append(explorer.image.value)
    assert len(set(pictures)) == len(pictures) == 6
    still = base64.b64decode(explorer._repr_mimebundle_()["image/png"])
    assert still == pictures[-1] and PIL.Image.open(io.BytesIO(still)).width <= 760
