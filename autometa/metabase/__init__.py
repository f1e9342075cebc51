"""The metadata base: what is known about tasks, configurations, and runs of the one on the other.

Three tables, written as Parquet beside a manifest with their hashes; no pickle. The bundled base is read here and
nowhere else.
"""

from autometa.metabase._files import (
    BASELINE_PREFIX,
    DENSE_ORIGINS,
    RUN_COLUMNS,
    TUNED,
    describe_for_study,
    few_attribute,
    metabase_directory,
    read_manifest,
    task_row,
    verify_files,
    write_manifest,
)
from autometa.metabase._metabase import MetaBase
from autometa.metabase._scores import LEAST_LEVEL, MAX_REGRET, level_of, regret_of

__all__ = [
    "BASELINE_PREFIX",
    "DENSE_ORIGINS",
    "LEAST_LEVEL",
    "MAX_REGRET",
    "RUN_COLUMNS",
    "TUNED",
    "MetaBase",
    "describe_for_study",
    "few_attribute",
    "level_of",
    "metabase_directory",
    "read_manifest",
    "regret_of",
    "task_row",
    "verify_files",
    "write_manifest",
]
