"""The course in a browser: JupyterLab opens and runs chapters, and pictures follow a hand."""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import PIL.Image
import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
if CHROMIUM is None:
    pytest.skip(
        "no chromium, chromium-browser or google-chrome on this machine", allow_module_level=True
    )
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("course_build", ROOT / "sources" / "build.py")
build = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = build
spec.loader.exec_module(build)
CHAPTERS = sorted(ROOT.glob("chapters/[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted(ROOT.glob("solutions/[0-9][0-9]_*.ipynb"))
# The notebook's own indicator says idle before there is a kernel, and cells run then are dropped.
IDLE = '.jp-StatusBar-TextItem:has-text("| Idle")'
LIMIT = 300  # seconds until a test stops waiting, on a machine however busy
sync_api.expect.set_options(timeout=1000 * LIMIT)
# For root in a container, for a machine without a GPU, and to keep Chromium from calling home.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"]
FLAGS += ["--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]


class Lab:
    """JupyterLab on loopback, with a home and settings of its own."""

    def __init__(self, home, served):
        self.home, self.served = home, served  # served: the folder it shows
        for folder in ("chapters", "solutions"):
            (served / folder).mkdir()
        # Chapters show pictures and tables of it.
        shutil.copytree(ROOT / "benchmarks", served / "benchmarks")
        # What environment.py puts into .venv, where JupyterLab and IPython find it without one.
        env = shutil.copytree(ROOT / "lab", home / "env")
        shutil.copytree(env / "etc/ipython", home / "ipython/profile_default")
        self.layouts, self.settings = env / "share/jupyter/lab/workspaces", home / "settings"
        folders = {
            f"JUPYTER_{kind}_DIR": home / kind.lower() for kind in ("CONFIG", "DATA", "RUNTIME")
        }
        folders |= {
            "JUPYTER_PATH": env / "share/jupyter",
            "JUPYTERLAB_SETTINGS_DIR": self.settings,
            "JUPYTERLAB_WORKSPACES_DIR": self.layouts,
            "HOME": home,
            "IPYTHONDIR": home / "ipython",
            # What was computed once.
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache",
        }
        self.as_installed()
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.root_dir={served}", "--ServerApp.ip=127.0.0.1"]
        command += ["--ServerApp.port=8888", "--ServerApp.port_retries=100"]  # any that is free
        environment = os.environ | {name: str(folder) for name, folder in folders.items()}
        with open(home / "log", "w") as log:
            self.server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def as_installed(self):
        """Put back the layout and the settings that a reader's first start finds.

        The page that stays open saves its layout when it likes: between two of these lines, too.
        """
        for folder in (self.layouts, self.settings):
            shutil.rmtree(folder, ignore_errors=True)
        layouts = ROOT / "lab/share/jupyter/lab/workspaces"
        shutil.copytree(layouts, self.layouts, dirs_exist_ok=True)
        news = self.settings / "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        news.parent.mkdir(parents=True, exist_ok=True)
        news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))

    def wait(self):
        """Wait until it listens."""
        about = self.home / "runtime" / f"jpserver-{self.server.pid}.json"
        deadline = time.monotonic() + LIMIT
        while not (about.exists() and about.read_text().rstrip().endswith("}")):
            running = self.server.poll() is None and time.monotonic() < deadline
            assert running, (self.home / "log").read_text()
            time.sleep(0.1)
        address = json.loads(about.read_text())
        self.url, self.token = address["url"], address["token"]

    def asked(self, path, method="GET"):
        """What its interface answers."""
        address = f"{self.url}api/{path}"
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(address, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.loads(answer.read() or "null")

    def end_kernels(self):
        for session in self.asked("sessions"):
            self.asked(f"sessions/{session['id']}", "DELETE")

    def close(self):
        self.server.terminate()  # which ends its kernels too
        try:
            self.server.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.server.kill()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("served"))
    try:
        lab.wait()
        yield lab
    finally:
        lab.close()


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS
        )  # with a new, empty profile
        yield browser
        browser.close()


