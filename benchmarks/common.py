"""Shared by all benchmarks: the command line, tables, a stopwatch, the distance to the digits."""

import argparse
import csv
import functools
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ganbook import data, device, evidence, files, metrics

FOLDER = Path(__file__).parent


def machine() -> str:
    """Processor, threads, precision and version of torch: the last column of every table."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), name
        )
    return f"{name}; {device.describe()}; torch {torch.__version__}".replace(",", "")


class Stopwatch:
    """Counts the seconds between `start` and `stop`, in total over all such intervals."""

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
    """Wait for the device to finish its work, so that a clock read now is right."""
    if device.DEVICE.type == "cuda":
        torch.cuda.synchronize(device.DEVICE)


@functools.cache
def real_features() -> torch.Tensor:
    return metrics.digit_features(data.digits().images)


def distance(images: torch.Tensor) -> float:
    """Frechet distance of images (N, 1, 28, 28), N = 5,000 in every table, to the 5,000 digits."""
    return metrics.fid(metrics.digit_features(images), real_features())


def read_table(path: Path) -> list[dict]:
    """The rows of a table as dictionaries of strings; none if there is no table yet."""
    return evidence.table(path) if path.exists() else []


def write_table(path: Path, rows: list[dict]) -> None:
    """Write the rows, each with its machine's name, by default this one's: whole or not at all."""
    rows = [{**row, "machine": row.get("machine") or machine()} for row in rows]
    with files.atomic(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def measure(
    name: str,
    keys: list[tuple],
    run: Callable,
    report: Callable,
    *,
    columns: dict[str, str],
    length: float | Callable,
    unit: str = "steps",
    column: str | None = None,
    key_of: Callable | None = None,
    order: Callable | None = None,
    pictures: dict[tuple, str] | None = None,
    summary: Callable | None = None,
    several_machines: bool = False,
) -> None:
    """The command line of a benchmark: make the runs that its table lacks, write, and report.

    name: the table is `name`.csv in the folder that --out names
    keys: what is run, in the order of the table
    run: `run(*key, length)` plays once and returns its row of the table, or a list of its rows
    report: `report(rows)` prints the rows of one run, whose values are strings as in the table
    columns: {column: option} of a key's values; each option chooses one value, as --seed 0 does
    length: of a run, a number or a function of the key's values; the option --`unit` is for all
    unit: steps or seconds
    column: the column with the length in the last row of a run (default: `unit`), blank if none
    key_of: `key_of(row)` gives the key of a row's run, in strings (default: from `columns`)
    order: `order(key)`, the lower ones run first (default: in the order of `keys`)
    pictures: {key: file}, the runs that draw a picture: they are also called with `drawn=path`
    summary: `summary(rows)` prints a summary of the table once it is complete
    several_machines: rows of other machines may stay: the table compares no seconds

    --again measures the chosen runs anew and ignores their old rows, all of them without a choice.
    Raises SystemExit if the rows that are kept come from another machine or another length.
    """
    lengths = {key: length(*key) if callable(length) else length for key in keys}
    options, chosen = command_line(name, lengths, columns, unit)
    if options.length is not None:
        lengths = dict.fromkeys(keys, options.length)
    path = options.out / f"{name}.csv"

    staying = [key for key in keys if not (options.again and key in chosen)]
    key_of = key_of or (lambda row: tuple(map(row.get, columns)))
    rows = read_table(path) if staying else []
    unknown = {key_of(row) for row in rows} - {tuple(map(str, key)) for key in keys}
    if unknown:
        raise SystemExit(
            f"{path} has rows that are not measured any more, {sorted(unknown)[0]} say:"
            " give --again alone to measure everything anew, or --out FOLDER for another table"
        )
    table = rows_of(rows, staying, key_of)
    for key, rows in table.items():
        if not several_machines:
            refuse(path, "machine", {row["machine"] for row in rows}, machine())
        refuse(path, unit, {rows[-1][column or unit]} - {""}, lengths[key])

    for key in sorted(chosen, key=order or (lambda key: 0)):
        if key not in table:
            drawn = {"drawn": options.out / pictures[key]} if key in (pictures or {}) else {}
            table[key] = in_strings(run(*key, lengths[key], **drawn))
            write_table(path, [row for key in keys for row in table.get(key, ())])
        report(table[key])
        sys.stdout.flush()
    if summary and len(table) == len(keys):
        summary([row for key in keys for row in table[key]])


def command_line(name: str, lengths: dict, columns: dict[str, str], unit: str):
    """The parsed options, and the keys that they choose."""
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for (column, option), values in zip(columns.items(), zip(*lengths, strict=True), strict=True):
        parser.add_argument(
            option,
            dest=column,
            type=type(values[-1]),
            choices=list(dict.fromkeys(values)),
            help=f"one {column} (default: all)",
        )
    usual = list(dict.fromkeys(lengths.values()))
    parser.add_argument(
        f"--{unit}",
        dest="length",
        type=type(usual[0]),
        metavar=unit.upper(),
        help=f"{unit} of each run (default: {' or '.join(f'{value:,}' for value in usual)})",
    )
    parser.add_argument("--again", action="store_true", help="measure anew what the table has")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write to")

    options = parser.parse_args()
    wishes = [getattr(options, column) for column in columns]
    chosen = [
        key
        for key in lengths
        if all(wish in (None, own) for wish, own in zip(wishes, key, strict=True))
    ]
    if not chosen:
        asked = [f"{c} {wish}" for c, wish in zip(columns, wishes, strict=True) if wish is not None]
        parser.error(f"no row of {name}.csv is of {', '.join(asked)}")
    return options, chosen


def in_strings(rows: dict | list[dict]) -> list[dict]:
    """The row or the rows of a run as `read_table` will read them."""
    rows = rows if isinstance(rows, list) else [rows]
    return [{**{name: str(row[name]) for name in row}, "machine": machine()} for row in rows]


def rows_of(rows: list[dict], keys: list[tuple], key_of: Callable) -> dict[tuple, list[dict]]:
    """The rows of a table for each of these keys."""
    table, known = {}, {tuple(map(str, key)): key for key in keys}
    for row in rows:
        if key_of(row) in known:
            table.setdefault(known[key_of(row)], []).append(row)
    return table


def refuse(path: Path, name: str, then: set[str], now) -> None:
    """Raise SystemExit if a table would mix two machines, or two lengths of a run."""
    for other in then - {str(now)}:
        raise SystemExit(
            f"{path} was measured with {name} {other!r}, now it is {str(now)!r}:"
            " give --again alone to measure everything anew, or --out FOLDER for another table"
        )
