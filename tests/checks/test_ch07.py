"""Checks of chapter 7: right answers pass, and each wrong answer is named for what it is."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from scipy.stats import energy_distance, ks_2samp, wasserstein_distance
from torch import nn
from torch.nn.functional import softplus

from ganbook import data, networks
from ganbook.checks import Mistake, ch07

# ---- 7.1 and 7.2

BEST = [[2, 0, 2], [1, 2, 0], [0, 2, 0]]
FACTORS = {
    "both moved by 5": 1,
    "both stretched ten times": 10,
    "real and fake swapped": 1,
    "half of the fakes real": 0.5,
}


def guess(**changes):
    keys = dict(zip(("moved", "stretched", "swapped", "half"), FACTORS, strict=True))
    return FACTORS | {keys[name]: value for name, value in changes.items()}


def all_plans():
    """Every plan of whole shovelfuls."""
    for a, b, c, d in itertools.product(range(5), repeat=4):
        p = np.zeros((3, 3))
        p[:2, :2] = [[a, b], [c, d]]
        p[:2, 2] = ch07.EARTH[:2] - p[:2].sum(1)
        p[2] = ch07.ROOM - p[:2].sum(0)
        if (p >= 0).all():
            yield p


# ---- 7.3


def area(a, b, gap=abs, widths=np.diff, whole=lambda x: x, order=np.sort, below=np.less_equal):
    every = order(np.concatenate([a, b]))
    gaps = below(a, every[:-1, None]).mean(1) - below(b, every[:-1, None]).mean(1)
    return whole((gap(gaps) * widths(every)).sum())


def one_by_one(a, b):
    n, m = len(a), len(b)
    return abs(np.repeat(np.sort(a), m) - np.repeat(np.sort(b), n)).mean()


def by_torch(a, b):
    """In float32, by the inverse staircases: equal numbers of copies, sorted in place."""
    a, b = torch.from_numpy(a).float(), torch.from_numpy(b).float()
    n, m = len(a), len(b)
    return (
        (a.sort().values.repeat_interleave(m) - b.sort().values.repeat_interleave(n)).abs().mean()
    )


def by_hand_on_a_line(a, b):
    """Pours from the least heap into the least hole, and changes what it was given."""
    a.sort()
    b.sort()
    i, j, cost = 0, 0, 0.0
    earth, room = len(b), len(a)  # each heap has len(b) grains, each hole takes len(a)
    while i < len(a) and j < len(b):
        grains = min(earth, room)
        cost += grains * abs(a[i] - b[j])
        earth, room = earth - grains, room - grains
        if not earth:
            i, earth = i + 1, len(b)
        if not room:
            j, room = j + 1, len(a)
    return cost / (len(a) * len(b))


def shortest(a, b):
    k = min(len(a), len(b))
    return abs(np.sort(a)[:k] - np.sort(b)[:k]).mean()


def paired(a, b):
    """The mean squared distance."""
    return ((np.repeat(np.sort(a), len(b)) - np.repeat(np.sort(b), len(a))) ** 2).mean()


def unsorted(a, b):
    k = min(len(a), len(b))
    return abs(a[:k] - b[:k]).mean()


# ---- 7.4


def erf(theta, s, away=lambda s: abs(s - 1), root=2**0.5):
    return math.erf(theta / (away(s) * root))


def distance(theta, s):
    size, x = abs(s - 1), theta / abs(s - 1)
    return theta * math.erf(x / 2**0.5) + size * math.sqrt(2 / math.pi) * math.exp(-x * x / 2)


# ---- 7.5


def turn(
    estimate=lambda a, b: a.mean() - b.mean(),
    clip_first=False,
    clip=lambda f, c: [w.data.clamp_(-c, c) for w in f.parameters()],
    detach=True,
    output=lambda x: x,
    before=lambda f, c: None,
    gives=lambda value: value,
):
    def play(f, optimiser, real, fake, c):
        if clip_first:
            clip(f, c)
        value = estimate(output(f(real)), output(f(fake.detach() if detach else fake)))
        optimiser.zero_grad()
        (-value).backward()
        before(f, c)
        optimiser.step()
        if not clip_first:
            clip(f, c)
        return gives(value.item())

    return play


def published(f, optimiser, real, fake, c):
    for weight in f.parameters():
        weight.data.clamp_(-c, c)
    on_real, on_fake = torch.sigmoid(f(real)), torch.sigmoid(f(fake))
    loss = on_real.mean() - on_fake.mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def no_clip(f, c):
    pass


def within(f, c):
    for weight in f.parameters():
        weight.data.clamp_(-c, c)


class Turn:
    """By autograd.grad, in one pass, clipped by numpy; the graph is cut by asking for f's alone."""

    def __call__(self, f, optimiser, real, fake, c):
        height = f(torch.cat([real, fake]))
        estimate = height[: len(real)].mean() - height[len(real) :].mean()
        weights = list(f.parameters())
        slopes = torch.autograd.grad(-estimate, weights)
        for weight, slope in zip(weights, slopes, strict=True):
            weight.grad = slope
        optimiser.step()
        with torch.no_grad():
            for weight in weights:
                weight.copy_(torch.from_numpy(np.clip(weight.numpy(), -c, c)))
        return estimate.detach().numpy()


