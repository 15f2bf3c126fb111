"""What chapter 4 promises beyond its own cells: other data in one line, one recipe for all."""

import sys
from pathlib import Path

import jupytext
import pytest
import torch

from ganbook import GAN, data, losses, networks, penalties, plotting
from ganbook.schedules import falling

ROOT = Path(__file__).parents[1]
CELLS = [
    cell.source
    for cell in jupytext.read(ROOT / "sources/04_dcgan.md").cells
    if cell.cell_type == "code"
]


def cell(text: str) -> str:
    """The one code cell of the chapter's source that holds `text`."""
    (found,) = [code for code in CELLS if text in code]
    return found


def recipe() -> dict:
    names = {"losses": losses, "penalties": penalties, "falling": falling}
    exec(cell("recipe = dict(").split("channels, size")[0], names)
    return names["recipe"]


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("data.mnist()", (1, 28, 28)),
        ("data.fashion_mnist()", (1, 28, 28)),
        ("data.cifar10()", (3, 32, 32)),
        ("data.Images(pixels)", (3, 64, 64)),
    ],
)
def test_another_data_set_is_one_line_away(line, shape, monkeypatch):
    pixels = torch.randint(0, 256, (80, *shape), dtype=torch.uint8)
    for name in ("mnist", "fashion_mnist", "cifar10"):
        monkeypatch.setattr(data, name, lambda: data.Images(pixels))
    shown = []
    monkeypatch.setattr(plotting.View, "show", lambda self, images, title: shown.append(images))
    code = cell("pictures = data.digits()").replace("data.digits()", line)
    assert line in (ROOT / "sources/04_dcgan.md").read_text()
    names = {
        "GAN": GAN,
        "data": data,
        "networks": networks,
        "plotting": plotting,
        "recipe": recipe(),
        "pixels": pixels,
    }
    exec(code.replace("% 100", "% 2"), {**names, "budget": lambda cpu, cuda: 2})
    assert [tuple(images.shape) for images in shown] == [(24, *shape)]


def test_the_benchmarks_play_the_game_of_the_chapter(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.delitem(sys.modules, "dcgan", raising=False)
    from dcgan import course_game

    measured, _ = course_game(seed=0, steps=10)
    shown = GAN(*networks.dcgan(latent=12), **recipe(), seed=0)
    for name in ("loss", "penalty", "lr", "betas", "average", "latent"):
        assert getattr(measured, name) == getattr(shown, name), name
    assert [turn.times for turn in measured.turns] == [turn.times for turn in shown.turns]
    assert str(measured.generator) == str(shown.generator)
    assert str(measured.discriminator) == str(shown.discriminator)
