"""UMAP on our neighbors and on scikit-learn's: the same pictures.

    pip install umap-learn
    python -m benchmarks.neighbors_elsewhere [--n-rows 1000]

UMAP takes neighbors as `precomputed_knn`, two arrays that `kneighbors` returns, and
with `metric="precomputed"` as a symmetric sparse graph, which `KNNGraphTransformer`
returns. Both are made by ours and by scikit-learn's search with a tree (its brute force
finds rows 2e-6 from themselves), of the digits with a little noise against ties. The
program ends with 1 where the pictures differ. Lighter packages are compared in
tests/test_neighbors_elsewhere.py.
"""

import sys
import warnings
from typing import Any

import numpy as np
from scipy.sparse import SparseEfficiencyWarning
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors

from benchmarks.command import parser_of
from knngraph import KNNGraphTransformer

N_NEIGHBORS = 15


def pictures(X: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Coordinates by every way to hand neighbors over, from ours and from theirs."""
    from umap import UMAP

    ours = KNNGraphTransformer(
        method="knn", mode="distance", algorithm="exact", symmetrize="union"
    )
    theirs = KNeighborsTransformer(algorithm="kd_tree")
    for model in (ours, theirs):
        model.set_params(n_neighbors=N_NEIGHBORS - 1)
    directed = theirs.fit_transform(X)
    symmetric = directed.maximum(directed.T)
    symmetric.setdiag(0.0)  # the maximum has dropped these entries

    def of_lists(model: Any) -> np.ndarray:
        distances, rows = model.fit(X).kneighbors(X, N_NEIGHBORS)
        umap = UMAP(random_state=0, precomputed_knn=(rows, distances))
        return umap.fit_transform(X)

    def of_graph(graph: Any) -> np.ndarray:
        return UMAP(random_state=0, metric="precomputed").fit_transform(graph)

    exact = NearestNeighbors(algorithm="kd_tree")
    return {
        "precomputed_knn": [of_lists(ours), of_lists(exact)],
        'metric="precomputed"': [of_graph(ours.fit_transform(X)), of_graph(symmetric)],
        "without": [UMAP(random_state=0).fit_transform(X)],
    }


def main() -> int:
    """Print how the pictures differ, and how well they keep neighborhoods."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--n-rows", type=int, default=1000)
    options = parser.parse_args()
    X = load_digits().data[: options.n_rows]
    X = X + np.random.default_rng(0).normal(scale=0.01, size=X.shape)
    with warnings.catch_warnings():
        # Of one thread for a seed, of transform that needs a search, of the diagonal.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", SparseEfficiencyWarning)
        found = pictures(X)
    same = True
    for name, (first, *others) in found.items():
        kept = trustworthiness(X, first, n_neighbors=N_NEIGHBORS)
        line = f"{name:22} neighborhoods kept {kept:.4f}"
        for other in others:
            difference = float(np.abs(first - other).max())
            same &= difference == 0.0
            line += f", largest difference to scikit-learn's {difference:.2g}"
        print(line)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
