"""Checks of chapter 13, image translation."""

import itertools
import math
from collections.abc import Mapping

import torch
from torch import nn

from ganbook.checks import (
    Mistake,
    count,
    exercise,
    kind,
    near,
    number,
    on_copies,
    recognise,
    recognise_number,
    require,
    same,
    tensor,
)


@exercise("13.1")
def blur_wins_from(answer):
    """Against the weight at which the two sums, each written out, are equal."""
    for s in (0.65, 0.75, 0.9, 0.5):
        _check_weight(number(answer(s), infinite=True), s)


def _check_weight(found, s) -> None:
    reals = {share: share * math.log(share / (1 + share)) for share in (s, 1 - s)}
    fakes = {share: -math.log(1 + share) for share in (s, 1 - s)}
    C = {share: reals[share] + fakes[share] for share in (s, 1 - s)}
    error = {g: s * (-1 - g) ** 2 + (1 - s) * (1 - g) ** 2 for g in (-1, 0, 1, 1 - 2 * s)}
    mean = error[1 - 2 * s]
    further = error[-1] - mean
    right = -C[s] / further
    at_half = 1.5 * math.log(1.5) + 0.5 * math.log(2)

    def over(costs):
        return -C[s] / costs if costs else math.nan

    recognise_number(
        found,
        (math.inf, "with L1 the mean never wins. With the squared error it does."),
        (-right, "the sign is turned: a weight is positive. C(s) is below 0."),
        (2 * right, "this is twice it: don't halve the squared error, and count C once."),
        (right / 2, "this is half of it: C holds twice the JSD, and all of C counts."),
        (further / -C[s], "this is the inverse: the weight stands at the squared error."),
        (at_half, "this is the weight for s = 0.5, whatever s is."),
        (-C[s], "this is how much the discriminator prefers -1. Divide by what it costs."),
        (further, "this is what -1 costs in squared error. How much does the discriminator gain?"),
        # what -1 costs
        (
            over(error[-1]),
            "this divides by the squared error of -1. What counts is by how much it exceeds"
            " that of the mean, which is not 0.",
        ),
        (over(mean), "this divides by the squared error of the mean, the variance."),
        (over(error[-1] + mean), "the squared error of the mean is subtracted, not added."),
        (
            over(error[-1] - error[0]),
            "this compares -1 with the answer 0. The mean is 1 - 2s: the two are not equally"
            " frequent.",
        ),
        (
            over((1 - s) ** 2),
            "a factor 4 is missing: the answers -1 and 1 are 2 apart, so the mean is 2 (1 - s)"
            " from -1.",
        ),
        (over((1 + s) ** 2), "the mean is taken to be s. Of -1 and +1 it is 1 - 2s."),
        (over((2 - s) ** 2), "the mean is taken to be 1 - s. Of -1 and +1 it is 1 - 2s."),
        (
            over((1 - 2 * s) ** 2),
            "this is the square of the mean, its distance from 0. Its distance from -1 counts.",
        ),
        (
            over(2 * (1 - s)),
            "this divides by 2 (1 - s): the distance from -1 to the mean is not squared, or the"
            " expected L1 of -1, or half its squared error, is taken.",
        ),
        *(
            (
                over(sign * 2 * (1 - s) * (1 - 2 * s)),
                "this is the difference in expected L1. The squared error is asked for.",
            )
            for sign in (1, -1)
        ),
        (
            over(math.sqrt(error[-1]) - math.sqrt(mean)),
            "these are the roots of the squared errors: take no root.",
        ),
        (over(4 * s**2), "this takes the rarer answer, at +1. s is the share of -1."),
        (
            -C[1 - s] / (error[1] - mean),
            "this takes the rarer answer, at +1. The likelier one is the better.",
        ),
        # what the discriminator gains
        (-C[1 - s] / further, "C of the other answer: the one at -1 has the share s."),
        *(
            (gain / further, "C is compared with log 4. At the mean it is 0, its largest value.")
            for gain in (math.log(4) + C[s], -math.log(4) - C[s], math.log(4) - C[s])
        ),
        (
            (C[1 - s] - C[s]) / further,
            "this compares -1 with the rarer answer, +1. C at the mean is 0.",
        ),
        (
            -(s * C[s] + (1 - s) * C[1 - s]) / further,
            "C is averaged over both answers. The translator always says -1: C(s) alone counts.",
        ),
        (-s * C[s] / further, "C(s) is not multiplied by s: it is an average already."),
        (right / math.log(2), "the logarithms are natural ones, not base 2."),
        (
            -fakes[s] / further,
            "a part of C(s) is missing: s log(s / (1 + s)), the discriminator on real answers.",
        ),
        (
            -reals[s] / further,
            "a part of C(s) is missing: log(1 + s), the discriminator on fakes.",
        ),
        (
            (fakes[s] - reals[s]) / further,
            "the sign of log(1 + s): both parts of C(s) are below 0.",
        ),
        (
            ((1 + s) * math.log(1 + s) + s * math.log(s)) / further,
            "the sign of s log s: -C(s) is (1 + s) log(1 + s) - s log s.",
        ),
        (
            -(reals[s] / s + fakes[s]) / further,
            "real answers of -1 have the share s: it multiplies log(s / (1 + s)).",
        ),
        (
            -(reals[s] + s * fakes[s]) / further,
            "all fakes are -1: log(1 + s) is not multiplied by s.",
        ),
        (
            -(s * math.log(s) + math.log(1 - s)) / further,
            "a discriminator at its best says s / (1 + s) at -1, not s.",
        ),
        (
            (1 + s) * math.log(2) / further,
            "a discriminator at its best says s / (1 + s) at -1, not 1/2.",
        ),
        truth=right,
    )
    same(
        torch.tensor(found),
        torch.tensor(right),
        f"for s = {s} this is not the weight at which the mean and the answer -1 are equally"
        " good. Write the sum for each, and set them equal.",
    )


