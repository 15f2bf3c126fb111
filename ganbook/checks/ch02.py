"""Checks of chapter 2, your first GAN."""

import torch
from torch import nn

from ganbook.checks import Mistake, Open, exercise, guarded, recognise, require, same, tensor
from ganbook.device import DEVICE


@exercise("2.1", value=True)
def trajectory(answer):
    """Plays the smallest game with autograd, in the three orders."""
    right = {"D_first": _walk("DG"), "G_first": _walk("GD"), "at_once": _walk("both")}
    for (name, truth), found in zip(right.items(), _parts(answer, 3), strict=True):
        theta, psi = _two_numbers(name, found)
        at = f"{name}: you have theta = {theta:g}, psi = {psi:g}. "
        require(psi != 0, at + "D does move: at psi = 0 its slope is -2 sigmoid(0) + 0, not 0.")
        require(
            psi > 0,
            at
            + "D's step goes against its slope, which is negative: it wants a high logit at x = 2.",
        )
        require(psi != 2, at + "The slope of softplus at 0 is sigmoid(0) = 1/2, not 1.")
        require(
            psi != 0.5,
            at + "The real point is at x = 2, and its logit is 2 psi: mind the inner derivative.",
        )
        require(
            theta >= 0,
            at
            + "G goes against its slope, -psi sigmoid(-theta psi):"
            + " towards the data at 2, not away from them.",
        )
        if truth[0] == 0:
            require(
                theta == 0,
                at
                + "G moves by psi sigmoid(-theta psi), and the psi that it sees here is still 0."
                + " It gets no signal.",
            )
        else:
            require(
                theta != 0,
                at + "D has moved already when G's turn comes: G sees the new psi, not 0.",
            )
            require(theta != 1, at + "The slope of softplus at 0 is sigmoid(0) = 1/2, not 1.")
        near = abs(theta - truth[0]) < 0.01 and abs(psi - truth[1]) < 0.01
        require(
            near, at + "Start again: which player moves first, and what does the second one see?"
        )


def _walk(order):
    theta, psi = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in "GD")
    softplus = nn.functional.softplus

    def slope(player):
        if player == "D":
            return torch.autograd.grad(softplus(-2 * psi) + softplus(theta * psi), psi)[0]
        return torch.autograd.grad(softplus(-theta * psi), theta)[0]

    with torch.no_grad():
        if order == "both":
            with torch.enable_grad():
                slopes = slope("G"), slope("D")
            theta -= slopes[0]
            psi -= slopes[1]
        else:
            for player in order:
                with torch.enable_grad():
                    step = slope(player)
                (psi if player == "D" else theta).sub_(step)
    return theta.item(), psi.item()


@exercise("2.2")
def careful(answer):
    """Plays two steps on two tiny networks, and compares the gradients they use.

    The generator has one number, the discriminator two.
    """
    G, D = _OneFake().to(DEVICE), _Line().to(DEVICE)
    g_watch, d_watch = _Watch(G), _Watch(D)
    before = []  # what G's steps have been so far: gradients that nobody cleared add up to them
    for _ in range(2):
        _Watch.clock, D.seen = 0, []
        theta, old = (
            G.theta.detach().clone(),
            [weight.detach().clone() for weight in D.parameters()],
        )
        answer(G, D, g_watch, d_watch)
        for watch, player, name in ((d_watch, "D", "d_adam"), (g_watch, "G", "g_adam")):
            require(len(watch.steps) > 0, f"{player} has not moved: call {name}.step().")
            require(
                len(watch.steps) == 1,
                f"{player} has taken {len(watch.steps)} steps. One each makes a step.",
            )
        (d_when, d_gradient), (g_when, g_gradient) = d_watch.steps.pop(), g_watch.steps.pop()
        require(d_when < g_when, "G has moved before D. The turn of D comes first, then that of G.")
        _check_d(d_gradient, [points for when, points in D.seen if when == 0], theta, old)
        before.append(_check_g(g_gradient, theta, old, list(D.parameters()), before))


