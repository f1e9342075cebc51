"""What is taken in, what is not and why, and what the next recommendation makes of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optuna
import pandas as pd
import pytest
from refusals import refused

from autometa import learn, recommend
from autometa.errors import StorageError, UsageError
from autometa.experience import (
    DEFAULT_IMPORTANCE,
    IMPORTANCES,
    MIN_JUDGED,
    _choose,
    compare,
    forget,
    load_experienced_metamodel,
    load_metamodel,
    newest,
    read,
)
from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel


def algorithms(table, **options) -> list[str]:
    return [item.algorithm for item in recommend(*table, k=5, random_state=0, **options)]


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_run_is_taken_once(storage, add_search):
    for name in "ab":
        add_search(storage, name)
    first = learn(storage)
    before = content(first.path)
    assert (first.n_taken, first.n_known, first.n_tasks) == (32, 0, 2)
    second = learn(storage)
    assert (second.n_taken, second.n_known, second.n_runs) == (0, 32, 32)
    assert second.path == first.path
    assert content(second.path) == before


def test_a_study_that_went_on_brings_what_is_new(storage, add_search):
    add_search(storage, "a")
    learn(storage)
    add_search(storage, "a", n_rounds=3)
    report = learn(storage)
    assert (report.n_taken, report.n_known, report.n_tasks) == (8, 16, 1)


def test_studies_of_one_name_in_two_storages_are_two_tasks(add_search, record):
    for fingerprint in ("one", "two"):
        storage = optuna.storages.InMemoryStorage()
        add_search(storage, "churn", like={**record, "name": "churn", "fingerprint": fingerprint})
        report = learn(storage)
    assert report.n_tasks == 2
    assert sorted(read(report.path).tasks["family"]) == ["one", "two"]


def test_recommendations_follow_what_was_learned(table, storage, add_search):
    bundled = algorithms(table)
    assert bundled[0] != "svm"
    for number in range(6):
        add_search(storage, f"like-{number}", winner="svm")
    report = learn(storage)
    assert report.importance["classification"] > 0
    assert algorithms(table)[0] == "svm"
    assert algorithms(table, metamodel="bundled") == bundled
    assert {"like-0"} <= {n.split("-")[0] + "-0" for n in recommend(*table, k=1).similar_tasks["name"]}
    forget()
    assert algorithms(table) == bundled


def test_the_comparison_leaves_each_task_out(storage, add_search):
    for number in range(6):
        add_search(storage, f"like-{number}", winner="svm")
    report = learn(storage)
    rows = report.comparison
    assert len(rows) == 6
    # The other five tell at once what the bundled tasks cannot know.
    assert rows["own@1"].mean() < rows["bundled@1"].mean()
    (row,) = report.to_frame().to_dict("records")
    assert row["own@1"] == pytest.approx(rows["own@1"].mean())


def test_one_task_alone_has_nothing_to_be_compared_with(storage, add_search):
    add_search(storage, "a")
    report = learn(storage)
    assert report.to_frame().empty
    assert report.to_dict()["comparison"] == []


def test_the_importance_is_the_one_that_was_best_and_none_where_all_are_worse():
    """Regrets of shape (tasks, bundled and each importance, depths)."""
    rng = np.random.default_rng(0)
    regrets = 0.5 + 0.01 * rng.random((MIN_JUDGED, 1 + len(IMPORTANCES), 2))
    regrets[:, 3] -= 0.2
    importance, own = _choose(regrets)
    assert importance == IMPORTANCES[2]
    np.testing.assert_array_equal(own, regrets[:, 3])
    regrets[:, 1:] += 0.3
    assert _choose(regrets)[0] == 0.0
    assert _choose(regrets[1:])[0] == DEFAULT_IMPORTANCE


def test_a_table_that_was_learned_from_is_recognised(table, storage, add_search, record):
    add_search(storage, "seen", like=record)
    learn(storage)
    codes = {issue.code for issue in recommend(*table, k=1).warnings}
    assert "AM403" in codes
    assert "AM403" not in {issue.code for issue in recommend(*table, k=1, exclude_seen=False).warnings}


def test_nothing_but_numbers_about_the_table_is_stored(table, storage, add_search, record, home):
    add_search(storage, "seen", like=record)
    base = read(learn(storage).path)
    assert not set(base.tasks.columns) & set(table[0].columns)
    assert {path.suffix for path in home.rglob("*") if path.is_file()} == {".parquet", ".json", ""}
    assert (home / "lock").stat().st_size == 0


class TestSkipped:
    def reason(self, storage, *arguments, **options) -> str:
        (reason,) = learn(storage, *arguments, **options).skipped.values()
        return reason

    def test_several_objectives(self, storage):
        optuna.create_study(storage=storage, directions=["minimize", "maximize"])
        assert "objectives" in self.reason(storage)

    def test_no_finished_trial(self, storage, add_search):
        add_search(storage, "a", n_rounds=0)
        assert "no finished trial" in self.reason(storage)
        assert newest() is None

    def test_another_space(self, storage):
        study = optuna.create_study(storage=storage)
        study.optimize(lambda trial: trial.suggest_float("momentum", 0, 1), n_trials=2)
        assert "MetaSampler(past_studies=" in self.reason(storage)

    def test_meta_features_of_another_version(self, storage, add_search, record, table):
        add_search(storage, "a", like={**record, "metafeatures_version": -1})
        assert "meta-features" in self.reason(storage)
        assert learn(storage, *table).n_taken == 16

    def test_unfinished_and_foreign_trials_are_counted(self, storage, add_search):
        study = add_search(storage, "a")
        for status, params in (("timeout", {"algorithm": "knn"}), ("ok", {"algorithm": "mine"})):
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.FAIL,
                    params=params,
                    distributions={
                        "algorithm": optuna.distributions.CategoricalDistribution(["knn", "mine"])
                    },
                    user_attrs={"fidelity": 60, "run": {"status": status, "reason": ""}},
                )
            )
        report = learn(storage)
        assert report.n_taken == 16
        assert sorted(report.trials.values()) == [1, 1]


class TestOwnStudies:
    """Searches that someone wrote, over parameters of one algorithm under the library's own names."""

    def lightgbm(self, storage, sign: int = 1, **options) -> None:
        def objective(trial: optuna.Trial) -> float:
            rate = trial.suggest_float("learning_rate", 0.01, 0.3, log=True)
            trial.suggest_int("num_leaves", 4, 1_000, log=True)
            return sign * (0.6 + rate)

        sampler = optuna.samplers.RandomSampler(seed=0)
        optuna.create_study(storage=storage, sampler=sampler, **options).optimize(objective, n_trials=12)

    def test_they_need_their_table(self, storage, table):
        self.lightgbm(storage, direction="maximize")
        assert "which table" in next(iter(learn(storage).skipped.values()))
        report = learn(storage, *table, metric="roc_auc")
        assert report.n_taken + report.trials["outside the ranges of autometa's space"] == 12
        assert 0 < report.n_taken < 12
        base = read(report.path)
        assert base.runs["roc_auc"].notna().all()
        assert base.runs["log_loss"].isna().all()
        params = base.configuration(base.runs["configuration_id"][0], "classification").params
        assert params["n_estimators"] == 100
        assert load_metamodel().part("binary").tasks["fingerprint"].isin(base.tasks["fingerprint"]).any()

    def test_a_direction_that_is_not_the_metrics(self, storage, table):
        self.lightgbm(storage, direction="minimize")
        assert "minimises" in next(iter(learn(storage, *table, metric="roc_auc").skipped.values()))

    def test_losses_with_scikit_learns_sign(self, storage, table):
        self.lightgbm(storage, sign=-1, direction="maximize")
        assert (read(learn(storage, *table, metric="log_loss").path).runs["log_loss"] > 0).all()

    def test_names_that_fit_two_algorithms(self, storage, table):
        study = optuna.create_study(storage=storage, direction="maximize")
        study.optimize(lambda trial: 0.5 + trial.suggest_int("min_samples_leaf", 1, 30) / 100, n_trials=5)
        assert "name the algorithm" in next(iter(learn(storage, *table).skipped.values()))
        report = learn(storage, *table, algorithm="extra_trees")
        assert set(read(report.path).configurations["algorithm"]) == {"extra_trees"}

    def test_two_studies_for_one_table_must_be_told_apart(self, storage, table):
        for name in "ab":
            self.lightgbm(storage, direction="maximize", study_name=name)
        assert set(learn(storage, *table).skipped) == {"a", "b"}
        assert set(learn(storage, *table, study_name="a").studies) == {"a"}

    def test_a_name_that_is_not_there(self, storage):
        with refused(UsageError, "AM525"):
            learn(storage, study_name="none")


