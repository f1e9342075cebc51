"""The steps of one search, and what they hand on to each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import EvaluationError
from autometa.evaluation import FoldFit, Job, Preparation
from autometa.metabase import describe_for_study
from autometa.pipelines import characters_of_a_row
from autometa.recommendation import MetaModelLike, Recommendation, Recommendations, recommend_for_task
from autometa.space import Configuration, SearchSpace, registered_algorithms, target_of
from autometa.task import Task
from autometa.tuning._assembly import (
    Assembly,
    bag,
    best_single,
    build_model,
    choose,
    mean_rounds,
    out_of_fold,
    planned,
    single_model,
)
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._hands import Hands
from autometa.tuning._price import Part, Price, price_of
from autometa.tuning._result import TuneResult, baselines_of, best_by_cv, make_leaderboard
from autometa.tuning._sampler import MetaSampler, sampler_seed
from autometa.tuning._schedule import (
    BOOSTING_GROWTH,
    SHORT_SECONDS,
    Deadline,
    Schedule,
    cells_of_a_row,
)
from autometa.tuning._search import Search
from autometa.tuning._selection import Callback, second_layer
from autometa.tuning._strategy import Chain, Entry, Listed, Repeated, Sampled, entries_of, finished_trials
from autometa.tuning._zero_shot import CHARACTERS_A_SECOND, FirstFit, ZeroShot, constant_model

_LEAST_FIT_BUDGET: Final = 1e-3
# Share of the time left that the first of what is fitted without folds may take.
FIRST_SHARE: Final = 0.5
# With less time left there are no folds: they and the choice among them would take all of it.
LEAST_FOLD_SECONDS: Final = 1.0
# From so many trials on, one of them is LightGBM at its defaults, whatever is recommended.
TRIALS_WITH_DEFAULT: Final = 10
# Boosting ends a little before a fit on all rows would be ended.
REFIT_SHARE: Final = 0.9
# Trials of a continued study that are fitted again, so that the model can have them.
MAX_REPEATED: Final = 10


class SearchRun:
    """One call of :func:`tune`: what its steps hand on to each other."""

    def __init__(
        self,
        task: Task,
        problem: Problem,
        space: SearchSpace,
        study: optuna.Study,
        hands: Hands,
        deadline: Deadline,
        schedule: Schedule,
        size: int,
        seed: int,
        *,
        is_shared: bool,
        is_whole: bool,
    ) -> None:
        self._task = task
        self._problem = problem
        self._space = space
        self._study = study
        self._hands = hands
        self._deadline = deadline
        self._schedule = schedule
        self._size = size
        self._seed = seed
        self._is_shared = is_shared
        # Whether the folds are the user's, or those of a study that goes on: they are taken as they are.
        self._is_whole = is_whole
        self._floor: FoldFit | None = None
        # Of a row, that the first fit did without.
        self._characters = 0.0
        self._recommendations: Sequence[Recommendation] = ()
        self._zero_shot: ZeroShot | None = None
        self._preparations: dict[str, Preparation] = {}
        self._search: Search | None = None
        self._failure = "there was no time left"

    # -- a floor, and what experience says -------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the first, cheap fit: there is a model after it, whatever comes."""
        if self._deadline.seconds is not None:
            # What this process has imported, its copies need not.
            import lightgbm  # noqa: F401

            self._submit_first(is_plain=self._deadline.remaining < SHORT_SECONDS)

    def _submit_first(self, *, is_plain: bool) -> None:
        left = self._deadline.remaining
        numbers, others = self._task.columns("numeric"), self._task.columns("categorical", "date")
        cells = cells_of_a_row(len(numbers), len(others), len(self._task.classes))
        rows, limit = self._schedule.floor(left, cells)
        characters = characters_of_a_row(self._task)
        words = self._task.n_rows * characters / CHARACTERS_A_SECOND
        begins = not is_plain and self._schedule.begins_with_fold(left, self._task.n_rows, words)
        fold, share = (0, 0.85) if begins and self._problem.splits else (None, 0.7)
        self._characters = characters if is_plain else 0.0
        self._hands.submit("first", Job(self._default, fold, rows, share * limit, is_plain=is_plain), limit)

    @property
    def _first(self) -> FirstFit:
        return FirstFit(self._floor, self._task.n_rows, self._characters)

    @property
    def _default(self) -> Configuration:
        """LightGBM at its defaults, or the first algorithm that may be used."""
        name = "lightgbm" if "lightgbm" in self._space else next(iter(self._space)).name
        return self._space[name].default_configuration()

    def recommend(self, metamodel: MetaModelLike | None) -> None:
        """Ask experience, while the first fit runs."""
        own = registered_algorithms()[target_of(self._task.kind)]
        names = [name for name in self._space.algorithms if name not in own]
        limit = self._deadline.seconds
        # Where reading the table took half of the time, the rest is for the first fit.
        if names and (limit is None or self._deadline.remaining > limit / 2):
            self._recommendations = recommend_for_task(
                self._task,
                k=self._schedule.n_recommended,
                time_budget=self._fit_budget,
                algorithms=names,
                metamodel=metamodel,
                random_state=self._seed,
            )
        known = self._recommendations if isinstance(self._recommendations, Recommendations) else None
        if known is not None:
            # With this, the trials can become experience: MetaBase.from_studies.
            description = describe_for_study(
                self._task, name=self._study.study_name, metafeatures=known.metafeatures
            )
            self._study.set_user_attr("task", description)
        self._study.sampler = MetaSampler.from_configurations(
            (), self._space, recommendations=known, seed=sampler_seed(self._seed, self._study)
        )
        if self._hands.is_busy:
            self._floor = self._outcome()
        if self._floor is None and limit is not None and self._deadline.remaining > SHORT_SECONDS:
            # What takes long to read was too much for it.
            self._submit_first(is_plain=True)
            self._floor = self._outcome()

    @property
    def _fit_budget(self) -> float | None:
        """Seconds that one fit may take, if time is limited: no candidate gets more than half of the time."""
        if self._deadline.seconds is None:
            return None
        return max(self._deadline.remaining / (2 * max(len(self._problem.splits), 1)), _LEAST_FIT_BUDGET)

    def _outcome(self) -> FoldFit | None:
        """Wait for the only fit; None where it failed, which is noted."""
        for _, outcome, _ in self._hands.wait():
            if isinstance(outcome, FoldFit):
                self._preparations |= outcome.preparations
                return outcome
            self._failure = outcome.reason
        return None

    # -- the search ----------------------------------------------------------------------------------------------

    def search(self, n_trials: int, callbacks: Sequence[Callback]) -> None:
        """Fit candidates in folds, or without any where there is no time or no row for them."""
        self._cut_table()
        entries = self._entries(n_trials)
        repeated = finished_trials(self._study, self._task.metric.sign)
        if not self._problem.splits and repeated:
            # Without a search, the best of a continued study is all that is wanted.
            entries = [Entry(self._space.configuration(t.params), "known") for t in repeated[:1]]
        if not self._problem.splits or self._is_hurried(entries):
            self._fit_without_folds(entries)
            return
        strategy = Chain(
            Repeated(repeated[:MAX_REPEATED], self._space),
            Listed(self._study, self._space, entries, is_shared=self._is_shared),
            Sampled(self._study, self._space, self._has_time_to_propose, is_shared=self._is_shared),
        )
        self._search = Search(
            self._study,
            self._problem,
            self._hands,
            strategy,
            self._deadline,
            self._schedule,
            n_trials=n_trials,
            max_rows=self._first_rows(),
            is_broad=self._is_broad,
            callbacks=callbacks,
            second_layer=self._second_layer,
            spared=self._default,
            begun=self._floor if self._has_begun else None,
            preparation=self._first.preparation,
            slowness=self._slowness,
            seed=self._seed,
        )
        self._search.run()
        self._preparations |= self._search.preparations
        if not self._search.tried.usable and not self._search.interrupted:
            self._fit_without_folds(entries)

    def _second_layer(self, members: Sequence[Candidate]) -> list[Candidate]:
        """Return what reads the members' predictions; on few rows it has too little to learn from."""
        if self._size == 1 or self._problem.n_rows < self._schedule.second_rows:
            return []
        return second_layer(self._problem, self._space, members)

    def _has_time_to_propose(self) -> bool:
        return self._deadline.remaining > self._schedule.proposal_seconds

    def _cut_table(self) -> None:
        """Look at a part of the rows, and split it once, where all of them or twice would take too much of the time."""
        limit = self._deadline.seconds
        if limit is None or self._floor is None or self._is_whole:
            return
        rows = self._schedule.table_rows(limit, self._first.preparation)
        if rows < self._task.n_rows:
            self._problem = self._problem.of_rows(rows, self._seed)
        if len(self._problem.splits) * self._first.cost[1] > self._schedule.repeat_share * limit:
            self._problem = self._problem.once(self._schedule.folds(self._problem.n_rows)[1])

    def _entries(self, n_trials: int) -> list[Entry]:
        """The candidates in their order: recommendations, defaults, and what the user registered."""
        recommended = [r.configuration for r in self._recommendations]
        if self._is_broad:
            recommended = recommended[: self._schedule.broad_recommended]
        # A mark to compare with, where it does not take the place of a candidate that is worth more.
        is_marked = self._deadline.seconds is not None or n_trials >= TRIALS_WITH_DEFAULT
        default = self._default if is_marked and "lightgbm" in self._space else None
        order = self._schedule.order(recommended, default, self._problem.n_rows, len(self._task.classes))
        seconds: dict[Configuration, float] = {}
        if self._floor is not None:
            # Early stopping takes some hundred rounds, about three times those of the default.
            growth = (self._task.n_rows / self._floor.n_train) ** BOOSTING_GROWTH
            once = self._first.cost[1] * growth / self._slowness
            seconds = {c: once if c == default else 3 * once for c, origin in order if origin == "default"}
            if default is not None and self._is_broad and self._has_begun:
                seconds[default] = 0.0  # the first fit is all of it
        own = registered_algorithms()[target_of(self._task.kind)]
        return entries_of(order, self._recommendations, seconds, self._space, own, len(self._task.classes))

    @property
    def _has_begun(self) -> bool:
        """Whether the first fit is what a default is on the first fold."""
        if self._floor is None or not self._first.is_of_fold:
            return False
        n_train = len(self._problem.splits[0][0])
        return self._floor.n_train == min(self._first_rows() or n_train, n_train)

    def _is_hurried(self, entries: Sequence[Entry]) -> bool:
        """Whether the first candidates would take too much of the time in folds."""
        if self._deadline.seconds is None:
            return False
        if self._deadline.remaining < LEAST_FOLD_SECONDS:
            return True
        first = sorted(e.seconds for e in entries[:8] if math.isfinite(e.seconds))[:2]
        n_folds = 1 if self._is_broad else len(self._problem.splits)
        share = (self._first_rows() or self._problem.n_train) / self._problem.n_train
        seconds = self._slowness * float(np.sum(first)) * n_folds * share
        return seconds > self._schedule.zero_shot_share * self._deadline.remaining

    @property
    def _slowness(self) -> float:
        """How many times longer than experience says a fit took here."""
        expected = math.nan
        if isinstance(self._recommendations, Recommendations):
            expected = self._recommendations.default_seconds.get(self._default, math.nan)
        return self._first.slowness(expected)

    def _first_rows(self) -> int | None:
        if self._deadline.seconds is None or self._floor is None:
            return None
        n_folds = 1 if self._is_broad else len(self._problem.splits)
        return self._schedule.first_rows(
            self._problem.n_train, n_folds, self._deadline.seconds, self._first.cost
        )

    @property
    def _is_broad(self) -> bool:
        """Whether candidates are compared on the first fold alone."""
        limit, n_folds = self._deadline.seconds, len(self._problem.splits)
        if limit is None or self._floor is None:
            return False
        return self._schedule.is_broad(self._problem.n_rows, n_folds, limit, self._first.cost)

    def _fit_without_folds(self, entries: Sequence[Entry]) -> None:
        left = self._deadline.remaining
        # Where no folds were meant to be, the rows need not leave time for them, and words wait for more of it.
        is_last = left < LEAST_FOLD_SECONDS and self._floor is not None
        zero_shot = ZeroShot(
            self._problem, self._deadline, self._size, self._slowness, self._default, self._floor
        )
        rows = self._first_rows()
        if not math.isinf(left) and self._floor is not None and not is_last:
            # The first of them prepares the table, as the first fit did.
            n_rows, seconds = self._first.preparation
            seen = n_rows, seconds + self._first.cost[1]
            most = self._schedule.rows_within(FIRST_SHARE * left, seen)
            rows = rows if most >= self._problem.n_rows else min(rows or most, most)
        zero_shot.fit(self._hands, entries, self._recommendations, self._space, rows, is_last=is_last)
        self._preparations |= zero_shot.preparations
        self._failure = zero_shot.failure or self._failure
        self._zero_shot, self._floor = (zero_shot if zero_shot.fits else None), zero_shot.floor

    # -- the model -------------------------------------------------------------------------------------------------

    def finish(self, weights: NDArray[np.float64] | None, max_predict_seconds: float | None) -> TuneResult:
        """Choose the ensemble and put the model together."""
        search, problem, task = self._search, self._problem, self._task
        interrupted = search is not None and search.interrupted
        assembly: Assembly | None = None
        price: Price | None = None
        if search is not None and (usable := search.tried.usable):
            known, is_timed = self._preparations, self._deadline.seconds is not None
            price = price_of(problem, known, usable[0], max_predict_seconds, is_timed=is_timed)
            assembly = choose(
                problem,
                usable,
                size=self._size,
                depth=search.depth,
                price=price,
                prior_rows=self._schedule.prior_rows,
                seed=self._seed,
            )
        if interrupted and not (assembly or self._zero_shot or self._floor):
            raise KeyboardInterrupt
        members = {} if assembly is None else assembly.by_number
        second = [] if assembly is None else [c for c, _ in assembly.members if c.below]
        leaderboard = make_leaderboard(
            self._study, self._space, task.metric, self._recommendations, members, second
        )
        complete = search.tried.complete if search else []
        model, best, note = self._model(assembly, leaderboard, price)
        return TuneResult(
            model=model,
            leaderboard=leaderboard,
            study=self._study,
            best_configuration=best,
            best_by_cv=best_by_cv(leaderboard, task.metric.sign),
            metric=task.metric,
            deadline=self._deadline.report(),
            interrupted=interrupted,
            note=note,
            score=math.nan if assembly is None else float(np.mean(assembly.fold_scores)),
            fold_scores=[] if assembly is None else assembly.fold_scores,
            baselines=baselines_of(leaderboard, task, self._default),
            history=pd.DataFrame(
                [(spent, c.number, score) for spent, c, score in search.history] if search else [],
                columns=["seconds", "trial", "score"],
            ),
            oof=out_of_fold(self._problem, assembly),
            recommendations=self._recommendations,
            task=task,
            layer=[] if assembly is None else [c.number for c in assembly.below],
            rounds=next((mean_rounds(c) for c in complete if c.configuration == best), None),
            sample_weight=weights,
            random_state=self._seed,
        )

    def _model(
        self, assembly: Assembly | None, leaderboard: pd.DataFrame, price: Price | None
    ) -> tuple[Any, Configuration, str]:
        """Return the model, the best single configuration, and a word about what there was no time for."""
        if assembly and price:
            best = best_single(assembly, leaderboard)
            if self._size == 1 and (fit := self._refit(best, is_pipeline=not self._task.given_labels)):
                return single_model(self._problem, fit, self._preparations), best.configuration, ""
            note = "" if self._size > 1 else "no time was left to fit the best pipeline on all rows."
            fits, layer = self._fits(assembly, price) if self._size > 1 else (bag(best, 1.0, best.depth), [])
            if assembly.depth < len(self._problem.splits) and not self._is_broad:
                note = f"only {assembly.depth} of {len(self._problem.splits)} folds were fitted in time."
            model = build_model(self._problem, fits, self._preparations, assembly, layer)
            return model, best.configuration, note
        if self._zero_shot is not None:
            is_limited = self._deadline.seconds is not None
            note = "the time was too short for folds: nothing was measured." if is_limited else ""
            return self._zero_shot.model(self._preparations), self._zero_shot.fits[0][0], note
        if self._floor is not None:
            note = f"the time allowed one default model on {self._floor.n_train:,} rows only."
            return build_model(self._problem, [(self._floor, 1.0)], self._preparations), self._default, note
        if self._deadline.seconds is None:
            raise EvaluationError(
                "AM803", f"none of the recommendations could be fitted: {self._failure}.", "Check the data."
            )
        return constant_model(self._problem), self._default, "the time allowed a constant prediction only."

    def _fits(self, assembly: Assembly, price: Price) -> tuple[list[tuple[FoldFit, float]], list[list[int]]]:
        """Return the models of the members with their weights, and by position those that a second layer reads.

        On small tables half of the weight of the models of the folds goes to one that is fitted on all rows.
        """
        n_folds, is_refitted = len(self._problem.splits), self._task.n_rows < self._schedule.refit_below
        parts = planned(assembly, price, n_folds=n_folds, is_refitted=is_refitted)
        found: list[tuple[FoldFit, float]] = []
        places: dict[int, list[int]] = {}
        for i, (part, (candidate, weight)) in enumerate(zip(parts, assembly.parts, strict=True)):
            start = len(found)
            fit = self._refit(candidate) if part.is_refitted else None
            if fit is not None:
                share = 0.5 if part.n_folds else 1.0
                found.append((fit, share * weight))
                found += bag(candidate, (1.0 - share) * weight, part.n_folds)
            else:
                # One fold's model has seen most of the rows; they all have to do where there is no time for it.
                parts[i] = Part(candidate, candidate.depth)
                if price.exceeds(parts):
                    parts[i] = Part(candidate, 1)
                found += bag(candidate, weight, parts[i].n_folds)
            # The models of the folds are what the second layer has seen.
            places[id(candidate)] = list(range(start, len(found)))[-max(parts[i].n_folds, 1) :]
        return found, [places[id(candidate)] for candidate in assembly.below]

    def _refit(self, candidate: Candidate, *, is_pipeline: bool = False) -> FoldFit | None:
        """Fit one configuration on all rows; None where the time does not allow it."""
        left = self._deadline.remaining
        if self._problem.refit_seconds(candidate) > left:
            return None
        job = Job(
            candidate.configuration,
            None,
            candidate.max_rows,
            REFIT_SHARE * left,
            mean_rounds(candidate),
            is_pipeline,
            self._problem.table_rows,
            candidate.layer,
        )
        self._hands.submit("refit", job, left)
        # What was cut is not what the folds have measured.
        return fit if (fit := self._outcome()) is not None and fit.made == 1.0 else None
