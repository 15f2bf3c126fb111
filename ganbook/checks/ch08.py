"""Checks of chapter 8, the gradient penalty."""

import random
from collections.abc import Mapping

import torch
from torch import nn

from ganbook.checks import exercise, kind, near, number, on_copies, parts, recognise_number, require


@exercise("8.1")
def repaired(answer):
    """Watches where the critic is asked, and compares with the value computed at those places."""
    n = 48
    for shape in ((1, 4, 5), (3, 3, 4), (2,)):
        weight = random.uniform(0.5, 20.0)
        critic = _Watched(shape)
        real, made = torch.randn(2, n, *shape)
        places = []
        for _ in range(8):
            found, fake, from_generator = _penalty_of(answer, critic, real, made, weight)
            x = critic.places(real)
            gone, way = ((to - real).double().flatten(1) for to in (x, fake))
            t = (gone * way).sum(1) / way.square().sum(1)
            require(
                (gone - t[:, None] * way).abs().max() < 1e-4,
                "x_hat i is not on the way from real i to fake i."
                " If t differs from pixel to pixel, draw one t for each sample.",
            )
            places.append(t)
            _value(found, critic, x, weight)
            _reach(found, critic, x, weight, from_generator)
        _uniform(torch.stack(places))


class _Watched:
    """A critic, half a quadratic form, that notes where it is asked."""

    def __init__(self, shape):
        # Slopes on both sides of 1, in points as in images.
        size = (6 / torch.Size(shape).numel()) ** 0.5
        self.bends = (size * (0.3 + 1.4 * torch.rand(shape))).requires_grad_()
        self.seen = []

    def __call__(self, x):
        require(
            isinstance(x, torch.Tensor) and x.shape[1:] == self.bends.shape,
            f"the critic is asked at {kind(x)}; it takes (N, {str(tuple(self.bends.shape))[1:]}.",
        )
        self.seen.append(_plain(x).detach())
        return self.value(x)

    def value(self, x):
        return (self.bends * x.square()).flatten(1).sum(1) / 2

    def places(self, real):
        """Where the critic was asked last, as many places as there are samples."""
        require(len(self.seen) > 0, "your code never asks the critic.")
        x = torch.cat([x.reshape(-1, *real.shape[1:]) for x in self.seen])
        self.seen.clear()
        require(
            len(x) % len(real) == 0,
            f"the critic is asked at {len(x)} places; there are {len(real)} samples.",
        )
        return x[-len(real) :].to(real)

    def slope(self, x):
        return self.bends * x

    def penalty(self, x, weight):
        return weight * (self.slope(x).flatten(1).norm(dim=1) - 1).square().mean()


