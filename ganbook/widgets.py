"""Interactive pictures: films, and pictures that are redrawn when a slider moves."""

import base64
import io

import anywidget
import ipywidgets
import numpy as np
import PIL.Image
import torch
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganbook.arguments import check_count


class MovingPicture(ipywidgets.VBox):
    """Controls, and below them a picture that is redrawn whenever one of them changes.

    draw: a function that takes the value of every control by its name and returns a PNG as bytes.
    say: a function that takes the same values and returns a line that says what the picture shows.
        In JupyterLab the line is the picture's alternative text too.
    controls: widgets with a `value` and a `description`.
    Without a kernel, as in a notebook on a web page, controls and picture are shown as they were
    when the cell ran.
    """

    def __init__(self, draw, say, **controls):
        self.draw, self.say, self.controls = draw, say, controls
        self.image, self.line = _image(draw(**self._values())), Line(value=say(**self._values()))
        super().__init__([_row(list(controls.values())), self.image, self.line])
        for control in controls.values():
            control.observe(self._redraw, names="value")

    def _values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _redraw(self, change) -> None:
        self.image.value = self.draw(**self._values())
        self.line.value = self.say(**self._values())

    def _repr_mimebundle_(self, **kwargs):
        still = _with_controls(list(self.controls.values()), self.image.value)
        return _with_still(super()._repr_mimebundle_(**kwargs), still)


class Line(anywidget.AnyWidget):
    """A line of text that a screen reader reads out when it changes. `value`: the text."""

    _esm = """
    export default {
      render({ model, el }) {
        const line = document.createElement("p");
        line.setAttribute("role", "status");
        line.style.margin = "2px 0";
        const show = () => { line.textContent = model.get("value"); };
        model.on("change:value", show);
        show();
        el.append(line);
      },
    };
    """
    value = traitlets.Unicode().tag(sync=True)


def slider(
    text: str, value: float, low: float, high: float, step: float = 0.1
) -> ipywidgets.FloatSlider:
    """A slider that reports its value while it moves.

    text: its label. value: where it begins. low, high: its ends.
    step: how far an arrow key moves it.
    """
    return ipywidgets.FloatSlider(
        value, min=low, max=high, step=step, description=text, readout_format=".1f",
        style={"description_width": "6em"}, layout=ipywidgets.Layout(width="26em"),
    )  # fmt: skip


def frame(picture) -> bytes:
    """A picture as a PNG, the bytes of one frame of a `film`.

    picture: a matplotlib Figure, a PIL image, the bytes of a PNG, or an array or tensor of uint8,
        (H, W) or (H, W, 3), as `plotting.tile` makes it. A figure is drawn as it looks now.
    Raises TypeError for anything else, ValueError for any other shape or for bytes that are no PNG.
    """
    if isinstance(picture, (bytes, bytearray, memoryview)):
        if bytes(picture[:8]) != b"\x89PNG\r\n\x1a\n":
            raise ValueError(f"the bytes are no PNG: they begin with {bytes(picture[:8])!r}")
        return bytes(picture)
    png = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(png, format="png")
        return png.getvalue()
    if isinstance(picture, (np.ndarray, torch.Tensor)):
        picture = _image_of_pixels(picture)
    if not isinstance(picture, PIL.Image.Image):
        raise TypeError(
            "a frame must be a Figure, a PIL image, PNG bytes or an array; got"
            f" {type(picture).__name__}"
        )
    picture.save(png, format="png")
    return png.getvalue()


def _image_of_pixels(pixels) -> PIL.Image.Image:
    pixels = pixels.cpu().numpy() if isinstance(pixels, torch.Tensor) else pixels
    grey, color = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (grey or color):
        raise ValueError(
            f"a frame must be (H, W) or (H, W, 3) of uint8; got {tuple(pixels.shape)} of"
            f" {pixels.dtype}: plotting.tile makes one from images (N, C, H, W)"
        )
    return PIL.Image.fromarray(pixels)


def film(frames, labels=None, interval: int = 150) -> "Film":
    """Play the frames recorded during training, with a play button and a slider. Chapters 2 and 3.

    frames: pictures in order, each as `frame` takes it.
    labels: one for each frame, such as "step 100"; None numbers them.
    interval: milliseconds from one frame to the next, 1 or more.
    By keyboard: Space on the button plays and pauses, arrow keys move the slider. Without a kernel
    a sheet of six frames is shown. Raises ValueError for no frames, a wrong number of labels, or
    one figure given twice, and what `frame` raises.
    """
    frames = list(frames)
    figures = [id(picture) for picture in frames if isinstance(picture, Figure)]
    if len(set(figures)) < len(figures):
        raise ValueError(
            "one figure is given several times, and all its frames would look as it does now:"
            " record each as it changes, frames.append(widgets.frame(figure))"
        )
    labels = [str(label) for label in (range(len(frames)) if labels is None else labels)]
    if not frames:
        raise ValueError("a film needs at least one frame: there are none")
    if len(labels) != len(frames):
        raise ValueError(
            f"a film needs a label for each frame; there are {len(frames)} frames and"
            f" {len(labels)} labels"
        )
    return Film([frame(picture) for picture in frames], labels, check_count("interval", interval))


