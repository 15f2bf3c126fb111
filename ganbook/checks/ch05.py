"""Checks of chapter 5, measuring GANs."""

import itertools
import math

import numpy as np
import torch

from ganbook import metrics
from ganbook.checks import exercise, require


@exercise("5.1")
def shrunk(answer):
    """Draws features, shrinks and shifts them, and measures: never uses the formula."""
    rng = np.random.default_rng(0)
    for factor in (0.3, 0.75, 1.4, 1.0):
        mixing = rng.normal(size=(4, 4))
        h = rng.normal(size=(60, 4)) @ mixing
        shift = rng.normal(size=4)
        covariance = np.cov(h, rowvar=False)
        b = h.mean(0) + shift + factor * (h - h.mean(0))
        right = metrics.fid(h, b)
        found = _number(answer(factor, shift.copy(), covariance.copy()))
        trace, moved = np.trace(covariance), (shift**2).sum()
        at = f"for c = {factor}"
        if factor != 1:
            away = (1 - factor) ** 2
            _named(
                found,
                *[
                    (
                        moved + sign * (1 - factor**2) * trace,
                        f"{at}: c² is the factor of the variances."
                        " The distance compares their roots, which go with c.",
                    )
                    for sign in (1, -1)
                ],
                (
                    moved + (1 - factor**2) ** 2 * trace,
                    f"{at}: these are differences of variances, squared."
                    " The distance compares their roots.",
                ),
                (
                    moved
                    + trace
                    + factor**2 * trace
                    - 2 * factor**2 * np.trace(covariance @ covariance),
                    f"{at}: the square root of the product of the covariances is missing.",
                ),
                (math.sqrt(moved) + away * trace, f"{at}: the length of d is to be squared."),
                (moved + abs(1 - factor) * trace, f"{at}: (1 - c) is to be squared."),
                (moved + (1 - factor) * trace, f"{at}: (1 - c) is to be squared."),
                (away * trace, f"{at}: the shift d is missing."),
                (moved, f"{at}: what the shrinking costs is missing."),
                (
                    moved + away * covariance.sum(),
                    f"{at}: you add up all entries of C. The trace is the sum of the diagonal.",
                ),
                (
                    moved + away * np.linalg.det(covariance),
                    f"{at}: you have a determinant where the trace belongs.",
                ),
                (
                    math.sqrt(right),
                    f"{at}: this is the root of the distance."
                    " The course, as the field, leaves it off.",
                ),
            )
        require(
            _near(found, right),
            f"{at} the distance is {right:.4f}, measured; yours is {found:.4f}.",
        )


@exercise("5.2")
def frechet(answer):
    """Tries every combination of the faults of published code, and names those that are left."""
    rng = np.random.default_rng(1)
    for n, m in ((14, 9), (40, 25)):
        a, b = (
            np.abs(rng.normal(size=(n, 3))) @ np.abs(rng.normal(size=(3, 3))),
            1.5 * rng.random((m, 3)),
        )
        before = a.copy(), b.copy()
        found = _number(answer(a, b))
        require(
            np.array_equal(a, before[0]) and np.array_equal(b, before[1]),
            "your function changes the features it gets.",
        )
        faults = {
            "mean": ("", "the distance of the means is not squared", "the means do not enter"),
            "divisor": ("", "the covariances are divided by N; the course divides by N - 1"),
            "root": (
                "",
                "the square root of the product of the covariances is missing",
                "np.sqrt takes the root of each entry: a matrix S with S S = C is wanted",
            ),
            "two": ("", "the root counts twice: the factor 2 is missing"),
        }
        for choice in itertools.product(*(range(len(options)) for options in faults.values())):
            left = [options[k] for options, k in zip(faults.values(), choice, strict=True) if k]
            require(
                not left or not _near(found, _faulty(a, b, *choice)),
                f"{'one fault is' if len(left) == 1 else f'{len(left)} faults are'} left:"
                f" {'; '.join(left)}.",
            )
        right = metrics.fid(a, b)
        _named(
            found,
            (
                math.sqrt(right),
                "this is the root of the distance. What the field reports is its square.",
            ),
        )
        require(
            _near(found, right, 1e-4),
            f"metrics.fid says {right:.4f} of the same features, you say {found:.4f}.",
        )


