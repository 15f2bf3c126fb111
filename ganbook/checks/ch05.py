"""Checks of chapter 5, measuring GANs."""

import itertools
import math
import random

import numpy as np
import torch

from ganbook import metrics
from ganbook.checks import (
    exercise,
    kind,
    near,
    number,
    on_copies,
    parts,
    recognise,
    recognise_number,
    require,
    tensor,
)


def _numpy():
    """A generator of numpy's that draws what the frame's seed says."""
    return np.random.default_rng(random.randrange(2**32))


def _left(found, right, faults, value, most, of=""):
    """Name the faults that explain what was found, the fewest that do, and at most so many.

    faults: {place: (what is right there, "", then messages)}. value: from a choice of one of each.
    """
    if near(found, right):
        return
    choices = itertools.product(*(range(len(options)) for options in faults.values()))
    choices = [choice for choice in choices if 0 < sum(k > 0 for k in choice) <= most]
    for choice in sorted(choices, key=lambda choice: sum(k > 0 for k in choice)):
        left = [options[k] for options, k in zip(faults.values(), choice, strict=True) if k]
        faulty = value(*choice)
        require(
            near(faulty, right) or not near(found, faulty, 1e-6, 1e-9),
            f"{of}{'one fault is' if len(left) == 1 else f'{len(left)} faults are'} left:"
            f" {'; '.join(left)}.",
        )


@exercise("5.1")
def shrunk(answer):
    """Draws features, shrinks and shifts them, and measures; names up to two faults at once."""
    rng = _numpy()
    faults = {
        "shift": (
            "",
            "the length of d is to be squared",
            "the shift d is missing",
            "you square the sum of d: sum up the squares",
            "you take the mean of d's squares: the distance has their sum",
            "you add up d's absolute values: the distance has their squares",
            "the shift is not shrunk: c does not belong to d",
            "the shift is not shrunk: c does not belong to d",
            "d's part has the wrong sign",
        ),
        "factor": (
            "",
            "c² is the factor of the variances. The distance compares their roots, which go with c",
            "c² is the factor of the variances. The distance compares their roots, which go with c",
            "these are differences of variances, squared. The distance compares their roots",
            "(1 - c) is to be squared",
            "(1 - c) is to be squared",
            "what the shrinking costs is missing",
            "the overlap, 2 (C c²C)^(1/2), is to be subtracted, not added",
            "the overlap, 2 (C c²C)^(1/2), is missing",
            "the overlap, (C c²C)^(1/2), counts twice: the factor 2 is missing",
            "c² C is the generator's covariance. The distance compares it with that of the data",
            "c is the factor already: no root of it",
            "the shrinking's part has the wrong sign",
        ),
        "size": (
            "",
            "you add up all entries of C. The trace is the sum of the diagonal",
            "you have a determinant where the trace belongs",
            "you take the mean of C's diagonal. The trace is its sum",
            "the trace of C is missing",
            "this is the trace of C C. Once is enough: the square is in (1 - c)² already",
            "you have a norm of C where its trace belongs",
        ),
    }
    for c in (0.3, 0.75, 1.4, 1.0):
        mixing = rng.normal(size=(4, 4))
        h = rng.normal(size=(60, 4)) @ mixing
        d = rng.normal(size=4)
        C = np.cov(h, rowvar=False)
        right = metrics.fid(h, h.mean(0) + d + c * (h - h.mean(0)))
        found = number(on_copies(answer, c, d, C))
        shifts = (
            *(d @ d, math.sqrt(d @ d), 0.0, d.sum() ** 2, (d**2).mean(), abs(d).sum()),
            *(c**2 * (d @ d), (1 - c) ** 2 * (d @ d), -(d @ d)),
        )
        away = (1 - c) ** 2
        shares = (
            *(away, 1 - c**2, c**2 - 1, (1 - c**2) ** 2, abs(1 - c), 1 - c, 0.0),
            *((1 + c) ** 2, 1 + c**2, 1 + c**2 - c, c**2, (1 - math.sqrt(c)) ** 2, -away),
        )
        trace = np.trace(C)
        sizes = (
            *(trace, C.sum(), np.linalg.det(C), trace / 4, 1.0, np.trace(C @ C)),
            np.linalg.norm(C),
        )
        at = f"for c = {c}"
        _left(
            found,
            right,
            faults,
            lambda i, j, k, w=(shifts, shares, sizes): w[0][i] + w[1][j] * w[2][k],
            2,
            f"{at}: ",
        )
        recognise_number(
            found,
            (
                d @ d + (1 + c**2) * trace - 2 * c**2 * np.trace(C @ C),
                f"{at}: the square root of the product of the covariances is missing.",
            ),
            (
                math.sqrt(right),
                f"{at}: this is the root of the distance. The course, as the field, leaves it off.",
            ),
            truth=right,
        )
        require(
            near(found, right), f"{at} the distance is {right:.4f}, measured; yours is {found:.4f}."
        )


