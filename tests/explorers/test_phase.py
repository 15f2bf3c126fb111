"""The phase portraits of chapter 3: paths go where their eigenvalues say, and sliders move them."""

import numpy as np
import pytest

from ganbook.explorers import phase


@pytest.mark.parametrize(
    ("method", "h", "weight", "size"),
    [
        ("simultaneous", 0.3, 0.0, (1 + 0.15**2) ** 0.5),
        ("alternating", 3.5, 0.0, 1.0),
        ("extragradient", 0.8, 0.0, (1 - 0.4**2 + 0.4**4) ** 0.5),
        ("optimistic", 0.8, 0.0, ((1 + (1 - 4 * 0.4**2) ** 0.5) / 2) ** 0.5),
        ("simultaneous", 0.1, 1.0, 0.95),
    ],
)
def test_growth_is_the_closed_form(method, h, weight, size):
    assert phase.growth(method, h, weight) == pytest.approx(size, abs=1e-6)


@pytest.mark.parametrize(
    ("method", "h", "weight"),
    [("extragradient", 0.8, 0.0), ("optimistic", 0.8, 0.0), ("simultaneous", 0.2, 0.5)],
)
def test_a_path_comes_in_at_the_rate_of_its_eigenvalue(method, h, weight):
    distance = np.linalg.norm(phase.path(method, h, weight, steps=400), axis=1)
    rate = (distance[400] / distance[200]) ** (1 / 200)
    assert rate == pytest.approx(phase.growth(method, h, weight), abs=2e-3)


def test_simultaneous_goes_out_and_alternating_stays():
    out, stays = (
        np.linalg.norm(phase.path(m, 0.3), axis=1) for m in ("simultaneous", "alternating")
    )
    assert np.all(np.diff(out[:100]) > 0)
    assert 0.8 < (stays / stays[0]).min() and (stays / stays[0]).max() < 1.2


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="method='newton': it must be one of 'simultaneous'"):
        phase.path("newton", 0.1)


def test_a_slider_moves_the_picture():
    explorer = phase.explorer()
    before = explorer.image.value
    explorer.controls["weight"].value = 1.0
    assert before != explorer.image.value
    assert bytes(explorer.image.value).startswith(b"\x89PNG")


def test_portraits_are_a_png():
    assert phase.portraits().startswith(b"\x89PNG")
