"""Keys pressed while something runs: nothing is echoed into the bars, Esc stops as Ctrl-C does, single letters are handed over.

The terminal is given back as it was whatever happens, after Ctrl-Z too; what was typed for nobody is dropped, so that no question
that comes later is answered by it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from prompt_toolkit import Application

Given = TypeVar("Given")
ESCAPE = "\x1b"
_LONGEST = 3  # characters that come at once: more were pasted, not pressed
_REST_SECONDS = 0.05  # in which what follows Esc has come, where it is the first byte of an arrow key
_LOOK_SECONDS = 0.05  # between two looks at the keyboard on Windows, where nothing can be waited for


def drop_typed_keys() -> None:
    """Drop what the terminal holds for us: it was typed before the question that comes now, so it is no answer to it."""
    if not sys.stdin or not sys.stdin.isatty():
        return
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        with contextlib.suppress(termios.error, OSError):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def ask_alone(application: Application[Given], run: Callable[[], Given]) -> Given:
    """Run a question of prompt_toolkit; keys typed before it is on the screen, and those it read too many before, are dropped."""
    from prompt_toolkit.input.typeahead import clear_typeahead

    clear_typeahead(application.input)
    drop_typed_keys()
    return run()


class Keys:
    """The keyboard while a stage runs; `take` hands over what was pressed since the last time, Esc left out."""

    def __init__(self) -> None:
        self._pressed: queue.SimpleQueue[str] = queue.SimpleQueue()

    def take(self) -> Iterator[str]:
        """The letters that were pressed, in lower case."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._pressed.get_nowait()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen until the block ends; where stdin is no terminal of ours there is nothing to listen to."""
        if not _owns_terminal():
            yield
        elif sys.platform == "win32":
            with self._listening_on_windows():
                yield
        else:
            with self._listening_on_posix():
                yield

    def _understand(self, text: str) -> None:
        """What was pressed at one moment: Esc alone stops, letters are kept, arrow keys and what was pasted mean nothing."""
        if text == ESCAPE:
            _interrupt()
        elif not text.startswith(ESCAPE) and len(text) <= _LONGEST:
            for letter in text:
                self._pressed.put(letter.lower())

    if sys.platform == "win32":

        @contextlib.contextmanager
        def _listening_on_windows(self) -> Iterator[None]:
            import msvcrt

            ended = threading.Event()

            def listen() -> None:
                while not ended.wait(_LOOK_SECONDS):
                    while msvcrt.kbhit():
                        key = msvcrt.getwch()
                        if key in ("\x00", "\xe0"):  # an arrow or a function key: its name follows
                            msvcrt.getwch()
                        else:
                            self._understand(ESCAPE if key == "\x03" else key)

            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            try:
                yield
            finally:
                ended.set()
                listener.join()

    else:

        @contextlib.contextmanager
        def _listening_on_posix(self) -> Iterator[None]:
            import termios

            terminal = sys.stdin.fileno()
            before = termios.tcgetattr(terminal)
            wake, waker = os.pipe()
            listener = threading.Thread(target=self._listen, args=(terminal, wake), daemon=True)
            try:
                with _shown_again_after_pause(terminal, before):
                    _silence(terminal, before)
                    listener.start()
                    yield
            finally:
                os.write(waker, b".")
                if listener.ident:
                    listener.join()
                os.close(wake)
                os.close(waker)
                with contextlib.suppress(termios.error):  # the terminal is gone
                    termios.tcsetattr(terminal, termios.TCSAFLUSH, before)

        def _listen(self, terminal: int, wake: int) -> None:
            from select import select

            with contextlib.suppress(OSError):  # the terminal is gone
                while wake not in select([terminal, wake], [], [])[0]:
                    text = os.read(terminal, 1024)
                    if text == ESCAPE.encode() and select([terminal], [], [], _REST_SECONDS)[0]:
                        text += os.read(terminal, 1024)
                    if not text:
                        return
                    self._understand(text.decode("utf-8", errors="replace"))


def _owns_terminal() -> bool:
    """Whether stdin is a terminal and we are not in its background, where changing it would stop us."""
    try:
        if not sys.stdin.isatty():
            return False
        return sys.platform == "win32" or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _interrupt() -> None:
    """What Ctrl-C does, wherever the main thread is."""
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main(signal.SIGINT)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


if sys.platform != "win32":

    def _silence(terminal: int, before: list[Any]) -> None:
        """No echo, and each key at once; Ctrl-C and Ctrl-Z go on being signals. Drops what was typed ahead."""
        import termios

        mode = list(before)
        mode[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(terminal, termios.TCSAFLUSH, mode)

    @contextlib.contextmanager
    def _shown_again_after_pause(terminal: int, before: list[Any]) -> Iterator[None]:
        """Ctrl-Z leaves the shell its terminal as it was, and silence comes back with us."""
        import termios

        def pause(number: int, _frame: FrameType | None) -> None:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            signal.signal(number, pause)
            if _owns_terminal():
                _silence(terminal, before)

        old = signal.signal(signal.SIGTSTP, pause)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, old)
