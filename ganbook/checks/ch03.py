"""Checks of chapter 3, why training fails."""

import cmath
import math
import random
from collections.abc import Mapping

import numpy as np
import torch

from ganbook.checks import (
    Mistake,
    count,
    exercise,
    kind,
    near,
    number,
    on_copies,
    parts,
    recognise,
    recognise_number,
    require,
    same,
    tensor,
)
from ganbook.explorers import phase


@exercise("3.5")
def noisy_eigenvalues(answer):
    """Derives the velocities by autograd, the noise by quadrature; never uses the formula."""
    for s in (random.uniform(0.3, 1.2), random.uniform(1.6, 2.5), random.uniform(0.3, 1.2), 0.0):
        back = answer(s)
        found = parts(
            list(back) if isinstance(back, (set, frozenset)) else back,
            2,
            "the two eigenvalues should come back, as `return a, b`",
        )
        at = f"at s = {s:.3g}"
        found = [_complex(value, at) for value in found]
        J = _noisy_jacobian(s)
        right = _eigenvalues(J)
        real = [value.real for value in right]
        below = (J[1, 1] / 2).item() ** 2 - 0.25
        without_i = [J[1, 1].item() / 2 + sign * math.sqrt(abs(below)) for sign in (1, -1)]
        if s:
            _recognise_pair(
                found,
                right,
                (
                    _eigenvalues(-J),
                    f"{at}, the signs are those of a game that runs away."
                    " Noise damps: -s²/4 in front.",
                ),
                (
                    _eigenvalues(J * torch.tensor([[1.0, 1], [1, 0.5]])),
                    f"{at}, this is the noise of one side only."
                    " Both the datum and the fake have it.",
                ),
                (
                    _eigenvalues(J * torch.tensor([[1.0, 1], [1, 2.0]])),
                    f"{at}, the damping is twice what it should be:"
                    " the second derivative of log σ at 0 is -1/4.",
                ),
                (
                    _eigenvalues(J * torch.tensor([[1.0, 1], [1, 1 / s]])),
                    f"{at}, you have s where its square belongs: the mean of (sε)² is s².",
                ),
                (
                    _eigenvalues(J * torch.tensor([[1.0, 1], [1, s**2]])),
                    f"{at}, you have the fourth power of s: the mean of (sε)² is s².",
                ),
                (
                    _eigenvalues(J * torch.tensor([[1.0, 2], [2, 1]])),
                    f"{at}, the entries beside the diagonal are ±1/2, not ±1: σ(0) = 1/2.",
                ),
                (
                    _eigenvalues(J * torch.tensor([[1.0, 1], [-1, 1]])),
                    f"{at}, the entries beside the diagonal have the same sign:"
                    " G goes down V, D goes up.",
                ),
                (
                    _eigenvalues(J * torch.tensor([[1.0, 1], [1, 0]])),
                    f"{at}, the noise has no effect on your result.",
                ),
                (
                    [2 * value for value in right],
                    f"{at}, both are twice too large:"
                    " the roots of λ² + bλ + c have a division by 2.",
                ),
                (real, f"{at}, these are the real parts alone: the roots may be complex."),
                *(
                    ([value, value], f"{at}, this is one eigenvalue twice: the root has two signs.")
                    for value in right
                ),
                (
                    [J[1, 1].item() / 2 + sign * 1j * math.sqrt(abs(below)) for sign in (1, -1)],
                    f"{at}, the root is real: under it stands {below:.3f}.",
                ),
                (
                    without_i,
                    f"{at}, the root has lost its i or its sign: under it stands"
                    f" {below:.3f}, and cmath.sqrt takes negative numbers.",
                ),
            )
        require(
            _close_pair(found, right),
            f"{at}, the eigenvalues are not {found[0]:.3f} and {found[1]:.3f}."
            " Derive the four entries of J first: only that of ψ' in ψ depends on s.",
        )


