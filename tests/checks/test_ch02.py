"""Checks of chapter 2: right answers pass, and each wrong answer is named for what it is."""

import functools
import math

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid, softplus

from ganbook.checks import ch02
from ganbook.device import DEVICE

LOG2 = math.log(2)
WALKS = {"D_first": (0.5, 1.0), "G_first": (0.0, 1.0), "at_once": (0.0, 1.0)}


def walks(**changed):
    return tuple((WALKS | changed).values())


def step(
    G, D, g_adam, d_adam, *, detach=True, clear="before", d_sign=1, fake_label=0,
    g_kind="nonsaturating", order="DG", fakes_seen=True, reals_seen=True, g_backward=True,
    twice=False, zero_d=True, zero_g=True, d_backward=True,
):  # fmt: skip
    """One step of the game as people write it, with one thing wrong at a time."""
    if clear == "top":
        g_adam.zero_grad()
        d_adam.zero_grad()

    def d_turn():
        fakes = G(torch.randn(640, 1, device=DEVICE))
        l_fake = (
            D(fakes.detach() if detach else fakes) if fakes_seen else torch.zeros(1, device=DEVICE)
        )
        l_real = (
            D(torch.randn(640, 1, device=DEVICE)) if reals_seen else torch.zeros(1, device=DEVICE)
        )
        on_fake = softplus(l_fake if fake_label == 0 else -l_fake)
        loss = d_sign * (softplus(-l_real).mean() + on_fake.mean())
        if clear == "before" and zero_d:
            d_adam.zero_grad()
        if d_backward:
            loss.backward()
        d_adam.step()
        if twice:
            d_adam.step()

    def g_turn():
        said = D(G(torch.randn(640, 1, device=DEVICE)))
        no, yes = softplus(said), softplus(-said)
        kinds = {"nonsaturating": yes, "minimax": -no, "helper": no, "away": -yes}
        kinds["least squares"] = (said - 1).square()
        if clear == "before" and zero_g:
            g_adam.zero_grad()
        if g_backward:
            kinds[g_kind].mean().backward()
        g_adam.step()

    for player in order:
        (d_turn if player == "D" else g_turn)()
    return 1.0


def step_with(**settings):
    return functools.partial(step, **settings)


def on_one_tape(G, D, g_adam, d_adam):
    """The fakes of D's turn are used again for G's."""
    fakes = G(torch.randn(640, 1, device=DEVICE))
    d_adam.zero_grad()
    points = torch.cat([torch.randn(640, 1, device=DEVICE), fakes.detach()])
    signs = torch.tensor([-1.0, 1.0], device=DEVICE).repeat_interleave(640)
    (2 * softplus(signs * D(points)).mean()).backward()
    d_adam.step()
    g_adam.zero_grad()
    bce(D(fakes), torch.ones(640, device=DEVICE)).backward()
    g_adam.step()
    return 1.0


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


ANSWERS = {
    ch02.trajectory: [walks(), [[0.5, 1], [0, 1], torch.tensor([0.0, 1.0])]],
    ch02.careful: [
        step,
        step_with(detach=False),  # wasteful, but right: what D's turn leaves in G is cleared
        step_with(clear="top"),  # with detach, both may be cleared at the top
        on_one_tape,
    ],
    ch02.equilibrium: [
        (2 * LOG2, LOG2, -LOG2, False),
        (1.39, 0.69, -0.69, False),
        [1.386, torch.tensor(0.693), -0.6931, False],
    ],
    ch02.three_slopes: [
        slopes,
        lambda v: (torch.sigmoid(v) - 1, torch.sigmoid(v), -1.0),
        lambda v: (-torch.sigmoid(-v), 1 / (1 + torch.exp(-v)), -1),
        lambda v: (part for part in slopes(v)),
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
    ],
}
RIGHT = [(check, answer) for check, answers in ANSWERS.items() for answer in answers]

WRONG = [
    (ch02.trajectory, walks(D_first=(0.0, 0.0)), "D does move"),
    (ch02.trajectory, walks(D_first=(0.5, -1.0)), "against its slope"),
    (ch02.trajectory, walks(D_first=(-0.5, 1.0)), "towards the data"),
    (ch02.trajectory, walks(D_first=(0.0, 1.0)), "D has moved already"),
    (ch02.trajectory, walks(D_first=(1.0, 1.0)), "is sigmoid"),
    (ch02.trajectory, walks(D_first=(1.0, 2.0)), "is sigmoid"),
    (ch02.trajectory, walks(D_first=(0.5, 0.5)), "inner derivative"),
    (ch02.trajectory, walks(G_first=(0.5, 1.0)), "gets no signal"),
    (ch02.trajectory, walks(at_once=(0.5, 1.0)), "at_once: .* gets no signal"),
    (ch02.trajectory, walks(D_first=(0.3, 1.2)), "Start again"),
    (ch02.trajectory, walks(D_first=0.5), "two numbers"),
    (ch02.trajectory, (0.5, 1.0), "3 values"),
    (ch02.trajectory, 0.5, "separated by commas"),
    (ch02.careful, step_with(detach=False, clear="top"), "what D's turn has left in G"),
    (ch02.careful, step_with(zero_d=False), "clear"),
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
    (ch02.careful, step_with(g_backward=False), "no gradients when it steps"),
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
    (ch02.equilibrium, ("log 4", LOG2, -LOG2, False), "should be a number"),
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
    (ch02.three_slopes, lambda v: slopes(v)[:2], "3 values"),
    (ch02.three_slopes, lambda v: torch.sigmoid(v), "3 values"),
    (ch02.three_slopes, slopes_but(1, lambda v, D: D.mean(0, keepdim=True)), "shape should be"),
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
    (ch02.both_losses, (lambda r, f: softplus(-r).sum() + softplus(f).sum(), g_loss), "take means"),
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