def in_pairs(f, optimiser, real, fake, c):
    loss = (f(fake.detach()) - f(real)).mean()
    optimiser.zero_grad(set_to_none=False)
    loss.backward()
    optimiser.step()
    torch.nn.utils.vector_to_parameters(
        torch.nn.utils.parameters_to_vector(f.parameters()).clamp(-c, c), f.parameters()
    )
    return -loss


def clipped_twice(f, optimiser, real, fake, c):
    """Before the step too, which changes nothing where f is in its box."""
    within(f, c)
    return turn()(f, optimiser, real, fake, c)


def uncleared(f, optimiser, real, fake, c):
    estimate = f(real).mean() - f(fake.detach()).mean()
    (-estimate).backward()
    optimiser.step()
    within(f, c)
    return estimate.item()


def blind(f, optimiser, real, fake, c):
    with torch.no_grad():
        low = f(fake).mean()
    estimate = f(real).mean() - low
    optimiser.zero_grad()
    (-estimate).backward()
    optimiser.step()
    within(f, c)
    return estimate.item()


def by_hand(f, optimiser, real, fake, c):
    """Its own plain step in place of the optimiser's."""
    plain = torch.optim.SGD(f.parameters(), lr=optimiser.param_groups[0]["lr"])
    return turn()(f, plain, real, fake, c)


def twice(f, optimiser, real, fake, c):
    turn(clip=no_clip)(f, optimiser, real, fake, c)
    return turn()(f, optimiser, real, fake, c)


def afterwards(f, optimiser, real, fake, c):
    turn()(f, optimiser, real, fake, c)
    return (f(real).mean() - f(fake).mean()).item()


def left_in_eval(f, optimiser, real, fake, c):
    f.eval()
    return turn()(f, optimiser, real, fake, c)


def left_frozen(f, optimiser, real, fake, c):
    value = turn()(f, optimiser, real, fake, c)
    f.requires_grad_(False)
    return value


def cut_in_place(f, optimiser, real, fake, c):
    fake.detach_()
    return turn()(f, optimiser, real, fake, c)


def gradients_off(f, optimiser, real, fake, c):
    value = turn(clip=no_clip)(f, optimiser, real, fake, c)
    torch.set_grad_enabled(False)
    for weight in f.parameters():
        weight.clamp_(-c, c)
    return value


def from_below(f, c):
    for weight in f.parameters():
        weight.data.clamp_(min=-c)


# ---- 7.6


def steepest(c, width, depth, inputs):
    return c ** (depth + 1) * width**depth * math.sqrt(inputs)


def layer_by_layer(c, width, depth, inputs):
    """A product of the stretches of matrices full of c, in float32."""
    sizes = [inputs, *[width] * depth, 1]
    found = torch.ones(())
    for n, m in itertools.pairwise(sizes):
        found = found * torch.linalg.matrix_norm(torch.full((m, n), c), 2)
    return found


def layers_left_in_eval(f, optimiser, real, fake, c):
    value = turn()(f, optimiser, real, fake, c)
    for layer in f:
        layer.eval()
    return value


def moving_the_given(f, optimiser, real, fake, c):
    value = turn()(f, optimiser, real, fake, c)
    real -= 1
    return value


