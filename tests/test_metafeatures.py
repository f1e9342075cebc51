"""Meta-features: what they measure, what they must not depend on, and tables that must not break them."""

from __future__ import annotations

import importlib.util
import re
import time
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from refusals import refused
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from autometa.errors import UsageError
from autometa.metafeatures import GROUPS, describe_task, extract_metafeatures, metafeature_names
from autometa.metafeatures.summary import MAX_ROWS, Summary
from autometa.task import KINDS, Task

FEATURES = {feature.name: feature for group in GROUPS.values() for feature in group.features}
SCALE_FREE = [name for name, feature in FEATURES.items() if feature.is_scale_invariant]
N = 60


def check_values(values: pd.Series) -> None:
    """All names in order; within range, or NaN where that has a reason."""
    assert values.index.tolist() == metafeature_names()
    assert values.dtype == "float64"
    assert not np.isinf(values).any()
    for name, value in values.items():
        feature = FEATURES[name]
        if np.isnan(value):
            assert feature.undefined, f"{name} is NaN and should always be defined"
        else:
            assert feature.range[0] - 1e-9 <= value <= feature.range[1] + 1e-9, f"{name} is {value}"


def assert_same(
    found: pd.Series, wanted: pd.Series, names: list[str] | None = None, atol: float = 0.0
) -> None:
    names = names or wanted.index.tolist()
    np.testing.assert_allclose(found[names], wanted[names], rtol=0, atol=atol, err_msg=str(names))


@pytest.fixture(scope="module")
def tables(make_mixed, make_target) -> dict[str, tuple[pd.DataFrame, pd.Series]]:
    """Real and simulated tables of all kinds, among them such as leave rows and columns hard to tell apart."""
    rng = np.random.default_rng(0)
    frame = make_mixed()
    design = pd.DataFrame([(a, b, c, d) for a in "xyz" for b in "xyz" for c in range(3) for d in range(3)])
    design.columns = list("abcd")
    x = pd.Series(rng.normal(size=N))
    twins = pd.DataFrame({"x": x, "exp": np.exp(x), "cube": x**3, "copy": x, "double": 2 * x, "z": -x})
    return {
        "iris": load_iris(return_X_y=True, as_frame=True),
        "wine": load_wine(return_X_y=True, as_frame=True),
        "breast cancer": load_breast_cancer(return_X_y=True, as_frame=True),
        "diabetes": load_diabetes(return_X_y=True, as_frame=True),
        **{f"mixed, {kind}": (frame.drop(columns="mixed"), make_target(frame, kind)) for kind in KINDS},
        "factorial design": (design, (design["c"] == design["d"]).astype(int)),
        "monotone twins": (twins, pd.Series(rng.normal(size=N))),
        "duplicate rows": (pd.DataFrame({"a": [1, 1, 2, 2] * 10, "b": list("uuvv") * 10}), pd.Series([0, 1] * 20)),
    }  # fmt: skip


TABLES = ("iris", "wine", "breast cancer", "diabetes", *(f"mixed, {kind}" for kind in KINDS), "factorial design",
          "monotone twins", "duplicate rows")  # fmt: skip


# --- names, groups, registry ----------------------------------------------------------------------------------


def test_names_are_many_distinct_and_snake_case():
    names = metafeature_names()
    assert len(names) == len(set(names)) >= 60
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_every_feature_is_defined_in_one_line():
    for feature in FEATURES.values():
        assert feature.definition
        assert "\n" not in feature.definition + feature.undefined + feature.source
        assert "|" not in feature.definition + feature.undefined + feature.source
        assert feature.range[0] < feature.range[1]


@pytest.mark.parametrize("name", TABLES)
def test_a_group_computes_what_it_lists_and_nothing_else(name, tables):
    task = Task.from_frame(*tables[name])
    summary = Summary.from_task(task)
    whole = describe_task(task)
    for group in GROUPS.values():
        names = [feature.name for feature in group.features]
        computed = group.compute(summary)
        assert set(computed) <= set(names)
        assert whole[names].drop([*computed]).isna().all()
        assert_same(describe_task(task, groups=group.name), whole[names])


