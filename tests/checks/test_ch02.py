"""Checks of chapter 2: right answers pass, and each wrong answer is named for what it is."""

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid, softplus

from ganbook.checks import ch02
from ganbook.device import DEVICE

LOG2 = math.log(2)
WALKS = {"D_first": (0.5, 1.0), "G_first": (0.0, 1.0), "at_once": (0.0, 1.0)}


def walks(**changed):
    return tuple((WALKS | changed).values())


def data(n):
    """Real points as the chapter has them."""
    side = torch.where(torch.rand(n, 1, device=DEVICE) < 0.65, -2.0, 2.0)
    return side + 0.6 * torch.randn(n, 1, device=DEVICE)


def noise(n):
    return torch.randn(n, 1, device=DEVICE)


REALS, LATENTS = data(640), noise(640)


def step(
    G, D, g_adam, d_adam, *, detach=True, clear="before", d_sign=1, fake_label=0, real_label=1,
    g_kind="nonsaturating", order="DG", fakes_seen=True, reals_seen=True, g_backward=True,
    twice=False, zero_d=True, zero_g=True, d_backward=True, kind="mean", real=data, z=noise,
    g_detach=False, returns=lambda d, g: (d.item(), g.item()), weight_real=1, weight_fake=1,
):  # fmt: skip
    """One step of the game as people write it, with one thing wrong at a time."""
    losses = {"D": torch.tensor(0.0), "G": torch.tensor(0.0)}
    if clear == "top":
        g_adam.zero_grad()
        d_adam.zero_grad()

    def d_turn():
        fakes = G(z(640))
        nothing = torch.zeros(1, device=DEVICE)
        l_fake = D(fakes.detach() if detach else fakes) if fakes_seen else nothing
        l_real = D(real(640)) if reals_seen else nothing
        on_fake = softplus(l_fake if fake_label == 0 else -l_fake)
        on_real = softplus(l_real if real_label == 0 else -l_real)
        if kind == "mean":
            loss = d_sign * (weight_real * on_real.mean() + weight_fake * on_fake.mean())
        else:
            loss = getattr(torch.cat([on_real, on_fake]), kind[4:])()
        losses["D"] = loss
        if clear == "before" and zero_d:
            d_adam.zero_grad()
        if d_backward:
            loss.backward()
        if clear == "after":
            d_adam.zero_grad()
        d_adam.step()
        if twice:
            d_adam.step()

    def g_turn():
        fakes = G(z(640))
        said = D(fakes.detach() if g_detach else fakes)
        no, yes = softplus(said), softplus(-said)
        kinds = {"nonsaturating": yes, "minimax": -no, "helper": no, "away": -yes, "logit": -said}
        kinds |= {"least squares": (said - 1).square(), "half": yes / 2, "sum": 640 * yes}
        losses["G"] = kinds[g_kind].mean()
        if clear == "before" and zero_g:
            g_adam.zero_grad()
        if g_backward:
            losses["G"].backward()
        if clear == "after G":
            g_adam.zero_grad()
        g_adam.step()

    for player in order:
        (d_turn if player == "D" else g_turn)()
    return returns(losses["D"], losses["G"])


def step_with(**settings):
    return functools.partial(step, **settings)


def on_one_tape(G, D, g_adam, d_adam):
    """The fakes of D's turn are used again for G's."""
    fakes = G(noise(640))
    d_adam.zero_grad()
    points = torch.cat([data(640), fakes.detach()])
    signs = torch.tensor([-1.0, 1.0], device=DEVICE).repeat_interleave(640)
    d_loss = 2 * softplus(signs * D(points)).mean()
    d_loss.backward()
    d_adam.step()
    g_adam.zero_grad()
    g_loss = bce(D(fakes), torch.ones(640, device=DEVICE))
    g_loss.backward()
    g_adam.step()
    return d_loss, g_loss


