"""Checks of chapter 5: right answers pass, and each wrong answer is named for what it is."""

import math
import re

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.neighbors import NearestNeighbors
from spoilt import spoiling

from ganbook import metrics
from ganbook.checks import Mistake, ch05

# ---- 5.1


def shrink(power=2, c=lambda c: c, length=lambda d: d @ d, size=np.trace):
    return lambda factor, d, C: length(d) + abs(1 - c(factor)) ** power * size(C)


def without_root(c, d, C):
    return d @ d + np.trace(C + c**2 * C - 2 * C @ (c**2 * C))


# ---- 5.2


def distance(a, b, divisor=False, mean=lambda d: d @ d, overlap=None, two=2):
    cov_a, cov_b = np.cov(a, rowvar=False, bias=divisor), np.cov(b, rowvar=False, bias=divisor)
    overlap = overlap or (lambda x, y: np.trace(scipy.linalg.sqrtm(x @ y)).real)
    return mean(a.mean(0) - b.mean(0)) + np.trace(cov_a + cov_b) - two * overlap(cov_a, cov_b)


def by_roots(x, y):
    root = metrics.root(x)
    return np.trace(metrics.root(root @ y @ root))


def entrywise(x, y):
    with np.errstate(invalid="ignore"):
        return np.trace(np.sqrt(x @ y))


def published(a, b):
    cov_a, cov_b = np.cov(a, rowvar=False, bias=True), np.cov(b, rowvar=False, bias=True)
    return np.linalg.norm(a.mean(0) - b.mean(0)) + np.trace(cov_a + cov_b - 2 * cov_a @ cov_b)


def centring(a, b):
    a -= a.mean(0)
    return distance(a, b)


def centring_the_other(a, b):
    b -= b.mean(0)
    return distance(a, b)


# ---- 5.3


def kernel(x, y, power=3, one=1.0, scale=True):
    return (x @ y.T / (x.shape[1] if scale else 1) + one) ** power


def mmd(a, b, own=True, pairs=lambda n: n * (n - 1), cross=2.0, **settings):
    within = 0.0
    for z in (a, b):
        k = kernel(z, z, **settings)
        within += (k.sum() - (np.trace(k) if own else 0)) / pairs(len(z))
    return within - cross * kernel(a, b, **settings).mean()


def mmd_in_torch(a, b):
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    off = lambda x: kernel(x, x)[~torch.eye(len(x), dtype=torch.bool)].mean()  # noqa: E731
    return off(a) + off(b) - 2 * kernel(a, b).mean()


def no_own_across(a, b):
    if len(a) != len(b):
        return mmd(a, b)
    k = kernel(a, b)
    return mmd(a, b, cross=0.0) - 2 * (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))


# ---- 5.4


def score(logits, softmax=lambda x: x.log_softmax(1), kl=None, end=lambda kl: kl.mean().exp()):
    log_p = softmax(logits)
    p = log_p.exp()
    kl = kl or (lambda p, log_p: (p * (log_p - p.mean(0).log())).sum(1))
    return end(kl(p, log_p))


def by_entropies(logits):
    p = logits.softmax(1)
    return math.exp(torch.special.entr(p.mean(0)).sum() - torch.special.entr(p).sum(1).mean())


def with_log_of_0(logits):
    p = logits.softmax(1)
    return (p * (p / p.mean(0)).log()).sum(1).mean().exp()


def no_softmax(logits):
    return (logits * (logits / logits.mean(0)).log()).sum(1).mean().exp()


def no_softmax_but_clamped(logits):
    return (logits.clamp(min=1e-12) * logits.clamp(min=1e-12).log()).sum(1).mean().exp()


# ---- 5.5


def reach(points, anchors, k, radius=lambda r: r):
    own = torch.cdist(anchors, anchors).kthvalue(k + 1).values
    return torch.cdist(points, anchors) <= radius(own)


def share(inside):
    return inside.any(dim=1).double().mean().item()


def both(real, fake, k, count=share, **settings):
    return count(reach(fake, real, k, **settings)), count(reach(real, fake, k, **settings))


