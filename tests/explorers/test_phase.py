"""The phase portraits of chapter 3: paths go where their eigenvalues say, and sliders move them."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

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


@pytest.mark.parametrize(("radius", "h", "out"), [(0.1, 1.0, False), (2**0.5, 1.0, True)])
def test_alternating_stays_on_its_ellipse_near_the_equilibrium_and_leaves_from_afar(
    radius, h, out, monkeypatch
):
    ellipse = ((2 + h / 2) / (2 - h / 2)) ** 0.5
    for angle in np.arange(8) * np.pi / 4:
        start = radius * np.array([np.cos(angle), np.sin(angle)])
        monkeypatch.setattr(phase, "START", start)
        farthest = np.linalg.norm(phase.path("alternating", h, steps=2000), axis=1).max() / radius
        assert farthest > 2 if out else farthest < 1.01 * ellipse


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_each_player_goes_down_its_own_loss(weight):
    z = torch.tensor([[1.0, 1.0], [0.5, -2.0], [-1.5, 0.3]]).double().requires_grad_()
    theta, psi = z.T
    fooled = F.softplus(psi * theta)  # the part of D's cross-entropy that the fakes have
    d_loss = F.softplus(-psi * 0) + fooled + weight * psi**2 / 2
    (by_g,), (by_d,) = (
        torch.autograd.grad(x.sum(), z, retain_graph=True) for x in (-fooled, d_loss)
    )
    expected = -torch.stack([by_g[:, 0], by_d[:, 1]], 1)
    assert np.allclose(phase.velocity(z.detach().numpy(), weight), expected)


def test_the_picture_shows_the_path_its_distance_and_the_field():
    picture = phase.PhasePicture()
    for method, h, weight in (("simultaneous", 0.3, 0.0), ("alternating", 0.5, 1.0)):
        picture(method, h, weight)
        points = phase.path(method, h, weight)
        assert len(points) == 301 and points[0].tolist() == [1, 1]
        assert np.array_equal(picture.trail.get_data(), points.T)
        assert np.array_equal(picture.curve.get_xdata(), range(301))
        assert np.allclose(picture.curve.get_ydata(), np.hypot(*points.T))
        at, arrows = picture.arrows.XY, np.stack([picture.arrows.U, picture.arrows.V], 1)
        v = phase.velocity(at, weight)
        moving = np.hypot(*v.T) > 1e-9
        assert len(at) == 121 and sum(moving) == 120  # all but the equilibrium
        assert np.allclose(arrows[moving], (v.T / np.hypot(*v.T).clip(1e-9)).T[moving])


@pytest.mark.parametrize(
    ("settings", "size", "fate"),
    [
        (("simultaneous", 0.3, 0.0), "1.0112", "it goes out"),
        (("alternating", 0.3, 0.0), "1.0000", "it goes round, at first"),
        (("simultaneous", 0.1, 1.0), "0.9500", "it goes in"),
    ],
)
def test_the_text_and_the_line_say_where_it_goes(settings, size, fate):
    picture = phase.PhasePicture()
    picture(*settings)
    assert picture.text.get_text() == f"largest |λ| of a step = {size}\nnear (0, 0): {fate}"
    distance = np.hypot(*phase.path(*settings)[-1])
    assert picture.say(*settings) == (
        f"Near (0, 0) {fate}: the largest |λ| of a step is {size}. After 300 steps the distance is"
        f" {distance:.2g}."
    )
    gone = picture.say("simultaneous", 6.0, 4.0)
    steps, distance = re.search("After (.+) steps the distance is (.+)\\.", gone).groups()
    assert int(steps) < 300 and float(distance) > 100


def test_without_arguments_the_picture_is_the_one_that_the_explorer_begins_with():
    explorer = phase.explorer()
    assert phase.PhasePicture()() == explorer.image.value
    assert phase.PhasePicture().say() == explorer.line.value


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


def test_each_portrait_shows_its_path_in_the_plane_around_the_equilibrium(monkeypatch):
    figures, cases = [], (("optimistic", 0.5, 0.0), ("simultaneous", 0.3, 0.3))
    monkeypatch.setattr(phase, "frame", lambda figure: figures.append(figure) or b"")
    phase.portraits(cases)
    (figure,) = figures
    assert [axes.get_title() for axes in figure.axes] == ["optimistic", "simultaneous, R1"]
    for axes, (method, h, weight) in zip(figure.axes, cases, strict=True):
        assert axes.get_xlim() == axes.get_ylim() == (-2.2, 2.2) and axes.get_aspect() == 1
        lines = [np.transpose(line.get_data()) for line in axes.lines]
        path = phase.path(method, h, weight, steps=100)
        assert len(path) == 101 and any(np.array_equal(line, path) for line in lines)
        assert any(np.array_equal(line, [[0, 0]]) for line in lines)
        (arrows,) = axes.collections
        v, found = phase.velocity(arrows.XY, weight), np.stack([arrows.U, arrows.V], 1)
        assert np.allclose(found * np.hypot(*v.T)[:, None], v)
