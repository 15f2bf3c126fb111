"""ganbook.plotting: where each pixel goes, and that a live view stays one picture."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from ganbook import plotting  # noqa: E402
from ganbook.device import DEVICE  # noqa: E402
from ganbook.plotting import View, show_images, show_points, tile  # noqa: E402


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def numbered(n, channels=1, height=2, width=3):
    """n images whose pixels, as bytes, are 10 * image + 100 * channel: told apart wherever they
    land."""
    values = (
        10.0 * torch.arange(n)[:, None, None, None]
        + 100.0 * torch.arange(channels)[None, :, None, None]
    )
    return (values.expand(n, channels, height, width) / 127.5 - 1).to(DEVICE)


# ---- Tiles


def test_images_lie_in_rows_with_a_white_line_between_them():
    picture = tile(numbered(5), columns=2)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [
        [0, 0, 0, 255, 10, 10, 10],
        [0, 0, 0, 255, 10, 10, 10],
        [255] * 7,
        [20, 20, 20, 255, 30, 30, 30],
        [20, 20, 20, 255, 30, 30, 30],
        [255] * 7,
        [40, 40, 40, 255, 255, 255, 255],
        [40, 40, 40, 255, 255, 255, 255],
    ]


def test_an_image_is_neither_turned_nor_mirrored():
    image = torch.tensor([[-1.0, -0.5, 0.0], [0.5, 0.8, 1.0]])
    assert tile(image[None, None]).tolist() == [[0, 64, 128], [191, 230, 255]]


def test_colours_stay_in_their_channels():
    picture = tile(numbered(3, channels=3), columns=3)
    assert picture.shape == (2, 11, 3)
    assert picture[0, 0].tolist() == [0, 100, 200]
    assert picture[1, 4].tolist() == [10, 110, 210]
    assert picture[0, 3].tolist() == [255, 255, 255]


def test_transparent_images_are_laid_on_grey():
    image = torch.tensor(
        [[1.0, 1.0, 1.0, 9.0], [-1.0, -1.0, -1.0, 9.0], [0.2, 0.2, 0.2, 9.0], [1, 0.0, -1.0, 9.0]]
    ).view(1, 4, 1, 4)  # red, green, blue and how opaque, of four pixels
    assert tile(image).tolist() == [[[255, 0, 153], [191, 64, 140], [128, 128, 128], [255] * 3]]
    pair = tile(image.expand(2, 4, 1, 4), columns=2)
    assert pair.shape == (1, 9, 3) and pair[0, 4].tolist() == [255] * 3  # the line stays white
    assert show_images(image).images[0].get_array().shape == (1, 4, 3)


def test_few_images_make_a_narrow_picture():
    assert tile(numbered(3), columns=10).shape == (2, 3 * 4 - 1)
    assert tile(numbered(1), columns=10).shape == (2, 3)
    assert tile(numbered(20), columns=10).shape == (2 * 3 - 1, 10 * 4 - 1)


def test_values_out_of_range_are_cut_off_and_not_wrapped():
    assert tile(torch.tensor([-3.0, 5.0]).reshape(1, 1, 1, 2)).tolist() == [[0, 255]]


def test_tiles_take_arrays_and_any_precision():
    images = numbered(4)
    expected = tile(images)
    assert np.array_equal(tile(images.cpu().numpy()), expected)
    assert np.array_equal(tile(images.double().cpu().requires_grad_()), expected)
    assert tile(images.bfloat16()).shape == expected.shape


@pytest.mark.parametrize(
    "shape", [(28, 28), (1, 28, 28), (5, 2, 4, 4), (5, 28, 28, 1), (5, 5, 4, 3)]
)
def test_what_is_no_set_of_images_is_refused(shape):
    with pytest.raises(ValueError, match=r"images must have the shape \(N, 1, 3 or 4, H, W\)"):
        tile(torch.zeros(shape))


def test_a_tensor_of_any_kind_becomes_an_array():
    assert plotting.array(torch.ones(2, dtype=torch.bfloat16, requires_grad=True)).tolist() == [
        1.0,
        1.0,
    ]
    assert plotting.array([1, 2]).tolist() == [1, 2]


# ---- Pictures


def test_show_images_draws_the_tiles_in_true_greys():
    ax = show_images(numbered(4), columns=2, title="four")
    (drawn,) = ax.images
    assert np.array_equal(drawn.get_array(), tile(numbered(4), columns=2))
    (mid_grey,) = show_images(numbered(1) + 0.5).images
    assert drawn.get_clim() == mid_grey.get_clim() == (0, 255)
    assert ax.get_title(loc="left") == "four" and not ax.axison
    _, given = plt.subplots()
    assert show_images(numbered(1), ax=given) is given


def test_real_and_fake_points_are_told_apart_without_colour_too():
    real, fake = torch.randn(5, 2, device=DEVICE), torch.randn(7, 2, device=DEVICE)
    ax = show_points(real, fake, limit=3)
    dots, crosses = ax.collections
    assert np.allclose(dots.get_offsets(), real.cpu()) and np.allclose(
        crosses.get_offsets(), fake.cpu()
    )
    assert matplotlib.colors.to_hex(dots.get_edgecolor()[0]) == plotting.REAL
    assert matplotlib.colors.to_hex(crosses.get_edgecolor()[0]) == plotting.FAKE
    assert len(dots.get_paths()[0].vertices) != len(crosses.get_paths()[0].vertices)
    assert ax.get_xlim() == ax.get_ylim() == (-3, 3)
    assert len(show_points(fake=fake).collections) == 1


def test_a_line_is_labelled_at_its_end_in_its_colour():
    _, ax = plt.subplots()
    (line,) = ax.plot([0, 1, 2], [5, 6, 7], **plotting.CRITIC_LINE)
    plotting.label_line(line, "the critic")
    plotting.label_line(line, "half way", at=0.5)
    assert [text.xy for text in ax.texts] == [(2, 7), (1, 6)]
    assert {text.get_color() for text in ax.texts} == {plotting.CRITIC}


def test_the_style_is_the_courses():
    with matplotlib.rc_context():
        plotting.use_style()
        colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        assert colours[:3] == [plotting.REAL, plotting.FAKE, plotting.CRITIC]
        assert plt.rcParams["figure.dpi"] <= 100


# ---- Live views


@pytest.fixture
def screen(monkeypatch):
    """Stands in for the notebook: a list of what was displayed and of what was put in its place."""
    shown = []

    class Handle:
        def update(self, figure):
            shown.append(("update", figure))

    def display(figure, display_id):
        assert display_id is True
        shown.append(("display", figure))
        return Handle()

    monkeypatch.setattr(plotting, "display", display)
    return shown


def test_a_view_is_displayed_once_and_then_refreshed_in_place(screen):
    view = View(columns=2)
    for k in range(3):
        view.show(numbered(4) + 0.1 * k, title=f"step {k}")
        (ax,) = view.figure.axes
        (drawn,) = ax.images
        assert np.array_equal(drawn.get_array(), tile(numbered(4) + 0.1 * k, columns=2))
        assert ax.get_title(loc="left") == f"step {k}"
    assert [what for what, _ in screen] == ["display", "update", "update"]
    assert {id(figure) for _, figure in screen} == {id(view.figure)}


def test_a_view_leaves_no_figure_for_the_cell_to_show_again(screen):
    View().show(numbered(3))
    assert plt.get_fignums() == []


def test_a_views_figure_has_the_shape_of_its_picture(screen):
    view = View(columns=6)
    view.show(numbered(12, height=28, width=28))
    width, height = view.figure.get_size_inches()
    assert height - 0.3 == pytest.approx(width * (2 * 29 - 1) / (6 * 29 - 1))


def test_points_are_shown_over_the_real_ones(screen):
    real, fake = torch.randn(50, 2), torch.randn(20, 2)
    view = View(real)
    for _ in range(2):
        view.show(fake, title="points")
        (ax,) = view.figure.axes
        assert [len(points.get_offsets()) for points in ax.collections] == [50, 20]
        assert ax.get_title(loc="left") == "points"
    assert view.figure.get_size_inches().tolist() == pytest.approx([4, 4.3])


def test_a_view_says_what_it_can_not_show(screen):
    with pytest.raises(ValueError, match="images must have the shape"):
        View().show(torch.zeros(3, 2, 4, 4))
    assert screen == []
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("images", "columns", "message"),
    [
        (torch.zeros(0, 1, 4, 4), 3, "one image and one column"),
        (torch.zeros(2, 1, 4, 4), 0, "one image and one column"),
        (torch.full((2, 1, 4, 4), 255, dtype=torch.uint8), 2, "reach 255"),
    ],
)
def test_what_makes_no_grid_is_refused(images, columns, message):
    with pytest.raises(ValueError, match=message):
        plotting.tile(images, columns)
