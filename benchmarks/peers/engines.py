"""Nearest-neighbor search of other packages, each behind the same three calls."""

import pickle
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


class Engine(ABC):
    """A search that is built once."""

    index: Any

    @abstractmethod
    def build(self, X: np.ndarray) -> None:
        """Index float32 rows."""

    @abstractmethod
    def search(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids and Euclidean distances, both of shape (n_queries, k)."""

    def n_bytes(self) -> int:
        """Size of the index when it is stored: of its pickle, unless it has a file."""
        return len(pickle.dumps(self.index))


class FaissIndex(Engine):
    """Any index of faiss."""

    def n_bytes(self) -> int:
        """Size of the serialized index."""
        import faiss

        return int(faiss.serialize_index(self.index).nbytes)


@dataclass
class Faiss(FaissIndex):
    """An index of faiss by its factory string.

    Parameters
    ----------
    factory : str
        "Flat", or "HNSW32" for instance.
    ef_construction, ef : int
        Beams of a graph; a flat index has none.
    n_threads : int
        Of all that faiss does in the process from its build on.
    n_probe : int
        Cells that a search looks into; 0 where there are none.
    """

    factory: str
    ef_construction: int = 0
    ef: int = 0
    n_threads: int = 1
    n_probe: int = 0

    def build(self, X: np.ndarray) -> None:
        """Add the rows."""
        import faiss

        faiss.omp_set_num_threads(self.n_threads)
        self.index = faiss.index_factory(X.shape[1], self.factory)
        if self.ef_construction:
            self.index.hnsw.efConstruction = self.ef_construction
        if self.n_probe:
            self.index.train(X)
            self.index.nprobe = self.n_probe
        self.index.add(X)
        if self.ef:
            self.index.hnsw.efSearch = self.ef

    def search(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Faiss returns squared distances."""
        squared, ids = self.index.search(X, k)
        return ids, np.sqrt(np.maximum(squared, 0.0))


@dataclass
class FaissLSH(FaissIndex):
    """Locality-sensitive hashing: signs of random projections, Hamming distance.

    Parameters
    ----------
    n_bits : int
    """

    n_bits: int

    def build(self, X: np.ndarray) -> None:
        """Hash the rows; signs need centered ones."""
        import faiss

        faiss.omp_set_num_threads(1)
        self.center = X.mean(axis=0)
        self.index = faiss.IndexLSH(X.shape[1], self.n_bits, True, False)
        self.index.add(X - self.center)

    def search(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances are counts of bits."""
        distances, ids = self.index.search(X - self.center, k)
        return ids, distances


@dataclass
class Hnswlib(Engine):
    """The graph of hnswlib.

    Parameters
    ----------
    M, ef_construction, ef : int
    n_threads, seed : int
        Only a graph that one thread builds depends on the seed alone.
    """

    M: int = 16
    ef_construction: int = 200
    ef: int = 1
    n_threads: int = 1
    seed: int = 0

    def build(self, X: np.ndarray, order: np.ndarray | None = None) -> None:
        """Add the rows, in another order where one is given."""
        import hnswlib

        self.index = hnswlib.Index("l2", X.shape[1])
        self.index.init_index(
            len(X),
            M=self.M,
            ef_construction=self.ef_construction,
            random_seed=self.seed,
        )
        self.index.set_num_threads(self.n_threads)
        self.index.add_items(X if order is None else X[order], order)
        self.index.set_ef(self.ef)

    def search(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The package returns squared distances and unsigned ids."""
        ids, squared = self.index.knn_query(X, k)
        return ids.astype(np.intp), np.sqrt(np.maximum(squared, 0.0))


@dataclass
class PyNNDescent(Engine):
    """The graph of pynndescent.

    Parameters
    ----------
    n_neighbors : int
    epsilon : float
        How far beyond the best a search looks.
    """

    n_neighbors: int
    epsilon: float

    def build(self, X: np.ndarray) -> None:
        """Build the graph and what its queries need."""
        from pynndescent import NNDescent

        self.index = NNDescent(
            X, n_neighbors=self.n_neighbors, random_state=0, n_jobs=1
        )
        self.index.prepare()

    def search(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances as they are."""
        return self.index.query(X, k=k, epsilon=self.epsilon)


@dataclass
class Annoy(Engine):
    """The trees of annoy.

    Parameters
    ----------
    n_trees, search_k : int
    """

    n_trees: int
    search_k: int

    def build(self, X: np.ndarray) -> None:
        """Grow the trees with one thread and a fixed seed."""
        from annoy import AnnoyIndex

        self.index = AnnoyIndex(X.shape[1], "euclidean")
        self.index.set_seed(1)
        for place, row in enumerate(X):
            self.index.add_item(place, row)
        self.index.build(self.n_trees, n_jobs=1)

    def search(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """One row after the other: the package has no batches."""
        ids = np.zeros((len(X), k), dtype=np.intp)
        distances = np.full((len(X), k), np.inf)
        for place, row in enumerate(X):
            near, far = self.index.get_nns_by_vector(
                row, k, search_k=self.search_k, include_distances=True
            )
            ids[place, : len(near)], distances[place, : len(far)] = near, far
        return ids, distances

    def n_bytes(self) -> int:
        """Size of the file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trees.ann"
            self.index.save(str(path))
            return path.stat().st_size


@dataclass
class SearchVote:
    """A search whose neighbors vote.

    Parameters
    ----------
    engine : Engine
    k : int
    weights : {"uniform", "distance"}
    """

    engine: Engine
    k: int
    weights: str

    def fit(self, X: np.ndarray, y: np.ndarray) -> "SearchVote":
        """Build the engine and keep the labels."""
        self.codes, self.n_classes = np.asarray(y, dtype=np.intp), int(y.max()) + 1
        self.engine.build(np.ascontiguousarray(X, dtype=np.float32))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Class codes of the rows."""
        from knngraph.baselines._neighbors import count_votes, neighbor_weights

        queries = np.ascontiguousarray(X, dtype=np.float32)
        ids, distances = self.engine.search(queries, self.k)
        # An engine that finds too few says -1; such neighbors must not vote.
        found = (ids >= 0) & np.isfinite(distances)
        weights = neighbor_weights(np.where(found, distances, np.inf), self.weights)
        weights = np.where(found, weights, 0.0)
        codes = self.codes[np.where(found, ids, 0)]
        return count_votes(codes, weights, self.n_classes).argmax(axis=1)

    def n_bytes(self) -> int:
        """Size of engine and labels."""
        size: Any = self.engine.n_bytes()
        return int(size) + self.codes.nbytes
