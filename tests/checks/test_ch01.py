"""Checks of chapter 1: right answers pass, and each wrong answer is named for what it is."""

import math
from fractions import Fraction

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid

from ganbook.checks import ch01


def cost(w):
    return math.log(w / (w + 1)) - math.log(w + 1) / w


def loss(real, fake):
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


def value(real, fake):
    return logsigmoid(real).mean() + logsigmoid(-fake).mean()


def jsd(real, fake):
    return (value(real, fake) + math.log(4)) / 2


def by_powers(real, fake):
    """exp(-fake) overflows where D is sure of a fake."""
    log_real, log_fake = -torch.log1p(torch.exp(-real)), -fake - torch.log1p(torch.exp(-fake))
    return (log_real.mean() + log_fake.mean() + math.log(4)) / 2


def by_largest(log_p, log_q):
    """One common shift, of the largest of all: it helps where all are equally far away."""
    largest = torch.maximum(log_p.max(), log_q.max())
    p, q = (log_p - largest).exp(), (log_q - largest).exp()
    return p / (p + q)


def by_numpy(logits, n_real, n_fake):
    return np.exp(logits.numpy()) * n_fake / n_real


def in_place(log_p, log_q):
    return log_p.sub_(log_q).sigmoid_()


class Loss(torch.nn.Module):
    def forward(self, real, fake):
        return torch.nn.functional.softplus(real.neg_()).mean() + bce(fake, 0 * fake)


ANSWERS = {
    ch01.density_ratio: [
        lambda logits, n, k: logits.exp() * k / n,
        lambda logits, n, k: torch.exp(logits - math.log(n / k)),
        by_numpy,
        lambda logits, n, k: (math.exp(logit) * k / n for logit in logits),
        lambda logits, n, k: logits.exp_().mul_(k / n),
    ],
    ch01.best_discriminator: [
        lambda log_p, log_q: torch.sigmoid(log_p - log_q),
        lambda log_p, log_q: 1 / (1 + torch.exp(log_q - log_p)),
        lambda log_p, log_q: torch.exp(log_p - torch.logaddexp(log_p, log_q)),
        in_place,
        lambda log_p, log_q: torch.softmax(torch.stack([log_p, log_q]), 0)[0],
        lambda log_p, log_q: torch.sigmoid(log_p.float() - log_q.float()).numpy(),
    ],
    ch01.discriminator_loss: [
        loss,
        lambda real, fake: -value(real, fake),
        lambda real, fake: (
            torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean()
        ),
        Loss(),
        lambda real, fake: loss(real.float(), fake.float()).reshape(1),
    ],
    ch01.box_inside_box: [
        lambda w: (w / (w + 1), cost(w)),
        lambda w: torch.tensor([w / (w + 1), cost(w)]),
        lambda w: [Fraction(w) / (Fraction(w) + 1), np.float32(cost(w))],
        lambda w: iter((1 - 1 / (w + 1), round(cost(w), 5))),
    ],
    ch01.comb_prediction: ["stays", " Stays ", "STAYS."],
    ch01.estimate_jsd: [
        lambda real, fake: (value(real, fake) + math.log(4)) / 2,
        lambda real, fake: math.log(2) - loss(real, fake) / 2,
        lambda real, fake: ((value(real, fake) + math.log(4)) / 2).item(),
        lambda real, fake: (
            np.log(2)
            - np.logaddexp(0, -real.numpy()).mean() / 2
            - np.logaddexp(0, fake.numpy()).mean() / 2
        ),
    ],
}
RIGHT = [(check, answer) for check, answers in ANSWERS.items() for answer in answers]

