"""InfoGAN on digits, with random changes before its networks and without; clusterings; six seeds.

    OMP_NUM_THREADS=1 python benchmarks/infogan.py
    python benchmarks/infogan.py --only "both" --seed 10

Writes infogan.csv after every run, and resumes where it stopped. The game "both" of seed 10 also
draws infogan.png. Chapter 11 shows the table.
Protocol: README.md in this folder.
"""

import math
import time
from pathlib import Path

import common
import numpy as np
import torch
from dcgan import picture
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from style import ink, slant
from torch import nn
from torch.nn.functional import (
    affine_grid,
    avg_pool2d,
    cross_entropy,
    grid_sample,
    interpolate,
    max_pool2d,
)

from ganbook import data, losses, metrics, networks
from ganbook.device import DEVICE
from ganbook.game import Game, Turn

STEPS, BATCH = 6000, 64
SEEDS = range(10, 16)  # the recipe was chosen on seeds 0 to 2
CODES, CONTINUOUS, NOISE = 10, 2, 30
CHANGES = {  # how much what D sees and what Q sees is changed at random
    "none": (0, 0),
    "Q alone": (0, 0.2),
    "both": (0.1, 0.2),
}
CLUSTERINGS = ("k-means on pixels", "k-means after PCA", "mixture after PCA")
ALONE = "reader without a generator"  # IIC: learns from real images alone
EMBEDDINGS = ("PCA", "t-SNE")  # two numbers an image
PLANE = "both, two codes"  # no code of 10, only the two continuous ones
LENGTHS = {PLANE: 3000, ALONE: 5000}  # in steps; ALONE takes about the seconds of "both"
ROWS = (*CHANGES, PLANE, ALONE, *CLUSTERINGS, *EMBEDDINGS)
KEYS = [(method, seed) for method in ROWS for seed in SEEDS]
PROPERTIES = {"slant": slant, "ink": ink}
MEASURES = [
    "accuracy", "held_out", "accuracy_8", "held_out_8", "bound", "read", "survives", "fid",
    "neighbours",
    *(f"{name}_{k}" for name in PROPERTIES for k in range(CONTINUOUS)),
]  # fmt: skip


def half_size(split: str) -> data.Images:
    """The digits of a split, 14 by 14 pixels, each the mean of four."""
    images = data.digits(split)
    return data.Images(avg_pool2d(images.images, 2), images.labels)


def changed(x: torch.Tensor, amount: float) -> torch.Tensor:
    """Images (N, 1, H, W), each made thicker or thinner and moved by an affine map of its own."""
    share = 2.5 * amount * (2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1)
    thick, thin = max_pool2d(x, 3, 1, 1), -max_pool2d(-x, 3, 1, 1)
    x = torch.lerp(x, torch.where(share > 0, thick, thin), share.abs())
    maps = torch.zeros(len(x), 2, 3, device=x.device)
    maps[:, :, :2] = torch.eye(2, device=x.device)
    spread = torch.tensor([[1, 2.2, 0.7], [1, 1, 0.7]], device=x.device)  # of shear most
    maps += amount * spread * torch.randn(maps.shape, device=x.device)
    places = affine_grid(maps, list(x.shape), align_corners=False)
    return grid_sample(x + 1, places, align_corners=False) - 1  # outside is background, -1


def convolutional(outputs: int, width: int = 32) -> networks.Network:
    """Images (N, 1, 14, 14) to (N, outputs), with batch norm."""
    leaky = nn.LeakyReLU(0.1)
    layers = [
        nn.Conv2d(1, width, 4, 2, 1), leaky,
        nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), leaky, nn.Flatten(),
        nn.Linear(2 * width * 16, 128), nn.BatchNorm1d(128), leaky, nn.Linear(128, outputs),
    ]  # fmt: skip
    network = networks.Network(*layers).to(DEVICE, memory_format=torch.channels_last)
    network.draw()
    return network


def latents(n: int, generator=None, categorical: bool = True):
    """z (n, 32), whose first two numbers are the continuous codes, and the codes (n,)."""
    continuous = 2 * torch.rand(n, CONTINUOUS, generator=generator) - 1
    z = torch.cat([continuous, torch.randn(n, NOISE, generator=generator)], dim=1).to(DEVICE)
    c = torch.randint(CODES, (n,), generator=generator) if categorical else None
    return z, None if c is None else c.to(DEVICE)


