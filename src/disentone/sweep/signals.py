"""The end of a command that somebody asked to end: by Ctrl-C, or by SIGTERM as schedulers send it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PARENT = "DISENTONE_PARENT"
"""The environment variable that names the process whose child this one is."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
BY_PARENT = signal.SIGUSR2
"""What a process is ended by that its parent started: Lightning answers SIGTERM by a message to the other processes."""
LOOK = 0.5
LATEST = 4.0
"""Seconds after a signal at which a command ends that is still busy."""


@contextmanager
def ending(last_words: Callable[[], str]) -> Iterator[None]:
    """End with status 128 + the signal's number and one line, whatever the signal interrupted.

    Args:
        last_words: what is kept, and how to go on.

    """
    received = list[int]()

    def leave() -> None:
        if PARENT not in os.environ:
            print(f"\ndisentone: ended by {signal.Signals(received[0]).name}; {last_words()}", file=sys.stderr)

    def leave_at_once() -> None:
        leave()
        os._exit(128 + received[0])

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        timer = threading.Timer(LATEST, leave_at_once)
        timer.daemon = True
        timer.start()
        # The one exception that Lightning, Hydra and joblib let through at once.
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    listened = (*SIGNALS, BY_PARENT) if PARENT in os.environ else SIGNALS
    before = {number: signal.signal(number, interrupt) for number in listened}
    try:
        yield
    except BaseException:
        if not received:
            raise
    finally:
        _set(before if not received else dict.fromkeys(before, signal.SIG_IGN))
    if received:
        leave()
        sys.exit(128 + received[0])


def die_with(parent: int) -> None:
    """Leave Ctrl-C to the parent process, and end when that is gone: nobody would wait for this one."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="watches the parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(128 + signal.SIGTERM)


def _set(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
