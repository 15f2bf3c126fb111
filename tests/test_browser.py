"""The course in a browser: JupyterLab opens the chapters, runs one, and its pictures follow a hand."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no chromium, chromium-browser or google-chrome on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/[0-9][0-9]_*.ipynb"))
# The notebook's own indicator says idle before there is a kernel, and cells run then are dropped.
IDLE = '.jp-StatusBar-TextItem:has-text("| Idle")'
RUN_SECONDS = 300
# For root in a container, for a machine without a GPU, and to keep Chromium from calling home.
FLAGS = "--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-sync".split()
FLAGS += ["--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on loopback, with a home and settings of its own: (the folder it serves, its address, its token)."""
    home, served = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("served")
    (served / "chapters").mkdir()
    shutil.copytree(ROOT / "benchmarks", served / "benchmarks")  # of which chapters show pictures and tables
    news = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    folders = {f"JUPYTER_{kind}_DIR": home / kind.lower() for kind in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {"JUPYTERLAB_SETTINGS_DIR": home / "settings", "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces"}
    folders |= {"HOME": home, "IPYTHONDIR": home / "ipython"}
    folders["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"  # what was computed once
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={served}"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=8888", "--ServerApp.port_retries=100"]  # any that is free
    environment = os.environ | {name: str(folder) for name, folder in folders.items()}
    with open(home / "log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        about = home / "runtime" / f"jpserver-{server.pid}.json"
        deadline = time.monotonic() + 60
        while not (about.exists() and about.read_text().rstrip().endswith("}")):
            assert server.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.1)
        address = json.loads(about.read_text())
        yield served, address["url"], address["token"]
    finally:
        server.terminate()  # which ends its kernels too
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)  # with a new, empty profile
        yield browser
        browser.close()


class Notebook:
    """A notebook open in JupyterLab. `errors`: what the console called one, and every request to another machine."""

    def __init__(self, page, path, url):
        self.page, self.path, self.errors = page, path, []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._local(request.url, url))

    def _local(self, asked, url):
        if not asked.startswith((url, "data:", "blob:")):
            self.errors.append(f"a request to {asked}")

    def menu(self, name, command):
        self.page.locator(f'.lm-MenuBar-item:has-text("{name}")').click()
        self.page.locator(f'.lm-Menu-item[data-command="{command}"]').click()

    def run_all(self):
        """Run every cell. Fails at the first that stores an error or warns."""
        self.menu("Run", "runmenu:run-all")
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            self.page.wait_for_timeout(1_000)
            if not self.page.locator(IDLE).count():
                continue
            self.menu("File", "docmanager:save")
            self.page.wait_for_timeout(1_000)
            cells = [cell for cell in nbformat.read(self.path, 4).cells if cell.cell_type == "code" and cell.source]
            for output in (output for cell in cells for output in cell.outputs):
                assert output.output_type != "error", f"{output.ename}: {output.evalue}"
                assert output.get("name") != "stderr", output.text
            if all(cell.execution_count for cell in cells):
                return
        raise AssertionError(f"{self.path.name} did not finish in {RUN_SECONDS} s")

    def bad_formulas(self):
        """The cells with a formula that MathJax shows as it stands: in red, as an error, or in its dollars."""
        return self.page.locator(".jp-MarkdownOutput").evaluate_all("""outputs => outputs.filter(output => {
            const copy = output.cloneNode(true)
            copy.querySelectorAll("code, mjx-assistive-mml").forEach(node => node.remove())
            return copy.textContent.includes("$") || copy.querySelector("mjx-merror, [style*=red]")
        }).map(output => output.textContent)""")

    def move_slider(self, nth=0):
        """Move the nth slider by keyboard, a step and back: the picture in its cell must change, and change back."""
        handle = self.page.locator(".widget-slider .noUi-handle").nth(nth)
        picture = self.page.locator(".jp-CodeCell").filter(has=handle).locator(".jp-OutputArea-output img").first
        picture.scroll_into_view_if_needed()
        before = picture.screenshot()
        for key, changes in (("ArrowRight", True), ("ArrowLeft", False)):
            handle.press(key)
            deadline = time.monotonic() + 30
            while (picture.screenshot() != before) != changes:
                assert time.monotonic() < deadline, f"the picture did not follow {key} in 30 s"
                self.page.wait_for_timeout(100)


@pytest.fixture
def opened(lab, chromium, tmp_path):
    """`with opened(path) as notebook`: a copy, open in JupyterLab. Of a failure, tmp_path keeps a screenshot."""

    @contextlib.contextmanager
    def opened(path):
        served, url, token = lab
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = None  # so that a count says that the cell ran here
        copy = served / "chapters" / path.name
        nbformat.write(notebook, copy)
        context = chromium.new_context(viewport={"width": 1400, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(60_000)
        view = Notebook(page, copy, url)
        try:
            page.goto(f"{url}lab/tree/chapters/{path.name}?token={token}&reset")
            page.locator(IDLE).wait_for()
            yield view
            assert view.errors == []
        except BaseException:
            page.screenshot(path=tmp_path / f"{path.stem}.png")
            raise
        finally:
            context.close()

    return opened


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_opens(opened, path):
    """With its stored pictures, and with formulas that MathJax can read."""
    written = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    with opened(path) as notebook:
        shown = notebook.page.locator(".jp-MarkdownOutput")
        sync_api.expect(shown).to_have_count(len(written), timeout=60_000)
        if "$" in "".join(cell.source for cell in written):
            notebook.page.locator("mjx-container").first.wait_for()
            notebook.page.wait_for_timeout(2_000)  # for the last of them
        assert notebook.bad_formulas() == []


@pytest.mark.parametrize("path", [path for path in CHAPTERS if path.name.startswith("01_")], ids=lambda path: path.stem)
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
    path = write(tmp_path / "bad.ipynb", code("from IPython.display import Javascript\nJavascript('console.error(7)')"))
    with pytest.raises(AssertionError, match="7"), opened(path) as notebook:
        notebook.run_all()


def test_bad_formulas_are_seen(opened, tmp_path):
    good = [r"$D^*(x) = 1$ and $$\frac{p}{p + q}$$", r"`$x$` in code"]
    bad = [r"A $\nocommand$", r"$$\frac{1$$", r"$x_1$$"]
    with opened(write(tmp_path / "formulas.ipynb", *map(markdown, good + bad))) as notebook:
        notebook.page.locator("mjx-container").first.wait_for()
        notebook.page.wait_for_timeout(2_000)
        assert len(notebook.bad_formulas()) == len(bad)
