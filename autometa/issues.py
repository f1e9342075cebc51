"""What was noticed in the data and stops nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class DataIssue:
    """Something in the data that the user should know about, and what to do about it."""

    code: str
    columns: tuple[str, ...]
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.code, self.message, self.fix) if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the issue as plain JSON types."""
        return {**asdict(self), "columns": list(self.columns)}


def listed(names: Any, most: int = 5) -> str:
    """Return the first names in quotes, and how many more there are."""
    names = list(names)
    return ", ".join(map(repr, names[:most])) + (
        f" and {len(names) - most} more" if len(names) > most else ""
    )
