"""The playground in JupyterLab: hands play it, its kernel ends, and a screen reader hears it."""

import contextlib

import pytest
from test_browser import IDLE, chromium, code, lab, opened, page, pages, sync_api, write  # noqa: F401

from ganbook.playground import widget

STOPPED = "The kernel has stopped. Run this cell again."
LATE = "Waiting for the kernel: a cell runs, or a step takes long"
PRESSED = "Paused by the notebook's stop button"


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
def game(opened, tmp_path):  # noqa: F811
    """`with game(*cells) as it`: a notebook whose first cell is the playground's, run.

    All have one kernel, because it takes seconds to import torch: a new one only where a test has
    ended it. As in a notebook that is opened again, the cell replaces what it made before.
    """

    @contextlib.contextmanager
    def game(*cells):
        cells = [code(PLAYGROUND, id="playground"), *map(code, cells)]
        path = write(tmp_path / "playground.ipynb", *cells)
        with opened(path, kernel_stays=True) as notebook:
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


@pytest.fixture
def playing(game):
    """`with playing(*cells) as it`: a notebook whose playground plays."""

    @contextlib.contextmanager
    def playing(*cells):
        with game(*cells) as it:
            it.press("r")
            it.until(lambda: it.plays() and it.steps() > 5, "no steps")
            yield it

    return playing


def goes_on(it):
    steps = it.steps()
    it.until(lambda: it.plays() and it.steps() > steps + 5, "it did not go on")


# ---- By hand


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


FOCUSED = "document.activeElement.name || document.activeElement.textContent"
OUTLINE = "getComputedStyle(document.activeElement).outlineStyle"


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
        # Tab reaches each control in turn, and it shows that it has the focus.
        reached = []
        it.root.locator(".gp-primary").focus()
        for k in range(18):
            reached.append(it.page.evaluate(FOCUSED))
            assert k == 0 or it.page.evaluate(OUTLINE) == "solid", reached
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


# ---- Its kernel ends, waits, is stopped


def press_stop(it):
    it.page.locator('.jp-NotebookPanel-toolbar [data-command="notebook:interrupt-kernel"]').click()


def restart(it):
    it.notebook.menu("Kernel", "kernelmenu:restart")
    it.page.locator(".jp-Dialog .jp-mod-accept").click()


def says(it):
    """What a screen reader has been told last."""
    return it.root.locator(".gp-spoken").text_content()


def says_that_it_stopped(it):
    alert = it.root.locator(".gp-alert")
    sync_api.expect(alert).to_have_text(STOPPED)
    assert says(it) == "", "the alert speaks"
    assert "steps/s" not in it.root.inner_text() and not it.plays()
    controls = it.root.locator("button:visible, select, input")
    every = "all => all.every(control => control.disabled)"
    it.until(lambda: controls.evaluate_all(every), "a control is left that does nothing")
    it.press("r")
    assert not it.plays()


HOLD_FRAMES = """() => {
  window.frame = window.requestAnimationFrame;
  window.requestAnimationFrame = (run) =>
    run.name === "draw" ? ((window.held = run), 1) : window.frame(run);
}"""
DRAW_HELD = "window.requestAnimationFrame = window.frame; window.held(performance.now())"


def test_it_notices_a_restart_and_running_the_cell_again_mends_it(playing):
    """A picture that is drawn only after the stop is told to nobody: there JupyterLab throws."""
    with playing("p._sent - p._drawn") as it:
        it.until(lambda: says(it) == "Running", "it said nothing")
        it.page.evaluate(HOLD_FRAMES)
        ahead = str(widget.AHEAD)
        it.until(lambda: it.cell(1) == ahead, "its kernel did not wait to be told")
        restart(it)
        says_that_it_stopped(it)
        it.page.evaluate(DRAW_HELD)
        it.page.locator(IDLE).wait_for()
        it.page.locator(".jp-CodeCell .cm-content").first.click()
        it.page.keyboard.press("Control+Enter")
        run = it.root.locator(".gp-primary:enabled")
        run.wait_for()
        run.click()
        goes_on(it)
        sync_api.expect(it.root.locator(".gp-alert")).to_be_hidden()


def test_it_notices_a_crash(playing):
    with playing("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)") as it:
        it.page.locator(".jp-CodeCell .cm-content").nth(1).click()
        it.page.keyboard.press("Control+Enter")
        it.page.locator(".jp-Dialog .jp-mod-accept").click()  # it says that the kernel died
        says_that_it_stopped(it)
        it.page.locator(IDLE).wait_for()


