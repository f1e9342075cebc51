"""How columns of words become numbers: the facts that are looked at, and the rules that choose.

A column of words is coded by its levels where they are few. Where they are many, an integer for each says little: what
a level was worth in the training rows (target encoding, cross-fitted) and what its letters look like (n-grams, reduced
to a few components) say more. Free text is read by its letters where it is short, by its words where it is long. With
2,500 rows of eight tables of the development half of benchmarks/messy.py, the first recommendation became better on six
(by .02 to .08 R2, from 1.82 to 1.03 log-loss) and worse on two (.53 to .54 log-loss, .10 to .01 R2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

# A column of more levels is not only coded. Measured with 40, where skrub's TableVectorizer draws the line, and 10.
MANY_LEVELS: Final = 20
# Longer text is read by its words: n-grams of its letters take seconds and say little that its words do not.
LONG_TEXT: Final = 100
# Characters of a table that are read by their n-grams: about a second. What is shortest comes first.
MAX_CHARACTERS: Final = 1_000_000
# Components of a column of text (as in skrub's StringEncoder), of a column of many levels, and of all columns together:
# ten columns of text have the 16 each that they had before.
N_TEXT: Final = 30
N_LETTERS: Final = 10
MAX_COMPONENTS: Final = 160
LEAST_COMPONENTS: Final = 4
# Columns of a target encoding, one for each class where there are more than two. A table with nine columns of many
# levels and 17 classes, which makes 153, gained more than any other.
MAX_WORTH_COLUMNS: Final = 160
MAX_WORTH_CLASSES: Final = 40
# Known rows of a level, on average, for it to have a worth: what is all but unique would become the means of the folds.
LEAST_ROWS: Final = 2
# Values that are looked at to judge a column.
N_SAMPLE: Final = 1000


@dataclass(frozen=True)
class Encoding:
    """How the columns of words of one table become numbers. A column can be read in several ways.

    Attributes
    ----------
    levels : tuple of str
        Columns whose levels are coded, by a column of zeros and ones or an integer for each.
    worth : tuple of str
        Columns of which each level becomes the mean of the target in its training rows, cross-fitted.
    letters, words : mapping of str to int
        Columns that become components of their n-grams of letters, or of their words, and how many.
    """

    levels: tuple[str, ...]
    worth: tuple[str, ...]
    letters: Mapping[str, int]
    words: Mapping[str, int]


def choose_encoding(
    categorical: Mapping[str, pd.Series],
    text: Mapping[str, pd.Series],
    n_classes: int,
    *,
    categories: str = "auto",
    text_by: str = "auto",
) -> Encoding:
    """Choose by the facts about each column how it is read.

    Categories are coded. Where there are more than ``MANY_LEVELS`` levels, each becomes its worth as well (up to
    ``MAX_WORTH_CLASSES`` classes and ``MAX_WORTH_COLUMNS`` columns), and a few components of its letters. Free text
    is read by its letters up to ``LONG_TEXT`` characters on average and ``MAX_CHARACTERS`` in the table, else by its
    words. Where not all columns have room, those with the most levels come first.

    Parameters
    ----------
    categorical, text : mapping of str to Series
        The columns of each type.
    n_classes : int
        Of the target; 0 for numbers.
    categories : {"auto", "levels", "target", "characters", "both"}, default="auto"
        What is done with many levels beside coding them: what the rule says, nothing, target encoding, n-grams of
        letters, or both.
    text_by : {"auto", "words", "characters"}, default="auto"
        What free text is read by.

    Returns
    -------
    Encoding
    """
    columns = {**categorical, **text}
    n_levels = {name: int(column.nunique()) for name, column in categorical.items()}
    many = tuple(name for name, n in n_levels.items() if n > MANY_LEVELS)
    by_levels = sorted(many, key=lambda name: -n_levels[name])
    worth: list[str] = []
    if categories in ("auto", "target", "both") and n_classes <= MAX_WORTH_CLASSES:
        n_columns = n_classes if n_classes > 2 else 1
        repeated = [name for name in by_levels if n_levels[name] * LEAST_ROWS <= columns[name].count()]
        worth = repeated[: MAX_WORTH_COLUMNS // n_columns]
    spelt: list[str] = []
    if categories in ("auto", "characters", "both"):
        spelt = by_levels[: max(MAX_COMPONENTS // LEAST_COMPONENTS - len(text), 0)]
    lengths = {name: _mean_length(columns[name]) for name in (*spelt, *text)}
    readable = _readable(lengths, max(map(len, columns.values()), default=0))
    letters = [name for name in spelt if name in readable]
    short = {name for name in text if text_by == "characters" or (text_by == "auto" and name in readable)}
    wanted = {**dict.fromkeys(letters, N_LETTERS), **dict.fromkeys(text, N_TEXT)}
    room = min(1.0, MAX_COMPONENTS / max(sum(wanted.values()), 1))
    counts = {name: max(LEAST_COMPONENTS, int(n * room)) for name, n in wanted.items()}
    return Encoding(
        levels=tuple(categorical),
        worth=tuple(name for name in many if name in worth),
        letters={name: n for name, n in counts.items() if name in short or name not in text},
        words={name: n for name, n in counts.items() if name in text and name not in short},
    )


def _readable(lengths: Mapping[str, float], n_rows: int) -> set[str]:
    """Return the columns whose letters are read: short ones, the shortest first, while there is time."""
    found: set[str] = set()
    n_characters = 0.0
    for name in sorted(lengths, key=lambda name: lengths[name]):
        n_characters += n_rows * lengths[name]
        if lengths[name] <= LONG_TEXT and n_characters <= MAX_CHARACTERS:
            found.add(name)
    return found


def _mean_length(column: pd.Series) -> float:
    """Characters of a value, on average over the first known ones."""
    values = column.dropna().iloc[:N_SAMPLE]
    return float(values.astype("str").str.len().mean()) if len(values) else 0.0
