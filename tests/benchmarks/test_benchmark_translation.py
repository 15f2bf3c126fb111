"""Chapter 13's benchmark: its table, and that it plays what the chapter writes."""

import pytest
import torch
import translation
from benchmark_tables import rows
from chapter_cells import definitions
from torch import nn

from ganbook import data, losses, metrics

CHAPTER = definitions("13_image_translation")
CHAPTER["loss"] = losses.nonsaturating


@pytest.fixture(scope="module")
def y():
    """The true digits; what the chapter's `measured` takes from its first cells is set, too."""
    training, CHAPTER["unseen"] = data.digits("train"), data.digits("test")
    CHAPTER["y"] = CHAPTER["unseen"].images
    features = metrics.digit_features
    known = CHAPTER["of_training"] = features(training.images)

    def remembered(images):
        return known if torch.equal(images, training.images) else features(images)

    with pytest.MonkeyPatch.context() as patch:  # the features of 4,000 digits are computed once
        patch.setattr(metrics, "digit_features", remembered)
        yield CHAPTER["y"]


def test_the_table_has_every_row_over_its_seeds_and_lengths():
    table = rows("translation")
    assert [(row["task"], row["way"], int(row["seed"])) for row in table] == translation.KEYS
    for row in table:
        assert row["steps"] == str(translation.STEPS[row["task"]])


def chapters(task, seed):
    """The game that the chapter writes for a task, and its batches."""
    training, batches = data.digits("train"), CHAPTER["Batches"]
    x = CHAPTER["outlines"](training.images)
    if task == "pairs":
        return CHAPTER["paired_game"](seed), batches(x, training.images, True, seed=seed)
    if task == "colour":
        photos = data.photographs(32, split="train").images
        grey = photos.mean(dim=1, keepdim=True)
        return CHAPTER["paired_game"](seed, outputs=3), batches(grey, photos, True, seed=seed)
    if task == "unpaired":
        piles = batches(x[:2000], training.images[2000:], False, seed=seed)
        return CHAPTER["unpaired_game"](seed), piles
    if task == "textures":  # the chapter has no code of its own for these
        a, b = (data.photographs(32, name, split="train").images for name in ("grass", "gravel"))
        return translation.unpaired(seed, size=32), batches(a, b, False, seed=seed)
    return CHAPTER["filling_game"](seed), training.batches(16, seed)


@pytest.mark.parametrize(
    ("task", "way"),
    [
        ("pairs", "L1 and D of pairs"),
        ("colour", "L1 and D of pairs"),
        ("unpaired", "no skips"),
        ("textures", "grass to gravel"),
        ("holes", "patches and whole"),
    ],
)
def test_the_game_is_the_chapters(task, way):
    """Networks, batches, objectives, rates: after three steps every weight is the same."""
    own, translators, _ = translation.play(task, way, 3, 3)
    (game, *others), batches = chapters(task, 3)
    for _ in game.train(batches, 3, progress=False):
        pass
    assert {str(networks) for networks in own.players.values()} == {
        str(networks) for networks in game.players.values()
    }
    for one, other in zip(translators, others, strict=True):
        torch.testing.assert_close(one.state_dict(), other.state_dict())
    for one, other in zip(own.averages.values(), game.averages.values(), strict=True):
        torch.testing.assert_close(one[0].state_dict(), other[0].state_dict())
    assert (own.lr, own.betas) == (game.lr, game.betas)
    shapes = {name: pool.images.shape for name, pool in own.memory.items()}
    assert shapes == {name: pool.images.shape for name, pool in game.memory.items()}


@pytest.mark.parametrize("together", [True, False])
def test_batches_are_drawn_as_in_the_chapter(together):
    x, y = torch.arange(500), torch.arange(500, 1000)
    own, chapter = (
        translation.Piles((x, y), 16, 4, together),
        CHAPTER["Batches"](x, y, together, seed=4),
    )
    for k in (0, 1, 700):
        a, b = own[k]
        assert torch.equal(a, chapter[k][0]) and torch.equal(b, chapter[k][1])
        assert torch.equal(a + 500, b) == together and not torch.equal(a, own[k + 1][0])


