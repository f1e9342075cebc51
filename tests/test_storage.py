"""Where studies live: what names mean, and what is said when they mean nothing."""

from __future__ import annotations

import optuna
import pytest

from autometa.errors import StorageError, UsageError
from autometa.storage import open_storage


@pytest.mark.parametrize("name", ["runs.journal", "sqlite:///{path}/runs.db"])
def test_what_is_written_through_one_opening_is_read_through_the_next(name, tmp_path):
    address = name.format(path=tmp_path) if "://" in name else str(tmp_path / name)
    study = optuna.create_study(study_name="one", storage=open_storage(address))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    again = optuna.load_study(study_name="one", storage=open_storage(address))
    assert [t.params for t in again.trials] == [t.params for t in study.trials]


def test_a_storage_object_is_returned_as_it_is():
    storage = optuna.storages.InMemoryStorage()
    assert open_storage(storage) is storage


@pytest.mark.parametrize("name", ["runs", "runs.csv", ""])
def test_a_name_that_is_neither_url_nor_journal_is_refused(name):
    with pytest.raises(UsageError, match="journal") as caught:
        open_storage(name)
    assert caught.value.code == "AM505"


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:////no/such/folder/runs.db",
        "/no/such/folder/runs.journal",
        "postgresql://me:secret@nowhere/db",
    ],
)
def test_a_storage_that_cannot_be_opened_is_one_line_without_the_password(address):
    with pytest.raises(StorageError) as caught:
        open_storage(address)
    assert caught.value.code == "AM601"
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
