"""Checks of chapter 8: right answers pass, and each wrong answer is named for what it is."""

import copy
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from ganbook import penalties
from ganbook.checks import Mistake, ch08

# ---- 8.2


def three(
    r1=lambda w, g: w / g,
    absolute=lambda w, g: max(1.0, w / (2 * g)),
    trap=lambda w: 3 * 3**0.5 / 8 * w,
):
    return lambda w, weight: (r1(w, weight), absolute(w, weight), trap(w))


# ---- 8.1


def penalty(
    t=lambda x: torch.rand(len(x), *[1] * (x.ndim - 1)),
    place=lambda x: x.detach(),
    total=torch.sum,
    norm=lambda g: g.flatten(1).norm(dim=1),
    cost=lambda norm: (norm - 1).square(),
    end=torch.mean,
    graph=True,
    weighted=True,
):
    """The gradient penalty of a batch, with a mistake."""

    def paid(critic, real, fake, weight=10.0):
        x_hat = place(torch.lerp(real, fake, t(real).to(real))).requires_grad_()
        (gradient,) = torch.autograd.grad(total(critic(x_hat)), x_hat, create_graph=graph)
        return end(cost(norm(gradient))) * (weight if weighted else 1.0)

    return paid


def published(critic, real, fake, weight=10.0):
    t = torch.randn(1)
    x_hat = t * real + (1 - t) * fake
    x_hat.requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(x_hat).mean(), x_hat, create_graph=True)
    return weight * ((slope.norm(dim=1) - 1) ** 2).mean()


def detached_fake(critic, real, fake, weight=10.0):
    fake = fake.detach()
    t = torch.rand(len(real), *[1] * (real.ndim - 1))
    x_hat = (fake + t * (real - fake)).requires_grad_()
    logits = critic(x_hat)
    slope = torch.autograd.grad(logits, x_hat, torch.ones_like(logits), create_graph=True)[0]
    return weight * ((slope.flatten(1).square().sum(1) + 1e-12).sqrt() - 1).pow(2).mean()


def packaged(critic, real, fake, weight=10.0):
    return penalties.wgan_gp(weight)(critic, real, fake, None, None).mean()


def by_func(critic, real, fake, weight=10.0):
    t = torch.rand(len(real), *[1] * (real.ndim - 1))
    x_hat = torch.lerp(real, fake, t).detach()
    slope = torch.func.vmap(torch.func.grad(lambda x: critic(x[None])[0]))(x_hat)
    return weight * torch.nn.functional.mse_loss(slope.flatten(1).norm(dim=1), torch.ones(len(t)))


class OneByOne:
    """A class, and a loop over samples."""

    def __call__(self, critic, real, fake, weight=10.0):
        paid = []
        for x, y in zip(real, fake, strict=True):
            x_hat = torch.autograd.Variable((x + torch.rand(()) * (y - x)).data[None])
            x_hat.requires_grad = True
            (slope,) = torch.autograd.grad(critic(x_hat)[0], x_hat, create_graph=True)
            paid.append((slope.square().sum().sqrt() - 1) ** 2)
        return weight * sum(paid) / len(paid)


def in_place(critic, real, fake, weight=10.0):
    x_hat = real.lerp_(fake.detach(), torch.rand(len(real), *[1] * (real.ndim - 1)))
    (slope,) = torch.autograd.grad(critic(x_hat.requires_grad_()).sum(), x_hat, create_graph=True)
    return weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()


def by_backward(critic, real, fake, weight=10.0):
    x_hat = torch.lerp(real, fake.detach(), torch.rand(len(real), *[1] * (real.ndim - 1)))
    critic(x_hat.requires_grad_()).sum().backward(create_graph=True)
    return weight * (x_hat.grad.flatten(1).norm(dim=1) - 1).square().mean()


def gradients_off(critic, real, fake, weight=10.0):
    found = penalty()(critic, real, fake, weight)
    torch.set_grad_enabled(False)
    return found


def by_pixel(g):
    return g.norm(dim=1)


# ---- 8.4 and 8.5

SLOPES = {"a": 1, "b": 28, "c": 1 / 8, "d": 64, "e": 1, "f": 1}
CURES = {"a": "nan", "b": "finite", "c": "nan", "d": "nan", "e": "finite", "f": "finite"}

# ---- 8.3


def jacobian(critic, x):
    return torch.autograd.functional.jacobian(critic, x).flatten(2).norm(dim=2)


