"""Checks of chapter 1: right answers pass, and each wrong answer is named for what it is."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid

from ganbook.checks import Mistake, ch01

REPEATS = 10  # the checks draw their inputs at random: a right answer must pass whatever they draw


def cost(w):
    return math.log(w / (w + 1)) - math.log(w + 1) / w


def loss(real, fake):
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


def value(real, fake):
    return logsigmoid(real).mean() + logsigmoid(-fake).mean()


RIGHT = {
    "density_ratio": [
        lambda logits, n, k: logits.exp() * k / n,
        lambda logits, n, k: torch.exp(logits - math.log(n / k)),
    ],
    "best_discriminator": [
        lambda log_p, log_q: torch.sigmoid(log_p - log_q),
        lambda log_p, log_q: 1 / (1 + torch.exp(log_q - log_p)),
        lambda log_p, log_q: torch.exp(log_p - torch.logaddexp(log_p, log_q)),
    ],
    "discriminator_loss": [
        loss,
        lambda real, fake: -value(real, fake),
        lambda real, fake: torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean(),
    ],
    "box_inside_box": [
        lambda w: (w / (w + 1), cost(w)),
        lambda w: torch.tensor([w / (w + 1), cost(w)]),
    ],
    "comb_prediction": ["stays", " Stays "],
    "estimate_jsd": [
        lambda real, fake: (value(real, fake) + math.log(4)) / 2,
        lambda real, fake: math.log(2) - loss(real, fake) / 2,
        lambda real, fake: ((value(real, fake) + math.log(4)) / 2).item(),
    ],
}

WRONG = [
    ("density_ratio", lambda logits, n, k: logits.exp(), "sizes of the piles"),
    ("density_ratio", lambda logits, n, k: logits.exp() * n / k, "once more"),
    ("density_ratio", lambda logits, n, k: torch.exp(-logits) * n / k, "this is q/p"),
    ("density_ratio", lambda logits, n, k: logits - math.log(n / k), "undo the logarithm"),
    ("density_ratio", lambda logits, n, k: logits, "as they came"),
    ("density_ratio", lambda logits, n, k: torch.sigmoid(logits), "this is D, a probability"),
    ("density_ratio", lambda logits, n, k: torch.sigmoid(logits - math.log(n / k)), r"this is p/\(p \+ q\)"),
    ("density_ratio", lambda logits, n, k: logits.exp() * (n + k) / n, "n_real to n_fake"),
    ("density_ratio", lambda logits, n, k: (logits.exp() * k / n).mean(), "shape should be"),
    ("density_ratio", lambda logits, n, k: logits.exp() + 1, "Start from"),
    ("best_discriminator", lambda log_p, log_q: torch.sigmoid(log_q - log_p), "probability of fake"),
    ("best_discriminator", lambda log_p, log_q: torch.exp(log_p - log_q), "ratio p/q"),
    ("best_discriminator", lambda log_p, log_q: log_p - log_q, "this is the logit"),
    ("best_discriminator", lambda log_p, log_q: log_p / (log_p + log_q), "put log p and log q"),
    ("best_discriminator", lambda log_p, log_q: torch.sigmoid(log_p - log_q) / 2, "half of"),
    ("best_discriminator", lambda log_p, log_q: log_p.exp() / (log_p.exp() + log_q.exp()), "NaN"),
    (
        "best_discriminator",
        lambda log_p, log_q: log_p.exp() / (log_p.exp() + log_q.exp() + 1e-8),
        "must cancel",
    ),
    ("best_discriminator", lambda log_p, log_q: torch.softmax(log_p - log_q, 0), "not the values"),
    ("discriminator_loss", lambda real, fake: loss(torch.sigmoid(real), torch.sigmoid(fake)), "applied twice"),
    ("discriminator_loss", value, "this is V, not -V"),
    (
        "discriminator_loss",
        lambda real, fake: bce(real, torch.zeros_like(real)) + bce(fake, torch.ones_like(fake)),
        "labels are exchanged",
    ),
    (
        "discriminator_loss",
        lambda real, fake: bce(real, torch.ones_like(real)) + bce(fake, torch.ones_like(fake)),
        "generator's loss",
    ),
    (
        "discriminator_loss",
        lambda real, fake: bce(torch.cat([real, fake]), torch.cat([torch.ones_like(real), torch.zeros_like(fake)])),
        "one mean over all points",
    ),
    ("discriminator_loss", lambda real, fake: -logsigmoid(real).sum() - logsigmoid(-fake).sum(), "take means"),
    ("discriminator_loss", lambda real, fake: loss(real, fake) / 2, "half of -V"),
    ("discriminator_loss", lambda real, fake: bce(real, torch.ones_like(real)), "fakes are missing"),
    ("discriminator_loss", lambda real, fake: bce(fake, torch.zeros_like(fake)), "real points are missing"),
    (
        "discriminator_loss",
        lambda real, fake: -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(),
        "function of logits",
    ),
    (
        "discriminator_loss",
        lambda real, fake: torch.nn.functional.binary_cross_entropy(real, torch.ones_like(real)),
        "your code raised RuntimeError",
    ),
    ("discriminator_loss", lambda real, fake: -logsigmoid(real), "shape should be"),
    ("box_inside_box", lambda w: (1 / (w + 1), cost(w)), "probability of fake"),
    ("box_inside_box", lambda w: (w, cost(w)), "ratio p/q"),
    ("box_inside_box", lambda w: (0.5, cost(w)), "only at w = 1"),
    ("box_inside_box", lambda w: (w / (w + 2), cost(w)), r"D\* inside \[0, 1\] is not"),
    ("box_inside_box", lambda w: (w / (w + 1), (cost(w) + math.log(4)) / 2), "is the JSD"),
    ("box_inside_box", lambda w: (w / (w + 1), cost(w) + math.log(4)), "is 2 JSD"),
    ("box_inside_box", lambda w: (w / (w + 1), (cost(w) - math.log(4)) / 2), "JSD once"),
    ("box_inside_box", lambda w: (w / (w + 1), -cost(w)), "wrong sign"),
    ("box_inside_box", lambda w: (w / (w + 1), cost(w) / math.log(2)), "in bits"),
    ("box_inside_box", lambda w: (w / (w + 1), cost(w) / math.log(10)), "base 10"),
    ("box_inside_box", lambda w: (w / (w + 1), math.log(w / (w + 1)) - math.log(w + 1)), "takes all fakes"),
    ("box_inside_box", lambda w: (w / (w + 1), math.log(w / (w + 1))), "real term alone"),
    ("box_inside_box", lambda w: (w / (w + 1), -1.0), "C is not -1.0000"),
    ("box_inside_box", cost, "two numbers"),
    ("box_inside_box", lambda w: (w, w, w), "two numbers"),
    ("comb_prediction", "falls", "the JSD has no eye"),
    ("comb_prediction", "rises", "Which share"),
    ("comb_prediction", "it converges", "one of the three words"),
    ("comb_prediction", 0.0, "one of the three words"),
    ("estimate_jsd", value, "this is V"),
    ("estimate_jsd", lambda real, fake: value(real, fake) / 2, "constant is missing"),
    ("estimate_jsd", lambda real, fake: value(real, fake) + math.log(4), "factor 1/2"),
    ("estimate_jsd", lambda real, fake: (value(real, fake) - math.log(4)) / 2, "wrong sign: the JSD of equal"),
    ("estimate_jsd", lambda real, fake: (loss(real, fake) + math.log(4)) / 2, "V has the wrong sign"),
    ("estimate_jsd", lambda real, fake: (value(real, fake) / math.log(2) + 2) / 2, "in bits"),
    ("estimate_jsd", lambda real, fake: (value(real, fake) + math.log(2)) / 2, "not log 2"),
    (
        "estimate_jsd",
        lambda real, fake: torch.cat([logsigmoid(real), logsigmoid(-fake)]).mean() + math.log(2),
        "mean of its own",
    ),
    (
        "estimate_jsd",
        lambda real, fake: (real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean() + math.log(4)) / 2,
        "logsigmoid",
    ),
    (
        "estimate_jsd",
        lambda real, fake: (
            ((real.sigmoid() + 1e-8).log().mean() + (1 - fake.sigmoid() + 1e-8).log().mean() + math.log(4)) / 2
        ),
        "not even with a small number",
    ),
    ("estimate_jsd", lambda real, fake: logsigmoid(real) + 1, "shape should be"),
]


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name in RIGHT for answer in RIGHT[name]])
def test_right_answers_pass_for_every_draw(name, answer, capsys):
    for _ in range(REPEATS):
        getattr(ch01, name)(answer)
    assert capsys.readouterr().out.count("solved") == REPEATS


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_are_named(name, answer, message):
    for _ in range(3):
        with pytest.raises(Mistake, match=message):
            getattr(ch01, name)(answer)


def test_each_exercise_has_three_wrong_answers_or_more():
    for name in RIGHT:
        assert sum(wrong[0] == name for wrong in WRONG) >= 3


@pytest.mark.parametrize("name", RIGHT)
def test_an_open_stub_is_open_and_not_wrong(name, capsys):
    getattr(ch01, name)(... if name == "comb_prediction" else lambda *inputs: ...)
    assert "is open" in capsys.readouterr().out
