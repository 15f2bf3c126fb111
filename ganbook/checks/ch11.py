"""Checks of chapter 11, InfoGAN."""

import itertools
import math
import random

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from ganbook.checks import (
    exercise,
    near,
    number,
    on_copies,
    parts,
    recognise,
    recognise_number,
    require,
    same,
    tensor,
)


@exercise("11.1")
def gaussian_code(answer):
    """Against the closed forms, at gains of both signs and noise above and below 1."""
    for a, s in ((1.2, 0.9), (2.0, 0.5), (-1.5, 0.7), (0.3, 2.0), (-3.0, 1.3)):
        found = parts(answer(a, s), 3, "return three numbers, the information, m and v")
        information, m, v = (
            number(value, name)
            for value, name in zip(found, ("information", "m", "v"), strict=True)
        )
        ratio, total = a**2 / s**2, a**2 + s**2
        at = f"with a = {a:g} and s = {s:g}: "
        truth = math.log1p(ratio) / 2
        recognise_number(
            information,
            (2 * truth, "the information is twice too large: half the logarithm."),
            (truth / math.log(2), "this is in bits. For nats, take the natural logarithm."),
            (-truth, "the information has the wrong sign: knowing x can't raise the entropy."),
            (
                math.log1p(abs(a) / s) / 2,
                "inside the logarithm belongs the ratio of the variances, a²/s², not |a|/s.",
            ),
            (
                math.log1p(a / s) / 2 if a / s > -1 else math.inf,
                "a code with a negative gain says as much: a²/s² belongs inside the logarithm.",
            ),
            (math.log(ratio) / 2, "the 1 is missing: x has the variance a² + s², and given c s²."),
            (math.log1p(1 / ratio) / 2, "a and s have changed places: s is the noise."),
            (
                math.log(2 * math.pi * math.e * total) / 2,
                "this is the entropy of x. Subtract that of x given c.",
            ),
            (
                math.log(2 * math.pi * math.e) / 2,
                "this is the entropy of c. Subtract that of c given x.",
            ),
            truth=truth,
            of=at,
        )
        recognise_number(
            m,
            (-a / total, "m has the sign of a: with a below 0, a large x means a small c."),
            (1 / a, "x/a is what c would be without noise. The best guess is nearer to 0."),
            (a, "this is the slope of x by c. Asked is that of c by x."),
            (a**2 / total, "m is a over a² + s²: one a too many."),
            (a / s**2, "the prior is missing: c itself has variance 1, so a² + s² stands below."),
            (a / (a**2 + s), "the noise's variance is s², not s."),
            truth=a / total,
            of=at,
        )
        recognise_number(
            v,
            (s / math.sqrt(total), "this is the standard deviation. v is the variance."),
            (s**2, "this is the variance of x given c. Asked is that of c given x."),
            (s**2 / a**2, "the prior is missing: c itself has variance 1, so v is at most 1."),
            (a**2 / total, "this is the share that x explains. v is what is left: 1 minus it."),
            (total, "this is the variance of x."),
            (s**2 / (a + s**2) if a + s**2 else math.inf, "below stands a² + s²."),
            truth=s**2 / total,
            of=at,
        )
        for value, right, name in (
            (information, truth, "the information"),
            (m, a / total, "m"),
            (v, s**2 / total, "v"),
        ):
            same(
                value,
                right,
                f"{at}{name} is not {value:.4g}. Multiply p(c) by p(x|c), and"
                " complete the square in c.",
            )


_WORLDS = {
    "a": (
        False,
        "a: after the move every place is as likely, whatever the code: nothing is left of it.",
    ),
    "b": (True, "b: a shift moves no digit from thin to thick: the code can still be read."),
    "c": (
        False,
        "c: half a turn makes a 9 of a 6. A code that tells these apart can't be read after it.",
    ),
    "d": (
        True,
        "d: the code is a function of the class, and no class becomes another, so all of it is"
        " left: log 2, which is H(c).",
    ),
    "e": (
        False,
        "e: the larger of the small and the smaller of the large may now come from either side, so"
        " that something is lost, if not all.",
    ),
}


@exercise("11.2", value=True)
def survivors(answer):
    """A code survives if the change never takes an image from one of its values to another."""
    names = ", ".join(f'"{name}": ...' for name in _WORLDS)
    require(
        isinstance(answer, dict) and set(answer) == set(_WORLDS),
        f"write a dictionary, {{{names}}}.",
    )
    words = {"kept": True, "lost": False}
    given = {name: str(value).strip().lower() for name, value in answer.items()}
    require(set(given.values()) <= set(words), 'there are two words, "kept" and "lost".')
    for name, (kept, why) in _WORLDS.items():
        require(words[given[name]] == kept, why)


