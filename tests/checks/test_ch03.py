"""Checks of chapter 3: right answers pass, and each wrong answer is named for what it is."""

import cmath
import math

import numpy as np
import torch

from ganbook import metrics
from ganbook.checks import ch03


def noisy(s, damping=0.25, beside=0.5, power=2, sign=-1):
    d = damping * s**power
    root = cmath.sqrt(d**2 - beside**2)
    return sign * d + root, sign * d - root


def sigma(l):  # noqa: E741
    return 1 / (1 + math.exp(-l))


def alternating(theta, psi, h):
    psi = psi - h * theta * sigma(psi * theta)
    return theta + h * psi * sigma(psi * theta), psi


def simultaneous(theta, psi, h):
    return theta + h * psi * sigma(psi * theta), psi - h * theta * sigma(psi * theta)


def g_first(theta, psi, h):
    theta = theta + h * psi * sigma(psi * theta)
    return theta, psi - h * theta * sigma(psi * theta)


def old_sigma(theta, psi, h):
    s = sigma(psi * theta)
    psi = psi - h * theta * s
    return theta + h * psi * s, psi


def old_psi(theta, psi, h):
    new = psi - h * theta * sigma(psi * theta)
    return theta + h * psi * sigma(new * theta), new


def turned(theta, psi, h):
    psi = psi + h * theta * sigma(psi * theta)
    return theta - h * psi * sigma(psi * theta), psi


def consensus(
    v,
    z,
    h,
    w,
    measure=lambda v: v.square().sum() / 2,
    step=lambda z, v, pull, h, w: z + h * (v - w * pull),
):
    z = z.detach().requires_grad_()
    velocity = v(z)
    (pull,) = torch.autograd.grad(measure(velocity), z)
    return step(z, velocity, pull, h, w).detach()


def graph(v, z, h, w):
    z = z if z.requires_grad else z.detach().requires_grad_()
    velocity = v(z)
    (pull,) = torch.autograd.grad(velocity.square().sum() / 2, z, create_graph=True)
    return z + h * (velocity - w * pull)


def adding_up(v, z, h, w):
    """Leaves its gradient in z, where the next one is added to it."""
    z.requires_grad_()
    (v(z).square().sum() / 2).backward()
    return (z + h * (v(z) - w * z.grad)).detach()


def overwriting(v, z, h, w):
    y = z.detach().requires_grad_()  # the same memory
    velocity = v(y)
    (pull,) = torch.autograd.grad(velocity.square().sum() / 2, y)
    with torch.no_grad():
        y += h * (velocity - w * pull)
    return y.detach()


def mean_square(v):
    return v.square().mean()


def by_jacobian(v, z, h, w):
    z = z.detach()
    return z + h * (v(z) - w * torch.autograd.functional.jacobian(v, z).T @ v(z))


def nothing_to_detach(v, z, h, w):
    return z + h * (v(z) - w * torch.autograd.functional.jacobian(v, z).T @ v(z))


def as_matrix(v, z, h, w):
    J = torch.stack([v(e) for e in torch.eye(len(z), dtype=z.dtype)], dim=1)
    return z + h * (v(z) - w * J.T @ J @ z)


def three(
    points, centers, std, *, bound=3, only_good=False, base=1.0, near=False, kl=None, squared=False
):
    distance, nearest = torch.cdist(points, centers).min(dim=1)
    good = (distance**2 if squared else distance) <= bound * std
    counted = nearest[good] if only_good else nearest
    share = torch.bincount(counted, minlength=len(centers)) / len(counted)
    value = torch.xlogy(share, share * len(centers)).sum() / base if kl is None else kl(share)
    return (
        len((nearest if near else nearest[good]).unique()),
        good.double().mean().item(),
        value.item(),
    )


def at_least_two(points, centers, std):
    distance, nearest = torch.cdist(points, centers).min(dim=1)
    counts = torch.bincount(nearest[distance <= 3 * std], minlength=len(centers))
    return (counts >= 2).sum(), *three(points, centers, std)[1:]


def in_the_plane(points, centers, std):
    return three(points[:, :2], centers[:, :2], std)


def pack(D, real, fake):
    return D(real.view(-1, 4)), D(fake.view(-1, 4))


def halves(D, real, fake):
    return tuple(D(torch.cat(x.chunk(2), dim=1)) for x in (real, fake))


def lies(D, real, fake):
    logits = D(torch.cat([real, fake], dim=1))
    return logits, logits


def moves(theta, psi, h):
    new = alternating(theta, psi, h)
    return new[0] - theta, new[1] - psi


