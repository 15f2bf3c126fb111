"""The course's DCGAN on the embedded digits: Frechet distance against seconds of training.

    python benchmarks/dcgan.py
    python benchmarks/dcgan.py --what dcgan --seed 0

Three seeds. Writes dcgan.csv after every run, and goes on where it stopped; seed 0 also draws
digits.png. Protocol: README.md in this folder.
"""

from pathlib import Path

import common
import torch
from PIL import Image

from ganbook import GAN, data, files, losses, metrics, networks, penalties, plotting
from ganbook.schedules import falling

BATCH = 32
STEPS, EVERY = 5000, 1250  # how many, and how often a game is measured
SEEDS = range(3)
REFERENCES = ("real halves", "pixel gaussian")
KEYS = [("dcgan", seed) for seed in SEEDS]
KEYS += [(what, seed) for seed in SEEDS for what in REFERENCES]
LATENT = 12
RECIPE = {
    "loss": losses.nonsaturating,
    "penalty": penalties.r1(falling(3.0, 0.03), every=4),
    "lr": falling(3e-3, 1e-4),
    "d_lr": falling(1.5e-3, 5e-5),
}


def course_game(seed: int, steps: int, progress: bool = True, **changes):
    """The game of chapter 04, and the iterator over the steps of its training.

    changes: settings of `networks.dcgan` that differ from the course's.
    """
    gan = GAN(*networks.dcgan(latent=LATENT, **changes), **RECIPE, seed=seed)
    return gan, gan.train(data.digits().batches(BATCH, seed), steps, progress)


def measure(seed: int, steps: int, marks: list[int]):
    """Train one game, and return it with a row for each of the steps in `marks`.

    Measuring stops the watch.
    """
    rows, watch = [], common.Stopwatch()
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
                    "fid": round(common.distance(gan.sample(5000, seed=1)), 2),
                }
            )
            watch.start()
    return gan, rows


def references(seed: int) -> list[dict]:
    """Distances without any GAN: of the digits themselves, and of a Gaussian fitted to them."""
    images = data.digits().images.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        halves = common.real_features()[torch.randperm(len(images))].chunk(2)
        pixels = images.flatten(1).double()
        # A few pixels are black in all images: the covariance is singular, and its root is taken by
        # eigenvectors.
        values, vectors = torch.linalg.eigh(pixels.T.cov())
        independent = torch.randn(5000, len(values), dtype=torch.double)
        draws = independent * values.clamp(min=0).sqrt() @ vectors.T
    gaussian = (draws + pixels.mean(0)).float().reshape(-1, *images.shape[1:])
    distances = {"real halves": metrics.fid(*halves), "pixel gaussian": common.distance(gaussian)}
    blank = {"step": "", "seconds": "", "images_per_s": ""}
    return [
        {"what": what, "seed": seed, **blank, "fid": round(fid, 2)}
        for what, fid in distances.items()
    ]


def picture(images, columns: int, path: Path, scale: int) -> None:
    """All of the images, row by row, each pixel drawn as scale x scale."""
    tiles = plotting.tile(images, columns)
    with files.atomic(path) as temporary:
        Image.fromarray(tiles.repeat(scale, 0).repeat(scale, 1)).save(temporary, optimize=True)


def run(what: str, seed: int = 0, steps: int = STEPS, drawn: Path | None = None) -> list[dict]:
    """Play one game, or measure one of the `REFERENCES`, and return its rows of the table.

    drawn: where to put a picture of the game's samples
    """
    if what in REFERENCES:
        return [row for row in references(seed) if row["what"] == what]
    gan, rows = measure(seed, steps, [*range(EVERY, steps, EVERY), steps])
    if drawn:
        picture(gan.sample(72, seed=0), 12, drawn, scale=3)
    return rows


def report(rows: list[dict]) -> None:
    for row in rows:
        print(
            "{what:15s} seed {seed}  step {step:>5}  {seconds:>6} s  {images_per_s:>6} images/s"
            "  FID {fid}".format(**row)
        )


def summary(rows: list[dict]) -> None:
    last = max(int(row["step"]) for row in rows if row["what"] == "dcgan")
    worst = max(float(row["fid"]) for row in rows if row["step"] == str(last))
    gaussian = min(float(row["fid"]) for row in rows if row["what"] == "pixel gaussian")
    print(f"The worst seed at the last step: {worst / gaussian:.1%} of the Gaussian's distance.")


if __name__ == "__main__":
    common.measure(
        "dcgan",
        KEYS,
        run,
        report,
        columns={"what": "--what", "seed": "--seed"},
        length=STEPS,
        column="step",
        pictures={("dcgan", 0): "digits.png"},
        summary=summary,
    )
