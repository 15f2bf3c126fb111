"""Checks of chapter 1, the minimax game."""

import math
import random

import torch
from torch.nn.functional import logsigmoid

from ganbook.checks import (
    exercise,
    near,
    number,
    parts,
    recognise,
    recognise_number,
    require,
    same,
    tensor,
)


@exercise("1.1")
def density_ratio(answer):
    """Draws ratios first and makes the logits from them: 50 of each size, some very large."""
    for least, most, points in ((100, 2000, 50), (2, 9, 7), (10**5, 10**6, 1)):
        n_real, n_fake = random.sample(range(least, most), 2)
        ratio = torch.exp(2 * torch.randn(points, dtype=torch.float64))
        _ratio_of(answer, ratio, n_real, n_fake)
    ratio = torch.exp(torch.linspace(-8, 8, 9, dtype=torch.float64))
    _ratio_of(answer, ratio, 500, 500)


def _ratio_of(answer, ratio, n_real, n_fake):
    pile = n_real / n_fake
    logits = (ratio * pile).log()
    found = tensor(answer(logits.clone(), n_real, n_fake), ratio.shape)
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
        (
            1 / (ratio * pile),
            "this is q/p, with the sizes of the piles still in it. Asked for is p/q.",
        ),
        (
            1 / (ratio * pile**2),
            "this is q/p, with the sizes of the piles still in it. Asked for is p/q.",
        ),
        (
            logits + math.log(pile),
            "this is a logarithm, with the constant added once more. Take it away, then undo the"
            " logarithm.",
        ),
        (ratio.log(), "this is log p/q. One step is missing: undo the logarithm."),
        (logits, "these are the logits as they came."),
        (
            ratio / (1 + ratio),
            "this is p/(p + q), a probability. The ratio p/q can be any positive number.",
        ),
        (
            ratio * pile / (1 + ratio * pile),
            "this is D, a probability. The ratio p/q can be any positive number.",
        ),
        (
            torch.sigmoid(logits) / pile,
            "this is made of D, a probability. From D the odds are D/(1 - D).",
        ),
        (
            ratio * (n_real + n_fake) / n_fake,
            "the prior odds are n_real to n_fake, not n_real to n_real + n_fake.",
        ),
        (
            ratio * pile * (n_real + n_fake) / n_real,
            "the prior odds are n_real to n_fake, not n_real to n_real + n_fake.",
        ),
        (
            ratio * pile - pile,
            "the constant belongs to the logit. Take its logarithm away before the exponential,"
            " or divide after it.",
        ),
        (
            ratio * pile * math.exp(-pile),
            "the constant is the logarithm of the ratio of the piles, not the ratio.",
        ),
        *(
            (
                base ** ratio.log(),
                f"the logit is a natural logarithm. Its inverse is exp, not a power of {base:g}.",
            )
            for base in (2.0, 10.0)
        ),
        (
            2.0**logits / pile,
            "the logit is a natural logarithm. Its inverse is exp, not a power of 2.",
        ),
        (
            10.0**logits / pile,
            "the logit is a natural logarithm. Its inverse is exp, not a power of 10.",
        ),
        (
            torch.softmax(logits, 0),
            "this is normalised over the points. Each point has a ratio of its own.",
        ),
        (
            ratio / ratio.sum(),
            "this is normalised over the points. Each point has a ratio of its own.",
        ),
        (
            ratio.clamp(max=1),
            "this is cut off at 1. The ratio p/q can be any positive number.",
        ),
        truth=ratio,
    )
    require(
        (found > 0) | ~torch.isfinite(found),
        "a ratio of densities is positive; some of yours are not. Undo the logarithm.",
    )
    same(found, ratio, "the ratios are wrong. Start from: logit = log p/q + log(n_real/n_fake).")