RIGHT = [
    (ch07.plan, BEST),
    (ch07.plan, torch.tensor(BEST)),
    (ch07.plan, torch.tensor(BEST, dtype=torch.float64, requires_grad=True)),
    (ch07.plan, [[3, 0, 1], [0, 3, 0], [0, 1, 1]]),
    (ch07.plan, tuple(map(tuple, BEST))),
    (ch07.plan, (np.array(BEST) + np.array([[3, 0, 1], [0, 3, 0], [0, 1, 1]])) / 2),
    (ch07.plan, np.array(BEST, dtype=np.float32) + np.float32(1e-7)),
    (ch07.factors, FACTORS),
    (ch07.factors, guess(half=Fraction(1, 2), stretched=torch.tensor(10), swapped=np.float32(1))),
    (ch07.factors, guess(half=0.49999, moved=[1.0])),
    (ch07.on_a_line, area),
    (ch07.on_a_line, wasserstein_distance),
    (ch07.on_a_line, one_by_one),
    (ch07.on_a_line, by_torch),
    (ch07.on_a_line, by_hand_on_a_line),
    (ch07.pull, erf),
    (ch07.pull, lambda theta, s: torch.tensor(erf(theta, s), requires_grad=True)),
    (ch07.pull, lambda theta, s: 2 * ndtr(theta / abs(s - 1)) - 1),
    (ch07.pull, lambda theta, s: math.copysign(math.erf(abs(theta / (s - 1)) / 2**0.5), theta)),
    (ch07.pull, lambda theta, s: [np.float32(erf(theta, s))]),
    (ch07.critic_turn, turn()),
    (ch07.critic_turn, Turn()),
    (ch07.critic_turn, in_pairs),
    (ch07.critic_turn, clipped_twice),
    (
        ch07.critic_turn,
        turn(clip=lambda f, c: [w.data.copy_(w.clamp(-c, c)) for w in f.parameters()]),
    ),
    (ch07.steepest, steepest),
    (ch07.steepest, lambda c, width, depth, inputs: c * (c * width) ** depth * inputs**0.5),
    (ch07.steepest, layer_by_layer),
    (ch07.steepest, lambda *a: torch.tensor(steepest(*a))),
]

