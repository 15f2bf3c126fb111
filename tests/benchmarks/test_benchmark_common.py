"""`common.measure`: what it runs, what it keeps, what it refuses to mix."""

import sys

import common
import pytest

KEYS = [(colour, seed) for colour in ("red", "green") for seed in range(2)]
COLUMNS = {"colour": "--only", "seed": "--seed"}


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Calls `measure` with options; what it ran and what it printed are in `ran` and `shown`."""
    return Table(tmp_path, monkeypatch)


class Table:
    def __init__(self, folder, monkeypatch):
        self.path, self.monkeypatch = folder / "colours.csv", monkeypatch
        self.value = 0.5
        self.on("here")

    def on(self, machine):
        self.monkeypatch.setattr(common, "machine", lambda: machine)

    def run(self, colour, seed, steps):
        self.ran.append((colour, seed, steps))
        return {"colour": colour, "seed": seed, "steps": steps, "value": self.value}

    def measure(self, *options, run=None, keys=KEYS, columns=COLUMNS, length=10, **more):
        self.ran, self.shown = [], []
        argv = ["colours.py", "--out", str(self.path.parent), *options]
        self.monkeypatch.setattr(sys, "argv", argv)
        common.measure(
            "colours",
            keys,
            run or self.run,
            self.shown.append,
            columns=columns,
            length=length,
            **more,
        )

    def rows(self):
        return [tuple(row.values()) for row in common.read_table(self.path)]


def test_it_runs_every_key_in_its_order_and_reports_each(table):
    table.measure()
    assert table.ran == [(*key, 10) for key in KEYS]
    assert table.rows() == [(colour, str(seed), "10", "0.5", "here") for colour, seed in KEYS]
    assert [rows[0]["colour"] for rows in table.shown] == ["red", "red", "green", "green"]


def test_an_option_chooses_the_rows_of_one_value(table):
    table.measure("--only", "green")
    assert table.ran == [("green", 0, 10), ("green", 1, 10)]
    table.measure("--seed", "0")
    assert table.ran == [("red", 0, 10)]
    assert [row[:2] for row in table.rows()] == [("red", "0"), ("green", "0"), ("green", "1")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "blue"], "invalid choice: 'blue'"),
        (["--seed", "2"], "invalid choice: 2"),
        (["--only", "red", "--seed", "1"], "no row of colours.csv is of colour red, seed 1"),
    ],
)
def test_a_choice_that_no_row_has_is_an_error(table, options, message, capsys):
    with pytest.raises(SystemExit):
        table.measure(*options, keys=[("red", 0), ("green", 1)])
    assert message in capsys.readouterr().err and not table.path.exists()


def test_it_goes_on_where_the_table_stopped_and_reports_old_rows_and_new_ones_alike(table):
    def stops(colour, seed, steps):
        if colour == "green":
            raise KeyboardInterrupt
        return table.run(colour, seed, steps)

    with pytest.raises(KeyboardInterrupt):
        table.measure(run=stops)
    assert len(table.rows()) == 2
    table.measure()
    assert table.ran == [("green", 0, 10), ("green", 1, 10)]
    new = table.shown
    table.measure()
    assert table.ran == [] and table.shown == new


def test_the_length_of_a_run_may_be_its_keys_own_and_the_option_is_for_all(table):
    table.measure(length=lambda colour, seed: {"red": 5, "green": 7}[colour])
    assert [steps for *_, steps in table.ran] == [5, 5, 7, 7]
    table.measure("--steps", "3", "--again", length=lambda colour, seed: 5)
    assert [steps for *_, steps in table.ran] == [3, 3, 3, 3]


def test_a_table_of_another_machine_is_refused_and_stays_as_it_is(table):
    table.measure("--only", "red")
    before = table.path.read_bytes()
    table.on("there")
    for options in ([], ["--only", "green"], ["--only", "green", "--again"]):
        with pytest.raises(SystemExit, match="was measured with machine 'here', now it is 'there'"):
            table.measure(*options)
        assert table.path.read_bytes() == before and table.ran == []


def test_a_table_of_other_steps_is_refused_and_stays_as_it_is(table):
    table.measure("--only", "red")
    before = table.path.read_bytes()
    for options in ([], ["--only", "green", "--again"]):
        with pytest.raises(SystemExit, match="was measured with steps '10', now it is '20'"):
            table.measure("--steps", "20", *options)
        assert table.path.read_bytes() == before and table.ran == []


def test_again_measures_everything_anew_whatever_there_was(table):
    table.measure()
    table.on("there")
    table.value = 0.7
    table.measure("--again", "--steps", "20")
    assert table.ran == [(*key, 20) for key in KEYS]
    assert {row[2:] for row in table.rows()} == {("20", "0.7", "there")}


def test_again_without_a_choice_does_not_read_the_table(table):
    table.path.write_text("this is no table\n")
    table.measure("--again")
    assert len(table.rows()) == 4


def test_again_with_a_choice_measures_these_rows_alone(table):
    table.measure()
    table.value = 0.7
    table.measure("--again", "--only", "red", "--seed", "1")
    assert table.ran == [("red", 1, 10)]
    assert [row[3] for row in table.rows()] == ["0.5", "0.7", "0.5", "0.5"]


def test_again_with_a_choice_refuses_the_rest_alone(table):
    table.measure("--only", "red")
    table.on("there")
    table.measure("--again", "--only", "red")
    assert {row[-1] for row in table.rows()} == {"there"}


def test_rows_chosen_with_again_go_before_they_are_measured(table):
    """Stopped half-way, the table says which of them are still to come."""

    def stops(colour, seed, steps):
        if seed == 1:
            raise KeyboardInterrupt
        return table.run(colour, seed, steps)

    table.measure()
    table.value = 0.7
    with pytest.raises(KeyboardInterrupt):
        table.measure("--again", "--only", "red", run=stops)
    assert [row[:2] for row in table.rows()] == [("red", "0"), ("green", "0"), ("green", "1")]
    table.measure()
    assert table.ran == [("red", 1, 10)]


def test_a_run_that_fails_leaves_the_table_as_it_was(table):
    table.measure("--only", "red")
    before = table.path.read_bytes()

    def fails(colour, seed, steps):
        raise ValueError

    with pytest.raises(ValueError):
        table.measure("--only", "red", "--again", run=fails)
    assert table.path.read_bytes() == before


def test_a_run_may_have_several_rows_and_its_last_says_how_long_it_was(table):
    def marks(colour, seed, steps):
        return [{"colour": colour, "seed": seed, "step": k} for k in (steps // 2, steps)]

    table.measure(run=marks, column="step")
    assert [row[2] for row in table.rows()] == ["5", "10"] * 4
    assert [len(rows) for rows in table.shown] == [2] * 4
    table.measure(column="step")
    assert table.ran == []
    with pytest.raises(SystemExit, match="was measured with steps '10', now it is '20'"):
        table.measure("--steps", "20", column="step")


def test_a_row_that_has_no_length_goes_with_every_length(table):
    def run(colour, seed, steps):
        return {**table.run(colour, seed, steps), "steps": ""}

    table.measure(run=run)
    table.measure("--steps", "20")
    assert table.ran == []


def test_seconds_in_place_of_steps(table):
    def run(colour, seed, seconds):
        return {"colour": colour, "seed": seed, "seconds": seconds}

    table.measure("--seconds", "2", run=run, length=40.0, unit="seconds")
    assert {row[2] for row in table.rows()} == {"2.0"}
    with pytest.raises(SystemExit, match="was measured with seconds '2.0', now it is '40.0'"):
        table.measure(run=run, length=40.0, unit="seconds")


def test_a_run_may_own_rows_whose_columns_are_not_its_key(table):
    def ten(colour, seed, steps):
        return [{**table.run(colour, seed, steps), "seed": seed + k} for k in range(10)]

    more = {"keys": [("red", 0), ("green", 0)], "key_of": lambda row: (row["colour"], "0")}
    table.measure(run=ten, **more)
    assert len(table.rows()) == 20
    table.measure(run=ten, **more)
    assert table.ran == [] and len(table.shown[1]) == 10


def test_the_order_of_the_runs_may_differ_from_that_of_the_table(table):
    table.measure(order=lambda key: key[1])
    assert [key[:2] for key in table.ran] == [("red", 0), ("green", 0), ("red", 1), ("green", 1)]
    assert [row[:2] for row in table.rows()] == [(colour, str(seed)) for colour, seed in KEYS]


def test_a_run_with_a_picture_is_told_where_to_draw_it(table):
    drawn = {}

    def run(colour, seed, steps, **picture):
        drawn[colour, seed] = picture
        return table.run(colour, seed, steps)

    table.measure(run=run, pictures={("green", 1): "green.png"})
    assert drawn.pop(("green", 1)) == {"drawn": table.path.parent / "green.png"}
    assert not any(drawn.values())


def test_the_summary_is_of_the_whole_table_and_waits_until_it_is_whole(table):
    found = []
    table.measure("--only", "red", summary=found.append)
    assert found == []
    table.measure("--only", "green", summary=found.append)
    assert [len(rows) for rows in found] == [4]


def test_a_key_may_be_one_value(table):
    def run(colour, steps):
        return {"colour": colour, "steps": steps}

    one = {"keys": [("red",), ("green",)], "columns": {"colour": "--only"}, "run": run}
    table.measure(**one)
    table.measure("--only", "green", **one)
    assert len(table.rows()) == 2 and table.shown[0][0]["colour"] == "green"
