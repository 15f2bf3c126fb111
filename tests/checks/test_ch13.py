"""Checks of chapter 13: right answers pass, and each wrong answer is named for what it is."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as nnF
from spoilt import spoiling

from ganbook import losses
from ganbook.checks import ch13


def blur(s, start=0.0, gain=1.0, fake=1.0, cost=None):
    D = gain * s * math.log(s / (1 + s)) - fake * math.log(1 + s)
    return (start - D) / (4 * (1 - s) ** 2 if cost is None else cost(s))


def blur_by_search(s):
    """No formula: the two sums on both sides of a weight, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(200):
        weight = (low + high) / 2
        answer = weight * 4 * (1 - s) + s * math.log(s) - (1 + s) * math.log(1 + s)
        low, high = (low, weight) if weight * 4 * s * (1 - s) <= answer else (weight, high)
    return high


def blur_of(discriminator, s):
    """From what the discriminator leaves at -1, of which the sign is turned."""
    return -discriminator / (4 * (1 - s) ** 2)


def C(s):
    return s * math.log(s / (1 + s)) - math.log(1 + s)


def side(layers):
    """From the output back to the input."""
    found = 1
    for kernel, stride in reversed(layers):
        found = (found - 1) * stride + kernel
    return found


def side_by_products(layers):
    steps = np.cumprod([1] + [stride for _, stride in layers])
    return 1 + sum((kernel - 1) * step for (kernel, _), step in zip(layers, steps, strict=False))


def side_forward(layers, own=False, start=1, less=1, of=lambda step, stride: step * stride):
    found, step = start, 1
    for kernel, stride in layers:
        if own:
            step = of(step, stride)
        found += (kernel - less) * step
        if not own:
            step = of(step, stride)
    return found


def side_by_pixels(layers):
    """The pixels themselves."""
    seen = {0}
    for kernel, stride in reversed(layers):
        seen = {stride * pixel + k for pixel in seen for k in range(kernel)}
    return len(seen)


def side_by_popping(layers):
    found = step = 1
    while layers:
        kernel, stride = layers.pop(0)
        found += (kernel - 1) * step
        step *= stride
    return found


def terms(G, F, D_a, D_b, a, b, weight, cut=(), loss=None, p=1):
    fools = (loss or losses.nonsaturating).g
    fake_b, fake_a = G(a), F(b)
    from_b = fake_b.detach() if "a" in cut else fake_b
    from_a = fake_a.detach() if "b" in cut else fake_a
    return {
        "fools a": fools(None, D_a(fake_a)),
        "fools b": fools(None, D_b(fake_b)),
        "cycle a": weight * (F(from_b) - a).abs() ** p,
        "cycle b": weight * (G(from_a) - b).abs() ** p,
    }


def terms_by_torch(G, F, D_a, D_b, a, b, weight):
    """Means taken already, other names, the cycles in one term, both piles in one call."""
    fake_b, fake_a = G(a), F(b)
    back = torch.cat([F(fake_b), G(fake_a)])
    logits = torch.cat([D_a(fake_a), D_b(fake_b)])
    return {
        "verdicts": 2 * nnF.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)),
        "there and back": 2 * weight * nnF.l1_loss(back, torch.cat([a, b])),
    }


def changed(change):
    """The terms, changed: a function of their dictionary and of what they were made from."""

    def answer(*given):
        found = terms(*given)
        change(found, *given)
        return found

    return answer


def swapped(found, G, F, D_a, D_b, a, b, weight):
    found["fools a"] = losses.nonsaturating.g(None, D_b(F(b)))
    found["fools b"] = losses.nonsaturating.g(None, D_a(G(a)))


def judged(found, G, F, D_a, D_b, a, b, weight):
    found["fools a"] = nnF.softplus(D_a(F(b)))
    found["fools b"] = nnF.softplus(D_b(G(a)))


def other_targets(found, G, F, D_a, D_b, a, b, weight):
    found["cycle a"] = weight * (F(G(a)) - b).abs()
    found["cycle b"] = weight * (G(F(b)) - a).abs()


def wrong_way(found, G, F, D_a, D_b, a, b, weight):
    found["cycle a"] = weight * (G(F(a)) - a).abs()
    found["cycle b"] = weight * (F(G(b)) - b).abs()


def as_pairs(found, G, F, D_a, D_b, a, b, weight):
    found["cycle a"] = weight * (G(a) - b).abs()
    found["cycle b"] = weight * (F(b) - a).abs()


def no_way_back(found, G, F, D_a, D_b, a, b, weight):
    found["cycle a"] = weight * (G(a) - a).abs()
    found["cycle b"] = weight * (F(b) - b).abs()


