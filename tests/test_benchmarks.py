"""The tables of benchmarks/: they are whole, they hold what the README and the chapters read, and
the scripts run."""

import copy
import csv
import functools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganbook import data, metrics, networks

FOLDER = Path(__file__).parents[1] / "benchmarks"
COLUMNS = {
    "dcgan": "what seed step seconds images_per_s fid machine",
    "baseline": "rung seed seconds images_per_s fid fid_same_way machine",
    "engine": "game what pairs steps_per_block inline_wall_us wall_ratio wall_low wall_high"
    " inline_cpu_us cpu_ratio cpu_low cpu_high machine",
    "dcgan_ablation": "variant seed steps seconds fid machine",
    "conditional": "data variant seed steps seconds accuracy fid class_fid "
    + " ".join(f"{what}_{c}" for what in ("accuracy", "fid") for c in range(10))
    + " machine",
    "modes": "data variant games steps seed seconds modes quality reverse_kl machine",
    "tournament": "data loss regulariser seed steps seconds modes quality reverse_kl w1 confidence machine",
    "stacked": "variant seed steps seconds cpu_seconds modes reverse_kl confidence machine",
}
SEEDS = {"0", "1", "2"}


@functools.cache
def script(name):
    sys.path.insert(0, str(FOLDER))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(FOLDER))


def rows(name, **which):
    path = FOLDER / f"{name}.csv"
    assert path.exists(), f"no table yet: python benchmarks/{name}.py"
    with path.open(newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            if all(row[key] == value for key, value in which.items())
        ]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_is_whole(name):
    table = rows(name)
    assert table and all(list(row) == COLUMNS[name].split() for row in table)
    assert len({row["machine"] for row in table}) == 1
    for row in table:
        for column, value in row.items():
            if column in ("seconds", "images_per_s", "fid") and value:
                assert float(value) > 0, row


def test_dcgan_reaches_a_twentieth_of_the_gaussian_within_a_minute():
    table = rows("dcgan", what="dcgan")
    assert {row["seed"] for row in table} == SEEDS
    last = [row for row in table if row["step"] == max((row["step"] for row in table), key=int)]
    assert len(last) == 3
    gaussian = min(float(row["fid"]) for row in rows("dcgan", what="pixel gaussian"))
    assert max(float(row["seconds"]) for row in last) <= 60
    assert max(float(row["fid"]) for row in last) <= 0.05 * gaussian
    assert max(float(row["fid"]) for row in rows("dcgan", what="real halves")) < 0.01 * gaussian


def test_the_course_is_8_times_as_fast_as_what_people_copy_and_10_times_as_good():
    found = script("baseline").compare(rows("baseline"))
    assert set(found) == {"copied", "engine", "networks", "course"}
    assert all(len(rung["fid"]) == 3 for rung in found.values())
    assert min(np.divide(found["course"]["speed"], found["copied"]["speed"])) >= 8
    assert min(np.divide(found["copied"]["fid"], found["course"]["fid"])) >= 10


def test_the_engine_costs_at_most_5_percent():
    assert {row["game"] for row in rows("engine")} == set(script("engine").GAMES)
    for row in rows("engine"):
        ratio = float(row["wall_ratio"])
        assert float(row["wall_low"]) <= ratio <= float(row["wall_high"])
        # The inline step against itself says whether the protocol can tell at all.
        assert ratio <= 1.05 if row["what"] == "gan.train" else abs(ratio - 1) < 0.02, row


def test_the_ablation_has_every_variant_over_the_same_seeds_and_steps():
    table = rows("dcgan_ablation")
    found = [(row["variant"], row["seed"]) for row in table]
    assert found == [
        (variant, seed) for variant in script("dcgan_ablation").VARIANTS for seed in sorted(SEEDS)
    ]
    assert {row["steps"] for row in table} == {str(script("dcgan_ablation").STEPS)}


def test_the_table_of_modes_has_every_game_over_its_seeds_and_steps():
    modes, table = script("modes"), rows("modes")
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


def test_the_table_of_conditional_games_has_every_variant_over_its_seeds_and_steps():
    script_, table = script("conditional"), rows("conditional")
    found = [(row["data"], row["variant"], row["seed"]) for row in table]
    assert found == [(*row, seed) for row in script_.ROWS for seed in sorted(SEEDS)]
    assert {row["steps"] for row in table} == {str(script_.STEPS)}


