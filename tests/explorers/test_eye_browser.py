"""The human eye's widget in JupyterLab: an image is seen for its time, and keys answer."""

from test_browser import chromium, code, lab, opened, sync_api, write  # noqa: F401

CELL = """
import torch
from ganbook.explorers import eye
it = eye.explorer(torch.ones(20, 1, 28, 28), -torch.ones(20, 1, 28, 28), looks=4, seconds=0.4)
it
"""
TELL = "print('told', it.answers, it.rounds, [int(k) for k in it.truth])"
MIDDLE = """canvas => canvas.getContext('2d')
    .getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0]"""


def test_images_are_seen_for_a_moment_and_answered_by_keyboard(opened, tmp_path):  # noqa: F811
    cells = [code(CELL), code(TELL)]
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
