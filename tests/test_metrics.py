"""ganbook.metrics: the Frechet distance against formulas and torchmetrics, coverage by hand, the digit classifier."""

import itertools
import math
import os
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from ganbook import data, metrics
from ganbook.device import DEVICE
from ganbook.metrics import coverage, earth_mover, fid


def draws(n, features, seed=0, scale=1.0, shift=0.0):
    return scale * torch.randn(n, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


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
    assert fid(a, b) == pytest.approx(25 + (3 - 1) ** 2 + (2 - 4) ** 2)  # diagonal: each axis for itself
    turned = with_moments([0, 0], [[4, 0], [0, 9]])
    assert fid(a, turned) == pytest.approx(2 * (3 - 2) ** 2)
    s, t = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 2.0]])
    # for 2 x 2 matrices, trace(root(M)) = sqrt(trace(M) + 2 sqrt(det(M))), and these two don't commute
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
        (torch.zeros(1, 3), torch.zeros(5, 3), r"at least two samples; got the shape \(1, 3\)"),
        (torch.zeros(5, 3), torch.zeros(0, 3), r"at least two samples; got the shape \(0, 3\)"),
        (torch.zeros(5), torch.zeros(5, 3), r"feature matrices \(N, F\).*; got the shape \(5,\)"),
        (torch.zeros(5, 1, 28, 28), torch.zeros(5, 3), r"got the shape \(5, 1, 28, 28\)"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "differ in width: 3 and 4"),
        (torch.tensor([[0.0], [math.nan]]), torch.zeros(5, 1), "the features hold NaN or infinity"),
        (torch.zeros(5, 1), torch.tensor([[0.0], [math.inf]]), "the features hold NaN or infinity"),
    ],
)
def test_fid_says_what_it_can_not_use(a, b, message):
    with pytest.raises(ValueError, match=message):
        fid(a, b)


# ---- Coverage, by the protocol of PacGAN


CORNERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def test_points_on_every_mode_cover_all_of_them():
    grid = data.grid()
    found = coverage(grid.centers.repeat(3, 1), grid.centers, grid.std)
    assert found.modes == 25 and found.quality == 1.0
    assert found.reverse_kl == pytest.approx(0, abs=1e-6)
    found = coverage(grid.sample(2500, seed=0), grid.centers, grid.std)
    assert found.modes == 25
    assert found.quality == pytest.approx(1 - math.exp(-9 / 2), abs=0.01)  # a Gaussian in the plane within 3 std
    assert 0 < found.reverse_kl < 0.02


def test_three_standard_deviations_are_the_limit():
    for distance, good in ((2.99, 1), (3.01, 0)):
        for direction in (torch.tensor([1.0, 0.0]), torch.tensor([0.6, -0.8])):
            points = 0.1 * distance * direction[None]
            assert coverage(points, CORNERS, 0.1)[:2] == (good, good)


def test_points_off_every_mode_cover_none_but_count_in_the_shares():
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.45, 0.0], [0.55, 0.0]])  # two good, two between the modes
    found = coverage(points, CORNERS, 0.1)
    assert found.modes == 1 and found.quality == 0.5
    assert found.reverse_kl == pytest.approx(0.75 * math.log(0.75 * 4) + 0.25 * math.log(0.25 * 4), rel=1e-5)


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
    points = CORNERS[[1, 0, 1, 1]] + torch.tensor([0.2, 0.0])  # two standard deviations off the first, or twenty
    assert coverage(points, mixture.centers, mixture.std)[:2] == (1, 0.25)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.zeros(5), "must agree in D"),
        (torch.zeros(5, 3), r"got \(5, 3\) and \(4, 2\)"),
        (torch.zeros(0, 2), r"got \(0, 2\)"),
        (torch.full((5, 2), math.nan), "NaN or infinity: the generator that drew them has diverged"),
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
        assert earth_mover(a, b) == pytest.approx(scipy.stats.wasserstein_distance(a[:, 0], b[:, 0]))


def test_the_earth_mover_takes_the_best_pairing_of_all():
    a, b = draws(6, 3, seed=1).numpy(), draws(6, 3, seed=2).numpy()
    every = itertools.permutations(range(6))
    best = min(np.linalg.norm(a - b[list(order)], axis=1).mean() for order in every)
    assert earth_mover(a, b) == pytest.approx(best)


def test_earth_mover_by_hand():
    corners = CORNERS.double()
    assert earth_mover(corners, corners.flip(0)) == 0
    assert earth_mover(corners, corners + torch.tensor([3.0, 4.0])) == pytest.approx(5)
    assert earth_mover([[0.0, 0.0], [10.0, 0.0]], [[10.0, 1.0], [0.0, 3.0]]) == pytest.approx(2)
    assert earth_mover(torch.zeros(1, 2), torch.ones(1, 2, device=DEVICE)) == pytest.approx(math.sqrt(2))
    assert earth_mover(2 * corners, corners) == pytest.approx(earth_mover(corners, 2 * corners))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(4, 2), r"equally many points, \(N, D\) each; got \(3, 2\) and \(4, 2\)"),
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
    """A cache of its own, so that the classifier is trained here (once) and not found where somebody left it."""
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
    assert metrics.digit_classifier().accuracy == pytest.approx(right.double().mean().item(), abs=2e-3)


def test_features_are_the_last_hidden_layer(held_out, features):
    assert features.shape == (1000, metrics.FEATURES) == (1000, 64)
    assert features.dtype == torch.float32 and features.device.type == "cpu" and not features.requires_grad
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


def test_a_new_process_reads_what_was_trained(cache, held_out, features, tmp_path):
    code = """
        import sys, torch
        from ganbook import data, metrics
        metrics._train = lambda classifier: sys.exit("it was trained again")
        torch.save(metrics.digit_features(data.digits("test").images[:500]), sys.argv[1])
    """
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(metrics.__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "features.pt")]
    subprocess.run(command, env=environment, check=True)
    torch.testing.assert_close(torch.load(tmp_path / "features.pt"), features[:500], rtol=1e-4, atol=1e-4)


def test_the_second_use_trains_nothing(cache, features, monkeypatch, again):
    asked = untrained(monkeypatch)
    assert metrics.digit_classifier() is metrics.digit_classifier()
    assert not asked
    assert metrics.digit_classifier().accuracy > 0.9
    assert [path.name for path in cache.glob("*.pt")] == [f"digit_classifier-v{metrics._VERSION}.pt"]


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
        path.write_bytes({"cut": content[: len(content) // 2], "text": b"hello", "empty": b""}[damage])
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
    assert metrics.digit_features(torch.zeros(2, 1, 28, 28)).shape == (2, 64)
    assert len(asked) == 1


def test_a_disk_that_is_full_costs_only_the_training(monkeypatch, tmp_path, again):
    """A limit on the size of files fails as a full disk does, after some bytes."""
    resource = pytest.importorskip("resource")
    monkeypatch.setenv("GANBOOK_CACHE", str(tmp_path))
    untrained(monkeypatch)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
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
