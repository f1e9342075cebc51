"""autometa: recommendations, warm starts and searches that begin with what other tables have taught.

The public names are loaded when they are first used, so that importing the package costs nothing. Nothing is imported
before: ``python -m autometa`` comes through here while the folder where the user works is still first on the path.
"""

TYPE_CHECKING = False  # as type checkers read it, without the module typing
if TYPE_CHECKING:
    from autometa.errors import (
        AutometaError as AutometaError,
        DataError as DataError,
        DependencyError as DependencyError,
        EvaluationError as EvaluationError,
        StorageError as StorageError,
        UsageError as UsageError,
    )
    from autometa.estimators import (
        AutoMetaClassifier as AutoMetaClassifier,
        AutoMetaRegressor as AutoMetaRegressor,
    )
    from autometa.experience import LearnReport as LearnReport, learn as learn
    from autometa.metabase import MetaBase as MetaBase
    from autometa.metafeatures import extract_metafeatures as extract_metafeatures
    from autometa.metamodel import AlgorithmSelector as AlgorithmSelector, MetaModel as MetaModel
    from autometa.recommendation import (
        Recommendation as Recommendation,
        Recommendations as Recommendations,
        recommend as recommend,
    )
    from autometa.space import (
        Algorithm as Algorithm,
        Configuration as Configuration,
        SearchSpace as SearchSpace,
        register_algorithm as register_algorithm,
    )
    from autometa.task import Task as Task
    from autometa.tuning import (
        MetaSampler as MetaSampler,
        TuneResult as TuneResult,
        WarmStartReport as WarmStartReport,
        tune as tune,
        warm_start as warm_start,
    )

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

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'autometa' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"autometa.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