def share(J):
    return 1 - (J.diagonal().sum() / J.sum()).item()


def row_by_row(critic, x):
    x = x.detach().requires_grad_()
    rows = [
        torch.autograd.grad(logit, x, retain_graph=True)[0].flatten(1).norm(dim=1)
        for logit in critic(x)
    ]
    J = torch.stack(rows)
    return (J - J.diag().diag()).sum() / J.sum()


def by_jacrev(critic, x):
    J = torch.func.jacrev(critic)(x).square().flatten(2).sum(2).sqrt().detach().numpy()
    return J[~np.eye(len(J), dtype=bool)].sum() / J.sum()


def of_a_copy(critic, x):
    return torch.tensor([share(jacobian(copy.deepcopy(critic).train(), x))])


def in_evaluation(critic, x):
    return share(jacobian(critic.eval(), x))


def one_at_a_time(critic, x):
    J = torch.zeros(len(x), len(x))
    for i in range(len(x)):
        J[i, i] = jacobian(critic, x[i : i + 1])
    return share(J)


def over_channels(critic, x):
    J = torch.autograd.functional.jacobian(critic, x).norm(dim=2)
    return 1 - (J.diagonal().sum() / J.sum()).item()


def mean_off_the_diagonal(critic, x):
    J = jacobian(critic, x)
    return (J.sum() - J.diagonal().sum()) / (len(x) ** 2 - len(x))


def but(change):
    """The share with a change where there is a leak."""

    def answer(critic, x):
        found = share(jacobian(critic, x))
        return found if found < 1e-9 else change(found)

    return answer


def of_the_sum(critic, x):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    return (
        1 - (gradient.flatten(1).norm(dim=1).sum() / gradient.flatten(1).norm(dim=1).sum()).item()
    )


def leak_by_backward(critic, x):
    x = x.clone().requires_grad_()
    rows = []
    for logit in critic(x):
        x.grad = None
        logit.backward(retain_graph=True)
        rows.append(x.grad.flatten(1).norm(dim=1))
    J = torch.stack(rows)
    return 1 - J.diagonal().sum() / J.sum()


def leak_and_freeze(critic, x):
    critic.requires_grad_(False)
    J = torch.autograd.functional.jacobian(critic, x).flatten(2).norm(dim=2)
    return 1 - J.diagonal().sum() / J.sum()


RIGHT = [
    (ch08.other_penalties, three()),
    (ch08.other_penalties, lambda w, g: torch.tensor([w / g, max(1, w / g / 2), w * 27**0.5 / 8])),
    (ch08.other_penalties, lambda w, g: np.array(three()(w, g))[:, None]),
    (ch08.other_penalties, lambda w, g: map(Fraction, three()(w, g))),
    (ch08.repaired, penalty()),
    (ch08.repaired, detached_fake),
    (ch08.repaired, packaged),
    (ch08.repaired, by_func),
    (ch08.repaired, OneByOne()),
    (  # both ends of the way are among the places
        ch08.repaired,
        penalty(t=lambda x: torch.randint(0, 101, (len(x), *[1] * (x.ndim - 1))) / 100),
    ),
    (ch08.asked_slopes, SLOPES),
    (ch08.asked_slopes, SLOPES | {"c": 0.125, "e": 1.0}),
    (ch08.asked_slopes, {name: torch.tensor(float(a)) for name, a in SLOPES.items()}),
    (ch08.asked_slopes, SLOPES | {"c": Fraction(1, 8), "b": np.float32(28)}),
    (ch08.leak, lambda critic, x: share(jacobian(critic, x))),
    (ch08.leak, row_by_row),
    (ch08.leak, by_jacrev),
    (ch08.leak, of_a_copy),
    (ch08.cures, CURES),
    (ch08.cures, {name: word.upper() for name, word in CURES.items()}),
]

