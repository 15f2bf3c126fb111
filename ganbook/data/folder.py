"""A folder of the reader's own pictures as a set of images."""

import contextlib
import os
import stat
import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ganbook.arguments import check_choice, check_count, warn
from ganbook.data.images import Images
from ganbook.files import DataError, user_path

# What Pillow reads, and what phones write, so that those are not left out silently.
_SUFFIXES = frozenset(
    ".apng .avif .bmp .dds .dib .gif .heic .heif .icns .ico .j2c .j2k .jfif .jp2 .jpe .jpeg .jpg"
    " .jpx .mpo .pbm .pcx .pgm .png .pnm .ppm .psd .qoi .sgi .tga .tif .tiff .webp".split()
)
# More would fill the memory of a small machine: each needs about 8 bytes.
_MOST_PIXELS = 2**29


def folder(path, size: int, channels: int | None = None) -> Images:
    """Return the pictures in a folder, (N, C, size, size); each folder within it is a class.

    path: the folder. The pictures, of any size, lie in it (a set without labels) or in folders
        within it, however deep. They are the files with the suffixes .apng .avif .bmp .dds .dib
        .gif .heic .heif .icns .ico .j2c .j2k .jfif .jp2 .jpe .jpeg .jpg .jpx .mpo .pbm .pcx .pgm
        .png .pnm .ppm .psd .qoi .sgi .tga .tif .tiff .webp; others, hidden ones and the thumbnails
        in @eaDir folders are left out. Links are followed.
    size: the middle square of each picture is scaled to size x size pixels.
    channels: 1 for grey, 3 for colour, 4 with transparency; None takes 4 if a pixel is transparent,
        1 if all pictures are grey, else 3. With 1 or 3, transparent pictures are laid on white.
    Pictures and classes are in the order of their names; `.classes` are the names of the folders.
    A film, or a file of several pages, gives its first picture. In a 16-bit picture, a colour
    marked as transparent is drawn opaque.
    Raises DataError if a folder or picture can't be read, if a link leads nowhere, if there are no
    pictures, or if they lie both in the folder and in folders within it. Raises ValueError for an
    empty path, or any other size or number of channels. Warns of pixels that use little of their
    range.
    """
    from tqdm.auto import tqdm

    size = check_count("size", size)
    if channels is not None:
        channels = check_count("channels", channels)
        check_choice("channels", channels, [None, 1, 3, 4])
    try:
        files, labels, classes = _pictures(user_path(path, "folder"))
    except OSError as error:
        _refuse(error)
    try:
        pixels = np.empty((len(files), channels or 4, size, size), np.uint8)
    except (MemoryError, ValueError) as error:  # numpy counts no further than 2**63 bytes
        raise ValueError(
            f"size={size}: not enough memory for {len(files)} pictures of this size: choose a"
            " smaller size"
        ) from error
    brightest = {}  # of the pictures with 16 bits
    # The bar appears after a second.
    for i, file in enumerate(tqdm(files, desc="Pictures", unit="", delay=1, leave=False)):
        pixels[i] = _square(file, size, channels or 4, brightest)
    if 0 < max(brightest.values(), default=0) < 2**14:
        warn(
            f"no pixel of the pictures with 16 bits ({len(brightest)}, such as"
            f" {next(iter(brightest))}) is above {max(brightest.values())}, but white is 65535:"
            " scale them, unless they are meant to be so dark"
        )
    return Images(pixels[:, : channels or _channels(pixels)], labels, classes)


def _pictures(root: Path) -> tuple[list[Path], list[int] | None, list[str] | None]:
    """The files in the order of their names, their labels and the names of the classes."""
    if not root.is_dir():
        wrong = "is a file: give the folder that it lies in" if root.exists() else "does not exist"
        raise DataError(f"the folder {str(root)!r} {wrong}")
    shown = sorted(filter(_is_shown, os.listdir(root)))
    direct = [root / name for name in shown if _is_picture(root / name)]
    by_class = {name: _inside(root / name) for name in shown if (root / name).is_dir()}
    by_class = {name: found for name, found in by_class.items() if found}
    if direct and by_class:
        raise DataError(
            f"{root} holds {len(direct)} pictures beside folders of pictures"
            f" ({', '.join(list(by_class)[:3])}): put each picture into the folder of its class, or"
            " all into one folder"
        )
    if direct:
        return direct, None, None
    if not by_class:
        raise DataError(f"{root} holds no pictures, such as .png or .jpg files")
    labels = [label for label, found in enumerate(by_class.values()) for _ in found]
    return [file for found in by_class.values() for file in found], labels, list(by_class)