class TestStore:
    def test_a_storage_that_is_not_there_is_not_made(self, tmp_path):
        for name in (f"{tmp_path}/none.journal", f"sqlite:///{tmp_path}/none.db"):
            with refused(StorageError, "AM604"):
                learn(name)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("step", ["autometa.experience._store.write_manifest", "pathlib.Path.rename"])
    def test_killed_in_the_middle_the_old_base_stays(self, step, storage, add_search, monkeypatch):
        add_search(storage, "a")
        before = learn(storage).path
        add_search(storage, "b")

        def killed(*arguments, **options):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(KeyboardInterrupt):
                learn(storage)
        assert newest() == before
        assert len(read(before).tasks) == 1
        assert learn(storage).n_tasks == 2

    def test_two_at_once_lose_nothing(self, add_search):
        storages = [optuna.storages.InMemoryStorage() for _ in range(3)]
        for number, each in enumerate(storages):
            add_search(each, f"task-{number}")
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(learn, storages))
        assert len(read(newest()).tasks) == 3

    def test_only_the_last_two_are_kept(self, storage, add_search, home):
        for name in "abc":
            add_search(storage, name)
            learn(storage)
        assert [path.name for path in sorted(home.glob("metabase-*"))] == [
            "metabase-000002",
            "metabase-000003",
        ]

    def test_a_damaged_base_is_said_and_left_out(self, storage, add_search, table):
        bundled = algorithms(table)
        add_search(storage, "a")
        runs = learn(storage).path / "runs.parquet"
        runs.write_bytes(runs.read_bytes()[:100])
        assert algorithms(table) == bundled
        (issue,) = [i for i in recommend(*table, k=1).warnings if i.code == "AM409"]
        assert "runs.parquet" in issue.message
        assert "\n" not in str(issue)
        with refused(StorageError, "AM611"):
            learn(storage)
        assert forget() == 1
        assert learn(storage).n_taken == 16

    def test_a_folder_that_cannot_be_made(self, storage, add_search, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("AUTOMETA_HOME", str(tmp_path / "file" / "home"))
        add_search(storage, "a")
        with refused(StorageError, "AM609"):
            learn(storage)

    def test_without_experience_the_bundled_model_answers(self, home):
        model = load_experienced_metamodel()
        assert not home.exists()
        assert model.part("binary").similarity.importance is None
        assert compare(MetaModel({}), None)[1].empty


def test_runs_of_a_base_survive_a_second_merge(storage, add_search):
    """What was learned first is there unchanged when more is added."""
    add_search(storage, "a")
    before = read(learn(storage).path)
    add_search(storage, "b")
    after: MetaBase = read(learn(storage).path)
    kept = after.runs[after.runs["task_id"].isin(before.tasks["task_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before.runs.reset_index(drop=True))
