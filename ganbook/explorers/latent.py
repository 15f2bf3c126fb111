"""Samples of a game of images, moved through the latent space. Chapters 4 and 6."""

import ipywidgets
import PIL.Image
import torch
from torch import nn

from ganbook.plotting import tile
from ganbook.widgets import MovingPicture, frame, slider

ENLARGE = 3  # screen pixels along the side of a pixel
STYLE = {"description_width": "6em"}


def explorer(gan, count: int = 12, directions: int = 3) -> MovingPicture:
    """Sliders that move the latents of all samples together. Chapters 4 and 6.

    gan: the game, a `GAN` of images.
    count: how many samples.
    directions: how many sliders. Each moves the latents along one of the directions that the
        generator's first dense layer stretches most, in units of z.
    "length of z" scales z, "draw" takes other samples, and a conditional game has a "label".
    Raises ValueError if the generator has no dense layer on z. Shen & Zhou 2021, closed-form
    factorisation (arXiv:2007.06600).
    """
    ways = _most_stretched(gan)

    def draw(length, sample, label=None, **moves):
        z = torch.randn(count, gan.latent, generator=torch.Generator().manual_seed(sample))
        z = z.to(ways.device)
        for way, move in zip(ways, moves.values(), strict=False):
            z = z + move * way
        picture = PIL.Image.fromarray(tile(gan.decode(z * length, label), columns=6))
        size = (ENLARGE * picture.width, ENLARGE * picture.height)
        return frame(picture.resize(size, PIL.Image.Resampling.NEAREST))

    def say(length, sample, label=None, **moves):
        moved = [
            f"{move:+.1f} along direction {k}" for k, move in enumerate(moves.values(), 1) if move
        ]
        return (
            f"{count} samples of draw {sample}{'' if label is None else f', label {label}'}: z has"
            f" {length:.1f} times its length, moved {' and '.join(moved) or 'nowhere'}."
        )

    controls = {
        "length": slider("length of z", 1.0, 0.0, 2.0),
        "sample": ipywidgets.IntSlider(0, min=0, max=99, description="draw", style=STYLE),
    }
    if gan.classes is not None:
        last = gan.classes - 1
        controls["label"] = ipywidgets.IntSlider(
            0, min=0, max=last, description="label", style=STYLE
        )
    for k in range(1, directions + 1):
        controls[f"way_{k}"] = slider(f"direction {k}", 0.0, -6.0, 6.0, 0.5)
    return MovingPicture(draw, say, **controls)


def _most_stretched(gan) -> torch.Tensor:
    """Unit directions (K, latent), in order of how much the first dense layer stretches them."""
    for layer in gan.averaged.modules():
        if isinstance(layer, nn.Linear) and layer.in_features >= gan.latent:
            weight = layer.weight[:, : gan.latent].float()
            return torch.linalg.svd(weight, full_matrices=False)[2]
    raise ValueError("explorers.latent needs a generator whose first layer is an nn.Linear on z")