def _check_d(found, seen, theta, weights):
    require(
        found is not None,
        "D has no gradients when it steps: call d_loss.backward() before d_adam.step().",
    )
    points = torch.cat(seen) if seen else torch.zeros(0, 1)
    fake = (points == theta).flatten()
    require((~fake).any(), "D has seen no real points before its step.")
    require(fake.any(), "D has seen no fakes before its step.")
    slope, bias = (weight.clone().requires_grad_() for weight in weights)
    logits = slope * points.flatten() + bias
    on_real, on_fake = (
        nn.functional.softplus(-logits[~fake]).mean(),
        nn.functional.softplus(logits[fake]).mean(),
    )
    right = torch.stack(torch.autograd.grad(on_real + on_fake, (slope, bias), retain_graph=True))
    lies = torch.stack(
        torch.autograd.grad(on_real + nn.functional.softplus(-logits[fake]).mean(), (slope, bias))
    )
    found = found.double()
    recognise(
        found,
        (
            -right,
            "D goes the wrong way:"
            " it minimises softplus(-l) on real points and softplus(l) on fakes.",
        ),
        (lies, "D is trained to call fakes real. On fakes its loss is softplus(l)."),
    )
    _near(
        found,
        right,
        "D's gradient is not the one of its loss. Are old gradients still in it? G's turn leaves"
        " some in D, so clear "
        "them, d_adam.zero_grad(), after G's turn and before d_loss.backward().",
    )


def _check_g(found, theta, old, new, before):
    require(
        found is not None,
        "G has no gradients when it steps. Detach the fakes in D's turn only, not in G's.",
    )
    now, then = new[0] * theta + new[1], old[0] * theta + old[1]
    right = -(1 - torch.sigmoid(now)) * new[0]
    found = found.double()
    leak = torch.sigmoid(then) * old[0]
    recognise(
        found,
        (
            right + leak,
            "G's step holds what D's turn has left in G."
            " Detach the fakes, or clear G's gradients after it.",
        ),
        (
            leak,
            "G's step uses what D's turn has left in G: it helps D. G needs a loss and a"
            " backward() of its own.",
        ),
        (
            -torch.sigmoid(now) * new[0],
            "this G has the minimax loss. The loop's G minimises softplus(-l).",
        ),
        (-right, "G goes the wrong way: it minimises softplus(-l), to make D say real."),
        (
            torch.sigmoid(now) * new[0],
            "G goes the wrong way: it minimises softplus(-l), to make D say real.",
        ),
    )
    if before:
        uncleared = right + sum(before)
        recognise(
            found,
            (
                uncleared,
                "G's last gradients are still there:"
                " call g_adam.zero_grad() before its backward().",
            ),
        )
    _near(found, right, "G's gradient is not that of softplus(-l), with D as it is after its step.")
    return right.detach()


@exercise("2.3", value=True)
def equilibrium(answer):
    """Computes the losses from the densities of two equal piles."""
    *losses, arrived = _parts(answer, 4)
    names = ("d_loss_there", "g_loss_there", "minimax_g_loss_there")
    logits = torch.randn(20).log_softmax(0)
    logits = logits - logits.clone()  # log p - log q, with q = p
    one = nn.functional.softplus(logits).mean().item()
    hints = {
        0.0: "0 would be the loss of a D that is sure and right. Where q = p the best D says 1/2.",
        0.5: "1/2 is D's probability. The loss is the logarithm of it, with a minus sign.",
        1.0: "logarithms are natural here: log 2 is 0.69, not 1.",
        2.0: "logarithms are natural here: log 2 is 0.69, not 1.",
    }
    for name, found, truth in zip(names, losses, (2 * one, one, -one), strict=True):
        value = _number(name, found)
        if abs(value - truth) < 0.006:
            continue
        says = f"{name} = {value:g}: "
        require(
            abs(value + truth) > 0.006,
            says + "the sign is wrong. Cross-entropy is above 0, log D below.",
        )
        if name == "d_loss_there":
            require(
                abs(value - one) > 0.006,
                says + "D pays twice, once on real points and once on fakes.",
            )
        else:
            require(
                abs(abs(value) - 2 * one) > 0.006, says + "G pays once, on its fakes. D pays twice."
            )
        require(
            False,
            says
            + hints.get(abs(value), "where q = p the best D has the logit 0. What is softplus(0)?"),
        )
    require(
        isinstance(arrived, bool), f"so_it_has_arrived must be True or False; it is {arrived!r}."
    )
    require(
        not arrived,
        "so_it_has_arrived: think of a D whose weights are all 0."
        " What is its loss, against any G at all?",
    )


