"""The tables of automl.py: drawn here, kept in automl_tables.txt.

    python benchmarks/automl_tables.py --datasets DIR --messy DIR

Rule. Of the catalog of datasets: at least 150 rows; no family that holds a table of search_tables.txt or of the
results of zero_shot.py, where methods were looked at before, or that is among the messy ones. Families are ordered
by a hash of their names, and stand for their first table by a hash of its name. They fall into nine classes: small
(up to 1,000 rows), medium (up to 10,000), large, each binary, multiclass, regression. Of each class the first four
are taken; what a class lacks comes from the next smaller size. Of the messy catalog: six classes (up to 3,000 rows
or more; three kinds), three of each, what a class lacks comes from the other size. The first of each class is for
development, and so is the second of the classes on one diagonal (small binary, medium multiclass, large
regression); all others are reported. The first byte of the hash of a messy family is even for development and odd
for reporting, as in messy.py, whose rules were chosen on the former.

Lines: part, source, kind, family, table. Development comes first; within a part sizes, kinds and sources take turns.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final

import pandas as pd

HERE: Final = Path(__file__).parent
TABLES: Final = HERE / "automl_tables.txt"
KINDS: Final = ("binary", "regression", "multiclass")
SIZES: Final = {"datasets": (0, 1_000, 10_000), "messy": (0, 3_000)}
N_OF_CLASS: Final = {"datasets": 4, "messy": 3}
MIN_ROWS: Final = 150
DIAGONAL: Final = ((0, "binary"), (1, "multiclass"), (2, "regression"))


@dataclass(frozen=True)
class Entry:
    """A table of the benchmark.

    Attributes
    ----------
    part : {"develop", "report"}
    source : {"datasets", "messy"}
    kind : {"binary", "multiclass", "regression"}
    family, table : str
    target : str
        Column of the target; known after :meth:`described`.
    """

    part: str
    source: str
    kind: str
    family: str
    table: str
    target: str = ""

    def described(self, directory: Path) -> Entry:
        """Return the entry with its target, from the catalog of a directory."""
        catalog = pd.read_csv(directory / "catalog.csv", dtype=str).set_index("name")
        return replace(self, target=catalog.loc[self.table, "target"])


def read_tables(path: Path = TABLES) -> list[Entry]:
    """Return the tables in their order."""
    return [Entry(*line.split()) for line in path.read_text(encoding="utf-8").splitlines()]


def draw(datasets: Path, messy: Path) -> list[Entry]:
    """Choose the tables by the rule."""
    untidy = pd.read_csv(messy / "catalog.csv")
    tidy = pd.read_csv(datasets / "catalog.csv")
    seen = set((HERE / "search_tables.txt").read_text().split())
    seen |= set(pd.read_csv(HERE / "results" / "zero_shot.csv")["table"])
    known = set(tidy.loc[tidy["name"].isin(seen), "family"]) | set(untidy["family"])
    tidy = tidy[~tidy["family"].isin(known) & (tidy["n_rows"] >= MIN_ROWS)]
    chosen = _of_tidy(_classes(tidy, "datasets")) + _of_untidy(_classes(untidy, "messy"))
    return [e for part in ("develop", "report") for e in _in_turn([c for c in chosen if c[1].part == part])]


Class = tuple[int, str]
Chosen = tuple[Class, Entry]


def _classes(catalog: pd.DataFrame, source: str) -> dict[Class, list[Entry]]:
    """Return one table of each family by size and kind, in the order of the hashes."""
    hashed = catalog.assign(a=catalog["family"].map(_hash), b=catalog["name"].map(_hash))
    first = hashed.sort_values(["a", "b"]).drop_duplicates("family")
    classes: dict[Class, list[Entry]] = {key: [] for key in product(range(len(SIZES[source])), KINDS)}
    for row in first.to_dict("records"):
        size = sum(row["n_rows"] > limit for limit in SIZES[source]) - 1
        entry = Entry("", source, row["task_type"], row["family"], row["name"])
        classes[size, entry.kind].append(entry)
    return classes


def _of_tidy(classes: dict[Class, list[Entry]]) -> list[Chosen]:
    chosen: list[Chosen] = []
    missing = 0
    for kind in KINDS:
        for size in reversed(range(len(SIZES["datasets"]))):
            wanted = N_OF_CLASS["datasets"] + missing
            taken = classes[size, kind][:wanted]
            missing = wanted - len(taken)
            n_develop = 1 + ((size, kind) in DIAGONAL)
            chosen += [
                ((size, kind), replace(e, part="develop" if i < n_develop else "report"))
                for i, e in enumerate(taken)
            ]
    return chosen


def _of_untidy(classes: dict[Class, list[Entry]]) -> list[Chosen]:
    chosen: list[Chosen] = []
    for kind in KINDS:
        for part, odd, wanted in (("develop", 0, 1), ("report", 1, N_OF_CLASS["messy"] - 1)):
            halves = [[e for e in classes[s, kind] if _hash_is_odd(e.family) == odd] for s in (0, 1)]
            taken = [half[:wanted] for half in halves]
            for here, there in ((0, 1), (1, 0)):
                lacking = wanted - len(taken[here])
                taken[there] += halves[there][wanted : wanted + lacking]
            chosen += [((s, kind), replace(e, part=part)) for s in (0, 1) for e in taken[s]]
    return chosen


def _in_turn(chosen: Sequence[Chosen]) -> list[Entry]:
    """Put classes in turn along diagonals of size and kind, two datasets for each messy table."""
    queues = {}
    for source in SIZES:
        keys = list(dict.fromkeys(key for key, e in chosen if e.source == source))
        keys.sort(key=lambda key: ((key[0] + KINDS.index(key[1])) % 3, KINDS.index(key[1])))
        members = [[e for k, e in chosen if k == key and e.source == source] for key in keys]
        longest = max((len(m) for m in members), default=0)
        queues[source] = [m[i] for i in range(longest) for m in members if i < len(m)]
    ordered: list[Entry] = []
    while any(queues.values()):
        for source in ("datasets", "messy", "datasets"):
            if queues[source]:
                ordered.append(queues[source].pop(0))
    return ordered


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_is_odd(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0] % 2


def main() -> None:
    """Draw the tables and write their file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--messy", type=Path, required=True)
    arguments = parser.parse_args()
    entries = draw(arguments.datasets, arguments.messy)
    lines = [" ".join((e.part, e.source, e.kind, e.family, e.table)) for e in entries]
    TABLES.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
