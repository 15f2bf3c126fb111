"""InfoGAN on digits, with and without small random changes; k-means and mixtures; six seeds each.

    OMP_NUM_THREADS=1 python benchmarks/infogan.py
    python benchmarks/infogan.py --only "both" --seed 0

Writes infogan.csv after every run, and resumes where it stopped, also in the middle of a game. The
game "both" of seed 0 also draws infogan.png. Chapter 11 shows the table.
Protocol: README.md in this folder.
"""

import tempfile
import time
from pathlib import Path

import common
import numpy as np
import torch
import torch.nn.functional as F
from dcgan import picture
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from ganbook import data, losses, networks
from ganbook.device import DEVICE
from ganbook.game import Game, Turn

STEPS, BATCH = 2500, 128
SEEDS = range(6)
CODES, CONTINUOUS, NOISE = 10, 2, 50
CHANGES = {  # before whom a small random affine change stands
    "none": (),
    "D alone": ("D",),
    "Q alone": ("Q",),
    "both": ("D", "Q"),
}
CLUSTERINGS = ("k-means on pixels", "k-means after PCA", "mixture after PCA")
EMBEDDINGS = ("PCA", "t-SNE")  # two numbers an image
PLANE = "both, two codes"  # no categorical code, only the two continuous ones
ROWS = (*CHANGES, PLANE, *CLUSTERINGS, *EMBEDDINGS)
KEYS = [(method, seed) for method in ROWS for seed in SEEDS]
MEASURES = [
    "accuracy", "held_out", "bound", "read", "read_changed", "fid", "neighbours",
    *(f"{name}_{k}" for name in ("slant", "ink") for k in range(CONTINUOUS)),
]  # fmt: skip


def changed(x: torch.Tensor) -> torch.Tensor:
    """Images (N, 1, H, W), each scaled, sheared, turned and shifted a little, at random."""
    change = torch.zeros(len(x), 2, 3, device=x.device)
    change[:, :, :2] = torch.eye(2, device=x.device)
    change += torch.tensor([0.1, 0.1, 0.07], device=x.device) * torch.randn(change.shape).to(x)
    places = F.affine_grid(change, list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, places, align_corners=False) - 1  # outside is background, -1


def judge(outputs: int, width: int = 32) -> networks.Network:
    """Images (N, 1, 28, 28) to (N, outputs), with batch norm."""
    layers = [
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.1),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.1),
        nn.Flatten(), nn.Linear(2 * width * 49, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.1),
        nn.Linear(128, outputs),
    ]  # fmt: skip
    network = networks.Network(*layers).to(DEVICE, memory_format=torch.channels_last)
    network.draw()
    return network


def codes(n: int, generator=None, categorical: bool = True):
    """A latent (n, 52) whose first two numbers are the continuous codes, and labels (n,)."""
    noise = torch.randn(n, NOISE, generator=generator)
    continuous = 2 * torch.rand(n, CONTINUOUS, generator=generator) - 1
    c = torch.randint(CODES, (n,), generator=generator) if categorical else None
    z = torch.cat([continuous, noise], dim=1).to(DEVICE)
    return z, None if c is None else c.to(DEVICE)


def game(method: str, seed: int) -> Game:
    """The InfoGAN of a row: D against G and Q, which learn together."""
    categorical = method != PLANE
    seen = CHANGES["both" if method == PLANE else method]
    G = networks.dcgan_generator(
        latent=CONTINUOUS + NOISE, width=32, classes=CODES if categorical else None
    )
    D, Q = judge(1), judge(CODES * categorical + CONTINUOUS)
    loss = losses.nonsaturating

    def to(player, images):
        return changed(images) if player in seen else images

    def distinguish(batch):
        z, c = codes(len(batch.x), categorical=categorical)
        with torch.no_grad():
            fake = G(z, c)
        real_logits, fake_logits = D(to("D", batch.x))[:, 0], D(to("D", fake))[:, 0]
        return {"d_loss": loss.d(real_logits, fake_logits)}

    def draw(batch):
        z, c = codes(len(batch.x), categorical=categorical)
        fake = G(z, c)
        shown = to("D", fake)
        read = Q(shown if {"D", "Q"} <= set(seen) else to("Q", fake))
        terms = {"g_loss": loss.g(None, D(shown)[:, 0])}
        if categorical:
            terms["code"] = F.cross_entropy(read[:, CONTINUOUS:], c, reduction="none")
        error = (read[:, :CONTINUOUS] - z[:, :CONTINUOUS]).square().sum(1)
        return terms | {"continuous": 0.1 * error / 2}

    return Game(
        {"D": D, "G and Q": (G, Q)},
        [Turn("D", distinguish), Turn("G and Q", draw)],
        memory={"clock": Clock()},
        lr={"D": 2e-4, "G and Q": 1e-3},
        betas=(0.5, 0.999),
        average={"G and Q": 0.995},
        seed=seed,
    )


