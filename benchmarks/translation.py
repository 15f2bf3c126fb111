"""Image translation, with pairs and without: outlines, colours, textures, holes; six seeds each.

    OMP_NUM_THREADS=1 python benchmarks/translation.py
    python benchmarks/translation.py --task unpaired --only "no skips" --seed 10

Writes translation.csv after every run, and resumes where it stopped. One run of three tasks also
draws translation.png, colours.png or holes.png. Chapter 13 shows the table. Protocol: README.md in
this folder.
"""

import time
from pathlib import Path

import common
import numpy as np
import torch
from dcgan import picture
from infogan import matched
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, instance_norm, max_pool2d, pad, relu

from ganbook import data, losses, metrics
from ganbook.game import Game, Turn
from ganbook.schedules import falling

SEEDS = range(10, 16)  # the recipes were chosen on others
BATCH = 16
STEPS = {"pairs": 600, "colour": 400, "unpaired": 1600, "textures": 400, "holes": 600}
PAIRS = {  # what the translator minimises, what the discriminator sees, how the translator is built
    "squared error": {"D": None, "squared": True},
    "L1": {"D": None},
    "L1 and D of pairs": {},
    "L1 (weight 1) and D of pairs": {"weight": 1.0},
    "D of pairs": {"weight": 0.0},
    "D of answers": {"weight": 0.0, "D": "answers"},
    "L1 and D of pairs, no skips": {"skips": False},
}
COLOUR = {"L1": {"D": None}, "L1 and D of pairs": {}, "D of pairs": {"weight": 0.0}}
UNPAIRED = {"no skips": {}, "skips": {"skips": True}, "no cycle": {"weight": 0.0}}
TEXTURES = ("grass to gravel", "brick to grass")
HOLES = {
    "L1": {"judges": ()},
    "patches": {"judges": ("patches",), "weight": 0.0},
    "whole": {"judges": ("whole",), "weight": 0.0},
    "patches and whole": {"weight": 0.0},
    "patches, whole and L1": {},
}
TASKS = {
    "pairs": PAIRS,
    "colour": COLOUR,
    "unpaired": UNPAIRED,
    "textures": TEXTURES,
    "holes": HOLES,
}
KEYS = [(task, way, seed) for task, ways in TASKS.items() for way in ways for seed in SEEDS]
MEASURES = (
    *("l1", "l1_back", "cycle", "kept", "matched", "fid"),
    *("spread", "chroma", "colourful", "style", "layout"),
)


def outlines(images):
    """The outlines (N, 1, H, W) of images in [-1, 1]: dilation minus image."""
    return max_pool2d(images, 3, stride=1, padding=1) - images - 1


def patch_discriminator(inputs, width=32, norm=False):
    return nn.Sequential(
        nn.Conv2d(inputs, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        *([nn.InstanceNorm2d(2 * width)] if norm else []),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 3, 1, 1),
    )


def whole_discriminator(inputs, width=32):
    return nn.Sequential(
        nn.Conv2d(inputs, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * width * 7 * 7, 1),
    )


