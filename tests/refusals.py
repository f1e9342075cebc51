"""How tests say that something is refused: by the class of the error, its code, and words of its message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from autometa.errors import AutometaError


@contextmanager
def refused(
    error: type[AutometaError] | tuple[type[AutometaError], ...], code: str, match: str | None = None
) -> Iterator[pytest.ExceptionInfo[AutometaError]]:
    """Expect an error with a code, whose message does not begin with it."""
    with pytest.raises(error, match=match) as caught:
        yield caught
    assert caught.value.code == code
    assert not str(caught.value).startswith("AM")