def test_a_conditional_game_obeys_and_is_as_near_to_the_digits_as_the_unconditional_in_its_seconds():
    table = rows("conditional", data="all digits", variant="projection")
    assert min(float(row["accuracy"]) for row in table) >= 0.97
    for name in ("unconditional", "unconditional, as in chapter 4"):
        for row, other in zip(
            table, rows("conditional", data="all digits", variant=name), strict=True
        ):
            # More seconds than the other's by the cost of the labels; its distance is lower by much
            # more than they buy.
            assert float(row["seconds"]) < 1.25 * float(other["seconds"]), row
            assert float(row["fid"]) < 0.5 * float(other["fid"]), row


def test_the_tournament_has_every_combination_over_its_seeds_and_steps():
    tournament, table = script("tournament"), rows("tournament")
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


def test_stacked_digits_have_every_row_over_its_seeds_and_steps():
    stacked, table = script("stacked"), rows("stacked")
    steps = {name: stacked.SHORT for name, _ in stacked.BUILD_UP} | {
        name: n for name, (_, n) in stacked.DEEPER.items()
    }
    found = [(row["variant"], int(row["seed"]), int(row["steps"])) for row in table]
    assert found == [(name, seed, steps[name]) for name in stacked.ROWS for seed in stacked.SEEDS]


def test_the_long_game_draws_every_number_and_nearly_as_readably_as_the_real_stacks():
    real = metrics.stacked_coverage(data.stacked_digits().sample(5000, seed=0)).confidence
    for row in rows("stacked", variant="long"):
        assert int(row["modes"]) >= 999 and float(row["reverse_kl"]) <= 0.1, row
        assert float(row["confidence"]) >= 0.85 * real and float(row["seconds"]) <= 15 * 60, row


def test_the_picture_is_small_enough_for_the_readme():
    assert (FOLDER / "digits.png").stat().st_size < 200_000
    with Image.open(FOLDER / "digits.png") as picture:
        assert picture.size == (3 * (12 * 29 - 1), 3 * (6 * 29 - 1))


# ---- The scripts


def test_a_picture_makes_the_folder_it_is_to_lie_in(tmp_path):
    path = tmp_path / "new" / "digits.png"
    script("dcgan").picture(torch.zeros(4, 1, 28, 28), 2, path, scale=3)
    with Image.open(path) as picture:
        assert picture.size == (3 * (2 * 29 - 1), 3 * (2 * 29 - 1))


@pytest.mark.parametrize("name", ["digits", "ring"])
def test_the_inline_step_of_the_engine_benchmark_makes_the_same_weights(name):
    engine = script("engine")
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
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not any(torch.equal(a, b) for a, b in zip(before, averaged.parameters(), strict=True))


def test_the_median_and_its_interval():
    median = script("engine").median
    assert median([1.0, 2.0, 300.0]) == (2.0, 1.0, 300.0)
    values = np.random.default_rng(0).normal(1.0, 0.1, (300, 101))
    held = [low <= 1.0 <= high for _, low, high in map(median, values)]
    assert 0.91 < np.mean(held) < 0.99


def test_the_copied_transforms_resize_and_scale_each_image():
    digits = script("baseline").Digits()
    image = digits[7]
    assert len(digits) == 5000 and image.shape == (1, 32, 32) and image.dtype == torch.float32
    real = data.digits().images[7:8].cpu()
    resized = torch.nn.functional.interpolate(real, (32, 32), mode="bilinear", align_corners=False)[
        0
    ]
    assert (image - resized).abs().max() < 2 / 127.5  # PIL rounds to bytes, twice


def test_the_copied_step_trains_each_player_against_the_other():
    baseline = script("baseline")
    torch.manual_seed(0)
    players = generator, discriminator = baseline.copied_networks()
    optimizers = [baseline.copied_adam(network) for network in players]
    digits = baseline.Digits()
    real = torch.stack([digits[i] for i in range(8)])

    def losses(
        learner, other, which
    ):  # quicker than the copies learn, and the other player stands still
        optimizers[learner].param_groups[0]["lr"], optimizers[other].param_groups[0]["lr"] = (
            2e-3,
            0.0,
        )
        before = [[weight.clone() for weight in network.parameters()] for network in players]
        found = []
        for _ in range(15):
            np.random.seed(0)  # noqa: NPY002, the copied step draws from it: each step has the same latents
            found.append(baseline.copied_step(*players, *optimizers, real)[which])
        same = [
            [torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True)]
            for weights, network in zip(before, players, strict=True)
        ]
        assert not any(same[learner]) and all(same[other])
        return found

    d_losses = losses(learner=1, other=0, which=0)
    assert d_losses[0] == pytest.approx(np.log(2), abs=0.02)
    assert d_losses[-1] < d_losses[0] - 0.05
    discriminator.eval()  # its dropout would hide what the generator learns in so few steps
    g_losses = losses(learner=0, other=1, which=1)
    assert g_losses[-1] < g_losses[0] - 0.05
    assert generator(torch.randn(2, 100)).shape == (2, 1, 32, 32)