class UNet(nn.Module):
    """Images (N, inputs, H, W) to (N, outputs, H, W), where 4 divides H and W."""

    def __init__(self, inputs=1, outputs=1, width=32, skips=True):
        super().__init__()
        self.skips, k = skips, 1 + skips
        self.down1 = nn.Conv2d(inputs, width, 4, 2, 1)
        self.down2 = nn.Conv2d(width, 2 * width, 4, 2, 1)
        self.middle = nn.Conv2d(2 * width, 2 * width, 3, 1, 1)
        self.up2 = nn.ConvTranspose2d(k * 2 * width, width, 4, 2, 1)
        self.up1 = nn.ConvTranspose2d(k * width, width // 2, 4, 2, 1)
        self.out = nn.Conv2d(width // 2 + skips * inputs, outputs, 3, 1, 1)

    def forward(self, x):
        half = relu(self.down1(x))
        quarter = relu(instance_norm(self.down2(half)))
        h = relu(instance_norm(self.middle(quarter)))
        for layer, kept in ((self.up2, quarter), (self.up1, half)):
            h = relu(instance_norm(layer(torch.cat([h, kept], dim=1) if self.skips else h)))
        return self.out(torch.cat([h, x], dim=1) if self.skips else h)


class Pool(nn.Module):
    """A memory of past images: about half of what comes out is fresh, the rest is old."""

    def __init__(self, size, shape):
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.tensor(0))

    def forward(self, fresh):
        result = fresh.clone()
        for k, image in enumerate(fresh):
            if self.filled < len(self.images):
                self.images[self.filled] = image
                self.filled += 1
            elif torch.rand(()) < 0.5:
                place = torch.randint(len(self.images), ())
                result[k] = self.images[place]
                self.images[place] = image
        return result


class Piles:
    """Endless batches from piles of images: rows together, or each pile by itself.

    Batch k depends on the seed and k alone.
    """

    def __init__(self, piles, size, seed, together):
        self.piles, self.size, self.seed, self.together = piles, size, seed, together

    def __getitem__(self, k):
        draw = torch.Generator().manual_seed(1_000_003 * self.seed + k)
        rows = torch.randint(len(self.piles[0]), (self.size,), generator=draw)
        if self.together:
            return tuple(pile[rows] for pile in self.piles)
        first, other = self.piles
        return first[rows], other[torch.randint(len(other), (self.size,), generator=draw)]


def paired(seed, weight=100.0, D="pairs", squared=False, skips=True, outputs=1):
    """pix2pix from one channel to `outputs`: the game, and its translator."""
    torch.manual_seed(seed)
    loss, translator = losses.nonsaturating, UNet(1, outputs, skips=skips)
    judge_of = patch_discriminator(outputs + (D == "pairs"))

    def logits(x, y):
        return judge_of(torch.cat([x, y], dim=1) if D == "pairs" else y)

    def judge(batch):
        x, y = batch
        return {"d_loss": loss.d(logits(x, y), logits(x, translator(x).detach()))}

    def translate(batch):
        x, y = batch
        fake = translator(x)
        far = (fake - y).square() if squared else (fake - y).abs()
        terms = {"L1": weight * far} if weight else {}
        return terms | ({"g_loss": loss.g(None, logits(x, fake))} if D else {})

    players, turns = {"translator": translator}, [Turn("translator", translate)]
    if D:
        players, turns = players | {"D": judge_of}, [Turn("D", judge), *turns]
    return Game(players, turns, lr=falling(1e-3, 1e-4), betas=(0.5, 0.99), seed=seed), translator


def unpaired(seed, weight=2.0, skips=False, size=28):
    """CycleGAN between two piles of images of `size` pixels: the game, and both translators."""
    torch.manual_seed(seed)
    G, F = UNet(skips=skips), UNet(skips=skips)
    D_a, D_b = patch_discriminator(1, norm=True), patch_discriminator(1, norm=True)
    pool_a, pool_b = Pool(50, (1, size, size)), Pool(50, (1, size, size))
    loss = losses.nonsaturating

    def judge(batch):
        a, b = batch
        old_a, old_b = pool_a(F(b).detach()), pool_b(G(a).detach())
        return {"judges a": loss.d(D_a(a), D_a(old_a)), "judges b": loss.d(D_b(b), D_b(old_b))}

    def translate(batch):
        a, b = batch
        fake_b, fake_a = G(a), F(b)
        terms = {"fools a": loss.g(None, D_a(fake_a)), "fools b": loss.g(None, D_b(fake_b))}
        if weight:
            terms["cycle a"] = weight * (F(fake_b) - a).abs()
            terms["cycle b"] = weight * (G(fake_a) - b).abs()
        return terms

    players = {"discriminators": (D_a, D_b), "translators": (G, F)}
    turns = [Turn("discriminators", judge), Turn("translators", translate)]
    rates = {"discriminators": falling(1e-3, 5e-5), "translators": falling(2e-3, 1e-4)}
    memory = {"pool_a": pool_a, "pool_b": pool_b}
    return Game(players, turns, memory=memory, lr=rates, betas=(0.5, 0.99), seed=seed), G, F


def holes(n, seed=None):
    """n masks (n, 1, 28, 28), 1 in a rectangle of 10 to 15 pixels a side at a random place."""
    draw = torch.Generator().manual_seed(seed) if seed is not None else None
    height, width = sides = torch.randint(10, 16, (2, n, 1, 1, 1), generator=draw)
    top, left = (4 + torch.rand(2, n, 1, 1, 1, generator=draw) * (20 - sides)).long()
    down, across = torch.arange(28)[:, None], torch.arange(28)[None, :]
    inside = (down >= top) & (down < top + height) & (across >= left) & (across < left + width)
    return inside.float()


def complete(translator, images, mask, noise):
    """Images whose holes are filled."""
    given = images * (1 - mask) - mask
    drawn = translator(torch.cat([given, mask, noise], dim=1))
    return images * (1 - mask) + drawn * mask


def filling(seed, weight=10.0, judges=("patches", "whole")):
    """Holes in digits: the game, and its translator. weight: of L1 in the hole."""
    torch.manual_seed(seed)
    loss, translator = losses.nonsaturating, UNet(inputs=4)
    networks = {"patches": patch_discriminator(2), "whole": whole_discriminator(2)}

    def filled(x):
        mask, noise = holes(len(x)).to(x.device), torch.randn(len(x), 2, 28, 28, device=x.device)
        return complete(translator, x, mask, noise), mask

    def logits(images, mask):
        stack = torch.cat([images, mask], dim=1)
        return {name: networks[name](stack) for name in judges}

    def judge(batch):
        fake, mask = filled(batch.x)
        real, false = logits(batch.x, mask), logits(fake.detach(), mask)
        return {name: loss.d(real[name], false[name]) for name in judges}

    def draw(batch):
        fake, mask = filled(batch.x)
        terms = {"L1": weight * (fake - batch.x).abs()} if weight else {}
        return terms | {f"fools {k}": loss.g(None, v) for k, v in logits(fake, mask).items()}

    players, turns = {"translator": translator}, [Turn("translator", draw)]
    if judges:
        players["discriminators"] = tuple(networks[name] for name in judges)
        turns = [Turn("discriminators", judge), *turns]
    average, lr = {"translator": 0.995}, falling(1e-3, 1e-4)
    return Game(players, turns, lr=lr, betas=(0.5, 0.99), average=average, seed=seed), translator


@torch.no_grad()
def translated(network, images):
    return torch.cat([network.eval()(part).clamp(-1, 1) for part in images.split(250)])


def measured(images) -> dict:
    """Measures of 1,000 translations or fillings, in the order of the unseen digits."""
    of, training = data.digits("test"), data.digits("train")
    true, read = of.labels.cpu(), metrics.digit_logits(images).argmax(1).cpu()
    match = matched(read, true)
    return {
        "l1": (images - of.images).abs().mean().item(),
        "kept": (read == true).double().mean().item(),
        "matched": float(np.mean(match[read.numpy()] == true.numpy())),
        "fid": metrics.fid(metrics.digit_features(images), metrics.digit_features(training.images)),
    }


@torch.no_grad()
def eight_answers(network, y, mask) -> torch.Tensor:
    """Images whose holes are filled with eight z, (8, N, 1, 28, 28)."""
    draw, network = torch.Generator().manual_seed(2), network.eval()
    z = [torch.randn(len(y), 2, 28, 28, generator=draw).to(y.device) for _ in range(8)]
    return torch.stack([complete(network, y, mask, each) for each in z]).clamp(-1, 1)


def of_holes(answers, mask) -> dict:
    """Measures of filled holes; L1 and spread in the holes alone."""
    share = mask.mean().item()
    found = measured(answers[0])
    found["l1"] /= share
    return found | {"spread": (answers.std(0) * mask).mean().item() / share}


def of_colours(painted, truth, photograph) -> dict:
    """Measures of coloured patches, the mean over photographs, which have unequal numbers."""
    parts = [(painted[photograph == k], truth[photograph == k]) for k in photograph.unique()]

    def chroma(images):
        return images - images.mean(1, keepdim=True)

    return {
        "l1": np.mean([(a - b).abs().mean().item() for a, b in parts]),
        "chroma": np.mean([(chroma(a) - chroma(b)).abs().mean().item() for a, b in parts]),
        "colourful": (painted.std(1).mean() / truth.std(1).mean()).item(),
    }


def statistics(x, filters=32) -> torch.Tensor:
    """Mean and standard deviation of random features of images (N, 1, H, W), (N, 6 * filters)."""
    draw = torch.randn(filters, 1, 7, 7, generator=torch.Generator().manual_seed(1))
    draw = draw - draw.mean(dim=(2, 3), keepdim=True)
    draw = (draw / draw.flatten(1).norm(dim=1)[:, None, None, None]).to(x.device)
    found = []
    for _ in range(3):
        features = relu(conv2d(pad(x, (3, 3, 3, 3), mode="circular"), draw))
        found += [features.mean(dim=(2, 3)), features.std(dim=(2, 3))]
        x = avg_pool2d(x, 2)
    return torch.cat(found, dim=1)


def of_textures(a, found, b) -> dict:
    """style: how far the translations' mean statistics are from those of B, as a share of A's
    distance; layout: the correlation of their means of 8 by 8 pixels with those of A."""
    own, new, wanted = (statistics(images).mean(0) for images in (a, found, b))
    both = torch.stack([avg_pool2d(images, 8).flatten() for images in (a, found)])
    style = ((new - wanted).norm() / (own - wanted).norm()).item()
    return {"style": style, "layout": torch.corrcoef(both)[0, 1].item()}


def play(task: str, way: str, seed: int, steps: int) -> tuple:
    """Play one game: the game, the translators that it trained, and the seconds of training."""
    training = data.digits("train").images
    if task == "pairs":
        made, piles = paired(seed, **PAIRS[way]), (outlines(training), training)
    elif task == "colour":
        photos = data.photographs(32, split="train").images
        made, piles = paired(seed, **COLOUR[way], outputs=3), (photos.mean(1, keepdim=True), photos)
    elif task == "unpaired":
        made, piles = unpaired(seed, **UNPAIRED[way]), (outlines(training[:2000]), training[2000:])
    elif task == "textures":
        made = unpaired(seed, size=32)
        piles = [data.photographs(32, name, split="train").images for name in way.split(" to ")]
    else:
        made, batches = filling(seed, **HOLES[way]), data.digits("train").batches(BATCH, seed)
    game, *networks = made
    if task != "holes":
        batches = Piles(piles, BATCH, seed, together=task in ("pairs", "colour"))
    start = time.process_time()
    for _ in game.train(batches, steps, progress=False):
        pass
    return game, networks, round(time.process_time() - start, 1)


def run(task: str, way: str, seed: int, steps: int, drawn: Path | None = None) -> dict:
    """Play one game; the row of the table. drawn: where to put a picture of its translations."""
    game, networks, seconds = play(task, way, seed, steps)
    y = data.digits("test").images
    x = outlines(y)
    if task == "holes":
        mask = holes(len(y), seed=1).to(y.device)
        answers = eight_answers(game.averages["translator"][0], y, mask)
        found = of_holes(answers, mask)
    elif task == "colour":
        photos = data.photographs(32, split="test")
        grey = photos.images.mean(1, keepdim=True)
        answers = translated(networks[0], grey)
        found = of_colours(answers, photos.images, photos.labels)
    elif task == "textures":
        a, b = (data.photographs(32, name, split="test").images for name in way.split(" to "))
        answers = translated(networks[0], a)
        found = of_textures(a, answers, b)
        found["cycle"] = (translated(networks[1], answers) - a).abs().mean().item()
    else:
        answers = translated(networks[0], x)
        found = measured(answers)
    if task == "unpaired":
        back = translated(networks[1], y)
        found["l1_back"] = (back - x).abs().mean().item()
        found["cycle"] = (translated(networks[1], answers) - x).abs().mean().item()
    if drawn and task == "colour":
        parts = grey.expand_as(answers), answers, photos.images
        picture(torch.cat([images[::46] for images in parts]), 16, drawn, scale=1)
    elif drawn and task == "holes":
        parts = y, y * (1 - mask), *answers[:4]
        picture(torch.cat([images[:20] for images in parts]), 20, drawn, scale=2)
    elif drawn:
        picture(torch.cat([x[:20], answers[:20], y[:20], back[:20]]), 20, drawn, scale=2)
    row = {"task": task, "way": way, "seed": seed, "steps": steps, "seconds": seconds}
    return row | {name: round(found[name], 4) if name in found else "" for name in MEASURES}


def report(rows: list[dict]) -> None:
    row = rows[0]
    print("{task:9} {way:30} seed {seed} {seconds:>6} s".format(**row), end="")
    print(*(f"  {name} {row[name]}" for name in MEASURES if row[name]), sep="")


if __name__ == "__main__":
    common.measure(
        "translation",
        KEYS,
        run,
        report,
        columns={"task": "--task", "way": "--only", "seed": "--seed"},
        length=lambda task, way, seed: STEPS[task],
        order=lambda key: key[-1],  # a seed of every game before the next seed of any
        pictures={
            ("unpaired", "no skips", 10): "translation.png",
            ("colour", "L1 and D of pairs", 10): "colours.png",
            ("holes", "patches and whole", 10): "holes.png",
        },
    )
