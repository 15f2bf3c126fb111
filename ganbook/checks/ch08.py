"""Checks of chapter 8, the gradient penalty."""

import math
import random

import torch
from torch import nn

from ganbook.checks import exercise, recognise_number, require


@exercise("8.1")
def other_penalties(answer):
    """Finds each maximum, and the trap, on a fine grid of slopes; never uses the formulas."""
    for share in (0.2, 0.35, 0.8, 2.5):
        w = random.uniform(1.0, 3.0)
        weight = share * w
        try:
            r1, absolute, trap = (float(value) for value in answer(w, weight))
        except (TypeError, ValueError):
            require(False, "return three numbers, as `return r1, absolute, trap`.")
        at = f"for w = {w:.3g} and a weight of {weight:.3g}"

        best = _best(lambda a, w=w, weight=weight: a * w - weight / 2 * a.square())
        recognise_number(
            r1,
            (w / (2 * weight), f"{at}: R1 has the factor ½, γ/2 a². Its derivative is γa."),
            (1 + w / weight, f"{at}: R1 pays for every slope, not for the distance from 1."),
            (
                1 + w / (2 * weight),
                f"{at}: this is the slope under the gradient penalty. R1 is ½γa².",
            ),
            (2 * w / weight, f"{at}: the derivative of ½γa² is γa."),
            (weight / w, f"{at}: this is turned upside down: more weight, less slope."),
        )
        require(
            abs(r1 - best) < 1e-3 * best,
            f"{at} the best slope under R1 is {best:.4f}, not {r1:.4f}.",
        )

        best = _best(lambda a, w=w, weight=weight: a * w - weight * (a.square() - 1).clamp(min=0))
        if share < 0.5:
            recognise_number(
                absolute,
                (
                    1.0,
                    f"{at}: here the slope gains more than it pays:"
                    " a = 1 is not the best for small weights.",
                ),
                (
                    1 + w / (2 * weight),
                    f"{at}: that is for a square, (|a| - 1)². Here it is λ(a² - 1) above 1.",
                ),
                (w / weight, f"{at}: the derivative of λ(a² - 1) is 2λa."),
            )
        else:
            recognise_number(
                absolute,
                (
                    w / (2 * weight),
                    f"{at}: this slope is below 1,"
                    " where the penalty is 0 and a steeper one gains more.",
                ),
                (
                    1 + w / (2 * weight),
                    f"{at}: that is for a square, (|a| - 1)². Here the slope at the kink decides.",
                ),
            )
        require(
            abs(absolute - best) < 1e-3 * best,
            f"{at} the best slope under the absolute penalty is {best:.4f}, not {absolute:.4f}.",
        )

        border = _trap_border(w)
        recognise_number(
            trap,
            (
                w / 2,
                f"{at}: that is where the right formula, (|a| - 1)², has its trap."
                " Here it is (a² - 1)².",
            ),
            (1 / border, "the border goes with w: farther fakes, larger weights without a trap."),
            (w / border * w, "this is upside down: λ against w, not w against λ."),
            (3**0.5 * w / 2, f"{at}: the derivative of (a² - 1)² is 4a(a² - 1). Is the 4 there?"),
            (
                3 * 3**0.5 / 4 * w,
                f"{at}: the derivative of (a² - 1)² is 4a(a² - 1), with a 4 and not a 2.",
            ),
            (
                3 * 3**0.5 / 2 * w,
                f"{at}: the derivative of (a² - 1)² is 4a(a² - 1). The 4 is missing.",
            ),
            (
                2 / (3 * 3**0.5),
                "this is the largest b(1 - b²). Put it into w = 4λ b(1 - b²) and solve for λ.",
            ),
        )
        require(
            abs(trap - border) < 5e-3 * border,
            f"{at}: below λ = {border:.4f} J has no maximum with a < 0, above it has one;"
            f" you say {trap:.4f}.",
        )


def _best(J) -> float:
    """The slope above 0 at which J is largest."""
    low, high = 1e-3, 20.0
    for _ in range(6):  # finer and finer grids
        a = torch.linspace(low, high, 2001, dtype=torch.float64)
        k = int(J(a).argmax())
        low, high = float(a[max(0, k - 1)]), float(a[min(2000, k + 1)])
    return (low + high) / 2


