"""Check of chapter 0: right answers pass, and each wrong answer is named for what it is."""

import numpy as np
import pytest
import torch

from ganbook.checks import Mistake, ch00

RIGHT = [
    lambda pixels: pixels / 127.5 - 1,
    lambda pixels: (pixels - 127.5) / 127.5,
    lambda pixels: 2 * (pixels / 255) - 1,
    lambda pixels: pixels.float() * 2 / 255 - 1,
    lambda pixels: (pixels / 255 - 0.5) / 0.5,
    lambda pixels: pixels.double().sub_(127.5).div_(127.5),
    lambda pixels: torch.lerp(torch.tensor(-1.0), torch.tensor(1.0), pixels / 255),
    lambda pixels: (pixels / 255).sub(0.5).mul(2).half(),
    lambda pixels: torch.tensor((pixels.numpy() / 127.5 - 1).tolist()),
    lambda pixels: np.asarray(pixels) / 127.5 - 1,
]

WRONG = [
    (lambda pixels: pixels, "as they came"),
    (lambda pixels: pixels / 255, "0 to 1"),
    (lambda pixels: pixels / 255 - 1, "-1 to 0"),
    (lambda pixels: pixels / 255 - 0.5, "half as wide"),
    (lambda pixels: 1 - pixels / 127.5, "negative"),
    (lambda pixels: (pixels.float() - 128) / 128, "0.992"),
    (lambda pixels: pixels / 128 - 1, "0.992"),
    (lambda pixels: pixels - 127.5, "what is missing is the width"),
    (lambda pixels: pixels / 127.5, "0 to 2"),
    (
        lambda pixels: (pixels.float() - pixels.float().mean()) / pixels.float().std(),
        "mean and deviation",
    ),
    (lambda pixels: (pixels / 255 - 0.1307) / 0.3081, "2.82"),
    (lambda pixels: pixels // 127.5 - 1, "grey"),
    (lambda pixels: torch.round(pixels / 127.5 - 1), "grey"),
    (lambda pixels: pixels / 100 - 1, "became .* and should be"),
    (lambda pixels: torch.tanh(pixels / 127.5 - 1), "became .* and should be"),
    (lambda pixels: pixels / pixels.max() * 2 - 1, "whether they occur or not"),
    (lambda pixels: pixels / pixels.max(), "whether they occur or not"),
    (
        lambda pixels: (pixels / 1 - pixels.min()) / (pixels.max() - pixels.min()) * 2 - 1,
        "whether they occur or not",
    ),
    (lambda pixels: pixels.float().div_(0), "not finite"),
    (lambda pixels: (pixels / 127.5 - 1).flatten(), "shape"),
    (lambda pixels: 2 * pixels / 255 - 1, "a byte ends at 255"),
    (lambda pixels: (2 * pixels - 255) / 255, "a byte ends at 255"),
    (lambda pixels: (pixels / 127.5 - 1).mean(), "shape"),
    (lambda pixels: "grey", "a tensor of shape"),
    (lambda pixels: 0.5, "shape"),
    (lambda pixels: pixels / width, "NameError"),  # noqa: F821
]


@pytest.mark.parametrize("answer", RIGHT)
def test_right_answers_pass_for_every_draw(answer, capsys):
    for _ in range(10):
        ch00.scale_pixels(answer)
    assert capsys.readouterr().out.count("solved") == 10


@pytest.mark.parametrize(("answer", "message"), WRONG)
def test_wrong_answers_are_named(answer, message):
    for _ in range(10):
        with pytest.raises(Mistake, match=f"Exercise 0.1: (?i:.*{message})"):
            ch00.scale_pixels(answer)


def test_an_open_stub_is_open_and_not_wrong(capsys):
    ch00.scale_pixels(lambda pixels: ...)
    ch00.scale_pixels(...)
    assert capsys.readouterr().out.count("is open") == 2