def test_every_feature_has_a_value_for_some_table(tables):
    summaries = [Summary.from_task(Task.from_frame(*table)) for table in tables.values()]
    computed = {name for group in GROUPS.values() for s in summaries for name in group.compute(s)}
    assert computed == set(FEATURES)


def test_groups_come_in_fixed_order():
    assert metafeature_names(["target", "simple"]) == metafeature_names("simple") + metafeature_names(
        "target"
    )
    assert metafeature_names("all") == metafeature_names(list(reversed(GROUPS)))
    assert metafeature_names([]) == []


def test_unknown_group_is_refused():
    with refused(UsageError, "AM506", match=r"'simpel'.*simple"):
        metafeature_names(["simple", "simpel"])


def test_one_row_is_too_few():
    with refused(UsageError, "AM506", match="max_rows is 1"):
        extract_metafeatures([[1], [2]], [0, 1], max_rows=1)


@pytest.fixture(scope="module")
def page(root):
    """Return the script that writes the reference page."""
    spec = importlib.util.spec_from_file_location("make_metafeatures", root / "docs" / "make_metafeatures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_page_is_up_to_date(page):
    """If this fails, run: python docs/make_metafeatures.py."""
    assert page.PAGE.read_text(encoding="utf-8") == page.render()


# --- laws -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_values_are_in_range_or_undefined_for_a_reason(name, tables):
    check_values(extract_metafeatures(*tables[name]))


@pytest.mark.parametrize("name", TABLES)
def test_order_of_rows_does_not_matter(name, tables):
    X, y = tables[name]
    order = np.random.default_rng(1).permutation(len(X))
    assert_same(extract_metafeatures(X.iloc[order], y.iloc[order]), extract_metafeatures(X, y))


@pytest.mark.parametrize("name", TABLES)
def test_order_of_columns_does_not_matter(name, tables):
    X, y = tables[name]
    order = np.random.default_rng(1).permutation(X.shape[1])
    assert_same(extract_metafeatures(X.iloc[:, order], y), extract_metafeatures(X, y))


@pytest.mark.parametrize("name", TABLES)
def test_names_and_labels_do_not_matter(name, tables):
    X, y = tables[name]
    task = Task.from_frame(X, y)
    rng = np.random.default_rng(1)
    renamed = X.copy()
    for column in task.columns("categorical"):
        levels = X[column].dropna().unique()
        labels = dict(zip(levels, rng.permutation([f"level {i}" for i in range(len(levels))]), strict=True))
        renamed[column] = X[column].astype(object).map(labels)
    if task.kind != "regression":
        y = y.map(
            dict(zip(task.classes, rng.permutation([f"c{i}" for i in range(len(task.classes))]), strict=True))
        )
    renamed.columns = rng.permutation([f"column {i}" for i in range(X.shape[1])])
    assert_same(extract_metafeatures(renamed, y), describe_task(task))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("factor", [0.3, 1e-6, 1e6])
def test_units_do_not_matter_where_promised(name, factor, tables):
    X, y = tables[name]
    task = Task.from_frame(X, y)
    floats = [column for column in task.columns("numeric") if X[column].dtype.kind in "fi"]
    scaled = X.assign(**{column: X[column].astype("float64") * factor for column in floats})
    y = y * factor if task.kind == "regression" else y
    assert_same(extract_metafeatures(scaled, y, kind=task.kind), describe_task(task), SCALE_FREE, atol=1e-6)


def test_some_features_depend_on_units():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.integers(0, 9, N), "b": rng.normal(size=N)})
    other = extract_metafeatures(X.assign(a=X["a"] * 0.3), X["b"])
    changed = other.index[~np.isclose(other, extract_metafeatures(X, X["b"]), equal_nan=True, atol=1e-6)]
    assert set(changed) == {"integer_fraction", "log_scale_std"}
    assert not set(changed) & set(SCALE_FREE)


