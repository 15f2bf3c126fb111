"""ganbook.metrics: the Frechet distance against formulas and torchmetrics, coverage by hand, the
digit classifier."""

import io
import itertools
import math
import os
import pathlib
import subprocess
import sys
import textwrap

import mpmath
import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from ganbook import data, files, metrics
from ganbook.device import DEVICE
from ganbook.metrics import coverage, earth_mover, fid


def draws(n, features, seed=0, scale=1.0, shift=0.0):
    return (
        scale
        * torch.randn(
            n, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        + shift
    )


def with_moments(mean, covariance, n=50):
    """A sample (n, F) whose mean and covariance (divided by n - 1) are exactly these."""
    mean, covariance = np.asarray(mean, float), np.asarray(covariance, float)
    x = np.random.default_rng(0).standard_normal((n, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False).reshape(len(mean), -1))).T
    return x @ np.linalg.cholesky(covariance).T + mean


# ---- Frechet distance


class Identity(nn.Module):
    """What torchmetrics takes in place of its big network: the features are what it is given."""

    num_features = 6

    def forward(self, x):
        return x


@pytest.mark.parametrize(("n", "m"), [(300, 300), (40, 500), (4, 5)])
def test_fid_is_that_of_torchmetrics(n, m):
    mixing = draws(6, 6, seed=9)
    a, b = draws(n, 6, seed=1) @ mixing, draws(m, 6, seed=2, scale=1.3, shift=0.4)
    reference = FrechetInceptionDistance(feature=Identity().eval()).set_dtype(torch.float64)
    reference.update(a, real=True)
    reference.update(b, real=False)
    assert fid(a, b) == pytest.approx(reference.compute().item(), rel=1e-5)


def test_fid_of_gaussians_on_the_line_is_the_textbooks():
    """(m1 - m2)^2 + (s1 - s2)^2"""
    a, b = with_moments([1.0], [[4.0]]), with_moments([4.0], [[0.25]])
    assert fid(a, b) == pytest.approx(3.0**2 + (2 - 0.5) ** 2)


def test_fid_of_gaussians_in_the_plane_is_the_textbooks():
    a = with_moments([0, 0], [[9, 0], [0, 4]])
    b = with_moments([3, 4], [[1, 0], [0, 16]])
    assert fid(a, b) == pytest.approx(
        25 + (3 - 1) ** 2 + (2 - 4) ** 2
    )  # diagonal: each axis for itself
    turned = with_moments([0, 0], [[4, 0], [0, 9]])
    assert fid(a, turned) == pytest.approx(2 * (3 - 2) ** 2)
    s, t = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 2.0]])
    # for 2 x 2 matrices, trace(root(M)) = sqrt(trace(M) + 2 sqrt(det(M))), and these two don't
    # commute
    root = math.sqrt(np.trace(s @ t) + 2 * math.sqrt(np.linalg.det(s @ t)))
    expected = np.trace(s) + np.trace(t) - 2 * root
    assert fid(with_moments([0, 0], s), with_moments([0, 0], t, n=70)) == pytest.approx(expected)


def test_fid_is_zero_for_equals_symmetric_and_blind_to_order():
    a, b = draws(80, 6, seed=1), draws(90, 6, seed=2, scale=2.0)
    assert fid(a, a) == pytest.approx(0, abs=1e-9) and fid(a, a) >= 0
    assert fid(a, a.flip(0)) == pytest.approx(0, abs=1e-9)
    assert fid(a, b) == pytest.approx(fid(b, a))
    assert fid(a, a + 0.5) == pytest.approx(6 * 0.25)
    assert fid(3 * a, 3 * b) == pytest.approx(9 * fid(a, b))


def test_fid_survives_singular_covariances():
    a = draws(5, 20, seed=1)  # of rank 4 at most
    assert fid(a, a) == pytest.approx(0, abs=1e-6)
    assert math.isfinite(fid(a, draws(300, 20, seed=2)))
    still = np.full((10, 3), 2.0)  # no variance at all
    assert fid(still, still) == 0
    assert fid(still, np.zeros((10, 3))) == pytest.approx(12)
    flat = draws(100, 3, seed=3)
    flat[:, 2] = 0
    kept = fid(flat[:, :2], flat[:, :2] * 2)
    assert fid(flat, flat * torch.tensor([2, 2, 5])) == pytest.approx(kept)


def test_fid_takes_tensors_arrays_and_lists_of_any_precision():
    a, b = draws(30, 3, seed=1), draws(30, 3, seed=2)
    exact = fid(a, b)
    assert fid(a.numpy(), b.tolist()) == pytest.approx(exact)
    assert fid(a.float().requires_grad_(), b.float().to(DEVICE)) == pytest.approx(exact, rel=1e-4)
    assert fid(a.bfloat16(), b) == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), r"at least 2 samples; got the shape \(1, 3\)"),
        (torch.zeros(5, 3), torch.zeros(0, 3), r"at least 2 samples; got the shape \(0, 3\)"),
        (torch.zeros(5), torch.zeros(5, 3), r"matrices \(N, F\).*; got the shape \(5,\)"),
        (torch.zeros(5, 1, 28, 28), torch.zeros(5, 3), r"got the shape \(5, 1, 28, 28\)"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "differ in width: 3 and 4"),
        (torch.tensor([[0.0], [math.nan]]), torch.zeros(5, 1), "the features hold NaN or infinity"),
        (torch.zeros(5, 1), torch.tensor([[0.0], [math.inf]]), "the features hold NaN or infinity"),
    ],
)
def test_fid_says_what_it_can_not_use(a, b, message):
    with pytest.raises(ValueError, match=message):
        fid(a, b)


