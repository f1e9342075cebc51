"""Something on its way to the workers of a cluster: bytes while it travels, an object once it was opened there.

The module imports nothing, so that a parcel arrives before the libraries are loaded that its content needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol as Interface


class Content(Interface):
    """What can be in a parcel."""

    def packed(self) -> bytes:
        """Return the bytes that it came as."""

    def close(self) -> None:
        """End what it has begun; nobody wants it any more."""


class Parcel:
    """Bytes that are opened once, where they are needed, and travel on as bytes."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._content: Content | None = None
        self._lock = threading.Lock()

    def open(self, unpack: Callable[[bytes], Any]) -> Any:
        """Return the content; the first call makes it of the bytes, which are dropped then."""
        with self._lock:
            if self._content is None:
                self._content, self._payload = unpack(self._payload), b""
            return self._content

    def __reduce__(self) -> tuple[type[Parcel], tuple[bytes]]:
        with self._lock:
            return Parcel, (self._payload if self._content is None else self._content.packed(),)

    def __del__(self) -> None:
        if self._content is not None:
            self._content.close()
