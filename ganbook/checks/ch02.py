"""Checks of chapter 2, your first GAN."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from ganbook.checks import (
    Mistake,
    exercise,
    guarded,
    near,
    number,
    parts,
    recognise,
    require,
    same,
    tensor,
)
from ganbook.device import DEVICE


@exercise("2.1", value=True)
def trajectory(answer):
    """Plays the smallest game with autograd, in the three orders."""
    right = {"D_first": _walk("DG"), "G_first": _walk("GD"), "at_once": _walk("both")}
    found = parts(answer, 3)
    for (name, truth), pair in zip(right.items(), found, strict=True):
        theta, psi = _pair(name, pair)
        at = f"{name}: you have theta = {theta:g}, psi = {psi:g}. "
        if _close((theta, psi), truth):
            continue
        require(
            not _close((psi, theta), truth),
            at + "Those are the right numbers in the other order: (theta, psi) was asked for.",
        )
        require(psi != 0, at + "D does move: at psi = 0 its slope is -2 sigmoid(0) + 0, not 0.")
        require(
            psi > 0,
            at
            + "D's step goes against its slope, which is negative: it wants a high logit at x = 2.",
        )
        for wrong, why in _WRONG_PSI.items():
            require(abs(psi - wrong) > 0.006, at + why)
        require(
            abs(psi - truth[1]) < 0.01,
            at
            + "Start with D: at psi = 0 and theta = 0 its slope is -2 sigmoid(0) + 0."
            + " It takes one step of length 1 from psi = 0.",
        )
        require(
            theta >= 0,
            at
            + "G goes against its slope, -psi sigmoid(-theta psi):"
            + " towards the data at 2, not away from them.",
        )
        require(
            truth[0] != 0,
            at
            + "G moves by psi sigmoid(-theta psi), and the psi that it sees here is still 0."
            + " It gets no signal.",
        )
        require(
            theta != 0, at + "D has moved already when G's turn comes: G sees the new psi, not 0."
        )
        require(theta != 1, at + "The slope of softplus at 0 is sigmoid(0) = 1/2, not 1.")
        require(
            min(abs(theta - 0.27), abs(theta - 0.73)) > 0.006,
            at
            + "G's fake is still at theta = 0, so the logit of it is 0 whatever psi is:"
            + " sigmoid(-theta psi) is 1/2.",
        )
        raise Mistake(
            at + "psi is right. G's step is psi sigmoid(-theta psi), at theta = 0 and D's new psi."
        )


_WRONG_PSI = {
    2: "The slope of softplus at 0 is sigmoid(0) = 1/2, not 1.",
    0.5: "D's slope is -2 sigmoid(0) + theta sigmoid(0). The factor 2 is the place of the real"
    " point, the inner derivative. The fake is at theta = 0 and adds nothing.",
    1.5: "The fake is at theta = 0, so its part of D's slope, theta sigmoid(theta psi), is 0.",
}


def _pair(name, found):
    found = parts(found, 2, f"{name} should be two numbers, (theta, psi)")
    return tuple(
        number(value, f"{name}, {of}") for value, of in zip(found, ("theta", "psi"), strict=True)
    )


def _close(found, truth):
    return all(abs(a - b) < 0.006 for a, b in zip(found, truth, strict=True))


def _walk(order):
    theta, psi = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in "GD")

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
    """Plays three steps on two tiny networks, and compares gradients and losses.

    The generator has one number, the discriminator two.
    """
    table = _Table()
    for _ in range(3):
        table.clear()
        theta, old = table.G.theta.detach().clone().cpu(), table.weights_of_d()
        left = {player: table.gradient(player) for player in "GD"}
        result = answer(table.G, table.D, table.watch["G"], table.watch["D"])
        new = table.weights_of_d()
        when = {}
        for player, optimiser in (("D", "d_adam"), ("G", "g_adam")):
            steps = table.watch[player].steps
            require(len(steps) > 0, f"{player} has not moved: call {optimiser}.step().")
            require(
                len(steps) == 1, f"{player} has taken {len(steps)} steps. One each makes a step."
            )
            when[player] = steps[0][0]
        require(
            when["D"] < when["G"],
            "G has moved before D. The turn of D comes first, then that of G."
            " (Or are the two optimisers exchanged?)",
        )
        d_loss = _check_d(table, theta, old, left["D"])
        g_loss = _check_g(table, theta, old, new, left["G"])
        _check_losses(result, d_loss, g_loss)


def _check_d(table, theta, weights, left):
    found = table.watch["D"].steps[0][1]
    require(
        found is not None or "D" not in table.backwards[0],
        "D's gradients are gone when it steps: d_adam.zero_grad() stands between"
        " d_loss.backward() and d_adam.step(). Put it before backward().",
    )
    require(
        found is not None,
        "D has no gradients when it steps: call d_loss.backward() before d_adam.step().",
    )
    seen = [points for when, points, _ in table.D.seen if when == 0]
    points = torch.cat(seen).flatten() if seen else torch.zeros(0)
    fake = points == theta
    require((~fake).any(), "D has seen no real points before its step.")
    require(fake.any(), "D has seen no fakes before its step.")
    for number_of, what in (((~fake).sum(), "real points"), (fake.sum(), "fakes")):
        require(number_of >= 640, f"D's turn has {number_of} {what}. It is played on 640.")
    require(
        points[~fake].abs().mean() > 1.4,
        "the points that D gets as real ones look like noise. They should be real.sample(640).",
    )
    latents = torch.cat(table.G.seen)
    require(
        latents.abs().mean() < 1.2,
        "G gets something else than noise. Its fakes are G(noise(640)).",
    )
    for what, drawn, draw in (
        ("real points", [part[part != theta] for part in seen], "real.sample(640)"),
        ("noise", table.G.seen, "noise(640)"),
    ):
        before = table.drawn.get(what, [])
        require(
            not any(len(x) and torch.equal(x, y) for x in drawn for y in before),
            f"every step has the same {what}. Draw new ones each time, {draw}, without a seed.",
        )
        table.drawn[what] = drawn
    slope, bias = (weight.clone().requires_grad_() for weight in weights)
    l_real, l_fake = slope * points[~fake] + bias, slope * points[fake] + bias
    right = softplus(-l_real).mean() + softplus(l_fake).mean()

    def gradient(loss):
        return torch.stack(torch.autograd.grad(loss, (slope, bias), retain_graph=True))

    truth = gradient(right)
    both = torch.cat([softplus(-l_real), softplus(l_fake)])
    _known(
        found,
        truth,
        (-truth, "D goes the wrong way: it minimises softplus(-l) on real points and softplus(l) on"
            " fakes."),
        (
            gradient(softplus(-l_real).mean() + softplus(-l_fake).mean()),
            "D is trained to call fakes real. On fakes its loss is softplus(l).",
        ),
        (
            gradient(softplus(l_real).mean() + softplus(-l_fake).mean()),
            "D's labels are exchanged: softplus(-l) belongs to real points, softplus(l) to fakes.",
        ),
        (
            gradient(softplus(-l_real).mean() - softplus(l_fake).mean()),
            "D's loss on fakes has the wrong sign: add softplus(l).",
        ),
        (
            truth + gradient(softplus(-l_fake).mean()),
            "D's step holds the gradient of G's loss as well. Each player needs a loss and a"
            " backward() of its own, D's first.",
        ),
        (gradient(softplus(-l_real).mean()), "D's loss leaves out the fakes: add softplus(l)."),
        (gradient(softplus(l_fake).mean()), "D's loss leaves out the real points."),
        (truth / 2, "D's gradient is half of what it should be: add the two means."),
        (gradient(both.mean()), "D's loss is one mean over all points: add the two means."),
        (gradient(both.sum()), "D's loss is a sum over the points: take means."),
        *(() if left is None else ((
            truth + left,
            "D's step holds old gradients as well: G's turn leaves some in D. Clear them,"
            " d_adam.zero_grad(), after G's turn and before d_loss.backward().",
        ),)),
    )  # fmt: skip
    _alike(
        found,
        truth,
        "D's gradient is not that of softplus(-l) on real points plus softplus(l) on fakes, each"
        " a mean.",
    )
    return right.item()


def _check_g(table, theta, old, new, left):
    found = table.watch["G"].steps[0][1]
    attached = any(path for when, _, path in table.D.seen if when == 1)
    fakes = sum(len(points) for when, points, _ in table.D.seen if when == 1)
    require(
        found is not None or "G" not in table.backwards[1],
        "G's gradients are gone when it steps: g_adam.zero_grad() stands between"
        " g_loss.backward() and g_adam.step(). Put it before backward().",
    )
    require(
        found is not None or attached,
        "G has no gradients when it steps: no path leads from its loss back to it."
        " Detach the fakes in D's turn only, and let D judge G's fakes once more.",
    )
    require(
        found is not None,
        "G has no gradients when it steps: call g_loss.backward() before g_adam.step().",
    )
    require(not attached or fakes >= 640, f"G's turn has {fakes} fakes. It is played on 640.")
    now, then = new[0] * theta + new[1], old[0] * theta + old[1]
    truth = -torch.sigmoid(-now) * new[0]
    leak = torch.sigmoid(then) * old[0]
    right_way = "G goes the wrong way: it minimises softplus(-l), to make D say real."
    uncleared = "G's last gradients are still there: call g_adam.zero_grad() before its backward()."
    _known(
        found,
        truth,
        (
            truth + leak,
            "G's step holds what D's turn has left in G."
            " Detach the fakes, or clear G's gradients after it.",
        ),
        (
            leak,
            "G's step uses what D's turn has left in G: it helps D. G needs a loss and a"
            " backward() of its own.",
        ),
        (
            -torch.sigmoid(-then) * old[0],
            "G's loss is computed with D as it was before its step."
            " Let D judge the fakes again after d_adam.step().",
        ),
        (
            -torch.sigmoid(now) * new[0],
            "this G has the minimax loss. The loop's G minimises softplus(-l).",
        ),
        (-truth, right_way),
        (torch.sigmoid(now) * new[0], right_way),
        (-new[0], "G's loss is minus the mean logit. The loop's G minimises softplus(-l)."),
        (fakes * truth, "G's loss is a sum over the fakes: take the mean."),
        (truth / 2, "G's gradient is half of what it should be: its loss is a mean over fakes."),
        *(() if left is None else ((truth + left, uncleared), (truth + leak + left, uncleared))),
    )
    _alike(
        found,
        truth,
        "G's gradient is not that of softplus(-l), a mean over fakes, with D as it is after its"
        " step.",
    )
    return softplus(-now).item()


def _check_losses(result, d_loss, g_loss):
    pair = parts(result, 2, "your step should return two numbers, D's loss and G's loss")
    names = ("D's loss", "G's loss")
    found = [number(value, name) for value, name in zip(pair, names, strict=True)]
    truth = (d_loss, g_loss)
    if all(near(a, b, 1e-3, 1e-4) for a, b in zip(found, truth, strict=True)):
        return
    require(
        not all(near(a, b, 1e-3, 1e-4) for a, b in zip(found, reversed(truth), strict=True)),
        "the two losses come back in the wrong order: D's first, then G's.",
    )
    for name, a, b in zip(("D's", "G's"), found, truth, strict=True):
        require(
            near(a, b, 1e-3, 1e-4),
            f"{name} loss comes back as {a:.4g}. The one whose gradient {name[0]} has followed is"
            f" {b:.4g}: return what stood before its backward().",
        )


def _known(found, truth, *mistakes):
    recognise(found.flatten(), *mistakes, truth=truth, rtol=1e-3, atol=1e-5)


def _alike(found, truth, message):
    require(near(found.flatten(), truth, 1e-3, 1e-5), message)


@exercise("2.3", value=True)
def equilibrium(answer):
    """Computes the losses from the densities of two equal piles."""
    *found, arrived = parts(answer, 4)
    logits = torch.randn(20).log_softmax(0)
    logits = logits - logits.clone()  # log p - log q, with q = p
    one = softplus(logits).mean().item()
    names = ("d_loss_there", "g_loss_there", "minimax_g_loss_there")
    for name, value, truth in zip(names, found, (2 * one, one, -one), strict=True):
        value = number(value, name)
        if abs(value - truth) < 0.0065:
            continue
        says = f"{name} = {value:g}: "
        require(
            abs(value + truth) > 0.0065,
            says + "the sign is wrong. Cross-entropy is above 0, log D below.",
        )
        if name == "d_loss_there":
            require(
                abs(abs(value) - one) > 0.0065,
                says + "D pays twice, once on real points and once on fakes.",
            )
        else:
            require(
                abs(abs(value) - 2 * one) > 0.0065,
                says + "G pays once, on its fakes. D pays twice.",
            )
        for wrong, why in _HINTS:
            require(abs(abs(value) - wrong) > 0.003, says + why)
        raise Mistake(says + "where q = p the best D has the logit 0. What is softplus(0)?")
    if isinstance(arrived, (torch.Tensor, np.ndarray)) and math.prod(arrived.shape) == 1:
        arrived = arrived.item()
    require(
        isinstance(arrived, (bool, np.bool_)),
        f"so_it_has_arrived must be True or False; it is {arrived!r:.60}.",
    )
    require(
        not arrived,
        "so_it_has_arrived: think of a D whose weights are all 0."
        " What is its loss, against any G at all?",
    )


_LOG = "logarithms are natural here: log 2 is 0.69."
_HINTS = (
    (0, "0 would be the loss of a D that is sure and right. Where q = p the best D says 1/2."),
    (0.5, "1/2 is D's probability. The loss is the logarithm of it, with a minus sign."),
    (1, _LOG),
    (2, _LOG),
    (math.log10(2), _LOG),
    (math.log10(4), _LOG),
    (0.7, "two decimals are asked for."),
    (1.4, "two decimals are asked for."),
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
    logits = logits.detach()
    names = ("the first slope", "the second slope", "the third slope")
    found = parts(answer(logits.clone()), 3, "three slopes should come back, separated by commas")
    first, second, third = (_slope(part, name) for part, name in zip(found, names, strict=True))
    sigmoids = D * (1 - D)
    in_l = "You were asked for the slope in l: times sigmoid'(l) = D(1 - D)."
    recognise(
        first,
        (-on_real, "the first slope has the wrong sign: -log D falls as l rises."),
        (
            -D,
            "the first slope is that of the minimax loss, -D."
            " A real point pulls where D doubts it.",
        ),
        (on_fake, "the first slope is D: that is the one on a fake."),
        (-1 / D, f"the first slope is the one in D. {in_l}"),
        (1 / D, f"the first slope is that of log D, and in D. {in_l}"),
        (-sigmoids, "the first slope is the sigmoid's alone. The logarithm adds a factor 1/D."),
        (sigmoids, "the first slope is the sigmoid's alone. The logarithm adds a factor -1/D."),
        (logits, "the first answer is the logit itself, not a slope."),
        (-D.log(), "the first answer is the loss itself, not its slope."),
        truth=on_real,
    )
    same(
        first,
        on_real,
        "the first slope is wrong: differentiate -log(sigmoid(l)),"
        " with sigmoid' = sigmoid (1 - sigmoid).",
    )
    recognise(
        second,
        (-on_fake, "the second slope has the wrong sign: -log(1 - D) rises with l."),
        (
            1 - D,
            "the second slope is not 1 - D: a fake is pushed down hardest where D believes in it.",
        ),
        (on_real, "the second slope is the first once more. A fake's loss is -log(1 - D)."),
        (1 / (1 - D), f"the second slope is the one in D. {in_l}"),
        (-1 / (1 - D), f"the second slope is the one in D, with the wrong sign. {in_l}"),
        (sigmoids, "the second slope is the sigmoid's alone. The logarithm adds 1/(1 - D)."),
        (-sigmoids, "the second slope is the sigmoid's alone. The logarithm adds -1/(1 - D)."),
        (-(1 - D).log(), "the second answer is the loss itself, not its slope."),
        truth=on_fake,
    )
    same(second, on_fake, "the second slope is wrong: differentiate -log(1 - sigmoid(l)).")
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
        (-logits, "the third answer is the loss itself, -l. Its slope was asked for."),
        (-1 / sigmoids, f"the third slope is the one in D. {in_l}"),
        (torch.zeros_like(D), "the third slope is not 0: both are negative, so they add up."),
        truth=both,
    )
    same(third, both, "the third slope is wrong: add -sigmoid(l) and -(1 - sigmoid(l)).")


def _slope(part, name):
    """A slope of 60 logits; one number stands for 60 equal ones."""
    try:
        return tensor(part, (60,), name)
    except Mistake:
        try:
            return tensor(part, (), name).expand(60)
        except Mistake:
            pass
        raise


@exercise("2.5", value=True)
def both_losses(answer):
    """Draws probabilities first and makes the logits from them; then logits of 1,000."""
    d_loss, g_loss = parts(answer, 2, "two functions should come here, separated by a comma")
    d_loss = guarded(d_loss, "discriminator_loss")
    g_loss = guarded(g_loss, "generator_loss")
    on_real = torch.rand(40, dtype=torch.float64) * 0.98 + 0.01
    on_fake = torch.rand(90, dtype=torch.float64) * 0.98 + 0.01
    real, fake = (torch.logit(D).float() for D in (on_real, on_fake))
    real_cost, fake_cost = -on_real.log().mean(), -(1 - on_fake).log().mean()
    found = tensor(_loss(d_loss, "discriminator_loss", real, fake)[0], (), "discriminator_loss")
    both = torch.cat([-on_real.log(), -(1 - on_fake).log()])
    truth = real_cost + fake_cost
    recognise(
        found,
        (-truth, "discriminator_loss is V, not -V. D maximises V, and optimisers minimise."),
        (
            real_cost - on_fake.log().mean(),
            "in discriminator_loss the fakes have label 1. That is G's wish, not D's.",
        ),
        (
            -(1 - on_real).log().mean() + fake_cost,
            "in discriminator_loss the real points have label 0.",
        ),
        (
            -(1 - on_real).log().mean() - on_fake.log().mean(),
            "in discriminator_loss the labels are exchanged.",
        ),
        (real_cost - fake_cost, "in discriminator_loss the fakes have the wrong sign: add both."),
        (fake_cost - real_cost, "in discriminator_loss the real points have the wrong sign."),
        (real_cost, "discriminator_loss leaves out the fakes."),
        (fake_cost, "discriminator_loss leaves out the real points."),
        (truth / 2, "discriminator_loss is half of what it should be: add the two means."),
        (
            both.mean(),
            "discriminator_loss is one mean over all points."
            " Take a mean over each batch, and add them.",
        ),
        (
            2 * both.mean(),
            "discriminator_loss is twice one mean over all points."
            " Take a mean over each batch, and add them.",
        ),
        (both.sum(), "discriminator_loss is a sum over points: take means."),
        (truth / math.log(2), "discriminator_loss is in bits. Take natural logarithms."),
        (
            softplus(-on_real).mean() + softplus(on_fake).mean(),
            "in discriminator_loss the sigmoid is applied twice.",
        ),
        (
            fake.double().mean() - real.double().mean(),
            "discriminator_loss is a difference of mean logits. The logarithms are missing.",
        ),
        truth=truth,
    )
    same(found, truth, "discriminator_loss is not -mean log D(real) - mean log(1 - D(fake)).")
    found = tensor(_loss(g_loss, "generator_loss", fake)[0], (), "generator_loss")
    truth = -on_fake.log().mean()
    recognise(
        found,
        (
            -fake_cost,
            "generator_loss is the minimax loss, log(1 - D). Minimise -log D.",
        ),
        (fake_cost, "generator_loss helps D: it wants fakes to have label 0."),
        (-truth, "generator_loss has the wrong sign: G maximises log D, so it minimises -log D."),
        (-on_fake.log().sum(), "generator_loss is a sum over fakes: take the mean."),
        (truth / math.log(2), "generator_loss is in bits. Take natural logarithms."),
        (softplus(-on_fake).mean(), "in generator_loss the sigmoid is applied twice."),
        (
            -fake.double().mean(),
            "generator_loss is minus the mean logit, the sum of both losses. Take -log D alone.",
        ),
        truth=truth,
    )
    same(found, truth, "generator_loss is not -mean log D(fake).")
    _check_slopes(d_loss, "discriminator_loss", (real, -1), (fake, 1))
    _check_slopes(g_loss, "generator_loss", (fake, -1))
    for size in (1000.0, 30.0):
        for sign in (1, -1):  # D certain and wrong, then certain and right
            low, high = torch.full((3,), -sign * size), torch.full((5,), sign * size)
            _check_far(d_loss, "discriminator_loss", sign, size, (low, -1), (high, 1))
            _check_far(g_loss, "generator_loss", sign, size, (low, -1))
    for name, loss in (("discriminator_loss", d_loss), ("generator_loss", g_loss)):
        require(
            not loss.leaves_gradients_off,
            f"{name} leaves gradients switched off for all that comes after.",
        )


def _loss(function, name, *logits):
    """What a loss makes of some logits, and these, as leaves of a graph."""
    leaves = [values.clone().requires_grad_() for values in logits]
    try:
        return function(*leaves), leaves
    except Mistake as mistake:
        if "requires grad" in str(mistake) and "numpy" in str(mistake):
            raise Mistake(
                f"{name} leaves torch for numpy, so no gradient can come back."
                " Use functions of torch, without detach()."
            ) from mistake
        raise Mistake(f"{name}: {mistake}") from mistake.__cause__


def _slopes(function, name, *logits):
    result, leaves = _loss(function, name, *logits)
    require(
        isinstance(result, torch.Tensor) and result.requires_grad,
        f"{name} returns a number without a gradient: backward() can't start from it."
        " No item(), float() or detach(), and no torch.no_grad().",
    )
    slopes = torch.autograd.grad(result.sum(), leaves, allow_unused=True)
    which = ("real_logits", "fake_logits")[-len(leaves) :]
    for slope, of in zip(slopes, which, strict=True):
        require(
            slope is not None, f"no gradient reaches {of} in {name}. Is there a detach() too many?"
        )
    return result.detach(), slopes


def _check_slopes(function, name, *signed):
    """signed: logits, and the sign of the loss's slope in them."""
    _, slopes = _slopes(function, name, *(values for values, _ in signed))
    for slope, (values, sign) in zip(slopes, signed, strict=True):
        same(
            slope.double(),
            sign * torch.sigmoid(sign * values.double()) / len(values),
            f"{name} has the right value and a wrong slope. Is a part of it detached?",
        )