@exercise("2.4")
def three_slopes(answer):
    """Compares with autograd, at random logits."""
    logits = (4 * torch.randn(60, dtype=torch.float64)).requires_grad_()
    D = torch.sigmoid(logits).detach()
    losses = -torch.sigmoid(logits).log(), -torch.sigmoid(-logits).log()
    on_real, on_fake = (torch.autograd.grad(loss.sum(), logits)[0] for loss in losses)
    both = torch.autograd.grad(
        (torch.sigmoid(-logits).log() - torch.sigmoid(logits).log()).sum(), logits
    )[0]
    found = _parts(answer(logits.detach()), 3)
    shapes = [
        torch.as_tensor(part).expand(60) if torch.as_tensor(part).ndim == 0 else part
        for part in found
    ]
    first, second, third = (tensor(part, (60,)) for part in shapes)
    slope_of_sigma = D * (1 - D)
    recognise(
        first,
        (-on_real, "the first slope has the wrong sign: -log D falls as l rises."),
        (
            -D,
            "the first slope is that of the minimax loss, -D."
            " A real point pulls where D doubts it.",
        ),
        (
            -1 / D,
            "the first slope is the one in D."
            " You were asked for the slope in l: times sigmoid'(l) = D(1 - D).",
        ),
        (
            -slope_of_sigma,
            "the first slope is the sigmoid's alone. The logarithm adds a factor 1/D.",
        ),
        (logits.detach(), "the first answer is the logit itself, not a slope."),
    )
    same(
        first,
        on_real,
        "the first slope is wrong: derive -log(sigmoid(l)), with sigmoid' = sigmoid (1 - sigmoid).",
    )
    recognise(
        second,
        (-on_fake, "the second slope has the wrong sign: -log(1 - D) rises with l."),
        (
            1 - D,
            "the second slope is not 1 - D: a fake is pushed down hardest where D believes in it.",
        ),
        (
            1 / (1 - D),
            "the second slope is the one in D. You were asked for the slope in l: times D(1 - D).",
        ),
    )
    same(second, on_fake, "the second slope is wrong: derive -log(1 - sigmoid(l)).")
    recognise(
        third,
        (
            torch.ones_like(D),
            "the third slope has the wrong sign: both generator losses fall as l rises.",
        ),
        (1 - 2 * D, "the third is a difference. Both slopes are negative, so they add up."),
        (
            2 * D - 1,
            "the third is D's fake loss plus G's loss."
            " Minimax G has log(1 - D), without a minus sign.",
        ),
        (-D, "the third has the minimax slope alone. Add that of -log D."),
        (-(1 - D), "the third has the non-saturating slope alone. Add that of log(1 - D)."),
        (
            -torch.ones_like(D) / 2,
            "the third is the mean of the two slopes. The sum was asked for.",
        ),
    )
    same(third, both, "the third slope is wrong: add -sigmoid(l) and -(1 - sigmoid(l)).")