@exercise("1.2")
def best_discriminator(answer):
    """Draws D* and the total density first, and makes p and q from them.

    Then every point is shifted by another number of nats, so that one common shift, taken from
    the largest of all, doesn't help. At the edges D* is 0 or 1.
    """
    best, total = torch.rand(2, 50, dtype=torch.float64) * 0.98 + 0.01
    log_p, log_q = (best * total).log(), ((1 - best) * total).log()
    found = tensor(answer(log_p.clone(), log_q.clone()), (50,))
    odds = best / (1 - best)
    recognise(
        found,
        (1 - best, "this is q/(p + q), the probability of fake. D is the probability of real."),
        (odds, "this is the ratio p/q. D = p/(p + q) is a probability, between 0 and 1."),
        (1 / odds, "this is the ratio q/p. D = p/(p + q) is a probability, between 0 and 1."),
        (odds.log(), "this is the logit of D*. Turn it into a probability."),
        (-odds.log(), "this is the logit of 1 - D*: q against p, and no probability."),
        (log_p / (log_p + log_q), "you have put log p and log q where the formula has p and q."),
        (log_q / (log_p + log_q), "you have put log p and log q where the formula has p and q."),
        (best / 2, "this is half of D*: p over p + q, not over 2(p + q)."),
        (best.log(), "this is log D*. One step is missing: undo the logarithm."),
        (
            best * total,
            "this is p. D* is its share of p + q.",
        ),
        (
            torch.sigmoid(log_p),
            "this is a sigmoid of log p alone: q is not in it.",
        ),
        (
            torch.sigmoid(log_p + log_q),
            "the logarithm of a ratio is a difference: log p - log q, not a sum.",
        ),
        (
            torch.sigmoid(log_p / log_q),
            "the logarithm of p/q is log p - log q, not log p over log q.",
        ),
        (torch.sigmoid(odds), "the sigmoid takes the logarithm of the ratio, not the ratio."),
        (torch.tanh(odds.log()), "tanh runs from -1 to 1. A probability wants the sigmoid."),
        (odds.log().clamp(0, 1), "this is the logit, cut off. A probability wants the sigmoid."),
        (best.round(), "this is rounded: a verdict. D* is a probability."),
        (
            best * (1 - best),
            "this is D*(1 - D*). D* is the share of p in p + q.",
        ),
        (
            torch.softmax(odds.log(), 0),
            "this is normalised over the points. Each point has a D* of its own.",
        ),
        truth=best,
    )
    same(found, best, "these are not the values of p/(p + q).")

    away = 4000 * torch.rand(50, dtype=torch.float64) - 2000
    for shift in (torch.full((50,), -2000.0), torch.full((50,), 2000.0), away, -away):
        far = tensor(answer(log_p + shift, log_q + shift), (50,))
        require(
            torch.isfinite(far),
            "far away, where p and q underflow or overflow, you get NaN."
            " Don't compute p and q: use log p - log q.",
        )
        same(
            far,
            best,
            "a factor common to p and q must cancel at each point, however small it is, and"
            " whatever it is at the other points. Use log p - log q.",
        )
    lead = torch.tensor([-3000.0, -800.0, -30.0, 0.0, 30.0, 800.0, 3000.0], dtype=torch.float64)
    edge = tensor(answer(lead - 1250, torch.full_like(lead, -1250)), lead.shape)
    require(
        torch.isfinite(edge),
        "where one density is e^800 times the other or more, you get NaN. There D* is 0 or 1."
        " Which function turns a logit into a probability without overflow?",
    )
    same(
        edge,
        torch.sigmoid(lead),
        "where one density is far above the other, D* should be 0 or 1; yours is not.",
    )


@exercise("1.3")
def discriminator_loss(answer):
    """Draws probabilities first and makes the logits from them. The two batches differ in size."""
    for n_real, n_fake in ((40, 90), (64, 64), (1, 3)):
        _loss_of(answer, n_real, n_fake)
    _slopes_of(answer)
    sure = tensor(answer(torch.full((3, 1), -1000.0), torch.full((4, 1), 1000.0)), ())
    require(
        torch.isfinite(sure) & ((sure - 2000).abs() < 1),
        f"logits of -1000 on real and 1000 on fakes should cost 2000; you have {sure:.4g}. "
        "Don't take the logarithm of a sigmoid or of 1 + exp, nor clip one:"
        " use a function of logits.",
    )


