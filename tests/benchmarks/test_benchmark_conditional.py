"""Conditional games: the table, and what each variant switches."""

import conditional
import pytest
import torch
from benchmark_tables import SEEDS, rows

from ganbook import data


def test_the_table_of_conditional_games_has_every_variant_over_its_seeds_and_steps():
    table = rows("conditional")
    found = [(row["data"], row["variant"], row["seed"]) for row in table]
    assert found == [(*row, seed) for row in conditional.ROWS for seed in SEEDS]
    assert {row["steps"] for row in table} == {str(conditional.STEPS)}


def test_a_conditional_game_obeys_and_is_nearer_to_the_digits_than_the_unconditional():
    table = rows("conditional", data="all digits", variant="projection")
    assert min(float(row["accuracy"]) for row in table) >= 0.97
    for name in ("unconditional", "unconditional, as in chapter 4"):
        others = rows("conditional", data="all digits", variant=name)
        for row, other in zip(table, others, strict=True):
            # The labels cost some seconds; the distance is lower by much more than these buy.
            assert float(row["seconds"]) < 1.25 * float(other["seconds"]), row
            assert float(row["fid"]) < 0.5 * float(other["fid"]), row


def test_conditional_games_switch_what_they_name():
    for where, variant in conditional.ROWS:
        gan, batches = conditional.game(where, variant, 0)
        layers = str(gan.discriminator) + str(gan.generator)
        assert (gan.classes is None) == ("unconditional" in variant)
        assert ("ConditionalBatchNorm2d" in layers) == ("norm" in variant)
        assert ("Projection" in layers) == (where == "long tail" or "projection" in variant)
        assert ("TwoHeads" in layers) == (variant == "auxiliary")
        assert ("Embedding" in layers) == (variant == "embedding")
        counts = sum(torch.bincount(batches[k].labels, minlength=10) for k in range(100)).float()
        even = where == "all digits" or "balanced" in variant
        assert (counts.max() < 1.3 * counts.min()) == even, variant
        if variant == "weighted":
            labels = data.long_tail(data.digits(), conditional.FACTOR).labels
            totals = torch.bincount(labels, weights=gan.class_weights[labels], minlength=10)
            assert torch.allclose(totals, totals.mean())
            assert gan.class_weights[labels].mean() == pytest.approx(1)
        else:
            assert gan.class_weights is None
