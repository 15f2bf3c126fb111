"""Checks of chapter 7, Wasserstein GANs."""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import nn

from ganbook import metrics, networks
from ganbook.checks import (
    Mistake,
    exercise,
    kind,
    near,
    number,
    recognise_number,
    require,
    tensor,
)

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
    require(np.isfinite(found).all(), "each entry is a number of shovelfuls; one of yours is not.")
    require((found > -1e-6).all(), "nothing can be carried backwards: no entry is below 0.")
    rows, columns = found.sum(1), found.sum(0)
    fits = np.allclose(rows, EARTH) and np.allclose(columns, ROOM)
    turned = np.allclose(columns, EARTH) and np.allclose(rows, ROOM)
    require(fits or not turned, "rows are heaps, columns are holes: your plan is turned over.")
    require(
        fits or not math.isclose(found.sum(), 1, abs_tol=1e-6),
        "these are shares of the earth. Write shovelfuls: there are nine.",
    )
    for name, sums, wanted in (("heap", rows, EARTH), ("hole", columns, ROOM)):
        for k in np.flatnonzero(~np.isclose(sums, wanted)):
            place = f"heap {'ABC'[k]} gives" if name == "heap" else f"hole {k + 1} gets"
            require(False, f"{place} {sums[k]:g} in all; it should be {wanted[k]}.")
    way = np.linalg.norm(HEAPS[:, None] - HOLES, axis=2)
    cost = (found * way).sum()
    for (i, j), (k, m) in itertools.combinations(itertools.product(range(3), repeat=2), 2):
        saved = way[i, j] + way[k, m] - way[i, m] - way[k, j]
        if found[i, j] > 1e-3 and found[k, m] > 1e-3 and saved > 1e-9:
            require(
                False,
                f"all is moved, at a cost of {cost:.2f}. It can be less:"
                f" let {'ABC'[i]} and {'ABC'[k]} swap a shovelful,"
                f" {'ABC'[i]} to {m + 1} and {'ABC'[k]} to {j + 1}. That saves {saved:.2f}.",
            )
    # Where no swap helps, no plan of whole shovelfuls is cheaper: a test tries them all.
    require(
        cost < _least_cost(way) + 0.01,
        f"all is moved, at a cost of {cost:.2f}. It can be less: let all three pass earth on"
        " in a ring.",
    )


def _least_cost(way: np.ndarray) -> float:
    """By trying all plans of whole shovelfuls: one of them is among the best of all plans."""
    costs = []
    for a, b, c, d in itertools.product(range(5), repeat=4):
        found = np.zeros((3, 3))
        found[:2, :2] = [[a, b], [c, d]]
        found[:2, 2] = EARTH[:2] - found[:2].sum(1)
        found[2] = ROOM - found[:2].sum(0)
        if (found >= 0).all():
            costs.append((found * way).sum())
    return min(costs)


