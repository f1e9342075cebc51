"""Out-of-fold predictions in a folder: what a search would have seen of each configuration, to be replayed."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autometa.collection._station import RECORDED, Source, Station
from autometa.errors import AutometaError, DataError, EvaluationError
from autometa.evaluation import Failure, FoldFit, Split, make_splits
from autometa.space import Configuration
from autometa.storage import write_file
from autometa.task import Task

# A number of a fold that has none, such as rounds where nothing was boosted.
_NONE: Final = -1


@dataclass(frozen=True)
class Recorded:
    """What came of one configuration in the folds of one task.

    Attributes
    ----------
    configuration : Configuration
    fits : tuple of FoldFit
        By fold, up to the first that failed; without models, whose sizes are kept in `n_bytes`.
    seconds : tuple of float
        Wall-clock seconds of each fold, the failed one included.
    n_bytes : tuple of int
        Sizes of the models.
    failure : Failure, optional
        Of the first fold that failed.
    """

    configuration: Configuration
    fits: tuple[FoldFit, ...]
    seconds: tuple[float, ...]
    n_bytes: tuple[int, ...]
    failure: Failure | None = None

    def to_bytes(self) -> bytes:
        """Return the content of a file: probabilities of all classes but the first, as 32-bit floats."""
        fits = self.fits
        predictions = [np.asarray(fit.prediction, dtype="float32") for fit in fits]
        rest = [p[:, 1:] if p.ndim == 2 else p for p in predictions]
        facts = {
            "algorithm": self.configuration.algorithm,
            "params": dict(self.configuration.params),
            "failure": [self.failure.status, self.failure.reason] if self.failure else None,
        }
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            facts=np.frombuffer(json.dumps(facts).encode(), dtype="uint8"),
            prediction=np.concatenate(rest) if rest else np.zeros(0, dtype="float32"),
            sizes=np.array([len(p) for p in rest], dtype="int64"),
            seconds=np.array(self.seconds, dtype="float32"),
            fit_seconds=np.array([fit.fit_seconds for fit in fits], dtype="float32"),
            predict_seconds=np.array([fit.predict_seconds for fit in fits], dtype="float32"),
            row_seconds=np.array([fit.row_seconds for fit in fits], dtype="float32"),
            n_train=np.array([fit.n_train for fit in fits], dtype="int64"),
            rounds=np.array([_NONE if fit.rounds is None else fit.rounds for fit in fits], dtype="int64"),
            n_bytes=np.array(self.n_bytes, dtype="int64"),
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Recorded:
        """Read the content of a file; nothing in it is unpickled."""
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            values = {name: found[name] for name in found.files}
        facts = json.loads(values["facts"].tobytes())
        parts = (
            np.split(values["prediction"], np.cumsum(values["sizes"])[:-1]) if len(values["sizes"]) else []
        )
        fits = tuple(
            FoldFit(
                _with_first(part),
                b"",
                (),
                {},
                float(values["fit_seconds"][i]),
                float(values["predict_seconds"][i]),
                int(values["n_train"][i]),
                None if values["rounds"][i] == _NONE else int(values["rounds"][i]),
                float(values["row_seconds"][i]),
            )
            for i, part in enumerate(parts)
        )
        failure = Failure(*facts["failure"]) if facts["failure"] else None
        configuration = Configuration(facts["algorithm"], facts["params"])
        seconds = tuple(values["seconds"].tolist())
        return cls(configuration, fits, seconds, tuple(values["n_bytes"].tolist()), failure)


def _with_first(part: NDArray[Any]) -> NDArray[np.float64]:
    prediction = part.astype("float64")
    if prediction.ndim == 1:
        return prediction
    return np.column_stack([np.clip(1.0 - prediction.sum(axis=1), 0.0, 1.0), prediction])


@dataclass
class PredictionReport:
    """What was recorded.

    Attributes
    ----------
    counts : Counter of str
        By what came of it: ``ok``, or the status of the first fold that failed.
    n_known : int
        Files that were there.
    n_missing : int
        Those that were not, when it began.
    unreadable : dict of str to str
        Tasks that could not be read or split, and why.
    interrupted : bool
    """

    counts: Counter[str] = field(default_factory=Counter)
    n_known: int = 0
    n_missing: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


class Predictions:
    """A folder with a file for each task and configuration.

    Parameters
    ----------
    folder : str or Path
        Made where it is not there.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def path(self, task_id: str, configuration: Configuration) -> Path:
        """Return where what is known of a configuration on a task stands, or will."""
        name = "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):02x}" for c in task_id)
        return self._folder / name / f"{configuration.id}.npz"

    def write(self, task_id: str, recorded: Recorded) -> None:
        """Keep what was recorded."""
        path = self.path(task_id, recorded.configuration)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, recorded.to_bytes())

    def read(self, task_id: str) -> list[Recorded]:
        """Return all that is known of a task.

        Raises
        ------
        DataError
            AM111 when a file cannot be read.
        """
        folder = self.path(task_id, Configuration("", {})).parent
        found = []
        for path in sorted(folder.glob("*.npz")):
            try:
                found.append(Recorded.from_bytes(path.read_bytes()))
            except Exception as error:
                raise DataError(
                    "AM111", f"{path} does not hold predictions: {type(error).__name__}.", "Delete it."
                ) from error
        return found


