"""Every recipe that a chapter or a benchmark trains, and its weights after 20 and after 200 steps.

    OMP_NUM_THREADS=1 python tests/recipes.py        compare with recipes.csv: ten minutes of a core
    OMP_NUM_THREADS=1 python tests/recipes.py --write

A sum of floats depends on its order, and that on processor and library. So there is a canary, a
training in plain torch that nothing in this project touches: where its weights are not those of
the table, no weights can be compared bit for bit.
"""

import csv
import functools
import hashlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ganbook import GAN, data, device, losses, networks, penalties
from ganbook.schedules import falling

TABLE = Path(__file__).with_name("recipes.csv")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import baseline  # noqa: E402
import conditional  # noqa: E402
import dcgan  # noqa: E402
import dcgan_ablation  # noqa: E402
import modes  # noqa: E402
import overfitting  # noqa: E402
import stacked  # noqa: E402
import tournament  # noqa: E402

NOT_LEARNED = (".p", ".noise", ".signs")  # of an augmentation in front of D
FEW = {"stacked/residual networks": 40}  # steps, where 200 take minutes


class Played(NamedTuple):
    """A game, its batches, the steps that its rates are planned for, and what follows each step."""

    game: object
    batches: object
    steps: int
    after: object = None


RECIPES = {}


def recipe(name, make, *arguments):
    RECIPES[name] = functools.partial(make, *arguments)


def of(pair, batches, steps, **settings):
    return Played(GAN(*pair, **settings), batches, steps)


# ---- The chapters

R1_R2 = penalties.total(penalties.r1(1.0), penalties.r2(1.0))
POINTS = {"latent": 2, "width": 64}
LABELLED = {"shape": (1,), "latent": 4, "width": 32, "depth": 2, "classes": 2}


def outline():
    penalty = penalties.r1(falling(0.02, 0.0005), every=4)
    settings = {"loss": losses.relativistic, "penalty": penalty, "lr": falling(3e-3, 1e-4)}
    batches = data.two_moons().batches(128)
    return of(networks.mlp(latent=4, width=64), batches, 2000, **settings)


def first_digits():
    settings = {"penalty": penalties.r1(10.0, every=4), "lr": 3e-3}
    return of(networks.dcgan(), data.digits().batches(32), 100_000, **settings)


def first_ring(steps, size, settings, **sizes):
    pair = networks.mlp(**POINTS, depth=2, **sizes)
    return of(pair, data.ring().batches(size), steps, **settings)


def ten_games(settings):
    pair = (
        networks.mlp(width=64, depth=2, copies=10)[0],
        networks.mlp(width=64, depth=1, copies=10)[1],
    )
    plain = {"lr": 1e-3, "betas": (0.5, 0.999), "average": 0}
    return of(pair, data.ring().batches(1280), 600, **plain | settings)


def dense_digits():
    pair = networks.mlp(shape=(1, 28, 28), latent=64, width=256)
    return of(pair, data.digits().batches(32), 1800, **dcgan.RECIPE)


class TwoLabels:
    """As in chapter 6: y is 0 or 1, x from N(-1, 1) or N(1, 1)."""

    def __getitem__(self, k):
        draw = torch.Generator().manual_seed(k)
        y = torch.randint(2, (256,), generator=draw)
        return data.Batch(torch.randn(256, 1, generator=draw) + 2.0 * y[:, None] - 1, y)


def two_labels(condition):
    pair = networks.mlp(**LABELLED, condition=condition)
    make = conditional.auxiliary_game if condition == "auxiliary" else GAN
    game = make(*pair, penalty=penalties.r1(0.1), lr=falling(2e-3, 1e-4), seed=0)
    return Played(game, TwoLabels(), 1000)


def clipped_points():
    settings = {"loss": losses.wasserstein, "penalty": penalties.clip(0.1), "d_steps": 5}
    ring = data.ring(8, radius=1.0, std=0.1)
    return of(networks.mlp(**POINTS), ring.batches(64), 200, **settings, seed=1)


def small_digits(**settings):
    pair = networks.dcgan(width=16)
    return of(pair, data.digits().batches(16), 200, lr=2e-3, average=0, **settings)


def clipped_digits():
    penalty = penalties.clip(0.01)
    return small_digits(loss=losses.wasserstein, penalty=penalty, d_steps=5)


