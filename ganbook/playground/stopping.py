"""What stops a game of the playground: errors, in words, and the notebook's stop button.

The button sends the kernel an interrupt (SIGINT). A kernel ignores it between cells, where the
playground plays.
"""

import _thread
import linecache
import signal
import sysconfig
import threading
import traceback
import weakref
from pathlib import Path

from ganbook import GAN
from ganbook.guards import WholeStep

PATIENCE = 5.0  # seconds that a computation may go on after the button is pressed
PRESSED = "Paused by the notebook's stop button"
NOT_THE_READERS = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"))

_playing = weakref.WeakSet()  # those whose `pause(notice)` is called when the button is pressed


class StopButton(WholeStep):
    """A context: an interrupt in it waits for the end of the block, but not for ever.

    After PATIENCE seconds, or at a second interrupt, KeyboardInterrupt is raised in the block. That
    ends a sleep too (on Windows only the second interrupt does), but a single call into C, such as
    a matrix product, first runs to its end.
    """

    def __enter__(self):
        self._timer = threading.Timer(PATIENCE, _interrupt_main)
        self._timer.daemon = True
        super().__enter__()

    def _catch(self, *signal_and_frame):
        if self.caught:
            raise KeyboardInterrupt
        self.caught.append(signal_and_frame)
        self._timer.start()

    def __exit__(self, *error):
        self._timer.cancel()
        super().__exit__(*error)


def _interrupt_main() -> None:
    if not hasattr(signal, "pthread_kill"):  # as on Windows
        return _thread.interrupt_main()
    # interrupt_main would only leave a note, which a sleeping main thread does not read.
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


class StoppableGAN(GAN):
    """A `GAN` in which the stop button ends an objective that takes too long.

    A turn delays interrupts until its weights are whole. Computing an objective changes no
    weights, so a turn can safely be abandoned there.
    """

    def d_objective(self, batch):
        with StopButton():
            return super().d_objective(batch)

    def g_objective(self, batch):
        with StopButton():
            return super().g_objective(batch)


def listen(playground) -> None:
    """Let the stop button pause a playground between cells; while a cell runs, it stops the cell.

    playground: an object with `pause(notice)`. After each cell the kernel ignores the button again,
        so this is called again and again while the playground plays.
    """
    _playing.add(playground)
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, _pause_all)


def listen_no_more(playground) -> None:
    """Undo `listen`."""
    _playing.discard(playground)
    main = threading.current_thread() is threading.main_thread()
    if main and not _playing and signal.getsignal(signal.SIGINT) is _pause_all:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _pause_all(*_) -> None:
    for playground in list(_playing):
        playground.pause(PRESSED)


def explain(error: BaseException, suspects=()) -> str:
    """The error in words, with the line of the reader's own code that it came from, if any.

    suspects: functions to name if no line of the reader's was running, such as a loss that has
        returned something wrong. Those of this package, and one that the error names with its
        line, are not named.
    """
    text = str(error)
    if isinstance(error, KeyboardInterrupt):
        text = text or "stopped by the notebook's stop button"
    text = f"{type(error).__name__}: {text}"
    places = traceback.extract_tb(error.__traceback__)
    places = [(place.name, place.filename, place.lineno) for place in places]
    codes = [suspect.__code__ for suspect in suspects if hasattr(suspect, "__code__")]
    defined = [(code.co_name, code.co_filename, code.co_firstlineno) for code in codes]
    defined = [place for place in defined if f"({place[0]}, line {place[2]})" not in text]
    for name, file, line in [*reversed(places), *defined]:
        if not file.startswith(NOT_THE_READERS) and "site-packages" not in file:
            return f"{text}\nin {name}, line {line}: {linecache.getline(file, line).strip()}"
    return text
