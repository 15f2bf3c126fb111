"""Check of chapter 0, Start here."""

import torch

from ganbook.checks import exercise, near, require, same, tensor


@exercise("0.1")
def scale_pixels(answer):
    """`answer(pixels)`: bytes from 0 to 255, a tensor of any shape, to floats in [-1, 1]."""
    # First as floats, so that a wrong formula is named for what it is. Neither black nor white is
    # among them, as in many a picture: the range is the file's, not that of the pixels at hand.
    for shape in ((2, 5, 7), (40,)):
        x = torch.randint(20, 226, shape).float()
        _judge(tensor(answer(x.clone()), shape), x.double())
    # Then as the bytes that a file holds.
    pixels = torch.randint(0, 256, (3, 6), dtype=torch.uint8)
    pixels[0, 0], pixels[2, 5] = 0, 255
    truth = pixels.double() / 127.5 - 1
    found = tensor(answer(pixels.clone()), (3, 6))
    same(
        found,
        truth,
        "the formula is right for floats, but images come as bytes. A byte ends at 255 and begins"
        " again: twice 200 is"
        " 144. Divide before you multiply or subtract, or start with pixels.float()",
        atol=1e-3,
    )


def _judge(found, x):
    truth = x / 127.5 - 1
    span = (x - x.min()) / (x.max() - x.min())
    deviation = (x - x.mean()) / x.std(), (x - x.mean()) / x.std(correction=0)
    by_statistics = (
        "this scales by mean and deviation, and white becomes"
        " {:.2f}. A generator that ends in tanh never draws above 1."
        " Use the ends of the range, 0 and 255, not the statistics of the pixels"
    )
    by_ends = (
        "this stretches the darkest and the brightest pixel at hand to the ends of the range."
        " Black is 0 and white is 255, whether they occur or not"
    )
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
        (-truth, "this is a negative: black, which is 0, should become -1, and white 1"),
        (x / 128 - 1, "white becomes 0.992. The middle of 0 and 255 is 127.5"),
        (
            x - 127.5,
            "the middle is at 0 now. What is missing is the width: white is 127.5 and should be 1",
        ),
        (x / 127.5, "this gives 0 to 2: the width is right, and the range begins 1 too high"),
        (2 * span - 1, by_ends),
        (span, by_ends),
        (2 * x / x.max() - 1, by_ends),
        (x / x.max(), by_ends),
        *((d, by_statistics.format((255 - x.mean()) / x.std())) for d in deviation),
        ((x / 255 - 0.1307) / 0.3081, by_statistics.format((1 - 0.1307) / 0.3081)),
    ):
        require(not near(found, wrong, rtol=0, atol=1e-3), message)
    require(
        found.isfinite().all(),
        "some of the results are not finite: a pixel becomes a number from -1 to 1",
    )
    require(
        found.unique().numel() > 10,
        "shades of grey are lost: don't round, and divide with / rather than //",
    )
    k = (found - truth).abs().argmax()
    same(
        found,
        truth,
        f"{x.flatten()[k]:.0f} became {found.flatten()[k]:.3g} and should be"
        f" {truth.flatten()[k]:.3g}: a straight line through 0 at -1 and 255 at 1",
        atol=1e-3,
    )
