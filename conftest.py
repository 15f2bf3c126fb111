"""For notebooks as tests: one that hangs or kills its kernel is red once, and at once.

nbval starts each later cell all the same, and sees a dead kernel only at a cell's time limit.
"""

from queue import Empty

import pytest


class KernelDied(Exception):
    pass


def pytest_configure(config):
    if not (getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False)):
        return
    from nbval import kernel as nbval

    wait, start = nbval.RunningKernel.get_message, nbval.start_new_kernel

    def start_new_kernel(*args, **kwargs):
        """nbval's, once more if the kernel dies: its ports are chosen before it opens them, and
        another program, such as a kernel of another worker, may have taken one in between."""
        try:
            return start(*args, **kwargs)
        except RuntimeError as error:
            if "died" not in str(error):
                raise
            return start(*args, **kwargs)

    def get_message(kernel, stream, timeout=None):
        """nbval's, which looks every second whether the kernel is alive."""
        for _ in range(int(timeout or 0)):
            try:
                return wait(kernel, stream, timeout=1)
            except Empty:
                if not kernel.is_alive():
                    raise KernelDied from None
        return wait(kernel, stream, timeout=timeout and timeout % 1)

    nbval.start_new_kernel = start_new_kernel
    nbval.RunningKernel.get_message = get_message


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not hasattr(item, "cell_num"):
        return (yield)
    failure = None
    try:
        outcome = yield
    except Exception as error:
        failure = error
    if isinstance(failure, KernelDied):
        why = "killed its kernel"
    elif item.parent.timed_out:
        why = f"took more than {item.config.option.nbval_cell_timeout:g} seconds"
    elif failure:
        raise failure
    else:
        return outcome
    item.parent.ended = f"cell {item.cell_num} {why}"
    traceback = getattr(failure, "inner_traceback", None)
    item.raise_cell_error(f"it {why}. The cells after it are not run.", traceback)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if ended := getattr(item.parent, "ended", None):
        pytest.skip(f"not run: {ended}")
