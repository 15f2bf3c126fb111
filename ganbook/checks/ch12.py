"""Checks of chapter 12, stacked GANs."""

import math
import random

import torch
import torch.nn.functional as F

from ganbook.checks import (
    exercise,
    number,
    on_copies,
    recognise,
    recognise_number,
    require,
    same,
    tensor,
)


@exercise("12.2")
def kl(answer):
    """Against the closed form of torch.distributions, value and gradient."""
    for n, d in ((7, 3), (4, 6)):
        mean = torch.randn(n, d)
        log_variance = torch.randn(n, d) - 0.5
        leaves = [part.clone().requires_grad_() for part in (mean, log_variance)]
        answered = answer(*leaves)
        require(
            torch.equal(leaves[0].detach(), mean) and torch.equal(leaves[1].detach(), log_variance),
            "your function changes what it is given: work on a copy.",
        )
        _check_kl(answered, leaves, mean.double(), log_variance.double())


def _check_kl(answered, leaves, mean, log_variance):
    n, d = mean.shape
    require(
        getattr(answered, "shape", None) != (n, d),
        f"this is one value for each of {d} coordinates. They are independent: add them up.",
    )
    require(
        getattr(answered, "shape", None) != (),
        "one value for the whole batch came back: give one for each row, (N,).",
    )
    found = tensor(answered, (n,))
    variance = log_variance.exp()

    def sums(variance, log_variance=log_variance, square=mean**2, one=1.0):
        return (square + variance - one - log_variance).sum(1) / 2

    right = sums(variance)
    recognise(
        found,
        (-right, "the sign is turned: a KL divergence is never negative."),
        (2 * right, "the factor ½ is missing."),
        (right / d, "this is the mean over the coordinates. Independent coordinates add up."),
        (2 * right / d, "this is a mean over the coordinates, without the ½. It is half the sum."),
        (sums(variance**2), "exp(log_variance) is the variance already: don't square it."),
        (sums(variance.sqrt()), "log_variance is no logarithm of a standard deviation: no root."),
        (
            sums(variance**2, 2 * log_variance),
            "log_variance is taken for the logarithm of the standard deviation.",
        ),
        (sums(log_variance, log_variance.abs().log()), "log_variance is taken for the variance."),
        (sums(variance, one=0.0), "the 1 is missing: N(0, 1) itself must get 0."),
        (sums(variance, -log_variance), "the sign of the logarithm: log σ² is subtracted."),
        (sums(variance, square=mean), "the mean counts with its square."),
        (sums(variance, square=0 * mean), "the mean is missing."),
        (
            ((1 + mean**2) / variance - 1 + log_variance).sum(1) / 2,
            "this is KL(N(0, 1) || N(mean, variance)): the two have changed places.",
        ),
        (right / math.log(2), "this is in bits. Take the natural logarithm."),
        truth=right,
    )
    same(found, right, "this is not ½ Σ (mean² + variance - 1 - log variance).")
    _same_slopes(answered, {"mean": mean, "log_variance": (variance - 1) / 2}, leaves)


@exercise("12.1")
def faded(answer):
    """Images of noise, on which every way of halving gives something else."""
    for shape in ((3, 1, 8, 8), (2, 3, 6, 10)):
        x = 2 * torch.rand(shape) - 1
        for alpha in (random.uniform(0.2, 0.45), 0.0, 1.0):
            found = tensor(on_copies(answer, x, alpha), shape)
            _check_faded(found, x.double(), alpha)


def _check_faded(found, x, alpha):
    def enlarged(small):
        return small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    small = F.avg_pool2d(x, 2)
    coarse = enlarged(small)
    right = alpha * x + (1 - alpha) * coarse
    smooth = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    tiled = small.tile(1, 1, 2, 2)

    def mixed(low):
        return alpha * x + (1 - alpha) * low

    recognise(
        found,
        (
            alpha * coarse + (1 - alpha) * x,
            "alpha is the share of the fine image: at 0 the coarse one alone is seen.",
        ),
        (x, "the real images are not faded: at alpha = 0 they are as sharp as at 1."),
        (coarse, "the coarse image whatever alpha is: at alpha = 1 the image itself is seen."),
        (mixed(smooth), "enlarge by repeating pixels, as the generator does: this is smoothed."),
        (mixed(tiled), "the small image is laid out four times. Each *pixel* is repeated."),
        (
            mixed(enlarged(x[:, :, ::2, ::2])),
            "every second pixel is dropped: take the mean of each block of 2 x 2.",
        ),
        (
            mixed(enlarged(F.max_pool2d(x, 2))),
            "this takes the largest of each block of 2 x 2: take their mean.",
        ),
        (mixed(4 * coarse), "this takes the sum of each block of 2 x 2: take their mean."),
        (
            mixed(x.mean(dim=(2, 3), keepdim=True).expand_as(x)),
            "the coarse image has one value for all pixels: it has half the side, not side 1.",
        ),
        (x + (1 - alpha) * coarse, "the two shares must add up to 1."),
        (alpha * x + coarse, "the two shares must add up to 1."),
        (alpha * x, "the coarse image is missing."),
        truth=right,
    )
    same(found, right, "this is not alpha times x plus (1 - alpha) times its coarse version.")


