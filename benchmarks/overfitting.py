"""GANs on few digits: how far the discriminator overfits, and remedies; six seeds each.

    OMP_NUM_THREADS=1 python benchmarks/overfitting.py
    python benchmarks/overfitting.py --images 200 --only "both augmented" --seed 0

Writes overfitting.csv after every game, eight lines a game, and goes on where it stopped. Chapter
10 shows the table, and its own games are rows of it. Protocol: README.md in this folder.
"""

import time

import common
import torch
import torch.nn.functional as F
from torch import nn

from ganbook import GAN, data, losses, metrics, networks, penalties

STEPS = 1000
MARKS = 8  # how often a game is measured, at equal distances
SEEDS = range(6)
BATCH = 32
HELD_OUT = 1000
TARGET, MOVE, EVERY = 0.6, 0.05, 4  # of the adaptive augmentation

SMOOTHED = losses.Loss(
    d=lambda real, fake: 0.9 * F.softplus(-real) + 0.1 * F.softplus(real) + F.softplus(fake),
    g=losses.nonsaturating.g,
    paired=False,
)
REMEDIES = {
    "none": {},
    "R1": {"penalty": penalties.r1(3.0, every=4)},
    "dropout": {"dropout": 0.3},
    "instance noise": {"noise": 0.5},
    "one-sided smoothing": {"loss": SMOOTHED},
    "real alone augmented": {"real_alone": True},
    "both augmented": {"p": 1.0},
    "adaptive": {"p": 0.0, "adaptive": True},
    "R1, both augmented": {"p": 1.0, "penalty": penalties.r1(3.0, every=4)},
}
COUNTS = (4000, 1000, 200, 50)
ROWS = [(images, "none") for images in COUNTS]
ROWS += [(200, remedy) for remedy in REMEDIES if remedy != "none"]
ROWS += [
    (images, remedy)
    for images in (1000, 50)
    for remedy in ("R1", "both augmented", "adaptive", "R1, both augmented")
]
ROWS += [(4000, "both augmented")]
KEYS = [(*row, seed) for row in ROWS for seed in SEEDS]


def moved(x, far=4):
    """Images (N, C, H, W), each moved by up to `far` random pixels each way, filled with black."""
    n, _, height, width = x.shape
    padded = F.pad(x, [far] * 4, value=-1.0)
    down, right = torch.randint(2 * far + 1, (2, n, 1), device=x.device)
    rows = (down + torch.arange(height, device=x.device))[:, :, None]
    columns = (right + torch.arange(width, device=x.device))[:, None]
    return padded[torch.arange(n, device=x.device)[:, None, None], :, rows, columns].movedim(-1, 1)


def cut(x, side=14):
    """Images (N, C, H, W), each with a grey square at a random place, perhaps partly outside."""
    n, _, height, width = x.shape
    top, left = torch.randint(1 - side, height, (2, n, 1), device=x.device)
    rows = torch.arange(height, device=x.device) - top
    columns = torch.arange(width, device=x.device) - left
    inside = ((0 <= rows) & (rows < side))[:, None, :, None]
    inside = inside & ((0 <= columns) & (columns < side))[:, None, None, :]
    return torch.where(inside, 0.0, x)


def lit(x):
    """Images (N, C, H, W), each made lighter or darker at random, by -0.5 to 0.5."""
    return x + torch.rand(len(x), 1, 1, 1, device=x.device) - 0.5


def augmented(x, p=1.0):
    """Images (N, C, H, W), each with each of three changes with probability p."""
    for change in (moved, cut, lit):
        chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < p
        x = torch.where(chosen, change(x), x)
    return x


class Augment(nn.Module):
    """A layer that augments images in training mode, and passes them on unchanged in evaluation.

    p: the probability of each of three changes. noise: the standard deviation of noise instead.
    Both are buffers, as are the signs that p is adapted by, so that they are saved with the game.
    """

    def __init__(self, p: float, noise: float = 0.0):
        super().__init__()
        self.register_buffer("p", torch.tensor(p))
        self.register_buffer("noise", torch.tensor(noise))
        self.register_buffer("signs", torch.zeros(EVERY))

    def forward(self, x):
        if not self.training:
            return x
        return x + self.noise * torch.randn_like(x) if self.noise else augmented(x, self.p)

    def adapt(self, step) -> None:
        """After a step: every few steps p goes up or down, by the signs of the real logits."""
        self.signs[step.index % EVERY] = step.real_logits.sign().mean()
        if step.index % EVERY == 0:
            self.p.add_(MOVE if self.signs.mean() > TARGET else -MOVE).clamp_(0, 1)