def _plain(x):
    """The tensor within those of torch.func, which hide what they hold."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(x):
        x = functorch.get_unwrapped(x)
    return x


def _penalty_of(answer, critic, real, made, weight):
    """What comes back, the fakes, and a number on which the fakes hang as on a generator."""
    from_generator = torch.ones((), requires_grad=True)
    fake = made * from_generator
    critic.seen.clear()
    given = real.clone()
    found = answer(critic, given, fake, weight)
    require(
        isinstance(found, torch.Tensor) and found.numel() == 1,
        f"return one number, the mean over the batch, as a tensor; yours is {kind(found)}.",
    )
    require(torch.isfinite(found), f"the penalty is {found.item()}: a finite one should come back.")
    require(
        torch.equal(given.detach(), real) and torch.equal(fake.detach(), made),
        "your code changes the batch that it is given: whoever uses it next gets x_hat.",
    )
    return found, fake.detach(), from_generator


def _value(found, critic, x, weight):
    """Compares with the value at these places."""
    slope = critic.slope(x).detach().double()
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
        (weight * (1 - norm).clamp(min=0).square().mean().item(),
            "only slopes below 1 pay; two-sided is asked for."),
        (weight * (critic.value(x) - 1).square().mean().item(),
            "this takes what the critic says, not its slope."),
        (weight * (norm - 1).abs().mean().item(), "the distance from 1 is to be squared."),
        (weight * (norm - 1).mean().item(), "the distance from 1 is to be squared."),
        (weight * (flat.norm() - 1).square().item(),
            "one norm over the whole batch. Each sample has its own."),
        (weight * (flat.norm() / n - 1).square().item(),
            "one norm over the whole batch. Each sample has its own."),
        (weight * (norm.mean() - 1).square().item(),
            "the norms are averaged first: each sample pays for itself."),
        (weight * (flat.abs().sum(dim=1) - 1).square().mean().item(),
            "this is the sum of absolute values. The length is the root of the sum of squares."),
        (weight * (norm + 1).square().mean().item(), "the 1 is to be taken off, not added."),
        (weight * (norm - 1).square().sum().item(),
            "this is the sum over the batch. The mean is asked for."),
        (weight / 2 * (norm - 1).square().mean().item(),
            "this is half of it. R1 has the factor ½, this penalty has none."),
        (right / weight, "the weight is missing."),
        (10 * right / weight, "the weight is always 10. It is an argument."),
        (weight**2 * right / weight, "the weight is squared."),
        (-right, "the sign: a penalty is added to the loss of the critic."),
        (weight * norm.square().mean().item(), "the 1 is missing: this asks for slope 0."),
        (weight / 2 * norm.square().mean().item(), "this is R1's, which asks for slope 0."),
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
    if not near(value, right):
        for wrong, message in mistakes:
            require(not near(value, wrong), message)
    require(near(value, right), f"at these places the penalty is {right:.4f}, not {value:.4f}.")


def _reach(found, critic, x, weight, from_generator):
    """What learns from the penalty: the critic all of it, the generator nothing."""
    require(
        found.requires_grad,
        "nothing can be learned from the result: pass create_graph=True to autograd.grad.",
    )
    back, to_generator = torch.autograd.grad(
        found, (critic.bends, from_generator), allow_unused=True, retain_graph=True
    )
    require(
        critic.bends.grad is None,
        "your code leaves gradients in the critic's weights, which its next step would add:"
        " take the slope by autograd.grad, not by backward.",
    )
    require(
        to_generator is None or to_generator.abs() < 1e-7,
        "x_hat still hangs on the generator:"
        " with one loss for both, G would learn what D pays. Detach it.",
    )
    require(
        back is not None and back.abs().sum() > 0,
        "the critic's weights get no gradient: pass create_graph=True, and detach only x_hat.",
    )
    (right,) = torch.autograd.grad(critic.penalty(x, weight), critic.bends)
    require(
        near(back, right, rtol=1e-3, atol=1e-3 * right.abs().max().item()),
        "the value is right, but the critic would learn something else from it:"
        " a part of the way from its weights to the penalty is cut off.",
    )


def _uniform(t):
    """t: (calls, n)."""
    require(
        (t.min() > -1e-5) & (t.max() < 1 + 1e-5),
        "x_hat leaves the way between real and fake:"
        " t is to be uniform on [0, 1], torch.rand, not randn.",
    )
    require(t.std() > 1e-4, f"t is {t.mean():.3g} for all samples and calls. It is to be drawn.")
    require(
        (t - t[:, :1]).abs().max() > 1e-4,
        "one t for the whole batch. Draw one for each sample.",
    )
    require((t - t[:1]).abs().max() > 1e-4, "every call has the same t. Draw it anew.")
    drawn = t.flatten().sort().values
    uniform = (torch.arange(len(drawn)) + 0.5) / len(drawn)
    require(
        (drawn - uniform).abs().max() < 0.1,
        f"t is not uniform on [0, 1]: its mean is {t.mean():.2f}, and half of it lies between"
        f" {t.quantile(0.25):.2f} and {t.quantile(0.75):.2f}.",
    )


@exercise("8.2")
def other_penalties(answer):
    """Finds each maximum, and the trap, on a fine grid of slopes; never uses the formulas."""
    for share in (0.2, 0.35, 0.8, 2.5):
        w = random.uniform(1.0, 3.0)
        weight = share * w
        three = parts(answer(w, weight), 3, "return three numbers, as `return r1, absolute, trap`")
        r1, absolute, trap = map(number, three, ("r1", "absolute", "trap"))
        at = f"for w = {w:.3g} and a weight of {weight:.3g}"
        best = _best(lambda a, w=w, weight=weight: a * w - weight / 2 * a.square())
        kinked = _best(lambda a, w=w, weight=weight: a * w - weight * (a.square() - 1).clamp(min=0))
        found = torch.tensor([r1, absolute, trap])
        right = torch.tensor([best, kinked, _trap_border(w)])
        require(
            near(found, right, 5e-3) or not near(found.sort()[0], right.sort()[0], 5e-3),
            "the three have changed places: return r1, absolute, trap.",
        )
        _r1(r1, best, kinked, w, weight, at)
        _absolute(absolute, kinked, w, weight, at)
        _trap(trap, w, weight, at)


def _r1(r1, best, kinked, w, weight, at):
    _name(
        r1,
        best,
        (w / (2 * weight), f"{at}: R1 has the factor ½, γ/2 a². Its derivative is γa."),
        (-w / weight, f"{at}: the sign. The critic climbs towards the real point."),
        (1 + w / weight, f"{at}: R1 pays for every slope, not for the distance from 1."),
        (1 + w / (2 * weight), f"{at}: this is the slope under the gradient penalty. R1 is ½γa²."),
        (2 * w / weight, f"{at}: the derivative of ½γa² is γa."),
        (weight / w, f"{at}: this is turned upside down: more weight, less slope."),
        (1 / weight, f"{at}: the distance w is missing. It is what the slope gains."),
        (w * weight, f"{at}: more weight, less slope: divide by it."),
        ((w / weight) ** 0.5, f"{at}: w - γa is 0 at a itself: no root is left to take."),
        (kinked, f"{at}: this is the second of the three. Return r1, absolute, trap."),
        (w**2 / weight, f"{at}: this is aw, what the critic says. The slope a is asked for."),
        (w**2 / (2 * weight), f"{at}: this is J at its maximum. The slope a is asked for."),
    )
    require(abs(r1 - best) < 1e-3 * best, f"{at} the best slope under R1 is {best:.4f},"
            f" not {r1:.4f}.")  # fmt: skip


def _absolute(absolute, best, w, weight, at):
    exact = best if weight < w / 2 else 1.0
    _name(
        absolute,
        exact,
        (
            1.0,
            f"{at}: here the slope gains more than it pays: a = 1 is not the best for small"
            " weights.",
        ),
        (
            1 + w / (2 * weight),
            f"{at}: that is for a square, (|a| - 1)². Here it is λ(a² - 1) above 1."
            + ("" if weight < w / 2 else " The slope at the kink decides."),
        ),
        (w / weight, f"{at}: the derivative of λ(a² - 1) is 2λa."),
        (
            w / (2 * weight),
            f"{at}: this slope is below 1, where the penalty is 0 and a steeper one gains more.",
        ),
        (0.0, f"{at}: up to a = 1 the penalty is 0, and every bit of slope gains."),
    )
    require(
        abs(absolute - best) < 1e-3 * best,
        f"{at} the best slope under the absolute penalty is {best:.4f}, not {absolute:.4f}.",
    )


def _trap(trap, w, weight, at):
    border = _trap_border(w)
    _name(
        trap,
        border,
        (
            w / 2,
            f"{at}: that is where the right formula, (|a| - 1)², has its trap."
            " Here it is (a² - 1)².",
        ),
        (1 / border, "the border goes with w: farther fakes, larger weights without a trap."),
        (w / border * w, "this is upside down: λ against w, not w against λ."),
        (-border, "the sign: w = 4λ b(1 - b²) with b = -a above 0, so λ is above 0, too."),
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
        (border / w, "this is for w = 1. The border goes with w."),
        (3**-0.5, "this is the slope at which b(1 - b²) is largest. The weight λ is asked for."),
        (-(3**-0.5), "this is the slope at which b(1 - b²) is largest. The weight λ is asked for."),
        (2 * w, f"{at}: w < 2λ is the other way round, λ > w/2, and is for (|a| - 1)²."),
        (weight, "this is the weight itself. The border depends on w alone."),
        rtol=1e-3,
    )
    require(
        abs(trap - border) < 5e-3 * border,
        f"{at}: below λ = {border:.4f} J has no maximum with a < 0, above it has one;"
        f" you say {trap:.4f}.",
    )


def _name(found, right, *mistakes, rtol=1e-4):
    """Raise the message of the mistake that gives what was found, unless it is right."""
    if not near(found, right, rtol=5e-3 if rtol > 1e-4 else 1e-3):
        for value, message in mistakes:
            require(not near(found, value, rtol=rtol), message)


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


class _Asked:
    """In what batches and modes a critic was asked. A copy of the critic notes it here, too."""

    def __init__(self):
        self.sizes, self.modes = set(), set()

    def __deepcopy__(self, memo):
        return self


class _Critic(nn.Module):
    """A critic of layers, or of one function, that notes how it is asked."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = layers[0] if not isinstance(layers[0], nn.Module) else nn.Sequential(*layers)
        self.asked = _Asked()

    def forward(self, x):
        require(
            isinstance(x, torch.Tensor) and x.ndim > 1,
            f"the critic is asked about {kind(x)}; it takes a batch, (N, ...).",
        )
        self.asked.sizes.add(len(_plain(x)))
        self.asked.modes.add(self.training)
        return self.layers(x)