@exercise("12.3")
def best_logit(answer):
    """Random tables whose labels are not equally frequent, and several shares of mismatches."""
    for labels, places in ((3, 5), (4, 7)):
        p, q = (
            (1.5 * torch.randn(2, labels * places, dtype=torch.float64))
            .softmax(1)
            .view(2, labels, places)
        )
        # Fakes have the labels of the real pairs.
        q = q / q.sum(1, keepdim=True) * p.sum(1, keepdim=True)
        for share in (random.uniform(0.2, 0.4), random.uniform(0.55, 0.8)):
            _check_logit(tensor(on_copies(answer, p, q, share), p.shape), p, q, share)


def _check_logit(found, p, q, share):
    of_label, of_place = p.sum(1, keepdim=True), p.sum(0, keepdim=True)
    r = of_label * of_place
    fake = (1 - share) * q + share * r
    right = (p / fake).log()
    recognise(
        found,
        (-right, "the sign is turned: a real pair gets a high logit."),
        (right.exp(), "this is the ratio: the logit is its logarithm."),
        (right.sigmoid(), "this is D: the logit is log D - log(1 - D)."),
        (right.sigmoid().log(), "this is log D: the logit is log D - log(1 - D)."),
        ((p / (p + fake)).log(), "this is log D: the logit is log D - log(1 - D)."),
        ((p / q).log(), "the mismatched pairs are missing."),
        ((p / (q + r)).log(), "the shares are missing: fakes 1 - share, mismatched ones share."),
        (
            (p / (share * q + (1 - share) * r)).log(),
            "the shares have changed places: `share` is that of the mismatched pairs.",
        ),
        (
            (p / ((1 - share) * q + share * of_place)).log(),
            "a mismatched pair has the density p(x) p(y): p(y) is missing.",
        ),
        (
            (p / ((1 - share) * q + share * of_label)).log(),
            "a mismatched pair has the density p(x) p(y): p(x) is missing.",
        ),
        (
            (p / ((1 - share) * q + share * of_label * q.sum(0, keepdim=True))).log(),
            "the mismatched images are real ones: their density is p(x), not q(x).",
        ),
        (
            (p / ((1 - share) * q + share * of_place / len(p))).log(),
            "the labels are not equally frequent: p(y), not one over their number.",
        ),
        (
            (p / ((1 - share) * q + share * (of_place - p) / (len(p) - 1))).log(),
            "the other caption is drawn without looking: it may be the same one again,"
            " so the density is p(x) p(y).",
        ),
        (
            (((1 - share) * p + share * r) / q).log(),
            "the mismatched pairs are to be called fake: they belong below.",
        ),
        (right / math.log(2), "this is in bits. Take the natural logarithm."),
        truth=right,
    )
    same(found, right, "this is not log p(x, y) - log of the density of what is called fake.")


@exercise("12.4", value=True)
def plane(answer):
    """Four mean squared errors; each wrong one is that of another estimator, or a variance."""
    names = ("a", "b", "c", "d")
    require(
        isinstance(answer, dict) and set(answer) == set(names),
        'write a dictionary, {"a": 0.5, "b": ..., "c": ..., "d": ...}.',
    )
    found = {name: number(answer[name], name) for name in names}
    right = {"a": 0.5, "b": 1.0, "c": 2 - math.sqrt(2), "d": 2.0}
    said = {
        "a": (
            (1.0, "that is the error of Y itself, or the variance of X."),
            (0.25, "that is (1 - ½)² alone: the noise in Y counts too."),
        ),
        "b": (
            (0.5, "a sample lies off the mean by as much as X does: the two errors add up."),
            (1.5, "X and the sample lie off the mean by ½ each, in mean square."),
            (2.0, "the sample knows Y: it shares the mean with X."),
        ),
        "c": (
            (0.5, "it costs something: √2 times the mean is no longer the mean."),
            (1.0, "that is the posterior sample's. With the same density, this one is nearer."),
            (2.0, "2 Cov is missing: E(X - X̂)² = 1 + 1 - 2 Cov(X, X̂)."),
            (2 - math.sqrt(2) / 2, "E(X - X̂)² = 1 + 1 - 2 Cov(X, X̂): the 2 is missing."),
            (1 - math.sqrt(2) / 2, "this is half of it: both variances count."),
        ),
        "d": (
            (1.0, "X has the variance 1, and what is drawn has it too."),
            (0.0, "the densities are the same, but the two are independent."),
            (math.sqrt(2), "that is its root: the mean *squared* error is asked for."),
        ),
    }
    for name in names:
        recognise_number(found[name], *said[name], truth=right[name], of=f"{name}: ", within=6e-3)
        require(
            abs(found[name] - right[name]) < 6e-3,
            f"{name}: not {found[name]:.3g}. Write E(X - X̂)² as Var X + Var X̂ - 2 Cov(X, X̂).",
        )


