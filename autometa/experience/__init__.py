"""The user's own experience: finished studies in a metadata base beside the bundled one, on this machine alone."""

from autometa.experience._learning import DEFAULT_IMPORTANCE, LearnReport, compare, learn
from autometa.experience._store import (
    HOME_VARIABLE,
    forget,
    home,
    load_experienced_metamodel,
    load_metamodel,
    newest,
    read,
)

__all__ = [
    "DEFAULT_IMPORTANCE",
    "HOME_VARIABLE",
    "LearnReport",
    "compare",
    "forget",
    "home",
    "learn",
    "load_experienced_metamodel",
    "load_metamodel",
    "newest",
    "read",
]
