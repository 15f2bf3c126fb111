"""Checks of chapter 6, conditional GANs."""

import math
import random

import torch
import torch.nn.functional as F

from ganbook import networks
from ganbook.checks import exercise, recognise, require, same, tensor


@exercise("6.1")
def shuffled(answer):
    """Images carry their own number and label in their pixels, so that every pair can be told."""
    n = 60
    labels = torch.randint(5, (n,))
    labels[:5] = torch.arange(5)  # all of them occur
    images = (torch.arange(n) + 100.0 * labels)[:, None, None, None].expand(n, 1, 2, 2).clone()
    orders = []
    for _ in range(3):
        given = images.clone(), labels.clone()
        found = answer(*given)
        require(
            isinstance(found, (tuple, list)) and len(found) == 2,
            "return the images and the labels, both.",
        )
        require(
            torch.equal(given[0], images) and torch.equal(given[1], labels),
            "your function changes what it is given. Index into new tensors.",
        )
        new_images, new_labels = tensor(found[0], (n, 1, 2, 2)), tensor(found[1], (n,))
        require(
            (new_images == new_images[:, :, :1, :1]).all(),
            "the pixels within an image are shuffled too.",
        )
        value = new_images[:, 0, 0, 0]
        require(
            len(value.unique()) == n,
            "some images come twice and others not at all. `torch.randint` draws with replacement;"
            " `torch.randperm` has every row once.",
        )
        require(
            torch.equal(value.sort().values, images[:, 0, 0, 0].double().sort().values),
            "these are other images.",
        )
        own = torch.div(value, 100, rounding_mode="floor")
        in_place = torch.equal(new_labels, labels.double())
        if not torch.equal(own, new_labels):
            require(
                not in_place,
                "the images are shuffled and the labels are not: each image has another's label.",
            )
            require(
                not torch.equal(value, images[:, 0, 0, 0].double()),
                "the labels are shuffled and the images are not: each image has another's label.",
            )
            require(
                False,
                "images and labels come in two different orders: each image has another's label."
                " Draw one order, and use it twice.",
            )
        require(
            not torch.equal(value, images[:, 0, 0, 0].double()),
            "the pairs are right, but nothing is shuffled.",
        )
        orders.append(value)
    require(
        not torch.equal(orders[0], orders[-1]),
        "each call gives the same order. Every epoch needs a new one: set no seed inside.",
    )


@exercise("6.2")
def projection(answer):
    """The sum of the two parts, against the logarithm of the ratio of the two densities."""
    n, classes = 9, 3
    for _ in range(2):
        a, b = torch.randn(2, classes, dtype=torch.float64)
        s, t = random.uniform(0.6, 0.9), random.uniform(1.2, 1.6)
        x = 2 * torch.randn(n, dtype=torch.float64)
        found = answer(a.clone(), b.clone(), s, t, x.clone())
        require(
            isinstance(found, (tuple, list)) and len(found) == 2,
            "return v and u, as `return v, u`.",
        )
        v, u = found
        require(
            getattr(u, "shape", None) != (classes, n),
            f"u depends on the label: its shape is ({classes}, {n})."
            " What has a label in it belongs to v.",
        )
        v, u = tensor(v, (classes, 2)), tensor(u, (n,))

        def logit(v, u, x=x):
            return v @ torch.stack([x, torch.ones_like(x)]) + u

        def parts(s, t, square=1.0, a=a, b=b, x=x):
            v = torch.stack([a / s**2 - b / t**2, square * (b**2 / t**2 - a**2 / s**2) / 2], dim=1)
            return v, x**2 * (1 / t**2 - 1 / s**2) / 2

        def log_normal(centers, width, x=x):
            return -((x - centers[:, None]) ** 2) / (2 * width**2) - math.log(
                width * math.sqrt(2 * math.pi)
            )

        right = log_normal(a, s) - log_normal(b, t)
        constant = math.log(t / s)
        curve = parts(s, t)[1]
        recognise(
            logit(v, u),
            (-right, "all signs are turned: this is the logit for fake against real."),
            (
                right - constant,
                "log(t/s) is missing: the two densities have different factors in front.",
            ),
            (
                right - 2 * constant,
                "the factors in front are turned: it is log(t/s), since 1/s stands above 1/t.",
            ),
            (right - curve, "the part with x² is missing. It has no label in it: it belongs to u."),
            (
                right - curve - constant,
                "u is missing: x² has a factor when s and t differ, and there is log(t/s).",
            ),
            (right - 2 * curve, "the part with x² has the wrong sign."),
            (
                logit(parts(s, t, 0.0)[0], curve + constant),
                "the second column of v is missing: squares of the centres.",
            ),
            (
                logit(parts(s, t, 2.0)[0], curve + constant),
                "a factor ½ is missing in the second column of v.",
            ),
            (
                logit(parts(s, t, -1.0)[0], curve + constant),
                "the second column of v has the wrong sign:"
                " the real centre's square counts negative.",
            ),
            (
                logit(
                    parts(math.sqrt(s), math.sqrt(t))[0],
                    parts(math.sqrt(s), math.sqrt(t))[1] + constant,
                ),
                "you divide by s and t. The exponent of a Gaussian has their squares.",
            ),
            (
                log_normal(a, s) - log_normal(b, s),
                "t has no effect: the fakes have a width of their own.",
            ),
            (log_normal(a, s), "this is log p(x|y) alone. A logit compares it with log q(x|y)."),
        )
        require(
            not torch.allclose(logit(v.flip(1), u), right),
            "the columns of v have changed places: the first is multiplied by x, the second by 1.",
        )
        same(
            logit(v, u),
            right,
            "v[y] · (x, 1) + u(x) is not log p(x|y) - log q(x|y). Expand both squares.",
        )