@exercise("11.5")
def draw_codes(answer):
    """By the moments, range and independence of many draws."""
    for n, k in ((4000, 2), (3000, 3)):
        found = tensor(answer(n, k), (n, k))
        require(torch.isfinite(found), "some codes are not finite.")
        again = tensor(answer(n, k), (n, k))
        require(
            not torch.equal(found, again),
            "a second call gives the same codes. Fix no seed within the function.",
        )
        low, high, mean, std = found.min(), found.max(), found.mean(), found.std()
        require(
            len(found[:, 0].unique()) > 1 and (n < 3 or not near(found, found[:1].expand(n, k))),
            "every row is the same. Draw codes for each of the n images.",
        )
        require(
            k == 1 or not near(found[:, 0], found[:, 1]),
            f"the {k} codes of an image are the same number. Draw each on its own.",
        )
        require(
            len(found.unique()) > n // 2,
            "only a few values occur. A continuous code takes any value between -1 and 1.",
        )
        require(
            not (abs(mean + 1) < 0.1 and abs(std - 1) < 0.1),
            "these are normal around -1 with deviation 1, the bug itself:"
            " the two arguments are not a range.",
        )
        require(
            low >= -1 - 1e-6 and high <= 1 + 1e-6,
            f"the codes run from {low:.2f} to {high:.2f}. None may lie outside of [-1, 1].",
        )
        require(
            low < -0.99 and high > 0.99,
            f"the codes run from {low:.2f} to {high:.2f}, and should fill [-1, 1].",
        )
        steps = found.diff(dim=0)
        require(
            not ((steps >= 0).all(0) | (steps <= 0).all(0)).any(),
            "the codes are in order of size. Draw them at random.",
        )
        ordered = found.sort(0).values
        even = (torch.arange(n).double()[:, None] + 0.5) / n * 2 - 1
        gap = (ordered - even).abs().max()
        require(
            gap < 0.1,
            "they lie in [-1, 1], but not evenly:"
            f" a quarter of them lies below {ordered[n // 4].mean():.2f}, and should below -0.50.",
        )
        require(
            len(found.unique(dim=0)) > 0.9 * n,
            "some images have the codes of another one. Draw codes for each of the n images.",
        )
        both = torch.cat([found.T, found.abs().T])  # a code may follow another's size alone
        links = torch.corrcoef(both)[~torch.eye(k, dtype=torch.bool).repeat(2, 2)].abs()
        require(
            links < 0.1, f"the {k} codes of an image depend on each other. Draw each on its own."
        )
        follow = [torch.corrcoef(torch.stack([c[1:], c[:-1]]))[0, 1].abs() for c in found.T]
        require(
            max(follow) < 0.1, "each code depends on the one of the image before. Draw it afresh."
        )


@exercise("11.6")
def continuous_loss(answer):
    """Against -log of the normal density summed over the codes, and its gradients."""
    for n, k in ((9, 2), (6, 3)):
        _check_continuous_loss(answer, n, k)


