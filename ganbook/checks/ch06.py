"""Checks of chapter 6, conditional GANs."""

import math
import random

import torch
import torch.nn.functional as F

from ganbook import networks
from ganbook.checks import exercise, near, on_copies, parts, recognise, require, same, tensor


@exercise("6.1")
def shuffled(answer):
    """Images carry their own number and label in their pixels, so that every pair can be told."""
    orders = []
    for n in (60, 31, 60):
        labels = torch.randint(5, (n,), generator=torch.Generator().manual_seed(n))
        labels[:5] = torch.arange(5)  # all of them occur
        numbers = torch.arange(n) + 100.0 * labels
        images = numbers[:, None, None, None] + torch.arange(18.0).view(3, 2, 3) / 100
        given = images.clone(), labels.clone()
        found = parts(answer(*given), 2, "return the images and the labels, both")
        require(
            torch.equal(given[0], images) and torch.equal(given[1], labels),
            "your function changes what it is given. Index into new tensors.",
        )
        new_images = tensor(found[0], images.shape, "the images")
        new_labels = tensor(found[1], (n,), "the labels")
        value = new_images[:, 0, 0, 0]
        require(
            near(new_images - value[:, None, None, None], images - images[:, :1, :1, :1], 0, 1e-3),
            "the pixels within an image are shuffled too.",
        )
        value = value.round()
        require(
            len(value.unique()) == n,
            "some images come twice and others not at all. `torch.randint` draws with replacement;"
            " `torch.randperm` has every row once.",
        )
        require(
            torch.equal(value.sort().values, numbers.double().sort().values),
            "these are other images.",
        )
        own = torch.div(value, 100, rounding_mode="floor")
        order = (value - 100 * own).long()
        if not torch.equal(own, new_labels):
            require(
                not torch.equal(new_labels, labels.double()),
                "the images are shuffled and the labels are not: each image has another's label.",
            )
            require(
                not torch.equal(value, numbers.double()),
                "the labels are shuffled and the images are not: each image has another's label.",
            )
            require(
                torch.equal(new_labels.sort().values, labels.double().sort().values),
                "these are other labels.",
            )
            require(
                False,
                "images and labels come in two different orders: each image has another's label."
                " Draw one order, and use it twice.",
            )
        require(
            not torch.equal(value, numbers.double()),
            "the pairs are right, but nothing is shuffled.",
        )
        require(
            ((order.diff() - 1) % n != 0).sum() > 2,
            "the images are only moved round: each still comes after the one before it."
            " `torch.randperm` gives a new order.",
        )
        require(
            (order == torch.arange(n)).sum() < n / 3,
            "many images stay where they were: the order must be one of all images.",
        )
        require(
            (order[: n // 2] >= n // 2).any(),
            "no image leaves its half of the data: the order must be one of all images.",
        )
        require(
            (new_labels.diff() < 0).any() and (new_labels.diff() > 0).any(),
            "the images come sorted by their labels: D would see one label at a time.",
        )
        orders.append(order)
    require(
        not torch.equal(orders[0], orders[-1]),
        "each call gives the same order. Every epoch needs a new one: set no seed inside.",
    )


@exercise("6.2")
def projection(answer):
    """The sum of the two parts, against the logarithm of the ratio of the two densities."""
    for n, classes in ((9, 3), (5, 4)):
        a, b = torch.randn(2, classes)
        s, t = random.uniform(0.6, 0.9), random.uniform(1.2, 1.6)
        x = 2 * torch.randn(n)
        v, u = parts(on_copies(answer, a, b, s, t, x), 2, "return v and u, as `return v, u`")
        a, b, x = a.double(), b.double(), x.double()
        require(
            getattr(u, "shape", None) != (classes, n),
            f"u depends on the label: its shape is ({classes}, {n})."
            " What has a label in it belongs to v.",
        )
        v, u = tensor(v, (classes, 2), "v"), tensor(u, (n,), "u")

        def logit(v, u, x=x):
            return v @ torch.stack([x, torch.ones_like(x)]) + u

        def both(s, t, square=1.0, a=a, b=b, x=x):
            v = torch.stack([a / s**2 - b / t**2, square * (b**2 / t**2 - a**2 / s**2) / 2], dim=1)
            return v, x**2 * (1 / t**2 - 1 / s**2) / 2

        def log_normal(centers, width, x=x):
            return -((x - centers[:, None]) ** 2) / (2 * width**2) - math.log(
                width * math.sqrt(2 * math.pi)
            )

        right = log_normal(a, s) - log_normal(b, t)
        constant = math.log(t / s)
        curve = both(s, t)[1]
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
                logit(both(s, t, 0.0)[0], curve + constant),
                "the second column of v is missing: squares of the centres.",
            ),
            (
                logit(both(s, t, 2.0)[0], curve + constant),
                "a factor ½ is missing in the second column of v.",
            ),
            (
                logit(both(s, t, -1.0)[0], curve + constant),
                "the second column of v has the wrong sign:"
                " the real centre's square counts negative.",
            ),
            (
                logit(
                    both(math.sqrt(s), math.sqrt(t))[0],
                    both(math.sqrt(s), math.sqrt(t))[1] + constant,
                ),
                "you divide by s and t. The exponent of a Gaussian has their squares.",
            ),
            (
                log_normal(a, s) - log_normal(b, s),
                "t has no effect: the fakes have a width of their own.",
            ),
            (log_normal(a, s), "this is log p(x|y) alone. A logit compares it with log q(x|y)."),
            (
                right + constant,
                "log(t/s) counts twice: the factor in front is 1/s, not 1/s².",
            ),
            (
                right + curve,
                "a factor ½ is missing in front of x².",
            ),
            (
                right - 2 * x * (a / s**2 - b / t**2)[:, None],
                "the first column of v has the wrong sign.",
            ),
            (
                right + x * (a / s**2 - b / t**2)[:, None],
                "the first column of v is twice what it should be: -(x - a)²/(2s²) has a x/s².",
            ),
            (
                right - x * (a / s**2 - b / t**2)[:, None] / 2,
                "the first column of v is half of what it should be: the 2 of 2 a x is missing.",
            ),
            (
                right - x * (a / s**2)[:, None],
                "the real centres are missing in the first column of v.",
            ),
            (
                right + x * (b / t**2)[:, None],
                "the fakes' centres are missing in the first column of v.",
            ),
            (
                right + 2 * x * (b / t**2)[:, None],
                "a sign in the first column of v: the fakes' centres count negative.",
            ),
            (
                log_normal(b, s) - log_normal(a, t),
                "the centres have changed places: a is where the real points are.",
            ),
            (
                log_normal(a, 1.0) - log_normal(b, 1.0),
                "s and t have no effect: their squares divide.",
            ),
            (
                right - constant / 2,
                "log(t/s) stands at half: the factor in front is 1/s, not its root.",
            ),
            (
                log_normal(a, t) - log_normal(b, s),
                "s and t have changed places: s is the width of the real points.",
            ),
            truth=right,
        )
        require(
            near(logit(v, u), right) or not near(logit(v.flip(1), u), right),
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
    for n, channels, classes, size in ((12, 4, 3, (5, 6)), (7, 2, 5, (3, 2))):
        _check_norm(answer, n, channels, classes, size, eps=0.2)


def _check_norm(answer, n, channels, classes, size, eps):
    labels = torch.randint(classes, (n,))
    labels[:classes] = torch.randperm(classes)
    x = 1.5 * torch.randn(n, channels, *size) + 2 * torch.randn(channels, 1, 1)
    scale, shift = torch.rand(classes, channels) + 0.5, torch.randn(classes, channels)
    found = tensor(on_copies(answer, x, labels, scale, shift, eps), x.shape)
    x, scale, shift = x.double(), scale.double(), shift.double()

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
        (
            finish(x / (x.var((0, 2, 3), unbiased=False, keepdim=True) + eps).sqrt()),
            "the mean is not taken off before dividing.",
        ),
        (
            plain * (1 + rows(scale)) + rows(shift),
            "the scale is scale[y] itself, not 1 + scale[y].",
        ),
        (
            finish(normalised((0, 1, 2, 3))),
            "one mean and variance for all channels. Each channel has statistics of its own.",
        ),
        (
            plain * scale.mean(0)[:, None, None] + shift.mean(0)[:, None, None],
            "every image gets the mean of the rows. Take the row of its label.",
        ),
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
            finish(x / math.sqrt(1 + eps)),
            "the running statistics of a new layer, 0 and 1, as in evaluation mode."
            " In training mode they are the batch's own.",
        ),
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
            "eps is not used: add the one that is given, under the root.",
        ),
        (
            finish(normalised(root=lambda variance: variance + eps)),
            "this divides by the variance: take its root.",
        ),
        (
            plain * scale[0][:, None, None] + shift[0][:, None, None],
            "every image gets the scale and shift of label 0.",
        ),
        truth=right,
    )
    same(
        found,
        right,
        "this is not (x - mean) / root(variance + eps), times scale[y], plus shift[y].",
    )