@exercise("6.3")
def conditional_batch_norm(answer):
    """Against the package's layer in training mode, with an eps that is large enough to be seen."""
    n, channels, classes, eps = 12, 4, 3, 0.2
    labels = torch.arange(n) % classes
    x = 1.5 * torch.randn(n, channels, 5, 6, dtype=torch.float64) + torch.randn(
        channels, 1, 1, dtype=torch.float64
    )
    scale, shift = (
        torch.rand(classes, channels).double() + 0.5,
        torch.randn(classes, channels).double(),
    )
    found = tensor(answer(x.clone(), labels, scale.clone(), shift.clone(), eps), tuple(x.shape))

    def rows(table):
        return table[labels][:, :, None, None]

    layer = networks.ConditionalBatchNorm2d(channels, classes).to(x)
    layer.norm.eps = eps
    with torch.no_grad():
        layer.scale.copy_(scale)
        layer.shift.copy_(shift)
        right = layer(x, labels)

    def normalised(dims=(0, 2, 3), unbiased=False, root=lambda variance: (variance + eps).sqrt()):
        return (x - x.mean(dims, keepdim=True)) / root(x.var(dims, unbiased=unbiased, keepdim=True))

    by_label = x.clone()
    for label in range(classes):
        own = x[labels == label]
        spread = (own.var((0, 2, 3), unbiased=False, keepdim=True) + eps).sqrt()
        by_label[labels == label] = (own - own.mean((0, 2, 3), keepdim=True)) / spread
    plain = normalised()

    def finish(values):
        return values * rows(scale) + rows(shift)

    recognise(
        found,
        (plain, "this is plain batch norm: the label's scale and shift are missing."),
        (plain * rows(scale), "the shift is missing."),
        (plain + rows(shift), "the scale is missing."),
        (plain * rows(shift) + rows(scale), "scale and shift have changed places."),
        (
            (plain + rows(shift)) * rows(scale),
            "scale first, then shift: here the shift is scaled too.",
        ),
        (finish(x), "the maps are not normalised: mean 0 and variance 1 come first."),
        (
            finish(normalised((2, 3))),
            "this normalises each image by itself. The statistics are those of the batch.",
        ),
        (
            finish(normalised((0,))),
            "the statistics are of each pixel. They run over the pixels too, dims (0, 2, 3).",
        ),
        (
            finish(normalised((1, 2, 3))),
            "this normalises across the channels. Each channel has statistics of its own.",
        ),
        (
            finish(by_label),
            "the statistics are taken label by label."
            " They are the batch's; only scale and shift are the label's.",
        ),
        (
            finish(normalised(unbiased=True)),
            "batch norm divides by N, not by N - 1: `var(..., unbiased=False)`.",
        ),
        (
            finish(normalised(root=lambda variance: variance.sqrt() + eps)),
            "eps is added to the variance, under the root.",
        ),
        (
            finish(normalised(root=lambda variance: variance.sqrt())),
            "eps is not used: add it under the root.",
        ),
        (
            finish(normalised(root=lambda variance: variance + eps)),
            "this divides by the variance: take its root.",
        ),
        (
            plain * scale[0][:, None, None] + shift[0][:, None, None],
            "every image gets the scale and shift of label 0.",
        ),
    )
    same(
        found,
        right,
        "this is not (x - mean) / root(variance + eps), times scale[y], plus shift[y].",
    )