@exercise("5.2")
def frechet(answer):
    """Tries every combination of the exercise's faults, and names those that are left."""
    rng = _numpy()
    faults = {
        "mean": (
            "",
            "the distance of the means is not squared",
            "the means do not enter",
            "you take the mean of the means' squared differences: the distance has their sum",
            "you square the sum of the means' differences: sum up the squares",
            "you add up the means' differences: the distance has their squares",
        ),
        "divisor": ("", "the covariances are divided by N; the course divides by N - 1"),
        "root": (
            "",
            "the square root of the product of the covariances is missing",
            "np.sqrt takes the root of each entry: a matrix S with S S = C is wanted",
            "the root of a product of matrices is not the product of their roots",
        ),
        "two": (
            "",
            "the root counts twice: the factor 2 is missing",
            "the overlap of the covariances, 2 (C C')^(1/2), is missing",
            "the overlap of the covariances is to be subtracted, not added",
        ),
        "trace": (
            "",
            "you add up all entries of the matrices. The trace is the sum of the diagonal",
            "you take the mean of the diagonal. The trace is its sum",
            "the second covariance is missing",
            "the part of the covariances has the wrong sign",
        ),
    }
    for n, m in ((14, 9), (40, 25)):
        while True:
            a = np.abs(rng.normal(size=(n, 3))) @ np.abs(rng.normal(size=(3, 3)))
            b = 1.5 * rng.random((m, 3))
            if (np.cov(a, rowvar=False) @ np.cov(b, rowvar=False) > 0).all():
                break  # the entries have roots, if the wrong ones
        before = a.copy(), b.copy()
        found = answer(a, b)
        if isinstance(found, (complex, np.complexfloating)):
            require(
                abs(found.imag) < 1e-6 * (1 + abs(found)),
                f"the result is complex, {found:.3g}: a distance is a real number.",
            )
            found = found.real
        found = number(found)
        require(
            np.array_equal(a, before[0]) and np.array_equal(b, before[1]),
            "your function changes the features it gets.",
        )
        right = metrics.fid(a, b)
        if not near(found, right):
            means, pieces = _pieces(a, b)

            def faulty(mean, divisor, root, two, trace, means=means, pieces=pieces):
                C, D, overlaps = pieces[divisor]
                S = (2, 1, 0, -2)[two] * overlaps[root]
                whole = C + D - S
                return (
                    means[mean]
                    + (
                        np.trace(whole),
                        whole.sum(),
                        np.trace(whole) / 3,
                        np.trace(C) - np.trace(S),
                        -np.trace(whole),
                    )[trace]
                )

            _left(found, right, faults, faulty, 3)
            recognise_number(
                found,
                (
                    math.sqrt(right),
                    "this is the root of the distance. What the field reports is its square.",
                ),
                (
                    means[0] + np.linalg.norm(pieces[0][0] - pieces[0][1]) ** 2,
                    "this compares the covariances entry by entry. The formula has a trace.",
                ),
                (0.0, "the distance of two different sets is not 0. Is b used?"),
                truth=right,
            )
            require(
                False,
                f"metrics.fid says {right:.4f} of the same features, you say {found:.4f}.",
            )


def _pieces(a, b):
    """The parts of the Frechet distance, right (first) and with faults."""
    gap = a.mean(0) - b.mean(0)
    means = gap @ gap, math.sqrt(gap @ gap), 0.0, (gap**2).mean(), gap.sum() ** 2, abs(gap).sum()
    pieces = []
    for bias in (False, True):
        C, D = (np.cov(x, rowvar=False, bias=bias) for x in (a, b))
        values, vectors = np.linalg.eig(C @ D)
        root = (vectors * np.sqrt(values.real.clip(0))) @ np.linalg.inv(vectors)
        entries = np.sqrt((C @ D).clip(0))
        pieces.append(
            (C, D, (root.real, C @ D, entries, metrics.root(C) @ metrics.root(D))),
        )
    return means, pieces


