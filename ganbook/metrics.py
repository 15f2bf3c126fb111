"""How good and how varied samples are: metrics of features (N, F), and the digit classifier."""

import functools
import io
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ganbook import data, files
from ganbook.arguments import check_count
from ganbook.device import DEVICE

FEATURES = 64
# Raise this with any change to the classifier or its training, because features of two versions
# can't be compared.
_VERSION = 1


class Coverage(NamedTuple):
    """How well a set of points covers the modes of a mixture.

    modes: how many are covered. quality: the share of high-quality points, 0 to 1.
    reverse_kl: over the modes, in nats.
    """

    modes: int
    quality: float
    reverse_kl: float


def coverage(points: torch.Tensor, centers: torch.Tensor, std) -> Coverage:
    """Count the modes of a mixture that a set of points covers.

    points: (N, D). centers: the means of the modes, (K, D).
    std: the standard deviation of the modes, one number or K.
    A point is of high quality if it is within 3 std of its nearest center. A mode is covered if it
    has one such point. Reverse KL is KL(share of points nearest to each mode || uniform). Raises
    ValueError if the shapes don't fit, or a point is not finite. Lin et al. 2018, section 4.1
    (PacGAN, arXiv:1712.04086). Chapter 3.
    """
    if (
        points.ndim != 2
        or centers.ndim != 2
        or points.shape[1] != centers.shape[1]
        or not len(points) * len(centers)
    ):
        raise ValueError(
            f"points (N, D) and centers (K, D) must agree in D; got {tuple(points.shape)} and"
            f" {tuple(centers.shape)}"
        )
    if not torch.isfinite(points).all():
        raise ValueError("points hold NaN or infinity: the generator that drew them has diverged")
    # On the CPU, because Apple's GPUs have no float64.
    distance, nearest = torch.cdist(points.cpu().double(), centers.cpu().double()).min(dim=1)
    good = distance <= 3 * torch.as_tensor(std).cpu().double().expand(len(centers))[nearest]
    share = torch.bincount(nearest, minlength=len(centers)) / len(points)
    reverse_kl = torch.special.xlogy(share, share * len(centers)).sum()
    return Coverage(
        int(nearest[good].unique().numel()), good.double().mean().item(), reverse_kl.item()
    )


def fid(a, b) -> float:
    """Frechet distance between Gaussians fitted to two sets of features.

    a, b: features (N, F) and (M, F), one row for each sample.
    |mean_a - mean_b|^2 + tr(cov_a + cov_b - 2 (cov_a cov_b)^(1/2)), in float64, covariances divided
    by N - 1. This is the squared distance; the field leaves the root off. With Inception's features
    it is called FID, hence the name; with those of `digit_features` the course calls it FD. It is
    biased upwards, by about C / N, where C depends on both distributions: compare only values of
    the same N and the same features, and differences larger than that bias. With N <= F a
    covariance is singular, which is not an error; see chapter 5. Raises ValueError for fewer than
    two samples, unequal F, or values that are not finite.
    Heusel et al. 2017, eq. 6 (arXiv:1706.08500). Chapter 5.
    """
    a, b = _features(a, b, least=2)
    (mean_a, cov_a), (mean_b, cov_b) = (
        (x.mean(0), np.cov(x, rowvar=False).reshape(2 * x.shape[1:])) for x in (a, b)
    )
    # The trace of the root needs only the eigenvalues of a symmetric matrix, so a singular
    # covariance does no harm.
    root_a = root(cov_a)
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root_a @ cov_b @ root_a), 0, None)).sum()
    return max(
        0.0, float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap)
    )


def root(covariance) -> np.ndarray:
    """The symmetric square root (F, F) of a covariance matrix, which may be singular.

    covariance: symmetric (F, F), without negative eigenvalues.
    Eigenvalues that rounding has made negative count as 0. Raises ValueError if one is negative
    beyond rounding.
    """
    covariance = _array(covariance)
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-6 * max(abs(values[-1]), 1e-300):
        raise ValueError(
            f"a covariance has no negative eigenvalue; this matrix has {values[0]:.3g}"
        )
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


