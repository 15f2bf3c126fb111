"""The course's DCGAN on the embedded digits: Frechet distance against seconds of training.

    python benchmarks/dcgan.py
    python benchmarks/dcgan.py --what dcgan --seed 0

Three seeds. Writes dcgan.csv after every run, and goes on where it stopped; seed 0 also draws
digits.png. Protocol: README.md in this folder.
"""

import functools
from pathlib import Path

import common
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

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


@functools.cache
def second_classifier() -> nn.Sequential:
    """A classifier that shares no layer, seed or training with the course's: a second opinion.

    Maps digits (N, 1, 28, 28) to logits (N, 10); the layers but the last give features (N, 128).
    """
    digits = data.digits("train")
    images, labels = digits.images.cpu(), digits.labels.cpu()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(2)
        network = nn.Sequential(
            nn.Conv2d(1, 24, 5, padding=2),
            nn.LeakyReLU(0.1),
            nn.AvgPool2d(2),
            nn.Conv2d(24, 48, 5),
            nn.LeakyReLU(0.1),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(48 * 5 * 5, 128),
            nn.LeakyReLU(0.1),
            nn.Linear(128, 10),
        )
        optimiser = torch.optim.Adam(network.parameters(), 1e-3)
        for _ in range(10):
            for rows in torch.randperm(len(images)).split(50):
                loss = F.cross_entropy(network(images[rows]), labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return network.eval()


@torch.no_grad()
def second_features(images: torch.Tensor) -> torch.Tensor:
    """The second classifier's features (N, 128) of digits (N, 1, 28, 28)."""
    return torch.cat([second_classifier()[:-1](part) for part in images.cpu().split(500)])


@functools.cache
def second_real() -> torch.Tensor:
    return second_features(data.digits().images)


@torch.no_grad()
def sure(features: torch.Tensor) -> float:
    """The share of digits that the second classifier reads with a probability of 0.9 or more."""
    read = second_classifier()[-1](features).softmax(1).amax(1)
    return round((read >= 0.9).double().mean().item(), 4)


def opinions(images: torch.Tensor) -> dict:
    """The distance of images (N, 1, 28, 28) to the 5,000 digits, by either classifier."""
    features = second_features(images)
    return {
        "fid": round(common.distance(images), 2),
        "second_fid": round(metrics.fid(features, second_real()), 2),
        "second_sure": sure(features),
    }


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
                    **opinions(gan.sample(5000, seed=1)),
                }
            )
            watch.start()
    return gan, rows


def references(seed: int) -> list[dict]:
    """Without any GAN: the digits themselves, and a Gaussian fitted to their pixels.

    Of the digits, two halves are compared; how surely they are read is that of the 1,000 that the
    second classifier has not learned from.
    """
    images = data.digits().images.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(len(images))
        pixels = images.flatten(1).double()
        # A few pixels are black in all images: the covariance is singular, and its root is taken by
        # eigenvectors.
        values, vectors = torch.linalg.eigh(pixels.T.cov())
        independent = torch.randn(5000, len(values), dtype=torch.double)
        draws = independent * values.clamp(min=0).sqrt() @ vectors.T
    gaussian = (draws + pixels.mean(0)).float().reshape(-1, *images.shape[1:])
    halves = (f[order].chunk(2) for f in (common.real_features(), second_real()))
    fid, second = (round(metrics.fid(*pair), 2) for pair in halves)
    unseen = sure(second_features(data.digits("test").images))
    found = {
        "real halves": {"fid": fid, "second_fid": second, "second_sure": unseen},
        "pixel gaussian": opinions(gaussian),
    }
    blank = {"step": "", "seconds": "", "images_per_s": ""}
    return [{"what": what, "seed": seed, **blank, **row} for what, row in found.items()]


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
            "  FD {fid}, second {second_fid}, read surely {second_sure}".format(**row)
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