def _trap_border(w: float) -> float:
    """The weight from which aw - weight (a² - 1)² has a second maximum, with a < 0.

    Found by bisection.
    """
    a = torch.linspace(-1.5, 0, 20_001, dtype=torch.float64)
    low, high = 0.0, 4 * w
    for _ in range(40):
        weight = (low + high) / 2
        J = a * w - weight * (a.square() - 1).square()
        trapped = bool((J.diff() < 0).any())  # somewhere on the way up from a = -1.5 it goes down
        low, high = (low, weight) if trapped else (weight, high)
    return high


@exercise("8.2")
def repaired(answer):
    """Watches where the critic is asked, and compares with the value computed at those places."""
    for shape in ((1, 4, 5), (3, 3, 4), (2,)):
        n, weight = 12, random.uniform(0.5, 20.0)
        real, made = torch.randn(2, n, *shape)
        fake = made.clone().requires_grad_()  # as it comes from a generator
        bends = torch.rand(shape).requires_grad_()
        seen = []

        def critic(x, bends=bends, seen=seen):
            seen.append(x)
            return (bends * x.square()).flatten(1).sum(1) / 2

        shares = []
        for _ in range(8):
            seen.clear()
            found = answer(critic, real, fake, weight)
            require(
                isinstance(found, torch.Tensor) and found.numel() == 1,
                "return one number, the mean over the batch, as a tensor;"
                f" yours is {_shape(found)}.",
            )
            require(len(seen) >= 1, "your code never asks the critic.")
            x = seen[-1]
            require(
                x.shape == real.shape,
                f"the critic is asked at {tuple(x.shape)}; the samples are {tuple(real.shape)}.",
            )
            gone, way = ((to.detach() - real).double().flatten(1) for to in (x, fake))
            t = (gone * way).sum(1, keepdim=True) / way.square().sum(1, keepdim=True)
            shares.append((t, (gone - t * way).abs().max()))
            require(
                x.grad_fn is None,
                "x_hat still hangs on the generator:"
                " with one loss for both, G would learn what D pays. Detach it.",
            )
        t = torch.cat([t for t, _ in shares], dim=1).T  # (8 calls, n)
        require(
            [off < 1e-4 for _, off in shares],
            "t differs from pixel to pixel, so x_hat leaves the way between the two."
            " Draw one t for each sample.",
        )
        require(
            (t.min() > -1e-5) & (t.max() < 1 + 1e-5),
            "x_hat leaves the way between real and fake:"
            " t is to be uniform on [0, 1], torch.rand, not randn.",
        )
        require(
            t.std() > 1e-4, f"t is {t.mean():.3g} for all samples and all calls. It is to be drawn."
        )
        require(
            (t - t[:, :1]).abs().max() > 1e-4,
            "one t for the whole batch. Draw one for each sample.",
        )
        require(
            abs(t.mean() - 0.5) < 0.2,
            f"the mean of t is {t.mean():.2f}; uniform on [0, 1] it is 0.5.",
        )
        _value(found, bends, x.detach(), weight)


