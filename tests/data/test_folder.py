"""data.folder: pictures of every size and mode become images, and what is wrong is named."""

import io
import os
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import tqdm.auto
from PIL import Image

from ganbook import GAN, data, networks
from ganbook.data.folder import _SUFFIXES

RED, GREEN, BLUE = (200, 30, 40), (30, 200, 40), (20, 60, 220)


def save(file: Path, color=RED, size=(8, 8), mode="RGB", **options) -> Path:
    """A picture of one colour."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(file, **options)
    return file


def scaled(pixels) -> torch.Tensor:
    return torch.as_tensor(np.array(pixels)).float().div(127.5).sub(1)


def pixels_of(images: data.Images) -> np.ndarray:
    """Bytes (N, H, W, C)."""
    return ((images.images.cpu() + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def test_a_class_is_a_folder_and_all_is_in_the_order_of_names(tmp_path):
    save(tmp_path / "dog" / "bb.png", BLUE)
    save(tmp_path / "dog" / "a.png", GREEN)
    save(tmp_path / "cat" / "deep" / "down" / "z.png", RED)
    save(tmp_path / "cat" / "A.PNG", BLUE)
    for nothing in ("cat/.hidden.png", ".trash/x.png", "cat/.cache/x.png", "dog/notes.txt", "x.md"):
        (tmp_path / nothing).parent.mkdir(exist_ok=True)
        (tmp_path / nothing).write_text("no picture")
    (tmp_path / "empty").mkdir()
    pictures = data.folder(tmp_path, size=8)
    assert pictures.classes == ("cat", "dog") and pictures.labels.tolist() == [0, 0, 1, 1]
    assert [tuple(p) for p in pixels_of(pictures)[:, 3, 3]] == [BLUE, RED, GREEN, BLUE]
    assert pictures.images.shape == (4, 3, 8, 8)
    again = data.folder(str(tmp_path), 8)
    assert torch.equal(again.images, pictures.images) and torch.equal(again.labels, pictures.labels)


def test_pictures_without_folders_have_no_labels(tmp_path, monkeypatch):
    save(tmp_path / "pictures" / "a.jpg", RED, quality=100)
    save(tmp_path / "pictures" / "b.gif", GREEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    pictures = data.folder("~/pictures", 8)
    assert pictures.labels is None and pictures.classes == () and len(pictures) == 2
    assert np.abs(pixels_of(pictures)[:, 0, 0].astype(int) - (RED, GREEN)).max() <= 2


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (41, 20)])
def test_the_middle_square_is_kept(tmp_path, size):
    """Red in the middle, blue on both sides."""
    array = np.full((size[1], size[0], 3), BLUE, np.uint8)
    across, down = ((length - 20) // 2 for length in size)
    array[down : down + 20, across : across + 20] = RED
    Image.fromarray(array).save(tmp_path / "a.png")
    assert (pixels_of(data.folder(tmp_path, 10)) == RED).all()


def test_a_square_of_the_right_size_is_not_changed(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    for number, pixels in enumerate(array):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    pictures = data.folder(tmp_path, 16)
    assert np.array_equal(pixels_of(pictures), array)
    assert torch.equal(pictures.images.cpu(), scaled(array).permute(0, 3, 1, 2))


def test_large_and_small_ones_are_scaled_as_pillow_does(tmp_path):
    """A ramp stays a ramp; a chess board of single pixels becomes grey and is not thinned out."""
    ramp = np.tile(np.linspace(0, 255, 200).round().astype(np.uint8), (200, 1))
    board = np.indices((200, 200)).sum(0).astype(np.uint8) % 2 * 255
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=98)
    Image.fromarray(board).save(tmp_path / "b.png")
    save(tmp_path / "c.png", 90, (1, 1), "L")
    pictures = pixels_of(data.folder(tmp_path, 10))[..., 0].astype(int)
    assert np.abs(pictures[0] - np.linspace(11, 244, 10)).max() <= 4
    assert np.abs(pictures[1] - 128).max() <= 3 and (pictures[2] == 90).all()


def test_a_large_photograph_is_decoded_smaller_and_loses_nothing_by_it(tmp_path):
    wave = np.sin(np.arange(400) * 2 * np.pi / 16)  # four pixels long when it is 100 wide
    array = (128 + 60 * wave[:, None] * wave).round().astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "a.jpg", quality=98)
    exact = Image.fromarray(array).resize((100, 100), Image.Resampling.LANCZOS)
    found = pixels_of(data.folder(tmp_path, 100))[0, :, :, 0].astype(int)
    assert np.abs(found - np.asarray(exact)).max() <= 8


def palette(transparent) -> Image.Image:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, *RED])
    if transparent:
        picture.info["transparency"] = 1
    return picture


@pytest.mark.parametrize(
    ("picture", "suffix", "shown"),
    [
        (Image.new("1", (8, 8), 1), "png", (255,)),
        (Image.new("L", (8, 8), 77), "png", (77,)),
        (Image.new("L", (8, 8), 77), "jpg", (77,)),
        (Image.new("RGB", (8, 8), (77, 77, 77)), "png", (77,)),
        (Image.new("LA", (8, 8), (77, 255)), "png", (77,)),
        (Image.new("LA", (8, 8), (77, 100)), "png", (77, 77, 77, 100)),
        (Image.new("RGB", (8, 8), RED), "png", RED),
        (Image.new("RGBA", (8, 8), (*RED, 255)), "png", RED),
        (Image.new("RGBA", (8, 8), (*RED, 100)), "png", (*RED, 100)),
        (Image.new("RGBA", (8, 8), (*RED, 100)), "webp", None),
        (palette(False), "png", RED),
        (palette(True), "png", (0, 0, 0, 0)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpg", (255, 0, 0)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "tif", (255, 0, 0)),
        (Image.new("YCbCr", (8, 8), (128, 128, 128)), "jpg", (128,)),
        (Image.fromarray(np.full((8, 8), 0, np.uint16)), "png", (0,)),
        (Image.fromarray(np.full((8, 8), 65535, np.uint16)), "png", (255,)),
        (Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)), "png", (100,)),
        (Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)), "tif", (100,)),
        (Image.fromarray(np.full((8, 8), 100 * 257, np.int32)), "tif", (100,)),
    ],
    ids=range(20),  # in place of addresses, which change
)
def test_every_mode_has_its_colour(tmp_path, picture, suffix, shown):
    picture.save(tmp_path / f"a.{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pixels_of(data.folder(tmp_path, 4))
    if shown is None:  # WebP changes the colour under what is transparent
        assert found.shape == (1, 4, 4, 4) and (found[..., 3] == 100).all()
        return
    assert found.shape == (1, 4, 4, len(shown))
    assert np.abs(found.astype(int) - shown).max() <= 2


def test_a_photograph_stands_as_its_exif_says(tmp_path):
    array = np.full((16, 16, 3), BLUE, np.uint8)
    array[:8] = RED
    exif = Image.Exif()
    for turned in range(1, 9):
        exif[0x0112] = turned
        Image.fromarray(array).save(tmp_path / f"{turned}.png", exif=exif)
    found = pixels_of(data.folder(tmp_path, 16))
    top = [(image[:4] == RED).all() for image in found]
    bottom = [(image[-4:] == RED).all() for image in found]
    left = [(image[:, :4] == RED).all() for image in found]
    right = [(image[:, -4:] == RED).all() for image in found]
    # As the standard has it: where the first row of the file belongs.
    expected = [top, top, bottom, bottom, left, right, right, left]
    assert [bool(side[i]) for i, side in enumerate(expected)] == [True] * 8
    assert sum(map(sum, (top, bottom, left, right))) == 8


@pytest.mark.parametrize(
    ("colors", "channels"),
    [
        ([(77, 77, 77, 255), (3, 3, 3, 255)], 1),
        ([(77, 77, 77, 255), (*RED, 255)], 3),
        ([(77, 77, 77, 255), (77, 77, 76, 255)], 3),
        ([(77, 77, 77, 255), (77, 77, 77, 254)], 4),
        ([(*GREEN, 255), (*RED, 0)], 4),
    ],
)
def test_channels_are_as_many_as_the_pictures_need(tmp_path, colors, channels):
    for number, color in enumerate(colors):
        save(tmp_path / f"{number}.png", color, mode="RGBA")
    assert data.folder(tmp_path, 8).images.shape == (2, channels, 8, 8)
    for asked in (1, 3, 4):
        assert data.folder(tmp_path, 8, channels=asked).images.shape == (2, asked, 8, 8)


def test_where_no_transparency_is_wanted_pictures_are_laid_on_white(tmp_path):
    save(tmp_path / "a.png", (0, 0, 0, 0), mode="RGBA")
    save(tmp_path / "b.png", (200, 100, 0, 128), mode="RGBA")
    save(tmp_path / "c.png", 77, mode="L")
    found = pixels_of(data.folder(tmp_path, 4, channels=3)).astype(int)
    expected = np.array([[255, 255, 255], [227, 177, 127], [77, 77, 77]])
    assert np.abs(found - expected[:, None, None]).max() <= 1
    grey = pixels_of(data.folder(tmp_path, 4, channels=1))[:, 0, 0, 0].astype(int)
    assert np.abs(grey - [255, 186, 77]).max() <= 1


def damaged(file: Path, how: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file)
    content = bytearray(file.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 1
    file.write_bytes(
        {"cut": content[:-2000], "flipped": content, "text": b"<html>404</html>", "empty": b""}[how]
    )


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("broken.png", "cut"),
        ("broken.png", "flipped"),
        ("broken.png", "text"),
        ("broken.jpg", "cut"),
        ("broken.jpg", "text"),
        ("broken.jpg", "empty"),
        ("broken.tif", "cut"),
    ],
)
def test_the_picture_that_can_not_be_read_is_named(tmp_path, name, how):
    save(tmp_path / "a.png")
    damaged(tmp_path / name, how)
    message = f"{name} can't be read as a picture: .*[^.]. Repair it, or take it out of the folder"
    with pytest.raises(data.DataError, match=message):
        data.folder(tmp_path, 8)


def test_what_phones_write_is_not_left_out_without_a_word(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(data.DataError, match="IMG_1.HEIC .* a format that Pillow does not know"):
        data.folder(tmp_path, 8)


@pytest.mark.parametrize("value", [0.5, 200, 1e6])
def test_pixels_of_no_known_range_are_refused(tmp_path, value):
    kind = np.float32 if value < 1 else np.int32
    Image.fromarray(np.full((8, 8), value, kind)).save(tmp_path / "a.tif")
    with pytest.raises(data.DataError, match="a.tif .*so the value of white is unknown"):
        data.folder(tmp_path, 8)


def test_folders_that_hold_no_set_are_named(tmp_path):
    with pytest.raises(data.DataError, match="missing' does not exist"):
        data.folder(tmp_path / "missing", 8)
    picture = save(tmp_path / "a.png")
    with pytest.raises(data.DataError, match="a.png' is a file: give the folder that it lies in"):
        data.folder(picture, 8)
    save(tmp_path / "cat" / "b.png")
    save(tmp_path / "cat" / "c.png")
    with pytest.raises(data.DataError, match=r"1 pictures beside folders of pictures \(cat\)"):
        data.folder(tmp_path, 8)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("")
    with pytest.raises(data.DataError, match="notes holds no pictures, such as .png or .jpg"):
        data.folder(tmp_path / "notes", 8)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_class_may_be_a_link_and_no_link_is_endless(tmp_path):
    save(tmp_path / "disk" / "a.png")
    (tmp_path / "disk" / "again").symlink_to(tmp_path / "disk")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat").symlink_to(tmp_path / "disk")
    pictures = data.folder(tmp_path / "pictures", 8)
    assert pictures.classes == ("cat",) and len(pictures) == 1


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_linked_folder_within_a_class_is_followed_once(tmp_path):
    save(tmp_path / "disk" / "a.png", RED)
    save(tmp_path / "pictures" / "cat" / "b.png", GREEN)
    for name in ("first", "second"):
        (tmp_path / "pictures" / "cat" / name).symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "up").symlink_to(tmp_path / "pictures" / "cat")
    pictures = data.folder(tmp_path / "pictures", 8)
    assert len(pictures) == 2 and pictures.classes == ("cat",)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_that_leads_nowhere_and_is_no_picture_is_left_out(tmp_path):
    save(tmp_path / "cat" / "a.png")
    (tmp_path / "LICENSE.txt").symlink_to(tmp_path / "missing")
    (tmp_path / "cat" / "notes.md").symlink_to(tmp_path / "missing")
    assert len(data.folder(tmp_path, 8)) == 1


def test_a_file_that_is_deleted_meanwhile_is_not_called_a_link(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: [*listed(path), "gone.png"])
    assert len(data.folder(tmp_path, 8)) == 1


def test_thumbnails_of_a_disk_are_left_out(tmp_path):
    for folder in ("flat", "deep", "deep/cat"):
        save(tmp_path / folder / "@eaDir" / "a.png" / "SYNOPHOTO_THUMB_M.png")
    for folder in ("flat", "deep/cat"):
        save(tmp_path / folder / "a.png")
    flat, deep = (data.folder(tmp_path / name, 8) for name in ("flat", "deep"))
    assert len(flat) == len(deep) == 1 and flat.classes == () and deep.classes == ("cat",)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "I/O")])
def test_a_picture_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch, error):
    save(tmp_path / "a.png")

    def refused(*_, **__):
        raise error

    monkeypatch.setattr(Image, "open", refused)
    with pytest.raises(data.DataError, match=rf"a.png can't be read: {error.strerror}$"):
        data.folder(tmp_path, 8)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
@pytest.mark.parametrize("link", ["b.png", "cat", "dog/b.png", "dog/more"])
def test_a_link_that_leads_nowhere_is_named(tmp_path, link):
    save(tmp_path / "dog" / "a.png")
    (tmp_path / link).symlink_to(tmp_path / "missing")
    with pytest.raises(data.DataError, match=f"{link} is a broken link: repair it"):
        data.folder(tmp_path, 8)


def test_a_folder_that_can_be_listed_and_not_entered_is_named(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    real = os.stat

    def refused(path, **options):
        if Path(path).name == "a.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", refused)
    with pytest.raises(data.DataError, match="a.png can't be read: Permission denied"):
        data.folder(tmp_path, 8)


def test_the_suffixes_are_in_the_docstring_and_others_left_out(tmp_path):
    words = set(data.folder.__doc__.replace(";", " ").split())
    assert {word for word in words if word.startswith(".")} - {"."} - {"`.classes`"} == _SUFFIXES
    for suffix in ("mpo", "apng", "jpx", "psd"):
        name = {"mpo": "JPEG", "apng": "PNG", "jpx": "JPEG2000", "psd": "PNG"}[suffix]
        save(tmp_path / f"a.{suffix}", format=name)
    (tmp_path / "a.dng").write_bytes(b"raw")
    assert len(data.folder(tmp_path, 8)) == 4


def test_a_lack_of_memory_blames_no_picture(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="size=100000000: not enough memory for 1 pictures"):
        data.folder(tmp_path, 10**8)

    def full(picture):
        raise MemoryError

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", full)
    with pytest.raises(MemoryError):
        data.folder(tmp_path, 8)


@pytest.mark.parametrize("limit", [10, 40, None])
def test_a_picture_may_be_larger_than_pillows_limit(tmp_path, monkeypatch, limit):
    """Above the limit Pillow warns, above twice the limit it refuses."""
    save(tmp_path / "a.png")
    save(tmp_path / "b.jpg", size=(64, 64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(data.folder(tmp_path, 8)) == 2
    assert Image.MAX_IMAGE_PIXELS == limit
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(data.DataError):
        data.folder(tmp_path, 8)
    assert Image.MAX_IMAGE_PIXELS == limit


def test_a_picture_that_would_fill_the_memory_is_one_sentence(tmp_path, monkeypatch):
    save(tmp_path / "a.jpg", size=(640, 640))  # decoded smaller
    monkeypatch.setitem(data.folder.__globals__, "_MOST_PIXELS", 160 * 160)
    data.folder(tmp_path, 8)
    save(tmp_path / "b.png", size=(161, 160))
    with pytest.raises(data.DataError, match="b.png can't .* 161 x 160 pixels are too many: scale"):
        data.folder(tmp_path, 8)


def test_pictures_of_16_bits_that_use_few_of_them_are_warned_of(tmp_path):
    for name, values in {"a": (0, 4095), "b": (0, 300)}.items():
        array = np.resize(np.array(values, np.uint16), (8, 8))
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    with pytest.warns(UserWarning, match=r"16 bits \(2, .*a.png\) is above 4095") as caught:
        data.folder(tmp_path, 8)
    assert {warning.filename for warning in caught} == {__file__}
    Image.fromarray(np.full((8, 8), 60000, np.uint16)).save(tmp_path / "c.png")
    with warnings.catch_warnings():  # among bright ones it is a dark picture
        warnings.simplefilter("error")
        data.folder(tmp_path, 8)


@pytest.mark.parametrize(("value", "dark"), [(10000, True), (2**14 - 1, True), (20000, False)])
def test_a_quarter_of_16_bits_is_enough(tmp_path, value, dark):
    array = np.resize(np.array((0, value), np.uint16), (8, 8))
    Image.fromarray(array).save(tmp_path / "a.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.folder(tmp_path, 8)
    assert [f"is above {value}" in str(warning.message) for warning in caught] == [True] * dark


def tiff_of_16_bits(values, order: str, white_is_zero: bool) -> bytes:
    """One strip without compression; order: "<" or ">"."""
    height, width = values.shape
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 0 if white_is_zero else 1}
    tags |= {273: 8, 277: 1, 278: height, 279: values.nbytes}
    pixels = values.astype(f"{order}u2").tobytes()
    entries = b"".join(
        struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items()
    )
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(pixels))
    return head + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("order", "white_is_zero"),
    [("<", False), (">", False), ("<", True)],  # the fourth is unknown to Pillow
)
def test_a_tiff_of_16_bits_is_read_in_both_orders_and_senses(tmp_path, order, white_is_zero):
    ramp = np.tile(np.array([3598, 40092, 61937], np.uint16), (3, 1))  # 257 times 14, 156, 241
    stored = 65535 - ramp if white_is_zero else ramp
    (tmp_path / "a.tif").write_bytes(tiff_of_16_bits(stored, order, white_is_zero))
    assert pixels_of(data.folder(tmp_path, 3))[0, 0, :, 0].tolist() == [14, 156, 241]


def test_the_warning_of_the_range_points_at_the_readers_line(tmp_path):
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "mask.png")
    with pytest.warns(UserWarning, match="black is 0 .*: multiply them by 255") as caught:
        data.folder(tmp_path, 8)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_folder_without_a_name_is_refused(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="the path is empty: give the name of a folder"):
        data.folder("", 8)
    assert len(data.folder(".", 8)) == 1


def test_a_folder_that_can_not_be_listed_is_named(tmp_path, monkeypatch):
    save(tmp_path / "cat" / "a.png")
    scandir = os.scandir

    def refused(path):
        if Path(path).name == "cat":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(data.DataError, match="cat can't be read: Permission denied"):
        data.folder(tmp_path, 8)
    monkeypatch.setattr(os, "listdir", refused)
    with pytest.raises(data.DataError, match="cat can't be read: Permission denied"):
        data.folder(tmp_path / "cat", 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size=0: it must be a whole number, 1 or more"),
        ({"size": (8, 8)}, r"size=\(8, 8\): it must be a whole number"),
        ({"size": 8, "channels": 2}, "channels=2: it must be one of None, 1, 3, 4"),
        ({"size": 8, "channels": True}, "channels=True: it must be a whole number"),
        ({"size": 8, "channels": 3.0}, "channels=3.0: it must be a whole number"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        data.folder(tmp_path, **arguments)


def test_a_bar_counts_the_pictures(tmp_path, monkeypatch):
    counted = []

    def bar(files, **options):
        counted.append((len(files), options["delay"]))
        return iter(files)

    monkeypatch.setattr("tqdm.auto.tqdm", bar)
    for number in range(5):
        save(tmp_path / f"{number}.png", mode="L", color=50 * number)
    assert len(data.folder(tmp_path, 8)) == 5 and counted == [(5, 1)]


def test_the_bar_is_gone_when_the_pictures_are_there(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown, real = Terminal(), tqdm.auto.tqdm
    at_once = {"file": shown, "disable": False, "ncols": 60, "mininterval": 0, "delay": 0}
    monkeypatch.setattr("tqdm.auto.tqdm", lambda files, **given: real(files, **given | at_once))
    for number in range(3):
        save(tmp_path / f"{number}.png", mode="L", color=50 * number)
    data.folder(tmp_path, 8)
    assert "Pictures" in shown.getvalue() and "3/3" in shown.getvalue()
    left = shown.getvalue().rstrip("\r").split("\r")[-1]
    assert not left.strip()  # blanks over the bar


def test_a_gan_trains_on_a_folder(tmp_path):
    for label, color in {"red": RED, "green": GREEN}.items():
        for number in range(6):
            save(tmp_path / label / f"{number}.png", color, (20 + number, 24))
    pictures = data.folder(tmp_path, size=16)
    gan = GAN(*networks.mlp(shape=pictures.images.shape[1:], latent=4, width=8), seed=0)
    steps = list(gan.train(pictures.batches(8), steps=3))
    assert len(steps) == 3 and gan.sample(2).shape == (2, 3, 16, 16)
