"""What the playground asks of the kernel that it runs in: its event loop, and which cell runs."""

import asyncio
import weakref

_in_cell = weakref.WeakValueDictionary()  # the last playground of each cell of the notebook


def running_loop():
    """The event loop of the kernel, or None outside one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def replace_in_cell(playground) -> None:
    """Close the playground that the same cell made when it ran before.

    playground: the new one, a widget.
    """
    kernel = getattr(playground.comm, "kernel", None)
    cell = kernel.get_parent().get("metadata", {}).get("cellId") if kernel is not None else None
    if cell is None:
        return
    before = _in_cell.pop(cell, None)
    if before is not None:
        before.close()
    _in_cell[cell] = playground
