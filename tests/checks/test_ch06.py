"""Checks of chapter 6: right answers pass, and each wrong answer is named for what it is."""

import math

import pytest
import torch
import torch.nn.functional as F
from spoilt import spoiling
from torch import nn

from ganbook import networks
from ganbook.checks import ch06


def shuffle(images, labels, order=torch.randperm, of_labels=None):
    rows = order(len(labels))
    return images[rows], labels[rows if of_labels is None else of_labels(rows)]


def shuffle_by_loader(images, labels):
    loader = torch.utils.data.DataLoader(
        list(zip(images, labels, strict=True)), batch_size=len(labels), shuffle=True
    )
    return next(iter(loader))


def shuffle_in_place(images, labels):
    rows = torch.randperm(len(labels))
    images[:], labels[:] = images[rows], labels[rows]
    return images, labels


def shuffle_one_in_place(images, labels, which):
    result = shuffle(images, labels)
    (images, labels)[which].zero_()
    return result


def shuffle_by_seed(images, labels):
    return shuffle(
        images, labels, lambda n: torch.randperm(n, generator=torch.Generator().manual_seed(0))
    )


def shuffle_pixels(images, labels):
    images, labels = shuffle(images, labels)
    return images + torch.randn_like(images), labels


def norm(
    x,
    labels,
    scale,
    shift,
    eps,
    dims=(0, 2, 3),
    unbiased=False,
    root=None,
    finish=lambda x, s, t: x * s + t,
):
    variance = x.var(dims, unbiased=unbiased, keepdim=True)
    spread = (variance + eps).sqrt() if root is None else root(variance, eps)
    rows = (table[labels][:, :, None, None] for table in (scale, shift))
    return finish((x - x.mean(dims, keepdim=True)) / spread, *rows)


def norm_by_torch(x, labels, scale, shift, eps):
    plain = F.batch_norm(x, None, None, training=True, eps=eps)
    return plain * scale[labels, :, None, None] + shift[labels, :, None, None]


def norm_by_layer(x, labels, scale, shift, eps):
    layer = nn.BatchNorm2d(x.shape[1], eps=eps, affine=False).double()
    one_hot = F.one_hot(labels, len(scale)).double()
    return layer(x) * (one_hot @ scale)[:, :, None, None] + (one_hot @ shift)[:, :, None, None]


def norm_by_label(x, labels, scale, shift, eps):
    result = x.clone()
    for label in labels.unique():
        own = labels == label
        result[own] = norm(x[own], labels[own], scale, shift, eps)
    return result


def parts(a, b, s, t, x, square=1.0, curve=1.0, constant=1.0):
    v = torch.stack([a / s**2 - b / t**2, square * (b**2 / t**2 - a**2 / s**2) / 2], dim=1)
    return v, curve * x**2 * (1 / t**2 - 1 / s**2) / 2 + constant * math.log(t / s)


def parts_moved(a, b, s, t, x):
    """Something that all labels share may stand on either side."""
    v, u = parts(a, b, s, t, x)
    shared = torch.tensor([0.3, -1.2])
    return v + shared, u - shared[0] * x - shared[1]


def parts_of_zero(a, b, s, t, x):
    v, u = parts(a, b, s, t, x)
    return v - v[0], u + v[0, 0] * x + v[0, 1]


def roots(a, b, s, t, x):
    v, _ = parts(a, b, math.sqrt(s), math.sqrt(t), x)
    return v, x**2 * (1 / t - 1 / s) / 2 + math.log(t / s)


def all_in_u(a, b, s, t, x):
    v, u = parts(a, b, s, t, x)
    return torch.zeros_like(v), v @ torch.stack([x, torch.ones_like(x)]) + u


def real_alone(a, b, s, t, x):
    v = torch.stack([a / s**2, -(a**2) / (2 * s**2)], dim=1)
    return v, -(x**2) / (2 * s**2) - math.log(s * math.sqrt(2 * math.pi))


def norm_in_float32(x, labels, scale, shift, eps):
    found = torch.empty(x.shape)
    rows = F.one_hot(labels, len(scale)).float()
    found[:] = F.batch_norm(x, None, None, training=True, eps=eps)
    return found * (rows @ scale)[:, :, None, None] + (rows @ shift)[:, :, None, None]


def shuffle_first_half(images, labels):
    n, half = len(labels), len(labels) // 2
    rows = torch.cat([torch.randperm(half), torch.arange(half, n)])
    return images[rows], labels[rows]