def _value(found, bends, x, weight):
    """Compares with the value at these places, where the critic's gradient is bends * x."""
    slope = (bends * x).detach().double()
    n, flat = len(x), slope.flatten(1)
    norm = flat.norm(dim=1)
    right = weight * (norm - 1).square().mean().item()
    value = found.item()
    mistakes = [
        (weight * (norm / n - 1).square().mean().item(),
            "critic(x_hat).mean() divides every gradient by N: sum."),
        (weight * (norm.square() - 1).square().mean().item(),
            "the norm is squared before the 1 is taken off."),
        (weight * (norm.square() - 1).mean().item(),
            "the norm is squared before the 1 is taken off."),
        (weight * (norm - 1).clamp(min=0).square().mean().item(),
            "this is one-sided; two-sided is asked for."),
        (weight * (norm - 1).abs().mean().item(), "the distance from 1 is to be squared."),
        (weight * (flat.norm() - 1).square().item(),
            "one norm over the whole batch. Each sample has its own."),
        (weight * (norm.mean() - 1).square().item(),
            "the norms are averaged first: each sample pays for itself."),
        (weight * (norm - 1).square().sum().item(),
            "this is the sum over the batch. The mean is asked for."),
        (right / weight, "the weight is missing."),
        (weight * norm.square().mean().item(), "the 1 is missing: this asks for slope 0."),
    ]  # fmt: skip
    if slope.ndim == 4:
        for scale in (1, n):
            pixel = (slope / scale).norm(dim=1)
            mistakes.append(
                (
                    weight * (pixel - 1).square().mean().item(),
                    "norm(dim=1) of a gradient (N, C, H, W) is a norm at each pixel. Flatten first."
                    + (" And critic(x_hat).mean() divides by N." if scale > 1 else ""),
                )
            )
    for wrong, message in mistakes:
        require(
            abs(value - wrong) > 1e-5 * (1 + abs(wrong)) or abs(wrong - right) < 1e-5 * (1 + right),
            message,
        )
    require(
        abs(value - right) < 1e-4 * (1 + right),
        f"at these places the penalty is {right:.4f}, not {value:.4f}.",
    )
    require(
        found.requires_grad,
        "nothing can be learned from the result: pass create_graph=True to autograd.grad.",
    )
    (back,) = torch.autograd.grad(found, bends, allow_unused=True)
    require(
        back is not None,
        "the critic's weights get no gradient: pass create_graph=True, and detach only x_hat.",
    )


def _shape(value) -> str:
    return (
        f"of shape {tuple(value.shape)}"
        if isinstance(value, torch.Tensor)
        else type(value).__name__
    )


PENALTIES = {
    "a": (lambda g: g.flatten(1).norm(dim=1), 1.0),
    "b": (lambda g: g.norm(dim=1), 1.0),
    "c": (lambda g: g.norm(), 1.0),
    "d": (lambda g: g.flatten(1).norm(dim=1), 1 / 64),
    "e": (lambda g: g.flatten(1).norm(dim=1) ** 2, 1.0),
    "f": (lambda g: g.flatten(1).norm(dim=1), 1.0),
}


@exercise("8.3", value=True)
def asked_slopes(answer):
    """Looks for the slope at which each penalty is 0, on the linear critic of the exercise."""
    require(
        isinstance(answer, dict) and set(answer) == set(PENALTIES),
        'write a dictionary with a slope for each penalty, {"a": 1, "b": ...}, from a to f.',
    )
    hints = {
        "a": "784 pixels of a/28 each: what is the norm of all of them?",
        "b": "one channel: each norm is over a single pixel, a/28, and each is to be 1.",
        "c": "the norm adds up the squares of 64 samples: what is the root of 64 a²?",
        "d": "the mean over 64 logits divides each sample's gradient by 64.",
        "e": "where is the square of a norm 1?",
        "f": "does the slope of a linear critic depend on the place?",
    }
    upside_down = {"b": 1 / 28, "c": 8, "d": 1 / 64}
    for name, (norm, scale) in PENALTIES.items():
        try:
            value = float(answer[name])
        except (TypeError, ValueError):
            require(False, f"{name}: write a number.")
        slopes = torch.full((64, 1, 28, 28), scale / 28, dtype=torch.float64)
        right = 1 / norm(slopes).max().item() ** (0.5 if name == "e" else 1)
        if name in upside_down:
            require(
                abs(value / upside_down[name] - 1) > 0.01,
                f"{name}: upside down. If the code reads a slope"
                f" {'larger' if right < 1 else 'smaller'} than it is,"
                f" which a does it read as 1?",
            )
        require(
            abs(value / right - 1) < 0.01,
            f"{name}: not {value:g}. {hints[name][0].upper()}{hints[name][1:]}",
        )


class _Deviation(nn.Module):
    """Appends the batch's deviation to every sample, as a minibatch layer does."""

    def forward(self, x):
        return torch.cat([x, x.std(dim=0).mean().expand(len(x), 1)], dim=1)