def precise_root(matrix, digits=60):
    """The square root of a symmetric matrix in 60 digits: Jacobi's rotations by mpmath."""
    with mpmath.workdps(digits):
        values, vectors = mpmath.eigsy(mpmath.matrix(matrix.tolist()))
        roots = mpmath.diag([mpmath.sqrt(max(value, 0)) for value in values])
        product = vectors * roots * vectors.T
        return np.array(
            [[float(product[i, j]) for j in range(len(matrix))] for i in range(len(matrix))]
        )


@pytest.mark.parametrize(("n", "features"), [(40, 6), (4, 6), (2, 5)])
def test_the_root_of_a_covariance_is_right_singular_or_not(n, features):
    covariance = np.cov(draws(n, features, seed=n).numpy(), rowvar=False)
    found = metrics.root(covariance)
    # Rounding moves an eigenvalue of 0 by 1e-16 of the largest, and its root by 1e-8.
    assert np.abs(found - precise_root(covariance)).max() < (1e-13 if n > features else 1e-7)
    assert np.abs(found @ found - covariance).max() < 1e-12


def test_the_root_of_nothing_and_of_what_has_none():
    assert (metrics.root(np.zeros((3, 3))) == 0).all()
    with pytest.raises(ValueError, match="no negative eigenvalue; this matrix has -1"):
        metrics.root(np.diag([1.0, -1.0]))


def test_fid_of_singular_covariances_is_that_of_60_digits():
    a, b = draws(4, 6, seed=1).numpy(), draws(5, 6, seed=2, scale=1.5).numpy()
    cov_a, cov_b = (np.cov(x, rowvar=False) for x in (a, b))
    root_a = precise_root(cov_a)
    trace = np.trace(precise_root(root_a @ cov_b @ root_a))
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * trace
    assert fid(a, b) == pytest.approx(expected, abs=1e-6)


# ---- Kernel distance


@pytest.mark.parametrize(("n", "features"), [(50, 6), (200, 2)])
def test_kid_of_one_block_is_that_of_torchmetrics(n, features):
    a, b = draws(n, features, seed=1), draws(n, features, seed=2, scale=1.2, shift=0.3)
    identity = Identity()
    identity.num_features = features
    reference = KernelInceptionDistance(feature=identity.eval(), subsets=1, subset_size=n)
    reference.update(a, real=True)
    reference.update(b, real=False)
    found = metrics.kid(a, b, blocks=1)
    assert found.value == pytest.approx(reference.compute()[0].item(), rel=1e-4)
    assert math.isnan(found.error)


def test_kid_of_two_samples_each_by_hand():
    kernel = lambda x, y: (x * y + 1) ** 3  # noqa: E731, features of one number: x.y / F is a product
    expected = (
        kernel(1, 2)
        + kernel(0, 3)
        - 2 * (kernel(1, 0) + kernel(1, 3) + kernel(2, 0) + kernel(2, 3)) / 4
    )
    assert metrics.kid([[1.0], [2.0]], [[0.0], [3.0]], blocks=1).value == pytest.approx(expected)


def test_kid_is_unbiased_and_its_error_is_honest():
    """200 pairs of small samples of one distribution: their mean is 0 within its error, and so are
    most of them."""
    values = [
        metrics.kid(draws(100, 4, seed=k), draws(100, 4, seed=k + 500), blocks=10)
        for k in range(200)
    ]
    kids, errors = np.array(values).T
    assert abs(kids.mean()) < 3 * kids.std() / math.sqrt(200)
    assert (kids < 0).mean() > 0.2
    assert (
        0.85 < (np.abs(kids) < 2.262 * errors).mean() < 0.99
    )  # Student's t of 9 degrees of freedom, 95 %
    assert (
        metrics.kid(draws(100, 4, seed=1), draws(100, 4, seed=2, shift=1.0)).value
        > 3 * errors.mean()
    )


def test_kid_is_decided_by_its_seed():
    a, b = draws(60, 3, seed=1), draws(70, 3, seed=2)
    assert metrics.kid(a, b, seed=4) == metrics.kid(a, b, seed=4) != metrics.kid(a, b, seed=5)


# ---- Inception score


def test_the_inception_score_is_that_of_torchmetrics():
    logits = draws(100, 7, seed=3, scale=3.0)
    reference = InceptionScore(feature=Identity().eval(), splits=1)
    reference.update(logits)
    assert metrics.inception_score(logits.softmax(1)) == pytest.approx(
        reference.compute()[0].item(), rel=1e-5
    )


