"""Losses times regularisers: the table is whole, games differ in what they name alone."""

import math

import pytest
import torch
import tournament
from benchmark_tables import rows

from ganbook import metrics


def test_the_tournament_has_every_combination_over_its_seeds_and_steps():
    table = rows("tournament")
    found = [
        (row["data"], row["loss"], row["regulariser"], int(row["seed"]), int(row["steps"]))
        for row in table
    ]
    seeds = {"grid": range(tournament.COPIES), "stacked digits": tournament.SEEDS["stacked digits"]}
    assert found == [
        (where, loss, held, seed, tournament.STEPS[where])
        for where in tournament.STEPS
        for loss in tournament.LOSSES
        for held in tournament.REGULARISERS
        for seed in seeds[where]
    ]
    for row in table:
        assert 0 < float(row["reverse_kl"]) < math.inf, row  # the chapter takes logarithms
        assert (
            (row["w1"] == "") == (row["data"] == "stacked digits") == (row["confidence"] != "")
        ), row


def test_games_of_the_tournament_differ_in_what_they_name_alone():
    for where in tournament.STEPS:
        for loss in tournament.LOSSES:
            for held in tournament.REGULARISERS:
                gan = tournament.game(where, loss, held, seed=0, copies=2)
                assert gan.loss is tournament.LOSSES[loss]
                assert [turn.times for turn in gan.turns] == [1, 1]
                assert ("SpectralNorm" in str(gan.discriminator)) == (held == "spectral norm")
                terms = (
                    {term.measure.__name__ for term in gan.penalty.terms} if gan.penalty else set()
                )
                asked = {
                    "gradient penalty": {"_wgan_gp"},
                    "R1": {"_r1"},
                    "R2": {"_r2"},
                    "R1 and R2": {"_r1", "_r2"},
                }
                assert terms == asked.get(held, set())
                assert gan.lr.start == 3e-3 and gan.betas == (0.0, 0.99)
                assert gan.average == {"generator": 0.995}


@pytest.mark.parametrize("where", ["grid", "stacked digits"])
def test_a_run_of_the_tournament_is_decided_by_its_seed(where, monkeypatch):
    monkeypatch.setattr(tournament, "COPIES", 2)
    coverage = metrics.stacked_coverage  # quicker than of all samples
    monkeypatch.setattr(metrics, "stacked_coverage", lambda images: coverage(images[:500]))

    def numbers(seed):
        rows = tournament.run(where, "hinge", "R1", seed, steps=2)
        assert len(rows) == (2 if where == "grid" else 1)
        assert [row["seed"] for row in rows] == list(range(seed, seed + len(rows)))
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "seed")}
            for row in rows
        ]

    first = numbers(0)
    torch.rand(5)
    assert numbers(0) == first != numbers(1)