def five_critics(penalty):
    G = networks.mlp_generator(**POINTS, activation="relu", copies=5)
    f = networks.mlp_discriminator(width=64, copies=5)
    settings = {"lr": 3e-3, "betas": (0.0, 0.9), "d_steps": 2, "penalty": penalty}
    return of((G, f), data.spiral().batches(320), 200, loss=losses.wasserstein, **settings)


def spectral_hinge():
    G, D = networks.dcgan(28, channels=3)
    batches = data.stacked_digits().batches(64)
    return of((G, networks.spectral(D)), batches, 200, loss=losses.hinge, lr=2e-3)


def relativistic_grid(penalty):
    G = networks.mlp_generator(**POINTS, activation="relu", copies=10)
    D = networks.mlp_discriminator(width=64, fourier=0.5, copies=10)
    settings = {"loss": losses.relativistic, "penalty": penalty, "lr": 2e-3}
    return of((G, D), data.grid().batches(1280), 500, **settings)


recipe("00 outline", outline)
recipe("00 digits", first_digits)
recipe("02 ring", first_ring, 2000, 128, {"lr": 2e-3})
recipe("02 two lines", first_ring, 300, 128, {"lr": 1e-3, "seed": 5})
recipe("02 five games", lambda: first_ring(2000, 640, {"lr": 1e-3}, copies=5))
recipe("03 G 16x", ten_games, {"lr": 4e-3, "d_lr": 2.5e-4})
recipe("03 equal", ten_games, {"lr": 1e-3, "d_lr": 1e-3})
recipe("03 D 16x", ten_games, {"lr": 2.5e-4, "d_lr": 4e-3})
recipe("03 R1", ten_games, {"penalty": penalties.r1(1.0)})
recipe("03 R1 R2 relativistic", ten_games, {"penalty": R1_R2, "loss": losses.relativistic})
recipe("04 dense", dense_digits)
recipe("06 two labels, projection", two_labels, "projection")
recipe("06 two labels, auxiliary", two_labels, "auxiliary")
recipe("07 clipped points", clipped_points)
recipe("07 clipped digits", clipped_digits)
recipe("07 nonsaturating digits", small_digits)
recipe("08 two-sided", five_critics, penalties.wgan_gp(10.0))
recipe("08 one-sided", five_critics, penalties.wgan_gp(10.0, one_sided=True))
for k in (1, 4, 16):
    recipe(f"08 R1 every {k}", five_critics, penalties.r1(1.0, every=k))
recipe("09 spectral hinge", spectral_hinge)
recipe("09 R1", relativistic_grid, penalties.r1(0.1))
recipe("09 R2", relativistic_grid, penalties.r2(0.1))
recipe("09 both", relativistic_grid, modes.both(0.1))


# ---- The benchmarks


def of_modes(name):
    game = {**modes.HELP, **modes.PARTS}[name](2, 0)
    return Played(game, data.grid().batches(512), modes.STEPS[name])


def of_conditional(where, variant, r1):
    return Played(*conditional.game(where, variant, r1, 0), conditional.STEPS)


def of_dcgan_ablation(name):
    pair = networks.dcgan(latent=dcgan.LATENT, **dcgan_ablation.VARIANTS[name])
    return of(pair, data.digits().batches(32), dcgan.STEPS, **dcgan.RECIPE)


def of_overfitting(name):
    game, batches, after = overfitting.game(200, name, 0)
    return Played(game, batches, overfitting.STEPS, after)


def of_stacked(name):
    size = 64 if name in stacked.GROUPS else 32
    batches = data.stacked_digits().batches(size)
    return Played(stacked.game(name, 0), batches, stacked.steps_of(name))


def of_tournament(where, loss, held):
    copies = 2 if where == "grid" else 1
    points = data.grid() if where == "grid" else data.stacked_digits()
    game = tournament.game(where, loss, held, copies=copies)
    batches = points.batches(tournament.BATCH[where] * copies)
    return Played(game, batches, tournament.STEPS[where])


def of_baseline(pair, images):
    game = baseline.with_copied_recipe(*pair, 0)
    return Played(game, images.batches(baseline.BATCH), baseline.NO_END)


def copied_networks():
    G, D = baseline.copied_networks()
    images = data.Images(torch.stack(list(baseline.Digits())))
    return of_baseline((G, nn.Sequential(*D[:-1], nn.Flatten(0))), images)


