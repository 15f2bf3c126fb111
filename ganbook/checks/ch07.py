"""Checks of chapter 7, Wasserstein GANs."""

import itertools
import math

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import nn

from ganbook import metrics, networks
from ganbook.checks import exercise, number, require, tensor

HEAPS, EARTH = np.array([[1.0, 5], [7, 5], [5, 2]]), np.array([4, 3, 2])
"""The puzzle of exercise 7.1: heaps A, B, C in metres, and shovelfuls of earth on each."""

HOLES, ROOM = np.array([[5.0, 5], [9, 2], [3, 2]]), np.array([3, 4, 2])
"""Holes 1, 2, 3, and shovelfuls that fill each."""


@exercise("7.1", value=True)
def plan(answer):
    """Counts what leaves each heap and reaches each hole.

    Where a plan is too dear, names what to change in it.
    """
    found = tensor(answer, (3, 3)).numpy()
    require((found >= 0).all(), "nothing can be carried backwards: no entry is below 0.")
    fits = np.array_equal(found.sum(1), EARTH) and np.array_equal(found.sum(0), ROOM)
    turned = np.array_equal(found.sum(0), EARTH) and np.array_equal(found.sum(1), ROOM)
    require(fits or not turned, "rows are heaps, columns are holes: your plan is turned over.")
    for name, sums, wanted in (("heap", found.sum(1), EARTH), ("hole", found.sum(0), ROOM)):
        for k in np.flatnonzero(~np.isclose(sums, wanted)):
            place = f"heap {'ABC'[k]} gives" if name == "heap" else f"hole {k + 1} gets"
            require(False, f"{place} {sums[k]:g} in all; it should be {wanted[k]}.")
    cost = np.linalg.norm(HEAPS[:, None] - HOLES, axis=2)
    for (i, j), (k, m) in itertools.combinations(itertools.product(range(3), repeat=2), 2):
        saved = cost[i, j] + cost[k, m] - cost[i, m] - cost[k, j]
        if found[i, j] > 1e-9 and found[k, m] > 1e-9 and saved > 1e-9:
            require(
                False,
                f"all is moved, at a cost of {(found * cost).sum():.2f}. It can be less:"
                f" let {'ABC'[i]} and {'ABC'[k]} swap a shovelful,"
                f" {'ABC'[i]} to {m + 1} and {'ABC'[k]} to {j + 1}. That saves {saved:.2f}.",
            )
    # Where no swap helps, no other plan is cheaper: a test tries them all.


@exercise("7.2", value=True)
def factors(answer):
    """Draws two sets of points, does the four things to them, and measures."""
    names = (
        "both moved by 5",
        "both stretched ten times",
        "real and fake swapped",
        "half of the fakes real",
    )
    require(
        isinstance(answer, dict) and set(answer) == set(names),
        f"a number for each of {', '.join(map(repr, names))}.",
    )
    if any(value is ... or value is None for value in answer.values()):
        require(False, "some of the four are still open.")
    real, fake = torch.randn(2, 20, 2).double()
    fake = fake * 0.5 + 2
    before = metrics.earth_mover(real, fake)
    after = {
        names[0]: metrics.earth_mover(real + 5, fake + 5),
        names[1]: metrics.earth_mover(10 * real, 10 * fake),
        names[2]: metrics.earth_mover(fake, real),
        names[3]: metrics.earth_mover(torch.cat([real, real]), torch.cat([real, fake])),
    }
    mistakes = {
        names[0]: ((5, "who moves everything has carried nothing from the one to the other."),),
        names[1]: (
            (1, "that is the JSD, which has no units. Every way is ten times as long now."),
            (100, "areas grow a hundredfold, ways tenfold. W1 is a length."),
        ),
        names[2]: (
            (-1, "a distance has no sign: the same ways, walked the other way round."),
            (0, "the ways are still to be walked, the other way round."),
        ),
        names[3]: (
            (1, "the half that is real already lies where it should, and stays."),
            (0.25, "half of the earth is moved, over the same ways. Nothing is squared here."),
            (0, "the other half is still to be moved."),
        ),
    }
    for name in names:
        try:
            found = float(answer[name])
        except (TypeError, ValueError):
            require(False, f"{name}: give the factor as a number.")
        for value, message in mistakes[name]:
            require(abs(found - value) > 1e-6, f"{name}: {message}")
        right = after[name] / before
        require(
            abs(found - right) < 1e-6,
            f"{name}: measured, W1 is {right:.3g} times what it was; you say {found:g}.",
        )