@exercise("7.2", value=True)
def factors(answer):
    """Draws two sets of points, does the four things to them, and measures."""
    names = (
        "both moved by 5",
        "both stretched ten times",
        "real and fake swapped",
        "half of the fakes real",
    )
    asked = f"a dictionary with a number for each of {', '.join(map(repr, names))}"
    require(isinstance(answer, Mapping), f"{asked} should stand here, not {kind(answer)}.")
    missing = [name for name in names if name not in answer]
    require(not missing, f"{asked}. Yours lacks {', '.join(map(repr, missing))}.")
    extra = [name for name in answer if name not in names]
    require(not extra, f"{asked}. {extra[:1]} is none of them.")
    real, fake = torch.randn(2, 20, 2).double()
    fake = fake * 0.5 + 2
    before = metrics.earth_mover(real, fake)
    after = (
        metrics.earth_mover(real + 5, fake + 5),
        metrics.earth_mover(10 * real, 10 * fake),
        metrics.earth_mover(fake, real),
        metrics.earth_mover(torch.cat([real, real]), torch.cat([real, fake])),
    )
    squared = "Nothing is squared here"
    mistakes = (
        (
            (5, "if you move everything, nothing is carried from the one to the other."),
            (6, "if you move everything, nothing is carried from the one to the other."),
            (0, "what W1 was, it still is: a factor of 0 would make the sets equal."),
        ),
        (
            (1, "that is the JSD, which has no units. Every path is ten times as long now."),
            (100, f"areas grow a hundredfold, paths tenfold. W1 is a length. {squared}."),
            (math.sqrt(10), "every path is ten times as long: no root."),
            (20, "both ends of a path are stretched about one centre: it is ten times as long."),
            (0.1, "the factor is after over before, not before over after."),
        ),
        (
            (-1, "a distance has no sign: the same paths, walked the other way round."),
            (0, "the paths are still to be walked, the other way round."),
        ),
        (
            (1, "the half that is real already lies where it should, and stays."),
            (0.25, f"half of the earth is moved, along the same paths. {squared}."),
            (math.sqrt(0.5), "that is the factor of W2, the root of the mean squared distance."),
            (0, "the other half is still to be moved."),
            (2, "the factor is after over before, not before over after."),
            (50, "give a factor, not a percentage."),
        ),
    )
    for name, then, known in zip(names, after, mistakes, strict=True):
        found, right = number(answer[name], name), then / before
        recognise_number(found, *((v, f"{name}: {text}") for v, text in known), truth=right)
        require(
            near(found, right),
            f"{name}: measured, W1 is {right:.3g} times what it was; you say {found:g}.",
        )


@exercise("7.3")
def on_a_line(answer):
    """Draws sets of unequal size, some with equal points, and asks scipy."""
    for n, m in ((6, 6), (5, 8), (9, 4), (1, 7), (7, 1), (4, 5), (20, 30)):
        a, b = torch.randn(n).double().numpy(), (1.5 * torch.randn(m).double() + 0.5).numpy()
        if m > 1:
            # To both sides of all of a, or the distance of the means would be right at times.
            b[:2] = a.min() - 0.5, a.max() + 1
        else:
            b[:] = np.median(a) + 0.1
        if n == 4:  # points that coincide, within a set and across
            a, b = np.array([2.0, 0, 0, 3]), np.array([1.0, -2, 1, 0, 5])
        found = number(answer(a.copy(), b.copy()))
        right = wasserstein_distance(a, b)
        at = f"for {n} and {m} points: "
        recognise_number(found, *_mistakes_on_a_line(a, b, right, at), truth=right)
        require(near(found, right), f"{at}the distance is {right:.4f}; yours is {found:.4f}.")


