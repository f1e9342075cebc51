"""Write the tables of ``docs/reference/space.md`` from the declarations: ``python docs/make_space.py``.

What stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is replaced: the encoders, what a configuration
may say of columns of words, and the algorithms of either kind with their hyperparameters. A test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from optuna.distributions import CategoricalDistribution, IntDistribution

from autometa.space import SPACE_VERSION, Algorithm, SearchSpace
from autometa.space.encoders import AUTO, encodings, known_encoders

PAGE: Final = Path(__file__).parent / "reference" / "space.md"


def make() -> dict[str, str]:
    """Return what stands between the marks, by name."""
    spaces = {kind: SearchSpace.for_kind(kind) for kind in ("classification", "regression")}
    return {
        "version": f"Version {SPACE_VERSION}. {len(spaces['classification'])} algorithms for classification (binary "
        f"and multiclass) and {len(spaces['regression'])} for regression.",
        "encoders": table(
            ("encoder", "of", "what a column becomes", "by the rule"),
            ((f"`{e.name}`", ", ".join(e.choices), e.what, e.when) for e in known_encoders().values()),
        ),
        "options": table(("parameter", "values"), map(option, encodings().items())),
        **{
            kind: table(
                ("algorithm", "parameter", "values", "default"), (row for a in space for row in rows(a))
            )
            for kind, space in spaces.items()
        },
    }


def option(item: tuple[str, CategoricalDistribution]) -> tuple[str, str]:
    """Return an option with its values; those that mean one encoder say which."""
    name, distribution = item
    alone = {e.choices[name]: e.name for e in known_encoders().values() if name in e.choices}
    rest = (f"`{v}`" + (f" ({alone[v]})" if v in alone else "") for v in distribution.choices if v != AUTO)
    return f"`{name}`", f"`{AUTO}`; {', '.join(rest)}"


def rows(algorithm: Algorithm) -> Iterator[tuple[str, ...]]:
    """Return a row for each hyperparameter of an algorithm."""
    for name, distribution in algorithm.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            values = ", ".join(f"`{choice!r}`" for choice in distribution.choices)
        else:
            number = "whole" if isinstance(distribution, IntDistribution) else "real"
            scale = ", log" if distribution.log else ""
            values = f"{distribution.low:g} to {distribution.high:g}, {number}{scale}"
        if name in algorithm.conditions:
            parent, active = algorithm.conditions[name]
            values += f" (where {parent} is {', '.join(map(repr, active))})"
        default = f"`{algorithm.default[name]!r}`" if name in algorithm.default else "inactive"
        yield algorithm.name, name, values, default


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head = tuple(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *lines))


def render(page: str) -> str:
    """Return the page with what the declarations say."""
    for name, text in make().items():
        marks = rf"(<!-- {name}: begin -->\n).*?(\n<!-- {name}: end -->)"
        page, n = re.subn(marks, lambda m, text=text: m[1] + text + m[2], page, flags=re.DOTALL)
        if n != 1:
            raise ValueError(f"the marks of {name!r} are missing")
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
