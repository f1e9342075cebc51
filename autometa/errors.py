"""Every error that autometa raises on purpose.

::

    AutometaError
    ├── DataError            (ValueError)    the table or its target cannot be used
    ├── UsageError           (ValueError)    an argument is wrong or does not fit the data
    ├── StorageError         (RuntimeError)  a metadata base, model or study is unreadable
    ├── DependencyError      (ImportError)   an extra is not installed
    └── EvaluationError      (RuntimeError)  no configuration could be fitted

Each message is one line: a stable code, what is wrong and where, what was found, and what to do.
"""

import re
from typing import Final

# The name under which the package is installed. On the public index, "autometa" is another project.
DISTRIBUTION: Final = "autometa-learn"


def how_to_install(extra: str) -> str:
    """Return what to do where an extra is missing, in a sentence."""
    return f"Install it with: pip install '{DISTRIBUTION}[{extra}]'."


# user:password@ of an address; a password may hold any character but a space, and the last @ ends it.
_PASSWORD: Final = re.compile(r"(://[^\s:/@]*):\S*@")


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
        return " ".join(part for part in (self.code, self.message, self.fix) if part)


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