def _loss_of(answer, n_real, n_fake):
    on_real = torch.rand(n_real, 1, dtype=torch.float64) * 0.98 + 0.01
    on_fake = torch.rand(n_fake, 1, dtype=torch.float64) * 0.98 + 0.01
    real, fake = on_real.log() - (1 - on_real).log(), on_fake.log() - (1 - on_fake).log()
    real_term, fake_term = -on_real.log().mean(), -(1 - on_fake).log().mean()
    loss = real_term + fake_term
    terms = torch.cat([-on_real.log(), -(1 - on_fake).log()])
    back = answer(real.clone(), fake.clone())
    if isinstance(back, torch.Tensor) and 1 < back.numel():
        require(
            False,
            f"one number should come back, not {tuple(back.shape)}: take the mean over real and"
            " the mean over fakes, and add them.",
        )
    found = tensor(back, ())
    twice = -logsigmoid(on_real).mean() - logsigmoid(-on_fake).mean()
    recognise(
        found,
        (
            twice,
            "the sigmoid is still applied twice: the loss function has `with_logits` in its name.",
        ),
        (
            -logsigmoid(on_real).mean() + fake_term,
            "on real points the sigmoid is still applied twice.",
        ),
        (
            real_term - logsigmoid(-on_fake).mean(),
            "on fakes the sigmoid is still applied twice.",
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
            -(1 - on_real).log().mean() + fake_term,
            "the real points have label 0. Real is 1, fake is 0.",
        ),
        (
            terms.mean(),
            "this is one mean over all points."
            " Take a mean over real and a mean over fakes, and add them.",
        ),
        (
            2 * terms.mean(),
            "this is twice one mean over all points."
            " Take a mean over real and a mean over fakes, and add them.",
        ),
        (terms.sum(), "this is a sum over points. V is made of expectations: take means."),
        (loss / 2, "this is half of -V: add the two means."),
        (2 * loss, "this is twice -V: add the two means."),
        (real_term, "the fakes are missing: V has two terms."),
        (fake_term, "the real points are missing: V has two terms."),
        (real_term - fake_term, "the term of the fakes has the wrong sign."),
        (fake_term - real_term, "the term of the real points has the wrong sign."),
        (loss / math.log(2), "this is in bits. The course counts in nats: natural logarithms."),
        (
            on_fake.mean() - on_real.mean(),
            "the logarithms are missing: V is made of log D and log(1 - D).",
        ),
        (
            fake.mean() - real.mean(),
            "this is a difference of mean logits. V is made of log D and log(1 - D).",
        ),
        (
            (1 - real).relu().mean() + (1 + fake).relu().mean(),
            "this is the hinge loss. Asked for is -V, a cross-entropy.",
        ),
        (
            ((1 - on_real) ** 2).mean() + (on_fake**2).mean(),
            "this is a squared error. Asked for is -V, a cross-entropy.",
        ),
        truth=loss,
    )
    same(
        found,
        loss,
        "this is not -V. Compare with V = mean log D(real) + mean log(1 - D(fake)), term by term.",
    )


