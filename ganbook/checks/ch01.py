"""Checks of chapter 1, the minimax game."""

import math
import random

import torch
from torch.nn.functional import logsigmoid

from ganbook.checks import exercise, recognise, recognise_number, require, same, tensor


@exercise("1.1")
def density_ratio(answer):
    """Draws ratios first and makes the logits from them."""
    n_real, n_fake = random.sample(range(100, 2000), 2)
    ratio = torch.exp(torch.randn(50, dtype=torch.float64))
    pile = n_real / n_fake
    found = tensor(answer((ratio * pile).log(), n_real, n_fake), (50,))
    recognise(
        found,
        (
            ratio * pile,
            "the sizes of the piles are still in it:"
            " the logit is log p/q plus a constant. Take that away.",
        ),
        (
            ratio * pile**2,
            "the constant has been added once more. It has to be taken away from the logit.",
        ),
        (1 / ratio, "this is q/p. The ratio asked for has the real density above."),
        (ratio.log(), "this is log p/q. One step is missing: undo the logarithm."),
        ((ratio * pile).log(), "these are the logits as they came."),
        (
            ratio / (1 + ratio),
            "this is p/(p + q), a probability. The ratio p/q can be any positive number.",
        ),
        (
            ratio * pile / (1 + ratio * pile),
            "this is D, a probability. The ratio p/q can be any positive number.",
        ),
        (
            ratio * (n_real + n_fake) / n_fake,
            "the prior odds are n_real to n_fake, not n_real to n_real + n_fake.",
        ),
    )
    same(found, ratio, "the ratios are wrong. Start from: logit = log p/q + log(n_real/n_fake).")


@exercise("1.2")
def best_discriminator(answer):
    """Draws D* and the total density first, and makes p and q from them."""
    best, total = torch.rand(2, 50, dtype=torch.float64) * 0.98 + 0.01
    log_p, log_q = (best * total).log(), ((1 - best) * total).log()
    found = tensor(answer(log_p, log_q), (50,))
    recognise(
        found,
        (1 - best, "this is q/(p + q), the probability of fake. D is the probability of real."),
        (
            best / (1 - best),
            "this is the ratio p/q. D = p/(p + q) is a probability, between 0 and 1.",
        ),
        ((best / (1 - best)).log(), "this is the logit of D*. Turn it into a probability."),
        (log_p / (log_p + log_q), "you have put log p and log q where the formula has p and q."),
        (best / 2, "this is half of D*: p over p + q, not over 2(p + q)."),
    )
    same(found, best, "these are not the values of p/(p + q).")
    for shift in (-2000.0, 2000.0):
        far = tensor(answer(log_p + shift, log_q + shift), (50,))
        require(
            torch.isfinite(far),
            "far away, where p and q underflow or overflow, you get NaN."
            " Don't compute p and q: use log p - log q.",
        )
        same(
            far,
            best,
            "a factor common to p and q must cancel, however small it is. Use log p - log q.",
        )


@exercise("1.3")
def discriminator_loss(answer):
    """Draws probabilities first and makes the logits from them. The two batches differ in size."""
    on_real = torch.rand(40, 1, dtype=torch.float64) * 0.98 + 0.01
    on_fake = torch.rand(90, 1, dtype=torch.float64) * 0.98 + 0.01
    real, fake = on_real.log() - (1 - on_real).log(), on_fake.log() - (1 - on_fake).log()
    loss = -on_real.log().mean() - (1 - on_fake).log().mean()
    terms = torch.cat([-on_real.log(), -(1 - on_fake).log()])
    found = tensor(answer(real, fake), ())
    twice = -logsigmoid(on_real).mean() - logsigmoid(-on_fake).mean()
    recognise(
        found,
        (
            twice,
            "the sigmoid is still applied twice: the loss function has `with_logits` in its name.",
        ),
        (
            -loss,
            "this is V, not -V. The discriminator maximises V and an optimiser minimises,"
            " so the sign must turn.",
        ),
        (
            -on_fake.log().mean() - (1 - on_real).log().mean(),
            "the labels are exchanged: real is 1, fake is 0.",
        ),
        (
            -on_real.log().mean() - on_fake.log().mean(),
            "the fakes have label 1. That is a generator's loss, not D's.",
        ),
        (
            terms.mean(),
            "this is one mean over all points."
            " Take a mean over real and a mean over fakes, and add them.",
        ),
        (terms.sum(), "this is a sum over points. V is made of expectations: take means."),
        (loss / 2, "this is half of -V: add the two means."),
        (-on_real.log().mean(), "the fakes are missing: V has two terms."),
        (-(1 - on_fake).log().mean(), "the real points are missing: V has two terms."),
    )
    same(
        found,
        loss,
        "this is not -V. Compare with V = mean log D(real) + mean log(1 - D(fake)), term by term.",
    )
    sure = tensor(answer(torch.full((3, 1), -1000.0), torch.full((3, 1), 1000.0)), ())
    require(
        torch.isfinite(sure) & (sure > 1999),
        f"logits of -1000 on real and 1000 on fakes should cost 2000; you have {sure:.4g}. "
        "Don't take the logarithm of a sigmoid: use a function of logits.",
    )