@pytest.mark.parametrize("name", ["mixed, binary", "mixed, regression"])
def test_equal_values_of_other_types_are_equal(name, tables):
    X, y = tables[name]
    same = X.astype(
        {
            "number": "Float64",
            "count": "float64",
            "nullable": "float64",
            "flag": "boolean",
            "level": "category",
            "category": "string",
            "string": object,
            "object": "category",
            "text": "string",
        }
    )
    assert_same(extract_metafeatures(same, y), extract_metafeatures(X, y))
    assert_same(extract_metafeatures(X, y.to_numpy()), extract_metafeatures(X, y))
    assert_same(extract_metafeatures(X.assign(y=y), "y"), extract_metafeatures(X, y))


def test_same_seed_same_values_and_another_sample_tells_about_the_same():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(4 * MAX_ROWS, 5)) ** 2)
    y = (X[0] + X[1] > rng.chisquare(2, len(X))).astype(int)
    first, again, other = (extract_metafeatures(X, y, random_state=seed) for seed in (0, 0, 1))
    assert_same(first, again)
    assert not np.array_equal(first, other, equal_nan=True)
    whole = extract_metafeatures(X, y, max_rows=len(X), groups=["statistical", "information"])
    assert_same(first, whole, atol=0.25)


def test_seeds_larger_than_an_integer_of_the_machine_are_fine():
    X, y = load_iris(return_X_y=True)
    check_values(extract_metafeatures(X, y, random_state=2**40))


def test_arguments_are_left_alone(tables):
    X, y = tables["mixed, regression"]
    before = X.copy(deep=True), y.copy(deep=True)
    extract_metafeatures(X, y)
    pd.testing.assert_frame_equal(X, before[0])
    pd.testing.assert_series_equal(y, before[1])


# --- what they measure ----------------------------------------------------------------------------------------


def test_sizes_and_types(tables):
    X, y = tables["mixed, multiclass"]
    values = extract_metafeatures(X, y)
    task = Task.from_frame(X, y)
    assert values["log_n_rows"] == np.log10(len(X))
    assert values["log_n_columns"] == np.log10(X.shape[1])
    for kind, name in (
        ("numeric", "numeric"),
        ("categorical", "categorical"),
        ("date", "date"),
        ("ignored", "ignored"),
    ):
        assert values[f"{name}_fraction"] == len(task.columns(kind)) / X.shape[1]
    assert values["n_classes"] == 3


def test_sizes_and_classes_are_those_of_the_whole_table():
    n_rows = 3 * MAX_ROWS + 7
    y = np.r_[np.zeros(n_rows - 2, int), 1, 1]
    values = extract_metafeatures(np.random.default_rng(0).normal(size=(n_rows, 150)), y)
    assert values["log_n_rows"] == np.log10(n_rows)
    assert values["log_n_columns"] == np.log10(150)
    assert values["minority_fraction"] == 2 / n_rows
    assert values["log_minority_rows"] == np.log10(2)


def test_moments_and_correlations_are_the_known_ones():
    from scipy import stats

    X = load_breast_cancer(as_frame=True).data
    values = extract_metafeatures(X, load_breast_cancer().target, groups="statistical")
    assert values["skewness_mean"] == pytest.approx(stats.skew(X).mean())
    assert values["log_kurtosis_max"] == pytest.approx(np.log10(stats.kurtosis(X, fisher=False).max()))
    pairs = np.abs(np.corrcoef(X.T)[np.triu_indices(X.shape[1], 1)])
    assert values["correlation_mean"] == pytest.approx(pairs.mean())
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(X.T))
    assert values["pca_first_share"] == pytest.approx(eigenvalues.max() / X.shape[1])