@exercise("7.3")
def on_a_line(answer):
    """Draws sets of unequal size and asks scipy."""
    for n, m in ((6, 6), (5, 8), (9, 4), (1, 7)):
        a, b = torch.randn(n).double().numpy(), (1.5 * torch.randn(m).double() + 0.5).numpy()
        # To both sides of all of a, or the distance of the means would be right for some draws.
        b[:2] = a.min() - 0.5, a.max() + 1
        found = number(answer(a.copy(), b.copy()))
        right = wasserstein_distance(a, b)
        at = f"for {n} and {m} points: "
        every = np.sort(np.concatenate([a, b]))
        gaps = np.abs([(a <= x).mean() - (b <= x).mean() for x in every[:-1]])
        short = min(n, m)
        _named(
            found,
            right,
            (
                abs(a.mean() - b.mean()),
                "this is the distance of the means, which misses what goes both ways. Take the"
                " absolute value of each"
                " gap, not of their sum.",
            ),
            (
                np.abs(a[:short] - b[:short]).mean(),
                "the points are matched as they come. Sort first.",
            ),
            (
                np.abs(np.sort(a)[:short] - np.sort(b)[:short]).mean(),
                f"{at}you match the least {short} and forget the others."
                " Each point of the larger set has less earth.",
            ),
            (
                ((gaps**2) * np.diff(every)).sum(),
                "the gap of the shares enters as it is, not squared.",
            ),
            (
                math.sqrt(((gaps**2) * np.diff(every)).sum()),
                "the gap of the shares enters as it is, not squared.",
            ),
            (gaps.max(), "the largest gap is another distance, Kolmogorov's. W1 is the area."),
            (
                gaps.sum(),
                "the gaps are summed without their widths. Height times width is an area.",
            ),
            (
                gaps.mean(),
                "the gaps are averaged without their widths. Height times width is an area.",
            ),
            (right * n, "give each point the earth 1/n, so that it is a mean way and not a sum."),
            (right * (every[-1] - every[0]), "the widths enter twice."),
        )
        require(
            abs(found - right) < 1e-6, f"{at}the distance is {right:.4f}; yours is {found:.4f}."
        )


@exercise("7.4")
def pull(answer):
    """Takes the slope by a finite difference of the mean way between matched quantiles."""
    u = (torch.arange(200_000).double() + 0.5) / 200_000
    z = torch.special.ndtri(u)
    for s in (1.6, 0.3, 3.0):  # where s > 1, s - 1 is right
        theta = (0.3 + 0.7 * torch.rand(()).item()) * (-1 if s == 1.6 else 1)

        def distance(theta, s=s):
            return (theta + (s - 1) * z).abs().mean().item()

        right = (distance(theta + 1e-3) - distance(theta - 1e-3)) / 2e-3
        found = number(answer(theta, s))

        def share(x):
            return 0.5 * (1 + math.erf(x / math.sqrt(2)))

        at = f"theta = {theta:.2f}, s = {s}: "
        away = abs(s - 1)
        _named(
            found,
            right,
            (
                math.copysign(1, theta),
                f"{at}a sign is the pull on parallel lines, where every point walks the same way.",
            ),
            (
                2 * share(theta / (s - 1)) - 1,
                f"{at}where s < 1, dividing by s - 1 turns the sign: take |s - 1|.",
            ),
            (
                -right,
                f"{at}the sign is turned:"
                " this is the way the fakes should go, and the slope points up.",
            ),
            (
                share(theta / away),
                f"{at}this is the share that must go left. Take off the share that must go right.",
            ),
            (
                2 * share(theta / s) - 1,
                f"{at}the matched points differ by theta + (s - 1) z, not by theta + s z.",
            ),
            (math.erf(theta / away), f"{at}erf has a root of 2 in it: Φ(x) = (1 + erf(x/√2)) / 2."),
            (distance(theta), f"{at}this is W1. Its slope in theta is asked for."),
            (theta, f"{at}theta alone is the slope of a squared distance."),
            margin=1e-3,  # below what the slope may be off by
        )
        require(
            abs(found - right) < 2e-3,
            f"{at}measured, the slope is {right:.3f}; yours is {found:.3f}.",
        )


