"""Losses times regularisers: the table is whole, games differ in what they name alone."""

import functools
import math

import pytest
import torch
import tournament
from benchmark_tables import rows

from ganbook import GAN, metrics


def test_the_tournament_has_every_combination_over_its_seeds_and_steps():
    table = rows("tournament")
    found = [
        (
            *(row[name] for name in ("data", "loss", "regulariser")),
            float(row["factor"]),
            int(row["turns"]),
            int(row["seed"]),
        )
        for row in table
    ]
    assert found == [
        (*key[:-1], seed)
        for key in tournament.ROWS
        for seed in (range(tournament.COPIES) if key[0] == "grid" else key[-1:])
    ]
    assert all(int(row["steps"]) == tournament.STEPS[row["data"]] for row in table)
    for row in table:
        assert 0 < float(row["reverse_kl"]) < math.inf, row  # the chapter takes logarithms
        assert (
            (row["w1"] == "") == (row["data"] == "stacked digits") == (row["confidence"] != "")
        ), row


def test_games_of_the_tournament_differ_in_what_they_name_alone():
    asked = {
        "gradient penalty": {"_wgan_gp"},
        "R1": {"_r1"},
        "R2": {"_r2"},
        "R1 and R2": {"_r1", "_r2"},
    }

    @functools.cache
    def usual_terms(where, loss, held):
        return tournament.game(where, loss, held, copies=2).penalty.terms

    for where, loss, held, factor, turns, seed in tournament.ROWS:
        if seed:
            continue
        gan = tournament.game(where, loss, held, factor, turns, seed, copies=2)
        assert gan.loss is tournament.LOSSES[loss]
        assert [turn.times for turn in gan.turns] == [turns, 1]
        assert ("SpectralNorm" in str(gan.discriminator)) == (held == "spectral norm")
        terms = gan.penalty.terms if gan.penalty else ()
        assert {term.measure.__name__ for term in terms} == asked.get(held, set())
        usual = usual_terms(where, loss, held) if terms else ()
        for term, other in zip(terms, usual, strict=True):
            weights = [t.weight(0.5) if callable(t.weight) else t.weight for t in (term, other)]
            assert weights[0] == pytest.approx(factor * weights[1])
        assert gan.lr.start == pytest.approx(3e-3 * (1 if terms else factor))
        assert gan.betas == (0.0, 0.99) and gan.average == {"generator": 0.995}


def test_more_turns_of_one_player_leave_as_many_in_all(monkeypatch):
    played = []
    monkeypatch.setattr(tournament, "COPIES", 1)
    monkeypatch.setattr(tournament, "points", lambda gan, *_: played.append(gan.turns_done) or [])
    for turns in (1, 3):
        tournament.run("grid", "hinge", "R1", 1.0, turns, 0, steps=4)
    assert [sum(done.values()) for done in played] == [8, 8]


@pytest.mark.parametrize("where", ["grid", "stacked digits"])
def test_a_run_of_the_tournament_is_decided_by_its_seed(where, monkeypatch):
    monkeypatch.setattr(tournament, "COPIES", 2)
    distance = metrics.earth_mover  # quicker than of all samples
    monkeypatch.setattr(metrics, "earth_mover", lambda a, b: distance(a[:100], b[:100]))
    if where == "stacked digits":
        sample = GAN.sample
        monkeypatch.setattr(GAN, "sample", lambda gan, n, seed: sample(gan, 500, seed=seed))

    def numbers(seed):
        rows = tournament.run(where, "hinge", "R1", seed=seed, steps=2)
        assert len(rows) == (2 if where == "grid" else 1)
        assert [row["seed"] for row in rows] == list(range(seed, seed + len(rows)))
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "seed")}
            for row in rows
        ]

    first = numbers(0)
    torch.rand(5)
    assert numbers(0) == first != numbers(1)
