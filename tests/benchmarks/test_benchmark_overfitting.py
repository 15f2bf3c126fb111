"""Few digits: the table, what the games switch, and changes that are those of chapter 10."""

import jupytext
import overfitting
import pytest
import torch
from benchmark_tables import rows
from common import FOLDER
from torch import nn

from ganbook import data, losses


def test_the_table_has_every_game_over_its_seeds_and_its_marks():
    table = rows("overfitting")
    marks = [overfitting.STEPS * k // overfitting.MARKS for k in range(1, overfitting.MARKS + 1)]
    found = [
        (int(row["images"]), row["remedy"], int(row["seed"]), int(row["step"])) for row in table
    ]
    order = [
        (*row, seed, mark)
        for row in overfitting.ROWS
        for seed in overfitting.SEEDS
        for mark in marks
    ]
    assert found == order
    for row in table:
        assert float(row["fid"]) > 0, row
        assert 0 <= float(row["copies"]) <= 1 and 0 <= float(row["p"]) <= 1, row
        assert row["steps"] == str(overfitting.STEPS)
        assert (float(row["p"]) == 1) == ("both" in row["remedy"]) or row["remedy"] == "adaptive", (
            row
        )


def test_the_changes_of_the_chapter_are_those_of_the_benchmark():
    cells = [
        cell.source
        for cell in jupytext.read(FOLDER.parent / "sources/10_overfitting.md").cells
        if cell.cell_type == "code"
    ]
    chapter = {"torch": torch, "F": nn.functional}
    for name in ("moved", "cut", "augmented"):
        exec(next(cell for cell in cells if cell.startswith(f"def {name}(")), chapter)
    x = data.digits().images[:50]
    for name in ("moved", "cut", "lit", "augmented"):
        torch.manual_seed(0)
        here = chapter[name](x)
        torch.manual_seed(0)
        assert torch.equal(here, getattr(overfitting, name)(x)), name


def test_each_change_is_drawn_for_each_image_and_lets_the_gradient_through():
    x = data.digits().images[:1].repeat(60, 1, 1, 1).requires_grad_()
    for change in (overfitting.moved, overfitting.cut, overfitting.lit, overfitting.augmented):
        y = change(x)
        assert y.shape == x.shape and len(y.detach().flatten(1).unique(dim=0)) > 30
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert (slope.flatten(1).abs().sum(1) > 0).all() and torch.isfinite(slope).all()
    assert torch.equal(overfitting.augmented(x, p=0.0), x)


def test_moved_goes_as_far_as_it_says_in_all_directions_and_brings_black_in():
    x = torch.full((900, 2, 12, 12), -1.0)
    x[:, 0, 6, 6], x[:, 1, 6, 6] = 1.0, 0.5
    y = overfitting.moved(x, far=2)
    places = [(int(i), int(j)) for i, j in (y[:, 0] == 1).nonzero()[:, 1:]]
    assert len(places) == 900 and {(i - 6, j - 6) for i, j in places} == {
        (a, b) for a in range(-2, 3) for b in range(-2, 3)
    }
    assert torch.equal(y[:, 0] == 1, y[:, 1] == 0.5)
    assert (overfitting.moved(-torch.ones_like(x)) == -1).all()


def test_a_seed_splits_the_digits_anew_and_nobody_learns_from_held_out_ones():
    splits = [overfitting.digits(4000, seed) for seed in overfitting.SEEDS]
    for training, held_out in splits:
        assert (len(training), len(held_out)) == (4000, overfitting.HELD_OUT)
        # The digits themselves hold next to no twins.
        assert len(torch.cat([training, held_out]).flatten(1).unique(dim=0)) >= 4997
    for images in overfitting.COUNTS:
        for seed, (training, held_out) in enumerate(splits):
            fewer, same = overfitting.digits(images, seed)
            assert torch.equal(fewer, training[:images]) and torch.equal(same, held_out)
    a, b = (held_out.flatten(1) for _, held_out in splits[:2])
    assert len(torch.cat([a, b]).unique(dim=0)) > 1700  # a fifth of the digits is in both


def test_the_games_switch_what_they_name():
    for images, remedy in overfitting.ROWS:
        gan, batches, _ = overfitting.game(images, remedy, 0)
        assert (gan.penalty is not None) == ("R1" in remedy)
        assert ("Dropout" in str(gan.discriminator)) == (remedy == "dropout")
        assert isinstance(gan.discriminator[0], overfitting.Augment) == (
            remedy in ("instance noise", "adaptive") or "both" in remedy
        )
        assert (gan.loss is losses.nonsaturating) == (remedy != "one-sided smoothing")
        plain = data.Images(overfitting.digits(images, 0)[0]).batches(overfitting.BATCH, 0)
        assert torch.equal(batches[5].x, plain[5].x) == (remedy != "real alone augmented")
        assert torch.equal(batches[5].x, batches[5].x) and batches[5].x.abs().max() <= 1


def test_smoothing_asks_for_nine_tenths_of_real_images_alone():
    real, fake = torch.randn(2, 50, dtype=torch.float64)
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    wanted = [
        cross_entropy(x, torch.full_like(x, t), reduction="none")
        for x, t in ((real, 0.9), (fake, 0.0))
    ]
    assert torch.allclose(overfitting.SMOOTHED.d(real, fake), sum(wanted))
    assert torch.equal(overfitting.SMOOTHED.g(None, fake), losses.nonsaturating.g(None, fake))


def test_p_goes_up_while_d_is_sure_of_the_training_images_and_down_when_it_is_not():
    gan, _, after = overfitting.game(50, "adaptive", 0)
    p = gan.discriminator[0].p

    def steps(sign, count, first):
        for k in range(first, first + count):
            after(type("Step", (), {"index": k, "real_logits": sign * torch.rand(32)}))

    steps(+1, 40, 1)
    assert p.item() == pytest.approx(10 * overfitting.MOVE)
    steps(-1, 20, 41)
    assert p.item() == pytest.approx(5 * overfitting.MOVE)
    steps(-1, 200, 61)
    assert p.item() == 0
    with pytest.raises(ValueError, match="no 'dropout' on 50 images"):
        overfitting.run(50, "dropout")


def test_a_game_has_a_row_at_each_of_its_marks(monkeypatch):
    monkeypatch.setattr(overfitting, "MARKS", 3)
    found = overfitting.run(50, "none", seed=1, steps=2 * overfitting.MARKS)
    assert [row["step"] for row in found] == [2 * k for k in range(1, overfitting.MARKS + 1)]


def test_an_adaptive_game_that_is_resumed_has_its_p_back(tmp_path):
    """At any step: the signs that p is moved by are buffers, too."""

    def play(steps, game, batches, after):
        for step in game.train(batches, 14, progress=False):
            after(step)
            if step.index == steps:
                return game

    straight = play(14, *overfitting.game(50, "adaptive", 0))
    play(6, *overfitting.game(50, "adaptive", 0)).save(tmp_path / "game.pt")
    again, batches, after = overfitting.game(50, "adaptive", 0)
    again.resume(tmp_path / "game.pt")
    play(14, again, batches, after)
    assert straight.discriminator[0].p > 0
    for name, value in straight.discriminator.state_dict().items():
        assert torch.equal(value, again.discriminator.state_dict()[name]), name


@pytest.mark.parametrize("settings", [{"p": 1.0}, {"p": 0.0, "noise": 0.5}])
def test_what_is_in_front_of_d_changes_images_in_training_alone(settings):
    layer = overfitting.Augment(**settings)
    images = overfitting.digits(50, 0)[0]
    assert not torch.equal(layer(images), images)
    assert torch.equal(layer.eval()(images), images)
