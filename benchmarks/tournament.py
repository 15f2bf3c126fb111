"""Five losses times six regularisers, on the grid (eight seeds) and on stacked digits (six).

    OMP_NUM_THREADS=1 python benchmarks/tournament.py
    python benchmarks/tournament.py --data grid --loss hinge --regulariser R1 --factor 1 --turns 1

Writes tournament.csv after every run, and goes on where it stopped. Chapter 9 shows the table and
reruns a part of it. Protocol: README.md in this folder.
"""

import time

import common
from modes import both

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.schedules import falling

COPIES = 8  # seeds of the grid, side by side in one game
TUNING = 2  # so many of them choose the factor, the others judge it
STEPS = {"grid": 1500, "stacked digits": 400}
BATCH = {"grid": 256, "stacked digits": 32}
FACTORS = (0.25, 1.0, 4.0)  # of the regulariser's weight; of the learning rate if it has none

LOSSES = {
    "non-saturating": losses.nonsaturating,
    "least squares": losses.least_squares,
    "hinge": losses.hinge,
    "Wasserstein": losses.wasserstein,
    "relativistic": losses.relativistic,
}


def slope(where: str, k: float):
    """R1's and R2's weight, times k, and interval: on points those of chapter 3."""
    return (falling(k, 0.0005 * k), 3) if where == "grid" else (falling(k, 0.1 * k), 4)


GRADIENT_WEIGHT = {"grid": 0.1, "stacked digits": 10.0}  # chapter 8
REGULARISERS = {  # the penalty on that data, its weight times a factor; None without a weight
    "none": None,
    "spectral norm": None,
    "gradient penalty": lambda where, k: penalties.wgan_gp(k * GRADIENT_WEIGHT[where]),
    "R1": lambda where, k: penalties.r1(*slope(where, k)),
    "R2": lambda where, k: penalties.r2(*slope(where, k)),
    "R1 and R2": lambda where, k: both(*slope(where, k)),
}
MORE_TURNS = ("none", "gradient penalty", "R1")  # these also play three turns of D to one of G
# Of games: one game on the grid plays eight seeds, of which the row has the first.
ROWS = [("grid", loss, held, k, 1, 0) for loss in LOSSES for held in REGULARISERS for k in FACTORS]
ROWS += [("grid", loss, held, 1.0, 3, 0) for loss in LOSSES for held in MORE_TURNS]
ROWS += [
    ("stacked digits", loss, held, 1.0, 1, seed)
    for loss in LOSSES
    for held in REGULARISERS
    for seed in range(6)
]


def game(
    where: str,
    loss: str,
    regulariser: str,
    factor: float = 1.0,
    turns: int = 1,
    seed: int = 0,
    copies: int = 1,
) -> GAN:
    """The game of a row. All else is the same in every row of a data set.

    factor: of the regulariser's weight, or of the learning rate where it has no weight.
    turns: of the discriminator, to one of the generator.
    """
    penalty, weighed = None, REGULARISERS[regulariser]
    if weighed:
        penalty, factor = weighed(where, factor), 1.0
    if where == "grid":
        g = networks.mlp_generator(latent=2, width=64, activation="relu", copies=copies)
        d = networks.mlp_discriminator(width=64, fourier=0.5, copies=copies)
    else:
        g = networks.dcgan_generator(channels=3)
        # A weaker discriminator finds fewer modes.
        d = networks.dcgan_discriminator(channels=3, width=64)
    if regulariser == "spectral norm":
        d = networks.spectral(d)
    last = 1e-5 if where == "grid" else 1e-4
    rate = falling(3e-3 * factor, last * factor)
    return GAN(g, d, loss=LOSSES[loss], penalty=penalty, lr=rate, d_steps=turns, seed=seed)


def run(
    where: str,
    loss: str,
    regulariser: str,
    factor: float = 1.0,
    turns: int = 1,
    seed: int = 0,
    steps: int | None = None,
) -> list[dict]:
    """Play one game, or eight side by side on the grid, and return a row for each.

    steps: of a game with one turn each; with more turns of D it takes as many turns in all.
    A game's seconds are its share of the processor's.
    """
    if loss not in LOSSES or regulariser not in REGULARISERS or where not in STEPS:
        raise ValueError(f"there is no {loss!r} with {regulariser!r} on {where!r}")
    steps = STEPS[where] if steps is None else steps
    copies = COPIES if where == "grid" else 1
    source = data.grid() if where == "grid" else data.stacked_digits()
    gan = game(where, loss, regulariser, factor, turns, seed, copies)
    start = time.process_time()
    played = max(1, 2 * steps // (1 + turns))
    for _ in gan.train(source.batches(BATCH[where] * copies, seed), played):
        pass
    common.wait()
    seconds = round((time.process_time() - start) / copies, 1)
    shared = {"data": where, "loss": loss, "regulariser": regulariser}
    shared |= {"factor": factor, "turns": turns}
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
    """The game of a row; the eight seeds on the grid belong to one game."""
    seed = "0" if row["data"] == "grid" else row["seed"]
    return *(row[name] for name in ("data", "loss", "regulariser", "factor", "turns")), seed


def report(rows: list[dict]) -> None:
    def span(name):
        values = [float(row[name]) for row in rows]
        return f"{min(values):g} to {max(values):g}" if len(values) > 1 else f"{values[0]:g}"

    good = "quality" if rows[0]["quality"] != "" else "confidence"
    print(
        "{data:14s} {loss:14s} {regulariser:16s} x {factor:4s} {turns}:1  {seconds:>5} s".format(
            **rows[0]
        )
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
            "factor": "--factor",
            "turns": "--turns",
            "seed": "--seed",
        },
        length=lambda where, *_: STEPS[where],
        key_of=key_of,
        several_machines=True,
    )
