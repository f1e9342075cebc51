"""Results in words and numbers that a data scientist reads at a glance: reasons, scores, hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from autometa.metrics import Metric
    from autometa.space import Configuration

_KINDS: Final = ("classification", "regression")
# Of how many known tables a reason speaks, and up to which regret a result is near the best: a quarter of the way to
# the median of the library defaults.
N_SIMILAR: Final = 20
NEAR_BEST: Final = 0.25
# Origin in a leaderboard of what reads the predictions of others: no trial, and nothing that experience is told.
SECOND_LAYER: Final = "second layer"


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
        What each meta-feature, in its words, adds to the expected regret; negative speaks for the configuration.
    place : str, default=""
        A sentence on its place in a list, see :func:`explain_place`.
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
    strongest = sorted((added, words) for words, added in contributions.items() if added < 0)[:2]
    if strongest:
        sentences.append(f"What speaks for it: {' and '.join(words for _, words in strongest)}.")
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
    """Return how an algorithm is called in prose; the name itself where it has no title, or nobody knows it."""
    from autometa.space import SearchSpace

    known = (space[name] for space in map(SearchSpace.for_kind, _KINDS) if name in space)
    return next(filter(None, (algorithm.title for algorithm in known)), name)


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
