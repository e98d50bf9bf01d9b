"""The settings of a fit, which hold for later changes of its rows too."""

from dataclasses import dataclass

from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.learn import GraphSettings
from knngraph.graph.neighbors import Neighbors
from knngraph.inference.adaptive import QueryProblem


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit, which hold until the next whatever parameters become.

    Parameters
    ----------
    graph : GraphSettings
        In mapped units.
    problem : QueryProblem
        Its sigma is found from the rows.
    query_bandwidth : "neighbors", "local" or float
        In mapped units.
    tolerance : float
        Loss of accuracy that a cascade may cost.
    vote : {"reliability", "labels"}
        Whether the reliability of labels is estimated for the votes at queries.
    n_listed : int
        Length of the neighbor list of a node.
    exact_up_to : float
        Number of rows up to which the graph is certified against all.
    M, ef_construction : int
        Of the index.
    seed : int
    spacing : float
        Typical distance of neighbors at the fit, in mapped units.
    weight_unit : float, default=1.0
        What weights of rows are divided by.
    class_weight : "balanced", tuple of float, or None, default=None
        Weights of the classes; see `knngraph.weights.class_factors`.
    """

    graph: GraphSettings
    problem: QueryProblem
    query_bandwidth: float | str
    tolerance: float
    vote: str
    n_listed: int
    exact_up_to: float
    M: int
    ef_construction: int
    seed: int
    spacing: float
    weight_unit: float = 1.0
    class_weight: str | tuple[float, ...] | None = None

    def query_sigma(self, neighbors: Neighbors) -> float:
        """Bandwidth at queries, in mapped units; 0 where it is the query's own."""
        if self.query_bandwidth == "local":
            return 0.0
        if self.query_bandwidth == "neighbors":
            return neighbors_bandwidth(neighbors, self.problem.n_neighbors)
        return float(self.query_bandwidth)