def game(method: str, seed: int) -> Game:
    """The InfoGAN of a row: D against G and Q, which learn together."""
    categorical = method != PLANE
    for_d, for_q = CHANGES["both" if method == PLANE else method]
    G = networks.dcgan_generator(
        size=14, latent=CONTINUOUS + NOISE, width=32, classes=CODES if categorical else None
    )
    D, Q = convolutional(1), convolutional(CONTINUOUS + CODES * categorical)
    loss = losses.nonsaturating

    def seen(images, amount):
        return changed(images, amount) if amount else images

    def judge(batch):
        with torch.no_grad():
            fake = G(*latents(len(batch.x), categorical=categorical))
        return {"d_loss": loss.d(D(seen(batch.x, for_d))[:, 0], D(seen(fake, for_d))[:, 0])}

    def draw(batch):
        z, c = latents(len(batch.x), categorical=categorical)
        fake = G(z, c)
        read = Q(seen(fake, for_q))
        terms = {"g_loss": loss.g(None, D(seen(fake, for_d))[:, 0])}
        if categorical:
            terms["code"] = cross_entropy(read[:, CONTINUOUS:], c, reduction="none")
        error = (read[:, :CONTINUOUS] - z[:, :CONTINUOUS]).square().sum(dim=1) / 2
        return terms | {"continuous": 0.1 * error}

    return Game(
        {"D": D, "G and Q": (G, Q)},
        [Turn("D", judge), Turn("G and Q", draw)],
        lr={"D": 5e-4, "G and Q": 2e-3},
        betas=(0.5, 0.999),
        average={"G and Q": 0.995},
        seed=seed,
    )


def logits_of(reader, images: torch.Tensor) -> torch.Tensor:
    """A reader's outputs (N, ...) for images (N, 1, 14, 14), on the CPU."""
    with torch.no_grad(), networks.evaluating(reader):
        return torch.cat([reader(part).float().cpu() for part in images.split(500)])


