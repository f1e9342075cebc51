"""Where studies live: a database, as Optuna names it, or a journal file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autometa.errors import StorageError, UsageError


def open_storage(storage: Any) -> Any:
    """Open an Optuna storage.

    Parameters
    ----------
    storage : str or optuna storage
        A database URL (``sqlite:///runs.db``, ``postgresql://...``), the path of a journal file
        (``runs.journal``), or a storage object, which is returned as it is.

    Returns
    -------
    optuna.storages.BaseStorage

    Raises
    ------
    UsageError
        AM505 when the name is neither a URL nor a path ending in ``.journal``.
    StorageError
        AM601 when it cannot be opened.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if not isinstance(storage, str):
        return storage
    try:
        if storage.endswith(".journal"):
            backend = JournalFileBackend(storage)
            return optuna.storages.JournalStorage(backend)
        if "://" in storage:
            return optuna.storages.get_storage(storage)
    except Exception as error:
        # Drivers raise errors of their own; the URL stays out of the message, since it may hold a password.
        raise StorageError(
            "AM601",
            f"the storage cannot be opened: {type(error).__name__}.",
            "Check the URL, the driver and the server, or the folder of the journal file.",
        ) from error
    raise UsageError(
        "AM505",
        f"storage {storage!r} is neither a database URL nor a journal file.",
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
    is_file = name.endswith(".journal") or name != storage
    if is_file and name and not Path(name).is_file():
        raise StorageError("AM604", f"there is no file {name!r}.", "Check the name.")
    return open_storage(storage)