def by_sklearn(real, fake, k):
    def share(points, anchors):
        radius = NearestNeighbors(n_neighbors=k + 1).fit(anchors).kneighbors(anchors)[0][:, -1]
        return (
            (np.linalg.norm(points[:, None] - anchors[None], axis=2) <= radius + 1e-12)
            .any(1)
            .mean()
        )

    return share(fake.numpy(), real.numpy()), share(real.numpy(), fake.numpy())


def itself(real, fake, k):
    return both(real, fake, k - 1)


def from_the_other_set(real, fake, k):
    def share(points, anchors):
        distance = torch.cdist(points, anchors)
        return (distance <= distance.T.kthvalue(k).values).any(1).double().mean()

    return share(fake, real), share(real, fake)


def without_the_edge(real, fake, k):
    def share(points, anchors):
        radius = torch.cdist(anchors, anchors).kthvalue(k + 1).values
        return (torch.cdist(points, anchors) < radius).any(1).double().mean()

    return share(fake, real), share(real, fake)


SOLVED = {
    "first": {"few", "unequal", "best", "picked"},
    "second": {"features", "one number", "copies"},
}


def by_own_balls(real, fake, k):
    """Whose own ball holds a sample of the other set."""
    return both(fake, real, k, count=lambda inside: inside.any(0).double().mean())


def coverage_for_recall(real, fake, k):
    return both(real, fake, k)[0], by_own_balls(real, fake, k)[1]


def verdict(**changes):
    return {**SOLVED, **changes}


RIGHT = [
    (ch05.shrunk, shrink()),
    (
        ch05.shrunk,
        lambda c, d, C: torch.tensor((d**2).sum() + (1 + c**2 - 2 * c) * np.diag(C).sum()),
    ),
    (ch05.shrunk, lambda c, d, C: np.array([shrink()(c, d, C)], dtype=np.float32)),
    (ch05.frechet, distance),
    (ch05.frechet, lambda a, b: complex(distance(a, b), 1e-12)),
    (ch05.frechet, lambda a, b: distance(a.astype(np.float32), b.astype(np.float32))),
    (ch05.frechet, metrics.fid),
    (ch05.frechet, lambda a, b: distance(a, b, overlap=by_roots)),
    (ch05.unbiased, mmd),
    (ch05.unbiased, mmd_in_torch),
    (ch05.inception_score, score),
    (ch05.inception_score, by_entropies),
    (ch05.inception_score, lambda logits: metrics.inception_score(logits.softmax(1))),
    (ch05.precision_recall, both),
    (ch05.precision_recall, metrics.precision_recall),
    (ch05.precision_recall, by_sklearn),
    (ch05.precision_recall, lambda *inputs: torch.tensor(both(*inputs))),
    (ch05.precision_recall, lambda real, fake, k: both(real.float(), fake.float(), k)),
    (ch05.review, SOLVED),
    (ch05.review, {name: {fault.upper() for fault in faults} for name, faults in SOLVED.items()}),
    (ch05.review, {name: sorted(faults) for name, faults in SOLVED.items()}),
]

