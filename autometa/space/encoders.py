"""How columns of words become numbers: every way is declared here, and here alone.

The values that a configuration may name, the coding of a table, the blocks of its pipeline, and the page of the
reference follow from the declarations.

A column of words is coded by its levels where they are few. Where they are many, an integer for each says little: what
a level was worth in the training rows (target encoding, cross-fitted) and what its letters look like (n-grams, reduced
to a few components) say more. Free text is read by its letters where it is short, by its words where it is long. With
2,500 rows of eight tables of the development half of benchmarks/messy.py, the first recommendation became better on six
(by .02 to .08 R2, from 1.82 to 1.03 log-loss) and worse on two (.53 to .54 log-loss, .10 to .01 R2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

import pandas as pd
from optuna.distributions import CategoricalDistribution

from autometa.errors import UsageError

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
WORTH_FOLDS: Final = 5  # scikit-learn's default
# Values that are looked at to judge a column.
N_SAMPLE: Final = 1000
# Columns into which n-grams of letters, and words, are hashed; the latter with pairs where nothing reduces them.
N_LETTER_HASHES: Final = 2**13
N_WORD_HASHES: Final = 2**12
N_PAIR_HASHES: Final = 2**15
# Power iterations of the SVD: Halko, Martinsson and Tropp (SIAM Review 53, 2011) find one to three enough.
N_ITERATIONS: Final = 3

AUTO: Final = "auto"
# What a configuration may ask for beside the rule and one encoder alone: names of encoders, by option and value.
_TOGETHER: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {"categories": {"levels": (), "both": ("worth", "letters")}, "text": {}}
)


@dataclass(frozen=True, eq=False)
class Words:
    """What is known of the columns of words of one table.

    Attributes
    ----------
    categorical, text : mapping of str to Series
        The columns of each type.
    n_classes : int
        Of the target; 0 for numbers.
    asked : mapping of str to str
        Values of the options that a configuration names; the others are ``auto``.
    """

    categorical: Mapping[str, pd.Series]
    text: Mapping[str, pd.Series]
    n_classes: int
    asked: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def n_levels(self) -> dict[str, int]:
        """Levels of each category."""
        return {name: int(column.nunique()) for name, column in self.categorical.items()}

    @cached_property
    def many(self) -> list[str]:
        """Categories of more than ``MANY_LEVELS`` levels, those with the most first."""
        names = [name for name, n in self.n_levels.items() if n > MANY_LEVELS]
        return sorted(names, key=lambda name: -self.n_levels[name])

    @cached_property
    def spelt(self) -> list[str]:
        """Categories whose letters are looked at, where any are wanted: as many as have room for components."""
        room = max(MAX_COMPONENTS // LEAST_COMPONENTS - len(self.text), 0)
        return self.many[:room] if self.wants("letters", "categories") else []

    @cached_property
    def lengths(self) -> dict[str, float]:
        """Mean characters of a value, of the columns whose letters or words are read."""
        columns = {**self.categorical, **self.text}
        return {name: _mean_length(columns[name]) for name in (*self.spelt, *self.text)}

    @cached_property
    def readable(self) -> set[str]:
        """Columns whose letters are read: short ones, the shortest first, while there is time."""
        lengths, n_characters = self.lengths, 0.0
        n_rows = max(map(len, (*self.categorical.values(), *self.text.values())), default=0)
        found: set[str] = set()
        for name in sorted(lengths, key=lambda name: lengths[name]):
            n_characters += n_rows * lengths[name]
            if lengths[name] <= LONG_TEXT and n_characters <= MAX_CHARACTERS:
                found.add(name)
        return found

    def wants(self, name: str, option: str) -> bool:
        """Whether an encoder is among those that the rule, or the configuration, lets read the columns of an option."""
        value = self.asked.get(option, AUTO)
        alone = known_encoders()[name].choices.get(option)
        return alone is not None and (value in (AUTO, alone) or name in _TOGETHER[option].get(value, ()))

    def is_asked(self, option: str) -> bool:
        """Whether a configuration says how the columns of an option are read, so that the rule does not."""
        return self.asked.get(option, AUTO) != AUTO


@dataclass(frozen=True)
class Need:
    """What the steps of an encoder depend on.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
        Of the task.
    is_scaled : bool
        Whether the algorithm wants numbers of one scale.
    n_components : int or None
        Into how many numbers a column goes; None for as many as there are. Encoders without components do not look.
    """

    kind: str
    is_scaled: bool
    n_components: int | None


@dataclass(frozen=True, eq=False)
class Encoder:
    """A way in which columns of words become numbers.

    Attributes
    ----------
    name : str
        Of its blocks in a pipeline.
    choices : mapping of str to str
        The value by which a configuration asks for it alone, for each option whose columns it reads: ``categories``,
        ``text``.
    what, when : str
        What comes out, and by which rule: for the page of the reference.
    takes : {"levels", "text"}
        Whether it is given columns side by side, whose missing cells are missing, or one column of text, whose
        missing cells are empty.
    choose : callable
        Takes :class:`Words` and an option, and returns the names of the columns that it reads. It is called where
        it is wanted. A column of text is read by the first encoder that takes it, in the order of the declarations.
    make : callable
        Takes :class:`Need` and returns the steps, unfitted objects of scikit-learn.
    components : mapping of str to int, default={}
        Numbers that a column becomes, by option, where all have room; without them it says itself how many.
    """

    name: str
    choices: Mapping[str, str]
    what: str
    when: str
    takes: Literal["levels", "text"]
    choose: Callable[[Words, str], Iterable[str]]
    make: Callable[[Need], list[Any]]
    components: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoding:
    """How the columns of words of one table become numbers. A category can be read in several ways.

    Attributes
    ----------
    levels : tuple of str
        Columns whose levels are coded, by a column of zeros and ones or an integer for each.
    columns : mapping of str to mapping of str to int
        By the name of an encoder, the columns that it reads, and how many numbers each becomes (0 where the
        encoder says it).
    """

    levels: tuple[str, ...]
    columns: Mapping[str, Mapping[str, int]]

    @property
    def reads_text(self) -> bool:
        """Whether a column is read as text, so that it must come as a column of a frame."""
        known = known_encoders()
        return any(names and known[name].takes == "text" for name, names in self.columns.items())


def choose_encoding(words: Words) -> Encoding:
    """Choose by the facts about each column how it is read.

    Categories are coded. Where there are more than ``MANY_LEVELS`` levels, each becomes its worth as well (up to
    ``MAX_WORTH_CLASSES`` classes and ``MAX_WORTH_COLUMNS`` columns), and a few components of its letters. Free text
    is read by its letters up to ``LONG_TEXT`` characters on average and ``MAX_CHARACTERS`` in the table, else by its
    words. Where not all columns have room, those with the most levels come first.

    Parameters
    ----------
    words : Words
        What it says of an option goes before the rule.

    Returns
    -------
    Encoding
    """
    found: dict[str, dict[str, int]] = {name: {} for name in known_encoders()}
    taken: set[str] = set()
    for name, encoder in known_encoders().items():
        for option in encoder.choices:
            chosen = [*encoder.choose(words, option)] if words.wants(name, option) else []
            if option == "text":
                chosen = [column for column in chosen if column not in taken]
                taken.update(chosen)
            found[name].update(dict.fromkeys(chosen, encoder.components.get(option, 0)))
    room = min(1.0, MAX_COMPONENTS / max(sum(n for columns in found.values() for n in columns.values()), 1))
    return Encoding(
        tuple(words.categorical),
        {
            name: {column: max(LEAST_COMPONENTS, int(n * room)) if n else 0 for column, n in columns.items()}
            for name, columns in found.items()
        },
    )


def _mean_length(column: pd.Series) -> float:
    """Characters of a value, on average over the first known ones."""
    values = column.dropna().iloc[:N_SAMPLE]
    return float(values.astype("str").str.len().mean()) if len(values) else 0.0


def _choose_worth(words: Words, option: str) -> list[str]:
    if words.n_classes > MAX_WORTH_CLASSES:
        return []
    n_columns = words.n_classes if words.n_classes > 2 else 1
    repeated = [n for n in words.many if words.n_levels[n] * LEAST_ROWS <= words.categorical[n].count()]
    chosen = set(repeated[: MAX_WORTH_COLUMNS // n_columns])
    return [name for name in words.categorical if name in chosen]


def _make_worth(need: Need) -> list[Any]:
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import StandardScaler, TargetEncoder

    encoder = TargetEncoder(
        # Told from the values, whole numbers would be taken for classes.
        target_type="continuous" if need.kind == "regression" else "auto",
        # Without strata, for classes rarer than the folds are many.
        cv=KFold(WORTH_FOLDS, shuffle=True, random_state=0),
    )
    return [encoder, *([StandardScaler()] if need.is_scaled else [])]


def _choose_letters(words: Words, option: str) -> list[str]:
    if option == "text" and words.is_asked("text"):
        return [*words.text]
    return [
        name for name in (words.spelt if option == "categories" else words.text) if name in words.readable
    ]


def _make_letters(need: Need) -> list[Any]:
    # As in skrub's StringEncoder: within words, three and four letters.
    return _weigh(
        {"n_features": N_LETTER_HASHES, "analyzer": "char_wb", "ngram_range": (3, 4)}, need.n_components
    )


def _make_words(need: Need) -> list[Any]:
    if need.n_components is None:
        return _weigh({"n_features": N_PAIR_HASHES, "ngram_range": (1, 2)}, None)
    return _weigh({"n_features": N_WORD_HASHES}, need.n_components)


def _weigh(counts: Mapping[str, Any], n_components: int | None) -> list[Any]:
    """Return steps that make weights of what is counted, a sparse row of length one, or components of them.

    The weights of a row have length one, so that all components of a column together vary like one scaled number. Each
    scaled by itself, they drown the other columns wherever distances count.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    steps = [HashingVectorizer(**counts, alternate_sign=False), TfidfTransformer()]
    if n_components is not None:
        steps.append(TruncatedSVD(n_components=n_components, n_iter=N_ITERATIONS, random_state=0))
    return steps


