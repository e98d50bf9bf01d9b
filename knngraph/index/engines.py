"""Which engine builds and searches HNSW graphs: that of hnswlib, or our own."""

import os

from knngraph.index.compiled_graph import CompiledGraph
from knngraph.index.hnswlib_graph import HnswlibGraph, has_hnswlib
from knngraph.index.protocol import Graph

# Forces an engine; unset or empty, hnswlib is used where it is installed.
VARIABLE = "KNNGRAPH_ENGINE"
ENGINES = ("hnswlib", "knngraph")


def engine_name() -> str:
    """Name of the engine in use.

    Raises
    ------
    ImportError
        The variable KNNGRAPH_ENGINE names hnswlib, which is not installed.
    ValueError
        It names no engine.
    """
    forced = os.environ.get(VARIABLE, "")
    if not forced:
        return "hnswlib" if has_hnswlib() else "knngraph"
    if forced not in ENGINES:
        raise ValueError(
            f"The variable {VARIABLE} is {forced!r}; set it to one of "
            f"{', '.join(ENGINES)}, or unset it to use hnswlib where it is installed."
        )
    if forced == "hnswlib" and not has_hnswlib():
        raise ImportError(
            f"The variable {VARIABLE} is 'hnswlib', which is not installed: install "
            "knngraph[hnswlib], for which a C++ compiler is needed, or unset it to "
            "use the engine of knngraph itself."
        )
    return forced


def engine() -> type[Graph]:
    """The graph of the engine in use.

    Examples
    --------
    >>> from knngraph.index.engines import ENGINES, engine, engine_name
    >>> engine_name() in ENGINES, engine().__name__.endswith("Graph")
    (True, True)
    """
    return HnswlibGraph if engine_name() == "hnswlib" else CompiledGraph
