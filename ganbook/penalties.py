"""Regularisers of the discriminator: penalties on its gradient, per sample, and weight clipping."""

import functools
import math
import numbers
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganbook.arguments import check_count, check_number, check_per_sample
from ganbook.schedules import value_at


class Term(NamedTuple):
    """One summand: `weight * measure(critic, real, fake, real_logits, fake_logits)`.

    measure: takes the critic (the discriminator as a function of samples alone, (N, ...) to (N,)),
        two batches (N, ...) that require gradients, and the logits (N,) of both; returns (N,).
    weight: a number, or a function of the share of steps done.
    every: the term is applied once in this many turns of the discriminator.
    """

    measure: Callable[..., Tensor]
    weight: float | Callable[[float], float] = 1.0
    every: int = 1


class Penalty(NamedTuple):
    """Terms added to the discriminator's loss, and constraints applied after its turns.

    terms: made by `r1(...)`, `r2(...)`, `wgan_gp(...)`, joined by `total`.
    constraints: functions of the discriminator, made by `clip(...)`.
    """

    terms: tuple[Term, ...] = ()
    constraints: tuple[Callable[[nn.Module], None], ...] = ()

    def due(self, step: int) -> bool:
        """Whether any term is applied in this turn.

        step: the number of this turn of the discriminator, from 0.
        """
        return any(step % term.every == 0 for term in self.terms)

    def __call__(
        self, critic, real, fake, real_logits, fake_logits, step=0, share=0.0, check=None
    ) -> Tensor:
        """The sum (N,) of the terms that are due in this turn.

        critic: the discriminator as a function of samples alone, (N, ...) to logits (N,).
        real, fake: samples (N, ...) that require gradients.
        real_logits, fake_logits: the discriminator's logits (N,) for them.
        step: the number of this turn of the discriminator, from 0.
        share: the share of all steps that are done, from 0 to 1.
        check: None, or a function that is called with each term's `measure` and what it gave, (N,).
        A term applied at every k-th turn counts k times there, so its mean over the turns
        stays the same (lazy regularisation: Karras et al. 2020, appendix B, arXiv:1912.04958).
        Raises ValueError for a term that does not give one value per sample.
        """
        total = torch.zeros(len(real), dtype=torch.float32, device=real.device)
        for term in self.terms:
            if step % term.every == 0:
                measured = term.measure(critic, real, fake, real_logits, fake_logits)
                check_per_sample("the penalty", term.measure, measured, len(real))
                if check is not None:
                    check(term.measure, measured)
                weight = value_at(term.weight, share)
                if not 0 <= weight < math.inf:
                    check_number("a penalty's weight", weight)
                total = total + measured * (weight * term.every)
        return total

    def constrain(self, discriminator: nn.Module) -> None:
        """Apply the constraints, after a turn of the discriminator."""
        for constraint in self.constraints:
            constraint(discriminator)


def squared_gradient_norm(logits: Tensor, inputs: Tensor) -> Tensor:
    """Per sample, the squared norm (N,) of the gradient of its logit with respect to its input.

    logits: (N,), computed from `inputs`.
    inputs: (N, ...), which require gradients.
    The result can be differentiated again. Each logit must depend on its own input alone, so the
    network that gave it must have no batch norm, because that mixes the samples.
    """
    return _gradient(logits, inputs).square().sum(1)


def _gradient(logits, inputs):
    """Per sample, the gradient of its logit, flattened, in single precision or better."""
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.to(torch.promote_types(gradient.dtype, torch.float32)).flatten(1)


def _r1(critic, real, fake, real_logits, fake_logits):
    return squared_gradient_norm(real_logits, real) / 2


def _r2(critic, real, fake, real_logits, fake_logits):
    return squared_gradient_norm(fake_logits, fake) / 2


def _at_random_points(critic, real, fake):
    """The norm (N,) of the critic's gradient at points between real and fake."""
    t = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
    between = torch.lerp(real.detach(), fake.detach(), t).requires_grad_()
    slope = _gradient(critic(between), between)
    return slope.norm(dim=1)  # torch gives a norm of 0 the gradient 0, not NaN


def _wgan_gp(critic, real, fake, real_logits, fake_logits):
    return (_at_random_points(critic, real, fake) - 1).square()