class Notebook:
    """A notebook in JupyterLab, the file `path` in one of the folders that it shows.

    `errors`: what the console called one, and every request to another machine.
    """

    def __init__(self, page, path, url):
        self.page, self.path, self.errors = page, path, []
        self.tab = page.locator(f'.lm-TabBar-tab:has-text("{path.name}")')
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._local(request.url, url))

    def _said(self, message):
        # JupyterLab says these where a notebook is closed while it still asks the kernel.
        early = message.text.startswith(
            ("Could not restore the debugger state: Canceled", "Error: Canceled future for create_")
        )
        if message.type == "error" and not early:
            self.errors.append(message.text)

    def _local(self, asked, url):
        if not asked.startswith((url, "data:", "blob:")):
            self.errors.append(f"a request to {asked}")

    def open(self):
        self.menu("File", "filebrowser:open-path")
        self.page.locator(".jp-Dialog input").fill(f"{self.path.parent.name}/{self.path.name}")
        self.page.keyboard.press("Enter")
        self.tab.wait_for()
        self.page.locator(IDLE).wait_for()

    def close(self):
        """Close it. What was not saved is lost."""
        discard = self.page.locator(".jp-Dialog button.jp-mod-warn")

        def gone():
            if discard.count():
                discard.click()
            return not self.tab.count()

        self.tab.locator(".lm-TabBar-tabCloseIcon").click()
        self.until(gone, "it does not close")

    def menu(self, name, command):
        self.page.locator(f'.lm-MenuBar-item:has-text("{name}")').click()
        self.page.locator(f'.lm-Menu-item[data-command="{command}"]').click()

    def until(self, holds, message):
        deadline = time.monotonic() + LIMIT
        while not holds():
            assert time.monotonic() < deadline, message
            self.page.wait_for_timeout(50)

    def run_all(self):
        """Run every cell. Fails at the first that stores an error or warns."""
        self.menu("Run", "runmenu:run-all")
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            self.page.wait_for_timeout(300)
            if not self.page.locator(IDLE).count():
                continue
            self.save()
            cells = [
                cell
                for cell in nbformat.read(self.path, 4).cells
                if cell.cell_type == "code" and cell.source
            ]
            for output in (output for cell in cells for output in cell.outputs):
                assert output.output_type != "error", f"{output.ename}: {output.evalue}"
                assert output.get("name") != "stderr", output.text
            if all(cell.execution_count for cell in cells):
                return
        raise AssertionError(f"{self.path.name} did not finish in {LIMIT} s")

    def save(self):
        """Save, and wait until the file has been written to its end."""
        before = self.path.stat().st_mtime_ns
        self.menu("File", "docmanager:save")

        def written():
            return self.path.stat().st_mtime_ns > before and self.path.read_bytes()[-2:] == b"}\n"

        self.until(written, "nothing was written")

    def theme(self, name):
        self.page.locator('.lm-MenuBar-item:has-text("Settings")').click()
        self.page.locator('.lm-Menu-item:has-text("Theme")').first.hover()
        self.page.locator(f'.lm-Menu-item:has-text("{name}")').first.click()
        light = str(name == "JupyterLab Light").lower()
        self.page.locator(f'body[data-jp-theme-light="{light}"]').wait_for(state="attached")

    def bad_formulas(self):
        """The cells with a formula that MathJax shows as it stands.

        That is: in red, as an error, or in its dollars.
        """
        bad = """outputs => outputs.filter(output => {
            const texts = document.createTreeWalker(output, NodeFilter.SHOW_TEXT)
            const apart = "code, mjx-assistive-mml"
            while (texts.nextNode()) {
                const {data, parentElement} = texts.currentNode
                if (data.includes("$") && !parentElement.closest(apart)) return true
            }
            return output.querySelector("mjx-merror, [style*=red]")
        }).map(output => output.textContent)"""
        return self.page.locator(".jp-MarkdownOutput").evaluate_all(bad)

    def move_slider(self, nth=0):
        """Move the first slider of the nth cell that has any, by keyboard, a step and back.

        The picture in its cell must change, and change back.
        """
        sliders = self.page.locator(".widget-slider")
        cell = self.page.locator(".jp-CodeCell").filter(has=sliders).nth(nth)
        handle = cell.locator(".widget-slider .noUi-handle").first
        picture = cell.locator(".jp-OutputArea-output img").first
        picture.scroll_into_view_if_needed()
        before = picture.screenshot()
        for key, changes in (("ArrowRight", True), ("ArrowLeft", False)):
            handle.press(key)
            self.until(
                lambda changes=changes: (picture.screenshot() != before) == changes,
                f"the picture did not follow {key}",
            )


