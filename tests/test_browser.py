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
    """A notebook open in JupyterLab.

    `errors`: what the console called one, and every request to another machine.
    """

    def __init__(self, page, path, url):
        self.page, self.path, self.errors = page, path, []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._local(request.url, url))

    def _said(self, message):
        # JupyterLab says this where a notebook is closed while it still asks the kernel.
        early = message.text.startswith("Could not restore the debugger state: Canceled")
        if message.type == "error" and not early:
            self.errors.append(message.text)

    def _local(self, asked, url):
        if not asked.startswith((url, "data:", "blob:")):
            self.errors.append(f"a request to {asked}")

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

    def bad_formulas(self):
        """The cells with a formula that MathJax shows as it stands.

        That is: in red, as an error, or in its dollars.
        """
        bad = """outputs => outputs.filter(output => {
            const copy = output.cloneNode(true)
            copy.querySelectorAll("code, mjx-assistive-mml").forEach(node => node.remove())
            return copy.textContent.includes("$") || copy.querySelector("mjx-merror, [style*=red]")
        }).map(output => output.textContent)"""
        return self.page.locator(".jp-MarkdownOutput").evaluate_all(bad)

    def move_slider(self, nth=0):
        """Move the nth slider by keyboard, a step and back.

        The picture in its cell must change, and change back.
        """
        handle = self.page.locator(".widget-slider .noUi-handle").nth(nth)
        picture = (
            self.page.locator(".jp-CodeCell")
            .filter(has=handle)
            .locator(".jp-OutputArea-output img")
            .first
        )
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


@pytest.fixture
def opened(lab, chromium, tmp_path):
    """`with opened(path) as notebook`: a copy, open in JupyterLab as it is on the first start.

    again: whether it opens as it was left, with layout and settings. The copy has no execution
    counts, so that a count says that a cell ran here. Of a failure, tmp_path keeps a screenshot.
    """

    @contextlib.contextmanager
    def opened(path, again=False, width=1400, height=1000):
        if not again:
            lab.as_installed()
        folder = folder_of(path)
        copy = lab.served / folder / path.name
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = None
        nbformat.write(notebook, copy)
        context = chromium.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.set_default_timeout(1000 * LIMIT)
        view = Notebook(page, copy, lab.url)
        try:
            page.goto(f"{lab.url}lab/tree/{folder}/{path.name}?token={lab.token}")
            page.locator(IDLE).wait_for()
            yield view
            assert view.errors == []
        except BaseException:
            page.screenshot(path=tmp_path / f"{path.stem}.png")
            raise
        finally:
            context.close()
            lab.end_kernels()

    return opened


@pytest.fixture(scope="module")
def pages(chromium):
    """The page that many notebooks share, one after the other; empty after a failure."""
    pages = []
    yield pages
    for page in pages:
        page.context.close()


@pytest.fixture
def page(lab, chromium, pages):
    if not pages:
        page = chromium.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.set_default_timeout(1000 * LIMIT)
        # With a layout of its own, since it stays open beside other pages.
        page.goto(f"{lab.url}lab/workspaces/many?token={lab.token}&reset")
        pages.append(page)
    return pages[0]