def without_optimisers_clearing(G, D, g_adam, d_adam):
    """Gradients are set by hand, fakes come from no_grad, numpy numbers return."""
    with torch.no_grad():
        fakes = G(noise(640))
    d_loss = -logsigmoid(D(data(640))).mean() - logsigmoid(-D(fakes)).mean()
    slopes = torch.autograd.grad(d_loss, [*D.parameters()])
    for weight, slope in zip(D.parameters(), slopes, strict=True):
        weight.grad = slope
    d_adam.step()
    D.requires_grad_(False)
    g_loss = -logsigmoid(D(G(noise(640)))).mean()
    for weight in G.parameters():
        weight.grad = None
    g_loss.backward()
    g_adam.step()
    D.requires_grad_(True)
    return np.float64(d_loss.item()), np.float32(g_loss.item())


def few_fakes(G, D, g_adam, d_adam):
    return step(lambda z: G(z[:64]), D, g_adam, d_adam)


def by_closures(G, D, g_adam, d_adam):
    """Each step() is handed its turn, and gives back the loss, as torch's optimisers do."""

    def d_turn():
        d_adam.zero_grad()
        loss = d_loss(D(data(640)), D(G(noise(640)).detach()))
        loss.backward()
        return loss

    def g_turn():
        g_adam.zero_grad()
        loss = g_loss(D(G(noise(640))))
        loss.backward()
        return loss

    return d_adam.step(d_turn).item(), g_adam.step(g_turn).item()


def same_fakes_attached(G, D, g_adam, d_adam):
    """The fakes of D's turn once more for G's, and no detach: the path is gone."""
    fakes = G(noise(640))
    return step(lambda z: fakes, D, g_adam, d_adam, detach=False)


def seeded(G, D, g_adam, d_adam):
    torch.manual_seed(0)
    return step(G, D, g_adam, d_adam)


class Careful:
    def __call__(self, G, D, g_adam, d_adam):
        return list(step(G, D, g_adam, d_adam))


def in_one_sum(G, D, g_adam, d_adam):
    """One backward() for the sum of both losses."""
    fakes = G(noise(640))
    d_loss = softplus(-D(data(640))).mean() + softplus(D(fakes.detach())).mean()
    g_loss = softplus(-D(fakes)).mean()
    g_adam.zero_grad()
    d_adam.zero_grad()
    (d_loss + g_loss).backward()
    d_adam.step()
    g_adam.step()
    return d_loss.item(), g_loss.item()


def at_once(G, D, g_adam, d_adam):
    """Both gradients are taken before either player moves."""
    d_loss = softplus(-D(data(640))).mean() + softplus(D(G(noise(640)).detach())).mean()
    g_loss = softplus(-D(G(noise(640)))).mean()
    g_adam.zero_grad()
    g_loss.backward()
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    g_adam.step()
    return d_loss.item(), g_loss.item()


def d_loss(real, fake):
    return softplus(-real).mean() + softplus(fake).mean()


def g_loss(fake):
    return softplus(-fake).mean()


def slopes(logits):
    D = torch.sigmoid(logits)
    return -(1 - D), D, -torch.ones_like(logits)


def slopes_but(k, change):
    def answer(logits):
        found = list(slopes(logits))
        found[k] = change(logits, torch.sigmoid(logits))
        return found

    return answer


def numpy_slopes(logits):
    D = 1 / (1 + np.exp(-logits.numpy()))
    return np.stack([D - 1, D, -np.ones(len(D))])


def in_place(logits):
    D = logits.sigmoid_()
    return [D - 1, D, [-1.0] * len(D)]


class Slopes:
    def __call__(self, logits):
        return tuple(part.float() for part in slopes(logits.float()))


def stable_softplus(x):
    return torch.relu(x) + torch.log1p(torch.exp(-x.abs()))


def same_noise_for_g(G, D, g_adam, d_adam):
    turn = [noise(640), LATENTS]
    return step(lambda z: G(turn.pop(0)), D, g_adam, d_adam)


