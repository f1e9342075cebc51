"""Preparations that look at each text once say what they say without."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from autometa import distinct
from autometa.pipelines import build_pipeline, build_plain_pipeline
from autometa.space import SearchSpace
from autometa.task import Task


def table(n_rows: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cities = [f"{name} {i:02}" for i, name in enumerate(["Ulm", "Bath  Spa", "Graz", "", "Łódź"] * 8)]
    mixed = pd.Series(rng.choice(np.array([1, 1.0, "1", True, None, "b"], dtype=object), n_rows))
    return pd.DataFrame(
        {
            "city": pd.Series(rng.choice(cities, n_rows)).mask(rng.random(n_rows) < 0.1),
            "category": pd.Categorical(rng.choice(cities, n_rows), categories=[*cities, "never seen"]),
            "code": rng.choice([" 7", "7.0", "08", "9-"], n_rows),
            "mixed": mixed,
            "price": [f"${value:,.2f}" for value in rng.choice(5_000.0 * np.arange(40), n_rows)],
            "number": rng.normal(size=n_rows),
            "comment": [" ".join(rng.choice(cities, 12)) for _ in range(n_rows)],
            "unique": [f"person {i} of {rng.integers(9)}" for i in range(n_rows)],
        }
    )


def kinds(preparation):
    return {name: type(part) for name, part in preparation.get_params().items()}


def dense(rows):
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype="float64")


@pytest.mark.parametrize("algorithm", ["lightgbm", "linear"])
@pytest.mark.parametrize("by_position", [False, True])
def test_rows_are_those_of_the_plain_preparation(algorithm, by_position):
    X, y = table(), pd.Series(np.random.default_rng(1).choice(["no", "yes", "perhaps"], 600))
    if by_position:
        X = X.set_axis(range(X.shape[1]), axis=1)
    task = Task.from_frame(X, y, kind="multiclass")
    codes = y.factorize()[0]
    plain = build_pipeline(SearchSpace.for_kind(task.kind)[algorithm].default_configuration(), task)[:-1]
    quick = clone(plain)
    assert np.array_equal(
        dense(plain.fit_transform(task.X, codes)),
        dense(distinct.fit_transform(quick, task.X, codes)),
        equal_nan=True,
    )
    # What was fitted holds objects of scikit-learn as before, and says the same of rows that are new to both.
    assert kinds(quick) == kinds(plain)
    new = task.X.assign(**{task.X.columns[0]: "Never heard of it"}) if not by_position else task.X[::-1]
    expected = dense(plain.transform(new))
    assert np.array_equal(expected, dense(quick.transform(new)), equal_nan=True)
    assert np.array_equal(expected, dense(distinct.transform(quick, new)), equal_nan=True)


@pytest.mark.parametrize("algorithm", ["lightgbm", "linear", "svm"])
@pytest.mark.parametrize("build", [build_pipeline, build_plain_pipeline])
def test_columns_of_numbers_in_text_are_read_where_one_repeats_its_texts_and_another_does_not(
    algorithm, build
):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "income": [f"${n:,}" for n in rng.permutation(90_000)[:900]],
            "fee": [f"${n:,}" for n in 1_000 * rng.integers(1, 30, 900)],
        }
    )
    task = Task.from_frame(X, pd.Series(rng.normal(size=900)))
    plain = build(SearchSpace.for_kind("regression")[algorithm].default_configuration(), task)[:-1]
    plain.fit(task.X, task.y)
    # New rows come as they were written.
    assert np.array_equal(dense(plain.transform(X)), dense(distinct.transform(plain, X)))


def test_each_text_is_looked_at_once():
    seen: list[str] = []

    def spell(column):
        seen.extend(column.dropna())
        return column.str.upper()

    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    words = pd.DataFrame({"word": ["a few", "words", "words", "again"] * 200})
    block = make_pipeline(FunctionTransformer(spell), HashingVectorizer(n_features=16))
    preparation = make_pipeline(ColumnTransformer([("words", block, "word")]))
    rows = distinct.fit_transform(preparation, words, None)
    # Once to fit, by the first row alone, and once to be counted.
    assert sorted(seen) == ["a few", "a few", "again", "words"]
    assert rows.shape == (800, 16)
    seen.clear()
    assert (distinct.transform(preparation, words) != rows).nnz == 0
    assert sorted(seen) == ["a few", "again", "words"]
    seen.clear()
    distinct.transform(preparation, words.head(8))
    assert len(seen) == 8  # of a few rows, nothing is gained


def test_numbers_beside_texts_take_one_call_together_and_columns_keep_their_order():
    widths: list[int] = []

    def read(columns):
        widths.append(columns.shape[1])
        return columns.apply(pd.to_numeric)

    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 30)), columns=[f"c{i}" for i in range(30)])
    X["c7"], X["c20"] = rng.choice(["1", "2"], 600), rng.choice(["3.5", "4"], 600)
    block = make_pipeline(FunctionTransformer(read, feature_names_out="one-to-one"))
    preparation = make_pipeline(ColumnTransformer([("numbers", block, list(X.columns))])).fit(X)
    widths.clear()
    rows = distinct.transform(preparation, X)
    assert sorted(widths) == [1, 1, 28]
    assert np.array_equal(np.asarray(rows, dtype="float64"), X.apply(pd.to_numeric).to_numpy())