STACKS = (
    [(4, 2), (4, 2), (3, 1)],
    [(3, 1)],
    [(5, 2), (3, 3), (2, 1), (4, 2)],
    [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)],
    [(5, 2), (1, 2), (3, 1)],
    [(1, 2), (3, 1)],
)
"""Convolutions. In the last stack a stride is larger than its kernel: not every pixel is seen."""


@exercise("13.2")
def receptive_field(answer):
    """Against the pixels that a gradient reaches, in stacks of convolutions of all kinds."""
    for layers in STACKS:
        given = list(layers)
        found = count(answer(given))
        require(given == layers, "your function changes the list it is given: work on a copy.")
        right, pixels = _reached(layers)
        if found == right:
            continue
        kernels, strides = [k for k, _ in layers], [s for _, s in layers]
        before = [math.prod(strides[:i]) for i in range(len(layers))]
        after = [math.prod(strides[i + 1 :]) for i in range(len(layers))]
        through = [math.prod(strides[: i + 1]) for i in range(len(layers))]

        def total(steps, less=1, start=1, kernels=kernels):
            return start + sum((k - less) * s for k, s in zip(kernels, steps, strict=True))

        require(
            found != pixels,
            "you count the pixels that are seen. Asked for is from the first to the last: where"
            " a stride is larger than its kernel, some between them are not seen.",
        )
        recognise_number(
            found,
            (
                total(through),
                "a layer's own stride does not widen its own view, only that of the layers behind"
                " it. Add first, then multiply the step.",
            ),
            (
                total(after),
                "the layers are taken from the wrong end: the first of the list is next to the"
                " image, and the strides before a layer count.",
            ),
            (total([1] * len(layers)), "strides have no effect here."),
            (total(before, start=0), "one is missing: without any layer a pixel sees itself, 1."),
            (total(before, less=0), "a kernel of k pixels adds k - 1 steps, not k."),
            (total(before, less=0, start=0), "a kernel of k pixels adds k - 1 steps, not k."),
            (total(strides), "the step is the product of all strides before, not one layer's."),
            (
                total([1, *strides[:-1]]),
                "the step is the product of all strides before a layer, not the last one alone.",
            ),
            (
                total([1 + sum(s - 1 for s in strides[:i]) for i in range(len(layers))]),
                "strides multiply; here they are added.",
            ),
            (right**2, "this is the area: the side is asked for."),
            (math.prod(kernels), "kernels don't multiply: each adds (k - 1) times the step."),
            (math.prod(strides), "this is the step behind the last layer, not what it sees."),
            truth=right,
        )
        raise Mistake(
            f"for the layers {layers} one output reaches over {right} pixels, not {found}."
        )