@exercise("6.4")
def class_loss(answer):
    """Against the cross-entropy of moderate logits, then of logits that would overflow."""
    n, classes = 12, 10
    logits, labels = 2 * torch.randn(n, classes, dtype=torch.float64), torch.randint(classes, (n,))
    own = logits.clone().requires_grad_()
    answered = answer(own, labels)
    require(
        getattr(answered, "shape", None) != (n,),
        f"this is one loss for each of {n} images: return their mean.",
    )
    found, right = tensor(answered, ()), F.cross_entropy(logits, labels)
    probabilities = logits.softmax(1)
    chosen = probabilities[torch.arange(n), labels]
    recognise(
        found,
        (
            F.cross_entropy(probabilities, labels),
            "the softmax is still there, and cross-entropy has its own:"
            " so it can't fall below ln(e + 9) - 1.",
        ),
        (-right, "the sign is turned: this would be minimised by being wrong."),
        (
            n * right,
            "this is the sum over the batch:"
            " the learning rate would depend on its size. Take the mean.",
        ),
        (
            right / classes,
            "this is a mean over all classes. Only the right class's logarithm counts.",
        ),
        (-chosen.mean(), "the logarithm is missing."),
        (1 - chosen.mean(), "the logarithm is missing."),
        (
            -chosen.mean().log(),
            "this is the logarithm of a mean. It is the mean of the logarithms.",
        ),
        (
            F.nll_loss(logits, labels),
            "these are logits, not log-probabilities: the log-softmax is missing.",
        ),
        (
            -logits.log_softmax(0)[torch.arange(n), labels].mean(),
            "the softmax runs over the batch. It belongs over the classes, dim=1.",
        ),
        (right / math.log(2), "this is in bits. Losses here are in nats: the natural logarithm."),
        (
            (logits.argmax(1) != labels).double().mean(),
            "this is the share of errors. It has no gradient.",
        ),
    )
    same(
        found,
        right,
        "this is not the mean of -log p(label), with p the softmax of the logits over the classes.",
    )
    require(
        isinstance(answered, torch.Tensor) and answered.requires_grad,
        "no gradient comes through: return a tensor, without .item() or .detach().",
    )
    large = tensor(answer(1000 * logits, labels), ())
    require(
        torch.isfinite(large),
        f"with logits in the thousands the loss is {large.item()}:"
        " the softmax becomes 0, and its logarithm infinite. A log-softmax does both at once.",
    )
    same(
        large,
        F.cross_entropy(1000 * logits, labels),
        "with logits in the thousands the loss is wrong.",
    )


@exercise("6.5", value=True)
def borders(answer):
    """Three predictions follow from which classes overlap, one from who is told the label."""
    names = ("a", "b", "c", "d")
    require(
        isinstance(answer, dict) and set(answer) == set(names),
        'write a dictionary, {"a": "faithful", "b": ..., "c": ..., "d": ...}.',
    )
    answer = {name: str(value).strip().lower() for name, value in answer.items()}
    require(
        set(answer.values()) <= {"faithful", "cut"}, 'there are two words, "faithful" and "cut".'
    )
    require(
        answer["d"] == "faithful",
        "d: this D is told the label, and there is no classifier to please.",
    )
    require(
        answer["a"] == "faithful",
        "a: where the classes don't overlap, every fake's label is certain already."
        " There is nothing to gain.",
    )
    require(
        answer["b"] == "cut",
        "b: relabelling a fake costs nothing in D's eyes, so any weight above 0 is enough."
        " A small one takes longer.",
    )
    require(
        answer["c"] == "cut",
        "c: the data's labels are pure chance here, and G is paid for labels that are certain.",
    )


@exercise("6.6")
def class_weights(answer):
    """Labels of a long tail, by the two properties that define the weights."""
    for _ in range(3):
        classes = random.randint(3, 7)
        counts = torch.randint(2, 60, (classes,))
        counts[0] = 120
        labels = torch.repeat_interleave(torch.arange(classes), counts)[
            torch.randperm(int(counts.sum()))
        ]
        found = answer(labels.clone(), classes)
        require(
            getattr(found, "shape", None) != labels.shape,
            "one weight for each class, please, not for each image.",
        )
        found, n = tensor(found, (classes,)), len(labels)
        counts = counts.double()
        require(
            torch.isfinite(found) & (found > 0), "every weight must be a finite number above 0."
        )
        recognise(
            found,
            (
                counts / n,
                "this is the share of each class:"
                " the frequent ones would weigh more. Turn it over.",
            ),
            (
                counts,
                "these are the counts: the frequent classes would weigh more. Turn them over.",
            ),
            (
                1 / counts,
                "each class weighs the same now, but the loss has shrunk:"
                " the mean over images must be 1.",
            ),
            (
                n / counts,
                "each class now weighs as much as all images together:"
                f" the mean over the images is {classes}, not 1.",
            ),
            (
                1 / counts / (1 / counts).sum(),
                "these sum to 1 over the classes. The mean over the images must be 1.",
            ),
            (
                classes / counts / (1 / counts).sum(),
                "their mean over the classes is 1. Rare classes have few images:"
                " over the images the mean must be 1.",
            ),
            (
                counts.max() / counts,
                "the most frequent class has the weight 1, so the loss has grown."
                " The mean over the images must be 1.",
            ),
            (
                (n / (classes * counts)).sqrt(),
                "this is the root of the weights: rare classes still count for less.",
            ),
        )
        total = found * counts
        require(
            total.max() < 1.001 * total.min(),
            "the weights of all images of a class should add up to the same for each class;"
            f" they add up to {total.min():.3g} for one and {total.max():.3g} for another.",
        )
        mean = found[labels].mean()
        require(
            abs(mean - 1) < 1e-3,
            "the mean weight over the images must be 1, so that the loss keeps its size;"
            f" it is {mean:.3g}.",
        )
