"""Style-based generators against the DCGAN at equal seconds, and with parts changed; six seeds.

    OMP_NUM_THREADS=1 python benchmarks/style.py
    python benchmarks/style.py --only "style" --seed 0

Writes style.csv after every run, and goes on where it stopped. The style-based game of seed 0 also
draws style.png, a grid of mixed digits. Chapter 14 shows the table, and plays that game again.
Protocol: README.md in this folder.
"""

import functools
import math
import time
from pathlib import Path

import common
import torch
from dcgan import LATENT, RECIPE, picture
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, linear

from ganbook import GAN, data, metrics, networks
from ganbook.device import DEVICE

STEPS = {
    "DCGAN": 1600,  # takes as many seconds of one core as the next one; see README.md
    "style": 900,
    "no mapping": 900,
    "full rate": 900,
    "mixing": 900,
    "path length": 900,
    "untrained": 1,  # what the probes read where nothing has been learned
}
SEEDS = range(6)
KEYS = [(variant, seed) for variant in STEPS for seed in SEEDS]
PSIS = (0.8, 0.6, 0.4, 0.2)  # at 1, nothing is truncated
LAYERS = 5
PAIRS = 1000
MEASURES = ["fid", "precision", "recall"]
TRUNCATED = [f"{name}_{psi:g}" for psi in PSIS for name in MEASURES]
PROBES = [f"{name}_{space}" for name in ("class", "slant", "ink") for space in "zw"]
PATHS = ["ppl_z", "ppl_w", "length", "length_spread"]
MIXED = [
    f"{name}_{way}{k}"
    for way in ("", "to_")
    for name in ("class", "slant", "ink")
    for k in range(1, LAYERS + 1)
]
SIZES = [(64, 48, 1), (48, 48, 1), (48, 24, 2), (24, 16, 1), (16, 8, 2)]
COLUMNS = [*MEASURES, *TRUNCATED, *PROBES, *PATHS, *MIXED]


# ---- The networks, as chapter 14 builds them


class Slow(nn.Module):
    """A dense layer that learns at `rate` times the others' rate: its weights are stored larger."""

    def __init__(self, inputs: int, outputs: int, rate: float = 0.01):
        super().__init__()
        self.rate = rate
        weight = nn.init.kaiming_normal_(torch.empty(outputs, inputs), 0.2)
        self.weight = nn.Parameter(weight / rate)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return linear(x, self.rate * self.weight, self.rate * self.bias)


def normalised(z):
    """Latents (N, n), each scaled so that the mean of its squares is 1."""
    return z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


class Mapping(nn.Module):
    """The mapping network: z (N, latent) to w (N, latent)."""

    def __init__(self, latent: int, width: int = 64, rate: float = 0.01):
        super().__init__()
        self.layers = nn.Sequential(
            Slow(latent, width, rate),
            nn.LeakyReLU(0.2),
            Slow(width, width, rate),
            nn.LeakyReLU(0.2),
            Slow(width, latent, rate),
        )

    def forward(self, z):
        return self.layers(normalised(z))


def modulated_conv(x, kernel, style):
    y = conv2d(x * style[:, :, None, None], kernel, padding=1)
    square = style.square() @ kernel.square().sum(dim=(2, 3)).T
    return y / (square + 1e-8).sqrt()[:, :, None, None]