@exercise("6.4")
def class_loss(answer):
    """Against the cross-entropy of moderate logits, then of logits that would overflow."""
    for n, classes in ((12, 10), (9, 13)):
        _check_class_loss(answer, n, classes)


def _check_class_loss(answer, n, classes):
    logits, labels = 2 * torch.randn(n, classes), torch.randint(classes, (n,))
    leaf = logits.clone().requires_grad_()
    answered = on_copies(answer, leaf, labels)
    require(
        tuple(getattr(answered, "shape", ())) != (n,),
        f"this is one loss for each of {n} images: return their mean.",
    )
    found = tensor(answered, ())
    exact = logits.double().requires_grad_()
    right = F.cross_entropy(exact, labels)
    (slope,) = torch.autograd.grad(right, exact)
    logits, right = logits.double(), right.detach()
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
        (
            F.cross_entropy(logits, labels, label_smoothing=0.1),
            "the labels are smoothed. They are to be taken as they are.",
        ),
        (
            F.binary_cross_entropy_with_logits(logits, F.one_hot(labels, classes).double()),
            "a sigmoid asks a question of its own for each class. Here one class of all is right.",
        ),
        (
            -logits[torch.arange(n), labels].mean(),
            "this is the mean of the right classes' logits: the log-softmax is missing.",
        ),
        (
            F.cross_entropy(logits, logits.argmax(1)),
            "the labels have no effect: you take the likeliest class for the right one.",
        ),
        truth=right,
    )
    same(
        found,
        right,
        "this is not the mean of -log p(label), with p the softmax of the logits over the classes.",
    )
    missing = "no gradient comes through: return a tensor, without .item() or .detach()."
    require(isinstance(answered, torch.Tensor) and answered.requires_grad, missing)
    (found,) = torch.autograd.grad(answered.sum(), leaf, allow_unused=True)
    require(found is not None, missing)
    same(
        found.double(),
        slope,
        "the loss is right, but its gradient is not: part of it is detached.",
    )
    large = tensor(on_copies(answer, 1000 * logits.float(), labels), ())
    require(
        torch.isfinite(large),
        f"with logits in the thousands the loss is {large.item()}:"
        " the softmax becomes 0, and its logarithm infinite. A log-softmax does both at once.",
    )
    exact = F.cross_entropy(1000 * logits.float().double(), labels)
    same(
        large,
        exact,
        f"with logits in the thousands the loss is {large.item():.4g}, and should be {exact:.4g}."
        " Does a clamp, or a small number added before the logarithm, cap it?",
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
        counts[random.randrange(classes)] = 120
        labels = torch.repeat_interleave(torch.arange(classes), counts)[
            torch.randperm(int(counts.sum()))
        ]
        found = on_copies(answer, labels, classes)
        require(
            tuple(getattr(found, "shape", ())) != tuple(labels.shape),
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
            (
                n / (classes * counts.sort().values),
                "these are sorted by the counts. Give them in the order of the classes.",
            ),
            (
                torch.ones(classes),
                "each image weighs the same, so a frequent class more than a rare one.",
            ),
            (
                1 - counts / n,
                "1 minus the share: rare classes still count for less. Divide by the count.",
            ),
            truth=n / (classes * counts),
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