@pytest.mark.parametrize("way", translation.PAIRS)
def test_ways_with_pairs_differ_in_what_they_name(way):
    game, translator = translation.paired(0, **translation.PAIRS[way])
    y = data.digits("train").images[:4]
    x = translation.outlines(y)
    terms = game.turns[-1].objective((x, y))
    weight = 1 if "weight 1" in way else 100 if "L1" in way or way == "squared error" else 0
    assert ("D" in game.players) == ("g_loss" in terms) == (" D of" in f" {way}")
    if "D" in game.players:
        assert game.players["D"][0][0].in_channels == 2 - ("answers" in way)
    apart = translator(x) - y
    far = apart.square() if way == "squared error" else apart.abs()
    torch.testing.assert_close(terms.get("L1", torch.zeros_like(far)), weight * far)
    assert translator.skips == ("no skips" not in way)


@pytest.mark.parametrize("way", translation.UNPAIRED)
def test_ways_without_pairs_differ_in_what_they_name(way):
    game, G, F = translation.unpaired(0, **translation.UNPAIRED[way])
    b = data.digits("train").images[:4]
    terms = game.turns[-1].objective((translation.outlines(b), b))
    assert G.skips == F.skips == (way == "skips")
    fooled = {"fools a", "fools b"}
    assert terms.keys() == fooled | (set() if way == "no cycle" else {"cycle a", "cycle b"})


@pytest.mark.parametrize("way", translation.HOLES)
def test_ways_with_holes_differ_in_what_they_name(way):
    game, translator = translation.filling(0, **translation.HOLES[way])
    batch = data.Batch(data.digits("train").images[:4])
    names = [name for name in ("patches", "whole") if name in way]
    for turn in game.turns[:-1]:
        assert list(turn.objective(batch)) == names
    torch.manual_seed(1)
    terms = game.turns[-1].objective(batch)
    assert terms.keys() == {f"fools {name}" for name in names} | ({"L1"} if "L1" in way else set())
    if "L1" in way:
        torch.manual_seed(1)
        fake, _ = CHAPTER["filled"](translator, batch.x)
        torch.testing.assert_close(terms["L1"], 10 * (fake - batch.x).abs())


def test_translations_are_measured_as_in_the_chapter(y):
    images = (y + 0.7 * torch.randn(y.shape, device=y.device)).clamp(-1, 1)
    found = translation.measured(images)
    own = found["l1"], found["kept"], found["fid"]
    assert own == pytest.approx(CHAPTER["measured"](images), rel=1e-5)
    assert 0.1 < found["kept"] < 0.97 and found["l1"] > 0.1


def test_classes_that_are_exchanged_are_matched_and_not_kept(y):
    labels, images = CHAPTER["unseen"].labels.cpu(), y.clone()
    for k in range(10):
        others = y[labels == (k + 1) % 10]
        images[labels == k] = others[torch.arange(int((labels == k).sum())) % len(others)]
    found = translation.measured(images)
    assert found["kept"] < 0.05 and found["matched"] > 0.95


def test_colours_are_measured_as_in_the_chapter():
    photos = data.photographs(32, split="test")
    CHAPTER["photos"] = {"test": photos}
    truth, grey = photos.images, photos.images.mean(dim=1, keepdim=True)
    painted = truth + 0.2 * torch.randn(truth.shape, device=truth.device)
    found = translation.of_colours(painted, truth, photos.labels)
    assert found["chroma"] == pytest.approx(CHAPTER["chroma_error"](painted), rel=1e-5)
    far = (painted - truth).abs().mean(dim=(1, 2, 3))
    each = [far[photos.labels == k].mean().item() for k in range(4)]
    assert found["l1"] == pytest.approx(sum(each) / 4, rel=1e-5)
    paler = translation.of_colours(grey + 0.4 * (truth - grey), truth, photos.labels)
    assert paler["colourful"] == pytest.approx(0.4, rel=1e-4)