def _inside(folder: Path) -> list[Path]:
    """The pictures in a folder, however deep, in the order of their names."""
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = filter(_is_shown, folders)
        if os.path.realpath(parent) in seen:  # a link may lead back
            folders.clear()
            continue
        seen.add(os.path.realpath(parent))
        found += [Path(parent, name) for name in filter(_is_shown, names)]
    return sorted(filter(_is_picture, found), key=Path.as_posix)


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name != "@eaDir"  # the thumbnails of Synology's disks


def _is_picture(file: Path) -> bool:
    # A name without a suffix may be a link to a folder.
    if file.suffix and file.suffix.lower() not in _SUFFIXES:
        return False
    try:
        # Not file.is_file(), which in newer Pythons reports an unreadable file as missing.
        return stat.S_ISREG(os.stat(file).st_mode) and bool(file.suffix)
    except FileNotFoundError as error:
        if file.is_symlink():
            wrong = "is a broken link: repair it or delete it"
            raise DataError(f"{file} {wrong}") from error
        return False  # deleted a moment ago


def _refuse(error: OSError, file: Path | None = None) -> None:
    raise DataError(f"{file or error.filename} can't be read: {error.strerror}") from error


_ONE_AT_A_TIME = threading.Lock()


@contextlib.contextmanager
def _no_limit():
    """Lift Pillow's limit on pixels, a guard against malicious pictures; these are the reader's."""
    with _ONE_AT_A_TIME:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _square(file: Path, size: int, channels: int, brightest: dict[Path, int]) -> np.ndarray:
    """The middle of a picture as bytes (channels, size, size)."""
    try:
        with _no_limit(), Image.open(file) as picture:
            picture.draft(picture.mode, (2 * size, 2 * size))  # a large JPEG is decoded smaller
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValueError(
                    f"its {picture.width} x {picture.height} pixels are too many: scale it down"
                )
            whole = ImageOps.exif_transpose(picture)
            side, (width, height) = min(whole.size), whole.size
            left, top = (width - side) // 2, (height - side) // 2
            square = whole.crop((left, top, left + side, top + side))
            if square.mode.startswith(("I", "F")):
                # Pillow itself inverts 8-bit pictures whose white is 0
                # (PhotometricInterpretation).
                inverted = getattr(picture, "tag_v2", {}).get(262) == 0
                square, brightest[file] = _eight_bits(square, inverted)
            square = square.convert("RGBA")
    except MemoryError:
        raise  # the picture may be good
    except Exception as error:  # each format has its own
        if isinstance(error, OSError) and error.errno:
            _refuse(error, file)
        unknown = isinstance(error, Image.UnidentifiedImageError)
        reason = "it is damaged, or of a format that Pillow does not know" if unknown else error
        reason = f"{reason}".rstrip(".") or type(error).__name__
        raise DataError(
            f"{file} can't be read as a picture: {reason}. Repair it, or take it out of the folder"
        ) from error
    square = square.resize((size, size), Image.Resampling.LANCZOS)
    if channels < 4:
        white = Image.new("RGBA", square.size, "white")
        square = Image.alpha_composite(white, square).convert("L" if channels == 1 else "RGB")
    return np.asarray(square).reshape(size, size, channels).transpose(2, 0, 1)


def _eight_bits(picture: Image.Image, inverted: bool) -> tuple[Image.Image, int]:
    """A 16-bit picture as an 8-bit one, and its largest value before."""
    values = np.asarray(picture)
    low, high = values.min(), values.max()
    if picture.mode == "F" or low < 0 or high >= 2**16 or (picture.mode == "I" and 0 < high < 2**8):
        raise ValueError(
            "its pixels are not 8- or 16-bit integers, so the value of white is unknown"
        )
    values = np.invert(values.astype(np.uint16)) if inverted else values.astype(np.uint16)
    rounded = values // 257 + (values % 257 > 128)  # without floats, which would take 8 bytes
    return Image.fromarray(rounded.astype(np.uint8)), int(values.max())


def _channels(pixels: np.ndarray) -> int:
    """How many channels bytes (N, 4, H, W) need: 4 with transparency, 1 if all are grey, else 3."""
    if (pixels[:, 3] < 255).any():
        return 4
    grey = (pixels[:, 0] == pixels[:, 1]).all() and (pixels[:, 1] == pixels[:, 2]).all()
    return 1 if grey else 3
