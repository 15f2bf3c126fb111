"""Conditional DCGANs: four ways to give D a label, and remedies for rare classes; six seeds each.

    OMP_NUM_THREADS=1 python benchmarks/conditional.py
    python benchmarks/conditional.py --only "projection" --r1 3 --seed 0

Writes conditional.csv after every run, and resumes where it stopped. Projection with R1 of 3 and
seed 0 also draws conditional.png. Chapter 6 shows the table.
Protocol: README.md in this folder.
"""

import time
from pathlib import Path

import common
import torch
import torch.nn.functional as F
from dcgan import BATCH, LATENT, RECIPE, picture

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.schedules import falling

STEPS = 1000
SEEDS = range(6)
FACTOR = 50.0  # class 0 is so many times as frequent as class 9
R1, SWEEP = 3.0, (10.0, 3.0, 1.0)  # R1's first weight: chapter 4's, and those that are tried

WAYS = {  # how the label reaches the discriminator; it stands one-hot beside z
    "unconditional": {"classes": None},
    "concatenation": {"condition": "concatenation"},
    "embedding": {"condition": "embedding", "g_condition": "embedding"},
    "projection": {"condition": "projection"},
    "auxiliary": {"condition": "auxiliary"},
    "projection, conditional norm": {"condition": "projection", "g_condition": "norm"},
}
TAIL = {  # projection, on the long tail
    "as it comes": {},
    "balanced": {"balanced": True},
    "weighted": {"weighted": True},
    "conditional norm": {"g_condition": "norm"},
    "balanced, conditional norm": {"balanced": True, "g_condition": "norm"},
}
SWEPT = ("concatenation", "embedding", "projection", "auxiliary")
ROWS = [("all digits", name, r1) for name in WAYS for r1 in (SWEEP if name in SWEPT else (R1,))]
ROWS += [("long tail", name, R1) for name in TAIL]
KEYS = [(*row, seed) for row in ROWS for seed in SEEDS]
PER_CLASS = [f"{what}_{c}" for what in ("accuracy", "fid") for c in range(10)]
MEASURES = ["accuracy", "fid", "class_fid", "precision", "recall", "entropy", "width", *PER_CLASS]


def game(where: str, variant: str, r1: float, seed: int):
    """The game of a row, and its batches: the course's DCGAN with labels.

    r1: the first weight of R1, which falls to a hundredth of it.
    """
    settings = {"classes": 10, **(WAYS if where == "all digits" else TAIL)[variant]}
    balanced, weighted = settings.pop("balanced", False), settings.pop("weighted", False)
    images = data.digits() if where == "all digits" else data.long_tail(data.digits(), FACTOR)
    recipe = {**RECIPE, "penalty": penalties.r1(falling(r1, r1 / 100), every=4)}
    players = networks.dcgan(latent=LATENT, **settings)
    batches = images.batches(BATCH, seed, balanced)
    if variant == "auxiliary":
        return auxiliary_game(*players, **recipe, seed=seed), batches
    if not weighted:
        return GAN(*players, **recipe, seed=seed), batches
    gan = Weighted(*players, **recipe, seed=seed)
    counts = torch.bincount(images.labels, minlength=10)
    gan.weights = (counts.sum() / (10 * counts)).float()  # 1 on average over the images
    return gan, batches


class Weighted(GAN):
    """A GAN in which a sample's loss is multiplied by `weights` (classes,) at its label."""

    def d_objective(self, batch):
        terms, seen = super().d_objective(batch)
        return terms | {"d_loss": self.weights[batch.labels] * terms["d_loss"]}, seen

    def g_objective(self, batch):
        terms = super().g_objective(batch)
        return {"g_loss": self.weights[batch.labels] * terms["g_loss"]}


