"""Chapter 14's benchmark: its table, and that it plays what the chapter writes."""

import common
import pytest
import style
import torch
from benchmark_tables import rows
from chapter_cells import definitions

from ganbook import data, metrics
from ganbook.device import DEVICE

CHAPTER = definitions("14_style_generators")


def twin(generator):
    """The chapter's generator with the weights of the benchmark's."""
    made = CHAPTER["StyleGenerator"]().to(DEVICE)
    made.load_state_dict(generator.state_dict())
    return made.train(generator.training)


def test_the_table_has_every_row_over_its_seeds_and_lengths():
    table = rows("style")
    assert [(row["variant"], int(row["seed"])) for row in table] == style.KEYS
    for row in table:
        assert row["steps"] == str(style.STEPS[row["variant"]])


def test_both_sides_of_the_comparison_have_the_same_seconds():
    """In the median over seeds, to 10 %; the table says what they took."""
    seconds = {
        variant: sorted(float(row["seconds"]) for row in rows("style", variant=variant))[2:4]
        for variant in ("DCGAN", "style")
    }
    assert 0.9 < sum(seconds["DCGAN"]) / sum(seconds["style"]) < 1.1


def test_the_game_is_drawn_as_in_the_chapter():
    generator = style.game("style", 0).generator
    torch.manual_seed(0)
    for name, weight in CHAPTER["StyleGenerator"]().state_dict().items():
        assert torch.equal(weight.to(DEVICE), generator.state_dict()[name]), name


@pytest.mark.parametrize(("variant", "share"), [("style", 0.0), ("mixing", 0.5)])
def test_the_images_are_the_chapters(variant, share):
    generator = style.game(variant, 1).generator
    other = twin(generator)
    other.mixing = share
    z = torch.randn(64, 16).to(DEVICE)
    for network in (generator, other):
        torch.manual_seed(3)
        network.drawn = network(z)
    torch.testing.assert_close(generator.drawn, other.drawn)
    torch.manual_seed(3)
    in_use = generator.eval()(z)  # nothing is mixed
    assert ((in_use - other.drawn).abs().max() < 1e-4) == (share == 0)


def test_the_penalty_is_the_chapters():
    """At the first turn, where the mean is that of its lengths, and when it follows."""
    CHAPTER.update(recipe=style.RECIPE, DEVICE=DEVICE)
    games = style.game("path length", 0), CHAPTER["smooth_game"](0)
    batch = data.Batch(data.digits().batches(8, seed=0)[0].x)
    for seed in (1, 2):
        terms = []
        for game in games:
            torch.manual_seed(seed)
            terms.append(game.g_objective(batch)["path"])
        torch.testing.assert_close(*terms)
        assert terms[0].shape == (16,) and terms[0].mean() > 0
    torch.testing.assert_close(*(game.generator.mean_length for game in games))


def test_what_is_measured_is_measured_as_in_the_chapter():
    generator = style.game("style", 0).averaged
    other = twin(generator).eval()
    CHAPTER["G"] = other
    CHAPTER["measures"] = {
        name: (CHAPTER[of.__name__], CHAPTER[compare.__name__])
        for name, (of, compare) in style.PROPERTIES.items()
    }
    w, source = torch.randn(2, 60, 16).to(DEVICE)
    with torch.no_grad():
        found = style.mixing(generator, w, source)
        for alone, way in ((True, ""), (False, "to_")):
            matrix = CHAPTER["mixing_matrix"](w, source, alone)
            for row, name in zip(matrix, style.PROPERTIES, strict=True):
                mine = [float(found[f"{name}_{way}{k}"]) for k in range(1, 6)]
                torch.testing.assert_close(torch.tensor(mine), row.float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", ["DCGAN", "untrained", "path length"])
def test_a_row_has_the_measures_that_the_chapter_shows(variant, monkeypatch):
    latents, real = style.latents, metrics.digit_features(data.digits("test").images[:200])
    monkeypatch.setattr(style, "latents", lambda n, size, seed: latents(200, size, seed))
    monkeypatch.setattr(style, "PAIRS", 50)
    monkeypatch.setattr(common, "real_features", lambda: real)
    row = style.run(variant, seed=0, steps=1)
    there = set(style.MEASURES)
    there |= set(style.PATHS) if variant == "path length" else set()
    if variant == "untrained":
        there |= {name for name in style.PROBES if not name.startswith("class")}
    assert {name for name in style.COLUMNS if row[name] != ""} == there


def test_probes_see_z_as_the_mapping_network_does():
    """The longest z of a direction reads like the shortest."""
    generator = style.game("style", 0).averaged
    z = torch.randn(400, 16).to(DEVICE)
    images = style.drawn(generator, generator.mapping(z))
    found = [style.probes(generator, k * z, images, classes=True) for k in (1.0, 3.0)]
    assert found[0] == pytest.approx(found[1], abs=1e-4)