@exercise("7.5")
def critic_turn(answer):
    """Plays a turn on a small critic; tries all combinations of the faults of published code."""
    c, rate = 0.1, 2.0
    points = torch.randn(12, 2) + 1, torch.randn(12, 2)

    def turned(play):
        """(estimate, weights after it, gradients that reached G): real above fake, then below."""
        results = []
        for real, made in (points, points[::-1]):
            torch.manual_seed(0)
            f = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0))
            latent = made.clone().requires_grad_()
            value = play(f, torch.optim.SGD(f.parameters(), lr=rate), real.clone(), latent * 1.0, c)
            results.append((value, torch.cat([w.flatten() for w in f.parameters()]), latent.grad))
        return results

    found = turned(answer)
    leaks = any(grad is not None for _, _, grad in found)

    def same(play):
        return all(
            torch.allclose(a, b, atol=1e-6)
            for (_, a, _), (_, b, _) in zip(found, turned(play), strict=True)
        )

    require(not same(lambda *inputs: 0.0), "the critic has the weights it had: where is the step?")
    faults = {
        "sigmoid": "a critic's output is any real number: no sigmoid",
        "sign": "the sign is turned:"
        " the optimiser makes the loss small, and the critic wants f high on real",
        "first": "the weights are clipped before the step, so G meets weights beyond c",
    }
    graph = "the graph of the fakes is not cut: the turn leaves gradients in G"
    for chosen in itertools.product((False, True), repeat=3):
        left = [message for is_in, message in zip(chosen, faults.values(), strict=True) if is_in]
        if same(_turn(*chosen)):
            left += [graph] if leaks else []
            many = "one fault is" if len(left) == 1 else f"{len(left)} faults are"
            require(not left, f"{many} left: {'; '.join(left)}.")
    absolute = "no absolute value: the critic is to put real above fake, not apart from it."
    others = (
        (_turn(clip=None), "the weights are not clipped at all: nothing holds the critic."),
        (
            _turn(clip="gradients"),
            "you clip the gradients. It is the weights that must stay within c.",
        ),
        (
            _turn(clip="norm"),
            "you clip the norm of the gradient. It is the weights that must stay within c.",
        ),
        (_turn(clip="matrices"), "the biases are not clipped. The paper clips all parameters."),
        (_turn(loss=lambda a, b: (a.mean() - b.mean()).abs()), absolute),
        (_turn(loss=lambda a, b: -(a.mean() - b.mean()).abs()), absolute),
        (
            _turn(loss=_cross_entropy),
            "this is cross-entropy: its value stops at log 2, however far the fakes are.",
        ),
        (
            _turn(loss=lambda a, b: b.sum() - a.sum()),
            "sums instead of means: the step grows with the batch.",
        ),
    )
    for play, message in others:
        require(not same(play), message)
    require(same(_turn()), "the weights after one turn are not those of algorithm 1.")
    for (value, _, _), (right, _, _) in zip(found, turned(_turn()), strict=True):
        value = number(value)
        require(
            abs(value + right) > 1e-5,
            "you return the loss. The estimate is its negative, E f(real) - E f(fake).",
        )
        require(
            abs(value - right) < 1e-5,
            f"the estimate of this turn, before its step, is {right:.4f}; you return {value:.4f}.",
        )


