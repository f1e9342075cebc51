"""autometa: recommendations, warm starts and searches that begin with what other tables have taught.

The public names are loaded when they are first used, so that importing the package costs nothing. Nothing is imported
before: ``python -m autometa`` comes through here while the folder where the user works is still first on the path.
"""

TYPE_CHECKING = False  # as type checkers read it, without the module typing
if TYPE_CHECKING:
    from autometa.errors import (
        AutometaError,
        DataError,
        DependencyError,
        EvaluationError,
        StorageError,
        UsageError,
    )
    from autometa.estimators import AutoMetaClassifier, AutoMetaRegressor
    from autometa.experience import LearnReport, learn
    from autometa.metabase import MetaBase
    from autometa.metafeatures import extract_metafeatures
    from autometa.metamodel import AlgorithmSelector, MetaModel
    from autometa.recommendation import Recommendation, Recommendations, recommend
    from autometa.space import Algorithm, Configuration, SearchSpace, register_algorithm
    from autometa.task import Task
    from autometa.tuning import MetaSampler, TuneResult, WarmStartReport, tune, warm_start

__version__ = "0.1.0"

_HOMES = {
    "Algorithm": "space",
    "AlgorithmSelector": "metamodel",
    "AutoMetaClassifier": "estimators",
    "AutoMetaRegressor": "estimators",
    "AutometaError": "errors",
    "Configuration": "space",
    "DataError": "errors",
    "DependencyError": "errors",
    "EvaluationError": "errors",
    "LearnReport": "experience",
    "MetaBase": "metabase",
    "MetaModel": "metamodel",
    "MetaSampler": "tuning",
    "Recommendation": "recommendation",
    "Recommendations": "recommendation",
    "SearchSpace": "space",
    "StorageError": "errors",
    "Task": "task",
    "TuneResult": "tuning",
    "UsageError": "errors",
    "WarmStartReport": "tuning",
    "extract_metafeatures": "metafeatures",
    "learn": "experience",
    "recommend": "recommendation",
    "register_algorithm": "space",
    "tune": "tuning",
    "warm_start": "tuning",
}

__all__ = [
    "Algorithm",
    "AlgorithmSelector",
    "AutoMetaClassifier",
    "AutoMetaRegressor",
    "AutometaError",
    "Configuration",
    "DataError",
    "DependencyError",
    "EvaluationError",
    "LearnReport",
    "MetaBase",
    "MetaModel",
    "MetaSampler",
    "Recommendation",
    "Recommendations",
    "SearchSpace",
    "StorageError",
    "Task",
    "TuneResult",
    "UsageError",
    "WarmStartReport",
    "__version__",
    "extract_metafeatures",
    "learn",
    "recommend",
    "register_algorithm",
    "tune",
    "warm_start",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'autometa' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"autometa.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