@exercise("3.1")
def alternating_round(answer):
    """Compares one round with D's and G's slopes by autograd, G's at D's new parameter."""
    for signs in ((1, -1), (-1, -1), (1, 1), (-1, 1), (0, 1)):
        theta, psi = (sign * random.uniform(0.3, 1.5) for sign in signs)
        h = random.uniform(0.3, 1.0)
        names = ("theta", "psi")
        back = parts(
            answer(theta, psi, h),
            2,
            "the two new parameters should come back, as `return theta, psi`",
        )
        found = [number(value, name) for value, name in zip(back, names, strict=True)]
        new_psi = psi + h * _slope(theta, psi)[1]
        right = theta - h * _slope(theta, new_psi)[0], new_psi
        g_first = theta - h * _slope(theta, psi)[0]
        old_sigma = theta + h * new_psi / (1 + math.exp(-psi * theta))
        old_psi = theta + h * psi / (1 + math.exp(-new_psi * theta))
        wrong_psi = psi - h * _slope(theta, psi)[1]
        minus_psi = psi - h * theta / (1 + math.exp(psi * theta))
        bare_psi, half_psi = psi - h * theta, psi - h * theta / 2
        g_move = right[0] - theta
        mistakes = (
            (
                (g_first, new_psi),
                "this is still the simultaneous round: G answers the D before its move.",
            ),
            (
                (g_first, psi + h * _slope(g_first, psi)[1]),
                "here G moves first. The exercise asks for D first, as GANs have it.",
            ),
            (
                (old_sigma, new_psi),
                "G uses the new ψ, but the old probability: σ(ψθ) has to be computed again.",
            ),
            (
                (old_psi, new_psi),
                "G uses the new probability, but its slope still has the old ψ in front.",
            ),
            (right[::-1], "the two come back in the wrong order: theta first, then psi."),
            (
                (theta + h * _slope(theta, wrong_psi)[0], wrong_psi),
                "both signs are turned: D goes up V, G goes down.",
            ),
            (
                (theta - h * _slope(theta, wrong_psi)[0], wrong_psi),
                "D's sign is turned: D goes up V.",
            ),
            (
                (theta + h * _slope(theta, new_psi)[0], new_psi),
                "G's sign is turned: G goes down V.",
            ),
            (
                (theta + h * new_psi / (1 + math.exp(new_psi * theta)), new_psi),
                "G plays the non-saturating loss, σ(−ψθ). The code above has σ(ψθ) for both.",
            ),
            (
                (theta + h * minus_psi / (1 + math.exp(minus_psi * theta)), minus_psi),
                "both players have the probability σ(−ψθ). The code above has σ(ψθ).",
            ),
            (
                (theta + h * bare_psi, bare_psi),
                "the probability σ(ψθ) is missing from both moves.",
            ),
            (
                (theta + h * half_psi / 2, half_psi),
                "σ(ψθ) is 1/2 only where ψθ = 0. Compute it for each move.",
            ),
            ((theta + g_move / h, new_psi), "G's move has to be multiplied by h too."),
            (
                (right[0], psi),
                "G is right, but ψ comes back as it was before D's move.",
            ),
            ((theta, new_psi), "G has not moved."),
            ((theta, psi), "neither player has moved."),
            (
                (right[0] - theta, right[1] - psi),
                "these are the two moves. Add them to theta and psi.",
            ),
        )
        if 0 not in signs:  # at 0 mistakes coincide
            recognise(_row(found), *mistakes, truth=_row(right))
        same(
            _row(found),
            _row(right),
            f"from (θ, ψ) = ({theta:.2f}, {psi:.2f}) with h = {h:.2f} a round ends at"
            f" ({right[0]:.4f}, {right[1]:.4f}),"
            f" not at ({found[0]:.4f}, {found[1]:.4f}).",
        )


