"""Every error that autometa raises on purpose, and what it notices in data and stops nothing.

::

    AutometaError
    ├── DataError            (ValueError)    the table or its target cannot be used
    ├── UsageError           (ValueError)    an argument is wrong or does not fit the data
    ├── StorageError         (RuntimeError)  a metadata base, model or study is unreadable
    ├── DependencyError      (ImportError)   an extra is not installed
    └── EvaluationError      (RuntimeError)  no configuration could be fitted

Each message is one line: what is wrong and where, what was found, and what to do. Its code is for machines: an
attribute, a field of ``--json``, and in brackets at the end of the line that the command line shows.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

# The name under which the package is installed. On the public index, "autometa" is another project.
DISTRIBUTION: Final = "autometa-learn"


def how_to_install(extra: str) -> str:
    """Return what to do where an extra is missing, in a sentence."""
    return f"Install it with: pip install '{DISTRIBUTION}[{extra}]'."


# user:password@ of an address; a password may hold any character but a space, and the last @ ends it. A path that was
# made of an address has one slash.
_PASSWORD: Final = re.compile(r"(:/{1,2}[^\s:/@]*):\S*@")


def without_passwords(text: str) -> str:
    """Return a text in which the passwords of addresses are stars."""
    return _PASSWORD.sub(r"\1:***@", text)


class AutometaError(Exception):
    """Base of all errors raised by autometa.

    Parameters
    ----------
    code : str
        Stable identifier such as ``"AM101"``, listed in ``docs/reference/codes.md``.
    message : str
        What is wrong, where, and what was found.
    fix : str, default=""
        What the user can do about it.
    """

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(code, message, fix)
        self.code = code
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return _told(self)


class DataError(AutometaError, ValueError):
    """The table or its target cannot be used as it is."""


class UsageError(AutometaError, ValueError):
    """An argument is wrong, or does not fit the data."""


class StorageError(AutometaError, RuntimeError):
    """A metadata base, a model file or a study cannot be read or written."""


class DependencyError(AutometaError, ImportError):
    """An optional package is needed and not installed."""


class EvaluationError(AutometaError, RuntimeError):
    """No configuration could be fitted on the task."""


@dataclass(frozen=True)
class DataIssue:
    """Something in the data that the user should know about, and what to do about it.

    Attributes
    ----------
    code : str
        Stable identifier such as ``"AM202"``, listed in ``docs/reference/codes.md``.
    columns : tuple of str
        The columns that it concerns; empty where it is the whole table.
    message : str
        What was noticed, and where.
    fix : str, default=""
        What the user can do about it.
    """

    code: str
    columns: tuple[str, ...]
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return _told(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the issue as plain JSON types."""
        return {**asdict(self), "columns": list(self.columns)}


def _told(what: AutometaError | DataIssue) -> str:
    return " ".join(part for part in (what.message, what.fix) if part)


def with_code(what: AutometaError | DataIssue) -> str:
    """Return what is told in one line, with its code in brackets at the end, as the command line shows it."""
    return f"{what} [{what.code}]"


def listed(names: Any, most: int = 5) -> str:
    """Return the first names in quotes, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
