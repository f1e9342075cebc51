"""What the known tasks say about one new task: their weights are worked out once, and all answers read them.

Among the answers are greedy portfolios: sets of configurations that together leave little regret.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metabase import LEAST_LEVEL
from autometa.metafeatures import metafeature_words
from autometa.metamodel.belief import FewShot
from autometa.metamodel.forest import fill_with_column_means, weighted_mean
from autometa.metamodel.known import KnownTasks, TunedRuns
from autometa.space import Configuration
from autometa.wording import N_SIMILAR, NEAR_BEST, explain_choice, explain_place

FloatArray = NDArray[np.float64]

# The README promises a library default among the first five; it costs no regret that could be measured.
SAFE_PLACE: Final = 5
# With a rival, on large tables: best of the first 3, 5 and 10 for classification -.014 +- .015, -.014 +- .008 and
# -.008 +- .005 with 8,000 training rows, where the best default there would cost .028 +- .028 after three.
RIVAL_PLACE: Final = 3
# What seconds are worth where nobody limits them: without it regrets are the same within their errors.
PRICE_OF_DOUBLING: Final = 0.01
# On large tables many would have fitted LightGBM as it comes: what the first pick may lose against it counts half as
# much again. With two or three times that weight it falls behind less often still, but the best of three is worse.
PRICE_OF_LOSS: Final = 0.5
# Of a limit on time, what every trial costs beside its own seconds, so that the quickest do not win by speed alone.
BUDGET_SHARE: Final = 0.1
# The prior of a search reads so many past tasks; more are too unlike to change it.
N_PAST_TASKS: Final = 48


def greedy_portfolio(
    regrets: NDArray[np.float64],
    k: int,
    *,
    weights: NDArray[np.float64] | None = None,
    start: Sequence[int] = (),
    costs: NDArray[np.float64] | None = None,
) -> list[int]:
    """Choose candidates one after the other, each the one that lowers the mean regret of the best so far most.

    The greedy choice is within a factor 1 - 1/e of the best set, since the gain is submodular (Nemhauser, Wolsey and
    Fisher 1978); as a portfolio of configurations it is that of Feurer et al. (2022, Auto-sklearn 2.0).

    Parameters
    ----------
    regrets : ndarray of shape (n_tasks, n_candidates)
        Lower is better; NaN counts as no information and is filled with the candidate's mean.
    k : int
        How many to choose; fewer are returned when there are fewer candidates.
    weights : ndarray of shape (n_tasks,), optional
        How much each task counts; uniform by default.
    start : sequence of int, default=()
        Candidates that are in the set already; they come first in the result.
    costs : ndarray of shape (n_candidates,), optional
        All but the first are chosen by what they gain per unit of cost.

    Returns
    -------
    list of int
        Columns of `regrets`, in the order of choice, without repetition.
    """
    filled = fill_with_column_means(regrets)
    weights = np.full(len(filled), 1.0 / len(filled)) if weights is None else weights / weights.sum()
    chosen = list(start)[:k]
    best = filled[:, chosen].min(axis=1) if chosen else np.full(len(filled), filled.max(initial=1.0))
    while len(chosen) < min(k, filled.shape[1]):
        gains = weights @ np.maximum(best[:, None] - filled, 0.0)
        if costs is not None and chosen:
            gains = gains / costs
        # Candidates that add nothing are told apart by their own mean.
        gains = gains - 1e-6 * (weights @ filled)
        gains[chosen] = -np.inf
        pick = int(np.argmax(gains))
        chosen.append(pick)
        best = np.minimum(best, filled[:, pick])
    return chosen


def safe_portfolio(
    regrets: NDArray[np.float64],
    k: int,
    *,
    weights: NDArray[np.float64],
    expected: NDArray[np.float64],
    defaults: Sequence[int],
    first: int | None = None,
    rival: int | None = None,
    costs: NDArray[np.float64] | None = None,
) -> list[int]:
    """Choose a greedy portfolio with a library default among the first five, with a rival among the first three.

    Nobody who tries the first few then ends below the most promising default.

    Parameters
    ----------
    regrets, k, weights, costs
        See :func:`greedy_portfolio`.
    expected : ndarray of shape (n_candidates,)
        Expected regret, by which the defaults are compared.
    defaults : sequence of int
        Columns that are library defaults; if none stands before ``SAFE_PLACE``, the best of them stands there.
    first : int, optional
        Column that leads; by default that of the least weighted mean.
    rival : int, optional
        The default that people have at hand: if none stands before ``RIVAL_PLACE``, this one stands there.
    """
    start = [] if first is None else [first]
    place, safe = (SAFE_PLACE, defaults) if rival is None else (RIVAL_PLACE, [rival])
    chosen = greedy_portfolio(regrets, min(k, place - 1), weights=weights, start=start, costs=costs)
    if k >= place and len(defaults) and not set(chosen) & set(defaults):
        chosen.append(min(safe, key=lambda i: expected[i]))
    return greedy_portfolio(regrets, k, weights=weights, start=chosen, costs=costs)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is expected of the stored configurations on one task.

    Attributes
    ----------
    configuration_ids : list of str
    regret, regret_spread : ndarray of shape (n_configurations,)
        Expected normalised regret in [0, 2] and its standard deviation.
    level, lower, upper : ndarray of shape (n_configurations,)
        Expected share of the way from the best constant prediction (0) to a perfect one (1), with an 80 % interval.
    seconds : ndarray of shape (n_configurations,)
        CPU seconds of one fit and prediction, one thread.
    scenarios : ndarray of shape (n_tasks, n_configurations)
        Regrets on the known tasks, moved so that their weighted mean is `regret`.
    weights : ndarray of shape (n_tasks,)
        How much each known task counts; sums to 1.
    defaults : list of int
        Positions of the library defaults.
    rival : int, optional
        Position of the default that the first pick should not fall behind, where the table is large.
    """

    configuration_ids: list[str]
    regret: FloatArray
    regret_spread: FloatArray
    level: FloatArray
    lower: FloatArray
    upper: FloatArray
    seconds: FloatArray
    scenarios: FloatArray
    weights: FloatArray
    defaults: list[int]
    rival: int | None = None

    def portfolio(
        self, k: int, allowed: NDArray[np.bool_] | None = None, time_budget: float | None = None
    ) -> list[int]:
        """Choose `k` configurations as a set, a library default among the first.

        The first one is that of the lowest expected regret, where each doubling of the time counts for a hundredth, and
        what it may lose against the rival for half as much again.

        Parameters
        ----------
        k : int
            How many; fewer where fewer are allowed.
        allowed : ndarray of bool, shape (n_configurations,), optional
            Which may be chosen; all by default.
        time_budget : float, optional
            Seconds. With it, all but the first are chosen by what they gain per second; see :meth:`costs`.
        """
        columns = np.arange(len(self.regret)) if allowed is None else np.flatnonzero(allowed)
        costs = None if time_budget is None else self.costs(time_budget)[columns]
        price = self.regret + PRICE_OF_DOUBLING * np.log2(np.maximum(self.seconds, 1e-9))
        rival = None
        if self.rival is not None and self.rival in columns:
            rival = int(np.searchsorted(columns, self.rival))
            lost = np.maximum(self.scenarios - self.scenarios[:, [self.rival]], 0.0)
            price += PRICE_OF_LOSS * (self.weights @ lost)
        chosen = safe_portfolio(
            self.scenarios[:, columns],
            k,
            first=int(np.argmin(price[columns])),
            weights=self.weights,
            expected=self.regret[columns],
            defaults=np.flatnonzero(np.isin(columns, self.defaults)).tolist(),
            rival=rival,
            costs=costs,
        )
        return columns[chosen].tolist()

    def agreeing(self, columns: Sequence[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return level, lower and upper of some configurations, in agreement with their expected regrets.

        Levels and regrets come from different weights. A level is raised to that of every configuration among them with
        a higher regret, and its interval with it. On left-out families what is recommended reaches more than its own
        level (by .039 of the way for the first pick in R2), and is told better so (docs/research/meta-model.md).

        Parameters
        ----------
        columns : sequence of int
            Positions of the configurations.
        """
        chosen = np.asarray(columns, dtype=int)
        worst_first = np.argsort(-self.regret[chosen], kind="stable")
        level = np.empty(len(chosen))
        level[worst_first] = np.maximum.accumulate(self.level[chosen][worst_first])
        raised = level - self.level[chosen]
        lower = np.minimum(self.lower[chosen] + raised, level)
        return level, lower, np.minimum(self.upper[chosen] + raised, 1.0)

    def costs(self, time_budget: float) -> FloatArray:
        """Return what each configuration costs where time is limited: its seconds and a tenth of the budget."""
        return np.asarray(self.seconds + BUDGET_SHARE * time_budget)


@dataclass(frozen=True, eq=False)
class PastRuns:
    """What was run on some known tasks, as plain data that is small when pickled.

    Attributes
    ----------
    configurations : list of Configuration
        Those that stand in `levels`.
    levels : ndarray of float32, shape (n_tasks, n_configurations)
        0 as the best constant prediction, 1 perfect; NaN for what was not run.
    others : list of (list of bytes, ndarray of float32), one for each task
        Tuned configurations, packed, and their levels.
    """

    configurations: list[Configuration]
    levels: NDArray[np.float32]
    others: list[tuple[list[bytes], NDArray[np.float32]]]

    def unpack(self) -> list[tuple[list[Configuration], FloatArray]]:
        """Return for each task, most similar first, the configurations and how well they did."""
        found = []
        for row, (lines, levels) in zip(self.levels, self.others, strict=True):
            known = np.flatnonzero(np.isfinite(row))
            runs = [self.configurations[i] for i in known] + [TunedRuns.unpack(line) for line in lines]
            found.append((runs, np.r_[row[known], levels].astype("float64")))
        return found

    def __getstate__(self) -> dict[str, Any]:
        # Lines of JSON, and levels most of which are alike, take a fifth of the room.
        return {
            "configurations": self.configurations,
            "levels": zlib.compress(self.levels.tobytes()),
            "lines": zlib.compress(b"\n".join(line for lines, _ in self.others for line in lines)),
            "levels_of_others": [levels for _, levels in self.others],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        levels = np.frombuffer(zlib.decompress(state["levels"]), dtype="float32")
        lines = iter(zlib.decompress(state["lines"]).splitlines())
        others = [(list(islice(lines, len(own))), own) for own in state["levels_of_others"]]
        object.__setattr__(self, "configurations", state["configurations"])
        object.__setattr__(self, "levels", levels.reshape(-1, len(self.configurations)))
        object.__setattr__(self, "others", others)


class Neighbourhood:
    """What the known tasks say about one new task.

    Parameters
    ----------
    known : KnownTasks
    x : ndarray of shape (n_metafeatures,)
        See :meth:`KnownTasks.row`.
    exclude : collection of str, default=()
        Families whose runs must not count.

    Attributes
    ----------
    shares, signed : ndarray of shape (n_tasks,)
        How much each known task says; see :class:`autometa.metamodel.similarity.Weights`.
    """

    def __init__(self, known: KnownTasks, x: FloatArray, exclude: Collection[str] = ()) -> None:
        self.known = known
        self.x = x
        self.exclude = tuple(exclude)
        weights = known.similarity.weigh(x[None, :], [self.exclude])
        self.shares, self.signed = weights.shares[0], weights.signed[0]

    @cached_property
    def novelty(self) -> float:
        """How far the task lies from all known ones, 0 to 1; see :class:`autometa.metamodel.similarity.Similarity`."""
        return self.known.similarity.novelty(self.x, self.exclude)

    def predict(self, metric: str, sizes: Sequence[float] | None = None) -> Prediction:
        """Predict the stored configurations.

        Parameters
        ----------
        metric : str
            A stored metric.
        sizes : sequence of three numbers, optional
            Training rows, columns and classes: what the seconds depend on. Those of the median task by default.
        """
        known = self.known
        regrets, _ = known.filled[metric]
        shares, signed = self._of_those_that_know(metric)
        regret = signed @ regrets
        plain, spread = (values[0] for values in weighted_mean(shares[None, :], regrets))
        size = np.asarray(np.median(known.sizes, axis=0) if sizes is None else sizes, dtype="float64")
        found = known.predict_levels(self.x[None, :], metric, [self.exclude], size[:1])
        level, deviation = (values[0] for values in found)
        half = known.widths[metric] * deviation
        return Prediction(
            configuration_ids=list(known.configurations),
            regret=regret,
            regret_spread=spread,
            level=level,
            lower=np.maximum(level - half, LEAST_LEVEL),
            upper=np.minimum(level + half, 1.0),
            seconds=known.seconds.predict(*size.tolist()),
            scenarios=regrets + (regret - plain),
            weights=shares,
            defaults=known.defaults,
            rival=_rival(known),
        )

    def _of_those_that_know(self, metric: str) -> tuple[FloatArray, FloatArray]:
        """Return shares and signed weights without the tasks on which nothing is known under a metric."""
        if self.known.whole is not None:
            # Of few tasks, how much each speaks against is too uncertain to count.
            shares = self.known.only_knowing(self.shares[None, :], [self.exclude])[0]
            return shares, shares
        knows = np.isfinite(self.known.regrets[metric]).any(axis=1)
        shares, signed = self.shares * knows, self.signed * knows
        if knows.all() or shares.sum() <= 0.0:
            return self.shares, self.signed
        # What those take away that know nothing goes to the others as they share.
        shares = shares / shares.sum()
        return shares, signed + (1.0 - signed.sum()) * shares

    def few_shot(self, metric: str) -> FewShot:
        """Return what results on the task are to change, over the stored configurations.

        Performance is the level: 0 that of the best constant prediction, 1 perfect.
        """
        known = self.known.usual or self.known
        speaks = known.speaking(self.exclude)
        shares = known.only_knowing(self._of_usual(known)[None, :], [self.exclude])[0]
        return FewShot(known.mixture(metric, self.exclude), shares[speaks])

    def past_runs(self, metric: str, n_tasks: int = N_PAST_TASKS) -> PastRuns:
        """Return what was run on the known tasks that say most, tuned configurations included.

        Of their main runs: where only few tasks have runs of the size, others say more.
        """
        known = self.known.whole or self.known.usual or self.known
        shares = self._of_usual(known)
        order = [i for i in np.argsort(-shares, kind="stable")[:n_tasks].tolist() if shares[i] > 0]
        others = [known.tuned.on(i, metric) for i in order]
        return PastRuns(
            list(known.configurations.values()),
            known.levels[metric][order].astype("float32"),
            [(lines, levels.astype("float32")) for lines, levels in others],
        )

    def similar_tasks(self, k: int = 5) -> pd.DataFrame:
        """Return the known tasks that say most.

        Returns
        -------
        DataFrame
            task_id, name, openml_id, distance: what the task leaves to the others, 1 less its share.
        """
        known = self.known.usual or self.known
        shares = self._of_usual(known)
        order = np.argsort(-shares, kind="stable")[:k]
        table = known.tasks.iloc[order[shares[order] > 0]]
        table = table[["task_id", "name", "openml_id"]].reset_index(drop=True)
        return table.assign(distance=1.0 - shares[order[: len(table)]])

    def _of_usual(self, known: KnownTasks) -> FloatArray:
        """Return the shares of the known tasks, where a view has some twice with those that they have with few rows."""
        n_usual = len(known.tasks)
        shares = self.shares[:n_usual].copy()
        again = pd.Index(known.tasks["task_id"]).get_indexer(self.known.tasks["task_id"].iloc[n_usual:])
        np.add.at(shares, again, self.shares[n_usual:])
        return shares

    def contributions(self, metric: str, columns: Sequence[int]) -> FloatArray:
        """Return what each meta-feature adds to the expected regret of some stored configurations.

        As the forest tells it; see :meth:`autometa.metamodel.forest.ProximityForest.contributions`.

        Returns
        -------
        ndarray of shape (n_metafeatures, n_columns)
            Negative speaks for a configuration.
        """
        similarity = self.known.similarity
        table = np.minimum(self.known.filled[metric][0][:, list(columns)], 1.0)
        return similarity.forest.contributions(self.x, similarity.paths, table, self.exclude)

    def reasons(self, prediction: Prediction, metric: str, columns: Sequence[int]) -> list[str]:
        """Say why some stored configurations stand where they stand in a list of them, best first."""
        added = self.contributions(metric, columns)
        likely = np.argsort(-prediction.weights, kind="stable")[:N_SIMILAR]
        near_best = (prediction.scenarios[likely][:, list(columns)] <= NEAR_BEST).mean(axis=0)
        nearest = self.known.tasks["name"].iloc[int(likely[0])]
        regrets, seconds = (
            values[list(columns)].tolist() for values in (prediction.regret, prediction.seconds)
        )
        words, said = metafeature_words(), []
        names = [words.get(name, name) for name in self.known.metafeature_names]
        for number, i in enumerate(columns):
            configuration = self.known.configurations[prediction.configuration_ids[i]]
            contributions = dict(zip(names, added[:, number].tolist(), strict=True))
            said.append(
                explain_choice(
                    configuration,
                    regret=float(prediction.regret[i]),
                    spread=float(prediction.regret_spread[i]),
                    near_best=float(near_best[number]),
                    nearest=str(nearest),
                    contributions=contributions,
                    place=explain_place(regrets, seconds, number),
                )
            )
        return said


def _rival(known: KnownTasks) -> int | None:
    """Return the position of LightGBM's default in a view on larger training sets; None elsewhere."""
    if known.whole is None:
        return None
    algorithms = [c.algorithm for c in known.configurations.values()]
    return next((i for i in known.defaults if algorithms[i] == "lightgbm"), None)