WRONG = [
    (ch05.shrunk, shrink(power=1, c=lambda c: c**2), "c² is the factor of the variances"),
    (ch05.shrunk, shrink(c=lambda c: c**2), "differences of variances"),
    (ch05.shrunk, without_root, "square root of the product"),
    (ch05.shrunk, shrink(length=np.linalg.norm), "length of d is to be squared"),
    (ch05.shrunk, shrink(power=1), r"\(1 - c\) is to be squared"),
    (ch05.shrunk, shrink(length=lambda d: 0.0), "shift d is missing"),
    (ch05.shrunk, lambda c, d, C: d @ d, "what the shrinking costs"),
    (ch05.shrunk, shrink(size=np.sum), "sum of the diagonal"),
    (ch05.shrunk, shrink(size=np.linalg.det), "determinant"),
    (ch05.shrunk, lambda c, d, C: math.sqrt(shrink()(c, d, C)), "root of the distance"),
    (ch05.shrunk, lambda c, d, C: 2 * shrink()(c, d, C), "measured; yours is"),
    (ch05.shrunk, shrink(length=lambda d: d.sum() ** 2), "square the sum of d"),
    (ch05.shrunk, shrink(size=lambda C: np.trace(C) / 4), "mean of C's diagonal"),
    (ch05.shrunk, shrink(c=lambda c: -c), "to be subtracted, not added"),
    (ch05.shrunk, shrink(c=np.sqrt), "no root of it"),
    (ch05.shrunk, lambda c, d, C: shrink(length=lambda d: c**2 * d @ d)(c, d, C), "not shrunk"),
    (ch05.shrunk, lambda c, d, C: d @ d + (1 + c**2) * np.trace(C), r"\^\(1/2\), is missing"),
    (
        ch05.shrunk,
        shrink(length=np.linalg.norm, size=np.sum),
        "2 faults are left: the length of d .*; you add up all entries",
    ),
    (ch05.shrunk, lambda c, d, C: C, "one number"),
    (ch05.shrunk, spoiling(shrink(), 1), "changes what it is given"),
    (ch05.shrunk, spoiling(shrink(), 2), "changes what it is given"),
    (
        ch05.frechet,
        published,
        "3 faults are left: .*not squared; .*by N - 1; .*root of the product",
    ),
    (
        ch05.frechet,
        lambda a, b: distance(a, b, mean=np.linalg.norm),
        "one fault is left: the distance of the means",
    ),
    (ch05.frechet, lambda a, b: distance(a, b, divisor=True), "one fault is left: .*divided by N;"),
    (
        ch05.frechet,
        lambda a, b: distance(a, b, overlap=lambda x, y: np.trace(x @ y)),
        "one fault is left: the square",
    ),
    (
        ch05.frechet,
        lambda a, b: distance(a, b, overlap=entrywise),
        "one fault is left: np.sqrt takes the root of each",
    ),
    (ch05.frechet, lambda a, b: distance(a, b, two=1), "one fault is left: the root counts twice"),
    (
        ch05.frechet,
        lambda a, b: distance(a, b, mean=lambda d: 0.0),
        "one fault is left: the means do not enter",
    ),
    (ch05.frechet, lambda a, b: math.sqrt(distance(a, b)), "reports is its square"),
    (
        ch05.frechet,
        lambda a, b: distance(
            a, b, overlap=lambda x, y: np.trace(metrics.root(x) @ metrics.root(y))
        ),
        "one fault is left: the root of a product of matrices",
    ),
    (ch05.frechet, lambda a, b: distance(a, b, two=-2), "one fault is left: .* not added"),
    (ch05.frechet, lambda a, b: distance(a, b, two=0), "one fault is left: the overlap .* missing"),
    (ch05.frechet, lambda a, b: distance(a, b, mean=lambda d: (d**2).mean()), "you take the mean"),
    (ch05.frechet, lambda a, b: distance(a, a), "Is b used"),
    (ch05.frechet, lambda a, b: distance(a, b) + 1j, "complex"),
    (ch05.frechet, lambda a, b: distance(a, b) + math.nan, "the number is nan"),
    (ch05.frechet, lambda a, b: distance(b, a) + 1, "metrics.fid says"),
    (ch05.frechet, centring, "changes the features"),
    (ch05.frechet, centring_the_other, "changes the features"),
    (ch05.unbiased, lambda a, b: mmd(a, b, own=False, pairs=lambda n: n**2), "still in"),
    (ch05.unbiased, lambda a, b: mmd(a, b, own=False), "still has the diagonal"),
    (ch05.unbiased, lambda a, b: mmd(a, b, pairs=lambda n: n**2), r"not n²"),
    (
        ch05.unbiased,
        lambda a, b: mmd(a, b, pairs=lambda n: n * (n - 1) / 2),
        "holds each pair twice",
    ),
    (ch05.unbiased, lambda a, b: mmd(a, b, cross=1.0), "factor 2 is missing"),
    (ch05.unbiased, lambda a, b: mmd(a, b, cross=-2.0), "to be subtracted"),
    (ch05.unbiased, lambda a, b: -mmd(a, b), "sign is turned"),
    (ch05.unbiased, lambda a, b: math.sqrt(abs(mmd(a, b))), "this is a root"),
    (ch05.unbiased, lambda a, b: max(0.0, mmd(a, b)), "don't cut it off"),
    (ch05.unbiased, lambda a, b: mmd(a, b, scale=False), "divided by the features' number"),
    (ch05.unbiased, lambda a, b: mmd(a, b, power=2), "third power"),
    (ch05.unbiased, lambda a, b: mmd(a, b, one=0.0), "has a 1 in it"),
    (ch05.unbiased, no_own_across, "different samples"),
    (ch05.unbiased, spoiling(mmd, 1), "changes what it is given"),
    (ch05.unbiased, lambda a, b: mmd(a, b) * 1.5, "unbiased value is"),
    (ch05.unbiased, lambda a, b: abs(mmd(a, b)), "no abs|cut it off"),
    (
        ch05.unbiased,
        lambda a, b: mmd(a, b, pairs=lambda n: len(a) * (len(a) - 1)),
        "differ in size",
    ),
    (ch05.unbiased, lambda a, b: mmd(a, b, cross=0.0), "across the two sets are missing"),
    (ch05.unbiased, lambda a, b: mmd(a, b, pairs=lambda n: (n - 1) ** 2), "not .n - 1.²"),
    (ch05.inception_score, no_softmax, "Softmax comes first"),
    (ch05.inception_score, no_softmax_but_clamped, "softmax comes first"),
    (ch05.inception_score, lambda x: score(x, end=lambda kl: kl.mean()), "this is the mean KL. "),
    (ch05.inception_score, lambda x: score(x, end=lambda kl: kl.mean() / math.log(2)), "in bits"),
    (
        ch05.inception_score,
        lambda x: score(x, end=lambda kl: (kl.mean() / math.log(2)).exp()),
        "to the base 2",
    ),
    (
        ch05.inception_score,
        lambda x: score(x, end=lambda kl: (kl.mean() / math.log(10)).exp()),
        "to the base 10",
    ),
    (ch05.inception_score, lambda x: score(x, end=lambda kl: 2 ** kl.mean()), "not 2 to the power"),
    (ch05.inception_score, lambda x: score(x, end=lambda kl: kl.exp().mean()), "you average exp"),
    (ch05.inception_score, lambda x: score(x, end=lambda kl: kl.sum().exp()), "add up the KLs"),
    (
        ch05.inception_score,
        lambda x: score(x, kl=lambda p, log_p: (p.mean(0) * (p.mean(0).log() - log_p)).sum(1)),
        "turned round",
    ),
    (ch05.inception_score, lambda x: score(x, end=lambda kl: (-kl.mean()).exp()), "sign is turned"),
    (
        ch05.inception_score,
        lambda x: score(x, kl=lambda p, log_p: (p * (log_p - p.mean(0).log())).mean(1)),
        "not a mean",
    ),
    (
        ch05.inception_score,
        lambda x: score(x, kl=lambda p, log_p: (p * (log_p + math.log(5))).sum(1)),
        "even classes",
    ),
    (
        ch05.inception_score,
        lambda x: score(x, softmax=lambda x: x.log_softmax(0)),
        "each row that sums to 1",
    ),
    (
        ch05.inception_score,
        lambda x: score(x, softmax=lambda x: x.sigmoid().log()),
        "exclude each other",
    ),
    (ch05.inception_score, with_log_of_0, "0 log 0 counts as 0"),
    (ch05.inception_score, lambda x: score(x) + 1, "score of these logits"),
    (ch05.inception_score, lambda x: score(x[:, :10]), "score of these logits"),
    (ch05.inception_score, spoiling(score, 0), "changes what it is given"),
    (
        ch05.inception_score,
        lambda x: torch.special.entr(x.softmax(1)).sum(1).mean().exp(),
        "entropy of single images",
    ),
    (
        ch05.inception_score,
        lambda x: score(x, kl=lambda p, log_p: (p * (log_p - log_p.mean(0))).sum(1)),
        "not of their logarithms",
    ),
    (
        ch05.inception_score,
        lambda x: score(x, kl=lambda p, log_p: (p * (log_p - p.mean(0).log())).sum(0)),
        "not the other way",
    ),
    (ch05.inception_score, lambda x: x.softmax(1), "the shape should be"),
    (ch05.inception_score, lambda x: score(x, end=lambda kl: -kl.mean()), "and exp is missing"),
    (
        ch05.inception_score,
        lambda x: score(x, kl=lambda p, log_p: torch.special.entr(p.mean(0)).sum()),
        "entropy of p",
    ),
    (ch05.inception_score, lambda x: score(x.clamp(-10, 10)), "sure and even, have the score 5"),
    (ch05.precision_recall, lambda *inputs: both(*inputs)[::-1], "swapped"),
    (ch05.precision_recall, itself, "the sample itself"),
    (ch05.precision_recall, lambda r, f, k: both(r, f, k + 1), r"neighbour k \+ 1"),
    (
        ch05.precision_recall,
        lambda *i: both(*i, count=lambda s: s.any(0).double().mean()),
        "balls that are hit",
    ),
    (
        ch05.precision_recall,
        lambda r, f, k: both(r, f, k, count=lambda s: s.sum(1).double().mean() / k),
        "in many",
    ),
    (
        ch05.precision_recall,
        lambda *inputs: both(*inputs, radius=lambda r: r.mean()),
        "one radius for all",
    ),
    (
        ch05.precision_recall,
        lambda *inputs: both(*inputs, radius=lambda r: r.max()),
        "one radius for all",
    ),
    (
        ch05.precision_recall,
        lambda *inputs: both(*inputs, count=lambda s: 1 - share(s)),
        "shares outside",
    ),
    (ch05.precision_recall, from_the_other_set, "in its own set"),
    (ch05.precision_recall, lambda r, f, k: both(r, f, 3), "neighbour 3, whatever k is"),
    (ch05.precision_recall, by_own_balls, "a ball of the other set"),
    (ch05.precision_recall, coverage_for_recall, "a ball of the other set"),
    (ch05.precision_recall, spoiling(both, 0), "changes what it is given"),
    (ch05.precision_recall, lambda r, f, k: (both(r, f, k)[0], 0.5), "recall is"),
    (ch05.precision_recall, lambda r, f, k: both(r, f, k)[0], "two numbers"),
    (ch05.precision_recall, without_the_edge, "<=, not <"),
    (
        ch05.precision_recall,
        lambda *i: both(*i, count=lambda s: s.all(1).double().mean()),
        "any, not",
    ),
    (ch05.precision_recall, lambda *i: [100 * x for x in both(*i)], "percentages"),
    (ch05.precision_recall, lambda *i: both(*i)[:1] * 2, "recall is the same as precision"),
    (ch05.precision_recall, lambda *i: (*both(*i), 1.0), "two numbers.*there are 3"),
    (ch05.precision_recall, lambda r, f, k: (math.nan, 1.0), "precision: the number is nan"),
    (ch05.review, verdict(first={"few", "unequal", "best"}), "who chose"),
    (ch05.review, verdict(first={"few"}), r"where does the 12.4 come from.*\(3 are still"),
    (ch05.review, verdict(first=SOLVED["first"] | {"copies"}), "not guilty of 'copies'"),
    (ch05.review, verdict(second={"features", "one number"}), "memoriser"),
    (ch05.review, verdict(second=SOLVED["second"] | {"best"}), "five trainings"),
    (ch05.review, verdict(second="copies"), r"write a set, as \{\"copies\"\}"),
    (ch05.review, verdict(second={"copy"}), "there is no fault 'copy'"),
    (ch05.review, verdict(first=4, second=3), "write a set of names, not int"),
    (ch05.review, verdict(first=[["few"]]), "there is no fault"),
    (ch05.review, {"first": SOLVED["first"]}, "a set of faults for each report"),
]


def test_the_published_distance_of_the_exercise_is_wrong_in_three_ways():
    steps = (
        (published, "3 faults are left"),
        (
            lambda a, b: distance(a, b, divisor=True, overlap=lambda x, y: np.trace(x @ y)),
            "2 faults are left",
        ),
        (lambda a, b: distance(a, b, overlap=lambda x, y: np.trace(x @ y)), "one fault is left"),
    )
    for answer, names in steps:
        with pytest.raises(Mistake, match=names):
            ch05.frechet(answer)


def test_every_fault_of_a_report_has_its_question_and_every_innocence_its_reason():
    for report, planted in ch05.REPORTS.items():
        for fault in ch05.FAULTS:
            says = (ch05._QUOTES if fault in planted else ch05._UNFAIR)[report, fault]
            with pytest.raises(Mistake, match=re.escape(says)):
                ch05.review(verdict(**{report: planted ^ {fault}}))