class _Deviation(nn.Module):
    """Appends the batch's standard deviation to every sample, as a minibatch layer does."""

    def forward(self, x):
        return torch.cat([x, x.std(dim=0, correction=0).mean().expand(len(x), 1)], dim=1)


class _BatchNorm(nn.Module):
    """Batch norm as its critic sees it, without running statistics, which torch.func refuses."""

    def __init__(self, _):
        super().__init__()

    def forward(self, x):
        if not self.training:
            return x
        return (x - x.mean(dim=0)) / (x.var(dim=0, correction=0) + 1e-5).sqrt()


def _networks():
    """Critics by name, and whether they leak; each with a batch of a size of its own."""
    n = random.randint(5, 7)
    points, images = torch.randn(n, 3).double(), torch.randn(n + 2, 2, 3, 4).double()

    def layers(*first, norm=nn.Identity, inputs=24):
        return _Critic(
            nn.Flatten(), *first, nn.Linear(inputs, 6), norm(6), nn.Tanh(), nn.Linear(6, 1),
            nn.Flatten(0),
        ).double()  # fmt: skip

    yield "a critic of images that keeps them apart", layers(), images, False
    yield "layer norm", layers(norm=nn.LayerNorm, inputs=3), points, False
    yield "the mean of the batch", _Critic(lambda x: x[:, 0] * x.mean()), points, True
    one = torch.randn(1, 3).double()  # the same for all: the sum's gradient is not 0
    yield "the next sample alone", _Critic(lambda x: x.roll(1, 0) @ one[0]), points, True
    yield "the standard deviation of the batch", layers(_Deviation(), inputs=4), points, True
    pixels = torch.randn(24, 1).double()
    yield (
        "one pixel of the next image",
        _Critic(lambda x: (x.flatten(1) @ pixels)[:, 0] + 4 * x.roll(1, 0)[:, 0, 0, 0]),
        images,
        True,
    )
    yield "batch norm", layers(norm=_BatchNorm), images, True