@pytest.mark.parametrize(
    "path", CHAPTERS + SOLUTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_notebook_opens_and_closes_as_it_was(lab, page, pages, path):
    """With its stored pictures, and with formulas that MathJax can read.

    It asks for no saving, and saved it is the same file, so that git sees no change.
    """
    read = nbformat.read(path, 4).cells
    written = [cell for cell in read if cell.cell_type == "markdown"]
    pictures = [
        output
        for cell in read
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    copy = lab.served / folder_of(path) / path.name
    copy.write_bytes(path.read_bytes())
    notebook = Notebook(page, copy, lab.url)
    try:
        notebook.menu("File", "filebrowser:open-path")
        page.locator(".jp-Dialog input").fill(f"{folder_of(path)}/{path.name}")
        page.keyboard.press("Enter")
        tab = page.locator(f'.lm-TabBar-tab:has-text("{path.name}")')
        tab.wait_for()
        page.locator(IDLE).wait_for()
        sync_api.expect(page.locator(".jp-MarkdownOutput")).to_have_count(len(written))
        notebook.until(lambda: notebook.bad_formulas() == [], "it has a bad formula")
        shown = page.locator(".jp-OutputArea img")
        sync_api.expect(shown).to_have_count(len(pictures))
        alts = [output.metadata["image/png"].alt for output in pictures]
        # JupyterLab puts the text to a picture a moment later.
        notebook.until(
            lambda: shown.evaluate_all("shown => shown.map(img => img.alt)") == alts,
            "its pictures have other alternative texts",
        )
        assert page.locator(".jp-mod-dirty").count() == 0, "it wants to be saved"
        notebook.save()
        assert notebook.path.read_bytes() == path.read_bytes(), "JupyterLab writes another file"
        tab.locator(".lm-TabBar-tabCloseIcon").click()
        sync_api.expect(tab).to_have_count(0)
        assert page.locator(".jp-Dialog").count() == 0
        assert notebook.errors == []
    except BaseException:
        pages.clear()  # the next one gets a new page
        page.context.close()
        raise
    finally:
        lab.end_kernels()


def test_the_first_picture_is_seen_without_scrolling(opened):
    with opened(CHAPTERS[0], width=1280, height=800) as notebook:
        picture = notebook.page.locator(".jp-OutputArea img").first
        picture.wait_for()
        written = [c for c in nbformat.read(CHAPTERS[0], 4).cells if c.cell_type == "markdown"]
        sync_api.expect(notebook.page.locator(".jp-MarkdownOutput")).to_have_count(len(written))
        notebook.until(lambda: notebook.bad_formulas() == [], "no formulas")
        box = picture.bounding_box()
        assert box["y"] + box["height"] / 2 < 750, box


def test_the_table_of_contents_is_open_until_the_reader_chooses_another_layout(lab, opened):
    with opened(CHAPTERS[0]) as notebook:
        contents = notebook.page.locator(".jp-TableOfContents")
        sync_api.expect(contents).to_be_visible()
        sync_api.expect(contents).to_contain_text("How a notebook works")
        notebook.page.locator('.jp-SideBar .lm-TabBar-tab[data-id="filebrowser"]').click()
        sync_api.expect(contents).to_be_hidden()
        stored = '"current":"filebrowser"'
        notebook.until(
            lambda: any(stored in layout.read_text() for layout in lab.layouts.glob("default*")),
            "the layout was not stored",
        )
    with opened(CHAPTERS[0], again=True) as notebook:
        sync_api.expect(notebook.page.locator("#filebrowser")).to_be_visible()
        assert not notebook.page.locator(".jp-TableOfContents").is_visible()


@pytest.mark.parametrize(
    "path", [path for path in CHAPTERS if path.name.startswith("01_")], ids=lambda path: path.stem
)
def test_a_chapter_runs_and_its_pictures_follow_a_hand(opened, path):
    with opened(path) as notebook:
        notebook.run_all()
        notebook.move_slider()


def write(path, *cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


code, markdown = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def test_a_failing_cell_is_seen(opened, tmp_path):
    path = write(tmp_path / "bad.ipynb", code("1 / 0"), code("print('not run')"))
    with pytest.raises(AssertionError, match="ZeroDivisionError"), opened(path) as notebook:
        notebook.run_all()
    assert (tmp_path / "bad.png").exists()


def test_an_error_in_the_browser_is_seen(opened, tmp_path):
    path = write(
        tmp_path / "bad.ipynb",
        code("from IPython.display import Javascript\nJavascript('console.error(7)')"),
    )
    with pytest.raises(AssertionError, match="7"), opened(path) as notebook:
        notebook.run_all()


def test_bad_formulas_are_seen(opened, tmp_path):
    good = [r"$D^*(x) = 1$ and $$\frac{p}{p + q}$$", r"`$x$` in code"]
    bad = [r"A $\nocommand$", r"$$\frac{1$$", r"$x_1$$"]
    with opened(write(tmp_path / "formulas.ipynb", *map(markdown, good + bad))) as notebook:
        notebook.until(lambda: len(notebook.bad_formulas()) == len(bad), "not all are seen")


# ---- The playground and the film


PLAYGROUND = """from ganbook.playground import playground
import torch
import torch.nn.functional as F

broken, before = False, globals().get("p")

def d_loss(real, fake):
    return F.softplus(-real) + F.softplus(fake)

def g_loss(real, fake):
    if broken:
        raise RuntimeError("the loss is broken")
    return F.softplus(-fake)

p = playground(loss=(d_loss, g_loss), seed=1)
p"""


class Game:
    """The playground in the first cell of an open notebook, as a hand and an eye have it."""

    def __init__(self, notebook):
        self.notebook, self.page = notebook, notebook.page
        self.until = notebook.until
        self.root, self.plane = self.page.locator(".gp"), self.page.locator(".gp-plane")

    def cell(self, nth):
        """Run the nth cell and return what it printed, when it is done."""
        cell = self.page.locator(".jp-CodeCell").nth(nth)
        prompt = cell.locator(".jp-InputPrompt").first
        before = prompt.inner_text()
        cell.locator(".cm-content").first.click()
        self.page.keyboard.press("Control+Enter")
        self.until(
            lambda: prompt.inner_text() not in (before, "[*]:"), f"cell {nth} did not finish"
        )
        shown = cell.locator(".jp-OutputArea-output pre")
        return shown.first.inner_text().strip() if shown.count() else ""

    def counters(self):
        """Steps of G, steps of D, steps a second, pictures in the last second.

        Steps a second are 0 where it doesn't play.
        """
        shown = {"steps": -1, "turns": -1, "pace": "", "pictures": 0} | self.root.evaluate(
            "root => ({...root.dataset})"
        )
        return (
            int(shown["steps"]),
            int(shown["turns"]),
            float(shown["pace"] or 0),
            int(shown["pictures"]),
        )

    def steps(self):
        return self.counters()[0]

    def press(self, key):
        self.plane.focus()
        self.page.keyboard.press(key)

    def plays(self):
        return self.root.locator(".gp-primary").inner_text() == "Pause"

    def stands_still(self):
        """Whether it pauses, once the step that is under way has ended."""
        self.until(lambda: not self.plays(), "it plays on")

        def still():
            steps = self.counters()[:2]
            self.page.wait_for_timeout(600)
            return self.counters()[:2] == steps

        self.until(still, "it steps on")
        return not self.plays()


@pytest.fixture
def game(opened, tmp_path):
    """`with game(*cells) as it`: a notebook whose first cell is the playground's, run."""

    @contextlib.contextmanager
    def game(*cells):
        with opened(
            write(tmp_path / "playground.ipynb", code(PLAYGROUND), *map(code, cells))
        ) as notebook:
            it = Game(notebook)
            it.cell(0)
            it.until(
                lambda: (
                    it.root.count() == 1
                    and "steps" in it.root.evaluate("root => ({...root.dataset})")
                ),
                "empty",
            )
            yield it

    return game


def test_the_playground_plays_and_pauses(game):
    with game("6 * 7") as it:
        before = it.plane.screenshot()
        it.root.get_by_role("button", name="Run").click()
        it.until(lambda: it.steps() > 100, "no steps")
        it.until(lambda: min(it.counters()[2:]) > 0, "it shows no speed, or no pictures")
        assert it.plane.screenshot() != before
        assert it.cell(1) == "42" and it.plays(), "other cells run while it plays"
        steps = it.steps()
        it.until(lambda: it.steps() > steps + 20, "it did not go on")
        it.root.get_by_role("button", name="Pause").click()
        assert it.stands_still()


def test_the_playground_by_keyboard(game):
    with game("1", "2") as it:
        for key, turns in (("d", (0, 1)), ("d", (0, 2)), ("g", (1, 2)), ("r", None)):
            it.press(key)
            if turns:
                it.until(
                    lambda turns=turns: it.counters()[:2] == turns, f"{key} did not do one step"
                )
        it.until(lambda: it.plays() and it.steps() > 20, "R did not run it")
        it.press("r")
        assert it.stands_still()
        it.press("0")
        it.press("0")
        it.until(lambda: it.counters()[:2] == (0, 0), "0 did not reset it")
        # To the notebook, D twice means: delete the cell, and 0 twice: restart the kernel.
        assert (
            it.page.locator(".jp-CodeCell").count() == 3
            and not it.page.locator(".jp-Dialog").count()
        )
        reached = []
        it.root.locator(".gp-primary").focus()
        for _ in range(18):
            reached.append(
                it.page.evaluate(
                    "document.activeElement.name || document.activeElement.textContent"
                )
            )
            it.page.keyboard.press("Tab")
        expected = [
            "Run",
            "D step",
            "G step",
            "Reset",
            "speed",
            "data",
            "loss",
            "penalty",
            "d_lr",
            "lr",
            "d_steps",
        ]
        expected += ["batch", "", "real", "fake", "surface", "arrows", "lattice"]
        assert reached == expected


def test_a_drawn_distribution_is_learned(game):
    where = (
        "centre = p.gan.sample(500, seed=0).mean(0).tolist()\nprint(*(round(x, 2) for x in centre))"
    )
    with game(where) as it:
        it.root.locator("select[name=data]").select_option(label="drawn by you")
        sync_api.expect(it.root.locator(".gp-hint")).to_be_visible()
        assert it.root.locator(".gp-primary").is_disabled()
        it.plane.scroll_into_view_if_needed()
        box = it.plane.bounding_box()
        at = [
            (box["x"] + box["width"] * x, box["y"] + box["height"] * y)
            for x, y in ((0.7, 0.2), (0.9, 0.2))
        ]
        it.page.mouse.move(*at[0])
        it.page.mouse.down()
        it.page.mouse.move(*at[1], steps=20)
        it.page.mouse.up()
        sync_api.expect(it.root.locator(".gp-hint")).to_be_hidden()
        it.press("r")
        it.until(lambda: it.steps() > 400, "it did not train on the drawing")
        it.press("r")
        assert it.stands_still()
        x, y = map(float, it.cell(1).split())
        assert abs(x - 1.25 * 0.6) < 0.3 and abs(y - 1.25 * 0.6) < 0.3, (x, y)
        it.root.get_by_role("button", name="Clear drawing").click()
        sync_api.expect(it.root.locator(".gp-hint")).to_be_visible()
        for key in ("ArrowLeft", "ArrowUp", " "):
            it.press(key)
        sync_api.expect(it.root.locator(".gp-hint")).to_be_hidden()


def test_a_broken_loss_stops_the_playground_with_a_message(game):
    with game("broken = True", "broken = False") as it:
        it.press("r")
        it.until(lambda: it.steps() > 5, "no steps")
        it.cell(1)
        alert = it.root.locator(".gp-alert")
        sync_api.expect(alert).to_contain_text(
            "RuntimeError: the loss is broken\nin g_loss, line 12: raise"
        )
        assert it.stands_still()
        it.cell(2)
        it.press("0")
        sync_api.expect(alert).to_be_hidden()
        it.press("r")
        it.until(lambda: it.steps() > 5, "it did not go on after mending")


def test_run_again_or_cleared_the_playground_stops(game):
    with game("print(before.playing, p.playing)") as it:
        it.press("r")
        it.until(lambda: it.steps() > 5, "no steps")
        it.cell(0)
        it.until(lambda: it.root.count() == 1 and it.steps() == 0, "no new playground")
        assert it.cell(1) == "False False"
        it.press("r")
        it.until(lambda: it.steps() > 5, "no steps")
        it.page.locator(".jp-CodeCell").nth(0).locator(".cm-content").first.click()
        it.notebook.menu("Edit", "editmenu:clear-current")
        it.until(lambda: it.root.count() == 0, "the output is still there")
        assert it.cell(1) == "False False"


def test_the_playground_follows_the_theme(game):
    with game() as it:
        curves = it.page.locator(".gp-curves")
        darkest = """canvas => {
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            return Math.min(...data.filter((value, k) => k % 4 === 0 && data[k + 3] > 200))
        }"""
        it.until(lambda: curves.evaluate(darkest) < 50, "dark letters on a light page")
        light = curves.screenshot()
        it.notebook.theme("JupyterLab Dark")
        it.until(lambda: curves.evaluate(darkest) > 50, "light letters on a dark page")
        assert curves.screenshot() != light


def test_a_screen_reader_finds_names_and_a_line_that_changes(opened, tmp_path):
    pictures = "[np.full((60, 90, 3), shade, np.uint8) for shade in (0, 80, 160)]"
    explorer = code("from ganbook import explorers, widgets\nexplorers.density.explorer()")
    film = code(f"import numpy as np\nwidgets.film({pictures}, labels=list('abc'), interval=100)")
    explorer.metadata["alt"], film.metadata["alt"] = "Two bells.", "Three greys."
    with opened(write(tmp_path / "names.ipynb", explorer, film)) as notebook:
        notebook.run_all()
        page = notebook.page
        for name in ("mean of p", "width of p", "mean of q", "width of q", "frame"):
            sync_api.expect(page.get_by_role("slider", name=name)).to_have_count(1)
        for name in ("Play", "Stop", "Repeat"):
            sync_api.expect(page.get_by_role("button", name=name, exact=True)).to_have_count(1)
        line = page.get_by_role("status").filter(has_text="divergence")
        sync_api.expect(line).to_contain_text("divergence of 0.317 nats")
        picture = page.get_by_role("img", name=line.text_content(), exact=True)
        sync_api.expect(picture).to_have_count(1)
        page.get_by_role("slider", name="mean of q").press("ArrowLeft")
        sync_api.expect(line).to_contain_text("divergence of 0.291 nats")
        picture = page.get_by_role("img", name=line.text_content(), exact=True)
        sync_api.expect(picture).to_have_count(1)
        frames = page.get_by_role("img", name="Frame a. Three greys.")
        sync_api.expect(frames).to_have_count(1)
        frame = page.get_by_role("slider", name="frame")
        frame.press("ArrowRight")
        sync_api.expect(frame).to_have_attribute("aria-valuetext", "b")
        sync_api.expect(page.get_by_role("img", name="Frame b. Three greys.")).to_have_count(1)


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


def test_every_handle_of_a_slider_has_a_name_of_its_own(opened, tmp_path):
    sliders = "FloatRangeSlider(value=(0.2, 0.7), max=1, description='share'), IntSlider(3)"
    source = f"from ipywidgets import *\nVBox([{sliders}])"
    with opened(write(tmp_path / "sliders.ipynb", code(source))) as notebook:
        notebook.run_all()
        for name, value in (("share, from", "0.20"), ("share, to", "0.70"), ("slider", "3")):
            handle = notebook.page.get_by_role("slider", name=name, exact=True)
            sync_api.expect(handle).to_have_attribute("aria-valuetext", value)


def test_pictures_are_dimmed_on_a_dark_page(opened, tmp_path):
    source = "import numpy as np\nfrom IPython.display import display\nimport PIL.Image\n"
    source += "display(PIL.Image.fromarray(np.full((60, 90, 3), 255, np.uint8)))"
    with opened(write(tmp_path / "white.ipynb", code(source))) as notebook:
        notebook.run_all()
        picture = notebook.page.locator(".jp-OutputArea img")

        def grey():
            shown = PIL.Image.open(io.BytesIO(picture.screenshot())).convert("L")
            return shown.getpixel((45, 30))

        for theme, low, high in (("JupyterLab Dark", 180, 235), ("JupyterLab Light", 255, 255)):
            notebook.theme(theme)
            kind = str(theme == "JupyterLab Light").lower()
            notebook.page.locator(f'body[data-jp-theme-light="{kind}"]').wait_for(state="attached")
            notebook.until(lambda low=low, high=high: low <= grey() <= high, theme)


def test_a_film_plays_and_follows_the_slider(opened, tmp_path):
    frames = "[np.full((60, 90, 3), shade, np.uint8) for shade in (0, 80, 160, 240)]"
    source = (
        "from ganbook import widgets\nimport numpy as np\n"
        f"widgets.film({frames}, labels=list('abcd'), interval=100)"
    )
    with opened(write(tmp_path / "film.ipynb", code(source))) as notebook:
        notebook.run_all()
        notebook.move_slider()
        label = notebook.page.locator(".widget-slider .widget-readout")
        sync_api.expect(label).to_have_text("a")
        notebook.page.locator(".widget-play button").first.press("Space")
        sync_api.expect(label).to_have_text("d")
