"""Five losses times six regularisers, on the grid of 25 (ten seeds each) and on stacked digits
(five seeds each).

    OMP_NUM_THREADS=1 python benchmarks/tournament.py
    python benchmarks/tournament.py --data grid --loss hinge --regulariser R1

Writes tournament.csv after every run, and goes on where it stopped. Chapter 9 shows the table and
reruns a part of it. Protocol: README.md in this folder.
"""

import argparse
import time
from pathlib import Path

from common import FOLDER, table_to_go_on_with, wait, write_table
from modes import both

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.schedules import falling

COPIES = 10  # seeds of the grid, side by side in one game
STEPS = {"grid": 2500, "stacked digits": 600}
BATCH = {"grid": 256, "stacked digits": 32}
SEEDS = {
    "grid": range(1),
    "stacked digits": range(5),
}  # of games; one game on the grid plays ten seeds

LOSSES = {
    "non-saturating": losses.nonsaturating,
    "least squares": losses.least_squares,
    "hinge": losses.hinge,
    "Wasserstein": losses.wasserstein,
    "relativistic": losses.relativistic,
}


def slope(where: str):
    """The weight of R1 and of R2: as in chapter 3 on points, and as in chapter 6 on images, applied
    every so often."""
    return (falling(1.0, 0.0005), 3) if where == "grid" else (falling(1.0, 0.1), 4)


REGULARISERS = {  # what each adds to a game on that data
    "none": lambda where: {},
    "spectral norm": lambda where: {"spectral": True},
    "gradient penalty": lambda where: {
        "penalty": penalties.wgan_gp(0.1 if where == "grid" else 10.0)
    },  # chapter 8
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
    """The players, and all that is the same in every row: rates, betas, batches, one turn each a
    step."""
    settings = REGULARISERS[regulariser](where)
    spectral = settings.pop("spectral", False)
    if where == "grid":
        g, _ = networks.mlp(latent=2, width=64, activation="relu", copies=copies)
        _, d = networks.mlp(width=64, fourier=0.5, copies=copies, spectral=spectral)
    else:
        g, _ = networks.dcgan(channels=3)
        _, d = networks.dcgan(
            channels=3, width=64, spectral=spectral
        )  # a weaker judge finds fewer modes
    rate = falling(3e-3, 1e-5) if where == "grid" else falling(3e-3, 1e-4)
    return GAN(g, d, loss=LOSSES[loss], lr=rate, seed=seed, **settings)


def run(
    where: str, loss: str, regulariser: str, seed: int = 0, steps: int | None = None
) -> list[dict]:
    """Play one game, on the grid ten side by side; a row for each. Seconds: a game's share of the
    processor's."""
    if loss not in LOSSES or regulariser not in REGULARISERS or where not in STEPS:
        raise ValueError(f"there is no {loss!r} with {regulariser!r} on {where!r}")
    steps = STEPS[where] if steps is None else steps
    copies = COPIES if where == "grid" else 1
    source = data.grid() if where == "grid" else data.stacked_digits()
    gan = game(where, loss, regulariser, seed, copies)
    start = time.process_time()
    for _ in gan.train(source.batches(BATCH[where] * copies, seed), steps):
        pass
    wait()
    seconds = round((time.process_time() - start) / copies, 1)
    shared = {"data": where, "loss": loss, "regulariser": regulariser}
    measured = points(gan, source, copies, seed) if where == "grid" else [stacks(gan)]
    return [
        {**shared, "seed": seed + k, "steps": steps, "seconds": seconds, **found}
        for k, found in enumerate(measured)
    ]


def points(gan: GAN, grid, copies: int, seed: int) -> list[dict]:
    """As in modes.py, and the exact earth mover's distance of 1,000 samples to 1,000 points of the
    grid."""
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


def report(rows: list[dict]) -> None:
    def span(name):
        values = [float(row[name]) for row in rows]
        return f"{min(values):g} to {max(values):g}" if len(values) > 1 else f"{values[0]:g}"

    good = "quality" if rows[0]["quality"] != "" else "confidence"
    print(
        "{data:14s} {loss:14s} {regulariser:16s} {seconds:>5} s".format(**rows[0])
        + f"  modes {span('modes')}  {good} {span(good)}  KL {span('reverse_kl')}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=STEPS, help="one data set (default: both)")
    parser.add_argument("--loss", choices=LOSSES, help="one loss (default: all)")
    parser.add_argument(
        "--regulariser", choices=REGULARISERS, help="one regulariser (default: all)"
    )
    parser.add_argument("--seed", type=int, help="one seed of a game (default: all)")
    parser.add_argument(
        "--steps", type=int, help="steps of each game (default: 2,500 on the grid, 600 on digits)"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what the table has")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write to")
    options = parser.parse_args()
    path = options.out / "tournament.csv"
    table = {}
    for row in table_to_go_on_with(path):
        seed = 0 if row["data"] == "grid" else int(row["seed"])
        table.setdefault((row["data"], row["loss"], row["regulariser"], seed), []).append(row)
    wishes = options.data, options.loss, options.regulariser, options.seed
    for key in ROWS:
        if any(wish not in (None, own) for wish, own in zip(wishes, key, strict=True)):
            continue
        if options.again or key not in table:
            table[key] = run(*key, options.steps)
            write_table(path, [row for key in ROWS for row in table.get(key, [])])
        report(table[key])


if __name__ == "__main__":
    main()
