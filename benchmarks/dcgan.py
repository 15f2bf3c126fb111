"""The course's DCGAN on the embedded digits: Frechet distance against seconds of training, over
seeds.

    python benchmarks/dcgan.py

Writes dcgan.csv and the picture digits.png. Protocol: README.md in this folder.
"""

import argparse
from pathlib import Path

import torch
from common import FOLDER, Stopwatch, distance, read_table, real_features, write_table
from PIL import Image

from ganbook import GAN, data, losses, metrics, networks, penalties, plotting
from ganbook.schedules import falling

BATCH = 32
STEPS = 2600
RECIPE = {
    "loss": losses.nonsaturating,
    "penalty": penalties.r1(falling(10.0, 0.3), every=4),
    "lr": falling(3e-3, 1e-4),
}


def course_game(seed: int, steps: int, progress: bool = True, **changes):
    """The game that chapter 04 plays, and the steps of its training, for the caller to go through.

    changes: settings of `networks.dcgan` that differ from the course's.
    """
    gan = GAN(*networks.dcgan(**changes), **RECIPE, seed=seed)
    return gan, gan.train(data.digits().batches(BATCH, seed), steps, progress)


def measure(seed: int, steps: int, marks: list[int]):
    """Train one game; the game, and a row for each of the steps in `marks`. Measuring stops the
    watch."""
    rows, watch = [], Stopwatch()
    gan, training = course_game(seed, steps)
    watch.start()
    for step in training:
        if step.index in marks:
            watch.stop()
            rows.append(
                {
                    "what": "dcgan",
                    "seed": seed,
                    "step": step.index,
                    "seconds": round(watch.seconds(), 1),
                    "images_per_s": round(step.index * BATCH / watch.seconds()),
                    "fid": round(distance(gan.sample(5000, seed=1)), 2),
                }
            )
            watch.start()
    return gan, rows


def references(seed: int) -> list[dict]:
    """What the distance is of things that are no GAN: the digits themselves, and a Gaussian fitted
    to their pixels."""
    images = data.digits().images.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        halves = real_features()[torch.randperm(len(images))].chunk(2)
        pixels = images.flatten(1).double()
        # A few pixels are black in all images: the covariance is singular, and its root is taken by
        # eigenvectors.
        values, vectors = torch.linalg.eigh(pixels.T.cov())
        draws = (
            torch.randn(5000, len(values), dtype=torch.double)
            * values.clamp(min=0).sqrt()
            @ vectors.T
        )
    gaussian = (draws + pixels.mean(0)).float().reshape(-1, *images.shape[1:])
    distances = {"real halves": metrics.fid(*halves), "pixel gaussian": distance(gaussian)}
    blank = {"step": "", "seconds": "", "images_per_s": ""}
    return [
        {"what": what, "seed": seed, **blank, "fid": round(fid, 2)}
        for what, fid in distances.items()
    ]


def picture(images, columns: int, path: Path, scale: int) -> None:
    """All of the images, row by row, each pixel drawn as scale x scale."""
    tiles = plotting.tile(images, columns)
    with data.atomic(path) as temporary:
        Image.fromarray(tiles.repeat(scale, 0).repeat(scale, 1)).save(temporary, optimize=True)


def report(rows: list[dict]) -> None:
    line = "{what:15s} seed {seed}  step {step:>5}  {seconds:>6} s  {images_per_s:>6} images/s  FID {fid}"
    for row in rows:
        print(line.format(**row))
    last = max(int(row["step"]) for row in rows if row["what"] == "dcgan")
    worst = max(float(row["fid"]) for row in rows if row["step"] == str(last))
    gaussian = min(float(row["fid"]) for row in rows if row["what"] == "pixel gaussian")
    print(f"The worst seed at the last step: {worst / gaussian:.1%} of the Gaussian's distance.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each game")
    parser.add_argument(
        "--every", type=int, default=650, help="measure at multiples of this, and at the end"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write to")
    options = parser.parse_args()
    marks = [*range(options.every, options.steps, options.every), options.steps]
    rows = []
    for seed in range(options.seeds):
        gan, measured = measure(seed, options.steps, marks)
        rows += measured
        if seed == 0:
            picture(gan.sample(72, seed=0), 12, options.out / "digits.png", scale=3)
    for seed in range(options.seeds):
        rows += references(seed)
    write_table(options.out / "dcgan.csv", rows)
    report(read_table(options.out / "dcgan.csv"))


if __name__ == "__main__":
    main()