def _faulty(a, b, mean, divisor, root, two):
    """The Frechet distance with faults; every argument 0 is without."""
    difference = ((a.mean(0) - b.mean(0)) ** 2).sum()
    difference = (difference, math.sqrt(difference), 0)[mean]
    cov_a, cov_b = (np.cov(x, rowvar=False, bias=bool(divisor)) for x in (a, b))
    product = cov_a @ cov_b
    if root == 0:
        overlap = np.sqrt(np.linalg.eigvals(product).real.clip(0)).sum()
    else:
        overlap = np.trace(product) if root == 1 else np.sqrt(np.diag(product).clip(0)).sum()
    return difference + np.trace(cov_a) + np.trace(cov_b) - (2, 1)[two] * overlap


@exercise("5.3")
def unbiased(answer):
    """Counts pair by pair, and recognises the sums that have pairs too many or too few."""
    rng = np.random.default_rng(2)
    for n, m, shift in ((9, 9, 0.5), (7, 12, 0.5), (8, 8, 0.0)):
        a, b = rng.normal(size=(n, 4)), (0.7 if shift else 1.0) * rng.normal(size=(m, 4)) + shift
        found = _number(answer(a.copy(), b.copy()))

        def distance(kernel, own=True, divide=None, cross=2.0, cross_own=True, *, a=a, b=b):
            """own: leave out a sample with itself. divide: by what the sums within are divided."""
            within = 0.0
            for z in (a, b):
                k, size = kernel(z, z), len(z)
                total = k.sum() - (np.trace(k) if own else 0)
                within += total / (divide or (lambda size: size * (size - 1)))(size)
            k = kernel(a, b)
            across = k.mean() if cross_own else (k.sum() - np.trace(k)) / (len(a) * (len(b) - 1))
            return within - cross * across

        def cubic(x, y):
            return (x @ y.T / x.shape[1] + 1) ** 3

        right = distance(cubic)
        squares = lambda size: size**2  # noqa: E731
        _named(
            found,
            (
                distance(cubic, False, squares),
                "the pairs of a sample with itself are still in."
                " They lift the mean, the more the fewer samples.",
            ),
            (
                distance(cubic, False),
                "you divide by n (n - 1), but the sum still has the diagonal in it."
                " Take its trace off.",
            ),
            (
                distance(cubic, True, squares),
                "without the diagonal there are n (n - 1) pairs, not n².",
            ),
            (
                distance(cubic, True, lambda size: size * (size - 1) / 2),
                "the matrix holds each pair twice,"
                " and there are n (n - 1) entries off its diagonal.",
            ),
            (
                distance(cubic, cross=1.0),
                "the mean across the two sets counts twice: the factor 2 is missing.",
            ),
            (distance(cubic, cross=-2.0), "the mean across the two sets is to be subtracted."),
            (-right, "the sign is turned: within minus across."),
            (
                math.sqrt(abs(right)),
                "this is a root. The kernel distance is the squared one, and may be negative.",
            ),
            (0.0, "an unbiased estimate of 0 is negative half of the time: don't cut it off."),
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
                        distance(cubic, cross_own=False),
                        "you took the diagonal out of the pairs across the sets as well. There it"
                        " holds pairs of"
                        " different samples, as good as any other: keep all n m of them.",
                    )
                ]
                if n == m
                else []
            ),
        )
        require(
            _near(found, right),
            f"for {n} and {m} samples the unbiased value is {right:.4f}; yours is {found:.4f}.",
        )