@exercise("3.6")
def consensus(answer):
    """Uses linear fields, whose consensus step is a matrix, and one that is not linear."""
    for n in (4, 7):
        J = torch.randn(n, n, dtype=torch.float64)
        z, h, w = (
            torch.randn(n, dtype=torch.float64),
            random.uniform(0.05, 0.5),
            random.uniform(0.5, 2.0),
        )
        found = tensor(answer(lambda z, J=J: J @ z, z.clone(), h, w), (n,))
        v, pull = J @ z, J.T @ (J @ z)
        right = z + h * (v - w * pull)
        recognise(
            found,
            (z + h * v, "this is the plain step: w has no effect."),
            (z + h * (v + w * pull), "this walks up ½‖v‖². The gradient is to be subtracted."),
            (
                z + h * (v - 2 * w * pull),
                "the factor ½ of ½‖v‖² is missing, so the pull is twice too strong.",
            ),
            (
                z + h * (v - w / n * pull),
                "this is the gradient of a mean of squares. ‖v‖² is their sum.",
            ),
            (
                z + h * (v - 2 * w / n * pull),
                "this is the gradient of the mean of squares. Take half of their sum.",
            ),
            (
                z + h * v - w * pull,
                "the pull has to be multiplied by h too: it is part of the velocity.",
            ),
            (z - h * w * pull, "the velocity v itself is missing."),
            (
                z - h * (v - w * pull),
                "the step goes backwards: h (v - w ∇½‖v‖²) is to be added.",
            ),
            (z + w * (v - h * pull), "h and w are exchanged: h is the size of the step."),
            (z + h * (v - h * w * pull), "the pull has been multiplied by h twice."),
            (z - h * (v + w * pull), "v has the wrong sign: it is a velocity, so it is added."),
            (h * (v - w * pull), "this is the move alone. Add it to z."),
            (z + v - w * pull, "the step size h has no effect."),
            (z + h * (v - pull), "the weight w has no effect: your pull has the weight 1."),
            (
                z + h * (v - w * J @ v),
                "this is Jv. The gradient of ½‖v‖² is Jᵀv: the Jacobian is transposed.",
            ),
            (
                z + h * (v - w * v),
                "the pull is v itself, so ½‖v‖² was differentiated by v. Differentiate it by z.",
            ),
            (
                z + h * (v - w * pull / v.norm()),
                "this is the gradient of ‖v‖. The exercise has ½‖v‖², without the root.",
            ),
            (
                z + h * (v - w * J.T.sum(dim=1)),
                "this is the gradient of the sum of v. Square v first, and halve it.",
            ),
            (
                z + h * (v - w * z),
                "the pull is z, as if ½‖z‖² were to fall. It is ½‖v(z)‖².",
            ),
            truth=right,
        )
        same(found, right, "this is not z + h (v - w ∇½‖v‖²) for a linear v.")
    found = tensor(answer(lambda z: torch.tanh(J @ z), z.clone(), h, w), (n,))
    v = torch.tanh(J @ z)
    right = z + h * (v - w * J.T @ (v * (1 - v**2)))
    same(found, right, "for a v that is not linear the step is wrong: don't assume a matrix.")
    given = z.clone()
    found = tensor(answer(lambda z: J @ z, given, h, w), (n,))
    require(torch.equal(given, z), "your function overwrites z: work on a copy, z.clone().")
    again = answer(lambda z: J @ z, given, h, w)
    require(
        near(tensor(again, (n,)), found),
        "a second step from the same z ends elsewhere: gradients add up in z.grad."
        " Use torch.autograd.grad, or a detached copy of z.",
    )
    for part in again if isinstance(again, (list, tuple)) else [again]:
        require(
            getattr(part, "grad_fn", None) is None,
            "what you return still hangs on the graph:"
            " a long run would keep every step in memory. Detach it.",
        )
        require(
            not getattr(part, "requires_grad", False),
            "what you return still asks for gradients. Detach it.",
        )


@exercise("3.2", value=True)
def fates(answer):
    """Lets the eigenvalues of each step decide."""
    names, words = tuple("abcde"), ("in", "round", "out")
    form = 'write a dictionary with a word for each game, {"a": "in", "b": ...}, from a to e.'
    require(isinstance(answer, Mapping), form)
    answer = {_word(name): _word(word) for name, word in answer.items()}
    missing = [name for name in names if name not in answer]
    require(not missing, f"{form} There is no {', '.join(missing)}.")
    require(len(answer) == len(names), f"{form} There are only five games.")
    for name, word in answer.items():
        require(
            word in words,
            f"{name}: write one of the three words {', '.join(words)}; you wrote {word!r:.40}.",
        )
    games = {
        "a": ("simultaneous", 0.001, 0.0),
        "b": ("alternating", 3.5, 0.0),
        "c": ("extragradient", 1.5, 0.0),
        "d": ("simultaneous", 3.0, 0.5),
        "e": ("optimistic", 1.5, 0.0),
    }
    hints = {
        "a": "is a small step small enough? |1 + ihκ| = √(1 + (hκ)²). Compare it with 1.",
        "b": "α = hκ = 1.75. What is the bound for alternating steps, and what is |λ| below it?",
        "c": "α = hκ = 0.75. Put it into √(1 - α² + α⁴).",
        "d": "R1 allows h < γ/κ², as long as the game swings. What is γ/κ² here?",
        "e": "α = hκ = 0.75. The bound of the optimistic step is 1/√3.",
    }
    for name in names:
        size = phase.growth(*games[name])
        fate = "in" if size < 1 - 1e-9 else "round" if size < 1 + 1e-9 else "out"
        require(answer[name] == fate, f"game {name} does not go {answer[name]!r}: {hints[name]}")


