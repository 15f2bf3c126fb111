"""The course against the DCGAN scripts that people copy: same data, same seconds, three changes.

    python benchmarks/baseline.py

The ladder, each rung changed in one thing from the one before:
  copied     float32, a DataLoader whose transforms work on one image at a time, batch 64,
             Adam 2e-4, cross-entropy, an upsampling generator at 32x32
  engine     the same networks and recipe, with the data on the device once and our game's loop
  networks   networks.dcgan at 28x28, with the same recipe
  course     the course's recipe too: penalty, learning rate, betas, batch of 32, averaged weights

Three seeds. Writes baseline.csv after every run, and resumes where it stopped. Protocol: README.md
in this folder.
"""

import functools
import math

import common
import numpy as np
import torch
import torch.nn.functional as F
from dcgan import BATCH as COURSE_BATCH
from dcgan import RECIPE as COURSE_RECIPE
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ganbook import GAN, data, metrics, networks
from ganbook.device import DEVICE
from ganbook.losses import nonsaturating

ORDER = ["copied", "engine", "networks", "course"]
BATCH = 64  # of the copies and of what keeps their recipe
NO_END = 10**9
SECONDS = 40.0
SEEDS = range(3)


# ---- The script that people copy


class Digits(Dataset):
    """28x28 bytes; each image is resized to 32x32, scaled and normalised when it is asked for.

    As torchvision does it.
    """

    def __init__(self):
        self.pixels = ((data.digits().images.cpu() + 1) * 127.5).round().to(torch.uint8)[:, 0]

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        image = Image.fromarray(self.pixels[index].numpy())
        image = image.resize((32, 32), Image.BILINEAR)
        tensor = torch.from_numpy(np.array(image)).view(32, 32, 1).permute(2, 0, 1).contiguous()
        tensor = tensor.to(torch.float32).div(255)
        mean, std = torch.tensor([0.5]).view(-1, 1, 1), torch.tensor([0.5]).view(-1, 1, 1)
        return tensor.clone().sub_(mean).div_(std)


def copied_networks(latent: int = 100):
    def grown(inputs, outputs):
        # The 0.8 is meant for a momentum, and is eps: the copies have it so.
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
        ]

    def shrunk(inputs, outputs, norm=True):
        layers = [
            nn.Conv2d(inputs, outputs, 3, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Dropout2d(0.25),
        ]
        return layers + ([nn.BatchNorm2d(outputs, 0.8)] if norm else [])

    generator = nn.Sequential(
        nn.Linear(latent, 128 * 8 * 8),
        nn.Unflatten(1, (128, 8, 8)),
        nn.BatchNorm2d(128),
        nn.Upsample(scale_factor=2),
        *grown(128, 128),
        nn.Upsample(scale_factor=2),
        *grown(128, 64),
        nn.Conv2d(64, 1, 3, padding=1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        *shrunk(1, 16, norm=False),
        *shrunk(16, 32),
        *shrunk(32, 64),
        *shrunk(64, 128),
        nn.Flatten(),
        nn.Linear(128 * 2 * 2, 1),
        nn.Sigmoid(),
    )
    for layer in [*generator, *discriminator]:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
    return generator.to(DEVICE), discriminator.to(DEVICE)


def copied_adam(network):
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))


def copied_step(generator, discriminator, g_optimizer, d_optimizer, real, latent: int = 100):
    """One step of both players on `real` (N, 1, 32, 32), the generator first: (d_loss, g_loss)."""
    loss = nn.BCELoss()
    real = real.to(DEVICE)
    ones, zeros = torch.ones(len(real), 1, device=DEVICE), torch.zeros(len(real), 1, device=DEVICE)

    g_optimizer.zero_grad()
    noise = np.random.normal(0, 1, (len(real), latent))  # noqa: NPY002, as copied
    z = torch.from_numpy(noise).float().to(DEVICE)
    fake = generator(z)
    g_loss = loss(discriminator(fake), ones)
    g_loss.backward()
    g_optimizer.step()

    d_optimizer.zero_grad()
    d_loss = (loss(discriminator(real), ones) + loss(discriminator(fake.detach()), zeros)) / 2
    d_loss.backward()
    d_optimizer.step()
    return d_loss.item(), g_loss.item()


# ---- The rungs. Each trains for `seconds`; it returns the generator, the size of z, and images/s.


def copied(seed: int, seconds: float):
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002, as copied
    generator, discriminator = copied_networks()
    g_optimizer, d_optimizer = copied_adam(generator), copied_adam(discriminator)
    loader = DataLoader(Digits(), batch_size=BATCH, shuffle=True)
    seen, watch = 0, common.Stopwatch()
    watch.start()
    while True:
        for real in loader:
            copied_step(generator, discriminator, g_optimizer, d_optimizer, real)
            seen += len(real)
            if watch.seconds() >= seconds:
                watch.stop()
                return generator, 100, seen / watch.seconds()


class Timed(GAN):
    """A game of so many seconds, whose number of steps is unknown: schedules follow the clock."""

    watch, seconds = common.Stopwatch(), math.inf

    @property
    def share(self):
        return min(1.0, self.watch.seconds() / self.seconds)


def play(gan: Timed, images: data.Images, batch: int, seed: int, seconds: float):
    gan.watch, gan.seconds = common.Stopwatch(), seconds
    training = gan.train(images.batches(batch, seed), NO_END)
    gan.watch.start()
    for _ in training:
        if gan.watch.seconds() >= seconds:
            break
    gan.watch.stop()
    return gan.averaged, gan.latent, gan.steps_done * batch / gan.watch.seconds()


