"""Which modes a generator covers: the table, packs, unrolling, what each variant switches."""

import copy
import itertools

import modes
import numpy as np
import pytest
import torch
from benchmark_tables import rows
from chapter_cells import ROOT, build
from scipy.stats import permutation_test

from ganbook import data


def test_the_table_of_modes_has_every_game_over_its_seeds_and_steps():
    table = rows("modes")
    found = [
        (row["data"], row["variant"], int(row["games"]), int(row["steps"]), int(row["seed"]))
        for row in table
    ]
    seeds = {modes.COPIES: range(10), 1: range(3)}
    assert found == [
        (*row, modes.STEPS[row[1]], seed) for row in modes.ROWS for seed in seeds[row[2]]
    ]


@pytest.mark.parametrize(("where", "modes"), [("grid", 25), ("ring", 8)])
def test_the_recipe_covers_every_mode_on_every_seed(where, modes):
    for row in rows("modes", data=where, variant="recipe"):
        assert (
            int(row["modes"]) == modes
            and float(row["quality"]) >= 0.95
            and float(row["reverse_kl"]) <= 0.03
        ), row
        if where == "grid":  # the same work on the ring: what is measured there is the machine
            assert float(row["seconds"]) <= 30, row  # alone, or as its share of ten side by side


def test_a_pack_holds_samples_of_one_game_and_each_gets_the_logit_of_its_pack():
    packed = modes.Packed(2, copies=3, width=8)
    x = torch.randn(12, 2)  # row i belongs to game i % 3
    logits = packed(x)
    assert logits.shape == (12,)
    for game in range(3):
        own = logits[game::3]
        assert torch.equal(own[0::2], own[1::2]) and own[0] != own[2]
        changed = x.clone()
        changed[3 + game] += 1  # the second of the first pack
        moved = packed(changed) != logits
        assert moved.nonzero().flatten().tolist() == [game, 3 + game]


def test_unrolling_looks_at_the_turns_that_the_discriminator_would_take():
    gan = modes.plain(2, 0)
    batches = data.ring().batches(20)
    for _ in gan.train(batches, 3, progress=False):
        pass
    real, fake = batches[3].x, gan.sample(20, seed=0).requires_grad_()
    later = modes.look_ahead(gan, real, fake, turns=4)
    before, judge = dict(gan.discriminator.named_parameters()), copy.deepcopy(gan.discriminator)
    optimizer = torch.optim.Adam(judge.parameters(), betas=gan.betas)
    optimizer.load_state_dict(copy.deepcopy(gan.optimizers["discriminator"].state_dict()))
    for _ in range(4):
        loss = gan.loss.d(judge(real), judge(fake.detach())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, weight in judge.named_parameters():
        # Adam divides by what may be next to nothing: a few weights differ by more than rounding.
        assert (later[name] - weight).abs().mean() < 1e-6
        assert (weight - before[name]).abs().mean() > 1e-4
    (gradient,) = torch.autograd.grad(later["3.weight"].sum(), fake)  # the turns answer the fakes
    assert gradient.abs().max() > 0 and torch.isfinite(gradient).all()


@pytest.mark.parametrize("variant", ["packs of 2", "unrolled"])
def test_a_run_of_the_modes_is_decided_by_its_seed(variant):
    def numbers(seed):
        rows = modes.run("grid", variant, copies=2, seed=seed, steps=3)
        return [(row["modes"], row["quality"], row["reverse_kl"]) for row in rows]

    first = numbers(0)
    torch.rand(5)
    assert numbers(0) == first != numbers(1)


def test_the_recipes_switches_switch_what_they_name():
    games = {name: make(2, 0) for name, make in modes.PARTS.items()}
    course = games.pop("recipe")

    def parts(gan):
        terms = gan.penalty.terms if gan.penalty else ()
        return {
            "penalty": [term.measure for term in terms],
            "weight": [term.weight for term in terms],
            "Fourier": "FourierFeatures" in str(gan.discriminator),
            "ReLU": " ReLU" in str(gan.generator),
            "loss": gan.loss,
            "latents": gan.latent,
            "lr": gan.lr,
            "width": gan.generator[1].weight.shape[2],
        }

    switched = {
        name: [k for k, v in parts(gan).items() if v != parts(course)[k]]
        for name, gan in games.items()
    }
    assert switched.pop("bare") == ["Fourier", "loss"]
    assert switched.pop("bare, no penalty") == ["penalty", "weight", "Fourier", "loss"]
    assert switched.pop("no penalty") == switched.pop("R1 alone") == ["penalty", "weight"]
    for name, found in switched.items():
        assert len(found) == 1 and found[0] in name, (name, found)
    alone, whole = parts(games["R1 alone"]), parts(course)
    assert alone["penalty"] == whole["penalty"][:1] and alone["weight"] == whole["weight"][:1]


def test_r1_alone_among_the_remedies_is_the_first_half_of_r1_and_r2():
    alone, pair = (modes.HELP[name](2, 0) for name in ("R1", "R1 and R2"))
    assert alone.loss == pair.loss
    assert alone.penalty.terms == pair.penalty.terms[:1]


def test_the_chapters_test_of_two_means_is_scipys():
    cells = build.notebooks(ROOT / "sources/03_why_training_fails.md")["chapters"].cells
    (cell,) = [cell.source for cell in cells if "def differ(a, b)" in cell.source]
    chapter = {"itertools": itertools, "torch": torch}
    exec(cell, chapter)
    a, b = (
        np.array([float(row["quality"]) for row in rows("modes", data="grid", variant=variant)])
        for variant in ("recipe", "weight stays 0.1")
    )
    a, b = a[:10], b[:10]
    p = permutation_test(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True, n_resamples=np.inf
    ).pvalue
    assert 0.001 < p < 0.5
    assert chapter["differ"](torch.tensor(a), torch.tensor(b)) == pytest.approx(min(12 * p, 1))
