"""Every recipe that a chapter or a benchmark trains, and what its weights are after so many steps.

    OMP_NUM_THREADS=1 python tests/recipes.py 200

plays them all, about ten minutes of one core, and compares with recipes.csv. A sum of floats
depends on its order, and that on processor and library: the canary, a training in plain torch that
no change of this project touches, says whether weights can be compared bit for bit here.
"""

import csv
import hashlib
import sys
from pathlib import Path

import torch
from torch import nn

from ganbook import GAN, data, losses, networks, penalties
from ganbook.game import Game, Turn
from ganbook.schedules import falling

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("recipes.csv")
sys.path.append(str(ROOT / "benchmarks"))

import baseline  # noqa: E402
import conditional  # noqa: E402
import dcgan  # noqa: E402
import dcgan_ablation  # noqa: E402
import modes  # noqa: E402
import overfitting  # noqa: E402
import stacked  # noqa: E402
import tournament  # noqa: E402

N = 10  # games side by side in chapters 3 and 9


def wasserstein(**settings):
    return {"loss": losses.wasserstein, **settings}


def chapter_0():
    penalty = penalties.r1(falling(0.02, 0.0005), every=4)
    settings = {"loss": losses.relativistic, "penalty": penalty, "lr": falling(3e-3, 1e-4)}
    yield "00 outline", mlp(settings, latent=4, width=64), data.two_moons().batches(128), 2000
    settings = {"penalty": penalties.r1(10.0, every=4), "lr": 3e-3}
    yield "00 digits", images(settings), data.digits().batches(32), 100_000


def mlp(settings, **sizes):
    return lambda: GAN(*networks.mlp(**sizes), **settings)


def images(settings, **sizes):
    return lambda: GAN(*networks.dcgan(**sizes), **settings)


def chapter_2():
    ring = data.ring()
    yield "02 ring", mlp({"lr": 2e-3}, latent=2, width=64, depth=2), ring.batches(128), 2000
    settings = {"lr": 1e-3, "seed": 5}
    yield "02 two lines", mlp(settings, latent=2, width=64, depth=2), ring.batches(128), 300
    five = mlp({"lr": 1e-3}, latent=2, width=64, depth=2, copies=5)
    yield "02 five games", five, ring.batches(640), 2000


def chapter_3():
    def game(**settings):
        def make():
            G = networks.mlp(width=64, depth=2, copies=N)[0]
            D = networks.mlp(width=64, depth=1, copies=N)[1]
            plain = {"lr": 1e-3, "betas": (0.5, 0.999), "average": 0}
            return GAN(G, D, **plain | settings)

        return make

    batches = data.ring().batches(128 * N)
    both = penalties.total(penalties.r1(1.0), penalties.r2(1.0))
    yield "03 G 16x", game(lr=4e-3, d_lr=2.5e-4), batches, 600
    yield "03 equal", game(lr=1e-3, d_lr=1e-3), batches, 600
    yield "03 D 16x", game(lr=2.5e-4, d_lr=4e-3), batches, 600
    yield "03 R1", game(penalty=penalties.r1(1.0)), batches, 600
    relativistic = game(loss=losses.relativistic, penalty=both)
    yield "03 R1 R2 relativistic", relativistic, batches, 600


def chapters_4_to_6():
    dense = mlp(dcgan.RECIPE, shape=(1, 28, 28), latent=64, width=256)
    yield "04 dense", dense, data.digits().batches(32), 1800
    small = {"shape": (1,), "latent": 4, "width": 32, "depth": 2, "classes": 2}
    settings = {"penalty": penalties.r1(0.1), "lr": falling(2e-3, 1e-4)}
    yield "06 two labels, projection", mlp(settings, **small), TwoLabels(), 1000

    def auxiliary():
        G, D = networks.mlp(**small, condition="auxiliary")
        return conditional.auxiliary_game(G, D, **settings)

    yield "06 two labels, auxiliary", auxiliary, TwoLabels(), 1000


class TwoLabels:
    """As in chapter 6: y is 0 or 1, x from N(-1, 1) or N(1, 1)."""

    def __getitem__(self, k):
        draw = torch.Generator().manual_seed(k)
        y = torch.randint(2, (256,), generator=draw)
        return data.Batch(torch.randn(256, 1, generator=draw) + 2.0 * y[:, None] - 1, y)


