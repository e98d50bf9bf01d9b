"""Looking into graphs and searches: what they hold, and what they miss."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knngraph.inspection.displays.convergence import ConvergenceDisplay
    from knngraph.inspection.displays.fidelity import FidelityDisplay
    from knngraph.inspection.displays.learned_k import LearnedKDisplay
    from knngraph.inspection.displays.neighbor_graph import NeighborGraphDisplay
    from knngraph.inspection.displays.pareto import ParetoDisplay
    from knngraph.inspection.explanation import Explanation, VotingNeighbor
    from knngraph.inspection.fidelity import NeighborhoodFidelity, neighborhood_fidelity
    from knngraph.inspection.suspects import SuspectLabels

_HOME_OF_NAME = {
    "NeighborhoodFidelity": "knngraph.inspection.fidelity",
    "neighborhood_fidelity": "knngraph.inspection.fidelity",
    "SuspectLabels": "knngraph.inspection.suspects",
    "Explanation": "knngraph.inspection.explanation",
    "VotingNeighbor": "knngraph.inspection.explanation",
    "NeighborGraphDisplay": "knngraph.inspection.displays.neighbor_graph",
    "ConvergenceDisplay": "knngraph.inspection.displays.convergence",
    "LearnedKDisplay": "knngraph.inspection.displays.learned_k",
    "FidelityDisplay": "knngraph.inspection.displays.fidelity",
    "ParetoDisplay": "knngraph.inspection.displays.pareto",
}

__all__ = [
    "ConvergenceDisplay",
    "Explanation",
    "FidelityDisplay",
    "LearnedKDisplay",
    "NeighborGraphDisplay",
    "NeighborhoodFidelity",
    "ParetoDisplay",
    "SuspectLabels",
    "VotingNeighbor",
    "neighborhood_fidelity",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF_NAME:
        raise AttributeError(f"module 'knngraph.inspection' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF_NAME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