WORTH: Final = Encoder(
    name="worth",
    choices={"categories": "target"},
    what="the mean of the target in the training rows of its level, cross-fitted; one for each class beyond two",
    when=f"more than {MANY_LEVELS} levels of {LEAST_ROWS} rows on average; up to {MAX_WORTH_CLASSES} classes and "
    f"{MAX_WORTH_COLUMNS} columns in all",
    takes="levels",
    choose=_choose_worth,
    make=_make_worth,
)
LETTERS: Final = Encoder(
    name="letters",
    choices={"categories": "characters", "text": "characters"},
    what=f"{N_LETTERS} (text: {N_TEXT}) components of its n-grams of three and four letters, hashed and weighted",
    when=f"categories of more than {MANY_LEVELS} levels; text of up to {LONG_TEXT} characters on average; "
    f"{MAX_CHARACTERS:,} characters of a table",
    takes="text",
    choose=_choose_letters,
    make=_make_letters,
    components={"categories": N_LETTERS, "text": N_TEXT},
)
WORDS: Final = Encoder(
    name="words",
    choices={"text": "words"},
    what=f"{N_TEXT} components of its words, hashed and weighted",
    when="text that is not read by its letters",
    takes="text",
    choose=lambda words, option: words.text,
    make=_make_words,
    components={"text": N_TEXT},
)