def _mistakes_on_a_line(a, b, right, at):
    """Pairs of what a known mistake gives for points a and b, and its message."""
    n, m = len(a), len(b)
    short = min(n, m)
    every = np.sort(np.concatenate([a, b]))
    widths = np.diff(every)
    gaps = np.abs([(a <= x).mean() - (b <= x).mean() for x in every])
    level = gaps[:-1]
    means = (
        "this is the distance of the means, which misses what goes both ways. Take the absolute"
        " value of each gap, not of their sum."
    )
    unsquared = "the gap of the shares enters as it is, not squared."
    unwidened = "without their widths. Height times width is an area."
    mean_way = "give each point the earth 1/n, so that it is a mean distance and not a sum."
    apart = np.abs(np.repeat(np.sort(a), m) - np.repeat(np.sort(b), n))
    before = np.abs([(a < x).mean() - (b < x).mean() for x in every[:-1]])
    mixed = np.concatenate([a, b])  # not sorted
    steps, heights = np.diff(mixed), [(a <= x).mean() - (b <= x).mean() for x in mixed[:-1]]
    unsorted = "all points are to be sorted together, before the gaps and widths are taken."
    return (
        (a.mean() - b.mean(), means),
        (b.mean() - a.mean(), means),
        (-right, "a distance is not below 0: take the absolute value of each gap."),
        (np.abs(a[:short] - b[:short]).mean(), "the points are matched as they come. Sort first."),
        (
            np.abs(np.sort(a)[:short] - np.sort(b)[:short]).mean(),
            f"{at}you match the least {short} and forget the others."
            " Each point of the larger set has less earth.",
        ),
        (np.sqrt((apart**2).mean()), "this is W2: the distances are squared. W1 is their mean."),
        ((apart**2).mean(), "the distances are squared. W1 is their mean."),
        (
            np.abs(a[:, None] - b).mean(),
            "this is the mean over all pairs: the plan that spreads each point over all others."
            " The cheapest one is asked for.",
        ),
        ((level**2 * widths).sum(), unsquared),
        (2 * (level**2 * widths).sum(), unsquared),
        (math.sqrt((level**2 * widths).sum()), unsquared),
        (math.sqrt(2 * (level**2 * widths).sum()), unsquared),
        (level.max(), "the largest gap is another distance, Kolmogorov's. W1 is the area."),
        (level.sum(), f"the gaps are summed {unwidened}"),
        (level.mean(), f"the gaps are averaged {unwidened}"),
        (gaps.mean(), f"the gaps are averaged {unwidened}"),
        (
            (gaps[1:] * widths).sum(),
            "between two points the staircases have the height of the left one, not the right one.",
        ),
        ((before * widths).sum(), "F(x) counts the points at x, too: <=, not <."),
        ((np.abs(heights) * steps).sum(), unsorted),
        (np.abs(heights * steps).sum(), unsorted),
        (
            ((gaps[1:] + level) / 2 * widths).sum(),
            "between two points the staircases are level: no trapezoids.",
        ),
        ((level * widths).mean(), "the areas between neighbours are added, not averaged."),
        (right * n, mean_way),
        (right * m, mean_way),
        (right * short, mean_way),
        (right * max(n, m), mean_way),
        (right * n * m, mean_way),
        (right * (every[-1] - every[0]), "the widths enter twice."),
    )


@exercise("7.4")
def pull(answer):
    """Takes the slope by a finite difference of the mean distance between matched quantiles."""
    u = (torch.arange(200_000).double() + 0.5) / 200_000
    z = torch.special.ndtri(u)
    draw = [0.3 + 0.7 * torch.rand(()).item() for _ in range(3)]
    cases = (-draw[0], 1.6), (draw[1], 0.3), (draw[2], 3.0), (-0.2, 0.5), (0.0, 2.0), (6.0, 1.5)
    for theta, s in cases:  # where s > 1, s - 1 is right

        def distance(theta, s=s):
            return (theta + (s - 1) * z).abs().mean().item()

        right = (distance(theta + 1e-3) - distance(theta - 1e-3)) / 2e-3
        at = f"theta = {theta:.2f}, s = {s}: "
        found = number(answer(theta, s), at.removesuffix(": "))
        if abs(found - right) < 2e-3:
            continue

        def share(x):
            return 0.5 * (1 + math.erf(x / math.sqrt(2)))

        away = abs(s - 1)
        bell = math.sqrt(2 / math.pi) * math.exp(-((theta / away) ** 2) / 2)
        by_chance = f"{at}partners are matched in order, not drawn independently."
        recognise_number(
            found,
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
                share(-theta / away),
                f"{at}this is the share that must go right. The slope is the share that must go"
                " left less this one.",
            ),
            (
                2 * share(theta / s) - 1,
                f"{at}the matched points differ by theta + (s - 1) z, not by theta + s z.",
            ),
            (2 * share(theta / (1 + s)) - 1, f"{at}z is the same in both: they differ by s - 1."),
            (2 * share(theta) - 1, f"{at}the answer depends on s, too."),
            (2 * share(theta / math.sqrt(1 + s * s)) - 1, by_chance),
            (2 * share(theta / away**2) - 1, f"{at}|s - 1| is the spread, not its square."),
            (2 * share(theta * away) - 1, f"{at}theta is divided by |s - 1|, not multiplied."),
            (math.erf(theta / away), f"{at}erf has a root of 2 in it: Φ(x) = (1 + erf(x/√2)) / 2."),
            (distance(theta), f"{at}this is W1. Its slope in theta is asked for."),
            (bell, f"{at}this is the slope in s. The slope in theta is asked for."),
            (math.copysign(bell, s - 1), f"{at}this is the slope in s, not in theta."),
            (bell / away, f"{at}this is the second derivative. The first is asked for."),
            (theta, f"{at}theta alone is the slope of a squared distance."),
            (2 * theta, f"{at}2 theta is the slope of a squared distance."),
        )
        raise Mistake(f"{at}measured, the slope is {right:.3f}; yours is {found:.3f}.")