def _check_far(function, name, wrong, size, *signed):
    """The same at logits of one size: large losses if D is wrong (1), none if it is right (-1)."""
    result, slopes = _slopes(function, name, *(values for values, _ in signed))
    value = result.double().sum().item()
    side = "wrong" if wrong == 1 else "right"
    truth = size * len(signed) if wrong == 1 else 0.0
    require(
        abs(value - truth) < 1e-3 * size,
        f"{name} is {value:.4g} where D is certain and {side}, at logits of {size:,.0f} on the"
        f" {side} side; it should be {truth:.0f}."
        " Don't take the logarithm of a probability or of 1 + exp: use a function of logits.",
    )
    for slope, (values, sign) in zip(slopes, signed, strict=True):
        expected = sign / len(values) if wrong == 1 else 0.0
        require(
            (slope - expected).abs() < 1e-4,
            f"{name} has a dead or undefined slope at logits of {size:,.0f} on the {side} side;"
            f" it should be {expected * len(values):.0f} for their mean."
            " Don't clamp: use a function of logits.",
        )


# ---- A game under observation


class _Table:
    """Two players, their optimisers, and what has happened since `clear`."""

    def __init__(self):
        self.G, self.D = _OneFake(self).to(DEVICE), _Line(self).to(DEVICE)
        self.watch = {"G": _Watch(self, self.G), "D": _Watch(self, self.D)}
        self.drawn = {}  # the real points and the noise of the step before, call by call
        self.clear()
        for player, network in (("G", self.G), ("D", self.D)):
            for weight in network.parameters():
                weight.register_post_accumulate_grad_hook(
                    lambda _, player=player: self.backwards[min(self.clock, 1)].add(player)
                )

    def clear(self):
        self.clock = 0  # steps that either player has taken in this step of the game
        self.backwards = (set(), set())  # whose gradients grew: before the first step, and after
        self.D.seen, self.G.seen = [], []
        for watch in self.watch.values():
            watch.steps = []

    def weights_of_d(self):
        return [weight.detach().clone().cpu() for weight in self.D.parameters()]

    def gradient(self, player):
        return self.watch[player].gradient()


