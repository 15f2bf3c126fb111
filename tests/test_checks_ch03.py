"""Checks of chapter 3: right answers pass, and each wrong answer is named for what it is."""

import cmath
import math

import pytest
import torch

from ganbook import metrics
from ganbook.checks import Mistake, ch03

REPEATS = 5  # the checks draw their inputs at random: a right answer must pass whatever they draw


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


def consensus(v, z, h, w, measure=lambda v: v.square().sum() / 2, step=lambda z, v, pull, h, w: z + h * (v - w * pull)):
    z = z.detach().requires_grad_()
    velocity = v(z)
    (pull,) = torch.autograd.grad(measure(velocity), z)
    return step(z, velocity, pull, h, w).detach()


def graph(v, z, h, w):
    z = z if z.requires_grad else z.detach().requires_grad_()
    velocity = v(z)
    (pull,) = torch.autograd.grad(velocity.square().sum() / 2, z, create_graph=True)
    return z + h * (velocity - w * pull)


def as_matrix(v, z, h, w):
    J = torch.stack([v(e) for e in torch.eye(len(z), dtype=z.dtype)], dim=1)
    return z + h * (v(z) - w * J.T @ J @ z)


def three(points, centers, std, *, bound=3, only_good=False, base=1.0, near=False, kl=None, squared=False):
    distance, nearest = torch.cdist(points, centers).min(dim=1)
    good = (distance**2 if squared else distance) <= bound * std
    counted = nearest[good] if only_good else nearest
    share = torch.bincount(counted, minlength=len(centers)) / len(counted)
    value = torch.xlogy(share, share * len(centers)).sum() / base if kl is None else kl(share)
    return len((nearest if near else nearest[good]).unique()), good.double().mean().item(), value.item()


def pack(D, real, fake):
    return D(real.view(-1, 4)), D(fake.view(-1, 4))


def halves(D, real, fake):
    return tuple(D(torch.cat(x.chunk(2), dim=1)) for x in (real, fake))


def lies(D, real, fake):
    logits = D(torch.cat([real, fake], dim=1))
    return logits, logits


RIGHT_FATES = {"a": "out", "b": "round", "c": "in", "d": "out", "e": "out"}

RIGHT = {
    "noisy_eigenvalues": [
        noisy,
        lambda s: noisy(s)[::-1],
        lambda s: torch.linalg.eigvals(torch.tensor([[0, 0.5], [-0.5, -(s**2) / 2]], dtype=torch.float64)),
    ],
    "alternating_round": [alternating, lambda *z: torch.tensor(alternating(*z), dtype=torch.float64)],
    "consensus": [
        consensus,
        lambda v, z, h, w: z.detach() + h * consensus(v, z, 1, w, step=lambda z, v, pull, h, w: v - w * pull),
    ],
    "fates": [RIGHT_FATES],
    "three_numbers": [three, metrics.coverage],
    "packed_logits": [pack, halves, lambda D, real, fake: list(pack(D, real, fake))],
}