def folds_of(task: Task, source: Source) -> list[Split]:
    """Return the folds that predictions are recorded in."""
    return make_splits(task, RECORDED, source.folds())


def record(
    sources: Sequence[Source],
    folder: str | Path,
    configurations: Callable[[Source], Iterable[Configuration]],
    stations: Sequence[Station],
    *,
    time_limit: float | None = 30.0,
    on_done: Callable[[PredictionReport, str], None] | None = None,
) -> PredictionReport:
    """Fit configurations in folds as a search does, and keep what they predict for the rows left out.

    Parameters
    ----------
    sources : sequence of task sources
    folder : str or Path
        One file per task and configuration. What stands there is not made again; a file is written whole or not
        at all, so that any number of interruptions cost the configurations in flight.
    configurations : callable
        Takes a source and returns what to fit on it.
    stations : sequence of Station
        Each works on one configuration at a time.
    time_limit : float or None, default=30.0
        Seconds for all folds of one configuration.
    on_done : callable, optional
        Called with the report so far and the task's id.
    """
    predictions, report = Predictions(folder), PredictionReport()
    missing: list[tuple[Source, Configuration]] = []
    for source in sources:
        for configuration in {c.id: c for c in configurations(source)}.values():
            if predictions.path(source.task_id, configuration).is_file():
                report.n_known += 1
            else:
                missing.append((source, configuration))
    report.n_missing = len(missing)
    work, lock, stopped = iter(missing), threading.Lock(), threading.Event()

    def pending() -> Iterator[tuple[Source, Configuration]]:
        while not stopped.is_set():
            with lock:
                item = next(work, None)
            if item is None:
                return
            yield item

    def run(station: Station) -> None:
        for source, configuration in pending():
            if source.task_id in report.unreadable:
                continue
            try:
                recorded = _record_one(station, source, configuration, time_limit)
            except EvaluationError:
                stopped.set()
                raise
            except AutometaError as error:
                report.unreadable[source.task_id] = str(error)
                continue
            predictions.write(source.task_id, recorded)
            with lock:
                report.counts[recorded.failure.status if recorded.failure else "ok"] += 1
                if on_done is not None:
                    on_done(report, source.task_id)

    with ThreadPoolExecutor(len(stations)) as pool:
        futures = [pool.submit(run, station) for station in stations]
        try:
            for future in futures:
                future.result()
        except KeyboardInterrupt:
            report.interrupted = True
        finally:
            stopped.set()
    return report


def _record_one(
    station: Station, source: Source, configuration: Configuration, time_limit: float | None
) -> Recorded:
    outcomes = station.fit_folds(source, configuration, time_limit)
    fits = tuple(outcome for outcome, _, _ in outcomes if isinstance(outcome, FoldFit))
    failure = next((outcome for outcome, _, _ in outcomes if isinstance(outcome, Failure)), None)
    seconds = tuple(seconds for _, seconds, _ in outcomes)
    return Recorded(configuration, fits, seconds, tuple(n for _, _, n in outcomes), failure)
