"""Checks of chapter 3, why training fails."""

import cmath
import math
import random

import torch

from ganbook.checks import exercise, recognise, recognise_number, require, tensor
from ganbook.explorers import phase


@exercise("3.1")
def noisy_eigenvalues(answer):
    """Derives the velocities by autograd, the noise by quadrature; never uses the formula."""
    for s in (random.uniform(0.3, 1.2), random.uniform(1.6, 2.5), 0.0):
        try:
            found = [complex(value) for value in answer(s)]
        except TypeError:
            found = []
        require(len(found) == 2, "return the two eigenvalues, as `return a, b`.")
        found.sort(key=lambda value: (value.real, value.imag))
        J = _noisy_jacobian(s)
        right = _eigenvalues(J)
        at = f"at s = {s:.3g}"
        if s:
            _recognise_row(
                found,
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
                    _eigenvalues(J * torch.tensor([[1.0, 2], [2, 1]])),
                    f"{at}, the entries beside the diagonal are ±1/2, not ±1: σ(0) = 1/2.",
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
            )
        require(
            all(abs(a - b) < 1e-4 for a, b in zip(found, right, strict=True)),
            f"{at}, the eigenvalues are not {found[0]:.3f} and {found[1]:.3f}."
            " Derive the four entries of J first: only that of ψ' in ψ depends on s.",
        )


@exercise("3.2")
def alternating_round(answer):
    """Compares one round with D's and G's slopes by autograd, G's at D's new parameter."""
    for _ in range(3):
        theta, psi, h = (
            random.uniform(0.3, 1.5),
            random.uniform(-1.5, -0.3),
            random.uniform(0.3, 1.0),
        )
        try:
            found = [float(value) for value in answer(theta, psi, h)]
        except TypeError:
            found = []
        require(len(found) == 2, "return the two new parameters, as `return theta, psi`.")
        new_psi = psi + h * _slope(theta, psi)[1]
        right = theta - h * _slope(theta, new_psi)[0], new_psi
        g_first = theta - h * _slope(theta, psi)[0]
        old_sigma = theta + h * new_psi / (1 + math.exp(-psi * theta))
        old_psi = theta + h * psi / (1 + math.exp(-new_psi * theta))
        _recognise_row(
            found,
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
                (
                    theta + h * _slope(theta, psi - h * _slope(theta, psi)[1])[0],
                    psi - h * _slope(theta, psi)[1],
                ),
                "both signs are turned: D goes up V, G goes down.",
            ),
        )
        require(
            _close(found, right),
            f"from (θ, ψ) = ({theta:.2f}, {psi:.2f}) with h = {h:.2f} a round ends at"
            f" ({right[0]:.4f}, {right[1]:.4f}),"
            f" not at ({found[0]:.4f}, {found[1]:.4f}).",
        )


@exercise("3.3")
def consensus(answer):
    """Uses a linear field, whose consensus step is a matrix, and one that is not linear."""
    J = torch.randn(4, 4, dtype=torch.float64)
    z, h, w = (
        torch.randn(4, dtype=torch.float64),
        random.uniform(0.05, 0.5),
        random.uniform(0.5, 2.0),
    )

    def step(v):
        found = answer(v, z.clone(), h, w)
        require(
            isinstance(found, torch.Tensor),
            f"a tensor of shape (4,) should come back, not {type(found).__name__}.",
        )
        return tensor(found, (4,))

    found = step(lambda z: J @ z)
    v, pull = J @ z, J.T @ (J @ z)
    recognise(
        found,
        (z + h * v, "this is the plain step: w has no effect."),
        (z + h * (v + w * pull), "this walks up ½‖v‖². The gradient is to be subtracted."),
        (
            z + h * (v - 2 * w * pull),
            "the factor ½ of ½‖v‖² is missing, so the pull is twice too strong.",
        ),
        (
            z + h * v - w * pull,
            "the pull has to be multiplied by h too: it is part of the velocity.",
        ),
        (z - h * w * pull, "the velocity v itself is missing."),
        (z - h * (v + w * pull), "v has the wrong sign: it is a velocity, so it is added."),
        (
            z + h * (v - w * pull / v.norm()),
            "this is the gradient of ‖v‖. The exercise has ½‖v‖², without the root.",
        ),
        (
            z + h * (v - w * J.T.sum(dim=1)),
            "this is the gradient of the sum of v. Square v first, and halve it.",
        ),
    )
    require(
        torch.allclose(found, z + h * (v - w * pull)),
        "this is not z + h (v - w ∇½‖v‖²) for a linear v.",
    )
    found = step(torch.sin)
    right = z + h * (z.sin() - w * z.sin() * z.cos())
    require(
        torch.allclose(found, right),
        "for a v that is not linear the step is wrong: don't assume a matrix.",
    )
    with_graph = answer(lambda z: J @ z, z.clone().requires_grad_(), h, w)
    require(
        not with_graph.requires_grad,
        "what you return still hangs on the graph:"
        " a long run would keep every step in memory. Detach it.",
    )