WRONG = [
    ("noisy_eigenvalues", lambda s: noisy(s, sign=1), "Noise damps"),
    ("noisy_eigenvalues", lambda s: noisy(s, damping=1 / 8), "one side only"),
    ("noisy_eigenvalues", lambda s: noisy(s, damping=1 / 2), "-1/4"),
    ("noisy_eigenvalues", lambda s: noisy(s, power=1), "square belongs"),
    ("noisy_eigenvalues", lambda s: noisy(s, beside=1), "±1/2, not ±1"),
    ("noisy_eigenvalues", lambda s: noisy(s, damping=0), "no effect"),
    ("noisy_eigenvalues", lambda s: [2 * x for x in noisy(s)], "twice too large"),
    ("noisy_eigenvalues", lambda s: noisy(s)[0], "two eigenvalues"),
    ("noisy_eigenvalues", lambda s: (0.1, -0.7), "Derive the four entries"),
    ("noisy_eigenvalues", lambda s: math.sqrt(s**4 / 16 - 1 / 4), "your code raised ValueError"),
    ("alternating_round", simultaneous, "still the simultaneous"),
    ("alternating_round", g_first, "G moves first"),
    ("alternating_round", old_sigma, "old probability"),
    ("alternating_round", old_psi, "old ψ in front"),
    ("alternating_round", lambda *z: alternating(*z)[::-1], "wrong order"),
    ("alternating_round", turned, "signs are turned"),
    ("alternating_round", lambda theta, psi, h: (theta, psi), "ends at"),
    ("alternating_round", lambda theta, psi, h: theta, "two new parameters"),
    ("consensus", lambda v, z, h, w: z + h * v(z), "w has no effect"),
    (
        "consensus",
        lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z + h * (v + w * pull)),
        "to be subtracted",
    ),
    ("consensus", lambda *a: consensus(*a, measure=lambda v: v.square().sum()), "factor ½"),
    ("consensus", lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z + h * v - w * pull), "multiplied by h"),
    ("consensus", lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z - h * w * pull), "itself is missing"),
    ("consensus", lambda *a: consensus(*a, step=lambda z, v, pull, h, w: z - h * (v + w * pull)), "wrong sign"),
    ("consensus", lambda *a: consensus(*a, measure=torch.norm), "without the root"),
    ("consensus", lambda *a: consensus(*a, measure=torch.sum), "sum of v"),
    ("consensus", as_matrix, "not linear"),
    ("consensus", graph, "hangs on the graph"),
    ("consensus", lambda *a: consensus(*a).sum(), "shape should be"),
    ("consensus", lambda *a: consensus(*a) + 1, "this is not z"),
    ("fates", RIGHT_FATES | {"a": "in"}, "small step small enough"),
    ("fates", RIGHT_FATES | {"a": "round"}, "game a"),
    ("fates", RIGHT_FATES | {"b": "out"}, "bound for alternating"),
    ("fates", RIGHT_FATES | {"c": "out"}, "0.75"),
    ("fates", RIGHT_FATES | {"d": "in"}, "R1 allows"),
    ("fates", RIGHT_FATES | {"e": "in"}, "1/√3"),
    ("fates", RIGHT_FATES | {"e": "nowhere"}, "three words"),
    ("fates", "out", "a dictionary"),
    ("fates", {"a": "out"}, "a dictionary"),
    ("three_numbers", lambda *a: three(*a, near=True), "near any sample"),
    ("three_numbers", lambda p, c, s: (len(c), *three(p, c, s)[1:]), "all centers"),
    ("three_numbers", lambda p, c, s: (1, *three(p, c, s)[1:]), "2 modes"),
    ("three_numbers", lambda p, c, s: (2, *three(p, c, s, bound=100)[1:]), "every sample is of high quality"),
    ("three_numbers", lambda p, c, s: (2, *three(p, c, s, bound=4)[1:]), "bound is 3"),
    ("three_numbers", lambda p, c, s: (2, 1 - three(p, c, s)[1], three(p, c, s)[2]), "share of bad"),
    ("three_numbers", lambda p, c, s: (2, 50, three(p, c, s)[2]), "number of good"),
    ("three_numbers", lambda *a: three(*a, only_good=True), "those of good samples"),
    ("three_numbers", lambda *a: three(*a, base=math.log(2)), "in bits"),
    ("three_numbers", lambda *a: three(*a, base=-1), "sign is turned"),
    ("three_numbers", lambda *a: three(*a, kl=lambda q: torch.xlogy(q, q).sum()), "minus the entropy"),
    ("three_numbers", lambda *a: three(*a, kl=lambda q: -torch.xlogy(q, q).sum()), "is the entropy"),
    ("three_numbers", lambda *a: three(*a, kl=lambda q: torch.xlogy(q, q * len(q)).mean()), "mean over the modes"),
    ("three_numbers", lambda *a: three(*a, kl=lambda q: (q * (q * len(q)).log()).sum()), "is NaN"),
    ("three_numbers", lambda *a: three(*a, kl=lambda q: -(q * len(q)).log().mean()), "is infinite"),
    ("three_numbers", lambda *a: three(*a)[:2], "three numbers"),
    ("packed_logits", lies, "a real and a fake"),
    ("packed_logits", lambda D, real, fake: (D(real), D(fake)), r"D takes pairs"),
    ("packed_logits", lambda D, real, fake: (D(real.T.reshape(-1, 4)), D(fake.T.reshape(-1, 4))), "torn apart"),
    ("packed_logits", lambda D, r, f: (D(torch.cat([r, r], 1)), D(torch.cat([f, f], 1))), "with itself"),
    (
        "packed_logits",
        lambda D, r, f: tuple(D(torch.cat([x, x.roll(1, 0)], 1)) for x in (r, f)),
        "as many logits",
    ),
    (
        "packed_logits",
        lambda D, r, f: tuple(x.repeat_interleave(2) for x in pack(D, r, f)),
        "as many logits",
    ),
    ("packed_logits", lambda D, r, f: pack(D, r, f)[::-1], "wrong order"),
    (
        "packed_logits",
        lambda D, r, f: tuple(D(torch.cat([x, x.roll(1, 0)], 1))[: len(x) // 2] for x in (r, f)),
        "several pairs",
    ),
    ("packed_logits", lambda D, real, fake: D(real.view(-1, 4)).sum(), "two tensors"),
]


@pytest.mark.parametrize(("name", "index"), [(name, i) for name in RIGHT for i in range(len(RIGHT[name]))])
def test_right_answers_pass_for_every_draw(name, index, capsys):
    for _ in range(REPEATS):
        getattr(ch03, name)(RIGHT[name][index])
    assert capsys.readouterr().out.count("solved") == REPEATS


@pytest.mark.parametrize("index", range(len(WRONG)), ids=[f"{name}-{message}" for name, _, message in WRONG])
def test_wrong_answers_are_named(index):
    name, answer, message = WRONG[index]
    for _ in range(3):
        with pytest.raises(Mistake, match=message):
            getattr(ch03, name)(answer)


def test_each_exercise_has_three_wrong_answers_or_more():
    for name in RIGHT:
        assert sum(wrong[0] == name for wrong in WRONG) >= 3


@pytest.mark.parametrize("name", RIGHT)
def test_an_open_stub_is_open_and_not_wrong(name, capsys):
    getattr(ch03, name)(... if name == "fates" else lambda *inputs: ...)
    assert "is open" in capsys.readouterr().out