def folder_of(path):
    return "solutions" if path in SOLUTIONS else "chapters"


@pytest.fixture(scope="module")
def pages(chromium):
    """The page that all notebooks share, one after the other; empty after a failure."""
    pages = []
    yield pages
    for page in pages:
        page.context.close()


@pytest.fixture
def page(lab, chromium, pages):
    """It stays open, because JupyterLab takes seconds to load."""
    if not pages:
        lab.as_installed()
        page = chromium.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.set_default_timeout(1000 * LIMIT)
        # With a layout of its own, since it stays open beside other pages.
        page.goto(f"{lab.url}lab/workspaces/many?token={lab.token}&reset")
        pages.append(page)
    return pages[0]


@pytest.fixture
def opened(lab, page, pages, tmp_path):
    """`with opened(path) as notebook`: a copy, open in the page that all share.

    kernel_stays: whether the next notebook of this name finds the kernel of this one.
    Of a failure, tmp_path keeps a screenshot, and what comes next gets a new page.
    """

    @contextlib.contextmanager
    def opened(path, kernel_stays=False):
        copy = lab.served / folder_of(path) / path.name
        copy.write_bytes(path.read_bytes())
        notebook = Notebook(page, copy, lab.url)
        try:
            notebook.open()
            yield notebook
            if notebook.tab.count():
                notebook.close()
            assert notebook.errors == []
        except BaseException:
            page.screenshot(path=tmp_path / f"{path.stem}.png")
            pages.clear()
            page.context.close()
            kernel_stays = False
            raise
        finally:
            if not kernel_stays:
                lab.end_kernels()

    return opened


def shows_as_stored(notebook):
    """Its pictures with their texts, and formulas that MathJax can read.

    It asks for no saving, and saved it is the same file, so that git sees no change.
    """
    before, page = notebook.path.read_bytes(), notebook.page
    read = nbformat.reads(before.decode(), 4).cells
    written = [cell for cell in read if cell.cell_type == "markdown"]
    outputs = [output for cell in read for output in cell.get("outputs", [])]
    alts = [
        output.metadata["image/png"].alt
        for output in outputs
        if "image/png" in output.get("data", {})
    ]
    sync_api.expect(page.locator(".jp-MarkdownOutput")).to_have_count(len(written))
    notebook.until(lambda: notebook.bad_formulas() == [], "it has a bad formula")
    shown = page.locator(".jp-OutputArea img")
    # JupyterLab puts the text to a picture a moment later.
    notebook.until(
        lambda: shown.evaluate_all("shown => shown.map(img => img.alt)") == alts,
        "its pictures have other alternative texts",
    )
    assert page.locator(".jp-mod-dirty").count() == 0, "it wants to be saved"
    notebook.save()
    assert notebook.path.read_bytes() == before, "JupyterLab writes another file"
    notebook.tab.locator(".lm-TabBar-tabCloseIcon").click()
    sync_api.expect(notebook.tab).to_have_count(0)
    assert page.locator(".jp-Dialog").count() == 0


SETS = [*(CHAPTERS[k : k + 3] for k in range(1, len(CHAPTERS), 3)), SOLUTIONS]