def _slopes_of(answer):
    """A loss is there to be descended: its slopes in the logits are (D - 1)/N and D/M."""
    real = torch.linspace(-3, 3, 10, dtype=torch.float64)[:, None].requires_grad_()
    fake = torch.linspace(-2, 4, 14, dtype=torch.float64)[:, None].requires_grad_()
    loss = answer(1 * real, 1 * fake)  # no leaves: those may not be changed in place
    require(
        isinstance(loss, torch.Tensor) and loss.requires_grad,
        "the loss is right, but D can't learn from it: it has no graph. Return a tensor, computed"
        " from the logits by torch alone, without `.detach()`, `.item()`, numpy or `no_grad`.",
    )
    slopes = torch.autograd.grad(loss.sum(), (real, fake), allow_unused=True)
    for slope, logits, label, name in zip(
        slopes, (real, fake), (1, 0), ("real points", "fakes"), strict=True
    ):
        require(
            slope is not None and slope.abs().max() > 0,
            f"the loss is right, but its slope in the logits of the {name} is missing: D would"
            " learn nothing from them. Is there a `.detach()`, or a new tensor, on the way?",
        )
        same(
            slope,
            (logits.sigmoid() - label).detach() / len(logits),
            f"the loss is right, but not its slope in the logits of the {name}.",
        )


@exercise("1.4")
def box_inside_box(answer):
    """Integrates on cells; never uses the formula."""
    for w in (1.3 + random.random(), 3 + 4 * random.random(), 20 + 9 * random.random(), 1.0):
        both = "return two numbers, D* inside [0, 1] and C(G), as `return best, cost`"
        at = f"at w = {w:.3g}"
        best, cost = parts(answer(w), 2, both)
        best, cost = number(best, f"{at}, D*"), number(cost, f"{at}, C")
        right, truth = 1 / (1 + 1 / w), _cost_of_boxes(w)
        jsd = (truth + math.log(4)) / 2
        if w > 1:  # at w = 1 half of these mistakes give the right number
            if near(best, truth, atol=1e-3) and near(cost, right, atol=1e-3):
                require(False, f"{both}: yours are in the other order.")
            _wrong_boxes(at, w, best, cost, right, truth, jsd)
        require(
            abs(best - right) < 1e-3,
            f"{at}, D* inside [0, 1] is not {best:.4f}. There p = 1 and q = 1/w.",
        )
        require(
            abs(cost - truth) < 1e-3,
            f"{at}, C is not {cost:.4f}. Which share of the fakes is inside [0, 1]?",
        )


def _wrong_boxes(at, w, best, cost, right, truth, jsd):
    if abs(best - right) > 1e-3:
        recognise_number(
            best,
            (
                1 - right,
                f"{at}, your D* is the probability of fake."
                " It is p/(p + q), with p = 1 and q = 1/w.",
            ),
            (w, f"{at}, your D* is the ratio p/q."),
            (1 / w, f"{at}, your D* is the ratio q/p. It is p/(p + q)."),
            (1.0, f"{at}, your D* is 1, as if no fake fell inside [0, 1]."),
            (math.log(w), f"{at}, your D* is a logit, log p/q. Turn it into a probability."),
            (
                0.5,
                f"{at}, your D* is 1/2. That is so only at w = 1;"
                " elsewhere q = 1/w is smaller than p = 1.",
            ),
        )
    if abs(cost - truth) <= 1e-3:
        return
    recognise_number(
        cost,
        (jsd, f"{at}, your C is the JSD. C(G) = -log 4 + 2 JSD."),
        (2 * jsd, f"{at}, your C is 2 JSD. The constant -log 4 is missing."),
        (
            jsd - math.log(4),
            f"{at}, your C has the JSD once. C(G) = -log 4 + 2 JSD has it twice.",
        ),
        (
            2 * jsd - math.log(2),
            f"{at}, your C has the constant -log 2. It is -log 4: log 1/2 + log 1/2.",
        ),
        (2 * jsd + math.log(4), f"{at}, your C has +log 4. The constant is -log 4."),
        (
            -truth,
            f"{at}, your C has the wrong sign:"
            " it is a mean of logarithms of probabilities, so below 0.",
        ),
        (truth / 2, f"{at}, your C is half of it: add the two means."),
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
            f"{at}, your C takes all fakes to be inside [0, 1]. Only a share 1/w of them is.",
        ),
        (
            math.log(right) - math.log(1 - right) / w,
            f"{at}, the term of the fakes has the wrong sign in your C.",
        ),
        (
            math.log(right) + (1 - 1 / w) * math.log(1 - right),
            f"{at}, your C takes a share 1 - 1/w of the fakes to be inside [0, 1]. It is 1/w.",
        ),
        (
            math.log(1 - right) + math.log(right) / w,
            f"{at}, your C has D* on the fakes and 1 - D* on real points. Exchange them.",
        ),
        (
            math.log(right) + w * math.log(1 - right),
            f"{at}, your C weighs the fakes by w. A share 1/w of them is inside [0, 1].",
        ),
        (
            math.log(right),
            f"{at}, your C has the real term alone. Add that of the fakes inside [0, 1].",
        ),
        (
            math.log(1 - right) / w,
            f"{at}, your C has the term of the fakes alone. Add that of the real points.",
        ),
        (-math.log(4), f"{at}, your C is -log 4. That is so only at w = 1."),
    )