def identity(factor):
    def change(found, G, F, D_a, D_b, a, b, weight):
        found["same a"] = factor(weight) * (F(a) - a).abs()
        found["same b"] = factor(weight) * (G(b) - b).abs()

    return changed(change)


def identity_for_cycles(found, G, F, D_a, D_b, a, b, weight):
    found["cycle a"] = weight * (F(a) - a).abs()
    found["cycle b"] = weight * (G(b) - b).abs()


def both_turns(found, G, F, D_a, D_b, a, b, weight):
    found["D a"] = losses.nonsaturating.d(D_a(a), D_a(F(b).detach()))
    found["D b"] = losses.nonsaturating.d(D_b(b), D_b(G(a).detach()))


def summed(names, axis=1):
    def change(found, *given):
        for name in names:
            found[name] = found[name].flatten(axis).sum(axis)

    return changed(change)


def scaled(names, factor):
    def change(found, *given):
        for name in names:
            found[name] = factor(given[-1]) * found[name]

    return changed(change)


def frozen(*given):
    with torch.no_grad():
        return terms(*given)


def copies(which, *given):
    return terms(*(copy.deepcopy(x) if i in which else x for i, x in enumerate(given)))


def way_back_frozen(found, G, F, D_a, D_b, a, b, weight):
    found["cycle a"] = weight * (copy.deepcopy(F)(G(a)) - a).abs()
    found["cycle b"] = weight * (copy.deepcopy(G)(F(b)) - b).abs()


def verdict_detached(G, F, D_a, D_b, *given):
    return terms(G, F, lambda x: D_a(x.detach()), lambda x: D_b(x.detach()), *given)


def style_of(content, style, eps, dims=(2, 3), unbiased=False, root=None, finish=None):
    root = root or (lambda variance: (variance + eps).sqrt())
    means = [x.mean(dims, keepdim=True) for x in (content, style)]
    stds = [root(x.var(dims, unbiased=unbiased, keepdim=True)) for x in (content, style)]
    if finish:
        return finish(content, *means, *stds)
    return (content - means[0]) / stds[0] * stds[1] + means[1]


def deviation(x):
    return x.var((2, 3), unbiased=False, keepdim=True).sqrt()


def style_by_torch(content, style, eps):
    normal = nnF.instance_norm(content, eps=eps)
    std = (style.flatten(2).var(2, correction=0) + eps).sqrt()
    return torch.einsum("nchw,nc->nchw", normal, std) + style.flatten(2).mean(2)[..., None, None]


def style_by_numpy(content, style, eps):
    content, style = content.double().numpy(), style.double().numpy()
    result = np.empty(content.shape)
    for n, c in np.ndindex(content.shape[:2]):
        own, other = content[n, c], style[n, c]
        scale = np.sqrt(other.var() + eps) / np.sqrt(own.var() + eps)
        result[n, c] = (own - own.mean()) * scale + other.mean()
    return result


COUNTS = {"a": 6, "b": 4, "c": 6, "d": 1}

RIGHT = [
    (ch13.blur_wins_from, blur),
    (ch13.blur_wins_from, blur_by_search),
    (
        ch13.blur_wins_from,
        lambda s: ((1 + s) * math.log1p(s) - s * math.log(s)) / (2 - 2 * s) ** 2,
    ),
    (ch13.blur_wins_from, lambda s: torch.tensor(blur(s))),
    (ch13.blur_wins_from, lambda s: np.float32(blur(s))),
    (ch13.receptive_field, side),
    (ch13.receptive_field, side_by_products),
    (ch13.receptive_field, side_forward),
    (ch13.receptive_field, lambda layers: torch.tensor(float(side(layers)))),
    (ch13.translators_terms, terms),
    (ch13.translators_terms, terms_by_torch),
    (
        ch13.translators_terms,
        lambda *given: {k: v.flatten() for k, v in terms(*given).items()},
    ),
    (
        ch13.translators_terms,
        lambda *given: {k: v.flatten(1).mean(1) for k, v in terms(*given).items()},
    ),
    (ch13.translators_terms, lambda *given: copies((2, 3), *given)),
    (
        ch13.translators_terms,
        lambda *given: {"all": sum(v.mean() for v in terms(*given).values())},
    ),
    (ch13.perfect_translations, COUNTS),
    (ch13.perfect_translations, {k: float(v) for k, v in COUNTS.items()}),
    (ch13.perfect_translations, {k: torch.tensor(v) for k, v in COUNTS.items()}),
    (ch13.adain, style_of),
    (ch13.adain, style_by_torch),
    (ch13.adain, style_by_numpy),
    (ch13.adain, lambda c, s, e: style_of(c.double(), s.double(), e).tolist()),
]