@pytest.mark.parametrize("paths", SETS, ids=lambda paths: f"{paths[0].parent.name}/{paths[0].stem}")
def test_they_open_and_close_as_they_were(opened, tmp_path, paths):
    """The text and the pictures of several, in one notebook, because code takes long to be shown.

    Whole, only chapter 00 is opened and saved, in the test of the first start; that the others are
    written as JupyterLab would write them is a test of test_notebooks.py.
    """
    every = nbformat.read(paths[0], 4)
    cells = [cell for path in paths for cell in nbformat.read(path, 4).cells]
    every.cells = [cell for cell in cells if "image/png" in str(cell.get("outputs", "image/png"))]
    for k, cell in enumerate(every.cells):
        cell.id = f"cell-{k}"  # of two notebooks, two may be the same
    assert {cell.cell_type for cell in every.cells} == {"markdown", "code"}
    path = tmp_path / "every.ipynb"
    path.write_text(nbformat.writes(every) + "\n", encoding="utf-8")
    with opened(path) as notebook:
        shows_as_stored(notebook)


def test_the_first_start(lab, chromium):
    """Chapter 0 is shown as it is stored, its first picture without scrolling.

    The table of contents is open until the reader chooses another layout.
    """
    lab.as_installed()
    context = chromium.new_context(viewport={"width": 1280, "height": 800})

    def start(path):
        shutil.copy(path, lab.served / "chapters")
        page = context.new_page()
        page.set_default_timeout(1000 * LIMIT)
        notebook = Notebook(page, lab.served / "chapters" / path.name, lab.url)
        page.goto(f"{lab.url}lab/tree/chapters/{path.name}?token={lab.token}")
        page.locator(IDLE).wait_for()
        return notebook, page.locator(".jp-TableOfContents")

    try:
        notebook, contents = start(CHAPTERS[0])
        picture = notebook.page.locator(".jp-OutputArea img").first
        picture.wait_for()
        written = [c for c in nbformat.read(CHAPTERS[0], 4).cells if c.cell_type == "markdown"]
        sync_api.expect(notebook.page.locator(".jp-MarkdownOutput")).to_have_count(len(written))
        notebook.until(lambda: notebook.bad_formulas() == [], "no formulas")
        box = picture.bounding_box()
        assert box["y"] + box["height"] / 2 < 750, box
        sync_api.expect(contents).to_be_visible()
        sync_api.expect(contents).to_contain_text("How a notebook works")

        notebook.page.locator('.jp-SideBar .lm-TabBar-tab[data-id="filebrowser"]').click()
        sync_api.expect(contents).to_be_hidden()
        stored = '"current":"filebrowser"'
        notebook.until(
            lambda: any(stored in layout.read_text() for layout in lab.layouts.glob("default*")),
            "the layout was not stored",
        )
        shows_as_stored(notebook)
        notebook.page.close()
        again, contents = start(SOLUTIONS[0])  # a short one
        sync_api.expect(again.page.locator("#filebrowser")).to_be_visible()
        assert not contents.is_visible()
        assert notebook.errors == again.errors == []
    finally:
        context.close()
        lab.end_kernels()