WRONG = [
    (ch08.leak, leak_by_backward, "leaves gradients in the critic"),
    (ch08.leak, leak_and_freeze, "left frozen"),
    (ch08.other_penalties, three(r1=lambda w, g: w / (2 * g)), "R1 has the factor ½"),
    (ch08.other_penalties, three(r1=lambda w, g: 2 * w / g), "derivative of ½γa²"),
    (ch08.other_penalties, three(r1=lambda w, g: 1 + w / g), "not for the distance from 1"),
    (ch08.other_penalties, three(r1=lambda w, g: 1 + w / (2 * g)), "under the gradient penalty"),
    (ch08.other_penalties, three(r1=lambda w, g: g / w), "upside down"),
    (ch08.other_penalties, three(r1=lambda w, g: w / g + 0.3), "best slope under R1 is"),
    (ch08.other_penalties, three(absolute=lambda w, g: 1.0), "not the best for small weights"),
    (
        ch08.other_penalties,
        three(absolute=lambda w, g: w / (2 * g)),
        "below 1, where the penalty is 0",
    ),
    (ch08.other_penalties, three(absolute=lambda w, g: 1 + w / (2 * g)), "that is for a square"),
    (ch08.other_penalties, three(absolute=lambda w, g: max(1.0, w / g)), "derivative of λ"),
    (ch08.other_penalties, three(absolute=lambda w, g: 7.0), "under the absolute penalty is"),
    (ch08.other_penalties, three(trap=lambda w: w / 2), "the right formula"),
    (ch08.other_penalties, three(trap=lambda w: 8 / (3 * 3**0.5) * w), "upside down: λ against w"),
    (ch08.other_penalties, three(trap=lambda w: 3 * 3**0.5 / 4 * w), "with a 4 and not a 2"),
    (ch08.other_penalties, three(trap=lambda w: 3 * 3**0.5 / 2 * w), "The 4 is missing"),
    (ch08.other_penalties, three(trap=lambda w: 2 / (3 * 3**0.5)), "solve for λ"),
    (ch08.other_penalties, three(trap=lambda w: 0.1 * w), "above it has one; you say"),
    (ch08.other_penalties, lambda w, g: w / g, "three numbers"),
    (ch08.other_penalties, lambda w, g: np.array(three()(w, g))[[1, 0, 2]], "changed places"),
    (ch08.other_penalties, lambda w, g: three()(w, g)[::-1], "changed places"),
    (ch08.repaired, by_backward, "leaves gradients in the critic"),
    (ch08.repaired, gradients_off, "left switched off"),
    (ch08.other_penalties, three(r1=lambda w, g: -w / g), "climbs towards the real point"),
    (ch08.other_penalties, three(r1=lambda w, g: 1 / g), "the distance w is missing"),
    (ch08.other_penalties, three(absolute=lambda w, g: 0.0), "every bit of slope gains"),
    (ch08.other_penalties, three(trap=lambda w: 27**0.5 / 8), "this is for w = 1"),
    (ch08.other_penalties, three(trap=lambda w: -(27**0.5) / 8 * w), "so λ is above 0"),
    (ch08.other_penalties, three(r1=lambda w, g: math.nan), "r1: the number is nan"),
    (ch08.other_penalties, (1, 2, 3), "a function should stand here"),
    (
        ch08.other_penalties,
        three(absolute=lambda w, g: w / (2 * g) if w > 2 * g else 1 + w / (2 * g)),
        "at the kink",
    ),
    (ch08.other_penalties, three(trap=lambda w: 8 / (3 * 3**0.5) / w), "the border goes with w"),
    (ch08.other_penalties, three(trap=lambda w: 3**0.5 * w / 2), "Is the 4 there"),
    (ch08.repaired, published, "Flatten first. And"),
    (ch08.repaired, penalty(place=lambda x: x), "hangs on the generator"),
    (ch08.repaired, penalty(t=lambda x: torch.randn(len(x), *[1] * (x.ndim - 1))), "randn"),
    (ch08.repaired, in_place, "changes the batch"),
    (ch08.repaired, penalty(cost=lambda norm: (norm.detach() - 1) * (norm - 1)), "cut off"),
    (ch08.repaired, penalty(cost=lambda norm: (1 - norm).relu().square()), "only slopes below 1"),
    (ch08.repaired, penalty(norm=lambda g: g.flatten(1).norm(p=1, dim=1)), "absolute values"),
    (ch08.repaired, lambda c, real, fake, weight: penalty()(c, real, fake), "always 10"),
    (ch08.repaired, lambda *given: math.nan * penalty()(*given), "a finite one"),
    (ch08.repaired, lambda *given: itertools.count(), "without end"),
    (ch08.repaired, 3, "a function should stand here"),
    (
        ch08.repaired,
        penalty(
            t=lambda x: torch.linspace(0, 1, len(x)).view(-1, *[1] * (x.ndim - 1)),
        ),
        "every call has the same t",
    ),
    (ch08.repaired, penalty(t=lambda x: torch.rand(1)), "one t for the whole batch"),
    (ch08.repaired, penalty(t=torch.rand_like), "from pixel to pixel"),
    (
        ch08.repaired,
        penalty(t=lambda x: torch.full((len(x), *[1] * (x.ndim - 1)), 0.5)),
        "for all samples",
    ),
    (
        ch08.repaired,
        penalty(t=lambda x: torch.ones(len(x), *[1] * (x.ndim - 1))),
        "for all samples",
    ),
    (ch08.repaired, penalty(total=torch.mean), r"mean\(\) divides every gradient by N"),
    (ch08.repaired, penalty(norm=by_pixel), "Flatten first"),
    (ch08.repaired, penalty(norm=by_pixel, total=torch.mean), "Flatten first. And"),
    (ch08.repaired, penalty(norm=torch.norm), "over the whole batch"),
    (
        ch08.repaired,
        penalty(cost=lambda norm: (norm.square() - 1).square()),
        "squared before the 1",
    ),
    (ch08.repaired, penalty(cost=lambda norm: norm.square() - 1), "squared before the 1"),
    (ch08.repaired, penalty(cost=lambda norm: (norm - 1).relu().square()), "one-sided"),
    (ch08.repaired, penalty(cost=lambda norm: (norm - 1).abs()), "is to be squared"),
    (ch08.repaired, penalty(cost=torch.square), "the 1 is missing"),
    (
        ch08.repaired,
        penalty(cost=lambda norm: (norm.mean() - 1).square()),
        "norms are averaged first",
    ),
    (ch08.repaired, penalty(end=torch.sum), "sum over the batch"),
    (ch08.repaired, penalty(end=lambda x: x), "one number"),
    (ch08.repaired, penalty(weighted=False), "the weight is missing"),
    (ch08.repaired, penalty(graph=False), "create_graph"),
    (ch08.repaired, penalty(end=lambda x: x.mean() + 1), "at these places the penalty is"),
    (ch08.repaired, lambda critic, real, fake, weight: 0 * fake.sum(), "never asks"),
    (ch08.repaired, penalty(place=lambda x: x.detach()[:5]), "asked at 5 places"),
    (ch08.repaired, penalty(place=lambda x: x.detach().flatten(1)), "it takes .N, 1, 4, 5"),
    (ch08.repaired, penalty(end=lambda x: x.mean().item()), "one number, .* yours is float"),
    (
        ch08.repaired,
        penalty(t=lambda x: torch.rand(len(x), *[1] * (x.ndim - 1)) ** 6),
        "not uniform",
    ),
    (
        ch08.repaired,
        lambda critic, real, fake, weight: (
            penalty(graph=False)(critic, real, fake, weight) + 0 * fake.sum()
        ),
        "x_hat still hangs|weights get no gradient",
    ),
    (ch08.asked_slopes, SLOPES | {"a": 28}, "a: not 28"),
    (ch08.asked_slopes, SLOPES | {"b": 1}, "b: not 1. One channel"),
    (ch08.asked_slopes, SLOPES | {"b": 1 / 28}, "b: upside down"),
    (ch08.asked_slopes, SLOPES | {"c": 8}, "c: upside down. .* larger"),
    (ch08.asked_slopes, SLOPES | {"c": 1}, "c: not 1"),
    (ch08.asked_slopes, SLOPES | {"d": 1 / 64}, "d: upside down. .* smaller"),
    (ch08.asked_slopes, SLOPES | {"d": 1}, "d: not 1"),
    (ch08.asked_slopes, SLOPES | {"e": 2**0.5}, "e: not"),
    (ch08.asked_slopes, SLOPES | {"f": 0.5}, "f: not 0.5"),
    (ch08.asked_slopes, SLOPES | {"b": math.nan}, "b: the number is nan"),
    (ch08.asked_slopes, SLOPES | {"d": -64}, "d: a is a slope above 0"),
    (ch08.asked_slopes, [1] * 6, "write a dictionary"),
    (ch08.asked_slopes, SLOPES | {"f": "one"}, "f: one number"),
    (ch08.asked_slopes, {"a": 1}, "from a to f"),
    (ch08.leak, lambda c, x: 1 - share(jacobian(c, x)), "share on the diagonal"),
    (ch08.leak, of_the_sum, "you see no leak"),
    (ch08.leak, lambda c, x: share(jacobian(c, x).square()), "squares of the norms"),
    (
        ch08.leak,
        lambda c, x: share(torch.autograd.functional.jacobian(c, x).flatten(2).abs().sum(2)),
        "absolute",
    ),
    (
        ch08.leak,
        lambda c, x: (jacobian(c, x) * (1 - torch.eye(len(x)))).sum(),
        "Divide it by the whole",
    ),
    (
        ch08.leak,
        lambda c, x: jacobian(c, x).sum() / jacobian(c, x).diagonal().sum() - 1,
        "you divide by the diagonal",
    ),
    (ch08.leak, jacobian, "one number"),
    (ch08.leak, lambda c, x: 0.5, "never asks the critic"),
    (ch08.leak, lambda c, x: 0.5 + 0 * share(jacobian(c, x)), "leaks nothing; you say 0.5"),
    (ch08.leak, one_at_a_time, "one sample at a time"),
    (ch08.leak, over_channels, "over one dimension of the image"),
    (ch08.leak, lambda c, x: 100 * share(jacobian(c, x)), "in per cent"),
    (
        ch08.leak,
        lambda c, x: (1 - jacobian(c, x).diagonal() / jacobian(c, x).sum(1)).mean(),
        "mean of the logits' shares",
    ),
    (
        ch08.leak,
        lambda c, x: share(torch.autograd.functional.jacobian(c, x).flatten(2).sum(2)),
        "signs and all",
    ),
    (ch08.leak, lambda c, x: c(x.flatten()), "takes a batch"),
    (ch08.leak, "0", "a function should stand here"),
    (ch08.leak, mean_off_the_diagonal, "this is a mean"),
    (ch08.leak, in_evaluation, "in evaluation mode"),
    (ch08.leak, lambda c, x: (share(jacobian(c, x)), c.eval())[0], "left in evaluation mode"),
    (
        ch08.leak,
        but(lambda found: 0.0 if found > 0.999 else found),
        "next sample alone: you see no leak",
    ),
    (ch08.leak, but(lambda found: math.nan), "a finite one should"),
    (ch08.leak, but(lambda found: found / 2), "the share is"),
    (ch08.cures, CURES | {"a": "finite"}, "a is not 'finite'"),
    (ch08.cures, CURES | {"a": np.zeros(2)}, "a: write .* you wrote ndarray"),
    (ch08.cures, CURES | {"a": math.nan}, "a: write .* in quotes"),
    (ch08.cures, list(CURES.values()), "write a dictionary"),
    (ch08.cures, CURES | {"c": "finite"}, "c is not 'finite': backwards"),
    (ch08.cures, CURES | {"d": "finite"}, "d is not 'finite'"),
    (ch08.cures, CURES | {"e": "nan"}, "e is not 'nan'"),
    (ch08.cures, CURES | {"f": "no"}, 'f: write "finite" or "nan"'),
    (ch08.cures, {"a": "nan"}, "from a to f"),
    (ch08.cures, CURES | {"b": "nan"}, "b is not 'nan'"),
    (ch08.cures, CURES | {"f": "nan"}, "f is not 'nan'"),
]


