"""What README says in numbers is what the tables say."""

import statistics

import baseline
import common
import dcgan
import numpy as np
import pytest
from benchmark_tables import SEEDS, rows

README = (common.FOLDER.parent / "README.md").read_text()
FLAT = " ".join(README.split())


def span(values, places=0):
    return f"{min(values):.{places}f} to {max(values):.{places}f}"


def column(table, measure, **which):
    return [float(row[measure]) for row in rows(table, **which)]


def said():
    """The phrases that README must have, from the tables."""
    last = {"what": "dcgan", "step": str(dcgan.STEPS)}
    seconds = column("dcgan", "seconds", **last)
    yield f"A network drew them after {seconds[0]:.0f} seconds of training"
    yield (
        f"scores {span(column('dcgan', 'fid', what='pixel gaussian'))}, the course's DCGAN"
        f" {span(column('dcgan', 'fid', **last), 1)} after {max(seconds):.0f} seconds or less"
    )
    yield (
        f"{span(column('dcgan', 'second_fid', what='pixel gaussian'))} and"
        f" {span(column('dcgan', 'second_fid', **last), 1)}"
    )
    found = baseline.compare(rows("baseline"))
    speed, fid = ({rung: found[rung][what] for rung in found} for what in ("speed", "fid"))
    times = statistics.median(np.divide(speed["course"], speed["copied"]))
    yield f"trains on {times:.1f} times as many images"
    course, copied = (statistics.median(fid[rung]) for rung in ("course", "copied"))
    yield f"Its Fréchet distance to the real digits is {course:.1f}; the script's is {copied:.0f}"
    fewer = [100 * (1 - a / b) for a, b in zip(speed["engine"], speed["copied"], strict=True)]
    yield f"trains on {span(fewer)} % fewer images"
    for before, after in (("copied", "engine"), ("engine", "networks"), ("networks", "course")):
        assert all(a > 10 * b for a, b in zip(speed[after], speed[before], strict=True)) == (
            after == "networks"
        )
        assert all(4 * a < b for a, b in zip(fid[after], fid[before], strict=True)) == (
            after == "course"
        )
    yield f"regularisers, {len(rows('tournament')):,} games"
    long = rows("stacked", variant="long")
    assert len(long) == len(SEEDS) and all(row["modes"] == "1000" for row in long)
    minutes = max(float(row["seconds"]) for row in long) / 60
    yield f"in {minutes:.0f} minutes at most"
    claims = rows("claims")
    always = sum(row["held"] == row["of"] == "5" for row in claims)
    chapters = sorted({row["chapter"] for row in claims})
    run = next(k for k, name in enumerate([*chapters, "end"]) if name != f"{k:02}")
    later = "".join(f" and {name}" for name in chapters[run:])
    those = f"{len(claims)} claims of chapters 00 to {run - 1:02}{later}"
    those = f"All {those}" if always == len(claims) else f"Of the {those}, {always}"
    yield f"{those} also hold in each of five runs with every seed shifted"
    how = [row["kind"] for row in rows("mistakes") if row["mistake"] != "none"]
    seen = [kind for kind in how if kind in ("claim", "check", "output", "error")]
    yield f"Of {len(how)} mistakes planted in the chapters"
    yield f"{len(seen)} are noticed when that chapter and its solutions are run"
    yield f"{seen.count('claim')} of them by a claim"
    half, single = (
        round(column("gpu", "samples_per_second", game="digits", precision=precision)[0], -2)
        for precision in ("bfloat16", "float32")
    )
    yield f"plays {half:,.0f} images a second in bfloat16 and {single:,.0f} in float32"
    assert all("bfloat16" not in row["machine"] for row in rows("dcgan", **last))
    speeds = [round(value, -1) for value in column("dcgan", "images_per_s", **last)]
    yield f"of an EPYC without bfloat16 it plays {span(speeds)}"


@pytest.mark.parametrize("phrase", list(said()))
def test_readme_says_what_the_tables_say(phrase):
    assert phrase in FLAT


def test_readme_says_of_the_recipe_what_modes_says():
    alone = column("modes", "seconds", variant="recipe", games="1", data="grid")
    together = rows("modes", variant="recipe", games="10", data="grid")
    assert {row["modes"] for row in together} == {"25"} and len(together) == 10
    assert min(float(row["quality"]) for row in together) >= 0.965
    share = max(float(row["seconds"]) for row in together)
    assert f"at most {max(alone):.1f} seconds alone, {share:.0f} as one of ten" in FLAT


def test_what_trains_is_as_long_as_readme_says():
    names = ("game", "gan", "turns", "players", "losses", "penalties", "schedules")
    files = [common.FOLDER.parent / "ganbook" / f"{name}.py" for name in names]
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    assert 1200 < lines < 1400
    assert "are seven files of `ganbook`, under 1,400 lines together" in FLAT
