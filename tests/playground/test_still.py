"""The picture of the playground where no kernel runs."""

import base64
import io
import math

import numpy as np
import PIL.Image
import pytest

from ganbook import plotting
from ganbook.playground import playground, still


def test_a_still_comes_with_the_widget():
    game = playground(steps=5, width=16, depth=1, batch=32)
    bundle, _ = game._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json", "image/png"}
    assert "step 5" in bundle["text/plain"] and "0x" not in bundle["text/plain"], (
        "the same at every build"
    )
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.size == (900, 480)
    colors = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert {
        tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in (plotting.REAL, plotting.FAKE)
    } <= colors
    assert len(bundle["image/png"]) < 300_000


@pytest.mark.parametrize(
    ("logits", "low", "high"),
    [
        (np.linspace(-2, 2, 101), -1.92, 1.92),  # nearly all
        (np.zeros(9), -0.2, 0.2),  # never narrower than this
        (np.linspace(-20, 10, 101), -4, 4),  # at most 8 wide, around 0
        (np.linspace(10, 60, 101), 11, 19),
        (np.linspace(-60, -10, 101), -19, -11),
    ],
)
def test_the_range_that_is_shaded(logits, low, high):
    assert still.shade_range(logits) == pytest.approx((low, high))
    shown = [1 / (1 + math.exp(-value)) for value in (low, high)]
    words = "    shaded: D(x) from {:.2f} to {:.2f}".format(*shown)
    assert still._range_in_words(logits) == words


def test_the_range_in_words_of_no_logits_and_of_huge_ones():
    assert still._range_in_words(np.zeros(0)) == ""
    assert still._range_in_words(np.full(4, 1e4)).endswith("from 1.00 to 1.00")
    assert still._range_in_words(np.full(4, -1e4)).endswith("from 0.00 to 0.00")