def g_turned(theta, psi, h):
    psi = psi - h * theta * sigma(psi * theta)
    return theta - h * psi * sigma(psi * theta), psi


def d_turned(theta, psi, h):
    psi = psi + h * theta * sigma(psi * theta)
    return theta + h * psi * sigma(psi * theta), psi


def non_saturating(theta, psi, h):
    psi = psi - h * theta * sigma(psi * theta)
    return theta + h * psi * sigma(-psi * theta), psi


def changed(place, change):
    def answer(*a):
        found = list(three(*a))
        found[place] = change(found[place], *a)
        return tuple(found)

    return answer


def in_numpy(points, centers, std):
    points, centers = points.numpy(), centers.numpy()
    distance = np.linalg.norm(points[:, None] - centers, axis=2)
    nearest = distance.argmin(1)
    good = distance.min(1) <= 3 * std
    share = np.bincount(nearest, minlength=len(centers)) / len(points)
    kl = sum(q * np.log(q * len(centers)) for q in share if q > 0)
    return np.int64(len(set(nearest[good].tolist()))), good.mean(), kl


def round_with(sigma=sigma, h_of_g=True, old=False):
    """D first, with another probability, or without h in G's move, or with D's old number."""

    def answer(theta, psi, h):
        new = psi - h * theta * sigma(psi * theta)
        moved = theta + (h if h_of_g else 1) * new * sigma(new * theta)
        return moved, psi if old else new

    return answer


