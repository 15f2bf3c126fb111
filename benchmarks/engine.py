"""What the engine itself costs: `gan.train`, with its bar, against the same step in plain torch.

    python benchmarks/engine.py

Short blocks of the two alternate, and which goes first alternates too; each pair of neighbours
gives a ratio. The inline step against itself shows how small a difference this can detect. Writes
engine.csv. Protocol: README.md in this folder.
"""

import argparse
import contextlib
import copy
import functools
import io
import math
import time
from pathlib import Path

import common
import numpy as np
import torch
from dcgan import BATCH, course_game

from ganbook import GAN, data, guards, losses, networks
from ganbook.device import DEVICE, autocast
from ganbook.schedules import value_at

STEPS = 10**6  # planned, so that what falls has hardly begun to: each block does the same work
BLOCK = {"digits": 20, "ring": 100}


def digits_game():
    gan, training = course_game(0, STEPS)
    return gan, training, data.digits().batches(BATCH, 0)


def ring_game():
    gan, batches = GAN(*networks.mlp(), loss=losses.nonsaturating, seed=0), data.ring().batches(256)
    return gan, gan.train(batches, STEPS), batches


GAMES = {"digits": digits_game, "ring": ring_game}


def inline(gan: GAN, batches, steps: int):
    """The game of `gan`, which must not have begun, written by hand in plain torch.

    Yields the averaged generator.
    """
    generator, discriminator, averaged = (
        copy.deepcopy(n) for n in (gan.generator, gan.discriminator, gan.averaged)
    )
    lr = gan.lr if isinstance(gan.lr, dict) else dict.fromkeys(gan.players, gan.lr)
    fused = {"betas": gan.betas, "fused": DEVICE.type in ("cpu", "cuda")}
    g_optimizer = torch.optim.Adam(generator.parameters(), **fused)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), **fused)
    live = [value for value in generator.state_dict().values() if value.is_floating_point()]
    average = [value for value in averaged.state_dict().values() if value.is_floating_point()]
    d_weights = list(discriminator.parameters())
    r1 = gan.penalty.terms[0] if gan.penalty else None
    mixed = isinstance(autocast(discriminator), torch.autocast)
    bfloat16 = functools.partial(torch.autocast, DEVICE.type, torch.bfloat16)
    precision = bfloat16 if mixed else contextlib.nullcontext
    guards.set_random_state(gan.randomness.state)

    for k in range(steps):
        d_optimizer.param_groups[0]["lr"] = value_at(lr["discriminator"], k / steps)
        g_optimizer.param_groups[0]["lr"] = value_at(lr["generator"], k / steps)

        real = batches[k].x
        with torch.no_grad(), precision():
            fake = generator(torch.randn(len(real), gan.latent, device=DEVICE)).float()
        due = r1 is not None and k % r1.every == 0
        if due:
            real.requires_grad_()
        # One context a call: within one, gradients of the two calls would be added in bfloat16.
        with precision():
            real_logits = discriminator(real).float()
        with precision():
            fake_logits = discriminator(fake).float()
        d_loss = gan.loss.d(real_logits, fake_logits).mean()
        if due:
            (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            squares = gradient.float().flatten(1).square().sum(1) / 2
            d_loss = d_loss + (squares * (value_at(r1.weight, k / steps) * r1.every)).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        for weight in d_weights:
            weight.requires_grad_(False)
        with precision():
            fake = generator(torch.randn(len(real), gan.latent, device=DEVICE)).float()
        with precision():
            fake_logits = discriminator(fake).float()
        g_loss = gan.loss.g(None, fake_logits).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        for weight in d_weights:
            weight.requires_grad_(True)

        torch._foreach_lerp_(average, live, 1 - min(gan.average["generator"], (1 + k) / (10 + k)))
        yield averaged


def block(training, steps: int) -> tuple[float, float]:
    """The seconds of wall-clock time and of processor time that some steps take."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        next(training)
    common.wait()
    return time.perf_counter() - wall, time.process_time() - cpu


def paired(a, b, steps: int, seconds: float):
    """Blocks of two games in turn, a b, b a, a b, ...: the seconds (2, pairs, 2) of both.

    The last 2 are the clock and the processor.
    """
    block(a, 8), block(b, 8)
    rows, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(rows) < 6:
        first, second = (a, b) if len(rows) % 2 == 0 else (b, a)
        times = block(first, steps), block(second, steps)
        rows.append(times if len(rows) % 2 == 0 else times[::-1])
    return np.array(rows).swapaxes(0, 1)


def median(values) -> tuple[float, float, float]:
    """The median and its 95 % interval by order statistics, valid for any distribution."""
    values = np.sort(values)
    reach = 0.98 * math.sqrt(len(values))
    low, high = math.floor(len(values) / 2 - reach), math.ceil(len(values) / 2 + reach)
    return float(np.median(values)), values[max(low, 0)], values[min(high, len(values) - 1)]


class Screen(io.StringIO):
    """A stand-in for a terminal, because without one the bar is not drawn and costs nothing."""

    def isatty(self):
        return True


def measure(name: str, seconds: float) -> list[dict]:
    rows = []
    for what in ("gan.train", "inline again"):
        gan, training, batches = GAMES[name]()
        if what == "inline again":
            training = inline(gan, batches, STEPS)
        # Its batches are its own, so that neither warms up the other's block of shuffled rows.
        other = inline(*GAMES[name]()[::2], STEPS)
        with contextlib.redirect_stderr(Screen()):
            times, inline_times = paired(training, other, BLOCK[name], seconds / 2)
        row = {"game": name, "what": what, "pairs": len(times), "steps_per_block": BLOCK[name]}
        for kind, seen, by_hand in zip(("wall", "cpu"), times.T, inline_times.T, strict=True):
            row[f"inline_{kind}_us"] = round(np.median(by_hand) / BLOCK[name] * 1e6)
            middle, low, high = median(seen / by_hand)
            row |= {
                f"{kind}_ratio": round(middle, 4),
                f"{kind}_low": round(low, 4),
                f"{kind}_high": round(high, 4),
            }
        rows.append(row)
    return rows


def report(rows: list[dict]) -> None:
    for row in rows:
        print("{game:7s} {what:13s} {pairs:>4} pairs".format(**row), end="")
        for kind in ("wall", "cpu"):
            print(
                f"   {kind}: inline {row[f'inline_{kind}_us']} us a step,"
                f" ratio {row[f'{kind}_ratio']} ({row[f'{kind}_low']} to {row[f'{kind}_high']})",
                end="",
            )
        print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="seconds for each of the two games"
    )
    parser.add_argument("--out", type=Path, default=common.FOLDER, help="the folder to write to")
    options = parser.parse_args()
    rows = [row for name in GAMES for row in measure(name, options.seconds)]
    common.write_table(options.out / "engine.csv", rows)
    report(common.read_table(options.out / "engine.csv"))


if __name__ == "__main__":
    main()