def _reached(layers) -> tuple[int, int]:
    """From the first pixel of a line that the gradient of one output reaches to the last, and how
    many of them it reaches."""
    size = 1  # of the image from which exactly one output comes
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    line = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
    out = line
    for kernel, stride in layers:
        out = nn.functional.conv1d(out, torch.ones(1, 1, kernel).double(), stride=stride)
    out.sum().backward()
    places = line.grad.flatten().nonzero()
    return int(places.max() - places.min()) + 1, len(places)


@exercise("13.3")
def translators_terms(answer):
    """The sum of the means, and its gradients, against those of the four terms."""
    for weight in (10.0, 0.7):
        networks = [_small() for _ in range(4)]
        a, b = torch.randn(2, 5, 1, 6, 6, dtype=torch.float64)
        terms = on_copies(answer, *networks, a, b, weight)
        require(
            isinstance(terms, Mapping),
            f"return a dictionary, {{term: values}}, not {kind(terms)}.",
        )
        require(terms, "the dictionary is empty: there are four terms.")
        total = 0
        for name, values in terms.items():
            require(
                isinstance(values, torch.Tensor) and values.is_floating_point(),
                f"{name}: a tensor should stand here, not {kind(values)}.",
            )
            total = total + values.mean()
        wants = _terms(*networks, a, b)
        weights = {"fools a": 1, "fools b": 1, "cycle a": weight, "cycle b": weight}
        _check_total(total, wants, weights, weight, a)
        _check_gradients(total, networks, wants, weights)


def _small() -> nn.Module:
    """A network that no other could be taken for."""
    layer = nn.Conv2d(1, 1, 3, padding=1)
    return nn.Sequential(layer, nn.Tanh(), nn.Conv2d(1, 1, 1)).double()


def _terms(G, F, D_a, D_b, a, b) -> dict:
    """The four terms, and what they are often taken for, without weights."""

    def taken_for(real, logits):
        return nn.functional.softplus(-logits if real else logits).mean()

    def fools(D, fake):
        return taken_for(True, D(fake))

    fake_a, fake_b = F(b), G(a)
    return {
        "fools a": fools(D_a, fake_a),
        "fools b": fools(D_b, fake_b),
        "cycle a": (F(fake_b) - a).abs().mean(),
        "cycle b": (G(fake_a) - b).abs().mean(),
        "discriminators swapped": fools(D_a, fake_b) + fools(D_b, fake_a),
        "judged": taken_for(False, D_a(fake_a)) + taken_for(False, D_b(fake_b)),
        "minimax": -taken_for(False, D_a(fake_a)) - taken_for(False, D_b(fake_b)),
        "real": fools(D_a, a) + fools(D_b, b),
        "squares": ((D_a(fake_a) - 1) ** 2 / 2).mean() + ((D_b(fake_b) - 1) ** 2 / 2).mean(),
        "other targets": (F(fake_b) - b).abs().mean() + (G(fake_a) - a).abs().mean(),
        "wrong way": (G(F(a)) - a).abs().mean() + (F(G(b)) - b).abs().mean(),
        "squared": ((F(fake_b) - a) ** 2).mean() + ((G(fake_a) - b) ** 2).mean(),
        "one way": (fake_b - a).abs().mean() + (fake_a - b).abs().mean(),
        "paired": (fake_b - b).abs().mean() + (fake_a - a).abs().mean(),
        "identity": (G(b) - b).abs().mean() + (F(a) - a).abs().mean(),
        "blind a": (F(fake_b.detach()) - a).abs().mean(),
        "blind b": (G(fake_a.detach()) - b).abs().mean(),
    }