class Film(ipywidgets.VBox):
    """What `film` makes. A frame is sent to the page when it is shown.

    frames: PNGs as bytes. labels: one for each. interval: milliseconds from one to the next.
    """

    def __init__(self, frames: list[bytes], labels: list[str], interval: int):
        self.frames, self.labels = frames, labels
        self.play = ipywidgets.Play(max=len(frames) - 1, interval=interval, show_repeat=True)
        self.slider = ipywidgets.SelectionSlider(
            options=[(label, k) for k, label in enumerate(labels)],
            description="frame", style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="28em", max_width="100%", margin="2px 2px 2px 12px"),
        )  # fmt: skip
        self.image = _image(frames[0])
        super().__init__([_row([self.play, self.slider]), self.image])
        # Linked in the page, so that no frame is skipped.
        ipywidgets.jslink((self.play, "value"), (self.slider, "index"))
        self.slider.observe(self._show_frame, names="index")

    def _show_frame(self, change) -> None:
        self.image.value = self.frames[change["new"]]

    def _repr_mimebundle_(self, **kwargs):
        return _with_still(
            super()._repr_mimebundle_(**kwargs), _contact_sheet(self.frames, self.labels)
        )


def _image(png: bytes) -> ipywidgets.Image:
    # At its own size, because stretching would blur it.
    layout = ipywidgets.Layout(align_self="flex-start", max_width="100%")
    return ipywidgets.Image(value=png, format="png", layout=layout)


def _row(controls: list) -> ipywidgets.Box:
    return ipywidgets.Box(controls, layout=ipywidgets.Layout(flex_flow="row wrap"))


def _with_still(bundle: dict, png: bytes) -> dict:
    """One output in two formats: a live page shows the widget, any other page the PNG.

    bundle: a widget's formats, by MIME type. png: the picture as bytes.
    """
    return {**bundle, "image/png": base64.b64encode(png).decode("ascii")}


def _with_controls(controls: list, png: bytes) -> bytes:
    """A PNG of the picture with its controls above it, as they stand.

    controls: sliders and menus. png: the picture as bytes.
    """
    picture = PIL.Image.open(io.BytesIO(png)).convert("RGB")
    rows, width = -(-len(controls) // 2), max(picture.width, 480)
    figure = Figure(figsize=(width / 100, 0.3 * rows), dpi=100, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 2), ylim=(rows, 0))
    axes.axis("off")
    for k, control in enumerate(controls):
        x, y = k % 2, k // 2 + 0.5
        place = {"va": "center", "fontsize": 9}
        axes.text(x + 0.28, y, control.description, ha="right", **place)
        if isinstance(control, ipywidgets.FloatSlider | ipywidgets.IntSlider):
            along = (control.value - control.min) / (control.max - control.min)
            value = control.value if isinstance(control.value, int) else f"{control.value:.1f}"
            axes.plot([x + 0.32, x + 0.8], [y, y], color="#cccccc", linewidth=3)
            axes.plot([x + 0.32 + 0.48 * along], [y], "o", color="#555555", markersize=8)
            axes.text(x + 0.84, y, value, **place)
        else:
            box = {"facecolor": "white", "edgecolor": "#999999", "pad": 3}
            axes.text(x + 0.32, y, f"{control.value}  ▾", bbox=box, **place)
    above = PIL.Image.open(io.BytesIO(frame(figure))).convert("RGB")
    both = PIL.Image.new("RGB", (width, above.height + 4 + picture.height), "white")
    both.paste(above)
    both.paste(picture, (0, above.height + 4))
    return frame(both)


def _contact_sheet(frames: list[bytes], labels: list[str], most: int = 140_000) -> bytes:
    """A PNG of six frames, evenly spaced from the first to the last, with their labels.

    most: the size in bytes above which the resolution is lowered.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(6, len(frames))).round().astype(int))
    pictures = [PIL.Image.open(io.BytesIO(frames[k])).convert("RGB") for k in chosen]
    names = [labels[k] for k in chosen]
    for dpi in (100, 80, 64, 50, 40, 30, 20, 10):  # a PNG of noise takes megabytes
        png = _draw_sheet(pictures, names, dpi)
        if len(png) <= most:
            break
    return png


def _draw_sheet(pictures: list, names: list[str], dpi: int) -> bytes:
    columns = min(3, len(pictures))
    rows = -(-len(pictures) // columns)
    tall = max(picture.height / picture.width for picture in pictures)
    size = (2.5 * columns, (2.4 * tall + 0.3) * rows)
    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    cells = figure.subplots(rows, columns, squeeze=False).flat
    for axes, picture, name in zip(cells, pictures, names, strict=False):
        axes.imshow(picture, interpolation="antialiased")
        axes.set_title(name, fontsize=10)
    for axes in figure.axes:
        axes.axis("off")
    canvas, png = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    sheet = PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    # MAXCOVERAGE keeps rare colours; the other methods turn blue into teal.
    sheet = sheet.quantize(256, PIL.Image.Quantize.MAXCOVERAGE)
    sheet.save(png, format="png", optimize=True)
    return png.getvalue()
