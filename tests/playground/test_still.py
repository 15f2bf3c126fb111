"""The picture of the playground where no kernel runs."""

import base64
import io

import numpy as np
import PIL.Image

from ganbook import plotting
from ganbook.playground import playground


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