def _check_total(total, wants, weights, weight, a) -> None:
    right = sum(factor * wants[name] for name, factor in weights.items())
    fools = wants["fools a"] + wants["fools b"]
    cycle = wants["cycle a"] + wants["cycle b"]
    wrong = [
        (fools + cycle, "the weight is missing: it multiplies the two cycles."),
        (weight * (fools + cycle), "the weight multiplies the cycles alone."),
        (weight * fools + cycle, "the weight stands at the wrong terms: it is the cycles'."),
        (fools - weight * cycle, "the cycles have the wrong sign: they are to be small."),
        (fools, "both cycles are missing."),
        (weight * cycle, "nothing asks the translators to fool the discriminators."),
        (
            wants["discriminators swapped"] + weight * cycle,
            "the discriminators have changed places: D_a knows what A looks like, and judges F(b).",
        ),
        (
            wants["judged"] + weight * cycle,
            "this is what a discriminator wants of fakes: the translators want the opposite.",
        ),
        (
            wants["minimax"] + weight * cycle,
            "this is the minimax loss: take losses.nonsaturating.g.",
        ),
        (wants["squares"] + weight * cycle, "these are squares: take losses.nonsaturating.g."),
        (
            fools + weight * wants["other targets"],
            "there and back again must be where it started: F(G(a)) belongs to a.",
        ),
        (fools + weight * wants["wrong way"], "the way is a, G(a), F(G(a)): G takes images of A."),
        (
            fools + weight * wants["squared"],
            "the cycle loss is the absolute difference, not squared.",
        ),
        (
            fools + weight * wants["one way"],
            "a translation need not equal its input: go back first.",
        ),
        (fools + weight * wants["paired"], "a and b are no pairs: G(a) has no reason to equal b."),
        (
            fools + weight * wants["identity"],
            "|G(b) - b| is the identity loss, no cycle: it goes one way only.",
        ),
        (fools + weight * cycle / 2, "the cycles add up: take no mean of the two."),
        (fools / 2 + weight * cycle, "the two verdicts add up: take no mean of them."),
    ]
    for own in (1, weight / 2, weight):
        wrong.append(
            (
                right + own * wants["identity"],
                "an identity loss, |G(b) - b| and |F(a) - a|, is added: leave it out.",
            )
        )
    for share in (1, 0.5):
        wrong.append(
            (
                right + share * (wants["real"] + wants["judged"]),
                "the discriminators' objective is added: that is for their own turn.",
            )
        )
    for n in (a[0].numel(), a.numel()):
        summed = "this sums over an image's pixels, the loss is their mean: "
        wrong += [
            (n * right, summed + "all four terms."),
            (fools + n * weight * cycle, summed + "the cycles."),
            (n * fools + weight * cycle, summed + "the discriminators' verdict."),
        ]
    for name, factor in weights.items():
        wrong.append((right - factor * wants[name], f"one of the four is missing: {name}."))
        wrong.append((right + factor * wants[name], f"one of the four counts twice: {name}."))
    found, right = total.detach(), right.detach()
    wrong = [(value.detach(), message) for value, message in wrong]
    close = {"rtol": 1e-8, "atol": 1e-9}  # so that no sum is taken for another by chance
    recognise(found, *wrong, truth=right, **close)
    same(found, right, "the means of your terms don't add up to those of the four terms.", **close)


