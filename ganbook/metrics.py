"""How good and how varied samples are: Frechet distance on the features of a digit classifier, coverage of modes."""

import contextlib
import functools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ganbook import data
from ganbook.device import DEVICE

FEATURES = 64
_VERSION = 1  # raise it with any change to the classifier or its training: features of two versions can't be compared


class Coverage(NamedTuple):
    """What a set of points covers: modes hit, share of high-quality points, reverse KL over the modes in nats."""

    modes: int
    quality: float
    reverse_kl: float


def coverage(points: torch.Tensor, centers: torch.Tensor, std) -> Coverage:
    """Count the modes that `points` (N, D) cover among `centers` (K, D) of standard deviation `std` (one, or K).

    A point is of high quality within 3 std of its nearest center; a mode counts with one such point. Reverse KL is
    KL(share of points nearest to each mode || uniform). Raises ValueError where the shapes don't fit.
    Lin et al. 2018, section 4.1 (PacGAN, arXiv:1712.04086). Chapter 3.
    """
    if points.ndim != 2 or centers.ndim != 2 or points.shape[1] != centers.shape[1] or not len(points) * len(centers):
        raise ValueError(
            f"points (N, D) and centers (K, D) must agree in D; got {tuple(points.shape)} and {tuple(centers.shape)}"
        )
    if not torch.isfinite(points).all():
        raise ValueError("points hold NaN or infinity: the generator that drew them has diverged")
    # On the CPU, because Apple's GPUs have no float64.
    distance, nearest = torch.cdist(points.detach().cpu().double(), centers.cpu().double()).min(dim=1)
    good = distance <= 3 * torch.as_tensor(std).cpu().double().expand(len(centers))[nearest]
    share = torch.bincount(nearest, minlength=len(centers)) / len(points)
    reverse_kl = torch.special.xlogy(share, share * len(centers)).sum()
    return Coverage(int(nearest[good].unique().numel()), good.double().mean().item(), reverse_kl.item())


def fid(a, b) -> float:
    """Frechet distance between Gaussians fitted to two feature matrices (N, F) and (M, F), rows the samples.

    |mean_a - mean_b|^2 + tr(cov_a + cov_b - 2 (cov_a cov_b)^(1/2)), in float64, covariances divided by N - 1. It is
    biased upwards for small N: compare only values of the same N and the same features. Raises ValueError for fewer
    than two samples, unequal F, or values that are not finite. Heusel et al. 2017, eq. 6 (arXiv:1706.08500). Chapter 5.
    """
    moments = []
    for features in (a, b):
        x = features.detach().cpu().double() if isinstance(features, torch.Tensor) else features
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or len(x) < 2:
            raise ValueError(f"fid needs feature matrices (N, F) of at least two samples; got the shape {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError("the features hold NaN or infinity: look at the images they come from")
        moments.append((x.mean(0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])))
    (mean_a, cov_a), (mean_b, cov_b) = moments
    if mean_a.shape != mean_b.shape:
        raise ValueError(f"the two feature matrices differ in width: {len(mean_a)} and {len(mean_b)}")
    # The trace of the root needs eigenvalues only, of a symmetric matrix, so a singular covariance does no harm.
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root_a @ cov_b @ root_a), 0, None)).sum()
    return max(0.0, float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap))


def earth_mover(a, b) -> float:
    """Earth mover's distance W1 between two sets of equally many points (N, D) and (N, D), in units of x. Exact.

    The mean Euclidean distance over the pairing of the two sets that makes it least. The time grows as N^3: 10 ms for
    256 points, seconds for 2,000. Between two samples of one distribution it is above 0, the less the more points.
    Raises ValueError for sets that are empty, unequal, or not finite. Villani 2009, Optimal Transport, chapter 6, with
    the assignment by Crouse 2016 (scipy's `linear_sum_assignment`). Chapters 2 and 7.
    """
    a, b = (np.asarray(x.detach().cpu() if isinstance(x, torch.Tensor) else x, dtype=np.float64) for x in (a, b))
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise ValueError(f"earth_mover needs two sets of equally many points, (N, D) each; got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("the points hold NaN or infinity: the generator that drew them has diverged")
    # Loaded here, because it takes a quarter of a second that few chapters need to spend.
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    cost = cdist(a, b)
    return float(cost[linear_sum_assignment(cost)].mean())


class DigitClassifier(nn.Module):
    """Digits (N, 1, 28, 28) in [-1, 1] to class logits (N, 10) by way of `features` (N, 64); `accuracy` held out."""

    accuracy: float

    def __init__(self):
        def block(inputs, outputs):
            return nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)

        super().__init__()
        self.features = nn.Sequential(
            *block(1, 16), *block(16, 32), *block(32, 64), nn.Flatten(), nn.Linear(64 * 3 * 3, FEATURES), nn.ReLU()
        )
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, images):
        return self.head(self.features(images))


@functools.cache
def digit_classifier() -> DigitClassifier:
    """The classifier whose features the course measures digits by: trained at first use (about 10 s), then cached.

    It learns from the 4,000 training digits, shifted by up to two pixels, on the CPU whatever the device, so that
    everybody's features are alike; `.accuracy` is its share of right answers on the 1,000 held-out digits.
    """
    path = data.cache_folder() / f"digit_classifier-v{_VERSION}.pt"
    with torch.random.fork_rng(devices=[]):  # the reader's random numbers go on as if nothing had been measured
        classifier = DigitClassifier()
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        classifier.load_state_dict(stored["weights"])
        classifier.accuracy = stored["accuracy"]
    except Exception:  # absent or damaged: either way it is trained again
        _train(classifier)
        # Unwritten, it only costs the training again. torch.save makes a RuntimeError of a full disk.
        with contextlib.suppress(OSError, RuntimeError), data.atomic(path) as temporary:
            torch.save({"weights": classifier.state_dict(), "accuracy": classifier.accuracy}, temporary)
    return classifier.to(DEVICE).eval().requires_grad_(False)


def _train(classifier: DigitClassifier, epochs: int = 12, batch: int = 100) -> None:
    train, test = data.digits("train"), data.digits("test")
    images, labels = train.images.cpu(), train.labels.cpu()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
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
    """Features (N, 64) of digits (N, 1, 28, 28) in [-1, 1]: the classifier's last hidden layer, on the CPU, float32.

    Raises ValueError for another shape. Chapter 5.
    """
    return _run(digit_classifier().features, images, batch)


@torch.no_grad()
def digit_logits(images: torch.Tensor, batch: int = 500) -> torch.Tensor:
    """Class logits (N, 10) of digits (N, 1, 28, 28) in [-1, 1] by the same classifier, on the CPU."""
    return _run(digit_classifier(), images, batch)


def _run(network, images, batch):
    if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
        raise ValueError(f"the digit classifier takes images (N, 1, 28, 28); got {tuple(images.shape)}")
    if images.numel() and images.max() > 100:  # a little over 1 is let pass, as a Gaussian of pixels goes there
        raise ValueError(f"images lie in [-1, 1]; these reach {images.max():.3g}: data.Images scales bytes")
    return torch.cat([network(chunk.to(DEVICE).float()).cpu() for chunk in images.split(batch)])
