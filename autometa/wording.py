"""Results in words and numbers that a data scientist reads at a glance: reasons, scores, hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from autometa.metrics import Metric
    from autometa.space import Configuration

ALGORITHMS: Final[Mapping[str, str]] = {
    "lightgbm": "LightGBM",
    "hist_gradient_boosting": "Histogram gradient boosting",
    "random_forest": "Random forest",
    "extra_trees": "Extra trees",
    "linear": "Linear model",
    "svm": "Support vector machine",
    "knn": "Nearest neighbours",
    "mlp": "Neural network",
}

# What each meta-feature says of a table, as the end of "What speaks for it: ...".
METAFEATURES: Final[Mapping[str, str]] = {
    # simple
    "log_n_rows": "how many rows the table has",
    "log_n_columns": "how many columns it has",
    "log_rows_per_column": "how many rows there are for each column",
    "numeric_fraction": "how many of its columns are numbers",
    "categorical_fraction": "how many of its columns are categories",
    "date_fraction": "how many of its columns are dates",
    "ignored_fraction": "how many of its columns are empty, constant or ids",
    "log_n_numeric": "the number of numeric columns",
    "log_n_categorical": "the number of categorical columns",
    "integer_fraction": "how many numeric columns hold whole numbers",
    "binary_fraction": "how many numeric columns hold two values",
    "few_values_fraction": "how many numeric columns hold few values",
    "distinct_fraction_mean": "how rarely numbers repeat",
    "nonnegative_fraction": "how many numeric columns are never negative",
    # structure
    "missing_fraction": "how many cells are missing",
    "missing_columns_fraction": "how many columns have missing cells",
    "missing_rows_fraction": "how many rows have missing cells",
    "missing_fraction_max": "how empty the emptiest column is",
    "missing_response_r2": "how much a missing cell says about the target",
    "zero_fraction": "how many numbers are zero",
    "log_levels_mean": "how many levels its categories have",
    "log_levels_max": "the largest number of levels of a category",
    "log_levels_std": "how much the numbers of levels differ",
    "many_levels_fraction": "how many categories have many levels",
    "two_levels_fraction": "how many categories have two levels",
    "level_entropy_mean": "how evenly the levels of its categories occur",
    "top_level_mean": "how common the commonest level of a category is",
    "rare_level_fraction": "how many cells hold a rare level",
    "single_level_fraction": "how often new rows bring unseen levels",
    "log_encoded_columns": "how wide the table is after one-hot encoding",
    "log_rows_per_encoded_column": "how many rows there are for each column after one-hot encoding",
    "duplicate_fraction": "how many rows repeat another",
    "conflict_fraction": "how many equal rows have different targets",
    # statistical
    "skewness_mean": "how skewed its numbers are",
    "skewness_std": "how much the skewness of its columns differs",
    "log_kurtosis_mean": "how heavy the tails of its numbers are",
    "log_kurtosis_min": "how light the lightest tails of a column are",
    "log_kurtosis_max": "how heavy the heaviest tails of a column are",
    "normal_fraction": "how many columns look like a bell curve",
    "bimodality_mean": "how often columns have two humps",
    "outlier_fraction_mean": "how many numbers are outliers",
    "outlier_fraction_max": "how many outliers its worst column has",
    "tail_ratio_mean": "how far its numbers reach beyond their middle half",
    "mode_fraction_mean": "how often a column repeats one value",
    "log_scale_std": "how much the scales of its columns differ",
    "variation_mean": "how much its numbers vary around their mean",
    "correlation_mean": "how strongly its columns are correlated",
    "correlation_max": "its most correlated pair of columns",
    "correlation_high_fraction": "how many pairs of columns are strongly correlated",
    "correlation_partner_mean": "how well columns can be told from one other column",
    "pca_first_share": "how much one direction says about all numeric columns",
    "pca_95_fraction": "how few directions hold almost all of its variance",
    "pca_effective_fraction": "how many independent directions its columns have",
    # information
    "column_entropy_mean": "how much its columns vary",
    "information_mean": "how much a typical column says about the target",
    "information_max": "how much its best column says about the target",
    "information_std": "how unequally columns speak about the target",
    "information_top3_mean": "how much its best three columns say about the target",
    "information_sum": "how much its columns repeat each other about the target",
    "informative_fraction": "how many columns say anything about the target",
    "log_informative_columns": "on how many columns the signal is spread",
    "information_evenness": "how evenly the signal is spread over the columns",
    "noise_fraction": "how much of its content has nothing to do with the target",
    "categorical_information_share": "how much of the signal lies in categories",
    "interaction_max": "its strongest interaction of two columns",
    "interaction_mean": "how much columns say together beyond what they say alone",
    "explained_mean": "how much of the target a typical column explains",
    "explained_max": "how much of the target its best column explains",
    "linear_explained_mean": "how much of the target a typical column explains by a straight line",
    "linear_explained_max": "how much of the target its best column explains by a straight line",
    "monotone_gain": "how much better ranks explain the target than values do",
    "nonlinear_gain": "how bent the relations to the target are",
    # target
    "n_classes": "the number of classes",
    "class_entropy": "how hard the class is to guess",
    "class_balance": "how balanced the classes are",
    "majority_fraction": "how common the commonest class is",
    "minority_fraction": "how rare the rarest class is",
    "log_class_ratio": "how unequal the classes are",
    "log_minority_rows": "how many rows the rarest class has",
    "log_rows_per_class": "how many rows there are for each class",
    "target_skewness": "how skewed the target is",
    "target_log_kurtosis": "how heavy the tails of the target are",
    "target_outlier_fraction": "how many targets are outliers",
    "target_tail_ratio": "how far the target reaches beyond its middle half",
    "target_bimodality": "whether the target has two humps",
    "target_distinct_fraction": "how rarely values of the target repeat",
    "target_mode_fraction": "how common the commonest target is",
    "target_zero_fraction": "how often the target is zero",
    "target_integer_fraction": "whether the target is a whole number",
    "target_nonnegative": "whether the target is ever negative",
    "target_variation": "how much the target varies around its mean",
    "target_log_gain": "how much a logarithm straightens the target",
    # landmarkers
    "landmark_stump": "how well a single split predicts it",
    "landmark_tree": "how well a small tree predicts it",
    "landmark_deep_tree": "how well a full tree predicts it",
    "landmark_forest": "how well a small forest predicts it",
    "landmark_knn1": "how well the nearest row predicts it",
    "landmark_knn5": "how well the five nearest rows predict it",
    "landmark_naive_bayes": "how well naive Bayes predicts it",
    "landmark_linear": "how well a linear model predicts it",
    "landmark_kernel": "how well a smooth kernel predicts it",
    "landmark_best": "how well the best of some quick models predicts it",
    "landmark_spread": "how much quick models differ on it",
    "tree_over_linear": "how a small tree does beside a linear model",
    "forest_over_tree": "how a forest does beside a single tree",
    "forest_over_linear": "how a forest does beside a linear model",
    "kernel_over_linear": "how a smooth kernel does beside a linear model",
    "kernel_over_forest": "how a smooth kernel does beside a forest",
    "knn5_over_knn1": "how noisy its neighbourhoods are",
    "knn15_over_knn5": "how wide a neighbourhood pays",
    "tree_over_stump": "how much more than one split pays",
    "tree_over_deep_tree": "how much deep trees overfit it",
    "naive_bayes_over_linear": "how naive Bayes does beside a linear model",
    "linear_growth": "how much a linear model gains from more rows",
    "knn5_growth": "how much neighbours gain from more rows",
    "ranking_tree": "how well a small tree puts its rows in order",
    "ranking_forest": "how well a small forest puts its rows in order",
    "ranking_linear": "how well a linear model puts its rows in order",
    "ranking_kernel": "how well a smooth kernel puts its rows in order",
    "linear_freedom": "how strongly a linear model must be held back",
    "log_intrinsic_dimension": "how many dimensions its rows really fill",
    "distance_variation": "how much distances between rows differ",
}

# Of how many known tables a reason speaks, and up to which regret a result is near the best: a quarter of the way to
# the median of the library defaults.
N_SIMILAR: Final = 20
NEAR_BEST: Final = 0.25


def explain_choice(
    configuration: Configuration,
    *,
    regret: float,
    spread: float,
    near_best: float,
    nearest: str,
    contributions: Mapping[str, float],
    place: str = "",
) -> str:
    """Say in sentences why a configuration stands where it stands.

    Parameters
    ----------
    configuration : Configuration
    regret, spread : float
        Expected normalised regret and its standard deviation: 0 is the best known result on a table, 1 the median of
        the library defaults.
    near_best : float
        On which share of the :data:`N_SIMILAR` most similar known tables its regret is at most :data:`NEAR_BEST`.
    nearest : str
        Name of the most similar known table; empty for none.
    contributions : mapping of str to float
        What each meta-feature adds to the expected regret; negative speaks for the configuration.
    place : str, default=""
        A sentence on its place in a list, see :func:`explain_place`.

    Returns
    -------
    str
    """
    what = "its library's defaults" if configuration.origin == "default" else "tuned hyperparameters"
    like = f", such as {nearest}" if nearest else ""
    gain = min(1.0 - regret, 1.0)
    sentences = [
        f"{algorithm_name(configuration.algorithm)} with {what} came near the best known result on "
        f"{round(near_best * N_SIMILAR)} of the {N_SIMILAR} known tables most like this one{like}.",
        f"It should close about {gain:.0%} of the gap between an average default and the best, give or take "
        f"{spread * 100:.0f} points."
        if gain > 0
        else "It is no better than an average default in expectation.",
    ]
    if place:
        sentences.append(place)
    strongest = sorted((added, name) for name, added in contributions.items() if added < 0)[:2]
    words = [METAFEATURES.get(name, name) for _, name in strongest]
    if words:
        sentences.append(f"What speaks for it: {' and '.join(words)}.")
    return " ".join(sentences)


def explain_place(regrets: Sequence[float], seconds: Sequence[float], number: int) -> str:
    """Say why a configuration stands where it stands in a list, where its own expected regret does not say it.

    Parameters
    ----------
    regrets, seconds : sequence of float
        Expected, of the whole list in its order.
    number : int
        Place in the list, from 0.

    Returns
    -------
    str
        A sentence, or nothing.
    """
    own, better = regrets[number], [i for i, regret in enumerate(regrets) if regret < regrets[number]]
    if number == 0 and not better:
        return "It stands first because nothing else on the list should come nearer to the best result."
    if number == 0:
        share = seconds[0] / seconds[min(better, key=lambda i: regrets[i])]
        if share >= 1.0:
            return (
                "It stands first because it should fall behind LightGBM's default less often than what should come "
                "nearest to the best result, and is nearly as good."
            )
        return (
            f"It stands first because it takes {share:.0%} of the time of what should come nearest to the best "
            "result, and is nearly as good."
        )
    if any(i > number for i in better) or own >= 1.0:
        return "It stands here because it does well where those above it do not."
    return ""


def algorithm_name(name: str) -> str:
    """Return how an algorithm is called in prose; the name itself where the user registered it."""
    return ALGORITHMS.get(name, name)


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with a few significant digits; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits - 1}g}"
    places = max(digits - 1 - max(math.floor(math.log10(abs(value))), 0), 0) if value else digits - 1
    return f"{value:.{places}f}"


def significant(value: float | None, digits: int = 2) -> str:
    """Return a difference or an error, which may be small, with so many digits that count; a dash for none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def shortened(names: Sequence[str], limit: int = 20) -> list[str]:
    """Return names cut in their middle, where what tells them apart seldom stands; still different from each other.

    Parameters
    ----------
    names : sequence of str
    limit : int, default=20
        Characters.
    """
    tail = limit // 2
    cut = [n if len(n) <= limit else f"{n[: limit - tail - 1]}…{n[-tail:]}" for n in names]
    return [name if cut.count(name) == 1 else f"{name[: limit - 4]}… {i + 1}" for i, name in enumerate(cut)]


def counted(n: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def brief_seconds(value: float) -> str:
    """Return seconds with two significant digits."""
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def direction(metric: Metric) -> str:
    """Return ``higher`` or ``lower``: which is better."""
    return "higher" if metric.greater_is_better else "lower"


def brief_params(algorithm: str, params: Mapping[str, Any], kind: str) -> str:
    """Return the hyperparameters that differ from the library's defaults."""
    from autometa.space import SearchSpace

    space = SearchSpace.for_kind(kind)
    default = space[algorithm].default if algorithm in space else {}
    changed = [
        f"{name}={_brief(value)}"
        for name, value in params.items()
        if name not in default or default[name] != value
    ]
    return ", ".join(changed) or "library defaults"


def _brief(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