class Clock(nn.Module):
    """The processor's seconds of a game, saved with it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seconds", torch.zeros(()))


def played(method: str, seed: int, steps: int) -> Game:
    """The game, played. It is saved now and then, and a game that was cut off goes on."""
    own = game(method, seed)
    folder = Path(tempfile.gettempdir()) / "ganbook-infogan"
    folder.mkdir(exist_ok=True)
    kept = folder / f"{method.replace(' ', '-')}-{seed}-{steps}.pt"
    if kept.exists():
        own.resume(kept)
    if own.steps_done < steps:
        start = time.process_time()  # so that other work on the machine does no harm
        for step in own.train(data.digits("train").batches(BATCH, seed), steps):
            if step.index % 250 == 0:
                now = time.process_time()
                own.memory["clock"].seconds += now - start
                start = now
                own.save(kept)
    return own


def readings(own: Game, images: torch.Tensor, change: bool = False) -> torch.Tensor:
    """Q's outputs (N, ...) for images, by the averaged Q; `change`: changed first, at random."""
    reader = own.averages["G and Q"][1]
    with torch.no_grad(), networks.evaluating(reader):
        if change:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                images = changed(images)
        return torch.cat([reader(part).float().cpu() for part in images.split(500)])


def matched(found, true) -> np.ndarray:
    """For each cluster the class that it is matched to, one to one, so that most agree."""
    table = np.zeros((CODES, CODES), dtype=int)
    np.add.at(table, (np.asarray(found), np.asarray(true)), 1)
    return linear_sum_assignment(-table)[1]


def accuracies(clusters, held_clusters) -> dict:
    """The matched accuracy on the 4,000 images, and that of the same matching on the 1,000."""
    true, held = (data.digits(split).labels.cpu().numpy() for split in ("train", "test"))
    match = matched(clusters, true)
    return {
        "accuracy": float((match[np.asarray(clusters)] == true).mean()),
        "held_out": float((match[np.asarray(held_clusters)] == held).mean()),
    }


def neighbours(plane, held_plane) -> float:
    """The share of the 1,000 that their 10 nearest of the 4,000, in two numbers, name rightly."""
    true, held = (data.digits(split).labels.cpu().numpy() for split in ("train", "test"))
    return KNeighborsClassifier(10).fit(plane, true).score(held_plane, held)