@exercise("8.3")
def leak(answer):
    """Tries critics with known leaks: none, all, and some, on points and on images."""
    for name, critic, x, leaks in _networks():
        found = number(on_copies(answer, critic, x), name)
        _asked(critic, name)
        require(
            all(part.training for part in critic.modules()),
            f"{name} is left in evaluation mode: leave its mode as it is in training.",
        )
        require(
            all(weight.requires_grad for weight in critic.parameters()),
            f"{name} is left frozen: requires_grad is not what it was, so it could not be trained.",
        )
        require(
            all(weight.grad is None for weight in critic.parameters()),
            f"{name}: your code leaves gradients in the critic's weights, which its next step"
            " would add: take the slopes by autograd.grad or jacobian, not by backward.",
        )
        full = torch.autograd.functional.jacobian(critic, x).flatten(2)
        J = full.norm(dim=2)
        on, n = J.diagonal().sum(), len(x)
        right = (1 - on / J.sum()).item()
        if not leaks:
            require(
                abs(found - 1) > 1e-6,
                f"{name} gets 1 from you: you return the share on the diagonal.",
            )
            require(
                abs(found) < 1e-6,
                f"{name}: it leaks nothing; you say {found:.3g}."
                " Is your diagonal that of two samples (i, i), with the norm over everything"
                " behind?",
            )
            continue
        require(
            abs(found) > 1e-9,
            f"{name}: you see no leak. Take the gradient of each logit i by itself, for every"
            " sample j: the gradient of their sum, or of sample i alone, can't tell.",
        )
        if near(found, right, rtol=1e-3, atol=1e-6):
            continue
        squares, pixels, by_one = J.square(), full.abs(), _one_dimension(critic, x)
        rows = J.sum(dim=1)
        recognise_number(
            found,
            *[
                (float(value), f"{name}: {message}")
                for value, message in (
                    (J.sum() - on, "this is the sum off the diagonal. Divide it by the whole."),
                    (J.sum() / on - 1, "you divide by the diagonal. The share is of the whole."),
                    (1 - squares.diagonal().sum() / squares.sum(), "you use squares of the norms."),
                    (
                        1 - pixels.diagonal().sum() / pixels.sum(),
                        "you add up absolute values:"
                        " J_ij is the norm of the gradient of logit i by sample j.",
                    ),
                    (
                        1 - full.sum(2).diagonal().sum() / full.sum(),
                        "you add up the gradient's entries, signs and all: J_ij is its norm.",
                    ),
                    (
                        1 - full.sum(2).abs().diagonal().sum() / full.sum(2).abs().sum(),
                        "you add up the gradient's entries, signs and all: J_ij is its norm.",
                    ),
                    (
                        1 - by_one.diagonal().sum() / by_one.sum(),
                        "your norm goes over one dimension of the image."
                        " It is to go over all of them: flatten first.",
                    ),
                    (
                        (J.sum() - on) / (n * n - n),
                        "this is a mean. The share is a part of the whole.",
                    ),
                    (
                        1 - (J.diagonal() / rows).mean(),
                        "this is the mean of the logits' shares. One share is asked for,"
                        " of the sum over all i and j.",
                    ),
                    (100 * right, "this is in per cent; the share is to be from 0 to 1."),
                    (on / J.sum(), "this is the share on the diagonal."),
                    (
                        (J > 1e-9).double().mean() - 1 / n,
                        "you count the pairs that leak. Add up how much they do.",
                    ),
                )
            ],
            truth=right,
        )
        require(False, f"{name}: the share is {right:.4f}; yours is {found:.4f}.")


