"""Checks of chapter 14, style-based generators."""

import math

import torch

from ganbook.checks import (
    exercise,
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


@exercise("14.1")
def modulated_weights(answer):
    """Against the definition, on styles of both signs, and kernels of two sizes."""
    for n, outputs, inputs, size, eps in ((4, 3, 5, 3, 1e-8), (2, 6, 2, 1, 0.5)):
        weight = torch.randn(outputs, inputs, size, size)
        style = torch.randn(n, inputs)
        found = on_copies(answer, weight, style, eps)
        shape = (n, outputs, inputs, size, size)
        require(
            getattr(found, "shape", None) != weight.shape,
            "one kernel for all images came back. Each image has a style, so each has a kernel:"
            f" the shape is {shape}.",
        )
        found = tensor(found, shape)
        w, s = weight.double()[None], style.double()

        def ended(scaled, over=(2, 3, 4), eps=eps, root=torch.sqrt):
            return scaled / root(scaled.square().sum(over, keepdim=True) + eps)

        scaled = w * s[:, None, :, None, None]
        right = ended(scaled)
        recognise(
            found,
            (scaled, "the demodulation is missing: divide each output's kernel by its norm."),
            (ended(w.expand(shape)), "the style has no effect: multiply by it first."),
            (
                ended(w.expand(shape)) * s[:, None, :, None, None],
                "you divide first and multiply by the style then. The norm is that of the kernel"
                " after the style.",
            ),
            (
                ended(scaled, (1, 3, 4)),
                "the norm runs over the outputs. Each output has a kernel: sum over its inputs and"
                " pixels.",
            ),
            (
                ended(scaled, (3, 4)),
                "each input is divided by a norm of its own, which takes the style out again."
                " Sum over the inputs too.",
            ),
            (
                ended(scaled, (1, 2, 3, 4)),
                "one norm for all outputs. Each output has its own.",
            ),
            (ended(scaled, (0, 2, 3, 4)), "the norm runs over the images too."),
            (
                ended(scaled, eps=0.0),
                "eps is not used: add it to the sum of squares, under the root.",
            ),
            (
                scaled / (scaled.square().sum((2, 3, 4), keepdim=True).sqrt() + eps),
                "eps belongs under the root, with the sum of squares.",
            ),
            (ended(scaled, root=lambda v: v), "take the root of the sum of squares."),
            (
                scaled / (scaled.square().mean((2, 3, 4), keepdim=True) + eps).sqrt(),
                "that is the mean of the squares. The variance of the output is their sum.",
            ),
            (
                scaled / (scaled.var((2, 3, 4), keepdim=True, unbiased=False) + eps).sqrt(),
                "that is the variance of the kernel's numbers. Take the sum of their squares.",
            ),
            (
                ended(w * (1 + s)[:, None, :, None, None]),
                "the kernel is multiplied by the style itself, not by 1 + style.",
            ),
            truth=right,
        )
        same(found, right, "these are not the kernels: multiply by the style, then divide.")


@exercise("14.2")
def with_noise(answer):
    """The noise is what comes out less what went in. Each image, pixel and call has its own."""
    n, channels, side = 60, 3, 11
    x = torch.randn(n, channels, side, side + 1)
    strength = torch.tensor([0.5, -1.0, 2.0])
    calls = []
    for _ in range(2):
        found = tensor(on_copies(answer, x, strength), x.shape)
        added = found - x.double()
        require(added.abs().max() > 1e-3, "nothing is added.")
        calls.append(added / strength.double()[:, None, None])
    noise = calls[0]
    require(
        not near(calls[0], calls[1], 1e-3, 1e-3),
        "each call adds the same noise: set no seed inside.",
    )
    plain = noise * strength.double()[:, None, None]
    require(
        not near(plain[:, :1].expand_as(plain), plain, 1e-3, 1e-3),
        "the strengths of the channels are not used one by one: multiply the map by"
        " strength[:, None, None].",
    )
    require(
        min(noise.std(dim).min() for dim in (2, 3)) > 1e-3,
        "a row, a column or a map has one number for all its pixels. Draw one for each.",
    )
    apart = torch.pdist(noise[:, 0].flatten(1)).min()
    require(
        apart > 1e-2,
        "two images of the batch, or all, get the same noise. Draw one map for each image:"
        " (N, 1, height, width).",
    )
    require(
        near(noise[:, :1].expand_as(noise), noise, 1e-3, 1e-3),
        "the channels of an image don't share their noise: with each map divided by its strength,"
        " all should be the same.",
    )
    one = noise[:, 0]
    require(
        abs(one.mean()) < 0.1,
        f"the noise has the mean {one.mean():.2f}, and a normal one has 0: `torch.randn`, not"
        " `torch.rand`.",
    )
    require(
        abs(one.std() - 1) < 0.1,
        f"before the strength, the noise has a standard deviation of {one.std():.2f}. It should"
        " be 1.",
    )
    fourth = one.pow(4).mean() / one.square().mean() ** 2
    require(
        abs(fourth - 3) < 0.6,
        f"the noise is not normal: the mean of its fourth powers is {fourth:.1f} times the squared"
        " variance, and a normal one has 3.",
    )
    require(
        abs((one * x.double()[:, 0]).mean()) < 0.15 and abs((one * x.double()[:, 1]).mean()) < 0.15,
        "the noise depends on the maps it is added to.",
    )


@exercise("14.4")
def truncated(answer):
    """Against the definition, for shares between 0 and 1 and all numbers of layers."""
    for n, layers, size, first, psi in (
        (4, 5, 3, 2, 0.6),
        (3, 4, 2, 4, 0.3),
        (2, 3, 6, 1, 0.8),
        (2, 4, 3, 0, 0.5),
    ):
        w = torch.randn(n, layers, size)
        centre = torch.randn(size) + 1
        found = tensor(on_copies(answer, w, centre, psi, first), w.shape)
        w, centre = w.double(), centre.double()
        coarse = torch.arange(layers)[:, None] < first

        def at(share, chosen=coarse, w=w, centre=centre):
            return torch.where(chosen, centre + share * (w - centre), w)

        right = at(psi)
        mistakes = [
            (w, "nothing has changed. Move the styles of the first layers towards the centre."),
            (
                torch.where(coarse, psi * w, w),
                "the styles are pulled towards 0. Pull them towards the centre.",
            ),
            (at(1 - psi), "psi is how much of the distance stays: 1 leaves everything as it is."),
            (
                torch.where(coarse, psi * (w - centre), w),
                "the centre is taken off and not added again.",
            ),
            (
                torch.where(coarse, centre + psi * w, w),
                "the centre is added to the style: take it off before you multiply.",
            ),
            (
                torch.where(coarse, centre, w),
                "these layers are at the centre itself, as with psi = 0.",
            ),
        ]
        if first < layers:
            fine = torch.arange(layers)[:, None] >= layers - first
            mistakes += [
                (at(psi, torch.ones_like(coarse)), "all layers are truncated, not the first ones."),
                (at(psi, ~coarse), "it is the first layers that are truncated, not the others."),
                (at(psi, fine), "the last layers are truncated. The first ones are the coarse."),
                (
                    at(psi, torch.arange(layers)[:, None] <= first),
                    "one layer too many is truncated.",
                ),
            ]
        mean = w.mean(0, keepdim=True)
        mistakes.append(
            (
                torch.where(coarse, mean + psi * (w - mean), w),
                "you take the mean of this batch. The centre is given.",
            )
        )
        recognise(found, *mistakes, truth=right)
        same(found, right, "this is not centre + psi (w - centre) in the first layers.")


PREDICTIONS = {
    "a": ("same", "the kernel's norm is doubled too, and the demodulation divides by it."),
    "b": ("other", "without the demodulation the maps are twice as large."),
    "c": (
        "other",
        "inputs are weighed against each other. The norm takes out what is common to all of them,"
        " and no more.",
    ),
    "d": (
        "other",
        "the norm of the kernel does not see the sign of the style, so all maps change theirs.",
    ),
    "e": (
        "same",
        "the norm of the kernel is doubled as well, and the demodulation divides by it.",
    ),
}


@exercise("14.3", value=True)
def outcomes(answer):
    """Five predictions, each a consequence of the formulas of the layer."""
    require(
        isinstance(answer, dict) and set(answer) == set(PREDICTIONS),
        'write a dictionary, {"a": "same", "b": ..., "c": ..., "d": ..., "e": ...}.',
    )
    answer = {name: str(value).strip().lower() for name, value in answer.items()}
    require(set(answer.values()) <= {"same", "other"}, 'there are two words, "same" and "other".')
    for name, (right, why) in PREDICTIONS.items():
        require(answer[name] == right, f"{name}: {why}")


@exercise("14.5")
def moments(answer):
    """Against the closed form, for singular values of several numbers and sizes."""
    for sigma in (torch.tensor([1.0, 2.0, 0.5]), torch.rand(5) + 0.3, torch.tensor([3.0])):
        found = parts(on_copies(answer, sigma), 2, "return the mean and the variance")
        mean, variance = number(found[0], "the mean"), number(found[1], "the variance")
        s = sigma.double()
        square, fourth, n = s.square().sum().item(), s.pow(4).sum().item(), len(s)
        require(
            not (n > 1 and abs(mean - 2 * fourth) < 1e-4 and abs(variance - square) < 1e-4),
            "the two have changed places: first the mean, then the variance.",
        )
        recognise_number(
            mean,
            (s.sum().item(), "that is the sum of the singular values. They enter as squares."),
            (math.sqrt(square), "that is the root: it is the mean of the squared length."),
            (square / n, "that is the mean over the directions. The squared length is a sum."),
            (s.max().item() ** 2, "the largest singular value alone: each direction adds its own."),
            truth=square,
            of="the mean: ",
        )
        require(
            abs(mean - square) < 1e-4 * max(1, square),
            "the mean: write y in the basis of the left singular vectors, where it is normal"
            " again.",
        )
        recognise_number(
            variance,
            (fourth, "the variance of the square of a normal number is 2, not 1."),
            (3 * fourth, "3 is the fourth moment of a normal number; take off the squared mean."),
            (2 * square, "a square with the factor s² has a variance with the factor s⁴."),
            (2 * square**2, "variances of independent terms add; here the sum was squared."),
            (2 * fourth / n, "it is a sum over the directions, not a mean."),
            (math.sqrt(2 * fourth), "that is the standard deviation."),
            (3 * fourth - square**2, "the mean of the square holds the mixed terms too."),
            (0.0, "the length of Jᵀy is not the same for each y."),
            truth=2 * fourth,
            of="the variance: ",
        )
        require(
            abs(variance - 2 * fourth) < 1e-4 * max(1, 2 * fourth),
            "the variance: the squared length is a sum of independent terms s² u², u normal.",
        )


@exercise("14.6")
def path_lengths(answer):
    """On linear generators, where the Jacobian is known, and on one whose weights learn."""
    n, size, height, width = 3000, 4, 4, 9  # the root of the number of pixels is 6
    A = torch.zeros(height * width, size)
    A[torch.randperm(len(A))[:size], torch.arange(size)] = torch.tensor([2.0, 1.0, 0.5, 0.1])
    w = torch.randn(n, size)
    gain = torch.tensor(1.3, requires_grad=True)

    def images(w):
        return (gain * w @ A.T).view(-1, 1, height, width)

    lengths = []
    for _ in range(2):
        leaf = 1 * w.clone().requires_grad_()  # as from a mapping network: no leaf of the graph
        drawn = images(leaf)
        found = answer(drawn, leaf)
        shape = getattr(found, "shape", None)
        require(
            shape != (),
            "one number came back for the whole batch. Each image has a length of its own.",
        )
        require(
            shape != (n, size),
            "the gradients came back. Take the norm of each row.",
        )
        require(
            isinstance(found, torch.Tensor) and found.requires_grad,
            "the lengths have no gradient, so no weight would feel them: pass create_graph=True,"
            " and don't detach.",
        )
        lengths.append(tensor(found, (n,)))
    first, second = lengths
    truth = (1.3 * A).double()
    mean = truth.square().sum().item() / (height * width)  # of the squared lengths
    square = first.square().mean().item()
    require(
        not near(first, second, 1e-3, 1e-6),
        "each call has the same lengths: y must be drawn anew, at random and normal.",
    )
    require(
        len(first.unique()) > 0.9 * n,
        "images have the same length: one y serves several of them, or the whole batch, or y has"
        " one size. Draw normal numbers for each image.",
    )
    fourth = (truth.T @ truth / (height * width)).square().sum().item()
    high = mean**2 + 2 * fourth  # the mean of the squared lengths, if they were squared already
    require(
        not (abs(first.mean().item() / mean - 1) < 0.12 and abs(square / high - 1) < 0.25),
        "these are squared lengths: take the root.",
    )
    for factor, message in (
        (36, "the lengths grow with the number of pixels: divide y by its root, here 6."),
        (1 / 36, "y is divided by the number of pixels. Divide it by the root of that, 6."),
        (1 / size, "that is the mean of the squares of the gradient. Take their sum."),
    ):
        require(abs(square / (mean * factor) - 1) > 0.12, message)
    require(
        abs(square / mean - 1) < 0.12,
        "the mean of the squared lengths is not that of |Jᵀy|²:"
        f" {square:.3f}, and it should be near {mean:.3f}.",
    )
    (slope,) = torch.autograd.grad(found.square().mean(), gain)
    require(
        abs(slope.item() / (2 * mean / 1.3) - 1) < 0.15,
        "the lengths are right, and their gradient with respect to the generator's weights is"
        " not: pass create_graph=True and detach nothing.",
    )
