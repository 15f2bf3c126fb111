"""Image translation, with pairs and without, of outlines, colours and holes; six seeds each.

    OMP_NUM_THREADS=1 python benchmarks/translation.py
    python benchmarks/translation.py --task unpaired --only "as in the chapter" --seed 0

Writes translation.csv after every run, and resumes where it stopped. The first run without pairs
also draws translation.png. Chapter 13 shows the table. Protocol: README.md in this folder.
"""

import time
from pathlib import Path

import common
import torch
from dcgan import picture
from torch import nn
from torch.nn.functional import max_pool2d, relu

from ganbook import data, losses, metrics
from ganbook.game import Game, Turn
from ganbook.schedules import falling

SEEDS = range(6)
BATCH = 16
STEPS = {"pairs": 1000, "colour": 1000, "unpaired": 1600, "holes": 1500}
PAIRS = {  # what the translator minimises, what its critic sees, how the translator is built
    "L1 alone": {"critic": None},
    "L1 and critic of pairs": {},
    "L1 and critic of the answer": {"critic": "answer"},
    "critic of pairs alone": {"weight": 0.0},
    "L1 and critic of pairs, no skips": {"skips": False},
}
COLOUR = {"L1 alone": {"critic": None}, "L1 and critic of pairs": {}}
UNPAIRED = {"as in the chapter": {}, "no cycle": {"weight": 0.0}, "no pool": {"pool": False}}
HOLES = {"L1 alone": {"critics": False}, "critics": {"weight": 0.0}, "critics and L1": {}}
ROWS = [
    *(("pairs", name) for name in PAIRS),
    *(("colour", name) for name in COLOUR),
    *(("unpaired", name) for name in UNPAIRED),
    *(("holes", name) for name in HOLES),
]
KEYS = [(*row, seed) for row in ROWS for seed in SEEDS]
MEASURES = ("l1", "l1_back", "kept", "fid", "spread", "colourful")


def outlines(images):
    """The outlines (N, 1, H, W) of images in [-1, 1]: dilation minus image."""
    return max_pool2d(images, 3, stride=1, padding=1) - images - 1


def patch_critic(inputs, width=32):
    return nn.Sequential(
        nn.Conv2d(inputs, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 3, 1, 1),
    )


def whole_critic(inputs, width=32):
    return nn.Sequential(
        nn.Conv2d(inputs, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * width * 7 * 7, 1),
    )


class UNet(nn.Module):
    """Images (N, inputs, H, W) to (N, outputs, H, W) in [-1, 1], where 4 divides H and W."""

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
        quarter = relu(self.down2(half))
        h = relu(self.middle(quarter))
        for layer, kept in ((self.up2, quarter), (self.up1, half)):
            h = relu(layer(torch.cat([h, kept], dim=1) if self.skips else h))
        return self.out(torch.cat([h, x], dim=1)) + x[:, :1] if self.skips else self.out(h)


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
        rows = torch.randint(len(self.piles[0]), (len(self.piles), self.size), generator=draw)
        if self.together:
            rows = rows[:1].expand(len(self.piles), -1)
        return tuple(pile[own] for pile, own in zip(self.piles, rows, strict=True))


def paired(seed, weight=100.0, critic="pairs", skips=True, outputs=1):
    """pix2pix from one channel to `outputs`: the game, and its translator."""
    torch.manual_seed(seed)
    loss, translator = losses.nonsaturating, UNet(1, outputs, skips=skips)
    judge_of = patch_critic(outputs + (critic == "pairs"))

    def logits(x, y):
        return judge_of(torch.cat([x, y], dim=1) if critic == "pairs" else y)

    def judge(batch):
        x, y = batch
        return {"d_loss": loss.d(logits(x, y), logits(x, translator(x).detach()))}

    def translate(batch):
        x, y = batch
        fake = translator(x)
        terms = {"L1": weight * (fake - y).abs()} if weight else {}
        return terms | ({"g_loss": loss.g(None, logits(x, fake))} if critic else {})

    players, turns = {"translator": translator}, [Turn("translator", translate)]
    if critic:
        players, turns = players | {"critic": judge_of}, [Turn("critic", judge), *turns]
    return Game(players, turns, lr=falling(1e-3, 1e-4), betas=(0.5, 0.99), seed=seed), translator


def unpaired(seed, weight=10.0, pool=True):
    """CycleGAN on outlines and digits: the game, and both translators."""
    torch.manual_seed(seed)
    G, F, critic_a, critic_b = UNet(), UNet(), patch_critic(1), patch_critic(1)
    size = 50 if pool else 0
    memory = {name: Pool(size, (1, 28, 28)) for name in ("pool_a", "pool_b")} if size else {}
    pool_a, pool_b = memory.values() if memory else (nn.Identity(), nn.Identity())
    loss = losses.least_squares

    def judge(batch):
        a, b = batch
        old_a, old_b = pool_a(F(b).detach()), pool_b(G(a).detach())
        return {
            "judges a": loss.d(critic_a(a), critic_a(old_a)),
            "judges b": loss.d(critic_b(b), critic_b(old_b)),
        }

    def translate(batch):
        a, b = batch
        fake_b, fake_a = G(a), F(b)
        terms = {
            "fools a": loss.g(None, critic_a(fake_a)),
            "fools b": loss.g(None, critic_b(fake_b)),
        }
        if weight:
            terms["cycle a"] = weight * (F(fake_b) - a).abs()
            terms["cycle b"] = weight * (G(fake_a) - b).abs()
        return terms

    players = {"critics": (critic_a, critic_b), "translators": (G, F)}
    turns = [Turn("critics", judge), Turn("translators", translate)]
    rates = {"critics": falling(1e-3, 5e-5), "translators": falling(2e-3, 1e-4)}
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