def test_references_of_the_distance():
    halves, gaussian = script("dcgan").references(seed=0)
    assert halves["fid"] < 2 and 200 < gaussian["fid"] < 320
    assert abs(script("dcgan").references(seed=1)[1]["fid"] - gaussian["fid"]) < 10


def test_the_ablation_switches_what_it_names():
    variants = script("dcgan_ablation").VARIANTS
    course = str(networks.dcgan())
    assert str(networks.dcgan(**variants["as in the course"])) == course
    for name, settings in variants.items():
        if "init_std" in settings:
            generator, _ = networks.dcgan(**settings)
            assert generator[0].weight.std().item() == pytest.approx(
                float(name.split()[-1]), rel=0.05
            )
    assert "BatchNorm" in course and "BatchNorm" not in str(
        networks.dcgan(**variants["no batch norm"])
    )
    with pytest.raises(ValueError, match="no variant 'batch norm'"):
        script("dcgan_ablation").run("batch norm", 0, 1)


def test_a_table_that_stopped_half_way_is_gone_on_with(tmp_path):
    def run(*arguments):
        command = [
            sys.executable,
            str(FOLDER / "dcgan_ablation.py"),
            "--out",
            str(tmp_path),
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True)

    first = run("--only", "no activation", "--seed", "1", "--steps", "2")
    assert first.returncode == 0, first.stderr
    table = (tmp_path / "dcgan_ablation.csv").read_text()
    assert table.splitlines()[0].split(",") == COLUMNS["dcgan_ablation"].split()
    again = run("--only", "no activation", "--seed", "1", "--steps", "2")
    assert again.stdout == first.stdout and (tmp_path / "dcgan_ablation.csv").read_text() == table
    other = run("--only", "no activation", "--steps", "3")
    assert other.returncode == 1 and "was measured with steps '2'" in other.stderr
    assert (tmp_path / "dcgan_ablation.csv").read_text() == table