class Kid(NamedTuple):
    """A kernel distance: the mean over blocks, and its standard error, NaN for one block."""

    value: float
    error: float


def kid(a, b, blocks: int = 10, seed: int = 0) -> Kid:
    """Kernel distance of two sets of features: squared MMD with the kernel (x.y / F + 1)^3.

    a, b: features (N, F) and (M, F).
    blocks: the rows are shuffled and cut into this many blocks of equal size.
    seed: determines the shuffling.
    With Inception's features it is called KID; with those of `digit_features` the course calls it
    KD. It is unbiased, so it can be below 0. The blocks share no sample, so their scatter
    gives an honest standard error. Raises ValueError for blocks of fewer than two samples, unequal
    F, or values that are not finite.
    Binkowski et al. 2018, section 4 (arXiv:1801.01401); unbiased form: Gretton et al. 2012, eq. 3.
    Chapter 5.
    """
    a, b = _features(a, b, least=2)
    size = min(len(a), len(b)) // check_count("blocks", blocks)
    if size < 2:
        raise ValueError(
            f"{blocks} blocks of {min(len(a), len(b))} samples have fewer than two each: ask for"
            f" fewer blocks"
        )
    rng = np.random.default_rng(seed)
    a, b = (x[rng.permutation(len(x))[: size * blocks]].reshape(blocks, size, -1) for x in (a, b))
    values = [_unbiased_mmd(x, y) for x, y in zip(a, b, strict=True)]
    error = np.std(values, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.nan
    return Kid(float(np.mean(values)), float(error))


def _unbiased_mmd(x, y):
    n, features = x.shape
    within = 0.0
    for z in (x, y):
        kernel = (z @ z.T / features + 1) ** 3
        within += (kernel.sum() - np.trace(kernel)) / (
            n * (n - 1)
        )  # without the pairs of a sample with itself
    return within - 2 * ((x @ y.T / features + 1) ** 3).mean()


def inception_score(probabilities) -> float:
    """The inception score, exp of the mean KL(p(y | x) || p(y)): at least 1, at most K.

    probabilities: a classifier's, (N, K); p(y) is their mean.
    It uses no real data. It is high if the classifier is sure of each sample and the classes are
    equally frequent. Raises ValueError for rows that are not probabilities. Salimans et al. 2016,
    section 4 (arXiv:1606.03498). Chapter 5.
    """
    p = _matrix(probabilities, least=1)
    if (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-4):
        raise ValueError(
            "each row must be probabilities that sum to 1: take the softmax of logits first"
        )
    # Imported here, because it takes a quarter of a second, and few chapters need it.
    from scipy.special import xlogy

    mean = p.mean(0)
    return float(np.exp((xlogy(p, p) - xlogy(p, mean)).sum(1).mean()))


class PrecisionRecall(NamedTuple):
    """The precision and the recall of a set of fakes, both from 0 to 1.

    precision: the share of fakes within reach of the real samples.
    recall: the share of real samples within reach of the fakes.
    """

    precision: float
    recall: float


def precision_recall(real, fake, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall of a set of fakes.

    real, fake: features (N, F) and (M, F).
    k: a point is within reach of a set if it lies in one of the balls around its samples. The
        radius of each ball is the distance to the sample's k-th neighbour in the set.
    Recall uses balls around the fakes: a set that scatters widely has wide balls, and so a higher
    recall. Raises ValueError unless k is below N and M. Precision and recall of generators:
    Sajjadi et al. 2018 (arXiv:1806.00035); in this form Kynkaanniemi et al. 2019, eq. 1 and 2
    (arXiv:1904.06991). Chapter 5.
    """
    real, fake = _features(real, fake, least=check_count("k", k) + 1)
    return PrecisionRecall(_reached(fake, real, k)[0], _reached(real, fake, k)[0])


class DensityCoverage(NamedTuple):
    """The density (0 and above) and the coverage (0 to 1) of a set of fakes.

    density: in how many real balls a fake lies, on average, divided by k.
    coverage: the share of real balls that hold a fake.
    """

    density: float
    coverage: float


def density_coverage(real, fake, k: int = 5) -> DensityCoverage:
    """Density and coverage of a set of fakes.

    real, fake: features (N, F) and (M, F).
    k: the radius of a ball is the distance to its center's k-th neighbour.
    Both use balls around real samples only, so an outlier among the fakes has no ball. An outlier
    among the real samples has one, and it counts towards density. Two samples of one distribution
    have density 1 and, for large M = N, coverage 1 - 2^-k.
    Raises ValueError unless k is below N and M. Naeem et al. 2020, eq. 3 and 4, lemma 2
    (arXiv:2002.09797). Chapter 5.
    """
    real, fake = _features(real, fake, least=check_count("k", k) + 1)
    _, count, hit = _reached(fake, real, k)
    return DensityCoverage(count / k, hit)


def _reached(points, anchors, k):
    """Of points and balls around anchors: the share in a ball, the mean number, the share hit.

    points, anchors: features. k: as `density_coverage` takes it.
    """
    points, anchors = torch.from_numpy(points), torch.from_numpy(anchors)
    radius = torch.cat(
        [torch.cdist(part, anchors).kthvalue(k + 1).values for part in anchors.split(1000)]
    )
    any_, count, hit = 0, 0, torch.zeros(len(anchors), dtype=torch.bool)
    for part in points.split(1000):
        inside = torch.cdist(part, anchors) <= radius
        any_, count, hit = (
            any_ + inside.any(1).sum().item(),
            count + inside.sum().item(),
            hit | inside.any(0),
        )
    return any_ / len(points), count / len(points), hit.double().mean().item()


def nearest(a, b) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `a` the distance (N,) to the nearest row of `b`, and that row's index (N,).

    a, b: features (N, F) and (M, F).
    To find copies, compare with the distances to held-out samples. Raises ValueError for unequal F,
    or values that are not finite. Chapter 5.
    """
    a, b = map(torch.from_numpy, _features(a, b, least=1))
    found = [
        torch.cdist(part, b, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        for part in a.split(1000)
    ]
    return tuple(torch.cat(values).numpy() for values in zip(*found, strict=True))


def nearer_to_training(training, held_out, fake) -> float:
    """The share of fakes nearer to a training sample than to any held-out one, 1/2 without copies.

    training, held_out: features (N, F) of equally many samples, because the larger set would be
        nearer by its size alone.
    fake: features (M, F). A fake that is equally near to both counts half.
    Honest fakes scatter around 1/2 more widely than coin tosses do: `copy_test` has the band.
    Raises ValueError if the training and held-out sets differ in size. A simple form of the test of
    Meehan et al. 2020 (arXiv:2004.05675). Chapter 5.
    """
    if len(training) != len(held_out):
        raise ValueError(
            f"compare with equally many: {len(training)} training and {len(held_out)} held-out"
            f" samples"
        )
    to_training, to_held_out = (nearest(fake, others)[0] for others in (training, held_out))
    return float((to_training < to_held_out).mean() + (to_training == to_held_out).mean() / 2)


class CopyTest(NamedTuple):
    """The share of fakes nearer to training samples, and how it compares with chance.

    share: as in `nearer_to_training`. low, high: the middle 95 % of the shares where chance decides
    which samples were trained on. p: how often chance gives this share or a larger one.
    """

    share: float
    low: float
    high: float
    p: float


def copy_test(training, held_out, fake, draws: int = 2000, seed: int = 0) -> CopyTest:
    """Whether fakes are nearer to the training samples than chance allows.

    training, held_out: features (N, F) of equally many samples, drawn alike.
    fake: features (M, F).
    draws: how many times the two sets are pooled and split anew, 100 or more.
    seed: determines the splits.
    If the generator has learned nothing of its training samples but their distribution, they and
    the held-out samples may change places: each split of the pool into halves is as likely as the
    one that was used. So p is exact, whatever the fakes are, even repeated ones. A permutation
    test; its band has the standard deviation that chapter 10 derives. Raises ValueError for sets
    of unequal size, or too few draws. Chapters 5 and 10.
    """
    draws = check_count("draws", draws, least=100)
    share = nearer_to_training(training, held_out, fake)
    pool = np.concatenate([_array(training), _array(held_out)])
    visits = np.bincount(nearest(fake, pool)[1], minlength=len(pool)) / len(fake)
    rng = np.random.default_rng(seed)
    shares = np.array(
        [visits[rng.permutation(len(pool))[: len(training)]].sum() for _ in range(draws)]
    )
    low, high = np.quantile(shares, [0.025, 0.975])
    p = (1 + (shares >= share - 1e-12).sum()) / (1 + draws)
    return CopyTest(share, float(low), float(high), float(p))


class Interval(NamedTuple):
    low: float
    high: float


def share_interval(count: int, n: int, level: float = 0.95) -> Interval:
    """Confidence interval for a probability, from `count` hits in n tries.

    count: 0 to n. n: 1 or more. level: the confidence, between 0 and 1.
    It is exact for independent tries: it holds the true probability at least that often. Raises
    ValueError for a count or level out of range. Clopper & Pearson 1934. Chapter 5.
    """
    if not (0 <= count <= check_count("n", n) and 0 < level < 1):
        raise ValueError(
            f"count={count!r} must be from 0 to n={n!r}, and level={level!r} between 0 and 1"
        )
    # Imported here, because it takes a quarter of a second, and few chapters need it.
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - tail))
    return Interval(low, high)


def bootstrap(measure, *sets, draws: int = 200, level: float = 0.95, seed: int = 0) -> Interval:
    """Bootstrap confidence interval for the number `measure(*sets)`.

    measure: a function of the sets that returns a number.
    sets: samples (N, ...), each set resampled with replacement.
    draws: how many times they are resampled, 20 or more.
    level: the confidence, between 0 and 1.
    seed: determines the resampling.
    It is the basic (reflected) interval, 2 value - quantiles. If a measure's bias depends on the
    number of samples, as FD's does, resampling adds about the same bias again, and reflecting takes
    one bias off. The interval is then for the value with endless samples, and may leave out the
    value measured. Raises ValueError for draws or level out of range. Davison & Hinkley 1997,
    eq. 5.6. Chapter 5.
    """
    draws, value, rng = (
        check_count("draws", draws, least=20),
        float(measure(*sets)),
        np.random.default_rng(seed),
    )
    if not 0 < level < 1:
        raise ValueError(
            f"level={level!r}: give the probability that the interval is to have, between 0 and 1"
        )
    again = [
        float(measure(*(s[rng.integers(len(s), size=len(s))] for s in sets))) for _ in range(draws)
    ]
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(2 * value - high), float(2 * value - low))


