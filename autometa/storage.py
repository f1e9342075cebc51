"""Where studies live: a database, as Optuna names it, or a journal file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autometa.errors import DependencyError, StorageError, UsageError, how_to_install

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

# Seconds after which the lock on a journal is that of a process that was killed: an append takes milliseconds.
LOCK_SECONDS: Final = 10
_POSTGRESQL: Final = "postgresql://"
# Bytes that are read at a time from the end of a journal; most of its lines are shorter.
_BLOCK: Final = 4096


def open_storage(storage: Any) -> Any:
    """Open an Optuna storage.

    Parameters
    ----------
    storage : str or optuna storage
        A database URL (``sqlite:///runs.db``, ``postgresql://...``), the path of a journal file
        (``runs.journal``), or a storage object, which is returned as it is.

    Raises
    ------
    UsageError
        AM505 when the name is neither a URL nor a path ending in ``.journal``.
    StorageError
        AM601 when it cannot be opened.
    DependencyError
        AM703 when it is a PostgreSQL database and the extra ``postgresql`` is not installed.
    """
    import optuna

    if not isinstance(storage, str):
        return storage
    if storage.startswith(_POSTGRESQL):
        storage = _with_driver(storage)
    try:
        if "://" in storage:
            return optuna.storages.get_storage(storage)
        if storage.endswith(".journal"):
            return _open_journal(storage)
    except Exception as error:
        # Drivers raise errors of their own; the URL stays out of the message, since it may hold a password.
        raise StorageError(
            "AM601",
            f"the storage cannot be opened: {type(error).__name__}.",
            "Check the URL, the driver and the server, or the folder of the journal file.",
        ) from (None if "@" in storage else error)
    raise UsageError(
        "AM505",
        f"storage {_shown(storage)} is neither a database URL nor a journal file.",
        "Use for example sqlite:///runs.db or runs.journal.",
    )


def open_existing_storage(storage: Any) -> Any:
    """Open an Optuna storage to read from it; see :func:`open_storage`.

    Raises
    ------
    StorageError
        AM604 when it is a file that does not exist: it would be made, and be empty.
    """
    name = storage.removeprefix("sqlite:///") if isinstance(storage, str) else ""
    is_file = "://" not in name and (name.endswith(".journal") or name != storage)
    if is_file and name and not Path(name).is_file():
        raise StorageError("AM604", f"there is no file {name!r}.", "Check the name.")
    return open_storage(storage)


def _shown(storage: str) -> str:
    """Return a name for messages; what has an @ may be an address with a password in it, written wrongly."""
    return "with an @" if "@" in storage else repr(storage)


def _with_driver(url: str) -> str:
    """Name the driver that the extra brings; SQLAlchemy's own choice depends on its version."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "AM703",
            "a PostgreSQL storage needs a driver that is not installed.",
            how_to_install("postgresql"),
        ) from error
    return url.replace(_POSTGRESQL, "postgresql+psycopg://", 1)


def _open_journal(path: str) -> JournalStorage:
    """Open a journal so that a writer that was killed in the middle does no harm.

    Optuna skips half a line at the end, but would write the next one right behind it, and then neither can be read.
    Whoever takes the lock cuts such an end off: it is a record that was never confirmed. A lock that was left behind
    is that of a plain file; that of a link would be waited for forever where the path of the journal is relative.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class MendingLock(JournalFileOpenLock):
        def acquire(self) -> bool:
            super().acquire()
            _cut_torn_line(Path(path))
            return True

    return JournalStorage(JournalFileBackend(path, MendingLock(path, LOCK_SECONDS)))


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        size = end = file.seek(0, 2)
        tail = b""
        while end > 0 and b"\n" not in tail:
            start = max(end - _BLOCK, 0)
            file.seek(start)
            tail, end = file.read(end - start), start
        whole = end + tail.rfind(b"\n") + 1
        if whole < size:
            file.truncate(whole)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log lines for a while, whatever the user's level is."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
