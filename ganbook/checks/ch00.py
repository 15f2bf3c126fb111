"""Check of chapter 0, Start here."""

import torch

from ganbook.checks import exercise, require


@exercise("0.1")
def scale_pixels(answer):
    """`answer(pixels)`: bytes from 0 to 255, a tensor of any shape, to floats in [-1, 1]."""
    pixels = torch.randint(0, 256, (2, 5, 7))
    pixels[0, 0, 0], pixels[1, 4, 6] = 0, 255
    x = pixels.float()
    right = x / 127.5 - 1
    # First as floats, so that a wrong formula is named for what it is; then as the bytes that a
    # file holds.
    found = _tensor(answer(x.clone()), x.shape)
    for wrong, message in (
        (x, "these are the pixels as they came"),
        (
            x / 255,
            "this gives 0 to 1. Black should be -1,"
            " so the range must be twice as wide and begin lower",
        ),
        (x / 255 - 1, "this gives -1 to 0: black is right, and white should be 1"),
        (
            x / 255 - 0.5,
            "this gives -0.5 to 0.5:"
            " the middle is right, and the range is half as wide as it should be",
        ),
        (1 - x / 127.5, "this is a negative: black, which is 0, should become -1, and white 1"),
        (x / 128 - 1, "white becomes 0.992. The middle of 0 and 255 is 127.5"),
        (
            x - 127.5,
            "the middle is at 0 now. What is missing is the width: white is 127.5 and should be 1",
        ),
        (x / 127.5, "this gives 0 to 2: the width is right, and the range begins 1 too high"),
    ):
        require(not _same(found, wrong), message)
    ends = found[0, 0, 0].item(), found[1, 4, 6].item()
    by_statistics = abs(found.mean()) < 1e-3 and abs(found.std() - 1) < 0.02
    require(
        not by_statistics and not _same(found, (x / 255 - 0.1307) / 0.3081),
        f"this scales by mean and deviation, and white becomes {ends[1]:.2f}."
        " A generator that ends in tanh never draws above 1."
        " Use the ends of the range, 0 and 255, not the statistics of the pixels",
    )
    require(
        found.unique().numel() > 10,
        "shades of grey have gone lost: don't round, and divide with / rather than //",
    )
    require(
        _same(found, right),
        f"0 became {ends[0]:.3g} and should be -1; 255 became {ends[1]:.3g} and should be 1;"
        " between them it is a straight line",
    )
    found = _tensor(answer(pixels.to(torch.uint8)), x.shape)
    require(
        _same(found, right),
        "the formula is right for floats, but images come as bytes. A byte ends at 255 and begins"
        " again: twice 200 is"
        " 144. Divide before you multiply or subtract, or start with pixels.float()",
    )


def _tensor(found, shape):
    require(
        isinstance(found, torch.Tensor), f"a tensor should come back, not {type(found).__name__}"
    )
    require(
        found.shape == shape,
        f"the shape should stay {tuple(shape)}; it became {tuple(found.shape)}",
    )
    return found.detach().float()


def _same(found, other) -> bool:
    return torch.allclose(found, other, rtol=0, atol=1e-3)