def filling(seed, weight=10.0, critics=True):
    """Holes in digits: the game, and its translator. weight: of L1 in the hole."""
    torch.manual_seed(seed)
    loss, translator = losses.nonsaturating, UNet(inputs=4)
    patches, whole = patch_critic(2), whole_critic(2)

    def filled(x):
        mask = holes(len(x))
        return complete(translator, x, mask, torch.randn(len(x), 2, 28, 28)), mask

    def both(images, mask):
        stack = torch.cat([images, mask], dim=1)
        return {"patches": patches(stack), "whole": whole(stack)}

    def judge(batch):
        fake, mask = filled(batch.x)
        real, false = both(batch.x, mask), both(fake.detach(), mask)
        return {name: loss.d(real[name], false[name]) for name in real}

    def draw(batch):
        fake, mask = filled(batch.x)
        terms = {"L1": weight * (fake - batch.x).abs()} if weight else {}
        if critics:
            terms |= {f"fools {k}": loss.g(None, v) for k, v in both(fake, mask).items()}
        return terms

    players, turns = {"translator": translator}, [Turn("translator", draw)]
    if critics:
        players, turns = players | {"critics": (patches, whole)}, [Turn("critics", judge), *turns]
    average = {"translator": 0.995}
    lr = falling(1e-3, 1e-4)
    return Game(players, turns, lr=lr, betas=(0.5, 0.99), average=average, seed=seed), translator


@torch.no_grad()
def translated(network, images):
    return torch.cat([network.eval()(part).clamp(-1, 1) for part in images.split(250)])


def measured(images, truth) -> dict:
    """Measures of 1,000 translations, in the order of the unseen digits."""
    unseen, training = data.digits("test"), data.digits("train")
    features = [metrics.digit_features(x) for x in (images, training.images)]
    right = metrics.digit_logits(images).argmax(1) == unseen.labels.cpu()
    return {
        "l1": (images - truth).abs().mean().item(),
        "kept": right.double().mean().item(),
        "fid": metrics.fid(*features),
    }


@torch.no_grad()
def of_holes(network) -> dict:
    """Measures of filled holes; L1 and spread in the holes alone, over eight answers."""
    y, mask = data.digits("test").images, holes(1000, seed=1)
    draw = torch.Generator().manual_seed(2)
    answers = torch.stack(
        [complete(network.eval(), y, mask, torch.randn(1000, 2, 28, 28, generator=draw))
         for _ in range(8)]
    )  # fmt: skip
    share = mask.mean().item()
    found = measured(answers[0], y)
    found["l1"] /= share
    return found | {"spread": (answers.std(0) * mask).mean().item() / share}


def run(task: str, variant: str, seed: int, steps: int, drawn: Path | None = None) -> dict:
    """Play one game; the row of the table. drawn: where to put a picture of its translations."""
    training, y = data.digits("train").images, data.digits("test").images
    start = time.process_time()
    if task == "pairs":
        game, network = paired(seed, **PAIRS[variant])
        batches = Piles((outlines(training), training), BATCH, seed, together=True)
    elif task == "colour":
        game, network = paired(seed, **COLOUR[variant], outputs=3)
        photos = [data.photographs(32, split=split).images for split in ("train", "test")]
        grey = [images.mean(1, keepdim=True) for images in photos]
        batches = Piles((grey[0], photos[0]), BATCH, seed, together=True)
    elif task == "unpaired":
        game, network, back = unpaired(seed, **UNPAIRED[variant])
        piles = outlines(training[:2000]), training[2000:]
        batches = Piles(piles, BATCH, seed, together=False)
    else:
        game, network = filling(seed, **HOLES[variant])
        batches = data.digits("train").batches(BATCH, seed)
    for _ in game.train(batches, steps, progress=False):
        pass
    seconds = round(time.process_time() - start, 1)
    x = outlines(y)
    if task == "holes":
        found = of_holes(game.averages["translator"][0])
    elif task == "colour":
        painted = translated(network, grey[1])
        found = {"l1": (painted - photos[1]).abs().mean().item()}
        found["colourful"] = (painted.std(1).mean() / photos[1].std(1).mean()).item()
    else:
        found = measured(translated(network, x), y)
    if task == "unpaired":
        found["l1_back"] = (translated(back, y) - x).abs().mean().item()
    if drawn:
        rows = x[:20], translated(network, x[:20]), y[:20], translated(back, y[:20])
        picture(torch.cat(rows), 20, drawn, scale=2)
    row = {"task": task, "variant": variant, "seed": seed, "steps": steps, "seconds": seconds}
    return row | {name: round(found[name], 4) if name in found else "" for name in MEASURES}


def report(rows: list[dict]) -> None:
    print(
        "{task:9} {variant:34} seed {seed} {seconds:>6} s  L1 {l1:>6} back {l1_back:>6}"
        "  kept {kept:>6}  FD {fid:>8}  spread {spread}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "translation",
        KEYS,
        run,
        report,
        columns={"task": "--task", "variant": "--only", "seed": "--seed"},
        length=lambda task, variant, seed: STEPS[task],
        order=lambda key: key[-1],  # a seed of every game before the next seed of any
        pictures={("unpaired", "as in the chapter", 0): "translation.png"},
    )