def same_noise_for_d(G, D, g_adam, d_adam):
    turn = [LATENTS, noise(640)]
    return step(lambda z: G(turn.pop(0)), D, g_adam, d_adam)


def gradients_off(loss):
    def answer(*logits):
        value = loss(*logits)
        torch.set_grad_enabled(False)
        return value

    return answer


ANSWERS = {
    ch02.trajectory: [
        walks(),
        [[0.5, 1], [0, 1], torch.tensor([0.0, 1.0])],
        ((Fraction(1, 2), 1), np.array([0, 1]), (torch.tensor(0), np.int64(1))),
    ],
    ch02.careful: [
        step,
        step_with(detach=False),  # wasteful, but right: what D's turn leaves in G is cleared
        step_with(clear="top"),  # with detach, both may be cleared at the top
        step_with(returns=lambda d, g: (d, g)),
        step_with(returns=lambda d, g: [d.detach().numpy(), g.detach().cpu().numpy()]),
        on_one_tape,
        without_optimisers_clearing,
        Careful(),
        by_closures,
    ],
    ch02.equilibrium: [
        (2 * LOG2, LOG2, -LOG2, False),
        (1.39, 0.69, -0.69, False),
        (1.38, 0.69, -0.69, np.False_),
        [1.386, torch.tensor(0.693), np.float32(-0.6931), torch.tensor(False)],
        (np.log(4), np.log(2), -np.log(2), np.array([False])),
    ],
    ch02.three_slopes: [
        slopes,
        lambda v: (torch.sigmoid(v) - 1, torch.sigmoid(v), -1.0),
        lambda v: (-torch.sigmoid(-v), 1 / (1 + torch.exp(-v)), -1),
        lambda v: (part for part in slopes(v)),
        lambda v: torch.stack(slopes(v)),
        lambda v: (*slopes(v)[:2], torch.tensor([-1.0])),
        numpy_slopes,
        in_place,
        Slopes(),
    ],
    ch02.both_losses: [
        (d_loss, g_loss),
        (
            lambda r, f: -logsigmoid(r).mean() - logsigmoid(-f).mean(),
            lambda f: -logsigmoid(f).mean(),
        ),
        (
            lambda r, f: bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f)),
            lambda f: bce(f, torch.ones_like(f)),
        ),
        [
            lambda r, f: (stable_softplus(-r).mean() + stable_softplus(f).mean()).double(),
            lambda f: torch.logaddexp(torch.zeros_like(f), -f).mean(0, keepdim=True),
        ],
        (
            lambda r, f: softplus(-r).sum() / len(r) + softplus(f).sum() / len(f),
            lambda f: (softplus(f) - f).mean(),
        ),
    ],
}
RIGHT = [(check, answer) for check, answers in ANSWERS.items() for answer in answers]

