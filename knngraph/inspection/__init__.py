"""Inspection of graphs and searches: explanations, suspect labels, and pictures."""

from knngraph.inspection.explanation import Explanation, Reason
from knngraph.inspection.explanation_display import ExplanationDisplay
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
from knngraph.inspection.rows import TableRow, VotingNeighbor
from knngraph.inspection.search_displays import FidelityDisplay, ParetoDisplay
from knngraph.inspection.suspects import SuspectLabels
from knngraph.inspection.tables import (
    TableExplanation,
    explain_table,
    explain_training_rows,
)

__all__ = [
    "ConvergenceDisplay",
    "Explanation",
    "ExplanationDisplay",
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