CYCLES = ("cycle a", "cycle b")
FOOLS = ("fools a", "fools b")

WRONG = [
    (ch13.blur_wins_from, lambda s: -blur(s), "sign is turned"),
    (ch13.blur_wins_from, lambda s: math.inf, "with L1 the mean never"),
    (ch13.blur_wins_from, lambda s: 2 * blur(s), "twice"),
    (ch13.blur_wins_from, lambda s: blur(s) / 2, "half of it"),
    (ch13.blur_wins_from, lambda s: 1 / blur(s), "inverse"),
    (ch13.blur_wins_from, lambda s: blur(0.5), "whatever s is"),
    (ch13.blur_wins_from, lambda s: -C(s), "how much the discriminator prefers"),
    (ch13.blur_wins_from, lambda s: 4 * (1 - s) ** 2, "what -1 costs"),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: 4 * (1 - s)), "not 0"),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: 4 * s * (1 - s)), "the variance"),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: 4 * (1 - s * s)), "not added"),
    (ch13.blur_wins_from, lambda s: -C(s) / (3 - 4 * s), "answer 0"),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: (1 - s) ** 2), "factor 4"),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: (1 + s) ** 2), "taken to be s"),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: (2 - s) ** 2), "taken to be 1 - s"),
    (ch13.blur_wins_from, lambda s: -C(s) / (1 - 2 * s) ** 2, "square of the mean"),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: 2 * (1 - s)), "not squared.*L1.*half"),
    (ch13.blur_wins_from, lambda s: C(s) / (2 * (1 - s) * (2 * s - 1)), "difference in expected"),
    (ch13.blur_wins_from, lambda s: -C(s) / (2 * (1 - s) * (2 * s - 1)), "difference in expected"),
    (
        ch13.blur_wins_from,
        lambda s: blur(s, cost=lambda s: 2 * (1 - s) ** 0.5 * (1 - s**0.5)),
        "no root",
    ),
    (ch13.blur_wins_from, lambda s: blur(s, cost=lambda s: 4 * s**2), "at [+]1. s is the share"),
    (ch13.blur_wins_from, lambda s: blur(1 - s), "likelier one is the better"),
    (ch13.blur_wins_from, lambda s: blur_of(C(1 - s), s), "C of the other answer"),
    (ch13.blur_wins_from, lambda s: blur_of(-math.log(4) - C(s), s), "compared with log 4"),
    (ch13.blur_wins_from, lambda s: blur_of(C(s) + math.log(4), s), "compared with log 4"),
    (ch13.blur_wins_from, lambda s: blur(s, start=math.log(4)), "compared with log 4"),
    (ch13.blur_wins_from, lambda s: blur_of(C(s) - C(1 - s), s), "compares -1 with the rarer"),
    (
        ch13.blur_wins_from,
        lambda s: blur_of(s * C(s) + (1 - s) * C(1 - s), s),
        "averaged over both",
    ),
    (ch13.blur_wins_from, lambda s: s * blur(s), "average already"),
    (ch13.blur_wins_from, lambda s: blur(s) / math.log(2), "base 2"),
    (ch13.blur_wins_from, lambda s: blur(s, gain=0.0), "discriminator on real"),
    (ch13.blur_wins_from, lambda s: blur(s, fake=0.0), "discriminator on fakes"),
    (ch13.blur_wins_from, lambda s: blur(s, fake=-1.0), "both parts"),
    (
        ch13.blur_wins_from,
        lambda s: ((1 + s) * math.log(1 + s) + s * math.log(s)) / (4 * (1 - s) ** 2),
        "sign of s log s",
    ),
    (ch13.blur_wins_from, lambda s: blur(s, gain=1 / s), "have the share s"),
    (ch13.blur_wins_from, lambda s: blur(s, fake=s), "all fakes"),
    (
        ch13.blur_wins_from,
        lambda s: blur_of(s * math.log(s) + math.log(1 - s), s),
        "at -1, not s",
    ),
    (ch13.blur_wins_from, lambda s: blur_of(-(1 + s) * math.log(2), s), "at -1, not 1/2"),
    (ch13.blur_wins_from, lambda s: blur(s) + 0.01, "not the weight"),
    (ch13.blur_wins_from, lambda s: float("nan"), "nan"),
    (ch13.receptive_field, lambda layers: side_forward(layers, own=True), "own stride"),
    (ch13.receptive_field, lambda layers: side(layers[::-1]), "wrong end"),
    (ch13.receptive_field, lambda layers: 1 + sum(k - 1 for k, _ in layers), "no effect"),
    (ch13.receptive_field, lambda layers: side_forward(layers, start=0), "one is missing|see"),
    (ch13.receptive_field, lambda layers: side_forward(layers, less=0), "k - 1"),
    (ch13.receptive_field, lambda layers: side_forward(layers, less=0, start=0), "k - 1|itself"),
    (
        ch13.receptive_field,
        lambda layers: side_forward(layers, of=lambda step, stride: stride),
        "product of all strides",
    ),
    (
        ch13.receptive_field,
        lambda layers: side_forward(layers, of=lambda step, stride: step + stride - 1),
        "strides multiply",
    ),
    (ch13.receptive_field, lambda layers: side(layers) ** 2, "area"),
    (ch13.receptive_field, side_by_popping, "changes the list"),
    (ch13.receptive_field, side_by_pixels, "from the first to the last"),
    (ch13.receptive_field, lambda layers: 18, "reaches over"),
    (ch13.receptive_field, lambda layers: side(layers) + 0.5, "whole number"),
    (ch13.translators_terms, lambda *g: terms(*g, cut="ab"), "second half"),
    (ch13.translators_terms, lambda *g: terms(*g, cut="a"), "no gradient for G"),
    (ch13.translators_terms, lambda *g: terms(*g, cut="b"), "no gradient for F"),
    (ch13.translators_terms, verdict_detached, "from the discriminators' verdict"),
    (ch13.translators_terms, frozen, "no gradient reaches"),
    (ch13.translators_terms, lambda *g: copies((0,), *g), "G gets no gradient at all"),
    (ch13.translators_terms, lambda *g: copies((1,), *g), "F gets no gradient at all"),
    (ch13.translators_terms, lambda *g: copies((0, 1), *g), "reaches G and F"),
    (ch13.translators_terms, changed(way_back_frozen), "first half"),
    (ch13.translators_terms, scaled(CYCLES, lambda w: 1 / w), "weight is missing"),
    (ch13.translators_terms, scaled(FOOLS, lambda w: w), "cycles alone"),
    (ch13.translators_terms, scaled(CYCLES, lambda w: -1), "wrong sign"),
    (ch13.translators_terms, scaled(CYCLES, lambda w: 0), "both cycles are missing"),
    (ch13.translators_terms, scaled(FOOLS, lambda w: 0), "nothing asks"),
    (ch13.translators_terms, scaled(FOOLS[:1], lambda w: 0), "missing: fools a"),
    (ch13.translators_terms, scaled(CYCLES[1:], lambda w: 2), "twice: cycle b"),
    (ch13.translators_terms, changed(swapped), "changed places"),
    (ch13.translators_terms, changed(judged), "wants of fakes"),
    (ch13.translators_terms, changed(other_targets), "where it started"),
    (ch13.translators_terms, changed(wrong_way), "takes images of A"),
    (ch13.translators_terms, changed(as_pairs), "no pairs"),
    (ch13.translators_terms, changed(no_way_back), "go back first"),
    (ch13.translators_terms, lambda *g: terms(*g, p=2), "not squared"),
    (ch13.translators_terms, lambda *g: terms(*g, loss=losses.least_squares), "squares"),
    (ch13.translators_terms, lambda *g: terms(*g, loss=losses.minimax), "minimax"),
    (ch13.translators_terms, scaled(FOOLS, lambda w: 0.5), "no mean of them"),
    (ch13.translators_terms, scaled(CYCLES, lambda w: 0.5), "no mean of the two"),
    (ch13.translators_terms, identity(lambda w: 1), "identity loss.* is added"),
    (ch13.translators_terms, identity(lambda w: w / 2), "identity loss.* is added"),
    (ch13.translators_terms, identity(lambda w: w), "identity loss.* is added"),
    (ch13.translators_terms, changed(identity_for_cycles), "identity loss, no cycle"),
    (ch13.translators_terms, changed(both_turns), "their own turn"),
    (ch13.translators_terms, summed(CYCLES), "pixels.*: the cycles"),
    (ch13.translators_terms, summed(FOOLS), "pixels.*verdict"),
    (ch13.translators_terms, summed(CYCLES + FOOLS), "pixels.*all four"),
    (ch13.translators_terms, summed(CYCLES, axis=0), "pixels.*: the cycles"),
    (ch13.translators_terms, lambda *g: list(terms(*g).values()), "return a dictionary"),
    (ch13.translators_terms, lambda *g: {}, "empty"),
    (
        ch13.translators_terms,
        lambda *g: {k: v.mean().item() for k, v in terms(*g).items()},
        "tensor should stand here",
    ),
    (ch13.translators_terms, spoiling(terms, 4), "changes what it is given"),
    (ch13.perfect_translations, COUNTS | {"a": 24}, "settles kind 0"),
    (ch13.perfect_translations, COUNTS | {"a": 1}, "settles one kind"),
    (ch13.perfect_translations, COUNTS | {"b": 24}, "equally frequent can change"),
    (ch13.perfect_translations, COUNTS | {"b": 2}, "both groups"),
    (ch13.perfect_translations, COUNTS | {"b": 8}, "would see it"),
    (ch13.perfect_translations, COUNTS | {"c": 3}, "3! ways"),
    (ch13.perfect_translations, COUNTS | {"c": 1}, "no loss sees"),
    (ch13.perfect_translations, COUNTS | {"d": 2}, "leaves one empty"),
    (ch13.perfect_translations, COUNTS | {"d": 24}, "seen by a discriminator"),
    (ch13.perfect_translations, COUNTS | {"d": 5}, "Count the orders"),
    (ch13.perfect_translations, COUNTS | {"c": 5.5}, "whole number"),
    (ch13.perfect_translations, {"a": 6}, "a dictionary"),
    (ch13.perfect_translations, 6, "a dictionary"),
    (ch13.adain, lambda c, s, e: c, "content itself"),
    (ch13.adain, lambda c, s, e: s, "shape should be|style itself"),
    (ch13.adain, lambda c, s, e: style_of(s, c, e), "shape should be|changed places"),
    (ch13.adain, lambda *g: style_of(*g, dims=(0, 2, 3)), "the batch's"),
    (ch13.adain, lambda *g: style_of(*g, dims=(1, 2, 3)), "run over the channels"),
    (ch13.adain, lambda *g: style_of(*g, dims=(0, 1, 2, 3)), "for everything"),
    (ch13.adain, lambda *g: style_of(*g, unbiased=True), "unbiased=False"),
    (ch13.adain, lambda *g: style_of(*g, root=lambda v: v.sqrt()), "eps is not used"),
    (ch13.adain, lambda *g: style_of(*g, root=lambda v: v.sqrt() + g[2]), "under the root"),
    (ch13.adain, lambda *g: style_of(*g, root=lambda v: v + g[2]), "take their roots"),
    (
        ch13.adain,
        lambda *g: style_of(*g, finish=lambda x, m, n, s, t: (x - m) / s),
        "style's scale and mean are missing",
    ),
    (
        ch13.adain,
        lambda *g: style_of(*g, finish=lambda x, m, n, s, t: (x - m) / s * t),
        "style's mean is missing",
    ),
    (
        ch13.adain,
        lambda *g: style_of(*g, finish=lambda x, m, n, s, t: x - m + n),
        "only the means",
    ),
    (
        ch13.adain,
        lambda *g: style_of(*g, finish=lambda x, m, n, s, t: (x - m) / s * n + t),
        "changed places",
    ),
    (
        ch13.adain,
        lambda *g: style_of(*g, finish=lambda x, m, n, s, t: ((x - m) / s + n) * t),
        "scale first",
    ),
    (
        ch13.adain,
        lambda *g: style_of(*g, finish=lambda x, m, n, s, t: x / s * t + n),
        "not taken off",
    ),
    (
        ch13.adain,
        lambda *g: style_of(*g, finish=lambda x, m, n, s, t: (x - m) * t + n),
        "not divided",
    ),
    (
        ch13.adain,
        lambda c, s, e: style_of(
            c, s, e, finish=lambda x, m, n, d, t: (x - m) / d * deviation(s) + n
        ),
        "eps to the style's",
    ),
    (
        ch13.adain,
        lambda c, s, e: style_of(
            c, s, e, finish=lambda x, m, n, d, t: (x - m) / deviation(c) * t + n
        ),
        "eps to the content's",
    ),
    (ch13.adain, lambda c, s, e: style_of(c, s, 1e-5), "eps|each channel"),
    (ch13.adain, spoiling(style_of, 0), "changes what it is given"),
]


def test_the_receptive_field_of_the_check_is_that_of_the_exercise_s_stacks():
    assert ch13._reached([(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]) == (70, 70)
    assert ch13._reached([(4, 2), (4, 2), (3, 1)]) == (18, 18)


def test_the_side_goes_from_the_first_pixel_to_the_last_also_over_gaps():
    for layers in ch13.STACKS:
        assert ch13._reached(layers) == (side(layers), side_by_pixels(layers))
    assert ch13._reached(ch13.STACKS[-1]) == (5, 3)