def test_a_paused_one_notices_that_its_kernel_is_shut_down(game):
    with game() as it:
        it.notebook.menu("Kernel", "kernelmenu:shutdown")
        says_that_it_stopped(it)


WAIT = "import pathlib, time\nwhile not pathlib.Path({path!r}).exists():\n    time.sleep(0.1)"


def test_a_long_cell_is_not_taken_for_the_end_of_the_kernel(playing, tmp_path):
    go_on = tmp_path / "go on"
    with playing(WAIT.format(path=str(go_on))) as it:
        cell = it.page.locator(".jp-CodeCell").nth(1)
        cell.locator(".cm-content").first.click()
        it.page.keyboard.press("Control+Enter")
        speed = it.root.locator(".gp-speed")
        sync_api.expect(speed).to_have_text(LATE)
        it.page.wait_for_timeout(3_000)
        sync_api.expect(it.root.locator(".gp-alert")).to_be_hidden()
        go_on.touch()
        goes_on(it)
        sync_api.expect(speed).to_contain_text("steps/s")


def test_the_stop_button_pauses_the_playground(playing):
    with playing("6 * 7") as it:
        speed = it.root.locator(".gp-speed")
        press_stop(it)
        sync_api.expect(speed).to_have_text(PRESSED)
        assert it.stands_still()
        sync_api.expect(it.root.locator(".gp-alert")).to_be_hidden()
        assert it.cell(1) == "42"
        it.press("r")
        goes_on(it)
        sync_api.expect(speed).not_to_contain_text(PRESSED)

        # By keyboard it is I, twice, once Escape has given the keys back to the notebook.
        it.root.locator(".gp-primary").focus()
        for key in ("i", "i"):
            it.page.keyboard.press(key)
        goes_on(it)
        for key in ("Escape", "i", "i"):
            it.page.keyboard.press(key)
        sync_api.expect(speed).to_have_text(PRESSED)
        assert it.page.locator(".jp-Dialog").count() == 0


ENDLESS = """def g_loss(real, fake):
    while True:
        pass

p.reset()"""


def test_the_stop_button_ends_a_loss_that_never_returns(playing):
    with playing(ENDLESS, "6 * 7") as it:
        it.cell(1)
        sync_api.expect(it.root.locator(".gp-speed")).to_have_text(LATE)
        press_stop(it)
        alert = it.root.locator(".gp-alert")
        sync_api.expect(alert).to_contain_text("in g_loss, line")
        assert it.stands_still()
        assert it.cell(2) == "42", "the same kernel goes on"


NAMES = """controls => controls.map(control => control.getAttribute("aria-label")
    || [...(control.labels ?? [])].map(label => label.textContent).join("")
    || control.textContent)"""
HEARD = """spoken => {
    window.heard = []
    new MutationObserver(() => window.heard.push(spoken.textContent))
        .observe(spoken, {childList: true, characterData: true, subtree: true})
}"""


def test_a_screen_reader_finds_names_and_hears_what_it_does_but_not_every_step(game):
    with game() as it:
        names = it.root.locator("button, select, input, canvas").evaluate_all(NAMES)
        assert len(names) == 20 and all(name.strip() for name in names), names
        controls, shades = it.root.locator("select, input"), it.root.locator(".gp-shades")
        names, before = controls.evaluate_all(NAMES), shades.inner_text()
        assert names[-5:] == ["real", "generated", "D(x)", "pull on G", "latent grid"]
        it.root.locator(".gp-spoken").evaluate(HEARD)
        heard = lambda: it.page.evaluate("window.heard")  # noqa: E731
        assert it.root.locator(".gp-spoken").get_attribute("aria-live") == "polite"
        it.press("r")
        it.until(lambda: shades.inner_text() != before, "D did not change")
        it.until(lambda: heard() and it.steps() > 50, "it said nothing")
        assert controls.evaluate_all(NAMES) == names, "a name changes while it plays"
        assert heard() == ["Running"]
        it.press("r")
        it.until(lambda: len(heard()) == 2, "it did not say that it paused")
        steps, turns = it.counters()[:2]
        assert heard()[1].startswith(f"Paused: {steps:,} steps of G, {turns:,} of D, ")
