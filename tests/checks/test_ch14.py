"""Checks of chapter 14: right answers pass, and each wrong answer is named for what it is."""

import math

import numpy as np
import torch
from spoilt import spoiling

from ganbook.checks import ch14


def kernels(weight, style, eps, over=(2, 3, 4), factor=None, root=torch.sqrt, end=None):
    scaled = weight[None] * (style if factor is None else factor(style))[:, None, :, None, None]
    if end is not None:
        return end(scaled, eps)
    return scaled / root(scaled.square().sum(over, keepdim=True) + eps)


def kernels_by_loops(weight, style, eps):
    found = []
    for s in style:
        one = torch.einsum("oikl,i->oikl", weight, s)
        found.append(torch.stack([k / (k.pow(2).sum() + eps) ** 0.5 for k in one]))
    return torch.stack(found)


def kernels_in_numpy(weight, style, eps):
    w = weight.double().numpy() * style.double().numpy()[:, np.newaxis, :, np.newaxis, np.newaxis]
    return w / np.sqrt((w**2).sum(axis=(2, 3, 4), keepdims=True) + eps)


def kernels_by_rsqrt(weight, style, eps):
    n, (o, i, *_) = len(style), weight.shape
    w = weight.unsqueeze(0) * style.reshape(n, 1, i, 1, 1)
    return w * torch.rsqrt(w.flatten(2).pow(2).sum(2) + eps).view(n, o, 1, 1, 1)


def divided_first(weight, style, eps):
    return kernels(weight, torch.ones_like(style), eps) * style[:, None, :, None, None]


def noisy(x, strength, draw=torch.randn, shape=lambda n, c, h, w: (n, 1, h, w)):
    return x + strength[:, None, None] * draw(shape(*x.shape))


