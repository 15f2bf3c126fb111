"""The playground in a kernel without a page: the stop button, and a notebook that is executed."""

import time
from pathlib import Path

import jupyter_client
import pytest

from ganbook.playground import stopping

ROOT = Path(__file__).parents[2]
LIMIT = 180  # seconds until a test stops waiting

LOSS = """
import asyncio, pathlib, time
import torch.nn.functional as F
from ganbook.playground import playground, stopping, widget
stopping.PATIENCE = 1.0
widget.SILENCE = 1e9
stuck, asleep, heard = "", "", ""

def d_loss(real, fake):
    if heard:
        pathlib.Path(heard).touch()
    return F.softplus(-real) + F.softplus(fake)

def g_loss(real, fake):
    while stuck:
        pathlib.Path(stuck).touch()
    if asleep:
        pathlib.Path(asleep).touch()
        time.sleep(1000)
    return F.softplus(-fake)

p = playground(loss=(d_loss, g_loss), width=16, depth=1, batch=32)
p.play()
while p.gan.steps_done < 5:
    await asyncio.sleep(0.01)
"""


@pytest.fixture(scope="module")
def kernel():
    """`kernel(code)` runs a cell and gives what it printed; `kernel.interrupt()` as the button.

    kernel.shown: the formats of each output that was displayed.
    """
    manager, client = jupyter_client.manager.start_new_kernel(
        startup_timeout=LIMIT, kernel_name="python3", cwd=str(ROOT)
    )

    def run(code):
        printed = []

        def take(message):
            content = message["content"]
            assert message["msg_type"] != "error", content
            printed.append(content.get("text", ""))
            run.shown += [content["data"]] if message["msg_type"] == "display_data" else []

        client.execute_interactive(code, output_hook=take, timeout=LIMIT)
        return "".join(printed).strip()

    run.shown, run.interrupt = [], manager.interrupt_kernel
    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def wait_for(path):
    end = time.monotonic() + LIMIT
    while not path.exists():
        assert time.monotonic() < end, "the loss was not called"
        time.sleep(0.05)


def test_the_stop_button_of_a_kernel(kernel, tmp_path):
    kernel(LOSS)
    kernel(f"heard = {str(tmp_path / 'heard')!r}")
    wait_for(tmp_path / "heard")  # it plays between cells
    kernel.interrupt()
    waits = "while p.playing:\n    await asyncio.sleep(0.01)"
    assert kernel(f"{waits}\nprint(repr(p.error), p.board.notice)") == f"'' {stopping.PRESSED}"
    for way in ("stuck", "asleep"):
        kernel(f"{way} = {str(tmp_path / way)!r}\np.play()")
        wait_for(tmp_path / way)
        kernel.interrupt()
        assert "in g_loss, line 1" in kernel("print(p.error)"), "the same kernel answers"
        kernel(f"{way} = ''\np.advance(3)")


def test_a_notebook_that_is_executed_trains_nothing(kernel):
    kernel("import asyncio\nfrom ganbook.playground import playground")
    kernel("playground()\nbefore = len(asyncio.all_tasks())")
    kernel("p = playground()\ndisplay(p)")
    assert "image/png" in kernel.shown[-1]
    kernel("for _ in range(100):\n    await asyncio.sleep(0)")
    tasks = "len(asyncio.all_tasks()) - before"
    playing, steps, tasks = kernel(f"print(p.playing, p.gan.steps_done, {tasks})").split()
    assert (playing, steps) == ("False", "0")
    assert int(tasks) <= 1  # a cell that awaits may itself be a task
