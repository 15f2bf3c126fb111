"""Stacked digits: the table, the build-up's steps, networks with convolutions in groups."""

import stacked
import torch
from benchmark_tables import rows
from torch import nn

from ganbook import data, metrics


def test_stacked_digits_have_every_row_over_its_seeds_and_steps():
    found = [(row["variant"], int(row["seed"]), int(row["steps"])) for row in rows("stacked")]
    assert found == [(*key, stacked.steps_of(key[0])) for key in stacked.KEYS]


def test_the_long_game_draws_every_number_and_nearly_as_readably_as_the_real_stacks():
    real = metrics.stacked_coverage(data.stacked_digits().sample(2000, seed=0)).confidence
    for row in rows("stacked", variant="long"):
        assert int(row["modes"]) >= 999 and float(row["reverse_kl"]) <= 0.1, row
        assert float(row["confidence"]) >= 0.85 * real and float(row["seconds"]) <= 15 * 60, row


def test_each_step_of_the_build_up_changes_what_it_names_and_keeps_the_rest():

    def parts(variant):
        gan = stacked.game(variant, seed=0)
        norms = ["BatchNorm" in str(player) for player in (gan.generator, gan.discriminator)]
        return {
            "PyTorch's own weights": gan.generator.init_std,
            "higher rate": getattr(gan.lr, "start", gan.lr),
            "falling rate": callable(gan.lr),
            "no momentum": gan.betas[0],
            "shorter memory": gan.betas[1],
            "averaged generator": bool(gan.average),
            "relativistic loss": gan.loss,
            "no batch norm in G": norms[0],
            "no batch norm in D": norms[1],
            "R2": gan.penalty is not None and len(gan.penalty.terms) == 2,
            "R1": gan.penalty is not None,
        }

    names = [name for name, _ in stacked.BUILD_UP]
    before = parts(names[0])
    for name in names[1:]:
        after = parts(name)
        assert [part for part in before if before[part] != after[part]] == [name]
        before = after


def test_dcgan_has_batch_norm_where_its_paper_has_it():
    gan = stacked.game("DCGAN", seed=0)
    for player, first in ((gan.generator, 0), (gan.discriminator, 1)):
        kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
        layers = list(player)
        weighty = [place for place, layer in enumerate(layers) if isinstance(layer, kinds)]
        for place in weighty[first:-1]:
            after = next(x for x in layers[place + 1 :] if not isinstance(x, nn.Unflatten))
            assert isinstance(after, nn.BatchNorm2d), (place, after)
        for place in (*weighty[:first], weighty[-1]):
            assert not isinstance(layers[place + 1], nn.BatchNorm2d)


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