def shuffle_within_halves(images, labels):
    n, half = len(labels), len(labels) // 2
    rows = torch.cat([torch.randperm(half), half + torch.randperm(n - half)])
    return images[rows], labels[rows]


def moved_round(images, labels):
    by = torch.randint(1, len(labels), ()).item()
    return images.roll(by, 0), labels.roll(by)


def first_column(a, b, s, t, x, factor):
    v, u = parts(a, b, s, t, x)
    return v * torch.tensor([factor, 1.0]), u


def entropy(logits, labels, of=lambda logits: logits.log_softmax(1), reduce=torch.mean):
    return -reduce(of(logits)[torch.arange(len(labels)), labels])


def softmax_by_hand(logits):
    powers = logits.exp()
    return (powers / powers.sum(1, keepdim=True)).log()


def weights(labels, classes, of=lambda counts: counts.sum() / (len(counts) * counts)):
    return of(torch.bincount(labels, minlength=classes).double())


RIGHT_BORDERS = {"a": "faithful", "b": "cut", "c": "cut", "d": "faithful"}

RIGHT = [
    (ch06.shuffled, shuffle),
    (ch06.shuffled, shuffle_by_loader),
    (ch06.shuffled, lambda x, y: [part.double().numpy() for part in shuffle(x, y)]),
    (ch06.conditional_batch_norm, norm),
    (ch06.conditional_batch_norm, norm_by_torch),
    (ch06.conditional_batch_norm, norm_by_layer),  # in float64
    (ch06.conditional_batch_norm, norm_in_float32),
    (ch06.conditional_batch_norm, lambda *a: norm(*a).tolist()),
    (ch06.projection, parts),
    (ch06.projection, parts_moved),
    (ch06.projection, parts_of_zero),
    (ch06.projection, lambda *a: [part.tolist() for part in parts(*a)]),
    (ch06.projection, lambda a, b, s, t, x: parts(a.double(), b.double(), s, t, x.double())),
    (ch06.class_loss, entropy),
    (ch06.class_loss, F.cross_entropy),
    (ch06.class_loss, lambda logits, labels: entropy(logits, labels).reshape(1)),
    (ch06.class_loss, lambda logits, labels: entropy(logits.double(), labels)),
    (ch06.class_loss, lambda logits, labels: F.nll_loss(logits.log_softmax(1), labels)),
    (
        ch06.class_loss,
        lambda logits, labels: (
            logits.logsumexp(1) - logits.gather(1, labels[:, None])[:, 0]
        ).mean(),
    ),
    (ch06.borders, RIGHT_BORDERS),
    (ch06.borders, {name: f" {value.upper()} " for name, value in RIGHT_BORDERS.items()}),
    (ch06.class_weights, weights),
    (ch06.class_weights, lambda y, n: (len(y) / n / int((y == c).sum()) for c in range(n))),
    (ch06.class_weights, lambda y, n: dict(enumerate(weights(y, n).tolist())).values()),
    (ch06.class_weights, lambda labels, n: len(labels) / (n * torch.bincount(labels))),
    (
        ch06.class_weights,
        lambda labels, n: [len(labels) / n / (labels == c).sum().item() for c in range(n)],
    ),
]

