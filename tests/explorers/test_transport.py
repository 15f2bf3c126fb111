"""The transport plan that a hand edits: chapter 7's widget."""

import base64
import io

import numpy as np
import PIL.Image
import pytest

from ganbook.explorers import transport

PLACES = ([[0, 0], [4, 0]], [2, 1], [[0, 3], [4, 3]], [1, 2])  # a rectangle of 4 by 3 metres
BEST = [[1, 1], [0, 1]]


def report(plan):
    picture = transport.TransportPicture(*PLACES)
    plan = np.array(plan)
    return picture._report(plan, picture.earth - plan.sum(1), picture.room - plan.sum(0))


def test_the_cost_what_is_left_and_the_least_are_told():
    assert report(BEST) == [
        "moved: 3 of 3",
        "cost: 11.00",
        "all moved, all full",
        "the least possible: 11.00",
        "and you have it",
    ]
    assert report([[0, 2], [1, 0]])[-1] == "yours is 36 % above it"
    assert report([[0, 0], [0, 1]])[2:] == [
        "heap A still has 2",
        "hole 1 lacks 1",
        "hole 2 lacks 1",
    ]
    assert report([[2, 1], [0, 0]])[2:] == [
        "heap A is short of 1", "heap B still has 1", "hole 1 overflows by 1", "hole 2 lacks 1"
    ]  # fmt: skip


def test_a_small_excess_is_not_rounded_to_none_and_a_least_cost_of_zero_is_no_divisor():
    picture = transport.TransportPicture([[0, 0], [4, 0]], [1, 1], [[0, 0.01], [3.99, 3]], [1, 1])
    plan = np.array([[0, 1], [1, 0]])
    assert picture._report(plan, plan.sum(1) - 1, plan.sum(0) - 1)[-1].endswith(" % above it")
    close = transport.TransportPicture([[0, 0], [4, 0]], [9, 9], [[0, 3], [3.99, 3]], [9, 9])
    plan = np.array([[8, 1], [1, 8]])
    away = (plan * close.distance).sum() / close.least - 1
    assert close._report(plan, plan.sum(1) - 9, plan.sum(0) - 9)[-1] == (
        f"yours is {100 * away:.2g} % above it"
    )
    still = transport.TransportPicture([[0, 0], [4, 0]], [1, 1], [[0, 0], [4, 0]], [1, 1])
    swapped = np.array([[0, 1], [1, 0]])
    assert still._report(swapped, swapped.sum(1) - 1, swapped.sum(0) - 1)[-1] == (
        "yours is 8.00 above it"
    )
    assert still._report(np.eye(2, dtype=int), np.zeros(2), np.zeros(2))[-1] == "and you have it"


def test_fields_can_be_typed_into_and_the_picture_follows():
    moving = transport.explorer(*PLACES)
    assert list(moving.controls) == ["A1", "A2", "B1", "B2"]
    pictures = [moving.image.value]
    for name, amount in zip(moving.controls, np.ravel(BEST), strict=True):
        moving.controls[name].value = int(amount)
    pictures.append(moving.image.value)
    assert pictures[0] != pictures[1]
    moving.controls["A1"].value = 99  # no more than there is
    assert moving.controls["A1"].value == 3
    assert [moving.controls[name].description for name in ("A1", "B2")] == ["A to 1", "B to 2"]


def test_the_plan_given_is_shown_and_stays_as_a_still():
    moving = transport.explorer(*PLACES, plan=BEST)
    assert [control.value for control in moving.controls.values()] == [1, 1, 0, 1]
    still = base64.b64decode(moving._repr_mimebundle_()["image/png"])
    assert moving.line.value == (
        "Moved: 3 of 3; cost: 11.00; all moved, all full; the least possible: 11.00; and you have"
        " it."
    )
    still, picture = (
        np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB"))
        for png in (still, moving.image.value)
    )
    assert still.shape[1] <= 760 and len(still) > len(picture) + 20  # the controls, above
    assert np.array_equal(still[-len(picture) :, : picture.shape[1]], picture)


def test_the_picture_shows_the_plan_and_what_is_full(monkeypatch):
    figures = []
    monkeypatch.setattr(transport, "frame", lambda figure: figures.append(figure) or b"")
    transport.TransportPicture(*PLACES)(A1=0, A2=2, B1=0, B2=0)
    ((plane, beside),) = [figure.axes for figure in figures]
    assert beside.texts[0].get_text().splitlines() == report([[0, 2], [0, 0]])
    assert [(text.get_text(), *text.xy) for text in plane.texts] == [
        ("2", 2, 1.5), ("A", 0, 0), ("B", 4, 0), ("1", 0, 3), ("2", 4, 3)
    ]  # fmt: skip
    way, *places = plane.lines
    assert np.transpose(way.get_data()).tolist() == [[0, 0], [4, 3]]
    full = [place.get_markerfacecolor() != "white" for place in places]
    assert full == [False, True, True, False]  # A has nothing left, and hole 2 no room


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 0]], [2], [[1, 1]], [3]), "as much room as earth"),
        (([[0, 0]], [1, 2], [[1, 1]], [3]), "places must be"),
        (([0, 0], [1, 2], [[1, 1]], [3]), "places must be"),
        ((*PLACES, [[1, 1]]), "the plan must have the shape"),
        ((*PLACES, [[1, 1], [0, 0.5]]), "whole numbers from 0 to 3"),
        ((*PLACES, [[1, 4], [0, 1]]), "whole numbers from 0 to 3"),
        ((*PLACES, [[1, -1], [0, 1]]), "whole numbers from 0 to 3"),
        (([[0, np.nan]], [2], [[1, 1]], [2]), "finite"),
        (([[0, 0]], [1.5], [[1, 1]], [1.5]), "whole numbers"),
        (([[0, 0]], [-1], [[1, 1]], [-1]), "0 or more"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        transport.explorer(*arguments)