def _check_gradients(total, networks, wants, weights) -> None:
    learned = [list(network.parameters()) for network in networks[:2]]
    flat = [*learned[0], *learned[1]]
    require(total.requires_grad, "no gradient reaches the translators: nothing would be learned.")

    def slope(value):
        found = torch.autograd.grad(value, flat, retain_graph=True, allow_unused=True)
        return torch.cat(
            [
                (torch.zeros_like(weight) if grad is None else grad).flatten()
                for weight, grad in zip(flat, found, strict=True)
            ]
        )

    found = slope(total)
    parts = {name: weights[name] * slope(wants[name]) for name in weights}
    right = sum(parts.values())
    cut = {side: weights[f"cycle {side}"] * slope(wants[f"blind {side}"]) for side in "ab"}
    lost = {side: parts[f"cycle {side}"] - cut[side] for side in "ab"}
    wrong = [
        (
            right - lost["a"] - lost["b"],
            "the values are right, but each cycle teaches only the translator of its second half."
            " The first one gets no gradient: take the detach away.",
        ),
        (right - lost["a"], "the values are right, but cycle a has no gradient for G: a detach?"),
        (right - lost["b"], "the values are right, but cycle b has no gradient for F: a detach?"),
        (
            right - parts["fools a"] - parts["fools b"],
            "the values are right, but nothing is learned from the discriminators' verdict.",
        ),
        (
            right - parts["cycle a"] - parts["cycle b"],
            "the values are right, but the cycles have no gradient.",
        ),
        (
            right - cut["a"] - cut["b"],
            "the values are right, but each cycle teaches only the translator of its first half."
            " The second one is frozen: use no copies.",
        ),
        (
            0 * right,
            "the values are right, but no gradient reaches G and F: use no copies of them.",
        ),
    ]
    n = sum(weight.numel() for weight in learned[0])
    for name, half in (("G", slice(0, n)), ("F", slice(n, None))):
        without = right.clone()
        without[half] = 0
        wrong.append((without, f"the values are right, but {name} gets no gradient at all."))
    recognise(found, *wrong, truth=right)
    same(found, right, "the values are right, but the gradients are not those of the four terms.")


@exercise("13.4", value=True)
def perfect_translations(prediction):
    """Four counts, each with the mistakes that lead to another."""
    require(
        isinstance(prediction, Mapping) and set(prediction) == set("abcd"),
        'a dictionary should stand here, {"a": ..., "b": ..., "c": ..., "d": ...}.',
    )
    worlds = {
        "a": ((1, 1, 1, 1), lambda ways: ways[0] == 0),
        "b": ((3, 3, 2, 2), None),
        "c": ((4, 2, 2, 2), None),
        "d": ((7, 6, 4, 3), None),
    }
    hints = {
        "a": {
            24: "a: the known pair settles kind 0. How many ways are left for the other three?",
            1: "a: one pair settles one kind. Three others are still equally frequent.",
            3: "a: three kinds can be put in order in 3! ways, not 3.",
        },
        "b": {
            24: "b: only kinds that are equally frequent can change places.",
            2: "b: both groups of two can change places, one apart from the other.",
            8: "b: kinds of 0.3 and 0.2 can't change places: the discriminator would see it.",
            1: "b: kinds 0 and 1 are equally frequent, so no loss sees them change places.",
        },
        "c": {
            24: "c: kind 0 is more frequent than the others, so it can't change places.",
            3: "c: three kinds can be put in order in 3! ways, not 3.",
            1: "c: three kinds are equally frequent, so no loss sees them change places.",
            2: "c: all three of the equally frequent kinds can change places, not only two.",
        },
        "d": {
            24: "d: all shares differ. Any two that change places are seen by a discriminator.",
            2: "d: 0.35 = 0.2 + 0.15, but a G that merges two kinds leaves one empty.",
            0: "d: the true translation has no loss.",
        },
    }
    for name, (shares, known) in worlds.items():
        found = count(prediction[name], name)
        ways = [
            way
            for way in itertools.permutations(range(4))
            if all(shares[k] == shares[way[k]] for k in range(4)) and (not known or known(way))
        ]
        require(
            found == len(ways),
            hints[name].get(
                found,
                f"{name}: kinds can change places if they are equally frequent, and only then."
                " Count the orders within each group, and multiply.",
            ),
        )


