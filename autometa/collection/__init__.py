"""Gathering experience: tasks from a directory or from OpenML, runs on them into an Optuna storage."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial

from autometa.collection._ledger import Chunk, Known, Ledger, Place, is_made, key, propose, tuned_runs
from autometa.collection._predictions import PredictionReport, Predictions, Recorded, folds_of, record
from autometa.collection._station import Plan, Source, Station, remote_stations
from autometa.collection.directory import read_catalog
from autometa.errors import AutometaError, EvaluationError, with_code
from autometa.evaluation import Protocol, Run
from autometa.metabase import MetaBase, few_attribute
from autometa.metafeatures import METAFEATURES_VERSION
from autometa.space import Configuration, SearchSpace, target_of
from autometa.storage import open_storage, quiet_optuna
from autometa.task import KINDS

__all__ = [
    "CollectionReport",
    "PredictionReport",
    "Predictions",
    "Recorded",
    "Source",
    "collect",
    "folds_of",
    "read_catalog",
]

# Runs that one worker takes in a row: enough that loading the table counts little, few enough to share at the end.
CHUNK: Final = 16
# Seconds to wait for the runs of others, and between looks at the workers.
_PATIENCE: Final = 0.5
_WATCH_SECONDS: Final = 0.2


@dataclass
class CollectionReport:
    """What a collection did.

    Attributes
    ----------
    counts : Counter of str
        Runs of this collection by status.
    reasons : Counter of (str, str)
        Status and reason of those that did not succeed.
    n_known : int
        Planned runs that were there already, or were made by another runner in the meantime.
    n_total : int
        Planned runs on tasks that could be read.
    unreadable : dict of str to str
        Tasks that could not be read, and why.
    seconds : float
    interrupted : bool
    predictions : PredictionReport, optional
        What became of the predictions, where some were asked for.
    """

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    n_known: int = 0
    n_total: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False
    predictions: PredictionReport | None = None

    @property
    def n_done(self) -> int:
        """Runs of this collection, whatever came of them."""
        return sum(self.counts.values())

    @property
    def n_left(self) -> int:
        """Planned runs that are neither known nor done."""
        return self.n_total - self.n_known - self.n_done


def collect(
    sources: Sequence[Source],
    storage: Any,
    *,
    n_configurations: int = 8,
    fidelities: Iterable[int] | Mapping[int, int] = (),
    grown: Iterable[int] = (),
    few: Iterable[int] = (),
    words: Iterable[int] = (),
    n_tuned: int = 0,
    known: MetaBase | None = None,
    retry_failed: bool = False,
    n_jobs: int = 1,
    cluster: Any = None,
    time_limit: float | None = 30.0,
    memory_limit: int | None = None,
    protocol: Protocol | None = None,
    seed: int = 0,
    lease: float = 60.0,
    predictions: str | Path | None = None,
    on_run: Callable[[CollectionReport, str, Run], None] | None = None,
    on_prediction: Callable[[PredictionReport, str], None] | None = None,
) -> CollectionReport:
    """Run the first configurations of every algorithm on each task; only what the storage lacks.

    Any number of collections may work on one storage at the same time: no run is made twice, and the runs of one that
    was killed are taken over.

    Parameters
    ----------
    sources : sequence of task sources
        See :func:`autometa.collection.read_catalog`.
    storage : str or optuna storage
        See :func:`autometa.storage.open_storage`. One study per task, one trial per run.
    n_configurations : int, default=8
        Configurations of each algorithm: the library's default, then a space-filling sequence.
    fidelities : iterable of int, or mapping of int to int, default=()
        Further numbers of training rows per fold, and how many configurations of each algorithm to run at each;
        `n_configurations` by default. One at which a task would train on less than 1.25 times as many rows as at a
        smaller one is left out for that task. Above the protocol's own, a fold tests on up to twice as many rows.
    grown : iterable of int, default=()
        Numbers of training rows at which the boosted models whose rounds early stopping finds are run as well; see
        :func:`autometa.space.grown_configurations`.
    few : iterable of int, default=()
        Numbers of training rows, a few hundred at most, at which a list of some twenty configurations is run, and with
        which the task is described once more: what such small tables look like.
    words : iterable of int, default=()
        Numbers of training rows at which a list of some twenty configurations is run: the default of each algorithm,
        and what is recommended for tables of words.
    n_tuned : int, default=0
        Runs of each task near the best found: Optuna's TPE on its three best algorithms, after the others.
    known : MetaBase, optional
        Runs that stand in it are not made again.
    retry_failed : bool, default=False
        Make those again that failed, timed out or ran out of memory before; the later result counts.
    n_jobs : int, default=1
        Worker processes, each with one thread.
    cluster : str or distributed.Client, optional
        Address of a Dask scheduler, or a client. One worker process for each thread of the cluster, in place of
        `n_jobs` here.
    time_limit : float or None, default=30.0
        Seconds for all folds of one run, in proportion more at fidelities above the protocol's; then its process is
        killed and the run is stored as ``timeout``.
    memory_limit : int or None, default=None
        Bytes of address space of a worker.
    protocol : Protocol, optional
        Rows, folds and seed by which every run is judged; those of the bundled base by default.
    seed : int, default=0
        Of the space-filling sequence and of TPE.
    lease : float, default=60.0
        Seconds without a sign of life after which the runs in flight of another collection are taken over.
    predictions : str or Path, optional
        A folder. After the runs, the first `n_configurations` of each algorithm are fitted on all rows of each task in
        the five folds of a search, and what they predict for the rows left out is kept there: a file per task and
        configuration. What stands there is not made again. `time_limit` holds for the five folds together.
    on_run : callable, optional
        Called with the report so far, the task's id and the run, after each run.
    on_prediction : callable, optional
        Called with the report of the predictions so far and the task's id, after each configuration.

    Returns
    -------
    CollectionReport
        An interruption ends the collection early and is reported, not raised; finished runs are in the storage.

    Raises
    ------
    DependencyError
        AM704 when a cluster is named and the extra ``dask`` is not installed.
    UsageError
        AM527 when `cluster` is neither an address nor a client.
    EvaluationError
        AM805 when the cluster does not answer or has no workers.
    """
    if not isinstance(fidelities, Mapping):
        fidelities = dict.fromkeys(fidelities, n_configurations)
    protocol = protocol or Protocol()
    listed = frozenset(grown), frozenset(few), frozenset(words)
    counts = dict.fromkeys(frozenset().union(*listed), 0)
    counts |= {protocol.max_train_rows: n_configurations, **fidelities}
    plan = Plan(protocol, counts, n_tuned, time_limit, seed, retry_failed, *listed)
    with quiet_optuna(), _stations(n_jobs, cluster, memory_limit) as stations:
        collection = _Collection(open_storage(storage), plan, lease, Known(known, retry_failed), on_run)
        collection.queue(sources)
        report = collection.run(stations)
        if predictions is not None and not report.interrupted:
            spaces = {kind: SearchSpace.for_kind(kind).design(n_configurations, seed) for kind in KINDS}
            report.predictions = record(
                sources,
                predictions,
                lambda source: spaces[source.kind],
                stations,
                time_limit=time_limit,
                on_done=on_prediction,
            )
            report.interrupted = report.predictions.interrupted
        return report


@contextmanager
def _stations(n_jobs: int, cluster: Any, memory_limit: int | None) -> Iterator[Sequence[Station]]:
    """Have worker processes here or on a cluster for a while."""
    if cluster is None:
        stations = [Station(memory_limit) for _ in range(n_jobs)]
        try:
            yield stations
        finally:
            for station in stations:
                station.stop()
        return
    with remote_stations(cluster, memory_limit) as remote:
        yield remote


class _Collection:
    def __init__(
        self,
        storage: Any,
        plan: Plan,
        lease: float,
        known: Known,
        on_run: Callable[[CollectionReport, str, Run], None] | None,
    ) -> None:
        self._storage = storage
        self._plan = plan
        self._ledger = Ledger(storage, lease)
        self._known = known
        self._on_run = on_run
        self._spaces = {kind: SearchSpace.for_kind(kind) for kind in KINDS}
        self._chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.report = CollectionReport()

    # -- planning -----------------------------------------------------------------------------------------------

    def queue(self, sources: Sequence[Source]) -> None:
        """Queue what is missing: the main fidelity of all tasks, then the others, then the tuned runs."""
        places = self._places(sources)
        for fidelity in dict.fromkeys([self._plan.main, *sorted(self._plan.n_configurations)]):
            designs = {
                kind: self._plan.design(space, target_of(kind), fidelity)
                for kind, space in self._spaces.items()
            }
            for place in places:
                if fidelity in self._plan.fidelities(place.n_rows):
                    self._queue_design(place, fidelity, designs[place.source.kind])
        if self._plan.n_tuned:
            for place in places:
                self.report.n_total += self._plan.n_tuned
                self._chunks.put(Chunk(place, self._plan.protocol, n_tuned=self._plan.n_tuned))

    def _places(self, sources: Sequence[Source]) -> list[Place]:
        existing = set(optuna.get_all_study_names(self._storage))
        places = []
        for source in sources:
            if source.task_id in existing:
                study = optuna.load_study(study_name=source.task_id, storage=self._storage)
            else:
                study = optuna.create_study(
                    study_name=source.task_id,
                    storage=self._storage,
                    direction="maximize",
                    load_if_exists=True,
                )
            if self._plan.retry_failed:
                self._ledger.forget_failures(study)
            known = {key(run) for run in self._ledger.runs(study) if is_made(run)}
            known |= self._known.keys(source.task_id)
            task = study.user_attrs.get("task", {})
            is_described = task.get("metafeatures_version") == METAFEATURES_VERSION
            as_few = {
                rows
                for rows in self._plan.few
                if study.user_attrs.get(few_attribute(rows), {}).get("version") == METAFEATURES_VERSION
            }
            n_rows = source.n_rows or task.get("n_rows", 0)
            places.append(Place(source, study, known, is_described, n_rows, described_with=as_few))
        return places

    def _queue_design(self, place: Place, fidelity: int, design: list[Configuration]) -> None:
        design = list({c.id: c for c in design}.values())
        missing = [c for c in design if (c.id, fidelity) not in place.known]
        self.report.n_known += len(design) - len(missing)
        self.report.n_total += len(design)
        # A task that is not described yet comes up even when no run is missing.
        needs_description = fidelity == self._plan.main and not place.is_described
        needs_description |= fidelity in self._plan.few - place.described_with
        for start in range(0, len(missing) or needs_description, CHUNK):
            self._chunks.put(Chunk(place, self._plan.at(fidelity), missing[start : start + CHUNK]))

    # -- working ------------------------------------------------------------------------------------------------

    def run(self, stations: Sequence[Station]) -> CollectionReport:
        """Work off the queue, with a thread for each station."""
        start = time.monotonic()
        with ThreadPoolExecutor(len(stations)) as pool:
            futures = [pool.submit(self._work, station) for station in stations]
            try:
                while not all(future.done() for future in futures):
                    self._watch(futures)
            finally:
                self._stopped.set()
        for future in futures:
            future.result()
        self.report.seconds = time.monotonic() - start
        return self.report

    def _watch(self, futures: Sequence[Future[None]]) -> None:
        try:
            wait(futures, timeout=_WATCH_SECONDS)
            self._ledger.give_signs()
        except KeyboardInterrupt:
            self.report.interrupted = True
            self._stopped.set()
        if any(future.done() and future.exception() for future in futures):
            self._stopped.set()

    def _work(self, station: Station) -> None:
        for chunk in self._pending():
            if chunk.place.source.task_id not in self.report.unreadable:
                self._work_off(station, chunk)
            if chunk.place.source.task_id in self.report.unreadable:
                with self._lock:
                    self.report.n_total -= chunk.n_planned - chunk.n_done

    def _pending(self) -> Iterator[Chunk]:
        while not self._stopped.is_set():
            try:
                yield self._chunks.get_nowait()
            except queue.Empty:
                return

    def _work_off(self, station: Station, chunk: Chunk) -> None:
        """Make the runs of a chunk. What other runners are at comes later."""
        runs = self._runs(chunk)
        if not chunk.was_put_off and self._has_others(chunk, runs):
            chunk.was_put_off = True
            self._chunks.put(chunk)
            return
        try:
            self._describe(station, chunk)
            while not self._stopped.is_set() and (configuration := self._next(chunk, runs)):
                self._make(station, chunk, configuration)
                runs = self._runs(chunk)
        except EvaluationError:
            raise
        except AutometaError as error:
            self.report.unreadable[chunk.place.source.task_id] = with_code(error)
            return
        if self._has_others(chunk, runs):
            self._chunks.put(chunk)
            self._stopped.wait(_PATIENCE)
        elif not self._stopped.is_set():
            self._settle(chunk, chunk.n_missing(runs))

    def _runs(self, chunk: Chunk) -> list[FrozenTrial]:
        place = chunk.place
        runs = self._ledger.runs(place.study)
        if not chunk.n_tuned:
            return runs
        if place.elsewhere is None:
            here = set(map(key, runs))
            space = self._spaces[place.source.kind]
            place.elsewhere = [t for t in self._known.trials(place.source, space) if key(t) not in here]
        return [*place.elsewhere, *runs]

    def _has_others(self, chunk: Chunk, runs: list[FrozenTrial]) -> bool:
        """Whether some of the chunk's runs are in flight."""
        return chunk.n_missing(filter(is_made, runs)) > chunk.n_missing(runs)

    def _next(self, chunk: Chunk, runs: list[FrozenTrial]) -> Configuration | None:
        if not chunk.n_missing(runs):
            return None
        if chunk.configurations:
            return chunk.fixed_missing(runs)[0]
        return propose(self._spaces[chunk.place.source.kind], runs, chunk.fidelity, self._plan.seed)

    def _describe(self, station: Station, chunk: Chunk) -> None:
        """Note on the study what the task is and its meta-features, once for each version of these."""
        place, rows = chunk.place, chunk.fidelity
        if not place.is_described:
            place.is_described = True
            place.study.set_user_attr("task", station.describe(place.source))
        if rows in self._plan.few - place.described_with:
            place.described_with.add(rows)
            found = station.describe(place.source, chunk.protocol)
            about = {"version": found["metafeatures_version"], "metafeatures": found["metafeatures"]}
            place.study.set_user_attr(few_attribute(rows), about)

    def _make(self, station: Station, chunk: Chunk, configuration: Configuration) -> None:
        """Claim a run, make it and store it, unless another runner comes first."""
        place, space = chunk.place, self._spaces[chunk.place.source.kind]
        limit = chunk.n_tuned - len(tuned_runs(place.elsewhere or (), chunk.fidelity))
        claim = self._ledger.claim(place.study, space, configuration, chunk.fidelity, limit)
        if claim is None:
            return
        try:
            run = station.evaluate(
                place.source, chunk.protocol, configuration, self._plan.seconds(chunk.fidelity)
            )
        except BaseException:
            self._ledger.release(claim)
            raise
        if self._ledger.finish(claim, run):
            self._count(chunk, run)

    def _count(self, chunk: Chunk, run: Run) -> None:
        with self._lock:
            chunk.n_done += 1
            self.report.counts[run.status] += 1
            if not run.ok:
                self.report.reasons[run.status, run.reason] += 1
            if self._on_run is not None:
                self._on_run(self.report, chunk.place.source.task_id, run)

    def _settle(self, chunk: Chunk, n_impossible: int) -> None:
        """Count what others have made, and take off tuned runs for which there is nothing to go by."""
        with self._lock:
            self.report.n_total -= n_impossible
            self.report.n_known += chunk.n_planned - chunk.n_done - n_impossible