@exercise("5.3")
def unbiased(answer):
    """Counts pair by pair, and recognises the sums that have pairs too many or too few."""
    rng = _numpy()
    for n, m, shift in ((9, 9, 0.5), (7, 12, 0.5), (8, 8, 0.0)):
        while True:
            a = rng.normal(size=(n, 4))
            b = (0.7 if shift else 1.0) * rng.normal(size=(m, 4)) + shift
            # The last alone is below 0, which some cut off.
            if (1 if shift else -1) * _pairs(_cubic, a, b) > 0.05:
                break
        found = number(on_copies(answer, a, b))

        def distance(kernel, *settings, a=a, b=b, **more):
            return _pairs(kernel, a, b, *settings, **more)

        right = distance(_cubic)
        squares = lambda size: size**2  # noqa: E731
        recognise_number(
            found,
            (
                distance(_cubic, False, squares),
                "the pairs of a sample with itself are still in."
                " They lift the mean, most where samples are few.",
            ),
            (
                distance(_cubic, False),
                "you divide by n (n - 1), but the sum still has the diagonal in it."
                " Take its trace off.",
            ),
            (
                distance(_cubic, True, squares),
                "without the diagonal there are n (n - 1) pairs, not n².",
            ),
            (
                distance(_cubic, True, lambda size: size * (size - 1) / 2),
                "the matrix holds each pair twice,"
                " and there are n (n - 1) entries off its diagonal.",
            ),
            (
                distance(_cubic, cross=1.0),
                "the mean across the two sets counts twice: the factor 2 is missing.",
            ),
            (distance(_cubic, cross=-2.0), "the mean across the two sets is to be subtracted."),
            (abs(right), "an unbiased estimate of 0 is often negative: no abs."),
            (-right, "the sign is turned: within minus across."),
            (
                math.sqrt(abs(right)),
                "this is a root. The kernel distance is the squared one, and may be negative.",
            ),
            (0.0, "an unbiased estimate of 0 is often negative: don't cut it off."),
            (
                distance(_cubic, cross=0.0),
                "the pairs across the two sets are missing: subtract twice their mean.",
            ),
            (
                distance(_cubic, cross=2.0 * n * m),
                "across the two sets there are n m pairs: divide by their number.",
            ),
            (
                distance(_cubic, True, lambda size, n=n: n * (n - 1)),
                "each set has pairs of its own number: the sets may differ in size.",
            ),
            (
                distance(_cubic, True, lambda size: (size - 1) ** 2),
                "without the diagonal there are n (n - 1) pairs, not (n - 1)².",
            ),
            (right / 2, "this is half of it."),
            (
                distance(lambda x, y: (x @ y.T + 1) ** 3),
                "in the kernel the product is divided by the features' number.",
            ),
            (
                distance(lambda x, y: (x @ y.T / x.shape[1] + 1) ** 2),
                "the kernel is to the third power.",
            ),
            (
                distance(lambda x, y: (x @ y.T / x.shape[1]) ** 3),
                "the kernel has a 1 in it: (x·y / F + 1)³.",
            ),
            *(
                [
                    (
                        distance(_cubic, cross_own=False),
                        "you took the diagonal out of the pairs across the sets as well. There it"
                        " holds pairs of"
                        " different samples, as good as any other: keep all n m of them.",
                    )
                ]
                if n == m
                else []
            ),
            truth=right,
        )
        require(
            near(found, right),
            f"for {n} and {m} samples the unbiased value is {right:.4f}; yours is {found:.4f}.",
        )


