"""The collector: every run once, whatever happens, and nothing lost."""

from __future__ import annotations

import _thread
import logging
import signal
import threading
import time
from collections import Counter

import numpy as np
import optuna
import pandas as pd
import pytest

from autometa import collection
from autometa.collection import collect
from autometa.collection._station import FEW_ROWS, WORDS, listed_configurations
from autometa.evaluation import Protocol, Run
from autometa.metabase import TUNED, MetaBase
from autometa.metrics import stored_metrics
from autometa.space import Algorithm, Configuration, SearchSpace, register_algorithm, target_of
from autometa.storage import open_storage

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("two_algorithms")]


@pytest.fixture
def journal(tmp_path):
    return str(tmp_path / "runs.journal")


def stored(journal: str) -> dict[str, list[optuna.trial.FrozenTrial]]:
    storage = open_storage(journal)
    return {
        name: optuna.load_study(study_name=name, storage=storage).trials
        for name in optuna.get_all_study_names(storage)
    }


def ids(journal: str) -> Counter[tuple[str, str]]:
    return Counter(
        (name, t.user_attrs["configuration_id"]) for name, trials in stored(journal).items() for t in trials
    )


def test_a_collection_stores_every_run_once_and_resumes_with_what_is_missing(sources, journal):
    seen = []
    first = collect(sources, journal, n_configurations=1, n_jobs=2, on_run=lambda *args: seen.append(args))
    assert (first.n_total, first.n_done, first.n_known) == (6, 6, 0)
    assert first.counts == {"ok": 6}
    assert len(seen) == 6
    assert not first.interrupted
    again = collect(sources, journal, n_configurations=1)
    assert (again.n_total, again.n_done, again.n_known) == (6, 0, 6)
    longer = collect(sources, journal, n_configurations=2)
    assert (longer.n_total, longer.n_done, longer.n_known) == (12, 6, 6)
    expected = {(s.task_id, c.id) for s in sources for c in SearchSpace.for_kind(s.kind).design(2)}
    assert ids(journal) == Counter(expected)
    _check_stored_runs(journal)
    # Another fidelity is another run.
    smaller = collect(sources[:1], journal, n_configurations=1, protocol=Protocol(max_train_rows=20))
    assert smaller.counts == {"ok": 2}
    assert {t.user_attrs["fidelity"] for t in stored(journal)[sources[0].task_id]} == {1000, 20}


def test_few_rows_are_run_and_described_once(sources, journal, tmp_path):
    made = [collect(sources, journal, n_configurations=0, few=[20, 27]) for _ in range(2)]
    # 27 rows are nearly all 30 that a fold trains on.
    expected = {
        (s.task_id, c.id)
        for s in sources
        for c in listed_configurations(SearchSpace.for_kind(s.kind), target_of(s.kind), FEW_ROWS)
    }
    assert [(report.counts, report.n_left) for report in made] == [({"ok": len(expected)}, 0), ({}, 0)]
    assert ids(journal) == Counter(expected)
    MetaBase.from_studies(journal).save(tmp_path / "base")
    base = MetaBase.load(tmp_path / "base")
    assert set(base.runs["fidelity"]) == set(base.runs["n_train"]) == {20}
    few, usual = base.few_metafeatures(20), base.metafeatures
    np.testing.assert_allclose(10 ** few["log_n_rows"], 20, rtol=1e-5)
    np.testing.assert_allclose(10 ** usual["log_n_rows"], 45, rtol=1e-5)
    assert set(few) == set(usual)
    assert base.few_metafeatures(27).empty
    # What was stored without a description gets one, and no run is made again.
    storage = open_storage(journal)
    study = optuna.load_study(study_name=sources[0].task_id, storage=storage)
    study.set_user_attr("with 20 rows", {"version": -1, "metafeatures": {}})
    assert collect(sources, journal, n_configurations=0, few=[20]).n_done == 0
    again = MetaBase.from_studies(journal).few_metafeatures(20)
    pd.testing.assert_frame_equal(again, few)