WRONG = [
    (ch07.critic_turn, layers_left_in_eval, "its mode"),
    (ch07.critic_turn, moving_the_given, "changes the samples"),
    (
        ch07.plan,
        [[0, 4, 0], [3, 0, 0], [0, 0, 2]],
        "at a cost of 44.18. It can be less: let A and B swap",
    ),
    (ch07.plan, np.transpose(BEST), "turned over|heap A gives"),
    (ch07.plan, [[2, 1, 1], [1, 2, 0], [0, 1, 1]], "It can be less"),
    (ch07.plan, [[2, 0, 1], [1, 2, 0], [0, 2, 0]], "heap A gives 3 in all; it should be 4"),
    (ch07.plan, [[2, 0, 2], [2, 1, 0], [0, 2, 0]], "hole 1 gets 4 in all; it should be 3"),
    (ch07.plan, [[3, -1, 2], [0, 3, 0], [0, 2, 0]], "no entry is below 0"),
    (ch07.plan, [2, 0, 2, 1, 2, 0, 0, 2, 0], r"should be \(3, 3\)"),
    (ch07.plan, np.array(BEST) / 9, "there are nine"),
    (ch07.plan, np.full((3, 3), np.nan), "one of yours is not"),
    (ch07.plan, [[2, 0, 2], [1, 2, 0], [0, 2]], "different lengths"),
    (ch07.plan, 32.42, r"shape should be \(3, 3\)|a tensor of shape"),
    (ch07.plan, lambda: BEST, "a value should stand here"),
    (ch07.plan, np.outer(ch07.EARTH, ch07.ROOM) / 9, "It can be less"),
    (ch07.factors, 10, "a dictionary .* not int"),
    (ch07.factors, {k: v for k, v in FACTORS.items() if v != 10}, "lacks 'both stretched"),
    (ch07.factors, FACTORS | {"both": 2}, "is none of them"),
    (ch07.factors, guess(half=math.nan), "half of the fakes real: the number is nan"),
    (ch07.factors, guess(half=2), "after over before"),
    (ch07.factors, guess(half=50), "not a percentage"),
    (ch07.factors, guess(half=2**-0.5), "factor of W2"),
    (ch07.factors, guess(stretched=0.1), "after over before"),
    (ch07.factors, guess(moved=5), "both moved by 5: if you move everything"),
    (ch07.factors, guess(stretched=1), "that is the JSD"),
    (ch07.factors, guess(stretched=100), "W1 is a length"),
    (ch07.factors, guess(swapped=-1), "no sign"),
    (ch07.factors, guess(half=0.25), "Nothing is squared"),
    (ch07.factors, guess(half=1), "stays"),
    (ch07.factors, guess(half=0.31), "measured, W1 is 0.5 times"),
    (ch07.factors, guess(half="a half"), "half of the fakes real: one number .* not str"),
    (ch07.factors, [1, 10, 1, 0.5], "a number for each of"),
    (ch07.factors, guess(swapped=0), "still to be walked"),
    (ch07.factors, guess(half=0), "other half"),
    (ch07.on_a_line, shortest, "for 5 and 8 points: .*forget the others"),
    (ch07.on_a_line, unsorted, "Sort first"),
    (ch07.on_a_line, lambda a, b: abs(a.mean() - b.mean()), "misses what goes both ways"),
    (
        ch07.on_a_line,
        lambda a, b: area(a, b, gap=lambda g: g, whole=abs),
        "each gap, not of their sum|each gap,",
    ),
    (ch07.on_a_line, lambda a, b: area(a, b, gap=lambda g: g**2), "not squared"),
    (ch07.on_a_line, lambda a, b: area(a, b, gap=lambda g: g**2, whole=np.sqrt), "not squared"),
    (ch07.on_a_line, lambda a, b: area(a, b, widths=lambda x: 1), "without their widths"),
    (
        ch07.on_a_line,
        lambda a, b: abs(np.sort(a) - np.sort(b)).mean(),
        "forget the others|ValueError",
    ),
    (ch07.on_a_line, lambda a, b: one_by_one(a, b) * len(a), "the earth 1/n"),
    (ch07.on_a_line, lambda a, b: np.sort(a), "one number"),
    (ch07.on_a_line, lambda a, b: ks_2samp(a, b).statistic, "Kolmogorov"),
    (
        ch07.on_a_line,
        lambda a, b: area(a, b, widths=lambda x: 1 / (len(x) - 1)),
        "averaged without",
    ),
    (
        ch07.on_a_line,
        lambda a, b: area(a, b, widths=lambda x: np.diff(x) * np.ptp(x)),
        "enter twice",
    ),
    (ch07.on_a_line, lambda a, b: area(a, b, order=lambda x: x), "sorted together"),
    (ch07.on_a_line, lambda a, b: area(a, b, below=np.less), "<=, not <"),
    (ch07.on_a_line, lambda a, b: area(a, b, below=np.greater_equal), "<=, not <"),
    (ch07.on_a_line, lambda a, b: area(a, b) + 0.1, "the distance is"),
    (ch07.on_a_line, lambda a, b: one_by_one(a, b) * len(b), "the earth 1/n"),
    (ch07.on_a_line, lambda a, b: one_by_one(a, b) * len(a) * len(b), "the earth 1/n"),
    (ch07.on_a_line, lambda a, b: np.sqrt(paired(a, b)), "this is W2"),
    (ch07.on_a_line, paired, "the distances are squared"),
    (ch07.on_a_line, energy_distance, "not squared"),
    (ch07.on_a_line, lambda a, b: abs(a[:, None] - b).mean(), "mean over all pairs"),
    (ch07.on_a_line, lambda a, b: -area(a, b), "not below 0"),
    (ch07.on_a_line, lambda a, b: b.mean() - a.mean(), "misses what goes both ways"),
    (
        ch07.on_a_line,
        lambda a, b: wasserstein_distance(list(set(a)), list(set(b))),
        "for 4 and 5 points",
    ),
    (ch07.on_a_line, lambda a, b: math.nan, "the number is nan"),
    (ch07.on_a_line, lambda a, b: (area(a, b), 1), "one number should come back"),
    (ch07.on_a_line, 3.0, "a function should stand here"),
    (ch07.pull, lambda theta, s: math.copysign(1, theta), "parallel lines"),
    (ch07.pull, lambda theta, s: erf(theta, s, away=lambda s: s + 1), "they differ by s - 1"),
    (ch07.pull, lambda theta, s: erf(theta, s, away=lambda s: 1), "depends on s"),
    (ch07.pull, lambda theta, s: erf(theta, s, away=lambda s: math.hypot(1, s)), "independently"),
    (ch07.pull, lambda theta, s: erf(theta, s, away=lambda s: (s - 1) ** 2), "not its square"),
    (ch07.pull, lambda theta, s: erf(theta, s, away=lambda s: 1 / abs(s - 1)), "not multiplied"),
    (ch07.pull, lambda theta, s: 2 * theta, "squared distance"),
    (ch07.pull, lambda theta, s: abs(erf(theta, s)), "the sign is turned"),
    (ch07.pull, lambda theta, s: 1 / theta, "measured|ZeroDivisionError"),
    (ch07.pull, lambda theta, s: "erf", "not str"),
    (ch07.pull, lambda theta, s: -erf(theta, s), "the sign is turned"),
    (ch07.pull, lambda theta, s: ndtr(theta / abs(s - 1)), "Take off the share that must go right"),
    (ch07.pull, lambda theta, s: erf(theta, s, away=lambda s: s), r"not by theta \+ s z"),
    (
        ch07.pull,
        lambda theta, s: erf(theta, s, away=lambda s: s - 1),
        r"take \|s - 1\|",
    ),
    (ch07.pull, lambda theta, s: erf(theta, s, root=1), "a root of 2"),
    (ch07.pull, lambda theta, s: theta, "squared distance"),
    (ch07.pull, lambda theta, s: 0.5 * erf(theta, s), "measured, the slope is"),
    (ch07.pull, distance, "this is W1"),
    (
        ch07.critic_turn,
        published,
        "4 faults are left: .*no sigmoid; the sign .*before the step.*graph of the fakes",
    ),
    (ch07.critic_turn, turn(detach=False), "one fault is left: the graph of the fakes"),
    (ch07.critic_turn, turn(clip_first=True), "one fault is left: the weights are clipped before"),
    (ch07.critic_turn, turn(output=torch.sigmoid), "one fault is left: a critic's output"),
    (
        ch07.critic_turn,
        turn(estimate=lambda a, b: b.mean() - a.mean()),
        "one fault is left: the sign is turned",
    ),
    (
        ch07.critic_turn,
        turn(clip_first=True, detach=False),
        "2 faults are left: .*before the step.*graph",
    ),
    (ch07.critic_turn, turn(clip=no_clip), "not clipped to"),
    (
        ch07.critic_turn,
        turn(clip=no_clip, before=lambda f, c: nn.utils.clip_grad_value_(f.parameters(), c)),
        "you clip the gradients",
    ),
    (
        ch07.critic_turn,
        turn(clip=no_clip, before=lambda f, c: nn.utils.clip_grad_norm_(f.parameters(), c)),
        "norm of the gradient",
    ),
    (
        ch07.critic_turn,
        turn(clip=lambda f, c: [w.data.clamp_(-c, c) for w in f.parameters() if w.ndim > 1]),
        "biases are not clipped",
    ),
    (
        ch07.critic_turn,
        turn(estimate=lambda a, b: (a.mean() - b.mean()).abs()),
        "no absolute value",
    ),
    (
        ch07.critic_turn,
        turn(estimate=lambda a, b: -(softplus(-a) + softplus(b)).mean()),
        "this is cross-entropy",
    ),
    (ch07.critic_turn, turn(estimate=lambda a, b: a.sum() - b.sum()), "sums instead of means"),
    (ch07.critic_turn, turn(gives=lambda value: -value), "you return the loss"),
    (ch07.critic_turn, turn(gives=lambda value: value + 1), "before its step, is"),
    (ch07.critic_turn, lambda f, optimiser, real, fake, c: 0.0, "where is the step"),
    (
        ch07.critic_turn,
        lambda f, optimiser, real, fake, c: within(f, c) or 0.0,
        "where is the step",
    ),
    (ch07.critic_turn, uncleared, "Where is zero_grad"),
    (ch07.critic_turn, blind, "learns from real points alone"),
    (ch07.critic_turn, by_hand, "the one that you are given"),
    (ch07.critic_turn, twice, "two steps"),
    (ch07.critic_turn, afterwards, "Return the one before it"),
    (ch07.critic_turn, left_in_eval, "in another state"),
    (ch07.critic_turn, cut_in_place, "lose their graph"),
    (ch07.critic_turn, gradients_off, "left switched off"),
    (ch07.critic_turn, turn(clip=from_below), "at -c alone"),
    (ch07.critic_turn, left_frozen, "in another state|RuntimeError"),
    (ch07.critic_turn, turn(gives=abs), "may be below 0"),
    (ch07.critic_turn, turn(gives=lambda value: (value, value)), "one number should come back"),
    (ch07.critic_turn, turn(estimate=lambda a, b: (a.mean() - b.mean()) / 2), "halved"),
    (
        ch07.critic_turn,
        turn(clip=lambda f, c: [w.data.clamp_(max=c) for w in f.parameters()]),
        "must stay above -c",
    ),
    (
        ch07.critic_turn,
        turn(estimate=lambda a, b: -((1 - a).relu() + (1 + b).relu()).mean()),
        "hinge",
    ),
    (
        ch07.critic_turn,
        turn(clip=lambda f, c: [w.data.clamp_(-0.01, 0.01) for w in f.parameters()]),
        "algorithm 1",
    ),
    (
        ch07.critic_turn,
        lambda f, optimiser, real, fake, c: turn()(f, optimiser, real, fake, 2 * c),
        "not clipped to",
    ),
    (
        ch07.steepest,
        lambda c, w, d, n: c**d * w**d * n**0.5,
        "the last layer, from the width to one number",
    ),
    (ch07.steepest, lambda c, w, d, n: c**d * w ** (d - 1) * n**0.5, "hidden layers make"),
    (ch07.steepest, lambda c, w, d, n: c ** (d + 1) * w**d, "that is the slope along one input"),
    (ch07.steepest, lambda c, w, d, n: c ** (d + 1) * w**d * n, "the root of the sum of squares"),
    (ch07.steepest, lambda c, w, d, n: c ** (d + 1) * w ** (d / 2) * n**0.5, "not its root"),
    (ch07.steepest, lambda c, w, d, n: c ** (d + 1), "the units of a layer add up"),
    (ch07.steepest, lambda c, w, d, n: c, "a product over the layers"),
    (
        ch07.steepest,
        lambda c, w, d, n: steepest(c, w, d, n) * 2,
        "with all weights at c the slope is",
    ),
    (ch07.steepest, lambda c, w, d, n: c ** (d + 1) * w ** (d + 1) * n**0.5, "of the sums go over"),
    (
        ch07.steepest,
        lambda c, w, d, n: c ** (d + 1) * w ** (d - 1) * n**0.5,
        "the last layer sums over",
    ),
    (ch07.steepest, lambda c, w, d, n: c**d, "the units of a layer add up"),
    (ch07.steepest, lambda c, w, d, n: (c * w) ** (d + 1), "of the sums go over"),
    (ch07.steepest, lambda c, w, d, n: 0.2**d * steepest(c, w, d, n), "leaky ReLU has the slope 1"),
    (ch07.steepest, lambda c, w, d, n: steepest(c, w, d, 2), "that of the number of inputs"),
    (ch07.steepest, lambda c, w, d, n: -steepest(c, w, d, n), "not below 0"),
    (ch07.steepest, lambda c, w, d, n: steepest(c, w, d, n) ** 2, "take its root"),
    (ch07.steepest, lambda c, w, d, n: steepest(c, w, d + 1, n), "one layer too many"),
    (ch07.steepest, lambda c, w, d, n: c * (c * w + c) ** d * n**0.5, "biases move"),
    (ch07.steepest, lambda c, w, d, n: math.inf, "the number is inf"),
    (ch07.steepest, lambda c: c, "TypeError"),
]


