"""The meta-model: what the runs on known tasks say about configurations on a new one."""

from autometa.metamodel.model import MetaModel
from autometa.metamodel.portfolio import greedy_portfolio
from autometa.metamodel.prediction import Prediction
from autometa.metamodel.proximity import ProximityForest
from autometa.metamodel.selector import AlgorithmSelector

__all__ = ["AlgorithmSelector", "MetaModel", "Prediction", "ProximityForest", "greedy_portfolio"]
