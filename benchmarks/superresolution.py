"""Four times the side: squared error, adversarial terms of several weights, several answers.

    OMP_NUM_THREADS=1 python benchmarks/superresolution.py
    python benchmarks/superresolution.py --data digits --charge "each answer" --weight 0.03 --seed 0

Writes superresolution.csv after every run, and resumes where it stopped; the game of seed 0 on
photographs with the weight 0.01 also draws superresolution.png. Chapter 12 shows both. Protocol:
README.md in this folder.
"""

import functools
import time
from pathlib import Path

import common
import torch
from dcgan import picture
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from ganbook import data, losses, metrics, networks, penalties
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.schedules import falling

STEPS, BATCH = 800, 32
SEEDS = range(6)
EACH, MEAN = "each answer", "the mean"  # what the squared error is charged for
ROWS = [("digits", EACH, weight) for weight in (0.0, 0.01, 0.03, 0.1)]
ROWS += [("digits", MEAN, weight) for weight in (0.03, 0.1)]
ROWS += [("photographs", EACH, weight) for weight in (0.0, 0.003, 0.01)]
KEYS = [(*row, seed) for row in ROWS for seed in SEEDS]
MEASURES = ["psnr", "psnr_of_mean", "bicubic", "fid", "kept", "scatter", "edges"]


def coarse(x):
    """Images (N, C, H, W) at a quarter of the side: means of blocks of 4 by 4 pixels."""
    return avg_pool2d(x, 4)


def bicubic(y):
    return interpolate(y, scale_factor=4, mode="bicubic", align_corners=False)


def twice(a, b):
    return nn.Sequential(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.ReLU())