def with_copied_recipe(generator, discriminator, seed: int) -> Timed:
    recipe = {
        "loss": nonsaturating,
        "penalty": None,
        "lr": 2e-4,
        "betas": (0.5, 0.999),
        "average": 0,
    }
    latent = getattr(generator, "latent", 100)
    return Timed(generator, discriminator, **recipe, latent=latent, seed=seed)


def engine(seed: int, seconds: float):
    torch.manual_seed(seed)
    generator, discriminator = copied_networks()
    # Logits: the sigmoid is in the loss.
    discriminator = nn.Sequential(*discriminator[:-1], nn.Flatten(0))
    images = data.Images(torch.stack(list(Digits())))
    return play(with_copied_recipe(generator, discriminator, seed), images, BATCH, seed, seconds)


def our_networks(seed: int, seconds: float):
    gan = with_copied_recipe(*networks.dcgan(), seed)
    return play(gan, data.digits(), BATCH, seed, seconds)


def course(seed: int, seconds: float):
    gan = Timed(*networks.dcgan(), **COURSE_RECIPE, seed=seed)
    return play(gan, data.digits(), COURSE_BATCH, seed, seconds)


# In this order copied and course, the pair that is compared, run one after the other.
RUN = {"copied": copied, "course": course, "engine": engine, "networks": our_networks}
RESIZED = ("real resized", "")
KEYS = [RESIZED] + [(rung, seed) for seed in SEEDS for rung in RUN]


# ---- Measuring


def features(images: torch.Tensor) -> torch.Tensor:
    """Digit features (N, 64) of images (N, 1, 32, 32), resized to 28x28, or of (N, 1, 28, 28)."""
    return metrics.digit_features(
        F.interpolate(images, (28, 28), mode="bilinear", antialias=True, align_corners=False)
    )


@functools.cache
def resized_features() -> torch.Tensor:
    return features(torch.stack(list(Digits())))


@torch.no_grad()
def distances(generator: nn.Module, latent: int, seed: int) -> dict:
    """The distance of 5,000 samples to the digits, and to digits resized as the samples were.

    That is to 32x32 and back. Samples are drawn in evaluation mode and in training mode, where
    the copies draw theirs, and the better ones count.
    """
    z = torch.randn(5000, latent, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    found = []
    for training in (False, True):  # in this order: training mode changes the running statistics
        generator.train(training)
        images = torch.cat([generator(part).float() for part in z.split(BATCH)])
        same_way = common.real_features() if images.shape[2] == 28 else resized_features()
        drawn = features(images)
        found.append((metrics.fid(drawn, common.real_features()), metrics.fid(drawn, same_way)))
    fid, fid_same_way = (round(min(values), 2) for values in zip(*found, strict=True))
    return {"fid": fid, "fid_same_way": fid_same_way}


def measure(rung: str, seed: int, seconds: float) -> dict:
    generator, latent, speed = RUN[rung](seed, seconds)
    found = distances(generator, latent, seed)
    return {"rung": rung, "seed": seed, "seconds": seconds, "images_per_s": round(speed), **found}


def resize_alone(seconds: float) -> dict:
    """What resizing to 32x32 and back costs by itself: the distance of real digits so resized."""
    fid = round(metrics.fid(resized_features(), common.real_features()), 2)
    row = {"rung": "real resized", "seed": "", "seconds": seconds, "images_per_s": ""}
    return {**row, "fid": fid, "fid_same_way": 0.0}


def compare(rows: list[dict]) -> dict[str, dict[str, list[float]]]:
    """For each rung, seed by seed: images/s, and the lower distance, the kinder to the copies."""
    found = {}
    for row in sorted((row for row in rows if row["seed"] != ""), key=lambda row: int(row["seed"])):
        rung = found.setdefault(row["rung"], {"speed": [], "fid": []})
        rung["speed"].append(float(row["images_per_s"]))
        rung["fid"].append(min(float(row["fid"]), float(row["fid_same_way"])))
    return found


def run(rung: str, seed, seconds: float = SECONDS) -> dict:
    return resize_alone(seconds) if (rung, seed) == RESIZED else measure(rung, seed, seconds)


def report(rows: list[dict]) -> None:
    print(
        "{rung:12s} seed {seed:1}  {images_per_s:>5} images/s  FID {fid:>7}"
        "  the same way {fid_same_way:>7}".format(**rows[0])
    )


def summary(rows: list[dict]) -> None:
    def spread(values):
        return f"{np.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"

    def ratios(before, after):
        faster = np.divide(after["speed"], before["speed"])
        better = np.divide(before["fid"], after["fid"])
        return f"{spread(faster)} times the images/s, FID divided by {spread(better)}"

    found = compare(rows)
    print("median (lowest to highest) over the seeds; ratios are taken seed by seed")
    for rung, against in zip(ORDER, [None, *ORDER], strict=False):
        print(f"{rung}: {spread(found[rung]['speed'])} images/s, FID {spread(found[rung]['fid'])}")
        if against:
            print(f"    against {against}: {ratios(found[against], found[rung])}")
    print(f"course against copied: {ratios(found['copied'], found['course'])}")


if __name__ == "__main__":
    common.measure(
        "baseline",
        KEYS,
        run,
        report,
        columns={"rung": "--rung", "seed": "--seed"},
        length=SECONDS,
        unit="seconds",
        summary=summary,
    )
