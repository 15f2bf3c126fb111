"""Conditional DCGANs: four ways to give D a label, and remedies for rare classes; three seeds each.

    OMP_NUM_THREADS=1 python benchmarks/conditional.py
    python benchmarks/conditional.py --only "projection" --seed 0

Writes conditional.csv after every run, and resumes where it stopped. Projection with seed 0 also
draws conditional.png. Chapter 6 shows the table, and its own game is one of its rows. Protocol:
README.md in this folder.
"""

import time
from pathlib import Path

import common
import torch
import torch.nn.functional as F
from dcgan import BATCH, picture
from dcgan import RECIPE as CHAPTER_4

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.schedules import falling

STEPS = 3200
SEEDS = range(3)
FACTOR = 50.0  # class 0 is so many times as frequent as class 9

RECIPE = {**CHAPTER_4, "penalty": penalties.r1(falling(1.0, 0.1), every=4)}

WAYS = {  # how the label reaches the discriminator; it stands one-hot beside z
    "unconditional, as in chapter 4": {"classes": None, "recipe": CHAPTER_4},
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
ROWS = [("all digits", name) for name in WAYS] + [("long tail", name) for name in TAIL]
KEYS = [(*row, seed) for row in ROWS for seed in SEEDS]
PER_CLASS = [f"{what}_{c}" for what in ("accuracy", "fid") for c in range(10)]


def game(where: str, variant: str, seed: int):
    """The game of a row, its batches and its data: the course's DCGAN with labels."""
    settings = {"classes": 10, **(WAYS if where == "all digits" else TAIL)[variant]}
    balanced, weighted = settings.pop("balanced", False), settings.pop("weighted", False)
    images = data.digits() if where == "all digits" else data.long_tail(data.digits(), FACTOR)
    recipe = settings.pop("recipe", RECIPE)
    players = networks.dcgan(**settings)
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
    G, D, penalty, loss=losses.nonsaturating, lr=1e-3, average=0.995, seed=0
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
    game = Game(players, turns, average={"generator": average}, lr=lr, seed=seed)
    return game


def samples(game: Game, labels, seed: int) -> torch.Tensor:
    """Samples of the averaged generator, one for each of the labels (N,), which it may ignore."""
    generator = game.averages["generator"][0]
    random = torch.Generator(DEVICE).manual_seed(seed)
    z = torch.randn(len(labels), generator.latent, device=DEVICE, generator=random)
    return networks.generate(generator, z, None if generator.classes is None else labels)


def measure(gan: Game) -> dict:
    """Accuracy and distance over 5,000 samples, 500 of each class, and within each class."""
    labels = torch.arange(5000) % 10
    drawn = samples(gan, labels, seed=1)
    features, real = metrics.digit_features(drawn), common.real_features()
    found = {"fid": round(metrics.fid(features, real), 4)}
    if gan.averages["generator"][0].classes is None:
        return {"accuracy": "", **found, "class_fid": "", **dict.fromkeys(PER_CLASS, "")}
    right = (metrics.digit_logits(drawn).argmax(1) == labels).double()
    of_class = data.digits().labels.cpu()
    for c in range(10):
        found[f"accuracy_{c}"] = right[labels == c].mean().item()
        found[f"fid_{c}"] = metrics.fid(features[labels == c], real[of_class == c])
    found["class_fid"] = sum(found[f"fid_{c}"] for c in range(10)) / 10
    found["accuracy"] = right.mean().item()
    return {name: round(found[name], 4) for name in ("accuracy", "fid", "class_fid", *PER_CLASS)}


def run(
    where: str, variant: str, seed: int = 0, steps: int = STEPS, drawn: Path | None = None
) -> dict:
    """Play one game; the row of the table. drawn: where to put a picture of its samples."""
    if (where, variant) not in ROWS:
        raise ValueError(f"there is no {variant!r} in {where!r}")
    gan, batches = game(where, variant, seed)
    start = time.process_time()  # the processor's, so that other work on the machine does no harm
    for _ in gan.train(batches, steps):
        pass
    common.wait()
    seconds = round(time.process_time() - start, 1)
    if drawn:
        images = samples(gan, torch.arange(10).repeat_interleave(20), seed=2)
        picture(images, 20, drawn, scale=2)
    row = {"data": where, "variant": variant, "seed": seed, "steps": steps, "seconds": seconds}
    return row | measure(gan)


def report(rows: list[dict]) -> None:
    print(
        "{data:10s} {variant:30s} seed {seed} {seconds:>6} s  accuracy {accuracy:>6}  FID {fid:>8}"
        "  within classes {class_fid}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "conditional",
        KEYS,
        run,
        report,
        columns={"data": "--data", "variant": "--only", "seed": "--seed"},
        length=STEPS,
        pictures={("all digits", "projection", 0): "conditional.png"},
    )