def _cubic(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def _pairs(kernel, a, b, own=True, divide=None, cross=2.0, cross_own=True):
    """own: leave out a sample with itself. divide: by what the sums within are divided."""
    within = 0.0
    for z in (a, b):
        k, size = kernel(z, z), len(z)
        total = k.sum() - (np.trace(k) if own else 0)
        within += total / (divide or (lambda size: size * (size - 1)))(size)
    k = kernel(a, b)
    across = k.mean() if cross_own else (k.sum() - np.trace(k)) / (len(a) * (len(b) - 1))
    return within - cross * across


@exercise("5.4")
def inception_score(answer):
    """Gives logits, some of them so sure that a probability is 0 in the computer."""
    for n, classes in ((40, 5), (23, 12)):
        _score(answer, 2 * torch.randn(n, classes, dtype=torch.float64))
    found = _finite(
        on_copies(answer, 1000.0 * torch.eye(5)[torch.arange(20) % 5]),
        "for an image that is sure the score is NaN: 0 log 0 counts as 0."
        " log_softmax has no log of 0, xlogy knows it.",
    )
    require(
        near(found, 5.0), f"five classes, sure and even, have the score 5; yours is {found:.4f}."
    )


def _finite(value, nan):
    found = tensor(value, ()).item()
    require(not math.isnan(found), nan)
    return number(found)


def _score(answer, logits):
    classes = logits.shape[1]
    found = _finite(
        on_copies(answer, logits.float()),
        "the score is NaN: are you taking the log of logits, which may be negative?"
        " Softmax comes first.",
    )
    p = logits.softmax(1)
    q = p.mean(0)
    kl = (p * (p / q).log()).sum(1)
    right = kl.mean().exp().item()
    as_they_are = (logits.clamp(min=1e-12) * logits.clamp(min=1e-12).log()).sum(1)
    wrong_axis = logits.softmax(0)
    sigmoid = logits.sigmoid()
    entropies = torch.special.entr(p).sum(1)
    recognise_number(
        found,
        (
            entropies.mean().exp().item(),
            "this is exp of the entropy of single images: are the classes even or not?",
        ),
        (
            (-entropies).mean().exp().item(),
            "this is exp of sum p log p. The classes' share p(y) is missing.",
        ),
        (
            (p * (p.log() - p.log().mean(0))).sum(1).mean().exp().item(),
            "p(y) is the mean of the probabilities, not of their logarithms.",
        ),
        (
            (p * (p / q).log()).sum(0).mean().exp().item(),
            "the sum runs over the classes, and the mean over the samples: not the other way.",
        ),
        (kl.mean().item(), "this is the mean KL. The score is exp of it."),
        (
            kl.mean().item() / math.log(2),
            "this is the mean KL in bits. The score is exp of it, in nats.",
        ),
        (
            math.exp(kl.mean().item() / math.log(2)),
            "exp goes with natural logarithms; yours are to the base 2.",
        ),
        (
            math.exp(kl.mean().item() / math.log(10)),
            "exp goes with natural logarithms; yours are to the base 10.",
        ),
        (2 ** kl.mean().item(), "exp, not 2 to the power: the logarithms are natural."),
        (kl.exp().mean().item(), "you average exp(KL). The mean comes first, then exp."),
        (kl.sum().exp().item(), "you add up the KLs of all samples. The score takes their mean."),
        (
            (q * (q / p).log()).sum(1).mean().exp().item(),
            "the KL is turned round: p(y | x) stands first.",
        ),
        (-kl.mean().item(), "the sign is turned, and exp is missing."),
        ((-kl.mean()).exp().item(), "the sign is turned: a KL divergence is never negative."),
        ((kl / classes).mean().exp().item(), "a KL is a sum over the classes, not a mean."),
        (
            (-(q * q.log()).sum()).exp().item(),
            "this is exp of the entropy of p(y): are single images sure or not?",
        ),
        (
            (p * (classes * p).log()).sum(1).mean().exp().item(),
            "you compare with even classes. p(y) is the mean of the p(y | x).",
        ),
        (
            as_they_are.mean().exp().item(),
            "you use logits as if they were probabilities: softmax comes first.",
        ),
        (
            (wrong_axis * (wrong_axis / wrong_axis.mean(0)).log()).sum(1).mean().exp().item(),
            "your softmax goes over the samples. It is each row that sums to 1.",
        ),
        (
            (sigmoid * (sigmoid / sigmoid.mean(0)).log()).sum(1).mean().exp().item(),
            "a sigmoid makes each class a question of its own."
            " The classes exclude each other: softmax.",
        ),
        truth=right,
    )
    require(near(found, right), f"the score of these logits is {right:.4f}; yours is {found:.4f}.")


@exercise("5.5")
def precision_recall(answer):
    """Draws two clouds that overlap in part; recognises balls of another size or owner.

    It does so for several k.
    """
    for k, n, m, features in ((3, 70, 90, 3), (1, 60, 45, 2), (5, 140, 110, 2), (2, 24, 20, 0)):
        real, fake = _clouds(n, m, features, k) if features else _on_a_line(n, m, k)
        precision, recall = parts(
            on_copies(answer, real, fake, k),
            2,
            "return the two numbers, as `return precision, recall`",
        )
        found = [number(precision, "precision"), number(recall, "recall")]
        found = torch.tensor(found, dtype=torch.float64)
        right = _shares(real, fake, k)
        hit = _shares(real, fake, k, count=lambda inside: inside.any(0))
        at = f"with k = {k}"
        recognise(
            found,
            (
                _shares(real, fake, k, edge=torch.lt),
                f"{at}: a point on the edge of a ball lies in it: <=, not <.",
            ),
            (
                right.flip(0),
                f"{at}: precision and recall are swapped."
                " Precision asks of fakes, in the real balls.",
            ),
            (
                _shares(real, fake, k - 1),
                f"{at}: the nearest to a sample is the sample itself."
                " Your radius is that of neighbour k - 1.",
            ),
            (_shares(real, fake, 3), f"{at}: your radius is that of neighbour 3, whatever k is."),
            (_shares(real, fake, k + 1), f"{at}: your radius is that of neighbour k + 1."),
            *[
                (
                    own,
                    f"{at}: you take the ball of the sample that you count."
                    " It must lie in a ball of the other set.",
                )
                for own in (hit.flip(0), torch.stack([right[0], hit[0]]))
            ],
            (
                hit,
                f"{at}: you count the balls that are hit."
                " Precision and recall count the samples that lie in one.",
            ),
            (
                _shares(real, fake, k, count=lambda inside, k=k: inside.sum(1) / k),
                f"{at}: you count the balls a sample lies in. In one or in many, it counts once.",
            ),
            (
                _shares(real, fake, k, radius=lambda r: r.mean()),
                f"{at}: you use one radius for all. Each ball has its own.",
            ),
            (
                _shares(real, fake, k, radius=lambda r: r.max()),
                f"{at}: you use one radius for all. Each ball has its own.",
            ),
            (
                _shares(real, fake, k, count=lambda inside: ~inside.any(1)),
                f"{at}: these are the shares outside.",
            ),
            (
                _shares(real, fake, k, count=lambda inside: inside.all(1)),
                f"{at}: one ball is enough: any, not all.",
            ),
            (
                _shares(real, fake, k, power=1.0),
                f"{at}: these are city-block distances, cdist's p = 1. Take the ordinary ones.",
            ),
            (100 * right, f"{at}: these are percentages: shares are asked for, from 0 to 1."),
            (
                right * torch.tensor([len(fake), len(real)]),
                f"{at}: these are numbers of samples. Divide by how many there are.",
            ),
            (
                right[:1].expand(2),
                f"{at}: recall is the same as precision. It asks of real samples, in fake balls.",
            ),
            (
                right[1:].expand(2),
                f"{at}: precision is the same as recall. It asks of fakes, in real balls.",
            ),
            *[
                (
                    _shares(real, fake, k, across=edge),
                    f"{at}: a ball's radius is the distance to a neighbour in its own set,"
                    " not in the other.",
                )
                for edge in (
                    1 + 1e-9,
                    1 - 1e-9,
                )  # whether rounding leaves the neighbour itself inside
            ],
            truth=right,
        )
        for name, value, truth in zip(("precision", "recall"), found, right, strict=True):
            require(near(value, truth), f"{at}: {name} is {truth:.4f} here, not {value:.4f}.")


def _shares(
    real,
    fake,
    k,
    radius=lambda r: r,
    count=lambda inside: inside.any(1),
    across=None,
    edge=torch.le,
    power=2.0,
):
    """(precision, recall), or what comes of other radii and other ways of counting.

    k of 0: no reach at all.
    """
    found = []
    for points, anchors in ((fake, real), (real, fake)):
        if across:
            own = _distances(anchors, points, power).sort(dim=1).values[:, k - 1] * across
        else:
            own = _distances(anchors, anchors, power).sort(dim=1).values[:, k]
        inside = edge(_distances(points, anchors, power), radius(own))
        found.append(count(inside).double().mean().item())
    return torch.tensor(found, dtype=torch.float64)


def _clouds(n, m, features, k):
    """Two clouds in which no point is so near an edge that rounding to float32 would matter."""
    while True:
        real = torch.randn(n, features, dtype=torch.float64)
        fake = 0.6 * torch.randn(m, features, dtype=torch.float64)
        fake += torch.tensor([1.8, 0.6, 0.4])[:features]
        radii = _distances(real, real).sort(dim=1).values[:, k]
        other_radii = _distances(fake, fake).sort(dim=1).values[:, k]
        across = _distances(fake, real)
        if min((across - radii).abs().min(), (across.T - other_radii).abs().min()) > 2e-5:
            return real, fake


def _on_a_line(n, m, k):
    """Whole numbers: points on the edge of a ball, without any rounding."""
    while True:
        real, fake = (12 * torch.randn(n + m, 1, dtype=torch.float64)).round().split([n, m])
        if (_shares(real, fake, k) - _shares(real, fake, k, edge=torch.lt)).abs().min() > 0:
            return real, fake


def _distances(x, y, power=2.0):
    return torch.cdist(x, y, power, compute_mode="donot_use_mm_for_euclid_dist")


FAULTS = {
    "few": "n is below the number of features",
    "unequal": "values of different n, or of different code, are compared",
    "best": "the best of several runs is reported, without the spread",
    "picked": "the samples shown were chosen",
    "features": "the feature network is not named",
    "one number": "quality and variety are not told apart",
    "copies": "nothing is held against held-out data, so copies would not show",
}
REPORTS = {
    "first": {"few", "unequal", "best", "picked"},
    "second": {"features", "one number", "copies"},
}
_QUOTES = {
    ("first", "few"): "how many samples, in how many dimensions? What rank has their covariance?",
    ("first", "unequal"): "where does the 12.4 come from, and from how many samples?",
    ("first", "best"): "nine runs were done besides. What would they have said?",
    ("first", "picked"): "who chose the sixteen samples?",
    ("second", "features"): "64 features of what?",
    (
        "second",
        "one number",
    ): "two models may have the same FID, one blurred and one with a class missing.",
    ("second", "copies"): "a memoriser has an even lower FID, and a precision of 1.",
}
_UNFAIR = {
    ("first", "features"): "it names Inception-v3 and its 2,048 features.",
    ("first", "one number"): "it gives precision and recall beside the FID.",
    ("first", "copies"): "it compares nearest neighbours among training and among held-out images.",
    ("second", "few"): "10,000 samples in 64 dimensions are plenty.",
    ("second", "unequal"): "both models were measured by the same code with the same n.",
    ("second", "best"): "it gives mean and spread of five trainings.",
    ("second", "picked"): "its samples are the first 64, none left out.",
}


@exercise("5.6", value=True)
def review(answer):
    """Asks for the planted faults of each report, all of them and no others."""
    require(
        isinstance(answer, dict) and set(answer) == set(REPORTS),
        "write a dictionary with a set of faults for each report,"
        ' {"first": {...}, "second": {...}}.',
    )
    for report, planted in REPORTS.items():
        named = answer[report]
        require(not isinstance(named, str), f'the {report} report: write a set, as {{"{named}"}}.')
        require(
            isinstance(named, (set, frozenset, list, tuple, dict, np.ndarray)),
            f"the {report} report: write a set of names, not {kind(named)}.",
        )
        named = named.ravel() if isinstance(named, np.ndarray) else named
        named = {str(name).strip().lower() for name in named}
        unknown = sorted(named - set(FAULTS))
        require(
            not unknown,
            f"there is no fault {unknown[0][:40] if unknown else ''!r}."
            f" There are: {', '.join(FAULTS)}.",
        )
        for fault in FAULTS:
            if fault in named - planted:
                require(
                    False,
                    f"the {report} report is not guilty of {fault!r}: {_UNFAIR[report, fault]}",
                )
        missed = [fault for fault in FAULTS if fault in planted - named]
        if missed:
            others = f" ({len(missed)} are still to be found.)" if len(missed) > 1 else ""
            require(
                False,
                f"the {report} report has another fault: {_QUOTES[report, missed[0]]}{others}",
            )