def test_the_inception_score_of_the_extremes():
    assert metrics.inception_score(np.eye(10)) == pytest.approx(
        10
    )  # one sure image of each class is enough
    assert metrics.inception_score(np.full((50, 10), 0.1)) == pytest.approx(1)  # never sure
    assert metrics.inception_score(np.eye(10)[[3] * 50]) == pytest.approx(
        1
    )  # sure, and always of one class


# ---- Precision and recall, density and coverage


def in_balls(points, anchors, k):
    """Which points (rows) lie in which balls (columns), by scikit-learn's neighbours."""
    radius = NearestNeighbors(n_neighbors=k + 1).fit(anchors).kneighbors(anchors)[0][:, -1]
    return np.linalg.norm(points[:, None] - anchors[None], axis=2) <= radius


@pytest.mark.parametrize("k", [1, 3, 5])
def test_balls_are_those_of_scikit_learn(k):
    real, fake = draws(150, 3, seed=1).numpy(), draws(120, 3, seed=2, scale=1.4, shift=0.5).numpy()
    precise, recalled = in_balls(fake, real, k), in_balls(real, fake, k)
    assert metrics.precision_recall(real, fake, k) == pytest.approx(
        (precise.any(1).mean(), recalled.any(1).mean())
    )
    expected = precise.sum(1).mean() / k, precise.any(0).mean()
    assert metrics.density_coverage(real, fake, k) == pytest.approx(expected)


def test_precision_is_of_the_fakes_and_recall_of_the_real():
    real = draws(400, 2, seed=1)
    middle = 0.3 * draws(400, 2, seed=2)
    assert metrics.precision_recall(real, middle)[0] > 0.85
    assert metrics.precision_recall(real, middle)[1] < 0.6
    everywhere = 10 * draws(400, 2, seed=2)
    assert metrics.precision_recall(real, everywhere)[0] < 0.2
    assert metrics.precision_recall(real, everywhere)[1] > 0.8


def test_density_and_coverage_of_equals_are_as_the_paper_has_them():
    """Naeem et al. 2020, lemmas 1 and 2: 1, and 1 - 2^-k."""
    for k in (2, 5):
        pairs = [(draws(500, 8, seed=s), draws(500, 8, seed=s + 100)) for s in range(10)]
        found = np.mean([metrics.density_coverage(*pair, k) for pair in pairs], axis=0)
        assert found == pytest.approx((1, 1 - 2.0**-k), abs=0.03)


def test_an_outlier_among_the_fakes_lifts_recall_and_leaves_coverage():
    real, fake = draws(300, 2, seed=1), 0.1 * draws(300, 2, seed=2)
    outliers = torch.cat([fake, torch.tensor([[100.0, 0.0], [-100.0, 0.0]])])
    assert (
        metrics.precision_recall(real, outliers)[1] - metrics.precision_recall(real, fake)[1] > 0.5
    )
    assert metrics.density_coverage(real, outliers)[1] == metrics.density_coverage(real, fake)[1]


def test_the_nearest_is_found_and_a_copy_is_at_no_distance():
    a, b = draws(40, 5, seed=1), draws(2100, 5, seed=2)
    b[1700] = a[7]
    distance, index = metrics.nearest(a, b)
    expected = NearestNeighbors(n_neighbors=1).fit(b).kneighbors(a)
    assert (index == expected[1][:, 0]).all() and distance == pytest.approx(expected[0][:, 0])
    assert index[7] == 1700 and distance[7] == 0


def test_copies_are_nearer_to_training_and_equals_are_halved():
    draw = torch.Generator().manual_seed(0)
    training, held_out, fresh = torch.randn(3, 400, 4, generator=draw)
    assert metrics.nearer_to_training(training, held_out, training) == 1
    assert metrics.nearer_to_training(training, held_out, held_out) == 0
    assert metrics.nearer_to_training(training, training, fresh) == 0.5
    assert metrics.nearer_to_training(training, held_out, fresh) == pytest.approx(0.5, abs=0.08)
    with pytest.raises(ValueError, match="equally many: 400 training and 100 held-out"):
        metrics.nearer_to_training(training, held_out[:100], fresh)


def test_honest_fakes_lie_in_the_band_of_the_copy_test_and_copies_far_out():
    rng = np.random.default_rng(3)
    p, inside = [], 0
    for seed in range(60):
        training, held_out, fake = rng.normal(size=(3, 60, 4))
        found = metrics.copy_test(training, held_out, fake, draws=200, seed=seed)
        assert found.share == metrics.nearer_to_training(training, held_out, fake)
        p.append(found.p)
        inside += found.low <= found.share <= found.high
    assert inside >= 51 and 0.3 < np.mean(p) < 0.7 and np.mean(np.array(p) < 0.2) < 0.36
    fake[:30] = training[:30]
    found = metrics.copy_test(training, held_out, fake)
    assert found.p < 0.01 and found.share > found.high > 0.5 > found.low
    assert metrics.copy_test(held_out, training, fake).p > 0.98