@exercise("13.5")
def adain(answer):
    """Against its definition, on images of two sizes, with an eps large enough to be seen."""
    for n, channels, size, other in ((3, 4, (6, 5), (7, 8)), (2, 3, (4, 9), (4, 9))):
        scale = 0.5 + torch.rand(2, n, channels, 1, 1)
        shift = torch.randn(2, n, channels, 1, 1)
        content = scale[0] * torch.randn(n, channels, *size) + shift[0]
        style = scale[1] * torch.randn(n, channels, *other) + shift[1]
        _check_adain(answer, content, style, eps=0.2)


def _check_adain(answer, content, style, eps) -> None:
    found = tensor(on_copies(answer, content, style, eps), content.shape)
    content, style = content.double(), style.double()

    def mean(x, dims=(2, 3)):
        return x.mean(dims, keepdim=True)

    def std(x, dims=(2, 3), unbiased=False):
        return (x.var(dims, unbiased=unbiased, keepdim=True) + eps).sqrt()

    def all_of(dims=(2, 3), unbiased=False):
        normal = (content - mean(content, dims)) / std(content, dims, unbiased)
        return normal * std(style, dims, unbiased) + mean(style, dims)

    normal = (content - mean(content)) / std(content)
    plain = [x.var((2, 3), unbiased=False, keepdim=True) for x in (content, style)]
    right = all_of()
    wrong = [
        (content, "this is the content itself."),
        (normal, "this normalises the content: the style's scale and mean are missing."),
        (normal * std(style), "the style's mean is missing."),
        (normal + mean(style), "the style's standard deviation is missing."),
        (
            (content - mean(content)) * std(style) + mean(style),
            "the content is not divided by its own standard deviation.",
        ),
        (
            content / std(content) * std(style) + mean(style),
            "the content's mean is not taken off.",
        ),
        (content - mean(content) + mean(style), "only the means are exchanged."),
        (normal * mean(style) + std(style), "mean and standard deviation have changed places."),
        ((normal + mean(style)) * std(style), "scale first, then add the style's mean."),
        (
            normal * (plain[1] + eps) + mean(style),
            "this multiplies by the variance: take its root.",
        ),
        (
            (content - mean(content)) / (plain[0] + eps) * (plain[1] + eps) + mean(style),
            "this divides and multiplies by variances: take their roots.",
        ),
        (all_of((0, 2, 3)), "the statistics are the batch's: here each image has its own."),
        (all_of((1, 2, 3)), "the statistics run over the channels: each channel has its own."),
        (all_of((0, 1, 2, 3)), "one mean and deviation for everything: each channel has its own."),
        (all_of(unbiased=True), "divide by the number of pixels: `var(..., unbiased=False)`."),
        (
            (content - mean(content)) / plain[0].sqrt() * plain[1].sqrt() + mean(style),
            "eps is not used: add the one that is given to both variances.",
        ),
        (
            (content - mean(content)) / (plain[0].sqrt() + eps) * (plain[1].sqrt() + eps)
            + mean(style),
            "eps is added to the variance, under the root.",
        ),
        (
            normal * plain[1].sqrt() + mean(style),
            "add eps to the style's variance as well, so that a style given to itself is itself.",
        ),
        (
            (content - mean(content)) / plain[0].sqrt() * std(style) + mean(style),
            "add eps to the content's variance as well: without it a flat channel divides by 0.",
        ),
    ]
    if style.shape == content.shape:
        own = (style - mean(style)) / std(style) * std(content) + mean(content)
        wrong.insert(0, (own, "content and style have changed places."))
        wrong.insert(0, (style, "this is the style itself."))
    recognise(found, *wrong, truth=right)
    require(
        near(found, right) or found.shape != style.shape or not near(found, style),
        "this is the style itself.",
    )
    same(found, right, "each channel should have the style's mean and standard deviation.")
