"""The layers that the playground shows in the plane."""

import numpy as np
import torch

from ganbook.device import DEVICE
from ganbook.guards import kept_random_state
from ganbook.playground.board import LAYERS, SAMPLES, Board
from ganbook.plotting import array

ARROWS = 64
CELLS = 48  # along a side of D's surface
LINES = 17  # of the latent grid, each way
EMPTY = np.zeros(0, np.float32)


@torch.no_grad()
def layers(board: Board) -> dict[str, np.ndarray]:
    """The layers of the plane by name; surface, arrows and lattice are empty when off.

    real, fake: points (N, 2). surface: D's logits (CELLS^2,), rows from the bottom up.
    arrows: (ARROWS, 2), minus the gradient of the generator's loss at the first fakes.
    lattice: (LINES^2, 2), where G maps the latent plane from -2 to 2, row by row.
    The game's random numbers are not changed.
    """
    on, gan = board.settings["layers"], board.gan
    shown = dict.fromkeys(LAYERS, EMPTY)
    shown["real"] = board.real
    z = board.latents[:SAMPLES]
    if gan.latent == 2:
        line = torch.linspace(-2, 2, LINES, device=DEVICE)
        z = torch.cat([z, torch.cartesian_prod(line, line)])
    points = gan.decode(z, batch=len(z))
    fake = points[:SAMPLES]
    shown["fake"] = array(fake)
    if "lattice" in on and gan.latent == 2:
        shown["lattice"] = array(points[SAMPLES:])
    gan.discriminator.eval()
    try:
        if "surface" in on:
            shown["surface"] = array(gan.discriminator(_cell_middles(board.window)))
        if "arrows" in on and board.batches is not None and not board.error:
            shown["arrows"] = _pull_on(fake[:ARROWS], board)
    finally:
        gan.discriminator.train()
    return shown


def _cell_middles(window) -> torch.Tensor:
    x, y, half = window
    line = (torch.arange(CELLS, device=DEVICE) + 0.5) * (2 * half / CELLS) - half
    rows, columns = torch.meshgrid(line + y, line + x, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], 1)


def _pull_on(fake: torch.Tensor, board: Board) -> np.ndarray:
    gan = board.gan
    with board.stopped_by_errors(), torch.enable_grad(), kept_random_state():
        fake = fake.clone().requires_grad_()
        real_logits = None
        if gan.loss.paired:
            rows = torch.arange(len(fake)) % len(board.real)
            with torch.no_grad():
                real_logits = gan.discriminator(torch.as_tensor(board.real[rows]).to(DEVICE))
        loss = gan.loss.g(real_logits, gan.discriminator(fake))
        return -array(torch.autograd.grad(loss.sum(), fake)[0])
    return EMPTY