for name in {**modes.HELP, **modes.PARTS}:
    recipe(f"modes/{name}", of_modes, name)
for row in conditional.ROWS:
    recipe("conditional/{}/{}/{:g}".format(*row), of_conditional, *row)
for name in dcgan_ablation.VARIANTS:
    recipe(f"dcgan_ablation/{name}", of_dcgan_ablation, name)
for name in overfitting.REMEDIES:
    recipe(f"overfitting/{name}", of_overfitting, name)
for name in stacked.ROWS:
    recipe(f"stacked/{name}", of_stacked, name)
for where in tournament.STEPS:
    for loss in tournament.LOSSES:
        for held in tournament.REGULARISERS:
            recipe(f"tournament/{where}/{loss}/{held}", of_tournament, where, loss, held)
recipe("baseline/engine", copied_networks)
recipe("baseline/networks", lambda: of_baseline(networks.dcgan(), data.digits()))


# ---- Playing them


def digests(name: str, steps: tuple[int, ...]) -> list[str]:
    """Of the weights and buffers of both players and of the average, after each of these steps."""
    torch.manual_seed(0)
    game, batches, planned, after = RECIPES[name]()
    found = []
    for step in game.train(batches, planned, progress=False):
        if after is not None:
            after(step)
        if step.index in steps:
            found.append(digest(game))
        if step.index == max(steps):
            return found


def digest(game) -> str:
    players = [game.players[name][0] for name in ("generator", "discriminator")]
    average = game.averages["generator"][0] if game.averages else players[0]
    values = hashlib.sha256()
    for network in (*players, average):
        for name, value in network.state_dict().items():
            if value.is_floating_point() and not name.endswith(NOT_LEARNED):
                values.update(value.detach().cpu().contiguous().numpy().tobytes())
    return values.hexdigest()[:16]


def canary() -> str:
    """Processor and library, and the digest of a few steps in plain torch."""
    info = Path("/proc/cpuinfo").read_text().split("\n\n")[0] if sys.platform == "linux" else ""
    kinds = [line for line in info.splitlines() if line.startswith(("model name", "flags"))]
    caches = [os.sysconf(name) for name in os.sysconf_names if "CACHE_SIZE" in name]
    library = (torch.__version__, torch.backends.cpu.get_cpu_capability())
    machine = hashlib.sha256(repr((kinds, caches, library)).encode()).hexdigest()[:8]
    return f"{machine} {small_training()}"


def small_training() -> str:
    """Of the weights after convolutions, batch norm, products, second derivatives, Adam."""
    torch.manual_seed(0)
    up = nn.Sequential(
        nn.Linear(64, 64 * 49), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh(),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    down = nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 3, 2, 1),
        nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64 * 49, 128), nn.LeakyReLU(0.2),
        nn.Linear(128, 1),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    weights = [*up.parameters(), *down.parameters()]
    adam = torch.optim.Adam(weights, betas=(0.0, 0.99), fused=True)
    for size in (32, 64, 32, 64, 32):
        images = up(torch.randn(size, 64))
        logits = down(images)
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        loss = nn.functional.softplus(logits).mean() + slope.flatten(1).square().sum(1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    values = hashlib.sha256()
    for weight in weights:
        values.update(weight.detach().contiguous().numpy().tobytes())
    return values.hexdigest()[:16]


def table() -> dict[str, tuple[str, str]]:
    """{recipe: digests after 20 steps and after 200}; of "canary" the same one twice."""
    with TABLE.open(newline="") as file:
        return {name: (early, late) for name, early, late in list(csv.reader(file))[1:]}


def main() -> None:
    torch.set_num_threads(1)
    device.BF16 = False
    known = {} if "--write" in sys.argv else table()
    rows = [["recipe", "20 steps", "200 steps"], ["canary", canary(), canary()]]
    if known and known["canary"] != tuple(rows[1][1:]):
        raise SystemExit("this machine adds up in another order than that of recipes.csv")
    for name in RECIPES:
        found = digests(name, (20, FEW.get(name, 200)))
        rows.append([name, *found])
        same = "" if not known else "same" if known.get(name) == tuple(found) else "DIFFERENT"
        print(f"{name:60s}", *found, same, flush=True)
    if not known:
        with TABLE.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