class Sharpener(nn.Module):
    """Coarse images (N, C, H, W) to fine ones (N, C, 4H, 4W): bicubic, and what it lacks.

    Each call draws noise, four maps of the coarse image's size.
    """

    def __init__(self, channels: int = 1, width: int = 64):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels + 4, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            twice(width, width // 2),
            twice(width // 2, width // 4),
            nn.Conv2d(width // 4, channels, 3, padding=1),
        )

    def forward(self, y):
        noise = torch.randn(len(y), 4, *y.shape[2:], device=y.device)
        return bicubic(y) + self.body(torch.cat([y, noise], dim=1))


def game(where: str, charge: str, weight: float, seed: int) -> Game:
    torch.manual_seed(seed)
    channels, size = (1, 28) if where == "digits" else (3, 32)
    G = Sharpener(channels).to(DEVICE)
    rates, settings = falling(2e-3, 1e-4), {"average": {"sharpener": 0.99}, "seed": seed}
    if weight == 0:

        def near(batch):
            return {"near": (batch.x - G(coarse(batch.x))).square()}

        return Game({"sharpener": G}, [Turn("sharpener", near)], lr=rates, **settings)
    D = networks.dcgan_discriminator(size, channels=2 * channels)
    loss, penalty = losses.relativistic, penalties.r1(falling(3.0, 0.03), every=4)

    def judge(batch):
        x, guide = batch.x, bicubic(coarse(batch.x))
        turn = made.turns_done["discriminator"]
        with torch.no_grad():
            fake = G(coarse(x))
        x.requires_grad_(penalty.due(turn))
        logits = D(torch.cat([x, guide], 1)), D(torch.cat([fake, guide], 1))
        terms = {"d_loss": loss.d(*logits)}
        if penalty.due(turn):
            terms["penalty"] = penalty(None, x, fake, *logits, turn, made.share)
        return terms

    def sharpen(batch):
        x, guide = batch.x, bicubic(coarse(batch.x))
        a = G(coarse(x))
        other = a if charge == EACH else G(coarse(x))
        with torch.no_grad():
            real = D(torch.cat([x, guide], 1))
        fake = D(torch.cat([a, guide], 1))
        return {"near": (x - a) * (x - other), "realistic": weight * loss.g(real, fake)}

    turns = [Turn("discriminator", judge), Turn("sharpener", sharpen)]
    players = {"sharpener": G, "discriminator": D}
    lr = {"sharpener": rates, "discriminator": falling(1e-3, 5e-5)}
    made = Game(players, turns, lr=lr, **settings)
    return made


@functools.cache
def images(where: str, split: str) -> data.Images:
    return data.digits(split) if where == "digits" else data.photographs(32, split=split)


def psnr(x, answer) -> float:
    """In decibels, for pixels in [-1, 1], over all pixels of all images."""
    return (10 * (4 / (x - answer).square().mean()).log10()).item()


def edges(x):
    """The mean difference of neighbouring pixels."""
    return (x.diff(dim=2).abs().mean() + x.diff(dim=3).abs().mean()).item()


def answered(made: Game, y):
    """One answer to each coarse image."""
    (G,) = made.averages["sharpener"]
    with networks.evaluating(G), torch.no_grad():
        return G(y).clamp(-1, 1)


def measure(where: str, made: Game) -> dict:
    """Measures on held-out images, for one answer to each unless said otherwise."""
    x = images(where, "test").images
    torch.manual_seed(1)
    answers = torch.stack([answered(made, coarse(x)) for _ in range(8)])
    one = answers[0]
    found = {
        "psnr": psnr(x, one),
        "psnr_of_mean": psnr(x, answers.mean(dim=0)),
        "bicubic": psnr(x, bicubic(coarse(x)).clamp(-1, 1)),
        "scatter": answers.var(dim=0).mean().sqrt().item(),
        "edges": edges(one) / edges(x),
    }
    if where == "digits":
        labels = images(where, "test").labels
        found["fid"] = metrics.fid(metrics.digit_features(one), metrics.digit_features(x))
        found["kept"] = (metrics.digit_logits(one).argmax(1) == labels).double().mean().item()
    return {name: round(found[name], 4) if name in found else "" for name in MEASURES}


def play(where: str, charge: str, weight: float, seed: int, steps: int) -> Game:
    made = game(where, charge, weight, seed)
    for _ in made.train(images(where, "train").batches(BATCH, seed), steps, progress=False):
        pass
    common.wait()
    return made


def draw_rows(made: Game, near: Game, path: Path) -> None:
    """Held-out patches, evenly spaced; what is given, bicubic, two games' answers, the truth."""
    x = images("photographs", "test").images
    x = x[torch.linspace(20, len(x) - 20, 12).long()]
    y = coarse(x)
    blocks = interpolate(y, scale_factor=4, mode="nearest")
    torch.manual_seed(1)
    rows = [blocks, bicubic(y).clamp(-1, 1), answered(near, y), answered(made, y), x]
    picture(torch.cat(rows), len(x), path, scale=2)


def run(
    where: str,
    charge: str,
    weight: float,
    seed: int = 0,
    steps: int = STEPS,
    drawn: Path | None = None,
) -> dict:
    """Play one game; the row of the table.

    drawn: where to put a picture of its answers beside those of a game with the weight 0.
    """
    start = time.process_time()
    made = play(where, charge, weight, seed, steps)
    seconds = round(time.process_time() - start, 1)
    if drawn:
        draw_rows(made, play(where, charge, 0.0, seed, steps), drawn)
    row = {"data": where, "charge": charge, "weight": weight, "seed": seed, "steps": steps}
    return row | {"seconds": seconds} | measure(where, made)


def report(rows: list[dict]) -> None:
    print(
        "{data:11} {charge:11} weight {weight:>5} seed {seed} {seconds:>6} s  PSNR {psnr:>7}"
        " (mean of 8: {psnr_of_mean}, bicubic {bicubic})  FD {fid:>8}  class kept {kept}"
        "  scatter {scatter}  edges {edges}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "superresolution",
        KEYS,
        run,
        report,
        columns={"data": "--data", "charge": "--charge", "weight": "--weight", "seed": "--seed"},
        length=STEPS,
        order=lambda key: key[-1],  # a seed of every game before the next seed of any
        pictures={("photographs", EACH, 0.01, 0): "superresolution.png"},
    )
