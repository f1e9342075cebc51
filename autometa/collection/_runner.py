"""The runner: configurations on tasks into an Optuna storage, resumable at any moment."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Final, Protocol as Interface

import optuna

from autometa.errors import AutometaError
from autometa.evaluation import Protocol, Run, Split, Worker, make_splits
from autometa.metabase import describe_for_study
from autometa.metafeatures import METAFEATURES_VERSION
from autometa.space import Configuration, SearchSpace
from autometa.storage import open_storage
from autometa.task import Task

CHUNK: Final = 16


class Source(Interface):
    """Where a task comes from."""

    @property
    def task_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    def load(self) -> Task: ...
    def folds(self) -> Sequence[Split] | None:
        """Return official folds of the loaded task, or None where they are to be drawn."""


@dataclass
class CollectionReport:
    """What a collection did: runs by status, runs that were there already, tasks that could not be read."""

    counts: Counter[str] = field(default_factory=Counter)
    n_known: int = 0
    n_total: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def n_done(self) -> int:
        """Runs of this collection, whatever came of them."""
        return sum(self.counts.values())


def collect(
    sources: Sequence[Source],
    storage: Any,
    *,
    n_configurations: int = 8,
    n_jobs: int = 1,
    time_limit: float | None = 30.0,
    memory_limit: int | None = None,
    protocol: Protocol | None = None,
    seed: int = 0,
    on_run: Callable[[CollectionReport, str, Run], None] | None = None,
) -> CollectionReport:
    """Run the first configurations of every algorithm on each task; only what the storage lacks.

    Parameters
    ----------
    sources : sequence of task sources
        See :func:`autometa.collection.read_catalog`.
    storage : str or optuna storage
        See :func:`autometa.storage.open_storage`. One study per task, one trial per run.
    n_configurations : int, default=8
        Configurations of each algorithm: the library's default, then a space-filling sequence.
    n_jobs : int, default=1
        Worker processes, each with one thread.
    time_limit : float or None, default=30.0
        Seconds for all folds of one run; then its process is killed and the run is stored as ``timeout``.
    memory_limit : int or None, default=None
        Bytes of address space of a worker.
    protocol : Protocol, optional
    seed : int, default=0
        Of the space-filling sequence.
    on_run : callable, optional
        Called with the report so far, the task's id and the run, after each run.

    Returns
    -------
    CollectionReport
        An interruption ends the collection early and is reported, not raised; finished runs are in the storage.
    """
    collection = _Collection(open_storage(storage), protocol or Protocol(), time_limit, memory_limit, on_run)
    collection.plan(sources, n_configurations, seed)
    return collection.run(n_jobs)


@dataclass
class _Chunk:
    source: Source
    study: optuna.Study
    configurations: list[Configuration]


class _Collection:
    def __init__(
        self,
        storage: Any,
        protocol: Protocol,
        time_limit: float | None,
        memory_limit: int | None,
        on_run: Callable[[CollectionReport, str, Run], None] | None,
    ) -> None:
        self._storage = storage
        self._protocol = protocol
        self._time_limit = time_limit
        self._memory_limit = memory_limit
        self._on_run = on_run
        self._chunks: queue.SimpleQueue[_Chunk] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.report = CollectionReport()

    def plan(self, sources: Sequence[Source], n_configurations: int, seed: int) -> None:
        """Queue what is missing, task by task."""
        designs = {
            kind: SearchSpace.for_kind(kind).design(n_configurations, seed)
            for kind in {s.kind for s in sources}
        }
        fidelity = self._protocol.max_train_rows
        for source in sources:
            study = optuna.create_study(
                study_name=source.task_id, storage=self._storage, direction="maximize", load_if_exists=True
            )
            trials = study.get_trials(deepcopy=False)
            done = {(t.user_attrs.get("configuration_id"), t.user_attrs.get("fidelity")) for t in trials}
            missing = [c for c in designs[source.kind] if (c.id, fidelity) not in done]
            self.report.n_known += len(designs[source.kind]) - len(missing)
            self.report.n_total += len(designs[source.kind])
            # A task that is not described yet comes up even when no run is missing.
            for start in range(0, len(missing) or 1 - _is_described(study), CHUNK):
                self._chunks.put(_Chunk(source, study, missing[start : start + CHUNK]))

    def run(self, n_jobs: int) -> CollectionReport:
        """Work off the queue with `n_jobs` workers."""
        start = time.monotonic()
        with ThreadPoolExecutor(n_jobs) as pool:
            futures = [pool.submit(self._work) for _ in range(n_jobs)]
            try:
                while wait(futures, timeout=0.2, return_when=FIRST_EXCEPTION).not_done:
                    if any(future.done() and future.exception() for future in futures):
                        break
            except KeyboardInterrupt:
                self.report.interrupted = True
            self._stopped.set()
        for future in futures:
            future.result()
        self.report.seconds = time.monotonic() - start
        return self.report

    def _pending(self) -> Iterator[_Chunk]:
        while not self._stopped.is_set():
            try:
                yield self._chunks.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        with Worker(self._memory_limit) as worker:
            for chunk in self._pending():
                try:
                    task = chunk.source.load()
                    worker.set_task(task, make_splits(task, self._protocol, chunk.source.folds()))
                except AutometaError as error:
                    self.report.unreadable[chunk.source.task_id] = str(error)
                    continue
                self._describe(chunk.study, task)
                for configuration in chunk.configurations:
                    if self._stopped.is_set():
                        return
                    run = worker.evaluate(configuration, self._time_limit)
                    self._store(chunk, run)

    def _describe(self, study: optuna.Study, task: Task) -> None:
        """Note on the study what the task is and its meta-features, once for each version of these."""
        if not _is_described(study):
            record = describe_for_study(task)
            with self._lock:
                study.set_user_attr("task", record)

    def _store(self, chunk: _Chunk, run: Run) -> None:
        space = SearchSpace.for_kind(chunk.source.kind)
        joint = run.configuration.joint_params()
        distributions = {k: v for k, v in space.distributions().items() if k in joint}
        trial = optuna.trial.create_trial(
            params=joint,
            distributions=distributions,
            value=run.scores[_OBJECTIVE[chunk.source.kind]] if run.ok else None,
            state=optuna.trial.TrialState.COMPLETE if run.ok else optuna.trial.TrialState.FAIL,
            user_attrs={
                "configuration_id": run.configuration.id,
                "origin": run.configuration.origin,
                "fidelity": self._protocol.max_train_rows,
                "run": run.to_record(),
            },
        )
        with self._lock:
            chunk.study.add_trial(trial)
            self.report.counts[run.status] += 1
            if self._on_run is not None:
                self._on_run(self.report, chunk.source.task_id, run)


_OBJECTIVE: Final = {"binary": "roc_auc", "multiclass": "roc_auc", "regression": "r2"}


def _is_described(study: optuna.Study) -> bool:
    return study.user_attrs.get("task", {}).get("metafeatures_version") == METAFEATURES_VERSION
