"""Inspection of graphs and searches: explanations, suspect labels, and pictures."""

from knngraph.inspection.explanation import Explanation, Reason, VotingNeighbor
from knngraph.inspection.fidelity import NeighborhoodFidelity, neighborhood_fidelity
from knngraph.inspection.graph_displays import (
    ConvergenceDisplay,
    LearnedKDisplay,
    NeighborGraphDisplay,
)
from knngraph.inspection.relevance import feature_relevance
from knngraph.inspection.risk import (
    RiskCoverage,
    RiskCoverageDisplay,
    risk_coverage,
)
from knngraph.inspection.search_displays import FidelityDisplay, ParetoDisplay
from knngraph.inspection.suspects import SuspectLabels
from knngraph.inspection.tables import (
    TableExplanation,
    TableRow,
    explain_table,
    explain_training_rows,
)

__all__ = [
    "ConvergenceDisplay",
    "Explanation",
    "FidelityDisplay",
    "LearnedKDisplay",
    "NeighborGraphDisplay",
    "NeighborhoodFidelity",
    "ParetoDisplay",
    "Reason",
    "RiskCoverage",
    "RiskCoverageDisplay",
    "SuspectLabels",
    "TableExplanation",
    "TableRow",
    "VotingNeighbor",
    "explain_table",
    "explain_training_rows",
    "feature_relevance",
    "neighborhood_fidelity",
    "risk_coverage",
]
