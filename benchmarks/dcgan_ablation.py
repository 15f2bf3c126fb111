"""What each part of the course's DCGAN does: initialisation, batch norm and activation, each
switched, over seeds.

    python benchmarks/dcgan_ablation.py
    python benchmarks/dcgan_ablation.py --only "no batch norm" --seed 0

Writes dcgan_ablation.csv after every run, and goes on where it stopped. Chapter 4 shows the table
and reruns one row.
"""

import argparse
from pathlib import Path

from common import FOLDER, Stopwatch, distance, table_to_go_on_with, write_table
from dcgan import course_game

STEPS = 1000
SEEDS = range(3)
VARIANTS = {
    "as in the course": {},
    "weights of 0.02": {"init_std": 0.02},
    "weights of 0.2": {"init_std": 0.2},
    "no batch norm": {"norm": False},
    "no batch norm and weights of 0.02": {"norm": False, "init_std": 0.02},
    "tanh for ReLU": {"activation": "tanh"},
    "no activation": {"activation": "none"},
}


def run(variant: str, seed: int = 0, steps: int = STEPS) -> dict:
    """Play the course's game with one part switched; the row of the table."""
    if variant not in VARIANTS:
        raise ValueError(f"there is no variant {variant!r}; there are: {', '.join(VARIANTS)}")
    gan, training = course_game(seed, steps, **VARIANTS[variant])
    watch = Stopwatch()
    watch.start()
    for _ in training:
        pass
    watch.stop()
    fid = round(distance(gan.sample(5000, seed=1)), 2)
    return {
        "variant": variant,
        "seed": seed,
        "steps": steps,
        "seconds": round(watch.seconds(), 1),
        "fid": fid,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=VARIANTS, help="one variant (default: all)")
    parser.add_argument("--seed", type=int, help="one seed (default: 0, 1 and 2)")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each game")
    parser.add_argument("--again", action="store_true", help="measure anew what the table has")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write to")
    options = parser.parse_args()
    path = options.out / "dcgan_ablation.csv"
    wanted = [
        (variant, seed)
        for variant in VARIANTS
        if options.only in (None, variant)
        for seed in SEEDS
        if options.seed in (None, seed)
    ]
    everything = options.only is None and options.seed is None
    kept = [] if options.again and everything else table_to_go_on_with(path, steps=options.steps)
    rows = {(row["variant"], int(row["seed"])): row for row in kept}
    for key in wanted:
        if options.again or key not in rows:
            rows[key] = run(*key, options.steps)
            write_table(
                path,
                [
                    rows[key]
                    for key in sorted(rows, key=lambda key: ([*VARIANTS].index(key[0]), key[1]))
                ],
            )
        print("{variant:35s} seed {seed}  {seconds:>5} s  FID {fid}".format(**rows[key]))


if __name__ == "__main__":
    main()
