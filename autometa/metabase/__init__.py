"""The metadata base: what is known about tasks, configurations, and runs of the one on the other.

Three tables, written as Parquet beside a manifest with their hashes; no pickle. The bundled base is read here and
nowhere else.
"""

from autometa.metabase._manifest import metabase_directory, read_manifest, verify_files, write_manifest
from autometa.metabase._metabase import MetaBase
from autometa.metabase._regret import LEAST_LEVEL, MAX_REGRET, level_of, regret_of
from autometa.metabase._schema import (
    BASELINE_PREFIX,
    DENSE_ORIGINS,
    RUN_COLUMNS,
    TUNED,
    describe_for_study,
    task_row,
)

__all__ = [
    "BASELINE_PREFIX",
    "DENSE_ORIGINS",
    "LEAST_LEVEL",
    "MAX_REGRET",
    "RUN_COLUMNS",
    "TUNED",
    "MetaBase",
    "describe_for_study",
    "level_of",
    "metabase_directory",
    "read_manifest",
    "regret_of",
    "task_row",
    "verify_files",
    "write_manifest",
]