def _asked(critic, name):
    """How the critic was asked: at all, in training mode, and about more than one sample."""
    require(len(critic.asked.sizes) > 0, f"{name}: your code never asks the critic.")
    require(
        True in critic.asked.modes,
        f"{name}: you ask the critic in evaluation mode, where batch norm uses running statistics"
        " and leaks nothing. Leave the mode as it is in training.",
    )
    require(
        critic.asked.sizes != {1},
        f"{name}: you hand over one sample at a time. Alone, a sample has no other to leak to.",
    )


def _one_dimension(critic, x):
    J = torch.autograd.functional.jacobian(critic, x)
    return J.norm(dim=2).flatten(2).sum(2) if J.ndim > 3 else J.norm(dim=2)


ROOTS = {
    "a": lambda s: s.sqrt() + 1e-12,
    "b": lambda s: (s + 1e-12).sqrt(),
    "c": lambda s: torch.where(s > 0, s.sqrt(), 0.0),
    "d": lambda s: torch.nan_to_num(s.sqrt()),
    "e": lambda s: torch.where(s > 0, s, 1.0).sqrt() * (s > 0),
    "f": lambda s: s,
}


@exercise("8.4", value=True)
def cures(answer):
    """Runs all six and looks."""
    _dictionary(answer, ROOTS, 'a word for each, {"a": "nan", "b": ...}')
    hints = {
        "a": "what is added after the root has no part in the root's derivative.",
        "b": "the root never sees a 0 here.",
        "c": "backwards, `where` hands the root a gradient of 0,"
        " and the root's own derivative is infinite.",
        "d": "forward there is no NaN to replace: √0 = 0. Backwards the root is asked all the"
        " same.",
        "e": "what does the root see where s is 0?",
        "f": "which derivative here could be infinite?",
    }
    for name, root in ROOTS.items():
        word = answer[name]
        word = word.strip().lower() if isinstance(word, str) else word
        require(
            isinstance(word, str) and word in ("finite", "nan"),
            f'{name}: write "finite" or "nan", in quotes; you wrote {_short(answer[name])}.',
        )
        slope = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
        (back,) = torch.autograd.grad((root(slope.square().sum(dim=1)) - 1).square().sum(), slope)
        fate = "nan" if back.isnan().any() else "finite"
        require(word == fate, f"{name} is not {word!r}: {hints[name]}")