def in_a_loop(D, real, fake):
    return [
        torch.cat([D(torch.cat([x[2 * k], x[2 * k + 1]])[None]) for k in range(len(x) // 2)])
        for x in (real, fake)
    ]


def at_once(D, real, fake):
    logits = D(torch.cat([real, fake]).reshape(-1, 4))
    return logits.chunk(2)


def shuffled(D, real, fake):
    return tuple(D(x[torch.randperm(len(x))].float().reshape(-1, 4)) for x in (real, fake))


RIGHT_FATES = {"a": "out", "b": "round", "c": "in", "d": "out", "e": "out"}


def in_a_list(v, z, h, w):
    return list(graph(v, z, h, w))


def as_a_leaf(v, z, h, w):
    return consensus(v, z, h, w).requires_grad_()


def in_lists(D, real, fake):
    return tuple([D(pair[None])[0] for pair in x.view(-1, 4)] for x in (real, fake))


def half_detached(D, real, fake):
    return D(real.view(-1, 4)), D(torch.cat([fake[::2], fake[1::2].detach()], dim=1))


def shuffling_the_given(D, real, fake):
    real[:] = real[torch.randperm(len(real))]
    return pack(D, real, fake)


def centring_the_given(points, centers, std):
    result = three(points, centers, std)
    points -= points.mean(dim=0)
    return result


ANSWERS = {
    ch03.noisy_eigenvalues: [
        noisy,
        lambda s: noisy(s)[::-1],
        lambda s: torch.linalg.eigvals(
            torch.tensor([[0, 0.5], [-0.5, -(s**2) / 2]], dtype=torch.float64)
        ),
        lambda s: np.roots([1, s**2 / 2, 1 / 4]),
        lambda s: torch.linalg.eigvals(torch.tensor([[0, 0.5], [-0.5, -(s**2) / 2]])),
        lambda s: set(noisy(s)),
    ],
    ch03.alternating_round: [
        alternating,
        lambda *z: torch.tensor(alternating(*z), dtype=torch.float64),
        lambda *z: np.array(alternating(*z), dtype=np.float32),
    ],
    ch03.consensus: [
        consensus,
        lambda v, z, h, w: (
            z.detach() + h * consensus(v, z, 1, w, step=lambda z, v, pull, h, w: v - w * pull)
        ),
        lambda *a: consensus(*a).tolist(),
        lambda *a: consensus(*a).float().numpy(),
        by_jacobian,
        nothing_to_detach,
    ],
    ch03.fates: [RIGHT_FATES, {k.upper(): f" {v.title()}" for k, v in RIGHT_FATES.items()}],
    ch03.three_numbers: [three, metrics.coverage, in_numpy, lambda *a: torch.tensor(three(*a))],
    ch03.packed_logits: [
        pack,
        halves,
        lambda D, real, fake: list(pack(D, real, fake)),
        in_a_loop,
        in_lists,
        at_once,
        shuffled,
    ],
}
RIGHT = [(check, answer) for check, answers in ANSWERS.items() for answer in answers]

WRONG = [
    (ch03.consensus, in_a_list, "hangs on the graph"),
    (ch03.consensus, as_a_leaf, "asks for gradients"),
    (ch03.packed_logits, half_detached, "fakes are detached"),
    (ch03.packed_logits, shuffling_the_given, "changes what it is given"),
    (ch03.three_numbers, centring_the_given, "changes what it is given"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s, sign=1), "Noise damps"),
    (ch03.noisy_eigenvalues, lambda s: (noisy(s)[0],) * 2, "one eigenvalue twice"),
    (ch03.noisy_eigenvalues, lambda s: (noisy(s)[1],) * 2, "one eigenvalue twice"),
    (
        ch03.noisy_eigenvalues,
        lambda s: [-(s**2) / 4 + sign * 1j * abs(s**4 / 16 - 0.25) ** 0.5 for sign in (1, -1)],
        "the root is real",
    ),
    (ch03.alternating_round, round_with(lambda v: sigma(-v)), "both players have the prob"),
    (ch03.alternating_round, round_with(lambda v: 1), "missing from both moves"),
    (ch03.alternating_round, round_with(lambda v: 0.5), "Compute it for each move"),
    (ch03.alternating_round, round_with(h_of_g=False), "multiplied by h too"),
    (ch03.alternating_round, round_with(old=True), "as it was before D's move"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s, damping=1 / 8), "one side only"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s, damping=1 / 2), "-1/4"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s, power=1), "square belongs"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s, beside=1), "±1/2, not ±1"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s, damping=0), "no effect"),
    (ch03.noisy_eigenvalues, lambda s: [2 * x for x in noisy(s)], "twice too large"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s)[0], "two eigenvalues"),
    (ch03.noisy_eigenvalues, lambda s: (0.1, -0.7), "Derive the four entries"),
    (ch03.noisy_eigenvalues, lambda s: noisy(s, power=4), "fourth power"),
    (ch03.noisy_eigenvalues, lambda s: [x.real for x in noisy(s)], "real parts alone"),
    (
        ch03.noisy_eigenvalues,
        lambda s: (
            -(s**2) / 4 + abs(s**4 / 16 - 1 / 4) ** 0.5,
            -(s**2) / 4 - abs(s**4 / 16 - 1 / 4) ** 0.5,
        ),
        "lost its i",
    ),
    (ch03.noisy_eigenvalues, lambda s: np.roots([1, s**2 / 2, -1 / 4]), "same sign"),
    (
        ch03.noisy_eigenvalues,
        lambda s: -(s**2) / 4 + np.array([1, -1]) * np.sqrt(np.float64(s**4 / 16 - 1 / 4)),
        "cmath.sqrt",
    ),
    (ch03.noisy_eigenvalues, lambda s: "-0.1, 0.3", "two eigenvalues"),
    (ch03.noisy_eigenvalues, lambda s: ("-0.1", "0.3"), "each eigenvalue is one number"),
    (ch03.noisy_eigenvalues, lambda s: (*noisy(s), 0), "there are 3"),
    (ch03.noisy_eigenvalues, noisy(0.5), "a function should stand here"),
    (ch03.noisy_eigenvalues, lambda s: math.sqrt(s**4 / 16 - 1 / 4), "your code raised ValueError"),
    (ch03.alternating_round, simultaneous, "still the simultaneous"),
    (ch03.alternating_round, g_first, "G moves first"),
    (ch03.alternating_round, old_sigma, "old probability"),
    (ch03.alternating_round, old_psi, "old ψ in front"),
    (ch03.alternating_round, lambda *z: alternating(*z)[::-1], "wrong order"),
    (ch03.alternating_round, turned, "signs are turned"),
    (ch03.alternating_round, lambda theta, psi, h: (theta, psi), "neither player"),
    (
        ch03.alternating_round,
        lambda theta, psi, h: (theta, alternating(theta, psi, h)[1]),
        "G has not",
    ),
    (ch03.alternating_round, moves, "two moves"),
    (ch03.alternating_round, g_turned, "G's sign"),
    (ch03.alternating_round, d_turned, "D's sign"),
    (ch03.alternating_round, non_saturating, "non-saturating"),
    (ch03.alternating_round, lambda *z: alternating(*map(abs, z)), "ends at"),
    (ch03.alternating_round, lambda *z: (math.nan, 0.0), "theta: the number is nan"),
    (ch03.alternating_round, lambda *z: alternating(*alternating(*z), z[2]), "ends at"),
    (ch03.alternating_round, lambda theta, psi, h: theta, "two new parameters"),
    (ch03.consensus, lambda v, z, h, w: z + h * v(z), "w has no effect"),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z + h * (v + w * pull)),
        "to be subtracted",
    ),
    (ch03.consensus, lambda *a: consensus(*a, measure=lambda v: v.square().sum()), "factor ½"),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z + h * v - w * pull),
        "multiplied by h",
    ),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z - h * w * pull),
        "itself is missing",
    ),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z - h * (v + w * pull)),
        "wrong sign",
    ),
    (ch03.consensus, lambda *a: consensus(*a, measure=torch.norm), "without the root"),
    (ch03.consensus, lambda *a: consensus(*a, measure=torch.sum), "sum of v"),
    (ch03.consensus, as_matrix, "not linear"),
    (ch03.consensus, graph, "hangs on the graph"),
    (ch03.consensus, lambda *a: consensus(*a).sum(), "shape should be"),
    (ch03.consensus, lambda *a: consensus(*a) + 1, "this is not z"),
    (
        ch03.consensus,
        lambda *a: consensus(*a, measure=lambda v: v.square().mean()),
        "mean of squares",
    ),
    (
        ch03.consensus,
        lambda *a: consensus(*a, measure=lambda v: v.square().mean() / 2),
        "of a mean",
    ),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: h * (v - w * pull)),
        "move alone",
    ),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z + h * (v - pull)),
        "w has no effect",
    ),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z + v - w * pull),
        "h has no effect",
    ),
    (ch03.consensus, adding_up, "gradients add up in z.grad"),
    (ch03.consensus, overwriting, "overwrites z"),
    (
        ch03.consensus,
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z - h * (v - w * pull)),
        "goes backwards",
    ),
    (ch03.consensus, lambda v, z, h, w: consensus(v, z, w, h), "h and w are exchanged"),
    (ch03.consensus, lambda v, z, h, w: consensus(v, z, h, h * w), "by h twice"),
    (ch03.consensus, lambda v, z, h, w: z + h * (v(z) - w * v(v(z))), "transposed"),
    (ch03.consensus, lambda v, z, h, w: z + h * (v(z) - w * v(z)), "Differentiate it by z"),
    (ch03.consensus, lambda v, z, h, w: z + h * (v(z) - w * z), "the pull is z"),
    (ch03.consensus, lambda v, z, h, w: 0.5, "shape"),
    (ch03.consensus, lambda v, z, h, w: z * math.nan, "not finite"),
    (ch03.fates, RIGHT_FATES | {"a": "in"}, "small step small enough"),
    (ch03.fates, RIGHT_FATES | {"a": "round"}, "game a"),
    (ch03.fates, RIGHT_FATES | {"b": "out"}, "bound for alternating"),
    (ch03.fates, RIGHT_FATES | {"c": "out"}, "0.75"),
    (ch03.fates, RIGHT_FATES | {"d": "in"}, "R1 allows"),
    (ch03.fates, RIGHT_FATES | {"e": "in"}, "1/√3"),
    (ch03.fates, RIGHT_FATES | {"e": "nowhere"}, "three words"),
    (ch03.fates, "out", "a dictionary"),
    (ch03.fates, list(RIGHT_FATES.values()), "a dictionary"),
    (ch03.fates, RIGHT_FATES | {"f": "in"}, "only five"),
    (ch03.fates, RIGHT_FATES | {"b": 1}, "three words"),
    (ch03.fates, lambda: RIGHT_FATES, "a value should stand here"),
    (ch03.fates, {"a": "out"}, "a dictionary"),
    (ch03.three_numbers, lambda *a: three(*a, near=True), "near any sample"),
    (ch03.three_numbers, lambda p, c, s: (len(c), *three(p, c, s)[1:]), "all centers"),
    (ch03.three_numbers, lambda p, c, s: (1, *three(p, c, s)[1:]), "of 2 modes"),
    (
        ch03.three_numbers,
        lambda p, c, s: (2, *three(p, c, s, bound=100)[1:]),
        "every sample is of high quality",
    ),
    (ch03.three_numbers, lambda p, c, s: (2, *three(p, c, s, bound=4)[1:]), "bound is 3"),
    (
        ch03.three_numbers,
        lambda p, c, s: (2, 1 - three(p, c, s)[1], three(p, c, s)[2]),
        "share of bad",
    ),
    (ch03.three_numbers, lambda p, c, s: (2, 50, three(p, c, s)[2]), "number of good"),
    (ch03.three_numbers, lambda *a: three(*a, only_good=True), "those of good samples"),
    (ch03.three_numbers, lambda *a: three(*a, base=math.log(2)), "in bits"),
    (ch03.three_numbers, lambda *a: three(*a, base=-1), "sign is turned"),
    (
        ch03.three_numbers,
        lambda *a: three(*a, kl=lambda q: torch.xlogy(q, q).sum()),
        "minus the entropy",
    ),
    (
        ch03.three_numbers,
        lambda *a: three(*a, kl=lambda q: -torch.xlogy(q, q).sum()),
        "is the entropy",
    ),
    (
        ch03.three_numbers,
        lambda *a: three(*a, kl=lambda q: torch.xlogy(q, q * len(q)).mean()),
        "mean over the modes",
    ),
    (
        ch03.three_numbers,
        lambda *a: three(*a, kl=lambda q: (q * (q * len(q)).log()).sum()),
        "is NaN",
    ),
    (
        ch03.three_numbers,
        lambda *a: three(*a, kl=lambda q: -(q * len(q)).log().mean()),
        "is infinite",
    ),
    (ch03.three_numbers, lambda *a: three(*a)[:2], "three numbers"),
    (ch03.three_numbers, lambda *a: (2, 0.0, three(*a)[2]), "no sample is of high quality"),
    (ch03.three_numbers, lambda *a: (2, 0.55, three(*a)[2]), "50 of the 80"),
    (ch03.three_numbers, lambda *a: (*three(*a)[:2], 80 * three(*a)[2]), "use shares, not counts"),
    (ch03.three_numbers, lambda *a: (*three(*a)[:2], 0.05), "the reverse KL is .* not 0.05"),
    (
        ch03.three_numbers,
        changed(
            2, lambda kl, p, c, s: kl - math.log(len(c) / len(torch.cdist(p, c).argmin(1).unique()))
        ),
        "only the modes that have samples",
    ),
    (ch03.three_numbers, changed(1, lambda q, *_: 100 * q), "in percent"),
    (ch03.three_numbers, changed(0, lambda m, p, c, s: int(m) + 0.5), "whole number"),
    (ch03.three_numbers, changed(0, lambda m, p, c, s: 50), "number of good samples"),
    (ch03.three_numbers, lambda *a: three(*a)[::-1], "modes"),
    (ch03.three_numbers, lambda *a: three(*a, bound=2.7), "some of them at 2.9"),
    (ch03.three_numbers, at_least_two, "One sample is enough"),
    (ch03.three_numbers, in_the_plane, "in space|in 3 dim"),
    (ch03.packed_logits, lies, "a real and a fake"),
    (
        ch03.packed_logits,
        lambda *a: tuple(torch.sigmoid(x) for x in pack(*a)),
        "no logit of D",
    ),
    (ch03.packed_logits, lambda D, real, fake: pack(D, fake, fake), "all real pairs"),
    (ch03.packed_logits, lambda D, real, fake: pack(D, real, fake)[0], "two tensors"),
    (
        ch03.packed_logits,
        lambda D, real, fake: D(torch.cat([real, fake]).view(-1, 4)).view(-1, 2).T,
        "mixed",
    ),
    (ch03.packed_logits, lambda *a: tuple(x.squeeze(0)[:, None] for x in pack(*a)), "shape"),
    (ch03.packed_logits, lambda D, real, fake: (torch.zeros(len(real) // 2),) * 2, "never called"),
    (ch03.packed_logits, lambda D, real, fake: (D(real), D(fake)), r"D takes pairs"),
    (
        ch03.packed_logits,
        lambda D, real, fake: (D(real.T.reshape(-1, 4)), D(fake.T.reshape(-1, 4))),
        "torn apart",
    ),
    (
        ch03.packed_logits,
        lambda D, r, f: (D(torch.cat([r, r], 1)), D(torch.cat([f, f], 1))),
        "with itself",
    ),
    (
        ch03.packed_logits,
        lambda D, r, f: tuple(D(torch.cat([x, x.roll(1, 0)], 1)) for x in (r, f)),
        "as many logits",
    ),
    (
        ch03.packed_logits,
        lambda D, r, f: tuple(x.repeat_interleave(2) for x in pack(D, r, f)),
        "as many logits",
    ),
    (ch03.packed_logits, lambda D, r, f: pack(D, r, f)[::-1], "wrong order"),
    (ch03.packed_logits, lambda D, r, f: pack(D, r, f.detach()), "fakes are detached"),
    (ch03.packed_logits, torch.no_grad()(pack), "tensors with a graph"),
    (ch03.packed_logits, lambda *a: [x.tolist() for x in pack(*a)], "tensors with a graph"),
    (ch03.packed_logits, lambda *a: [x.detach() for x in pack(*a)], "tensors with a graph"),
    (
        ch03.packed_logits,
        lambda D, r, f: tuple(D(torch.cat([x, x.roll(1, 0)], 1))[: len(x) // 2] for x in (r, f)),
        "several pairs",
    ),
    (ch03.packed_logits, lambda D, real, fake: D(real.view(-1, 4)).sum(), "two tensors"),
]