WRONG = [
    (
        ch06.shuffled,
        lambda x, y: shuffle(x, y, of_labels=lambda rows: torch.randperm(len(rows))),
        "two different ord",
    ),
    (ch06.shuffled, lambda x, y: shuffle(x, y, of_labels=torch.argsort), "two different orders"),
    (
        ch06.shuffled,
        lambda x, y: shuffle(x, y, of_labels=lambda rows: slice(None)),
        "labels are not",
    ),
    (ch06.shuffled, lambda x, y: (x, y[torch.randperm(len(y))]), "images are not"),
    (ch06.shuffled, lambda x, y: (x, y), "nothing is shuffled"),
    (
        ch06.shuffled,
        lambda x, y: shuffle(x, y, lambda n: torch.randint(n, (n,))),
        "with replacement",
    ),
    (ch06.shuffled, shuffle_in_place, "changes what it is given"),
    (ch06.shuffled, shuffle_by_seed, "the same order"),
    (ch06.shuffled, shuffle_pixels, "pixels within"),
    (ch06.shuffled, lambda x, y: shuffle(x, y, lambda n: torch.randperm(60)), "out of bounds"),
    (ch06.shuffled, moved_round, "only moved round"),
    (
        ch06.shuffled,
        lambda x, y: shuffle(x, y, lambda n: (y + torch.rand(n) / 2).argsort()),
        "sorted by their labels",
    ),
    (ch06.shuffled, lambda x, y: shuffle(x, y.flip(0)), "two different orders"),
    (ch06.shuffled, shuffle_first_half, "stay where they were"),
    (ch06.shuffled, shuffle_within_halves, "leaves its half"),
    (ch06.shuffled, lambda x, y: shuffle(x, 0 * y), "other labels"),
    (ch06.shuffled, lambda x, y: x[torch.randperm(len(y))], "both"),
    (ch06.shuffled, lambda x, y: shuffle(x[:30], y[:30]), "shape should be"),
    (ch06.shuffled, lambda x, y: shuffle_one_in_place(x, y, 0), "changes what it is given"),
    (ch06.shuffled, lambda x, y: shuffle_one_in_place(x, y, 1), "changes what it is given"),
    (ch06.shuffled, lambda x, y: shuffle(x + 1, y), "other images"),
    (ch06.shuffled, lambda x, y: (*shuffle(x, y), y), "both"),
    (ch06.shuffled, lambda x, y: dict(zip("xy", shuffle(x, y), strict=True)), "both"),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, finish=lambda x, s, t: x),
        "plain batch norm",
    ),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, finish=lambda x, s, t: x * s),
        "shift is missing",
    ),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, finish=lambda x, s, t: x + t),
        "scale is missing",
    ),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, finish=lambda x, s, t: x * t + s),
        "changed places",
    ),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, finish=lambda x, s, t: (x + t) * s),
        "scaled too",
    ),
    (
        ch06.conditional_batch_norm,
        lambda x, y, s, t, e: x * s[y][..., None, None] + t[y][..., None, None],
        "not norm",
    ),
    (ch06.conditional_batch_norm, lambda *a: norm(*a, dims=(2, 3)), "each image by itself"),
    (ch06.conditional_batch_norm, lambda *a: norm(*a, dims=0), "of each pixel"),
    (ch06.conditional_batch_norm, lambda *a: norm(*a, dims=(1, 2, 3)), "across the channels"),
    (ch06.conditional_batch_norm, norm_by_label, "label by label"),
    (ch06.conditional_batch_norm, lambda *a: norm(*a, unbiased=True), "N, not by N - 1"),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, root=lambda v, e: v.sqrt() + e),
        "under the root",
    ),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, root=lambda v, e: v.sqrt()),
        "eps is not used",
    ),
    (ch06.conditional_batch_norm, lambda *a: norm(*a, root=lambda v, e: v + e), "take its root"),
    (ch06.conditional_batch_norm, lambda x, y, s, t, e: norm(x, 0 * y, s, t, e), "label 0"),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, finish=lambda x, s, t: x * s - t),
        "times scale",
    ),
    (ch06.conditional_batch_norm, lambda *a: norm(*a, dims=(0, 1, 2, 3)), "for all channels"),
    (
        ch06.conditional_batch_norm,
        lambda *a: norm(*a, finish=lambda x, s, t: x * (1 + s) + t),
        "itself, not 1",
    ),
    (ch06.conditional_batch_norm, lambda *a: norm(*a)[0], "shape should be"),
    (ch06.conditional_batch_norm, spoiling(norm, 0), "changes what it is given"),
    (ch06.conditional_batch_norm, spoiling(norm, 2), "changes what it is given"),
    (
        ch06.conditional_batch_norm,
        lambda x, y, s, t, e: (
            nn.BatchNorm2d(x.shape[1], e, affine=False).eval()(x) * s[y][..., None, None]
            + t[y][..., None, None]
        ),
        "as in evaluation mode",
    ),
    (ch06.conditional_batch_norm, lambda x, y, s, t, e: x * s[y] + t[y], "raised RuntimeError"),
    (ch06.projection, lambda *a: tuple(-part for part in parts(*a)), "all signs are turned"),
    (ch06.projection, lambda *a: parts(*a, constant=0), "is missing: the two densities"),
    (ch06.projection, lambda *a: parts(*a, constant=-1), "turned: it is log"),
    (ch06.projection, lambda *a: parts(*a, curve=0), "part with x² is missing"),
    (ch06.projection, lambda *a: parts(*a, curve=0, constant=0), "u is missing"),
    (ch06.projection, lambda *a: parts(*a, curve=-1), "part with x² has the wrong sign"),
    (ch06.projection, lambda *a: parts(*a, square=0), "squares of the centres"),
    (ch06.projection, lambda *a: parts(*a, square=2), "a factor ½"),
    (ch06.projection, lambda *a: parts(*a, square=-1), "counts negative"),
    (ch06.projection, roots, "divide by s and t"),
    (ch06.projection, lambda a, b, s, t, x: parts(a, b, s, s, x), "t has no effect"),
    (ch06.projection, real_alone, "alone"),
    (ch06.projection, lambda a, b, s, t, x: parts(b, a, s, t, x), "centres have changed places"),
    (ch06.projection, lambda a, b, s, t, x: parts(a, b, 1.0, 1.0, x), "no effect"),
    (ch06.projection, lambda *a: parts(*a, constant=0.5), "at half"),
    (ch06.projection, all_in_u, "u depends on the label"),
    (ch06.projection, lambda *a: parts(*a, curve=2), "½ is missing in front of x²"),
    (ch06.projection, lambda *a: parts(*a, constant=2), "counts twice"),
    (ch06.projection, lambda *a: first_column(*a, 2.0), "twice what it should be"),
    (ch06.projection, lambda *a: first_column(*a, -1.0), "first column of v has the wrong sign"),
    (ch06.projection, lambda a, b, s, t, x: parts(a, b, t, s, x), "have changed places"),
    (ch06.projection, lambda *a: (parts(*a)[0].flip(1), parts(*a)[1]), "columns of v"),
    (ch06.projection, lambda *a: (parts(*a)[0].T, parts(*a)[1]), "shape should be"),
    (ch06.projection, lambda *a: (parts(*a)[0] * 1.1, parts(*a)[1]), "Expand both squares"),
    (ch06.projection, spoiling(parts, 0), "changes what it is given"),
    (ch06.projection, lambda *a: parts(*a)[0], "return v and u"),
    (ch06.projection, lambda *a: (*parts(*a), 0), "return v and u"),
    (ch06.projection, lambda *a: dict(zip("vu", parts(*a), strict=True)), "return v and u"),
    (ch06.class_loss, lambda x, y: F.cross_entropy(x.softmax(1), y), "softmax is still there"),
    (ch06.class_loss, lambda x, y: -entropy(x, y), "sign is turned"),
    (ch06.class_loss, lambda x, y: entropy(x[:, :10], y), "out of bounds|not the mean"),
    (ch06.class_loss, spoiling(entropy, 0), "changes what it is given"),
    (ch06.class_loss, lambda x, y: entropy(x, y, reduce=torch.sum), "sum over the batch"),
    (ch06.class_loss, lambda x, y: entropy(x, y, reduce=lambda v: v), "one loss for each"),
    (
        ch06.class_loss,
        lambda x, y: -(F.one_hot(y, 10) * x.log_softmax(1)).mean(),
        "mean over all classes",
    ),
    (
        ch06.class_loss,
        lambda x, y: entropy(x, y, of=lambda x: x.softmax(1)),
        "logarithm is missing",
    ),
    (
        ch06.class_loss,
        lambda x, y: 1 + entropy(x, y, of=lambda x: x.softmax(1)),
        "logarithm is missing",
    ),
    (
        ch06.class_loss,
        lambda x, y: -(-entropy(x, y, of=lambda x: x.softmax(1))).log(),
        "logarithm of a mean",
    ),
    (ch06.class_loss, lambda x, y: F.nll_loss(x, y), "log-softmax is missing"),
    (
        ch06.class_loss,
        lambda x, y: entropy(x, y, of=lambda x: x.log_softmax(0)),
        "runs over the batch",
    ),
    (ch06.class_loss, lambda x, y: entropy(x, y) / math.log(2), "in bits"),
    (ch06.class_loss, lambda x, y: (x.argmax(1) != y).double().mean(), "share of errors"),
    (ch06.class_loss, lambda x, y: entropy(x, y).item(), "no gradient"),
    (
        ch06.class_loss,
        lambda x, y: torch.tensor(entropy(x, y).item(), requires_grad=True),
        "no gradient",
    ),
    (
        ch06.class_loss,
        lambda x, y: (x.logsumexp(1).detach() - x[torch.arange(len(y)), y]).mean(),
        "its gradient is not",
    ),
    (ch06.class_loss, lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1), "are smoothed"),
    (ch06.class_loss, lambda x, y: entropy(x, x.argmax(1)), "labels have no effect"),
    (ch06.class_loss, lambda x, y: entropy(x, y).detach(), "no gradient"),
    (
        ch06.class_loss,
        lambda x, y: entropy(x, y, of=softmax_by_hand),
        "in the thousands the loss is",
    ),
    (
        ch06.class_loss,
        lambda x, y: entropy(x, y, of=lambda x: x.softmax(1).log()),
        "in the thousands the loss is",
    ),
    (ch06.class_loss, lambda x, y: entropy(x, y) + 1, "this is not the mean"),
    (
        ch06.class_loss,
        lambda x, y: entropy(x, y, of=lambda x: (x.softmax(1) + 1e-8).log()),
        "cap it",
    ),
    (
        ch06.class_loss,
        lambda x, y: entropy(x.clamp(-100, 100), y),
        "cap it",
    ),
    (ch06.borders, RIGHT_BORDERS | {"a": "cut"}, "certain already"),
    (ch06.borders, RIGHT_BORDERS | {"b": "faithful"}, "any weight above 0"),
    (ch06.borders, RIGHT_BORDERS | {"c": "faithful"}, "pure chance"),
    (ch06.borders, RIGHT_BORDERS | {"d": "cut"}, "is told the label"),
    (ch06.borders, RIGHT_BORDERS | {"d": "split"}, "two words"),
    (ch06.borders, {"a": "faithful"}, "a dictionary"),
    (ch06.borders, "cut", "a dictionary"),
    (ch06.class_weights, lambda y, n: weights(y, n, lambda c: c / c.sum()), "share of each class"),
    (ch06.class_weights, lambda y, n: weights(y, n, lambda c: c), "the counts"),
    (ch06.class_weights, lambda y, n: weights(y, n, lambda c: 1 / c), "loss has shrunk"),
    (ch06.class_weights, lambda y, n: weights(y, n, lambda c: c.sum() / c), "all images together"),
    (ch06.class_weights, lambda y, n: weights(y, n, lambda c: 1 / c / (1 / c).sum()), "sum to 1"),
    (
        ch06.class_weights,
        lambda y, n: weights(y, n, lambda c: 1 / c / (1 / c).mean()),
        "mean over the classes is 1",
    ),
    (ch06.class_weights, lambda y, n: weights(y, n, lambda c: c.max() / c), "the weight 1"),
    (ch06.class_weights, lambda y, n: weights(y, n).sqrt(), "root of the weights"),
    (ch06.class_weights, lambda y, n: weights(y, n)[y], "not for each image"),
    (ch06.class_weights, lambda y, n: weights(y, n) / 3, "mean weight over the images"),
    (ch06.class_weights, lambda y, n: weights(y, n) + 1, "add up"),
    (ch06.class_weights, lambda y, n: 0 * weights(y, n), "above 0"),
    (ch06.class_weights, lambda y, n: torch.ones(n), "each image weighs the same"),
    (ch06.class_weights, lambda y, n: weights(y, n).sort(descending=True).values, "sorted by"),
    (ch06.class_weights, lambda y, n: weights(y, 10), "shape should be"),
    (ch06.class_weights, spoiling(weights, 0), "changes what it is given"),
]


def test_the_layer_of_the_exercise_is_the_package_s():
    x, labels = torch.randn(6, 3, 4, 4), torch.arange(6) % 2
    layer = networks.ConditionalBatchNorm2d(3, 2)
    nn.init.normal_(layer.scale), nn.init.normal_(layer.shift)
    by_hand = norm(x, labels, layer.scale, layer.shift, layer.norm.eps)
    assert torch.allclose(layer(x, labels), by_hand, atol=1e-5)


def test_the_published_loss_of_the_exercise_has_the_floor_that_the_chapter_states():
    sure = torch.full((10, 10), -50.0).fill_diagonal_(50.0)
    labels = torch.arange(10)
    assert F.cross_entropy(sure.softmax(1), labels).item() == pytest.approx(
        math.log(math.e + 9) - 1, abs=1e-6
    )
    assert F.cross_entropy(sure, labels).item() == pytest.approx(0, abs=1e-6)
