"""How much memory a piece of work needs, as the operating system counts it."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"


class PeakMemory:
    """Measures the peak of the resident memory above what the process held at the start.

    Attributes
    ----------
    megabytes : float
        In units of 10^6 bytes, after the block has been left; NaN where the system keeps no such account (Linux does,
        see proc(5), ``clear_refs`` and ``VmHWM``).
    """

    def __init__(self) -> None:
        self.megabytes = float("nan")
        self._before = float("nan")

    def __enter__(self) -> Self:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError):
            _CLEAR.write_text(_RESET_PEAK)
            self._before = _read("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.megabytes = max(_read("VmHWM") - self._before, 0.0)


def _read(name: str) -> float:
    """Return a line of the process's status, given there in KiB."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")