@exercise("1.5", value=True)
def comb_prediction(answer):
    """Measures the JSD of two combs, and lets that decide."""
    words = ("falls", "stays", "rises")
    word = answer.strip().strip("\"'.!").lower() if isinstance(answer, str) else answer
    require(
        isinstance(word, str) and word in words,
        f"write one of the three words {words}; you wrote {_short(answer)}.",
    )
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
    require(word == truth, hints.get(word, ""))


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@exercise("1.6")
def estimate_jsd(answer):
    """Samples with p and q as exact histograms, log p/q as logits: the estimate is the JSD."""
    for _ in range(2):
        _estimate_of(answer)
    blind = tensor(answer(torch.zeros(5), torch.zeros(8)), ())
    require(
        blind.abs() < 1e-5, f"logits of 0 say that p = q, so the JSD is 0; you have {blind:.4g}."
    )
    sure = tensor(answer(torch.full((5,), 1000.0), torch.full((8,), -1000.0)), ())
    require(
        (sure - math.log(2)).abs() < 1e-5,
        "logits of 1000 on real and -1000 on fakes tell them apart for certain: log 2."
        f" You have {sure:.4g}."
        " Don't take the logarithm of a probability that rounds to 0: use logsigmoid.",
    )
    wrong = tensor(answer(torch.full((5,), -1000.0), torch.full((8,), 1000.0)), ())
    require(
        (wrong - (math.log(4) - 2000) / 2).abs() < 0.1,
        "a D that is certain and wrong has V = -2000."
        f" Your estimate, {wrong:.4g}, is not (log 4 - 2000)/2."
        " Don't take the logarithm of a probability, not even with a small number added, and cut"
        " nothing off: use logsigmoid.",
    )
    off = tensor(answer(torch.full((3,), -0.5), torch.full((2,), 0.5)), ())
    same(
        off,
        logsigmoid(torch.tensor(-0.5)) + math.log(2),
        "a D that is wrong on average has V below -log 4, and so an estimate below 0."
        " Don't cut it off or take its absolute value: it would hide a bad D.",
    )