class _OneFake(nn.Module):
    """A generator whose fakes are all one number: its right gradient is the same for all noise."""

    latent, copies = 1, 10

    def __init__(self, table):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(0.7))
        self.seen = []

    def forward(self, z):
        self.seen.append(z.detach().float().cpu())
        return self.theta * (1 + 0 * z[:, :1])  # a product: its graph serves one backward()


class _Line(nn.Module):
    """A discriminator with a straight line for a logit, that notes what it has seen and when."""

    copies = 10

    def __init__(self, table):
        super().__init__()
        self.slope, self.bias = nn.Parameter(torch.tensor(0.8)), nn.Parameter(torch.tensor(0.6))
        self.seen = []
        self.time = lambda: table.clock

    def forward(self, x):
        self.seen.append((self.time(), x.detach().clone().float().cpu(), x.requires_grad))
        return self.slope * x[:, 0] + self.bias


class _Watch:
    """In place of an optimiser: plain descent that notes when it steps, with which gradients."""

    def __init__(self, table, network):
        self.table, self.weights, self.steps = table, list(network.parameters()), []
        self.param_groups = [{"params": self.weights, "lr": 0.1}]

    def zero_grad(self, set_to_none=True):
        for weight in self.weights:
            weight.grad = None

    def gradient(self):
        if any(weight.grad is None for weight in self.weights):
            return None
        return torch.stack([weight.grad.detach() for weight in self.weights]).cpu().clone()

    @torch.no_grad()
    def step(self, closure=None):
        if closure is not None:
            with torch.enable_grad():
                closure = closure()
        self.steps.append((self.table.clock, self.gradient()))
        for weight in self.weights:
            if weight.grad is not None:
                weight -= 0.1 * weight.grad
        self.table.clock += 1
        return closure