def auxiliary_game(
    G, D, penalty, loss=losses.nonsaturating, lr=1e-3, d_lr=None, average=0.995, seed=0
) -> Game:
    """The game of an auxiliary classifier, as in chapter 6: D gives logits and class logits."""

    def misread(class_logits, y):
        return F.cross_entropy(class_logits, y, reduction="none")

    def noise(n):
        return torch.randn(n, G.latent, device=DEVICE)

    def judge(batch):
        x, y = batch
        with torch.no_grad():
            fake = G(noise(len(x)), y)
        turn = game.turns_done["discriminator"]
        real_logits, real_classes = D(x.requires_grad_(penalty.due(turn)))
        fake_logits, fake_classes = D(fake)
        terms = {"d_loss": loss.d(real_logits, fake_logits)}
        terms["reads real"] = misread(real_classes, y)
        terms["reads fake"] = misread(fake_classes, y)
        if penalty.due(turn):
            logits = real_logits, fake_logits
            terms["penalty"] = penalty(D, x, fake, *logits, step=turn, share=game.share)
        return terms

    def draw(batch):
        logits, classes = D(G(noise(len(batch.x)), batch.labels))
        return {"g_loss": loss.g(None, logits), "is read": misread(classes, batch.labels)}

    players = {"generator": G, "discriminator": D}
    turns = [Turn("discriminator", judge), Turn("generator", draw)]
    lr = lr if d_lr is None else {"generator": lr, "discriminator": d_lr}
    game = Game(players, turns, average={"generator": average}, lr=lr, seed=seed)
    return game


def samples(game: Game, labels, seed: int) -> torch.Tensor:
    """Samples of the averaged generator, one for each of the labels (N,), which it may ignore."""
    generator = game.averages["generator"][0]
    random = torch.Generator(DEVICE).manual_seed(seed)
    z = torch.randn(len(labels), generator.latent, device=DEVICE, generator=random)
    return networks.generate(generator, z, None if generator.classes is None else labels)


def measure(gan: Game) -> dict:
    """Measures of 5,000 samples, 500 of each class: of all of them, and within each class."""
    labels = torch.arange(5000) % 10
    drawn = samples(gan, labels, seed=1)
    features, real = metrics.digit_features(drawn), common.real_features()
    read = metrics.digit_logits(drawn).double().softmax(1)
    precision, recall = metrics.precision_recall(real, features)
    found = {
        "fid": metrics.fid(features, real),
        "precision": precision,
        "recall": recall,
        "entropy": -(read * read.clamp(min=1e-30).log()).sum(1).mean().item(),
    }
    if gan.averages["generator"][0].classes is not None:
        right = (read.argmax(1) == labels).double()
        of_class = data.digits().labels.cpu()
        spreads = [(spread(features, labels, c), spread(real, of_class, c)) for c in range(10)]
        found["width"] = sum(fake for fake, _ in spreads) / sum(true for _, true in spreads)
        for c in range(10):
            found[f"accuracy_{c}"] = right[labels == c].mean().item()
            found[f"fid_{c}"] = metrics.fid(features[labels == c], real[of_class == c])
        found["class_fid"] = sum(found[f"fid_{c}"] for c in range(10)) / 10
        found["accuracy"] = right.mean().item()
    return {name: round(found[name], 4) if name in found else "" for name in MEASURES}


def spread(features, labels, c: int) -> float:
    """The sum of the variances of the features within a class."""
    return features[labels == c].double().var(0).sum().item()


def run(
    where: str,
    variant: str,
    r1: float = R1,
    seed: int = 0,
    steps: int = STEPS,
    drawn: Path | None = None,
) -> dict:
    """Play one game; the row of the table. drawn: where to put a picture of its samples."""
    if (where, variant, r1) not in ROWS:
        raise ValueError(f"there is no {variant!r} with R1 of {r1:g} in {where!r}")
    gan, batches = game(where, variant, r1, seed)
    start = time.process_time()  # the processor's, so that other work on the machine does no harm
    for _ in gan.train(batches, steps):
        pass
    common.wait()
    seconds = round(time.process_time() - start, 1)
    if drawn:
        images = samples(gan, torch.arange(10).repeat_interleave(20), seed=2)
        picture(images, 20, drawn, scale=2)
    row = {"data": where, "variant": variant, "r1": r1, "seed": seed}
    return row | {"steps": steps, "seconds": seconds} | measure(gan)


def report(rows: list[dict]) -> None:
    print(
        "{data:10s} {variant:30s} R1 {r1:>4} seed {seed} {seconds:>6} s  accuracy {accuracy:>6}"
        "  FD {fid:>8}  within classes {class_fid}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "conditional",
        KEYS,
        run,
        report,
        columns={"data": "--data", "variant": "--only", "r1": "--r1", "seed": "--seed"},
        length=STEPS,
        order=lambda key: key[-1],  # a seed of every game before the next seed of any
        pictures={("all digits", "projection", R1, 0): "conditional.png"},
    )