def _estimate_of(answer):
    more = torch.tensor([20, 0, 0, 0, 0, 0])  # q leans the other way, and has more points
    p = torch.randint(1, 9, (6,)) + more
    q = torch.randint(1, 9, (6,)) + 7 * more.flip(0) // 2
    ratio = (p / p.sum()).log().double() - (q / q.sum()).log().double()
    real, fake = ratio.repeat_interleave(p), ratio.repeat_interleave(q)
    truth = _jsd(p.double() / p.sum(), q.double() / q.sum())
    V = 2 * truth - math.log(4)
    back = answer(real.clone(), fake.clone())
    if isinstance(back, torch.Tensor) and 1 < back.numel():
        require(
            False,
            f"one number should come back, not {tuple(back.shape)}: take a mean over each pile.",
        )
    found = tensor(back, ())
    D_real, D_fake = real.sigmoid(), fake.sigmoid()
    real_term, fake_term = D_real.log().mean(), (1 - D_fake).log().mean()
    recognise(
        found,
        (V, "this is V. Solve V = -log 4 + 2 JSD for the JSD."),
        (-V, "this is -V, D's loss. Solve V = -log 4 + 2 JSD for the JSD."),
        (V / 2, "the constant is missing: JSD = (V + log 4)/2."),
        (V + math.log(4), "a factor 1/2 is missing: V = -log 4 + 2 JSD has the JSD twice."),
        (
            V / 2 + math.log(4),
            "the constant has to be halved as well: JSD = (V + log 4)/2.",
        ),
        (
            (V - math.log(4)) / 2,
            "log 4 has the wrong sign: the JSD of equal densities is 0, and there V = -log 4.",
        ),
        (
            (-V + math.log(4)) / 2,
            "V has the wrong sign: it is the sum of two mean log-probabilities, below 0.",
        ),
        (
            -truth,
            "the sign is turned: JSD = (V + log 4)/2, with V below 0.",
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
        (
            (_pooled_mean(real, fake) + math.log(4)) / 2,
            "this is one mean over all points. Each pile needs a mean of its own.",
        ),
        (
            (real_term * len(real) + fake_term * len(fake) + math.log(4)) / 2,
            "these are sums over points. V is made of expectations: take means.",
        ),
        (
            ((1 - D_real).log().mean() + D_fake.log().mean() + math.log(4)) / 2,
            "real and fake are exchanged: V is mean log D(real) + mean log(1 - D(fake)).",
        ),
        (
            (real_term + D_fake.log().mean() + math.log(4)) / 2,
            "on fakes V has log(1 - D), not log D.",
        ),
        (
            (real_term - D_fake.log().mean() + math.log(4)) / 2,
            "on fakes V has log(1 - D), not -log D.",
        ),
        (
            (real_term - fake_term + math.log(4)) / 2,
            "the term of the fakes has the wrong sign: V is a sum of two means.",
        ),
        (
            (logsigmoid(D_real).mean() + logsigmoid(-D_fake).mean() + math.log(4)) / 2,
            "the sigmoid is applied twice: logsigmoid takes logits, not probabilities.",
        ),
        ((real_term + math.log(4)) / 2, "the fakes are missing: V has two terms."),
        ((fake_term + math.log(4)) / 2, "the real points are missing: V has two terms."),
        (
            (D_real.mean() + (1 - D_fake).mean() + math.log(4)) / 2,
            "the logarithms are missing: V is made of log D and log(1 - D).",
        ),
        (
            (real.mean() - fake.mean() + math.log(4)) / 2,
            "these are mean logits. V is made of log D and log(1 - D).",
        ),
        (
            (real.mean() - fake.mean()) / 2,
            "this is half the difference of mean logits, a divergence, but another one: V is made"
            " of log D and log(1 - D).",
        ),
        truth=truth,
    )
    same(
        found, truth, "this is not (V + log 4)/2 with V = mean log D(real) + mean log(1 - D(fake))."
    )


def _pooled_mean(real, fake):
    return torch.cat([logsigmoid(real), logsigmoid(-fake)]).mean()


def _pooled(real, fake):
    return (_pooled_mean(real, fake) * 2 + math.log(4)) / 2


def _jsd(p, q):
    """Jensen-Shannon divergence in nats of two histograms (K,) that sum to 1."""
    m = (p + q) / 2
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum() / 2  # m is 0 nowhere in the checks


def _cost_of_boxes(w):
    """C(G) for uniform densities on [0, 1] and [0, w], by adding up cells."""
    cells = (torch.arange(200_000, dtype=torch.float64) + 0.5) * w / 200_000
    p = (cells < 1).double()
    return 2 * _jsd(p / p.sum(), torch.full_like(p, 1 / len(p))).item() - math.log(4)


def _jsd_to_uniform(heights):
    return _jsd(torch.full_like(heights, 1 / len(heights)), heights / heights.sum()).item()