@exercise("12.5")
def mean_loss(answer):
    """Its value and its gradients, against the product of the two errors."""
    for shape in ((5, 1, 4, 4), (3, 2, 2, 6)):
        x, a, b = torch.randn(3, *shape)
        leaves = [part.clone().requires_grad_() for part in (a, b)]
        given = x.clone()
        answered = answer(given, *leaves)
        require(
            torch.equal(given, x) and all(map(torch.equal, leaves, (a, b))),
            "your function changes what it is given: work on a copy.",
        )
        require(
            getattr(answered, "shape", None) != (),
            "one number for the whole batch came back: give one for each image, (N,).",
        )
        require(
            getattr(answered, "shape", None) != shape,
            "one number for each pixel came back: take the mean over those of an image, (N,).",
        )
        _check_mean_loss(answered, leaves, x.double(), a.double(), b.double())


def _check_mean_loss(answered, leaves, x, a, b):
    def per_image(values):
        return values.flatten(1).mean(1)

    pixels = x[0].numel()
    found = tensor(answered, (len(x),))
    right = per_image((x - a) * (x - b))
    recognise(
        found,
        (
            per_image((x - (a + b) / 2) ** 2),
            "this is the squared error of the mean of *two*: half a variance too much."
            " It must have the right mean for the mean of all.",
        ),
        (
            per_image((x - a) ** 2 + (x - b) ** 2) / 2,
            "this is the squared error of a sample: it has the whole variance in it,"
            " and would be lowered by drawing without any.",
        ),
        (
            per_image((x - a) ** 2 + (x - b) ** 2),
            "these are two squared errors of a sample: the variance is in both.",
        ),
        (per_image((x - a) ** 2), "the second sample is not used."),
        (per_image((x - b) ** 2), "the first sample is not used."),
        (-right, "the sign is turned: one factor is x - a, the other a sample minus x."),
        *(
            (
                per_image((x - one) ** 2 - (a - b) ** 2 / 2),
                "its mean is right, but a and b can't change places: use both errors alike.",
            )
            for one in (a, b)
        ),
        (pixels * right, "this is the sum over the pixels: take their mean."),
        (
            per_image(((x - a) * (x - b)).abs()),
            "no absolute value: it would no longer average out.",
        ),
        (
            per_image((x - (a + b) / 2) ** 2 - (a - b) ** 2),
            "the variance is taken off four times too often: it is (a - b)²/2,"
            " and the mean of two has half of it.",
        ),
        (
            per_image((x - (a + b) / 2) ** 2 - (a - b) ** 2 / 2),
            "the whole variance, (a - b)²/2, is taken off: the mean of two has half of it.",
        ),
        (per_image(x - a) * per_image(x - b), "the product comes first, pixel by pixel."),
        truth=right,
    )
    same(
        found,
        right,
        "for endless samples its mean must be the squared error of the estimator's mean."
        " Two independent samples have independent errors: what is the mean of their product?",
    )
    _same_slopes(answered, {"a": -(x - b) / pixels, "b": -(x - a) / pixels}, leaves)


def _same_slopes(answered, wanted, leaves):
    """wanted: by name the gradients of the sum of what was answered with the leaves, in order."""
    missing = "no gradient comes through: return a tensor, without .item() or .detach()."
    require(isinstance(answered, torch.Tensor) and answered.requires_grad, missing)
    slopes = torch.autograd.grad(answered.sum(), leaves, allow_unused=True)
    for (name, right), slope in zip(wanted.items(), slopes, strict=True):
        require(slope is not None, f"no gradient reaches {name}: it is detached.")
        same(slope.double(), right, f"the value is right, but not its gradient with {name}.")
