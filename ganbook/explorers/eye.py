"""Real or generated? The human eye as a measure of images. Chapter 5."""

import base64
from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganbook import metrics
from ganbook.arguments import check_count
from ganbook.plotting import OTHER, tile
from ganbook.widgets import frame

KINDS = ("real", "generated")


def explorer(
    real: torch.Tensor, fake: torch.Tensor, looks: int = 40, seconds: float = 0.5, seed: int = 0
) -> "Eye":
    """Show real and generated images for a moment each, and ask which is which. Chapter 5.

    real, fake: images (N, 1, H, W) and (M, 1, H, W) in [-1, 1], `looks` of each or more.
    looks: how many images are shown. A coin decides whether each is real.
    seconds: how long each is seen.
    seed: determines coins and images; a second round tosses and draws again.
    After the last look it says the share of wrong answers with its 95 % interval.
    Keys, with the focus on it: Space starts, R or the left arrow says "real", G or the right arrow
    "generated", Escape gives the keys back to the notebook. Without a kernel 24 of the images are
    shown, with the answers below. Raises ValueError for other shapes, too few images, or seconds
    that are not above 0. After HYPE, Zhou et al. 2019 (arXiv:1904.01121), which sets no time
    limit, or one that adapts; here it is fixed.
    """
    return Eye(real, fake, looks, seconds, seed)


class Eye(anywidget.AnyWidget):
    """What `explorer` makes. `answers`: 0 for "real" and 1 for "generated", one for each look.

    Takes what `explorer` takes. truth: what each look shows, 0 or 1. line: what to do, or the
    result, in a line.
    """

    _esm = Path(__file__).with_name("eye.js")
    setup = traitlets.Dict().tag(sync=True)  # what the page needs to know once
    pixels = traitlets.Bytes().tag(sync=True)  # of all looks, in their order
    answers = traitlets.List(traitlets.Int()).tag(sync=True)
    rounds = traitlets.Int().tag(sync=True)  # the page adds 1 to begin another round
    wrong = traitlets.List(traitlets.Int()).tag(sync=True)  # which looks, once all are answered
    line = traitlets.Unicode().tag(sync=True)

    def __repr__(self) -> str:
        return f"Eye(looks={self.looks}, seed={self.seed})"

    def __init__(self, real, fake, looks: int, seconds: float, seed: int):
        self.looks, self.seed = check_count("looks", looks), seed
        if real.ndim != 4 or real.shape[1] != 1 or real.shape[1:] != fake.shape[1:]:
            raise ValueError(
                "both sets must be grey images (N, 1, H, W) of one size; got"
                f" {tuple(real.shape)} and {tuple(fake.shape)}"
            )
        if min(len(real), len(fake)) < looks:
            raise ValueError(
                f"{looks} looks need as many real and as many generated images, as a coin decides;"
                f" there are {len(real)} and {len(fake)}"
            )
        if not seconds > 0:
            raise ValueError(f"seconds={seconds!r}: it must be above 0")
        self.sets = [images.detach().cpu().float() for images in (real, fake)]
        height, width = real.shape[2:]
        super().__init__(
            setup={"looks": looks, "seconds": seconds, "height": height, "width": width}
        )
        self._deal()
        self.observe(self._deal, names="rounds")
        self.observe(self._judge, names="answers")

    def _deal(self, change=None) -> None:
        """Toss the coins and draw the images of a round."""
        rng = np.random.default_rng((self.seed, self.rounds))
        self.truth = rng.integers(2, size=self.looks)
        order = [rng.permutation(len(images)) for images in self.sets]
        self.images = torch.stack(
            [self.sets[kind][order[kind][k]] for k, kind in enumerate(self.truth)]
        )
        shown = ((self.images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        self.pixels, self.wrong, self.answers = shown.numpy().tobytes(), [], []
        self._judge()

    def answer(self, kind: str) -> None:
        """Answer the next look, as a key does: "real" or "generated".

        Raises ValueError for any other word, or after the last look.
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: it must be 'real' or 'generated'")
        if len(self.answers) >= self.looks:
            raise ValueError(f"all {self.looks} looks are answered: add 1 to `rounds` for more")
        self.answers = [*self.answers, KINDS.index(kind)]

    def _judge(self, change=None) -> None:
        done = len(self.answers)
        if done < self.looks:
            begin = f"{self.looks} images, {self.setup['seconds']:g} s each: press Space to start."
            self.line = f"Image {done + 1} of {self.looks}: real or generated?" if done else begin
            return
        answers = np.array(self.answers[: self.looks])
        missed = answers != self.truth
        self.wrong = np.flatnonzero(missed).tolist()
        fooled, doubted = (int((missed & (self.truth == kind)).sum()) for kind in (1, 0))
        fakes = int(self.truth.sum())
        low, high = metrics.share_interval(fooled + doubted, done)
        verdict = (
            "you tell them apart" if high < 0.5
            else "generated ones look more real than real ones" if low > 0.5
            else "no difference from guessing was seen"
        )  # fmt: skip
        self.line = (
            f"Wrong: {(fooled + doubted) / done:.0%} of {done}, 95 % interval {low:.0%} to"
            f" {high:.0%}: {verdict}. {fooled} of {fakes} generated ones passed for real,"
            f" {doubted} of {done - fakes} real ones for generated."
        )

    def still(self) -> bytes:
        """24 of the images, numbered, and below them which are generated: a PNG as bytes."""
        count = min(24, self.looks)
        figure = Figure(figsize=(7.4, 2.1), dpi=100, layout="none")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.01, 0.2, 0.98, 0.66))
        axes.imshow(tile(self.images[:count], 12), cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
        figure.text(0.01, 0.9, "Which of these are generated? Decide before you read on.")
        height, width = self.images.shape[2:]
        for k in range(count):
            x, y = (k % 12) * (width + 1), (k // 12) * (height + 1)
            axes.text(x + 1, y + 1, k + 1, color="white", fontsize=8, va="top")
        fakes = ", ".join(str(k + 1) for k in range(count) if self.truth[k])
        figure.text(0.01, 0.06, f"generated: {fakes or 'none'}", fontsize=8, color=OTHER)
        return frame(figure)

    def _repr_mimebundle_(self, **kwargs):
        # One output in two formats: a live page shows the widget, any other page the picture.
        made = super()._repr_mimebundle_(**kwargs)
        bundle, *metadata = made if isinstance(made, tuple) else (made,)
        bundle = {**bundle, "image/png": base64.b64encode(self.still()).decode("ascii")}
        return (bundle, *metadata) if metadata else bundle
