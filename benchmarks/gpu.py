"""On a GPU: the samples a second that `gan.train` plays with, and the same step in plain torch.

    python benchmarks/gpu.py

`make gpu` runs it after the tests that need a GPU. The two games are those of engine.py, and so is
the protocol: short blocks of the two alternate, and the device has finished before a clock is read.
Points are played in float32 only, because dense networks always are. Writes gpu.csv.
"""

import argparse
import contextlib
from pathlib import Path

import common
import engine
import numpy as np

from ganbook import device

CASES = (("digits", True), ("digits", False), ("ring", False))  # game, whether in bfloat16


def measure(name: str, bf16: bool, seconds: float) -> dict:
    gan, training, batches = engine.GAMES[name]()
    by_hand = engine.inline(*engine.GAMES[name]()[::2], engine.STEPS)
    steps, usual, device.BF16 = engine.BLOCK[name], device.BF16, bf16
    try:
        with contextlib.redirect_stderr(engine.Screen()):
            times, inline_times = engine.paired(training, by_hand, steps, seconds)[:, :, 0]
    finally:
        device.BF16 = usual
    rates = [batches.size * steps / np.median(each) for each in (times, inline_times)]
    middle, low, high = engine.median(times / inline_times)
    return {
        "game": name,
        "precision": "bfloat16" if bf16 else "float32",
        "pairs": len(times),
        "batch": batches.size,
        "samples_per_second": round(rates[0]),
        "inline_samples_per_second": round(rates[1]),
        "time_ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds for each row")
    parser.add_argument("--out", type=Path, default=common.FOLDER, help="the folder to write to")
    options = parser.parse_args()
    if device.DEVICE.type != "cuda" and options.out == common.FOLDER:
        raise SystemExit("no CUDA here, so gpu.csv stays as it is: give --out FOLDER to rehearse")
    rows = [measure(*case, options.seconds) for case in CASES]
    common.write_table(options.out / "gpu.csv", rows)
    print((options.out / "gpu.csv").read_text())


if __name__ == "__main__":
    main()