def _array(x) -> np.ndarray:
    x = x.detach().cpu().double() if isinstance(x, torch.Tensor) else x
    return np.ascontiguousarray(x, dtype=np.float64)


def _matrix(x, least: int) -> np.ndarray:
    x = _array(x)
    if x.ndim != 2 or len(x) < least or not x.size:
        raise ValueError(
            f"features are matrices (N, F) of at least {least} samples; got the shape {x.shape}"
        )
    if not np.isfinite(x).all():
        raise ValueError("the features hold NaN or infinity: look at the images they come from")
    return x


def _features(a, b, least: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = _matrix(a, least), _matrix(b, least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"the two feature matrices differ in width: {a.shape[1]} and {b.shape[1]}")
    return a, b


def earth_mover(a, b) -> float:
    """Exact earth mover's distance W1 between two sets of equally many points, in units of x.

    a, b: points (N, D).
    It is the least mean Euclidean distance over all pairings of the two sets. The time
    grows as N^3: 10 ms for 256 points, seconds for 2,000. Between two samples of one distribution
    it is above 0, and falls with the number of points. Raises ValueError for sets that are empty,
    of unequal shape, or not finite. Villani 2009, Optimal Transport, chapter 6, with the assignment
    by Crouse 2016 (scipy's `linear_sum_assignment`). Chapters 2 and 7.
    """
    a, b = _array(a), _array(b)
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise ValueError(
            f"earth_mover needs two sets of equally many points, (N, D) each; got {a.shape} and"
            f" {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(
            "the points hold NaN or infinity: the generator that drew them has diverged"
        )
    # Imported here, because it takes a quarter of a second, and few chapters need it.
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    cost = cdist(a, b)
    return float(cost[linear_sum_assignment(cost)].mean())


class DigitClassifier(nn.Module):
    """Maps digits (N, 1, 28, 28) in [-1, 1] to class logits (N, 10), via features (N, 64).

    features, head: its two parts. accuracy: on held-out digits, 0 to 1.
    """

    accuracy: float

    def __init__(self):
        def block(inputs, outputs):
            return nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)

        super().__init__()
        self.features = nn.Sequential(
            *block(1, 16),
            *block(16, 32),
            *block(32, 64),
            nn.Flatten(),
            nn.Linear(64 * 3 * 3, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, images):
        return self.head(self.features(images))


@functools.cache
def digit_classifier() -> DigitClassifier:
    """The classifier whose features measure digits, trained at first use (about 10 s), then cached.

    It learns from the 4,000 training digits, shifted by up to two pixels. It is trained on the CPU
    on every machine, so that everybody's features are alike. `.accuracy` is its share of
    correct answers on the 1,000 held-out digits.
    """
    name = f"digit_classifier-v{_VERSION}.pt"
    with torch.random.fork_rng(
        devices=[]
    ):  # so that measuring leaves the reader's random numbers unchanged
        classifier = DigitClassifier()
    kept = files.read_kept(name)
    if kept is None or not _restored(classifier, kept):
        _train(classifier)
        buffer = io.BytesIO()
        stored = {"weights": classifier.state_dict(), "accuracy": classifier.accuracy}
        torch.save(stored, buffer)
        files.keep(name, buffer.getvalue())
    return classifier.to(DEVICE).eval().requires_grad_(False)


def _restored(classifier: DigitClassifier, kept: bytes) -> bool:
    """Whether the classifier could be read from a file of the cache."""
    try:
        stored = torch.load(io.BytesIO(kept), map_location="cpu", weights_only=True)
        finite = all(weight.isfinite().all() for weight in stored["weights"].values())
        if not finite or not 0 <= stored["accuracy"] <= 1:
            return False
        classifier.load_state_dict(stored["weights"])
        classifier.accuracy = stored["accuracy"]
    except Exception:  # another version of the course wrote it
        return False
    return True


def _train(classifier: DigitClassifier, epochs: int = 12, batch: int = 100) -> None:
    train, test = data.digits("train"), data.digits("test")
    images, labels = train.images.cpu(), train.labels.cpu()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(0)  # torch.manual_seed would seed the GPU's too
        for layer in classifier.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        steps = epochs * len(images) // batch
        optimizer = torch.optim.AdamW(classifier.parameters(), fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
        for step in range(steps):
            start = step * batch % len(images)
            if start == 0:
                order = torch.randperm(len(images))
            chosen = order[start : start + batch]
            shifted = torch.roll(images[chosen], torch.randint(-2, 3, (2,)).tolist(), dims=(2, 3))
            loss = F.cross_entropy(classifier(shifted), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        right = classifier(test.images.cpu()).argmax(1) == test.labels.cpu()
    classifier.accuracy = right.double().mean().item()


@torch.no_grad()
def digit_features(images: torch.Tensor, batch: int = 500) -> torch.Tensor:
    """Features of digits: the classifier's last hidden layer, float32 (N, 64) on the CPU.

    images: digits (N, 1, 28, 28) in [-1, 1]. batch: how many at a time.
    Values beyond [-1, 1], as from a Gaussian fitted to pixels, are taken as they are, but a figure
    clips them: use `images.clamp(-1, 1)` first, to measure what is shown. The length of a feature
    vector follows the contrast of the strokes, so a slightly blurred digit is far away. Raises
    ValueError for any other shape, or values over 100. Chapter 5.
    """
    return _run(digit_classifier().features, images, batch)


@torch.no_grad()
def digit_logits(images: torch.Tensor, batch: int = 500) -> torch.Tensor:
    """Class logits (N, 10) of digits by the same classifier, on the CPU.

    images, batch: as for `digit_features`. Raises ValueError as it does.
    """
    return _run(digit_classifier(), images, batch)


class Measures(NamedTuple):
    """Eight numbers for a set of digits.

    fid: the course's FD. kid: its KD, of one block. inception: the inception score.
    copies: `nearer_to_training`.
    """

    fid: float
    kid: float
    inception: float
    precision: float
    recall: float
    density: float
    coverage: float
    copies: float


MEASURE_NAMES = ("FD", "KD", "IS", "precision", "recall", "density", "coverage", "copies")
"""The names of the eight `Measures` in tables and figures."""


def measures(training, held_out, fake) -> Measures:
    """All eight numbers for a set of generated digits. Chapter 5.

    training: features (N, 64), see `digit_features`, of digits that the generator learned from;
        the fakes are compared with these.
    held_out: features (N, 64) of as many other digits, for the share of copies.
    fake: features (M, 64) of the generated digits.
    Raises ValueError if one of the metrics does.
    """
    fake = torch.as_tensor(fake)
    probabilities = digit_classifier().head(fake.to(DEVICE)).softmax(1)
    return Measures(
        fid(training, fake),
        kid(training, fake, blocks=1).value,
        inception_score(probabilities),
        *precision_recall(training, fake),
        *density_coverage(training, fake),
        nearer_to_training(training, held_out, fake),
    )


class StackedCoverage(NamedTuple):
    """How well a set of stacked digits covers the 1,000 modes.

    modes: how many were drawn. reverse_kl: over the modes, in nats.
    confidence: how sure the classifier is, 0 to 1.
    """

    modes: int
    reverse_kl: float
    confidence: float


def stacked_coverage(images: torch.Tensor, batch: int = 500) -> StackedCoverage:
    """Count the modes that stacks of three digits cover, each read by the classifier as 0 to 999.

    images: stacks (N, 3, 28, 28) in [-1, 1]. batch: how many digits are read at a time.
    A mode is covered if a stack is read as it. Reverse KL is KL(share of each mode || 1/1000);
    for N fair draws it is about 999 / 2N. The confidence is the mean probability of the number
    read, the product of its digits' probabilities. Scribbles can cover modes too, with low
    confidence. Raises ValueError for any other shape. Lin et al. 2018, section 4.2 (PacGAN,
    arXiv:1712.04086). Chapter 9.
    """
    if images.ndim != 4 or images.shape[1:] != (3, 28, 28) or not len(images):
        raise ValueError(f"stacks are images (N, 3, 28, 28); got {tuple(images.shape)}")
    probability, digit = digit_logits(images.flatten(0, 1)[:, None], batch).softmax(1).max(1)
    number = (digit.view(-1, 3) * torch.tensor([100, 10, 1])).sum(1)
    share = torch.bincount(number, minlength=1000).double() / len(images)
    reverse_kl = torch.special.xlogy(share, 1000 * share).sum().item()
    return StackedCoverage(
        int((share > 0).sum()), reverse_kl, probability.view(-1, 3).prod(1).mean().item()
    )


def _run(network, images, batch):
    if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
        raise ValueError(
            f"the digit classifier takes images (N, 1, 28, 28); got {tuple(images.shape)}"
        )
    if (
        images.numel() and images.max() > 100
    ):  # values a little over 1 pass, as from a Gaussian fitted to pixels
        raise ValueError(
            f"images must lie in [-1, 1]; these reach {images.max():.3g}: data.Images scales bytes"
        )
    return torch.cat([network(chunk.to(DEVICE).float()).cpu() for chunk in images.split(batch)])