@exercise("5.4")
def inception_score(answer):
    """Gives logits, some of them so sure that a probability is 0 in the computer."""
    random_state = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(40, 5, generator=random_state, dtype=torch.float64)
    found = _number(
        answer(logits.clone()),
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
    _named(
        found,
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
        ((kl / 5).mean().exp().item(), "a KL is a sum over the classes, not a mean."),
        (
            (-(q * q.log()).sum()).exp().item(),
            "this is exp of the entropy of p(y): are single images sure or not?",
        ),
        (
            (p * (5 * p).log()).sum(1).mean().exp().item(),
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
    )
    require(_near(found, right), f"the score of these logits is {right:.4f}; yours is {found:.4f}.")
    sure = 1000.0 * torch.eye(5, dtype=torch.float64)[torch.arange(20) % 5]
    found = _number(
        answer(sure),
        "for an image that is sure the score is NaN: 0 log 0 counts as 0."
        " log_softmax has no log of 0, xlogy knows it.",
    )
    require(
        _near(found, 5.0, 1e-4),
        f"five classes, sure and even, have the score 5; yours is {found:.4f}.",
    )


@exercise("5.5")
def precision_recall(answer):
    """Draws two clouds that overlap in part; recognises balls of another size or owner.

    It does so for several k.
    """
    random_state = torch.Generator().manual_seed(5)
    for k, n, m in ((1, 60, 45), (3, 70, 90), (5, 140, 110)):
        real = torch.randn(n, 2, generator=random_state, dtype=torch.float64)
        fake = 0.6 * torch.randn(m, 2, generator=random_state, dtype=torch.float64) + torch.tensor(
            [1.8, 0.6]
        )
        try:
            precision, recall = (float(value) for value in answer(real.clone(), fake.clone(), k))
        except (TypeError, ValueError):
            require(False, "return the two numbers, as `return precision, recall`.")
        found = np.array([precision, recall])
        require(np.isfinite(found), f"both are shares; you return {precision} and {recall}.")
        right = _shares(real, fake, k)
        at = f"with k = {k}"
        _named(
            found,
            (
                right[::-1],
                f"{at}: precision and recall are swapped."
                " Precision asks of fakes, in the real balls.",
            ),
            (
                _shares(real, fake, k - 1),
                f"{at}: the nearest to a sample is the sample itself."
                " Your radius is that of neighbour k - 1.",
            ),
            (_shares(real, fake, k + 1), f"{at}: your radius is that of neighbour k + 1."),
            (
                _shares(real, fake, k, count=lambda inside: inside.any(0)),
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
        )
        for name, value, truth in zip(("precision", "recall"), found, right, strict=True):
            require(
                abs(value - truth) < 1e-9, f"{at}: {name} is {truth:.4f} here, not {value:.4f}."
            )


def _shares(real, fake, k, radius=lambda r: r, count=lambda inside: inside.any(1), across=None):
    """(precision, recall), or what comes of other radii and other ways of counting.

    k of 0: no reach at all.
    """
    found = []
    for points, anchors in ((fake, real), (real, fake)):
        if across:
            own = torch.cdist(anchors, points).sort(dim=1).values[:, k - 1] * across
        else:
            own = torch.cdist(anchors, anchors).sort(dim=1).values[:, k]
        inside = torch.cdist(points, anchors) <= radius(own)
        found.append(count(inside).double().mean().item())
    return np.array(found)


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
        named = set(named)
        unknown = sorted(map(str, named - set(FAULTS)))
        require(
            not unknown,
            f"there is no fault {unknown[0] if unknown else ''!r}. There are: {', '.join(FAULTS)}.",
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


def _number(value, nan="the result is not finite."):
    """The answer as a finite float, or a Mistake."""
    if isinstance(value, (complex, np.complexfloating)):
        require(
            abs(value.imag) < 1e-6 * (1 + abs(value)),
            f"the result is complex, {value:.3g}: a distance is a real number.",
        )
        value = value.real
    try:
        value = float(value)
    except (TypeError, ValueError, RuntimeError):
        require(
            False,
            f"return one number, not {type(value).__name__} of shape"
            f" {getattr(value, 'shape', ())}.",
        )
    require(math.isfinite(value), nan)
    return value


def _near(found, value, tolerance=1e-6) -> bool:
    return bool(
        np.isfinite(value).all() and np.allclose(found, value, rtol=tolerance, atol=tolerance)
    )


def _named(found, *mistakes) -> None:
    """Raise the message of the first known mistake that gives exactly what was found.

    Works for rows of numbers too.
    """
    for value, message in mistakes:
        require(not _near(found, value), message)
