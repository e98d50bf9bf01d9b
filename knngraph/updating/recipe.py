"""What fit was asked for, kept for the rows that come later."""

from dataclasses import dataclass

from knngraph.graph.learn import GraphSettings
from knngraph.graph.neighbors import Neighbors
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.candidates import problem_bandwidth
from knngraph.space import Space


@dataclass(frozen=True)
class Recipe:
    """Settings of a fit that hold until the next, whatever parameters become.

    Parameters
    ----------
    graph : GraphSettings
        In mapped units.
    problem : QueryProblem
        Its sigma and its lens are found from the rows.
    query_bandwidth : "neighbors", "local" or float
        In mapped units.
    tolerance : float
        Loss of accuracy that a cascade may cost.
    vote : {"trusted", "labels"}
        Whether it is learned how far labels are believed at queries.
    query_metric : {"auto", "same"}
        Whether a lens is learned, or queries are compared as in the index.
    n_listed : int
        Neighbors that are listed for every node.
    exact_up_to : float
        Number of rows up to which the graph is certified against all.
    walk : {"hnsw", "medoids"}
        Of which it is measured how well it finds rows that come in.
    M, ef_construction : int
        Of the index.
    seed : int
    seeded : bool
        Whether equal results are asked for: the index is built by one thread.
    spacing : float
        Typical distance of neighbors at the fit, in mapped units.
    """

    graph: GraphSettings
    problem: QueryProblem
    query_bandwidth: float | str
    tolerance: float
    vote: str
    query_metric: str
    n_listed: int
    exact_up_to: float
    walk: str
    M: int
    ef_construction: int
    seed: int
    seeded: bool
    spacing: float

    def query_sigma(self, problem: QueryProblem, neighbors: Neighbors) -> float:
        """Bandwidth at queries, in mapped units; 0 where it is their own."""
        if self.query_bandwidth == "local":
            return 0.0
        if self.query_bandwidth == "neighbors":
            return problem_bandwidth(problem, neighbors)
        return float(self.query_bandwidth)

    def build_threads(self, n_threads: int) -> int:
        """Threads that insert into the index."""
        return 1 if self.seeded else n_threads


def in_mapped_units(bandwidth: float | str, space: Space) -> float | str:
    """A bandwidth in the units of the user, where it is a number, in those of rows."""
    if isinstance(bandwidth, str):
        return bandwidth
    # Beyond these every kernel entry is 0 or 1, and squares would leave the range.
    return min(max(float(bandwidth) / space.scale, 1e-30), 1e30)
