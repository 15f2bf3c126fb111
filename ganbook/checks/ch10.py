"""Checks of chapter 10, overfitting."""

import math
import random

import torch

from ganbook.checks import (
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


@exercise("10.1")
def expected_share(answer):
    """Numbers drawn anew each time; what is forgotten is recognised by its value."""
    for n, m, c in (
        (200, 260, 0.25),  # first: no two of the mistakes are equal here
        (700, 300, 0.0),
        (4000, 1000, 0.1),
        *[_crowd() for _ in range(3)],
    ):
        found = number(answer(n, m, c))
        chance, right = n / (n + m), c + (1 - c) * n / (n + m)
        at = f"for n = {n}, m = {m}, c = {c:.2f}"
        mistakes = [
            (1 - right, f"{at}: this is the share nearer to a held-out digit."),
            (m / (n + m), f"{at}: the training digits are n of the n + m, not m."),
            (
                n / m,
                f"{at}: this is a ratio, and may be above 1."
                " All n + m are equally likely to be the nearest.",
            ),
            (c + (1 - c) / 2, f"{at}: one half holds for sets of equal size only."),
            (0.5, f"{at}: one half holds for equal sets and no copies."),
            (c + (1 - c) * m / (n + m), f"{at}: the training digits are n of the n + m, not m."),
            (
                chance,
                f"{at}: the copies are missing. A copy is always nearer to the training digits.",
            ),
            (
                c,
                f"{at}: what is no copy has a nearest digit too,"
                " by chance among the training digits.",
            ),
            (c + chance, f"{at}: only a share 1 - c of the fakes is left to chance."),
            (
                c * chance,
                f"{at}: a copy is nearer to the training digits with certainty, not by chance.",
            ),
            ((1 - c) + c * chance, f"{at}: c and 1 - c have changed places."),
            ((1 - c) * chance, f"{at}: the copies themselves are missing from the count."),
            (100 * right, f"{at}: this is in per cent. A number from 0 to 1 is asked for."),
            (
                c + (1 - c) * n / m,
                f"{at}: n/m is a ratio. All n + m are equally likely to be the nearest.",
            ),
            (
                c + (1 - c) * (n - 1) / (n + m - 1),
                f"{at}: no training digit is taken out for a fake that is no copy.",
            ),
            ((c + chance) / 2, f"{at}: weight the two kinds by their shares, c and 1 - c."),
            (c + (1 + c) * chance, f"{at}: a share 1 - c is left to chance, not 1 + c."),
        ]
        recognise_number(
            found,
            *[(value, text) for value, text in mistakes if abs(value - right) > 1e-3],
            truth=right,
            within=1e-5,
        )
        require(
            near(found, right),
            f"{at} the share should be {right:.4f}; yours is {found:.4f}.",
        )


def _crowd():
    return random.randint(50, 300), random.randint(400, 900), random.uniform(0.2, 0.6)


@exercise("10.2")
def p_value(answer):
    """Draws splits of few digits until no two mistakes give the same number.

    The actual split is twice among them, but not as the first. The numbers of fakes are powers of
    two, so that shares are exact in any order of summation: no right answer loses a tie by
    rounding.
    """
    for fakes, n, splits in ((32, 4, 37), (64, 6, 89)):
        values = []
        while not values or len({round(value, 6) for value, _ in values}) < len(values):
            nearest = torch.randint(2 * n, (fakes,))
            masks = torch.stack([torch.randperm(2 * n) < n for _ in range(splits)])
            masks[splits // 2] = torch.arange(2 * n) < n
            values = _p_values(nearest, masks)
        found = number(on_copies(answer, nearest, masks))
        (right, _), *mistakes = values
        recognise_number(found, *mistakes, truth=right, within=1e-6)
        require(
            abs(found - right) < 1e-5,
            f"the value of these splits is {right:.4f}; yours is {found:.4f}.",
        )


def _p_values(nearest, masks):
    """The right value, and those of mistakes that people make, each with its message."""
    splits, n = len(masks), masks.shape[1] // 2
    actual, shares = (nearest < n).double().mean(), masks[:, nearest].double().mean(1)
    high, higher, low = (
        (shares >= actual).sum(),
        (shares > actual).sum(),
        (shares <= actual).sum(),
    )
    far = ((shares - 0.5).abs() >= (actual - 0.5).abs()).sum()
    values = [
        ((1 + high) / (splits + 1), ""),
        (
            high / splits,
            "the split that really happened is one of the possible ones: count it too, above and"
            " below."
            " As it is, the value can be 0, and no finite number of splits shows that.",
        ),
        (high / (splits + 1), "the split that really happened is counted below and not above."),
        ((1 + high) / splits, "the split that really happened is counted above and not below."),
        (
            (1 + higher) / (splits + 1),
            "splits that are just as high speak for chance as well: count them, >=.",
        ),
        (
            higher / splits,
            "count splits that are just as high, >=, and the one that really happened.",
        ),
        ((1 + low) / (splits + 1), "this is the other tail: copies make the share high, not low."),
        (
            low / splits,
            "this is the other tail, and the split that really happened is not counted.",
        ),
        (
            1 - (1 + high) / (splits + 1),
            "this is 1 minus the value: it should be small for copies.",
        ),
        (
            (1 + far) / (splits + 1),
            "this asks for splits as far from one half on either side. Copies go up only.",
        ),
        (actual, "this is the share itself. How often do random splits give one as high?"),
        (
            shares.mean(),
            "this is the mean share of the random splits."
            " How often is it as high as the actual one?",
        ),
        (1 + high, "this is a count. Divide by the number of splits, the actual one included."),
        (high, "this is a count. Divide by the number of splits, the actual one included."),
        (
            (1 + (shares >= 0.5).sum()) / (splits + 1),
            "this compares with one half. Compare with the share of the actual split.",
        ),
        (
            (1 + (shares >= shares[0]).sum()) / (splits + 1),
            "the first row of the masks is a random split. The actual one has the first n digits"
            " in training.",
        ),
        (2 * (1 + high) / (splits + 1), "copies go up only: don't double it."),
    ]
    return [(float(value), text) for value, text in values]


@exercise("10.3")
def smoothed(answer):
    """Against the place where the derivative of D's loss is 0, in random worlds."""
    for k in range(6):
        p, q = (2 * torch.randn(2, 7, dtype=torch.float64)).softmax(1)
        a, b = random.uniform(0.7, 0.95), 0.0 if k % 2 else random.uniform(0.05, 0.2)
        found = tensor(on_copies(answer, p, q, a, b), (7,))
        right = (a * p + b * q) / (p + q)
        mistakes = [
            (p / (p + q), "this is D* without smoothing: the targets have no effect."),
            (a * p / (p + q), "the fakes' target b is missing: it stands above the line, with q."),
            (
                a * p / (a * p + q),
                "there are as many images as before: below the line stands p + q.",
            ),
            (
                a * p / (a * p + b * q),
                "a and b are targets, not weights: below the line stands p + q.",
            ),
            (
                a * p / (a * p + (1 - b) * q),
                "the terms with 1 - a and with b are missing: every image has two.",
            ),
            (
                (a * p + (1 - b) * q) / (p + q),
                "1 - b is what speaks for fake. Above the line stands b.",
            ),
            ((b * p + a * q) / (p + q), "a and b have changed places."),
            (1 - right, "this is the probability of fake."),
            ((right / (1 - right)).log(), "this is the logit. The probability is asked for."),
            (a * p / (p + q) + b, "b counts only where fakes are: b q/(p + q)."),
            (a * p + b * q, "divide by p + q, which is not 1 at a place."),
            ((a * p + b * q) / (a + b), "divide by p + q, not by a + b."),
            ((a * p + b * q) / 2, "divide by p + q, which is not 2 at a place."),
            ((a * p - b * q) / (p + q), "a sign: b q is to be added."),
            (
                right / (1 - right),
                "this is the odds, real to fake. The probability is asked for.",
            ),
            (
                (a * p + b * q) / (a + b) / (p + q),
                "don't divide by a + b: where q = 0 the best answer is a itself.",
            ),
        ]
        recognise(
            found,
            *[(value, text) for value, text in mistakes if not torch.allclose(value, right)],
            truth=right,
        )
        same(found, right, "this is not where the derivative of D's loss is 0.")


CASES = {
    "a": (
        True,
        "moved to any column alike, and always:"
        " nothing of the place is left. All eigenvalues but one are 0.",
    ),
    "b": (
        False,
        "one image in ten stays where it is, so the true places are the more frequent ones."
        " It can be undone.",
    ),
    "c": (
        True,
        "mirrored with probability 1/2,"
        " an image and its mirror image are equally frequent, whatever they were.",
    ),
    "d": (
        False,
        "to mirror every image only renames the images. D sees any difference as well as before.",
    ),
    "e": (
        False,
        "a convolution with a Gaussian can be undone:"
        " no wave is multiplied by 0, if by something small.",
    ),
    "f": (True, "what is covered in every image is never seen: the fakes may have anything there."),
}
"""For each case of exercise 10.4 whether it leaks, and why."""


@exercise("10.4", value=True)
def leaks(answer):
    """Two words; the message says why."""
    require(
        isinstance(answer, dict) and set(answer) == set(CASES),
        "a dictionary with the keys a to f is asked for.",
    )
    words = {name: str(value).strip().lower() for name, value in answer.items()}
    require(
        set(words.values()) <= {"leaks", "safe"},
        'each answer is one of two words, "leaks" or "safe".',
    )
    for name, (leaks_, why) in CASES.items():
        require((words[name] == "leaks") == leaks_, f"{name}: {why}")


@exercise("10.5")
def contrasted(answer):
    """Reads each image's factor off its pixels, then looks at the gradient."""
    n = 1000
    x = 0.3 * torch.randn(n, 3, 4, 3) + torch.rand(n, 1, 1, 1) - 0.5
    x = x + torch.tensor([0.4, -0.1, -0.3])[:, None, None]  # the channels differ
    leaf = x.clone().requires_grad_()
    given = 1 * leaf
    found = answer(given)
    require(
        isinstance(found, torch.Tensor) and found.shape == x.shape,
        f"as many images of the same shape should come back, a tensor, not {kind(found)}.",
    )
    require(torch.equal(given.detach(), x), "your function changes the images it is given.")
    missing = (
        "no gradient comes through, so G would learn nothing in its turn."
        " Look for no_grad, detach, a new tensor."
    )
    require(found.requires_grad, missing)
    weights = torch.randn(x.shape)
    (slope,) = torch.autograd.grad((found * weights).sum(), leaf, allow_unused=True)
    require(slope is not None, missing)
    x, y = x.double(), tensor(found, x.shape)
    require(torch.isfinite(y), "the images that come back are not finite.")
    factor = _factors(x, y)
    kept, common = y.mean((1, 2, 3)), x.mean((1, 2, 3))
    recognise(
        kept,
        (
            factor * common,
            "the image's mean is scaled too, so it gets lighter or darker."
            " Scale what is left without it.",
        ),
        (0 * common, "the mean is taken off and not put back."),
        (
            x.mean() + factor * (common - x.mean()),
            "the mean is that of the whole batch. Each image has its own.",
        ),
        (
            factor * (common - x.mean()),
            "the mean is that of the batch, and it is not put back.",
        ),
        truth=common,
    )
    same(kept, common, "the mean brightness of an image is to stay what it is.")
    require(
        factor.min() > 0.499 and factor.max() < 1.501,
        "factors from 0.5 to 1.5 are asked for;"
        f" yours reach from {factor.min():.2f} to {factor.max():.2f}.",
    )
    uniform = (torch.arange(n) + 0.5) / n + 0.5
    require(
        (factor.sort().values - uniform).abs().max() < 0.08,
        "factors should be uniform from 0.5 to 1.5; yours reach from"
        f" {factor.min():.2f} to {factor.max():.2f}, with their mean at {factor.mean():.2f}"
        f" and a deviation of {factor.std():.2f}, not 1 and 0.29.",
    )
    require(
        (factor.diff() < 0).any() and (factor.diff() > 0).any(),
        "the factors rise from image to image. Draw them at random.",
    )
    f, w = factor[:, None, None, None], weights.double()
    own = w.mean((1, 2, 3), keepdim=True)
    require(
        near(slope, own + f * (w - own), 1e-3, 1e-4),
        "part of the gradient is lost:"
        " the mean depends on the pixels too, so it is not to be detached.",
    )
    again = tensor(answer(x.float()), x.shape)
    require(not near(again, y), "each call draws the same factors: set no seed inside.")
    tensor(answer(x[:1, :1].float()), (1, 1, 4, 3), "for one grey image")


def _factors(x, y):
    """The factor of each image, read off its pixels."""

    def away(values, dims=(1, 2, 3)):
        return values - values.mean(dims, keepdim=True)

    def fits(before, now, dims):
        f = (before * now).sum(dims, keepdim=True) / before.square().sum(dims, keepdim=True)
        return f, near(f * before, now, 1e-3, 1e-4)

    f, fit = fits(away(x), away(y), (1, 2, 3))
    require(not near(y, x, 0, 1e-6), "nothing is changed.")
    if not fit:
        _, each_channel = fits(away(x, (2, 3)), away(y, (2, 3)), (2, 3))
        _, own_means = fits(away(x, (2, 3)), away(y, (2, 3)), (1, 2, 3))
        require(
            not own_means,
            "the mean is that of each channel. An image's own mean runs over its channels too,"
            " dims (1, 2, 3).",
        )
        require(
            not each_channel,
            "the channels of an image have different factors."
            " Draw one for each image, of shape (N, 1, 1, 1).",
        )
        middle = x.mean()
        both = (x - middle).flatten(1), (y - middle).flatten(1)
        of_batch = (both[0] * both[1]).sum(1) / both[0].square().sum(1)
        require(
            not near(of_batch[:, None] * both[0], both[1], 1e-3, 1e-4),
            "the mean is that of the whole batch. Each image has its own.",
        )
        require(
            (y == y.max()).sum() < 3,
            "the brightest pixels are cut off: let values go beyond -1 and 1.",
        )
        require(
            False,
            "the pixels of an image have different factors."
            " Draw one for each image, of shape (N, 1, 1, 1).",
        )
    f = f.flatten()
    require(
        (f - 1).abs().max() > 1e-4,
        "the contrast is what it was: only the brightness has changed.",
    )
    require(
        f.std() > 1e-4,
        "one factor for the whole batch. Draw one for each image: otherwise a step's real and fake"
        " batches differ in contrast as a whole, and D's gradient follows that accident.",
    )
    return f


@exercise("10.6")
def adapted(answer):
    """Logits whose mean, size and sign say different things, each time one thing alone."""
    high, low = torch.full((10,), 3.0), torch.full((10,), -3.0)  # all say the same
    share = torch.tensor([1.0] * 7 + [-1.0] * 3)  # r_t = 0.4, though the share above 0 is 0.7
    few_large = torch.tensor([50.0] * 5 + [-4.0] * 5)  # r_t = 0, though the mean is 23
    small = torch.tensor([0.1] * 9 + [50.0])  # r_t = 1, though the mean probability is 0.57
    most = torch.tensor([2.0] * 9 + [-5.0])  # r_t = 0.8, though not all are above 0
    for logits in (
        high,
        low,
        few_large,
        share,
        small,
        *[torch.randn(40) + shift for shift in (-1.0, 0.4, 2.5)],
        most,
    ):
        logits = logits[torch.randperm(len(logits))]  # noqa: PLW2901
        p, move = random.uniform(0.3, 0.7), random.uniform(0.02, 0.08)
        sign = logits.sign().mean().item()
        target = random.choice((0.6, 0.65))
        if abs(sign - target) < 0.01:
            continue
        right = p + math.copysign(move, sign - target)
        found = number(on_copies(answer, p, logits, target, move))
        by_share = p + math.copysign(move, (logits > 0).double().mean().item() - target)
        by_mean = p + math.copysign(move, logits.mean().item() - target)
        by_probability = p + math.copysign(move, logits.sigmoid().mean().item() - target)
        mistakes = [
            (
                by_share,
                "p goes where the share above 0 sends it."
                " r is the mean sign: twice the share, minus 1.",
            ),
            (
                by_mean,
                "p goes where the mean logit sends it."
                " r is the mean of the signs, whatever the size.",
            ),
            (
                by_probability,
                "p goes where the mean probability sends it. r is the mean sign of the logits.",
            ),
            (
                p + math.copysign(move, logits.min().item()),
                "p goes up only where all logits are above 0. r is the mean sign of the logits.",
            ),
            (p + move, "p only goes up. Below the target it goes down."),
            (max(p, right), "p only goes up. Below the target it goes down."),
            (p, "p does not move."),
            (2 * p - right, "the direction is turned: more overfitting, more augmentation."),
            (p + move * (sign - target), "the step is of a fixed size, `move`, up or down."),
            (right - p, "this is the change of p. Return p itself."),
            (abs(right - p), "this is the change of p. Return p itself."),
            (
                p * (1 + move) if right > p else p * (1 - move),
                "the step is added or subtracted: p goes up or down by `move`.",
            ),
        ]
        recognise_number(
            found,
            *[(value, text) for value, text in mistakes if abs(value - right) > 1e-6],
            truth=right,
            within=1e-5,
        )
        require(
            abs(found - right) < 1e-4,
            f"p = {p:.3f}, r = {sign:.2f}, target {target}:"
            f" p should be {right:.3f}, not {found:.3f}.",
        )
    found = number(answer(0.98, torch.ones(8), 0.6, 0.05))
    require(found <= 1 + 1e-9, f"p is a probability: it became {found:.2f}. Cut it off at 1.")
    require(
        abs(found - 1) < 1e-6, f"near 1, p should go up to 1 and stop there; it became {found:.2f}."
    )
    found = number(answer(0.02, -torch.ones(8), 0.6, 0.05))
    require(found >= -1e-9, f"p is a probability: it became {found:.2f}. Cut it off at 0.")
    require(
        abs(found) < 1e-6, f"near 0, p should go down to 0 and stop there; it became {found:.2f}."
    )
    found = number(answer(0.5, torch.ones(8), 1.5, 0.05))
    require(found < 0.5, "`target` has no effect.")
    logits = torch.tensor([1.0, 2, 3, 4, 5, 6, -1, -2])
    found = number(answer(0.5, logits, 0.5, 0.05))
    require(
        found <= 0.5,  # down, or as it is: some take the sign of the difference
        "r is exactly at the target here, 0.5 and 0.5: p goes up only *above* the target, >.",
    )
