"""Checks of chapter 9, losses and regularisers."""

import itertools
import math
import random

import numpy as np
import torch
from scipy.stats import rankdata, ttest_ind
from torch.nn.functional import conv2d, pad, softplus

from ganbook.checks import (
    Mistake,
    exercise,
    kind,
    near,
    number,
    on_copies,
    parts,
    recognise,
    recognise_number,
    require,
    tensor,
)

LOSSES = ("nonsaturating", "least_squares", "hinge", "wasserstein", "relativistic")


@exercise("9.1", value=True)
def floors(answer):
    """Lets a D that ends in a sigmoid be at its best; recognises the floors of other mishaps."""
    require(
        isinstance(answer, dict) and set(answer) == set(LOSSES),
        f"write a dictionary with a number for each of {', '.join(LOSSES)}.",
    )
    real, fake = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    right = {
        "nonsaturating": softplus(-real) + softplus(fake),
        "least_squares": ((real - 1) ** 2 + fake**2) / 2,
        "hinge": (1 - real).relu() + (1 + fake).relu(),
        "wasserstein": fake - real,
        "relativistic": softplus(fake - real),
    }
    known = {
        "nonsaturating": (
            (0.0, "0 needs a real logit of +∞ and a fake one of -∞. Here they end at 1 and 0."),
            (math.log(4), "log 4 is a coin toss, r = f = 0. D can do better: r = 1."),
            (2 * math.log(1 + math.exp(-1)), "that has f = -1. A sigmoid gives nothing below 0."),
            (math.log(1 + math.exp(-1)), "the fakes cost as well: softplus(0) is not 0."),
            (math.log(2), "the real samples cost as well: softplus(-1) is not 0."),
        ),
        "least_squares": (
            (0.25, "that is r = f = 1/2. D can do better: its targets are 1 and 0."),
            (0.5, "one of the two targets is missed. A sigmoid can come near to both, 1 and 0."),
        ),
        "hinge": (
            (0.0, "no cost needs a fake logit of -1, which a sigmoid does not give."),
            (2.0, "2 is r = f = 0. D can do better: r = 1."),
        ),
        "wasserstein": (
            (
                -math.inf,
                "without a sigmoid there is no floor."
                " With one, f - r has the lowest value that it has.",
            ),
            (0.0, "0 is r = f. D can do better."),
            (1.0, "the sign: f - r with f = 0 and r = 1."),
            (-2.0, "that has f = -1. A sigmoid gives nothing below 0."),
        ),
        "relativistic": (
            (0.0, "0 needs a difference r - f of +∞. Here it is 1 at the most."),
            (math.log(2), "log 2 is r = f. D can do better."),
            (math.log(1 + math.exp(-2)), "that has f = -1. A sigmoid gives nothing below 0."),
            (math.log(1 + math.e), "the sign: softplus(f - r) with f = 0 and r = 1."),
        ),
    }
    for name in LOSSES:
        found = number(answer[name], name, infinite=True)
        for value, message in known[name]:  # two decimals will do
            require(found != value and not abs(found - value) < 6e-3, f"{name}: {message}")
        lowest = right[name].item()
        require(
            abs(found - lowest) < 6e-3,
            f"{name}: put r = 1 and f = 0 into the formula of the table.",
        )