@exercise("7.6")
def steepest(answer):
    """Builds critics with every weight at c, and takes their gradient where every unit is on."""
    for width, depth, inputs in ((8, 3, 5), (16, 1, 2), (12, 2, 3)):
        c = 0.05 + 0.3 * torch.rand(()).item()
        _, f = networks.mlp(shape=(inputs,), latent=2, width=width, depth=depth)
        f.double()
        with torch.no_grad():
            for weight in f.parameters():
                weight.fill_(c)
        x = torch.ones(
            1, inputs, dtype=torch.float64, device=next(f.parameters()).device, requires_grad=True
        )
        (slope,) = torch.autograd.grad(f(x).sum(), x)
        right = slope.norm().item()
        found = number(answer(c, width, depth, inputs))
        at = f"c = {c:.2f}, width {width}, depth {depth}, {inputs} inputs: "
        root = math.sqrt(inputs)
        _named(
            found,
            right,
            (c**depth * width**depth * root,
                f"{at}the last layer, from the width to one number, is clipped as well."),
            (c**depth * width ** (depth - 1) * root,
                f"{at}{depth} hidden layers make {depth + 1} matrices."),
            (
                c ** (depth + 1) * width**depth,
                f"{at}that is the slope along one input."
                f" The gradient has {inputs} entries: take its length.",
            ),
            (
                c ** (depth + 1) * width**depth * inputs,
                f"{at}the gradient's {inputs} entries are summed."
                " Its length is the root of the sum of squares.",
            ),
            (c ** (depth + 1) * width ** (depth + 1) * root,
                f"{at}only {depth} of the sums go over {width} units."),
            (c ** (depth + 1) * width ** (depth - 1) * root,
                f"{at}the last layer sums over {width} units, too."),
            (c ** (depth + 1) * width ** (depth / 2) * root,
                f"{at}{width} equal terms sum to {width}, not its root."),
            (c**depth,
                f"{at}the units of a layer add up: each layer multiplies by c times its inputs."),
            (c ** (depth + 1),
                f"{at}the units of a layer add up: each layer multiplies by c times its inputs."),
            (c, f"{at}c bounds a weight. The slope is a product over the layers."),
        )  # fmt: skip
        require(
            abs(found / right - 1) < 1e-6,
            f"{at}with all weights at c the slope is {right:.4g}; you say {found:.4g}.",
        )


def _turn(
    sigmoid=False, sign=False, first=False, clip="weights", loss=lambda a, b: b.mean() - a.mean()
):
    """A critic's turn with faults; by default without."""

    def play(f, optimiser, real, fake, c):
        def clipped():
            for weight in f.parameters():
                if clip == "weights" or (clip == "matrices" and weight.ndim == 2):
                    weight.data.clamp_(-c, c)

        if first:
            clipped()
        a, b = f(real), f(fake.detach())
        if sigmoid:
            a, b = a.sigmoid(), b.sigmoid()
        objective = -loss(a, b) if sign else loss(a, b)
        optimiser.zero_grad()
        objective.backward()
        if clip == "gradients":
            nn.utils.clip_grad_value_(f.parameters(), c)
        if clip == "norm":
            nn.utils.clip_grad_norm_(f.parameters(), c)
        optimiser.step()
        if not first:
            clipped()
        return (a.mean() - b.mean()).item()

    return play


def _cross_entropy(on_real, on_fake):
    return (nn.functional.softplus(-on_real) + nn.functional.softplus(on_fake)).mean()


def _named(found: float, right: float, *mistakes, margin: float = 1e-5) -> None:
    """Raise the message of the first mistake that gives what was found.

    Mistakes that happen to be right, to this margin, are left out.
    """
    for value, message in mistakes:
        if abs(value - right) > margin * (1 + abs(right)):
            require(abs(found - value) > 1e-6 * (1 + abs(value)), message)