def test_one_fake_many_times_is_one_toss_to_the_copy_test():
    training, held_out, fake = np.random.default_rng(0).normal(size=(3, 50, 4))
    found = metrics.copy_test(training, held_out, np.repeat(training[:1], 500, 0), draws=400)
    assert (found.share, found.low, found.high) == (1, 0, 1) and 0.4 < found.p < 0.6
    with pytest.raises(ValueError, match="equally many"):
        metrics.copy_test(training, held_out[:40], fake)
    with pytest.raises(ValueError, match="draws=99"):
        metrics.copy_test(training, held_out, fake, draws=99)


def test_the_band_of_the_copy_test_has_the_deviation_of_chapter_10():
    training, held_out, fake = np.random.default_rng(1).normal(size=(3, 80, 3))
    found = metrics.copy_test(training, held_out, fake, draws=4000)
    index = metrics.nearest(fake, np.concatenate([training, held_out]))[1]
    w = np.bincount(index, minlength=160) / 80
    s = 0.5 * np.sqrt(160 / 159 * ((w**2).sum() - 1 / 160))
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(s, rel=0.1)


def test_the_interval_of_a_share_is_exact():
    assert metrics.share_interval(0, 40) == pytest.approx((0, 0.0881), abs=1e-4)
    assert metrics.share_interval(40, 40) == pytest.approx((0.9119, 1), abs=1e-4)
    assert metrics.share_interval(13, 40) == pytest.approx((0.1857, 0.4913), abs=1e-4)
    low, high = metrics.share_interval(13, 40, level=0.9)
    assert 0.1857 < low < 13 / 40 < high < 0.4913
    for count, n, level in ((-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)):
        with pytest.raises(ValueError, match="count="):
            metrics.share_interval(count, n, level)
    with pytest.raises(ValueError, match="n=0"):
        metrics.share_interval(0, 0)


# ---- Intervals


def test_the_bootstrap_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = metrics.bootstrap(lambda x: x.mean(), rng.normal(3.0, 2.0, 60), draws=200)
        held += low < 3.0 < high
    assert 0.9 < held / 200 < 0.98


def test_the_bootstrap_takes_the_bias_off():
    """FID of equals is 0 for endless samples and about 0.13 for these: the draws are at twice
    that."""
    held, unreflected = 0, 0
    for k in range(20):
        a, b = draws(200, 4, seed=k), draws(200, 4, seed=k + 50)
        low, high = metrics.bootstrap(fid, a, b, draws=40)
        held += low < 0 < high
        unreflected += 2 * fid(a, b) - high < 0
    assert held >= 18 and unreflected == 0


def test_without_settings_metrics_are_measured_as_published():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 60, 3))
    assert metrics.kid(a, b) == metrics.kid(a, b, blocks=10, seed=0)
    assert metrics.precision_recall(a, b) == metrics.precision_recall(a, b, k=3)
    assert metrics.density_coverage(a, b) == metrics.density_coverage(a, b, k=5)
    ours, published = (
        metrics.bootstrap(np.mean, a, **settings)
        for settings in ({}, {"draws": 200, "level": 0.95, "seed": 0})
    )
    assert ours == published


def test_a_bootstrap_is_decided_by_its_seed_and_leaves_the_sets():
    a = draws(30, 2, seed=1)
    before = a.clone()
    one, again, other = (
        metrics.bootstrap(lambda x: x.mean(), a, draws=20, seed=s) for s in (0, 0, 1)
    )
    assert one == again != other and torch.equal(a, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: metrics.kid(a, a, blocks=6), "6 blocks of 10 samples have fewer than two each"),
        (lambda a: metrics.kid(a, a, blocks=0), "blocks=0: it must be a whole number, 1 or more"),
        (lambda a: metrics.kid(a, a[:, :2]), "differ in width: 3 and 2"),
        (
            lambda a: metrics.precision_recall(a, a, k=10),
            r"at least 11 samples; got the shape \(10, 3\)",
        ),
        (
            lambda a: metrics.density_coverage(a, a[:4]),
            r"at least 6 samples; got the shape \(4, 3\)",
        ),
        (lambda a: metrics.density_coverage(a, a * math.nan), "NaN or infinity"),
        (lambda a: metrics.inception_score(a), "take the softmax of logits first"),
        (lambda a: metrics.nearest(a, a[:0]), r"at least 1 samples; got the shape \(0, 3\)"),
        (lambda a: metrics.bootstrap(fid, a, a, level=95), "level=95: give the probability"),
        (
            lambda a: metrics.bootstrap(fid, a, a, draws=5),
            "draws=5: it must be a whole number, 20 or more",
        ),
    ],
)
def test_metrics_say_what_they_can_not_use(call, message):
    with pytest.raises(ValueError, match=message):
        call(draws(10, 3))


# ---- Coverage, by the protocol of PacGAN


CORNERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def test_points_on_every_mode_cover_all_of_them():
    grid = data.grid()
    found = coverage(grid.centers.repeat(3, 1), grid.centers, grid.std)
    assert found.modes == 25 and found.quality == 1.0
    assert found.reverse_kl == pytest.approx(0, abs=1e-6)
    found = coverage(grid.sample(2500, seed=0), grid.centers, grid.std)
    assert found.modes == 25
    assert found.quality == pytest.approx(
        1 - math.exp(-9 / 2), abs=0.01
    )  # a Gaussian in the plane within 3 std
    assert 0 < found.reverse_kl < 0.02


def test_three_standard_deviations_are_the_limit():
    for distance, good in ((2.99, 1), (3.01, 0)):
        for direction in (torch.tensor([1.0, 0.0]), torch.tensor([0.6, -0.8])):
            points = 0.1 * distance * direction[None]
            assert coverage(points, CORNERS, 0.1)[:2] == (good, good)


def test_a_point_at_three_standard_deviations_is_within_them():
    assert coverage(torch.tensor([[3.0, 0.0]]), torch.zeros(1, 2), 1.0)[:2] == (1, 1.0)


def test_points_off_every_mode_cover_none_but_count_in_the_shares():
    points = torch.tensor(
        [[0.0, 0.0], [0.0, 0.0], [0.45, 0.0], [0.55, 0.0]]
    )  # two good, two between the modes
    found = coverage(points, CORNERS, 0.1)
    assert found.modes == 1 and found.quality == 0.5
    assert found.reverse_kl == pytest.approx(
        0.75 * math.log(0.75 * 4) + 0.25 * math.log(0.25 * 4), rel=1e-5
    )


def test_one_good_point_is_enough_for_a_mode():
    points = torch.cat([CORNERS[:1].repeat(999, 1), CORNERS[3:]])
    found = coverage(points, CORNERS, 0.1)
    assert found.modes == 2 and found.quality == 1.0


def test_collapse_to_one_mode_costs_the_logarithm_of_their_number():
    found = coverage(CORNERS[:1].repeat(7, 1), CORNERS, 0.1)
    assert found == (1, 1.0, pytest.approx(math.log(4), rel=1e-5))


def test_coverage_counts_in_any_number_of_dimensions_and_on_any_device():
    centers = torch.tensor([[-2.0], [0.0], [2.0]])
    assert coverage(torch.tensor([[0.01], [1.99]]).to(DEVICE), centers, 0.1).modes == 2
    assert coverage(torch.zeros(4, 5), torch.eye(5), 0.1).modes == 0


def test_modes_may_have_standard_deviations_of_their_own():
    mixture = data.Mixture(CORNERS[:2].tolist(), [0.1, 0.01])
    points = CORNERS[[1, 0, 1, 1]] + torch.tensor(
        [0.2, 0.0]
    )  # two standard deviations off the first, or twenty
    assert coverage(points, mixture.centers, mixture.std)[:2] == (1, 0.25)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.zeros(5), "must agree in D"),
        (torch.zeros(5, 3), r"got \(5, 3\) and \(4, 2\)"),
        (torch.zeros(0, 2), r"got \(0, 2\)"),
        (
            torch.full((5, 2), math.nan),
            "NaN or infinity: the generator that drew them has diverged",
        ),
        (torch.full((5, 2), math.inf), "NaN or infinity"),
    ],
)
def test_coverage_says_what_it_can_not_use(points, message):
    with pytest.raises(ValueError, match=message):
        coverage(points, CORNERS, 0.1)


def test_there_is_nothing_to_cover_without_modes():
    with pytest.raises(ValueError, match=r"got \(5, 2\) and \(0, 2\)"):
        coverage(torch.zeros(5, 2), torch.zeros(0, 2), 0.1)


# ---- Earth mover's distance


def test_on_the_line_the_earth_mover_is_scipys_wasserstein_distance():
    for seed in range(3):
        a, b = draws(60, 1, seed), draws(60, 1, seed + 10, scale=2.0, shift=0.7)
        assert earth_mover(a, b) == pytest.approx(
            scipy.stats.wasserstein_distance(a[:, 0], b[:, 0])
        )


def test_the_earth_mover_takes_the_best_pairing_of_all():
    a, b = draws(6, 3, seed=1).numpy(), draws(6, 3, seed=2).numpy()
    every = itertools.permutations(range(6))
    best = min(np.linalg.norm(a - b[list(order)], axis=1).mean() for order in every)
    assert earth_mover(a, b) == pytest.approx(best)


def test_points_that_keep_gradients_are_measured_too():
    points = torch.rand(8, 2, generator=torch.Generator().manual_seed(0))
    kept = points.clone().requires_grad_() * 1
    assert earth_mover(kept, points + 1) == earth_mover(points, points + 1)
    assert fid(kept, points + 1) == fid(points, points + 1)
    assert coverage(kept, CORNERS, 0.1) == coverage(points, CORNERS, 0.1)


