"""The modern baseline on stacked digits, from DCGAN one change at a time, six seeds each.

    python benchmarks/stacked.py
    python benchmarks/stacked.py --only "R1" --seed 0

Then games of deeper networks, three seeds each; the last is a long one. Writes stacked.csv after
every run, and resumes where it stopped; the last row's seed 0 also draws stacked.png. Chapter 9
shows the table. Protocol: README.md in this folder.
"""

import time
from pathlib import Path

import common
import torch
from dcgan import picture
from modes import both
from torch import nn

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.schedules import falling

SHORT, DEEP, LONG = 1000, 1500, 8000  # steps
SAMPLES = 26_000  # as in PacGAN's table 2
WEIGHT = 1.0  # of R1 and of R2; it stays
DCGAN = {"init_std": 0.02, "d_norm": True, "lr": 2e-4, "betas": (0.5, 0.999), "average": 0.0}
BUILD_UP = [  # each row has the changes of those above it, too
    ("DCGAN", DCGAN),
    ("no batch norm in D", {"d_norm": False}),
    ("PyTorch's own weights", {"init_std": None}),
    ("higher rate", {"lr": 3e-3}),
    ("falling rate", {"lr": falling(3e-3, 1e-4)}),
    ("no momentum", {"betas": (0.0, 0.999)}),
    ("shorter memory", {"betas": (0.0, 0.99)}),
    ("averaged generator", {"average": 0.995}),
    ("R1", {"penalty": penalties.r1(WEIGHT, every=4)}),
    ("R2", {"penalty": both(WEIGHT, every=4)}),
    ("relativistic loss", {"loss": losses.relativistic}),
    ("no batch norm in G", {"norm": False}),
]
DEEPER = {"residual networks": DEEP, "one group": DEEP, "three groups": DEEP, "long": LONG}  # steps
GROUPS = {"one group": 1, "three groups": 3, "long": 3}
ROWS = [name for name, _ in BUILD_UP] + list(DEEPER)
KEYS = [(name, seed) for name in ROWS for seed in range(3 if name in DEEPER else 6)]


def steps_of(variant: str) -> int:
    return DEEPER.get(variant, SHORT)


def game(variant: str, seed: int) -> GAN:
    if variant in GROUPS:
        torch.manual_seed(seed)
        rates = {"lr": falling(3e-3, 1e-3), "d_lr": falling(1.5e-3, 1e-3)}
        penalty = both(WEIGHT, every=4)
        recipe = {"loss": losses.relativistic, "penalty": penalty, **rates}
        return GAN(*players(GROUPS[variant]), **recipe, seed=seed)
    settings = {}
    for name, changes in BUILD_UP:
        settings |= changes
        if name == variant:
            break
    std, norm, d_norm = settings.pop("init_std"), settings.pop("norm", True), settings.pop("d_norm")
    if variant == "residual networks":
        generator = networks.resnet_generator(channels=3, width=32)
        discriminator = networks.resnet_discriminator(channels=3, width=64)
    else:
        generator = networks.dcgan_generator(channels=3, width=32, init_std=std, norm=norm)
        discriminator = networks.dcgan_discriminator(channels=3, width=64, init_std=std)
    discriminator = normed(discriminator) if d_norm else discriminator
    return GAN(generator, discriminator, seed=seed, **settings)


def normed(discriminator: networks.Network) -> networks.Network:
    """The discriminator, with batch norm after each convolution but the first."""
    layers = []
    for layer in discriminator:
        layers.append(layer)
        if isinstance(layer, nn.Conv2d) and len(layers) > 1:
            layers.append(nn.BatchNorm2d(layer.out_channels))
    return discriminator.with_layers(*layers)


def players(groups: int, width: int = 96, latent: int = 64) -> tuple[nn.Sequential, nn.Sequential]:
    """DCGAN's networks, one layer deeper each: G begins at 4x4 pixels, D has a hidden dense layer.

    groups: every convolution is so many side by side, each with its own share of the channels, as
    in ResNeXt (Xie et al. 2017, arXiv:1611.05431) and in R3GAN; they meet in the dense layers
    alone. D's first weights are those of He et al. 2015 (arXiv:1502.01852).
    """

    def up(inputs, outputs, kernel):
        convolution = nn.ConvTranspose2d(
            inputs, outputs, kernel, stride=2, padding=1, bias=False, groups=groups
        )
        return convolution, nn.BatchNorm2d(outputs), nn.ReLU()

    def down(inputs, outputs, kernel):
        convolution = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=1, groups=groups)
        return convolution, nn.LeakyReLU(0.2)

    first = [nn.Linear(latent, 4 * width * 16, bias=False), nn.Unflatten(1, (4 * width, 4, 4))]
    normed = [nn.BatchNorm2d(4 * width), nn.ReLU()]
    last = [nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1, groups=groups), nn.Tanh()]
    generator = nn.Sequential(
        *first, *normed, *up(4 * width, 2 * width, 3), *up(2 * width, width, 4), *last
    )
    generator.latent = latent
    maps = [
        *down(3, width // 2, 4),
        *down(width // 2, width, 4),
        *down(width, 2 * width, 3),
        nn.Flatten(),
    ]
    hidden = [nn.Linear(2 * width * 16, 2 * width), nn.LeakyReLU(0.2)]
    discriminator = nn.Sequential(*maps, *hidden, nn.Linear(2 * width, 1), nn.Flatten(0))
    for layer in discriminator:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.zeros_(layer.bias)
    return generator, discriminator


def run(variant: str, seed: int = 0, steps: int | None = None, drawn: Path | None = None) -> dict:
    """Play one game, and return its row. drawn: where to put a picture of its samples."""
    if variant not in ROWS:
        raise ValueError(f"there is no {variant!r}")
    steps = steps_of(variant) if steps is None else steps
    gan, batch = game(variant, seed), 64 if variant in GROUPS else 32
    watch, start = common.Stopwatch(), time.process_time()
    watch.start()
    for _ in gan.train(data.stacked_digits().batches(batch, seed), steps):
        pass
    common.wait()
    watch.stop()
    found = metrics.stacked_coverage(gan.sample(SAMPLES, seed=1))
    if drawn:
        picture(gan.sample(100, seed=2), 20, drawn, scale=2)
    return {
        "variant": variant,
        "seed": seed,
        "steps": steps,
        "seconds": round(watch.seconds(), 1),
        "cpu_seconds": round(time.process_time() - start, 1),
        "modes": found.modes,
        "reverse_kl": round(found.reverse_kl, 4),
        "confidence": round(found.confidence, 4),
    }


def report(rows: list[dict]) -> None:
    print(
        "{variant:34s} seed {seed}  {seconds:>6} s  {modes:>4} modes  KL {reverse_kl:>6}"
        "  confidence {confidence}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "stacked",
        KEYS,
        run,
        report,
        columns={"variant": "--only", "seed": "--seed"},
        length=lambda variant, seed: steps_of(variant),
        order=lambda key: key[1],  # a seed of every game before the next seed of any
        pictures={("long", 0): "stacked.png"},
        several_machines=True,
    )