def test_tables_of_words_have_a_list_of_their_own(sources, journal):
    report = collect(sources[:1], journal, n_configurations=0, words=[20])
    space = SearchSpace.for_kind(sources[0].kind)
    expected = listed_configurations(space, target_of(sources[0].kind), WORDS)
    assert report.counts == {"ok": len(expected)}
    assert {key[1] for key in ids(journal)} == {c.id for c in expected}


def _check_stored_runs(journal: str) -> None:
    for kind, trials in stored(journal).items():
        space_of_kind = SearchSpace.for_kind(kind)
        for trial in trials:
            run = trial.user_attrs["run"]
            configuration = space_of_kind.configuration(trial.params)
            assert configuration.id == trial.user_attrs["configuration_id"]
            assert trial.user_attrs["origin"] in ("default", "space-filling")
            assert trial.value == run["r2" if kind == "regression" else "roc_auc"]
            assert set(stored_metrics(kind)) <= set(run)
            assert run["n_train"] == 30


def make_troubled():
    from sklearn.dummy import DummyClassifier

    class Troubled(DummyClassifier):
        def __init__(self, strategy="prior", trouble=None):
            super().__init__(strategy=strategy)
            self.trouble = trouble

        def fit(self, X, y, sample_weight=None):
            if self.trouble == "hangs":
                time.sleep(600)
            if self.trouble == "fails":
                raise ValueError("nothing goes")
            return super().fit(X, y)

    return Troubled


def test_failures_and_time_outs_are_rows_with_their_reason_and_are_not_tried_again(sources, journal):
    choices = optuna.distributions.CategoricalDistribution((None, "hangs", "fails"))
    troubled = Algorithm("troubled", make_troubled(), {"trouble": choices}, {"trouble": None})
    register_algorithm(troubled, ["classification"])
    space_of_kind = SearchSpace([troubled])
    design = [Configuration("troubled", {"trouble": trouble}) for trouble in (None, "hangs", "fails")]
    space_of_kind.design = lambda n, seed: design[:n]  # type: ignore[method-assign]
    binary = [s for s in sources if s.kind == "binary"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchSpace, "for_kind", classmethod(lambda cls, kind: space_of_kind))
        report = collect(binary, journal, n_configurations=3, time_limit=5.0)
        assert report.counts == {"ok": 1, "timeout": 1, "failed": 1}
        assert collect(binary, journal, n_configurations=3, time_limit=5.0).n_done == 0
    by_trouble = {t.params["troubled__trouble"]: t for t in stored(journal)["binary"]}
    assert by_trouble["hangs"].state == by_trouble["fails"].state == optuna.trial.TrialState.FAIL
    assert by_trouble["hangs"].user_attrs["run"]["status"] == "timeout"
    assert report.reasons == {("timeout", "longer than 5 s"): 1, ("failed", "ValueError: nothing goes"): 1}
    assert by_trouble["fails"].user_attrs["run"]["reason"] == "ValueError: nothing goes"
    assert by_trouble[None].state == optuna.trial.TrialState.COMPLETE