@exercise("9.2")
def least_squares_codes(answer):
    """Draws densities and codes; the best D is told by its loss having no slope there."""
    for cells in (5, 8):
        p, q = torch.rand(2, cells, dtype=torch.float64).add(0.1)
        p, q = p / p.sum(), q / q.sum()
        while True:
            a, b, c = (torch.randn(3) * 2).tolist()
            if min(abs(a - b), abs(b - c), abs(c - a), abs(a), abs(b), abs(c)) > 0.3:
                break
        D, found = parts(
            on_copies(answer, p, q, a, b, c),
            2,
            "return two things, the best D (cells,) and the goal, as `return D, goal`",
        )
        D = tensor(D, (cells,), "the best D has a value for each cell")
        found = number(found, "the goal")
        best = (b * p + a * q) / (p + q)
        recognise(
            D,
            (
                (a * p + b * q) / (p + q),
                "a and b are swapped: reals are regressed on b, so b goes with p.",
            ),
            (
                b * p + a * q,
                "the derivative p(D - b) + q(D - a) has p + q in front of D: divide by it.",
            ),
            (p / (p + q), "this is for the codes 0 and 1. Leave a and b in."),
            (
                (b * p - a * q) / (p + q),
                "a sign: p(D - b) + q(D - a) = 0 has + a q on the other side.",
            ),
            (
                torch.full_like(p, (a + b) / 2),
                "this is the D of p = q. Weight the targets by the densities.",
            ),
            ((b * p + a * q) / 2, "p + q is not 2 in a cell: divide by p + q."),
            ((b * p + a * q) / (a + b), "the weights p and q add up to p + q: divide by that."),
            (q / (p + q), "this is for the codes 0 and 1, and the wrong way round."),
            (b * p / (p + q), "the fakes' target is missing: a q stands beside b p."),
            (a * q / (p + q), "the reals' target is missing: b p stands beside a q."),
            (best.sigmoid(), "D is no probability here: leave the sigmoid out."),
            of="D: ",
            truth=best,
        )
        require(
            near(D, best),
            "D: in some cell the loss still has a slope, p(D - b) + q(D - a).",
        )
        square = (best - c) ** 2
        goal = ((p + q) * square).sum() / 2
        recognise_number(
            found,
            (2 * goal, "the halves are missing: the paper's goal is half of this."),
            ((q * square).sum() / 2, "the real samples' part, half of E_p(D - c)², is missing."),
            ((p * square).sum() / 2, "the fakes' part, half of E_q(D - c)², is missing."),
            (
                square.sum() / 2,
                "an expectation weights each cell by its density: p + q is missing.",
            ),
            (
                ((p + q) * square).mean() / 2,
                "a sum over the cells, not a mean: the densities are the weights.",
            ),
            (
                ((p - q) ** 2 / (p + q)).sum(),
                "this is Pearson's χ², which comes of -1, 1, 0. Leave a, b and c in.",
            ),
            (
                ((p - q) ** 2 / (p + q)).sum() / 2,
                "this is for the codes -1, 1, 0. Leave a, b and c in.",
            ),
            (
                (p * (best - b) ** 2 + q * (best - a) ** 2).sum() / 2,
                "this is what D pays. G's goal has c in it.",
            ),
            (-goal, "the sign is turned: a sum of squares is not negative."),
            (goal / 2, "there is one half in front of each part, no more."),
            (math.sqrt(goal), "this is the root. The goal is the mean square itself."),
            (((p + q) * (best - c)).sum() / 2, "the square is missing."),
            (((p + q) * (best + c) ** 2).sum() / 2, "c is to be subtracted from D."),
            (((p + q) * (best - b) ** 2).sum() / 2, "G wants its fakes at c, not at b."),
            (((p + q) * (best - a) ** 2).sum() / 2, "G wants its fakes at c, not at a."),
            ((q * square).sum(), "the real samples' part is missing, and so are the halves."),
            of="the goal: ",
            truth=goal.item(),
            within=1e-5,
        )
        require(near(found, goal), f"the goal is {goal:.4f} here; yours is {found:.4f}.")


@exercise("9.3")
def relativistic_losses(answer):
    """Draws logits, and recognises every combination of the bugs that published code has."""
    for n in (12, 7):
        real, fake = 3 * torch.randn(2, n)
        _check_pairing(answer, real, fake)
        _nothing_cut(answer, real, fake)


def _nothing_cut(answer, real, fake):
    """A loss that has a graph reaches all logits that its player can move."""
    given = [logits.clone().requires_grad_() for logits in (real, fake)]
    try:
        losses = answer(*(1 * logits for logits in given))
    except Mistake:  # NumPy takes no logits that need gradients
        return
    right = softplus(given[1] - given[0]).mean(), softplus(given[0] - given[1]).mean()
    for who, found, truth, own in zip("DG", losses, right, (given, given[1:]), strict=True):
        if not isinstance(found, torch.Tensor) or not found.requires_grad:
            continue
        back = torch.autograd.grad(found, own, retain_graph=True, allow_unused=True)
        for slope, wanted in zip(back, torch.autograd.grad(truth, own), strict=True):
            require(
                slope is not None and near(slope, wanted, 1e-3),
                f"{who}'s loss: the value is right, but {who} learns nothing from some of its"
                " logits: no detach here.",
            )


