"""Coarse, then fine: the direct network, a growing one, and two stages, in about the same time.

    OMP_NUM_THREADS=1 python benchmarks/stacking.py
    python benchmarks/stacking.py --data "one digit" --way growing --seed 0

Writes stacking.csv after every run, and resumes where it stopped. Chapter 12 shows the table.
Protocol: README.md in this folder.
"""

import copy
import time

import common
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, softplus

from ganbook import data, metrics, networks, penalties
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.schedules import falling

BATCH, LATENT = 32, 12
SECONDS = {"one digit": 40.0, "four digits": 120.0}  # of the processor, on one thread
SEEDS = range(6)
PLACES = {"one digit": 2, "four digits": 3}  # {data: the last stage}: 28 and 56 pixels
WAYS = ("direct", "growing", "two stages")
KEYS = [(where, way, seed) for where in PLACES for way in WAYS for seed in SEEDS]
SHARES = {2: (0.2, 0.3, 0.5), 3: (0.1, 0.2, 0.3, 0.4)}  # of the seconds, for each stage of growing
R1 = falling(3.0, 0.03)


def halved(x):
    return avg_pool2d(x, 2)


def enlarged(x):
    return interpolate(x, scale_factor=2, mode="nearest")


def up(a, b):
    return nn.Sequential(
        nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()
    )


def down(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(0.2))


class Stage(nn.Module):
    """Keeps which layer is the last one, `stage`, and its weight `alpha`, from 0 to 1."""

    def __init__(self):
        super().__init__()
        self.register_buffer("stage", torch.tensor(0))
        self.register_buffer("alpha", torch.tensor(1.0))

    def set(self, stage: int, alpha: float = 1.0) -> None:
        self.stage.fill_(stage)
        self.alpha.fill_(alpha)


