"""Digits from captions: what it buys to show the discriminator wrong captions; six seeds each.

    OMP_NUM_THREADS=1 python benchmarks/captions.py
    python benchmarks/captions.py --wrong 0.5 --seed 0

Writes captions.csv after every run, and resumes where it stopped; the game of seed 0 with wrong
captions also draws captions.png, a row for each caption of SHOWN. Chapter 12 shows the table.
Protocol: README.md in this folder.
"""

import functools
import time
from pathlib import Path

import common
import torch
from dcgan import picture
from torch import nn
from torch.nn.functional import pad, softplus

from ganbook import data, metrics, networks, penalties
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.schedules import falling

STEPS, BATCH, LATENT, SIZE = 800, 32, 12, 32
SEEDS = range(6)
KEYS = [(wrong, seed) for wrong in (0.0, 0.5) for seed in SEEDS]
DIGITS = "zero one two three four five six seven eight nine".split()
LOW_HIGH = [("leaning left", "leaning right"), ("narrow", "wide"), ("thin", "thick")]
WORDS = ("class", "leaning", "width", "stroke")
MEASURES = [*WORDS, *(f"kept_{word}" for word in WORDS), "fid", "precision", "recall", "spread"]
R1 = falling(3.0, 0.03)
SHOWN = (
    "a thick wide zero",
    "a thin narrow zero leaning right",
    "a thin narrow seven leaning left",
    "a thick narrow five leaning right",  # kept back from training
)


def moments(images):
    """Slant, width and stroke width, in pixels, of digits (N, 1, 28, 28): (N, 3)."""
    ink = (images[:, 0].cpu().float().clamp(-1, 1) + 1) / 2
    edges = pad(ink, (1, 1, 1, 1))
    across, along = edges[:, 1:, 1:] - edges[:, 1:, :-1], edges[:, 1:, 1:] - edges[:, :-1, 1:]
    total = ink.sum(dim=(1, 2)).clamp(min=1e-6)
    stroke = 2 * total / (across**2 + along**2).sqrt().sum(dim=(1, 2)).clamp(min=1e-6)
    ink = ink / total[:, None, None]
    up, right = torch.arange(28).flip(0) * 1.0, torch.arange(28) * 1.0
    x, y = ink.sum(dim=1) @ right, ink.sum(dim=2) @ up
    both = (ink * up[:, None] * right).sum(dim=(1, 2)) - x * y
    spread = ink.sum(dim=1) @ right**2 - x**2
    height = (ink.sum(dim=2) @ up**2 - y**2).clamp(min=1e-6)
    return torch.stack([both / height, spread.clamp(min=0).sqrt(), stroke], dim=1)