@pytest.fixture
def _interruptible():
    """Let SIGINT interrupt, which a shell switches off for what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupted_collection_reports_it_keeps_its_runs_and_goes_on_later(sources, journal):
    def interrupt(report, task_id, run):
        if report.n_done == 2:
            _thread.interrupt_main()

    report = collect(sources, journal, n_configurations=2, on_run=interrupt)
    assert report.interrupted
    assert 2 <= report.n_done < 12
    assert sum(ids(journal).values()) == report.n_done
    later = collect(sources, journal, n_configurations=2)
    assert later.n_done == 12 - report.n_done
    assert set(ids(journal).values()) == {1}


def test_a_task_that_cannot_be_read_is_named_and_the_others_run(sources, journal):
    (sources[0].path).write_bytes(b"PAR1 broken")
    pd.DataFrame({"a": range(45), "y": 1}).to_parquet(sources[1].path)
    report = collect(sources, journal, n_configurations=1)
    assert set(report.unreadable) == {sources[0].task_id, sources[1].task_id}
    assert report.unreadable[sources[1].task_id].endswith("[AM103]")
    assert (report.n_total, report.n_left) == (2, 0)
    assert report.counts == {"ok": 2}
    _check_description(journal, sources[2])


def _check_description(journal: str, source) -> None:
    facts = optuna.load_study(study_name=source.task_id, storage=open_storage(journal)).user_attrs["task"]
    assert facts["kind"] == source.kind
    assert facts["fingerprint"] == source.load().fingerprint()
    assert facts["family"] == source.task_id
    assert (facts["n_rows"], facts["n_features"]) == (45, 3)


def test_an_error_in_the_callback_ends_the_collection_and_is_raised(sources, journal):
    def fail(report, task_id, run):
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        collect(sources, journal, n_configurations=2, on_run=fail)
    assert sum(ids(journal).values()) == 1


class InstantStation:
    """Makes up the scores of a run at once, and notes what it was asked for."""

    made: list[tuple[str, int, str, float]]

    def __init__(self, memory_limit=None):
        self._real = REAL_STATION(memory_limit)

    def describe(self, source):
        return self._real.describe(source)

    def evaluate(self, source, protocol, configuration, time_limit):
        self.made.append((source.task_id, protocol.max_train_rows, configuration.id, time_limit))
        score = int(configuration.id, 16) % 1000 / 1000
        metrics = stored_metrics(source.kind)
        scores = dict.fromkeys(metrics, score)
        return Run(configuration, "ok", scores, dict.fromkeys(metrics, 0.0), n_train=30, n_folds=3)

    def stop(self):
        pass


REAL_STATION = collection.Station


@pytest.fixture
def made(monkeypatch):
    """Return the runs that are made, without making them."""
    monkeypatch.setattr(InstantStation, "made", [], raising=False)
    monkeypatch.setattr(collection, "Station", InstantStation)
    return InstantStation.made


def test_each_fidelity_that_differs_is_run_with_its_own_number_of_configurations(sources, journal, made):
    # 45 rows in three folds train on 30: at 100 as at 60, and too close to 25 to be worth another run.
    options = {"protocol": Protocol(max_train_rows=25), "time_limit": 10.0, "n_configurations": 3}
    report = collect(sources[:1], journal, fidelities={60: 1, 100: 1, 10: 2}, **options)
    assert Counter(run[1] for run in made) == {25: 6, 10: 4}
    assert report.n_total == report.n_done == 10
    assert collect(sources[:1], journal, fidelities=(10,), **options).n_done == 2
    assert {run[3] for run in made} == {10.0}
    larger = collect(sources[:1], journal, fidelities=(60,), protocol=Protocol(max_train_rows=12))
    assert larger.n_done > 0
    assert dict.fromkeys((run[1], run[3]) for run in made[12:]) == {(12, 30.0): None, (60, 150.0): None}


def test_above_the_main_fidelity_tests_are_larger_and_folds_fewer(sources, journal):
    # 45 rows: three folds test on 15 rows each, of which 8, or 15 where one may be twice as large.
    protocol = Protocol(max_train_rows=10, max_test_rows=8, enough_test_rows=15)
    collect(sources[:1], journal, n_configurations=1, fidelities=(5, 20), protocol=protocol)
    trials = stored(journal)[sources[0].task_id]
    n_folds = {(t.user_attrs["fidelity"], t.user_attrs["run"]["n_folds"]) for t in trials}
    assert n_folds == {(5, 2), (10, 2), (20, 1)}


def test_two_collections_on_one_storage_share_the_work(sources, journal, made):
    reports = [None, None]

    def run(place):
        reports[place] = collect(sources, journal, n_configurations=6, n_tuned=3)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(made)) == 3 * (12 + 3)
    assert sum(report.n_done for report in reports) == len(made)
    assert all(report.n_left == 0 for report in reports)
    assert set(ids_of_runs(journal).values()) == {1}


def ids_of_runs(journal: str) -> Counter[tuple[str, str]]:
    return Counter(
        (name, t.user_attrs["configuration_id"])
        for name, trials in stored(journal).items()
        for t in trials
        if "run" in t.user_attrs
    )


def test_tuned_runs_follow_the_dense_part_and_are_counted_when_it_resumes(sources, journal, made):
    assert collect(sources[:1], journal, n_configurations=2, n_tuned=2).n_done == 6
    report = collect(sources[:1], journal, n_configurations=2, n_tuned=5)
    assert (report.n_total, report.n_known, report.n_done) == (9, 6, 3)
    origins = [t.user_attrs["origin"] for t in stored(journal)[sources[0].task_id]]
    assert origins.count(TUNED) == 5
    assert origins[4:] == [TUNED] * 5


def test_what_stands_in_exported_tables_is_not_run_again(sources, journal, made, tmp_path):
    collect(sources, journal, n_configurations=2, n_tuned=2)
    MetaBase.from_studies(journal).save(tmp_path / "base")
    known = MetaBase.load(tmp_path / "base")
    elsewhere = str(tmp_path / "elsewhere.journal")
    n_before = len(made)
    report = collect(sources, elsewhere, n_configurations=3, n_tuned=4, known=known)
    assert (report.n_total, report.n_known, report.n_done) == (30, 18, 12)
    assert len(set(made)) == len(made) == n_before + 12
    assert len(known.merge(MetaBase.from_studies(elsewhere)).runs) == 30


def test_what_did_not_succeed_is_made_again_when_asked_and_the_later_result_counts(
    sources, journal, made, monkeypatch, tmp_path
):
    evaluate = InstantStation.evaluate

    def fail(self, source, protocol, configuration, time_limit):
        run = evaluate(self, source, protocol, configuration, time_limit)
        return run if configuration.origin == "default" else Run(configuration, "failed", reason="a bug")

    monkeypatch.setattr(InstantStation, "evaluate", fail)
    assert collect(sources, journal, n_configurations=2).counts == {"ok": 6, "failed": 6}
    MetaBase.from_studies(journal).save(tmp_path / "base")
    monkeypatch.setattr(InstantStation, "evaluate", evaluate)
    assert collect(sources, journal, n_configurations=2).n_done == 0
    report = collect(sources, journal, n_configurations=2, retry_failed=True)
    assert (report.n_known, report.n_done, report.counts["ok"]) == (6, 6, 6)
    assert collect(sources, journal, n_configurations=2, retry_failed=True).n_done == 0
    assert set(MetaBase.from_studies(journal).runs["status"]) == {"ok"}
    known = MetaBase.load(tmp_path / "base")
    elsewhere = str(tmp_path / "elsewhere.journal")
    assert collect(sources, elsewhere, n_configurations=2, known=known, retry_failed=True).n_done == 6
    assert set(known.merge(MetaBase.from_studies(elsewhere)).runs["status"]) == {"ok"}


def test_a_storage_of_finished_trials_alone_is_gone_on_with(sources, journal, made):
    """Earlier versions added each run as a finished trial, and never a running one."""
    collect(sources[:1], journal, n_configurations=2)
    trials = stored(journal)[sources[0].task_id]
    older = journal.replace("runs", "older")
    study = optuna.create_study(
        study_name=sources[0].task_id, storage=open_storage(older), direction="maximize"
    )
    study.add_trials(trials)
    report = collect(sources[:1], older, n_configurations=3)
    assert (report.n_known, report.n_done) == (4, 2)


def test_a_collection_leaves_optunas_log_as_it_was_and_says_nothing_there(sources, journal, made, caplog):
    optuna.logging.enable_propagation()
    before = optuna.logging.get_verbosity()
    with caplog.at_level(logging.INFO, logger="optuna"):
        collect(sources[:1], journal, n_configurations=1)
    assert optuna.logging.get_verbosity() == before
    assert caplog.records == []
    optuna.logging.disable_propagation()
