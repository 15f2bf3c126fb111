"""The engine's cost: the table, and the step that is written by hand."""

import engine
import numpy as np
import pytest
import torch
from benchmark_tables import rows


def test_the_engine_costs_at_most_5_percent():
    assert {row["game"] for row in rows("engine")} == set(engine.GAMES)
    for row in rows("engine"):
        ratio = float(row["wall_ratio"])
        assert float(row["wall_low"]) <= ratio <= float(row["wall_high"])
        # The inline step against itself says whether the protocol can tell at all.
        assert ratio <= 1.05 if row["what"] == "gan.train" else abs(ratio - 1) < 0.02, row


@pytest.mark.parametrize("name", ["digits", "ring"])
def test_the_inline_step_of_the_engine_benchmark_makes_the_same_weights(name):
    _, training, batches = engine.GAMES[name]()
    untouched = engine.GAMES[name]()[0]
    by_hand = engine.inline(untouched, batches, engine.STEPS)
    before = [weight.clone() for weight in untouched.averaged.parameters()]
    for _ in range(6):  # the penalty is due at the first and at the fifth
        next(training)
        averaged = next(by_hand)
    gan = training.gi_frame.f_locals["self"]
    pairs = list(
        zip(gan.averaged.state_dict().values(), averaged.state_dict().values(), strict=True)
    )
    # The game's average counts the batches of batch norm too; by hand only floats are averaged.
    assert all(torch.equal(a, b) for a, b in pairs if a.is_floating_point())
    assert not any(torch.equal(a, b) for a, b in zip(before, averaged.parameters(), strict=True))


def test_the_median_and_its_interval():
    median = engine.median
    assert median([1.0, 2.0, 300.0]) == (2.0, 1.0, 300.0)
    values = np.random.default_rng(0).normal(1.0, 0.1, (300, 101))
    held = [low <= 1.0 <= high for _, low, high in map(median, values)]
    assert 0.91 < np.mean(held) < 0.99
