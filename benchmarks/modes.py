"""Which modes a generator covers: remedies against collapse, and each part of the recipe.

    python benchmarks/modes.py
    python benchmarks/modes.py --only "recipe" --data ring

Ten seeds each. Writes modes.csv after every run, and goes on where it stopped. Chapter 3 shows
the table and reruns one row. Protocol: README.md in this folder.
"""

import common
import torch
from torch import nn
from torch.func import functional_call

from ganbook import GAN, data, losses, metrics, networks, penalties
from ganbook.device import DEVICE
from ganbook.schedules import falling

COPIES = 10  # seeds, side by side in one game
BATCH, SAMPLES = 256, 2500  # of each
DATA = {
    "ring": data.ring,
    "grid": data.grid,
    "grid of 49": lambda: data.grid(7),
    "grid of 100": lambda: data.grid(10),
}


class Packed(nn.Module):
    """A discriminator that sees `size` samples of one generator at once: a logit for each pack.

    Every sample gets the logit of its pack.
    """

    def __init__(self, size: int, copies: int, **settings):
        super().__init__()
        self.size, self.games, self.copies = size, copies, size * copies
        _, self.judge = networks.mlp((2 * size,), copies=copies, **settings)

    def forward(self, x):
        packs = x.view(-1, self.size, self.games, 2).transpose(1, 2).reshape(-1, 2 * self.size)
        return self.judge(packs).view(-1, 1, self.games).expand(-1, self.size, -1).flatten()


class Unrolled(GAN):
    """The generator learns against the discriminator as it would be some turns later.

    In these turns the generator stands still. Metz et al. 2017, eq. 7 to 9 (arXiv:1611.02163).
    """

    def g_objective(self, batch):
        fake = self.generator(torch.randn(len(batch.x), self.latent, device=DEVICE))
        later = look_ahead(self, batch.x, fake, turns=3)
        fake_logits = functional_call(self.discriminator, later, (fake,))
        return {"g_loss": self.loss.g(None, fake_logits)}


def look_ahead(gan: GAN, real, fake, turns: int) -> dict:
    """The discriminator's weights after so many more turns, as functions of the fakes.

    The batch stays the same. The turns are those of its Adam, without the first moment, which
    this game does not use (betas[0] is 0).
    """
    adam = gan.optimizers["discriminator"]
    weights, forget = dict(gan.discriminator.named_parameters()), gan.betas[1]
    memory = [adam.state[weight]["exp_avg_sq"] for weight in weights.values()]
    done, rate = gan.turns_done["discriminator"], adam.param_groups[0]["lr"]
    for turn in range(done + 1, done + 1 + turns):
        logits = [functional_call(gan.discriminator, weights, (x,)) for x in (real, fake)]
        loss = gan.loss.d(*logits).mean()
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        memory = [
            forget * m + (1 - forget) * g.square() for m, g in zip(memory, gradients, strict=True)
        ]
        # The 1e-16 is inside of the root, or a gradient of 0 becomes NaN.
        sizes = [(m / (1 - forget**turn) + 1e-16).sqrt() for m in memory]
        moves = [rate * g / size for g, size in zip(gradients, sizes, strict=True)]
        weights = {name: w - move for (name, w), move in zip(weights.items(), moves, strict=True)}
    return weights


def both(weight, every: int = 1):
    return penalties.total(penalties.r1(weight, every), penalties.r2(weight, every))


def game(
    copies: int, seed: int, *, generator=None, discriminator=None, judge=None, kind=GAN, **settings
) -> GAN:
    """The recipe that chapter 3 ends with; each argument given changes that part of it.

    judge: another discriminator
    kind: another class of game
    """
    parts = {
        "loss": losses.relativistic,
        "penalty": both(falling(1.0, 0.0005), every=3),
        "lr": falling(3e-3, 1e-5),
        **settings,
    }
    g, _ = networks.mlp(
        **{"latent": 2, "width": 64, "activation": "relu", "copies": copies, **(generator or {})}
    )
    _, d = networks.mlp(**{"width": 64, "fourier": 0.5, "copies": copies, **(discriminator or {})})
    return kind(g, judge or d, **parts, seed=seed)


def plain(copies: int, seed: int, **settings) -> GAN:
    """Goodfellow's game, with an unregularised D."""
    return game(copies, seed, **{"loss": losses.nonsaturating, "penalty": None, **settings})


def packs_of(size):
    return lambda copies, seed: plain(
        copies, seed, judge=Packed(size, copies, width=64, fourier=0.5)
    )


def four_judges(copies, seed):
    return plain(copies, seed, discriminator={"copies": 4 * copies})