def _check_continuous_loss(answer, n, k):
    mean, code = torch.randn(n, k), 2 * torch.rand(n, k) - 1
    log_std = 0.5 * torch.randn(n, k) - 0.3
    leaves = [mean.clone().requires_grad_(), log_std.clone().requires_grad_()]
    answered = on_copies(answer, *leaves, code)
    shape = getattr(answered, "shape", None)
    require(
        shape is None or tuple(shape) != (),
        f"one loss for each of {n} images, please, (N,), not their mean.",
    )
    require(shape != (n, k), f"add up the {k} codes of an image: they are drawn independently.")
    found = tensor(answered, (n,))
    exact = [mean.double().requires_grad_(), log_std.double().requires_grad_()]
    constant = k * math.log(2 * math.pi) / 2

    def loss(mean, log_std, error=1.0, width=1.0):
        squares = ((code.double() - mean) / log_std.exp()).square() / 2
        return (error * squares + width * log_std).sum(1) + constant

    right = loss(*exact)
    slopes = torch.autograd.grad(right.sum(), exact)
    right, (m, w) = right.detach(), (part.detach() for part in exact)
    squares = (code.double() - m).square()
    recognise(
        found,
        (
            loss(m, w, width=0),
            "log σ is still missing: a larger σ makes this loss smaller, whatever the error.",
        ),
        (
            loss(m, w, width=0) - constant,
            "log σ is still missing: a larger σ makes this loss smaller, whatever the error.",
        ),
        (loss(m, w, width=-1), "log σ has the wrong sign: a wide Q must pay for its width."),
        (right - constant, "½ log 2π is missing for each code. A density integrates to 1."),
        (right - constant + constant / k, "½ log 2π counts for each code, not once."),
        (right + constant, "½ log 2π counts twice: it is half the logarithm of 2π."),
        (-right, "the sign is turned: this would be minimised by the worst Q."),
        (right / k, "this is the mean over the codes. The logarithms of independent codes add up."),
        (loss(m, w, error=2), "a ½ is missing in front of the square."),
        (
            ((code.double() - m).square() / w.exp() / 2 + w).sum(1) + constant,
            "the error is divided by σ. Divide by σ before squaring, or by σ² after.",
        ),
        (
            (squares / w.exp() / 2 + w / 2).sum(1) + constant,
            "the third argument is taken for log σ². It is log σ.",
        ),
        (
            (squares / w.square() / 2 + w).sum(1) + constant,
            "log σ is taken for σ. Use its exponential.",
        ),
        (
            (squares * (2 * w).exp() / 2 - w).sum(1) + constant,
            "σ is turned over: with a wide Q an error costs less.",
        ),
        (squares.sum(1) / 2 + constant, "σ has no effect."),
        (squares.sum(1) / 2, "σ has no effect."),
        (squares.sum(1), "σ has no effect."),
        (
            ((code.double() - m).abs() / w.exp() + w).sum(1) + constant,
            "this is the error's size. Under a normal density its square counts.",
        ),
        truth=right,
    )
    same(found, right, "this is not -log of the normal density, summed over the codes.")
    missing = "no gradient comes through: return a tensor, without .item() or .detach()."
    require(isinstance(answered, torch.Tensor) and answered.requires_grad, missing)
    for name, leaf, slope in zip(("mean", "log_std"), leaves, slopes, strict=True):
        (own,) = torch.autograd.grad(answered.sum(), leaf, allow_unused=True, retain_graph=True)
        require(own is not None, f"no gradient reaches {name}: something is detached.")
        same(
            own.double(),
            slope,
            f"the loss is right, but its gradient by {name} is not: part of it is detached.",
        )


@exercise("11.4")
def held_out_accuracy(answer):
    """Tables in which greedy, many-to-one and second matchings all give other shares."""
    for classes in (5, 6):
        for _ in range(2):
            given, told, new, new_told = _clusters(classes)
            found = number(on_copies(answer, given, told, new, new_told))
            _check_accuracy(found, classes, *(x.numpy() for x in (given, told, new, new_told)))


def _clusters(classes):
    """Codes and labels of known, and of new images: the two would choose different matchings."""
    while True:
        sets = []
        for _ in range(2):
            sizes = torch.randint(1, 6, (classes, 1))  # some codes are drawn more often
            table = sizes * torch.randint(1, 40, (classes, classes))
            rows = torch.repeat_interleave(torch.arange(classes**2), table.flatten())
            rows = rows[torch.randperm(len(rows))]
            sets += [rows // classes, rows % classes]
        shares = _shares(classes, *(x.numpy() for x in sets))
        values = sorted(shares.values())
        apart = min(b - a for a, b in itertools.pairwise(values)) > 2e-3
        if apart and not _tied(_counted(classes, *sets[:2])):
            return sets


def _counted(classes, codes, labels):
    """How many have each pair of a code and a label: (classes, classes)."""
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (np.asarray(codes), np.asarray(labels)), 1)
    return table


def _tied(table) -> bool:
    """Whether a second matching has as many right as the best: without one of its pairs, each."""
    rows, match = linear_sum_assignment(-table)
    others = []
    for row in rows:
        without = table.copy()
        without[row, match[row]] = -table.sum()
        others.append(without[linear_sum_assignment(-without)].sum())
    return max(others) == table[rows, match].sum()