def _check_pairing(answer, real, fake):
    n = len(real)
    d, g = parts(
        on_copies(answer, real, fake),
        2,
        "return two numbers, D's loss and G's, as `return d_loss, g_loss`",
    )
    for name, value in (("D's loss", d), ("G's loss", g)):
        require(
            tuple(getattr(value, "shape", ())) != (n,),
            f"{name}: this is one number a pair. The exercise asks for their mean.",
        )
    d, g = number(d, "D's loss"), number(g, "G's loss")
    real, fake = real.double(), fake.double()
    one_way, other_way = softplus(fake - real), softplus(real - fake)
    means = fake.mean() - real.mean()
    require(
        not (near(d, other_way.mean()) and near(g, one_way.mean())),
        "the two are swapped: D pays where the fake of a pair is above the real.",
    )
    d_average = (softplus(fake.mean() - real) + softplus(fake - real.mean())).mean()
    g_average = (softplus(real - fake.mean()) + softplus(real.mean() - fake)).mean()
    apart = fake[:, None] - real  # every fake against every real
    for who, found, values in (
        ("D", d, (one_way, other_way, means, d_average, softplus(-real) + softplus(fake), apart)),
        ("G", g, (other_way, one_way, -means, g_average, softplus(-fake), -apart)),
    ):
        right, turned, of_means, average, separate, all_pairs = values
        gap = (fake - real) if who == "D" else (real - fake)
        recognise_number(
            found,
            (
                softplus(of_means),
                "the mean stands inside the softplus. It judges no pair; take it last.",
            ),
            (right.sum(), "a mean over the pairs, not a sum."),
            (turned.mean(), "the sign in the softplus is turned."),
            (-right.mean(), "the sign in front is turned: a loss is to be minimised."),
            (-turned.mean(), "the other player's loss with a minus is another game's."),
            (
                separate.mean(),
                "this is the non-saturating loss, which looks at one side of the pair alone.",
            ),
            *(
                (
                    average / parts_,
                    "this compares each sample with the mean of the others,"
                    " the relativistic *average* loss.",
                )
                for parts_ in (1, 2)
            ),
            (of_means, "the softplus is missing: this is the Wasserstein loss."),
            (
                softplus(all_pairs).mean(),
                "this compares every fake with every real. A pair is the k-th with the k-th.",
            ),
            (right.mean() / 2, "this is half of it."),
            (right.mean() / math.log(2), "this is in bits: softplus has the natural logarithm."),
            (
                gap.sigmoid().mean(),
                "this is a sigmoid, the slope of the softplus. The loss is the softplus itself.",
            ),
            ((1 + gap).relu().mean(), "this is a hinge. The pairing has a softplus."),
            of=f"{who}'s loss: ",
            truth=right.mean().item(),
        )
        require(
            near(found, right.mean()),
            f"{who}'s loss is {right.mean():.4f} here; yours is {found:.4f}.",
        )


