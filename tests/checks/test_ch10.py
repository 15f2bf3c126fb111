"""Checks of chapter 10: right answers pass, and each wrong answer is named for what it is."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from ganbook import checks
from ganbook.checks import Mistake, ch10

# ---- 10.1


def share(n, m, c):
    return c + (1 - c) * n / (n + m)


# ---- 10.2


def value(nearest, masks, more=1, below=1, compare=torch.ge):
    n = masks.shape[1] // 2
    actual = (nearest < n).double().mean()
    shares = masks[:, nearest].double().mean(1)
    return (more + compare(shares, actual).sum()) / (below + len(masks))


def value_spoiling(nearest, masks, which):
    found = value(nearest, masks)
    (nearest, masks)[which].zero_()
    return found


def value_by_visits(nearest, masks, dtype=torch.float64):
    n = masks.shape[1] // 2
    visits = torch.bincount(nearest, minlength=2 * n).to(dtype) / len(nearest)
    as_high = (masks.to(dtype) @ visits) >= visits[:n].sum()
    return (1 + as_high.sum()) / (1 + len(masks))


def value_in_a_loop(nearest, masks):
    n = masks.shape[1] // 2
    actual = sum(int(j) < n for j in nearest)
    count = 1
    for mask in masks.numpy():
        count += mask[nearest.numpy()].sum() >= actual
    return count / (1 + len(masks))


def value_against_the_first(nearest, masks):
    shares = masks[:, nearest].double().mean(1)
    return (1 + (shares >= shares[0]).sum()) / (1 + len(masks))


def value_on_both_sides(nearest, masks):
    actual = (nearest < masks.shape[1] // 2).double().mean()
    away = (masks[:, nearest].double().mean(1) - 0.5).abs()
    return (1 + (away >= (actual - 0.5).abs()).sum()) / (1 + len(masks))


# ---- 10.3


def best(p, q, a, b):
    return (a * p + b * q) / (p + q)


def best_by_descent(p, q, a, b):
    logit = torch.zeros_like(p, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [logit], max_iter=500, tolerance_grad=1e-14, tolerance_change=1e-16
    )

    def loss():
        optimiser.zero_grad()
        real = a * torch.nn.functional.softplus(-logit) + (1 - a) * torch.nn.functional.softplus(
            logit
        )
        fake = b * torch.nn.functional.softplus(-logit) + (1 - b) * torch.nn.functional.softplus(
            logit
        )
        total = ((p * real + q * fake) / (p + q)).sum()
        total.backward()
        return total

    optimiser.step(loss)
    return logit.detach().sigmoid()


# ---- 10.5


def factors(x, shape=None):
    return torch.rand(*(shape or (len(x), 1, 1, 1)), device=x.device) + 0.5


def own_mean(x):
    return x.mean(dim=(1, 2, 3), keepdim=True)


def contrast(x, factor=factors, mean=own_mean, back=None):
    middle = mean(x)
    return (x - middle) * factor(x) + (middle if back is None else back(middle))


def contrast_by_lerp(x):
    return torch.lerp(own_mean(x).expand_as(x), x, factors(x).to(x.dtype))


def contrast_one_by_one(x):
    return torch.stack(
        [(image - image.mean()) * (0.5 + torch.rand(())) + image.mean() for image in x]
    )


def contrast_in_place(x):
    middle = own_mean(x).detach()
    x.data = (x.data - middle) * factors(x).to(x.dtype) + middle
    return 1 * x


def contrast_by_numpy(x):
    return torch.from_numpy(contrast(x).detach().numpy())


def contrast_and_no_gradients(x):
    found = contrast(x)
    torch.set_grad_enabled(False)
    return found


def contrast_by_seed(x):
    torch.manual_seed(0)
    return contrast(x)


def published(x):
    with torch.no_grad():
        return (x - x.mean()) * (torch.rand(1) + 0.5) + x.mean()


def with_gradient(x):
    return (x - x.mean()) * (torch.rand(1) + 0.5) + x.mean()


# ---- 10.6


def adapt(p, logits, target, move, sign=lambda x: x.sign().mean(), up=1, low=0.0, high=1.0):
    p += up * move if sign(logits) > target else -up * move
    return min(high, max(low, p))


def adapt_by_numpy(p, logits, target, move):
    return np.clip(p + move * np.sign(np.mean(np.sign(logits.numpy())) - target), 0, 1)


def adapt_at_the_target(p, logits, target, move):
    return min(1, max(0, p + move if logits.sign().mean() >= target else p - move))


def value_against_one_half(nearest, masks):
    return (1 + (masks[:, nearest].double().mean(1) >= 0.5).sum()) / (1 + len(masks))


def factors_by_numpy(x):
    return torch.from_numpy(np.random.uniform(0.5, 1.5, (len(x), 1, 1, 1)))  # noqa: NPY002


RIGHT_LEAKS = {"a": "leaks", "b": "safe", "c": "leaks", "d": "safe", "e": "safe", "f": "leaks"}


def smooth_in_place(p, q, a, b):
    return p.mul_(a).add_(b * q) / (p / a - b * q / a + q)


def adapt_in_place(p, logits, target, move):
    return adapt(p, logits.sign_(), target, move)


RIGHT = [
    (ch10.expected_share, share),
    (ch10.expected_share, lambda n, m, c: (n + c * m) / (n + m)),
    (ch10.expected_share, lambda n, m, c: torch.tensor(share(n, m, c))),
    (ch10.expected_share, lambda n, m, c: (Fraction(share(n, m, c)),)),
    (ch10.p_value, value),
    (ch10.p_value, value_in_a_loop),
    (ch10.p_value, value_by_visits),
    (ch10.p_value, lambda near, masks: value_by_visits(near, masks, torch.float32)),
    (ch10.p_value, lambda near, masks: np.float32(value(near, masks))),
    (ch10.smoothed, best),
    (ch10.smoothed, best_by_descent),
    (ch10.smoothed, lambda p, q, a, b: best(p.numpy(), q.numpy(), a, b)),
    (ch10.smoothed, lambda p, q, a, b: (best(x, y, a, b) for x, y in zip(p, q, strict=True))),
    (ch10.smoothed, lambda p, q, a, b: best(p.float(), q.float(), a, b).tolist()),
    (ch10.contrasted, contrast),
    (ch10.contrasted, contrast_by_lerp),
    (ch10.contrasted, contrast_one_by_one),
    (ch10.contrasted, lambda x: torch.lerp(own_mean(x), x, factors(x))),
    (ch10.contrasted, lambda x: contrast(x, factors_by_numpy)),
    (ch10.leaks, RIGHT_LEAKS),
    (ch10.leaks, {name: f" {word.upper()} " for name, word in RIGHT_LEAKS.items()}),
    (ch10.adapted, adapt),
    (ch10.adapted, adapt_by_numpy),
    (ch10.adapted, lambda *inputs: (np.float32(adapt(*inputs)),)),
]

WRONG = [
    (ch10.smoothed, smooth_in_place, "changes what it is given"),
    (ch10.adapted, adapt_in_place, "changes what it is given"),
    (ch10.expected_share, lambda n, m, c: 0.5, "equal sets and no copies"),
    (ch10.expected_share, lambda n, m, c: m / (n + m), "n of the n . m, not m"),
    (ch10.expected_share, lambda n, m, c: n / m, "ratio"),
    (ch10.expected_share, lambda n, m, c: n / (n + m), "copies are missing"),
    (ch10.expected_share, lambda n, m, c: c + (1 - c) / 2, "equal size only"),
    (ch10.expected_share, lambda n, m, c: c + n / (n + m), "left to chance"),
    (ch10.expected_share, lambda n, m, c: c, "what is no copy"),
    (ch10.expected_share, lambda n, m, c: (1 - c) * n / (n + m), "missing from the count"),
    (ch10.expected_share, lambda n, m, c: 1 - c + c * n / (n + m), "changed places"),
    (ch10.expected_share, lambda n, m, c: max(c, n / (n + m)), "copies are missing"),
    (ch10.expected_share, lambda n, m, c: torch.ones(3), "one number"),
    (ch10.expected_share, lambda n, m, c: 100 * share(n, m, c), "per cent"),
    (ch10.expected_share, lambda n, m, c: c + (1 - c) * n / m, "n/m is a ratio"),
    (ch10.expected_share, lambda n, m, c: 1 - share(n, m, c), "nearer to a held-out digit"),
    (ch10.expected_share, lambda n, m, c: share(m, n, c), "n of the n . m, not m"),
    (ch10.expected_share, lambda n, m, c: c * n / (n + m), "with certainty"),
    (ch10.expected_share, lambda n, m, c: share(n, m, c) - 0.05, "the share should be"),
    (ch10.p_value, lambda near, masks: value(near, masks, 0, 0), "one of the possible"),
    (ch10.p_value, lambda near, masks: value(near, masks, 0, 1), "below and not above"),
    (ch10.p_value, lambda near, masks: value(near, masks, 1, 0), "above and not below"),
    (ch10.p_value, lambda near, masks: value(near, masks, compare=torch.gt), "just as high"),
    (ch10.p_value, lambda near, masks: value(near, masks, compare=torch.le), "other tail"),
    (ch10.p_value, lambda near, masks: 1 - value(near, masks), "1 minus"),
    (
        ch10.p_value,
        lambda near, masks: (near < masks.shape[1] // 2).double().mean(),
        "the share itself",
    ),
    (ch10.p_value, lambda near, masks: masks[:, near].double().mean(), "mean share"),
    (ch10.p_value, value_on_both_sides, "on either side"),
    (ch10.p_value, value_against_the_first, "is a random split"),
    (ch10.p_value, lambda near, masks: value(near, masks, below=1 - len(masks)), "this is a count"),
    (ch10.p_value, lambda near, masks: 2 * value(near, masks), "don't double it"),
    (ch10.p_value, value_against_one_half, "compares with one half"),
    (ch10.p_value, lambda near, masks: near, "one number should"),
    (ch10.p_value, lambda near, masks: value(near, masks, 0, 0, torch.gt), "just as high, >=, and"),
    (ch10.p_value, lambda near, masks: value(near, masks, 0, 0, torch.le), "other tail, and"),
    (ch10.p_value, lambda near, masks: value(near, masks) + 0.001, "the value of these splits"),
    (ch10.p_value, lambda near, masks: value_spoiling(near, masks, 0), "changes what it is given"),
    (ch10.p_value, lambda near, masks: value_spoiling(near, masks, 1), "changes what it is given"),
    (ch10.smoothed, lambda p, q, a, b: p / (p + q), "no effect"),
    (ch10.smoothed, lambda p, q, a, b: a * p / (p + q), "fakes' target b is missing"),
    (ch10.smoothed, lambda p, q, a, b: a * p / (a * p + q), "as many images"),
    (
        ch10.smoothed,
        lambda p, q, a, b: a * p / (a * p + (1 - b) * q),
        "every image has two",
    ),
    (ch10.smoothed, lambda p, q, a, b: a * p / (a * p + b * q), "targets, not weights"),
    (ch10.smoothed, lambda p, q, a, b: (b * p + a * q) / (p + q), "changed places"),
    (ch10.smoothed, lambda p, q, a, b: (a * p + (1 - b) * q) / (p + q), "speaks for fake"),
    (ch10.smoothed, lambda p, q, a, b: 1 - best(p, q, a, b), "probability of fake"),
    (ch10.smoothed, lambda p, q, a, b: best(p, q, a, b).logit(), "this is the logit"),
    (ch10.smoothed, lambda p, q, a, b: best(p, q, a, b).mean(), "shape should be"),
    (ch10.smoothed, lambda p, q, a, b: a * p / (p + q) + b, "b counts only where"),
    (ch10.smoothed, lambda p, q, a, b: best(p, q, a, b) / (a + b), "divide by a . b"),
    (ch10.smoothed, lambda p, q, a, b: a * p + b * q, "not 1 at a place"),
    (ch10.smoothed, lambda p, q, a, b: (a * p + b * q) / (a + b), "not by a . b"),
    (ch10.smoothed, lambda p, q, a, b: (a * p - b * q) / (p + q), "a sign"),
    (ch10.smoothed, lambda p, q, a, b: math.nan * p, "not finite"),
    (ch10.smoothed, lambda p, q, a, b: 0.9 * best(p, q, a, b), "where the derivative"),
    (ch10.contrasted, published, "no gradient"),
    (ch10.contrasted, with_gradient, "whole batch"),
    (ch10.contrasted, contrast_by_numpy, "no gradient"),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: factors(x, (1,))),
        "one factor for the whole batch",
    ),
    (ch10.contrasted, lambda x: contrast(x, lambda x: factors(x, x.shape)), "different factors"),
    (ch10.contrasted, lambda x: contrast(x, mean=lambda x: x.mean()), "that of the whole batch"),
    (
        ch10.contrasted,
        lambda x: contrast(x, mean=lambda x: x.mean(), back=lambda m: 0 * m),
        "not put back",
    ),
    (ch10.contrasted, lambda x: contrast(x, back=lambda m: 0 * m), "not put back"),
    (ch10.contrasted, lambda x: x * factors(x), "scaled too"),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: 2 * factors(x) - 1),
        "factors from 0.5 to 1.5",
    ),
    (ch10.contrasted, lambda x: contrast(x, lambda x: factors(x) - 0.5), "factors from 0.5 to 1.5"),
    (
        ch10.contrasted,
        lambda x: contrast(x, mean=lambda x: own_mean(x).detach()),
        "mean depends on the pixels",
    ),
    (ch10.contrasted, contrast_by_seed, "set no seed"),
    (ch10.contrasted, contrast_and_no_gradients, "left switched off"),
    (
        ch10.contrasted,
        lambda x: contrast(x, mean=lambda x: x.mean((2, 3), keepdim=True)),
        "channel",
    ),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: factors(x, (len(x), x.shape[1], 1, 1))),
        "channels of an image have different factors",
    ),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: 0.5 + factors(x).sub(0.5).mul(2).round() / 2),
        "should be uniform",
    ),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: (factors(x) + factors(x)) / 2),
        "should be uniform",
    ),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: torch.linspace(0.5, 1.5, len(x)).view(-1, 1, 1, 1)),
        "rise from image to image",
    ),
    (ch10.contrasted, lambda x: contrast(x).detach().requires_grad_(), "no gradient"),
    (ch10.contrasted, contrast_in_place, "changes the images"),
    (ch10.contrasted, lambda x: 1 * x, "nothing is changed"),
    (ch10.contrasted, lambda x: x + factors(x) - 1, "only the brightness"),
    (ch10.contrasted, lambda x: contrast(x).clamp(-1, 1), "cut off"),
    (ch10.contrasted, lambda x: x.mean(), "as many images"),
    (ch10.contrasted, lambda x: contrast(x, lambda x: factors(x) + 0.5), "factors from 0.5 to 1.5"),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: factors(x) / 2 + 0.5),
        "factors should be uniform",
    ),
    (
        ch10.contrasted,
        lambda x: contrast(x, lambda x: (factors(x) - 0.5) ** 4 + 0.5),
        "factors should be uniform",
    ),
    (ch10.contrasted, lambda x: contrast(x, back=lambda m: m + 0.1), "stay what it is"),
    (ch10.contrasted, lambda x: contrast(x).detach().numpy(), "as many images"),
    (ch10.leaks, RIGHT_LEAKS | {"a": "safe"}, "All eigenvalues but one"),
    (ch10.leaks, RIGHT_LEAKS | {"b": "leaks"}, "one image in ten"),
    (ch10.leaks, RIGHT_LEAKS | {"c": "safe"}, "equally frequent"),
    (ch10.leaks, RIGHT_LEAKS | {"d": "leaks"}, "renames"),
    (ch10.leaks, RIGHT_LEAKS | {"e": "leaks"}, "no wave"),
    (ch10.leaks, RIGHT_LEAKS | {"f": "safe"}, "never seen"),
    (ch10.leaks, RIGHT_LEAKS | {"f": "perhaps"}, "two words"),
    (ch10.leaks, {"a": "safe"}, "keys a to f"),
    (ch10.leaks, "safe", "a dictionary"),
    (ch10.adapted, lambda p, x, *k: adapt(p, x, *k, sign=lambda x: x.mean()), "mean logit"),
    (
        ch10.adapted,
        lambda p, x, *k: adapt(p, x, *k, sign=lambda x: (x > 0).double().mean()),
        "above 0",
    ),
    (
        ch10.adapted,
        lambda p, x, *k: adapt(p, x, *k, sign=lambda x: x.sigmoid().mean()),
        "mean probability",
    ),
    (
        ch10.adapted,
        lambda p, x, *k: adapt(p, x, *k, up=-1),
        "direction is turned",
    ),
    (
        ch10.adapted,
        lambda p, x, *k: adapt(p, x, *k, sign=lambda x: (x > 0).all()),
        "only where all logits are above 0",
    ),
    (ch10.adapted, lambda p, x, *k: adapt(p, x, *k, sign=lambda x: x.mean().sign()), "mean logit"),
    (ch10.adapted, lambda p, x, *k: adapt(p, x, *k, high=9), "Cut it off at 1"),
    (ch10.adapted, lambda p, x, *k: adapt(p, x, *k, low=-9), "Cut it off at 0"),
    (ch10.adapted, lambda p, x, target, move: adapt(p, x, 0.6, move), "`target` has no effect"),
    (ch10.adapted, lambda p, x, *k: p, "does not move"),
    (ch10.adapted, lambda p, x, target, move: p + move * (x.sign().mean() - target), "fixed size"),
    (ch10.adapted, lambda p, x, *k: adapt(p, x, *k) - p, "change of p"),
    (ch10.adapted, adapt_at_the_target, "exactly at the target"),
    (ch10.adapted, lambda p, x, *k: min(0.8, adapt(p, x, *k)), "up to 1 and stop"),
    (ch10.adapted, lambda p, x, target, move: adapt(p, x, target, p * move), "by `move`"),
    (ch10.adapted, lambda p, x, *k: max(p, adapt(p, x, *k)), "only goes up"),
    (ch10.adapted, lambda p, x, *k: math.nan, "number is nan"),
    (ch10.adapted, lambda p, x, target, move: p + move, "only goes up"),
    (ch10.adapted, lambda p, x, target, move: adapt(p, x, target, 2 * move), "p should be"),
    (
        ch10.adapted,
        lambda p, x, target, move: adapt(p, x, target, move) if p + move < 1 else p,
        "up to 1 and stop",
    ),
    (
        ch10.adapted,
        lambda p, x, target, move: adapt(p, x, target, move) if p > move else p,
        "down to 0 and stop",
    ),
]


def test_the_nearest_of_equals_is_a_training_digit_as_often_as_these_are_many():
    random_state = torch.Generator().manual_seed(0)
    n, m, c, fakes = 30, 20, 0.3, 4000
    hits = 0
    for _ in range(fakes):
        real = torch.randn(n + m, 2, generator=random_state)
        copy = torch.rand((), generator=random_state) < c
        fake = real[3] if copy else torch.randn(2, generator=random_state)
        hits += ((real - fake).norm(dim=1).argmin() < n).item()
    assert hits / fakes == pytest.approx(share(n, m, c), abs=0.03)


def test_half_of_the_splits_of_a_pool_without_copies_have_a_value_below_one_half():
    torch.manual_seed(0)
    values = []
    for _ in range(200):
        nearest = torch.randint(20, (300,)) ** 2 // 10  # some digits are near to many fakes
        pool = torch.randperm(40)[nearest]
        masks = torch.stack([torch.randperm(40) < 20 for _ in range(99)])
        values.append(float(value(pool, masks)))
    assert np.mean(np.array(values) <= 0.05) < 0.09 and 0.4 < np.mean(values) < 0.6


def test_adapted_looks_at_signs_whatever_it_draws(monkeypatch):
    for seed in range(20):
        monkeypatch.setattr(checks, "SEED", seed)
        ch10.adapted(adapt)
        with pytest.raises(Mistake):
            ch10.adapted(lambda p, x, *k: adapt(p, x, *k, sign=lambda x: x.mean()))