WRONG = [
    (ch01.density_ratio, lambda logits, n, k: logits.exp(), "sizes of the piles"),
    (ch01.density_ratio, lambda logits, n, k: logits.exp() * n / k, "once more"),
    (ch01.density_ratio, lambda logits, n, k: torch.exp(-logits) * n / k, "this is q/p"),
    (ch01.density_ratio, lambda logits, n, k: logits - math.log(n / k), "undo the logarithm"),
    (ch01.density_ratio, lambda logits, n, k: logits, "as they came"),
    (ch01.density_ratio, lambda logits, n, k: torch.sigmoid(logits), "this is D, a probability"),
    (
        ch01.density_ratio,
        lambda logits, n, k: torch.sigmoid(logits - math.log(n / k)),
        r"this is p/\(p \+ q\)",
    ),
    (ch01.density_ratio, lambda logits, n, k: logits.exp() * (n + k) / n, "n_real to n_fake"),
    (ch01.density_ratio, lambda logits, n, k: (logits.exp() * k / n).mean(), "shape should be"),
    (ch01.density_ratio, lambda logits, n, k: logits.exp() + 1, "Start from"),
    (ch01.density_ratio, lambda logits, n, k: "p/q", "a tensor of shape .* not str"),
    (ch01.density_ratio, lambda logits, n, k: logits.exp() - n / k, "belongs to the logit"),
    (ch01.density_ratio, lambda logits, n, k: torch.exp(logits - n / k), "not the ratio"),
    (ch01.density_ratio, lambda logits, n, k: 2 ** (logits - math.log(n / k)), "a power of 2"),
    (ch01.density_ratio, lambda logits, n, k: torch.softmax(logits, 0), "over the points"),
    (ch01.density_ratio, lambda logits, n, k: (logits.exp() * k / n).clamp(max=1), "cut off"),
    (ch01.density_ratio, lambda logits, n, k: torch.exp(-logits), "sizes of the piles still"),
    (
        ch01.density_ratio,
        lambda logits, n, k: logits.exp() * (k // n),
        "ratios are wrong|positive|sizes",
    ),
    (
        ch01.best_discriminator,
        lambda log_p, log_q: torch.sigmoid(log_q - log_p),
        "probability of fake",
    ),
    (ch01.best_discriminator, lambda log_p, log_q: torch.exp(log_p - log_q), "ratio p/q"),
    (ch01.best_discriminator, lambda log_p, log_q: log_p - log_q, "this is the logit"),
    (ch01.best_discriminator, lambda log_p, log_q: log_p / (log_p + log_q), "put log p and log q"),
    (ch01.best_discriminator, lambda log_p, log_q: torch.sigmoid(log_p - log_q) / 2, "half of"),
    (
        ch01.best_discriminator,
        lambda log_p, log_q: log_p.exp() / (log_p.exp() + log_q.exp()),
        "NaN",
    ),
    (
        ch01.best_discriminator,
        lambda log_p, log_q: log_p.exp() / (log_p.exp() + log_q.exp() + 1e-8),
        "must cancel",
    ),
    (
        ch01.best_discriminator,
        lambda log_p, log_q: torch.softmax(log_p - log_q, 0),
        "normalised over the points",
    ),
    (ch01.best_discriminator, lambda log_p, log_q: torch.sigmoid(2 * (log_p - log_q)), "not the v"),
    (ch01.best_discriminator, by_largest, "NaN|at each point"),
    (
        ch01.best_discriminator,
        lambda log_p, log_q: torch.exp(log_p - log_q) / (1 + torch.exp(log_p - log_q)),
        "e.800 times",
    ),
    (
        ch01.best_discriminator,
        lambda log_p, log_q: 0.01 + 0.98 * torch.sigmoid(log_p - log_q).clamp(0.01, 0.99),
        "not the values",
    ),
    (
        ch01.best_discriminator,
        lambda log_p, log_q: torch.sigmoid((log_p - log_q).clamp(-5, 5)),
        "0 or 1; yours",
    ),
    (ch01.best_discriminator, lambda log_p, log_q: torch.sigmoid(log_p + log_q), "not a sum"),
    (ch01.best_discriminator, lambda log_p, log_q: torch.tanh(log_p - log_q), "tanh"),
    (ch01.best_discriminator, 0.5, "a function should stand here"),
    (
        ch01.discriminator_loss,
        lambda real, fake: loss(torch.sigmoid(real), torch.sigmoid(fake)),
        "applied twice",
    ),
    (ch01.discriminator_loss, value, "this is V, not -V"),
    (
        ch01.discriminator_loss,
        lambda real, fake: bce(real, torch.zeros_like(real)) + bce(fake, torch.ones_like(fake)),
        "labels are exchanged",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: bce(real, torch.ones_like(real)) + bce(fake, torch.ones_like(fake)),
        "generator's loss",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: bce(
            torch.cat([real, fake]), torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
        ),
        "one mean over all points",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: -logsigmoid(real).sum() - logsigmoid(-fake).sum(),
        "take means",
    ),
    (ch01.discriminator_loss, lambda real, fake: loss(real, fake) / 2, "half of -V"),
    (
        ch01.discriminator_loss,
        lambda real, fake: bce(real, torch.ones_like(real)),
        "fakes are missing",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: bce(fake, torch.zeros_like(fake)),
        "real points are missing",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(),
        "function of logits",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: (1 + (-real).exp()).log().mean() + (1 + fake.exp()).log().mean(),
        "or of 1 . exp",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: torch.nn.functional.binary_cross_entropy(real, torch.ones_like(real)),
        "your code raised RuntimeError",
    ),
    (ch01.discriminator_loss, lambda real, fake: -logsigmoid(real), "one number should come back"),
    (ch01.discriminator_loss, lambda real, fake: loss(real, fake).item(), "no graph"),
    (ch01.discriminator_loss, lambda real, fake: loss(real, fake).detach(), "no graph"),
    (ch01.discriminator_loss, lambda real, fake: loss(real.detach(), fake), "of the real points"),
    (ch01.discriminator_loss, lambda real, fake: loss(real, fake.detach()), "of the fakes is miss"),
    (
        ch01.discriminator_loss,
        lambda real, fake: loss(real, fake).detach() + 0 * real.sum() + 0 * fake.sum(),
        "its slope in the logits of the real points is missing",
    ),
    (
        ch01.discriminator_loss,
        lambda real, fake: 2 * loss(real, fake) - loss(real, fake).detach(),
        "but not its slope",
    ),
    (ch01.discriminator_loss, lambda real, fake: loss(real.sigmoid(), fake), "on real points"),
    (
        ch01.discriminator_loss,
        lambda real, fake: loss(real.clamp(-99, 99), fake.clamp(-99, 99)),
        "function of logits",
    ),
    (ch01.discriminator_loss, lambda real, fake: fake.mean() - real.mean(), "mean logits"),
    (ch01.discriminator_loss, lambda real, fake: (1 - real).relu().mean(), "term by term"),
    (ch01.discriminator_loss, lambda real, fake: loss(real, fake) + 1, "term by term"),
    (ch01.box_inside_box, lambda w: (1 / (w + 1), cost(w)), "probability of fake"),
    (ch01.box_inside_box, lambda w: (w, cost(w)), "ratio p/q"),
    (ch01.box_inside_box, lambda w: (0.5, cost(w)), "only at w = 1"),
    (ch01.box_inside_box, lambda w: (w / (w + 2), cost(w)), r"D\* inside \[0, 1\] is not"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), (cost(w) + math.log(4)) / 2), "is the JSD"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), cost(w) + math.log(4)), "is 2 JSD"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), (cost(w) - math.log(4)) / 2), "JSD once"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), -cost(w)), "wrong sign"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), cost(w) / math.log(2)), "in bits"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), cost(w) / math.log(10)), "base 10"),
    (
        ch01.box_inside_box,
        lambda w: (w / (w + 1), math.log(w / (w + 1)) - math.log(w + 1)),
        "takes all fakes",
    ),
    (ch01.box_inside_box, lambda w: (w / (w + 1), math.log(w / (w + 1))), "real term alone"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), -1.0), "C is not -1.0000"),
    (ch01.box_inside_box, cost, "two numbers"),
    (ch01.box_inside_box, lambda w: (w, w, w), "two numbers"),
    (ch01.box_inside_box, lambda w: (cost(w), w / (w + 1)), "in the other order"),
    (ch01.box_inside_box, lambda w: (1 / w, cost(w)), "ratio q/p"),
    (ch01.box_inside_box, lambda w: (1.0, cost(w)), "as if no fake"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), cost(w) / 2), "half of it"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), cost(w) + math.log(2)), "constant -log 2"),
    (ch01.box_inside_box, lambda w: (w / (w + 1), math.nan), "C: the number is nan"),
    (ch01.box_inside_box, lambda w: (2 / 3, cost(2)), "is not 0.6667"),
    (ch01.comb_prediction, "falls", "the JSD has no eye"),
    (ch01.comb_prediction, "rises", "Which share"),
    (ch01.comb_prediction, "it converges", "one of the three words"),
    (ch01.comb_prediction, 0.0, "one of the three words"),
    (ch01.comb_prediction, ["stays"], "one of the three words"),
    (ch01.comb_prediction, lambda: "stays", "a value should stand here"),
    (ch01.estimate_jsd, value, "this is V"),
    (ch01.estimate_jsd, lambda real, fake: value(real, fake) / 2, "constant is missing"),
    (ch01.estimate_jsd, lambda real, fake: value(real, fake) + math.log(4), "factor 1/2"),
    (
        ch01.estimate_jsd,
        lambda real, fake: (value(real, fake) - math.log(4)) / 2,
        "wrong sign: the JSD of equal",
    ),
    (
        ch01.estimate_jsd,
        lambda real, fake: (loss(real, fake) + math.log(4)) / 2,
        "V has the wrong sign",
    ),
    (ch01.estimate_jsd, lambda real, fake: (value(real, fake) / math.log(2) + 2) / 2, "in bits"),
    (ch01.estimate_jsd, lambda real, fake: (value(real, fake) + math.log(2)) / 2, "not log 2"),
    (
        ch01.estimate_jsd,
        lambda real, fake: torch.cat([logsigmoid(real), logsigmoid(-fake)]).mean() + math.log(2),
        "mean of its own",
    ),
    (
        ch01.estimate_jsd,
        lambda real, fake: (
            (real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean() + math.log(4)) / 2
        ),
        "logsigmoid",
    ),
    (
        ch01.estimate_jsd,
        lambda real, fake: (
            (
                (real.sigmoid() + 1e-8).log().mean()
                + (1 - fake.sigmoid() + 1e-8).log().mean()
                + math.log(4)
            )
            / 2
        ),
        "not even with a small number",
    ),
    (ch01.estimate_jsd, lambda real, fake: logsigmoid(real) + 1, "one number should come back"),
    (ch01.estimate_jsd, lambda real, fake: loss(real, fake), "D's loss"),
    (ch01.estimate_jsd, lambda real, fake: jsd(-real, -fake), "exchanged"),
    (ch01.estimate_jsd, lambda real, fake: jsd(real, -fake), "not log D"),
    (ch01.estimate_jsd, lambda real, fake: jsd(real, fake).abs(), "cut|absolute"),
    (ch01.estimate_jsd, lambda real, fake: jsd(real, fake).clamp(min=0), "cut nothing off"),
    (ch01.estimate_jsd, lambda real, fake: (real.mean() - fake.mean()) / 2, "another one"),
    (ch01.estimate_jsd, lambda real, fake: jsd(real.sigmoid(), fake.sigmoid()), "applied twice"),
    (ch01.estimate_jsd, lambda real, fake: jsd(real, fake) + 0.1, "mean log D"),
    (
        ch01.estimate_jsd,
        lambda real, fake: jsd(real, fake) + 0.1 * (fake == 0).all(),
        "logits of 0",
    ),
    (ch01.estimate_jsd, by_powers, "tell them apart for certain"),
]