@exercise("8.4")
def leak(answer):
    """Tries critics with known leaks: none, all, and some, on points and on images."""
    n = random.randint(5, 8)
    points, images = torch.randn(n, 3).double(), torch.randn(n, 2, 3, 3).double()
    plain = nn.Sequential(
        nn.Flatten(), nn.Linear(18, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)
    ).double()
    deviation = nn.Sequential(
        nn.Linear(3, 5), _Deviation(), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)
    ).double()
    normed = nn.Sequential(
        nn.Flatten(), nn.Linear(18, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)
    )

    def share(critic, x):
        found = answer(critic, x.clone())
        try:
            return float(found)
        except (TypeError, ValueError, RuntimeError):
            require(False, f"return one number, the share; yours is {_shape(found)}.")

    safe = share(plain, images)
    require(
        abs(safe - 1) > 1e-6,
        "a critic that keeps its samples apart gets 1 from you:"
        " you return the share on the diagonal.",
    )
    require(
        abs(safe) < 1e-6,
        f"a critic that keeps its samples apart leaks nothing; you say {safe:.3g}."
        " Is your diagonal that of two samples (i, i), with the norm over everything behind?",
    )
    for name, critic, x in (
        ("the mean of the batch", lambda x: x[:, 0] * x.mean(), points),
        ("a deviation over the batch", deviation, points),
        ("batch norm", normed.double(), images),
        ("the next sample alone", lambda x: x.roll(1, 0).square().sum(1), points),
    ):
        found = share(critic, x)
        full = torch.autograd.functional.jacobian(critic, x).flatten(2)
        J = full.norm(dim=2)
        on = J.diagonal().sum()
        right = (1 - on / J.sum()).item()
        require(math.isfinite(found), f"{name}: your share is {found}.")
        require(
            found > 1e-9,
            f"{name}: you see no leak."
            " The gradient of a sum has the diagonal and the rest mixed up.",
        )
        squares = J.square()
        pixels = full.abs()
        recognise_number(
            found,
            *[
                (value, f"{name}: {message}")
                for value, message in (
                    (
                        (J.sum() - on).item(),
                        "this is the sum off the diagonal. Divide it by the whole.",
                    ),
                    (
                        (J.sum() / on - 1).item(),
                        "you divide by the diagonal. The share is of the whole.",
                    ),
                    (
                        (1 - squares.diagonal().sum() / squares.sum()).item(),
                        "you use squares of the norms.",
                    ),
                    (
                        (1 - pixels.diagonal().sum() / pixels.sum()).item(),
                        "you add up absolute values:"
                        " J_ij is the norm of the gradient of logit i by sample j.",
                    ),
                    (
                        ((J.sum() - on) / (n * n - n)).item(),
                        "this is a mean. The share is a part of the whole.",
                    ),
                )
                if abs(value - right) > 1e-3
            ],
        )
        require(
            abs(found - right) < 1e-3, f"{name}: the share is {right:.4f}; yours is {found:.4f}."
        )


ROOTS = {
    "a": lambda s: s.sqrt() + 1e-12,
    "b": lambda s: (s + 1e-12).sqrt(),
    "c": lambda s: torch.where(s > 0, s.sqrt(), 0.0),
    "d": lambda s: torch.nan_to_num(s.sqrt()),
    "e": lambda s: torch.where(s > 0, s, 1.0).sqrt() * (s > 0),
    "f": lambda s: s,
}


@exercise("8.5", value=True)
def cures(answer):
    """Runs all six and looks."""
    require(
        isinstance(answer, dict) and set(answer) == set(ROOTS),
        'write a dictionary with a word for each, {"a": "nan", "b": ...}, from a to f.',
    )
    hints = {
        "a": "what is added after the root has no part in the root's derivative.",
        "b": "the root never sees a 0 here.",
        "c": "backwards, `where` hands the root a gradient of 0,"
        " and the root's own derivative is infinite.",
        "d": "forward there is no NaN to mend: √0 = 0. Backwards the root is asked all the same.",
        "e": "what does the root see where s is 0?",
        "f": "which derivative here could be infinite?",
    }
    for name, root in ROOTS.items():
        require(
            answer[name] in ("finite", "nan"),
            f'{name}: write "finite" or "nan"; you wrote {answer[name]!r}.',
        )
        slope = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
        (back,) = torch.autograd.grad((root(slope.square().sum(dim=1)) - 1).square().sum(), slope)
        fate = "nan" if back.isnan().any() else "finite"
        require(answer[name] == fate, f"{name} is not {answer[name]!r}: {hints[name]}")