def _shares(classes, codes, labels, new, new_labels) -> dict[str, float]:
    """The right share, and those of known mistakes."""

    def one_to_one(table):
        return linear_sum_assignment(-table)[1]

    def greedy(table):
        table, match = table.astype(float), np.zeros(classes, dtype=int)
        for _ in range(classes):
            row, column = np.unravel_index(table.argmax(), table.shape)
            match[row] = column
            table[row], table[:, column] = -1, -1
        return match

    old, now = (_counted(classes, *pair) for pair in ((codes, labels), (new, new_labels)))
    ways = {
        "right": one_to_one(old),
        "on the new": one_to_one(now),
        "many": old.argmax(1),
        "many on the new": now.argmax(1),
        "greedy": greedy(old),
        "least": one_to_one(-old),
        "turned": np.argsort(one_to_one(old)),
        "none": np.arange(classes),
        "shares": one_to_one(old / old.sum(1, keepdims=True)),
        "pooled": one_to_one(old + now),
    }
    shares = {name: float((match[new] == new_labels).mean()) for name, match in ways.items()}
    shares["known"] = float((ways["right"][codes] == labels).mean())
    return shares


def _check_accuracy(found, classes, codes, labels, new, new_labels):
    shares = _shares(classes, codes, labels, new, new_labels)
    truth = shares["right"]
    recognise_number(
        found,
        (
            shares["on the new"],
            "the matching is chosen on the labels that then judge it. Choose it"
            " on the known images alone.",
        ),
        (
            shares["many on the new"],
            "the matching is chosen on the labels that then judge it."
            " Choose it on the known images alone.",
        ),
        (shares["known"], "this is the share on the known images, which chose the matching."),
        (
            shares["many"],
            "each code takes its most frequent class, so two codes may take the same"
            " one. Match one to one.",
        ),
        (
            shares["greedy"],
            "this takes the largest count first, which can block two others. The"
            " best matching is `linear_sum_assignment`'s.",
        ),
        (
            shares["least"],
            "this matching has the fewest images right: `linear_sum_assignment` finds"
            " the lowest cost, so give it minus the counts.",
        ),
        (
            shares["turned"],
            "rows and columns have changed places: a code's class is asked for, and"
            " this is a class's code.",
        ),
        (
            shares["shares"],
            "this maximises the sum of the codes' shares. As many images as possible should agree:"
            " match on the counts.",
        ),
        (
            shares["pooled"],
            "the new labels have a say in the matching. Choose it on the known images alone.",
        ),
        (shares["none"], "code 3 need not be class 3: the codes are not matched at all."),
        (1 - truth, "this is the share of errors."),
        (100 * truth, "a share from 0 to 1, please, not in per cent."),
        (truth * len(new), "this is a number of images. Divide it by how many there are."),
        truth=truth,
        within=1e-6,
    )
    require(
        abs(found - truth) < 1e-6,
        f"with these {classes} codes the share is {truth:.4f}; yours is {found:.4f}.",
    )


@exercise("11.3")
def highest_accuracy(answer):
    """Against the sum of the smaller shares, for classes as even and as uneven as can be."""
    even = [1 / 4] * 4
    draws = [[random.random() ** 2 + 0.01 for _ in range(k)] for k in (3, 5, 8)]
    for weights in ([0.6, 0.25, 0.15], even, [0.5, 0.3, 0.1, 0.06, 0.04], *draws):
        shares = torch.tensor(weights, dtype=torch.float64)
        shares = shares / shares.sum()
        k = len(shares)
        found = number(on_copies(answer, shares))
        truth = shares.clamp(max=1 / k).sum().item()
        at = "with the shares " + ", ".join(f"{share:.2f}" for share in shares.tolist()) + ": "
        recognise_number(
            found,
            (
                shares.max().item(),
                "this is the share of the largest class, as if all images had one code.",
            ),
            (
                1.0,
                "1 would need a code for each class that is as frequent as the class. All codes"
                f" are drawn equally often, {1 / k:.2f} of the time each.",
            ),
            (
                k * shares.min().item(),
                "this counts the smallest class for all. Each class is counted by itself.",
            ),
            (shares.square().sum().item(), "this is the chance that two images have one class."),
            (
                shares.clamp(min=1 / k).sum().item(),
                "take the smaller of the two shares, not the larger.",
            ),
            (
                shares.clamp(max=0.1).sum().item() if k != 10 else math.inf,
                "this is for ten codes. Here there are as many as classes.",
            ),
            (
                (k * shares).clamp(max=1).sum().item(),
                "this is a sum of shares of the classes. Weigh each by how frequent the class is.",
            ),
            (1 - truth, "this is the lowest share of errors."),
            (1 / k, "this is chance."),
            truth=truth,
            of=at,
            within=1e-6,
        )
        require(
            abs(found - truth) < 1e-5,
            f"{at}the highest accuracy is not {found:.4f}. A code is drawn for {1 / k:.4f} of the"
            " images: how many of a class can it get right?",
        )