class Generator(Stage):
    """z (N, latent) to images of 7, 14, 28, ... pixels, at stage 0, 1, 2, ..."""

    def __init__(self, widths):
        super().__init__()
        self.first = nn.Sequential(
            nn.Linear(LATENT, 49 * widths[0], bias=False),
            nn.Unflatten(1, (widths[0], 7, 7)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        pairs = zip(widths, widths[1:], strict=False)
        self.layers = nn.ModuleList(up(a, b) for a, b in pairs)
        self.to_image = nn.ModuleList(nn.Conv2d(width, 1, 3, padding=1) for width in widths)

    def forward(self, z):
        stage, maps = int(self.stage), [self.first(z)]
        for layer in self.layers[:stage]:
            maps.append(layer(maps[-1]))
        x = self.to_image[stage](maps[-1])
        if stage and self.alpha < 1:
            x = torch.lerp(enlarged(self.to_image[stage - 1](maps[-2])), x, self.alpha)
        return x.tanh()


class Discriminator(Stage):
    """Images of 7, 14, 28, ... pixels, at stage 0, 1, 2, ..., to logits (N,)."""

    def __init__(self, widths):
        super().__init__()
        self.from_image = nn.ModuleList(
            nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.LeakyReLU(0.2)) for width in widths
        )
        pairs = zip(widths, widths[1:], strict=False)
        self.layers = nn.ModuleList(down(b, a) for a, b in pairs)
        self.last = nn.Sequential(
            down(widths[0], 2 * widths[0]),
            nn.Flatten(),
            nn.Linear(9 * 2 * widths[0], 1),
            nn.Flatten(0),
        )

    def forward(self, x):
        stage = int(self.stage)
        h = self.from_image[stage](x)
        for k in reversed(range(stage)):
            h = self.layers[k](h)
            if k == stage - 1 and self.alpha < 1:
                h = torch.lerp(self.from_image[k](halved(x)), h, self.alpha)
        return self.last(h)


class Second(nn.Module):
    """The second stage: images of a first generator, and noise, to images of twice the side."""

    def __init__(self, first: nn.Module, width: int):
        super().__init__()
        self.first = first.eval().requires_grad_(False)
        self.read = nn.Sequential(nn.Conv2d(3, 2 * width, 3, padding=1), nn.ReLU())
        self.twice = up(2 * width, width)
        self.to_image = nn.Conv2d(width, 1, 3, padding=1)

    def train(self, mode: bool = True):
        super().train(mode)
        self.first.eval()
        return self

    def forward(self, z):
        return self.fine(self.first(z))

    def fine(self, coarse):
        noise = torch.randn(len(coarse), 2, *coarse.shape[2:], device=coarse.device)
        h = self.twice(self.read(torch.cat([coarse, noise], dim=1)))
        return (self.to_image(h) + 2 * enlarged(coarse)).tanh()


class Pictures:
    """Endless batches: a digit of 28 pixels, or four digits in an image of 56; halved `times`."""

    def __init__(self, where: str, seed: int, times: int = 0):
        self.four, self.times = where == "four digits", times
        self.batches = data.digits().batches((4 if self.four else 1) * BATCH, seed)

    def __getitem__(self, k):
        x = self.batches[k].x
        if self.four:
            x = x.view(-1, 2, 2, 28, 28).transpose(2, 3).reshape(-1, 1, 56, 56)
        for _ in range(self.times):
            x = halved(x)
        return data.Batch(x)


def adversaries(G, D, seed: int) -> Game:
    """The course's recipe; real images are faded as the discriminator's new layer is."""
    penalty = penalties.r1(R1, every=4)

    def noise(n):
        return torch.randn(n, LATENT, device=DEVICE)

    def judge(batch):
        x, turn = batch.x, made.turns_done["discriminator"]
        if D.alpha < 1:
            x = torch.lerp(enlarged(halved(x)), x, D.alpha)
        x = x.detach().requires_grad_(penalty.due(turn))
        with torch.no_grad():
            fake = G(noise(len(x)))
        logits = D(x), D(fake)
        terms = {"d_loss": softplus(-logits[0]) + softplus(logits[1])}
        if penalty.due(turn):
            terms["penalty"] = penalty(None, x, fake, *logits, turn, made.share)
        return terms

    def draw(batch):
        return {"g_loss": softplus(-D(G(noise(len(batch.x)))))}

    made = Game(
        {"generator": G, "discriminator": D},
        [Turn("discriminator", judge), Turn("generator", draw)],
        average={"generator": 0.995},
        lr={"generator": falling(3e-3, 1e-4), "discriminator": falling(1.5e-3, 5e-5)},
        seed=seed,
    )
    return made


def seconds_a_step(where: str, G, D, times: int) -> float:
    """Of the processor, over 12 steps of a rehearsal on copies."""
    rehearsal = adversaries(copy.deepcopy(G), copy.deepcopy(D), 0)
    start = time.process_time()
    for step in rehearsal.train(Pictures(where, 0, times), 14, progress=False):
        if step.index == 2:
            start = time.process_time()
    return (time.process_time() - start) / 12


def play(where: str, G, D, seed: int, schedule) -> Game:
    """schedule: (stage, steps) pairs, each a game of its own on the networks so far, with the
    whole recipe: a new layer meets high rates, and an average that does not remember its random
    weights. It is faded in over the first half of its game. Returns the last one.
    """
    for place, (stage, steps) in enumerate(schedule):
        made = adversaries(G, D, seed + 100 * place)
        batches = Pictures(where, seed + 100 * place, PLACES[where] - stage)
        training = made.train(batches, steps, progress=False)
        for k in range(steps):
            alpha = min(1.0, 2 * k / steps) if place else 1.0
            for network in (G, D):
                network.set(stage, alpha)
            next(training)
    return made


def run(where: str, way: str, seed: int = 0, seconds: float | None = None) -> dict:
    """Play for about so many seconds of the processor; the row of the table."""
    seconds = seconds or SECONDS[where]
    torch.manual_seed(seed)
    last = PLACES[where]
    widths = [16 * 2**k for k in reversed(range(last + 1))]
    G, D = Generator(widths).to(DEVICE), Discriminator(widths).to(DEVICE)
    played = 0.0
    if way == "two stages":
        for network in (G, D):
            network.set(last - 1)
        steps = max(2, round(seconds / 2 / seconds_a_step(where, G, D, 1)))
        start = time.process_time()
        first = play(where, G, D, seed, [(last - 1, steps)])
        played += time.process_time() - start
        G = Second(copy.deepcopy(first.averages["generator"][0]), 32).to(DEVICE)
        D = Discriminator(widths).to(DEVICE)
        D.set(last)
        more = max(2, round(seconds / 2 / seconds_a_step(where, G, D, 0)))
        start = time.process_time()
        made = adversaries(G, D, seed + 50)
        for _ in made.train(Pictures(where, seed + 50), more, progress=False):
            pass
        played += time.process_time() - start
        steps += more
    else:
        stages = range(last + 1) if way == "growing" else [last]
        shares = SHARES[last] if way == "growing" else [1.0]
        schedule = []
        for stage, share in zip(stages, shares, strict=True):
            for network in (G, D):
                network.set(stage)
            each = seconds_a_step(where, G, D, last - stage)
            schedule.append((stage, max(2, round(share * seconds / each))))
        start = time.process_time()
        made = play(where, G, D, seed, schedule)
        played += time.process_time() - start
        steps = sum(n for _, n in schedule)
    row = {"data": where, "way": way, "seed": seed, "seconds": seconds, "played": round(played, 1)}
    return row | measure(where, way, made) | {"steps": steps}


def measure(where: str, way: str, made: Game) -> dict:
    """FD, precision and recall of 5,000 digits, which four to an image are cut out of it."""
    (G,) = made.averages["generator"]
    n = 5000 if where == "one digit" else 1250
    z = torch.randn(n, LATENT, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    torch.manual_seed(1)
    kept = ""
    with networks.evaluating(G), torch.no_grad():
        if way == "two stages":
            sketches = torch.cat([G.first(part) for part in z.split(250)])
            x = torch.cat([G.fine(part) for part in sketches.split(250)])
            kept = round((halved(x) - sketches).square().mean().sqrt().item(), 4)
        else:
            x = torch.cat([G(part) for part in z.split(250)])
    if where == "four digits":
        x = x.view(-1, 2, 28, 2, 28).transpose(2, 3).reshape(-1, 1, 28, 28)
    features, real = metrics.digit_features(x), common.real_features()
    precision, recall = metrics.precision_recall(real, features)
    found = {"fid": metrics.fid(features, real), "precision": precision, "recall": recall}
    return {name: round(value, 4) for name, value in found.items()} | {"coarse_kept": kept}


def report(rows: list[dict]) -> None:
    print(
        "{data:11} {way:10} seed {seed}: {steps} steps in {played} s  FD {fid}"
        "  precision {precision} recall {recall}  sketch kept to {coarse_kept}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "stacking",
        KEYS,
        run,
        report,
        columns={"data": "--data", "way": "--way", "seed": "--seed"},
        length=lambda where, way, seed: SECONDS[where],
        unit="seconds",
        order=lambda key: key[-1],
    )
