"""The meta-model: what the runs on known tasks say about configurations on a new one."""

from autometa.metamodel.model import MetaModel
from autometa.metamodel.neighbourhood import Neighbourhood, PastRuns, Prediction
from autometa.metamodel.portfolio import greedy_portfolio
from autometa.metamodel.selector import AlgorithmSelector

__all__ = ["AlgorithmSelector", "MetaModel", "Neighbourhood", "PastRuns", "Prediction", "greedy_portfolio"]
