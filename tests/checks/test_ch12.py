"""Checks of chapter 12: right answers pass, and each wrong answer is named for what it is."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from spoilt import spoiling
from torch.distributions import Normal, kl_divergence

from ganbook.checks import ch12


def kl(mean, log_variance, half=0.5, reduce=lambda terms: terms.sum(1)):
    return half * reduce(mean**2 + log_variance.exp() - 1 - log_variance)


def kl_by_torch(mean, log_variance):
    own = Normal(mean, (log_variance / 2).exp())
    return kl_divergence(own, Normal(torch.zeros(()), torch.ones(()))).sum(dim=-1)


def kl_by_loop(mean, log_variance):
    rows = []
    for m, v in zip(mean, log_variance, strict=True):
        rows.append(sum((a * a + torch.exp(b) - 1 - b) / 2 for a, b in zip(m, v, strict=True)))
    return torch.stack(rows)


def kl_swapped(mean, log_variance):
    own = Normal(mean, (log_variance / 2).exp())
    return kl_divergence(Normal(torch.zeros_like(mean), torch.ones_like(mean)), own).sum(1)


def coarse(x):
    return F.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)


def fade(x, alpha, low=coarse):
    return torch.lerp(low(x), x, alpha)


def fade_by_reshape(x, alpha):
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
    small = blocks.mean(dim=(3, 5), keepdim=True)
    return (alpha * blocks + (1 - alpha) * small).reshape(x.shape)


def fade_in_numpy(x, alpha):
    x = x.numpy().astype(np.float64)
    small = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    return alpha * x + (1 - alpha) * np.kron(small, np.ones((1, 1, 2, 2)))


def fade_in_place(x, alpha):
    x *= alpha
    return x + (1 - alpha) / alpha * coarse(x) if alpha else coarse(x)


def enlarged(small, mode="nearest"):
    return F.interpolate(small, scale_factor=2, mode=mode)


def logit(p, q, share):
    r = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return p.log() - ((1 - share) * q + share * r).log()


def logit_from_d(p, q, share):
    r = torch.outer(p.sum(dim=1), p.sum(dim=0))
    d = p / (p + (1 - share) * q + share * r)
    return torch.logit(d)


def logit_by_loop(p, q, share):
    rows = []
    for y in range(len(p)):
        row = []
        for x in range(p.shape[1]):
            fake = (1 - share) * q[y, x] + share * p[y].sum() * p[:, x].sum()
            row.append(math.log(p[y, x] / fake))
        rows.append(row)
    return rows


def logit_against(p, q, share, r):
    return (p / ((1 - share) * q + share * r)).log()


RIGHT_PLANE = {"a": 0.5, "b": 1.0, "c": 2 - math.sqrt(2), "d": 2.0}


def product(x, a, b):
    return ((x - a) * (x - b)).mean(dim=(1, 2, 3))


def product_by_halves(x, a, b):
    middle = (x - (a + b) / 2).square().flatten(1).mean(1)
    return middle - (a - b).square().flatten(1).mean(1) / 4


def product_by_einsum(x, a, b):
    return torch.einsum("nchw,nchw->n", a - x, b - x) / x[0].numel()


def squares(*parts):
    return sum(part.square().flatten(1).mean(1) for part in parts)


RIGHT = [
    (ch12.kl, kl),
    (ch12.kl, kl_by_torch),
    (ch12.kl, kl_by_loop),
    (ch12.kl, lambda mean, log_variance: kl(mean.double(), log_variance.double())),
    (ch12.faded, fade),
    (ch12.faded, fade_by_reshape),
    (ch12.faded, fade_in_numpy),
    (ch12.faded, lambda x, alpha: alpha * x + (1 - alpha) * enlarged(F.avg_pool2d(x, 2))),
    (ch12.best_logit, logit),
    (ch12.best_logit, logit_from_d),
    (ch12.best_logit, logit_by_loop),
    (ch12.best_logit, lambda p, q, share: logit(p.float(), q.float(), share).numpy()),
    (ch12.plane, RIGHT_PLANE),
    (ch12.plane, RIGHT_PLANE | {"c": 0.59}),
    (ch12.plane, {"a": torch.tensor(0.5), "b": 1, "c": 0.586, "d": np.float32(2)}),
    (ch12.mean_loss, product),
    (ch12.mean_loss, product_by_halves),
    (ch12.mean_loss, product_by_einsum),
    (ch12.mean_loss, lambda x, a, b: product(x.double(), a.double(), b.double())),
]

WRONG = [
    (ch12.kl, lambda m, v: -kl(m, v), "sign is turned"),
    (ch12.kl, lambda m, v: kl(m, v, half=1), "factor ½"),
    (ch12.kl, lambda m, v: kl(m, v, reduce=lambda t: t.mean(1)), "mean over the coord"),
    (ch12.kl, lambda m, v: kl(m, v, 1, lambda t: t.mean(1)), "without the ½"),
    (ch12.kl, lambda m, v: kl(m, v, reduce=lambda t: t.sum()), "for the whole batch"),
    (ch12.kl, lambda m, v: kl(m, v, reduce=lambda t: t), "for each of"),
    (ch12.kl, lambda m, v: kl(m, 2 * v), "of the standard deviation"),
    (ch12.kl, lambda m, v: kl(m, v) + (v.exp() ** 2 - v.exp()).sum(1) / 2, "don't square"),
    (ch12.kl, lambda m, v: kl(m, v) + (v / 2).exp().sum(1) / 2 - v.exp().sum(1) / 2, "no root"),
    (ch12.kl, lambda m, v: kl(m, v) + m.shape[1] / 2, "the 1 is missing"),
    (ch12.kl, lambda m, v: kl(m, v) + v.sum(1), "log σ² is subtracted"),
    (ch12.kl, lambda m, v: kl(0 * m, v) + m.sum(1) / 2, "with its square"),
    (ch12.kl, lambda m, v: kl(0 * m, v), "mean is missing"),
    (ch12.kl, kl_swapped, "changed places"),
    (ch12.kl, lambda m, v: kl(m, v) / math.log(2), "in bits"),
    (ch12.kl, lambda m, v: kl(m, v).detach(), "no gradient comes through"),
    (ch12.kl, lambda m, v: kl(m, v).tolist(), "no gradient comes through"),
    (ch12.kl, lambda m, v: kl(m.detach(), v), "no gradient reaches mean"),
    (ch12.kl, lambda m, v: kl(m, v) + 0.1, "this is not"),
    (ch12.kl, spoiling(kl, 0), "changes what it is given"),
    (ch12.faded, lambda x, alpha: fade(x, 1 - alpha), "share of the fine"),
    (ch12.faded, lambda x, alpha: x, "not faded"),
    (ch12.faded, lambda x, alpha: coarse(x), "whatever alpha is"),
    (ch12.faded, lambda x, a: fade(x, a, lambda x: enlarged(x[..., ::2, ::2])), "dropped"),
    (ch12.faded, lambda x, a: fade(x, a, lambda x: enlarged(F.max_pool2d(x, 2))), "largest"),
    (
        ch12.faded,
        lambda x, a: fade(x, a, lambda x: enlarged(F.avg_pool2d(x, 2), "bilinear")),
        "smoothed",
    ),
    (
        ch12.faded,
        lambda x, a: fade(x, a, lambda x: F.avg_pool2d(x, 2).tile(1, 1, 2, 2)),
        "four times",
    ),
    (ch12.faded, lambda x, a: fade(x, a, lambda x: 4 * coarse(x)), "the sum of each block"),
    (ch12.faded, lambda x, a: x + (1 - a) * coarse(x), "add up to 1"),
    (ch12.faded, lambda x, a: a * x + coarse(x), "add up to 1|coarse"),
    (
        ch12.faded,
        lambda x, a: fade(x, a, lambda x: x.mean((2, 3), keepdim=True).expand_as(x)),
        "one value for all",
    ),
    (ch12.faded, lambda x, a: F.avg_pool2d(x, 2), "shape should be"),
    (ch12.faded, lambda x, a: fade(x, a) + 0.1, "this is not alpha"),
    (ch12.faded, fade_in_place, "changes what it is given"),
    (ch12.best_logit, lambda *a: -logit(*a), "sign is turned"),
    (ch12.best_logit, lambda *a: logit(*a).exp(), "the ratio"),
    (ch12.best_logit, lambda *a: logit(*a).sigmoid(), "this is D"),
    (ch12.best_logit, lambda *a: F.logsigmoid(logit(*a)), "this is log D"),
    (ch12.best_logit, lambda p, q, w: (p / q).log(), "pairs are missing"),
    (ch12.best_logit, lambda p, q, w: logit(p, q, 0.5) - math.log(2), "shares are missing"),
    (ch12.best_logit, lambda p, q, w: logit(p, q, 1 - w), "shares have changed"),
    (
        ch12.best_logit,
        lambda p, q, w: logit_against(p, q, w, p.sum(0, keepdim=True)),
        r"p\(y\) is missing",
    ),
    (
        ch12.best_logit,
        lambda p, q, w: logit_against(p, q, w, p.sum(1, keepdim=True)),
        r"p\(x\) is missing",
    ),
    (
        ch12.best_logit,
        lambda p, q, w: logit_against(p, q, w, torch.outer(p.sum(1), q.sum(0))),
        "real ones",
    ),
    (
        ch12.best_logit,
        lambda p, q, w: logit_against(p, q, w, p.sum(0, keepdim=True) / len(p)),
        "not equally frequent",
    ),
    (
        ch12.best_logit,
        lambda p, q, w: logit_against(p, q, w, (p.sum(0, keepdim=True) - p) / (len(p) - 1)),
        "without looking",
    ),
    (
        ch12.best_logit,
        lambda p, q, w: ((1 - w) * p + w * torch.outer(p.sum(1), p.sum(0))).log() - q.log(),
        "belong below",
    ),
    (ch12.best_logit, lambda *a: logit(*a).T, "shape should be"),
    (ch12.best_logit, lambda *a: logit(*a) * 1.1, "density of what is called fake"),
    (ch12.best_logit, spoiling(logit, 0), "changes what it is given"),
    (ch12.plane, RIGHT_PLANE | {"a": 1.0}, "variance of X"),
    (ch12.plane, RIGHT_PLANE | {"a": 0.25}, "noise in Y"),
    (ch12.plane, RIGHT_PLANE | {"b": 0.5}, "add up"),
    (ch12.plane, RIGHT_PLANE | {"b": 2}, "knows Y"),
    (ch12.plane, RIGHT_PLANE | {"c": 0.5}, "costs something"),
    (ch12.plane, RIGHT_PLANE | {"c": 1}, "this one is nearer"),
    (ch12.plane, RIGHT_PLANE | {"d": 1}, "drawn has it too"),
    (ch12.plane, RIGHT_PLANE | {"d": 0}, "independent"),
    (ch12.plane, RIGHT_PLANE | {"d": 7}, "not 7"),
    (ch12.plane, RIGHT_PLANE | {"d": "two"}, "one number should come"),
    (ch12.plane, [0.5, 1, 0.586, 2], "a dictionary"),
    (ch12.mean_loss, lambda x, a, b: squares(x - (a + b) / 2), "mean of \\*two\\*"),
    (ch12.mean_loss, lambda x, a, b: squares(x - a, x - b) / 2, "whole variance"),
    (ch12.mean_loss, lambda x, a, b: squares(x - a, x - b), "variance is in both"),
    (ch12.mean_loss, lambda x, a, b: squares(x - a), "second sample is not used"),
    (ch12.mean_loss, lambda x, a, b: squares(x - b), "first sample is not used"),
    (ch12.mean_loss, lambda x, a, b: -product(x, a, b), "sign is turned"),
    (ch12.mean_loss, lambda x, a, b: product(x, a, b) * x[0].numel(), "sum over the pixels"),
    (ch12.mean_loss, lambda x, a, b: product(x, a, b).mean(), "the whole batch"),
    (ch12.mean_loss, lambda x, a, b: (x - a) * (x - b), "for each pixel"),
    (
        ch12.mean_loss,
        lambda x, a, b: ((x - a) * (x - b)).abs().mean(dim=(1, 2, 3)),
        "no absolute value",
    ),
    (
        ch12.mean_loss,
        lambda x, a, b: squares(x - (a + b) / 2) - squares(a - b) / 2,
        "mean of two has half",
    ),
    (
        ch12.mean_loss,
        lambda x, a, b: (x - a).flatten(1).mean(1) * (x - b).flatten(1).mean(1),
        "pixel by pixel",
    ),
    (ch12.mean_loss, lambda x, a, b: product(x, a, b.detach()), "no gradient reaches b"),
    (ch12.mean_loss, lambda x, a, b: product(x, a, b).detach(), "no gradient comes through"),
    (ch12.mean_loss, spoiling(product, 0), "changes what it is given"),
    (ch12.mean_loss, lambda x, a, b: product(x, a, b) + 1, "endless samples"),
    (ch12.mean_loss, lambda x, a, b: squares(x - a) - squares(a - b) / 2, "change places"),
    (ch12.mean_loss, lambda x, a, b: squares(x - b) - squares(a - b) / 2, "change places"),
]


def test_the_product_of_two_errors_has_the_mean_that_the_chapter_states():
    torch.manual_seed(0)
    x, mean = torch.randn(2, 1, 1, 1, 1, dtype=torch.float64)
    a, b = mean + torch.randn(2, 200_000, 1, 1, 1, dtype=torch.float64)
    found = product(x.expand_as(a), a, b).mean()
    assert abs(found - (x - mean).square()) < 0.02
