"""One line that says how far a long job is, in a terminal and in a notebook; drawn by tqdm."""

from __future__ import annotations

import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

# A notebook has a bar of its own, as wide as there is room; in letters the words need most of 80 columns.
_FORMAT: Final = "{percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}"
_LETTERS: Final = "{percentage:3.0f}%|{bar:8}| {remaining} left{postfix}"
_WIDTH: Final = 100
_TICK: Final = 0.5  # seconds after which the clock of the line is set, whatever the job does
_lines: list[Any] = []


def is_watched() -> bool:
    """Whether somebody looks on: standard error is a terminal, or this is a notebook."""
    return sys.stderr.isatty() or _is_notebook()


def _is_notebook() -> bool:
    # Others may have loaded the kernel's library without the shell.
    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


class Bar:
    """A line that shows which part of a job is done, the time that is left, and a text; it goes when it is closed.

    Parameters
    ----------
    shown : bool or None, default=None
        Whether to show it; None where :func:`is_watched`.
    every : float or None, default=None
        Where it is not shown, seconds between calls of `tell`; None for none.
    tell : callable, optional
        Called with a plain line, where there is no one who looks on.
    """

    def __init__(
        self,
        shown: bool | None = None,
        *,
        every: float | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> None:
        self.is_shown = is_watched() if shown is None else shown
        self._every = every
        self._tell = tell
        self._start = self._last = time.monotonic()
        self._share: Callable[[], float] = lambda: 0.0
        self._line: Any = None
        self._stop = threading.Event()

    def update(self, share: float | Callable[[], float], text: str = "") -> None:
        """Show how much is done.

        Parameters
        ----------
        share : float or callable
            From 0 to 1; where it grows by itself, what returns it.
        text : str, default=""
            What is done now.
        """
        self._share = share if callable(share) else lambda: share
        if self.is_shown:
            self._line = self._line or self._open()
            self._line.set_postfix_str(text, refresh=False)
            self._draw()
        elif self._tell is not None and self._every is not None:
            now = time.monotonic()
            if now - self._last >= self._every or self._share() >= 1:
                self._last = now
                self._tell(f"{self._share():.0%} after {now - self._start:,.0f} s, {text}")

    def close(self) -> None:
        """Take the line away."""
        self._stop.set()
        if self._line is not None:
            _lines.remove(self._line)
            self._line.close()
            self._line = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Any:
        look = _FORMAT if _is_notebook() else _LETTERS
        line = _make_line()(total=1.0, bar_format=look, leave=False, file=sys.stderr, **_room())
        # The job began before there was something to show; what is left is told by what the whole took so far.
        line.start_t -= time.monotonic() - self._start
        _lines.append(line)
        self._stop.clear()
        threading.Thread(target=self._tick, args=(line,), daemon=True, name="autometa progress").start()
        return line

    def _tick(self, line: Any) -> None:
        while not self._stop.wait(_TICK):
            if line is not self._line:
                return
            # The line may be closed while it is drawn; a clock is not worth an error.
            with suppress(Exception):
                self._draw()

    def _draw(self) -> None:
        if (line := self._line) is not None:
            line.n = min(max(self._share(), 0.0), 1.0)
            line.ncols = _room().get("ncols")
            line.refresh()


def _room() -> dict[str, int]:
    """Return the size of the line, also for a terminal that does not know its own; a notebook finds out."""
    size = shutil.get_terminal_size((_WIDTH, 24))
    return {} if _is_notebook() else {"ncols": size.columns - 1, "nrows": max(size.lines, 2)}


def _make_line() -> type[Any]:
    """Return tqdm's line for where this runs, with a lock of its own and no thread that watches it."""
    with warnings.catch_warnings():
        # Without ipywidgets a notebook has the line in letters.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        class Line(tqdm):
            monitor_interval = 0

    # tqdm's own lock is shared with other processes: a child that is forked while it is held would wait forever.
    Line.set_lock(threading.RLock())
    return Line


@contextmanager
def paused() -> Iterator[None]:
    """Take the lines away while something else is written on standard error."""
    for line in _lines:
        line.clear()
    try:
        yield
    finally:
        for line in _lines:
            line.refresh()
