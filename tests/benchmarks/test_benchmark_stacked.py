"""Stacked digits: the table, the build-up's steps, networks with convolutions in groups."""

import stacked
import torch
from benchmark_tables import rows

from ganbook import data, metrics


def test_stacked_digits_have_every_row_over_its_seeds_and_steps():
    table = rows("stacked")
    steps = {name: stacked.SHORT for name, _ in stacked.BUILD_UP} | {
        name: n for name, (_, n) in stacked.DEEPER.items()
    }
    found = [(row["variant"], int(row["seed"]), int(row["steps"])) for row in table]
    assert found == [(name, seed, steps[name]) for name in stacked.ROWS for seed in stacked.SEEDS]


def test_the_long_game_draws_every_number_and_nearly_as_readably_as_the_real_stacks():
    real = metrics.stacked_coverage(data.stacked_digits().sample(5000, seed=0)).confidence
    for row in rows("stacked", variant="long"):
        assert int(row["modes"]) >= 999 and float(row["reverse_kl"]) <= 0.1, row
        assert float(row["confidence"]) >= 0.85 * real and float(row["seconds"]) <= 15 * 60, row


def test_each_step_of_the_build_up_changes_what_it_names_and_keeps_the_rest():

    def parts(variant):
        gan = stacked.game(variant, seed=0)
        layers = str(gan.generator)
        return {
            "PyTorch's own weights": gan.generator.init_std,
            "rate": getattr(gan.lr, "start", gan.lr),
            "averaged": gan.average,
            "loss": gan.loss,
            "batch norm": "BatchNorm" in layers,
            "residual": "Block" in layers,
            "R2": gan.penalty is not None and len(gan.penalty.terms) == 2,
            "R1": gan.penalty is not None,
        }

    names = [name for name, _ in stacked.BUILD_UP]
    before = parts(names[0])
    for name in names[1:]:
        after = parts(name)
        changed = [part for part in before if before[part] != after[part]]
        assert len(changed) == 1 and changed[0] in name, (name, changed)
        before = after


def test_groups_differ_in_their_convolutions_alone():
    one, three = stacked.game("one group", 0), stacked.game("three groups", 0)
    for player in one.players:
        whole, in_three = (str(game.players[player][0]) for game in (one, three))
        assert in_three.count("groups=3") == 3 and in_three.replace(", groups=3", "") == whole
    again = stacked.game("three groups", 0)
    assert all(map(torch.equal, three.discriminator.parameters(), again.discriminator.parameters()))


def test_three_groups_are_one_group_whose_other_weights_are_zero():
    torch.manual_seed(0)
    (one, _), (three, _) = (stacked.players(groups, width=6) for groups in (1, 3))
    for whole, grouped in zip(one.modules(), three.modules(), strict=True):
        if getattr(grouped, "groups", 1) > 1:
            with torch.no_grad():
                whole.weight.zero_()
                # A transposed kernel is (inputs, outputs / groups, h, w).
                outputs = grouped.weight.shape[1]
                for inputs, kernel in enumerate(grouped.weight):
                    group = inputs * 3 // len(grouped.weight)
                    whole.weight[inputs, group * outputs : (group + 1) * outputs] = kernel
                if whole.bias is not None:
                    whole.bias.copy_(grouped.bias)
        elif list(whole.parameters(recurse=False)):
            whole.load_state_dict(grouped.state_dict())
    z = torch.randn(4, 64)
    torch.testing.assert_close(one(z), three(z))