def _dictionary(answer, names, of):
    require(
        isinstance(answer, Mapping) and set(answer) == set(names),
        f"write a dictionary with {of}, from {min(names)} to {max(names)}.",
    )


def _short(value) -> str:
    return repr(value) if isinstance(value, (str, int, float)) else kind(value)


PENALTIES = {
    "a": (lambda g: g.flatten(1).norm(dim=1), 1.0),
    "b": (lambda g: g.norm(dim=1), 1.0),
    "c": (lambda g: g.norm(), 1.0),
    "d": (lambda g: g.flatten(1).norm(dim=1), 1 / 64),
    "e": (lambda g: g.flatten(1).norm(dim=1) ** 2, 1.0),
    "f": (lambda g: g.flatten(1).norm(dim=1), 1.0),
}


@exercise("8.5", value=True)
def asked_slopes(answer):
    """Looks for the slope at which each penalty is 0, on the linear critic of the exercise."""
    _dictionary(answer, PENALTIES, 'a slope for each penalty, {"a": 1, "b": ...}')
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
        value = number(answer[name], name)
        slopes = torch.full((64, 1, 28, 28), scale / 28, dtype=torch.float64)
        right = 1 / norm(slopes).max().item() ** (0.5 if name == "e" else 1)
        if name in upside_down:
            require(
                abs(value / upside_down[name] - 1) > 0.01,
                f"{name}: upside down. If the code reads a slope"
                f" {'larger' if right < 1 else 'smaller'} than it is,"
                f" which a does it read as 1?",
            )
        require(value > 0, f"{name}: a is a slope above 0, and you say {value:g}.")
        require(
            abs(value / right - 1) < 0.01,
            f"{name}: not {value:g}. {hints[name][0].upper()}{hints[name][1:]}",
        )