WRONG = [
    (ch02.careful, same_noise_for_g, "every step has the same noise"),
    (ch02.careful, same_noise_for_d, "every step has the same noise"),
    (ch02.both_losses, (gradients_off(d_loss), g_loss), "discriminator_loss leaves gradients"),
    (ch02.both_losses, (d_loss, gradients_off(g_loss)), "generator_loss leaves gradients"),
    (ch02.trajectory, walks(D_first=(0.0, 0.0)), "D does move"),
    (ch02.trajectory, walks(D_first=(0.5, -1.0)), "against its slope"),
    (ch02.trajectory, walks(D_first=(-0.5, 1.0)), "towards the data"),
    (ch02.trajectory, walks(D_first=(0.0, 1.0)), "D has moved already"),
    (ch02.trajectory, walks(D_first=(1.0, 1.0)), "is sigmoid"),
    (ch02.trajectory, walks(D_first=(1.0, 2.0)), "is sigmoid"),
    (ch02.trajectory, walks(D_first=(0.5, 0.5)), "inner derivative"),
    (ch02.trajectory, walks(G_first=(0.5, 1.0)), "gets no signal"),
    (ch02.trajectory, walks(at_once=(0.5, 1.0)), "at_once: .* gets no signal"),
    (ch02.trajectory, walks(D_first=(0.3, 1.0)), "psi is right"),
    (ch02.trajectory, walks(D_first=(0.3, 1.2)), "Start with D"),
    (ch02.trajectory, walks(D_first=(1.0, 0.5)), "in the other order"),
    (ch02.trajectory, walks(G_first=(1, 0)), "G_first: .*in the other order"),
    (ch02.trajectory, walks(D_first=(0.5, 1.5)), "The fake is at theta = 0"),
    (ch02.trajectory, walks(D_first=(0.27, 1.0)), "whatever psi is"),
    (ch02.trajectory, walks(D_first=(math.nan, 1.0)), "D_first, theta: the number is nan"),
    (ch02.trajectory, walks(D_first=(0.5, math.inf)), "D_first, psi: the number is inf"),
    (ch02.trajectory, walks(D_first="ab"), "two numbers"),
    (ch02.trajectory, walks(D_first=(0.5, None)), "one number should come back"),
    (ch02.trajectory, walks(D_first=(0.5, 1.0, 0.0)), "two numbers"),
    (ch02.trajectory, itertools.count(), "without end"),
    (ch02.trajectory, {"D_first": 1}, "separated by commas"),
    (ch02.trajectory, step, "a value should stand here"),
    (ch02.trajectory, walks(D_first=0.5), "two numbers"),
    (ch02.trajectory, (0.5, 1.0), "3 values"),
    (ch02.trajectory, 0.5, "separated by commas"),
    (ch02.careful, step_with(detach=False, clear="top"), "what D's turn has left in G"),
    (ch02.careful, step_with(zero_d=False), "G's turn leaves some in D"),
    (ch02.careful, step_with(zero_g=False), "last gradients are still there"),
    (ch02.careful, step_with(g_kind="minimax"), "minimax loss"),
    (ch02.careful, step_with(g_kind="away"), "wrong way"),
    (ch02.careful, step_with(g_kind="helper"), "wrong way"),
    (ch02.careful, step_with(d_sign=-1), "D goes the wrong way"),
    (ch02.careful, step_with(fake_label=1), "call fakes real"),
    (ch02.careful, step_with(order="GD"), "G has moved before D"),
    (ch02.careful, step_with(order="D"), "G has not moved"),
    (ch02.careful, step_with(order="G"), "D has not moved"),
    (ch02.careful, step_with(twice=True), "2 steps"),
    (ch02.careful, step_with(fakes_seen=False), "no fakes"),
    (ch02.careful, step_with(reals_seen=False), "no real points"),
    (ch02.careful, step_with(detach=False, zero_g=False, g_backward=False), "helps D"),
    (ch02.careful, step_with(g_backward=False), "call g_loss.backward"),
    (ch02.careful, step_with(g_detach=True), "no path leads"),
    (ch02.careful, step_with(clear="after"), "D's gradients are gone"),
    (ch02.careful, step_with(clear="after G"), "G's gradients are gone"),
    (ch02.careful, step_with(clear="never"), "leaves some in D"),
    (ch02.careful, step_with(detach=False, clear="never"), "what D's turn has left in G"),
    (ch02.careful, step_with(real=noise), "look like noise"),
    (ch02.careful, few_fakes, "D's turn has 64 fakes"),
    (ch02.careful, same_fakes_attached, "backward through the graph a second time"),
    (ch02.careful, seeded, "every step has the same real points"),
    (ch02.careful, step_with(real=lambda n: REALS), "the same real points"),
    (ch02.careful, step_with(z=lambda n: LATENTS), "every step has the same noise"),
    (ch02.careful, step_with(z=data), "something else than noise"),
    (ch02.careful, step_with(real_label=0, fake_label=1), "labels are exchanged"),
    (ch02.careful, step_with(weight_fake=0), "leaves out the fakes"),
    (ch02.careful, step_with(weight_real=0), "leaves out the real points"),
    (ch02.careful, step_with(weight_real=2), "D's gradient is not that of"),
    (ch02.careful, step_with(kind="all mean"), "half of what it should be"),
    (ch02.careful, step_with(kind="all sum"), "is a sum over the points"),
    (ch02.careful, step_with(g_kind="half"), "half of what it should be"),
    (ch02.careful, step_with(g_kind="sum"), "sum over the fakes"),
    (ch02.careful, step_with(g_kind="logit"), "minus the mean logit"),
    (ch02.careful, at_once, "as it was before its step"),
    (ch02.careful, in_one_sum, "the gradient of G's loss as well"),
    (ch02.careful, step_with(weight_fake=-1), "on fakes has the wrong sign"),
    (ch02.careful, step_with(returns=lambda d, g: (g, d)), "wrong order"),
    (ch02.careful, step_with(returns=lambda d, g: d), "two numbers"),
    (ch02.careful, step_with(returns=lambda d, g: 1.0), "two numbers"),
    (ch02.careful, step_with(returns=lambda d, g: (d, d)), "G's loss comes back as"),
    (ch02.careful, step_with(returns=lambda d, g: (d / 2, g)), "D's loss comes back as"),
    (ch02.careful, step_with(returns=lambda d, g: (d * math.nan, g)), "nan"),
    (ch02.careful, step_with(returns=lambda d, g: ("d", g)), "one number"),
    (ch02.careful, step_with(returns=lambda d, g: itertools.count()), "without end"),
    (ch02.careful, 3.0, "a function should stand here"),
    (ch02.careful, lambda G, D: 1, "your code raised TypeError"),
    (ch02.careful, step_with(d_backward=False), "D has no gradients when it steps"),
    (ch02.careful, step_with(g_kind="least squares"), "G's gradient is not that of"),
    (ch02.equilibrium, (LOG2, LOG2, -LOG2, False), "pays twice"),
    (ch02.equilibrium, (2 * LOG2, 2 * LOG2, -LOG2, False), "G pays once"),
    (ch02.equilibrium, (-2 * LOG2, LOG2, -LOG2, False), "sign is wrong"),
    (ch02.equilibrium, (2 * LOG2, LOG2, LOG2, False), "minimax_g_loss_there .*sign is wrong"),
    (ch02.equilibrium, (2.0, LOG2, -LOG2, False), "natural"),
    (ch02.equilibrium, (0.0, LOG2, -LOG2, False), "sure and right"),
    (ch02.equilibrium, (2 * LOG2, 0.5, -LOG2, False), "D's probability"),
    (ch02.equilibrium, (2 * LOG2, 0.1, -LOG2, False), r"softplus\(0\)"),
    (ch02.equilibrium, (2 * LOG2, LOG2, -LOG2, True), "weights are all 0"),
    (ch02.equilibrium, (2 * LOG2, LOG2, -LOG2, "no"), "True or False"),
    (ch02.equilibrium, (2 * LOG2, LOG2, -LOG2, 0), "True or False"),
    (ch02.equilibrium, (2 * LOG2, LOG2, -LOG2, np.array([True])), "weights are all 0"),
    (ch02.equilibrium, ("log 4", LOG2, -LOG2, False), "d_loss_there: one number"),
    (ch02.equilibrium, (math.nan, LOG2, -LOG2, False), "d_loss_there: the number is nan"),
    (ch02.equilibrium, (2 * LOG2, math.log10(2), -LOG2, False), "natural"),
    (ch02.equilibrium, (2 * LOG2, 0.7, -LOG2, False), "two decimals"),
    (ch02.equilibrium, (2 * LOG2, LOG2, -2 * LOG2, False), "minimax.* G pays once"),
    (ch02.equilibrium, (-LOG2, LOG2, -LOG2, False), "pays twice"),
    (ch02.equilibrium, (2 * LOG2, LOG2, -LOG2), "there are 3"),
    (ch02.equilibrium, 1.39, "4 values"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: 1 - D), "first slope has the wrong sign"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: -D), "minimax"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: -1 / D), "the one in D"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: -D * (1 - D)), "factor 1/D"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: D * v), "first slope is wrong"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: -D), "second slope has the wrong sign"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: 1 - D), "not 1 - D"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: 1 / (1 - D)), "second slope is the one in D"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: 1.0), "third slope has the wrong sign"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: 1 - 2 * D), "a difference"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: 2 * D - 1), "without a minus sign"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: -0.5), "mean of the two"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: -D), "minimax slope alone"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: D), "that is the one on a fake"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: -D.log()), "the loss itself"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: (D - 1) / len(D)), "first slope is wrong"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: D - 1), "the first once more"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: D * (1 - D)), "sigmoid's alone"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: "D"), "second slope: a tensor"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: -v), "the loss itself"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: 0.0), "not 0"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: v * math.nan), "not finite"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: itertools.count()), "without end"),
    (ch02.three_slopes, lambda v: -1.0, "three slopes"),
    (ch02.three_slopes, lambda v: "abc", "three slopes"),
    (ch02.three_slopes, lambda v: slopes(v)[:2], "there are 2"),
    (ch02.three_slopes, lambda v: torch.sigmoid(v), "there are 60"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: D[:7]), "shape should be"),
    (ch02.three_slopes, slopes_but(0, lambda v, D: v), "logit itself"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: D * v), "second slope is wrong"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: D - 1), "non-saturating slope alone"),
    (ch02.three_slopes, slopes_but(2, lambda v, D: D * v), "third slope is wrong"),
    (ch02.both_losses, (lambda r, f: -d_loss(r, f), g_loss), "V, not -V"),
    (ch02.both_losses, (lambda r, f: softplus(-r).mean() + softplus(-f).mean(), g_loss),
        "fakes have label 1"),
    (ch02.both_losses, (lambda r, f: d_loss(f, r), g_loss), "labels are exchanged"),
    (ch02.both_losses, (lambda r, f: softplus(-r).mean(), g_loss), "leaves out the fakes"),
    (ch02.both_losses, (lambda r, f: softplus(f).mean(), g_loss), "leaves out the real points"),
    (ch02.both_losses, (lambda r, f: d_loss(r, f) / 2, g_loss), "half"),
    (ch02.both_losses, (lambda r, f: torch.cat([softplus(-r), softplus(f)]).mean(), g_loss),
        "one mean over all"),
    (ch02.both_losses, (lambda r, f: 2 * torch.cat([softplus(-r), softplus(f)]).mean(), g_loss),
        "twice one mean"),
    (ch02.both_losses, (lambda r, f: d_loss(r, f) / LOG2, g_loss), "discriminator_loss is in bits"),
    (ch02.both_losses, (lambda r, f: d_loss(r.sigmoid(), f.sigmoid()), g_loss),
        "in discriminator_loss the sigmoid is applied twice"),
    (ch02.both_losses, (d_loss, lambda f: g_loss(f) / LOG2), "generator_loss is in bits"),
    (ch02.both_losses, (d_loss, lambda f: g_loss(f.sigmoid())),
        "in generator_loss the sigmoid is applied twice"),
    (ch02.both_losses, (d_loss, lambda f: (1 + (-f).exp()).log().mean()), "or of 1 . exp"),
    (ch02.both_losses, (lambda r, f: softplus(-r).sum() + softplus(f).sum(), g_loss), "take means"),
    (ch02.both_losses, (lambda r, f: softplus(r).mean() + softplus(f).mean(), g_loss),
        "real points have label 0"),
    (ch02.both_losses, (lambda r, f: softplus(-r).mean() - softplus(f).mean(), g_loss),
        "fakes have the wrong sign"),
    (ch02.both_losses, (lambda r, f: f.mean() - r.mean(), g_loss), "difference of mean logits"),
    (ch02.both_losses, (lambda r, f: d_loss(r, f).item(), g_loss), "without a gradient"),
    (ch02.both_losses, (lambda r, f: d_loss(r, f).detach(), g_loss), "without a gradient"),
    (ch02.both_losses, (d_loss, lambda f: g_loss(f).item()),
        "generator_loss returns a number without a gradient"),
    (ch02.both_losses, (d_loss, lambda f: np.logaddexp(0, -f.detach().numpy()).mean()),
        "without a gradient"),
    (ch02.both_losses, (d_loss, lambda f: np.logaddexp(0, -f.numpy()).mean()), "torch for numpy"),
    (ch02.both_losses, (lambda r, f: softplus(-r).mean().detach() + softplus(f).mean(), g_loss),
        "no gradient reaches real_logits"),
    (ch02.both_losses, (lambda r, f: softplus(-r).mean() + softplus(f).mean().detach(), g_loss),
        "no gradient reaches fake_logits"),
    (ch02.both_losses,
        (lambda r, f: d_loss(torch.cat([r[:1], r[1:].detach()]), f), g_loss),
        "part of it detached"),
    (ch02.both_losses, (d_loss, lambda f: (-f + torch.log(1 + torch.exp(f))).mean()),
        "on the right side"),
    (ch02.both_losses, (d_loss, lambda f: torch.where(
        f < -20, -f, torch.log(1 + torch.exp(-f))).mean()), "dead or undefined slope"),
    (ch02.both_losses, (d_loss, lambda f: torch.nn.BCELoss()(f.sigmoid(), torch.ones_like(f))),
        "logarithm of a probability"),
    (ch02.both_losses, (d_loss, 3.0), "generator_loss: a function should stand here"),
    (ch02.both_losses, (d_loss, lambda f: "g"), "generator_loss: a tensor"),
    (ch02.both_losses, (d_loss, lambda f: itertools.count()), "without end"),
    (ch02.both_losses, d_loss, "a value should stand here"),
    (ch02.both_losses, (d_loss,), "there are 1"),
    (ch02.both_losses, (lambda r, f: softplus(-r).mean() + softplus(f), g_loss), "shape should be"),
    (ch02.both_losses, (d_loss, lambda f: -softplus(f).mean()), "minimax"),
    (ch02.both_losses, (d_loss, lambda f: softplus(f).mean()), "helps D"),
    (ch02.both_losses, (d_loss, lambda f: -softplus(-f).mean()), "wrong sign"),
    (ch02.both_losses, (d_loss, lambda f: -f.mean()), "minus the mean logit"),
    (ch02.both_losses, (d_loss, lambda f: softplus(-f).sum()), "sum over fakes"),
    (ch02.both_losses, (lambda r, f: softplus(-r).mean() - (-f).sigmoid().log().mean(), g_loss),
        "certain and wrong"),
    (ch02.both_losses, (d_loss, lambda f: -f.sigmoid().log().mean()), "generator_loss is inf"),
    (ch02.both_losses, (d_loss, lambda f: -(f.sigmoid() + 1e-12).log().mean()),
        "logarithm of a probability"),
    (ch02.both_losses, (d_loss, lambda f: softplus(-f.clamp(-999.5, 999.5)).mean()),
        "dead or undefined slope"),
    (ch02.both_losses, (d_loss, lambda f: 1 / 0), "your code raised ZeroDivisionError"),
    (ch02.both_losses, (lambda r, f: d_loss(r, f) + 1, g_loss), "discriminator_loss is not"),
    (ch02.both_losses, (d_loss, lambda f: g_loss(f) + 1), "generator_loss is not"),
]  # fmt: skip


OPEN = {
    ch02.trajectory: (..., ..., ...),
    ch02.careful: lambda *inputs: ...,
    ch02.equilibrium: (..., ..., ..., ...),
    ch02.three_slopes: lambda v: ...,
    ch02.both_losses: (lambda r, f: ..., lambda f: ...),
}