def test_holes_are_those_of_the_chapter_and_measured_so(y):
    mask = translation.holes(1000, seed=1)
    assert torch.equal(mask, CHAPTER["holes"](1000, seed=1))
    network = nn.Conv2d(4, 1, 3, padding=1).to(y.device)
    z = torch.randn(8, 1000, 2, 28, 28, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        answers = [CHAPTER["complete"](network, y, mask, noise) for noise in z]
    answers = torch.stack(answers).clamp(-1, 1)
    torch.testing.assert_close(translation.eight_answers(network, y, mask), answers)
    found = translation.of_holes(answers, mask)
    own, area = (found["l1"], found["kept"], found["fid"]), mask.mean().item()
    assert own == pytest.approx(CHAPTER["measured"](answers[0], area), rel=1e-4)
    inside = answers.std(dim=0)[mask == 1]
    assert found["spread"] == pytest.approx(inside.mean().item(), rel=1e-4) and inside.mean() > 0


def test_the_statistics_of_textures_are_means_and_deviations_of_filters():
    x = data.photographs(32, "grass", split="test").images[:5]
    w = torch.randn(32, 1, 7, 7, generator=torch.Generator().manual_seed(1)).to(x.device)
    w = w - w.mean(dim=(2, 3), keepdim=True)
    w = w / w.square().sum(dim=(2, 3), keepdim=True).sqrt()
    found = []
    for _ in range(3):
        h = sum(
            w[:, 0, i, j, None, None] * x.roll((3 - i, 3 - j), dims=(2, 3))
            for i in range(7)
            for j in range(7)
        ).clamp(min=0)
        found += [h.mean(dim=(2, 3)), h.flatten(2).std(dim=2)]
        x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    images = data.photographs(32, "grass", split="test").images[:5]
    torch.testing.assert_close(
        translation.statistics(images), torch.cat(found, dim=1), atol=1e-4, rtol=1e-4
    )


def test_textures_have_the_style_of_the_one_and_the_layout_of_the_other():
    a, b = (data.photographs(32, name, split="test").images for name in ("grass", "brick"))
    assert translation.of_textures(a, a, b) == pytest.approx({"style": 1, "layout": 1}, abs=1e-4)
    assert translation.of_textures(a, b[: len(a)], b[: len(a)])["style"] == pytest.approx(0)
    found = (a + torch.randn(a.shape, device=a.device)).clamp(-1, 1)
    CHAPTER["cat"] = a
    layout = translation.of_textures(a, found, b)["layout"]
    assert layout == pytest.approx(CHAPTER["layout_of"](found), rel=1e-5) and 0 < layout < 0.99


@pytest.mark.parametrize(
    ("task", "way", "there"),
    [
        ("pairs", "D of answers", "l1 kept matched fid"),
        ("colour", "L1", "l1 chroma colourful"),
        ("textures", "brick to grass", "cycle style layout"),
        ("holes", "whole", "l1 kept matched fid spread"),
    ],
)
@pytest.mark.usefixtures("y")
def test_a_row_has_the_measures_that_the_chapter_shows(task, way, there, monkeypatch):
    monkeypatch.setattr(translation, "eight_answers", lambda *_: None)
    monkeypatch.setattr(translation, "of_holes", lambda *_: dict.fromkeys(there.split(), 1.0))
    row = translation.run(task, way, seed=0, steps=1)
    assert [name for name in translation.MEASURES if row[name] != ""] == there.split()


def test_both_ways_and_the_cycle_are_measured_without_pairs(y, monkeypatch):
    _, (G, F), _ = played = translation.play("unpaired", "no skips", 0, 1)
    monkeypatch.setattr(translation, "play", lambda *_: played)
    row = translation.run("unpaired", "no skips", seed=0, steps=1)
    x = CHAPTER["outlines"](y)
    there, back = CHAPTER["translated"](G, x), CHAPTER["translated"](F, y)
    own = [row[name] for name in ("l1", "kept", "fid")]
    assert own == pytest.approx(CHAPTER["measured"](there), rel=1e-3, abs=1e-4)
    assert row["l1_back"] == pytest.approx((back - x).abs().mean().item(), abs=1e-4)
    cycle = (CHAPTER["translated"](F, there) - x).abs().mean().item()
    assert row["cycle"] == pytest.approx(cycle, abs=1e-4)