def test_earth_mover_by_hand():
    corners = CORNERS.double()
    assert earth_mover(corners, corners.flip(0)) == 0
    assert earth_mover(corners, corners + torch.tensor([3.0, 4.0])) == pytest.approx(5)
    assert earth_mover([[0.0, 0.0], [10.0, 0.0]], [[10.0, 1.0], [0.0, 3.0]]) == pytest.approx(2)
    assert earth_mover(torch.zeros(1, 2), torch.ones(1, 2, device=DEVICE)) == pytest.approx(
        math.sqrt(2)
    )
    assert earth_mover(2 * corners, corners) == pytest.approx(earth_mover(corners, 2 * corners))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            torch.zeros(3, 2),
            torch.zeros(4, 2),
            r"equally many points, \(N, D\) each; got \(3, 2\) and \(4, 2\)",
        ),
        (torch.zeros(3, 2), torch.zeros(3, 1), r"got \(3, 2\) and \(3, 1\)"),
        (torch.zeros(3), torch.zeros(3), r"got \(3,\) and \(3,\)"),
        (torch.zeros(0, 2), torch.zeros(0, 2), r"got \(0, 2\)"),
        (torch.tensor([[0.0], [math.nan]]), torch.zeros(2, 1), "NaN or infinity"),
        (torch.zeros(2, 1), torch.tensor([[0.0], [math.inf]]), "NaN or infinity"),
    ],
)
def test_earth_mover_says_what_it_can_not_use(a, b, message):
    with pytest.raises(ValueError, match=message):
        earth_mover(a, b)


# ---- The digit classifier


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of its own, so that the classifier is trained here (once) and not found where
    somebody left it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANBOOK_CACHE", str(folder))
        metrics.digit_classifier.cache_clear()
        yield folder
    metrics.digit_classifier.cache_clear()


@pytest.fixture(scope="module")
def held_out(cache):
    return data.digits("test")


@pytest.fixture(scope="module")
def features(cache, held_out):
    return metrics.digit_features(held_out.images)


def untrained(monkeypatch) -> list:
    """Let no classifier be trained. Returns the list of those that would have been."""
    asked = []

    def train(classifier):
        asked.append(classifier)
        classifier.accuracy = 0.125

    monkeypatch.setattr(metrics, "_train", train)
    metrics.digit_classifier.cache_clear()
    return asked


@pytest.fixture
def again():
    """Afterwards, the next test reads the cache anew."""
    yield
    metrics.digit_classifier.cache_clear()


def test_the_classifier_knows_97_of_100_digits_that_it_has_not_seen(held_out, features):
    right = metrics.digit_logits(held_out.images).argmax(1) == held_out.labels.cpu()
    assert right.double().mean().item() >= 0.97
    assert metrics.digit_classifier().accuracy == pytest.approx(
        right.double().mean().item(), abs=2e-3
    )


def test_features_are_the_last_hidden_layer(held_out, features):
    assert features.shape == (1000, metrics.FEATURES) == (1000, 64)
    assert (
        features.dtype == torch.float32
        and features.device.type == "cpu"
        and not features.requires_grad
    )
    logits = metrics.digit_classifier().head(features.to(DEVICE)).cpu()
    torch.testing.assert_close(logits, metrics.digit_logits(held_out.images), rtol=1e-3, atol=1e-3)


def test_features_are_the_same_each_time_whatever_the_batch(held_out, features):
    assert torch.equal(metrics.digit_features(held_out.images), features)
    some = metrics.digit_features(held_out.images[:7], batch=2)
    torch.testing.assert_close(some, features[:7], rtol=1e-3, atol=1e-3)


def test_features_tell_bad_digits_from_good(held_out, features):
    good = fid(features[:500], features[500:])
    noisy = (held_out.images[500:] + 0.5 * torch.randn(500, 1, 28, 28, device=DEVICE)).clamp(-1, 1)
    assert fid(features[:500], metrics.digit_features(noisy)) > 5 * good


def test_a_new_process_reads_what_was_trained_and_loads_no_widgets(
    cache, held_out, features, tmp_path
):
    code = """
        import sys, torch
        from ganbook import data, metrics
        metrics._train = lambda classifier: sys.exit("it was trained again")
        torch.save(metrics.digit_features(data.digits("test").images[:500]), sys.argv[1])
        sys.exit("ipywidgets" in sys.modules)
    """
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(metrics.__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "features.pt")]
    subprocess.run(command, env=environment, check=True)
    torch.testing.assert_close(
        torch.load(tmp_path / "features.pt"), features[:500], rtol=1e-4, atol=1e-4
    )


def test_the_second_use_trains_nothing(cache, features, monkeypatch, again):
    asked = untrained(monkeypatch)
    assert metrics.digit_classifier() is metrics.digit_classifier()
    assert not asked
    assert metrics.digit_classifier().accuracy > 0.9
    assert [path.name for path in cache.glob("*.pt")] == [
        f"digit_classifier-v{metrics._VERSION}.pt"
    ]