def chapters_7_and_8():
    points = wasserstein(penalty=penalties.clip(0.1), d_steps=5, seed=1)
    ring = data.ring(8, radius=1.0, std=0.1)
    yield "07 clipped points", mlp(points, latent=2, width=64), ring.batches(64), 200
    settings = {"lr": 2e-3, "average": 0}
    clipped = wasserstein(penalty=penalties.clip(0.01), d_steps=5, **settings)
    yield "07 clipped digits", images(clipped, width=16), data.digits().batches(16), 200
    yield "07 nonsaturating digits", images(settings, width=16), data.digits().batches(16), 200

    def game(penalty):
        def make():
            G = networks.mlp_generator(latent=2, width=64, activation="relu", copies=5)
            f = networks.mlp_discriminator(width=64, copies=5)
            settings = {"lr": 3e-3, "betas": (0.0, 0.9), "d_steps": 2}
            return GAN(G, f, loss=losses.wasserstein, penalty=penalty, **settings)

        return make

    batches = data.spiral().batches(320)
    yield "08 two-sided", game(penalties.wgan_gp(10.0)), batches, 200
    yield "08 one-sided", game(penalties.wgan_gp(10.0, one_sided=True)), batches, 200
    for k in (1, 4, 16):
        yield f"08 R1 every {k}", game(penalties.r1(1.0, every=k)), batches, 200


def chapter_9():
    def spectral():
        G, D = networks.dcgan(28, channels=3)
        return GAN(G, networks.spectral(D), loss=losses.hinge, lr=2e-3)

    yield "09 spectral hinge", spectral, data.stacked_digits().batches(64), 200

    def game(penalty):
        def make():
            G = networks.mlp_generator(latent=2, width=64, activation="relu", copies=N)
            D = networks.mlp_discriminator(width=64, fourier=0.5, copies=N)
            return GAN(G, D, loss=losses.relativistic, penalty=penalty, lr=2e-3)

        return make

    both = penalties.total(penalties.r1(0.1), penalties.r2(0.1))
    named = {"R1": penalties.r1(0.1), "R2": penalties.r2(0.1), "both": both}
    for name, penalty in named.items():
        yield f"09 {name}", game(penalty), data.grid().batches(128 * N), 500


def benchmarks():
    digits, stacks, grid = data.digits(), data.stacked_digits(), data.grid()
    for name, make in {**modes.HELP, **modes.PARTS}.items():
        batches = grid.batches(512)
        yield f"modes/{name}", lambda make=make: make(2, 0), batches, modes.STEPS[name]
    for row in conditional.ROWS:
        _, batches = conditional.game(*row, 0)
        make = lambda row=row: conditional.game(*row, 0)[0]  # noqa: E731
        yield "conditional/" + "/".join(row), make, batches, conditional.STEPS
    for name, changes in dcgan_ablation.VARIANTS.items():
        make = images(dcgan.RECIPE, **changes)
        yield f"dcgan_ablation/{name}", make, digits.batches(32), dcgan.STEPS
    for name in overfitting.MENDS:
        _, batches, _ = overfitting.game(200, name, 0)
        make = lambda name=name: overfitting.game(200, name, 0)[::2]  # noqa: E731
        yield f"overfitting/{name}", make, batches, overfitting.STEPS
    for name in stacked.ROWS:
        size, steps = (
            (64, stacked.DEEPER[name][1]) if name in stacked.DEEPER else (32, stacked.SHORT)
        )
        make = lambda name=name: stacked.game(name, 0)  # noqa: E731
        yield f"stacked/{name}", make, stacks.batches(size), steps
    for where, source, copies in (("grid", grid, 2), ("stacked digits", stacks, 1)):
        for loss in tournament.LOSSES:
            for held in tournament.REGULARISERS:
                row = (where, loss, held, 0, copies)
                batches = source.batches(tournament.BATCH[where] * copies)
                make = lambda row=row: tournament.game(*row)  # noqa: E731
                yield f"tournament/{where}/{loss}/{held}", make, batches, tournament.STEPS[where]
    yield "baseline/engine", *baseline.engine_game(0), 10**9
    copied = {"lr": 2e-4, "betas": (0.5, 0.999), "average": 0}
    yield "baseline/networks", images(copied), digits.batches(64), 10**9
