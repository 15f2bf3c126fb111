"""ganbook.losses, ganbook.penalties and ganbook.schedules, held against closed forms and torch's
own functions."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganbook import losses, penalties
from ganbook.arguments import check_number
from ganbook.device import DEVICE
from ganbook.losses import minimax, nonsaturating, relativistic
from ganbook.penalties import squared_gradient_norm
from ganbook.schedules import falling, value_at

LOSSES = {"minimax": minimax, "nonsaturating": nonsaturating, "relativistic": relativistic}
ALL = [*LOSSES.values(), losses.hinge, losses.least_squares, losses.wasserstein]
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


@pytest.fixture
def logits():
    """Logits (50,) on real and on fake, in double precision, that require gradients."""
    draw = torch.Generator().manual_seed(0)
    return [
        (4 * torch.randn(50, generator=draw, dtype=torch.float64)).requires_grad_()
        for _ in range(2)
    ]


def gradients(values, inputs):
    """The gradient of every entry of `values` by its own entry of `inputs`; 0 where it does not
    depend on it."""
    (gradient,) = torch.autograd.grad(values.sum(), inputs, allow_unused=True, retain_graph=True)
    return torch.zeros_like(inputs) if gradient is None else gradient


# ---- Losses


@pytest.mark.parametrize("loss", [minimax, nonsaturating], ids=["minimax", "nonsaturating"])
def test_the_discriminators_loss_is_the_cross_entropy_of_a_classifier(logits, loss):
    real, fake = logits
    cross_entropy = F.binary_cross_entropy_with_logits
    expected = cross_entropy(real, torch.ones_like(real), reduction="none")
    expected = expected + cross_entropy(fake, torch.zeros_like(fake), reduction="none")
    torch.testing.assert_close(loss.d(real, fake), expected)


def test_the_generators_losses_are_what_the_paper_writes(logits):
    real, fake = logits
    probability = torch.sigmoid(fake)
    torch.testing.assert_close(minimax.g(real, fake), torch.log(1 - probability))
    torch.testing.assert_close(nonsaturating.g(real, fake), -torch.log(probability))


def test_the_minimax_generator_minimises_what_the_discriminator_maximises(logits):
    real, fake = logits
    of_generator, of_discriminator = (
        gradients(minimax.g(real, fake), fake),
        gradients(minimax.d(real, fake), fake),
    )
    torch.testing.assert_close(of_generator, -of_discriminator)


def test_the_minimax_gradient_saturates_where_the_discriminator_wins_and_the_other_does_not():
    fake = torch.tensor(
        [-20.0, 0.0, 20.0], dtype=torch.float64, requires_grad=True
    )  # D sure of fake, unsure, fooled
    sigmoid = torch.sigmoid(fake).detach()
    torch.testing.assert_close(gradients(minimax.g(fake, fake), fake), -sigmoid)
    torch.testing.assert_close(gradients(nonsaturating.g(fake, fake), fake), sigmoid - 1)
    assert gradients(minimax.g(fake, fake), fake)[0].abs() < 1e-8
    assert gradients(nonsaturating.g(fake, fake), fake)[0] < -0.99


def test_the_relativistic_loss_sees_differences_alone_and_turns_round_with_the_players(logits):
    real, fake = logits
    torch.testing.assert_close(relativistic.d(real, fake), -torch.log(torch.sigmoid(real - fake)))
    torch.testing.assert_close(relativistic.g(real, fake), relativistic.d(fake, real))
    torch.testing.assert_close(relativistic.d(real + 7, fake + 7), relativistic.d(real, fake))
    values = relativistic.d(real, fake)
    torch.testing.assert_close(gradients(values, real), -gradients(values, fake))


def test_the_hinge_teaches_d_within_its_margin_alone():
    """Miyato et al. 2018, eq. 16 and 17, which are to be maximised."""
    real = torch.tensor([-0.5, 0.9, 1.1, 3.0], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([-3.0, -1.1, -0.9, 0.5], dtype=torch.float64, requires_grad=True)
    expected = -torch.minimum(torch.zeros(4), real - 1) - torch.minimum(torch.zeros(4), -fake - 1)
    torch.testing.assert_close(losses.hinge.d(real, fake), expected)
    assert gradients(losses.hinge.d(real, fake), real).tolist() == [-1, -1, 0, 0]
    assert gradients(losses.hinge.d(real, fake), fake).tolist() == [0, 0, 1, 1]
    assert gradients(losses.hinge.g(None, fake), fake).tolist() == [-1] * 4


def test_least_squares_regresses_on_1_and_0_and_its_best_d_is_the_density_ratio():
    grid = torch.linspace(-1, 2, 3001, dtype=torch.float64)
    for p, q in (
        (0.3, 0.1),
        (0.2, 0.7),
        (0.5, 0.5),
    ):  # densities at a place: D* = p / (p + q), as for cross-entropy
        nothing = torch.zeros_like(grid)
        paid = p * losses.least_squares.d(grid, nothing) + q * losses.least_squares.d(
            nothing + 1, grid
        )
        assert grid[paid.argmin()] == pytest.approx(p / (p + q), abs=1e-3)
    best = losses.least_squares.g(None, grid)
    assert grid[best.argmin()] == pytest.approx(1.0) and best[0] == pytest.approx(2.0)


def test_the_wasserstein_loss_is_a_difference_that_both_players_pull_at(logits):
    real, fake = logits
    torch.testing.assert_close(losses.wasserstein.d(real, fake), fake - real)
    torch.testing.assert_close(losses.wasserstein.d(real + 7, fake + 7), fake - real)
    assert (gradients(losses.wasserstein.g(None, fake), fake) == -1).all()


def test_at_the_equilibrium_the_values_are_the_textbooks():
    zero = torch.zeros(3)
    for loss, d, g in (
        (minimax, 2 * math.log(2), -math.log(2)),
        (nonsaturating, 2 * math.log(2), math.log(2)),
        (relativistic, math.log(2), math.log(2)),
    ):
        torch.testing.assert_close(loss.d(zero, zero), torch.full((3,), d))
        torch.testing.assert_close(loss.g(zero, zero), torch.full((3,), g))


@every_loss
def test_logits_of_ten_thousand_stay_finite_and_exact(loss):
    big = torch.tensor([-1e4, 1e4, -1e4, 1e4])
    real, fake = big.clone().requires_grad_(), big.flip(0).requires_grad_()
    for values in (loss.d(real, fake), loss.g(real, fake)):
        assert torch.isfinite(values).all()
        for inputs in (real, fake):
            assert torch.isfinite(gradients(values, inputs)).all()
    assert loss.d(real, fake)[1] == 0  # right of both, and so sure that nothing is left to learn
    assert loss.d(real, fake)[0] == 2e4


@pytest.mark.parametrize("loss", ALL)
def test_a_loss_gives_one_value_a_sample(loss):
    assert (
        loss.d(torch.zeros(7), torch.zeros(7)).shape
        == loss.g(torch.zeros(7), torch.zeros(7)).shape
        == (7,)
    )


def test_losses_are_the_functions_that_a_reader_can_look_at():
    import inspect

    assert "softplus" in inspect.getsource(losses.nonsaturating.g)


# ---- Penalties


def batches(shape, seed=0):
    """Two batches (6, *shape) on the device that require gradients, as a game gives them."""
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(6, *shape, generator=draw).to(DEVICE).requires_grad_() for _ in range(2)]


def linear(weights):
    return lambda x: x.flatten(1) @ weights.flatten()


def quadratic(x):
    return x.flatten(1).square().sum(1) / 2


def value(penalty, critic, real, fake, **when):
    return penalty(critic, real, fake, critic(real), critic(fake), **when)


points_and_images = pytest.mark.parametrize("shape", [(2,), (3, 5, 4)], ids=["points", "images"])


@points_and_images
@pytest.mark.parametrize("make", [penalties.r1, penalties.r2])
def test_a_linear_critic_pays_half_the_weight_times_its_squared_slope(make, shape):
    weights = torch.linspace(-1, 2, math.prod(shape), device=DEVICE)
    expected = 3.0 / 2 * weights.square().sum()
    torch.testing.assert_close(
        value(make(3.0), linear(weights), *batches(shape)), expected.expand(6)
    )


@points_and_images
def test_a_quadratic_critic_pays_where_it_is_steep_r1_at_real_and_r2_at_fake(shape):
    real, fake = batches(shape)
    for make, where in ((penalties.r1, real), (penalties.r2, fake)):
        expected = 0.8 / 2 * where.detach().flatten(1).square().sum(1)
        torch.testing.assert_close(value(make(0.8), quadratic, real, fake).detach(), expected)


def test_each_sample_pays_for_itself_alone():
    real, fake = batches((1, 4, 4))
    before = value(penalties.r1(), quadratic, real, fake).detach()
    with torch.no_grad():
        real[0] *= 3
    after = value(penalties.r1(), quadratic, real, fake).detach()
    torch.testing.assert_close(after[1:], before[1:])
    torch.testing.assert_close(after[0], 9 * before[0])


def test_a_penalty_applied_at_every_kth_step_counts_k_times_there():
    real, fake = batches((2,))
    always, seldom = penalties.r1(0.5), penalties.r1(0.5, every=4)
    assert [seldom.due(step) for step in range(9)] == [True, False, False, False] * 2 + [True]
    once = value(always, quadratic, real, fake).detach()
    torch.testing.assert_close(value(seldom, quadratic, real, fake, step=4).detach(), 4 * once)
    over_steps = [value(seldom, quadratic, real, fake, step=step).detach() for step in range(8)]
    torch.testing.assert_close(sum(over_steps) / 8, once)
    assert over_steps[3].tolist() == [0.0] * 6


def test_a_weight_may_fall_as_the_game_goes_on():
    real, fake = batches((2,))
    falls = penalties.r1(falling(4.0, 0.0), every=2)
    once = value(penalties.r1(1.0), quadratic, real, fake).detach()
    for share, weight in ((0.0, 4.0), (0.5, 2.0), (1.0, 0.0)):
        torch.testing.assert_close(
            value(falls, quadratic, real, fake, share=share).detach(), 2 * weight * once
        )


def test_total_adds_each_term_at_its_own_steps():
    real, fake = batches((2,))
    r1, r2 = penalties.r1(1.0, every=2), penalties.r2(0.25, every=3)
    both = penalties.total(r1, r2)
    assert [both.due(step) for step in range(6)] == [True, False, True, True, True, False]
    for step in range(6):
        alone = [value(p, quadratic, real, fake, step=step).detach() for p in (r1, r2)]
        torch.testing.assert_close(
            value(both, quadratic, real, fake, step=step).detach(), sum(alone)
        )
    assert not penalties.total().due(0)


def test_total_takes_a_function_of_ones_own_like_a_game_does():
    real, fake = batches((2,))
    both = penalties.total(
        penalties.r1(0.5, every=2), lambda critic, real, fake, on_real, on_fake: on_real.square()
    )
    own = quadratic(real).square()
    torch.testing.assert_close(value(both, quadratic, real, fake, step=1), own)
    torch.testing.assert_close(
        value(both, quadratic, real, fake, step=2),
        own + value(penalties.r1(1.0), quadratic, real, fake),
    )


@points_and_images
def test_a_linear_critic_pays_for_its_slope_alone_wherever_the_points_fall(shape):
    """Its gradient is the same everywhere: the penalty is (|w| - 1)^2, and one-sided 0 below 1."""
    weights = torch.linspace(-1, 2, math.prod(shape), device=DEVICE)
    for length in (0.0, 0.4, 1.0, 3.0):
        critic = linear(length * weights / weights.norm())
        for one_sided, expected in (
            (False, 10 * (length - 1) ** 2),
            (True, 10 * max(length - 1.0, 0.0) ** 2),
        ):
            paid = value(penalties.wgan_gp(10.0, one_sided=one_sided), critic, *batches(shape))
            assert paid.tolist() == pytest.approx([expected] * 6, rel=1e-4, abs=1e-4)


@points_and_images
def test_the_points_lie_between_their_own_pair_one_weight_a_sample(shape):
    seen = []

    def critic(x):
        seen.append(x.detach())
        return quadratic(x)

    real, fake = batches(shape)
    penalties.wgan_gp()(critic, real, fake, None, None)
    step, way = seen[0] - real.detach(), (fake - real).detach()
    t = (step.flatten(1) * way.flatten(1)).sum(1) / way.flatten(1).square().sum(1)
    torch.testing.assert_close(step, t.view(-1, *[1] * len(shape)) * way)
    assert (t > 0).all() and (t < 1).all() and len(t.unique()) == 6
    many = [batches((1,), seed) for seed in range(200)]
    torch.manual_seed(0)
    weights = []
    for real, fake in many:
        seen.clear()
        penalties.wgan_gp()(critic, real, fake, None, None)
        weights.append(((seen[0] - real) / (fake - real)).detach().flatten())
    assert torch.cat(weights).mean().item() == pytest.approx(0.5, abs=0.03)  # uniform
    assert torch.cat(weights).std().item() == pytest.approx(12**-0.5, abs=0.03)


def test_a_critic_without_slope_pays_for_it_and_gives_no_nan():
    weights = torch.zeros(2, device=DEVICE, requires_grad=True)
    paid = value(penalties.wgan_gp(10.0), linear(weights), *batches((2,)))
    paid.mean().backward()
    assert paid.tolist() == [10.0] * 6 and weights.grad.tolist() == [0.0, 0.0]


def test_a_flat_critic_pays_nothing_and_gives_no_nan():
    weights = torch.zeros(2, device=DEVICE, requires_grad=True)
    paid = value(penalties.r1(), linear(weights), *batches((2,)))
    paid.mean().backward()
    assert paid.tolist() == [0.0] * 6
    assert weights.grad.tolist() == [0.0, 0.0]


def test_double_precision_stays_double_at_random_points_too():
    x = torch.randn(6, 2, dtype=torch.float64)
    paid = penalties.wgan_gp(10.0)(lambda x: 3 * x[:, 0], x, x + 1, None, None)
    assert paid.dtype == torch.float64 and (paid - 40).abs().max() < 1e-12


def test_the_penalty_teaches_the_critic_what_finite_differences_say():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()
    real = torch.randn(6, 2, dtype=torch.float64).requires_grad_()
    fake = torch.randn(6, 2, dtype=torch.float64).requires_grad_()
    penalty = penalties.total(penalties.r1(0.7), penalties.r2(0.4))

    def mean():
        return value(penalty, critic, real, fake).mean()

    mean().backward()
    weight, step = critic[0].weight, 1e-6
    numeric = torch.zeros_like(weight)
    for index in np.ndindex(*weight.shape):
        sides = []
        for shift in (step, -step):
            with torch.no_grad():
                weight[index] += shift
            sides.append(mean().item())
            with torch.no_grad():
                weight[index] -= shift
        numeric[index] = (sides[0] - sides[1]) / (2 * step)
    assert weight.grad.abs().min() > 1e-4
    torch.testing.assert_close(weight.grad, numeric, rtol=1e-6, atol=1e-8)


def test_the_squared_norm_is_computed_in_single_precision():
    x = torch.full(
        (2, 300), 300.0, dtype=torch.float16, requires_grad=True
    )  # 300 * 300^2 is no float16
    norm = squared_gradient_norm(x.square().sum(1, dtype=torch.float32) / 2, x)
    torch.testing.assert_close(norm, torch.full((2,), 300.0 * 300**2))


@pytest.mark.parametrize(
    "weight", [-1.0, float("nan"), float("inf"), "1", None, lambda share: -share]
)
def test_a_weight_out_of_range_is_refused(weight):
    with pytest.raises(ValueError, match="a penalty's weight must be a finite number, 0 or more"):
        penalties.r1(weight)


@pytest.mark.parametrize("every", [0, -1, 1.5, "2"])
def test_a_penalty_at_no_steps_is_refused(every):
    with pytest.raises(ValueError, match="every=.*: it must be a whole number, 1 or more"):
        penalties.r2(1.0, every=every)


# ---- Schedules


def test_a_falling_number_goes_from_start_to_end_along_half_a_cosine():
    number = falling(3.0, 0.5)
    assert number(0.0) == pytest.approx(3.0, rel=1e-15)
    assert number(1.0) == 0.5
    assert number(0.5) == pytest.approx(1.75)
    assert number(1 / 3) == pytest.approx(0.5 + 2.5 * 0.75)  # cos(60 degrees) is a half
    assert number(2.0) == 0.5  # a game may be played on after its plan


def test_a_falling_number_never_rises():
    values = [falling(2e-3, 1e-4)(share / 100) for share in range(101)]
    assert all(later < earlier for earlier, later in pairwise(values))
    rising = [falling(0.0, 1.0)(share / 100) for share in range(101)]
    assert all(later > earlier for earlier, later in pairwise(rising))


def test_a_value_is_a_number_or_a_functions():
    assert value_at(0.3, 0.9) == 0.3
    assert value_at(lambda share: 2 * share, 0.4) == 0.8


def test_numbers_are_looked_at_at_both_ends():
    for number in (0, 1, 2.5, falling(1.0, 0.0), lambda share: share):
        check_number("it", number)
    for number in (
        falling(1.0, -1.0),
        falling(float("nan"), 1.0),
        lambda share: -share,
        "1",
        None,
        [1.0],
    ):
        with pytest.raises(ValueError, match="it must be a finite number, 0 or more"):
            check_number("it", number)


# ---- Weights of one's own penalties, and finite differences


@pytest.mark.parametrize("one_sided", [False, True])
def test_the_gradient_of_wgan_gp_agrees_with_finite_differences(one_sided):
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)).double()
    critic[0].weight.data *= 3  # slopes on both sides of 1
    real, fake = torch.randn(2, 20, 3, dtype=torch.float64)
    penalty = penalties.wgan_gp(one_sided=one_sided)

    def value():
        torch.manual_seed(1)
        return penalty(critic, real, fake, critic(real), critic(fake)).mean()

    weight = critic[0].weight
    (gradient,) = torch.autograd.grad(value(), weight)
    assert penalty.terms[0].weight == 10 and gradient.abs().max() > 0.01
    for row, column in ((0, 0), (3, 1), (7, 2)):
        ends = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight[row, column] += step
            ends.append(value().item())
            with torch.no_grad():
                weight[row, column] -= step
        slope = (ends[0] - ends[1]) / 2e-6
        assert gradient[row, column].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_a_function_of_ones_own_has_a_weight_as_a_term():
    def one(critic, real, fake, real_logits, fake_logits):
        return torch.ones(len(real))

    args = None, torch.zeros(3, 2), torch.zeros(3, 2), None, None
    for penalty in (
        penalties.as_penalty(penalties.Term(one, 2.0, every=3)),
        penalties.total(penalties.Term(one, 2.0, every=3), None),
    ):
        assert torch.equal(penalty(*args, step=0), torch.full((3,), 6.0))
        assert torch.equal(penalty(*args, step=1), torch.zeros(3))
    assert torch.equal(penalties.total(one, one)(*args), torch.full((3,), 2.0))
    with pytest.raises(
        TypeError, match="penalty=penalties.total is a function that makes a penalty: call it first"
    ):
        penalties.as_penalty(penalties.total)


def test_the_weights_of_penalties_are_1_unless_given_and_10_of_wgan_gp():
    made = (penalties.r1(), penalties.r2(), penalties.wgan_gp())
    assert [penalty.terms[0].weight for penalty in made] == [1.0, 1.0, 10.0]


def test_a_constraint_comes_through_a_total():
    network = nn.Linear(2, 1)
    total = penalties.total(penalties.r1(1.0), penalties.clip(0.01))
    assert total.due(0) and len(total.terms) == 1
    total.constrain(network)
    assert max(weight.abs().max() for weight in network.parameters()) <= 0.01


def test_clipping_leaves_frozen_weights_alone():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    nn.init.constant_(network[0].weight, 5.0), network[0].requires_grad_(False)
    nn.init.constant_(network[1].weight, 5.0)
    penalties.clip(0.01).constrain(network)
    assert (network[0].weight == 5).all()
    assert network[1].weight.tolist() == [pytest.approx([0.01, 0.01])]


def test_losses_that_say_that_g_looks_at_no_real_logits_need_none():
    fake = torch.randn(4)
    for loss in (v for v in vars(losses).values() if isinstance(v, losses.Loss)):
        assert loss.paired == (loss is losses.relativistic)
        if not loss.paired:
            assert loss.g(None, fake).shape == (4,)


def test_a_weight_out_of_range_in_the_middle_of_a_game_is_named():
    penalty = penalties.r2(lambda share: 1.0 if share in (0.0, 1.0) else -1.0)
    fake = torch.zeros(3, 2, requires_grad=True)
    args = None, fake, fake, None, fake.square().sum(1)
    penalty(*args, share=0.0)
    with pytest.raises(ValueError, match="a penalty's weight must be a finite number, 0 or more"):
        penalty(*args, share=0.5)