@pytest.mark.parametrize(
    "layout",
    [
        "other",
        "wrong weights",
        "no archive",
        "accuracy high",
        "accuracy 2.0",
        "accuracy nan",
        "NaN",
    ],
)
def test_a_cache_of_another_version_is_trained_anew(layout, monkeypatch, tmp_path, again):
    """Its checksum is right."""
    monkeypatch.setenv("GANBOOK_CACHE", str(tmp_path))
    weights, buffer = metrics.DigitClassifier().state_dict(), io.BytesIO()
    stored = {"weights": weights, "accuracy": 1.0}
    if layout == "NaN":
        weights["head.weight"][3, 5] = math.nan
    elif layout == "wrong weights":
        stored["weights"] = nn.Linear(2, 2).state_dict()
    elif layout.startswith("accuracy"):
        value = layout.split()[1]
        stored["accuracy"] = value if value == "high" else float(value)
    if layout != "no archive":
        torch.save({} if layout == "other" else stored, buffer)
    files.keep(f"digit_classifier-v{metrics._VERSION}.pt", buffer.getvalue())
    asked = untrained(monkeypatch)
    for _ in range(2):
        metrics.digit_classifier.cache_clear()
        assert metrics.digit_classifier().accuracy == 0.125 and len(asked) == 1


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other", "wrong weights"])
def test_a_damaged_cache_is_trained_anew(damage, cache, features, monkeypatch, tmp_path, again):
    whole = next(cache.glob("*.pt"))
    monkeypatch.setenv("GANBOOK_CACHE", str(tmp_path))
    path = tmp_path / whole.name
    if damage == "other":
        torch.save({"something": 1}, path)
    elif damage == "wrong weights":
        torch.save({"weights": nn.Linear(2, 2).state_dict(), "accuracy": 1.0}, path)
    else:
        content = whole.read_bytes()
        path.write_bytes(
            {"cut": content[: len(content) // 2], "text": b"hello", "empty": b""}[damage]
        )
    asked = untrained(monkeypatch)
    assert metrics.digit_classifier().accuracy == 0.125
    assert len(asked) == 1
    metrics.digit_classifier.cache_clear()
    assert metrics.digit_classifier().accuracy == 0.125
    assert len(asked) == 1, "the damaged file was replaced by a good one"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_cache_that_can_not_be_written_costs_only_the_training(monkeypatch, tmp_path, again):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANBOOK_CACHE", str(tmp_path / "file" / "cache"))
    asked = untrained(monkeypatch)
    files._warn_of_cache.cache_clear()
    with pytest.warns(UserWarning, match="can't be written .*: set GANBOOK_CACHE") as caught:
        assert metrics.digit_features(torch.zeros(2, 1, 28, 28)).shape == (2, 64)
    assert caught[0].filename == __file__
    metrics.digit_features(torch.zeros(2, 1, 28, 28))
    assert len(asked) == 1


def test_no_flipped_bit_of_the_cache_gets_through(cache, held_out, monkeypatch, tmp_path, again):
    metrics.digit_classifier.cache_clear()
    classifier = metrics.digit_classifier()
    right = {name: weight.clone() for name, weight in classifier.state_dict().items()}
    content = next(cache.glob("*.pt")).read_bytes()
    monkeypatch.setenv("GANBOOK_CACHE", str(tmp_path))
    asked = []

    def train(found):
        asked.append(found)
        found.load_state_dict(right)
        found.accuracy = classifier.accuracy

    monkeypatch.setattr(metrics, "_train", train)
    path = tmp_path / f"digit_classifier-v{metrics._VERSION}.pt"
    places = [*range(0, 64, 4), *np.linspace(64, len(content) - 1, 48).astype(int).tolist()]
    for count, place in enumerate(places, start=1):
        flipped = bytearray(content)
        flipped[place] ^= 1 << count % 8
        path.write_bytes(flipped)
        for _ in range(2):  # the second time from the file that was written in its place
            metrics.digit_classifier.cache_clear()
            found = metrics.digit_classifier()
            assert len(asked) == count, place
            assert found.accuracy == classifier.accuracy
            for name, weight in found.state_dict().items():
                assert torch.equal(weight, right[name]), (place, name)


def test_a_disk_that_is_full_costs_only_the_training(monkeypatch, tmp_path, again):
    """A limit on the size of files fails as a full disk does, after some bytes."""
    resource = pytest.importorskip("resource")
    monkeypatch.setenv("GANBOOK_CACHE", str(tmp_path))
    untrained(monkeypatch)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    files._warn_of_cache.cache_clear()
    try:
        with pytest.warns(UserWarning, match="can't be written"):
            accuracy = metrics.digit_classifier().accuracy
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert accuracy == 0.125
    assert list(tmp_path.iterdir()) == []


def test_training_is_a_function_of_nothing_but_the_digits(cache, held_out, monkeypatch):
    few = data.Images(held_out.images[:300], held_out.labels[:300])
    monkeypatch.setattr(data, "digits", lambda split: few)
    trained = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        classifier = metrics.DigitClassifier()
        metrics._train(classifier, epochs=2)
        trained.append(classifier)
    for a, b in zip(*(classifier.parameters() for classifier in trained), strict=True):
        assert torch.equal(a, b)
    assert trained[0].accuracy == trained[1].accuracy


def test_the_classifier_learns_from_digits_shifted_by_up_to_two_pixels(monkeypatch):
    images = torch.full((4, 1, 28, 28), -1.0)
    images[:, :, 10, 20] = 1  # one white pixel, whose place tells the shift
    few = data.Images(images, torch.zeros(4, dtype=torch.int64))
    monkeypatch.setattr(data, "digits", lambda split: few)
    classifier, seen = metrics.DigitClassifier(), set()

    def watch(module, inputs):
        places = (inputs[0] == 1).nonzero()[:, 2:] - torch.tensor([10, 20])
        if module.training and torch.is_grad_enabled():
            seen.update(map(tuple, places.tolist()))

    classifier.register_forward_pre_hook(watch)
    metrics._train(classifier, epochs=200, batch=4)
    shifts = range(-2, 3)
    assert seen == {(down, right) for down in shifts for right in shifts}


def test_measuring_leaves_the_readers_random_numbers_alone(cache, features, again):
    metrics.digit_classifier.cache_clear()
    state = torch.get_rng_state()
    metrics.digit_features(torch.zeros(2, 1, 28, 28))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("measure", [metrics.digit_features, metrics.digit_logits])
@pytest.mark.parametrize("shape", [(28, 28), (5, 28, 28), (5, 3, 28, 28), (5, 1, 32, 32), (5, 784)])
def test_only_digits_have_features(measure, shape, cache, features):
    with pytest.raises(ValueError, match=r"takes images \(N, 1, 28, 28\); got "):
        measure(torch.zeros(shape))


@pytest.mark.parametrize("measure", [metrics.digit_features, metrics.digit_logits])
def test_bytes_are_no_digits_and_a_little_beyond_white_is_one(measure):
    with pytest.raises(ValueError, match="these reach 255: data.Images scales bytes"):
        measure(torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 1, 28, 28))
    assert len(measure(torch.full((2, 1, 28, 28), 1.5))) == 2
    assert len(measure(torch.zeros(0, 1, 28, 28))) == 0


# ---- All eight


def test_the_measures_are_those_of_the_metrics(cache):
    digits = data.digits().batches(5000)[0]
    training, held_out = (metrics.digit_features(part) for part in digits.x[:600].split(300))
    images = digits.x[600:900]
    features = metrics.digit_features(images)
    found = metrics.measures(training, held_out, features)
    assert len(found) == len(metrics.MEASURE_NAMES)
    assert found.fid == metrics.fid(training, features)
    assert found.kid == pytest.approx(metrics.kid(training, features, blocks=1).value)
    assert found.inception == pytest.approx(
        metrics.inception_score(metrics.digit_logits(images).softmax(1)), rel=1e-3
    )
    assert found[3:5] == metrics.precision_recall(training, features)
    assert found[5:7] == metrics.density_coverage(training, features)
    assert 0.35 < found.copies < 0.65


# ---- Stacked digits


def test_stacked_coverage_counts_the_numbers_that_are_read():
    digits = data.digits("test")
    surest = digits.images[
        metrics.digit_logits(digits.images).log_softmax(1).argmax(0)
    ]  # one of each class, 0 to 9

    def stacks(*numbers):
        return torch.stack([torch.cat([surest[int(c)] for c in f"{n:03}"]) for n in numbers])

    found = metrics.stacked_coverage(stacks(7, 70, 700, 700))
    assert found.modes == 3
    assert found.reverse_kl == pytest.approx(0.25 * math.log(250) * 2 + 0.5 * math.log(500))
    assert found.confidence > 0.99
    every = metrics.stacked_coverage(stacks(*range(1000)))
    assert every.modes == 1000 and every.reverse_kl == pytest.approx(0, abs=1e-12)


def test_digits_laid_over_each_other_cover_modes_with_less_confidence_than_real_ones():
    stacks = data.stacked_digits().sample(5000, seed=0)
    real = metrics.stacked_coverage(stacks)
    assert real.confidence > 0.9 and real.modes > 980
    assert real.reverse_kl == pytest.approx(999 / 10_000, rel=0.15)
    mixed = metrics.stacked_coverage((stacks + stacks.roll(1, 0))[:1500] / 2)
    assert mixed.confidence < 0.8 * real.confidence and mixed.modes > 500


def test_confidence_is_that_of_three_digits_at_once():
    """The product of their probabilities: as sure of the number as of all three together."""
    noise = torch.randn(40, 3, 28, 28, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    expected = []
    for stack in noise:
        a, b, c = metrics.digit_logits(stack[:, None]).softmax(1).amax(1).tolist()
        expected.append(a * b * c)
    found = metrics.stacked_coverage(noise.to(DEVICE)).confidence
    assert found == pytest.approx(sum(expected) / 40, rel=1e-4)


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (5, 3, 32, 32), (0, 3, 28, 28), (3, 28, 28)])
def test_stacked_coverage_says_what_stacks_are(shape):
    with pytest.raises(ValueError, match=r"stacks are images \(N, 3, 28, 28\)"):
        metrics.stacked_coverage(torch.zeros(shape))