def test_a_chapter_runs_and_its_pictures_follow_a_hand(opened, tmp_path):
    """The first one that has a slider, as far as that: all cells of all chapters run elsewhere.

    A count says that a cell ran here: the copy has none.
    """
    path = next(path for path in CHAPTERS if path.name.startswith("01_"))
    notebook = nbformat.read(path, 4)
    sources = [cell.source for cell in notebook.cells]
    notebook.cells = notebook.cells[: sources.index("explorers.density.explorer()") + 1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
    nbformat.write(notebook, tmp_path / path.name)
    with opened(tmp_path / path.name) as notebook:
        notebook.run_all()
        notebook.move_slider()


def write(path, *cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


code, markdown = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def test_faults_of_a_notebook_are_seen(opened, tmp_path):
    """Bad formulas, an error in the browser, and a failing cell; and a screenshot is kept."""
    good = [r"$D^*(x) = 1$ and $$\frac{p}{p + q}$$", r"`$x$` in code"]
    bad = [r"A $\nocommand$", r"$$\frac{1$$", r"$x_1$$"]
    says = "from IPython.display import Javascript\nJavascript('console.error(\"oh, seven\")')"
    cells = [*map(markdown, good + bad), code(says), code("1 / 0"), code("print('not run')")]
    path = write(tmp_path / "bad.ipynb", *cells)
    with pytest.raises(AssertionError, match="oh, seven"), opened(path) as notebook:
        notebook.until(lambda: len(notebook.bad_formulas()) == len(bad), "not all are seen")
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            notebook.run_all()
    assert (tmp_path / "bad.png").exists()


# ---- Pictures and sliders, for a hand, for a screen reader, and on a dark page


WHITE = """from IPython.display import display
import PIL.Image
display(PIL.Image.fromarray(np.full((60, 90, 3), 255, np.uint8)))"""


def test_pictures_and_sliders_are_named_moved_and_dimmed(opened, tmp_path):
    pictures = "[np.full((60, 90, 3), shade, np.uint8) for shade in (0, 80, 160, 240)]"
    explorer = code("from ganbook import explorers, widgets\nexplorers.density.explorer()")
    film = code(f"import numpy as np\nwidgets.film({pictures}, labels=list('abcd'), interval=100)")
    explorer.metadata["alt"], film.metadata["alt"] = "Two bells.", "Four greys."
    sliders = "FloatRangeSlider(value=(0.2, 0.7), max=1, description='share'), IntSlider(3)"
    sliders = code(f"from ipywidgets import *\nVBox([{sliders}])")
    cells = [explorer, film, sliders, code(WHITE)]
    with opened(write(tmp_path / "names.ipynb", *cells)) as notebook:
        notebook.run_all()
        page = notebook.page
        shown, get, expect = page.locator(".jp-CodeCell"), page.get_by_role, sync_api.expect

        # Sliders and buttons have names, and each handle its value.
        for name in ("mean of p", "width of p", "mean of q", "width of q", "frame"):
            expect(get("slider", name=name)).to_have_count(1)
        for name in ("Play", "Stop", "Repeat"):
            expect(get("button", name=name, exact=True)).to_have_count(1)
        for name, value in (("share, from", "0.20"), ("share, to", "0.70"), ("slider", "3")):
            handle = get("slider", name=name, exact=True)
            expect(handle).to_have_attribute("aria-valuetext", value)

        # The explorer's line changes with its slider, and its picture has the line as its text.
        line = get("status").filter(has_text="divergence")
        expect(line).to_contain_text("divergence of 0.317 nats")
        expect(get("img", name=line.text_content(), exact=True)).to_have_count(1)
        get("slider", name="mean of q").press("ArrowLeft")
        expect(line).to_contain_text("divergence of 0.291 nats")
        expect(get("img", name=line.text_content(), exact=True)).to_have_count(1)

        # The film's picture and its text follow the slider, and the film plays to its end.
        expect(get("img", name="Frame a. Four greys.")).to_have_count(1)
        notebook.move_slider(1)
        frame, label = get("slider", name="frame"), shown.nth(1).locator(".widget-readout")
        expect(label).to_have_text("a")
        frame.press("ArrowRight")
        expect(frame).to_have_attribute("aria-valuetext", "b")
        expect(get("img", name="Frame b. Four greys.")).to_have_count(1)
        get("button", name="Play").press("Space")
        expect(label).to_have_text("d")

        # On a dark page a white picture is dimmed.
        white = shown.nth(3).locator(".jp-OutputArea img")

        def grey():
            seen = PIL.Image.open(io.BytesIO(white.screenshot())).convert("L")
            return seen.getpixel((45, 30))

        for theme, low, high in (("JupyterLab Dark", 180, 235), ("JupyterLab Light", 255, 255)):
            notebook.theme(theme)
            notebook.until(lambda low=low, high=high: low <= grey() <= high, theme)


def test_a_picture_has_the_text_of_the_course_only_while_the_code_is_the_course_s(opened, tmp_path):
    """The reader's own answer, in a cell without a hash, changes nothing; other code does."""
    draw = "from IPython.display import display\nimport PIL.Image\n"
    draw += "display(PIL.Image.new('L', (60, 90), shade))  # θ"
    cells = [code("shade = 80"), code("answer = ...  # your code here"), code(draw), code(draw)]
    for cell in (cells[0], *cells[2:]):
        cell.metadata["built"] = build.fnv(cell.source)
    cells[2].metadata["alt"], cells[3].metadata["alt"] = "A grey card.", "One more."
    with opened(write(tmp_path / "texts.ipynb", *cells)) as notebook:
        page = notebook.page
        notebook.run_all()

        def shown(*texts):
            for text in texts:
                picture = page.get_by_role("img", name=text, exact=True)
                sync_api.expect(picture).to_have_count(1)

        def edit(nth, key):
            page.locator(".jp-CodeCell .cm-content").nth(nth).click()
            page.keyboard.press(key)

        before = "Before the code was changed: "
        shown("A grey card.", "One more.")
        edit(1, "7")
        shown("A grey card.", "One more.")
        edit(3, "7")
        shown("A grey card.", before + "One more.")
        edit(0, "7")
        shown(before + "A grey card.", before + "One more.")
        edit(0, "Backspace")
        shown("A grey card.", before + "One more.")


EYE = """
import torch
from ganbook.explorers import eye
it = eye.explorer(torch.ones(20, 1, 28, 28), -torch.ones(20, 1, 28, 28), looks=4, seconds=0.4)
it
"""
TELL = "print('told', it.answers, it.rounds, [int(k) for k in it.truth])"
MIDDLE = """canvas => canvas.getContext('2d')
    .getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0]"""


def test_images_are_seen_for_a_moment_and_answered_by_keyboard(opened, tmp_path):
    cells = [code(EYE), code(TELL)]
    cells[0].metadata["alt"] = "An eye."
    with opened(write(tmp_path / "eye.ipynb", *cells)) as notebook:
        notebook.run_all()
        page, shades = notebook.page, []
        root = page.locator(".ganbook-eye")
        canvas, line = root.locator("canvas"), root.get_by_role("status")
        sync_api.expect(line).to_contain_text("4 images, 0.4 s each: press Space to start.")
        assert canvas.evaluate(MIDDLE) == 128  # nothing is seen yet
        root.focus()
        page.keyboard.press("r")  # too early: counts for nothing
        page.keyboard.press(" ")
        for k, key in enumerate(("r", "g", "ArrowLeft", "ArrowRight")):
            notebook.until(lambda: canvas.evaluate(MIDDLE) != 128, f"image {k} was not shown")
            shades.append(canvas.evaluate(MIDDLE))
            notebook.until(lambda: canvas.evaluate(MIDDLE) == 128, f"image {k} was not hidden")
            page.keyboard.press(key)
            if k < 3:
                sync_api.expect(line).to_contain_text(f"Image {k + 2} of 4")
        sync_api.expect(line).to_contain_text("of 4, 95 % interval")
        again = root.get_by_role("button", name="Another round")
        sync_api.expect(again).to_be_enabled()
        page.locator(".jp-CodeCell .cm-content").nth(1).click()
        page.keyboard.press("Shift+Enter")
        told = page.locator(".jp-OutputArea-output", has_text="told")
        truth = [int(shade == 0) for shade in shades]
        sync_api.expect(told).to_contain_text(f"told [0, 1, 0, 1] 0 {truth}")
        again.click()
        sync_api.expect(line).to_contain_text("press Space to start")
        page.keyboard.press(" ")
        notebook.until(lambda: canvas.evaluate(MIDDLE) != 128, "no second round")