@exercise("1.4")
def box_inside_box(answer):
    """Integrates on cells; never uses the formula."""
    for w in (1.3 + random.random(), 3 + 4 * random.random(), 1.0):
        try:
            best, cost = (float(value) for value in answer(w))
        except (TypeError, ValueError):
            require(False, "return two numbers, D* inside [0, 1] and C(G), as `return best, cost`.")
        right, truth = 1 / (1 + 1 / w), _cost_of_boxes(w)
        at, jsd = f"at w = {w:.3g}", (truth + math.log(4)) / 2
        if w > 1:  # at w = 1 half of these mistakes give the right number
            recognise_number(
                best,
                (
                    1 - right,
                    f"{at}, your D* is the probability of fake."
                    " It is p/(p + q), with p = 1 and q = 1/w.",
                ),
                (w, f"{at}, your D* is the ratio p/q."),
                (
                    0.5,
                    f"{at}, your D* is 1/2. That is so only at w = 1;"
                    " elsewhere q = 1/w is smaller than p = 1.",
                ),
            )
            recognise_number(
                cost,
                (jsd, f"{at}, your C is the JSD. C(G) = -log 4 + 2 JSD."),
                (2 * jsd, f"{at}, your C is 2 JSD. The constant -log 4 is missing."),
                (
                    jsd - math.log(4),
                    f"{at}, your C has the JSD once. C(G) = -log 4 + 2 JSD has it twice.",
                ),
                (
                    -truth,
                    f"{at}, your C has the wrong sign:"
                    " it is a mean of logarithms of probabilities, so below 0.",
                ),
                (
                    truth / math.log(2),
                    f"{at}, your C is in bits. The course counts in nats: natural logarithms.",
                ),
                (
                    truth / math.log(10),
                    f"{at}, your C has logarithms to the base 10. Take natural ones.",
                ),
                (
                    math.log(right) + math.log(1 - right),
                    f"{at}, your C takes all fakes to be inside [0, 1]."
                    " Only a share 1/w of them is.",
                ),
                (
                    math.log(right),
                    f"{at}, your C has the real term alone. Add that of the fakes inside [0, 1].",
                ),
            )
        require(
            abs(best - right) < 1e-3,
            f"{at}, D* inside [0, 1] is not {best:.4f}. There p = 1 and q = 1/w.",
        )
        require(
            abs(cost - truth) < 1e-3,
            f"{at}, C is not {cost:.4f}. Which share of the fakes is inside [0, 1]?",
        )


@exercise("1.5", value=True)
def comb_prediction(answer):
    """Measures the JSD of two combs, and lets that decide."""
    words = ("falls", "stays", "rises")
    answer = answer.strip().lower() if isinstance(answer, str) else answer
    require(answer in words, f"write one of the three words {words}; you wrote {answer!r}.")
    u = (torch.arange(2**12) + 0.5) / 2**12
    few, many = (_jsd_to_uniform(2.0 * ((u * teeth) % 1 < 0.5)) for teeth in (2, 128))
    truth = "stays" if abs(many - few) < 1e-6 else "rises" if many > few else "falls"
    hints = {
        "falls": "the eye says so, but the JSD has no eye. It compares p and q at each point,"
        " and never asks how far the next tooth is. Compute D* on a tooth and in a gap,"
        " for 2 teeth and for 200.",
        "rises": "the gaps do not grow: there are more of them, and each is narrower."
        " Which share of [0, 1] is gap?",
    }
    require(answer == truth, hints.get(answer, ""))


