"""What is declared in one place works everywhere: an encoder, an algorithm and a source of tasks of the test's own."""

from __future__ import annotations

import runpy
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import IntDistribution
from refusals import refused
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import KFold

from autometa.collection import collect
from autometa.errors import UsageError
from autometa.persistence import load_model, save_model
from autometa.pipelines import build_pipeline, pipeline_code
from autometa.space import Algorithm, Configuration, SearchSpace, register_algorithm
from autometa.space.encoders import (
    Encoder,
    Words,
    choose_encoding,
    encodings,
    known_encoders,
    register_encoder,
    unregister_encoder,
)
from autometa.storage import open_storage
from autometa.task import Task
from autometa.wording import algorithm_name

N = 90
OWN = Encoder(
    name="hashes",
    choices={"categories": "hashed", "text": "hashed"},
    what="eight numbers, by the hashes of its words",
    when="text of one word",
    takes="text",
    choose=lambda words, option: [
        name
        for name, column in (words.categorical if option == "categories" else words.text).items()
        if words.is_asked(option) or not column.astype("str").str.contains(" ").any()
    ],
    make=lambda need: [HashingVectorizer(n_features=8)],
)


@pytest.fixture
def own():
    register_encoder(OWN)
    yield OWN
    unregister_encoder(OWN.name)


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "colour": rng.choice(["red", "green", "blue"], N),
            "said": [" ".join(rng.choice(["red", "old", "new", "odd"], 8)) for _ in range(N)],
            "size": rng.normal(size=N),
        }
    )
    y = pd.Series(np.where(frame["colour"] == "red", "yes", "no"), name="target")
    frame.loc[::9, ["colour", "said"]] = None
    return Task.from_frame(frame, y, column_types={"said": "text"})


def configured(algorithm: str, **choices: str) -> Configuration:
    default = SearchSpace.for_kind("binary")[algorithm].default_configuration()
    return Configuration(algorithm, {**default.params, **choices})


def test_an_encoder_is_asked_for_by_its_values_and_by_its_rule(own, task):
    space = SearchSpace.for_kind("binary")
    for option, value in own.choices.items():
        assert value in encodings()[option].choices
        assert space.problems(configured("lightgbm", **{option: value})) == []
    columns = ({"colour": task.X["colour"]}, {"said": task.X["said"]}, 2)
    assert not choose_encoding(Words(*columns, {"categories": "levels"})).columns[own.name]
    assert [*choose_encoding(Words(*columns, {"categories": "hashed"})).columns[own.name]] == ["colour"]
    assert [*choose_encoding(Words(*columns, {"text": "hashed"})).columns[own.name]] == ["colour", "said"]
    assert [*choose_encoding(Words(*columns)).columns[own.name]] == ["colour"]


@pytest.mark.parametrize("algorithm", ["lightgbm", "linear"])
def test_an_encoder_has_blocks_that_fit_predict_save_and_are_written_down(own, task, algorithm, tmp_path):
    pipeline = build_pipeline(configured(algorithm, categories="hashed", text="hashed"), task)
    titles = [title for title, _, _ in pipeline["prepare"].transformers]
    assert [title for title in titles if title.startswith(own.name)] == ["hashes0", "hashes1"]
    pipeline.fit(task.X, task.y)
    new = task.X.head(9).assign(colour="unseen")
    wanted = pipeline.predict_proba(new)
    assert np.isfinite(wanted).all()
    save_model(tmp_path / "model.skops", pipeline, {"kind": "binary"})
    np.testing.assert_allclose(load_model(tmp_path / "model.skops")[0].predict_proba(new), wanted)
    code = pipeline_code(pipeline)
    assert code.count("HashingVectorizer(n_features=8)") == 2
    compile(code, "script", "exec")


def test_an_encoder_has_its_row_in_the_reference(own, root):
    made = runpy.run_path(str(root / "docs" / "make_space.py"))["make"]()
    assert f"| `hashes` | categories, text | {own.what} | {own.when} |" in made["encoders"]
    assert made["options"].count("`hashed` (hashes)") == 2


def test_an_encoder_that_is_gone_is_gone_and_those_of_autometa_stay(own, task):
    for name in (*known_encoders(),):
        unregister_encoder(name)
    assert [*known_encoders()] == ["worth", "letters", "words"]
    problems = SearchSpace.for_kind("binary").problems(configured("lightgbm", text="hashed"))
    assert problems == ["text='hashed' is outside its range"]


@pytest.mark.parametrize(
    ("name", "choices", "what"),
    [
        ("letters", {}, "'letters' is taken"),
        ("other", {"text": "words"}, "'words' is taken"),
        ("other", {"dates": "x"}, "'dates' is no option"),
    ],
)
def test_an_encoder_whose_names_do_not_fit_is_refused(name, choices, what):
    encoder = Encoder(name, choices, "", "", "text", lambda words, option: [], lambda need: [])
    with refused(UsageError, "AM503", what):
        register_encoder(encoder)


def test_an_algorithm_is_searched_built_named_and_shown(task, root):
    depth = IntDistribution(1, 9)
    stump = Algorithm(
        "stump",
        "sklearn.tree:DecisionTreeClassifier",
        {"max_depth": depth},
        {"max_depth": 1},
        title="A stump",
    )
    register_algorithm(stump, ["classification"])
    assert SearchSpace.for_kind("binary").distributions()["stump__max_depth"] == depth
    assert build_pipeline(stump.default_configuration(), task)["model"].max_depth == 1
    assert algorithm_name("stump") == "A stump"
    made = runpy.run_path(str(root / "docs" / "make_space.py"))["make"]()
    assert "| stump | max_depth | 1 to 9, whole | `1` |" in made["classification"]
    assert "stump" not in made["regression"]


@dataclass(frozen=True)
class Halves:
    """A source of the test's own: a table that is drawn, with two folds of its own."""

    task_id: str = "drawn"
    kind: str = "regression"
    n_rows: int = 60

    def load(self) -> Task:
        X = pd.DataFrame(np.random.default_rng(0).normal(size=(self.n_rows, 2)), columns=["a", "b"])
        return Task.from_frame(X, X["a"] + 0.1 * X["b"], kind=self.kind, name=self.task_id)

    def folds(self):
        return list(KFold(2).split(np.empty(self.n_rows)))


@pytest.mark.timeout(180)
def test_a_source_of_tasks_is_collected_from_on_its_own_folds(tmp_path):
    journal = str(tmp_path / "runs.journal")
    report = collect([Halves()], journal, n_configurations=1, time_limit=120.0)
    assert report.counts == {"ok": len(SearchSpace.for_kind("regression"))}
    trials = optuna.load_study(study_name="drawn", storage=open_storage(journal)).trials
    assert {trial.user_attrs["run"]["n_train"] for trial in trials} == {30}
