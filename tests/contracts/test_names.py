"""The names that others rely on: what is public, its parameters and their defaults."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import autometa
from autometa.errors import DISTRIBUTION

REQUIRED: Any = inspect.Parameter.empty
ESTIMATOR = {
    "*": None,
    "n_trials": 30,
    "timeout": None,
    "metric": None,
    "cv": None,
    "ensemble_size": 25,
    "n_jobs": 1,
    "random_state": None,
}

# What each name takes. "*" divides what may be given by position from what must be named.
SIGNATURES: dict[str, dict[str, Any]] = {
    "recommend": {
        "X": REQUIRED,
        "y": REQUIRED,
        "*": None,
        "kind": "auto",
        "metric": None,
        "k": 10,
        "time_budget": None,
        "algorithms": None,
        "metamodel": None,
        "exclude_seen": True,
        "random_state": None,
    },
    "warm_start": {
        "study": REQUIRED,
        "X": REQUIRED,
        "y": REQUIRED,
        "*": None,
        "k": 10,
        "algorithm": None,
        "rename": None,
        "policy": "clip",
    },
    "MetaSampler": {"X": None, "y": None, "*": None, "past_studies": (), "metamodel": None, "seed": None},
    "tune": {
        "X": REQUIRED,
        "y": REQUIRED,
        "*": None,
        "n_trials": 50,
        "timeout": None,
        "metric": None,
        "cv": None,
        "groups": None,
        "sample_weight": None,
        "storage": None,
        "study_name": None,
        "n_jobs": 1,
        "cluster": None,
        "random_state": None,
    },
    "AutoMetaClassifier": ESTIMATOR,
    "AutoMetaRegressor": ESTIMATOR,
    "extract_metafeatures": {
        "X": REQUIRED,
        "y": REQUIRED,
        "*": None,
        "kind": "auto",
        "groups": "all",
        "max_rows": ...,
        "random_state": 0,
    },
    "AlgorithmSelector": {"random_state": None},
    "learn": {"storage": REQUIRED, "X": None, "y": None, "*": None, "kind": "auto", "metric": None},
    "register_algorithm": {"algorithm": REQUIRED, "kinds": ("classification", "regression")},
}

# Methods may take more than the contract asks, with defaults.
METHODS: dict[str, dict[str, list[str]]] = {
    "MetaBase": {
        "load": ["path"],
        "from_frames": ["tasks"],
        "from_studies": ["storage"],
        "save": ["path"],
        "merge": ["other"],
        "verify": [],
        "summary": [],
    },
    "MetaModel": {
        "load": ["path"],
        "fit": ["metabase"],
        "save": ["path"],
        "about": [],
        "predict": [],
        "rank": [],
    },
    "AlgorithmSelector": {
        "fit": ["metafeatures", "performance"],
        "rank": ["metafeatures", "observed"],
        "suggest": ["metafeatures", "observed"],
    },
    "LearnReport": {"to_frame": [], "to_dict": []},
    "Recommendations": {"to_frame": [], "to_dict": []},
    "Recommendation": {"to_code": [], "to_dict": []},
}

EXTRA = {
    *("Algorithm", "Configuration", "SearchSpace", "Task", "TuneResult", "WarmStartReport", "__version__"),
    *("AutometaError", "DataError", "DependencyError", "EvaluationError", "StorageError", "UsageError"),
}


def test_the_public_names_are_exactly_these():
    assert set(autometa.__all__) == set(SIGNATURES) | set(METHODS) | EXTRA
    assert list(autometa.__all__) == sorted(autometa.__all__)
    assert dir(autometa) == sorted(autometa.__all__)


@pytest.mark.parametrize("name", sorted({*SIGNATURES, *METHODS, *EXTRA}))
def test_every_public_name_is_found_twice_over_and_says_what_it_is(name):
    # The second look-up would find a module, if one had the name.
    first, second = getattr(autometa, name), getattr(autometa, name)
    assert first is second
    assert not inspect.ismodule(first)
    if name != "__version__":
        assert first.__module__.startswith("autometa.")
        assert inspect.getdoc(first)


def test_type_checkers_are_told_of_the_same_names():
    """What they read, and Python does not, are the imports of the package's head."""
    tree = ast.parse(Path(autometa.__file__).read_text(encoding="utf-8"))
    told = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != "importlib"
        for alias in node.names
    }
    assert told == {name: f"autometa.{home}" for name, home in autometa._HOMES.items()}


def test_the_estimators_take_what_tune_takes():
    """The kind is that of the class; what belongs to the rows is given to fit."""
    of_the_rows = {"X", "y", "groups", "sample_weight"}
    asked = set(inspect.signature(autometa.tune).parameters) - of_the_rows - {"kind"}
    for estimator in (autometa.AutoMetaClassifier, autometa.AutoMetaRegressor):
        assert set(inspect.signature(estimator).parameters) == asked
        assert of_the_rows == set(inspect.signature(estimator.fit).parameters) - {"self"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = autometa.no_such_name


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_contract(name):
    """By position exactly the contract; by name all of it, and more only where it has a default."""
    found = list(inspect.signature(getattr(autometa, name)).parameters.values())
    expected = SIGNATURES[name]
    by_name = {p.name: p for p in found}
    for parameter, default in expected.items():
        if parameter != "*":
            assert default is ... or by_name[parameter].default == default, parameter
    positional = [p.name for p in found if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == ([*expected][: [*expected].index("*")] if "*" in expected else [*expected])
    more = [p for p in found if p.name not in expected]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is not REQUIRED for p in more)


@pytest.mark.parametrize(
    ("owner", "method"), [(owner, name) for owner, names in METHODS.items() for name in names]
)
def test_methods_take_what_the_contract_says(owner, method):
    signature = inspect.signature(getattr(getattr(autometa, owner), method))
    found = [name for name in signature.parameters if name != "self"]
    expected = METHODS[owner][method]
    assert found[: len(expected)] == expected


@pytest.mark.parametrize(
    ("child", "parents"),
    [
        ("AutometaError", (Exception,)),
        ("DataError", (autometa.AutometaError, ValueError)),
        ("UsageError", (autometa.AutometaError, ValueError)),
        ("StorageError", (autometa.AutometaError, RuntimeError)),
        ("DependencyError", (autometa.AutometaError, ImportError)),
        ("EvaluationError", (autometa.AutometaError, RuntimeError)),
    ],
)
def test_the_tree_of_errors(child, parents):
    error = getattr(autometa, child)
    assert error.__bases__ == parents
    raised = error("AM000", "what is wrong.", "What to do.")
    assert str(raised) == "what is wrong. What to do."
    assert (raised.code, raised.message, raised.fix) == ("AM000", "what is wrong.", "What to do.")


def test_versions_agree(root):
    version = autometa.__version__
    assert importlib.metadata.version(DISTRIBUTION) == version
    assert f"\n## [{version}]" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_importing_autometa_imports_nothing_heavy():
    heavy = "{'numpy', 'pandas', 'scipy', 'sklearn', 'lightgbm', 'optuna', 'pyarrow', 'skops', 'openml'}"
    assert run(f"import autometa, sys; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


def test_every_name_loads_without_a_network_and_in_silence():
    code = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "import autometa\n"
        "for name in autometa.__all__: getattr(autometa, name)\n"
        "import sys\n"
        "print('openml' in sys.modules)\n"
    )
    assert run(code).strip() == "False"