@exercise("1.6")
def estimate_jsd(answer):
    """Samples with p and q as exact histograms, log p/q as logits: the estimate is the JSD."""
    p = torch.randint(1, 9, (6,)) + torch.tensor(
        [20, 0, 0, 0, 0, 0]
    )  # q leans the other way, and has more points
    q = torch.randint(1, 9, (6,)) + torch.tensor([0, 0, 0, 0, 0, 70])
    ratio = (p / p.sum()).log().double() - (q / q.sum()).log().double()
    real, fake = ratio.repeat_interleave(p), ratio.repeat_interleave(q)
    truth = _jsd(p.double() / p.sum(), q.double() / q.sum())
    V = 2 * truth - math.log(4)
    found = tensor(answer(real, fake), ())
    recognise(
        found,
        (V, "this is V. Solve V = -log 4 + 2 JSD for the JSD."),
        (V / 2, "the constant is missing: JSD = (V + log 4)/2."),
        (V + math.log(4), "a factor 1/2 is missing: V = -log 4 + 2 JSD has the JSD twice."),
        (
            (V - math.log(4)) / 2,
            "log 4 has the wrong sign: the JSD of equal densities is 0, and there V = -log 4.",
        ),
        (
            (-V + math.log(4)) / 2,
            "V has the wrong sign: it is the sum of two mean log-probabilities, below 0.",
        ),
        (truth / math.log(2), "this is in bits. The course counts in nats: natural logarithms."),
        (
            V / 2 + math.log(2) / 2,
            "the constant is log 4, not log 2: V of a coin-flipping D is log 1/2 + log 1/2.",
        ),
        (
            _pooled(real, fake),
            "this is one mean over all points. Each pile needs a mean of its own.",
        ),
    )
    same(
        found, truth, "this is not (V + log 4)/2 with V = mean log D(real) + mean log(1 - D(fake))."
    )
    blind = tensor(answer(torch.zeros(5), torch.zeros(8)), ())
    require(
        blind.abs() < 1e-6, f"logits of 0 say that p = q, so the JSD is 0; you have {blind:.4g}."
    )
    sure = tensor(answer(torch.full((5,), 1000.0), torch.full((8,), -1000.0)), ())
    require(
        (sure - math.log(2)).abs() < 1e-6,
        "logits of 1000 on real and -1000 on fakes tell them apart for certain: log 2."
        f" You have {sure:.4g}."
        " Don't take the logarithm of a probability that rounds to 0: use logsigmoid.",
    )
    wrong = tensor(answer(torch.full((5,), -1000.0), torch.full((8,), 1000.0)), ())
    require(
        (wrong + 1000).abs() < 1,
        "a D that is certain and wrong has V = -2000."
        f" Your estimate, {wrong:.4g}, is far from (log 4 - 2000)/2."
        " Don't take the logarithm of a probability, not even with a small number added:"
        " use logsigmoid.",
    )


def _pooled(real, fake):
    return (torch.cat([logsigmoid(real), logsigmoid(-fake)]).mean() * 2 + math.log(4)) / 2


def _jsd(p, q):
    """Jensen-Shannon divergence in nats of two histograms (K,) that sum to 1."""
    m = (p + q) / 2
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum() / 2  # m is 0 nowhere in the checks


def _cost_of_boxes(w):
    """C(G) for uniform densities on [0, 1] and [0, w], by adding up cells."""
    cells = (torch.arange(20_000, dtype=torch.float64) + 0.5) * w / 20_000
    p = (cells < 1).double()
    return 2 * _jsd(p / p.sum(), torch.full_like(p, 1 / len(p))).item() - math.log(4)


def _jsd_to_uniform(heights):
    return _jsd(torch.full_like(heights, 1 / len(heights)), heights / heights.sum()).item()