@exercise("7.5")
def critic_turn(answer):
    """Plays turns on a critic in mid-training; tries all combinations of the published faults.

    Its optimiser has momentum, and G's last step has left gradients in it.
    """
    found = _turns(answer)
    leaks = any(turn.leaks for turn in found)

    def same(play):
        return all(
            torch.allclose(a.weights, b.weights, atol=1e-5)
            for a, b in zip(found, _turns(play), strict=True)
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
    for play, message in _other_turns():
        require(not same(play), message)
    require(same(_turn()), "the weights after one turn are not those of algorithm 1.")
    require(
        all(turn.still_hangs for turn in found),
        "the fakes that you are given lose their graph, which G's turn may need:"
        " `fake.detach()` without the underscore makes a copy without it.",
    )
    require(all(turn.kept for turn in found), "your turn changes the samples that it is given.")
    require(
        all(turn.training and turn.trainable for turn in found),
        "the critic is left in another state: its mode, or what of it can be trained, is changed.",
    )
    rights = _turns(_turn())
    values = [number(turn.value) for turn in found]
    for names, blame in (
        (lambda right: right.value, ""),
        (lambda right: abs(right.value), "an estimate may be below 0, when the critic puts fakes"
            " above real points: no absolute value."),
        (lambda right: -right.value, "you return the loss. The estimate is its negative,"
            " E f(real) - E f(fake)."),
        (lambda right: right.after, "you return the estimate of the critic after its step."
            " Return the one before it, which the step was made from."),
    ):  # fmt: skip
        if all(near(value, names(right)) for value, right in zip(values, rights, strict=True)):
            require(not blame, blame)
            return
    for value, right in zip(values, rights, strict=True):
        require(
            near(value, right.value),
            f"the estimate of this turn, before its step, is {right.value:.4f};"
            f" you return {value:.4f}.",
        )


class _Played(NamedTuple):
    """What one turn has returned and left behind."""

    value: object
    weights: torch.Tensor
    leaks: bool
    still_hangs: bool
    kept: bool
    training: bool
    trainable: bool
    after: float


def _turns(play) -> list[_Played]:
    """Two critics of different shape play three turns each, on batches of different size.

    The second batch has real and fake exchanged, so that its estimate has the other sign.
    """
    points = torch.Generator().manual_seed(3)
    results = []
    for shape, c, rate in (((2,), 0.1, 0.2), ((1, 2, 2), 0.4, 0.5)):
        D = math.prod(shape)
        f = nn.Sequential(nn.Flatten(), nn.Linear(D, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0))
        with torch.no_grad():
            for weight in f.parameters():
                weight.copy_((torch.randn(weight.shape, generator=points) * c).clamp(-c, c))
        optimiser = torch.optim.SGD(f.parameters(), lr=rate, momentum=0.5)
        for turn, n in enumerate((12, 7, 9)):
            real = torch.randn(n, *shape, generator=points) + 1
            made = torch.randn(n, *shape, generator=points)
            real, made = (made, real) if turn == 1 else (real, made)
            latent = made.clone().requires_grad_()
            latent.grad = torch.full_like(latent, 0.5)
            for weight in f.parameters():  # G's step went through f, and left this
                weight.grad = torch.randn(weight.shape, generator=points)
            real_before = real.clone()
            fake = latent * 1.0
            value = play(f, optimiser, real, fake, c)
            with torch.no_grad():
                after = (f(real_before).mean() - f(made).mean()).item()
                weights = torch.cat([w.flatten() for w in f.parameters()])
            leaks = latent.grad is None or bool((latent.grad != 0.5).any())
            trainable = all(w.requires_grad for w in f.parameters())
            training = all(part.training for part in f.modules())
            kept = torch.equal(real, real_before) and torch.equal(fake.detach(), made)
            results.append(
                _Played(value, weights, leaks, fake.requires_grad, kept, training, trainable, after)
            )
    return results


@exercise("7.6")
def steepest(answer):
    """Builds critics with every weight at c, and takes their gradient where every unit is on."""
    for width, depth, inputs, c in ((8, 3, 5, None), (16, 1, 2, 0.01), (12, 2, 3, 1.5)):
        c = 0.05 + 0.3 * torch.rand(()).item() if c is None else c
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
        at = f"c = {c:.2f}, width {width}, depth {depth}, {inputs} inputs: "
        found = number(answer(c, width, depth, inputs), at.removesuffix(": "))
        if math.isclose(found, right, rel_tol=1e-4):
            continue
        root = math.sqrt(inputs)
        along = f"{at}that is the slope along one input. The gradient has {inputs} entries:"
        layers = f"{at}the units of a layer add up: each layer multiplies by c times its inputs."
        for value, message in (
            (c**depth * width**depth * root,
                f"{at}the last layer, from the width to one number, is clipped as well."),
            (c**depth * width ** (depth - 1) * root,
                f"{at}{depth} hidden layers make {depth + 1} matrices."),
            (c ** (depth + 1) * width**depth, f"{along} take its length."),
            (c ** (depth + 1) * width**depth * inputs,
                f"{at}the gradient's {inputs} entries are summed."
                " Its length is the root of the sum of squares."),
            (c ** (depth + 1) * width ** (depth + 1) * root,
                f"{at}only {depth} of the sums go over {width} units."),
            ((c * width) ** (depth + 1),
                f"{at}only {depth} of the sums go over {width} units, and the gradient has"
                f" {inputs} entries: take its length."),
            (c ** (depth + 1) * width ** (depth - 1) * root,
                f"{at}the last layer sums over {width} units, too."),
            (c ** (depth + 2) * width ** (depth + 1) * root,
                f"{at}one layer too many: {depth} hidden layers make {depth + 1} matrices."),
            (c ** (depth + 1) * width ** (depth / 2) * root,
                f"{at}{width} equal terms sum to {width}, not its root."),
            (0.2**depth * right, f"{at}where a unit is on, leaky ReLU has the slope 1."),
            (c * (c * (width + 1)) ** depth * root,
                f"{at}biases move the output, but not its slope."),
            (math.sqrt(2) * right / root, f"{at}the root is that of the number of inputs."),
            (-right, f"{at}a length is not below 0."),
            (right**2, f"{at}this is the squared norm: take its root."),
            (c**depth * root, layers),
            (c ** (depth + 1) * root, layers),
            (c**depth, layers),
            (c ** (depth + 1), layers),
            (c * root, f"{at}c bounds a weight. The slope is a product over the layers."),
            (c, f"{at}c bounds a weight. The slope is a product over the layers."),
        ):  # fmt: skip
            require(
                math.isclose(value, right, rel_tol=1e-4)
                or not math.isclose(found, value, rel_tol=1e-4),
                message,
            )
        raise Mistake(f"{at}with all weights at c the slope is {right:.4g}; you say {found:.4g}.")


def _turn(
    sigmoid=False,
    sign=False,
    first=False,
    clip="weights",
    loss=lambda a, b: b.mean() - a.mean(),
    clear=True,
    cut=False,
    steps=1,
):
    """A critic's turn with faults; by default without."""

    def play(f, optimiser, real, fake, c):
        def clipped():
            for weight in f.parameters():
                if clip == "above":
                    weight.data.clamp_(max=c)
                elif clip == "below":
                    weight.data.clamp_(min=-c)
                elif clip == "weights" or (clip == "matrices" and weight.ndim == 2):
                    weight.data.clamp_(-c, c)

        if first:
            clipped()
        for _ in range(steps):
            a, b = f(real), f(fake.detach())
            if sigmoid:
                a, b = a.sigmoid(), b.sigmoid()
            objective = loss(a, b.detach() if cut else b)
            if clear:
                optimiser.zero_grad()
            (-objective if sign else objective).backward()
            if clip == "gradients":
                nn.utils.clip_grad_value_(f.parameters(), c)
            if clip == "norm":
                nn.utils.clip_grad_norm_(f.parameters(), c)
            optimiser.step()
        if not first:
            clipped()
        return (a.mean() - b.mean()).item()

    return play


def _fresh_optimiser(f, optimiser, real, fake, c):
    rate = optimiser.param_groups[0]["lr"]
    return _turn()(f, torch.optim.SGD(f.parameters(), lr=rate), real, fake, c)


def _other_turns():
    """Pairs of a turn with another fault, and its message."""
    absolute = "no absolute value: the critic is to put real above fake, not apart from it."
    uncleared = (
        "the gradients in the critic are not cleared: what G's step and earlier turns left there"
        " is added. Where is zero_grad?"
    )
    return (
        (_turn(clear=False), uncleared),
        (_turn(clear=False, first=True), f"{uncleared} And clip after the step."),
        (_turn(clear=False, clip=None), f"{uncleared} And the weights are not clipped."),
        (_turn(clip=None), "the weights are not clipped to [-c, c]: nothing holds the critic."),
        (_turn(clip="gradients"),
            "you clip the gradients. It is the weights that must stay within c."),
        (_turn(clip="norm"),
            "you clip the norm of the gradient. It is the weights that must stay within c."),
        (_turn(clip="matrices"), "the biases are not clipped. The paper clips all parameters."),
        (_turn(clip="above"), "the weights are clipped at c alone. They must stay above -c, too."),
        (_turn(clip="below"), "the weights are clipped at -c alone. They must stay below c, too."),
        (_turn(cut=True),
            "the critic learns from real points alone: cut the graph at the fakes, not behind f."),
        (_turn(steps=2), "there are two steps in this turn: algorithm 1 makes one."),
        (_fresh_optimiser,
            "the optimiser is to be the one that you are given: it remembers earlier steps."),
        (_turn(loss=lambda a, b: (a.mean() - b.mean()).abs()), absolute),
        (_turn(loss=lambda a, b: -(a.mean() - b.mean()).abs()), absolute),
        (_turn(loss=_cross_entropy),
            "this is cross-entropy: the JSD that it measures stops at log 2, however far the"
            " fakes are."),
        (_turn(loss=lambda a, b: (1 - a).relu().mean() + (1 + b).relu().mean()),
            "this is the hinge loss: it stops where real is above 1 and fake below -1."),
        (_turn(loss=lambda a, b: b.sum() - a.sum()),
            "sums instead of means: the step grows with the batch."),
        (_turn(loss=lambda a, b: (b.mean() - a.mean()) / 2),
            "the loss is halved: E f(fake) - E f(real) has no factor."),
    )  # fmt: skip


def _cross_entropy(on_real, on_fake):
    return (nn.functional.softplus(-on_real) + nn.functional.softplus(on_fake)).mean()