class StyledConv(nn.Module):
    """Maps (N, inputs, H, W) and w (N, latent) to (N, outputs, scale * H, scale * W)."""

    def __init__(self, inputs: int, outputs: int, latent: int, scale: int = 1):
        super().__init__()
        self.scale = scale
        self.style = nn.Linear(latent, inputs)
        nn.init.normal_(self.style.weight, std=1 / math.sqrt(latent))
        nn.init.ones_(self.style.bias)
        self.conv = nn.Conv2d(inputs, outputs, 3, bias=False)
        nn.init.normal_(self.conv.weight, std=1 / math.sqrt(9 * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.strength = nn.Parameter(torch.tensor(0.3))

    def forward(self, x, w, noise=1.0):
        x = interpolate(x, scale_factor=self.scale)
        x = modulated_conv(x, self.conv.weight, self.style(w))
        x = x + noise * self.strength * torch.randn_like(x[:, :1])
        return leaky_relu(x + self.bias, 0.2) * math.sqrt(2)


def each_layer(w):
    return w[:, None].expand(-1, LAYERS, -1)


def crossed(ws, others, share: float):
    """`others` (N, 5, latent) in place of ws, from a random layer on, for a share of the images."""
    cut = torch.randint(1, LAYERS, (len(ws), 1, 1), device=ws.device)
    later = torch.arange(LAYERS, device=ws.device)[:, None] >= cut
    chosen = torch.rand(len(ws), 1, 1, device=ws.device) < share
    return torch.where(chosen & later, others, ws)


class StyleGenerator(nn.Module):
    """z (N, latent) to images (N, 1, 28, 28).

    mapping: its layers' learning rate, as a share of all others'; None scales z to a fixed length,
        and does no more.
    mixing: the share of images with two latents, in training.
    """

    def __init__(self, latent: int = 16, mapping: float | None = 0.01, mixing: float = 0.0):
        super().__init__()
        self.latent, self.mixing = latent, mixing
        self.mapping = Mapping(latent, rate=mapping) if mapping else normalised
        self.start = nn.Parameter(torch.randn(1, SIZES[0][0], 7, 7))
        self.layers = nn.ModuleList(StyledConv(i, o, latent, scale) for i, o, scale in SIZES)
        self.to_image = nn.ModuleList(nn.Conv2d(SIZES[k][1], 1, 1) for k in (1, 3, 4))

    def draw(self, ws, noise=1.0):
        x, image = self.start.expand(len(ws), -1, -1, -1), 0
        for k, (layer, w) in enumerate(zip(self.layers, ws.unbind(1), strict=True)):
            x = layer(x, w, noise)
            if k in (1, 3):
                image = image + self.to_image[k // 2](x)
                image = interpolate(image, scale_factor=2, mode="bilinear")
        return torch.tanh(image + self.to_image[2](x))

    def forward(self, z):
        ws = each_layer(self.mapping(z))
        if self.training and self.mixing:
            ws = crossed(ws, each_layer(self.mapping(torch.randn_like(z))), self.mixing)
        return self.draw(ws)


class Smoothed(GAN):
    """A GAN whose generator also minimises (|J^T y| - a)^2, at every fourth of its turns."""

    weight = 0.03

    def g_objective(self, batch):
        terms = super().g_objective(batch)
        if self.turns_done["generator"] % 4:
            return terms | {"path": 0}
        generator = self.generator
        lengths = path_lengths(generator, torch.randn(16, generator.latent, device=DEVICE))
        share = 0.2 if generator.mean_length else 1.0  # the first mean is all of it
        generator.mean_length.lerp_(lengths.detach().mean(), share)
        return terms | {"path": 4 * self.weight * (lengths - generator.mean_length) ** 2}


def path_lengths(generator, z):
    """|J^T y| (N,) of the images by w, one y for each of the latents z (N, latent)."""
    w = generator.mapping(z)
    w = w if w.requires_grad else w.detach().requires_grad_()
    images = generator.draw(each_layer(w), noise=0.0)
    y = torch.randn_like(images) / math.sqrt(images[0].numel())
    (slope,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
    return slope.norm(dim=1)


def game(variant: str, seed: int) -> GAN:
    """The game of a row: chapter 4's recipe and discriminator, with the variant's generator."""
    torch.manual_seed(seed)
    if variant == "DCGAN":
        return GAN(*networks.dcgan(latent=LATENT), **RECIPE, seed=seed)
    rate = {"no mapping": None, "full rate": 1.0}.get(variant, 0.01)
    generator = StyleGenerator(mapping=rate, mixing=0.5 if variant == "mixing" else 0.0)
    kind = GAN
    if variant == "path length":
        generator.register_buffer("mean_length", torch.zeros(()))
        kind = Smoothed
    return kind(generator, networks.dcgan()[1], **RECIPE, seed=seed)


# ---- What is measured


def ink(images):
    return ((images.cpu() + 1) / 2).mean(dim=(1, 2, 3))


def slant(images):
    """How far each digit (N, 1, H, W) leans: pixels to the right for each pixel up.

    Ink below a tenth doesn't count, so a background that is not quite black doesn't either.
    """
    weight = ((images[:, 0].cpu() + 1) / 2 - 0.1).clamp(min=0)
    weight = weight / weight.sum(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    rows, columns = weight.sum(dim=2), weight.sum(dim=1)
    up = torch.arange(images.shape[2]).flip(0) * 1.0
    right = torch.arange(images.shape[3]) * 1.0
    both = (weight * up[:, None] * right).sum(dim=(1, 2))
    around = rows @ up**2 - (rows @ up) ** 2
    return (both - (rows @ up) * (columns @ right)) / around.clamp(min=1e-6)


def reads(images):
    return metrics.digit_logits(images).argmax(dim=1)


def moved(before, mixed, source):
    """The coefficient of source, where mixed is fitted by before, source and a constant."""
    table = torch.stack([before, source, torch.ones_like(before)], dim=1)
    return torch.linalg.lstsq(table, mixed[:, None]).solution[1, 0]


def changed_class(before, mixed, source):
    differ = before != source
    return (mixed == source)[differ].double().mean()


PROPERTIES = {"class": (reads, changed_class), "slant": (slant, moved), "ink": (ink, moved)}


def latents(n: int, size: int, seed: int):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


@torch.no_grad()
def drawn(generator, ws, noise: float = 0.0):
    ws = each_layer(ws) if ws.ndim == 2 else ws
    return torch.cat([generator.draw(part, noise) for part in ws.split(500)])


def probe(table, values) -> float:
    """The share of the variance of held-out values that a linear rule reads; rows are split."""
    table = torch.cat([table.cpu(), torch.ones(len(table), 1)], dim=1).double()
    values, half = values.double(), len(table) // 2
    rule = torch.linalg.lstsq(table[:half], values[:half, None]).solution[:, 0]
    rest = values[half:] - table[half:] @ rule
    return (1 - rest.square().mean() / values[half:].var(unbiased=False)).item()


def class_probe(table, classes) -> float:
    """The share of held-out classes that a logistic regression reads; rows are split."""
    table, half = table.cpu().double(), len(table) // 2
    scaled = ((table - table.mean(dim=0)) / table.std(dim=0)).numpy()
    rule = LogisticRegression(max_iter=500).fit(scaled[:half], classes[:half])
    return float(rule.score(scaled[half:], classes[half:]))


def perceptual_path_length(image_of, between, a, b, small: float = 0.02) -> float:
    """E |phi(t) - phi(t + small)|^2 / small^2 on the course's features, t ~ U[0, 1].

    image_of: points to images. between: (a, b, shares) to points on the way.
    """
    t = torch.rand(len(a), 1, generator=torch.Generator().manual_seed(0)).to(a)
    features = [metrics.digit_features(image_of(between(a, b, share))) for share in (t, t + small)]
    return ((features[0] - features[1]).square().sum(dim=1).mean() / small**2).item()


def on_arc(a, b, t):
    """Points (N, n) a share t (N, 1) of the way from a to b (N, n), latents of one length."""
    cosine = (a * b).sum(1, keepdim=True) / (a.norm(dim=1) * b.norm(dim=1))[:, None]
    angle = torch.arccos(cosine)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def judged(images) -> list[float]:
    """FD, precision and recall of 5,000 images against the 5,000 digits."""
    features, real = metrics.digit_features(images), common.real_features()
    return [metrics.fid(features, real), *metrics.precision_recall(real, features)]


def measure(gan: GAN, variant: str) -> dict:
    """The measures of a row; those of w are taken where chapter 14 shows them."""
    generator = gan.averaged
    torch.manual_seed(0)  # of the noise
    z = latents(5000, gan.latent, seed=1)
    images = gan.decode(z)
    found = dict(zip(MEASURES, judged(images), strict=True))
    if variant in ("style", "path length"):
        found |= paths(generator, normalised(z[: 2 * PAIRS]))
    if variant in ("style", "untrained"):
        found |= probes(generator, z, images, classes=variant == "style")
    if variant == "style":
        with torch.no_grad():
            w = generator.mapping(z)
            found |= truncation(generator, w)
            found |= mixing(generator, w[:PAIRS], w[PAIRS : 2 * PAIRS])
    return {name: round(float(found[name]), 4) if name in found else "" for name in COLUMNS}


def paths(generator, z) -> dict:
    """Perceptual path lengths in z (N, latent) of one length and in w, and the lengths of J^T y."""
    with torch.no_grad():
        w, half = generator.mapping(z), len(z) // 2
        ends = (z[:half], z[half:]), (w[:half], w[half:])
        found = {
            "ppl_z": perceptual_path_length(
                lambda z: drawn(generator, generator.mapping(z)), on_arc, *ends[0]
            ),
            "ppl_w": perceptual_path_length(
                functools.partial(drawn, generator), torch.lerp, *ends[1]
            ),
        }
    lengths = torch.cat([path_lengths(generator, part).detach() for part in z.split(250)])
    return found | {"length": lengths.mean(), "length_spread": lengths.std() / lengths.mean()}


def probes(generator, z, images, classes: bool) -> dict:
    """What linear rules read of images (N, 1, 28, 28) from z (N, latent), scaled, and from w."""
    with torch.no_grad():
        spaces = {"z": normalised(z), "w": generator.mapping(z)}
    measured = [("slant", probe, slant(images)), ("ink", probe, ink(images))]
    if classes:
        measured.append(("class", class_probe, reads(images)))
    return {
        f"{name}_{space}": read(table, values)
        for name, read, values in measured
        for space, table in spaces.items()
    }


def truncation(generator, w) -> dict:
    centre = generator.mapping(latents(10_000, generator.latent, seed=2)).mean(dim=0)
    found = {}
    for psi in PSIS:
        values = judged(drawn(generator, centre + psi * (w - centre), noise=1.0))
        found |= {f"{name}_{psi:g}": v for name, v in zip(MEASURES, values, strict=True)}
    return found


def mixing(generator, w, source) -> dict:
    """How far each property moves with the source's w in one layer, or in all layers up to it."""
    ends = drawn(generator, w), drawn(generator, source)
    at_ends = {name: [of(images) for images in ends] for name, (of, _) in PROPERTIES.items()}
    found = {}
    for way in ("", "to_"):
        for k in range(LAYERS):
            ws = each_layer(w).clone()
            ws[:, 0 if way else k : k + 1] = source[:, None]
            images = drawn(generator, ws)
            for name, (of, compare) in PROPERTIES.items():
                before, after = at_ends[name]
                found[f"{name}_{way}{k + 1}"] = compare(before, of(images), after)
    return found


def draw_grid(generator, path: Path) -> None:
    """Parents in the first column and the top row; a row's w in layers 1 and 2, then a column's."""
    rows, columns = (generator.mapping(latents(n, generator.latent, seed=s)) for n, s in
                     ((6, 11), (12, 12)))  # fmt: skip
    first, top = drawn(generator, rows), drawn(generator, columns)
    picture_rows = [torch.ones_like(top[:1]), *top.split(1)]
    for k in range(len(rows)):
        ws = each_layer(columns).clone()
        ws[:, :2] = rows[k]
        picture_rows += [first[k : k + 1], *drawn(generator, ws).split(1)]
    picture(torch.cat(picture_rows), 1 + len(columns), path, scale=2)


def run(variant: str, seed: int = 0, steps: int | None = None, drawn: Path | None = None) -> dict:
    """Play one game; the row of the table. drawn: where to put a picture of mixed digits."""
    steps = steps or STEPS[variant]
    gan = game(variant, seed)
    batches = data.digits("train").batches(32, seed)
    start = time.process_time()  # the processor's, so that other work on the machine does no harm
    for _ in gan.train(batches, steps):
        pass
    common.wait()
    seconds = round(time.process_time() - start, 1)
    if drawn:
        with torch.no_grad():
            draw_grid(gan.averaged, drawn)
    row = {"variant": variant, "seed": seed, "steps": steps, "seconds": seconds}
    return row | measure(gan, variant)


def report(rows: list[dict]) -> None:
    print(
        "{variant:12s} seed {seed}  {steps} steps {seconds:>6} s  FD {fid:>8}  precision"
        " {precision}  recall {recall}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "style",
        KEYS,
        run,
        report,
        columns={"variant": "--only", "seed": "--seed"},
        length=lambda variant, seed: STEPS[variant],
        order=lambda key: key[-1],
        pictures={("style", 0): "style.png"},
    )
