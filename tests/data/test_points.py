"""ganbook.data.points: toys whose statistics are those that are published, or that they say."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from ganbook import data
from ganbook.device import DEVICE


def test_ring_and_grid_are_the_published_protocols():
    ring, grid = data.ring(), data.grid()
    assert ring.std == 0.01 and torch.allclose(
        ring.centers.norm(dim=1), torch.ones(8, device=DEVICE)
    )
    neighbours = (ring.centers - ring.centers.roll(1, 0)).norm(dim=1)
    assert torch.allclose(neighbours, torch.full((8,), 2 * math.sin(math.pi / 8), device=DEVICE))
    assert grid.std == 0.05
    assert {tuple(c) for c in grid.centers.tolist()} == {
        (x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)
    }
    assert data.ring(5, radius=3.0).centers.norm(dim=1).tolist() == pytest.approx([3.0] * 5)
    assert sorted(data.grid(2, spacing=1.0).centers.flatten().tolist()) == [-0.5] * 4 + [0.5] * 4


@pytest.mark.parametrize(
    ("mixture", "stds", "weights"),
    [
        (data.ring(), [0.01] * 8, [1 / 8] * 8),
        (data.grid(), [0.05] * 25, [1 / 25] * 25),
        (
            data.mixture_1d([-2, 0, 3], [0.1, 0.2, 0.4], [1, 2, 5]),
            [0.1, 0.2, 0.4],
            [1 / 8, 2 / 8, 5 / 8],
        ),
        (data.mixture_1d([-2, 3], 0.3), [0.3, 0.3], [0.5, 0.5]),
    ],
    ids=["ring", "grid", "weighted", "shared std"],
)
def test_mixtures_have_the_shares_means_and_deviations_they_say(mixture, stds, weights):
    n = 40_000
    x = mixture.sample(n, seed=0)
    assert x.shape == (n, mixture.centers.shape[1]) and x.dtype == torch.float32
    x, centers = x.cpu().double(), mixture.centers.cpu().double()
    nearest = torch.cdist(x, centers).argmin(1)
    for mode, (std, weight) in enumerate(zip(stds, weights, strict=True)):
        residual = ((x[nearest == mode] - centers[mode]) / std).flatten().numpy()
        count, values = int((nearest == mode).sum()), residual.size
        assert abs(count - n * weight) < 4.5 * math.sqrt(n * weight * (1 - weight))
        assert abs(residual.mean()) < 4.5 / math.sqrt(values)
        assert abs(residual.std() - 1) < 4.5 / math.sqrt(2 * values)
        assert scipy.stats.kstest(residual, "norm").pvalue > 1e-5


def test_a_mixture_knows_its_density():
    means, stds, weights = [-2.0, 0.0, 3.0], [0.1, 0.2, 0.4], [1.0, 2.0, 5.0]
    mixture = data.mixture_1d(means, stds, weights)
    x = torch.linspace(-5, 6, 20_001, dtype=torch.float64)
    normals = [
        scipy.stats.norm(m, s).pdf(x.numpy()) * w / 8
        for m, s, w in zip(means, stds, weights, strict=True)
    ]
    assert np.allclose(mixture.density(x).numpy(), sum(normals), rtol=1e-9, atol=1e-300)
    assert float(torch.trapezoid(mixture.density(x), x)) == pytest.approx(1, abs=1e-9)
    assert torch.equal(mixture.log_density(x[:, None]), mixture.log_density(x))
    assert mixture.log_density(x.float()).dtype == torch.float32
    assert (
        mixture.log_density(torch.tensor([1e3])).isfinite().all()
    )  # far out, where the density itself is 0


def test_a_mixture_in_the_plane_knows_its_density_and_its_slope():
    grid = data.grid()
    x = (grid.centers.cpu() + torch.tensor([0.03, -0.04])).double().requires_grad_()
    expected = scipy.stats.multivariate_normal([0, 0], 0.05**2).logpdf([0.03, -0.04]) - math.log(25)
    value = grid.log_density(x)
    assert value.detach().numpy() == pytest.approx(np.full(25, expected), abs=1e-4)
    slope = torch.autograd.grad(value.sum(), x)[0]
    assert torch.allclose(slope, torch.tensor([[-12.0, 16.0]]).double(), atol=1e-3)
    with pytest.raises(ValueError, match=r"\(N, 2\); got shape \(7,\)"):
        grid.log_density(torch.zeros(7))


def test_moons_are_half_circles():
    x = data.two_moons(noise=0).sample(20_000, seed=0).cpu()
    upper = (x.norm(dim=1) - 1).abs() < 1e-5
    lower = ((x - torch.tensor([1.0, 0.5])).norm(dim=1) - 1).abs() < 1e-5
    assert (upper | lower).all() and abs(float(upper.float().mean()) - 0.5) < 0.02
    assert (x[upper, 1] >= -1e-5).all() and (x[lower & ~upper, 1] <= 0.5 + 1e-5).all()
    for angle in (
        torch.atan2(x[upper, 1], x[upper, 0]),
        torch.atan2(0.5 - x[lower, 1], 1 - x[lower, 0]),
    ):
        assert scipy.stats.kstest(angle.numpy() / math.pi, "uniform").pvalue > 1e-5


def test_the_spiral_is_an_arm_with_points_evenly_along_it():
    x = data.spiral(turns=3, noise=0).sample(20_000, seed=0).cpu().double()
    radius = x.norm(dim=1)
    expected = radius[:, None] * torch.stack(
        [(6 * math.pi * radius).cos(), (6 * math.pi * radius).sin()], 1
    )
    assert torch.allclose(x, expected, atol=1e-5)
    assert scipy.stats.kstest(radius.square().numpy(), "uniform").pvalue > 1e-5


@pytest.mark.parametrize(
    ("toy", "noise"), [(data.two_moons, 0.05), (data.spiral, 0.02), (data.two_moons, 0.3)]
)
def test_the_noise_is_a_standard_deviation(toy, noise):
    blur = (
        toy(noise=noise).sample(20_000, seed=0) - toy(noise=0).sample(20_000, seed=0)
    ).cpu() / noise
    assert (blur.std(0) - 1).abs().max() < 0.025 and blur.mean(0).abs().max() < 0.035
    assert abs(float(torch.corrcoef(blur.T)[0, 1])) < 0.035


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_whole_numbers_have_a_density_too(dtype):
    x = torch.tensor([[0, 2], [2, 4], [1, 1]])
    assert torch.equal(data.grid().log_density(x.to(dtype)), data.grid().log_density(x.float()))
    assert data.grid().density(x.to(dtype)).isfinite().all()


@pytest.mark.parametrize(
    ("draw", "found"),
    [
        (lambda rng, n: rng.random(n), r"\(100,\)"),
        (lambda rng, n: rng.random((n + 1, 2)), r"\(101, 2\)"),
        (lambda rng, n: rng.random((2, n)), r"\(2, 100\)"),
        (lambda rng, n: rng.random((n, 2, 1)), r"\(100, 2, 1\)"),
        (lambda rng, n: None, r"\(\)"),
    ],
)
def test_points_of_another_shape_are_refused(draw, found):
    with pytest.raises(ValueError, match=rf"\(n, D\), here \(100, D\); draw gave {found}"):
        data.Points(draw).sample(100)


def test_points_may_be_lists_or_whole_numbers_and_are_copied():
    kept = np.zeros((3, 2), np.float32)
    points = data.Points(lambda rng, n: kept[:n])
    points.sample(3).add_(1)
    assert not kept.any()
    assert data.Points(lambda rng, n: [[1, 2]] * n).sample(3).tolist() == [[1.0, 2.0]] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.ring(0), "modes=0: .* 1 or more"),
        (lambda: data.grid(side=0), "side=0: "),
        (lambda: data.grid(side=2.5), "side=2.5: .* whole number"),
        (lambda: data.ring(std=0), "deviations must be above 0.*got 0"),
        (lambda: data.grid(std=-0.1), "got -0.1"),
        (lambda: data.ring(std=math.nan), "got nan"),
        (lambda: data.ring(std=math.inf), "got inf"),
        (lambda: data.mixture_1d([0, 1], 0.1, [1, math.inf]), "weights must be above 0.*inf"),
        (lambda: data.Mixture([[0, math.inf]], 0.1), "centers must be"),
        (lambda: data.two_moons(noise=math.inf), "got inf"),
        (lambda: data.two_moons(noise=math.nan), "got nan"),
        (lambda: data.spiral(turns=math.inf), "more than 0 turns; got inf"),
        (lambda: data.mixture_1d([0, 1], [0.1, 0.2, 0.3]), "deviations .*one number, or 2"),
        (lambda: data.mixture_1d([0, 1], 0.1, [1, 2, 3]), "weights .*one number, or 2"),
        (lambda: data.mixture_1d([0, 1], 0.1, [1, -1]), "weights must be above 0"),
        (lambda: data.mixture_1d([], 0.1), "centers must be"),
        (lambda: data.Mixture([[0, math.nan]], 0.1), "centers must be"),
        (lambda: data.two_moons(noise=-1), "got -1"),
        (lambda: data.spiral(turns=0), "more than 0 turns"),
        (lambda: data.ring().sample(0), "n=0: "),
    ],
)
def test_toys_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()