def _wgan_gp_one_sided(critic, real, fake, real_logits, fake_logits):
    return (_at_random_points(critic, real, fake) - 1).relu().square()


def _penalty(measure, weight, every) -> Penalty:
    check_number("a penalty's weight", weight)
    return Penalty((Term(measure, weight, check_count("every", every)),))


def r1(weight=1.0, every: int = 1) -> Penalty:
    """`weight / 2 * |grad D(x)|^2` at real samples, which makes D flat where the data is.

    weight: gamma in the paper, a number or a function of the share of steps done, such as
        `falling(3.0, 0.3)`.
    every: k applies it once in k turns, with k times the weight.
    Raises ValueError for a weight below 0. Mescheder et al. 2018, eq. 9 (arXiv:1801.04406).
    Chapters 3 and 4.
    """
    return _penalty(_r1, weight, every)


def r2(weight=1.0, every: int = 1) -> Penalty:
    """`weight / 2 * |grad D(x)|^2` at fake samples.

    weight, every: as in `r1`. Mescheder et al. 2018, eq. 10 (arXiv:1801.04406). Chapter 9.
    """
    return _penalty(_r2, weight, every)


def wgan_gp(weight=10.0, every: int = 1, one_sided: bool = False) -> Penalty:
    """`weight * (|grad D(x_hat)| - 1)^2` at random points between real and fake samples.

    x_hat = real + t (fake - real), with one t ~ U[0, 1] for each sample.
    weight, every: as in `r1`; the weight is lambda in the paper.
    one_sided: penalise only slopes above 1.
    The critic must have no batch norm, because that mixes the samples. Raises ValueError for a
    weight below 0.
    Gulrajani et al. 2017, eq. 3 (arXiv:1704.00028); one-sided, Petzka et al. 2018, eq. 8
    (arXiv:1709.08894). Chapter 8.
    """
    return _penalty(_wgan_gp_one_sided if one_sided else _wgan_gp, weight, every)


def clip(bound: float) -> Penalty:
    """Clip all weights that the critic learns to [-bound, bound] after each of its turns.

    bound: above 0. Clipping comes after the turn, so that the generator meets a clipped critic.
    Raises ValueError for any other bound. Arjovsky et al. 2017, algorithm 1 (arXiv:1701.07875).
    Chapter 7.
    """
    if not (isinstance(bound, numbers.Real) and 0 < bound < math.inf):
        raise ValueError(f"clip({bound!r}): give the size at which weights are clipped, above 0")
    return Penalty(constraints=(functools.partial(_clip, bound=float(bound)),))


@torch.no_grad()
def _clip(discriminator, bound):
    weights = [weight for weight in discriminator.parameters() if weight.requires_grad]
    torch._foreach_clamp_min_(weights, -bound)
    torch._foreach_clamp_max_(weights, bound)


def total(*penalties) -> Penalty:
    """Several penalties at once: `total(r1(1.0), r2(1.0), clip(0.1), my_function)`.

    penalties: each with its own weight and `every`. A function of your own has weight 1 at every
        turn; `Term(function, weight, every)` gives it others.
    Raises TypeError for anything else.
    """
    parts = [as_penalty(penalty) for penalty in penalties if penalty is not None]
    return Penalty(
        tuple(term for part in parts for term in part.terms),
        tuple(constraint for part in parts for constraint in part.constraints),
    )


def as_penalty(given) -> Penalty | None:
    """Turn a penalty, a `Term` or a function into a `Penalty`, and leave None as it is.

    given: what `GAN` takes as its penalty.
    Raises TypeError for anything else.
    """
    if given in (r1, r2, wgan_gp, clip, total):
        raise TypeError(
            f"penalty=penalties.{given.__name__} is a function that makes a penalty: call it first,"
            " as in penalties.r1(1.0) or penalties.clip(0.01)"
        )
    if not (given is None or callable(given) or isinstance(given, Term)):
        raise TypeError(
            f"penalty={given!r}: give penalties.r1(1.0), say, a function of your own, or None"
        )
    if given is None or isinstance(given, Penalty):
        return given
    return Penalty((given if isinstance(given, Term) else Term(given),))