@exercise("3.3")
def three_numbers(answer):
    """Puts points at known distances of known modes: all three numbers follow by counting."""
    K, std = random.randint(5, 7), random.uniform(0.05, 0.1)
    # Mode 0: good samples only. 1: good and bad. 2: only samples beyond 3 std. The rest: none.
    rows = ((0, 40, 2.5), (1, 10, 2.9), (1, 20, 3.5), (2, 10, 10.0))
    count_, quality, kl, points, centers = _three(answer, K, std, 2, rows)
    share = torch.tensor([4 / 8, 3 / 8, 1 / 8, *[0] * (K - 3)]).double()
    good_share = torch.tensor([4 / 5, 1 / 5, *[0] * (K - 2)]).double()
    right_kl = _kl_to_uniform(share)
    require(
        count_ != 3,
        "you count the modes near any sample. A mode counts with a sample within 3 std of it.",
    )
    require(count_ != K, "you count all centers. A mode counts with a sample within 3 std of it.")
    require(count_ != 50, "this is the number of good samples. Count the modes that they are at.")
    require(
        count_ == 2,
        "there are samples within 3 std of 2 modes, some of them at 2.9 std;"
        f" you count {count_:g}.",
    )
    recognise_number(
        quality,
        (
            0.0,
            "no sample is of high quality to you."
            " Are you comparing a squared distance, or a sum over all centers?",
        ),
        (1.0, "every sample is of high quality to you: some lie 3.5 and 10 std from their mode."),
        (70 / 80, "samples at 3.5 std pass with you. The bound is 3."),
        (30 / 80, "this is the share of bad samples."),
        (50.0, "this is the number of good samples. Divide by the number of all."),
        (62.5, "this is in percent. Give the share, from 0 to 1."),
        (50 / 80 / K, "you divide by the number of sample-center pairs. Divide by the samples."),
        truth=50 / 80,
    )
    same(quality, 50 / 80, f"50 of the 80 samples lie within 3 std: 0.625, not {quality:.4g}.")
    require(
        not math.isnan(kl), "the reverse KL is NaN: 0 log 0 counts as 0. `torch.xlogy` knows that."
    )
    require(
        math.isfinite(kl),
        "the reverse KL is infinite. Is it KL(uniform ‖ share)? The shares stand first.",
    )
    recognise_number(
        kl,
        (
            _kl_to_uniform(good_share),
            "your shares are those of good samples. The definition has all samples.",
        ),
        (right_kl / math.log(2), "this is in bits. The course counts in nats: natural logarithms."),
        (-right_kl, "the sign is turned: a KL divergence is never negative."),
        (
            right_kl - math.log(K),
            "this is minus the entropy of the shares. Compare with uniform: log(share * K).",
        ),
        (
            math.log(K) - right_kl,
            "this is the entropy of the shares. The KL to uniform is log K minus that.",
        ),
        (right_kl / K, "this is a mean over the modes. A KL is a sum, weighted by the shares."),
        (right_kl * len(points), "use shares, not counts: they sum to 1."),
        (
            _kl_to_uniform(share[:3]),
            "your uniform covers only the modes that have samples. It covers all of them.",
        ),
        (
            (share[:3] * K).log().sum().item(),
            "each log has to be weighted by its share: Σ share · log(share · K).",
        ),
        truth=right_kl,
    )
    same(kl, right_kl, f"the reverse KL is {right_kl:.4f} here, not {kl:.4f}.")

    # In space; one good sample is enough for a mode; K, std and n differ.
    rows = ((0, 97, 1.0), (1, 1, 2.0), (1, 30, 5.0), (3, 23, 4.0))
    count_, quality, kl, *_ = _three(answer, 4, 0.4, 3, rows)
    require(
        count_ == 2,
        "in 3 dimensions, with one good sample of 151 at a second mode, 2 modes count;"
        f" you count {count_:g}. One sample is enough, near or far from the others.",
    )
    same(quality, 98 / 151, f"98 of 151 samples in space are good, not {quality:.4g} of all.")
    right_kl = _kl_to_uniform(torch.tensor([97, 31, 0, 23]).double() / 151)
    same(
        kl,
        right_kl,
        f"of 151 samples at 4 modes the reverse KL is {right_kl:.4f}, not {kl:.4f}.",
    )

    # No good sample at all, and all modes as near.
    count_, quality, kl, *_ = _three(answer, 3, 0.1, 2, ((0, 5, 6.0), (1, 5, 6.0), (2, 5, 6.0)))
    require(
        count_ == 0 and near(quality, 0) and near(kl, 0),
        "15 samples, none within 3 std, 5 nearest to each of 3 modes: that is 0 modes, a share of 0"
        f" and a reverse KL of 0; you have {count_:g}, {quality:.4g} and {kl:.4g}.",
    )