def test_the_published_penalty_of_the_exercise_is_wrong_in_five_ways():
    """Mended one by one, in any order, each of the others is still named."""
    t, place = (lambda x: torch.rand(len(x), *[1] * (x.ndim - 1))), (lambda x: x.detach())
    normal = lambda x: torch.randn(len(x), *[1] * (x.ndim - 1))  # noqa: E731
    steps = (
        (penalty(t=normal, place=lambda x: x, total=torch.mean, norm=by_pixel), "first. And"),
        (penalty(t=normal, place=lambda x: x, norm=by_pixel), "Flatten first"),
        (penalty(t=normal, place=lambda x: x), "hangs on"),
        (penalty(t=normal, place=place), "randn"),
        (penalty(t=lambda x: torch.rand(1), place=place), "whole batch"),
        (penalty(t=t, place=lambda x: x), "hangs on"),
        (penalty(t=t, place=place, total=torch.mean), "divides every gradient by N"),
    )
    for answer, names in steps:
        with pytest.raises(Mistake, match=names):
            ch08.repaired(answer)


def test_a_leak_is_seen_in_training_mode_only():
    """As the solution of 8.3 says."""
    critic = nn.Sequential(
        nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0)
    ).double()
    x = torch.randn(6, 2, dtype=torch.float64)
    assert share(jacobian(critic, x)) > 0.05
    assert abs(share(jacobian(critic.eval(), x))) < 1e-12