def ink_and_slant(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The share of ink on each image, and how far it leans: pixels to the right for each up."""
    ink = (images[:, 0].cpu().double() + 1) / 2
    share = ink.mean((1, 2))
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-9)
    up, right = torch.arange(28).flip(0).double(), torch.arange(28).double()
    rows, columns = ink.sum(2), ink.sum(1)
    both = (ink * up[:, None] * right).sum((1, 2)) - (rows @ up) * (columns @ right)
    return {"slant": both / (rows @ up**2 - (rows @ up) ** 2).clamp(min=1e-9), "ink": share}


def within(values: torch.Tensor, code: torch.Tensor | None) -> torch.Tensor:
    """The values less the mean of their code."""
    if code is None:
        return values - values.mean(0)
    means = torch.stack([values[code == c].mean(0) for c in range(CODES)])
    return values - means[code]


def measure_game(own: Game, method: str) -> dict:
    generator = own.averages["G and Q"][0]
    z, c = codes(5000, torch.Generator().manual_seed(1), method != PLANE)
    samples = networks.generate(generator, z, c)
    found = {"fid": common.distance(samples)}
    train, test = data.digits("train").images, data.digits("test").images
    if c is not None:
        clusters = [readings(own, x)[:, CONTINUOUS:].argmax(1) for x in (train, test)]
        found |= accuracies(*clusters)
        logits = readings(own, samples)[:, CONTINUOUS:]
        found["bound"] = np.log(CODES) - F.cross_entropy(logits, c.cpu()).item()
        for name, change in (("read", False), ("read_changed", True)):
            read = readings(own, samples, change)[:, CONTINUOUS:].argmax(1)
            found[name] = (read == c.cpu()).double().mean().item()
    else:
        found["neighbours"] = neighbours(*(readings(own, x)[:, :2] for x in (train, test)))
    own_code = None if c is None else c.cpu()
    continuous = within(z[:, :CONTINUOUS].cpu().double(), own_code)
    for name, values in ink_and_slant(samples).items():
        values = within(values, own_code)
        for k in range(CONTINUOUS):
            found[f"{name}_{k}"] = torch.corrcoef(torch.stack([values, continuous[:, k]]))[0, 1]
    return {name: float(value) for name, value in found.items()}


def measure_clustering(method: str, seed: int) -> dict:
    train, test = (data.digits(s).images.cpu().flatten(1).numpy() for s in ("train", "test"))
    if "after PCA" in method:
        projection = PCA(50, random_state=seed).fit(train)
        train, test = projection.transform(train), projection.transform(test)
    if "mixture" in method:
        model = GaussianMixture(CODES, covariance_type="full", reg_covar=0.1, random_state=seed)
    else:
        model = KMeans(CODES, n_init=10, random_state=seed)
    return accuracies(model.fit_predict(train), model.predict(test))


def measure_embedding(method: str, seed: int) -> dict:
    train, test = (data.digits(s).images.cpu().flatten(1).numpy() for s in ("train", "test"))
    if method == "PCA":
        projection = PCA(2, random_state=seed).fit(train)
        return {"neighbours": neighbours(projection.transform(train), projection.transform(test))}
    # t-SNE places the points it is given and no others, so both sets are embedded together.
    plane = TSNE(2, random_state=seed).fit_transform(np.concatenate([train, test]))
    return {"neighbours": neighbours(plane[:4000], plane[4000:])}


def run(method: str, seed: int, steps: int = STEPS, drawn: Path | None = None) -> dict:
    """The row of the table. drawn: where to put a picture of a game's samples."""
    start = time.process_time()
    if method in CLUSTERINGS:
        found, steps = measure_clustering(method, seed), ""
        seconds = time.process_time() - start
    elif method in EMBEDDINGS:
        found, steps = measure_embedding(method, seed), ""
        seconds = time.process_time() - start
    else:
        own = played(method, seed, steps)
        seconds, found = own.memory["clock"].seconds.item(), measure_game(own, method)
        if drawn:
            rows(own, drawn)
    row = {"method": method, "seed": seed, "steps": steps, "seconds": round(seconds, 1)}
    return row | {name: round(found[name], 4) if name in found else "" for name in MEASURES}


def rows(own: Game, path: Path) -> None:
    """A picture of 20 samples for each code, none left out, in the order of the matching."""
    train = data.digits("train")
    clusters = readings(own, train.images)[:, CONTINUOUS:].argmax(1)
    order = torch.as_tensor(np.argsort(matched(clusters, train.labels.cpu())))
    z, _ = codes(200, torch.Generator().manual_seed(2))
    c = order.repeat_interleave(20).to(DEVICE)
    picture(networks.generate(own.averages["G and Q"][0], z, c), 20, path, scale=2)


def report(rows: list[dict]) -> None:
    print(
        "{method:18s} seed {seed} {seconds:>6} s  accuracy {accuracy:>6}, held out {held_out:>6}"
        "  read {read:>6}, changed {read_changed:>6}  FD {fid:>7}  slant {slant_0} {slant_1}"
        "  ink {ink_0} {ink_1}  neighbours {neighbours}".format(**rows[0])
    )


if __name__ == "__main__":
    common.measure(
        "infogan",
        KEYS,
        run,
        report,
        columns={"method": "--only", "seed": "--seed"},
        length=STEPS,
        order=lambda key: key[-1],  # a seed of every method before the next seed of any
        pictures={("both", 0): "infogan.png"},
    )