def codes_read(reader, images: torch.Tensor, amount: float) -> torch.Tensor:
    """The codes that a reader of codes alone reads, (N,): by the mean log-probability over eight
    random changes, or once where the amount is 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shown = [changed(images, amount) for _ in range(8)] if amount else [images]
    return sum(logits_of(reader, x)[:, -CODES:].log_softmax(1) for x in shown).argmax(1)


def survives(generator, steps: int = 1500) -> float:
    """How much of its code a sample tells after a change, in nats: the bound by a fresh reader,
    which learns from changed samples of the generator as it is, read on 5,000 others."""
    with torch.random.fork_rng(devices=[]), networks.evaluating(generator):
        torch.manual_seed(0)
        reader = convolutional(CODES)
        adam = torch.optim.Adam(reader.parameters(), 1e-3)
        for _ in range(steps):
            z, c = latents(BATCH)
            with torch.no_grad():
                x = changed(generator(z, c), CHANGES["both"][1])
            adam.zero_grad()
            cross_entropy(reader(x), c).backward()
            adam.step()
        z, c = latents(5000)
        x = changed(networks.generate(generator, z, c), CHANGES["both"][1])
    return math.log(CODES) - cross_entropy(logits_of(reader, x), c.cpu()).item()


def read_alone(seed: int, steps: int) -> nn.Module:
    """A reader that has never seen a sample: it raises the mutual information between the codes of
    two changes of the same real image (Ji et al. 2019, eq. 3)."""
    torch.manual_seed(seed)
    reader, batches = convolutional(CODES), half_size("train").batches(4 * BATCH, seed)
    adam = torch.optim.Adam(reader.parameters(), 1e-3)
    for k in range(steps):
        x = batches[k].x
        one, other = (reader(changed(x, CHANGES["both"][1])).softmax(1) for _ in range(2))
        joint = one.T @ other / len(x)
        joint = ((joint + joint.T) / 2).clamp(min=1e-9)
        product = joint.sum(0, keepdim=True) * joint.sum(1, keepdim=True)
        adam.zero_grad()
        (-(joint * (joint / product).log()).sum()).backward()
        adam.step()
    return reader


def matched(found, true) -> np.ndarray:
    """For each cluster the class that it is matched to, one to one, so that most agree."""
    table = np.zeros((CODES, CODES), dtype=int)
    np.add.at(table, (np.asarray(found), np.asarray(true)), 1)
    return linear_sum_assignment(-table)[1]


def accuracies(clusters, held_clusters, name: str = "") -> dict:
    """The matched accuracy on the 4,000 images, and that of the same matching on the 1,000."""
    true, held = (half_size(split).labels.cpu().numpy() for split in ("train", "test"))
    match = matched(clusters, true)
    return {
        f"accuracy{name}": float((match[np.asarray(clusters)] == true).mean()),
        f"held_out{name}": float((match[np.asarray(held_clusters)] == held).mean()),
    }


def read_real(reader, amount: float) -> dict:
    """The accuracies of what a reader reads from digits as they are, and from eight changes."""
    sets = [half_size(split).images for split in ("train", "test")]
    found = [
        accuracies(*(codes_read(reader, x, a) for x in sets), name)
        for a, name in ((0, ""), (amount, "_8"))
    ]
    return found[0] | found[1]


def neighbours(plane, held_plane) -> float:
    """The share of the 1,000 that their 10 nearest of the 4,000, in two numbers, name rightly."""
    true, held = (half_size(split).labels.cpu().numpy() for split in ("train", "test"))
    return KNeighborsClassifier(10).fit(plane, true).score(held_plane, held)


def distance(images: torch.Tensor) -> float:
    """The Frechet distance of images (N, 1, 14, 14) to the 5,000 digits, all at double size."""
    real = avg_pool2d(data.digits().images, 2)
    features = [
        metrics.digit_features(interpolate(x, size=28, mode="bilinear")) for x in (images, real)
    ]
    return metrics.fid(*features)


def following(values: torch.Tensor, code: torch.Tensor, c: torch.Tensor | None) -> float:
    """|r| of values with a continuous code, both (N,): its mean over the ten codes, if there are.

    With 500 samples a code, and nothing that follows, it is 0.036 in expectation.
    """
    parts = [c == k for k in range(CODES)] if c is not None else [torch.full_like(code, 1).bool()]
    pairs = [torch.stack([values[part], code[part]]) for part in parts]
    return torch.stack([torch.corrcoef(pair)[0, 1].abs() for pair in pairs]).mean().item()


def measure_game(own: Game, method: str) -> dict:
    generator, reader = own.averages["G and Q"]
    z, c = latents(5000, torch.Generator().manual_seed(1), method != PLANE)
    samples = networks.generate(generator, z, c)
    found = {"fid": distance(samples)}
    if c is not None:
        c = c.cpu()
        logits = logits_of(reader, samples)[:, CONTINUOUS:]
        found |= read_real(reader, CHANGES[method][1])
        found["bound"] = math.log(CODES) - cross_entropy(logits, c).item()
        found["read"] = (logits.argmax(1) == c).double().mean().item()
        found["survives"] = survives(generator)
    else:
        sets = [half_size(split).images for split in ("train", "test")]
        found["neighbours"] = neighbours(*(logits_of(reader, x) for x in sets))
    for name, of in PROPERTIES.items():
        values = of(samples).double()
        for k in range(CONTINUOUS):
            found[f"{name}_{k}"] = following(values, z[:, k].cpu().double(), c)
    return found


def measure_clustering(method: str, seed: int) -> dict:
    train, test = (half_size(s).images.cpu().flatten(1).numpy() for s in ("train", "test"))
    if "after PCA" in method:
        projection = PCA(50, random_state=seed).fit(train)
        train, test = projection.transform(train), projection.transform(test)
    if "mixture" in method:
        model = GaussianMixture(CODES, covariance_type="full", reg_covar=0.1, random_state=seed)
    else:
        model = KMeans(CODES, n_init=10, random_state=seed)
    return accuracies(model.fit_predict(train), model.predict(test))


def measure_embedding(method: str, seed: int) -> dict:
    train, test = (half_size(s).images.cpu().flatten(1).numpy() for s in ("train", "test"))
    if method == "PCA":
        projection = PCA(2, random_state=seed).fit(train)
        return {"neighbours": neighbours(projection.transform(train), projection.transform(test))}
    # t-SNE places the points it is given and no others, so both sets are embedded together.
    plane = TSNE(2, random_state=seed).fit_transform(np.concatenate([train, test]))
    return {"neighbours": neighbours(plane[:4000], plane[4000:])}


def run(method: str, seed: int, steps: int = STEPS, drawn: Path | None = None) -> dict:
    """The row of the table. drawn: where to put a picture of a game's samples."""
    start = time.process_time()  # so that other work on the machine does no harm
    if method in CLUSTERINGS:
        found, steps = measure_clustering(method, seed), ""
        seconds = time.process_time() - start
    elif method in EMBEDDINGS:
        found, steps = measure_embedding(method, seed), ""
        seconds = time.process_time() - start
    elif method == ALONE:
        reader = read_alone(seed, steps)
        seconds, found = time.process_time() - start, read_real(reader, CHANGES["both"][1])
    else:
        own = game(method, seed)
        for _ in own.train(half_size("train").batches(BATCH, seed), steps, progress=False):
            pass
        seconds = time.process_time() - start
        found = measure_game(own, method)
        if drawn:
            rows(own, drawn)
    row = {"method": method, "seed": seed, "steps": steps, "seconds": round(seconds, 1)}
    return row | {name: round(found[name], 4) if name in found else "" for name in MEASURES}


def rows(own: Game, path: Path) -> None:
    """A picture of 20 samples for each code, none left out, in the order of the matching."""
    train = half_size("train")
    generator, reader = own.averages["G and Q"]
    match = matched(codes_read(reader, train.images, 0), train.labels.cpu())
    z, _ = latents(200, torch.Generator().manual_seed(2))
    c = torch.as_tensor(np.argsort(match)).repeat_interleave(20).to(DEVICE)
    picture(networks.generate(generator, z, c), 20, path, scale=3)


def report(rows: list[dict]) -> None:
    print(
        "{method:18s} seed {seed} {seconds:>6} s  accuracy {accuracy:>6}, held out {held_out:>6}"
        "  ({accuracy_8:>6}, {held_out_8:>6})  read {read:>6}, survives {survives:>6}"
        "  FD {fid:>7}  slant {slant_0} {slant_1}"
        "  ink {ink_0} {ink_1}  neighbours {neighbours}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "infogan",
        KEYS,
        run,
        report,
        columns={"method": "--only", "seed": "--seed"},
        length=lambda method, seed: LENGTHS.get(method, STEPS),
        order=lambda key: key[-1],  # a seed of every method before the next seed of any
        pictures={("both", SEEDS[0]): "infogan.png"},
    )
