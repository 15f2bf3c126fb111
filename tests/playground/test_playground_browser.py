"""The playground in JupyterLab: its kernel ends, its stop button is pressed, and it is heard."""

import contextlib

import pytest
from test_browser import IDLE, chromium, game, lab, opened, sync_api  # noqa: F401

STOPPED = "The kernel has stopped. Run this cell again."
LATE = "Waiting for the kernel: a cell runs, or a step takes long"
PRESSED = "Paused by the notebook's stop button"


@pytest.fixture
def playing(game):  # noqa: F811
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


def test_it_notices_a_restart_and_running_the_cell_again_mends_it(playing):
    with playing() as it:
        it.until(lambda: says(it) == "Running", "it said nothing")
        restart(it)
        says_that_it_stopped(it)
        it.page.locator(IDLE).wait_for()
        it.page.locator(".jp-CodeCell .cm-content").first.click()
        it.page.keyboard.press("Control+Enter")
        run = it.root.locator(".gp-primary:enabled")
        run.wait_for()
        run.click()
        goes_on(it)
        sync_api.expect(it.root.locator(".gp-alert")).to_be_hidden()


HOLD_FRAMES = """() => {
  const frame = window.requestAnimationFrame;
  window.requestAnimationFrame = (run) =>
    run.name === "draw" ? ((window.held = run), 1) : frame(run);
}"""


def test_a_picture_that_is_drawn_after_the_stop_is_told_to_nobody(playing):
    with playing() as it:
        it.page.evaluate(HOLD_FRAMES)
        it.page.wait_for_timeout(2_000)  # so that its kernel is ahead, and waits to be told
        restart(it)
        says_that_it_stopped(it)
        it.page.evaluate("window.held(performance.now())")
        it.page.locator(IDLE).wait_for()


def test_it_notices_a_crash(playing):
    with playing("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)") as it:
        it.page.locator(".jp-CodeCell .cm-content").nth(1).click()
        it.page.keyboard.press("Control+Enter")
        it.page.locator(".jp-Dialog .jp-mod-accept").click()  # it says that the kernel died
        says_that_it_stopped(it)


def test_a_paused_one_notices_that_its_kernel_is_shut_down(game):  # noqa: F811
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
        press_stop(it)
        speed = it.root.locator(".gp-speed")
        sync_api.expect(speed).to_have_text(PRESSED)
        assert it.stands_still()
        sync_api.expect(it.root.locator(".gp-alert")).to_be_hidden()
        assert it.cell(1) == "42"
        it.press("r")
        goes_on(it)
        sync_api.expect(speed).not_to_contain_text(PRESSED)


def test_escape_gives_the_keys_back_to_the_notebook(playing):
    with playing() as it:
        it.root.locator(".gp-primary").focus()
        for key in ("i", "i"):
            it.page.keyboard.press(key)
        goes_on(it)
        for key in ("Escape", "i", "i"):
            it.page.keyboard.press(key)
        speed = it.root.locator(".gp-speed")
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
OUTLINE = "getComputedStyle(document.activeElement).outlineStyle"


def test_every_control_is_named_and_shows_its_focus(game):  # noqa: F811
    with game() as it:
        names = it.root.locator("button, select, input, canvas").evaluate_all(NAMES)
        assert len(names) == 20 and all(name.strip() for name in names), names
        it.root.locator(".gp-primary").focus()
        for _ in range(18):
            it.page.keyboard.press("Tab")
            if it.root.evaluate("root => root.contains(document.activeElement)"):
                assert it.page.evaluate(OUTLINE) == "solid"


def test_no_name_changes_while_it_plays(game):  # noqa: F811
    with game() as it:
        controls = it.root.locator("select, input")
        names = controls.evaluate_all(NAMES)
        assert names[-5:] == ["real", "generated", "D(x)", "pull on G", "latent grid"]
        shades = it.root.locator(".gp-shades")
        before = shades.inner_text()
        it.press("r")
        it.until(lambda: shades.inner_text() != before, "D did not change")
        assert controls.evaluate_all(NAMES) == names


def test_a_screen_reader_hears_what_it_does_but_not_every_step(game):  # noqa: F811
    with game() as it:
        it.root.locator(".gp-spoken").evaluate("""spoken => {
            window.heard = []
            new MutationObserver(() => window.heard.push(spoken.textContent))
                .observe(spoken, {childList: true, characterData: true, subtree: true})
        }""")
        heard = lambda: it.page.evaluate("window.heard")  # noqa: E731
        assert it.root.locator(".gp-spoken").get_attribute("aria-live") == "polite"
        it.press("r")
        it.until(lambda: heard() and it.steps() > 50, "it said nothing")
        assert heard() == ["Running"]
        it.press("r")
        it.until(lambda: len(heard()) == 2, "it did not say that it paused")
        steps, turns = it.counters()[:2]
        assert heard()[1].startswith(f"Paused: {steps:,} steps of G, {turns:,} of D, ")