def switched(make=game, **changes):
    return lambda copies, seed: make(copies, seed, **changes)


HELP = {  # what is said to help, 2,500 steps each
    "plain": plain,
    "plain, no Fourier features": switched(plain, discriminator={"fourier": None}),
    "twice as wide": switched(plain, discriminator={"width": 128}),
    "packs of 2": packs_of(2),
    "packs of 4": packs_of(4),
    "four discriminators": four_judges,
    "unrolled": switched(plain, kind=Unrolled),
    "relativistic": switched(plain, loss=losses.relativistic),
    "R1": switched(plain, penalty=penalties.r1(0.1)),
    "R1 and R2": switched(plain, penalty=both(0.1)),
    "relativistic, R1 and R2": switched(plain, loss=losses.relativistic, penalty=both(0.1)),
}
PARTS = {  # the recipe, and the recipe with one part switched, 12,000 steps each
    "recipe": game,
    "weight stays 0.1": switched(penalty=both(0.1, every=3)),
    "no Fourier features": switched(discriminator={"fourier": None}),
    "leaky ReLU": switched(generator={"activation": "leaky_relu"}),
    "non-saturating loss": switched(loss=losses.nonsaturating),
    "width of 128": switched(generator={"width": 128}),
    "16 latents": switched(generator={"latent": 16}),
    "bare": switched(loss=losses.nonsaturating, discriminator={"fourier": None}),
    "R1 alone": switched(penalty=penalties.r1(falling(1.0, 0.0005), every=3)),
    "no penalty": switched(penalty=None),
    "bare, no penalty": switched(plain, discriminator={"fourier": None}),
}
STEPS = {**dict.fromkeys(HELP, 2500), **dict.fromkeys(PARTS, 12_000)}
ROWS = (  # data, variant, games side by side
    [("ring", name, COPIES) for name in HELP]
    + [("grid", name, COPIES) for name in (*HELP, *PARTS)]
    + [(name, "recipe", COPIES) for name in DATA if name != "grid"]
    + [(name, "recipe", 1) for name in ("grid", "ring")]  # alone, by the clock
)


def run(
    where: str, variant: str, copies: int = COPIES, seed: int = 0, steps: int | None = None
) -> list[dict]:
    """Play `copies` games side by side; a row for each, with its share of the seconds."""
    if (where, variant) not in {row[:2] for row in ROWS}:
        raise ValueError(f"there is no {variant!r} on {where!r}")
    steps = STEPS[variant] if steps is None else steps
    points = DATA[where]()
    batches = points.batches(copies * BATCH, seed)
    with torch.random.fork_rng(devices=[]):
        # A game draws the package's networks from its own seed, but not those of a Packed.
        torch.manual_seed(seed)
        gan = {**HELP, **PARTS}[variant](copies, seed)
        watch = common.Stopwatch()
        watch.start()
        for _ in gan.train(batches, steps):
            pass
        watch.stop()
    shared = {"data": where, "variant": variant, "games": copies, "steps": steps}
    rows = []
    for k, samples in enumerate(
        gan.sample(copies * SAMPLES, seed=seed + 1).view(SAMPLES, copies, 2).unbind(1)
    ):
        found = metrics.coverage(samples, points.centers, points.std)
        rows.append(
            {
                **shared,
                "seed": seed + k,
                "seconds": round(watch.seconds() / copies, 1),
                "modes": found.modes,
                "quality": round(found.quality, 4),
                "reverse_kl": round(found.reverse_kl, 4),
            }
        )
    return rows


def runs(where: str, variant: str, copies: int, steps: int) -> list[dict]:
    """The runs of one of the `ROWS`: ten games side by side, or three alone."""
    seeds = range(1 if copies == COPIES else 3)
    return [row for seed in seeds for row in run(where, variant, copies, seed, steps)]


def report(rows: list[dict]) -> None:
    modes, quality, kl, seconds = (
        [float(row[n]) for row in rows] for n in ("modes", "quality", "reverse_kl", "seconds")
    )
    print(
        "{data:12s} {variant:24s} ".format(**rows[0])
        + f"{seconds[0]:5.1f} s a game   modes {min(modes):.0f} to"
        f" {max(modes):.0f}   high quality {min(quality):.1%} to {max(quality):.1%}   KL"
        f" {min(kl):.3f} to {max(kl):.3f}"
    )


if __name__ == "__main__":
    common.measure(
        "modes",
        ROWS,
        runs,
        report,
        columns={"data": "--data", "variant": "--only", "games": "--games"},
        length=lambda where, variant, copies: STEPS[variant],
    )