def by_pymfe(X: pd.DataFrame, y: pd.Series) -> dict[str, float]:
    """Compute, by pymfe's measures, what the reference page says that it defines as we do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pymfe and its dependencies say when they are imported
        general = pytest.importorskip("pymfe.general").MFEGeneral
        information = pytest.importorskip("pymfe.info_theory").MFEInfoTheory
        statistical = pytest.importorskip("pymfe.statistical").MFEStatistical
    numbers = X.select_dtypes("number").to_numpy(float)
    levels = X.select_dtypes(exclude="number").to_numpy()
    n_rows, n_columns = general.ft_nr_inst(X), general.ft_nr_attr(X)
    positions = [i for i, kind in enumerate(X.dtypes) if kind.kind not in "fiu"]
    n_numeric, n_categorical = general.ft_nr_num(X, positions), general.ft_nr_cat(positions)

    def moments(values):
        skewness, kurtosis = (
            statistical.ft_skewness(values, method=1),
            statistical.ft_kurtosis(values, method=1),
        )
        sd, mean = statistical.ft_sd(values, ddof=0), statistical.ft_mean(values)
        return skewness, kurtosis, sd, sd / np.sqrt(mean**2 + sd**2)

    skewness, kurtosis, sd, variation = moments(numbers)
    correlation = statistical.ft_cor(numbers)
    share = statistical.ft_eigenvalues((numbers - numbers.mean(axis=0)) / numbers.std(axis=0))
    share = np.maximum(share / share.sum(), 1e-300)
    log_kurtosis = np.log10(kurtosis + 3)
    values = {
        "log_n_rows": np.log10(n_rows),
        "log_n_columns": np.log10(n_columns),
        "log_rows_per_column": np.log10(general.ft_inst_to_attr(X)),
        "numeric_fraction": n_numeric / n_columns,
        "categorical_fraction": n_categorical / n_columns,
        "log_n_numeric": np.log10(1 + n_numeric),
        "log_n_categorical": np.log10(1 + n_categorical),
        "binary_fraction": general.ft_nr_bin(numbers) / n_numeric,
        "distinct_fraction_mean": (1 / (1 + (n_rows - 1) * statistical.ft_sparsity(numbers))).mean(),
        "level_entropy_mean": np.nan,
        "skewness_mean": skewness.mean(),
        "skewness_std": skewness.std(),
        "log_kurtosis_mean": log_kurtosis.mean(),
        "log_kurtosis_min": log_kurtosis.min(),
        "log_kurtosis_max": log_kurtosis.max(),
        "normal_fraction": ((np.abs(skewness) < 0.5) & (np.abs(kurtosis) < 1)).mean(),
        "bimodality_mean": ((skewness**2 + 1) / (kurtosis + 3)).mean(),
        "log_scale_std": np.log10(sd).std(),
        "variation_mean": variation.mean(),
        "correlation_mean": correlation.mean(),
        "correlation_max": correlation.max(),
        "correlation_high_fraction": statistical.ft_nr_cor_attr(numbers),
        "pca_first_share": share.max(),
        "pca_effective_fraction": np.exp(-(share * np.log(share)).sum()) / n_numeric,
    }
    if n_categorical:
        most = np.log2(X.select_dtypes(exclude="number").nunique())
        values["level_entropy_mean"] = (information.ft_attr_ent(levels) / most).mean()
    if y.dtype.kind == "f":
        skewness, kurtosis, _, variation = (value[0] for value in moments(y.to_numpy()[:, None]))
        return values | {
            "target_skewness": skewness,
            "target_log_kurtosis": np.log10(kurtosis + 3),
            "target_bimodality": (skewness**2 + 1) / (kurtosis + 3),
            "target_variation": variation,
        }
    entropy, n_classes = information.ft_class_ent(y.to_numpy()), general.ft_nr_class(y)
    frequency = general.ft_freq_class(y.to_numpy())
    return values | {
        "n_classes": n_classes,
        "class_entropy": entropy,
        "class_balance": entropy / np.log2(n_classes),
        "majority_fraction": frequency.max(),
        "minority_fraction": frequency.min(),
        "log_class_ratio": np.log10(frequency.max() / frequency.min()),
        "log_minority_rows": np.log10(n_rows * frequency.min()),
        "log_rows_per_class": np.log10(n_rows / n_classes),
    }


def _table_with_levels() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.gamma(2, size=(150, 3)), columns=list("abc")).assign(d=rng.integers(0, 2, 150))
    X = X.assign(u=rng.choice(list("xyz"), 150, p=[0.6, 0.3, 0.1]), v=rng.choice(["no", "yes"], 150))
    return X, pd.Series(rng.choice(["s", "t", "u"], 150, p=[0.5, 0.3, 0.2]))


@pytest.mark.parametrize("name", ["iris", "wine", "breast cancer", "diabetes", "levels"])
def test_equal_to_pymfe(name, tables, page):
    X, y = _table_with_levels() if name == "levels" else tables[name]
    wanted = pd.Series(by_pymfe(X, y))
    assert_same(extract_metafeatures(X, y), wanted, atol=1e-9)
    assert set(wanted.index) <= set(page.EQUAL_TO_PYMFE) <= set(FEATURES)
    assert set(page.EQUAL_TO_PYMFE) - set(wanted.index) <= set(metafeature_names("target"))


def test_entropy_of_classes_is_in_bits():
    values = extract_metafeatures(pd.DataFrame({"a": np.arange(64) ** 2}), ["a", "b", "c", "d"] * 16)
    assert values["class_entropy"] == pytest.approx(2)
    assert values["class_balance"] == pytest.approx(1)
    assert values["log_class_ratio"] == 0


def test_a_copy_of_the_classes_holds_all_information():
    y = np.array(["u", "v", "w"] * 40)
    values = extract_metafeatures(
        pd.DataFrame({"copy": y, "noise": np.random.default_rng(0).normal(size=120)}), y
    )
    assert values["information_max"] == pytest.approx(1, abs=0.05)
    assert values["explained_max"] == pytest.approx(1)
    assert values["log_informative_columns"] == pytest.approx(0, abs=0.05)
    assert values["landmark_tree"] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_noise_tells_nothing(kind):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(1000, 6))).assign(c=rng.choice(list("abcd"), 1000))
    y = rng.normal(size=1000) if kind == "regression" else rng.integers(0, 2, 1000)
    values = extract_metafeatures(X.rename(columns=str), y)
    for name in (
        "information_max",
        "explained_max",
        "linear_explained_max",
        "interaction_max",
        "informative_fraction",
    ):
        assert values[name] < 0.15, name
    assert abs(values["landmark_linear"]) < 0.05
    assert values["landmark_knn1"] < values["landmark_knn5"] < 0
    assert abs(values["ranking_forest"]) < 0.15


def simulate(formula, kind: str, n_columns: int = 5) -> pd.Series:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, n_columns))
    y = formula(X) + 0.1 * rng.normal(size=1000)
    return extract_metafeatures(X, y if kind == "regression" else (y > np.median(y)).astype(int))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_landmarkers_tell_linear_targets_from_others(kind):
    linear = simulate(lambda X: X.sum(axis=1), kind)
    steps = simulate(lambda X: np.sign(X[:, 0]) * np.sign(X[:, 1]), kind, 3)
    smooth = simulate(lambda X: np.sin(2 * X[:, 0]) * X[:, 1], kind, 2)
    assert linear["tree_over_linear"] < -0.1 < 0.1 < steps["tree_over_linear"]
    assert linear["kernel_over_linear"] < 0.15 < smooth["kernel_over_linear"]
    assert linear["ranking_linear"] > 0.9
    assert abs(steps["ranking_linear"]) < 0.2


def test_univariate_features_tell_shapes_apart():
    parabola = simulate(lambda X: X[:, 0] ** 2, "regression")
    line = simulate(lambda X: X[:, 0], "regression")
    assert parabola["nonlinear_gain"] > 0.3 > line["nonlinear_gain"]
    z = np.random.default_rng(0).normal(size=1000)
    skewed = extract_metafeatures(pd.DataFrame({"x": np.exp(2 * z)}), z, groups="information")
    assert skewed["monotone_gain"] > 0.3 > line["monotone_gain"]


def test_two_columns_that_only_tell_together_have_synergy():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (600, 3))
    values = extract_metafeatures(X, X[:, 0] ^ X[:, 1])
    assert values["information_max"] < 0.05
    assert values["interaction_max"] > 0.9
    assert extract_metafeatures(X[:, [0, 0, 1]], X[:, 0])["interaction_mean"] < -0.2


def test_missing_values_are_counted_and_weighed():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    X = pd.DataFrame({"a": np.where(y == 1, np.nan, rng.normal(size=200)), "b": rng.normal(size=200)})
    values = extract_metafeatures(X, y)
    assert values["missing_fraction"] == y.mean() / 2
    assert values["missing_columns_fraction"] == 0.5
    assert values["missing_rows_fraction"] == values["missing_fraction_max"] == y.mean()
    assert values["missing_response_r2"] == pytest.approx(1)


def test_categories_are_counted():
    X = pd.DataFrame(
        {"two": ["u", "v"] * 50, "many": [f"l{i // 2}" for i in range(100)], "x": np.arange(100.0) ** 2}
    )
    values = extract_metafeatures(X, [0, 0, 1, 1] * 25)
    assert values["log_levels_max"] == np.log10(50)
    assert values["two_levels_fraction"] == values["many_levels_fraction"] == 1 / 3
    assert values["log_encoded_columns"] == np.log10(1 + 1 + 2 + 50)
    assert values["rare_level_fraction"] == 0.5
    assert values["single_level_fraction"] == 0


def test_duplicates_and_contradictions_are_counted():
    X = pd.DataFrame({"a": [1, 1, 2, 2, 3, 4], "b": list("uuvvww")})
    values = extract_metafeatures(X, [0, 1, 0, 0, 1, 1], groups="structure")
    assert values["duplicate_fraction"] == pytest.approx(2 / 6)
    assert values["conflict_fraction"] == pytest.approx(1 / 6)


def test_targets_are_measured():
    rng = np.random.default_rng(0)
    y = np.exp(rng.normal(size=500))
    values = extract_metafeatures(rng.normal(size=(500, 2)), y, kind="regression", groups="target")
    assert values["target_skewness"] > 1
    assert values["target_log_gain"] == pytest.approx(values["target_skewness"], abs=0.3)
    assert values["target_nonnegative"] == 1
    counts = np.where(y > 1, np.round(y), 0)
    values = extract_metafeatures(rng.normal(size=(500, 2)), counts, kind="regression", groups="target")
    assert values["target_integer_fraction"] == 1
    assert values["target_zero_fraction"] == np.mean(counts == 0)


# --- tables that must not break them ----------------------------------------------------------------------------


def _odd_columns() -> dict[str, object]:
    rng = np.random.default_rng(0)
    index = np.arange(N)
    return {
        "normal": rng.normal(size=N),
        "empty": np.full(N, np.nan),
        "empty strings": pd.Series([None] * N, dtype="string"),
        "nearly empty": np.r_[np.full(N - 1, np.nan), 1.0],
        "one level": ["x", *[None] * (N - 1)],
        "infinite": np.r_[-np.inf, np.full(N - 2, np.inf), np.nan],
        "some infinite": np.where(index % 7 == 0, np.inf, index**2),
        "huge": rng.normal(size=N) * 1e300,
        "largest": np.where(index % 2 == 0, 1, -1) * np.finfo("float64").max,
        "tiny": rng.normal(size=N) * 5e-323,
        "huge and tiny": np.where(index % 2 == 0, 1e300, 1e-300) * rng.random(N),
        "last digit": 1 + index % 3 * 2.3e-16,
        "far away": 1e15 + index % 5,
        "long": rng.integers(-(2**63), 2**63 - 1, N),
        "unsigned": rng.integers(2**62, 2**63, N).astype("uint64") * 2,
        "half": rng.normal(size=N).astype("float16"),
        "flag": index % 3 == 0,
        "nullable": pd.array([None if i % 7 == 0 else i % 11 for i in range(N)], dtype="Int64"),
        "nullable flag": pd.array([None if i % 5 == 0 else i % 2 == 0 for i in range(N)], dtype="boolean"),
        "strings": pd.array([None if i % 5 == 0 else str(i % 4) for i in range(N)], dtype="string"),
        "levels": [f"level {i // 2}" for i in range(N)],
        "unused levels": pd.Categorical(list("abc") * (N // 3), categories=list("abcdef"), ordered=True),
        "mixed": [i % 4 if i % 2 else str(i % 4) for i in range(N)],
        "gaps": [True if i % 3 else None for i in range(N)],
        "sparse": pd.arrays.SparseArray((rng.random(N) > 0.9).astype(float)),
        "dates": pd.date_range("2020-01-01", periods=N),
        "old dates": pd.to_datetime(["1500-01-01", "2500-06-01", None] * (N // 3)),
        "zoned": pd.date_range("2020-01-01", periods=N, tz="Europe/Berlin"),
        "written dates": [f"{i % 12 + 1}/{i % 28 + 1}/2020 10:00" if i % 9 else "unknown" for i in range(10 * N)][::10],
        "zones": [f"2020-01-{i % 28 + 1:02d} 10:00:00+0{i % 3}:00" for i in range(N)],
        "text": [f"the {i} quick {i % 7} foxes" for i in range(N)],
        "spans": pd.to_timedelta(index, unit="D"),
        "lists": [[1]] * N,
        "complex": rng.normal(size=N) + 1j,
    }  # fmt: skip


@pytest.mark.parametrize("column", _odd_columns())
@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_odd_columns(column, kind):
    y = np.random.default_rng(1).normal(size=N) if kind == "regression" else np.arange(N) % 2
    values = _odd_columns()[column]
    check_values(extract_metafeatures(pd.DataFrame({"x": np.arange(N) ** 2, column: values}), y, kind=kind))
    task = Task.from_frame(pd.DataFrame({"x": np.arange(N) ** 2, column: values}), y, kind=kind)
    if task.column_types[column] != "ignored":
        check_values(extract_metafeatures(pd.DataFrame({column: values}), y, kind=kind))


@pytest.mark.parametrize("y", [
    np.random.default_rng(0).normal(size=N) * 1e149,
    np.random.default_rng(0).random(N) * 1e-310,
    np.where(np.arange(N) % 2 == 0, 1, -1) * 1e150,
    1e16 + 2.0 * np.arange(N),
    1 + np.arange(N) % 2 * 2.3e-16,
    np.r_[1.0, np.zeros(N - 1)],
], ids=["huge", "tiny", "largest", "far away", "last digit", "one of many"])  # fmt: skip
def test_odd_targets(y):
    check_values(extract_metafeatures(pd.DataFrame({"a": np.arange(N) ** 2}), y, kind="regression"))


@pytest.mark.parametrize("n_rows", [2, 3, 4, 5, 9, 10, 11, 13, 16, 21])
@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_few_rows(n_rows, kind):
    rng = np.random.default_rng(n_rows)
    y = rng.normal(size=n_rows) if kind == "regression" else np.arange(n_rows) % 2
    X = pd.DataFrame({"a": rng.normal(size=n_rows), "c": rng.choice(["u", "v"], n_rows)})
    for frame in (X, X[["a"]]):
        check_values(extract_metafeatures(frame, y, kind=kind))
    values = extract_metafeatures(X, y, kind=kind, groups="landmarkers")
    assert values.isna().all() == (n_rows < 10)


def test_classes_of_one_row_and_hundreds_of_classes():
    X = pd.DataFrame({"a": np.random.default_rng(0).normal(size=600)})
    check_values(extract_metafeatures(X, ["u"] * 597 + ["v", "w", "x"]))
    check_values(extract_metafeatures(X, [f"class {i // 3}" for i in range(600)]))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_sample_may_miss_what_is_rare(kind):
    n_rows = 4 * MAX_ROWS
    rare = np.r_[1, np.zeros(n_rows - 1, int)]
    X = pd.DataFrame({"a": rare, "c": np.where(rare, "u", "v"), "x": np.random.default_rng(0).random(n_rows)})
    check_values(extract_metafeatures(X, rare, kind=kind))
    y = np.arange(n_rows) % 2 if kind == "binary" else X["x"]
    check_values(extract_metafeatures(X[["a", "c"]], y, kind=kind))


def test_thousands_of_levels():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{i}": rng.integers(0, 5000, 2 * MAX_ROWS).astype(str) for i in range(5)})
    check_values(extract_metafeatures(X, np.arange(len(X)) % 2))


def test_five_thousand_columns():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 4000))).rename(columns=str)
    levels = pd.DataFrame(rng.choice(list("abcd"), (60, 1000))).add_prefix("c")
    X = pd.concat([X, levels], axis=1)
    start = time.process_time()
    values = extract_metafeatures(X, np.arange(60) % 2)
    assert time.process_time() - start < 15
    check_values(values)
    assert values["log_n_columns"] == np.log10(5000)
    assert values["categorical_fraction"] == 0.2


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_wide_tables_are_sampled_whatever_their_order_and_units(kind):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 240)).round(1)).rename(columns=str)
    X = X.assign(**{f"c{i}": rng.choice(list("abcd"), 80) for i in range(120)})
    y = pd.Series(rng.normal(size=80) if kind == "regression" else rng.choice(["u", "v"], 80))
    values = extract_metafeatures(X, y)
    check_values(values)
    rows, columns = rng.permutation(len(X)), rng.permutation(X.shape[1])
    assert_same(extract_metafeatures(X.iloc[rows, columns], y.iloc[rows]), values)
    scaled = X.assign(**{name: X[name] * 0.3 for name in X.columns if X[name].dtype.kind == "f"})
    assert_same(extract_metafeatures(scaled, y), values, SCALE_FREE, atol=1e-6)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(width=64)),
            st.one_of(st.none(), st.integers(-3, 3)),
            st.one_of(st.none(), st.sampled_from(["a", "b", "", "né"])),
            st.sampled_from([0, 1]),
        ),
        min_size=2,
        max_size=40,
    ).filter(lambda rows: len({row[3] for row in rows}) == 2)
)
def test_any_table_and_any_order(rows):
    frame = pd.DataFrame(rows, columns=["float", "integer", "string", "y"]).assign(x=np.arange(len(rows)) % 3)
    values = extract_metafeatures(frame, "y")
    check_values(values)
    assert_same(extract_metafeatures(frame.iloc[::-1, ::-1], "y"), values)


# --- time and memory --------------------------------------------------------------------------------------------


def test_time_and_memory_are_bounded():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400_000, 20)))
    y = pd.Series(rng.integers(0, 2, len(X)))
    small, large = Task.from_frame(X.iloc[:MAX_ROWS], y.iloc[:MAX_ROWS]), Task.from_frame(X, y)
    describe_task(small)
    seconds = []
    for task in (small, large):
        start = time.process_time()
        describe_task(task)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 3 * seconds[0] + 0.2
    tracemalloc.start()
    describe_task(large)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * X.memory_usage().sum()
