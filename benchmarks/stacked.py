"""The modern baseline on stacked digits, built up from DCGAN one change at a time, then played long; three seeds each.

    python benchmarks/stacked.py
    python benchmarks/stacked.py --only "R1" --seed 0

Writes stacked.csv after every run, and goes on where it stopped; the long game with seed 0 also draws stacked.png.
Chapter 9 shows the table. Protocol: README.md in this folder.
"""

import argparse
import time
from pathlib import Path

from common import FOLDER, Stopwatch, table_to_go_on_with, wait, write_table
from dcgan import picture
from modes import both

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.schedules import falling

SEEDS = range(3)
SHORT, LONG = 1500, 12_000  # steps
SAMPLES = 26_000  # as in PacGAN's table 2


WEIGHT = 1.0  # of R1 and of R2; it stays
BUILD_UP = [  # each row has the changes of those above it, too
    ("DCGAN", {"init_std": 0.02, "lr": 2e-4, "betas": (0.5, 0.999), "average": 0.0}),
    ("PyTorch's own weights", {"init_std": None}),
    ("higher, falling rate, no momentum", {"lr": falling(3e-3, 1e-4), "betas": (0.0, 0.99)}),
    ("averaged generator", {"average": 0.995}),
    ("R1", {"penalty": penalties.r1(WEIGHT, every=4)}),
    ("R2", {"penalty": both(WEIGHT, every=4)}),
    ("relativistic loss", {"loss": losses.relativistic}),
    ("no batch norm", {"norm": False}),
    ("residual networks", {"networks": "resnet"}),
]
LONG_GAME = "long"
ROWS = [name for name, _ in BUILD_UP] + [LONG_GAME]


def game(variant: str, seed: int) -> GAN:
    settings = {}
    for name, changes in BUILD_UP:
        settings |= changes
        if name == variant:
            break
    if variant == LONG_GAME:
        settings = {"loss": losses.relativistic, "penalty": both(WEIGHT, every=4), "lr": falling(3e-3, 1e-4)}
    make = getattr(networks, settings.pop("networks", "dcgan"))
    own = {name: settings.pop(name) for name in ("init_std", "norm") if name in settings}
    if make is networks.resnet:  # it has neither
        own = {}
    widths = (64, 128) if variant == LONG_GAME else (32, 64)
    generator, discriminator = make(channels=3, width=widths[0], **own)[0], make(channels=3, width=widths[1], **own)[1]
    return GAN(generator, discriminator, seed=seed, **settings)


def run(variant: str, seed: int = 0, steps: int | None = None, drawn: Path | None = None) -> dict:
    """Play one game; the row of the table. drawn: where to put a picture of its samples."""
    if variant not in ROWS:
        raise ValueError(f"there is no {variant!r}")
    steps = (LONG if variant == LONG_GAME else SHORT) if steps is None else steps
    gan = game(variant, seed)
    watch, start = Stopwatch(), time.process_time()
    watch.start()
    for _ in gan.train(data.stacked_digits().batches(32, seed), steps):
        pass
    wait()
    watch.stop()
    found = metrics.stacked_coverage(gan.sample(SAMPLES, seed=1))
    if drawn:
        picture(gan.sample(100, seed=2), 20, drawn, scale=2)
    return {
        "variant": variant,
        "seed": seed,
        "steps": steps,
        "seconds": round(watch.seconds(), 1),
        "cpu_seconds": round(time.process_time() - start, 1),
        "modes": found.modes,
        "reverse_kl": round(found.reverse_kl, 4),
        "confidence": round(found.confidence, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=ROWS, help="one variant (default: all)")
    parser.add_argument("--seed", type=int, help="one seed (default: 0, 1 and 2)")
    parser.add_argument("--steps", type=int, help=f"steps of each game (default: {SHORT:,}, of the long one {LONG:,})")
    parser.add_argument("--again", action="store_true", help="measure anew what the table has")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write to")
    options = parser.parse_args()
    path = options.out / "stacked.csv"
    rows = {(row["variant"], int(row["seed"])): row for row in table_to_go_on_with(path)}
    order = [(variant, seed) for variant in ROWS for seed in SEEDS]
    for key in order:
        if options.only not in (None, key[0]) or options.seed not in (None, key[1]):
            continue
        if options.again or key not in rows:
            shown = options.out / "stacked.png" if key == (LONG_GAME, 0) else None
            rows[key] = run(*key, options.steps, shown)
            write_table(path, [rows[key] for key in order if key in rows])
        print(
            "{variant:34s} seed {seed}  {seconds:>6} s  {modes:>4} modes  KL {reverse_kl:6}"
            "  confidence {confidence}".format(**rows[key]),
            flush=True,
        )


if __name__ == "__main__":
    main()