def test_a_pack_holds_samples_of_one_game_and_each_gets_the_logit_of_its_pack():
    packed = script("modes").Packed(2, copies=3, width=8)
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
    modes = script("modes")
    gan = modes.plain(2, 0)
    batches = data.ring().batches(20)
    for _ in gan.train(batches, 3, progress=False):
        pass
    real, fake = batches[3].x, gan.sample(20, seed=0).requires_grad_()
    later = modes.look_ahead(gan, real, fake, turns=4)
    before, judge = dict(gan.discriminator.named_parameters()), copy.deepcopy(gan.discriminator)
    optimizer = torch.optim.Adam(judge.parameters(), betas=gan.betas)
    optimizer.load_state_dict(copy.deepcopy(gan._d_optimizer.state_dict()))
    for _ in range(4):
        loss = gan.loss.d(judge(real), judge(fake.detach())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, weight in judge.named_parameters():
        # Adam divides by what may be next to nothing, so a few weights differ more than rounding
        # does.
        assert (
            (later[name] - weight).abs().mean() < 1e-6 < 1e-4 < (weight - before[name]).abs().mean()
        )
    (gradient,) = torch.autograd.grad(later["3.weight"].sum(), fake)  # the turns answer the fakes
    assert gradient.abs().max() > 0 and torch.isfinite(gradient).all()


@pytest.mark.parametrize("variant", ["packs of 2", "unrolled"])
def test_a_run_of_the_modes_is_decided_by_its_seed(variant):
    def numbers(seed):
        rows = script("modes").run("grid", variant, copies=2, seed=seed, steps=3)
        return [(row["modes"], row["quality"], row["reverse_kl"]) for row in rows]

    first = numbers(0)
    torch.rand(5)
    assert numbers(0) == first != numbers(1)


def test_the_recipes_switches_switch_what_they_name():
    modes = script("modes")
    games = {name: make(2, 0) for name, make in modes.PARTS.items()}
    course, bare = games.pop("recipe"), games.pop("bare")

    def parts(gan):
        return {
            "weight": gan.penalty.terms[0].weight, "Fourier": "FourierFeatures" in str(gan.discriminator),
            "ReLU": " ReLU" in str(gan.generator), "loss": gan.loss, "latents": gan.latent, "lr": gan.lr,
            "width": gan.generator[1].weight.shape[2],
        }  # fmt: skip

    switched = {
        name: [k for k, v in parts(gan).items() if v != parts(course)[k]]
        for name, gan in games.items()
    }
    for name, found in switched.items():
        assert len(found) == 1 and found[0] in name, (name, found)
    assert [k for k, v in parts(bare).items() if v != parts(course)[k]] == ["Fourier", "loss"]


def test_conditional_games_switch_what_they_name():
    conditional = script("conditional")
    for where, variant in conditional.ROWS:
        gan, batches = conditional.game(where, variant, 0)
        layers = str(gan.discriminator) + str(gan.generator)
        assert (gan.classes is None) == ("unconditional" in variant)
        assert ("ConditionalBatchNorm2d" in layers) == ("norm" in variant)
        assert ("Projection" in layers) == (where == "long tail" or "projection" in variant)
        assert ("TwoHeads" in layers) == (variant == "auxiliary") and ("Embedding" in layers) == (
            variant == "embedding"
        )
        counts = sum(torch.bincount(batches[k].labels, minlength=10) for k in range(100)).float()
        assert (counts.max() < 1.3 * counts.min()) == (
            where == "all digits" or "balanced" in variant
        ), variant
        if variant == "weighted":
            labels = data.long_tail(data.digits(), conditional.FACTOR).labels
            totals = torch.bincount(labels, weights=gan.class_weights[labels], minlength=10)
            assert torch.allclose(totals, totals.mean()) and gan.class_weights[
                labels
            ].mean() == pytest.approx(1)
        else:
            assert gan.class_weights is None


def test_games_of_the_tournament_differ_in_what_they_name_alone():
    tournament = script("tournament")
    for where in tournament.STEPS:
        for loss in tournament.LOSSES:
            for held in tournament.REGULARISERS:
                gan = tournament.game(where, loss, held, seed=0, copies=2)
                assert gan.loss is tournament.LOSSES[loss] and gan.clip is None and gan.d_steps == 1
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
                assert gan.lr.start == 3e-3 and gan.betas == (0.0, 0.99) and gan.average == 0.995


@pytest.mark.parametrize("where", ["grid", "stacked digits"])
def test_a_run_of_the_tournament_is_decided_by_its_seed(where, monkeypatch):
    tournament = script("tournament")
    monkeypatch.setattr(tournament, "COPIES", 2)

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


def test_each_step_of_the_build_up_changes_what_it_names_and_keeps_the_rest():
    stacked = script("stacked")

    def parts(variant):
        gan = stacked.game(variant, seed=0)
        layers = str(gan.generator)
        return {
            "PyTorch's own weights": gan.generator.init_std, "rate": getattr(gan.lr, "start", gan.lr),
            "averaged": gan.average, "loss": gan.loss, "batch norm": "BatchNorm" in layers,
            "residual": "Block" in layers, "R2": gan.penalty is not None and len(gan.penalty.terms) == 2,
            "R1": gan.penalty is not None,
        }  # fmt: skip

    names = [name for name, _ in stacked.BUILD_UP]
    before = parts(names[0])
    for name in names[1:]:
        after = parts(name)
        changed = [part for part in before if before[part] != after[part]]
        assert len(changed) == 1 and changed[0] in name, (name, changed)
        before = after


def test_groups_differ_in_their_convolutions_alone():
    stacked = script("stacked")
    one, three = stacked.game("one group", 0), stacked.game("three groups", 0)
    for whole, in_three in zip(one._layers(), three._layers(), strict=True):
        assert in_three.count("groups=3") == 3 and in_three.replace(", groups=3", "") == whole
    again = stacked.game("three groups", 0)
    assert all(map(torch.equal, three.discriminator.parameters(), again.discriminator.parameters()))


def test_three_groups_are_one_group_whose_other_weights_are_zero():
    torch.manual_seed(0)
    (one, _), (three, _) = (script("stacked").players(groups, width=6) for groups in (1, 3))
    for whole, grouped in zip(one.modules(), three.modules(), strict=True):
        if getattr(grouped, "groups", 1) > 1:
            with torch.no_grad():
                whole.weight.zero_()
                for inputs in range(
                    len(grouped.weight)
                ):  # a transposed kernel is (inputs, outputs / groups, h, w)
                    outputs = grouped.weight.shape[1]
                    group = inputs * 3 // len(grouped.weight)
                    whole.weight[inputs, group * outputs : (group + 1) * outputs] = grouped.weight[
                        inputs
                    ]
                if whole.bias is not None:
                    whole.bias.copy_(grouped.bias)
        elif list(whole.parameters(recurse=False)):
            whole.load_state_dict(grouped.state_dict())
    z = torch.randn(4, 64)
    torch.testing.assert_close(one(z), three(z))
