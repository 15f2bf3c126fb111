"""What each part of the course's DCGAN does: initialisation, batch norm, activation; six seeds.

    python benchmarks/dcgan_ablation.py
    python benchmarks/dcgan_ablation.py --only "no batch norm" --seed 0

Writes dcgan_ablation.csv after every run, and goes on where it stopped. Chapter 4 shows the table.
Protocol: README.md in this folder.
"""

import common
from dcgan import course_game

STEPS = 1000
SEEDS = range(6)
VARIANTS = {
    "as in the course": {},
    "weights of 0.02": {"init_std": 0.02},
    "weights of 0.2": {"init_std": 0.2},
    "no batch norm": {"norm": False},
    "no batch norm and weights of 0.02": {"norm": False, "init_std": 0.02},
    "tanh for ReLU": {"activation": "tanh"},
    "no activation": {"activation": "none"},
}
KEYS = [(variant, seed) for variant in VARIANTS for seed in SEEDS]


def run(variant: str, seed: int = 0, steps: int = STEPS) -> dict:
    """Play the course's game with one part changed, and return its row of the table."""
    if variant not in VARIANTS:
        raise ValueError(f"there is no variant {variant!r}; there are: {', '.join(VARIANTS)}")
    gan, training = course_game(seed, steps, **VARIANTS[variant])
    watch = common.Stopwatch()
    watch.start()
    for _ in training:
        pass
    watch.stop()
    fid = round(common.distance(gan.sample(5000, seed=1)), 2)
    return {
        "variant": variant,
        "seed": seed,
        "steps": steps,
        "seconds": round(watch.seconds(), 1),
        "fid": fid,
    }


def report(rows: list[dict]) -> None:
    print("{variant:35s} seed {seed}  {seconds:>5} s  FID {fid}".format(**rows[0]))


if __name__ == "__main__":
    common.measure(
        "dcgan_ablation",
        KEYS,
        run,
        report,
        columns={"variant": "--only", "seed": "--seed"},
        length=STEPS,
        order=lambda key: key[1],  # a seed of every variant before the next seed of any
    )
