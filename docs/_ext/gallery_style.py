"""How the pictures of the gallery are drawn, and the order of its scripts."""

from typing import Any

# What a user comes for stands first, what shows the inside of a fit last. Scripts
# that are not listed follow the first ones.
_FIRST = (
    "mislabeled_rows",
    "card",
    "embeddings",
    "table",
    "prediction_sets",
    "novel_queries",
    "sparse_text",
    "serving",
    "label_noise",
)
_LAST = (
    "decision_boundaries",
    "neighbor_graph",
    "embedded_digits",
    "learned_k",
    "pareto",
    "fidelity",
    "convergence",
)


def reset(gallery_conf: dict[str, Any], fname: str) -> None:
    """Before every script: small figures, with letters that a phone still shows."""
    import matplotlib

    matplotlib.rcParams.update({"figure.figsize": (5.6, 4.0), "font.size": 11.0})


def place(filename: str) -> tuple[int, str]:
    """Where a script stands in the gallery."""
    name = filename.removeprefix("plot_").removesuffix(".py")
    if name in _FIRST:
        return _FIRST.index(name), name
    later = len(_FIRST)
    return later + 1 + _LAST.index(name) if name in _LAST else later, name