@exercise("3.4")
def packed_logits(answer):
    """Gives D samples that carry numbers, so that what a pack holds can be read from its logit."""
    for n in (2 * random.randint(4, 9), 6, 2):
        real, fake = torch.randn(n, 2).double(), torch.randn(n, 2).double() + 100
        weights, seen = torch.randn(4).double(), []
        in_graph, learned = fake.clone().requires_grad_(), weights.clone().requires_grad_()

        def D(pairs, weights=learned, seen=seen):
            pairs = torch.as_tensor(pairs)
            require(
                pairs.ndim == 2 and pairs.shape[1] == 4,
                f"D takes pairs (., 4); you gave it the shape {tuple(pairs.shape)}.",
            )
            seen.append(pairs.detach().double())
            return pairs.double() @ weights

        back = on_copies(answer, D, real, in_graph)
        form = "two tensors of logits should come back, as `return real_logits, fake_logits`"
        back = parts(back, 2, form)
        require(bool(seen), "D was never called.")
        pairs, batch = torch.cat(seen), torch.cat([real, fake])
        gap, which = torch.cdist(pairs.view(-1, 2), batch).min(dim=1)
        require(
            gap < 1e-3, "the coordinates of samples are torn apart: a pair is (x1, y1, x2, y2)."
        )
        which = which.view(-1, 2)
        require(
            (which[:, 0] >= n) == (which[:, 1] >= n),
            "there are still pairs of a real and a fake. Pack each batch by itself.",
        )
        require(
            which[:, 0] != which[:, 1],
            "a sample is packed with itself. That is how a collapsed generator looks,"
            " not real data.",
        )
        logits = [
            tensor(part, (n // 2,), f"{n} {name} samples make {n // 2} pairs and as many logits")
            for part, name in zip(back, ("real", "fake"), strict=True)
        ]
        gaps = (torch.cat(logits)[:, None] - pairs @ weights).abs()
        require(
            gaps.amin(dim=1) < 1e-3,
            "some of what you return is no logit of D. Give back D's logits as they are.",
        )
        which = which[gaps.argmin(dim=1)]  # the pair behind each logit
        is_fake = which >= n
        half = is_fake[:, 0].view(2, -1)
        require(
            not (half[0].all() and not half[1].any()),
            "the two come back in the wrong order: those of real pairs first.",
        )
        require(
            half[1].all() and not half[0].any(),
            "the first tensor should have the logits of all real pairs, the second of all fake"
            " pairs: they are mixed.",
        )
        require(
            len(which.unique()) == 2 * n,
            "some samples are in several pairs and others in none. Each belongs to one pair.",
        )
        back = [
            torch.stack(list(part))
            if isinstance(part, (list, tuple)) and all(isinstance(x, torch.Tensor) for x in part)
            else part
            for part in back
        ]
        require(
            [isinstance(part, torch.Tensor) and part.requires_grad for part in back],
            "the logits are right, but not tensors with a graph, so neither D nor G can learn:"
            " no `.detach()`, `.item()`, `.tolist()` or `no_grad`.",
        )
        (slope,) = torch.autograd.grad(back[1].sum(), in_graph, allow_unused=True)
        require(
            slope is not None and (slope != 0).any(dim=1),
            "the logits are right, but fakes are detached on the way: G would learn nothing"
            " from those.",
        )


def _three(answer, K, std, dim, rows):
    """What comes back for samples at known distances, and the samples and centers.

    rows: (mode, how many samples, their distance from it in std) each.
    """
    centers = torch.zeros(K, dim).double()
    centers[:, 0] = 10 * std * 4 * torch.arange(K)
    centers[:, 1] = torch.rand(K).double()
    places = [centers[mode].repeat(n, 1) for mode, n, _ in rows]
    away = torch.randn(sum(n for _, n, _ in rows), dim).double()
    away = away / away.norm(dim=1, keepdim=True)
    reach = torch.cat([torch.full((n, 1), r * std).double() for _, n, r in rows])
    points = (torch.cat(places) + reach * away)[torch.randperm(len(away))]
    back = parts(
        on_copies(answer, points, centers, std),
        3,
        "three numbers should come back, as `return modes, quality, reverse_kl`",
    )
    try:
        kl = number(back[2], "reverse KL", infinite=True)
    except Mistake:
        if not _is_nan(back[2]):
            raise
        kl = math.nan
    return count(back[0], "modes"), number(back[1], "high quality"), kl, points, centers


def _is_nan(value) -> bool:
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError, RuntimeError):
        return False


def _noisy_jacobian(s):
    """The Jacobian (2, 2) of the Dirac-GAN with noise, by autograd.

    The Gaussian integral is a sum over a fine grid.
    """
    noise = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = torch.exp(-(noise**2) / 2)
    weight = weight / weight.sum()

    def velocity(z):
        theta, psi = z
        real, fake = psi * s * noise, psi * (theta + s * noise)
        log_sigmoid = torch.nn.functional.logsigmoid
        V = (weight * (log_sigmoid(real) + log_sigmoid(-fake))).sum()
        (slopes,) = torch.autograd.grad(V, z, create_graph=True)
        return slopes * torch.tensor([-1.0, 1.0])

    z = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    v = velocity(z)
    return torch.stack([torch.autograd.grad(v[k], z, retain_graph=True)[0] for k in range(2)])


def _eigenvalues(J):
    """Of a matrix (2, 2), sorted: by trace and determinant."""
    (a, b), (c, d) = J.tolist()
    half, root = (a + d) / 2, cmath.sqrt(((a - d) / 2) ** 2 + b * c)
    return sorted((half - root, half + root), key=lambda value: (value.real, value.imag))


def _slope(theta, psi):
    """The slopes of V in theta and in psi."""
    z = torch.tensor([theta, psi], dtype=torch.float64, requires_grad=True)
    torch.nn.functional.logsigmoid(-z.prod()).backward()
    return z.grad.tolist()


def _kl_to_uniform(share):
    return torch.xlogy(share, share * len(share)).sum().item()


def _row(values) -> torch.Tensor:
    return torch.tensor(list(values), dtype=torch.float64)


def _word(value):
    return value.strip().lower() if isinstance(value, str) else value


def _complex(value, at) -> complex:
    """An eigenvalue of any kind as a complex number, or a `Mistake`."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)):
            raise TypeError
        found = complex(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise Mistake(f"each eigenvalue is one number; one of yours is {kind(value)}.") from None
    require(
        cmath.isfinite(found),
        f"{at}, one of the eigenvalues is {found}. Of a negative number only `cmath.sqrt`"
        " has a root.",
    )
    return found


def _close_pair(found, right) -> bool:
    """Whether two pairs of complex numbers agree, in one order or the other."""
    return any(
        all(abs(a - b) < 1e-4 for a, b in zip(found, order, strict=True))
        for order in (right, right[::-1])
    )


def _recognise_pair(found, right, *mistakes) -> None:
    if _close_pair(found, right):
        return
    for value, message in mistakes:
        require(not _close_pair(found, value), message)
