"""Checks of chapter 9: right answers pass, and each wrong answer is named for what it is."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats
import torch
from spoilt import spoiling
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    conv2d,
    conv_transpose2d,
    pad,
    softplus,
)

from ganbook.checks import ch09

# ---- 9.1

FLOORS = {
    "nonsaturating": math.log(1 + math.exp(-1)) + math.log(2),
    "least_squares": 0.0,
    "hinge": 1.0,
    "wasserstein": -1.0,
    "relativistic": math.log(1 + math.exp(-1)),
}

# ---- 9.2


def codes(p, q, a, b, c, best=None, goal=None):
    D = (b * p + a * q) / (p + q) if best is None else best(p, q, a, b)
    right = (b * p + a * q) / (p + q)
    return D, ((p + q) * (right - c) ** 2).sum() / 2 if goal is None else goal(p, q, right, c)


def what_d_pays(p, q, a, b, c):
    D = (b * p + a * q) / (p + q)
    return D, (p * (D - b) ** 2 + q * (D - a) ** 2).sum() / 2


def by_the_numerator(p, q, a, b, c):
    return (b * p + a * q) / (p + q), (
        (((b - c) * p + (a - c) * q) ** 2) / (p + q)
    ).sum().item() / 2


# ---- 9.3


def pair(real, fake, d=None, g=None):
    return (
        softplus(fake - real).mean() if d is None else d(real, fake),
        softplus(real - fake).mean() if g is None else g(real, fake),
    )


def by_cross_entropy(real, fake):
    ones = torch.ones_like(real)
    return binary_cross_entropy_with_logits(real - fake, ones), binary_cross_entropy_with_logits(
        fake - real, ones
    )


def published(real, fake):
    d_loss = softplus(fake.mean() - real.mean())
    g_loss = binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    return d_loss, g_loss


def average(real, fake):
    return (softplus(fake.mean() - real) + softplus(fake - real.mean())).mean() / 2


# ---- 9.4


def norm(kernel, size, stride, padding, turns=300, end=lambda y: y.norm(), back=None):
    lost = (size + 2 * padding - kernel.shape[-1]) % stride
    x = torch.randn(1, kernel.shape[1], size, size, dtype=kernel.dtype)
    for _ in range(turns):
        x = x / x.norm()
        y = conv2d(x, kernel, stride=stride, padding=padding)
        edge = padding if back is None else back
        x = conv_transpose2d(y, kernel, stride=stride, padding=edge, output_padding=lost)
    return end(y)


def by_gradients(kernel, size, stride, padding, mode="constant"):
    x = torch.randn(1, kernel.shape[1], size, size, dtype=kernel.dtype)
    for _ in range(300):
        x = (x / x.norm()).requires_grad_()
        y = conv2d(pad(x, 4 * [padding], mode) if padding else x, kernel, stride=stride)
        (x,) = torch.autograd.grad((y**2).sum() / 2, x)
    return y.norm().item()


def without_output_padding(kernel, size, stride, padding):
    x = torch.randn(1, kernel.shape[1], size, size, dtype=kernel.dtype)
    for _ in range(300):
        y = conv2d(x / x.norm(), kernel, stride=stride, padding=padding)
        x = conv_transpose2d(y, kernel, stride=stride, padding=padding)
    return y.norm()


def bound(kernel, size, stride, padding):
    return math.ceil(kernel.shape[-1] / stride) * torch.linalg.svdvals(kernel.flatten(1))[0]


# ---- 9.5

ARRIVE = {"a": False, "b": True, "c": False, "d": False, "e": True, "f": False}

# ---- 9.6


def share(
    a, b, as_far=lambda gap, own: abs(gap) >= abs(own) - 1e-12, end=lambda found: np.mean(found)
):
    values, found = np.concatenate([a, b]), []
    for rows in itertools.combinations(range(len(values)), len(a)):
        chosen = np.isin(np.arange(len(values)), rows)
        found.append(as_far(values[chosen].mean() - values[~chosen].mean(), a.mean() - b.mean()))
    return end(np.array(found))


def by_scipy(a, b):
    def gap(x, y, axis):
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    # scipy doubles the smaller tail, so the length of the difference is tested, on one side
    return scipy.stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.abs(gap(x, y, axis)),
        vectorized=True,
        n_resamples=np.inf,
        alternative="greater",
    ).pvalue


def by_flips(a, b):
    if len(a) != len(b):
        return share(a, b)
    signs = np.array(list(itertools.product((1, -1), repeat=len(a))))
    return (np.abs(signs @ (a - b)) >= abs((a - b).sum()) - 1e-12).mean()


def by_the_normal_curve(a, b):
    centred = np.concatenate([a - a.mean(), b - b.mean()])
    t = abs(a.mean() - b.mean()) / (centred.std() * math.sqrt(1 / len(a) + 1 / len(b)))
    return 2 * (1 - NormalDist().cdf(t))


def at_random(a, b):
    rng, values = np.random.default_rng(0), np.concatenate([a, b])
    deals = [rng.permutation(values) for _ in range(997)]
    gaps = np.array([d[: len(a)].mean() - d[len(a) :].mean() for d in deals])
    return (1 + (np.abs(gaps) >= abs(a.mean() - b.mean()) - 1e-12).sum()) / 998


def by_ranks(a, b):
    ranks = scipy.stats.rankdata(np.concatenate([a, b]))
    return share(ranks[: len(a)], ranks[len(a) :])


def the_smaller_side_twice(a, b):
    sides = (
        share(a, b, lambda gap, own: gap >= own - 1e-12),
        share(a, b, lambda gap, own: gap <= own + 1e-12),
    )
    return min(1, 2 * min(sides))


def in_float32(p, q, a, b, c):
    return codes(p.float(), q.float(), a, b, c)


def by_the_matrix(kernel, size, stride, padding):
    units = torch.eye(kernel.shape[1] * size**2).view(-1, kernel.shape[1], size, size)
    rows = conv2d(units.double(), kernel.double(), stride=stride, padding=padding).flatten(1)
    return np.linalg.svd(rows.numpy(), compute_uv=False)[0]


def in_this_precision(kernel, size, stride, padding):
    x = torch.randn(1, kernel.shape[1], size, size)
    for _ in range(300):
        y = conv2d(x / x.norm(), kernel, stride=stride, padding=padding)
        x = conv_transpose2d(y, kernel, stride=stride, padding=padding)
    return y.norm()


ANSWERS = {
    ch09.floors: [
        FLOORS,
        {name: round(value, 2) for name, value in FLOORS.items()},
        {name: torch.tensor(value) for name, value in FLOORS.items()},
        {name: torch.tensor(value, requires_grad=True) for name, value in FLOORS.items()},
    ],
    ch09.least_squares_codes: [
        codes,
        by_the_numerator,
        in_float32,
        lambda *x: [codes(*x)[0].tolist(), codes(*x)[1].item()],
    ],
    ch09.relativistic_losses: [
        pair,
        by_cross_entropy,
        lambda r, f: [x.item() for x in pair(r, f)],
        lambda r, f: torch.stack(pair(r, f)),
    ],
    ch09.conv_norm: [norm, by_gradients, without_output_padding, by_the_matrix, in_this_precision],
    ch09.arrives: [
        ARRIVE,
        {name: torch.tensor(value) for name, value in ARRIVE.items()},
        {name: np.bool_(value) for name, value in ARRIVE.items()},
    ],
    ch09.p_value: [share, by_scipy, lambda a, b: np.float32(share(a, b)), lambda a, b: share(b, a)],
}
RIGHT = [(check, answer) for check, answers in ANSWERS.items() for answer in answers]

WRONG = [
    (ch09.least_squares_codes, spoiling(codes, 0), "changes what it is given"),
    (ch09.relativistic_losses, spoiling(pair, 0), "changes what it is given"),
    (ch09.conv_norm, spoiling(norm, 0), "changes what it is given"),
    (ch09.p_value, spoiling(share, 0), "changes what it is given"),
    (ch09.floors, FLOORS | {"nonsaturating": 0}, "nonsaturating: 0 needs a real logit"),
    (ch09.floors, FLOORS | {"nonsaturating": math.log(4)}, "coin toss"),
    (ch09.floors, FLOORS | {"nonsaturating": math.log(1 + math.exp(-1))}, "fakes cost as well"),
    (ch09.floors, FLOORS | {"least_squares": 0.25}, "targets are 1 and 0"),
    (ch09.floors, FLOORS | {"hinge": 0}, "fake logit of -1"),
    (ch09.floors, FLOORS | {"wasserstein": -math.inf}, "without a sigmoid"),
    (ch09.floors, FLOORS | {"wasserstein": 1}, "the sign"),
    (ch09.floors, FLOORS | {"relativistic": 0}, "relativistic: 0 needs a difference"),
    (ch09.floors, FLOORS | {"relativistic": math.log(1 + math.e)}, "the sign"),
    (ch09.floors, FLOORS | {"hinge": 0.7}, "hinge: put r = 1"),
    (ch09.floors, FLOORS | {"hinge": "one"}, "hinge: one number should come back, not str"),
    (ch09.floors, FLOORS | {"hinge": True}, "hinge: one number should come back, not bool"),
    (ch09.floors, [1, 2, 3, 4, 5], "dictionary"),
    (ch09.floors, FLOORS | {"nonsaturating": 2 * math.log(1 + math.exp(-1))}, "that has f = -1"),
    (ch09.floors, FLOORS | {"nonsaturating": math.log(2)}, "real samples cost as well"),
    (ch09.floors, FLOORS | {"least_squares": 0.5}, "one of the two targets"),
    (ch09.floors, FLOORS | {"hinge": 2}, "2 is r = f = 0"),
    (ch09.floors, FLOORS | {"wasserstein": 0}, "0 is r = f"),
    (ch09.floors, FLOORS | {"wasserstein": -2}, "that has f = -1"),
    (ch09.floors, FLOORS | {"relativistic": math.log(2)}, "log 2 is r = f"),
    (ch09.floors, FLOORS | {"relativistic": math.log(1 + math.exp(-2))}, "that has f = -1"),
    (ch09.floors, FLOORS | {"hinge": math.nan}, "the number is nan"),
    (ch09.floors, FLOORS | {"hinge": math.inf}, "hinge: put r = 1"),
    (ch09.least_squares_codes, lambda p, q, a, b, c: codes(p, q, b, a, c), "swapped"),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: b * p + a * q),
        "divide by it",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: p / (p + q)),
        "codes 0 and 1",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: (b * p - a * q) / (p + q)),
        "a sign",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: 0 * p + (a + b) / 2),
        "D of p = q",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: (b * p + a * q) / 2),
        "not 2 in a cell",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: p * b**2),
        "still has a slope",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: p[:2]),
        "a value for each cell",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: ((p + q) * (D - c) ** 2).sum()),
        "halves are missing",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: (q * (D - c) ** 2).sum() / 2),
        "real samples' part",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: ((D - c) ** 2).sum() / 2),
        "weights each cell",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: ((p + q) * (D - c) ** 2).mean() / 2),
        "not a mean",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: ((p - q) ** 2 / (p + q)).sum()),
        "Pearson",
    ),
    (ch09.least_squares_codes, lambda p, q, a, b, c: codes(p, q, a, b, c)[1], "two things"),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: (p * (D - c) ** 2).sum() / 2),
        "fakes' part",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: ((p - q) ** 2 / (p + q)).sum() / 2),
        "codes -1, 1, 0",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: b * p / (p + q)),
        "fakes' target is missing",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, best=lambda p, q, a, b: (b * p + a * q) / (a + b)),
        "divide by that",
    ),
    (
        ch09.least_squares_codes,
        lambda *x: codes(*x, goal=lambda p, q, D, c: ((p + q) * (D - c)).sum() / 2),
        "square is missing",
    ),
    (ch09.least_squares_codes, what_d_pays, "what D pays"),
    (ch09.least_squares_codes, lambda *x: codes(*x, goal=lambda p, q, D, c: c), "the goal is"),
    (ch09.relativistic_losses, published, "inside the softplus"),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(
            r, f, g=lambda r, f: binary_cross_entropy_with_logits(f, torch.ones_like(f))
        ),
        "G's loss: this is the non-saturating",
    ),
    (ch09.relativistic_losses, lambda r, f: pair(f, r), "swapped"),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, g=lambda r, f: softplus(r.mean() - f.mean())),
        "G's loss: the mean stands inside",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: softplus(r - f).mean()),
        "D's loss: the sign",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: softplus(f - r).sum()),
        "not a sum",
    ),
    (ch09.relativistic_losses, lambda r, f: pair(r, f, d=average), "average"),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: softplus(f - r)),
        "one number a pair",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: (f - r).mean()),
        "softplus is missing",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: (pair(r, f.detach())[0], pair(r, f)[1]),
        "D learns nothing from some",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: (pair(r.detach(), f)[0], pair(r, f)[1]),
        "D learns nothing from some",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: (pair(r, f)[0], pair(r, f.detach())[1]),
        "G learns nothing from some",
    ),
    (ch09.relativistic_losses, lambda r, f: pair(r, f)[0], "two numbers"),
    (ch09.relativistic_losses, lambda r, f: (*pair(r, f), 0), "two numbers.*there are 3"),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: softplus(f[:, None] - r).mean()),
        "every fake with every real",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: -softplus(f - r).mean()),
        "sign in front",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: (f - r).sigmoid().mean()),
        "this is a sigmoid",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: softplus(f - r).sum() / 12),
        "D's loss is",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, g=lambda r, f: softplus(f - r).mean()),
        "G's loss: the sign",
    ),
    (
        ch09.relativistic_losses,
        lambda r, f: pair(r, f, d=lambda r, f: 2 * average(r, f)),
        "average",
    ),
    (ch09.relativistic_losses, lambda r, f: (pair(r, f)[0] + 1, pair(r, f)[1]), "D's loss is"),
    (ch09.relativistic_losses, lambda r, f: (pair(r, f)[0], pair(r, f)[1] + 1), "G's loss is"),
    (
        ch09.conv_norm,
        lambda kernel, *_: torch.linalg.svdvals(kernel.flatten(1))[0],
        "flattened kernel",
    ),
    (ch09.conv_norm, lambda kernel, *_: kernel.norm(), "sum of squares of the kernel"),
    (ch09.conv_norm, bound, "bound from above"),
    (ch09.conv_norm, lambda *x: norm(*x, end=lambda y: y.norm() ** 2), "the square"),
    (ch09.conv_norm, lambda *x: norm(*x, end=lambda y: (y / y.norm()).norm()), "normalised vector"),
    (
        ch09.conv_norm,
        lambda k, size, stride, padding: norm(k, size, stride, 0),
        "padding is missing",
    ),
    (
        ch09.conv_norm,
        lambda *x: norm(*x, turns=40, back=0),
        "Do the maps grow",
    ),
    (ch09.conv_norm, lambda *x: 0.9 * norm(*x), "more turns"),
    (ch09.conv_norm, lambda *x: norm(*x) * (1 if x[3] else 0.996), "padding 0.* more turns"),
    (ch09.conv_norm, lambda k, *x: norm(k.abs(), *x), "largest singular value is"),
    (ch09.conv_norm, lambda *x: 3 * norm(*x), "largest singular value is"),
    (
        ch09.conv_norm,
        lambda k, size, stride, padding: norm(k, size, 1, padding),
        "4 x 4, stride 2, padding 1, maps of 8 x 8: the stride is missing",
    ),
    (ch09.conv_norm, lambda *x: by_gradients(*x, mode="circular"), "wrap round"),
    (ch09.conv_norm, lambda *x: math.inf, "the number is inf"),
    (ch09.conv_norm, lambda *x: norm(*x) ** 0.5, "root of the norm"),
    (ch09.conv_norm, lambda *x: 1 / norm(*x), "turn it over"),
    (ch09.conv_norm, lambda kernel, *_: kernel.abs().sum(), "absolute values"),
    (ch09.arrives, ARRIVE | {"a": True}, "a goes otherwise"),
    (ch09.arrives, ARRIVE | {"b": False}, "one slope everywhere"),
    (ch09.arrives, ARRIVE | {"d": True}, "which slope"),
    (ch09.arrives, dict.fromkeys("abcdef", True), r"4 of the six"),
    (ch09.arrives, ARRIVE | {"c": "no"}, "True or False"),
    (ch09.arrives, [False, True], "dictionary"),
    (ch09.arrives, ARRIVE | {"c": True}, "the hinge is a straight line"),
    (ch09.arrives, ARRIVE | {"e": False}, "friction"),
    (ch09.arrives, ARRIVE | {"f": True}, "clipping does nothing"),
    (ch09.p_value, lambda a, b: share(a, b, lambda gap, own: gap >= own - 1e-12), "one side"),
    (
        ch09.p_value,
        lambda a, b: share(a, b, lambda gap, own: abs(gap) > abs(own) + 1e-12),
        "at least as far",
    ),
    (ch09.p_value, lambda a, b: share(a, b, end=lambda x: (x.sum() - 1) / len(x)), "leave it in"),
    (
        ch09.p_value,
        lambda a, b: share(a, b, end=lambda x: (x.sum() - 1) / (len(x) - 1)),
        "leave it in",
    ),
    (ch09.p_value, lambda a, b: share(a, b, end=sum), "Divide by"),
    (
        ch09.p_value,
        lambda a, b: share(a, b, lambda gap, own: abs(gap) >= abs(own)),
        "allow for rounding",
    ),
    (ch09.p_value, lambda a, b: 1 - share(a, b), "less far"),
    (ch09.p_value, by_the_normal_curve, "normal curve"),
    (ch09.p_value, by_flips, "flip pairs"),
    (ch09.p_value, at_random, "multiple of"),
    (ch09.p_value, lambda a, b: [0.1, 0.2], "one number should come back"),
    (ch09.p_value, lambda a, b: share(a, b) / 2, "one side only"),
    (ch09.p_value, lambda a, b: 2 * share(a, b), "don't double it"),
    (ch09.p_value, lambda a, b: scipy.stats.ttest_ind(a, b).pvalue, "t-test"),
    (ch09.p_value, by_ranks, "by ranks"),
    (ch09.p_value, the_smaller_side_twice, "twice the smaller side"),
    (ch09.p_value, lambda a, b: share(a[:4], b[:4]), "of another size|ways are as far"),
    (
        ch09.p_value,
        lambda a, b: share(a, b, end=lambda x: (x.sum() + 1) / (len(x) + 1)),
        "don't count it twice",
    ),
]


def test_the_floors_are_those_of_a_sigmoid_pushed_to_its_ends():
    real, fake = torch.sigmoid(torch.tensor([40.0, -40.0], dtype=torch.float64))
    assert float(softplus(-real) + softplus(fake)) == pytest.approx(FLOORS["nonsaturating"])
    assert float(softplus(fake - real)) == pytest.approx(FLOORS["relativistic"])
