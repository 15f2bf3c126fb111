"""What the benchmarks share: the machine in one line, a stopwatch, tables, the distance to the real
digits."""

import csv
import functools
import platform
import time
from pathlib import Path

import torch

from ganbook import data, device, metrics

FOLDER = Path(__file__).parent


def machine() -> str:
    """Processor, threads, precision and version of torch: each row of a table says where it was
    measured."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), name
        )
    return f"{name}; {device.describe()}; torch {torch.__version__}".replace(",", "")


class Stopwatch:
    """Counts the seconds between `start` and `stop`, and goes on counting at the next `start`."""

    def __init__(self):
        self._before, self._since = 0.0, None

    def start(self) -> None:
        wait()
        self._since = time.perf_counter()

    def stop(self) -> None:
        wait()
        self._before, self._since = self.seconds(), None

    def seconds(self) -> float:
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)


def wait() -> None:
    """Wait for what the device still has to do, so that a clock read now means something."""
    if device.DEVICE.type == "cuda":
        torch.cuda.synchronize()


@functools.cache
def real_features() -> torch.Tensor:
    return metrics.digit_features(data.digits().images)


def distance(images: torch.Tensor) -> float:
    """Frechet distance of images (N, 1, 28, 28) to the 5,000 embedded digits. N is 5,000 in every
    table."""
    return metrics.fid(metrics.digit_features(images), real_features())


def read_table(path: Path) -> list[dict]:
    """The rows of a table as dictionaries of strings, none where there is no table yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table_to_go_on_with(path: Path, **settings) -> list[dict]:
    """The rows of a table that stopped half-way. All must be of this machine and of these settings:
    none mixes two."""
    rows = read_table(path)
    for row in rows:
        for name, value in {"machine": machine(), **settings}.items():
            if row[name] != str(value):
                raise SystemExit(
                    f"{path} was measured with {name} {row[name]!r}, now it is {str(value)!r}:"
                    " --again measures everything anew, --out FOLDER leaves that table alone"
                )
    return rows


def write_table(path: Path, rows: list[dict]) -> None:
    """Write the rows, each with this machine's line. The file appears whole or not at all."""
    rows = [{**row, "machine": machine()} for row in rows]
    with data.atomic(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
