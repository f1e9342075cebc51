"""Where results are kept: files, written whole or not at all, and the storages of studies."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autometa.errors import DependencyError, StorageError, UsageError, how_to_install

if TYPE_CHECKING:
    import pandas as pd
    from optuna.storages import JournalStorage

# Where a cell begins with one of these, spreadsheets take it for a formula, or drop what is before one
# (OWASP, "CSV Injection").
FORMULA_MARKS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
# Seconds after which the lock on a journal is that of a process that was killed: an append takes milliseconds.
LOCK_SECONDS: Final = 10
_POSTGRESQL: Final = "postgresql://"
# Bytes that are read at a time from the end of a journal; most of its lines are shorter.
_BLOCK: Final = 4096


def write_file(path: str | Path, content: bytes | bytearray | memoryview | str) -> None:
    """Write a file, whole or not at all.

    The content goes to a new file beside the target, to the disk, and then takes the target's name. A link is
    followed: it stays, and the file that it leads to is replaced. A file that is replaced keeps its permissions and,
    where the system allows, its owner; a new one gets those that the user's umask leaves.

    Parameters
    ----------
    path : str or Path
        A regular file, or none yet.
    content : bytes-like or str
        Text is written as UTF-8; what UTF-8 cannot hold is escaped.

    Raises
    ------
    StorageError
        AM609 when it cannot be written, or is a folder, a device, a pipe or a socket.
    """
    target = regular_target(path)
    data = content.encode("utf-8", errors="backslashreplace") if isinstance(content, str) else content
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    with _reported(path):
        # Never one that is there already: O_EXCL refuses links, too.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        opened = os.open(partial, flags, 0o666)
        try:
            with os.fdopen(opened, "wb") as file:
                file.write(data)
                file.flush()
                _keep_owner(file.fileno(), target)
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def regular_target(path: str | Path) -> Path:
    """Return the file that a path leads to, which is regular or not there yet.

    Returns
    -------
    Path
        With links followed.

    Raises
    ------
    StorageError
        AM609 for anything else, for a path in a folder that is not there, and for one that cannot be written.
    """
    shown = repr(str(path))
    with _reported(path):
        found = _status(path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise StorageError("AM609", f"{shown} is a folder.", "Name a file in it.")
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise StorageError(
                "AM609", f"{shown} is a device, a pipe or a socket.", "Name a file, new or to be replaced."
            )
        target = Path(os.path.realpath(path))
        if not target.parent.is_dir():
            folder = str(Path(path).parent if not Path(path).is_symlink() else target.parent)
            raise StorageError(
                "AM609", f"the folder {folder!r} of {Path(path).name!r} does not exist.", "Make it first."
            )
        is_writable = os.access(target.parent, os.W_OK) and (found is None or os.access(target, os.W_OK))
    if not is_writable:
        raise StorageError("AM609", f"{shown} cannot be written.", "Choose another place.")
    return target


def is_stream(path: str) -> bool:
    """Whether a path is something that results flow through: ``-``, standard output, a pipe, a terminal, /dev/null."""
    if path == "-":
        return True
    with _reported(path):
        found = _status(path)
    if found is None:
        return False
    return _is_standard_output(found) or stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)


def write_rows(path: str, text: str) -> None:
    """Write a result of lines: into a file as :func:`write_file` does, or through what :func:`is_stream` knows.

    Raises
    ------
    StorageError
        AM609
    """
    if not is_stream(path):
        write_file(path, text)
        return
    found = None if path == "-" else _status(path)
    if found is None or _is_standard_output(found):
        sys.stdout.write(text)
        return
    with _reported(path), Path(path).open("w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def to_csv(frame: pd.DataFrame, **options: Any) -> str:
    """Return a table as CSV for people: text that a spreadsheet would run begins with an apostrophe.

    Parameters
    ----------
    frame : DataFrame
        Text in cells and in column names is guarded; numbers, and text that is a number, never are.
    **options
        Of :meth:`pandas.DataFrame.to_csv`.
    """
    guarded = frame.apply(
        lambda column: column.map(_guarded) if column.dtype.kind not in "biufMm" else column
    )
    guarded.columns = [_guarded(name) for name in frame.columns]
    text: str = guarded.to_csv(index=False, lineterminator="\n", **options)
    return text


def _guarded(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(FORMULA_MARKS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 (follows /dev/stdout to a pipe that has no path)
    except FileNotFoundError:
        return None


def _is_standard_output(found: os.stat_result) -> bool:
    try:
        return os.path.samestat(found, os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # replaced by something without a file
        return False


def _keep_owner(opened: int, target: Path) -> None:
    before = _status(target)
    if before is None or not hasattr(os, "fchown"):
        return
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(OSError):  # only root may give files away
            os.fchown(opened, before.st_uid, before.st_gid)
    os.fchmod(opened, stat.S_IMODE(before.st_mode) & 0o777)


@contextlib.contextmanager
def one_process(path: Path, cure: str = "Choose another place.") -> Iterator[None]:
    """Let one thread of one process at a time pass; if it dies, the next one passes.

    Parameters
    ----------
    path : Path
        Of the file that is locked meanwhile; it is made, and its folder.
    cure : str
        What to do where there can be no such file.

    Raises
    ------
    StorageError
        AM609 when there can be no such file.
    """
    from filelock import FileLock

    with _reported(path, cure):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _reported(path: str | Path, cure: str = "Choose another place.") -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError("AM609", f"{str(path)!r} cannot be written: {reason}.", cure) from error


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