@exercise("3.4", value=True)
def fates(answer):
    """Lets the eigenvalues of each step decide."""
    names, words = tuple("abcde"), ("in", "round", "out")
    require(
        isinstance(answer, dict) and set(answer) == set(names),
        'write a dictionary with a word for each game, {"a": "in", "b": ...}, from a to e.',
    )
    for name, word in answer.items():
        require(word in words, f"{name}: write one of the three words {words}; you wrote {word!r}.")
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


@exercise("3.5")
def three_numbers(answer):
    """Puts points at known distances of known modes: all three numbers follow by counting."""
    K, std = random.randint(5, 8), random.uniform(0.05, 0.1)
    centers = torch.stack([3.0 * torch.arange(K), torch.zeros(K)], dim=1).double()
    # Mode 0: good samples only. 1: good and bad. 2: only samples beyond 3 std. The rest: none.
    counts, reach = [40, 10, 20, 10], [2.5, 2.9, 3.5, 10.0]
    modes = [0, 1, 1, 2]
    points = torch.cat([centers[m].repeat(n, 1) for m, n in zip(modes, counts, strict=True)])
    angle = torch.rand(len(points)).double() * 2 * math.pi
    radius = torch.cat(
        [torch.full((n,), r * std).double() for n, r in zip(counts, reach, strict=True)]
    )
    points = points + radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    order = torch.randperm(len(points))
    points = points[order]
    try:
        found = [float(value) for value in answer(points, centers, std)]
    except TypeError:
        found = []
    require(len(found) == 3, "return the three numbers, as `return modes, quality, reverse_kl`.")
    count, quality, kl = found
    share = torch.tensor([4 / 8, 3 / 8, 1 / 8, *[0] * (K - 3)]).double()
    good_share = torch.tensor([4 / 5, 1 / 5, *[0] * (K - 2)]).double()
    right_kl = _kl_to_uniform(share)
    require(
        count != 3,
        "you count the modes near any sample. A mode counts with a sample within 3 std of it.",
    )
    require(count != K, "you count all centers. A mode counts with a sample within 3 std of it.")
    require(count == 2, f"there are samples within 3 std of 2 modes; you count {count:g}.")
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
    )
    require(
        abs(quality - 50 / 80) < 1e-6,
        f"50 of the 80 samples lie within 3 std: 0.625, not {quality:.4g}.",
    )
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
    )
    require(abs(kl - right_kl) < 1e-4, f"the reverse KL is {right_kl:.4f} here, not {kl:.4f}.")


@exercise("3.6")
def packed_logits(answer):
    """Gives D samples that carry numbers, so that what a pack holds can be read from its logit."""
    n = 2 * random.randint(4, 9)
    real, fake = torch.randn(n, 2).double(), torch.randn(n, 2).double() + 100
    seen = []

    def D(pairs):
        require(
            pairs.ndim == 2 and pairs.shape[1] == 4,
            f"D takes pairs (., 4); you gave it the shape {tuple(pairs.shape)}.",
        )
        seen.append(pairs)
        return pairs.sum(dim=1)

    try:
        on_real, on_fake = answer(D, real, fake)
    except (TypeError, ValueError):
        require(False, "return two tensors of logits, as `return real_logits, fake_logits`.")
    samples = torch.cat(seen).view(-1, 2, 2)
    mixed = (samples[:, 0] > 50).any(-1) != (samples[:, 1] > 50).any(-1)
    require(
        not mixed.any(), "there are still pairs of a real and a fake. Pack each batch by itself."
    )
    whole = {tuple(row) for row in torch.cat([real, fake]).tolist()}
    require(
        all(tuple(row) in whole for row in samples.reshape(-1, 2).tolist()),
        "the coordinates of samples are torn apart: a pair is (x1, y1, x2, y2).",
    )
    twice = (samples[:, 0] == samples[:, 1]).all(-1)
    require(
        not twice.any(),
        "a sample is packed with itself. That is how a collapsed generator looks, not real data.",
    )
    for name, logits in (("real", on_real), ("fake", on_fake)):
        require(
            logits.shape == (n // 2,),
            f"{n} {name} samples make {n // 2} pairs and as many logits; you return the shape"
            f" {tuple(logits.shape)}.",
        )
    require(
        not torch.isclose(on_real.sum(), fake.sum()),
        "the two come back in the wrong order: those of real pairs first.",
    )
    for batch, logits in ((real, on_real), (fake, on_fake)):
        require(
            torch.isclose(logits.sum(), batch.sum()),
            "some samples are in several pairs and others in none. Each belongs to one pair.",
        )


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


def _close(found, right, tolerance=1e-6):
    return all(abs(a - b) < tolerance for a, b in zip(found, right, strict=True))


def _recognise_row(found, *mistakes) -> None:
    """`recognise` for a few numbers in a row, complex ones too."""
    for value, message in mistakes:
        require(not _close(found, value), message)