def test_a_plan_that_no_swap_of_two_improves_is_the_cheapest_one():
    """So that the check can always name the swap to make."""
    way = np.linalg.norm(ch07.HEAPS[:, None] - ch07.HOLES, axis=2)
    plans = list(all_plans())
    assert len(plans) > 20 and all(
        (p.sum(1) == ch07.EARTH).all() and (p.sum(0) == ch07.ROOM).all() for p in plans
    )
    costs = np.array([(p * way).sum() for p in plans])
    assert (np.array(BEST) * way).sum() == pytest.approx(costs.min())
    for p, cost in zip(plans, costs, strict=True):
        if cost > costs.min() + 1e-9:
            with pytest.raises(Mistake, match="It can be less"):
                ch07.plan(p.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_the_published_turn_drives_the_fakes_away_while_its_distance_falls(seed):
    torch.manual_seed(seed)
    batches = data.ring(8, radius=1.0, std=0.1).batches(64, seed=seed)
    G, f = networks.mlp(latent=2, width=64)
    players = [torch.optim.Adam(n.parameters(), lr=1e-3, betas=(0.0, 0.99)) for n in (f, G)]
    for k in range(30):
        for turn_of_f in range(3):
            real = batches[3 * k + turn_of_f].x
            value = published(f, players[0], real, G(torch.randn(64, 2, device=real.device)), 0.1)
        players[1].zero_grad()
        fake = G(torch.randn(64, 2, device=real.device))
        (-f(fake).mean()).backward()
        players[1].step()
    assert value < -0.9 and fake.detach().norm(dim=1).mean() > 10