@exercise("9.4")
def conv_norm(answer):
    """Compares with the largest singular value of the convolution as a matrix.

    It does so for several strides and sizes.
    """
    random_state = torch.Generator().manual_seed(20)  # gaps that a power iteration crosses soon
    cases = (3, 2, 3, 6, 1, 1), (4, 2, 4, 8, 2, 1), (4, 3, 3, 7, 2, 1), (3, 2, 3, 6, 2, 0)
    for outputs, channels, k, size, stride, padding in cases:
        kernel = torch.randn(outputs, channels, k, k, generator=random_state)
        found = number(on_copies(answer, kernel, size, stride, padding))
        kernel = kernel.double()
        at = f"{k} x {k}, stride {stride}, padding {padding}, maps of {size} x {size}"
        right = _norm(kernel, size, stride, padding)
        flat = torch.linalg.matrix_norm(kernel.flatten(1), 2)
        for value, message in (
            (flat, "this is the norm of the flattened kernel. The convolution's own is asked for."),
            (kernel.norm(), "this is the root of the sum of squares of the kernel."),
            (
                math.ceil(k / stride) * flat,
                "this is the bound from above. The norm itself is asked for.",
            ),
            (
                right**2,
                "this is the square: back and forth stretches by σ twice."
                " Take the length of the convolved x.",
            ),
            (right**0.5, "this is the root of the norm."),
            (1 / right, "turn it over: this is how much smaller x was."),
            (kernel.abs().sum(), "this is the sum of the kernel's absolute values."),
            (
                k * flat,
                "this is a bound from above, and k times the flattened kernel's norm."
                " The norm itself is asked for.",
            ),
            (
                1.0,
                "you give the length of a normalised vector."
                " Convolve it once more, and give the length of that.",
            ),
            (_norm(kernel, size, 1, padding), "the stride is missing."),
            (_norm(kernel, size, stride, 0), "the padding is missing."),
            (
                _norm(kernel, size, stride, padding, mode="circular"),
                "this has no edges of zeros: do you wrap round, or leave the padding out of"
                " conv_transpose2d, so that the maps grow?",
            ),
        ):
            # without a stride or padding, leaving it out is no mistake
            known = near(found, value, 5e-3) and not near(value, right, 2e-2)
            require(near(found, right, 3e-3) or not known, f"{at}: {message}")
        require(
            abs(found / right - 1) < 3e-3,
            f"{at}: the largest singular value is {right:.4f}, yours is {found:.4f}."
            + (
                " A power iteration comes from below: more turns?"
                if 0.8 < found / right < 1
                else " Do the maps grow? conv_transpose2d takes the padding, too."
                if 1 < found / right < 1.2 and padding
                else ""
            ),
        )


def _norm(kernel, size, stride, padding, mode="constant"):
    channels = kernel.shape[1]
    units = torch.eye(channels * size**2, dtype=kernel.dtype).view(-1, channels, size, size)
    padded = pad(units, 4 * [padding], mode=mode) if padding else units
    return torch.linalg.matrix_norm(conv2d(padded, kernel, stride=stride).flatten(1), 2).item()


ARRIVES = {"a": False, "b": True, "c": False, "d": False, "e": True, "f": False}
_WHY = {
    "a": "without a penalty the eigenvalues have no real part, whatever the loss."
    " What would make it lose speed?",
    "b": "D is a line, with one slope everywhere. What is R2 then?",
    "c": "within the margin the hinge is a straight line, so its game is Wasserstein's.",
    "d": "which slope does the penalty want D to have? And which slope has D at the solution?",
    "e": "friction is friction: the eigenvalues are those of chapter 03 with κ = 1.",
    "f": "clipping does nothing to a slope below 0.5, so nothing near the solution.",
}


@exercise("9.5", value=True)
def arrives(answer):
    """Asks for all six."""
    require(
        isinstance(answer, dict) and set(answer) == set(ARRIVES),
        'write a dictionary with True or False for each letter, {"a": ..., ..., "f": ...}.',
    )
    found = {}
    for name in ARRIVES:
        value = answer[name]
        if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim == 0:
            value = value.item()
        require(
            isinstance(value, (bool, np.bool_)),
            f"{name} should be True or False, not {kind(value)}.",
        )
        found[name] = bool(value)
    wrong = [name for name in ARRIVES if found[name] != ARRIVES[name]]
    if wrong:
        others = f" ({len(wrong)} of the six go otherwise.)" if len(wrong) > 1 else ""
        require(False, f"{wrong[0]} goes otherwise: {_WHY[wrong[0]]}{others}")


@exercise("9.6")
def p_value(answer):
    """Deals out all ways, for sets of equal and unequal sizes, with ties and without."""
    rng = np.random.default_rng(random.randrange(2**32))
    # with ties, and of tenths: equal differences come out unequal by rounding
    tied = np.array([0.3, 0.5, 0.7, 0.4]), np.array([0.4, 0.8, 0.7, 0.8])
    for a, b in (_telling(rng, 5, 5), _telling(rng, 4, 6), _telling(rng, 5, 3), tied):
        found = number(on_copies(answer, a, b))
        at, ways = f"{len(a)} against {len(b)}", math.comb(len(a) + len(b), len(a))
        right, mistakes = _dealt(a, b)
        recognise_number(
            found,
            *[(value, message) for value, message in mistakes if abs(value - right) > 1e-9],
            of=f"{at}: ",
            truth=right,
            within=1e-6,
        )
        share = found * ways
        require(
            abs(share - round(share)) < 1e-3,
            f"{at}: there are {ways} ways to deal, so the p-value is a multiple of 1/{ways};"
            f" {found:.5f} is not."
            " Are you drawing at random, or dealing to sets of another size?",
        )
        require(
            abs(share - right * ways) < 1e-3,
            f"{at}: {right * ways:.0f} of {ways} ways are as far; you find {share:.0f}."
            + (" Do you allow for rounding, by 1e-12?" if -12 < share - right * ways < 0 else ""),
        )