def halves_alike(shape):
    return torch.randn(shape[0] // 2, *shape[1:]).repeat(2, 1, 1, 1)


def laplace(shape):
    return torch.distributions.Laplace(0.0, 0.5**0.5).sample(shape)


def noisy_by_loop(x, strength):
    rows = []
    for image in x:
        drawn = torch.randn(image.shape[1:])
        rows.append(torch.stack([m + s * drawn for m, s in zip(image, strength, strict=True)]))
    return torch.stack(rows)


def noisy_in_numpy(x, strength):
    drawn = np.random.default_rng(torch.randint(1 << 30, ()).item()).standard_normal(
        (len(x), 1, *x.shape[2:])
    )
    return x.double().numpy() + strength.double().numpy()[None, :, None, None] * drawn


def noisy_in_place(x, strength):
    x += strength[:, None, None] * torch.randn_like(x[:, :1])
    return x


def noisy_by_seed(x, strength):
    drawn = torch.randn(len(x), 1, *x.shape[2:], generator=torch.Generator().manual_seed(0))
    return x + strength[:, None, None] * drawn


def pulled(w, centre, psi, first, chosen=lambda layers, first: range(first), move=None):
    move = move or (lambda w: centre + psi * (w - centre))
    rows = list(chosen(w.shape[1], first))
    result = w.clone()
    result[:, rows] = move(w[:, rows])
    return result


def pulled_by_lerp(w, centre, psi, first):
    share = torch.where(torch.arange(w.shape[1]) < first, psi, 1.0).to(w)[:, None]
    return torch.lerp(centre.expand_as(w), w, share.expand_as(w))


def pulled_by_cat(w, centre, psi, first):
    return torch.cat([(1 - psi) * centre + psi * w[:, :first], w[:, first:]], dim=1)


def pulled_in_numpy(w, centre, psi, first):
    found = w.double().numpy().copy()
    found[:, :first] = centre.double().numpy() + psi * (found[:, :first] - centre.double().numpy())
    return found


def pulled_in_place(w, centre, psi, first):
    w[:, :first] = centre + psi * (w[:, :first] - centre)
    return w


def two(sigma, mean=lambda s: (s**2).sum(), variance=lambda s: 2 * (s**4).sum()):
    return mean(sigma), variance(sigma)


def two_by_matrix(sigma):
    square = torch.diag(sigma) @ torch.diag(sigma).T
    return torch.trace(square), 2 * torch.trace(square @ square)


def lengths(
    images, w, draw=torch.randn_like, scale=lambda n: n**-0.5, graph=True,
    end=lambda slope: slope.square().sum(1).sqrt(),
):  # fmt: skip
    y = draw(images) * scale(images[0].numel())
    (slope,) = torch.autograd.grad((images * y).sum(), w, create_graph=graph)
    return end(slope)


def lengths_by_vector(images, w):
    y = torch.randn(images.shape) / math.sqrt(images.shape[-1] * images.shape[-2])
    (slope,) = torch.autograd.grad(images, w, grad_outputs=y, create_graph=True)
    return slope.norm(dim=-1)


def lengths_of_signs(images, w):
    return lengths(images, w, draw=lambda x: torch.randint(2, x.shape) * 2.0 - 1)


def lengths_retained(images, w):
    n = images[0].numel()
    y = torch.empty_like(images).normal_(std=n**-0.5)
    slope = torch.autograd.grad((images * y).flatten(1).sum(1).sum(), w, create_graph=True)[0]
    return torch.linalg.vector_norm(slope, dim=1)


def lengths_by_width(images, w):
    return lengths(images, w, scale=lambda n: 1 / images.shape[-1])


def one_y_for_two(images):
    return torch.randn_like(images[::2]).repeat_interleave(2, dim=0)


def one_y(images):
    return torch.randn_like(images[:1]).expand_as(images)


def lengths_by_seed(images, w):
    drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return lengths(images, w, draw=lambda x: drawn)


RIGHT_OUTCOMES = {"a": "same", "b": "other", "c": "other", "d": "other", "e": "same"}

RIGHT = [
    (ch14.modulated_weights, kernels),
    (ch14.modulated_weights, kernels_by_loops),
    (ch14.modulated_weights, kernels_in_numpy),
    (ch14.modulated_weights, kernels_by_rsqrt),
    (ch14.modulated_weights, lambda w, s, e: kernels(w.double(), s.double(), e).tolist()),
    (ch14.with_noise, noisy),
    (ch14.with_noise, noisy_by_loop),
    (ch14.with_noise, noisy_in_numpy),
    (ch14.with_noise, lambda x, s: x + torch.randn_like(x[:, :1]) * s.view(1, -1, 1, 1)),
    (ch14.truncated, pulled),
    (ch14.truncated, pulled_by_lerp),
    (ch14.truncated, pulled_by_cat),
    (ch14.truncated, pulled_in_numpy),
    (ch14.outcomes, RIGHT_OUTCOMES),
    (ch14.outcomes, {name: f" {value.upper()} " for name, value in RIGHT_OUTCOMES.items()}),
    (ch14.moments, two),
    (ch14.moments, two_by_matrix),
    (ch14.moments, lambda s: [float(part) for part in two(s)]),
    (ch14.moments, lambda s: torch.stack(two(s.double()))),
    (ch14.path_lengths, lengths),
    (ch14.path_lengths, lengths_by_vector),
    (ch14.path_lengths, lengths_retained),
]

WRONG = [
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e, end=lambda k, e: k), "is missing"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, 0 * s + 1, e), "style has no effect"),
    (ch14.modulated_weights, divided_first, "divide first"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e, (1, 3, 4)), "over the outputs"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e, (3, 4)), "takes the style out"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e, (1, 2, 3, 4)), "all outputs"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e, (0, 2, 3, 4)), "the images too"),
    (
        ch14.modulated_weights,
        lambda w, s, e: kernels(
            w, s, e, end=lambda k, e: k / k.square().sum((2, 3, 4), True).sqrt()
        ),
        "eps is not used",
    ),
    (
        ch14.modulated_weights,
        lambda w, s, e: kernels(
            w, s, e, end=lambda k, e: k / (k.square().sum((2, 3, 4), True).sqrt() + e)
        ),
        "under the root",
    ),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e, root=lambda v: v), "take the root"),
    (
        ch14.modulated_weights,
        lambda w, s, e: kernels(
            w, s, e, end=lambda k, e: k / (k.square().mean((2, 3, 4), True) + e).sqrt()
        ),
        "mean of the squares",
    ),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e, factor=lambda s: 1 + s), "1 . style"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e)[0], "one kernel for all images"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e).flatten(2), "shape should be"),
    (ch14.modulated_weights, lambda w, s, e: kernels(w, s, e) + 1, "these are not the kernels"),
    (ch14.modulated_weights, spoiling(kernels, 0), "changes what it is given"),
    (ch14.modulated_weights, spoiling(kernels, 1), "changes what it is given"),
    (ch14.modulated_weights, lambda w, s, e: w * s, "raised RuntimeError|shape should be"),
    (ch14.with_noise, lambda x, s: noisy(x, s, shape=lambda n, c, h, w: (h, w)), "or all"),
    (ch14.with_noise, lambda x, s: noisy(x, s, draw=halves_alike), "two images"),
    (ch14.with_noise, lambda x, s: noisy(x, s, shape=lambda n, c, h, w: (n, 1, h, 1)), "a row"),
    (ch14.with_noise, lambda x, s: noisy(x, s, shape=lambda n, c, h, w: (n, 1, 1, w)), "a column"),
    (ch14.with_noise, lambda x, s: noisy(x, s, draw=laplace), "not normal"),
    (ch14.with_noise, lambda x, s: noisy(x, s, shape=lambda n, c, h, w: (n, c, h, w)), "share"),
    (ch14.with_noise, lambda x, s: noisy(x, s, shape=lambda n, c, h, w: (n, 1, 1, 1)), "a map"),
    (ch14.with_noise, lambda x, s: noisy(x, s, draw=torch.rand), "has the mean"),
    (
        ch14.with_noise,
        lambda x, s: noisy(x, s, draw=lambda shape: 12**0.5 * (torch.rand(shape) - 0.5)),
        "not normal",
    ),
    (ch14.with_noise, lambda x, s: noisy(x, 2 * s), "standard deviation"),
    (ch14.with_noise, lambda x, s: noisy(x, 0 * s + 1), "one by one"),
    (ch14.with_noise, lambda x, s: noisy(x, 0 * s), "nothing is added"),
    (ch14.with_noise, noisy_in_place, "changes what it is given"),
    (ch14.with_noise, noisy_by_seed, "same noise"),
    (ch14.with_noise, lambda x, s: noisy(x, s)[0], "shape should be"),
    (ch14.with_noise, lambda x, s: x + s * torch.randn_like(x), "RuntimeError"),
    (ch14.truncated, lambda w, c, p, f: w, "nothing has changed"),
    (ch14.truncated, lambda w, c, p, f: pulled(w, c, p, f, move=lambda w: p * w), "towards 0"),
    (ch14.truncated, lambda w, c, p, f: pulled(w, c, 1 - p, f), "psi is how much"),
    (
        ch14.truncated,
        lambda w, c, p, f: pulled(w, c, p, f, move=lambda w: p * (w - c)),
        "not added again",
    ),
    (
        ch14.truncated,
        lambda w, c, p, f: pulled(w, c, p, f, move=lambda w: c + p * w),
        "take it off before",
    ),
    (ch14.truncated, lambda w, c, p, f: pulled(w, c, 0.0, f), "at the centre itself"),
    (
        ch14.truncated,
        lambda w, c, p, f: pulled(w, c, p, f, chosen=lambda n, f: range(n)),
        "all layers",
    ),
    (
        ch14.truncated,
        lambda w, c, p, f: pulled(w, c, p, f, chosen=lambda n, f: range(n - f, n)),
        "last layers",
    ),
    (
        ch14.truncated,
        lambda w, c, p, f: pulled(w, c, p, f, chosen=lambda n, f: range(min(n, f + 1))),
        "one layer too many",
    ),
    (
        ch14.truncated,
        lambda w, c, p, f: pulled(w, w.mean(0)[:f], p, f),
        "mean of this batch",
    ),
    (ch14.truncated, pulled_in_place, "changes what it is given"),
    (ch14.truncated, lambda w, c, p, f: pulled(w, c, p, f)[:, :f], "shape should be|not centre"),
    (ch14.outcomes, RIGHT_OUTCOMES | {"a": "other"}, "divides by it"),
    (ch14.outcomes, RIGHT_OUTCOMES | {"b": "same"}, "without the demodulation"),
    (ch14.outcomes, RIGHT_OUTCOMES | {"c": "same"}, "weighed against each other"),
    (ch14.outcomes, RIGHT_OUTCOMES | {"d": "same"}, "change theirs"),
    (ch14.outcomes, RIGHT_OUTCOMES | {"e": "other"}, "as well"),
    (ch14.outcomes, RIGHT_OUTCOMES | {"e": "double"}, "two words"),
    (ch14.outcomes, {"a": "same"}, "a dictionary"),
    (ch14.outcomes, "same", "a dictionary"),
    (ch14.moments, lambda s: two(s)[::-1], "changed places|the mean"),
    (ch14.moments, lambda s: two(s, mean=lambda s: s.sum()), "enter as squares|the variance|basis"),
    (ch14.moments, lambda s: two(s, mean=lambda s: s.norm()), "that is the root"),
    (ch14.moments, lambda s: two(s, mean=lambda s: (s**2).mean()), "mean over the directions"),
    (ch14.moments, lambda s: two(s, mean=lambda s: s.max() ** 2), "largest singular value"),
    (ch14.moments, lambda s: two(s, variance=lambda s: (s**4).sum()), "is 2, not 1"),
    (ch14.moments, lambda s: two(s, variance=lambda s: 3 * (s**4).sum()), "squared mean"),
    (ch14.moments, lambda s: two(s, variance=lambda s: 2 * (s**2).sum()), "factor s⁴"),
    (ch14.moments, lambda s: two(s, variance=lambda s: 2 * (s**2).sum() ** 2), "sum was squared"),
    (ch14.moments, lambda s: two(s, variance=lambda s: (2 * (s**4).sum()) ** 0.5), "deviation"),
    (ch14.moments, lambda s: (s**2).sum(), "the mean and the variance"),
    (ch14.moments, spoiling(two, 0), "changes what it is given"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, graph=False), "no gradient"),
    (ch14.path_lengths, lambda x, w: lengths(x, w).detach(), "no gradient"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, scale=lambda n: 1.0), "number of pixels"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, scale=lambda n: 1 / n), "root of that"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, draw=one_y), "one y"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, draw=one_y_for_two), "serves several"),
    (ch14.path_lengths, lengths_of_signs, "drawn anew"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, draw=torch.rand_like), "mean of the squared"),
    (ch14.path_lengths, lengths_by_width, "mean of the squared"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, draw=torch.ones_like), "drawn anew"),
    (ch14.path_lengths, lengths_by_seed, "drawn anew"),
    (
        ch14.path_lengths,
        lambda x, w: lengths(x, w, end=lambda s: s.square().mean(1).sqrt()),
        "Take their sum",
    ),
    (ch14.path_lengths, lambda x, w: lengths(x, w, end=lambda s: s.square().sum(1)), "the root"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, end=lambda s: s.norm()), "whole batch"),
    (ch14.path_lengths, lambda x, w: lengths(x, w, end=lambda s: s), "gradients came back"),
    (
        ch14.path_lengths,
        lambda x, w: lengths(x, w, graph=False).requires_grad_(),
        "pass create_graph|RuntimeError|can't be judged",
    ),
]


def test_the_moments_of_the_exercise_are_those_of_drawn_lengths():
    torch.manual_seed(0)
    sigma = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    squares = (torch.randn(400_000, 3, dtype=torch.float64) * sigma).square().sum(1)
    mean, variance = two(sigma)
    assert abs(squares.mean() / mean - 1) < 0.01
    assert abs(squares.var() / variance - 1) < 0.03