@exercise("2.5", value=True)
def both_losses(answer):
    """Draws probabilities first and makes the logits from them; then logits of 1,000."""
    d_loss, g_loss = _parts(answer, 2)
    on_real = torch.rand(40, dtype=torch.float64) * 0.98 + 0.01
    on_fake = torch.rand(90, dtype=torch.float64) * 0.98 + 0.01
    real, fake = torch.logit(on_real), torch.logit(on_fake)
    real_cost, fake_cost = -on_real.log().mean(), -(1 - on_fake).log().mean()
    found = tensor(guarded(d_loss, "discriminator_loss")(real, fake), ())
    recognise(
        found,
        (
            -real_cost - fake_cost,
            "discriminator_loss is V, not -V. D maximises V, and optimisers minimise.",
        ),
        (
            real_cost - on_fake.log().mean(),
            "in discriminator_loss the fakes have label 1. That is G's wish, not D's.",
        ),
        (
            -(1 - on_real).log().mean() - on_fake.log().mean(),
            "in discriminator_loss the labels are exchanged.",
        ),
        (real_cost, "discriminator_loss leaves out the fakes."),
        (fake_cost, "discriminator_loss leaves out the real points."),
        (
            (real_cost + fake_cost) / 2,
            "discriminator_loss is half of what it should be: add the two means.",
        ),
        (
            (-on_real.log().sum() - (1 - on_fake).log().sum()) / 130,
            "discriminator_loss is one mean over all points."
            " Take a mean over each batch, and add them.",
        ),
        (
            -on_real.log().sum() - (1 - on_fake).log().sum(),
            "discriminator_loss is a sum over points: take means.",
        ),
    )
    same(
        found,
        real_cost + fake_cost,
        "discriminator_loss is not -mean log D(real) - mean log(1 - D(fake)).",
    )
    found = tensor(guarded(g_loss, "generator_loss")(fake), ())
    recognise(
        found,
        (
            -fake_cost,
            "generator_loss is the minimax one, log(1 - D). The non-saturating one is -log D.",
        ),
        (fake_cost, "generator_loss is D's loss on fakes: this G helps D."),
        (
            on_fake.log().mean(),
            "generator_loss has the wrong sign: G maximises log D, so it minimises -log D.",
        ),
        (-on_fake.log().sum(), "generator_loss is a sum over fakes: take the mean."),
        (
            -fake.mean(),
            "generator_loss is minus the mean logit, the sum of both losses. Take -log D alone.",
        ),
    )
    same(found, -on_fake.log().mean(), "generator_loss is not -mean log D(fake).")
    for name, loss, logits in (
        ("discriminator_loss", d_loss, [torch.full((3,), -1000.0), torch.full((5,), 1000.0)]),
        ("generator_loss", g_loss, [torch.full((5,), -1000.0)]),
    ):
        for values in logits:
            values.requires_grad_()
        result = guarded(loss)(*logits)
        require(
            torch.isfinite(result) & (result > 999),
            f"{name} is {result.item():.4g} where D is certain and wrong,"
            f" at logits of 1,000 on the wrong side; it should be {1000 * len(logits)}."
            " Don't take the logarithm of a probability: use a function of logits.",
        )
        slopes = torch.autograd.grad(result, logits)
        sure = all(abs(slope.sum().abs().item() - 1) < 1e-4 for slope in slopes)
        require(
            sure,
            f"{name} has a dead or undefined slope at logits of 1,000 on the wrong side,"
            " where it should pull hardest. Don't clamp: use a function of logits.",
        )


# ---- A game under observation


class _OneFake(nn.Module):
    """A generator whose fakes are all one number: its right gradient is the same for all noise."""

    latent, copies = 1, 10

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(0.7))

    def forward(self, z):
        return self.theta + 0 * z[:, :1]


class _Line(nn.Module):
    """A discriminator with a straight line for a logit, that notes what it has seen and when."""

    copies = 10

    def __init__(self):
        super().__init__()
        self.slope, self.bias = nn.Parameter(torch.tensor(0.8)), nn.Parameter(torch.tensor(-0.3))
        self.seen = []

    def forward(self, x):
        self.seen.append((_Watch.clock, x.detach().clone()))
        return self.slope * x[:, 0] + self.bias


class _Watch:
    """In place of an optimiser: plain descent that notes when it steps, with which gradients."""

    clock = 0  # steps that either player has taken in this step of the game

    def __init__(self, network):
        self.weights, self.steps = list(network.parameters()), []

    def zero_grad(self, set_to_none=True):
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self):
        found = None
        if all(weight.grad is not None for weight in self.weights):
            found = torch.stack([weight.grad for weight in self.weights]).clone()
            for weight in self.weights:
                weight -= 0.1 * weight.grad
        _Watch.clock += 1
        self.steps.append((_Watch.clock, found))


def _near(found, truth, message):
    require(
        torch.allclose(found.double(), truth.double().view_as(found), rtol=1e-3, atol=1e-5), message
    )


# ---- What comes back


def _parts(answer, count):
    try:
        parts = list(answer)
    except TypeError:
        raise Mistake(f"{count} values should come here, separated by commas.") from None
    require(len(parts) == count, f"{count} values should come here; there are {len(parts)}.")
    if any(part is ... for part in parts):
        raise Open
    return parts


def _two_numbers(name, found):
    try:
        theta, psi = (float(value) for value in found)
    except (TypeError, ValueError):
        raise Mistake(f"{name} should be two numbers, (theta, psi); it is {found!r}.") from None
    return theta, psi


def _number(name, found):
    try:
        return float(found)
    except (TypeError, ValueError):
        raise Mistake(f"{name} should be a number; it is {found!r}.") from None
