"""The human eye as a measure: looks are dealt fairly, answers judged, and a picture stays."""

import base64
import io

import numpy as np
import PIL.Image
import pytest
import torch

from ganbook.explorers import eye


def sets(count=60):
    """Real images that are nearly white, generated ones that are nearly black, each its own."""
    shade = torch.linspace(0, 0.5, count).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    return 1 - shade, shade - 1


def dealt(it):
    return np.frombuffer(it.pixels, np.uint8).reshape(it.looks, 28, 28)


def play(it, answers):
    for answer in answers:
        it.answer(eye.KINDS[answer])


def test_the_looks_are_of_both_kinds_as_the_truth_says_and_none_twice():
    it = eye.explorer(*sets(), looks=60)
    looks = dealt(it)
    assert ((looks.mean((1, 2)) < 127) == (it.truth == 1)).all()
    assert 15 < it.truth.sum() < 45
    assert len(np.unique(looks.reshape(60, -1), axis=0)) == 60


def test_a_coin_decides_so_that_the_last_look_can_not_be_inferred():
    counts = {int(eye.explorer(*sets(), looks=40, seed=k).truth.sum()) for k in range(6)}
    assert len(counts) > 2


def test_the_page_is_not_told_which_looks_are_generated():
    it = eye.explorer(*sets())
    sent = {name for name in it.keys if not name.startswith("_")}
    assert sent >= {"pixels", "answers", "line", "wrong"} and "truth" not in sent
    play(it, [0, 1])
    assert it.wrong == [] and it.line == "Image 3 of 40: real or generated?"


def test_all_right_and_all_wrong_are_told_with_their_intervals():
    it = eye.explorer(*sets())
    assert it.line == "40 images, 0.5 s each: press Space to start."
    play(it, it.truth)
    assert it.line.startswith("Wrong: 0% of 40, 95 % interval 0% to 9%: you tell them apart.")
    it.rounds += 1
    assert it.answers == [] and it.line.startswith("40 images")
    play(it, 1 - it.truth)
    assert it.line.startswith("Wrong: 100% of 40, 95 % interval 91% to 100%: generated ones look")
    fakes = it.truth.sum()
    assert f"{fakes} of {fakes} generated ones passed" in it.line
    assert f"{40 - fakes} of {40 - fakes} real ones" in it.line and it.wrong == list(range(40))


def test_who_always_says_real_is_not_told_to_see_a_difference():
    it = eye.explorer(*sets())
    play(it, [0] * 40)
    assert "no difference from guessing was seen" in it.line and len(it.line) < 220
    assert it.wrong == np.flatnonzero(it.truth).tolist() and "0 of" in it.line
    with pytest.raises(ValueError, match="all 40 looks are answered"):
        it.answer("real")
    with pytest.raises(ValueError, match="must be 'real' or 'generated'"):
        it.answer("fake")


def test_answers_of_the_page_are_judged_too_and_a_round_is_dealt_anew():
    it = eye.explorer(*sets(), looks=3)
    it.answers = [1, 1, 1]  # as the page sets them
    assert "of 3" in it.line
    before = it.pixels
    it.rounds = 1
    assert it.pixels != before and it.answers == []
    again = eye.explorer(*sets(), looks=3)
    assert again.pixels == before


def test_a_picture_stays_without_a_kernel():
    it = eye.explorer(*sets())
    bundle = it._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    still = base64.b64decode(bundle["image/png"])
    assert "application/vnd.jupyter.widget-view+json" in bundle
    picture = PIL.Image.open(io.BytesIO(still))
    assert picture.width <= 760 and len(still) < 100_000
    assert eye.explorer(*sets(5), looks=1).still()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("real", "fake", "settings", "message"),
    [
        (torch.zeros(9, 1, 8, 8), torch.zeros(9, 1, 8, 9), {"looks": 4}, "of one size"),
        (torch.zeros(9, 3, 8, 8), torch.zeros(9, 3, 8, 8), {"looks": 4}, "grey images"),
        (torch.zeros(9, 1, 8, 8), torch.zeros(9, 1, 8, 8), {}, "40 looks need as many"),
        (torch.zeros(9, 1, 8, 8), torch.zeros(9, 1, 8, 8), {"looks": 0}, "looks=0"),
        (
            torch.zeros(9, 1, 8, 8),
            torch.zeros(9, 1, 8, 8),
            {"looks": 4, "seconds": 0},
            "above 0",
        ),
    ],
)
def test_it_says_what_it_can_not_show(real, fake, settings, message):
    with pytest.raises(ValueError, match=message):
        eye.explorer(real, fake, **settings)


def test_the_script_of_the_page_is_there():
    assert "export default { render }" in str(eye.Eye._esm)
