"""Chapter 11's benchmark: its table, and that it plays what the chapter writes."""

import infogan
import numpy as np
import pytest
import torch
from benchmark_tables import rows
from chapter_cells import definitions
from torch import nn

from ganbook import data, losses
from ganbook.device import DEVICE

CHAPTER = definitions("11_infogan")
CHAPTER["loss"] = losses.nonsaturating


def test_the_table_has_every_row_over_its_seeds_and_lengths():
    table = rows("infogan")
    assert [(row["method"], int(row["seed"])) for row in table] == infogan.KEYS
    games = (*infogan.CHANGES, infogan.PLANE, infogan.ALONE)
    for row in table:
        steps = infogan.LENGTHS.get(row["method"], infogan.STEPS)
        assert row["steps"] == (str(steps) if row["method"] in games else "")


def test_the_reader_without_a_generator_has_about_the_seconds_of_the_game():
    """In the median over seeds, to 15 %; the table says what they took."""
    both, alone = (
        np.median([float(row["seconds"]) for row in rows("infogan", method=method)])
        for method in ("both", infogan.ALONE)
    )
    assert 0.85 < alone / both < 1.15


def test_the_game_is_the_chapters():
    """Networks, objectives, rates: after three steps every weight is the same."""
    games = infogan.game("both", 3), CHAPTER["digit_game"](3)
    for own in games:
        for _ in own.train(infogan.half_size("train").batches(64, 0), 3, progress=False):
            pass
    for one, other in zip(*(own.players.values() for own in games), strict=True):
        for a, b in zip(parameters(one), parameters(other), strict=True):
            torch.testing.assert_close(a, b)
    assert games[0].lr == games[1].lr


def parameters(player):
    networks = player if isinstance(player, tuple) else (player,)
    return [weight for network in networks for weight in network.parameters()]


def test_what_is_changed_is_changed_as_in_the_chapter():
    x = infogan.half_size("test").images[:50]
    found = []
    for change in (infogan.changed, CHAPTER["changed"]):
        torch.manual_seed(0)
        found.append(change(x, 0.2))
    assert torch.equal(*found)
    assert (found[0] - x).abs().mean() > 0.05


@pytest.mark.parametrize(("method", "for_d", "for_q"), [("none", 0, 0), ("Q alone", 0, 1)])
def test_a_change_stands_where_the_row_says(method, for_d, for_q, monkeypatch):
    """Both turns call it for D, G's turn alone for Q."""
    amounts = []
    monkeypatch.setattr(infogan, "changed", lambda x, amount: amounts.append(amount) or x)
    own = infogan.game(method, 0)
    batch = data.Batch(infogan.half_size("train").images[:8], None)
    for turn in own.turns:
        turn.objective(batch)
    assert sorted(amounts) == sorted(for_d * 3 * [0.1] + for_q * [0.2])


def test_clusters_are_matched_and_judged_as_in_the_chapter():
    """On the 4,000, and on the 1,000 by the matching of the 4,000."""
    generator = np.random.default_rng(0)
    known, new = (generator.integers(0, 10, n) for n in (4000, 1000))
    found = infogan.accuracies(known, new)
    labels, held = (infogan.half_size(split).labels.cpu() for split in ("train", "test"))
    codes = torch.as_tensor(known), torch.as_tensor(new)
    share = CHAPTER["held_out_accuracy"](codes[0], labels, codes[1], held)
    assert found["held_out"] == pytest.approx(float(share))
    assert found["accuracy"] == pytest.approx(CHAPTER["matched"](codes[0], labels, 10, 10))


class Told(nn.Module):
    """A generator whose top left quarter tells the code, `how` it is told being the shade."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, z, c):
        x = torch.full((len(z), 1, 14, 14), -1.0)
        x[:, 0, 4:10, 4:10] = self.how(c)[:, None, None]
        return x.to(DEVICE)


def test_what_survives_is_a_code_that_the_change_leaves():
    """A shade is left by shifts and shears of the square; a code that nothing shows is not."""
    kept = infogan.survives(Told(lambda c: c.cpu() / 5.0 - 0.9), steps=150)
    lost = infogan.survives(Told(lambda c: torch.zeros(len(c))), steps=150)
    assert kept > 1 and lost < 0.1


def test_a_code_is_followed_within_each_value_whatever_the_direction():
    torch.manual_seed(0)
    c = torch.arange(10).repeat(500)
    code = torch.rand(5000, dtype=torch.float64)
    values = torch.where(c % 2 == 0, code, -code) + 3 * c
    assert infogan.following(values, code, c) == pytest.approx(1)
    assert infogan.following(torch.rand(5000).double(), code, c) < 0.06
    assert infogan.following(-code, code, None) == pytest.approx(1)


def test_slant_and_ink_are_measured_as_they_are():
    strokes = torch.zeros(2, 1, 14, 14) - 1
    for row in range(2, 12):
        strokes[0, 0, row, 7 + (7 - row) // 2] = 1  # one to the right for two up
    strokes[1, 0, 2:12, 7:9] = 1
    found = {name: of(strokes) for name, of in infogan.PROPERTIES.items()}
    assert found["slant"].tolist() == pytest.approx([0.5, 0], abs=0.03)
    assert found["ink"].tolist() == pytest.approx([10 / 196, 20 / 196])


@pytest.mark.parametrize("method", ["both", infogan.PLANE, infogan.ALONE, "PCA"])
def test_a_row_has_the_measures_that_the_chapter_shows(method, monkeypatch):
    digits, latents = data.digits("test"), infogan.latents
    few = data.Images(digits.images[:300], digits.labels[:300])
    monkeypatch.setattr(data, "digits", lambda split="all": few)
    monkeypatch.setattr(infogan, "latents", lambda n, *a, **kw: latents(min(n, 300), *a, **kw))
    monkeypatch.setattr(infogan, "survives", lambda generator: 0.0)
    row = infogan.run(method, seed=0, steps=1)
    reading = {"accuracy", "held_out", "accuracy_8", "held_out_8"}
    codes = {f"{name}_{k}" for name in ("slant", "ink") for k in (0, 1)}
    there = {
        "both": reading | codes | {"bound", "read", "survives", "fid"},
        infogan.PLANE: codes | {"fid", "neighbours"},
        infogan.ALONE: reading,
        "PCA": {"neighbours"},
    }[method]
    assert {name for name in infogan.MEASURES if row[name] != ""} == there
