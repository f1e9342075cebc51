"""Where studies live: what names mean, and what is said when they mean nothing."""

from __future__ import annotations

import sys
import traceback

import optuna
import pytest

from autometa.errors import DependencyError, StorageError, UsageError, without_passwords
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
        "postgresql://me:secret@nowhere:port/db",
        "mysql://me:secret@nowhere/db",
        "nonsense://me:secret@nowhere/runs.journal",
        "postgresql://me:a@b:secret@nowhere/db",  # half of the password is taken for a port
    ],
)
def test_a_storage_that_cannot_be_opened_is_one_line_without_the_password(address):
    with pytest.raises(StorageError) as caught:
        open_storage(address)
    assert caught.value.code == "AM601"
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """Be beside a folder with a journal of one trial, and return its relative name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    study = optuna.create_study(study_name="one", storage=open_storage("folder/runs.journal"))
    study.tell(study.ask(), 1.0)
    return tmp_path / "folder" / "runs.journal"


@pytest.mark.parametrize("half_line", [b'{"op_code":4,"work', b"x" * 10_000])
def test_half_a_line_of_a_writer_that_was_killed_does_no_harm(journal, half_line):
    whole = journal.read_bytes()
    journal.write_bytes(whole + half_line)
    study = optuna.load_study(study_name="one", storage=open_storage("folder/runs.journal"))
    for value in (2.0, 3.0):
        study.tell(study.ask(), value)
    assert journal.read_bytes().startswith(whole)
    again = optuna.load_study(study_name="one", storage=open_storage("folder/runs.journal"))
    assert [t.value for t in again.trials] == [1.0, 2.0, 3.0]


def test_the_lock_of_a_writer_that_was_killed_is_taken_over(journal, monkeypatch):
    monkeypatch.setattr("autometa.storage.LOCK_SECONDS", 3)
    (journal.parent / "runs.journal.lock").touch()
    study = optuna.load_study(study_name="one", storage=open_storage("folder/runs.journal"))
    study.tell(study.ask(), 2.0)
    assert len(study.trials) == 2


def test_postgresql_without_its_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DependencyError, match=r"autometa-learn\[postgresql\]") as caught:
        open_storage("postgresql://me:secret@localhost/db")
    assert caught.value.code == "AM703"
    assert "secret" not in str(caught.value)


def test_an_address_that_is_written_wrongly_does_not_show_its_password():
    for name in ("postgresql:/me:secret@nowhere/db", "me:secret@nowhere"):
        with pytest.raises(UsageError) as caught:
            open_storage(name)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["secret", "sec:ret", "se@cret", "secret/x"])
def test_passwords_of_addresses_are_taken_out_of_texts(password):
    text = f"(Error) could not reach postgresql+psycopg://me:{password}@server:5432/db and stopped"
    assert (
        without_passwords(text)
        == "(Error) could not reach postgresql+psycopg://me:***@server:5432/db and stopped"
    )
    assert without_passwords(f"'http:/me:{password}@server/m'") == "'http:/me:***@server/m'"
    assert (
        without_passwords("sqlite:///runs.db, http://server:80/a") == "sqlite:///runs.db, http://server:80/a"
    )