_encoders: dict[str, Encoder] = {encoder.name: encoder for encoder in (WORTH, LETTERS, WORDS)}


def known_encoders() -> Mapping[str, Encoder]:
    """Return the encoders by name, in the order of their blocks in a pipeline."""
    return MappingProxyType(_encoders)


def register_encoder(encoder: Encoder) -> None:
    """Add an encoder in this process, to try it before it is declared; it is asked before those that are there.

    Worker processes know those that are declared.

    Parameters
    ----------
    encoder : Encoder
        Its name and the values of its choices are new.

    Raises
    ------
    UsageError
        AM503 when the name or a value is taken, or an option is not known.
    """
    known = encodings()
    unknown = [option for option in encoder.choices if option not in known]
    taken = [
        value for option, value in encoder.choices.items() if value in known.get(option, _NOTHING).choices
    ]
    if unknown or taken or encoder.name in _encoders:
        what = (unknown or taken or [encoder.name])[0]
        raise UsageError(
            "AM503",
            f"encoder {encoder.name!r}: {what!r} is {'no option' if unknown else 'taken'}.",
            f"Options are {', '.join(known)}; names and values must be new.",
        )
    before = dict(_encoders)
    _encoders.clear()
    _encoders.update({encoder.name: encoder, **before})


def unregister_encoder(name: str) -> None:
    """Take away an encoder that was added; those that are declared stay."""
    if name not in (WORTH.name, LETTERS.name, WORDS.name):
        _encoders.pop(name, None)


def encodings() -> Mapping[str, CategoricalDistribution]:
    """Return what a configuration may say of columns of words, whatever its algorithm: the values of each option.

    One that says nothing means ``auto``, the rule, so that configurations recorded before stay valid.
    """
    return _distributions(tuple(_encoders.values()))


@lru_cache(maxsize=8)
def _distributions(known: tuple[Encoder, ...]) -> Mapping[str, CategoricalDistribution]:
    found = {}
    for option, together in _TOGETHER.items():
        alone = [encoder.choices[option] for encoder in known if option in encoder.choices]
        none = [value for value, names in together.items() if not names]
        several = [value for value, names in together.items() if names]
        found[option] = CategoricalDistribution((AUTO, *none, *alone, *several))
    return MappingProxyType(found)


_NOTHING: Final = CategoricalDistribution((AUTO,))