class Captions:
    """The digits with captions of their class, slant, width and stroke, and which are kept back.

    A word is said of the lowest and of the highest third within the class.
    """

    def __init__(self):
        real = data.digits()
        self.images, self.labels = real.images, real.labels.cpu()
        self.measures = moments(self.images)
        thirds = torch.tensor([1 / 3, 2 / 3])
        of_class = [self.measures[self.labels == c] for c in range(10)]
        self.cuts = torch.stack([measures.quantile(thirds, dim=0) for measures in of_class])
        self.third = self.thirds(self.measures, self.labels)
        texts = [
            self.text(label, third)
            for label, third in zip(self.labels.tolist(), self.third.tolist(), strict=True)
        ]
        self.vocabulary = ["", *sorted({word for text in texts for word in text.split()})]
        self.tokens = self.encode(texts)
        extreme = (self.third != 1).all(dim=1)
        corner = (self.third // 2) @ torch.tensor([4, 2, 1])
        label = self.labels
        kept = extreme & ((corner == label % 8) | (corner == (label + 3) % 8))
        self.kept, self.shown = kept.nonzero()[:, 0], (~kept).nonzero()[:, 0]

    def thirds(self, measures, labels):
        """For each measure (N, 3) its third within the class: 0 low, 1 middle, 2 high."""
        return (measures[:, None] > self.cuts[labels]).sum(dim=1)

    def text(self, label, third):
        """The caption of a label and its three thirds."""
        pairs = zip(third, LOW_HIGH, strict=True)
        slant, width, stroke = ("" if k == 1 else words[k // 2] for k, words in pairs)
        words = f"{stroke} {width} {DIGITS[label]} {slant}".split()
        return " ".join(["an" if words[0] == "eight" else "a", *words])

    def encode(self, texts):
        """Captions as numbers (N, 6), with 0 after the last word."""
        rows = [[self.vocabulary.index(word) for word in text.split()] for text in texts]
        return torch.tensor([row + [0] * (6 - len(row)) for row in rows], device=DEVICE)

    def batches(self, seed: int):
        """Endless batches of digits that are not kept back, with their captions' numbers."""
        n = len(self.shown)
        rows = data.Images(self.images[self.shown], torch.arange(n), n).batches(BATCH, seed)
        return _Batches(rows, self.tokens[self.shown])


class _Batches:
    def __init__(self, rows, tokens):
        self.rows, self.tokens = rows, tokens

    def __getitem__(self, k):
        x, rows = self.rows[k]
        return data.Batch(x, self.tokens[rows])


@functools.cache
def captions() -> Captions:
    return Captions()


class Encoder(nn.Module):
    """Captions as numbers (N, length) to vectors (N, SIZE): a GRU's last state."""

    def __init__(self, words: int):
        super().__init__()
        self.words = nn.Embedding(words, 16)
        self.read = nn.GRU(16, SIZE, batch_first=True)

    def forward(self, tokens):
        states, _ = self.read(self.words(tokens))
        return states[torch.arange(len(tokens)), (tokens > 0).sum(dim=1) - 1]


class Painter(nn.Module):
    """z and captions to digits: the course's DCGAN, the caption's vector beside z."""

    def __init__(self, words: int):
        super().__init__()
        self.encoder = Encoder(words)
        self.draw = networks.dcgan_generator(28, latent=LATENT + SIZE)

    def forward(self, z, tokens):
        return self.draw(torch.cat([z, self.encoder(tokens)], dim=1))


class Reader(nn.Module):
    """Digits and captions to logits: the course's DCGAN with a projection of the caption."""

    def __init__(self, words: int):
        super().__init__()
        self.look = networks.dcgan_discriminator(28)[:-2]
        features = self.look(torch.zeros(1, 1, 28, 28, device=DEVICE)).shape[1]
        self.encoder = Encoder(words)
        self.match = nn.Linear(SIZE, features)
        self.plain = nn.Linear(features, 1)

    def forward(self, x, tokens):
        h = self.look(x)
        return self.plain(h).squeeze(1) + (self.match(self.encoder(tokens)) * h).sum(dim=1)


def noise(n: int):
    return torch.randn(n, LATENT, device=DEVICE)


def game(wrong: float, seed: int) -> Game:
    """wrong: the share of real digits with wrong captions among what D is to call fake."""
    torch.manual_seed(seed)
    words = len(captions().vocabulary)
    G, D = Painter(words).to(DEVICE), Reader(words).to(DEVICE)
    penalty = penalties.r1(R1, every=4)

    def judge(batch):
        x, tokens = batch
        turn = made.turns_done["reader"]
        x.requires_grad_(penalty.due(turn))
        with torch.no_grad():
            fake = G(noise(len(x)), tokens)
        logits = D(x, tokens), D(fake, tokens)
        terms = {"real": softplus(-logits[0]), "fake": (1 - wrong) * softplus(logits[1])}
        if wrong:
            others = tokens.roll(1 + torch.randint(len(tokens) - 1, ()).item(), dims=0)
            terms["wrong"] = wrong * softplus(D(x.detach(), others))
        if penalty.due(turn):
            terms["penalty"] = penalty(None, x, fake, *logits, turn, made.share)
        return terms

    def draw(batch):
        return {"g_loss": softplus(-D(G(noise(len(batch.x)), batch.labels), batch.labels))}

    made = Game(
        {"painter": G, "reader": D},
        [Turn("reader", judge), Turn("painter", draw)],
        average={"painter": 0.995},
        lr={"painter": falling(3e-3, 1e-4), "reader": falling(1.5e-3, 5e-5)},
        seed=seed,
    )
    return made


def samples(G, tokens, seed: int = 1):
    """A digit for each of the captions, as numbers (N, 6)."""
    z = torch.randn(len(tokens), LATENT, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    with networks.evaluating(G), torch.no_grad():
        parts = zip(z.split(500), tokens.split(500), strict=True)
        return torch.cat([G(*part) for part in parts])


def obeyed(images, rows) -> dict:
    """The share of samples that obey each word, among the captions that have it."""
    text = captions()
    labels, asked = text.labels[rows], text.third[rows]
    found = text.thirds(moments(images), labels)
    shares = {"class": metrics.digit_logits(images).argmax(dim=1).cpu() == labels}
    for k, word in enumerate(WORDS[1:]):
        named = asked[:, k] != 1
        shares[word] = found[named, k] == asked[named, k]
    return {word: share.double().mean().item() for word, share in shares.items()}


def within(measures, tokens):
    """The variance of each measure within captions, (3,)."""
    _, group = tokens.unique(dim=0, return_inverse=True)
    n = torch.bincount(group).clamp(min=1)[:, None]
    means = torch.zeros(len(n), 3).index_add_(0, group, measures) / n
    return (measures - means[group]).square().sum(dim=0) / (len(measures) - len(n))


def measure(made: Game) -> dict:
    """Measures on samples for the captions of all digits that training saw, and kept-back ones."""
    text, (G,) = captions(), made.averages["painter"]
    images = samples(G, text.tokens[text.shown])
    found = obeyed(images, text.shown)
    kept = obeyed(samples(G, text.tokens[text.kept]), text.kept)
    found |= {f"kept_{word}": share for word, share in kept.items()}
    real = metrics.digit_features(text.images[text.shown])
    features = metrics.digit_features(images)
    found["fid"] = metrics.fid(features, real)
    found["precision"], found["recall"] = metrics.precision_recall(real, features)
    tokens = text.tokens[text.shown].cpu()
    ratio = within(moments(images), tokens) / within(text.measures[text.shown], tokens)
    found["spread"] = ratio.sqrt().mean().item()
    return {name: round(found[name], 4) for name in MEASURES}


def run(wrong: float, seed: int = 0, steps: int = STEPS, drawn: Path | None = None) -> dict:
    """Play one game; the row of the table. drawn: where to put a picture of its samples."""
    made = game(wrong, seed)
    start = time.process_time()
    for _ in made.train(captions().batches(seed), steps, progress=False):
        pass
    common.wait()
    seconds = round(time.process_time() - start, 1)
    if drawn:
        tokens = captions().encode(SHOWN).repeat_interleave(16, dim=0)
        picture(samples(made.averages["painter"][0], tokens), 16, drawn, scale=2)
    return {"wrong": wrong, "seed": seed, "steps": steps, "seconds": seconds} | measure(made)


def report(rows: list[dict]) -> None:
    print(
        "wrong {wrong} seed {seed} {seconds:>6} s  class {class} leaning {leaning} width {width}"
        " stroke {stroke}  FD {fid} recall {recall} spread {spread}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "captions",
        KEYS,
        run,
        report,
        columns={"wrong": "--wrong", "seed": "--seed"},
        length=STEPS,
        order=lambda key: key[-1],  # a seed of both games before the next seed of any
        pictures={(0.5, 0): "captions.png"},
    )