def _telling(rng, n, m):
    """Sets on which the right value and all mistakes differ: a message names the right mistake."""
    while True:
        a, b = rng.normal(size=n), rng.normal(size=m) + rng.choice([-1.0, 1.0])
        right, mistakes = _dealt(a, b)
        known = [(right, ""), *mistakes]
        if all(
            abs(x - y) > 1e-5
            for (x, of_x), (y, of_y) in itertools.combinations(known, 2)
            if of_x != of_y
        ):
            return a, b


def _dealt(a, b):
    """The exact p-value, and those of mistakes with their messages."""
    gaps, gap = _gaps(a, b), a.mean() - b.mean()
    as_far = np.abs(gaps) >= abs(gap) - 1e-12
    centred = np.concatenate([a - a.mean(), b - b.mean()])
    t = abs(gap) / (centred.std() * math.sqrt(1 / len(a) + 1 / len(b)))
    one_side = "you count one side only. A difference the other way is as far."
    itself = "a and b as they are is one of the ways to deal: leave it in (and allow for rounding)."
    beyond = np.abs(gaps) > abs(gap) + 1e-12
    above, below = (gaps >= gap - 1e-12).mean(), (gaps <= gap + 1e-12).mean()
    ranks = rankdata(np.concatenate([a, b]))
    of_ranks = np.abs(_gaps(ranks[: len(a)], ranks[len(a) :]))
    apart = abs(ranks[: len(a)].mean() - ranks[len(a) :].mean())
    mistakes = [
        (above, one_side),
        (below, one_side),
        (beyond.mean(), "at least as far: count those that are equally far, a and b too."),
        ((as_far.sum() - 1) / (len(gaps) - 1), itself),
        ((as_far.sum() - 1) / len(gaps), itself),
        (
            (as_far.sum() + 1) / (len(gaps) + 1),
            "a and b as they are is one of the ways already: don't count it twice.",
        ),
        (1 - as_far.mean(), "this is the share of the ways that are less far."),
        (1 - beyond.mean(), "this is the share of the ways that are at most as far."),
        (as_far.sum(), "this is a count. Divide by the number of ways."),
        (as_far.mean() / 2, one_side),
        (2 * as_far.mean(), "both sides are in it already: don't double it."),
        (math.erfc(t / math.sqrt(2)), "this is a test by the normal curve. Deal instead."),
        (ttest_ind(a, b).pvalue, "this is a t-test. Deal instead."),
        (ttest_ind(a, b, equal_var=False).pvalue, "this is a t-test. Deal instead."),
    ]
    mistakes.append(
        (
            (of_ranks >= apart - 1e-12).mean(),
            "this goes by ranks. The difference of the means is asked for.",
        )
    )
    if len(a) == len(b):
        paired = (
            "you flip pairs. The k-th of a has nothing to do with the k-th of b: deal all anew."
        )
        mistakes.append((_flipped(a, b), paired))
    else:
        if (as_far.sum() - 1) == beyond.sum():  # no mirror image is as far
            del mistakes[2]
        message = "this is twice the smaller side. For unequal sets the sides differ: count."
        mistakes.append((2 * min(above, below), message))
    return as_far.mean(), mistakes


def _gaps(a, b):
    """The difference of the means for each way to deal."""
    values = np.concatenate([a, b])
    chosen = np.array(
        [values[list(rows)].sum() for rows in itertools.combinations(range(len(values)), len(a))]
    )
    return chosen / len(a) - (values.sum() - chosen) / len(b)


def _flipped(a, b):
    signs = np.array(list(itertools.product((1, -1), repeat=len(a))))
    return (np.abs(signs @ (a - b)) >= abs((a - b).sum()) - 1e-12).mean()
