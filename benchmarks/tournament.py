"""Five losses times six regularisers, on the grid (ten seeds) and on stacked digits (five).

    OMP_NUM_THREADS=1 python benchmarks/tournament.py
    python benchmarks/tournament.py --data grid --loss hinge --regulariser R1

Writes tournament.csv after every run, and goes on where it stopped. Chapter 9 shows the table and
reruns a part of it. Protocol: README.md in this folder.
"""

import time

import common
from modes import both

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.schedules import falling

COPIES = 10  # seeds of the grid, side by side in one game
STEPS = {"grid": 2500, "stacked digits": 600}
BATCH = {"grid": 256, "stacked digits": 32}
# Of games: one game on the grid plays ten seeds.
SEEDS = {"grid": range(1), "stacked digits": range(5)}

LOSSES = {
    "non-saturating": losses.nonsaturating,
    "least squares": losses.least_squares,
    "hinge": losses.hinge,
    "Wasserstein": losses.wasserstein,
    "relativistic": losses.relativistic,
}


def slope(where: str):
    """R1's and R2's weight and interval: those of chapter 3 on points, of chapter 6 on images."""
    return (falling(1.0, 0.0005), 3) if where == "grid" else (falling(1.0, 0.1), 4)


GRADIENT_WEIGHT = {"grid": 0.1, "stacked digits": 10.0}  # chapter 8
REGULARISERS = {  # what each adds to a game on that data
    "none": lambda where: {},
    "spectral norm": lambda where: {"spectral": True},
    "gradient penalty": lambda where: {"penalty": penalties.wgan_gp(GRADIENT_WEIGHT[where])},
    "R1": lambda where: {"penalty": penalties.r1(*slope(where))},
    "R2": lambda where: {"penalty": penalties.r2(*slope(where))},
    "R1 and R2": lambda where: {"penalty": both(*slope(where))},
}
ROWS = [
    (where, loss, held, seed)
    for where in STEPS
    for loss in LOSSES
    for held in REGULARISERS
    for seed in SEEDS[where]
]


def game(where: str, loss: str, regulariser: str, seed: int, copies: int = 1) -> GAN:
    """The game of a row. Rates, betas and turns are the same in every row of a data set."""
    settings = REGULARISERS[regulariser](where)
    spectral = settings.pop("spectral", False)
    if where == "grid":
        g = networks.mlp_generator(latent=2, width=64, activation="relu", copies=copies)
        d = networks.mlp_discriminator(width=64, fourier=0.5, copies=copies)
    else:
        g = networks.dcgan_generator(channels=3)
        # A weaker discriminator finds fewer modes.
        d = networks.dcgan_discriminator(channels=3, width=64)
    if spectral:
        d = networks.spectral(d)
    rate = falling(3e-3, 1e-5) if where == "grid" else falling(3e-3, 1e-4)
    return GAN(g, d, loss=LOSSES[loss], lr=rate, seed=seed, **settings)


def run(
    where: str, loss: str, regulariser: str, seed: int = 0, steps: int | None = None
) -> list[dict]:
    """Play one game, or ten side by side on the grid, and return a row for each.

    A game's seconds are its share of the processor's.
    """
    if loss not in LOSSES or regulariser not in REGULARISERS or where not in STEPS:
        raise ValueError(f"there is no {loss!r} with {regulariser!r} on {where!r}")
    steps = STEPS[where] if steps is None else steps
    copies = COPIES if where == "grid" else 1
    source = data.grid() if where == "grid" else data.stacked_digits()
    gan = game(where, loss, regulariser, seed, copies)
    start = time.process_time()
    for _ in gan.train(source.batches(BATCH[where] * copies, seed), steps):
        pass
    common.wait()
    seconds = round((time.process_time() - start) / copies, 1)
    shared = {"data": where, "loss": loss, "regulariser": regulariser}
    measured = points(gan, source, copies, seed) if where == "grid" else [stacks(gan)]
    return [
        {**shared, "seed": seed + k, "steps": steps, "seconds": seconds, **found}
        for k, found in enumerate(measured)
    ]


def points(gan: GAN, grid, copies: int, seed: int) -> list[dict]:
    """Coverage as in modes.py, and the earth mover's distance of 1,000 samples to 1,000 points."""
    real = grid.sample(1000, seed=1)
    rows = []
    for samples in gan.sample(copies * 2500, seed=seed + 1).view(2500, copies, 2).unbind(1):
        found = metrics.coverage(samples, grid.centers, grid.std)
        rows.append(
            {
                "modes": found.modes,
                "quality": round(found.quality, 4),
                "reverse_kl": round(found.reverse_kl, 4),
                "w1": round(metrics.earth_mover(samples[:1000], real), 4),
                "confidence": "",
            }
        )
    return rows


def stacks(gan: GAN) -> dict:
    found = metrics.stacked_coverage(gan.sample(10_000, seed=1))
    return {
        "modes": found.modes,
        "quality": "",
        "reverse_kl": round(found.reverse_kl, 4),
        "w1": "",
        "confidence": round(found.confidence, 4),
    }


def key_of(row: dict) -> tuple:
    """The game of a row; the ten seeds on the grid belong to one game."""
    seed = "0" if row["data"] == "grid" else row["seed"]
    return row["data"], row["loss"], row["regulariser"], seed


def report(rows: list[dict]) -> None:
    def span(name):
        values = [float(row[name]) for row in rows]
        return f"{min(values):g} to {max(values):g}" if len(values) > 1 else f"{values[0]:g}"

    good = "quality" if rows[0]["quality"] != "" else "confidence"
    print(
        "{data:14s} {loss:14s} {regulariser:16s} {seconds:>5} s".format(**rows[0])
        + f"  modes {span('modes')}  {good} {span(good)}  KL {span('reverse_kl')}"
    )


if __name__ == "__main__":
    common.measure(
        "tournament",
        ROWS,
        run,
        report,
        columns={
            "data": "--data",
            "loss": "--loss",
            "regulariser": "--regulariser",
            "seed": "--seed",
        },
        length=lambda where, *_: STEPS[where],
        key_of=key_of,
    )
