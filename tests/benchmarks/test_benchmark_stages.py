"""Chapter 12's three benchmarks: their tables, and that they play what the chapter writes."""

import captions
import pytest
import stacking
import superresolution
import torch
from benchmark_tables import rows
from chapter_cells import definitions

from ganbook import data
from ganbook.device import DEVICE

CHAPTER = definitions("12_stacked_gans")


@pytest.fixture
def batch():
    some = data.digits().batches(8, seed=0)[0]
    return data.Batch(some.x.clone(), some.labels)


def the_same(terms, others):
    assert terms.keys() == others.keys()
    for name, term in terms.items():
        torch.testing.assert_close(torch.as_tensor(term), torch.as_tensor(others[name]))


def from_one_state(*objectives):
    """What each objective returns, all from the same random state."""
    for objective in objectives:
        torch.manual_seed(1)
        yield objective()


def test_the_tables_have_every_row_over_its_seeds_and_lengths():
    found = [(float(row["wrong"]), int(row["seed"])) for row in rows("captions")]
    assert found == captions.KEYS
    found = [(row["data"], row["way"], int(row["seed"])) for row in rows("stacking")]
    assert found == stacking.KEYS
    found = [
        (row["data"], row["charge"], float(row["weight"]), int(row["seed"]))
        for row in rows("superresolution")
    ]
    assert found == superresolution.KEYS
    for row in rows("stacking"):
        assert float(row["seconds"]) == stacking.SECONDS[row["data"]]
        assert 0.8 < float(row["played"]) / float(row["seconds"]) < 1.4, row
    for name, steps in (("captions", captions.STEPS), ("superresolution", superresolution.STEPS)):
        assert {row["steps"] for row in rows(name)} == {str(steps)}


def test_captions_and_their_measures_are_the_chapters():
    text = captions.captions()
    CHAPTER.update(cuts=text.cuts, digit_words=captions.DIGITS, low_high=captions.LOW_HIGH)
    assert torch.equal(CHAPTER["moments"](text.images[:300]), text.measures[:300])
    assert torch.equal(CHAPTER["thirds"](text.measures, text.labels), text.third)
    for label, third in zip(text.labels[:300].tolist(), text.third[:300].tolist(), strict=True):
        assert CHAPTER["caption"](label, third) == text.text(label, third)
    kept = {text.text(text.labels[k].item(), text.third[k].tolist()) for k in text.kept}
    shown = {text.text(text.labels[k].item(), text.third[k].tolist()) for k in text.shown}
    assert not kept & shown and captions.SHOWN[-1] in kept
    for words in captions.SHOWN[:-1]:
        assert words in shown


@pytest.mark.parametrize("wrong", [0.0, 0.5])
def test_the_game_of_captions_is_the_chapters(wrong, batch):
    text = captions.captions()
    CHAPTER.update(vocabulary=text.vocabulary, penalty=captions.penalties.r1(captions.R1, every=4))
    game = captions.game(wrong, 0)
    G, D = (game.players[name][0] for name in ("painter", "reader"))
    torch.manual_seed(0)
    assert str(CHAPTER["Painter"]()) == str(G) and str(CHAPTER["Reader"]()) == str(D)
    given = data.Batch(batch.x, text.tokens[:8])
    judge, judged = from_one_state(
        lambda: game.turns[0].objective(given),
        lambda: CHAPTER["judged"](G, D, given, wrong, 0, 0.0),
    )
    the_same(judge, judged)
    assert judge["penalty"].mean() > 0 and ("wrong" in judge) == (wrong > 0)


@pytest.mark.parametrize("weight", [0.03, 0.1])
def test_the_game_of_super_resolution_is_the_chapters(weight, batch):
    CHAPTER["penalty"] = superresolution.penalties.r1(captions.R1, every=4)
    game = superresolution.game("digits", superresolution.MEAN, weight, 0)
    G, D = (game.players[name][0] for name in ("sharpener", "discriminator"))
    twin = CHAPTER["Sharpener"]().to(DEVICE)
    twin.load_state_dict(G.state_dict())
    assert str(twin) == str(G)
    x = batch.x
    the_same(
        *from_one_state(
            lambda: game.turns[0].objective(data.Batch(x.clone())),
            lambda: CHAPTER["sharp_judged"](twin, D, x.clone(), 0, 0.0),
        )
    )
    the_same(
        *from_one_state(
            lambda: game.turns[1].objective(data.Batch(x.clone())),
            lambda: CHAPTER["sharpened_terms"](twin, D, x.clone(), weight),
        )
    )


def test_the_errors_of_one_answer_and_of_two_are_charged_as_named(batch):
    for charge, times in ((superresolution.EACH, 1), (superresolution.MEAN, 2)):
        game = superresolution.game("digits", charge, 0.03, 0)
        calls = []
        game.players["sharpener"][0].register_forward_hook(lambda *_: calls.append(1))  # noqa: B023
        near = game.turns[1].objective(batch)["near"]
        assert len(calls) == times and (near.min() < 0) == (times == 2)
    (turn,) = superresolution.game("digits", superresolution.EACH, 0.0, 0).turns
    assert turn.player == "sharpener"


def test_growing_networks_are_the_chapters():
    widths = (64, 32, 16)
    torch.manual_seed(0)
    G, D = stacking.Generator(widths), stacking.Discriminator(widths)
    others = CHAPTER["GrowingGenerator"](), CHAPTER["GrowingDiscriminator"]()
    z = torch.randn(6, 12)
    for network, other in zip((G, D), others, strict=True):
        other.load_state_dict(network.state_dict())
    for stage, alpha in ((0, 1.0), (1, 0.3), (1, 1.0), (2, 0.7), (2, 1.0)):
        for network in (G, D):
            network.set(stage, alpha)
        for network in others:
            CHAPTER["set_stage"](network, stage, alpha)
        x = G(z)
        assert x.shape == (6, 1, 7 * 2**stage, 7 * 2**stage)
        assert torch.equal(x, others[0](z)) and torch.equal(D(x), others[1](x))


def test_a_layer_is_faded_in_for_both_players_and_in_real_images(batch):
    """The discriminator of a stage at alpha 0 sees blocks, at alpha 1 the images."""
    widths = (64, 32, 16)
    G, D = stacking.Generator(widths).to(DEVICE), stacking.Discriminator(widths).to(DEVICE)
    seen = []
    D.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    game = stacking.adversaries(G, D, 0)
    for alpha in (0.0, 0.25, 1.0):
        for network in (G, D):
            network.set(2, alpha)
        game.turns[0].objective(batch)
        real = seen[-2]
        assert torch.allclose(real, CHAPTER["faded"](batch.x.detach(), alpha), atol=1e-6)


def test_a_stage_of_growing_is_a_game_of_its_own():
    widths = (64, 32, 16)
    G, D = stacking.Generator(widths).to(DEVICE), stacking.Discriminator(widths).to(DEVICE)
    seen = []
    G.register_forward_pre_hook(
        lambda module, inputs: seen.append((int(module.stage), round(module.alpha.item(), 2)))
    )
    made = stacking.play("one digit", G, D, 0, [(1, 2), (2, 4)])
    assert made.steps_done == 4
    assert list(dict.fromkeys(seen)) == [(1, 1.0), (2, 0.0), (2, 0.5), (2, 1.0)]
