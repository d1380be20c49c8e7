"""What happens when a person, or the machine, stops a drill: it ends in order, and the order is not disturbed again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKED = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def heeded() -> Iterator[None]:
    """Take SIGTERM and SIGHUP for what Ctrl-C is: a ``KeyboardInterrupt`` in the main thread.

    A signal that is ignored, as below ``nohup``, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _ASKED}
    wanted = {number: old for number, old in before.items() if old is signal.SIG_DFL}
    try:
        for number in wanted:
            signal.signal(number, _stop)
        yield
    finally:
        for number, old in wanted.items():
            signal.signal(number, old)


@contextmanager
def held_off() -> Iterator[None]:
    """Ignore all three while something is undone; programs that are started meanwhile ignore them too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *_ASKED)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)