class Augmented:
    """Batches of augmented images, cut off at -1 and 1: a function of the seed and of k."""

    def __init__(self, batches, seed):
        self.batches, self.seed = batches, seed

    def __getitem__(self, k):
        with torch.random.fork_rng():
            torch.manual_seed(1_000_000 * self.seed + k)
            return data.Batch(augmented(self.batches[k].x).clamp(-1, 1))


def digits(images: int, seed: int):
    """The digits that a game learns from, and the held-out ones.

    Each seed shuffles the digits anew, so it holds out digits of its own and learns from others.
    """
    shuffled = data.digits().batches(5000, seed)[0].x
    return shuffled[HELD_OUT : HELD_OUT + images], shuffled[:HELD_OUT]


def game(images: int, remedy: str, seed: int):
    """The game of a row, its batches, and what to call after each step."""
    settings = dict(REMEDIES[remedy])
    dropout, noise = settings.pop("dropout", 0.0), settings.pop("noise", 0.0)
    adaptive, real_alone = settings.pop("adaptive", False), settings.pop("real_alone", False)
    augment = Augment(settings.pop("p", 0.0), noise)
    G = networks.dcgan_generator(width=16)
    D = networks.dropout(networks.dcgan_discriminator(width=32), dropout)
    if noise or adaptive or augment.p:
        D = D.with_layers(augment, *D)
    gan = GAN(G, D, **settings, lr=3e-3, seed=seed)
    batches = data.Images(digits(images, seed)[0]).batches(BATCH, seed)
    batches = Augmented(batches, seed) if real_alone else batches
    return gan, batches, augment.adapt if adaptive else lambda step: None


def measure(gan: GAN, training, held_out, references) -> dict:
    """Measures of a game: logits, what D tells from a fake, distances, copies, leaks."""
    samples = gan.sample(1000, seed=1)
    features = metrics.digit_features(samples)
    gan.discriminator.eval()
    with torch.no_grad():
        known, new, fake = (
            gan.discriminator(x).float().cpu() for x in (training[:HELD_OUT], held_out, samples)
        )
    gan.discriminator.train()
    seen, unseen = references
    n = min(len(seen), len(unseen))
    ink = (samples[:, 0].cpu() + 1) / 2
    centre = (ink.sum(1) * torch.arange(28)).sum(1) / ink.sum((1, 2)).clamp(min=1e-6)
    found = {
        "train_logit": known.mean(),
        "held_logit": new.mean(),
        "fake_logit": fake.mean(),
        "train_told": (known[:, None] > fake).double().mean(),
        "held_told": (new[:, None] > fake).double().mean(),
        "fid": metrics.fid(unseen, features),
        "fid_choosing": metrics.fid(unseen[::2], features),
        "fid_reporting": metrics.fid(unseen[1::2], features),
        "copies": metrics.nearer_to_training(seen[:n], unseen[:n], features),
        "centre": centre.std(),
        "margin": samples[:, :, :2].mean() + 1,
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def run(images: int, remedy: str, seed: int = 0, steps: int = STEPS) -> list[dict]:
    """Play one game, and return its rows of the table, one at each of `MARKS` steps."""
    if (images, remedy) not in ROWS:
        raise ValueError(f"there is no {remedy!r} on {images} images")
    training, held_out = digits(images, seed)
    references = metrics.digit_features(training[:HELD_OUT]), metrics.digit_features(held_out)
    gan, batches, after = game(images, remedy, seed)
    augment = next((m for m in gan.discriminator if isinstance(m, Augment)), Augment(0.0))
    lines, seconds = [], 0.0
    start = time.process_time()  # the processor's, so that other work does no harm
    for step in gan.train(batches, steps):
        after(step)
        if step.index % max(1, steps // MARKS) == 0 or step.index == steps:
            seconds += time.process_time() - start
            line = {"images": images, "remedy": remedy, "seed": seed, "steps": steps}
            line |= {"step": step.index, "seconds": round(seconds, 1)}
            line |= measure(gan, training, held_out, references)
            lines.append(line | {"p": round(augment.p.item(), 2)})
            start = time.process_time()
    return lines


def report(rows: list[dict]) -> None:
    print(
        "{images:>4} {remedy:20s} seed {seed} {seconds:>6} s  logits {train_logit:>7} training"
        " {held_logit:>7} held out  FID {fid:>8}  copies {copies}".format(**rows[-1])
    )


if __name__ == "__main__":
    common.measure(
        "overfitting",
        KEYS,
        run,
        report,
        columns={"images": "--images", "remedy": "--only", "seed": "--seed"},
        length=STEPS,
        order=lambda key: key[2],  # a seed of every game before the next seed of any
    )
